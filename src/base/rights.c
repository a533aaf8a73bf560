// SPDX-License-Identifier: MIT
// See rights.h. Every step is looked at afterwards: a right that was to be gone and is not is an
// error, never a warning. The system calls for capabilities are made directly; they are two.
#include "base/rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"

#define SCRATCH 16384

// -- users -------------------------------------------------------------------------------------

static bool find_group(const char *group, gid_t *out, struct err *err)
{
    struct group entry, *found = NULL;
    char *scratch = mem_alloc(SCRATCH);
    uint64_t number;
    bool is_number = str_to_u64(str_of(group), &number) && number < UINT32_MAX;
    if (is_number)
        *out = (gid_t)number;
    else if (!getgrnam_r(group, &entry, scratch, SCRATCH, &found) && found)
        *out = found->gr_gid;
    mem_free(scratch);
    return is_number || found || err_set(err, "there is no group \"%s\"", group);
}

bool rights_user_find(const char *user, const char *group, struct rights_user *out, struct err *err)
{
    struct passwd entry, *found = NULL;
    char *scratch = mem_alloc(SCRATCH);
    uint64_t number;
    bool is_number = str_to_u64(str_of(user), &number) && number < UINT32_MAX;
    int failed = is_number ? getpwuid_r((uid_t)number, &entry, scratch, SCRATCH, &found)
                           : getpwnam_r(user, &entry, scratch, SCRATCH, &found);
    *out = (struct rights_user){0};
    if (!failed && found) {
        *out = (struct rights_user){.name = mem_strdup(found->pw_name),
                                    .home = mem_strdup(found->pw_dir),
                                    .uid = found->pw_uid,
                                    .gid = found->pw_gid};
    } else if (is_number) {
        *out = (struct rights_user){.home = mem_strdup("/"), .uid = (uid_t)number};
    }
    mem_free(scratch);
    if (!out->home)
        return err_set(err, "there is no user \"%s\"", user);
    if (group)
        return find_group(group, &out->gid, err);
    return out->name || err_set(err,
                                "there is no user %s in the user database, so its group must "
                                "be named, too",
                                user);
}

void rights_user_fini(struct rights_user *user)
{
    mem_free(user->name);
    mem_free(user->home);
    *user = (struct rights_user){0};
}

// -- giving up ---------------------------------------------------------------------------------

struct capabilities { // version 3 of the interface: two words of 32 each
    struct __user_cap_data_struct words[2];
};

static bool capabilities_get(struct capabilities *out)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    return !syscall(SYS_capget, &head, out->words);
}

static bool capabilities_set(const struct capabilities *wanted)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    return !syscall(SYS_capset, &head, wanted->words);
}

static bool is_same(const struct capabilities *a, const struct capabilities *b)
{
    for (size_t i = 0; i < ARRAY_LEN(a->words); i++)
        if (a->words[i].effective != b->words[i].effective ||
            a->words[i].permitted != b->words[i].permitted ||
            a->words[i].inheritable != b->words[i].inheritable)
            return false;
    return true;
}

// Needs CAP_SETPCAP. Who has not got that has nothing to gain by executing either: no new
// privileges.
static void drop_bounding(bool keep_bind)
{
    for (long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (!(keep_bind && cap == CAP_NET_BIND_SERVICE))
            prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static bool is_all(uid_t uid, gid_t gid)
{
    uid_t uids[3] = {0};
    gid_t gids[3] = {0};
    getresuid(&uids[0], &uids[1], &uids[2]);
    getresgid(&gids[0], &gids[1], &gids[2]);
    for (size_t i = 0; i < 3; i++)
        if (uids[i] != uid || gids[i] != gid)
            return false;
    return uid == 0 || (setuid(0) && seteuid(0));
}

bool rights_become(const struct rights_user *user, bool keep_bind, struct err *err)
{
    drop_bounding(keep_bind); // for whoever comes out of it has not got the right to
    int failed = user->name ? initgroups(user->name, user->gid) : setgroups(1, &user->gid);
    if (failed || prctl(PR_SET_KEEPCAPS, keep_bind ? 1L : 0L, 0, 0, 0) ||
        setresgid(user->gid, user->gid, user->gid) || setresuid(user->uid, user->uid, user->uid))
        return err_errno(err, "cannot become user %u, group %u", (unsigned)user->uid,
                         (unsigned)user->gid);
    prctl(PR_SET_KEEPCAPS, 0L, 0, 0, 0);
    setenv("HOME", user->home, 1);
    return is_all(user->uid, user->gid) ||
           err_set(err, "user %u can still become root again", (unsigned)user->uid);
}

uint64_t rights_take_ambient(void)
{
    uint64_t taken = 0;
    for (unsigned cap = 0; cap < 64; cap++)
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, (unsigned long)cap, 0, 0) == 1)
            taken |= UINT64_C(1) << cap;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return taken;
}

void rights_give_ambient(uint64_t taken)
{
    for (unsigned cap = 0; cap < 64; cap++)
        if (taken >> cap & 1)
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long)cap, 0, 0);
}

bool rights_drop(bool keep_bind, struct err *err)
{
    struct capabilities now = {0}, wanted = {0};
    uint32_t bind_bit = CAP_TO_MASK(CAP_NET_BIND_SERVICE);
    drop_bounding(keep_bind);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (!capabilities_get(&now))
        return err_errno(err, "cannot read this process's capabilities");
    uint32_t kept = keep_bind ? now.words[0].permitted & bind_bit : 0;
    wanted.words[0].permitted = wanted.words[0].effective = kept;
    // A service manager's filter may forbid the call where there is nothing to do.
    if (!is_same(&now, &wanted) && !capabilities_set(&wanted))
        return err_errno(err, "cannot give up capabilities");
    return (capabilities_get(&now) && is_same(&now, &wanted)) ||
           err_set(err, "capabilities were not given up");
}
