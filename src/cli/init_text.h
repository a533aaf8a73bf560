// SPDX-License-Identifier: MIT
// A first configuration as text, from what the command line of `init` says. Pure. Values are
// written so that they are read back as they are; whether they are good ones, the check of the
// configuration says.
#ifndef CLI_INIT_TEXT_H
#define CLI_INIT_TEXT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct init_wish { // NULL: not given
    const char *token_url, *issuer, *client_id;
    const char *secret_file, *secret_env;
    const char *upstream, *auth_method, *ca_file;
    const char *listen, *admin;
    struct buf scopes; // words
};

// The variable that holds the client secret; NULL: it is in a file, or there is none.
const char *init_text_variable(const struct init_wish *wish);

// False: a value that cannot stand in a line of a configuration.
bool init_text_write(const struct init_wish *wish, struct buf *out, struct err *err) WARN_UNUSED;

#endif
