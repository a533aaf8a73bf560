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
#include "token/document.h"
#include "token/grant_error.h"

// -- request -----------------------------------------------------------------------------------

static bool add_param(struct buf *form, const char *name, const char *value)
{
    if (!value || !value[0])
        return true; // RFC 6749 3.2: a parameter without a value counts as left out, so leave it
                     // out
    return buf_append_char(form, '&') && client_auth_form_encode(str_of(name), form) &&
           buf_append_char(form, '=') && client_auth_form_encode(str_of(value), form);
}

bool grant_build(const struct config_slot *slot, struct buf *form)
{
    bool ok = buf_append(form, STR("grant_type=client_credentials")) &&
              add_param(form, "scope", slot->scope) && add_param(form, "audience", slot->audience);
    for (size_t i = 0; ok && i < slot->resource.count; i++)
        ok = add_param(form, "resource", slot->resource.items[i]);
    ok = ok && add_param(form, "authorization_details", slot->authorization_details);
    const struct config_headers *params = &slot->credential->param;
    for (size_t i = 0; ok && i < params->count; i++)
        ok = add_param(form, params->items[i].name, params->items[i].value);
    return ok;
}

void grant_url_label(const struct config_url *url, char *out, size_t out_size)
{
    snprintf(out, out_size, "%s://%s%s", url->is_https ? "https" : "http", url->authority,
             url->path ? url->path : "");
}

// -- response: lifetime -----------------------------------------------------------------------

// A number, or a string that is one. Anything else, and all that is not above zero, counts as not
// told.
static uint64_t lifetime_of(const json_t *object)
{
    const json_t *member = json_object_get(object, "expires_in");
    double seconds = 0;
    uint64_t whole;
    struct str text = document_text(object, "expires_in");
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

// -- authorization_details (RFC 9396 7) --------------------------------------------------------

static bool has_element(const json_t *array, const json_t *wanted)
{
    size_t i;
    json_t *element;
    json_array_foreach(array, i, element) if (json_equal(element, wanted)) return true;
    return false;
}

static bool has_all_elements(const json_t *array, const json_t *wanted)
{
    size_t i;
    json_t *element;
    json_array_foreach(wanted, i, element) if (!has_element(array, element)) return false;
    return true;
}

// What was granted, if the server says so and it is not what was asked for.
static char *details_difference(const json_t *granted, const char *asked_text)
{
    char text[1024], clean[1024];
    if (!json_is_array(granted))
        return NULL;
    json_t *asked = document_parse_own(str_of(asked_text));
    bool is_same = has_all_elements(granted, asked) && has_all_elements(asked, granted);
    json_decref(asked);
    if (is_same)
        return NULL;
    size_t len = json_dumpb(granted, text, sizeof text, JSON_COMPACT | JSON_SORT_KEYS);
    if (len <= sizeof text) // else there are holes in it
        grant_error_clean((struct str){text, len}, clean, sizeof clean);
    else
        snprintf(clean, sizeof clean, "(%zu bytes of JSON)", len);
    return mem_strdup(clean);
}

// -- response ----------------------------------------------------------------------------------

// Asking again will hardly bring more.
static struct token_failure *fewer_failure(const struct grant_answer *answer, const char *granted)
{
    char text[500];
    snprintf(text, sizeof text,
             "the token lacks scopes that were asked for (granted_scopes = refuse): asked for "
             "'%.160s', granted '%.160s' (%s)",
             answer->slot->scope, granted, answer->server);
    struct token_failure *failure = token_failure_new(FAILURE_REFUSED, text);
    failure->status = answer->status;
    return failure;
}

// The type that should have come; NULL when it did.
static const char *type_refusal(const struct grant_answer *answer, struct str type)
{
    if (answer->is_dpop)
        return str_eq_nocase(type, STR("dpop")) ? NULL : "DPoP";
    return str_eq_nocase(type, STR("bearer")) ? NULL : "Bearer";
}

static void take_token(const struct grant_answer *answer, const json_t *object,
                       struct grant_result *out)
{
    struct str type = document_text(object, "token_type");
    struct str value = document_text(object, "access_token");
    char why[160], clean[64];
    why[0] = '\0';
    if (!value.len)
        snprintf(why, sizeof why, "there is no access_token in it");
    else if (!token_value_is_valid(value))
        snprintf(why, sizeof why, "its access_token holds bytes a bearer token must not have");
    else if (!type.len)
        snprintf(why, sizeof why, "there is no token_type in it");
    else if (type_refusal(answer, type)) {
        grant_error_clean(type, clean, sizeof clean);
        snprintf(why, sizeof why, "its token_type is '%s', not %s", clean,
                 type_refusal(answer, type));
    } else if (!buf_append(&out->value, value))
        snprintf(why, sizeof why, "its access_token is too long");
    if (why[0]) {
        out->failure = grant_error_malformed(answer, why);
        return;
    }
    struct str scope = document_text(object, "scope");
    out->lifetime_ms = lifetime_of(object);
    out->granted_scope = scope_difference(scope, answer->slot->scope);
    if (out->granted_scope && answer->slot->credential->granted_scopes == GRANTED_REFUSE &&
        !has_all_words(scope, str_of(answer->slot->scope))) {
        out->failure = fewer_failure(answer, out->granted_scope);
        buf_clear(&out->value);
        return;
    }
    out->granted_details = details_difference(json_object_get(object, "authorization_details"),
                                              answer->slot->authorization_details);
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
    static const struct document_limits limits = {GRANT_BODY_MAX, GRANT_DEPTH_MAX};
    *out = (struct grant_result){0};
    buf_init(&out->value, GRANT_BODY_MAX);
    char why[160];
    json_t *object = document_parse(answer->body, &limits, why, sizeof why);
    struct grant_error error = {.error = document_text(object, "error"),
                                .description = document_text(object, "error_description")};
    bool is_good = answer->status == 200 || !answer->status;
    if (!is_good || error.error.len) {
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
    mem_free(result->granted_details);
    token_failure_unref(result->failure);
    *result = (struct grant_result){0};
}
