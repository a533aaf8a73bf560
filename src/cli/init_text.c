// SPDX-License-Identifier: MIT
// See init_text.h. Short, for somebody who has not read anything yet.
#include "cli/init_text.h"

#include <string.h>

static bool is_printable(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < ' ' || value.ptr[i] == 0x7F)
            return false;
    return true;
}

// What would begin a comment, or be trimmed or joined, goes between quotes.
static bool needs_quotes(struct str value)
{
    return str_trim(value).len != value.len || str_has(value, ';') || str_has(value, '#') ||
           str_has(value, '"');
}

// A $ would be a variable's, a " within quotes their end: both are doubled.
static bool write_value(struct buf *out, struct str value)
{
    bool is_quoted = needs_quotes(value);
    bool ok = !is_quoted || buf_append_char(out, '"');
    for (size_t i = 0; ok && i < value.len; i++) {
        char c = value.ptr[i];
        ok = buf_append_char(out, c);
        if (c == '$' || (is_quoted && c == '"'))
            ok = ok && buf_append_char(out, c);
    }
    return ok && (!is_quoted || buf_append_char(out, '"'));
}

// key = prefix value; nothing without a value.
static bool line(struct buf *out, const char *key, const char *prefix, const char *value,
                 struct err *err)
{
    struct str text = str_of(value);
    char *whole = NULL;
    if (!value)
        return true;
    if (!text.len || !is_printable(text))
        return err_set(err, "%s: the value is empty, or holds a control character", key);
    if (*prefix) {
        struct buf joined;
        buf_init(&joined, (size_t)64 * 1024);
        if (!buf_printf(&joined, "%s%s", prefix, value))
            buf_clear(&joined);
        whole = buf_take(&joined);
    }
    bool ok = buf_printf(out, "%s = ", key) && write_value(out, whole ? str_of(whole) : text) &&
              buf_append_char(out, '\n');
    mem_free(whole);
    return ok || err_set(err, "%s: the value is too long", key);
}

static bool text(struct buf *out, const char *words, struct err *err)
{
    return buf_append(out, str_of(words)) || err_set(err, "the configuration is too long");
}

const char *init_text_variable(const struct init_wish *wish)
{
    bool has_secret = !wish->auth_method || str_starts(str_of(wish->auth_method), STR("client_s"));
    if (wish->secret_file || !has_secret)
        return NULL;
    return wish->secret_env ? wish->secret_env : "CLIENT_SECRET";
}

// In clear there is nobody to be verified.
static const char *authorities(const struct init_wish *wish, const char *url)
{
    return url && str_starts(str_of(url), STR("http://")) ? NULL : wish->ca_file;
}

static bool write_credential(const struct init_wish *wish, struct buf *out, struct err *err)
{
    return text(out,
                "\n# Where tokens come from, and as whom. With required = yes, /readyz and\n"
                "# `bearerd wait` say no until there are tokens.\n"
                "[credential main]\n",
                err) &&
           line(out, "token_url", "", wish->token_url, err) &&
           line(out, "issuer", "", wish->issuer, err) &&
           line(out, "client_id", "", wish->client_id, err) &&
           line(out, "client_secret", "file:", wish->secret_file, err) &&
           line(out, "client_secret", "env:", init_text_variable(wish), err) &&
           line(out, "auth_method", "", wish->auth_method, err) &&
           line(out, "ca_file", "", authorities(wish, wish->token_url), err) &&
           text(out, "required = yes\n", err);
}

static bool write_upstream(const struct init_wish *wish, struct buf *out, struct err *err)
{
    return text(out, "\n# The API: where requests go.\n[upstream api]\n", err) &&
           line(out, "url", "", wish->upstream, err) &&
           line(out, "ca_file", "", authorities(wish, wish->upstream), err);
}

static bool write_route(const struct init_wish *wish, struct buf *out, struct err *err)
{
    struct str scopes = buf_str(&wish->scopes);
    char *words = scopes.len ? str_dup(scopes) : NULL;
    bool ok = text(out,
                   "\n# Which requests get a token, and with which scopes: this one takes them all."
                   "\n# Narrower ones can stand beside it; the most specific match wins, as in\n"
                   "#   [route read]\n#   match = GET HEAD /items/**\n#   scopes = items:read\n"
                   "[route all]\nmatch = /**\n",
                   err) &&
              line(out, "scopes", "", words, err);
    mem_free(words);
    return ok;
}

static bool write_admin(const struct init_wish *wish, struct buf *out, struct err *err)
{
    static const char about[] =
        "\n# Health, metrics, `bearerd status`, reload: for those who look after it.\n";
    if (!wish->admin)
        return text(out, about, err) &&
               text(out, "#[admin]\n#listen = unix:/run/bearerd/admin.sock\n", err);
    return text(out, about, err) && text(out, "[admin]\n", err) &&
           line(out, "listen", "", wish->admin, err);
}

bool init_text_write(const struct init_wish *wish, struct buf *out, struct err *err)
{
    return text(out,
                "# Made by `bearerd init`. `bearerd check -c FILE` finds what is wrong with it,\n"
                "# `bearerd help KEY` explains a setting, bearerd.conf(5) all of them.\n"
                "\n# Where clients come in: as base URL, or as http_proxy.\n[proxy]\n",
                err) &&
           line(out, "listen", "", wish->listen ? wish->listen : "127.0.0.1:8080", err) &&
           write_credential(wish, out, err) && write_upstream(wish, out, err) &&
           write_route(wish, out, err) && write_admin(wish, out, err);
}
