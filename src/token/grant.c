// SPDX-License-Identifier: MIT
// See grant.h. Owns the meaning of a token response; the wording of refusals is grant_error.c's.
// The body is hostile input: bounded in size and depth, no duplicate members, and nothing of it is
// believed before all of it was read. Invariant: out->value is empty exactly when out->failure is
// set.
#include "token/grant.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "token/client_auth.h"
#include "token/grant_error.h"

// -- request -----------------------------------------------------------------------------------

static bool add_param(struct buf *form, const char *name, const char *value)
{
    if (!value || !value[0])
        return true; // RFC 6749 3.2: a parameter without a value counts as left out, so leave it
                     // out
    return buf_append_char(form, '&') && buf_append(form, str_of(name)) &&
           buf_append_char(form, '=') && client_auth_form_encode(str_of(value), form);
}

bool grant_build(const struct config_slot *slot, struct buf *form)
{
    bool ok = buf_append(form, STR("grant_type=client_credentials")) &&
              add_param(form, "scope", slot->scope) && add_param(form, "audience", slot->audience);
    for (size_t i = 0; ok && i < slot->resource.count; i++)
        ok = add_param(form, "resource", slot->resource.items[i]);
    return ok;
}

void grant_url_label(const struct config_url *url, char *out, size_t out_size)
{
    snprintf(out, out_size, "%s://%s%s", url->is_https ? "https" : "http", url->authority,
             url->path ? url->path : "");
}

// -- JSON --------------------------------------------------------------------------------------

// jansson copies strings of the body: its memory is wiped on free, for which its size must be
// known.
static void *json_memory_new(size_t size)
{
    max_align_t *block = mem_alloc(sizeof *block + size);
    memcpy(block, &size, sizeof size);
    return block + 1;
}

static void json_memory_free(void *ptr)
{
    if (!ptr)
        return;
    max_align_t *block = (max_align_t *)ptr - 1;
    size_t size;
    memcpy(&size, block, sizeof size);
    mem_wipe(block, sizeof *block + size);
    mem_free(block);
}

// jansson recurses per level; this keeps it shallow. Brackets inside strings do not count.
static bool is_shallow(struct str body)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < body.len; i++) {
        char c = body.ptr[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']') && depth)
            depth--;
        if (depth > GRANT_DEPTH_MAX)
            return false;
    }
    return true;
}

// NULL and the reason unless the body is one JSON object.
static json_t *parse_object(struct str body, char *why, size_t why_size)
{
    why[0] = '\0';
    if (!body.len)
        snprintf(why, why_size, "the body is empty");
    else if (body.len > GRANT_BODY_MAX)
        snprintf(why, why_size, "the body is larger than %d bytes", GRANT_BODY_MAX);
    else if (!is_shallow(body))
        snprintf(why, why_size, "the JSON is nested deeper than %d levels", GRANT_DEPTH_MAX);
    if (why[0])
        return NULL;
    // The same pair each time: jansson is used on one thread and nowhere else in the program.
    json_set_alloc_funcs(json_memory_new, json_memory_free);
    json_error_t error;
    // Integers as reals: a number too large for 64 bits is then a large number, not an error.
    json_t *root =
        json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    if (json_is_object(root))
        return root;
    // jansson's own text may quote the body, so its position alone is told.
    if (root)
        snprintf(why, why_size, "the body is not a JSON object");
    else
        snprintf(why, why_size, "the body is not valid JSON (line %d, column %d)", error.line,
                 error.column);
    json_decref(root);
    return NULL;
}

static struct str string_member(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);
    return (struct str){json_string_value(member), json_string_length(member)};
}

// A number, or a string that is one. Anything else, and all that is not above zero, counts as not
// told.
static uint64_t lifetime_of(const json_t *object)
{
    const json_t *member = json_object_get(object, "expires_in");
    double seconds = 0;
    uint64_t whole;
    struct str text = string_member(object, "expires_in");
    if (json_is_number(member))
        seconds = json_number_value(member);
    else if (str_to_u64(text, &whole))
        seconds = (double)whole;
    else if (text.len && text.len == strspn(text.ptr, "0123456789"))
        seconds = INFINITY; // more digits than 64 bits hold
    if (seconds >= (double)GRANT_LIFETIME_MAX_MS / 1000)
        return GRANT_LIFETIME_MAX_MS;
    return seconds > 0 ? (uint64_t)(seconds * 1000) : 0;
}

// -- scope -------------------------------------------------------------------------------------

static bool has_word(struct str list, struct str word)
{
    struct str piece;
    while (str_word(&list, &piece))
        if (str_eq(piece, word))
            return true;
    return false;
}

static bool has_all_words(struct str list, struct str words)
{
    struct str word;
    while (str_word(&words, &word))
        if (!has_word(list, word))
            return false;
    return true;
}

// A copy of the granted scope if it is another set than the one asked for.
static char *scope_difference(struct str granted, const char *asked)
{
    if (!granted.len ||
        (has_all_words(granted, str_of(asked)) && has_all_words(str_of(asked), granted)))
        return NULL;
    char text[1024];
    grant_error_clean(granted, text, sizeof text);
    return mem_strdup(text);
}

// -- response ----------------------------------------------------------------------------------

static void take_token(const struct grant_answer *answer, const json_t *object,
                       struct grant_result *out)
{
    struct str type = string_member(object, "token_type");
    struct str value = string_member(object, "access_token");
    char why[160], clean[64];
    why[0] = '\0';
    if (!value.len)
        snprintf(why, sizeof why, "there is no access_token in it");
    else if (!token_value_is_valid(value))
        snprintf(why, sizeof why, "its access_token holds bytes a bearer token must not have");
    else if (!type.len)
        snprintf(why, sizeof why, "there is no token_type in it");
    else if (!str_eq_nocase(type, STR("bearer"))) {
        grant_error_clean(type, clean, sizeof clean);
        snprintf(why, sizeof why, "its token_type is '%s', not Bearer", clean);
    } else if (!buf_append(&out->value, value))
        snprintf(why, sizeof why, "its access_token is too long");
    if (why[0]) {
        out->failure = grant_error_malformed(answer, why);
        return;
    }
    out->lifetime_ms = lifetime_of(object);
    out->granted_scope = scope_difference(string_member(object, "scope"), answer->slot->scope);
}

// application/json or application/…+json, with any parameters.
static bool is_json_type(struct str type)
{
    size_t end;
    if (str_find(type, ';', &end))
        type.len = end;
    type = str_trim(type);
    if (type.len < sizeof "application/" + sizeof "+json")
        return str_eq_nocase(type, STR("application/json"));
    struct str prefix = {type.ptr, 12}, suffix = str_from(type, type.len - 5);
    return str_eq_nocase(type, STR("application/json")) ||
           (str_eq_nocase(prefix, STR("application/")) && str_eq_nocase(suffix, STR("+json")));
}

static void wrong_type(const struct grant_answer *answer, struct grant_result *out)
{
    char clean[64], why[160];
    grant_error_clean(answer->content_type, clean, sizeof clean);
    snprintf(why, sizeof why,
             clean[0] ? "its Content-Type is '%s', not application/json"
                      : "it has no Content-Type%s",
             clean);
    out->failure = grant_error_malformed(answer, why);
}

void grant_parse(const struct grant_answer *answer, struct grant_result *out)
{
    *out = (struct grant_result){0};
    buf_init(&out->value, GRANT_BODY_MAX);
    char why[160];
    json_t *object = parse_object(answer->body, why, sizeof why);
    struct grant_error error = {.error = string_member(object, "error"),
                                .description = string_member(object, "error_description")};
    if (answer->status != 200 || error.error.len) {
        out->retry_after_ms = grant_error_retry_after(answer->retry_after, answer->now_s);
        out->failure = grant_error_failure(answer, &error);
    } else if (!is_json_type(answer->content_type)) {
        wrong_type(answer, out);
    } else if (!object) {
        out->failure = grant_error_malformed(answer, why);
    } else {
        take_token(answer, object, out);
    }
    json_decref(object);
}

void grant_result_fini(struct grant_result *result)
{
    buf_fini(&result->value);
    mem_free(result->granted_scope);
    token_failure_unref(result->failure);
    *result = (struct grant_result){0};
}
