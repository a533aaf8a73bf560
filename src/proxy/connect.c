// SPDX-License-Identifier: MIT
// See connect.h. Compared are texts in their normal form: no name is resolved, and an address in
// another spelling is another place.
#include "proxy/connect.h"

#include <string.h>

#define PLACE_MAX 300 // a name of 253 bytes, brackets, port

struct caller_verdict connect_check(const struct config *config, const struct target *target,
                                    const char **out_place)
{
    char normal[PLACE_MAX];
    size_t len = 0;
    if (config->connect != CONNECT_TUNNEL)
        return caller_check_method(STR("CONNECT"));
    bool is_named = target->authority.len < sizeof normal &&
                    target_normal_authority(target->authority, 0, normal, &len);
    for (size_t i = 0; is_named && i < config->connect_hosts.count; i++) {
        *out_place = config->connect_hosts.items[i];
        if (str_eq(str_of(*out_place), (struct str){normal, len}))
            return (struct caller_verdict){0};
    }
    return (struct caller_verdict){403, "connect-not-allowed",
                                   "connect_hosts does not name this host and port; for requests "
                                   "that need a token, give the client http:// URLs"};
}
