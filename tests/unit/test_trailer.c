// SPDX-License-Identifier: MIT
// HS-15: which names may stand in a trailer section that goes on. Every field that frames a
// message, routes it or says who somebody is must not, in any spelling.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "proxy/trailer.h"

static void test_passed(void **state)
{
    (void)state;
    static const char *const names[] = {
        "X-Checksum",     "Content-Digest",    "content-digest",   "Repr-Digest", "ETag",
        "Server-Timing",  "grpc-status",       "grpc-message",     "Digest",      "Signature",
        "Hosts",          "X-Content-Type",    "My-Cookie",        "Dated",       "Ages",
        "Transfer-Codec", "X-Authorization-2", "Connections-Left", "T",           "",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!trailer_may_pass(str_of(names[i])))
            fail_msg("%s is held back", names[i]);
}

static void test_held_back(void **state)
{
    (void)state;
    static const char *const names[] = {
        "Transfer-Encoding",
        "transfer_encoding",
        "Content-Length",
        "Content_Length",
        "CONTENT-TYPE",
        "Content-Encoding",
        "Content-Digests",
        "Content-Digest-",
        "Host",
        "Authorization",
        "AUTHORIZATION",
        "Proxy-Authorization",
        "Proxy_Connection",
        "Cookie",
        "Cookie2",
        "Set-Cookie",
        "Set-Cookie2",
        "WWW-Authenticate",
        "Authentication-Info",
        "Connection",
        "TE",
        "Trailer",
        "Upgrade",
        "Keep-Alive",
        "Via",
        "Forwarded",
        "X-Forwarded-For",
        "X_Forwarded_Proto",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Max-Forwards",
        "X-Bearerd-Key",
        "DPoP",
        "DPoP-Nonce",
        "Client-Cert",
        "If-None-Match",
        "Range",
        "Expect",
        "Cache-Control",
        "Sec-WebSocket-Key",
        "Origin",
        "Referer",
        "Access-Control-Allow-Origin",
        "Location",
        "Vary",
        "Date",
        "X-HTTP-Method-Override",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (trailer_may_pass(str_of(names[i])))
            fail_msg("%s is let through", names[i]);
}

static void test_lists(void **state)
{
    (void)state;
    assert_true(trailer_names_may_pass(STR("X-A, Content-Digest ,X-B")));
    assert_true(trailer_names_may_pass(STR("")));
    assert_false(trailer_names_may_pass(STR("X-A, Content-Length")));
    assert_false(trailer_names_may_pass(STR("X A")));
    assert_false(trailer_names_may_pass(STR("X-A;q=1")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passed),
        cmocka_unit_test(test_held_back),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
