// SPDX-License-Identifier: MIT
// One word of a setting, checked and brought into its normal form. All have the same shape, so that
// the table of settings can name them: the result is new memory, NULL is a fault and err says
// which.
#ifndef CONFIG_ITEM_H
#define CONFIG_ITEM_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

typedef char *item_fn(struct str text, struct err *err);

item_fn item_text;                  // printable ASCII and UTF-8, as it is
item_fn item_client_id;             // VSCHAR, RFC 6749 appendix A
item_fn item_scope;                 // scope-token, RFC 6749 3.3
item_fn item_resource;              // absolute URI without fragment, RFC 8707 2
item_fn item_listen;                // 127.0.0.1:8080, [::1]:8080, unix:/path, fd:name
item_fn item_host;                  // authority, lower case, without :80 and :443
item_fn item_connect_host;          // host:port, lower case
item_fn item_origin;                // http(s)://host[:port], RFC 6454
item_fn item_user;                  // name or number -> number
item_fn item_protocol;              // for Upgrade: name or name/version, RFC 9110 7.8
item_fn item_mount;                 // path prefix, no slash at its end
item_fn item_proxy;                 // http, https, socks… URL
item_fn item_socket;                // absolute path of a unix socket
item_fn item_host_field;            // authority, as it is
item_fn item_tls_name;              // host name or address, lower case
item_fn item_ciphers;               // a list for OpenSSL
item_fn item_pins;                  // words -> "sha256//…;sha256//…"
item_fn item_header_name;           // RFC 9110 token that a configuration may touch
item_fn item_prefix;                // what stands before the token: "Bearer"
item_fn item_match;                 // [METHOD …] PATTERN
item_fn item_issuer;                // URL without query and fragment, as it is
item_fn item_json_pointer;          // RFC 6901, not the whole document
item_fn item_authorization_details; // JSON array (RFC 9396), canonical
item_fn item_param_name;            // form parameter that bearerd itself does not send
item_fn item_command;               // command line whose first word is an absolute path
item_fn item_store_url;             // sqlite:PATH or a Redis URL; never shown

// Are both the same field, be it only for servers to which A_B and A-B are one variable?
bool item_is_same_field(struct str a, struct str b);

// Would printable ASCII do? Index of the first byte that is none, or text.len.
size_t item_first_unprintable(struct str text);

#endif
