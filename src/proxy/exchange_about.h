// SPDX-License-Identifier: MIT
// What a request is called and where it comes from. For the files of the exchange.
#ifndef PROXY_EXCHANGE_ABOUT_H
#define PROXY_EXCHANGE_ABOUT_H

#include "proxy/inject.h"
#include "proxy/problem.h"

struct exchange;

// The name of this request in problems and log lines: the client's X-Request-Id if it is fit for
// that, else one made when it is first asked for. Good until exchange_end().
struct str exchange_request_id(struct exchange *exchange);
// Fills in what the upstream is told (forwarded, request_id, trace).
void exchange_describe(struct exchange *exchange, struct inject_input *input);
struct problem_about exchange_about(struct exchange *exchange);
// Which web page may read the answer, if one calls.
void exchange_note_page(struct exchange *exchange);
void exchange_answer_preflight(struct exchange *exchange);
void exchange_forget(struct exchange *exchange); // at the end

#endif
