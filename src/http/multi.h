// SPDX-License-Identifier: MIT
// libcurl's multi interface on a loop: its sockets become watches, its timeout a timer, and
// finished transfers are handed out from the loop, never from inside a libcurl callback. Handles
// are void pointers here so that <curl/curl.h> stays out of our headers.
#ifndef HTTP_MULTI_H
#define HTTP_MULTI_H

#include "base/err.h"
#include "base/loop.h"

struct multi; // owned by one loop

// on_done(arg, easy, code): transfer `easy` (CURL *) ended with `code` (CURLcode). It is still in
// the multi; the callee removes it, or leaves it there (a connection made with
// CURLOPT_CONNECT_ONLY).
typedef void multi_done_fn(void *arg, void *easy, int code);

struct multi *multi_new(struct loop *loop, multi_done_fn *on_done, void *arg,
                        struct err *err) WARN_UNUSED;
// All easy handles must have been removed. Not from inside on_done of the same multi.
void multi_free(struct multi *multi);
bool multi_add(struct multi *multi, void *easy, struct err *err) WARN_UNUSED;
void multi_remove(struct multi *multi, void *easy);

// Call once per process before threads exist; and the library version it found, for `version`.
bool multi_global_init(struct err *err) WARN_UNUSED;
const char *multi_library_version(void);

#endif
