// SPDX-License-Identifier: MIT
// How many requests there were lately, and how many of them failed: five minutes in steps of five
// seconds, for each route, so that whoever comes to look sees how it began.
#ifndef ADMIN_HISTORY_H
#define ADMIN_HISTORY_H

#include "admin/facts.h"
#include "base/loop.h"

#define HISTORY_STEP_MS   5000
#define HISTORY_STEPS     60
#define HISTORY_CELLS_MAX 1000 // routes beyond have none

struct history;

struct history_steps { // the oldest first; the last is the latest whole step
    uint32_t requests[HISTORY_STEPS], failed[HISTORY_STEPS];
};

// The facts are borrowed.
struct history *history_new(struct loop *loop, const struct facts *facts) WARN_UNUSED;
void history_free(struct history *history);
// False: nothing is kept of it. route NULL: an upstream's requests without one.
bool history_read(const struct history *history, const struct config_upstream *upstream,
                  const struct config_route *route, struct history_steps *out);
// 5xx, or without a whole answer: what an operator would call failed. Each request once.
uint64_t history_failed(const struct traffic *traffic);

#endif
