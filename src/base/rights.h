// SPDX-License-Identifier: MIT
// Whom the process runs as, and what the kernel lets it do beyond that: users, groups,
// capabilities. All of it before there are threads, for capabilities belong to each thread.
#ifndef BASE_RIGHTS_H
#define BASE_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

struct rights_user {
    char *name; // of an entry in the user database; NULL: it has none
    char *home; // "/" if it has no entry
    uid_t uid;
    gid_t gid;
};

// Names or numbers. group NULL: the user's own. The memory is the caller's to give back.
bool rights_user_find(const char *user, const char *group, struct rights_user *out,
                      struct err *err) WARN_UNUSED;
void rights_user_fini(struct rights_user *user);

// From root to that user for good, with its groups and its HOME. What capabilities root had are
// kept only if keep_bind says so, for rights_drop() to choose from; else they are gone.
bool rights_become(const struct rights_user *user, bool keep_bind, struct err *err) WARN_UNUSED;

// Ambient capabilities pass to whatever is executed. take: this process's, which has them no more,
// as bits; give: has them again, as far as they are still permitted.
uint64_t rights_take_ambient(void);
void rights_give_ambient(uint64_t taken);

// Gives up every capability, now and for whatever is executed, but that to listen on ports below
// 1024 if keep_bind says so and it is there.
bool rights_drop(bool keep_bind, struct err *err) WARN_UNUSED;

#endif
