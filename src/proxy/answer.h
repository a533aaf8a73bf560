// SPDX-License-Identifier: MIT
// The response head that goes to the client: what is dropped, kept, set. The counterpart of inject.
// Pure.
#ifndef PROXY_ANSWER_H
#define PROXY_ANSWER_H

#include <stdbool.h>

#include "config/config.h"
#include "http/headers.h"

// How a token is known again that an upstream sends back: by its length and its end. The whole of
// it is not kept for that.
#define ANSWER_MARK_MAX 24
#define ANSWER_MARK_MIN 16 // shorter tokens are not looked for: they would be found everywhere

struct answer_mark {
    size_t token_len;
    size_t end_len;
    char end[ANSWER_MARK_MAX];
};

// Tokens that went upstream with the request.
#define ANSWER_MARKS_MAX 8
struct answer_marks {
    struct answer_mark items[ANSWER_MARKS_MAX];
    size_t count;
};

void answer_marks_add(struct answer_marks *marks, struct str token);
void answer_marks_clear(struct answer_marks *marks); // wipes
// Does the text hold one of them?
bool answer_marks_find(const struct answer_marks *marks, struct str text);

struct answer_input {
    const struct fields *fields; // the upstream's
    const struct config_upstream *upstream;
    const struct config_route *route; // NULL: none
    const struct answer_marks *marks; // NULL: not looked for
    struct str origin;                // of the web page that gets it; empty: none
    bool drops_cors;                  // bearerd answers for pages (cors = answer)
    bool drops_nonce;                 // DPoP-Nonce was for us
    bool adds_via;                    // RFC 9110 7.6.3: a proxy must; a gateway need not
    bool was_injected;                // a token went with the request
    bool tells_trailers;              // trailers may follow: the field that names them passes
};

struct answer_made {
    size_t len;              // bytes of the fields with their ": " and CRLF
    struct str scrubbed;     // the name of a field that was dropped for a token in it; empty: none
    size_t connection_names; // fields that the upstream's Connection names
};

// Fills out, which is empty. False: more fields than there is room for.
bool answer_fields(const struct answer_input *input, struct fields *out,
                   struct answer_made *made) WARN_UNUSED;
// May this trailer field of the upstream go on? What the configuration sets or removes does not,
// nor does a value with a token of ours in it. Looks at input->upstream, route and marks.
bool answer_trailer_may_pass(const struct answer_input *input, const struct field *field);

#endif
