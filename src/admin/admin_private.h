// SPDX-License-Identifier: MIT
// What admin.c (listener, dispatch) and the files of its pages share; nobody else includes this.
#ifndef ADMIN_ADMIN_PRIVATE_H
#define ADMIN_ADMIN_PRIVATE_H

#include "admin/admin.h"
#include "admin/failures.h"
#include "admin/history.h"
#include "admin/process.h"
#include "base/json_out.h"
#include "base/list.h"

struct admin {
    struct loop *loop;
    struct facts facts;
    struct server *server;
    struct process *process;
    struct history *history;
    struct failures failures;
    struct list replies; // of visits whose answers are being sent, the oldest first
    struct timer timer;  // looks after those
};

#define PAGE_LATER (-1)

enum page_access {
    PAGE_OPEN,   // whoever may call at all
    PAGE_READ,   // with the key, where there is one
    PAGE_CHANGE, // over a unix socket, or with the key
};

struct visit { // a request, until its answer is sent
    struct list link;
    uint64_t replied_ms; // when its answer was there
    struct admin *admin;
    struct request *request;
    const struct admin_page *page; // NULL: none was found
    const char *policy;            // Content-Security-Policy; NULL: it loads nothing
    const char *location;          // with 303
    struct buf body;
    struct facts_order order; // under way
    int64_t uid;              // of the caller; -1: not known
};

struct admin_call {
    struct admin *admin;
    struct str query; // without '?'
    struct visit *visit;
};

struct admin_page {
    const char *path, *method;
    enum page_access access;
    const char *content_type;
    // Writes the body, returns the status. 0: it did not fit; PAGE_LATER: visit_finish() follows.
    int (*write)(const struct admin_call *call, struct buf *out);
    const char *what; // for the list of pages
};

// health.c
int health_live(const struct admin_call *call, struct buf *out);
int health_ready(const struct admin_call *call, struct buf *out);
int health_started(const struct admin_call *call, struct buf *out);
bool health_is_ready(const struct admin *admin);

// metrics.c
int metrics_write(const struct admin_call *call, struct buf *out);

// status.c
int status_write(const struct admin_call *call, struct buf *out);

// orders.c
int order_reload(const struct admin_call *call, struct buf *out);
int order_drain(const struct admin_call *call, struct buf *out);
int order_log_level(const struct admin_call *call, struct buf *out);

// tokens.c
enum token_state {
    TOKEN_NONE,     // nobody has asked for it
    TOKEN_FETCHING, // there is none yet
    TOKEN_VALID,
    TOKEN_DUE,     // valid, and being renewed or about to be
    TOKEN_FAILING, // due, and the last renewal failed
    TOKEN_FAILED,  // there is none, and the last fetch failed
    TOKEN_STATES
};
enum token_state token_state_of(const struct keeper_facts *facts, uint64_t now_ms);
const char *token_state_name(enum token_state state);
static inline bool token_state_is_usable(enum token_state state)
{
    return state == TOKEN_VALID || state == TOKEN_DUE || state == TOKEN_FAILING;
}

// admin.c
void visit_finish(struct visit *visit, int status); // the body is written
uint64_t admin_now_ms(void);                        // CLOCK_BOOTTIME, as tokens' times are
int64_t admin_utc_ms(uint64_t boottime_ms);         // the same moment, since the epoch
// {"type": …, "title": …, "status": …, "detail": …}; returns the status, or 0.
int admin_problem(struct buf *out, int status, const char *type, const char *title,
                  const char *detail);

#endif
