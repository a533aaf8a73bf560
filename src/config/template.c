// SPDX-License-Identifier: MIT
// See template.h.
#include "config/template.h"

#include "config/expand.h"
#include "config/secret.h"
#include "config/value.h"

bool template_next(struct str *rest, struct str *out_before, struct str *out_reference)
{
    for (size_t start = 0, end; start + 1 < rest->len; start++) {
        struct str tail = str_from(*rest, start);
        if (!str_starts(tail, STR("%{")) || !str_find(tail, '}', &end))
            continue;
        *out_before = (struct str){rest->ptr, start};
        *out_reference = (struct str){tail.ptr + 2, end - 2};
        *rest = str_from(tail, end + 1);
        return true;
    }
    *out_before = *rest;
    *rest = STR_NONE;
    return false;
}

static bool append_reference(const char *file, struct str reference, struct buf *out,
                             struct err *err)
{
    if (!str_starts(reference, STR("env:")) && !str_starts(reference, STR("file:")) &&
        !str_starts(reference, STR("credential:")))
        return err_set(err, "%%{…} must hold env:NAME, file:PATH or credential:NAME");
    char *resolved = value_secret_reference(file, reference);
    struct secret *secret = secret_new(resolved, err);
    bool ok = secret != NULL;
    if (ok && !buf_printf(out, "%%{%s}", resolved))
        ok = err_set(err, "the text is too long");
    secret_free(secret);
    mem_free(resolved);
    return ok;
}

// Behind the last reference: the rest as it is, but for a %{ that nothing closes.
static bool append_rest(struct str rest, struct buf *out, struct err *err)
{
    for (size_t i = 0; i < rest.len; i++)
        if (str_starts(str_from(rest, i), STR("%{")))
            return err_set(err, "the } behind %%{ is missing");
    return buf_append(out, rest) || err_set(err, "the text is too long");
}

char *template_new(const char *file, struct str text, struct err *err)
{
    struct buf out;
    struct str before, reference;
    bool ok = true;
    buf_init(&out, (size_t)2 * VALUE_MAX);
    while (ok && template_next(&text, &before, &reference))
        ok = buf_append(&out, before) && append_reference(file, reference, &out, err);
    if (ok && append_rest(before, &out, err))
        return buf_take(&out);
    buf_fini(&out);
    return NULL;
}
