// SPDX-License-Identifier: MIT
// The part of the Redis protocol (RESP2) that is needed: commands out, one simple reply in. Pure,
// incremental, bounded; a server may send what it likes. Arrays and everything newer are refused:
// no command of ours is answered so.
#ifndef TOKEN_STORE_RESP_H
#define TOKEN_STORE_RESP_H

#include "base/buf.h"

#define RESP_LINE_MAX 1024

enum resp_kind { RESP_STATUS, RESP_ERROR, RESP_NUMBER, RESP_BULK, RESP_NIL };

struct resp {
    enum resp_kind kind;
    struct str text; // status, error, bulk: borrowed from the bytes parsed
    int64_t number;
};

enum resp_result { RESP_DONE, RESP_MORE, RESP_BROKEN };

// Appends the command; false beyond out's ceiling.
bool resp_command(struct buf *out, const struct str *words, size_t count) WARN_UNUSED;
// bytes: all that has come since the command went out. A reply with anything behind it is broken:
// one is asked for, one is to come.
enum resp_result resp_parse(struct str bytes, size_t bulk_max, struct resp *out);

#endif
