// SPDX-License-Identifier: MIT
// Who may call: T31 (DNS rebinding, web pages), T32 (any local user), the client key. Hosts go
// through the same normalisation as in the proxy.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../support/fixture.h"
#include "proxy/caller.h"
#include "proxy/target.h"

// ---- asking

struct wish { // what a configuration says about callers; lists end with NULL
    const char *listen[4], *accept_hosts[4], *allow_origins[4], *allow_uids[4], *extra[4];
    const char *client_key;
    bool passes_cors;
};

static struct config_strings strings_of(const char *const *items)
{
    struct config_strings strings = {(char **)(uintptr_t)items, 0};
    while (strings.count < 4 && items[strings.count])
        strings.count++;
    return strings;
}

static struct caller_rules *rules_try(const struct wish *wish, struct err *err)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_upstream(&fixture, "api", "https://api.example.com/v1", "/", NULL);
    fixture_upstream(&fixture, "b", "http://b.example:8443", "/b", "b.example:8443 b2.example:80");
    struct config *config = &fixture.config;
    config->listen = strings_of(wish->listen);
    config->accept_hosts = strings_of(wish->accept_hosts);
    config->allow_origins = strings_of(wish->allow_origins);
    config->allow_uids = strings_of(wish->allow_uids);
    config->cors = wish->passes_cors ? CORS_PASS : CORS_ANSWER;
    const struct config_strings extra = strings_of(wish->extra);
    if (wish->client_key) {
        config->client_key = secret_new(wish->client_key, err);
        assert_non_null(config->client_key);
    }
    // The configuration may go, the rules stay.
    struct caller_rules *rules = caller_rules_new(config, extra.count ? &extra : NULL, err);
    secret_free(config->client_key);
    fixture_fini(&fixture);
    return rules;
}

static struct caller_rules *rules_of(const struct wish *wish)
{
    struct err err = {.text = ""};
    struct caller_rules *rules = rules_try(wish, &err);
    if (!rules)
        fail_msg("%s", err.text);
    return rules;
}

struct ask {
    const char *host;   // NULL: no Host field
    const char *method; // NULL: GET
    const char *fields[6][2];
    bool is_absolute, is_unix;
    uint32_t uid;
};

#define UNREADABLE (-1)

// The status, or UNREADABLE when Host is not a valid authority (which is a 400 before the caller is
// asked about).
static int status_of(const struct caller_rules *rules, const struct ask *ask)
{
    struct fields fields = {.count = 0};
    if (ask->host)
        assert_true(fields_add(&fields, STR("host"), str_of(ask->host)));
    for (size_t i = 0; i < 6 && ask->fields[i][0]; i++)
        assert_true(fields_add(&fields, str_of(ask->fields[i][0]), str_of(ask->fields[i][1])));
    struct target target = {.form = TARGET_ORIGIN};
    char host[300];
    size_t len;
    if (!target_normal_host(&target, str_of(ask->host), host, &len))
        return UNREADABLE;
    const struct caller caller = {.host = {host, len},
                                  .is_absolute = ask->is_absolute,
                                  .is_unix = ask->is_unix,
                                  .uid = ask->uid,
                                  .method = str_of(ask->method ? ask->method : "GET"),
                                  .fields = &fields};
    struct caller_verdict verdict = caller_check(rules, &caller);
    assert_true(!verdict.status == !verdict.type && !verdict.status == !verdict.why);
    return verdict.status;
}

static void expect(const struct wish *wish, const struct ask *ask, int wanted)
{
    struct caller_rules *rules = rules_of(wish);
    int status = status_of(rules, ask);
    if (status != wanted)
        fail_msg("Host `%s`, %s: `%s`: got %d, wanted %d", ask->host ? ask->host : "(none)",
                 ask->fields[0][0] ? ask->fields[0][0] : "no field",
                 ask->fields[0][1] ? ask->fields[0][1] : "", status, wanted);
    caller_rules_free(rules);
}

static void expect_host(const struct wish *wish, const char *host, int wanted)
{
    expect(wish, &(struct ask){.host = host}, wanted);
}

static const struct wish plain = {.listen = {"127.0.0.1:8080"}};
static const struct wish keyed = {.listen = {"127.0.0.1:8080"}, .client_key = "open sesame:1"};

// ---- Host

static void test_own_hosts(void **state)
{
    (void)state;
    static const char *const good[] = {
        "127.0.0.1:8080", "localhost:8080",  "LocalHost:8080",     "localhost.:8080",
        "[::1]:8080",     "api.example.com", "API.example.com:80", "api.example.com.",
        "b.example:8443", "b2.example",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        expect_host(&plain, good[i], 0);
}

// T31: what a rebinding page or a careless check lets pass for us.
static void test_lookalikes(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "evil.com",
        "evil.com:8080",
        "localhost.evil.com",
        "localhost.evil.com:8080",
        "127.0.0.1.evil.com:8080",
        "127.0.0.1.nip.io:8080",
        "evil.com.localhost:8080",
        "evillocalhost:8080",
        "localhostevil:8080",
        "localhost",
        "localhost:80",
        "localhost:8081",
        "localhost:808",
        "localhost:443",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.0.0.1:8081",
        "127.0.0.2:8080",
        "127.1:8080",
        "127.0.1:8080",
        "127.000.000.001:8080",
        "0177.0.0.1:8080",
        "0x7f.0.0.1:8080",
        "0x7f000001:8080",
        "2130706433:8080",
        "017700000001:8080",
        "0.0.0.0:8080",
        "0:8080",
        "[::]:8080",
        "[::1]",
        "[::1]:80",
        "[::ffff:127.0.0.1]:8080",
        "[0:0:0:0:0:0:0:1]:8080",
        "[::0001]:8080",
        "[::7f00:1]:8080",
        "ip6-localhost:8080",
        "localhost.localdomain:8080",
        "api.example.com:8080",
        "api.example.com:443",
        "api.example.com.evil.com",
        "evil-api.example.com",
        "xapi.example.com",
        "example.com",
        "b.example",
        "b.example:8080",
        "xn--localhost-abc:8080",
        "local-host:8080",
        "localhost_:8080",
    };
    assert_true(ARRAY_LEN(bad) >= 40);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_host(&plain, bad[i], 403);
    static const char *const unreadable[] = {
        "localhost:80800",     "localhost:8080@evil.com",
        "user@localhost:8080", "localhost:8080, evil.com",
        "localhost:8080/",     "localhost:8080 ",
        "localhost%3a8080",    "localhost:08080",
        "localhost..:8080",    "localhost\xe3\x80\x82:8080",
    };
    for (size_t i = 0; i < ARRAY_LEN(unreadable); i++)
        expect_host(&plain, unreadable[i], UNREADABLE);
}

static void test_no_host(void **state)
{
    (void)state;
    expect_host(&plain, NULL, 0); // HTTP/1.0: no browser
    expect_host(&plain, "", 403);
}

static void test_absolute_form_is_left_to_the_router(void **state)
{
    (void)state;
    expect(&plain, &(struct ask){.host = "evil.com", .is_absolute = true}, 0);
}

static void test_listen_forms(void **state)
{
    (void)state;
    static const struct {
        struct wish wish;
        const char *good[5], *bad[5];
    } rows[] = {
        {{.listen = {"[::1]:8080"}}, {"[::1]:8080", "localhost:8080", "127.0.0.1:8080"}, {"[::1]"}},
        {{.listen = {"127.0.0.1:80"}}, {"localhost", "127.0.0.1:80", "[::1]"}, {"localhost:8080"}},
        {{.listen = {"0.0.0.0:8080"}}, {"localhost:8080"}, {"0.0.0.0:8080", "10.0.0.5:8080"}},
        {{.listen = {"[::]:8080"}}, {"localhost:8080"}, {"[::]:8080"}},
        {{.listen = {"10.0.0.5:8080"}}, {"10.0.0.5:8080", "localhost:8080"}, {"10.0.0.5"}},
        {{.listen = {"127.0.0.1:0"}}, {NULL}, {"localhost", "localhost:40000"}},
        {{.listen = {"127.0.0.1:0"}, .extra = {"127.0.0.1:40000"}},
         {"localhost:40000", "127.0.0.1:40000"},
         {"localhost"}},
        {{.listen = {"127.0.0.1:1", "127.0.0.1:2"}},
         {"localhost:1", "127.0.0.1:2"},
         {"localhost:3"}},
        {{.listen = {"unix:/run/x:8080"}}, {NULL}, {"localhost:8080", "localhost", "x:8080"}},
        {{.listen = {"127.0.0.1:8080"}, .accept_hosts = {"sidecar", "proxy.lan:9"}},
         {"sidecar", "sidecar:8080", "SIDECAR:8080", "proxy.lan:9"},
         {"sidecar:9", "proxy.lan", "proxy.lan:8080", "x.sidecar"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t j = 0; rows[i].good[j]; j++)
            expect_host(&rows[i].wish, rows[i].good[j], 0);
        for (size_t j = 0; rows[i].bad[j]; j++)
            expect_host(&rows[i].wish, rows[i].bad[j], 403);
    }
}

// ---- unix sockets

static void test_unix(void **state)
{
    (void)state;
    static const struct wish any = {.listen = {"unix:/run/x"}};
    static const struct wish some = {.listen = {"unix:/run/x"}, .allow_uids = {"0", "1000"}};
    expect(&any, &(struct ask){.host = "localhost", .is_unix = true, .uid = 7}, 0);
    expect(&any, &(struct ask){.host = "api.example.com", .is_unix = true}, 0);
    expect(&any, &(struct ask){.host = "evil.com", .is_unix = true}, 403);
    expect(&any, &(struct ask){.host = "localhost:8080", .is_unix = true}, 403);
    expect(&any, &(struct ask){.host = "localhost"}, 403); // not over TCP
    expect(&some, &(struct ask){.host = "localhost", .is_unix = true, .uid = 0}, 0);
    expect(&some, &(struct ask){.host = "localhost", .is_unix = true, .uid = 1000}, 0);
    expect(&some, &(struct ask){.host = "localhost", .is_unix = true, .uid = 1001}, 403);
    expect(&some, &(struct ask){.host = "localhost", .is_unix = true, .uid = UINT32_MAX}, 403);
    expect(&some,
           &(struct ask){.host = "api.example.com", .is_absolute = true, .is_unix = true, .uid = 5},
           403);
    // The list is about sockets; whoever comes over TCP has no uid.
    expect(&some, &(struct ask){.host = "api.example.com", .uid = 1001}, 0);
}

// ---- web pages

static void test_pages(void **state)
{
    (void)state;
    static const struct wish wish = {
        .listen = {"127.0.0.1:8080"},
        .allow_origins = {"https://app.example.com", "http://localhost:3000"}};
    static const struct {
        const char *fields[3][2];
        int plain, allowed; // without and with allow_origins
    } rows[] = {
        {{{"Origin", "https://app.example.com"}}, 403, 0},
        {{{"ORIGIN", "http://localhost:3000"}}, 403, 0},
        {{{"Origin", "https://evil.com"}}, 403, 403},
        {{{"Origin", "null"}}, 403, 403},
        {{{"Origin", ""}}, 403, 403},
        {{{"Origin", "http://app.example.com"}}, 403, 403},
        {{{"Origin", "https://app.example.com:443"}}, 403, 403},
        {{{"Origin", "https://app.example.com."}}, 403, 403},
        {{{"Origin", "https://app.example.com.evil.com"}}, 403, 403},
        {{{"Origin", "https://app.example.com https://evil.com"}}, 403, 403},
        {{{"Origin", "https://evil.com/https://app.example.com"}}, 403, 403},
        {{{"Origin", "http://localhost:8080"}}, 403, 403}, // a page the proxy itself serves
        {{{"Origin", "https://app.example.com"}, {"Origin", "https://evil.com"}}, 403, 403},
        {{{"Origin", "https://app.example.com"}, {"Sec-Fetch-Site", "cross-site"}}, 403, 0},
        {{{"Origin", "https://evil.com"}, {"Sec-Fetch-Site", "none"}}, 403, 403},
        {{{"Sec-Fetch-Site", "none"}}, 0, 0},
        {{{"Sec-Fetch-Site", "same-origin"}}, 403, 403}, // a page that came from an upstream
        {{{"Sec-Fetch-Site", "same-site"}}, 403, 403},
        {{{"Sec-Fetch-Site", "cross-site"}}, 403, 403},
        {{{"sec-fetch-site", "cross-site"}}, 403, 403},
        {{{"Sec-Fetch-Site", ""}}, 403, 403},
        {{{"Sec-Fetch-Site", "None"}}, 403, 403},
        {{{"Sec-Fetch-Site", "none, cross-site"}}, 403, 403},
        {{{"Sec-Fetch-Site", "none"}, {"Sec-Fetch-Site", "cross-site"}}, 403, 403},
        {{{"Sec-Fetch-Mode", "cors"}}, 0, 0}, // Node's fetch sends it
        // Browsers too old for both say where a request comes from in Referer alone.
        {{{"Referer", "https://evil.com/"}}, 403, 403},
        {{{"referer", "http://evil.com"}}, 403, 403},
        {{{"Referer", "https://app.example.com/x"}}, 403, 403}, // it may have been redirected since
        {{{"Referer", "http://localhost:8080.evil.com/"}}, 403, 403},
        {{{"Referer", "http://localhost:8080@evil.com/"}}, 403, 403},
        {{{"Referer", "http://evil.com#http://localhost:8080/"}}, 403, 403},
        {{{"Referer", "http://evil.com?http://localhost:8080/"}}, 403, 403},
        {{{"Referer", "http://localhost:8081/"}}, 403, 403},
        {{{"Referer", "http://127.0.0.1:8080/"}}, 403, 403},
        {{{"Referer", "//evil.com/"}}, 403, 403},
        {{{"Referer", "android-app://localhost:8080/"}}, 403, 403},
        {{{"Referer", "http:///x"}}, 403, 403},
        {{{"Referer", "http://localhost:8080/a?b#c"}}, 0, 0},
        {{{"Referer", "http://LOCALHOST:8080"}}, 0, 0},
        {{{"Referer", "/relative"}}, 0, 0},
        {{{"Referer", "about:blank"}}, 0, 0},
        {{{"Referer", ""}}, 0, 0},
        {{{"Referer", "https://evil.com/"}, {"Sec-Fetch-Site", "none"}}, 0, 0}, // cannot be
        {{{"Origin", "https://app.example.com"}, {"Referer", "https://evil.com/"}}, 403, 0},
        // Preflights, which the standard gives an Origin always
        {{{"Access-Control-Request-Method", "GET"}}, 403, 403},
        {{{"access-control-request-private-network", "true"}}, 403, 403},
        {{{"Access-Control-Request-Local-Network", "true"}}, 403, 403},
        {{{"Sec-Fetch-Site", "none"}, {"Access-Control-Request-Private-Network", "true"}},
         403,
         403},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ask ask = {.host = "localhost:8080"};
        memcpy(ask.fields, rows[i].fields, sizeof rows[i].fields);
        expect(&plain, &ask, rows[i].plain);
        expect(&wish, &ask, rows[i].allowed);
        ask.is_absolute = true;
        expect(&plain, &ask, rows[i].plain);
    }
}

// What pages of bearerd's own origin are served with: an upstream's words.
static void test_own_pages(void **state)
{
    (void)state;
    static const struct wish wish = {.listen = {"127.0.0.1:8080"},
                                     .allow_origins = {"http://localhost:8080"}};
    const struct ask own = {.host = "localhost:8080",
                            .fields = {{"Sec-Fetch-Site", "same-origin"}}};
    const struct ask other = {.host = "127.0.0.1:8080",
                              .fields = {{"Sec-Fetch-Site", "same-origin"}}};
    const struct ask twice = {
        .host = "localhost:8080",
        .fields = {{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "same-origin"}}};
    expect(&plain, &own, 403);
    expect(&wish, &own, 0);
    expect(&wish, &other, 403);
    expect(&wish, &twice, 403);
}

static void test_preflights(void **state)
{
    (void)state;
    static const struct {
        const char *method, *fields[4][2];
        int keyed, passed; // with a client_key, and with cors = pass
    } rows[] = {
        {"OPTIONS",
         {{"Origin", "https://app.example.com"}, {"Access-Control-Request-Method", "PUT"}},
         CALLER_PREFLIGHT,
         0},
        {"OPTIONS",
         {{"Access-Control-Request-Method", "PUT"},
          {"Access-Control-Request-Private-Network", "true"},
          {"origin", "https://app.example.com"}},
         CALLER_PREFLIGHT,
         0},
        {"OPTIONS", {{"Origin", "https://app.example.com"}}, 401, 0},
        {"OPTIONS",
         {{"Origin", "https://app.example.com"}, {"Access-Control-Request-Headers", "x"}},
         401,
         0},
        {"GET",
         {{"Origin", "https://app.example.com"}, {"Access-Control-Request-Method", "PUT"}},
         401,
         0},
        {"OPTIONS",
         {{"Origin", "https://evil.com"}, {"Access-Control-Request-Method", "PUT"}},
         403,
         403},
        {"OPTIONS",
         {{"Origin", "https://evil.com"}, {"Access-Control-Request-Private-Network", "true"}},
         403,
         403},
        {"OPTIONS",
         {{"Origin", "https://app.example.com"},
          {"Origin", "https://app.example.com"},
          {"Access-Control-Request-Method", "PUT"}},
         403,
         403},
    };
    struct wish wish = {.listen = {"127.0.0.1:8080"},
                        .allow_origins = {"https://app.example.com"},
                        .client_key = "k"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ask ask = {.host = "localhost:8080", .method = rows[i].method};
        memcpy(ask.fields, rows[i].fields, sizeof rows[i].fields);
        expect(&wish, &ask, rows[i].keyed);
    }
    wish.client_key = NULL;
    wish.passes_cors = true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ask ask = {.host = "localhost:8080", .method = rows[i].method};
        memcpy(ask.fields, rows[i].fields, sizeof rows[i].fields);
        expect(&wish, &ask, rows[i].passed);
    }
}

static void test_origin_of_answers(void **state)
{
    (void)state;
    struct fields fields = {.count = 0};
    assert_true(fields_add(&fields, STR("ORIGIN"), STR("https://app.example.com")));
    struct wish wish = {.listen = {"127.0.0.1:8080"}, .allow_origins = {"https://app.example.com"}};
    struct caller_rules *rules = rules_of(&wish);
    assert_true(str_eq(caller_origin(rules, &fields), STR("https://app.example.com")));
    fields.count = 0;
    assert_int_equal(caller_origin(rules, &fields).len, 0);
    caller_rules_free(rules);
    wish.passes_cors = true;
    assert_true(fields_add(&fields, STR("Origin"), STR("https://app.example.com")));
    rules = rules_of(&wish);
    assert_int_equal(caller_origin(rules, &fields).len, 0);
    caller_rules_free(rules);
}

// ---- client key

static void test_key(void **state)
{
    (void)state;
    static const struct {
        const char *fields[3][2];
        bool is_key;
    } rows[] = {
        {{{NULL}}, false},
        {{{"X-Bearerd-Key", "open sesame:1"}}, true},
        {{{"x-bearerd-key", "open sesame:1"}}, true},
        {{{"X-Bearerd-Key", "open sesame:2"}}, false},
        {{{"X-Bearerd-Key", "open sesame:"}}, false},
        {{{"X-Bearerd-Key", "open sesame:11"}}, false},
        {{{"X-Bearerd-Key", "open sesame:1open sesame:1"}}, false},
        {{{"X-Bearerd-Key", "OPEN SESAME:1"}}, false},
        {{{"X-Bearerd-Key", ""}}, false},
        {{{"Proxy-Authorization", "Bearer open sesame:1"}}, true},
        {{{"Proxy-Authorization", "bearer open sesame:1"}}, true},
        {{{"Proxy-Authorization", "Bearer  open sesame:1"}}, true},
        {{{"Proxy-Authorization", "Bearer"}}, false},
        {{{"Proxy-Authorization", "Bearer x"}}, false},
        {{{"Proxy-Authorization", "open sesame:1"}}, false},
        {{{"Proxy-Authorization", "Digest open sesame:1"}}, false},
        {{{"Proxy-Authorization", ""}}, false},
        {{{"Proxy-Authorization", "Basic dTpvcGVuIHNlc2FtZTox"}}, true},     // u:open sesame:1
        {{{"Proxy-Authorization", "BASIC Om9wZW4gc2VzYW1lOjE="}}, true},     // :open sesame:1
        {{{"Proxy-Authorization", "Basic dXU6b3BlbiBzZXNhbWU6MQ=="}}, true}, // uu:open sesame:1
        {{{"Proxy-Authorization", "Basic dXU6b3BlbiBzZXNhbWU6MQ"}}, true},   // without padding
        {{{"Proxy-Authorization", "Basic b3BlbiBzZXNhbWU6MQ=="}}, false},    // open sesame:1
        {{{"Proxy-Authorization", "Basic dTpvcGVuIHNlc2FtZToy"}}, false},    // u:open sesame:2
        {{{"Proxy-Authorization", "Basic dTpvcGVuIHNlc2FtZTox!"}}, false},
        {{{"Proxy-Authorization", "Basic dTpvcGVu IHNlc2FtZTox"}}, false},
        {{{"Proxy-Authorization", "Basic dTpvcGVuIHNlc2FtZTox==="}}, false},
        {{{"Proxy-Authorization", "Basic dTpvcGVuIHNlc2FtZToxA"}}, false},
        {{{"Proxy-Authorization", "Basic ="}}, false},
        {{{"Proxy-Authorization", "Basic d"}}, false},
        {{{"Proxy-Authorization", "Basic"}}, false},
        {{{"Authorization", "Bearer open sesame:1"}}, false}, // that one is meant for the upstream
        {{{"X_Bearerd_Key", "open sesame:1"}}, false},
        {{{"X-Bearerd-Key", "x"}, {"Proxy-Authorization", "Bearer open sesame:1"}}, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ask ask = {.host = "localhost:8080"};
        memcpy(ask.fields, rows[i].fields, sizeof rows[i].fields);
        expect(&keyed, &ask, rows[i].is_key ? 0 : 401);
        ask.is_absolute = true; // HS-16
        expect(&keyed, &ask, rows[i].is_key ? 0 : 407);
    }
    // The key does not open what the other rules close.
    struct ask ask = {.host = "evil.com", .fields = {{"X-Bearerd-Key", "open sesame:1"}}};
    expect(&keyed, &ask, 403);
}

static void test_long_key(void **state)
{
    (void)state;
    char key[2000];
    memset(key, 'k', sizeof key - 1);
    key[1024] = 0;
    struct wish wish = {.listen = {"127.0.0.1:8080"}, .client_key = key};
    struct ask ask = {.host = "localhost:8080", .fields = {{"X-Bearerd-Key", key}}};
    expect(&wish, &ask, 0);
    // "Basic " and a run of 'A's of every length up to beyond what fits in any buffer.
    char *basic = mem_alloc(8000);
    memcpy(basic, "Basic ", 6);
    ask.fields[0][0] = "Proxy-Authorization";
    ask.fields[0][1] = basic;
    struct caller_rules *rules = rules_of(&wish);
    for (size_t len = 0; len < 7000; len++) {
        assert_int_equal(status_of(rules, &ask), 401);
        basic[6 + len] = 'A';
    }
    caller_rules_free(rules);
    mem_free(basic);
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        struct wish wish;
        const char *part;
    } rows[] = {
        {{.accept_hosts = {"a b"}}, "accept_hosts"},
        {{.accept_hosts = {"http://a"}}, "accept_hosts"},
        {{.allow_origins = {"null"}}, "allow_origins"},
        {{.allow_origins = {"*"}}, "allow_origins"},
        {{.allow_origins = {"app.example.com"}}, "allow_origins"},
        {{.allow_origins = {"https://app.example.com/"}}, "allow_origins"},
        {{.allow_origins = {"https://app.example.com/x"}}, "allow_origins"},
        {{.allow_origins = {"https://"}}, "allow_origins"},
        {{.allow_uids = {"root"}}, "allow_uids"},
        {{.allow_uids = {"-1"}}, "allow_uids"},
        {{.allow_uids = {"4294967295"}}, "allow_uids"},
        {{.client_key = "file:/nonexistent/key"}, "/nonexistent/key"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {.text = ""};
        assert_null(rules_try(&rows[i].wish, &err));
        if (!strstr(err.text, rows[i].part))
            fail_msg("`%s` does not name `%s`", err.text, rows[i].part);
    }
}

static void test_methods(void **state)
{
    (void)state;
    assert_int_equal(caller_check_method(STR("CONNECT")).status, 501);
    assert_int_equal(caller_check_method(STR("TRACE")).status, 405);
    assert_int_equal(caller_check_method(STR("GET")).status, 0);
    assert_int_equal(caller_check_method(STR("trace")).status, 0); // another method
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_hosts),
        cmocka_unit_test(test_lookalikes),
        cmocka_unit_test(test_no_host),
        cmocka_unit_test(test_absolute_form_is_left_to_the_router),
        cmocka_unit_test(test_listen_forms),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_own_pages),
        cmocka_unit_test(test_preflights),
        cmocka_unit_test(test_origin_of_answers),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_long_key),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
