// SPDX-License-Identifier: MIT
// What proxy.c (the shared things), exchange.c (one request's way in) and exchange_reply.c (its
// answer's way out) share; nobody else includes this.
#ifndef PROXY_PROXY_PRIVATE_H
#define PROXY_PROXY_PRIVATE_H

#include "proxy/forward.h"
#include "proxy/inject.h"
#include "proxy/measure.h"
#include "proxy/problem.h"
#include "proxy/proxy.h"
#include "proxy/target.h"

struct proxy {
    struct loop *loop;
    const struct policy *policy;
    struct view *view;
    struct pool **pools; // by upstream index
    char **nonces;       // for proofs of possession, by upstream index; NULL: none yet
    struct meter *meter;
    uint64_t id_seed, id_count; // of requests' names
    uint64_t logged_count;      // for access_sample
    struct timer sample_timer;
    char instance[32]; // pseudonym of this process in Via
    struct list spare; // of struct exchange
    size_t spare_count;
    struct fields reply_fields; // filled and used within one call
};

#define HOST_MAX         280 // a name of 253 bytes, brackets, port
#define ROUTE_TOKENS_MAX 8   // credentials of one route

struct sent_tokens {                        // what a 401 would be about
    uint64_t generations[ROUTE_TOKENS_MAX]; // by the route's slots; 0: that one was not sent
    bool is_any, is_bound;
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
    bool request_is_over; // its last byte came
    bool reply_is_held;   // the response's head is here, but the request goes on
    bool has_replied;
    uint64_t body_len;
    int status;
    struct measure measure;
    const char *problem; // type of the problem it was answered with; NULL: none
    struct buf problem_body;
    struct str id; // exchange_about.c's; empty: not yet asked for
    char id_bytes[40];
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
void exchange_end(struct request *request, bool is_complete);

const struct config *config_of(const struct exchange *exchange);
bool request_has_body(const struct request *request);
void exchange_fail(struct exchange *exchange, int status, const char *type, const char *why);
struct inject_input exchange_inject_input(const struct exchange *exchange);

// exchange_send.c
void exchange_init_send(struct exchange *exchange);
void exchange_get_tokens(struct exchange *exchange); // then sends the request
// The response is a refusal of the token that another one, or a nonce, may turn: true, and it is
// not to be passed on now.
bool exchange_try_again(struct exchange *exchange);

// exchange_reply.c
void exchange_problem(struct exchange *exchange, const struct problem *problem);
void exchange_token_problem(struct exchange *exchange, const struct token_failure *failure);
void exchange_upstream_problem(struct exchange *exchange, enum forward_error error,
                               const char *why);
void exchange_reply(struct exchange *exchange); // the upstream's response
ssize_t exchange_pull(struct request *request, char *out, size_t out_max);
void exchange_log(struct exchange *exchange, bool is_complete);

#endif
