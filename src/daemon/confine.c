// SPDX-License-Identifier: MIT
// See confine.h. The order counts: the helper is forked while forking is allowed, with no secret in
// its memory or environment; rights go before the sandbox, which forbids to change them.
#include "daemon/confine.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/env.h"
#include "base/helper.h"
#include "base/log.h"
#include "base/rights.h"
#include "config/uses.h"
#include "daemon/commands.h"
#include "daemon/passed.h"
#include "daemon/process.h"
#include "daemon/sandbox.h"

// Sanitizers and gcov look about in the process and write files when it ends, which needs what
// would be given up.
#ifdef BEARERD_INSTRUMENTED
static const bool is_instrumented = true;
#else
static const bool is_instrumented = false;
#endif

struct plan {
    struct config *config;
    struct commands *commands;
    struct rights_user user;
    bool becomes; // user
};

// In the helper. Where root stays root, commands keep what root can do: that is what whoever set it
// up so wants of them.
static bool settle_helper(void *arg, struct err *err)
{
    struct plan *plan = arg;
    env_forget_secrets();
    config_unref(plan->config); // a copy, and the last one here: its secrets are wiped
    passed_forget();
    env_forget("WATCHDOG_PID");
    return !plan->becomes || rights_become(&plan->user, false, err);
}

static bool permit_command(void *arg, const char *const *argv, const char *const *env)
{
    const struct plan *plan = arg;
    return commands_permit(plan->commands, argv, env);
}

// Secrets that the environment held, and no configuration had named, are known by their names now:
// a successor may be told of them, and nothing of them stays here.
static void refresh_helper(void *arg)
{
    const struct plan *plan = arg;
    commands_refresh(plan->commands);
    env_hide_secrets();
    env_forget_secrets();
}

// What only the other process knows: sockets, and secrets that are hidden from this one. A variable
// of any other name could make of this program any other.
static bool permit_restart(void *arg, const char *const *env)
{
    (void)arg;
    for (size_t i = 0; env[i]; i++) {
        char *name = mem_strndup(env[i], strcspn(env[i], "="));
        bool ok = !strcmp(name, PASSED_VARIABLE) || !strcmp(name, PASSED_NAMES_VARIABLE) ||
                  env_is_secret(name);
        mem_free(name);
        if (!ok)
            return false;
    }
    return true;
}

static void look_for_low_port(void *arg, enum config_use use, const char *address)
{
    bool *is_low = arg;
    if (use != USE_ADDRESS)
        return;
    struct str rest = str_of(address);
    uint64_t port;
    for (size_t colon; str_find(rest, ':', &colon);)
        rest = str_from(rest, colon + 1);
    *is_low |= str_to_u64(rest, &port) && port > 0 && port < 1024;
}

static bool drop_rights(const struct plan *plan, struct err *err)
{
    bool has_low_port = false;
    config_visit_uses(plan->config, look_for_low_port, &has_low_port);
    if (plan->becomes && !rights_become(&plan->user, has_low_port, err))
        return false;
    if (!is_instrumented && !rights_drop(has_low_port, err))
        return false;
    if (geteuid() == 0)
        log_warn("process.root", F_TEXT("text", "bearerd runs as root, which it has no need of; "
                                                "see the setting user"));
    // A change of user has switched it on again.
    return !prctl(PR_SET_DUMPABLE, 0) || err_errno(err, "cannot switch core dumps off");
}

static bool find_user(struct plan *plan, struct err *err)
{
    const struct config *config = plan->config;
    if (!config->user)
        return true;
    if (!rights_user_find(config->user, config->group, &plan->user, err))
        return false;
    plan->becomes = geteuid() == 0 && plan->user.uid != 0;
    if (!plan->becomes && plan->user.uid != geteuid())
        log_warn("process.user", F_TEXT("user", config->user),
                 F_TEXT("text", "not started as root, bearerd cannot become this user"));
    return true;
}

bool daemon_confine(struct config *config, const struct daemon_service *service, struct err *err)
{
    static struct plan plan; // the helper goes on using its copy
    plan = (struct plan){.config = config};
    const struct helper_setup setup = {.settle = settle_helper,
                                       .permits = permit_command,
                                       .permits_restart = permit_restart,
                                       .refresh = refresh_helper,
                                       .arg = &plan,
                                       .restart_argv = service->argv};
    if (!find_user(&plan, err))
        return false;
    process_log_ignored();
    env_hide_secrets();
    plan.commands = commands_new(config);
    bool ok = helper_start(&setup, err) && drop_rights(&plan, err) &&
              (is_instrumented || sandbox_enter(config, err));
    commands_free(plan.commands);
    rights_user_fini(&plan.user);
    return ok;
}
