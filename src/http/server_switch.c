// SPDX-License-Identifier: MIT
// A connection changes hands: libmicrohttpd says 101 and gives the descriptor away, with what it
// had read of it already, until it is given back to be closed.
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/log.h"
#include "http/server.h"
#include "http/server_private.h"

static void on_upgrade(void *arg, struct MHD_Connection *mhd, void *context, const char *early,
                       size_t early_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
    (void)mhd;
    (void)context;
    struct req *req = arg;
    int on = 1;
    req->queued = NULL;
    req->switched = handle;
    req->phase = REQ_SWITCHED;
    conn_set_deadline(req->conn, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // libmicrohttpd has switched it off
    req->server->ops->on_switched(&req->pub, fd, (struct str){early, early_len});
}

void request_switch(struct request *request, int status, const struct fields *fields)
{
    struct req *req = req_of(request);
    if (req->response || req->hand || req->phase == REQ_REPLYING)
        return;
    if (req->conn->is_raw) {
        raw_switch(req->conn, status, fields);
        return;
    }
    // It brings the Connection field along.
    struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgrade, req);
    bool ok = response != NULL;
    for (size_t i = 0; ok && i < fields->count; i++)
        ok = response_add_field(response, &fields->items[i]);
    if (!ok) {
        log_error("reply.no_switch");
        if (response)
            MHD_destroy_response(response);
        request_abort(request);
        return;
    }
    req->response = response;
    req->status = status;
    req_resume(req);
}

void request_close(struct request *request)
{
    struct req *req = req_of(request);
    if (req->conn->is_raw)
        raw_end(req->conn);
    if (!req->switched)
        return;
    MHD_upgrade_action(req->switched, MHD_UPGRADE_ACTION_CLOSE);
    req->switched = NULL;
    server_owe_runs(req->server, 2); // to take it back, to clean it up
    server_want_run(req->server);
}
