// SPDX-License-Identifier: MIT
// Small files read whole, with a ceiling; and the folders that files are in.
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

// Reads all of the file into out (which the caller initialised with its ceiling).
bool file_read(const char *path, struct buf *out, struct err *err) WARN_UNUSED;
// As file_read, for secrets: a regular file, not readable by others than owner and group, owned by
// root or ourselves (systemd and Kubernetes mounts are).
bool file_read_secret(const char *path, struct buf *out, struct err *err) WARN_UNUSED;

// The folder that the file is or will be in, without symbolic links. What does not exist yet has
// its nearest folder that does. NULL: "/", or none can be told.
char *file_folder(const char *path) WARN_UNUSED;
bool file_is_below(const char *path, const char *folder); // or the same; by their texts

#endif
