// SPDX-License-Identifier: MIT
// What a configuration may say, key by key and rule by rule: each fault gives one message, with its
// line, section and key, and no second one in its wake.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/config_text.h"

// Lines 1-2 [proxy], then [credential main], [upstream api], [route read] as given or working ones.
struct parts {
    const char *proxy, *credential, *upstream, *route;
    const char *more; // whole sections
};

#define TOKEN_URL  "token_url = https://idp.example.com/token\n"
#define CLIENT     "client_id = id\nclient_secret = s\n"
#define CREDENTIAL TOKEN_URL CLIENT
#define UPSTREAM   "url = https://api.example.com/base/\n"
#define ROUTE      "match = GET /a\nscopes = x\n"

static const char *or_else(const char *text, const char *fallback)
{
    return text ? text : fallback;
}

static struct config *load(const struct parts *parts, char **out_said)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    assert_true(buf_printf(&text,
                           "[proxy]\n%s[credential main]\n%s[upstream api]\n%s[route read]\n%s%s",
                           or_else(parts->proxy, ""), or_else(parts->credential, CREDENTIAL),
                           or_else(parts->upstream, UPSTREAM), or_else(parts->route, ROUTE),
                           or_else(parts->more, "")));
    char *ini = buf_take(&text);
    struct config *config = text_load(ini, out_said);
    mem_free(ini);
    return config;
}

struct fault_row {
    struct parts parts;
    const char *want; // the one message; "" for none
};

static void check_rows(const struct fault_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *said, want[1024];
        struct config *config = load(&rows[i].parts, &said);
        snprintf(want, sizeof want, "%s%s", rows[i].want, *rows[i].want ? "\n" : "");
        assert_string_equal(said, want);
        assert_int_equal(config == NULL, *rows[i].want != '\0');
        mem_free(said);
        config_unref(config);
    }
}

static void test_proxy_faults(void **state)
{
    (void)state;
    static const struct fault_row rows[] = {
        {{.proxy = "listen = [::1]:80 127.0.0.1:81\nlisten = localhost:82\nlisten = unix:/x\n"},
         ""},
        {{.proxy = "listen = 127.0.0.1:0\nlisten = 127.0.0.1:0\n"}, ""},
        {{.proxy = "expose = yes\nlisten = 0.0.0.0:80\nlisten = [::]:80\n"}, ""},
        {{.proxy = "listen = 127.0.0.1:80\nlisten = 10.0.0.1:80\n"},
         "3: [proxy] listen: 10.0.0.1:80 can be reached from other machines, and whoever reaches "
         "bearerd acts with its tokens; if that is meant, add expose = yes"},
        {{.proxy = "listen = 0.0.0.0:0\n"},
         "2: [proxy] listen: 0.0.0.0:0 can be reached from other machines, and whoever reaches "
         "bearerd acts with its tokens; if that is meant, add expose = yes"},
        {{.proxy = "listen = [::ffff:10.0.0.1]:80\n"},
         "2: [proxy] listen: [::ffff:10.0.0.1]:80 can be reached from other machines, and whoever "
         "reaches bearerd acts with its tokens; if that is meant, add expose = yes"},
        {{.proxy = "listen = 127.0.0.1:80\nlisten = localhost:80\n"},
         "3: [proxy] listen: 127.0.0.1:80 is named twice, first in line 2"},
        {{.proxy = "listen = 8080\n"},
         "2: [proxy] listen: the address is missing: 127.0.0.1:8080 takes calls from this machine, "
         "0.0.0.0:8080 from everywhere"},
        {{.proxy = "listen = *:8080\n"},
         "2: [proxy] listen: the address is missing: 127.0.0.1:8080 takes calls from this machine, "
         "0.0.0.0:8080 from everywhere"},
        {{.proxy = "listen = 127.0.0.1\n"},
         "2: [proxy] listen: the port is missing, as in 127.0.0.1:8080"},
        {{.proxy = "listen = 127.0.0.1:65536\n"},
         "2: [proxy] listen: the port must be a number from 1 to 65535"},
        {{.proxy = "listen = ::1:80\n"}, "2: [proxy] listen: an IPv6 address is written in [ ]"},
        {{.proxy = "listen = example.com:80\n"},
         "2: [proxy] listen: \"example.com:80\": only localhost and numeric addresses can be "
         "listened on"},
        {{.proxy = "listen = unix:x\n"},
         "2: [proxy] listen: unix: must be followed by an absolute path"},
        {{.proxy = "listen =\n"}, "2: [proxy] listen: the value is empty"},
        {{.proxy = "expose = maybe\n"}, "2: [proxy] expose: \"maybe\" is neither yes nor no"},
        {{.proxy = "workers = 65\n"},
         "2: [proxy] workers: \"65\" is not a number from 1 to 64, or auto"},
        {{.proxy = "header_limit = 3k\n"},
         "2: [proxy] header_limit: \"3k\" is not a size from 4k to 64k"},
        {{.proxy = "header_limit = 16 k\n"},
         "2: [proxy] header_limit: \"16 k\" is not a size from 4k to 64k"},
        {{.proxy = "header_timeout = 10\n"},
         "2: [proxy] header_timeout: \"10\" has no unit; write 10s, or 10ms"},
        {{.proxy = "header_timeout = 1.5s\n"},
         "2: [proxy] header_timeout: \"1.5s\" is not a duration from 100ms to 1h"},
        {{.proxy = "drain_timeout = 99999999999999999999s\n"},
         "2: [proxy] drain_timeout: \"99999999999999999999s\" is not a duration from 0 to 1h"},
        {{.proxy = "drain_timeout = 9999999999999999999s\n"},
         "2: [proxy] drain_timeout: \"9999999999999999999s\" is not a duration from 0 to 1h"},
        {{.proxy = "socket_mode = 0888\n"},
         "2: [proxy] socket_mode: \"0888\" is not an octal number from 0000 to 0777"},
        {{.proxy = "accept_hosts = a, b\n"},
         "2: [proxy] accept_hosts: a host's name holds a comma; separate names by spaces"},
        {{.proxy = "accept_hosts = http://a\n"},
         "2: [proxy] accept_hosts: \"http://a\" is not host or host:port"},
        {{.proxy = "allow_origins = *\n"},
         "2: [proxy] allow_origins: * would let every web page use the tokens; name the origins"},
        {{.proxy = "allow_origins = https://a.example/\n"},
         "2: [proxy] allow_origins: an origin is scheme, host and port only: https://a.example"},
        {{.proxy = "allow_uids =\n"}, "2: [proxy] allow_uids: the value is empty"},
        {{.proxy = "allow_uids = nobody-at-all\n"},
         "2: [proxy] allow_uids: there is no user \"nobody-at-all\""},
        {{.proxy = "client_key = ${BEARERD_NO_KEY:-}\n"}, // must not open the door
         "2: [proxy] client_key: the value is empty"},
        {{.proxy = "workers = 1\nexpose = no\nworkers = 2\n"},
         "4: [proxy] workers: is set twice, first in line 2"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_admin_faults(void **state)
{
    (void)state;
#define ADMIN "[admin]\n"
    static const struct fault_row rows[] = {
        {{.more = ADMIN "listen = unix:/run/a.sock\nlisten = 127.0.0.1:9464\nkey = k\n"
                        "socket_mode = 0600\naccept_hosts = box:9464\n"},
         ""},
        {{.more = ADMIN "expose = yes\nlisten = 0.0.0.0:9464\n"}, ""},
        {{.more = ADMIN "listen = 10.0.0.1:9464\n"},
         "12: [admin] listen: 10.0.0.1:9464 can be reached from other machines, and whoever "
         "reaches "
         "the admin listener sees what bearerd does; if that is meant, add expose = yes"},
        {{.more = ADMIN "listen = 127.0.0.1:8080\n"},
         "12: [admin] listen: 127.0.0.1:8080 is the proxy's own address: the admin listener needs "
         "another"},
        {{.proxy = "listen = unix:/x\n", .more = ADMIN "listen = unix:/x\n"},
         "13: [admin] listen: unix:/x is the proxy's own address: the admin listener needs "
         "another"},
        {{.proxy = "listen = 127.0.0.1:0\n", .more = ADMIN "listen = 127.0.0.1:0\n"}, ""},
        {{.more = ADMIN "key = k\n"}, "12: [admin] key: is not used without listen"},
        {{.more = ADMIN "listen = 9464\n"},
         "12: [admin] listen: the address is missing: 127.0.0.1:9464 takes calls from this "
         "machine, "
         "0.0.0.0:9464 from everywhere"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_credential_faults(void **state)
{
    (void)state;
    static const struct fault_row rows[] = {
        {{.credential = "token_url = http://127.0.0.2:1/t?tenant=1\n" CLIENT}, ""}, // OA-3
        {{.credential = "token_url = http://idp/t\nallow_plaintext = yes\n" CLIENT}, ""},
        {{.credential = TOKEN_URL "client_id = id\nauth_method = none\n"}, ""},
        {{.credential = TOKEN_URL "client_id = id\n"},
         "2: [credential main]: client_secret is missing, as in \"client_secret = "
         "env:CLIENT_SECRET\""},
        {{.credential = CLIENT},
         "2: [credential main]: token_url is missing, as in \"token_url = "
         "https://idp.example.com/oauth2/token\""},
        {{.credential = "tokn_url = https://idp/\n" CLIENT}, // misspelt is not missing
         "3: [credential main] tokn_url: unknown key; did you mean \"token_url\"?"},
        {{.credential = "token_url =\n" CLIENT},
         "3: [credential main] token_url: the value is empty"},
        {{.credential = "token_url = http://idp/t\n" CLIENT},
         "3: [credential main] token_url: http://idp/t is not encrypted: what is sent can be read "
         "on "
         "the way; use https://, or add allow_plaintext = yes"},
        {{.credential = "token_url = https://idp/t#x\n" CLIENT},
         "3: [credential main] token_url: a fragment (#…) has no meaning here"},
        {{.credential = "token_url = https://u:hunter2@idp/t\n" CLIENT},
         "3: [credential main] token_url: a user name or password does not belong into a URL"},
        {{.credential = "token_url = ftp://idp/t\n" CLIENT},
         "3: [credential main] token_url: the scheme must be https or http, not ftp"},
        {{.credential = "token_url = idp/t\n" CLIENT},
         "3: [credential main] token_url: a URL starts with https:// or http://"},
        {{.credential = "token_url = https://idp:0/t\n" CLIENT},
         "3: [credential main] token_url: the port must be a number from 1 to 65535"},
        {{.credential = "token_url = https://127.1/t\n" CLIENT},
         "3: [credential main] token_url: \"127.1\" is no IPv4 address of four decimal numbers"},
        {{.credential = "token_url = https://0x7f000001/t\n" CLIENT},
         "3: [credential main] token_url: \"0x7f000001\" is no IPv4 address of four decimal "
         "numbers"},
        {{.credential = "token_url = https:///t\n" CLIENT},
         "3: [credential main] token_url: the host is missing"},
        {{.credential = "token_url = https://a..b/t\n" CLIENT},
         "3: [credential main] token_url: the host's name has an empty label"},
        {{.credential = "token_url = https://b\xc3\xbc.example/t\n" CLIENT},
         "3: [credential main] token_url: a host's name is not ASCII; write it in its xn-- form"},
        {{.credential = "token_url = https://[::g]/t\n" CLIENT},
         "3: [credential main] token_url: what stands in [ ] is no IPv6 address"},
        {{.credential = "token_url = https://idp/a/../t\n" CLIENT},
         "3: [credential main] token_url: the path holds a \".\" or \"..\" segment"},
        {{.credential = "token_url = https://idp/%zz\n" CLIENT},
         "3: [credential main] token_url: a % must be followed by two hexadecimal digits"},
        // OA-7
        {{.credential = TOKEN_URL "client_id = \xc3\xb6\nclient_secret = s\n"},
         "4: [credential main] client_id: OAuth 2.0 allows printable ASCII only (RFC 6749, "
         "appendix "
         "A)"},
        {{.credential = TOKEN_URL "client_id = id\nclient_secret = hunter\xc3\xb6\n"},
         "5: [credential main] client_secret: the value of (literal) has a character that is not "
         "printable ASCII"},
        {{.credential = TOKEN_URL "client_id = id\nclient_secret = env:BEARERD_UNSET\n"},
         "5: [credential main] client_secret: the environment variable BEARERD_UNSET is not set"},
        {{.credential = CREDENTIAL "auth_method = none\n"},
         "5: [credential main] client_secret: is not used with auth_method = none"},
        {{.credential = CREDENTIAL "auth_method = client_secret_bassic\n"},
         "6: [credential main] auth_method: unknown value \"client_secret_bassic\"; did you mean "
         "\"client_secret_basic\"?"},
        {{.credential = CREDENTIAL "basic_encoding = plain\n"},
         "6: [credential main] basic_encoding: unknown value \"plain\"; it must be form or raw"},
        // OA-8
        {{.credential = CREDENTIAL "scopes = a b\\c\n"},
         "6: [credential main] scopes: a scope is made of printable ASCII without space, \" and \\ "
         "(RFC 6749, 3.3)"},
        // RI-1
        {{.credential = CREDENTIAL "resource = https://a/\nresource = /b\n"},
         "7: [credential main] resource: \"/b\" is no absolute URI (RFC 8707, 2), as "
         "https://api.example.com is"},
        {{.credential = CREDENTIAL "resource = https://a/#f\n"},
         "6: [credential main] resource: a resource must not have a fragment (RFC 8707, 2)"},
        {{.credential = CREDENTIAL "header = Content-Length\n"},
         "6: [credential main] header: Content-Length is a field that bearerd itself sets or "
         "drops"},
        {{.credential = CREDENTIAL "header = a b\n"},
         "6: [credential main] header: \"a b\" is no field name (RFC 9110, 5.6.2)"},
        // T29
        {{.credential = CREDENTIAL "ca_file = /none/ca.pem\n"},
         "6: [credential main] ca_file: cannot open /none/ca.pem: No such file or directory"},
        {{.credential = CREDENTIAL "ca_file = /dev/null\n"},
         "6: [credential main] ca_file: /dev/null is no PEM file: it has no -----BEGIN line"},
        {{.credential = CREDENTIAL "proxy = proxy.example.com:3128\n"},
         "6: [credential main] proxy: a proxy starts with http://, https://, socks4://, "
         "socks4a://, "
         "socks5:// or socks5h://"},
        {{.credential = CREDENTIAL "proxy = http://u:hunter2@proxy\n"},
         "6: [credential main] proxy: the proxy's port is missing, as in http://host:3128"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_upstream_faults(void **state)
{
    (void)state;
    static const struct fault_row rows[] = {
        {{.upstream = "url = http://localhost:1\nhosts = A.example a.example:81\nmount = /a/b/\n"},
         ""},
        {{.upstream = ""},
         "6: [upstream api]: url is missing, as in \"url = https://api.example.com/v2\""},
        {{.upstream = "url = https://a/?b\n"},
         "7: [upstream api] url: the query (?…) has no meaning here: a request brings its own"},
        {{.upstream = "url = https://a//b\n"},
         "7: [upstream api] url: base path \"//b\" is no plain path: its segments must be literal, "
         "and readable in one way"},
        {{.upstream = "url = http://a\n"},
         "7: [upstream api] url: http://a is not encrypted: what is sent can be read on the way; "
         "use "
         "https://, or add allow_plaintext = yes"},
        // HS-3
        {{.upstream = "url = http://127.0.0.1:8080/x\n"},
         "7: [upstream api] url: http://127.0.0.1:8080/x is bearerd itself (listen = "
         "127.0.0.1:8080): requests would go round in a circle"},
        {{.upstream = "url = http://localhost:8080\n"},
         "7: [upstream api] url: http://localhost:8080 is bearerd itself (listen = "
         "127.0.0.1:8080): "
         "requests would go round in a circle"},
        {{.upstream = "url = http://127.0.0.2:8080\n"}, ""},
        {{.proxy = "listen = 0.0.0.0:80\nexpose = yes\n", .upstream = "url = http://127.0.0.2\n"},
         "9: [upstream api] url: http://127.0.0.2 is bearerd itself (listen = 0.0.0.0:80): "
         "requests "
         "would go round in a circle"},
        {{.upstream = UPSTREAM "mount = a\n"},
         "8: [upstream api] mount: \"a\" does not start with \"/\""},
        {{.upstream = UPSTREAM "mount = /a%20\n"},
         "8: [upstream api] mount: \"/a%20\" is no plain path: its segments must be literal, and "
         "readable in one way"},
        {{.upstream = UPSTREAM "unmatched = drop\n"},
         "8: [upstream api] unmatched: unknown value \"drop\"; it must be reject or pass"},
        {{.upstream = UPSTREAM "set_header = X-A: 1\nset_header = x-a: 2\n"},
         "9: [upstream api] set_header: X-A is set twice in this section"},
        {{.upstream = UPSTREAM "set_header = X-A\n"},
         "8: [upstream api] set_header: there is no \":\"; write it as Name: value"},
        {{.upstream = UPSTREAM "set_header = Transfer-Encoding: chunked\n"},
         "8: [upstream api] set_header: Transfer-Encoding is a field that bearerd itself sets or "
         "drops"},
        {{.upstream = UPSTREAM "remove_header = X-A Host\n"},
         "8: [upstream api] remove_header: Host is a field that bearerd itself sets; host_header "
         "of an upstream changes it"},
        // T20
        {{.upstream = UPSTREAM "set_header = X-A: 1\nset_header = authorization: Basic x\n"},
         "9: [upstream api] set_header: authorization is the field that route read sends the token "
         "of credential main in"},
        {{.upstream = UPSTREAM "host = a\n"},
         "8: [upstream api] host: unknown key; did you mean \"hosts\"?"},
        {{.upstream = UPSTREAM "scopes = a\n"},
         "8: [upstream api] scopes: this key belongs into [credential NAME] or [route NAME]"},
        {{.upstream = UPSTREAM "colour = a\n"},
         "8: [upstream api] colour: unknown key; `bearerd help upstream` lists the known ones"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_route_faults(void **state)
{
    (void)state;
    static const char other[] = "[credential other]\n" CREDENTIAL "header = X-Token\n";
    static const char same[] = "[credential other]\n" CREDENTIAL;
    static const char second[] = "[upstream second]\nurl = https://b.example\nunmatched = pass\n";
    static const struct fault_row rows[] = {
        {{.route = "match = /\nmatch = GET HEAD M-SEARCH /a/**\ncredential = none\n"
                   "[route b]\nmatch = /b\n"},
         ""},
        {{.route = ROUTE "credential = main other\n", .more = other}, ""},
        {{.route = ROUTE "upstream = api\n", .more = second}, ""},
        {{.route = "scopes = x\n"},
         "8: [route read]: match is missing, as in \"match = GET HEAD /items/**\""},
        {{.route = "match = get /a\n"},
         "9: [route read] match: methods are case-sensitive and in upper case, unlike \"get\""},
        {{.route = "match = GET, /a\n"},
         "9: [route read] match: \"GET,\" is no method; methods are separated by spaces, and left "
         "out to match any"},
        {{.route = "match = GET items\n"},
         "9: [route read] match: the path pattern is missing behind the methods, as in \"GET HEAD "
         "/items/**\": it starts with \"/\""},
        {{.route = "match = /a /b\n"},
         "9: [route read] match: one pattern a line, and methods before it: \"/a\" is not the last "
         "word"},
        {{.route = "match = /a\nmatch = /**/x\n"},
         "10: [route read] match: ** must be the last segment of the pattern"},
        {{.route = "match = /a.\n"},
         "9: [route read] match: the segment \"a.\" can be read in more than one way; put * in its "
         "place"},
        {{.route = ROUTE "upstream = apo\n"},
         "11: [route read] upstream: there is no [upstream apo]; did you mean \"api\"?"},
        {{.route = ROUTE "upstream = billing\n"},
         "11: [route read] upstream: there is no [upstream billing]; there are: api"},
        {{.route = ROUTE, .more = second},
         "8: [route read]: there are several upstreams: say which is meant by upstream = one of "
         "api, second"},
        {{.route = ROUTE "upstrem = api\n", .more = second},
         "11: [route read] upstrem: unknown key; did you mean \"upstream\"?"},
        {{.route = ROUTE "credential = main mian\n"},
         "11: [route read] credential: there is no [credential mian]; did you mean \"main\"?"},
        {{.route = ROUTE, .more = other},
         "8: [route read]: there are several credentials: say which is meant by credential = one "
         "of "
         "main, other"},
        {{.route = ROUTE "credential = main other\n", .more = same},
         "11: [route read] credential: main and other are both sent in the field Authorization; a "
         "route can send one of them"},
        {{.route = ROUTE "credential = main main\n"},
         "11: [route read] credential: main is named twice"},
        {{.route = "match = /a\ncredential = none\nscopes = x\n[route b]\nmatch = /b\n"},
         "11: [route read] scopes: has no meaning: credential is none, so there is no token"},
        {{.route = "match = /a\ncredential = none main\n[route b]\nmatch = /b\n"},
         "10: [route read] credential: none stands alone: it means \"no token\""},
        {{.route = ROUTE "set_header = Authorization: x\n"},
         "11: [route read] set_header: Authorization is the field that route read sends the token "
         "of "
         "credential main in"},
        {{.route = ROUTE "timeout = 5\n"},
         "11: [route read] timeout: \"5\" has no unit; write 5s, or 5ms"},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_section_faults(void **state)
{
    (void)state;
    static const struct fault_row rows[] = {
        {{.more = "[log]\nlevel = warning\n"},
         "12: [log] level: unknown value \"warning\"; did you mean \"warn\"?"},
        {{.more = "[rout b]\nmatch = /b\n"},
         "11: unknown section [rout b]; did you mean [route b]?"},
        {{.more = "[tls]\nurl = x\n"},
         "11: unknown section [tls]; there are [proxy], [log], [store], [credential NAME], [scopes "
         "NAME], [upstream NAME] and [route NAME]"},
        {{.more = "[route]\nmatch = /b\n"}, "11: [route] needs a name, as in [route main]"},
        {{.more = "[log main]\n"}, "11: [log] takes no name"},
        {{.more = "[route a b]\nmatch = /b\n"}, "11: the name \"a b\" is more than one word"},
        {{.more = "[credential none]\n" CREDENTIAL "[route b]\nmatch = /b\ncredential = main\n",
          .route = ROUTE "credential = main\n"},
         "12: a credential cannot be called none: in a route that means \"no token\""},
    };
    check_rows(rows, ARRAY_LEN(rows));
}

static void test_repeated_section(void **state)
{
    (void)state;
    static const char *const more[] = {"[route read]\nmatch = /z\n", "[proxy]\nworkers = 1\n",
                                       "[credential main]\n" CREDENTIAL,
                                       "[upstream api]\n" UPSTREAM};
    static const unsigned firsts[] = {8, 1, 2, 6};
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        char *said, place[64];
        assert_null(load(&(struct parts){.more = more[i]}, &said));
        snprintf(place, sizeof place, "a.ini:%u; put the settings together\n", firsts[i]);
        assert_int_equal(strncmp(said, "11: [", 5), 0);
        assert_non_null(strstr(said, "] is there twice, first in "));
        assert_string_equal(strstr(said, "a.ini:"), place);
        mem_free(said);
    }
}

static void test_whole_file_faults(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "0: there is no [upstream NAME] section: nowhere to send requests to\n"},
        {"[upstream a]\nurl = https://a\n[route r]\nmatch = /\n[route s]\nmatch = /s\n",
         "3: [route r]: there is no [credential NAME] section to get a token with; add one, or say "
         "credential = none\n"},
        {"[upstrem a]\nurl = https://a\n[route r]\nmatch = /\ncredential = none\n",
         "1: unknown section [upstrem a]; did you mean [upstream a]?\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *said;
        assert_null(text_load(rows[i][0], &said));
        assert_string_equal(said, rows[i][1]);
        mem_free(said);
    }
    struct config_faults faults = {0};
    assert_null(config_load("/none/x.ini", &faults));
    char *said = text_of_faults(&faults);
    assert_string_equal(said, "x.ini:0: cannot open /none/x.ini: No such file or directory\n");
    mem_free(said);
    config_faults_fini(&faults);
}

// The file of the acceptance test: twelve faults of twelve kinds, no message more.
static void test_twelve_faults(void **state)
{
    (void)state;
    static const unsigned lines[] = {4, 5, 6, 9, 11, 15, 16, 18, 21, 25, 26, 30};
    struct config_faults faults = {0};
    unsetenv("BEARERD_UNSET");
    assert_null(config_load(TESTS_DIR "/unit/data/twelve-faults.ini", &faults));
    assert_int_equal(faults.count, ARRAY_LEN(lines));
    for (size_t i = 0; i < faults.count; i++)
        assert_int_equal(faults.items[i].line, lines[i]);
    config_faults_fini(&faults);
}

static void test_warnings(void **state)
{
    (void)state;
    static const struct fault_row rows[] = {
        {{.proxy = "listen = unix:/x\nsocket_mode = 0666\n"},
         "3: [proxy] socket_mode: every user of this machine may call over the socket; allow_uids "
         "names those who shall"},
        {{.proxy = "allow_uids = 0\n"},
         "2: [proxy] allow_uids: has no effect: there is no unix: socket among the listen "
         "addresses"},
        // T34
        {{.credential = TOKEN_URL "client_id = id\nclient_secret = file:/none/s\n"},
         "5: [credential main] client_secret: cannot open /none/s: No such file or directory; it "
         "is "
         "tried again when it is needed"},
        {{.route = "match = /a\nscopes = a, b\n"},
         "10: [route read] scopes: \"a,\" ends with a comma, which is part of the scope; scopes "
         "are "
         "separated by spaces"},
        {{.route = ROUTE "credential = main\n", .more = "[credential other]\n" CREDENTIAL},
         "12: [credential other]: no route uses it"},
        {{.route = ROUTE "upstream = api\n", .more = "[upstream b]\nurl = https://b\n"},
         "12: [upstream b]: no route uses it"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *said, want[1024];
        struct config *config = load(&rows[i].parts, &said);
        snprintf(want, sizeof want, "%s\n", rows[i].want);
        assert_non_null(config);
        assert_string_equal(said, want);
        mem_free(said);
        config_unref(config);
    }
}

// T29: never silently without the certificate that was asked for.
static void test_t29_tls_files(void **state)
{
    (void)state;
    static const struct fault_row rows[] = {
        {{.upstream = UPSTREAM "cert_file = c.pem\nkey_file = k.pem\n"}, ""},
        {{.upstream = UPSTREAM "cert_file = c.pem\n"},
         "8: [upstream api] cert_file: key_file is missing: a certificate is of no use without its "
         "key"},
        {{.upstream = UPSTREAM "key_file = k.pem\n"},
         "8: [upstream api] key_file: cert_file is missing: a key is of no use without its "
         "certificate"},
        {{.credential = CREDENTIAL "cert_file = c.pem\n"},
         "6: [credential main] cert_file: key_file is missing: a certificate is of no use without "
         "its key"},
    };
    text_write("c.pem", "-----BEGIN CERTIFICATE-----\n");
    text_write("k.pem", "-----BEGIN PRIVATE KEY-----\n");
    check_rows(rows, ARRAY_LEN(rows));
    // A warning: TLS files where there is no TLS.
    char *said;
    struct config *config =
        load(&(struct parts){.upstream = "url = http://[::1]:1\ncert_file = c.pem\n"
                                         "key_file = k.pem\n"},
             &said);
    assert_non_null(config);
    assert_non_null(strstr(said,
                           "8: [upstream api] cert_file: has no effect: http://[::1]:1 is not "
                           "https\n"));
    mem_free(said);
    config_unref(config);
    // A fault: a key that all can read (T-9).
    text_write_bytes("k.pem", "-----BEGIN PRIVATE KEY-----\n", 28, 0644);
    config =
        load(&(struct parts){.upstream = UPSTREAM "cert_file = c.pem\nkey_file = k.pem\n"}, &said);
    assert_null(config);
    assert_non_null(strstr(said, "9: [upstream api] key_file: every user of this machine can read "
                                 "the private key; chmod o= "));
    mem_free(said);
    text_remove("c.pem");
    text_remove("k.pem");
}

static void test_literal_in_open_file(void **state)
{
    (void)state;
    static const char ini[] = "[credential main]\n" TOKEN_URL "client_id = id\nclient_secret = %s\n"
                              "[upstream api]\n" UPSTREAM "[route read]\n" ROUTE;
    static const struct {
        const char *value;
        mode_t mode;
        bool is_warned;
    } rows[] = {{"hunter2", 0644, true},
                {"hunter2", 0640, false},
                {"${BEARERD_V}", 0644, false},
                {"env:BEARERD_V", 0644, false}};
    setenv("BEARERD_V", "v", 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_faults faults = {0};
        struct buf out;
        buf_init(&out, 1024);
        const char *mark = strstr(ini, "%s");
        assert_true(buf_printf(&out, "%.*s%s%s", (int)(mark - ini), ini, rows[i].value, mark + 2));
        text_write_bytes("o.ini", out.ptr, out.len, rows[i].mode);
        struct config *config = config_load(text_path("o.ini"), &faults);
        assert_non_null(config);
        assert_int_equal(config->warnings.count, rows[i].is_warned);
        if (rows[i].is_warned)
            assert_null(strstr(config->warnings.items[0].message, "hunter2"));
        config_unref(config);
        buf_fini(&out);
        text_remove("o.ini");
    }
}

static void test_faults_are_bounded(void **state)
{
    (void)state;
    struct config_faults faults = {0};
    for (unsigned i = 0; i < 3000; i++)
        config_faults_add(&faults, (struct config_place){"f", 3000 - i}, "%u", i);
    assert_int_equal(faults.count, 1001);
    config_faults_sort(&faults);
    assert_string_equal(faults.items[0].message, "more faults than these were found");
    assert_int_equal(faults.items[1].line, 2001);
    config_faults_fini(&faults);
    config_faults_fini(&faults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy_faults),       cmocka_unit_test(test_admin_faults),
        cmocka_unit_test(test_credential_faults),  cmocka_unit_test(test_upstream_faults),
        cmocka_unit_test(test_route_faults),       cmocka_unit_test(test_section_faults),
        cmocka_unit_test(test_repeated_section),   cmocka_unit_test(test_whole_file_faults),
        cmocka_unit_test(test_twelve_faults),      cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_t29_tls_files),      cmocka_unit_test(test_literal_in_open_file),
        cmocka_unit_test(test_faults_are_bounded),
    };
    return cmocka_run_group_tests(tests, text_setup, text_teardown);
}
