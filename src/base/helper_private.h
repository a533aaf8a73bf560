// SPDX-License-Identifier: MIT
// What the two sides of the helper's socket share: a request is one packet, the head and then
// argv and env as NUL-terminated strings; with it come descriptors in the order of enum below.
#ifndef BASE_HELPER_PRIVATE_H
#define BASE_HELPER_PRIVATE_H

#include <stdint.h>

#include "base/helper.h"

#define HELPER_PACKET_MAX ((size_t)160 * 1024)

enum { HELPER_LINE, HELPER_INPUT, HELPER_ERRORS, HELPER_OUTPUT, HELPER_FDS }; // OUTPUT: may be none

struct helper_head {
    uint32_t arg_count, env_count;
};

// The helper's whole life: never returns.
void helper_live(int socket, const struct helper_setup *setup) __attribute__((noreturn));

#endif
