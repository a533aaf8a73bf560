// SPDX-License-Identifier: MIT
// See forwarded.h. Lists are sent as one field: many a reader looks at the first line only, or at
// the last.
#include "proxy/forwarded.h"

struct line {
    const struct forwarded *forwarded;
    bool (*is_set)(const void *arg, struct str name);
    const void *arg;
    struct buf *out;
};

static bool has(const struct forwarded *forwarded, struct str name)
{
    return fields_find(forwarded->fields, name) != NULL;
}

bool forwarded_keeps(const struct config_upstream *upstream, struct str name)
{
    static const struct str prefix = {"X-Forwarded-", 12};
    // X-Forwarded-For is sent anew, what the client said first.
    return upstream->x_forwarded == FORWARDED_APPEND && name.len > prefix.len &&
           str_eq_nocase((struct str){name.ptr, prefix.len}, prefix) &&
           !str_eq_nocase(name, STR("X-Forwarded-For"));
}

// Could what follows it in a list be read as its own? An open quote swallows the rest.
static bool is_closed(struct str value)
{
    bool is_quoted = false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '"')
            is_quoted = !is_quoted;
        else if (value.ptr[i] == '\\' && is_quoted)
            i++;
    }
    return !is_quoted;
}

// "Name: " and, if it is to be kept, what the client said in fields of that name, a comma behind.
static bool put_start(const struct line *line, struct str name, bool keeps)
{
    const struct fields *fields = line->forwarded->fields;
    bool ok = buf_append(line->out, name) && buf_append(line->out, STR(": "));
    for (size_t i = 0; ok && keeps && i < fields->count; i++) {
        struct str value = fields->items[i].value;
        if (str_eq_nocase(fields->items[i].name, name) && value.len && is_closed(value))
            ok = field_value_is_valid(value) && buf_append(line->out, value) &&
                 buf_append(line->out, STR(", "));
    }
    return ok;
}

static bool put_x(const struct line *line, struct str name, bool keeps, struct str value)
{
    if (line->is_set(line->arg, name))
        return true;
    return put_start(line, name, keeps) && buf_append(line->out, value) &&
           buf_append(line->out, STR("\r\n"));
}

static bool put_x_forwarded(const struct line *line)
{
    const struct forwarded *forwarded = line->forwarded;
    bool appends = forwarded->upstream->x_forwarded == FORWARDED_APPEND;
    struct str peer = forwarded->peer.len ? forwarded->peer : STR("unknown");
    bool ok = put_x(line, STR("X-Forwarded-For"), appends, peer);
    if (ok && forwarded->host.len && !(appends && has(forwarded, STR("X-Forwarded-Host"))))
        ok = put_x(line, STR("X-Forwarded-Host"), false, forwarded->host);
    if (ok && !(appends && has(forwarded, STR("X-Forwarded-Proto"))))
        ok = put_x(line, STR("X-Forwarded-Proto"), false, STR("http"));
    return ok;
}

// RFC 7239 6: an IPv6 address in brackets, and so, like all that holds a colon, in quotes. Who
// calls over a socket in the file system has no address, but the obfuscated name `_unix`.
static bool put_node(struct buf *out, struct str peer)
{
    if (!peer.len)
        return buf_append(out, STR("for=_unix"));
    bool is_ipv6 = str_has(peer, ':');
    return buf_append(out, is_ipv6 ? STR("for=\"[") : STR("for=")) && buf_append(out, peer) &&
           (!is_ipv6 || buf_append(out, STR("]\"")));
}

static bool put_host(struct buf *out, struct str host)
{
    const struct str quote = str_is_token(host) ? STR_NONE : STR("\"");
    return !host.len || (buf_append(out, STR(";host=")) && buf_append(out, quote) &&
                         buf_append(out, host) && buf_append(out, quote));
}

static bool put_standard(const struct line *line)
{
    const struct forwarded *forwarded = line->forwarded;
    static const struct str name = {"Forwarded", 9};
    if (line->is_set(line->arg, name))
        return true;
    return put_start(line, name, forwarded->upstream->forwarded == FORWARDED_APPEND) &&
           put_node(line->out, forwarded->peer) && put_host(line->out, forwarded->host) &&
           buf_append(line->out, STR(";proto=http\r\n"));
}

bool forwarded_put(const struct forwarded *forwarded,
                   bool (*is_set)(const void *arg, struct str name), const void *arg,
                   struct buf *out)
{
    const struct line line = {forwarded, is_set, arg, out};
    const struct config_upstream *upstream = forwarded->upstream;
    return (upstream->forwarded == FORWARDED_OFF || put_standard(&line)) &&
           (upstream->x_forwarded == FORWARDED_OFF || put_x_forwarded(&line));
}
