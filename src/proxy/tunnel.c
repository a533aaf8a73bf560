// SPDX-License-Identifier: MIT
// See tunnel.h. Both sides are edge-triggered: each is read until it has nothing more or its taker
// is full. Invariant: a way reads only while it holds nothing, so `held` never holds more than one
// read, or what came before the tunnel stood.
#include "proxy/tunnel.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/log.h"

#define READ_SIZE  ((size_t)16 * 1024)
#define ROUNDS_MAX 16 // reads of one side, then it is others' turn

const char *tunnel_end_text(enum tunnel_end end)
{
    static const char *const texts[] = {
        [TUNNEL_CLOSED] = "closed by both sides",
        [TUNNEL_CLIENT_BROKE] = "the client broke it off",
        [TUNNEL_UPSTREAM_BROKE] = "the upstream broke it off",
        [TUNNEL_IDLE] = "nothing moved for tunnel_idle_timeout",
        [TUNNEL_CANNOT_WATCH] = "the client's connection cannot be watched",
    };
    return texts[end];
}

static void tunnel_over(struct tunnel *tunnel, enum tunnel_end end)
{
    tunnel_stop(tunnel);
    tunnel->on_over(tunnel, end);
}

// -- the client's side, as link.h is the upstream's ---------------------------------------------

static ssize_t client_result(ssize_t result)
{
    if (result >= 0)
        return result;
    return errno == EAGAIN || errno == EINTR ? LINK_AGAIN : LINK_FAILED;
}

static ssize_t client_recv(int fd, char *out, size_t out_max)
{
    return client_result(recv(fd, out, out_max, MSG_DONTWAIT));
}

static ssize_t client_send(int fd, struct str bytes)
{
    return client_result(send(fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL));
}

// -- one way -----------------------------------------------------------------------------------

static ssize_t way_recv(struct tunnel *tunnel, const struct tunnel_way *way, char *out, size_t max)
{
    return way == &tunnel->up ? client_recv(tunnel->fd, out, max)
                              : link_recv(tunnel->link, out, max);
}

// Bytes that were taken; LINK_FAILED.
static ssize_t way_send(struct tunnel *tunnel, struct tunnel_way *way, struct str bytes)
{
    ssize_t sent =
        way == &tunnel->up ? link_send(tunnel->link, &bytes, 1) : client_send(tunnel->fd, bytes);
    if (sent == LINK_AGAIN)
        return 0;
    if (sent > 0) {
        way->bytes += (uint64_t)sent;
        timer_start(tunnel->loop, &tunnel->idle_timer, tunnel->idle_ms);
    }
    return sent;
}

static bool way_flush(struct tunnel *tunnel, struct tunnel_way *way)
{
    while (way->at < way->held.len) {
        ssize_t sent = way_send(tunnel, way, str_from(buf_str(&way->held), way->at));
        if (sent == LINK_FAILED)
            return false;
        if (!sent)
            return true;
        way->at += (size_t)sent;
    }
    if (way->held.cap)
        buf_fini(&way->held); // most tunnels are idle most of the time
    way->at = 0;
    return true;
}

static void way_shut(struct tunnel *tunnel, struct tunnel_way *way)
{
    if (way->is_shut)
        return;
    way->is_shut = true;
    if (way == &tunnel->up)
        link_shut(tunnel->link);
    else
        shutdown(tunnel->fd, SHUT_WR);
}

enum moved { MOVED_ALL, MOVED_SOME, TAKER_BROKE, GIVER_BROKE };

// Reads once and sends what came; what the taker has no room for is held.
static ssize_t way_move_once(struct tunnel *tunnel, struct tunnel_way *way, enum moved *out_broke)
{
    char bytes[READ_SIZE] __attribute__((uninitialized));
    ssize_t got = way_recv(tunnel, way, bytes, sizeof bytes);
    if (got == LINK_FAILED)
        *out_broke = GIVER_BROKE;
    if (got <= 0)
        return got;
    ssize_t sent = way_send(tunnel, way, (struct str){bytes, (size_t)got});
    bool ok = sent >= 0;
    if (ok && sent < got)
        ok = buf_append(&way->held, str_from((struct str){bytes, (size_t)got}, (size_t)sent));
    if (ok)
        return got;
    *out_broke = TAKER_BROKE;
    return LINK_FAILED;
}

static enum moved way_move(struct tunnel *tunnel, struct tunnel_way *way)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        enum moved broke = MOVED_ALL;
        if (!way_flush(tunnel, way))
            return TAKER_BROKE;
        if (way->held.len)
            return MOVED_ALL; // the taker's turn
        if (way->has_ended) {
            way_shut(tunnel, way);
            return MOVED_ALL;
        }
        ssize_t got = way_move_once(tunnel, way, &broke);
        if (got == LINK_AGAIN || got == LINK_FAILED)
            return broke;
        way->has_ended = got == LINK_EOF;
    }
    return MOVED_SOME;
}

// -- both --------------------------------------------------------------------------------------

void tunnel_look(struct tunnel *tunnel)
{
    if (!tunnel->is_on)
        return;
    enum moved up = way_move(tunnel, &tunnel->up);
    if (up == TAKER_BROKE || up == GIVER_BROKE) {
        tunnel_over(tunnel, up == TAKER_BROKE ? TUNNEL_UPSTREAM_BROKE : TUNNEL_CLIENT_BROKE);
        return;
    }
    enum moved down = way_move(tunnel, &tunnel->down);
    if (down == TAKER_BROKE || down == GIVER_BROKE)
        tunnel_over(tunnel, down == TAKER_BROKE ? TUNNEL_CLIENT_BROKE : TUNNEL_UPSTREAM_BROKE);
    else if (tunnel->up.is_shut && tunnel->down.is_shut)
        tunnel_over(tunnel, TUNNEL_CLOSED);
    else if (up == MOVED_SOME || down == MOVED_SOME)
        loop_defer(tunnel->loop, &tunnel->task);
}

static void on_client_ready(struct watch *watch, unsigned ready)
{
    (void)ready;
    tunnel_look(CONTAINER_OF(watch, struct tunnel, client));
}

static void on_task(struct task *task)
{
    struct tunnel *tunnel = CONTAINER_OF(task, struct tunnel, task);
    if (tunnel->client.events)
        tunnel_look(tunnel);
    else
        tunnel_over(tunnel, TUNNEL_CANNOT_WATCH);
}

static void on_idle(struct timer *timer)
{
    tunnel_over(CONTAINER_OF(timer, struct tunnel, idle_timer), TUNNEL_IDLE);
}

// -- life --------------------------------------------------------------------------------------

void tunnel_init(struct tunnel *tunnel, struct loop *loop,
                 void (*on_over)(struct tunnel *tunnel, enum tunnel_end end))
{
    *tunnel = (struct tunnel){.loop = loop, .on_over = on_over, .fd = -1};
    tunnel->client.on_ready = on_client_ready;
    timer_init(&tunnel->idle_timer, on_idle);
    task_init(&tunnel->task, on_task);
}

static void way_init(struct tunnel_way *way, struct str early)
{
    *way = (struct tunnel_way){.at = 0};
    buf_init(&way->held, READ_SIZE > early.len ? READ_SIZE : early.len);
    if (!buf_append(&way->held, early))
        buf_clear(&way->held); // cannot happen: its ceiling is no lower
}

void tunnel_start(struct tunnel *tunnel, const struct tunnel_start *start)
{
    tunnel->fd = start->fd;
    tunnel->link = start->link;
    tunnel->idle_ms = start->idle_ms;
    tunnel->is_on = true;
    way_init(&tunnel->up, start->from_client);
    way_init(&tunnel->down, start->from_upstream);
    timer_start(tunnel->loop, &tunnel->idle_timer, tunnel->idle_ms);
    struct err err;
    unsigned events = LOOP_READ | LOOP_WRITE | LOOP_HANGUP | LOOP_EDGE;
    if (!watch_start(tunnel->loop, &tunnel->client, tunnel->fd, events, &err))
        log_warn("tunnel.cannot_watch", F_TEXT("why", err.text)); // the task finds out
    loop_defer(tunnel->loop, &tunnel->task); // what is here already gives no edge
}

void tunnel_stop(struct tunnel *tunnel)
{
    if (!tunnel->is_on)
        return;
    tunnel->is_on = false;
    watch_stop(tunnel->loop, &tunnel->client);
    timer_stop(tunnel->loop, &tunnel->idle_timer);
    task_cancel(&tunnel->task);
    buf_fini(&tunnel->up.held);
    buf_fini(&tunnel->down.held);
}

void tunnel_fini(struct tunnel *tunnel)
{
    tunnel_stop(tunnel);
    timer_stop(tunnel->loop, &tunnel->idle_timer);
}
