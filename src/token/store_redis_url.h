// SPDX-License-Identifier: MIT
// redis://[[user]:password@]host[:port][/db], rediss://… (TLS),
// redis+unix://[[user]:password@]/path as values. Pure. Messages name the fault, never the text: it
// may hold a password.
#ifndef TOKEN_STORE_REDIS_URL_H
#define TOKEN_STORE_REDIS_URL_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

struct redis_url {
    bool is_tls;
    char *unix_path; // NULL: host and port
    char *host;      // without brackets
    char *port;      // digits
    char *user;      // NULL: none
    char *password;  // NULL: none; percent-decoded, as is user
    unsigned db;
};

bool redis_url_parse(struct str text, struct redis_url *out, struct err *err) WARN_UNUSED;
void redis_url_fini(struct redis_url *url); // wipes the password

#endif
