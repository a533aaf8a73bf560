// SPDX-License-Identifier: MIT
// Who may call the admin listener: the proxy's own rules (proxy/caller.h), made of the settings of
// [admin] in the place of those of [proxy]. No Host but its own, no web page but its own.
#ifndef DAEMON_GATE_H
#define DAEMON_GATE_H

#include "admin/facts.h"

struct gate;

// A configuration whose only listener is the admin's, for what takes one. It owns nothing.
struct config gate_config(const struct config *config, struct secret *key);
// bound: the addresses that listening gave.
struct gate *gate_new(const struct config *config, const struct config_strings *bound,
                      struct err *err) WARN_UNUSED;
void gate_free(struct gate *gate); // NULL is fine
void gate_judge(const struct gate *gate, const struct request *request, struct facts_caller *out);

#endif
