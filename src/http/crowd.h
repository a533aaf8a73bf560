// SPDX-License-Identifier: MIT
// How many connections each client has, in all workers together, against a limit for each. A client
// is an address, or a user of a unix socket. Asked when connections come and go, never for a
// request. Any thread.
#ifndef HTTP_CROWD_H
#define HTTP_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/mem.h"

struct crowd;

struct crowd_client { // compared byte by byte
    unsigned char bytes[17];
};

struct crowd *crowd_new(uint64_t limit) WARN_UNUSED;
void crowd_free(struct crowd *crowd); // NULL is fine
// The peer of a connection just accepted, whose address that is.
struct crowd_client crowd_client_of(int fd, const struct sockaddr_storage *address);
// True: it has one more, until crowd_leave().
bool crowd_enter(struct crowd *crowd, const struct crowd_client *client) WARN_UNUSED;
void crowd_leave(struct crowd *crowd, const struct crowd_client *client);

#endif
