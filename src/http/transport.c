// SPDX-License-Identifier: MIT
// See transport.h. Every link of a pool is in exactly one place: `idle`, `connecting`, or out on a
// lease. A link that comes up is not tied to the lease it was opened for: it goes to whoever has
// waited longest.
#include "http/transport.h"

#include <string.h>

#include "base/log.h"

#define OLD_MS 1000

struct member {        // a link and its place in the pool
    struct list place; // in pool->idle or pool->connecting; unlinked while out on a lease
    struct pool *pool;
    struct link *link;
    struct lease *lease;
    uint64_t idle_since_ms;
    bool has_carried; // requests
};

struct pool {
    struct loop *loop;
    struct link_context *context;
    unsigned refs;
    struct pool_config config; // its strings are the pool's
    struct list idle;          // most recently used first
    struct list connecting;
    struct list waiting; // of struct lease, longest first
    struct pool_counts count;
    struct timer idle_timer;
    struct task handover_task;
};

static void member_close(struct member *member)
{
    list_remove(&member->place);
    link_close(member->link);
    mem_free(member);
}

static void member_lease(struct member *member, struct lease *lease)
{
    // One that was opened ahead is as good as new, unless so long ago that the upstream may have
    // given it up.
    bool has_aged =
        member->idle_since_ms && loop_now_ms(member->pool->loop) - member->idle_since_ms >= OLD_MS;
    lease->link = member->link;
    lease->is_reused = member->has_carried || has_aged;
    member->has_carried = true;
    member->lease = lease;
    member->pool->count.in_use++;
}

static struct member *pool_take_idle(struct pool *pool)
{
    struct list *place = list_take_first(&pool->idle);
    if (!place)
        return NULL;
    pool->count.idle--;
    return CONTAINER_OF(place, struct member, place);
}

static size_t pool_total(const struct pool *pool)
{
    return pool->count.idle + pool->count.in_use + pool->count.connecting;
}

static void on_connect(struct link *link, enum link_error error, const char *why);
static void on_ready(struct link *link, bool is_hangup);
static const struct link_ops member_ops = {.on_connect = on_connect, .on_ready = on_ready};

static void pool_connect(struct pool *pool)
{
    struct member *member = mem_alloc(sizeof *member);
    member->pool = pool;
    list_append(&pool->connecting, &member->place);
    pool->count.connecting++;
    pool->count.connects++;
    member->link = link_new(pool->context, &pool->config.target, &member_ops, member);
}

// One connection on its way up for each who waits, within the ceiling. An idle one (those that wait
// want a fresh one then) makes room.
static void pool_connect_for_waiting(struct pool *pool)
{
    while (pool->count.connecting < pool->count.waiting) {
        if (pool_total(pool) >= pool->config.connections_max) {
            struct member *idle = pool_take_idle(pool);
            if (!idle)
                return;
            member_close(idle);
        }
        pool_connect(pool);
    }
}

static struct lease *pool_take_waiting(struct pool *pool, bool is_fresh)
{
    for (struct list *node = pool->waiting.next; node != &pool->waiting; node = node->next) {
        struct lease *lease = CONTAINER_OF(node, struct lease, queue_link);
        if (lease->wants_fresh && !is_fresh)
            continue;
        list_remove(node);
        pool->count.waiting--;
        return lease;
    }
    return NULL;
}

static void pool_trim_idle(struct pool *pool)
{
    size_t foreseen = pool->count.announced;
    size_t max = foreseen > pool->config.idle_max ? foreseen : pool->config.idle_max;
    while (pool->count.idle > max) {
        pool->count.idle--;
        member_close(CONTAINER_OF(pool->idle.prev, struct member, place));
    }
}

static void pool_keep_idle(struct pool *pool, struct member *member)
{
    member->lease = NULL;
    member->idle_since_ms = loop_now_ms(pool->loop);
    list_prepend(&pool->idle, &member->place);
    if (pool->count.idle++ == 0 && pool->idle_timer.due_ms == TIMER_NEVER)
        timer_start(pool->loop, &pool->idle_timer, pool->config.idle_timeout_ms);
    if (!pool->count.waiting) // else the handover that follows does it
        pool_trim_idle(pool);
}

static void on_connect(struct link *link, enum link_error error, const char *why)
{
    struct member *member = link_owner(link);
    struct pool *pool = member->pool;
    list_remove(&member->place);
    pool->count.connecting--;
    struct lease *lease = pool_take_waiting(pool, true);
    if (error != LINK_OK) {
        member_close(member);
        if (lease)
            lease->on_failed(lease, error, why);
        pool_connect_for_waiting(pool);
    } else if (lease) {
        member_lease(member, lease);
        lease->on_link(lease);
    } else {
        pool_keep_idle(pool, member);
    }
}

static void on_ready(struct link *link, bool is_hangup)
{
    struct member *member = link_owner(link);
    if (member->lease) {
        member->lease->on_ready(member->lease, is_hangup);
        return;
    }
    // Idle: whatever can be read now (an end, an alert, a stray response) would spoil the next
    // request.
    (void)is_hangup;
    if (link_is_quiet(link))
        return;
    member->pool->count.idle--;
    member_close(member);
}

static void on_idle_timer(struct timer *timer)
{
    struct pool *pool = CONTAINER_OF(timer, struct pool, idle_timer);
    uint64_t now = loop_now_ms(pool->loop);
    while (!list_is_empty(&pool->idle)) {
        struct member *oldest = CONTAINER_OF(pool->idle.prev, struct member, place);
        uint64_t idle_ms = now - oldest->idle_since_ms;
        if (idle_ms < pool->config.idle_timeout_ms) {
            timer_start(pool->loop, timer, pool->config.idle_timeout_ms - idle_ms);
            return;
        }
        pool->count.idle--;
        member_close(oldest);
    }
}

// Those for whom no connection is on its way.
static size_t pool_queue_len(const struct pool *pool)
{
    size_t coming = pool->count.connecting;
    return pool->count.waiting > coming ? pool->count.waiting - coming : 0;
}

bool lease_is_queued(const struct lease *lease)
{
    return pool_queue_len(lease->pool) > 0;
}

void lease_announce(struct pool *pool, struct lease *lease)
{
    if (lease->pool)
        return;
    lease->pool = pool;
    lease->is_announced = true;
    const struct pool_counts *count = &pool->count;
    size_t claims = ++pool->count.announced + count->waiting;
    // Once: if it does not come up, taking the lease is what tries again.
    if (count->idle + count->connecting < claims && pool_total(pool) < pool->config.connections_max)
        pool_connect(pool);
}

static void lease_renounce(struct lease *lease)
{
    struct pool *pool = lease->pool;
    if (!lease->is_announced)
        return;
    lease->is_announced = false;
    pool->count.announced--;
    if (pool->count.idle > pool->config.idle_max)
        loop_defer(pool->loop, &pool->handover_task); // not yet: it may be about to be taken
}

enum lease_result lease_take(struct pool *pool, struct lease *lease)
{
    lease_renounce(lease);
    lease->pool = pool;
    lease->link = NULL;
    struct member *member = lease->wants_fresh ? NULL : pool_take_idle(pool);
    if (member) {
        member_lease(member, lease);
        return LEASE_NOW;
    }
    list_append(&pool->waiting, &lease->queue_link);
    pool->count.waiting++;
    pool_connect_for_waiting(pool);
    if (pool_queue_len(pool) <= pool->config.waiting_max)
        return LEASE_LATER;
    lease_end(lease, false);
    return LEASE_REFUSED;
}

void lease_end(struct lease *lease, bool is_reusable)
{
    struct pool *pool = lease->pool;
    if (!pool)
        return;
    lease_renounce(lease);
    lease->pool = NULL;
    if (!lease->link) {
        if (list_is_linked(&lease->queue_link)) {
            list_remove(&lease->queue_link);
            pool->count.waiting--;
        }
        return;
    }
    struct link *link = lease->link;
    struct member *member = link_owner(link);
    lease->link = NULL;
    pool->count.in_use--;
    if (!is_reusable || !link_is_quiet(link)) {
        member_close(member);
        pool_connect_for_waiting(pool);
        return;
    }
    pool_keep_idle(pool, member);
    // Not handed over here: the one who waits must not be called from inside another's end.
    if (pool->count.waiting)
        loop_defer(pool->loop, &pool->handover_task);
}

static void on_handover(struct task *task)
{
    struct pool *pool = CONTAINER_OF(task, struct pool, handover_task);
    struct lease *lease;
    while (pool->count.idle && (lease = pool_take_waiting(pool, false))) {
        member_lease(pool_take_idle(pool), lease);
        lease->on_link(lease);
    }
    pool_connect_for_waiting(pool); // for those who want a fresh one: an idle one makes room
    pool_trim_idle(pool);
}

// -- life --------------------------------------------------------------------------------------

// Borrows become the pool's own.
static void target_own(struct link_target *target)
{
    struct tls_options *tls = &target->tls;
    const char **texts[] = {
        &target->host,   &target->tls_name, &target->unix_socket, &target->proxy,     &tls->ca_file,
        &tls->cert_file, &tls->key_file,    &tls->ciphers,        &tls->ciphersuites, &tls->pin};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = mem_strdup(*texts[i]);
}

static void target_free(struct link_target *target)
{
    const struct tls_options *tls = &target->tls;
    const char *const texts[] = {target->host, target->tls_name,  target->unix_socket,
                                 tls->ca_file, tls->cert_file,    tls->key_file,
                                 tls->ciphers, tls->ciphersuites, tls->pin};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        mem_free(mem_unconst(texts[i]));
    mem_free_secret(mem_unconst(target->proxy)); // it may hold a password
}

struct pool *pool_new(struct loop *loop, struct link_context *context,
                      const struct pool_config *config)
{
    struct pool *pool = mem_alloc(sizeof *pool);
    pool->loop = loop;
    pool->context = context;
    pool->refs = 1;
    pool->config = *config;
    target_own(&pool->config.target);
    pool->config.tls_mark = mem_strdup(config->tls_mark);
    list_init(&pool->idle);
    list_init(&pool->connecting);
    list_init(&pool->waiting);
    timer_init(&pool->idle_timer, on_idle_timer);
    task_init(&pool->handover_task, on_handover);
    return pool;
}

struct pool *pool_ref(struct pool *pool)
{
    pool->refs++;
    return pool;
}

void pool_unref(struct pool *pool)
{
    if (!pool || --pool->refs > 0)
        return;
    while (!list_is_empty(&pool->idle))
        member_close(CONTAINER_OF(pool->idle.next, struct member, place));
    while (!list_is_empty(&pool->connecting))
        member_close(CONTAINER_OF(pool->connecting.next, struct member, place));
    timer_stop(pool->loop, &pool->idle_timer);
    task_cancel(&pool->handover_task);
    target_free(&pool->config.target);
    mem_free(mem_unconst(pool->config.tls_mark));
    mem_free(pool);
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool is_same_tls(const struct tls_options *a, const struct tls_options *b)
{
    return is_same_text(a->ca_file, b->ca_file) && is_same_text(a->cert_file, b->cert_file) &&
           is_same_text(a->key_file, b->key_file) && a->is_13_only == b->is_13_only &&
           is_same_text(a->ciphers, b->ciphers) && is_same_text(a->ciphersuites, b->ciphersuites) &&
           is_same_text(a->pin, b->pin);
}

bool pool_fits(const struct pool *pool, const struct pool_config *config)
{
    const struct link_target *ours = &pool->config.target, *theirs = &config->target;
    return is_same_text(ours->host, theirs->host) && ours->port == theirs->port &&
           ours->is_https == theirs->is_https && is_same_text(ours->proxy, theirs->proxy) &&
           ours->connect_timeout_ms == theirs->connect_timeout_ms &&
           is_same_text(ours->tls_name, theirs->tls_name) &&
           is_same_text(ours->unix_socket, theirs->unix_socket) &&
           is_same_tls(&ours->tls, &theirs->tls) &&
           is_same_text(pool->config.tls_mark, config->tls_mark);
}

void pool_limit(struct pool *pool, const struct pool_config *config)
{
    pool->config.connections_max = config->connections_max;
    pool->config.idle_max = config->idle_max;
    pool->config.idle_timeout_ms = config->idle_timeout_ms;
    pool->config.waiting_max = config->waiting_max;
    pool_trim_idle(pool);
    if (pool->count.waiting)
        loop_defer(pool->loop, &pool->handover_task); // there may be room now
    if (pool->count.idle)
        timer_start(pool->loop, &pool->idle_timer, 0);
}

struct pool_counts pool_count(const struct pool *pool)
{
    return pool->count;
}
