// SPDX-License-Identifier: MIT
// See expand.h. First quotes and comments, then variables: what a variable holds is data and cannot
// become a comment or a quote. Control characters cannot come in this way either.
#include "config/expand.h"

#include "base/env.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool too_long(struct err *err)
{
    return err_set(err, "the value is longer than %d bytes once variables are replaced", VALUE_MAX);
}

// raw starts with a double quote; "" within stands for one.
static bool unquote(struct str raw, struct buf *out, struct err *err)
{
    size_t i = 1;
    for (; i < raw.len; i++) {
        if (raw.ptr[i] == '"' && i + 1 < raw.len && raw.ptr[i + 1] == '"')
            i++;
        else if (raw.ptr[i] == '"')
            break;
        if (!buf_append_char(out, raw.ptr[i]))
            return too_long(err);
    }
    if (i >= raw.len)
        return err_set(err, "the closing double quote is missing (write \"\" for a quote within)");
    struct str rest = str_from(raw, i + 1), tail = str_trim(rest);
    if (tail.len && (tail.ptr[0] != ';' || tail.len == rest.len))
        return err_set(err, "there is text behind the closing double quote");
    return true;
}

// A ';' with white space before it, or at the start, begins a comment. A '#' there looks like one
// to people and is none to libinih: neither reading would surprise nobody, so it is refused.
static bool cut_comment(struct str *value, struct err *err)
{
    for (size_t i = 0; i < value->len; i++) {
        if (i > 0 && !is_blank(value->ptr[i - 1]))
            continue;
        if (value->ptr[i] == '#')
            return err_set(err, "a comment behind a value starts with \" ;\"; if the # belongs to "
                                "the value, put the value in double quotes");
        if (value->ptr[i] == ';') {
            *value = str_trim((struct str){value->ptr, i});
            return true;
        }
    }
    return true;
}

static bool is_variable_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char lower = str_lower(name.ptr[i]);
        bool is_digit = lower >= '0' && lower <= '9';
        if (!(lower >= 'a' && lower <= 'z') && lower != '_' && !(is_digit && i > 0))
            return false;
    }
    return name.len > 0;
}

// inner: what stands between ${ and }.
static bool append_variable(struct str inner, struct buf *out, struct err *err)
{
    struct str name = inner, fallback = STR_NONE;
    size_t colon;
    bool has_fallback =
        str_find(inner, ':', &colon) && str_starts(str_from(inner, colon), STR(":-"));
    if (has_fallback) {
        name.len = colon;
        fallback = str_from(inner, colon + 2);
    }
    if (!is_variable_name(name) || name.len > 200)
        return err_set(err, "${…} must hold a variable's name, or NAME:-default; write $$ for a $");
    char *key = str_dup(name);
    struct str value = str_of(env_get(key));
    mem_free(key);
    if (has_fallback && !value.len)
        value = fallback;
    else if (!value.ptr)
        return err_set(err,
                       "the environment variable %.*s is not set (${%.*s:-default} would give "
                       "it a default)",
                       STR_ARG(name), STR_ARG(name));
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 || value.ptr[i] == 0x7f)
            return err_set(err, "the environment variable %.*s holds a control character",
                           STR_ARG(name));
    return buf_append(out, value) || too_long(err);
}

static bool replace_variables(struct str text, struct buf *out, struct err *err)
{
    for (size_t at; str_find(text, '$', &at);) {
        if (!buf_append(out, (struct str){text.ptr, at}))
            return too_long(err);
        text = str_from(text, at);
        if (str_starts(text, STR("${"))) {
            size_t end;
            if (!str_find(text, '}', &end))
                return err_set(err, "the } behind ${ is missing; write $$ for a $");
            if (!append_variable((struct str){text.ptr + 2, end - 2}, out, err))
                return false;
            text = str_from(text, end + 1);
            continue;
        }
        if (!buf_append_char(out, '$'))
            return too_long(err);
        text = str_from(text, str_starts(text, STR("$$")) ? 2 : 1);
    }
    return buf_append(out, text) || too_long(err);
}

// Where the text behind the closing quote starts; raw.len if there is none.
static size_t quoted_len(struct str raw)
{
    size_t i = 1;
    for (; i < raw.len; i++) {
        if (raw.ptr[i] != '"')
            continue;
        if (i + 1 >= raw.len || raw.ptr[i + 1] != '"')
            return i + 1;
        i++;
    }
    return raw.len;
}

struct str expand_comment(struct str raw)
{
    size_t i = raw.len && raw.ptr[0] == '"' ? quoted_len(raw) : 0;
    for (; i < raw.len; i++)
        if (raw.ptr[i] == ';' && (i == 0 || is_blank(raw.ptr[i - 1])))
            return str_trim(str_from(raw, i + 1));
    return STR_NONE;
}

bool expand_value(struct str raw, struct buf *out, struct err *err)
{
    if (!raw.len || raw.ptr[0] != '"')
        return cut_comment(&raw, err) && replace_variables(raw, out, err);
    struct buf text;
    buf_init(&text, VALUE_MAX);
    bool ok = unquote(raw, &text, err) && replace_variables(buf_str(&text), out, err);
    buf_fini(&text);
    return ok;
}
