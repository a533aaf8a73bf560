// SPDX-License-Identifier: MIT
// The request target (RFC 9112 3.2), taken apart or refused, and the readings of its path that real
// servers make of it. Pure: views of the bytes it was given; nothing is decoded in place.
#ifndef PROXY_TARGET_H
#define PROXY_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/str.h"

enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_ASTERISK, TARGET_AUTHORITY };

struct target {
    enum target_form form;
    bool is_https;        // absolute-form only
    struct str authority; // absolute-form and authority-form: host[:port] as written; else empty
    struct str host;      // of that, as written, no brackets; else empty
    uint16_t port;        // of that; 0 when not written
    struct str path;  // raw, starts with '/' ("/" for an absolute-form with an empty one), or "*"
                      // (asterisk-form; OPTIONS in absolute-form without a path: RFC 9112 3.2.4)
    struct str query; // raw, without '?'
    bool has_query;
    bool is_simple; // path has only one reading: no '%', ';', "//", dot segments, trailing dot or
                    // space
};

// False: refused with 400; *out_why is a static text. `method` decides which forms are allowed
// (OPTIONS *, CONNECT authority).
bool target_parse(struct str raw, struct str method, struct target *out,
                  const char **out_why) WARN_UNUSED;

// An authority (Host field or absolute-form): host[:port]. Lower-cases into `out` (room for
// authority.len bytes), strips a default port (80 for http, 443 for https; `default_port` names
// which one), and a single trailing dot of the name. False: not a valid authority (userinfo, empty
// host, bad port, bad IPv6, bytes outside reg-name …). Numbers in odd spellings (127.1, 0x7f000001)
// stay names, which match nothing.
bool target_normal_authority(struct str authority, uint16_t default_port, char *out,
                             size_t *out_len) WARN_UNUSED;

// The normalised authority a request is for: the target's own in absolute-form and authority-form
// (the Host field is ignored then, RFC 9112 3.2.2), else that of the Host field; empty when that is
// empty, too (HTTP/1.0). `out` as above, with room for the longer of the two.
bool target_normal_host(const struct target *target, struct str host_field, char *out,
                        size_t *out_len) WARN_UNUSED;

// Calls `each` for every distinct reading of a raw path, the raw one first; stops and returns false
// as soon as `each` does, or when there are more readings than anybody needs (then the path must be
// refused). A reading always starts with '/'. Scratch memory is bounded by the length of the path.
bool target_each_reading(struct str path, bool (*each)(void *arg, struct str reading),
                         void *arg) WARN_UNUSED;

#endif
