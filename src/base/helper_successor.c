// SPDX-License-Identifier: MIT
// See helper.h: this program, started once more by the helper. Which program and with what
// arguments was settled when the helper was made; whoever asks has a say in the descriptors and,
// as far as the rule permits, in the environment. Owns descriptors that are lent until the start.
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/helper_private.h"
#include "base/log.h"
#include "base/rights.h"

static struct {
    char program[PATH_MAX];
    int fds[HELPER_LENT_MAX];
    size_t count;
    bool is_broken;   // some were too many
    uint64_t ambient; // capabilities that a service manager gave the program, not its commands
} successor;

// Our own path as it is now: once the file is replaced, the link to it says "(deleted)".
void successor_init(void)
{
    ssize_t len = readlink("/proc/self/exe", successor.program, sizeof successor.program - 1);
    successor.program[len > 0 ? len : 0] = '\0';
}

void successor_keep_ambient(void)
{
    successor.ambient = rights_take_ambient();
}

void successor_lend(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (successor.count < HELPER_LENT_MAX) {
            successor.fds[successor.count++] = fds[i];
        } else {
            close(fds[i]);
            successor.is_broken = true;
        }
}

void successor_give_back(void)
{
    for (size_t i = 0; i < successor.count; i++)
        close(successor.fds[i]);
    successor.count = 0;
    successor.is_broken = false;
}

static bool start(const struct helper_setup *setup, const char *const *env, pid_t *out_pid,
                  struct err *err)
{
    if (!setup->restart_argv || !successor.program[0] || !setup->permits_restart(setup->arg, env)) {
        log_error("helper.refused", F_TEXT("command", successor.program));
        return err_set(err, "cannot start a successor: that is not permitted");
    }
    if (successor.is_broken)
        return err_set(err, "cannot start a successor: more than %zu sockets", HELPER_LENT_MAX);
    char **whole = env_list(env);
    rights_give_ambient(successor.ambient);
    bool ok = spawn_program(successor.program, setup->restart_argv, whole, successor.fds,
                            successor.count, out_pid, err);
    (void)rights_take_ambient();
    mem_free(whole);
    return ok;
}

bool successor_start(const struct helper_setup *setup, const char *const *env, pid_t *out_pid,
                     struct err *err)
{
    bool ok = start(setup, env, out_pid, err);
    successor_give_back();
    return ok;
}
