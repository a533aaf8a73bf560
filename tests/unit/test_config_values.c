// SPDX-License-Identifier: MIT
// What comes out of a sound configuration: values of every type, defaults, relative paths, and
// which routes share a token.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/config_text.h"
#include "base/file.h"
#include "base/log.h"
#include "config/draft.h"
#include "config/settings.h"
#include "config/url.h"
#include "config/value.h"
#include "config/value_number.h"

#define MAIN                                                                                       \
    "[credential main]\ntoken_url = https://idp.example.com/token\nclient_id = id\n"               \
    "client_secret = s\n"
#define API  "[upstream api]\nurl = https://api.example.com\n"
#define READ "[route read]\nmatch = /\n"

static struct config *load_ok(const char *text)
{
    char *said;
    struct config *config = text_load(text, &said);
    assert_string_equal(said, "");
    mem_free(said);
    return config;
}

static void check_strings(const struct config_strings *strings, const char *want)
{
    char got[1024] = "";
    size_t len = 0;
    for (size_t i = 0; i < strings->count; i++)
        len +=
            (size_t)snprintf(got + len, sizeof got - len, "%s%s", i ? " " : "", strings->items[i]);
    assert_string_equal(got, want);
}

static void check_secret(const struct secret *secret, const char *want)
{
    struct buf value;
    struct err err;
    buf_init(&value, SECRET_MAX);
    assert_true(secret_read(secret, &value, &err));
    assert_true(str_eq(buf_str(&value), str_of(want)));
    buf_fini(&value);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *config = load_ok(MAIN API READ);
    check_strings(&config->listen, "127.0.0.1:8080");
    assert_false(config->expose);
    assert_in_range(config->workers, 1, 4);
    assert_int_equal(config->header_limit, 16384);
    assert_int_equal(config->body_limit, 0);
    assert_int_equal(config->max_connections, 4096);
    assert_int_equal(config->max_connections_per_client, 0);
    assert_int_equal(config->max_requests, 0);
    assert_int_equal(config->body_min_rate, 240);
    assert_int_equal(config->token_timeout_ms, 10000);
    assert_int_equal(config->keepalive_timeout_ms, 75000);
    assert_int_equal(config->request_timeout_ms, 0);
    assert_int_equal(config->listen_mode, 0660);
    assert_null(config->client_key);
    assert_int_equal(config->log_level, LOG_INFO);
    assert_int_equal(config->log_access, ACCESS_NO);
    assert_int_equal(config->log_access_sample, 1);
    assert_int_equal(config->log_format, 0);
    const struct config_credential *credential = config->credentials[0];
    assert_string_equal(credential->name, "main");
    assert_int_equal(credential->place.line, 1);
    assert_int_equal(credential->auth_method, AUTH_CLIENT_SECRET_BASIC);
    assert_int_equal(credential->basic_encoding, BASIC_FORM);
    assert_string_equal(credential->header, "Authorization");
    assert_string_equal(credential->prefix, "Bearer");
    assert_int_equal(credential->clock_skew_ms, 10000);
    assert_int_equal(credential->refresh_before_ms, 60000);
    assert_int_equal(credential->default_ttl_ms, 60000);
    assert_null(credential->audience);
    assert_null(credential->proxy);
    assert_null(credential->tls.ca_file);
    const struct config_upstream *upstream = config->upstreams[0];
    assert_string_equal(upstream->mount, "/");
    assert_string_equal(upstream->url.path, "/");
    check_strings(&upstream->hosts, "api.example.com");
    assert_int_equal(upstream->unmatched, UNMATCHED_REJECT);
    assert_int_equal(upstream->max_connections, 512);
    assert_int_equal(upstream->keepalive, 64);
    const struct config_route *route = config->routes[0];
    assert_ptr_equal(route->upstream, upstream);
    assert_int_equal(route->slot_count, 1);
    assert_int_equal(route->client_authorization, CLIENT_AUTH_REPLACE);
    assert_int_equal(route->timeout_ms, 0);
    config_unref(config);
}

#define HASH "YhKJKSzoTt2b5FP18fvpHo7fJYqQCjAa3HWY3tvRMwE="

static void test_ways_to_an_upstream(void **state)
{
    (void)state;
    struct config *config =
        load_ok(MAIN "[upstream a]\nurl = http://10.0.0.1:81\nsocket = unix:/run/api.sock\n"
                     "host_header = API.example:82\nmount = /a\n"
                     "[upstream b]\nurl = https://10.0.0.1\ntls_min = 1.3\nmount = /b\n"
                     "tls_ciphersuites = TLS_AES_256_GCM_SHA384\ntls_name = API.example.\n"
                     "tls_pin = " HASH "  sha256//" HASH "\nkeepalive_timeout = 5s\n"
                     "max_queue = 0\nqueue_timeout = 1s\n"
                     "[route r]\nmatch = /\nupstream = a\n[route s]\nmatch = /\nupstream = b\n");
    const struct config_upstream *a = config->upstreams[0], *b = config->upstreams[1];
    assert_string_equal(a->socket, "/run/api.sock");
    assert_string_equal(a->host_header, "API.example:82");
    check_strings(&a->hosts, "10.0.0.1:81 api.example:82");
    assert_int_equal(a->tls.min, TLS_MIN_1_2);
    assert_null(a->tls_name);
    assert_int_equal(a->keepalive_timeout_ms, 55000);
    assert_int_equal(a->max_queue, 1024);
    assert_int_equal(a->queue_timeout_ms, 5000);
    assert_int_equal(b->tls.min, TLS_MIN_1_3);
    assert_string_equal(b->tls_name, "api.example");
    assert_string_equal(b->tls.pin, "sha256//" HASH ";sha256//" HASH);
    assert_string_equal(b->tls.ciphersuites, "TLS_AES_256_GCM_SHA384");
    assert_null(b->tls.ciphers);
    check_strings(&b->hosts, "10.0.0.1");
    assert_int_equal(b->keepalive_timeout_ms, 5000);
    assert_int_equal(b->max_queue, 0);
    config_unref(config);
}

static const char all_of_it[] =
    "[proxy]\nlisten = LOCALHOST:1 [0:0::1]:2\nlisten = unix:/run/x.sock\nexpose = on\n"
    "workers = 3\nheader_limit = 65536\nbody_limit = 2G\nmax_connections = 7\n"
    "accept_hosts = Box Box.example:81 [::2]:443\nallow_origins = HTTPS://App.example:443 "
    "http://x:1\n"
    "allow_uids = root 12\nclient_key = ${BEARERD_KEY}\ntoken_timeout = 500ms\nheader_timeout = "
    "1m\n"
    "body_timeout = 1h\nkeepalive_timeout = 1d\nrequest_timeout = 0\ndrain_timeout = 0\n"
    "socket_mode = 600\n[log]\nlevel = error\naccess = errors\nformat = json\n"
    "access_sample = 7\n"
    "[credential main]\ntoken_url = HTTPS://[0::1]:8443/t?tenant=a%20b\nclient_id = a b:c\n"
    "client_secret = \" p ;q \"\nauth_method = client_secret_basic\nbasic_encoding = raw\n"
    "scopes = z a\naudience = https://aud/ x\nresource = urn:a https://b/\nresource = https://a/\n"
    "clock_skew = 0\nrefresh_before = 0\ndefault_ttl = 2m\nheader = X-Token\nprefix =\n"
    "proxy = http://u:p@proxy:3128/\nconnect_timeout = 1s\ntimeout = 2s\nca_file =\n"
    "[upstream api]\nurl = http://Api.Example.:8080/v2/\nhosts = A.example:443 b.example:8080 "
    "C:80\n"
    "mount = /m/\nunmatched = pass\nallow_plaintext = yes\nset_header = X-A:  v  w \n"
    "set_header = X-Empty:\nremove_header = Cookie X-B\n"
    "[route read]\nmatch = GET HEAD /a/*\nmatch = /b/**\nupstream = api\ncredential = main\n"
    "client_authorization = keep\ntimeout = 3s\n";

static void check_parts(const struct config *config)
{
    const struct config_credential *credential = config->credentials[0];
    assert_true(credential->token_url.is_https);
    assert_string_equal(credential->token_url.host, "::1");
    assert_string_equal(credential->token_url.authority, "[::1]:8443");
    assert_int_equal(credential->token_url.port, 8443);
    assert_string_equal(credential->token_url.path, "/t");
    assert_string_equal(credential->token_url.query, "tenant=a%20b");
    assert_string_equal(credential->client_id, "a b:c");
    check_secret(credential->client_secret, " p ;q ");
    assert_int_equal(credential->auth_method, AUTH_CLIENT_SECRET_BASIC);
    assert_int_equal(credential->basic_encoding, BASIC_RAW);
    assert_string_equal(credential->audience, "https://aud/ x");
    check_strings(&credential->resource, "urn:a https://b/ https://a/");
    assert_int_equal(credential->default_ttl_ms, 120000);
    assert_string_equal(credential->header, "X-Token");
    assert_string_equal(credential->prefix, "");
    assert_string_equal(credential->proxy, "http://u:p@proxy:3128/");
    assert_null(credential->tls.ca_file);
    const struct config_upstream *upstream = config->upstreams[0];
    assert_false(upstream->url.is_https);
    assert_string_equal(upstream->url.authority, "api.example:8080");
    assert_string_equal(upstream->url.path, "/v2");
    assert_null(upstream->url.query);
    check_strings(&upstream->hosts, "a.example b.example:8080 c");
    assert_string_equal(upstream->mount, "/m");
    assert_int_equal(upstream->unmatched, UNMATCHED_PASS);
    assert_int_equal(upstream->set_header.count, 2);
    assert_string_equal(upstream->set_header.items[0].name, "X-A");
    assert_string_equal(upstream->set_header.items[0].value, "v  w");
    assert_string_equal(upstream->set_header.items[1].value, "");
    check_strings(&upstream->remove_header, "Cookie X-B");
    const struct config_route *route = config->routes[0];
    assert_int_equal(route->match_count, 2);
    assert_string_equal(route->matches[1].text, "/b/**");
    assert_int_equal(route->matches[1].place.line, route->matches[0].place.line + 1);
    assert_int_equal(route->client_authorization, CLIENT_AUTH_KEEP);
    assert_int_equal(route->timeout_ms, 3000);
    assert_string_equal(route->slots[0]->scope, "a z");
    check_strings(&route->slots[0]->resource, "https://a/ https://b/ urn:a");
}

static void test_every_type(void **state)
{
    (void)state;
    setenv("BEARERD_KEY", "key", 1);
    struct config *config = load_ok(all_of_it);
    check_strings(&config->listen, "127.0.0.1:1 [::1]:2 unix:/run/x.sock");
    assert_true(config->expose);
    assert_int_equal(config->workers, 3);
    assert_int_equal(config->header_limit, 65536);
    assert_int_equal(config->body_limit, 2ull << 30);
    assert_int_equal(config->max_connections, 7);
    check_strings(&config->accept_hosts, "box box.example:81 [::2]");
    check_strings(&config->allow_origins, "https://app.example http://x:1");
    check_strings(&config->allow_uids, "0 12");
    check_secret(config->client_key, "key");
    assert_int_equal(config->token_timeout_ms, 500);
    assert_int_equal(config->header_timeout_ms, 60000);
    assert_int_equal(config->body_timeout_ms, 3600000);
    assert_int_equal(config->keepalive_timeout_ms, 86400000);
    assert_int_equal(config->request_timeout_ms, 0);
    assert_int_equal(config->drain_timeout_ms, 0);
    assert_int_equal(config->listen_mode, 0600);
    assert_int_equal(config->log_level, LOG_ERROR);
    assert_int_equal(config->log_access, ACCESS_ERRORS);
    assert_int_equal(config->log_access_sample, 7);
    assert_int_equal(config->log_format, 1);
    check_parts(config);
    config_unref(config);
}

static void test_relative_paths(void **state)
{
    (void)state;
    char folder[256];
    snprintf(folder, sizeof folder, "%s", text_path("d"));
    assert_int_equal(mkdir(folder, 0700), 0);
    text_write("d/secret", "from d\n");
    text_write("d/ca.pem", "-----BEGIN CERTIFICATE-----\n");
    text_write("d/c.ini", "[credential main]\ntoken_url = https://idp/\nclient_id = id\n"
                          "client_secret = file:secret\nca_file = ca.pem\n");
    struct config *config = load_ok("include = d/*.ini\n" API READ);
    check_secret(config->credentials[0]->client_secret, "from d");
    assert_string_equal(config->credentials[0]->tls.ca_file, text_path("d/ca.pem"));
    assert_string_equal(config->credentials[0]->place.file, text_path("d/c.ini"));
    assert_int_equal(config->files.count, 2);
    config_unref(config);
    text_remove("d/secret");
    text_remove("d/ca.pem");
    text_remove("d/c.ini");
    assert_int_equal(rmdir(folder), 0);
}

// Two routes of the credentials `main` and `mai`: do they share a token, and what do they ask for?
static void test_t02_slots(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t slots;
        const char *scope; // of the first
    } rows[] = {
        {"scopes = a b\n", "scopes = b a\n", 1, "a b"},     // OA-8: order is irrelevant
        {"scopes = a b\n", "scopes = b a b a\n", 1, "a b"}, // a set
        {"scopes = a b\n", "scopes = A b\n", 2, "a b"},     // OA-8: case is not
        {"scopes = a b\n", "scopes = a\n", 2, "a b"},
        {"scopes = ab c\n", "scopes = a bc\n", 2, "ab c"}, // T02
        {"", "", 1, ""},                                   // T19: no scope, no parameter
        {"", "scopes =\n", 1, ""},
        {"scopes = a\naudience = b\n", "scopes = a\naudience = c\n", 2, "a"},
        {"scopes = a\naudience = b\n", "scopes = a b\n", 2, "a"},
        {"scopes = a\n", "audience = a\n", 2, "a"}, // T02: which field it is in counts
        {"audience = a\n", "resource = a:b\n", 2, ""},
        {"resource = a:b c:d\n", "resource = c:d\nresource = a:b\n", 1, ""}, // RI-2
        {"resource = a:b\n", "resource = a:b c:d\n", 2, ""},
        {"credential = mai\nscopes = n\n", "credential = main\n", 2, "n"},             // T02
        {"credential = main\nscopes = x\n", "credential = mai\nscopes = x\n", 2, "x"}, // T01
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[2048];
        bool has_credential = strstr(rows[i].a, "credential") != NULL;
        snprintf(text, sizeof text, "%s%s" API READ "%s[route b]\nmatch = /b\n%s", MAIN,
                 has_credential ? "[credential mai]\ntoken_url = https://idp.example.com/token\n"
                                  "client_id = id\nclient_secret = s\n"
                                : "",
                 rows[i].a, rows[i].b);
        struct config *config = load_ok(text);
        assert_int_equal(config->slot_count, rows[i].slots);
        assert_string_equal(config->routes[0]->slots[0]->scope, rows[i].scope);
        assert_int_equal(config->routes[0]->slots[0] == config->routes[1]->slots[0],
                         rows[i].slots == 1);
        for (size_t j = 0; j < config->slot_count; j++)
            assert_int_equal(config->slots[j]->index, j);
        config_unref(config);
    }
}

static void test_slots_inherit(void **state)
{
    (void)state;
    struct config *config =
        load_ok(MAIN "scopes = base x\naudience = ca\nresource = c:c\n" API READ
                     "scopes = x y\n[route b]\nmatch = /b\naudience = ra\nresource = r:r\n"
                     "[route c]\nmatch = /c\ncredential = none\n");
    assert_int_equal(config->slot_count, 2);
    assert_string_equal(config->slots[0]->scope, "base x y");
    assert_string_equal(config->slots[0]->audience, "ca");
    check_strings(&config->slots[0]->resource, "c:c");
    assert_string_equal(config->slots[1]->scope, "base x");
    assert_string_equal(config->slots[1]->audience, "ra");
    check_strings(&config->slots[1]->resource, "r:r");
    assert_int_equal(config->routes[2]->slot_count, 0);
    assert_string_equal(config->routes[2]->credential_names.items[0], "none");
    config_unref(config);
}

// 10,000 routes load in no time, and share what they can.
static void test_many_routes(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 4 << 20);
    assert_true(buf_append(&text, str_of(MAIN API)));
    for (unsigned i = 0; i < 10000; i++)
        assert_true(
            buf_printf(&text, "[route r%u]\nmatch = GET /r/%u\nscopes = s%u\n", i, i, i % 100));
    char *ini = buf_take(&text);
    struct config *config = load_ok(ini);
    assert_int_equal(config->route_count, 10000);
    assert_int_equal(config->slot_count, 100);
    assert_string_equal(config->routes[9999]->name, "r9999");
    assert_int_equal(config->routes[9999]->index, 9999);
    config_unref(config);
    mem_free(ini);
}

static void test_refs(void **state)
{
    (void)state;
    struct config *config = load_ok(MAIN API READ);
    assert_ptr_equal(config_ref(config), config);
    config_unref(config);
    assert_string_equal(config->routes[0]->name, "read"); // still there
    config_unref(config);
    config_unref(NULL);
}

// config_inspect gives back what is sound, and no route into the void.
static void test_inspect(void **state)
{
    (void)state;
    struct config_faults faults = {0};
    text_write("a.ini",
               MAIN "[upstream bad]\nurl = x\n" API "[route a]\nmatch = /\nupstream = bad\n"
                    "[route b]\nmatch = /\nupstream = api\n[route c]\nupstream = api\n"
                    "[route d]\nmatch = /d\nupstream = none\n[route e]\nmatch = /e\n"
                    "upstream = api\nfoo = 1\n");
    struct config *config = config_inspect(text_path("a.ini"), &faults);
    text_remove("a.ini");
    assert_int_equal(faults.count, 4);
    assert_int_equal(config->upstream_count, 1);
    assert_int_equal(config->upstreams[0]->index, 0);
    assert_int_equal(config->route_count, 2);
    assert_string_equal(config->routes[0]->name, "b");
    assert_string_equal(config->routes[1]->name, "e");
    assert_int_equal(config->routes[1]->index, 1);
    config_unref(config);
    config_faults_fini(&faults);
}

static void test_number_text(void **state)
{
    (void)state;
    static const struct {
        enum setting_type type;
        uint64_t value;
        const char *want;
    } rows[] = {
        {SETTING_DURATION, 0, "0"},         {SETTING_DURATION, 1, "1ms"},
        {SETTING_DURATION, 1500, "1500ms"}, {SETTING_DURATION, 90000, "90s"},
        {SETTING_DURATION, 86400000, "1d"}, {SETTING_SIZE, 1023, "1023"},
        {SETTING_SIZE, 4096, "4k"},         {SETTING_SIZE, 3ull << 40, "3t"},
        {SETTING_NUMBER, 12, "12"},         {SETTING_MODE, 0640, "0640"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[32];
        value_number_text(rows[i].type, rows[i].value, text);
        assert_string_equal(text, rows[i].want);
    }
}

static void test_loopback(void **state)
{
    (void)state;
    static const char *const yes[] = {"localhost", "127.0.0.1", "127.255.0.9", "::1",
                                      "::ffff:127.0.0.1"};
    static const char *const no[] = {"localhost.example", "128.0.0.1",   "0.0.0.0",    "::", "::2",
                                     "::ffff:10.0.0.1",   "127.example", "::127.0.0.1"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(host_is_loopback(yes[i]));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(host_is_loopback(no[i]));
}

// Every row of the table: its words are there, and its default and example are values it takes.
static void test_table(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < SECTION_KINDS; kind++) {
        size_t count;
        const struct setting *rows = settings_of((enum section_kind)kind, &count);
        assert_in_range(count, kind == SECTION_SCOPES ? 0 : 1, 64); // bits of draft_section.guessed
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(rows[i].section, kind);
            assert_int_equal(setting_index(&rows[i]), i);
            assert_ptr_equal(setting_find((enum section_kind)kind, str_of(rows[i].key)), &rows[i]);
            assert_true(str_ends(str_of(rows[i].help), STR(".")));
            assert_non_null(rows[i].example);
            assert_true(rows[i].item ||
                        (rows[i].type != SETTING_TEXT && rows[i].type != SETTING_LIST &&
                         rows[i].type != SETTING_MATCHES));
        }
    }
}

static void test_examples(void **state)
{
    (void)state;
    setenv("CLIENT_SECRET", "s", 1);
    setenv("API_USER", "u", 1);
    setenv("API_PASSWORD", "p", 1);
    for (unsigned kind = 0; kind < SECTION_KINDS; kind++) {
        size_t count;
        const struct setting *rows = settings_of((enum section_kind)kind, &count);
        for (size_t i = 0; i < count; i++) {
            struct err err = {0};
            void *object = draft_object_new((enum section_kind)kind);
            if (rows[i].type != SETTING_FILE &&
                !value_set(&rows[i], object, (struct config_place){"x.ini", 1},
                           str_of(rows[i].example), &err))
                fail_msg("%s = %s: %s", rows[i].key, rows[i].example, err.text);
            draft_object_free((enum section_kind)kind, object);
        }
    }
}

static bool is_for_basic(struct str line)
{
    // beside token_url; with sqlite:; beside proxy
    static const char *const out[] = {"issuer", "prefix", "socket"};
    size_t end;
    if (!str_find(line, ' ', &end))
        return false;
    struct str key = {line.ptr + 1, end - 1};
    for (size_t i = 0; i < ARRAY_LEN(out); i++)
        if (str_eq(key, str_of(out[i])))
            return false;
    const struct setting *setting = setting_find(SECTION_CREDENTIAL, key);
    return !setting || ((!setting->sources || setting->sources & FOR_OAUTH) &&
                        (!setting->methods || setting->methods & 1));
}

// The reference with every line put into force that goes with its credential is a working file, but
// for the TLS files it names.
static void test_reference(void **state)
{
    (void)state;
    struct buf reference, text;
    struct err err;
    setenv("CLIENT_SECRET", "s", 1);
    buf_init(&reference, 1 << 20);
    buf_init(&text, 1 << 20);
    assert_true(file_read(TESTS_DIR "/../conf/reference.ini", &reference, &err));
    struct str rest = buf_str(&reference), line;
    unsigned opened = 0;
    while (str_split(&rest, '\n', &line)) {
        bool is_setting =
            line.len > 1 && line.ptr[0] == '#' && line.ptr[1] >= 'a' && is_for_basic(line);
        bool is_file = is_setting && memmem(line.ptr, line.len, "_file = ", 8);
        opened += is_setting && !is_file;
        struct str shown = is_setting && !is_file ? str_from(line, 1) : line;
        assert_true(buf_append(&text, shown) && buf_append_char(&text, '\n'));
    }
    assert_in_range(opened, 45, 200);
    char *ini = buf_take(&text), *said;
    struct config *config = text_load(ini, &said);
    if (!config) // its warnings, of a missing secret file, are no matter
        assert_string_equal(said, "");
    config_unref(config);
    buf_fini(&reference);
    mem_free(said);
    mem_free(ini);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_ways_to_an_upstream),
        cmocka_unit_test(test_every_type),  cmocka_unit_test(test_relative_paths),
        cmocka_unit_test(test_t02_slots),   cmocka_unit_test(test_slots_inherit),
        cmocka_unit_test(test_many_routes), cmocka_unit_test(test_refs),
        cmocka_unit_test(test_inspect),     cmocka_unit_test(test_number_text),
        cmocka_unit_test(test_loopback),    cmocka_unit_test(test_table),
        cmocka_unit_test(test_examples),    cmocka_unit_test(test_reference),
    };
    return cmocka_run_group_tests(tests, text_setup, text_teardown);
}
