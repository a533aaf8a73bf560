// SPDX-License-Identifier: MIT
// CONNECT (RFC 9110 9.3.6): may this tunnel be opened, and where to? Pure.
#ifndef PROXY_CONNECT_H
#define PROXY_CONNECT_H

#include "config/config.h"
#include "proxy/caller.h"
#include "proxy/target.h"

// Status 0: to *out_place, an item of config->connect_hosts, host:port. Else 501 (connect =
// refuse) or 403 (not in the list).
struct caller_verdict connect_check(const struct config *config, const struct target *target,
                                    const char **out_place);

#endif
