// SPDX-License-Identifier: MIT
// See log_sink.h. O_NONBLOCK is a property of the open file, which we share with whoever started
// us: it is never set on stderr itself. A socket can be told not to wait call by call; a pipe or
// terminal is opened once more, as a file of our own. Both cost nothing. Where that cannot be done
// (a pipe of another user's), the kernel is asked first whether there is room.
//
// A pipe takes a line of up to PIPE_BUF whole or not at all, and lines are not longer.
#include "base/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log_line.h"

_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "a line must fit into a pipe in one piece");

static enum { WAITS, SOCKET, OWN, ASKED } way; // WAITS: a file, a device; it does not wait for long
static int own_fd = -1;
static _Atomic bool is_cut; // the last line was written in part
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void log_sink_open(void)
{
    struct stat st;
    if (fstat(STDERR_FILENO, &st))
        return;
    bool is_terminal = S_ISCHR(st.st_mode) && isatty(STDERR_FILENO);
    if (S_ISSOCK(st.st_mode))
        way = SOCKET;
    if (!S_ISFIFO(st.st_mode) && !is_terminal)
        return;
    own_fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    way = own_fd >= 0 ? OWN : ASKED;
}

void log_sink_forget(void)
{
    if (way == OWN)
        way = ASKED;
    own_fd = -1;
}

// The lock keeps the room there is from being promised to two threads. Another process can still
// be quicker, and of a terminal that is almost full not even that is certain: then it is waited.
static ssize_t ask_and_write(struct str line)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    pthread_mutex_lock(&lock);
    ssize_t got = -1;
    if (poll(&room, 1, 0) > 0)
        got = write(STDERR_FILENO, line.ptr, line.len);
    pthread_mutex_unlock(&lock);
    return got;
}

static ssize_t write_now(struct str line)
{
    switch (way) {
    case SOCKET:
        return send(STDERR_FILENO, line.ptr, line.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case OWN:
        return write(own_fd, line.ptr, line.len);
    case ASKED:
        return ask_and_write(line);
    case WAITS:
        break;
    }
    return write(STDERR_FILENO, line.ptr, line.len);
}

bool log_sink_write(struct str line)
{
    if (atomic_load_explicit(&is_cut, memory_order_relaxed)) {
        if (write_now(STR("\n")) != 1)
            return false;
        atomic_store_explicit(&is_cut, false, memory_order_relaxed);
    }
    ssize_t got = write_now(line);
    if (got > 0 && (size_t)got < line.len)
        atomic_store_explicit(&is_cut, true, memory_order_relaxed);
    return got == (ssize_t)line.len;
}
