// SPDX-License-Identifier: MIT
// Who is at the other end of a client's connection: asked of the kernel when somebody wants to
// know.
#include <arpa/inet.h>
#include <sys/socket.h>

#include "http/server_private.h"

struct str request_peer(struct request *request, char out[REQUEST_PEER_MAX])
{
    const struct req *req = req_of(request);
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_storage storage;
    } peer = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t len = sizeof peer;
    if (request->is_unix || getpeername(req->conn->fd, &peer.any, &len))
        return STR_NONE;
    if (peer.any.sa_family != AF_INET6)
        return str_of(inet_ntop(AF_INET, &peer.ipv4.sin_addr, out, REQUEST_PEER_MAX));
    const struct in6_addr *address = &peer.ipv6.sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(address)) // a socket that takes both
        return str_of(inet_ntop(AF_INET, &address->s6_addr[12], out, REQUEST_PEER_MAX));
    return str_of(inet_ntop(AF_INET6, address, out, REQUEST_PEER_MAX));
}
