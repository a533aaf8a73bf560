// SPDX-License-Identifier: MIT
// Word to a service manager, in systemd's protocol (sd_notify): a datagram of NAME=value lines to
// the socket that NOTIFY_SOCKET names. Nobody listens: no-op.
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct notify {
    char *socket;         // path, or '@' and an abstract name; NULL: nobody listens
    uint64_t watchdog_ms; // how often it wants to hear WATCHDOG=1 at least; 0: it does not
};

// Reads the environment, and takes out of it what is for this process alone.
void notify_init(struct notify *notify);
void notify_fini(struct notify *notify); // from here on it says nothing; may be called again

void notify_send(const struct notify *notify, const char *lines);
void notify_status(const struct notify *notify, const char *state, const char *status);

#endif
