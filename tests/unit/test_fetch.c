// SPDX-License-Identifier: MIT
// Small requests over real sockets: what goes on the wire, how each kind of bad server ends, and
// that nothing of the environment takes part.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "../support/raw_server.h"
#include "http/fetch.h"
#include "http/multi.h"

struct outcome {
    unsigned calls;
    enum fetch_error error;
    int status;
    char text[256], body[256], content_type[64], retry_after[64];
    uint64_t sent_ms, took_us;
};

static void copy(char *out, size_t size, struct str text)
{
    snprintf(out, size, "%.*s", STR_ARG(text));
}

static void on_done(void *arg, const struct fetch_response *response)
{
    struct outcome *outcome = arg;
    outcome->calls++;
    outcome->error = response->error;
    outcome->status = response->status;
    outcome->sent_ms = response->sent_ms;
    outcome->took_us = response->took_us;
    copy(outcome->text, sizeof outcome->text, str_of(response->error_text));
    copy(outcome->body, sizeof outcome->body, response->body);
    copy(outcome->content_type, sizeof outcome->content_type, response->content_type);
    copy(outcome->retry_after, sizeof outcome->retry_after, response->retry_after);
}

static struct loop *loop;
static struct fetcher *fetcher;

static int set_up(void **state)
{
    struct err err;
    (void)state;
    loop = loop_new(&err);
    fetcher = fetcher_new(loop, &err);
    return fetcher ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    fetcher_free(fetcher);
    loop_free(loop);
    return 0;
}

static void run(const struct fetch_request *request, struct outcome *outcome)
{
    struct err err = {0};
    *outcome = (struct outcome){0};
    if (!fetch_start(fetcher, request, on_done, outcome, &err))
        fail_msg("%s", err.text);
    assert_int_equal(outcome->calls, 0); // never from inside fetch_start
    for (int i = 0; i < 2000 && !outcome->calls; i++)
        loop_turn(loop, 10);
    assert_int_equal(outcome->calls, 1);
    for (int i = 0; i < 3; i++)
        loop_turn(loop, 0);
    assert_int_equal(outcome->calls, 1);
}

static const char *url_of(unsigned port, const char *scheme)
{
    static char url[128];
    snprintf(url, sizeof url, "%s://127.0.0.1:%u/token?tenant=hidden", scheme, port);
    return url;
}

static struct fetch_request request_to(unsigned port)
{
    return (struct fetch_request){.method = "GET",
                                  .url = url_of(port, "http"),
                                  .connect_timeout_ms = 2000,
                                  .timeout_ms = 5000,
                                  .body_max = 1000};
}

// -- the wire ----------------------------------------------------------------------------------

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

static void test_post(void **state) // OA-1 OA-3 OA-18
{
    (void)state;
    struct raw_server server;
    struct outcome outcome;
    raw_start(&server, STR(ANSWER), RAW_HOLD);
    const char *headers[] = {"Content-Type: application/x-www-form-urlencoded",
                             "Accept: application/json", "Authorization: Basic YQ==", NULL};
    struct fetch_request request = request_to(server.port);
    request.method = "POST";
    request.headers = headers;
    request.body = STR("grant_type=client_credentials");
    run(&request, &outcome);
    raw_stop(&server);
    char expected[512];
    snprintf(expected, sizeof expected,
             "POST /token?tenant=hidden HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
             "Content-Type: application/x-www-form-urlencoded\r\nAccept: application/json\r\n"
             "Authorization: Basic YQ==\r\nContent-Length: 29\r\n\r\n"
             "grant_type=client_credentials",
             server.port);
    assert_string_equal(server.request, expected);
    assert_int_equal(outcome.error, FETCH_OK);
    assert_int_equal(outcome.status, 200);
    assert_string_equal(outcome.body, "{}");
    assert_string_equal(outcome.content_type, "application/json");
    assert_string_equal(outcome.text, "");
    assert_true(outcome.took_us > 0 && outcome.sent_ms > 0);
}

static void test_empty_post(void **state)
{
    (void)state;
    struct raw_server server;
    struct outcome outcome;
    raw_start(&server, STR(ANSWER), RAW_CLOSE);
    struct fetch_request request = request_to(server.port);
    request.method = "POST";
    run(&request, &outcome);
    raw_stop(&server);
    assert_non_null(strstr(server.request, "Content-Length: 0\r\n"));
}

static void test_large_post_expects_nothing(void **state)
{
    (void)state;
    struct raw_server server;
    struct outcome outcome;
    static char body[8000];
    memset(body, 'x', sizeof body);
    raw_start(&server, STR(ANSWER), RAW_CLOSE);
    struct fetch_request request = request_to(server.port);
    request.method = "POST";
    request.body = (struct str){body, sizeof body};
    run(&request, &outcome);
    raw_stop(&server);
    assert_null(strcasestr(server.request, "Expect"));
    assert_int_equal(outcome.status, 200);
}

static void test_environment_takes_no_part(void **state) // T27 T-8
{
    (void)state;
    struct raw_server server;
    struct outcome outcome;
    char home[] = "/tmp/test_fetch.XXXXXX", netrc[64];
    assert_non_null(mkdtemp(home));
    snprintf(netrc, sizeof netrc, "%s/.netrc", home);
    FILE *file = fopen(netrc, "w");
    assert_non_null(file);
    fputs("machine 127.0.0.1 login user password pass\n", file);
    fclose(file);
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY",
                                        "all_proxy"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        setenv(names[i], "http://127.0.0.1:1", 1);
    setenv("HOME", home, 1);
    raw_start(&server, STR(ANSWER), RAW_CLOSE);
    struct fetch_request request = request_to(server.port);
    run(&request, &outcome);
    raw_stop(&server);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unsetenv(names[i]);
    unlink(netrc);
    rmdir(home);
    assert_int_equal(outcome.error, FETCH_OK);
    assert_null(strcasestr(server.request, "Authorization"));
    assert_null(strcasestr(server.request, "Cookie"));
    assert_null(strcasestr(server.request, "Accept-Encoding"));
}

static void test_configured_proxy_is_used(void **state)
{
    (void)state;
    struct raw_server proxy;
    struct outcome outcome;
    char proxy_url[64];
    raw_start(&proxy, STR(ANSWER), RAW_CLOSE);
    snprintf(proxy_url, sizeof proxy_url, "http://127.0.0.1:%u", proxy.port);
    setenv("no_proxy", "*", 1);
    struct fetch_request request = request_to(1);
    request.proxy = proxy_url;
    run(&request, &outcome);
    raw_stop(&proxy);
    unsetenv("no_proxy");
    assert_int_equal(outcome.error, FETCH_OK);
    assert_memory_equal(proxy.request, "GET http://127.0.0.1:1/token?", 29);
}

static void test_redirects_are_not_followed(void **state) // T21 OA-17
{
    (void)state;
    struct raw_server server, other;
    struct outcome outcome;
    char answer[200];
    raw_start(&other, STR(ANSWER), RAW_CLOSE);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:%u/\r\n"
             "Content-Length: 0\r\n\r\n",
             other.port);
    raw_start(&server, str_of(answer), RAW_CLOSE);
    struct fetch_request request = request_to(server.port);
    run(&request, &outcome);
    raw_stop(&server);
    raw_stop(&other);
    assert_int_equal(outcome.error, FETCH_OK);
    assert_int_equal(outcome.status, 307);
    assert_int_equal(other.connections, 0);
}

// -- bad servers -------------------------------------------------------------------------------

#define HEAD "HTTP/1.1 200 OK\r\n"

struct bad_row {
    const char *name;
    struct str answer;
    enum raw_end end;
    enum fetch_error error;
    int status;
    const char *text, *body, *retry_after;
};

static const struct bad_row bad_rows[] = {
    {"error status", STR("HTTP/1.1 503 No\r\nRetry-After:  7 \r\nContent-Length: 2\r\n\r\nno"),
     RAW_CLOSE, FETCH_OK, 503, "", "no", "7"},
    {"1xx before",
     STR("HTTP/1.1 103 Early\r\nRetry-After: 9\r\n\r\n" HEAD "Content-Length: 2\r\n\r\nok"),
     RAW_CLOSE, FETCH_OK, 200, "", "ok", ""},
    {"no length", STR(HEAD "\r\nto the end"), RAW_CLOSE, FETCH_OK, 200, "", "to the end", ""},
    {"chunked", STR(HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), RAW_CLOSE,
     FETCH_OK, 200, "", "abc", ""},
    {"compressed is left alone",
     STR(HEAD "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f?!"), RAW_CLOSE, FETCH_OK,
     200, "", "\x1f?!", ""},
    {"cut off", STR(HEAD "Content-Length: 10\r\n\r\nhalf"), RAW_CLOSE, FETCH_BROKEN, 200, "", "",
     ""},
    {"cut off in a chunk", STR(HEAD "Transfer-Encoding: chunked\r\n\r\n9\r\nabc"), RAW_CLOSE,
     FETCH_BROKEN, 200, "", "", ""},
    {"nothing at all", STR(""), RAW_CLOSE, FETCH_BROKEN, 0, "Empty reply", "", ""},
    {"not HTTP", STR("SSH-2.0-OpenSSH\r\n"), RAW_CLOSE, FETCH_BROKEN, 0, "", "", ""},
    {"never answers", STR(""), RAW_HOLD, FETCH_TIMEOUT, 0, "no complete answer within 300 ms", "",
     ""},
    {"T-14 drips", STR(HEAD "\r\n"), RAW_DRIP, FETCH_TIMEOUT, 200,
     "no complete answer within 300 ms", "", ""},
    {"T-14 too large by length", STR(HEAD "Content-Length: 1001\r\n\r\n"), RAW_FLOOD,
     FETCH_TOO_LARGE, 200, "too large", "", ""},
    {"T-14 endless body", STR(HEAD "\r\n0123456789"), RAW_FLOOD, FETCH_TOO_LARGE, 200, "too large",
     "", ""},
    {"T-14 endless 1xx", STR("HTTP/1.1 100 Continue\r\n\r\n"), RAW_FLOOD, FETCH_TOO_LARGE, 100,
     "too large", "", ""},
};

static void test_bad_servers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
        const struct bad_row *row = &bad_rows[i];
        struct raw_server server;
        struct outcome outcome;
        raw_start(&server, row->answer, row->end);
        struct fetch_request request = request_to(server.port);
        request.timeout_ms = row->error == FETCH_TIMEOUT ? 300 : 5000;
        run(&request, &outcome);
        raw_stop(&server);
        if (outcome.error != row->error || outcome.status != row->status)
            fail_msg("%s: error %d, status %d, %s", row->name, (int)outcome.error, outcome.status,
                     outcome.text);
        if (!strstr(outcome.text, row->text) || strstr(outcome.text, "hidden"))
            fail_msg("%s: text %s", row->name, outcome.text);
        if ((outcome.error == FETCH_OK) != (outcome.text[0] == '\0'))
            fail_msg("%s: text %s", row->name, outcome.text);
        if (outcome.error == FETCH_OK && (strcmp(outcome.body, row->body) != 0 ||
                                          strcmp(outcome.retry_after, row->retry_after) != 0))
            fail_msg("%s: body %s, Retry-After %s", row->name, outcome.body, outcome.retry_after);
    }
}

struct field_row {
    const char *name, *head, *nonce, *cache_control, *date;
};

static const struct field_row field_rows[] = {
    {"none", "", "", "", ""},
    {"all", "dpop-nonce:  abc\r\nCache-Control: max-age=60\r\nDate: Sun\r\n", "abc", "max-age=60",
     "Sun"},
    {"DP-7 two nonces", "DPoP-Nonce: a\r\nX: y\r\nDPoP-Nonce: b\r\n", "", "", ""},
    {"DP-7 twice the same", "DPoP-Nonce: a\r\nDPoP-Nonce: a\r\n", "", "", ""},
    {"a longer name", "DPoP-Nonce-Old: a\r\n", "", "", ""},
};

static void on_fields(void *arg, const struct fetch_response *response)
{
    const struct field_row **row = arg;
    if (!str_eq(response->dpop_nonce, str_of((*row)->nonce)) ||
        !str_eq(response->cache_control, str_of((*row)->cache_control)) ||
        !str_eq(response->date, str_of((*row)->date)))
        fail_msg("%s: %.*s, %.*s, %.*s", (*row)->name, STR_ARG(response->dpop_nonce),
                 STR_ARG(response->cache_control), STR_ARG(response->date));
    *row = NULL;
}

static void test_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(field_rows); i++) {
        const struct field_row *row = &field_rows[i];
        struct raw_server server;
        struct err err;
        char answer[256];
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 103 Early\r\nDPoP-Nonce: early\r\nDate: early\r\n\r\n" HEAD
                 "%sContent-Length: 0\r\n\r\n",
                 row->head);
        raw_start(&server, str_of(answer), RAW_CLOSE);
        struct fetch_request request = request_to(server.port);
        assert_non_null(fetch_start(fetcher, &request, on_fields, &row, &err));
        for (int turn = 0; turn < 500 && row; turn++)
            loop_turn(loop, 10);
        assert_null(row);
        raw_stop(&server);
    }
}

static void test_body_limit_is_exact(void **state) // T-14
{
    (void)state;
    for (size_t len = 999; len <= 1001; len++) {
        struct raw_server server;
        struct outcome outcome;
        char answer[1200];
        int head = snprintf(answer, sizeof answer, HEAD "\r\n");
        memset(answer + head, 'x', len);
        raw_start(&server, (struct str){answer, (size_t)head + len}, RAW_CLOSE);
        struct fetch_request request = request_to(server.port);
        run(&request, &outcome);
        raw_stop(&server);
        assert_int_equal(outcome.error, len > 1000 ? FETCH_TOO_LARGE : FETCH_OK);
    }
}

static void test_header_limit(void **state) // T-14
{
    (void)state;
    struct raw_server server;
    struct outcome outcome;
    static char answer[70000];
    size_t len = (size_t)snprintf(answer, sizeof answer, HEAD);
    while (len + 100 < sizeof answer)
        len += (size_t)snprintf(answer + len, sizeof answer - len, "X-Field: 0123456789\r\n");
    len += (size_t)snprintf(answer + len, sizeof answer - len, "Content-Length: 0\r\n\r\n");
    raw_start(&server, (struct str){answer, len}, RAW_CLOSE);
    struct fetch_request request = request_to(server.port);
    run(&request, &outcome);
    raw_stop(&server);
    assert_int_equal(outcome.error, FETCH_TOO_LARGE);
}

static void test_refused(void **state) // T12
{
    (void)state;
    struct outcome outcome;
    char expected[64];
    int fd = raw_bind(); // bound and not listening: nobody else gets the port, nobody answers
    struct fetch_request request = request_to(raw_port_of(fd));
    run(&request, &outcome);
    snprintf(expected, sizeof expected, "connect to 127.0.0.1:%u: Connection refused",
             raw_port_of(fd));
    close(fd);
    assert_int_equal(outcome.error, FETCH_UNREACHABLE);
    assert_string_equal(outcome.text, expected);
    assert_int_equal(outcome.status, 0);
}

static void test_unknown_host(void **state)
{
    (void)state;
    struct outcome outcome;
    struct fetch_request request = request_to(1);
    request.url = "http://no-such-host.invalid/token?tenant=hidden";
    run(&request, &outcome);
    // Without any name server the lookup may run into its time limit.
    assert_true(outcome.error == FETCH_UNREACHABLE || outcome.error == FETCH_TIMEOUT);
    assert_non_null(strstr(outcome.text, "no-such-host.invalid"));
    assert_null(strstr(outcome.text, "hidden"));
}

static void test_tls_with_a_plain_server(void **state)
{
    (void)state;
    struct raw_server server;
    struct outcome outcome;
    raw_start(&server, STR(ANSWER), RAW_CLOSE);
    struct fetch_request request = request_to(server.port);
    request.url = url_of(server.port, "https");
    // The server must not wait for a head that never ends.
    request.timeout_ms = 300;
    server.request[0] = '\0';
    run(&request, &outcome);
    raw_stop(&server);
    assert_int_not_equal(outcome.error, FETCH_OK);
    assert_null(strstr(server.request, "GET"));
}

// -- TLS ---------------------------------------------------------------------------------------

static pid_t spawn(const char *const *argv)
{
    pid_t pid = -1;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    int code = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return code == 0 ? pid : -1;
}

static bool is_listening(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return ok;
}

// A certificate for 127.0.0.1 in dir, signed by itself, and a server that shows it. extra:
// "-verify" asks for a client certificate, "-Verify" insists on one.
static pid_t start_tls_server(const char *dir, unsigned port, const char *extra)
{
    char key[64], cert[64], address[32];
    int status = -1;
    snprintf(key, sizeof key, "%s/key", dir);
    snprintf(cert, sizeof cert, "%s/cert", dir);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    const char *make[] = {"openssl",  "req",     "-x509",   "-newkey",
                          "rsa:2048", "-nodes",  "-keyout", key,
                          "-out",     cert,      "-days",   "2",
                          "-subj",    "/CN=tls", "-addext", "subjectAltName=IP:127.0.0.1",
                          NULL};
    const char *serve[] = {"openssl", "s_server", "-accept", address, "-cert", cert,
                           "-key",    key,        "-www",    extra,   "1",     NULL};
    pid_t pid = spawn(make);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return -1;
    pid = spawn(serve);
    for (int i = 0; pid > 0 && i < 500 && !is_listening(port); i++)
        usleep(10000);
    return pid;
}

static void remove_dir(const char *dir)
{
    static const char *const names[] = {"key", "cert"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void test_tls_is_verified(void **state) // BT-3
{
    (void)state;
    struct outcome outcome;
    char dir[] = "/tmp/test_fetch.XXXXXX", cert[64], url[64];
    assert_non_null(mkdtemp(dir));
    snprintf(cert, sizeof cert, "%s/cert", dir);
    int fd = raw_bind();
    unsigned port = raw_port_of(fd);
    close(fd);
    pid_t pid = start_tls_server(dir, port, "-verify");
    if (pid < 0) {
        remove_dir(dir);
        print_message("no openssl command here\n");
        skip();
    }
    struct fetch_request request = request_to(port);
    request.url = url_of(port, "https");
    request.body_max = 100000;
    run(&request, &outcome);
    enum fetch_error without = outcome.error;
    request.tls.ca_file = cert;
    run(&request, &outcome);
    struct outcome with = outcome;
    snprintf(url, sizeof url, "https://localhost:%u/", port); // not the name in the certificate
    request.url = url;
    run(&request, &outcome);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    remove_dir(dir);
    assert_int_equal(without, FETCH_TLS);
    if (with.error != FETCH_OK || with.status != 200)
        fail_msg("with its CA: %s", with.text);
    assert_int_equal(outcome.error, FETCH_TLS);
    assert_non_null(strstr(outcome.text, "localhost"));
}

static void test_tls_client_certificate_required(void **state)
{
    (void)state;
    struct outcome outcome;
    char dir[] = "/tmp/test_fetch.XXXXXX", cert[64], key[64];
    assert_non_null(mkdtemp(dir));
    snprintf(cert, sizeof cert, "%s/cert", dir);
    snprintf(key, sizeof key, "%s/key", dir);
    int fd = raw_bind();
    unsigned port = raw_port_of(fd);
    close(fd);
    pid_t pid = start_tls_server(dir, port, "-Verify");
    if (pid < 0) {
        remove_dir(dir);
        skip();
    }
    struct fetch_request request = request_to(port);
    request.url = url_of(port, "https");
    request.body_max = 100000;
    request.tls.ca_file = cert;
    run(&request, &outcome);
    struct outcome without = outcome;
    request.tls.cert_file = cert; // the server asks for any, and does not look at who signed it
    request.tls.key_file = key;
    run(&request, &outcome);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    remove_dir(dir);
    if (without.error != FETCH_TLS || !strstr(without.text, "certificate required"))
        fail_msg("without: error %d, %s", (int)without.error, without.text);
    if (outcome.error != FETCH_OK || outcome.status != 200)
        fail_msg("with: %s", outcome.text);
}

// -- unusable requests -------------------------------------------------------------------------

struct unusable_row {
    const char *name, *method, *url, *header, *ca_file, *cert_file, *text;
};

static const struct unusable_row unusable_rows[] = {
    {"method", "PUT", "http://127.0.0.1/", NULL, NULL, NULL, "method PUT"},
    {"no URL", "GET", "", NULL, NULL, NULL, "URL"},
    {"scheme", "GET", "file:///etc/passwd", NULL, NULL, NULL, "URL"},
    {"scheme with an authority", "GET", "ftp://127.0.0.1/", NULL, NULL, NULL, "URL"},
    {"user in the URL", "GET", "http://user:pa55@127.0.0.1/", NULL, NULL, NULL, "URL"},
    {"HM-19 CR LF in a header", "GET", "http://127.0.0.1/", "A: b\r\nC: d", NULL, NULL, "header"},
    {"header without a colon", "GET", "http://127.0.0.1/", "A", NULL, NULL, "header"},
    {"T29 no CA file", "GET", "https://127.0.0.1/", NULL, "/nonexistent/ca", NULL, "ca_file"},
    {"T29 no client certificate", "GET", "https://127.0.0.1/", NULL, NULL, "/nonexistent/crt",
     "cert_file"},
};

static void test_unusable_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(unusable_rows); i++) {
        const struct unusable_row *row = &unusable_rows[i];
        const char *headers[] = {row->header, NULL};
        struct fetch_request request = {
            .method = row->method,
            .url = row->url,
            .headers = headers,
            .tls = {.ca_file = row->ca_file, .cert_file = row->cert_file},
            .connect_timeout_ms = 1000,
            .timeout_ms = 1000,
            .body_max = 100};
        struct err err = {0};
        struct outcome outcome = {0};
        if (fetch_start(fetcher, &request, on_done, &outcome, &err))
            fail_msg("%s: started", row->name);
        if (!strstr(err.text, row->text) || strstr(err.text, "pa55"))
            fail_msg("%s: %s", row->name, err.text);
        loop_turn(loop, 0);
        assert_int_equal(outcome.calls, 0);
    }
}

static void test_cancel(void **state)
{
    (void)state;
    struct raw_server server;
    struct outcome outcome = {0};
    struct err err;
    raw_start(&server, STR(""), RAW_HOLD);
    for (int turns = 0; turns < 4; turns++) { // at once, and at several stages
        struct fetch_request request = request_to(server.port);
        struct fetch *fetch = fetch_start(fetcher, &request, on_done, &outcome, &err);
        assert_non_null(fetch);
        for (int i = 0; i < turns; i++)
            loop_turn(loop, 10);
        fetch_cancel(fetch);
        for (int i = 0; i < 3; i++)
            loop_turn(loop, 1);
    }
    fetch_cancel(NULL);
    raw_stop(&server);
    assert_int_equal(outcome.calls, 0);
}

static void test_many_at_once(void **state)
{
    (void)state;
    struct raw_server server;
    static struct outcome outcomes[8];
    struct err err;
    raw_start(&server, STR(ANSWER), RAW_CLOSE);
    struct fetch_request request = request_to(server.port);
    for (size_t i = 0; i < 8; i++) {
        outcomes[i] = (struct outcome){0};
        assert_non_null(fetch_start(fetcher, &request, on_done, &outcomes[i], &err));
    }
    for (size_t i = 0; i < 8; i++)
        for (int n = 0; n < 500 && !outcomes[i].calls; n++)
            loop_turn(loop, 10);
    raw_stop(&server);
    for (size_t i = 0; i < 8; i++)
        assert_string_equal(outcomes[i].body, "{}");
    assert_int_equal(server.connections, 8); // no connection is used twice
}

int main(void)
{
    struct err err;
    if (!multi_global_init(&err))
        return 1;
#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_LOOP(test_post),
        WITH_LOOP(test_empty_post),
        WITH_LOOP(test_large_post_expects_nothing),
        WITH_LOOP(test_environment_takes_no_part),
        WITH_LOOP(test_configured_proxy_is_used),
        WITH_LOOP(test_redirects_are_not_followed),
        WITH_LOOP(test_bad_servers),
        WITH_LOOP(test_fields),
        WITH_LOOP(test_body_limit_is_exact),
        WITH_LOOP(test_header_limit),
        WITH_LOOP(test_refused),
        WITH_LOOP(test_unknown_host),
        WITH_LOOP(test_tls_with_a_plain_server),
        WITH_LOOP(test_tls_is_verified),
        WITH_LOOP(test_tls_client_certificate_required),
        WITH_LOOP(test_unusable_requests),
        WITH_LOOP(test_cancel),
        WITH_LOOP(test_many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
