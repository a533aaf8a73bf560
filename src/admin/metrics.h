// SPDX-License-Identifier: MIT
// What metrics.c and metrics_tokens.c share.
#ifndef ADMIN_METRICS_H
#define ADMIN_METRICS_H

#include "admin/admin_private.h"
#include "admin/exposition.h"

void metrics_write_tokens(struct exposition *exposition, const struct admin *admin);

#endif
