// SPDX-License-Identifier: MIT
// See store_backend.h: a Redis (or Valkey) server, shared by a fleet. Owns one connection and what
// is said over it. hiredis is not used: Debian 12's has no TLS, and neither bounds a reply nor
// keeps a deadline. Invariants: after any failure the connection is closed, so that no reply is
// ever taken for that of another command; all commands may be sent twice, so one on a connection
// that turns out to be dead is sent again, once, on a new one; the password is in no message.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"
#include "token/store_backend.h"
#include "token/store_link.h"
#include "token/store_redis_url.h"
#include "token/store_resp.h"
#include "token/store_seal.h"

#define REPLY_MAX    (STORE_BLOB_MAX + RESP_LINE_MAX)
#define COMMAND_MAX  (STORE_BLOB_MAX + (size_t)16 * 1024)
#define NAME_MAX_LEN 512
#define PREFIX_MAX   256

struct redis {
    struct store_backend backend;
    struct redis_url url;
    struct config_tls tls;
    char *prefix;
    uint64_t timeout_ms;
    struct store_link *link; // NULL: not connected
    struct buf reply;        // what resp_parse's views point into
};

// Taken or renewed in one go: both ask who holds it.
static const char lease_script[] = "local holder = redis.call('GET', KEYS[1])\n"
                                   "if holder and holder ~= ARGV[1] then return 0 end\n"
                                   "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
                                   "return 1";
static const char release_script[] = "if redis.call('GET', KEYS[1]) == ARGV[1] then\n"
                                     "return redis.call('DEL', KEYS[1]) end\n"
                                     "return 0";

static struct redis *redis_of(struct store_backend *backend)
{
    return CONTAINER_OF(backend, struct redis, backend);
}

// -- one command -------------------------------------------------------------------------------

static void redis_disconnect(struct redis *redis)
{
    store_link_close(redis->link);
    redis->link = NULL;
}

// *out_is_stale: the connection was dead before a byte of the answer came.
static bool redis_exchange(struct redis *redis, const struct str *words, size_t count,
                           struct resp *out, bool *out_is_stale, struct err *err)
{
    uint64_t deadline_ms = clock_boottime_us() / 1000 + redis->timeout_ms;
    struct buf command;
    buf_init(&command, COMMAND_MAX);
    buf_clear(&redis->reply);
    *out_is_stale = false;
    bool ok = resp_command(&command, words, count) || err_set(err, "the command is too long");
    if (ok && !store_link_send(redis->link, buf_str(&command), deadline_ms, err)) {
        *out_is_stale = clock_boottime_us() / 1000 < deadline_ms;
        ok = false;
    }
    buf_fini(&command);
    enum resp_result result = RESP_MORE;
    while (ok && result == RESP_MORE) {
        bool is_over;
        ok = store_link_receive(redis->link, &redis->reply, deadline_ms, &is_over, err);
        if (ok)
            result = resp_parse(buf_str(&redis->reply), STORE_BLOB_MAX + 1, out);
        else
            *out_is_stale = is_over && !redis->reply.len;
    }
    if (ok && result == RESP_BROKEN)
        ok = err_set(err, "its answer is not what Redis would say");
    return ok;
}

// A server's own words: bounded, printable.
static bool redis_refused(const struct resp *reply, struct err *err)
{
    char text[128];
    size_t len = reply->text.len < sizeof text - 1 ? reply->text.len : sizeof text - 1;
    for (size_t i = 0; i < len; i++)
        text[i] = reply->text.ptr[i];
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
    text[len] = '\0';
    return err_set(err, "it answers: %s", text);
}

static bool is_status(const struct resp *reply, const char *text)
{
    return reply->kind == RESP_STATUS && str_eq(reply->text, str_of(text));
}

// -- connecting --------------------------------------------------------------------------------

static bool redis_greet(struct redis *redis, const struct str *words, size_t count, struct err *err)
{
    struct resp reply;
    bool is_stale;
    if (!redis_exchange(redis, words, count, &reply, &is_stale, err))
        return false;
    if (is_status(&reply, "OK"))
        return true;
    return reply.kind == RESP_ERROR ? redis_refused(&reply, err)
                                    : err_set(err, "its answer is not what Redis would say");
}

static bool redis_log_in(struct redis *redis, struct err *err)
{
    const struct redis_url *url = &redis->url;
    struct str auth[3] = {STR("AUTH")};
    size_t count = 1;
    if (url->user)
        auth[count++] = str_of(url->user);
    if (url->password)
        auth[count++] = str_of(url->password);
    if (url->password && !redis_greet(redis, auth, count, err))
        return false;
    char db[16];
    int len = snprintf(db, sizeof db, "%u", url->db);
    const struct str select[2] = {STR("SELECT"), {db, (size_t)len}};
    return !url->db || redis_greet(redis, select, ARRAY_LEN(select), err);
}

static bool redis_connect(struct redis *redis, struct err *err)
{
    const struct store_link_peer peer = {redis->url.host, redis->url.port, redis->url.unix_path,
                                         redis->url.is_tls ? &redis->tls : NULL};
    redis->link = store_link_open(&peer, clock_boottime_us() / 1000 + redis->timeout_ms, err);
    if (redis->link && redis_log_in(redis, err))
        return true;
    redis_disconnect(redis);
    return false;
}

static bool redis_try(struct redis *redis, const struct str *words, size_t count, struct resp *out,
                      struct err *err)
{
    bool is_reused = redis->link != NULL, is_stale;
    if (!is_reused && !redis_connect(redis, err))
        return false;
    if (redis_exchange(redis, words, count, out, &is_stale, err))
        return true;
    redis_disconnect(redis);
    // It may have been closed while idle, or the server was started anew.
    if (!is_reused || !is_stale)
        return false;
    if (redis_connect(redis, err) && redis_exchange(redis, words, count, out, &is_stale, err))
        return true;
    redis_disconnect(redis);
    return false;
}

static bool redis_failed(struct redis *redis, const struct err *cause, struct err *err)
{
    redis_disconnect(redis);
    if (redis->url.unix_path)
        return err_set(err, "redis at %s: %s", redis->url.unix_path, cause->text);
    return err_set(err, "redis at %s port %s: %s", redis->url.host, redis->url.port, cause->text);
}

// The reply is of that kind. Where bulk is asked for, somebody's list or set may be: then
// RESP_ERROR.
static bool redis_ask(struct redis *redis, const struct str *words, size_t count,
                      enum resp_kind kind, struct resp *out, struct err *err)
{
    struct err cause = {0};
    if (!redis_try(redis, words, count, out, &cause))
        return redis_failed(redis, &cause, err);
    if (out->kind == kind ||
        (kind == RESP_BULK && out->kind == RESP_ERROR && str_starts(out->text, STR("WRONGTYPE "))))
        return true;
    if (out->kind == RESP_ERROR)
        redis_refused(out, &cause);
    else
        err_set(&cause, "its answer is not what Redis would say");
    return redis_failed(redis, &cause, err);
}

// -- the operations ----------------------------------------------------------------------------

struct text { // a word made on the spot
    char bytes[NAME_MAX_LEN];
};

static struct str name_of(const struct redis *redis, const char *kind, const char *key,
                          struct text *text)
{
    int len = snprintf(text->bytes, sizeof text->bytes, "%s%s:%s", redis->prefix, kind, key);
    return (struct str){text->bytes, (size_t)len};
}

static struct str number_of(uint64_t number, struct text *text)
{
    int len = snprintf(text->bytes, sizeof text->bytes, "%" PRIu64, number);
    return (struct str){text->bytes, (size_t)len};
}

static bool redis_read(struct store_backend *backend, const char *key, struct buf *out,
                       struct err *err)
{
    struct redis *redis = redis_of(backend);
    struct text name, end;
    struct resp reply = {0};
    // No more than what an entry of ours could have, and one byte to tell, whatever is there.
    const struct str words[] = {STR("GETRANGE"), name_of(redis, "token", key, &name), STR("0"),
                                number_of(STORE_BLOB_MAX, &end)};
    if (!redis_ask(redis, words, ARRAY_LEN(words), RESP_BULK, &reply, err))
        return false;
    // What is too large or of another type is there, but does not open: one byte stands for it.
    return (reply.kind == RESP_BULK && buf_append(out, reply.text)) || buf_append(out, STR("?"));
}

static bool redis_write(struct store_backend *backend, const char *key, struct str blob,
                        int64_t expires_s, struct err *err)
{
    struct redis *redis = redis_of(backend);
    struct text name, left;
    struct resp reply;
    int64_t left_s = expires_s - clock_realtime_s();
    if (left_s <= 0)
        return true;
    // As a span: the server's clock may differ from ours.
    const struct str words[] = {STR("SET"), name_of(redis, "token", key, &name), blob, STR("EX"),
                                number_of((uint64_t)left_s, &left)};
    return redis_ask(redis, words, ARRAY_LEN(words), RESP_STATUS, &reply, err);
}

static bool redis_lease(struct store_backend *backend, const char *key, const char *owner,
                        uint64_t lease_ms, bool *out_taken, struct err *err)
{
    struct redis *redis = redis_of(backend);
    struct text name, span;
    struct resp reply = {0};
    const struct str words[] = {STR("EVAL"),   STR(lease_script),
                                STR("1"),      name_of(redis, "lease", key, &name),
                                str_of(owner), number_of(lease_ms, &span)};
    bool ok = redis_ask(redis, words, ARRAY_LEN(words), RESP_NUMBER, &reply, err);
    *out_taken = ok && reply.number == 1;
    return ok;
}

static bool redis_release(struct store_backend *backend, const char *key, const char *owner,
                          struct err *err)
{
    struct redis *redis = redis_of(backend);
    struct text name;
    struct resp reply;
    const struct str words[] = {STR("EVAL"), STR(release_script), STR("1"),
                                name_of(redis, "lease", key, &name), str_of(owner)};
    return redis_ask(redis, words, ARRAY_LEN(words), RESP_NUMBER, &reply, err);
}

// -- life --------------------------------------------------------------------------------------

static void redis_free(struct store_backend *backend)
{
    struct redis *redis = redis_of(backend);
    redis_disconnect(redis);
    buf_fini(&redis->reply);
    redis_url_fini(&redis->url);
    mem_free(redis->prefix);
    mem_free(redis->tls.ca_file);
    mem_free(redis->tls.cert_file);
    mem_free(redis->tls.key_file);
    mem_free(redis);
}

struct store_backend *store_redis_new(const struct config_store *config, uint64_t timeout_ms,
                                      struct err *err)
{
    static const struct store_backend_ops ops = {redis_read, redis_write, redis_lease,
                                                 redis_release, redis_free};
    struct redis *redis = mem_alloc(sizeof *redis);
    redis->backend.ops = &ops;
    redis->timeout_ms = timeout_ms;
    redis->prefix = mem_strdup(config->prefix ? config->prefix : "bearerd:");
    redis->tls.ca_file = mem_strdup(config->tls.ca_file);
    redis->tls.cert_file = mem_strdup(config->tls.cert_file);
    redis->tls.key_file = mem_strdup(config->tls.key_file);
    buf_init(&redis->reply, REPLY_MAX);
    if (!redis_url_parse(str_of(config->url), &redis->url, err))
        goto fail;
    if (strlen(redis->prefix) <= PREFIX_MAX)
        return &redis->backend;
    err_set(err, "[store] prefix is longer than %d bytes", PREFIX_MAX);
fail:
    redis_free(&redis->backend);
    return NULL;
}
