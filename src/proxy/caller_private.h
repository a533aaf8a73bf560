// SPDX-License-Identifier: MIT
// What caller_rules.c (compiles), caller_page.c (web pages), caller_key.c (client_key) and caller.c
// (the verdict) share; nobody else includes this. The rules are sets of exact texts: what is not in
// them is refused, and nothing is ever resolved, shortened or matched by suffix.
#ifndef PROXY_CALLER_PRIVATE_H
#define PROXY_CALLER_PRIVATE_H

#include "base/buf.h"
#include "proxy/caller.h"

#define CALLER_KEY_MAX 1024 // longer ones are refused: they are compared in a buffer on the stack

struct caller_rules {
    struct map hosts;      // authority -> itself
    struct map unix_hosts; // accepted on unix sockets only
    struct map origins;    // allow_origins
    size_t origin_count;
    bool passes_cors; // cors = pass
    char **texts;     // what the maps have views of
    size_t text_count, text_cap;
    uint32_t *uids; // allow_uids
    size_t uid_count;
    struct buf key; // client_key; len 0: none
};

enum caller_page {
    PAGE_NONE,      // no web page, or one that a person opens
    PAGE_ALLOWED,   // one that allow_origins names
    PAGE_PREFLIGHT, // its browser asks whether it may (cors = answer)
    PAGE_FOREIGN,
};

enum caller_page caller_page(const struct caller_rules *rules, const struct caller *caller);
bool caller_has_key(const struct caller_rules *rules, const struct fields *fields);

#endif
