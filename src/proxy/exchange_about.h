// SPDX-License-Identifier: MIT
// What a request is called. For the files of the exchange.
#ifndef PROXY_EXCHANGE_ABOUT_H
#define PROXY_EXCHANGE_ABOUT_H

#include "base/str.h"

struct exchange;

// The name of this request in log lines, made when it is first asked for. Good until
// exchange_end().
struct str exchange_request_id(struct exchange *exchange);
void exchange_forget(struct exchange *exchange); // at the end

#endif
