// SPDX-License-Identifier: MIT
// See passed.h. The variables are meant for one process: each says which, and others that inherit
// them by mistake leave the descriptors alone.
#include "daemon/passed.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/env.h"
#include "base/helper.h"
#include "base/str.h"

// "PID COUNT COUNT"
static bool parse_numbers(const char *text, uint64_t out[3])
{
    struct str rest = str_of(text), word;
    for (size_t i = 0; i < 3; i++)
        if (!str_word(&rest, &word) || !str_to_u64(word, &out[i]))
            return false;
    return !str_word(&rest, &word);
}

void passed_describe(size_t own_count, size_t lent_count, char *out, size_t out_max)
{
    snprintf(out, out_max, PASSED_VARIABLE "=%d %zu %zu", (int)helper_pid(), own_count, lent_count);
}

// -- taking ------------------------------------------------------------------------------------

static bool is_listening(int fd)
{
    int type = 0, listens = 0;
    socklen_t len = sizeof type;
    return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_STREAM &&
           !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) && listens;
}

static bool passed_add(struct passed *passed, int fd, struct str name, bool is_own, struct err *err)
{
    if (!is_listening(fd))
        return err_set(err,
                       "descriptor %d was handed over, but is no listening stream socket (in a "
                       "systemd socket unit: ListenStream=, and Accept=no)",
                       fd);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
        return err_errno(err, "cannot use the socket that was handed over as %d", fd);
    passed->items = mem_realloc(passed->items, (passed->count + 1) * sizeof *passed->items);
    struct passed_socket *socket = &passed->items[passed->count++];
    *socket = (struct passed_socket){.fd = fd, .name = str_dup(name), .is_own = is_own};
    listen_address(fd, socket->bound);
    return true;
}

// The next of names with colons between them; empty when there are no more.
static struct str next_name(struct str *names)
{
    size_t colon = names->len, next = names->len;
    if (str_find(*names, ':', &colon))
        next = colon + 1;
    struct str name = {names->ptr, colon};
    *names = str_from(*names, next);
    return name;
}

static bool passed_take(struct passed *passed, size_t own_count, size_t lent_count,
                        const char *names_text, struct err *err)
{
    struct str names = str_of(names_text);
    for (size_t i = 0; i < own_count + lent_count; i++) {
        bool is_own = i < own_count;
        struct str name = is_own ? STR_NONE : next_name(&names);
        if (!passed_add(passed, PASSED_FD_FIRST + (int)i, name, is_own, err))
            return false;
    }
    return true;
}

static bool is_from_predecessor(uint64_t numbers[3])
{
    const char *text = env_get(PASSED_VARIABLE);
    return text && parse_numbers(text, numbers) && numbers[0] == (uint64_t)getppid() &&
           numbers[1] <= PASSED_MAX && numbers[2] <= PASSED_MAX;
}

void passed_visit_paths(void (*visit)(void *arg, const char *path), void *arg)
{
    uint64_t numbers[3];
    if (!is_from_predecessor(numbers))
        return;
    for (uint64_t i = 0; i < numbers[1]; i++) {
        char bound[LISTEN_ADDRESS_MAX];
        listen_address(PASSED_FD_FIRST + (int)i, bound);
        const char *path = listen_path(bound);
        if (path)
            visit(arg, path);
    }
}

static bool load_from_predecessor(struct passed *passed, struct err *err)
{
    uint64_t numbers[3];
    if (!is_from_predecessor(numbers))
        return true;
    passed->parent_fd = PASSED_FD_FIRST + (int)(numbers[1] + numbers[2]);
    if (fcntl(passed->parent_fd, F_SETFD, FD_CLOEXEC))
        return err_errno(err, "cannot use what was handed over");
    return passed_take(passed, (size_t)numbers[1], (size_t)numbers[2],
                       env_get(PASSED_NAMES_VARIABLE), err);
}

static bool load_from_manager(struct passed *passed, struct err *err)
{
    const char *pid_text = env_get("LISTEN_PID"), *count_text = env_get("LISTEN_FDS");
    uint64_t pid, count;
    if (!pid_text || !count_text || !str_to_u64(str_of(pid_text), &pid) ||
        pid != (uint64_t)getpid() || !str_to_u64(str_of(count_text), &count))
        return true;
    if (count > PASSED_MAX)
        return err_set(err, "LISTEN_FDS: more than %d sockets", PASSED_MAX);
    return passed_take(passed, 0, (size_t)count, env_get("LISTEN_FDNAMES"), err);
}

void passed_forget(void)
{
    static const char *const names[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
                                        PASSED_VARIABLE, PASSED_NAMES_VARIABLE};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        env_forget(names[i]);
}

bool passed_load(struct passed *passed, struct err *err)
{
    *passed = (struct passed){.parent_fd = -1};
    bool ok = load_from_predecessor(passed, err);
    if (ok && passed->parent_fd < 0)
        ok = load_from_manager(passed, err);
    passed_forget();
    return ok;
}

// -- using -------------------------------------------------------------------------------------

struct passed_socket *passed_find(struct passed *passed, const char *address)
{
    struct str text = str_of(address);
    bool is_name = str_starts(text, STR("fd:"));
    for (size_t i = 0; i < passed->count; i++) {
        struct passed_socket *socket = &passed->items[i];
        bool is_meant = is_name ? !strcmp(socket->name, address + 3)
                                : socket->bound[0] && !strcmp(socket->bound, address);
        if (!socket->is_used && is_meant)
            return socket;
    }
    return NULL;
}

void passed_fini(struct passed *passed)
{
    for (size_t i = 0; i < passed->count; i++) {
        if (passed->items[i].fd >= 0)
            close(passed->items[i].fd);
        mem_free(passed->items[i].name);
    }
    mem_free(passed->items);
    if (passed->parent_fd >= 0)
        close(passed->parent_fd);
    *passed = (struct passed){.parent_fd = -1};
}
