// SPDX-License-Identifier: MIT
// The callbacks that libmicrohttpd calls for a request; server.c registers them. For the server_*.c
// files alone, which include it behind <microhttpd.h>.
#ifndef HTTP_SERVER_HANDLER_H
#define HTTP_SERVER_HANDLER_H

void *handler_on_target(void *arg, const char *target, struct MHD_Connection *mhd);
enum MHD_Result handler_on_call(void *arg, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_len, void **context);
void handler_on_completed(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_RequestTerminationCode code);

#endif
