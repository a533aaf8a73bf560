// SPDX-License-Identifier: MIT
// The little of JSON that settings need. Error texts tell a position, never what stands there.
#ifndef CONFIG_JSON_H
#define CONFIG_JSON_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

// One object or array, no member twice, no more than JSON_DEPTH_MAX deep.
bool json_check(struct str text, struct err *err) WARN_UNUSED;
// authorization_details (RFC 9396, 2): an array of objects with a `type`, without white space and
// with members in order, so that what means the same reads the same.
char *json_authorization_details(struct str text, struct err *err) WARN_UNUSED;

#define JSON_DEPTH_MAX 16

#endif
