// SPDX-License-Identifier: MIT
// File descriptors: how many the configuration may come to need, and what the system grants.
// Clients are kept to what leaves enough for upstreams, token requests and the operator, so that a
// crowd of clients cannot make requests fail that were let in.
#ifndef DAEMON_DESCRIPTORS_H
#define DAEMON_DESCRIPTORS_H

#include <stdint.h>

#include "config/config.h"

// For what is always there or comes and goes: standard streams, the control loop, token requests,
// resolvers, the store, commands, files read; and for listeners off the data path.
#define DESCRIPTORS_RESERVED 96

// Of everything at its limits.
uint64_t descriptors_needed(const struct config *config);
// Client connections (max_connections or fewer) for which `limit` descriptors suffice; 1 or more.
uint64_t descriptors_clients(const struct config *config, uint64_t limit);
// Raises the process's limit to what is needed, as far as it may. Returns the client connections to
// take, after a warning if these are fewer than max_connections. At the start and at every reload.
uint64_t descriptors_prepare(const struct config *config);

#endif
