// SPDX-License-Identifier: MIT
// The admin listener of a running bearerd, asked by status, wait, drain and reload: where it is,
// the key, one bounded exchange at a time. Blocking.
#ifndef CLI_ADMIN_CLIENT_H
#define CLI_ADMIN_CLIENT_H

#include <getopt.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

struct admin_options {       // as given on the command line; NULL: not given
    const char *config_path; // -c FILE
    const char *address;     // --admin ADDRESS
    const char *key_file;    // --key-file FILE
};

// Rows for getopt_long, beside "c:".
#define ADMIN_LONG_OPTIONS                                                                         \
    {"config", required_argument, NULL, 'c'}, {"admin", required_argument, NULL, 'a'},             \
    {                                                                                              \
        "key-file", required_argument, NULL, 'k'                                                   \
    }
// False: it is none of these.
bool admin_option_take(struct admin_options *options, int option, const char *value);

struct admin_client {
    struct config *config; // NULL: it was not needed. May have faults: see admin_client_open
    const char *address;   // NULL: the configuration names none that could be asked, …
    bool is_elsewhere;     // … but it has one: a socket that is handed over, who knows where
    struct buf key;        // empty: none
};

// Reads the configuration unless --admin says all there is to know. Faults in it, say variables
// that only the service has, do not matter here; that it cannot be read does. Close it either way.
bool admin_client_open(struct admin_client *client, const struct admin_options *options,
                       struct err *err) WARN_UNUSED;
// Why there is no address, in words.
void admin_client_explain(const struct admin_client *client, struct err *err);
// Where the proxy itself listens first, by the same configuration. NULL and why: it does not say.
const char *admin_client_proxy(const struct admin_client *client, struct err *err) WARN_UNUSED;
void admin_client_close(struct admin_client *client);

struct admin_answer {
    struct buf bytes;
    int status;
    struct str body; // within bytes
};

// method_path: "GET /readyz". False: there is no answer that could be understood; err says why.
// Finish the answer either way.
bool admin_client_ask(const struct admin_client *client, const char *method_path,
                      unsigned timeout_ms, struct admin_answer *out, struct err *err) WARN_UNUSED;
void admin_answer_fini(struct admin_answer *answer);

// Of a problem document its "detail", which has a line for each fault, else the whole body; behind
// prefix, on the standard error. Nothing that was said there reaches the terminal as control.
void admin_answer_complain(const struct admin_answer *answer, const char *prefix);

// Text of others, as it may be printed: ASCII, everything else a '?' for each character.
char *admin_text_plain(struct str text, bool keep_lines) WARN_UNUSED;

#endif
