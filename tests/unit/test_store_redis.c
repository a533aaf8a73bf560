// SPDX-License-Identifier: MIT
// The Redis store alone, on a real redis-server: what it says to it, what happens when it goes away
// and comes back, TLS, and a server that means harm.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>

#include "../support/store_bench.h"
#include "token/store_backend.h"
#include "token/store_seal.h"

// -- away --------------------------------------------------------------------------------------

static void assert_quick_fetch(struct bench *bench, const char *key)
{
    uint64_t start_ms = bench_now_ms();
    assert_fetch(bench_acquire(bench, key, 0, 20000));
    assert_true(bench_now_ms() - start_ms < 2000);
}

static void test_redis_killed_and_restarted(void **state)
{
    struct bench bench, other;
    open_on(&bench, state);
    bench_put(&bench, BENCH_KEY_A, "token-1", 100);
    assert_token(bench_acquire(&bench, BENCH_KEY_A, 0, 1000), "token-1");
    bench_redis_stop(&redis);
    assert_quick_fetch(&bench, BENCH_KEY_A); // finds out
    assert_true(store_stats(bench.store).is_away);
    for (int i = 0; i < 50; i++)
        assert_quick_fetch(&bench, BENCH_KEY_A);
    bench_put(&bench, BENCH_KEY_A, "token-2", 100);
    bench_put(&bench, BENCH_KEY_B, "token-3", 100);
    bench_put(&bench, BENCH_KEY_A, "token-4", 100);
    assert_true(bench_redis_start(&redis, NULL));
    assert_true(bench_await_away(&bench, false, 10000));
    // What was put meanwhile, the newest of each key, is there for others, too.
    open_on(&other, state);
    bench_sleep_ms(100);
    assert_token(bench_acquire(&other, BENCH_KEY_A, 0, 1000), "token-4");
    assert_token(bench_acquire(&other, BENCH_KEY_B, 0, 1000), "token-3");
    bench_close(&other);
    bench_close(&bench);
}

// So quick that nobody asked meanwhile: only the connection is dead.
static void test_redis_restarted_unnoticed(void **state)
{
    struct bench bench;
    open_on(&bench, state);
    assert_fetch(bench_acquire(&bench, BENCH_KEY_A, 0, 1000));
    bench_redis_stop(&redis);
    assert_true(bench_redis_start(&redis, NULL));
    bench_put(&bench, BENCH_KEY_A, "token-1", 100);
    assert_token(bench_acquire(&bench, BENCH_KEY_A, 0, 1000), "token-1");
    assert_int_equal(store_stats(bench.store).errors, 0);
    bench_close(&bench);
}

static void test_redis_holder_and_server_killed(void **state)
{
    struct bench one, other;
    struct bench_answer answer;
    open_waiting(&one, &other, state, 200, &answer);
    bench_redis_stop(&redis); // while it waits
    assert_true(bench_await(&other, &answer, 2000));
    assert_int_equal(answer.answer, STORE_FETCH);
    bench_close(&one);
    bench_close(&other);
}

// A stopped server takes connections and says nothing.
static void test_redis_hangs(void **state)
{
    struct bench bench;
    open_on(&bench, state);
    assert_fetch(bench_acquire(&bench, BENCH_KEY_A, 0, 1000));
    kill(redis.pid, SIGSTOP);
    uint64_t start_ms = bench_now_ms();
    assert_fetch(bench_acquire(&bench, BENCH_KEY_B, 0, 20000));
    uint64_t took_ms = bench_now_ms() - start_ms;
    assert_true(took_ms < 2 * bench.config.store.timeout_ms + 500);
    assert_true(bench_await_away(&bench, true, 1000));
    for (int i = 0; i < 20; i++) {
        start_ms = bench_now_ms();
        assert_fetch(bench_acquire(&bench, BENCH_KEY_B, 0, 20000));
        assert_true(bench_now_ms() - start_ms < 200); // the thread is busy with probing, we are not
    }
    kill(redis.pid, SIGCONT);
    assert_true(bench_await_away(&bench, false, 10000));
    bench_close(&bench);
}

// In front of libc's: the resolver's time limit is not ours to set.
static atomic_uint resolver_ms;

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **out)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (!real) {
        void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
        memcpy(&real, &symbol, sizeof real);
    }
    bench_sleep_ms(resolver_ms);
    return real(host, port, hints, out);
}

static void test_slow_resolver(void **state)
{
    (void)state;
    char url[64];
    struct bench bench;
    struct bench_answer answer = {0};
    resolver_ms = 5000;
    snprintf(url, sizeof url, "redis://localhost:%u", redis.port);
    assert_true(bench_open(&bench, url, BENCH_SECRET));
    uint64_t start_ms = bench_now_ms();
    bench_ask(&bench, BENCH_KEY_A, 20000, &answer);
    assert_true(bench_await(&bench, &answer, 10000));
    assert_true(bench_now_ms() - start_ms < 2 * bench.config.store.timeout_ms + 750);
    assert_int_equal(answer.answer, STORE_FETCH);
    resolver_ms = 0;
    // What is got meanwhile is kept, and the lease it could not wait for is nobody's obstacle.
    bench_put(&bench, BENCH_KEY_A, "token-1", 100);
    bench_sleep_ms(4000);
    assert_token(bench_acquire(&bench, BENCH_KEY_A, 0, 1000), "token-1");
    assert_fetch(bench_acquire(&bench, BENCH_KEY_A, clock_realtime_s() + 1000, 1000));
    bench_close(&bench);
}

static void test_starts_before_the_server(void **state)
{
    struct bench bench;
    open_on(&bench, state);
    bench_put(&bench, BENCH_KEY_A, "token-1", 100);
    assert_token(bench_acquire(&bench, BENCH_KEY_A, 0, 1000), "token-1");
    bench_close(&bench);
    bench_redis_stop(&redis);
    open_on(&bench, state);
    assert_true(bench_await_away(&bench, true, 3000)); // before anybody asked
    bench_put(&bench, BENCH_KEY_A, "token-2", 100);
    assert_quick_fetch(&bench, BENCH_KEY_A);
    assert_true(bench_redis_start(&redis, NULL));
    assert_true(bench_await_away(&bench, false, 10000));
    bench_sleep_ms(100);
    assert_token(bench_acquire(&bench, BENCH_KEY_A, 0, 1000), "token-2");
    bench_close(&bench);
}

// -- one backend -------------------------------------------------------------------------------

struct use {
    struct config_store config;
    struct store_backend *backend;
    struct err err;
};

static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

static void use_url(struct use *use, const char *url)
{
    use->config.url = text(url);
    use->backend = store_redis_new(&use->config, 700, &use->err);
    if (!use->backend)
        fail_msg("%s", use->err.text);
}

static void use_end(struct use *use)
{
    use->backend->ops->free(use->backend);
    *use = (struct use){0};
}

static bool put(struct use *use, const char *key, const char *blob)
{
    return use->backend->ops->write(use->backend, key, str_of(blob), clock_realtime_s() + 100,
                                    &use->err);
}

static bool reads(struct use *use, const char *key, const char *expected)
{
    struct buf out;
    buf_init(&out, STORE_BLOB_MAX);
    bool ok = use->backend->ops->read(use->backend, key, &out, &use->err) &&
              str_eq(buf_str(&out), str_of(expected));
    buf_fini(&out);
    return ok;
}

static bool leases(struct use *use, const char *owner, uint64_t ms)
{
    bool is_taken;
    if (!use->backend->ops->lease(use->backend, BENCH_KEY_A, owner, ms, &is_taken, &use->err))
        fail_msg("%s", use->err.text);
    return is_taken;
}

// What redis-cli says, first line, without its end.
static const char *ask_redis(const char *command)
{
    static char line[512];
    char words[1024];
    snprintf(words, sizeof words, "redis-cli -s %s %s", redis.socket, command);
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", words, NULL);
        _exit(127);
    }
    close(out[1]);
    ssize_t len = read(out[0], line, sizeof line - 1);
    line[len > 0 ? len : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    close(out[0]);
    bench_wait(pid);
    return line;
}

static const char *tcp_url(const char *scheme, const char *login, const char *host, unsigned port,
                           const char *rest)
{
    static char url[512];
    snprintf(url, sizeof url, "%s://%s%s:%u%s", scheme, login, host, port, rest);
    return url;
}

static void test_what_is_there(void **state)
{
    (void)state;
    struct use use = {.config.prefix = text("fleet-1:")};
    use_url(&use, tcp_url("redis", "", "localhost", redis.port, "/3"));
    assert_true(put(&use, BENCH_KEY_A, "blob"));
    assert_true(leases(&use, "me", 5000));
    assert_string_equal(ask_redis("-n 3 GET fleet-1:token:" BENCH_KEY_A), "blob");
    assert_string_equal(ask_redis("-n 3 GET fleet-1:lease:" BENCH_KEY_A), "me");
    assert_string_equal(ask_redis("-n 0 DBSIZE"), "0");
    long left_s = strtol(ask_redis("-n 3 TTL fleet-1:token:" BENCH_KEY_A), NULL, 10);
    assert_in_range(left_s, 98, 100);
    long left_ms = strtol(ask_redis("-n 3 PTTL fleet-1:lease:" BENCH_KEY_A), NULL, 10);
    assert_in_range(left_ms, 3000, 5000);
    assert_true(reads(&use, BENCH_KEY_A, "blob"));
    assert_true(reads(&use, BENCH_KEY_B, ""));
    use_end(&use);
}

static void test_leases(void **state)
{
    (void)state;
    struct use use = {0};
    use_url(&use, redis.url);
    assert_true(leases(&use, "one", 60000));
    assert_false(leases(&use, "other", 60000));
    assert_true(leases(&use, "one", 60000)); // renewed
    assert_true(use.backend->ops->release(use.backend, BENCH_KEY_A, "other", &use.err));
    assert_false(leases(&use, "other", 60000)); // was not its own
    assert_true(use.backend->ops->release(use.backend, BENCH_KEY_A, "one", &use.err));
    assert_true(leases(&use, "other", 150));
    bench_sleep_ms(200);
    assert_true(leases(&use, "one", 60000)); // ran out
    use_end(&use);
}

static void test_odd_entries(void **state)
{
    (void)state;
    struct use use = {0};
    use_url(&use, redis.url);
    ask_redis("LPUSH bearerd:token:" BENCH_KEY_A " x");
    assert_true(reads(&use, BENCH_KEY_A, "?"));
    assert_true(put(&use, BENCH_KEY_A, "y")); // replaces what was there
    assert_true(reads(&use, BENCH_KEY_A, "y"));
    ask_redis("SETRANGE bearerd:token:" BENCH_KEY_A " 5000000 x");
    assert_true(reads(&use, BENCH_KEY_A, "?"));
    assert_true(put(&use, BENCH_KEY_A, "z"));
    assert_true(reads(&use, BENCH_KEY_A, "z"));
    use_end(&use);
}

static void test_logins(void **state)
{
    (void)state;
    struct use use = {0};
    ask_redis("ACL SETUSER fleet on '>canary p@ss/1' '~bearerd:*' '&*' +@all");
    ask_redis("CONFIG SET requirepass canary-of-all");
    use_url(&use, tcp_url("redis", "fleet:canary%20p%40ss%2F1@", "127.0.0.1", redis.port, ""));
    assert_true(put(&use, BENCH_KEY_A, "x"));
    use_end(&use);
    use_url(&use, tcp_url("redis", ":canary-of-all@", "127.0.0.1", redis.port, "/1"));
    assert_true(put(&use, BENCH_KEY_A, "x"));
    use_end(&use);
    static const char *const wrong[] = {"", ":canary@", "fleet:canary@", "canary:canary@"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        use_url(&use, tcp_url("redis", wrong[i], "127.0.0.1", redis.port, ""));
        assert_false(put(&use, BENCH_KEY_A, "x"));
        assert_non_null(strstr(use.err.text, "redis at 127.0.0.1 port"));
        assert_non_null(strstr(use.err.text, i ? "WRONGPASS" : "NOAUTH"));
        assert_null(strstr(use.err.text, "canary"));
        use_end(&use);
    }
    // Out of its own prefix it is refused; no reason to lose what can be had.
    use.config.prefix = text("other:");
    use_url(&use, tcp_url("redis", "fleet:canary%20p%40ss%2F1@", "127.0.0.1", redis.port, ""));
    assert_false(put(&use, BENCH_KEY_A, "x"));
    assert_non_null(strstr(use.err.text, "NOPERM"));
    use_end(&use);
}

// -- TLS ---------------------------------------------------------------------------------------

static void run(const char *command)
{
    char words[1024];
    snprintf(words, sizeof words, "cd %s && %s >/dev/null 2>&1", bench_folder, command);
    char shell[] = "/bin/sh", flag[] = "-c";
    char *argv[] = {shell, flag, words, NULL};
    assert_int_equal(bench_wait(bench_spawn(argv)), 0);
}

#define NEW_KEY "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "

// An authority, a server for localhost and 127.0.0.1, a client, and an authority nobody knows.
static void make_certificates(void)
{
    run(NEW_KEY "-x509 -subj /CN=ca -days 2 -keyout ca.key -out ca.pem");
    run(NEW_KEY "-x509 -subj /CN=other -days 2 -keyout other.key -out other.pem");
    run(NEW_KEY "-subj /CN=server -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
                "-keyout server.key -out server.csr && openssl x509 -req -in server.csr -days 2 "
                "-CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -out server.pem");
    run(NEW_KEY "-subj /CN=client -keyout client.key -out client.csr && openssl x509 -req "
                "-in client.csr -days 2 -CA ca.pem -CAkey ca.key -out client.pem");
}

static void tls_start(void)
{
    static char tls_port[16];
    snprintf(tls_port, sizeof tls_port, "%u", redis.tls_port = bench_free_port());
    char *more[] = {text("--tls-port"),
                    tls_port,
                    text("--tls-cert-file"),
                    text(bench_path("server.pem")),
                    text("--tls-key-file"),
                    text(bench_path("server.key")),
                    text("--tls-ca-cert-file"),
                    text(bench_path("ca.pem")),
                    text("--tls-auth-clients"),
                    text("yes"),
                    text("--bind"),
                    text("127.0.0.1"),
                    text("127.0.0.2"),
                    NULL};
    make_certificates();
    assert_true(bench_redis_start(&redis, more));
}

static void test_tls(void **state)
{
    (void)state;
    static const struct {
        const char *ca, *cert, *key, *host, *scheme, *words; // words NULL: works
    } rows[] = {
        {"ca.pem", "client.pem", "client.key", "localhost", "rediss", NULL},
        {"ca.pem", "client.pem", "client.key", "127.0.0.1", "rediss", NULL},
        {"ca.pem", NULL, NULL, "localhost", "rediss", ""}, // a client certificate is asked for
        {"ca.pem", "client.pem", "client.key", "127.0.0.2", "rediss", "IP address mismatch"},
        {"ca.pem", "client.pem", "client.key", "127.1", "rediss", "hostname mismatch"},
        {"other.pem", "client.pem", "client.key", "localhost", "rediss", "certificate is refused"},
        {NULL, "client.pem", "client.key", "localhost", "rediss", "certificate is refused"},
        {"ca.pem", "client.pem", "other.key", "localhost", "rediss", "other.key"},
        {"absent.pem", "client.pem", "client.key", "localhost", "rediss", "absent.pem"},
        {"ca.pem", "absent.pem", "client.key", "localhost", "rediss", "absent.pem"},
        {NULL, NULL, NULL, "localhost", "redis", ""}, // no TLS where TLS is spoken
    };
    redis.port = 0;
    tls_start();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct use use = {0};
        use.config.tls.ca_file = rows[i].ca ? text(bench_path(rows[i].ca)) : NULL;
        use.config.tls.cert_file = rows[i].cert ? text(bench_path(rows[i].cert)) : NULL;
        use.config.tls.key_file = rows[i].key ? text(bench_path(rows[i].key)) : NULL;
        use_url(&use, tcp_url(rows[i].scheme, "", rows[i].host, redis.tls_port, ""));
        bool ok = put(&use, BENCH_KEY_A, "over TLS") && reads(&use, BENCH_KEY_A, "over TLS");
        if (ok != !rows[i].words || (!ok && !strstr(use.err.text, rows[i].words)))
            fail_msg("row %zu: %s", i, ok ? "works" : use.err.text);
        use_end(&use);
    }
}

// -- a server that means harm ------------------------------------------------------------------

// Answers each thing it receives with the same bytes; with no bytes at all it drips a line that
// never ends.
static pid_t start_hostile(struct str answer, unsigned *out_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 8), 0);
    getsockname(fd, (struct sockaddr *)&address, &len);
    *out_port = ntohs(address.sin_port);
    pid_t pid = bench_fork();
    for (char drop[4096]; pid == 0;) {
        int client = accept(fd, NULL, NULL);
        while (recv(client, drop, sizeof drop, 0) > 0) {
            struct str rest = answer;
            bool is_sent = true;
            while (is_sent && !answer.len && (usleep(20000), true))
                is_sent = send(client, "+", 1, MSG_NOSIGNAL) == 1;
            while (rest.len && is_sent) {
                ssize_t sent = send(client, rest.ptr, rest.len, MSG_NOSIGNAL);
                is_sent = sent > 0;
                rest = str_from(rest, is_sent ? (size_t)sent : 0);
            }
        }
        close(client);
    }
    close(fd);
    return pid;
}

static void test_hostile(void **state)
{
    (void)state;
    static char flood[300000] = "$131072\r\n";
    static const struct str answers[] = {
        STR("$99999999999\r\n"),
        STR("*1000000000\r\n"),
        STR("$-1\r\n"),
        STR("+OK\r\n+OK\r\n"),
        STR(":1\r\n:1\r\n"),
        STR("-ERR \x1b[31mcanary\r\n"),
        STR("HTTP/1.1 200 OK\r\n\r\n"),
        STR("\0\0\0\0"),
        STR("$3\r\nab"),
        STR("$131074\r\n"),
        {flood, sizeof flood},
        STR("+PONG\r\n"),
        STR(""),
    };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct use use = {0};
        unsigned port;
        bool is_taken = true;
        pid_t pid = start_hostile(answers[i], &port);
        use_url(&use, tcp_url("redis", "", "127.0.0.1", port, ""));
        uint64_t start_ms = bench_now_ms();
        assert_false(reads(&use, BENCH_KEY_A, ""));
        assert_non_null(strstr(use.err.text, "redis at 127.0.0.1 port"));
        assert_null(strchr(use.err.text, 0x1b));
        assert_false(
            use.backend->ops->lease(use.backend, BENCH_KEY_A, "me", 1000, &is_taken, &use.err));
        assert_false(is_taken);
        assert_true(bench_now_ms() - start_ms < 2 * 700 + 500); // dripping does not stretch it
        use_end(&use);
        kill(pid, SIGKILL);
        bench_wait(pid);
    }
}

// A server that answers everything with somebody else's sealed entry: it does not open here (T-19).
static void test_entry_of_another_key(void **state)
{
    struct bench bench;
    open_on(&bench, state);
    bench_put(&bench, BENCH_KEY_A, "token-of-a", 100);
    assert_token(bench_acquire(&bench, BENCH_KEY_A, 0, 1000), "token-of-a");
    char rename_words[256];
    snprintf(rename_words, sizeof rename_words, "RENAME bearerd:token:%s bearerd:token:%s",
             bench_place(BENCH_KEY_A), bench_place(BENCH_KEY_B));
    assert_string_equal(ask_redis(rename_words), "OK");
    assert_fetch(bench_acquire(&bench, BENCH_KEY_B, 0, 1000));
    assert_int_equal(store_stats(bench.store).unreadable, 1);
    assert_false(store_stats(bench.store).is_away);
    bench_close(&bench);
}

#define ON_REDIS(name, fn)                                                                         \
    {                                                                                              \
        name, fn, on_redis, off, NULL                                                              \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_REDIS("what is there", test_what_is_there),
        ON_REDIS("leases", test_leases),
        ON_REDIS("odd entries", test_odd_entries),
        ON_REDIS("logins", test_logins),
        {"TLS", test_tls, NULL, off, NULL},
        cmocka_unit_test(test_hostile),
        ON_REDIS("T-19 the entry of another key", test_entry_of_another_key),
        ON_REDIS("killed and restarted", test_redis_killed_and_restarted),
        ON_REDIS("restarted unnoticed", test_redis_restarted_unnoticed),
        ON_REDIS("killed while one waits", test_redis_holder_and_server_killed),
        ON_REDIS("T08 hangs", test_redis_hangs),
        ON_REDIS("T08 slow resolver", test_slow_resolver),
        ON_REDIS("T34 starts before the server", test_starts_before_the_server),
    };
    return cmocka_run_group_tests(tests, bench_folder_make, bench_folder_remove);
}
