// SPDX-License-Identifier: MIT
// What proxy.c (the shared things), exchange.c (one request's way in) and exchange_reply.c (its
// answer's way out) share; nobody else includes this.
#ifndef PROXY_PROXY_PRIVATE_H
#define PROXY_PROXY_PRIVATE_H

#include "proxy/answer.h"
#include "proxy/forward.h"
#include "proxy/ids.h"
#include "proxy/inject.h"
#include "proxy/measure.h"
#include "proxy/problem.h"
#include "proxy/proxy.h"
#include "proxy/target.h"
#include "proxy/tunnel.h"

struct proxy {
    struct loop *loop;
    struct policy *policy;
    struct view *view;
    struct link_context *links;
    struct pool **pools; // by upstream index; shared with other configurations' where they fit
    char **nonces;       // for proofs of possession, by upstream index; NULL: none yet
    struct meter *meter;
    struct timer sample_timer;
    uint64_t logged_count;              // for access_sample
    char instance[32];                  // pseudonym of this process in Via
    size_t request_count, requests_max; // past the checks and not yet answered; max 0: any
    struct list spare;                  // of struct exchange
    size_t spare_count, live_count;     // live: begun and not ended
    bool is_retired;
    struct task end_task;
    void (*on_gone)(void *arg);
    void *gone_arg;
    struct fields reply_fields; // filled and used within one call
    struct ids ids;             // for requests and traces
    struct fields trailers;     // likewise
};

#define HOST_MAX         280 // a name of 253 bytes, brackets, port
#define ROUTE_TOKENS_MAX 8   // credentials of one route

struct sent_tokens {                        // what a 401 would be about
    uint64_t generations[ROUTE_TOKENS_MAX]; // by the route's slots; 0: that one was not sent
    bool is_any, is_bound;
    struct answer_marks marks; // by which they are known again
};

// One request's life, from the head to the end of the answer. Kept and used again.
struct exchange {
    struct proxy *proxy;
    struct request *request; // NULL while spare
    struct list spare_link;
    struct target target;
    struct route_choice choice;
    char host_bytes[HOST_MAX];
    struct str host;
    struct view_waiter waiter;
    size_t waiting_slot;
    bool is_counted;           // in request_count
    bool is_waiting;           // for a token
    bool is_again;             // the next sending is the second of the same request
    bool was_replayed;         // with a newer token, after a 401
    bool had_nonce;            // sent again with the nonce the upstream asked for
    bool is_asking, has_newer; // for tokens newer than those refused
    size_t asked;              // so many of the route's slots
    struct sent_tokens sent;
    struct buf proof; // of possession, for this request
    struct timer token_timer, whole_timer;
    struct forward forward;
    struct buf offer; // of protocols to the upstream; empty: none
    struct tunnel tunnel;
    struct connect *connect; // instead of `forward`, for CONNECT
    bool request_is_over;    // its last byte came
    bool reply_is_held;      // the response's head is here, but the request goes on
    bool overlaps;           // the reply is under way, and so is the request
    bool has_replied;
    bool passes_trailers; // of the response
    uint64_t body_len;
    int status;
    struct measure measure;
    const char *problem; // type of the problem it was answered with; NULL: none
    struct buf problem_body;
    // exchange_about.c's; empty: not yet asked for
    struct str id, trace, origin;
    bool drops_tracestate;
    char id_bytes[IDS_LEN], trace_bytes[IDS_TRACE_LEN], peer_bytes[REQUEST_PEER_MAX];
};

// proxy.c
struct exchange *exchange_new(struct proxy *proxy);
void exchange_release(struct exchange *exchange);
void exchange_free(struct exchange *exchange);

// exchange.c
extern const struct forward_ops exchange_forward_ops;
void exchange_init(struct exchange *exchange, struct proxy *proxy);
void exchange_start(struct proxy *proxy, struct request *request);
void exchange_refuse(struct proxy *proxy, struct request *request, int status, const char *why);
size_t exchange_take_body(struct request *request, struct str bytes);
void exchange_end_body(struct request *request);
void exchange_give_up_body(struct request *request); // the client sends it too slowly
void exchange_end(struct request *request, bool is_complete);

const struct config *config_of(const struct exchange *exchange);
bool request_has_body(const struct request *request);
void exchange_fail(struct exchange *exchange, int status, const char *type, const char *why);
struct inject_input exchange_inject_input(const struct exchange *exchange);

// exchange_send.c
void exchange_init_send(struct exchange *exchange);
void exchange_forget_sent(struct exchange *exchange);
void exchange_get_tokens(struct exchange *exchange); // then sends the request
// The head anew, with a proof of its own, for a second try on another connection. False: a token
// has just expired, or there is no proof.
bool exchange_write_again(struct forward *forward, struct buf *head);
// The response is a refusal of the token that another one, or a nonce, may turn: true, and it is
// not to be passed on now.
bool exchange_try_again(struct exchange *exchange);

// exchange_switch.c
void exchange_init_switch(struct exchange *exchange);
void exchange_make_offer(struct exchange *exchange);
void exchange_switch(struct exchange *exchange); // the upstream's 101
void exchange_on_switched(struct request *request, int fd, struct str early);

// exchange_connect.c
void exchange_connect(struct exchange *exchange);
void exchange_end_connect(struct exchange *exchange);
const char *connect_place(const struct connect *connect); // host:port
struct link *connect_link(const struct connect *connect);

// exchange_reply.c
void exchange_problem(struct exchange *exchange, const struct problem *problem);
void exchange_token_problem(struct exchange *exchange, const struct token_failure *failure);
void exchange_upstream_problem(struct exchange *exchange, enum forward_error error,
                               const char *why);
void exchange_tell_options(struct exchange *exchange); // what bearerd itself knows of OPTIONS
void exchange_reply(struct exchange *exchange);        // the upstream's response
// The response's fields into proxy->reply_fields. False when they do not fit into the client's
// connection.
bool exchange_copy_fields(struct exchange *exchange) WARN_UNUSED;
void exchange_pass_interim(struct exchange *exchange); // one before it
ssize_t exchange_pull(struct request *request, char *out, size_t out_max);
void exchange_log(struct exchange *exchange, bool is_complete);

#endif
