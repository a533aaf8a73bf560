// SPDX-License-Identifier: MIT
// What the two sides of the helper's socket share: a request is one packet, the head and then
// argv and env as NUL-terminated strings; with it come descriptors, of a command in the order of
// the enum below. The kernel passes no more than 253 at a time, so those of a restart are lent
// first, in packets of their own.
#ifndef BASE_HELPER_PRIVATE_H
#define BASE_HELPER_PRIVATE_H

#include <stdint.h>

#include "base/helper.h"

#define HELPER_PACKET_MAX ((size_t)160 * 1024)

#define HELPER_ENV_MAX  4200 // of a restart; of a command SPAWN_ENV_MAX
#define HELPER_FDS_MAX  ((size_t)250)
#define HELPER_LENT_MAX ((size_t)2100)

enum { HELPER_LINE, HELPER_INPUT, HELPER_ERRORS, HELPER_OUTPUT, HELPER_FDS }; // OUTPUT: may be none

// LEND_FIRST: what was lent before, for a start that never came, is given back.
enum helper_kind { HELPER_COMMAND, HELPER_LEND_FIRST, HELPER_LEND, HELPER_RESTART, HELPER_REFRESH };

struct helper_head {
    uint32_t kind, arg_count, env_count;
};

// helper_successor.c, the helper's side of a restart: takes what is lent, for the next start.
void successor_init(void);
void successor_keep_ambient(void); // from commands; once rights have settled
void successor_lend(const int *fds, size_t count);
void successor_give_back(void);
bool successor_start(const struct helper_setup *setup, const char *const *env, pid_t *out_pid,
                     struct err *err) WARN_UNUSED;

// The helper's whole life: never returns.
void helper_live(int socket, const struct helper_setup *setup) __attribute__((noreturn));

#endif
