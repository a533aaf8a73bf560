// SPDX-License-Identifier: MIT
// See notify.h. Forty lines of our own in the place of a library that brings a dozen others.
#include "daemon/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/env.h"
#include "base/str.h"

void notify_init(struct notify *notify)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC"};
    const char *interval = env_get("WATCHDOG_USEC"), *pid = env_get("WATCHDOG_PID");
    uint64_t interval_us, number;
    *notify = (struct notify){.socket = mem_strdup(env_get("NOTIFY_SOCKET"))};
    bool is_ours = !pid || (str_to_u64(str_of(pid), &number) && number == (uint64_t)getpid());
    if (interval && is_ours && str_to_u64(str_of(interval), &interval_us))
        notify->watchdog_ms = interval_us / 1000;
    // Commands that we run must not speak for us; a successor of ours may (see upgrade.c).
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        env_hide(names[i]);
    env_forget("WATCHDOG_PID");
}

void notify_fini(struct notify *notify)
{
    mem_free(notify->socket);
    *notify = (struct notify){0};
}

void notify_send(const struct notify *notify, const char *lines)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = notify->socket ? strlen(notify->socket) : 0;
    if (!len || len >= sizeof to.sun_path || !strchr("/@", notify->socket[0]))
        return;
    memcpy(to.sun_path, notify->socket, len);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    // Who does not listen does not want to know.
    socklen_t to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    (void)sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (struct sockaddr *)&to, to_len);
    close(fd);
}

void notify_status(const struct notify *notify, const char *state, const char *status)
{
    char lines[1024];
    // A line break would begin another assignment.
    snprintf(lines, sizeof lines, "%s%sSTATUS=%.*s", state, *state ? "\n" : "",
             (int)strcspn(status, "\n"), status);
    notify_send(notify, lines);
}
