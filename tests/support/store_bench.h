// SPDX-License-Identifier: MIT
// What the store's tests share: a folder of their own, records, a real redis-server, and a store
// whose loop the test turns. Everything started here is ended here, by its process id.
#ifndef SUPPORT_STORE_BENCH_H
#define SUPPORT_STORE_BENCH_H

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "token/store.h"
#include "token/store_seal.h"

#define BENCH_KEY_A    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BENCH_KEY_B    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define BENCH_SECRET   "0123456789abcdef0123456789abcdef"
#define BENCH_PATH_MAX 256

static char bench_folder[64];

static inline const char *bench_path(const char *name)
{
    static char paths[8][BENCH_PATH_MAX];
    static unsigned at;
    char *path = paths[at++ % 8];
    snprintf(path, BENCH_PATH_MAX, "%s/%s", bench_folder, name);
    return path;
}

static inline int bench_folder_make(void **state)
{
    (void)state;
    snprintf(bench_folder, sizeof bench_folder, "/tmp/bearerd-store-XXXXXX");
    log_set_level(LOG_ERROR + 1);
    return mkdtemp(bench_folder) ? 0 : -1;
}

static inline int bench_folder_remove(void **state)
{
    (void)state;
    DIR *dir = opendir(bench_folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            unlink(bench_path(entry->d_name));
    if (dir)
        closedir(dir);
    return rmdir(bench_folder);
}

// Where a slot's entry stands.
static inline const char *bench_place(const char *key)
{
    static char places[4][STORE_KEY_LEN + 1];
    static unsigned at;
    struct err err;
    char *place = places[at++ % 4];
    struct store_keys *keys = store_keys_new(STR(BENCH_SECRET), STR_NONE, &err);
    if (!keys || !store_place(keys, false, key, place))
        abort();
    store_keys_free(keys);
    return place;
}

static inline void bench_sleep_ms(unsigned ms)
{
    usleep(ms * 1000);
}

static inline uint64_t bench_now_ms(void)
{
    return clock_boottime_us() / 1000;
}

static inline void bench_record(struct store_record *record, const char *value, int64_t lives_s)
{
    store_record_init(record);
    record->sent_s = clock_realtime_s();
    record->expires_s = record->sent_s + lives_s;
    if (!buf_append(&record->value, str_of(value)))
        abort();
}

// -- other programs ----------------------------------------------------------------------------

// A fork that does not outlive the test, however that ends.
static inline pid_t bench_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static inline pid_t bench_spawn(char *const argv[])
{
    pid_t pid = bench_fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execvp(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static inline int bench_wait(pid_t pid)
{
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline unsigned bench_free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    bind(fd, (struct sockaddr *)&address, sizeof address);
    getsockname(fd, (struct sockaddr *)&address, &len);
    close(fd);
    return ntohs(address.sin_port);
}

// -- redis-server ------------------------------------------------------------------------------

struct bench_redis {
    pid_t pid;
    unsigned port, tls_port;
    char socket[BENCH_PATH_MAX];
    char url[BENCH_PATH_MAX + 32]; // by unix socket
};

static inline bool bench_can_connect(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    bool ok = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return ok;
}

// more: further words of the command line, ends with NULL; may be NULL.
static inline bool bench_redis_start(struct bench_redis *redis, char *const *more)
{
    static char empty[] = "", program[] = "redis-server", port_word[] = "--port",
                socket_word[] = "--unixsocket", save_word[] = "--save", no[] = "no",
                append_word[] = "--appendonly", bind_word[] = "--bind", loopback[] = "127.0.0.1",
                dir_word[] = "--dir";
    char port[16];
    if (!redis->port)
        redis->port = bench_free_port();
    snprintf(port, sizeof port, "%u", redis->port);
    snprintf(redis->socket, sizeof redis->socket, "%s", bench_path("redis.socket"));
    snprintf(redis->url, sizeof redis->url, "redis+unix://%s", redis->socket);
    char *argv[40] = {program,   port_word, port,        socket_word, redis->socket,
                      save_word, empty,     append_word, no,          bind_word,
                      loopback,  dir_word,  bench_folder};
    for (size_t i = 13; more && *more && i < 39; i++)
        argv[i] = *more++;
    redis->pid = bench_spawn(argv);
    for (int i = 0; i < 500 && !bench_can_connect(redis->socket); i++)
        bench_sleep_ms(10);
    return bench_can_connect(redis->socket);
}

static inline void bench_redis_stop(struct bench_redis *redis)
{
    if (redis->pid <= 0)
        return;
    kill(redis->pid, SIGKILL);
    bench_wait(redis->pid);
    unlink(redis->socket);
    redis->pid = 0;
}

// -- a store -----------------------------------------------------------------------------------

struct bench {
    struct loop *loop;
    struct config config;
    struct store *store;
    struct err err;
};

struct bench_answer {
    unsigned count; // times done was called
    enum store_answer answer;
    char value[256];
    int64_t expires_s;
};

// previous: the key before; NULL: none.
static inline bool bench_open_with(struct bench *bench, const char *url, const char *secret,
                                   const char *previous)
{
    *bench = (struct bench){.loop = loop_new(&bench->err)};
    bench->config.store.key_previous = previous ? secret_new(previous, &bench->err) : NULL;
    bench->config.store.url = mem_strdup(url);
    bench->config.store.key = secret ? secret_new(secret, &bench->err) : NULL;
    bench->config.store.timeout_ms = 1000;
    bench->store = store_open(bench->loop, &bench->config, &bench->err);
    return bench->store != NULL;
}

static inline bool bench_open(struct bench *bench, const char *url, const char *secret)
{
    return bench_open_with(bench, url, secret, NULL);
}

static inline void bench_close(struct bench *bench)
{
    store_close(bench->store);
    loop_turn(bench->loop, 0);
    loop_free(bench->loop);
    secret_free(bench->config.store.key);
    secret_free(bench->config.store.key_previous);
    mem_free(bench->config.store.url);
}

static inline void bench_on_done(void *arg, enum store_answer answer,
                                 const struct store_record *record)
{
    struct bench_answer *out = arg;
    out->count++;
    out->answer = answer;
    if (!record)
        return;
    out->expires_s = record->expires_s;
    snprintf(out->value, sizeof out->value, "%.*s", STR_ARG(buf_str(&record->value)));
}

// Turns the loop until the answer is there; false after limit_ms.
static inline bool bench_await(struct bench *bench, const struct bench_answer *answer,
                               uint64_t limit_ms)
{
    uint64_t until_ms = bench_now_ms() + limit_ms;
    while (!answer->count && bench_now_ms() < until_ms)
        loop_turn(bench->loop, 20);
    return answer->count == 1;
}

static inline void bench_ask(struct bench *bench, const char *key, uint64_t wait_ms,
                             struct bench_answer *answer)
{
    const struct store_wish wish = {.wait_ms = wait_ms};
    store_acquire(bench->store, key, &wish, bench_on_done, answer);
}

static inline struct bench_answer bench_acquire_wish(struct bench *bench, const char *key,
                                                     const struct store_wish *wish)
{
    struct bench_answer answer = {0};
    store_acquire(bench->store, key, wish, bench_on_done, &answer);
    bench_await(bench, &answer, wish->wait_ms + 10000);
    return answer;
}

static inline struct bench_answer bench_acquire(struct bench *bench, const char *key,
                                                int64_t newer_than_s, uint64_t wait_ms)
{
    return bench_acquire_wish(
        bench, key, &(struct store_wish){.newer_than_ms = newer_than_s * 1000, .wait_ms = wait_ms});
}

static inline void bench_put(struct bench *bench, const char *key, const char *value,
                             int64_t lives_s)
{
    struct store_record record;
    bench_record(&record, value, lives_s);
    store_put(bench->store, key, &record);
    store_record_fini(&record);
}

// Until the store is (or is no longer) away.
static inline bool bench_await_away(struct bench *bench, bool is_away, uint64_t limit_ms)
{
    uint64_t until_ms = bench_now_ms() + limit_ms;
    while (store_stats(bench->store).is_away != is_away && bench_now_ms() < until_ms)
        loop_turn(bench->loop, 10);
    return store_stats(bench->store).is_away == is_away;
}

// -- tests on a redis-server of their own --------------------------------------------------------

static struct bench_redis redis;

static inline int on_redis(void **state)
{
    bench_redis_stop(&redis);
    *state = redis.url;
    return bench_redis_start(&redis, NULL) ? 0 : -1;
}

static inline int off(void **state)
{
    (void)state;
    bench_redis_stop(&redis);
    return 0;
}

// *state: the store's URL.
static inline void open_on(struct bench *bench, void **state)
{
    if (!bench_open(bench, *state, BENCH_SECRET))
        fail_msg("%s", bench->err.text);
}

static inline void assert_fetch(struct bench_answer answer)
{
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.answer, STORE_FETCH);
}

static inline void assert_token(struct bench_answer answer, const char *value)
{
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.answer, STORE_TOKEN);
    assert_string_equal(answer.value, value);
}

// Two stores: one is told to fetch, the other waits for it, and goes on to for_ms at least.
static inline void open_waiting(struct bench *one, struct bench *other, void **state,
                                uint64_t for_ms, struct bench_answer *answer)
{
    *answer = (struct bench_answer){0};
    open_on(one, state);
    open_on(other, state);
    assert_fetch(bench_acquire(one, BENCH_KEY_A, 0, 1000));
    bench_ask(other, BENCH_KEY_A, 30000, answer);
    assert_false(bench_await(other, answer, for_ms));
}

#endif
