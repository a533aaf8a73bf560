// SPDX-License-Identifier: MIT
// See sandbox.h. Owns the list of what is in reach. Invariants: rules are for folders, not files,
// because files are replaced (secrets are rotated, resolv.conf follows the network) and a rule
// does not follow; and never for "/", which would be no rule at all.
#include "daemon/sandbox.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/landlock.h"
#include "base/log.h"
#include "base/syscalls.h"
#include "config/uses.h"
#include "daemon/passed.h"

struct rule {
    char *path;
    unsigned rights;
};

struct reach {
    struct landlock *landlock; // NULL once it is enforced
    struct rule *rules;
    size_t count;
};

static struct reach *reach;   // NULL: everything is in reach
static bool is_without_modes; // and therefore without unix sockets

// What libraries read at any time: names (resolver and name services), certification authorities,
// their own modules, the number of processors.
static const struct {
    const char *path;
    unsigned rights;
} system_rules[] = {
    {"/etc", LANDLOCK_READ},
    {"/usr", LANDLOCK_READ},
    {"/lib", LANDLOCK_READ},
    {"/lib64", LANDLOCK_READ},
    {"/proc", LANDLOCK_READ},
    {"/sys/devices/system/cpu", LANDLOCK_READ},
    {"/run/systemd", LANDLOCK_READ},
    {"/run/resolvconf", LANDLOCK_READ},
    {"/run/NetworkManager", LANDLOCK_READ},
    {"/run/connman", LANDLOCK_READ},
    {"/run/nscd", LANDLOCK_READ},
    {"/var/lib/sss", LANDLOCK_READ},
    {"/var/lib/ca-certificates", LANDLOCK_READ},
    {"/dev/null", LANDLOCK_READ | LANDLOCK_WRITE},
    {"/dev/urandom", LANDLOCK_READ},
    {"/dev/random", LANDLOCK_READ},
};

// -- what is in reach --------------------------------------------------------------------------

static bool is_in_reach(const struct reach *of, const char *path, unsigned rights)
{
    for (size_t i = 0; i < of->count; i++)
        if ((of->rules[i].rights & rights) == rights && file_is_below(path, of->rules[i].path))
            return true;
    return false;
}

static bool reach_add(struct reach *to, const char *path, unsigned rights)
{
    if (is_in_reach(to, path, rights))
        return true;
    if (!landlock_allow(to->landlock, path, rights))
        return false;
    to->rules = mem_realloc(to->rules, (to->count + 1) * sizeof *to->rules);
    to->rules[to->count++] = (struct rule){.path = mem_strdup(path), .rights = rights};
    return true;
}

static void reach_free(struct reach *what)
{
    for (size_t i = 0; i < what->count; i++)
        mem_free(what->rules[i].path);
    mem_free(what->rules);
    landlock_free(what->landlock);
    mem_free(what);
}

// -- from uses to folders ----------------------------------------------------------------------

static unsigned rights_for(enum config_use use)
{
    return use == USE_WRITTEN  ? LANDLOCK_READ | LANDLOCK_WRITE
           : use == USE_SOCKET ? LANDLOCK_SOCKET
                               : LANDLOCK_READ;
}

static bool is_path(enum config_use use)
{
    return use == USE_FILE || use == USE_WRITTEN || use == USE_SOCKET;
}

// A file right below "/" is named itself: containers have such ones.
static void add_folder(struct reach *to, const char *path, unsigned rights)
{
    char *folder = file_folder(path);
    if (!reach_add(to, folder ? folder : path, rights))
        log_warn("sandbox.unreachable", F_TEXT("file", path), F_TEXT("why", strerror(errno)));
    mem_free(folder);
}

static void add_use(void *arg, enum config_use use, const char *path)
{
    char *real = is_path(use) ? realpath(path, NULL) : NULL;
    if (is_path(use))
        add_folder(arg, path, rights_for(use));
    if (real)
        add_folder(arg, real, rights_for(use)); // where a symbolic link leads
    free(real);
}

// Those that this configuration does not have any more are removed by us.
static void add_predecessors(void *arg, const char *path)
{
    add_folder(arg, path, LANDLOCK_SOCKET);
}

struct search {
    struct err *err;
    bool is_covered;
};

// named: as the configuration has it.
static void check_folder(struct search *search, enum config_use use, const char *path,
                         const char *named)
{
    char *folder = file_folder(path);
    if (!is_in_reach(reach, folder ? folder : path, rights_for(use)))
        search->is_covered = err_set(search->err,
                                     "%s lies in a folder that the sandbox keeps out of reach: it "
                                     "was not in use when bearerd started; restart bearerd",
                                     named);
    mem_free(folder);
}

static void check_use(void *arg, enum config_use use, const char *path)
{
    struct search *search = arg;
    if (!is_path(use) || !search->is_covered)
        return;
    if (use == USE_SOCKET && is_without_modes)
        search->is_covered = err_set(search->err,
                                     "%s cannot be listened on: no unix socket was when bearerd "
                                     "started, and the sandbox has none made; restart bearerd",
                                     path);
    char *real = realpath(path, NULL);
    if (reach && search->is_covered)
        check_folder(search, use, path, path);
    if (reach && real && search->is_covered)
        check_folder(search, use, real, path); // where a symbolic link leads
    free(real);
}

bool sandbox_covers(const struct config *config, struct err *err)
{
    struct search search = {.err = err, .is_covered = true};
    config_visit_uses(config, check_use, &search);
    return search.is_covered;
}

void sandbox_explain(struct config_faults *faults, const char *config_path)
{
    for (size_t i = 0; reach && i < faults->count; i++)
        if (strstr(faults->items[i].message, strerror(EACCES))) {
            config_faults_add(faults, (struct config_place){config_path, 0},
                              "a folder that was not in use when bearerd started is out of reach "
                              "of the sandbox until bearerd is restarted");
            return;
        }
}

// -- entering ----------------------------------------------------------------------------------

static bool restrict_files(const struct config *config, struct err *err)
{
    struct reach *made = mem_alloc(sizeof *made);
    made->landlock = landlock_new(err);
    if (made->landlock) {
        for (size_t i = 0; i < ARRAY_LEN(system_rules); i++)
            (void)!reach_add(made, system_rules[i].path, system_rules[i].rights);
        for (const char *const *folder = config_own_folders; *folder; folder++)
            (void)!reach_add(made, *folder, LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_SOCKET);
        config_visit_uses(config, add_use, made);
        passed_visit_paths(add_predecessors, made);
    }
    if (!made->landlock || !landlock_enforce(made->landlock, err)) {
        reach_free(made);
        return false;
    }
    landlock_free(made->landlock);
    made->landlock = NULL;
    reach = made;
    return true;
}

static void look_for_socket(void *arg, enum config_use use, const char *path)
{
    bool *has_socket = arg;
    (void)path;
    *has_socket |= use == USE_SOCKET;
}

static bool restrict_calls(const struct config *config, struct err *err)
{
    bool has_socket = false;
    config_visit_uses(config, look_for_socket, &has_socket);
    bool ok = syscalls_restrict(has_socket, err);
    is_without_modes = ok && !has_socket;
    return ok;
}

static bool enter(const struct config *config, struct err *err)
{
    struct err why;
    bool is_strict = config->sandbox == SANDBOX_STRICT;
    bool has_files = restrict_files(config, &why);
    if (!has_files && is_strict)
        return err_set(err, "sandbox = strict: %s", why.text);
    if (!has_files)
        log_warn("sandbox.missing", F_TEXT("what", "landlock"), F_TEXT("why", why.text));
    unsigned version = has_files ? landlock_version() : 0;
    bool has_calls = restrict_calls(config, &why);
    if (!has_calls && is_strict)
        return err_set(err, "sandbox = strict: %s", why.text);
    if (!has_calls)
        log_warn("sandbox.missing", F_TEXT("what", "seccomp"), F_TEXT("why", why.text));
    log_info("sandbox", F_NUM("landlock", version), F_NUM("folders", has_files ? reach->count : 0),
             F_NUM("seccomp", has_calls));
    return true;
}

bool sandbox_enter(const struct config *config, struct err *err)
{
    if (config->sandbox == SANDBOX_OFF)
        return true;
    if (config->sandbox == SANDBOX_STRICT && geteuid() == 0)
        return err_set(err, "sandbox = strict: bearerd must not run as root; see user");
    return enter(config, err);
}
