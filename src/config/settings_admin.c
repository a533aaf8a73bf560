// SPDX-License-Identifier: MIT
// The rows of [admin]. See settings.h for what the columns mean.
#include "config/config.h"
#include "config/settings_rows.h"

const struct setting settings_admin[] = {
    {WORDS("listen", config, admin.listen), .section = SECTION_ADMIN,
     .flags = SETTING_REPEATS | SETTING_NO_EMPTY, .item = item_listen,
     .help = "Address to answer operators on: unix:PATH, or IPv4:PORT, [IPv6]:PORT. Repeat it for "
             "more.",
     .more = "there is no admin listener", .example = "unix:/run/bearerd/admin.sock"},
    {MODE("socket_mode", config, admin.socket_mode), .section = SECTION_ADMIN, .fallback = "0660",
     .min = 0, .max = 0777,
     .help = "Permission bits of unix: sockets, in octal. Who may connect may also reload and stop "
             "bearerd.",
     .example = "0600"},
    {SECRET("key", config, admin.key), .section = SECTION_ADMIN,
     .help = "Secret that callers over TCP must present, as Authorization: Bearer KEY, as the "
             "password of Basic, or in X-Bearerd-Key. Health checks need none. Without a key, what "
             "changes something is for unix: sockets alone.",
     .more = "no key is asked for", .example = "file:/etc/bearerd/admin_key"},
    {BOOL("expose", config, admin.expose), .section = SECTION_ADMIN, .fallback = "no",
     .help = "Whether listen may name an address other machines can reach, a metrics collector's "
             "say. Think of key, too.",
     .example = "yes"},
    {WORDS("accept_hosts", config, admin.accept_hosts), .section = SECTION_ADMIN, .item = item_host,
     .help = "Values of the Host field to answer besides the listen addresses and localhost. "
             "Others are refused, as [proxy] does.",
     .example = "10.0.0.7:9464"},
};
const size_t settings_admin_count = ARRAY_LEN(settings_admin);
