// SPDX-License-Identifier: MIT
// One small HTTP exchange with a listener of ours, blocking and bounded: for subcommands that ask a
// running proxy something. Not for traffic: it knows neither TLS nor names nor keep-alive.
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

// Connects to address, written as in `listen` (an address for all interfaces means this machine; a
// name is looked up), sends request and appends to out all that comes until the peer closes or
// out's ceiling is reached. timeout_ms bounds each wait, and twice as long the whole.
bool probe_exchange(const char *address, struct str request, unsigned timeout_ms, struct buf *out,
                    struct err *err) WARN_UNUSED;

// Does anybody take connections there?
bool probe_connect(const char *address, unsigned timeout_ms, struct err *err) WARN_UNUSED;

// Is it bearerd's proxy that answers at this address, as far as it can be said (fd: has none)?
bool probe_proxy(const char *address, unsigned timeout_ms, struct err *err) WARN_UNUSED;

#endif
