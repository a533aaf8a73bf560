// SPDX-License-Identifier: MIT
// A secret by reference: env:NAME, file:PATH, credential:NAME (systemd's credential folder) or the
// literal. The value has no way into a log or message: this is the only interface to it.
#ifndef CONFIG_SECRET_H
#define CONFIG_SECRET_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define SECRET_MAX 65536

struct secret;

// Parses the reference; env: is read at once (an unset or empty variable is an error), files are
// not.
struct secret *secret_new(const char *reference, struct err *err) WARN_UNUSED;
void secret_free(struct secret *secret); // wipes; NULL is fine

// Appends the value to out: a file is read anew each time, one trailing newline (LF or CRLF)
// dropped. The caller wipes it (buf_fini does). Thread-safe: the object is immutable.
bool secret_read(const struct secret *secret, struct buf *out, struct err *err) WARN_UNUSED;
// For messages: "env:NAME", "file:PATH", "credential:NAME" or "(literal)".
const char *secret_origin(const struct secret *secret);
const char *secret_file(const struct secret *secret); // of the file it is read from; NULL: none

#endif
