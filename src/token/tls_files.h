// SPDX-License-Identifier: MIT
// Are the TLS files of a configuration what they should be? Looked at when the configuration is
// loaded, so that a wrong file is a fault with its line, not a connection that fails later. Pure
// but for reading the files.
#ifndef TOKEN_TLS_FILES_H
#define TOKEN_TLS_FILES_H

#include <stdbool.h>

#include "base/err.h"
#include "config/config.h"

// ca_file holds certificates; cert_file holds one, and key_file (or cert_file itself) its private
// key, without a passphrase. NULL members are fine.
bool tls_files_check(const struct config_tls *tls, struct err *err) WARN_UNUSED;

// What is in the files, as one hash: connections made with other contents are others. "": there are
// no files.
#define TLS_MARK_LEN 64
void tls_files_mark(const struct config_tls *tls, char out[TLS_MARK_LEN + 1]);

#endif
