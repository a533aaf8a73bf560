// SPDX-License-Identifier: MIT
// Addresses as configuration writes them: http and https URLs, authorities, listen addresses.
// Strict where two readers could disagree, so that what is checked here is what libcurl connects
// to. Error texts never show what stands before an '@'.
#ifndef CONFIG_URL_H
#define CONFIG_URL_H

#include "base/str.h"
#include "config/config.h"

bool url_parse(struct str text, struct config_url *out, struct err *err) WARN_UNUSED;
void url_fini(struct config_url *url);

struct authority {
    char *host;    // lower case, no brackets; IP addresses in canonical form
    bool is_ipv6;  // needs brackets
    uint16_t port; // 0: not written
};
// HOST, HOST:PORT, [IPV6], [IPV6]:PORT; the port from 1 on.
bool authority_parse(struct str text, struct authority *out, struct err *err) WARN_UNUSED;
void authority_fini(struct authority *authority);

// 127.0.0.0/8, ::1, ::ffff:127.0.0.0/104, localhost.
bool host_is_loopback(const char *host);
// 0.0.0.0 or ::
bool host_is_wildcard(const char *host);

#endif
