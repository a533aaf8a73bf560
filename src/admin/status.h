// SPDX-License-Identifier: MIT
// What the files of /status.json share.
#ifndef ADMIN_STATUS_H
#define ADMIN_STATUS_H

#include "admin/admin_private.h"

void status_write_tokens(struct json_out *json, const struct admin *admin);
void status_write_traffic(struct json_out *json, const struct admin *admin); // routes, upstreams

#endif
