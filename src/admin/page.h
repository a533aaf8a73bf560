// SPDX-License-Identifier: MIT
// The status page, one document with its style and script, made from src/admin/page/ when bearerd
// is built. It is the same for everybody and holds no facts: its script asks /status.json for them.
#ifndef ADMIN_PAGE_H
#define ADMIN_PAGE_H

#include "base/str.h"

extern const struct str page_status;
// Content-Security-Policy: this script and this style by their hashes, /status.json, nothing else.
extern const char page_status_policy[];

#endif
