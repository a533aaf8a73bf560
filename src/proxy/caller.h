// SPDX-License-Identifier: MIT
// May this caller use the proxy at all? Host, peer uid, web pages, key. A proxy that
// adds credentials is a confused deputy for whoever reaches it; this is what stands in the way.
// Pure.
#ifndef PROXY_CALLER_H
#define PROXY_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "config/config.h"
#include "http/headers.h"

struct caller_rules; // compiled once per configuration

// Bound ports and addresses are taken from config->listen; `extra_hosts` (may be NULL) are
// authorities that listening made known (port 0 resolved). client_key is read here, so a file: key
// that cannot be read is an error: without it there would be no lock on the door.
struct caller_rules *caller_rules_new(const struct config *config,
                                      const struct config_strings *extra_hosts,
                                      struct err *err) WARN_UNUSED;
void caller_rules_free(struct caller_rules *rules); // NULL is fine

struct caller {
    struct str host;  // normalised authority: of the target in absolute-form, else of Host; empty
                      // when there is no Host field (HTTP/1.0 only: the guard sees to that)
    bool is_absolute; // absolute-form: host must then be an upstream's, the router sees to that
    bool is_unix;     // came over a unix socket
    uint32_t uid;     // peer's, when is_unix
    struct str method;
    const struct fields *fields;
};

#define CALLER_PREFLIGHT 204

struct caller_verdict {
    int status;       // 0: may; 405, 501; 401 (answer with WWW-Authenticate), 403 or 407
                      // (Proxy-Authenticate); CALLER_PREFLIGHT: answer it, see page.h
    const char *type; // problem type's last part: "host-not-allowed", …
    const char *why;  // static text with the remedy
};

// Methods that are never forwarded: CONNECT and TRACE.
struct caller_verdict caller_check_method(struct str method);
struct caller_verdict caller_check(const struct caller_rules *rules, const struct caller *caller);
// The origin of the web page that may read the answer, as it goes into Access-Control-Allow-Origin;
// empty when none calls, or bearerd has no say in that (cors = pass).
struct str caller_origin(const struct caller_rules *rules, const struct fields *fields);

#endif
