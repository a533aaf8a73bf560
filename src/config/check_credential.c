// SPDX-License-Identifier: MIT
// Rules of a [credential NAME] section: which settings its source and auth_method need, which they
// do not use, what contradicts what. It completes values: the algorithm of an assertion, the prefix
// of DPoP, whether there is a token endpoint.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "config/check.h"
#include "config/draft.h"
#include "config/json.h"
#include "config/template.h"
#include "config/url.h"

static const char *word_of(const char *key, int value)
{
    return setting_find(SECTION_CREDENTIAL, str_of(key))->choices[value];
}

static bool is_known(const struct draft_section *section, const char *key)
{
    return !draft_is_broken(section, key) && !draft_is_guessed(section, key);
}

static void fault_at(struct draft *draft, const struct draft_section *section, const char *key,
                     const char *message)
{
    draft_fault(draft, section, draft_place(section, key, 0), key, "%s", message);
}

// The FOR_… bit that it has.
static unsigned kind_of(const struct config_credential *credential)
{
    switch ((enum config_source)credential->source) {
    case SOURCE_OAUTH:
        return FOR_OAUTH;
    case SOURCE_LOGIN:
        return FOR_LOGIN;
    case SOURCE_EXEC:
        return credential->has_endpoint ? FOR_EXEC_ASKING : FOR_EXEC;
    case SOURCE_STATIC:
        return credential->has_endpoint ? FOR_STATIC_ASKING : FOR_STATIC;
    }
    return 0;
}

static void check_unused(struct draft *draft, const struct draft_section *section,
                         const struct setting *row, unsigned kind)
{
    const struct config_credential *credential = section->object;
    unsigned asking = kind == FOR_EXEC     ? FOR_EXEC_ASKING
                      : kind == FOR_STATIC ? FOR_STATIC_ASKING
                                           : 0;
    struct config_place place = draft_place(section, row->key, 0);
    if (row->sources && !(row->sources & kind))
        draft_fault(draft, section, place, row->key, "is not used with source = %s%s",
                    word_of("source", credential->source),
                    row->sources & asking ? ", unless there is token_url or issuer" : "");
    else
        draft_fault(draft, section, place, row->key, "is not used with auth_method = %s",
                    word_of("auth_method", credential->auth_method));
}

// What is needed must be there; and a setting that does nothing was meant to do something.
static void check_use(struct draft *draft, const struct draft_section *section, unsigned kind)
{
    const struct config_credential *credential = section->object;
    bool is_method_known = is_known(section, "auth_method");
    size_t count;
    const struct setting *rows = settings_of(SECTION_CREDENTIAL, &count);
    for (size_t i = 0; i < count; i++) {
        const struct setting *row = &rows[i];
        if (row->methods && (kind & FOR_ASKING) && !is_method_known)
            continue;
        bool is_used = (!row->sources || (row->sources & kind)) &&
                       (!row->methods || (row->methods & FOR_METHOD(credential->auth_method)));
        if (is_used && (row->flags & SETTING_NEEDED))
            check_missing(draft, section, row->key);
        else if (!is_used && draft_has(section, row->key))
            check_unused(draft, section, row, kind);
    }
}

static void check_jwt_secret(struct draft *draft, const struct draft_section *section)
{
    const struct config_credential *credential = section->object;
    uint64_t bits = 256;
    if (!credential->signing_alg ||
        !str_to_u64(str_from(str_of(credential->signing_alg), 2), &bits))
        return;
    // RFC 7518, 3.2: a key as long as the hash, or longer.
    check_binary_secret(draft, section, "client_secret", credential->client_secret, bits / 8);
    check_binary_secret(draft, section, "client_secret_next", credential->client_secret_next,
                        bits / 8);
}

static void check_algorithm(struct draft *draft, const struct draft_section *section)
{
    struct config_credential *credential = section->object;
    bool by_secret = credential->auth_method == AUTH_CLIENT_SECRET_JWT;
    if (!credential->signing_alg)
        credential->signing_alg = mem_strdup(by_secret ? "HS256" : "RS256");
    bool is_hmac = str_starts(str_of(credential->signing_alg), STR("HS"));
    if (is_hmac && !by_secret)
        fault_at(draft, section, "signing_alg",
                 "HS… signs with a secret: that is auth_method = client_secret_jwt");
    if (!is_hmac && by_secret)
        fault_at(draft, section, "signing_alg",
                 "client_secret_jwt signs with HS256, HS384 or HS512; the others need a key: "
                 "auth_method = private_key_jwt");
}

static void check_method(struct draft *draft, const struct draft_section *section)
{
    const struct config_credential *credential = section->object;
    switch ((enum config_auth_method)credential->auth_method) {
    case AUTH_CLIENT_SECRET_JWT:
        check_algorithm(draft, section);
        check_jwt_secret(draft, section);
        return;
    case AUTH_CLIENT_SECRET_BASIC:
    case AUTH_CLIENT_SECRET_POST:
        check_secret(draft, section, "client_secret", credential->client_secret);
        check_secret(draft, section, "client_secret_next", credential->client_secret_next);
        return;
    case AUTH_PRIVATE_KEY_JWT:
        check_algorithm(draft, section);
        check_private_key(draft, section, "signing_key", credential->signing_key);
        return;
    case AUTH_ASSERTION_FILE:
        if (credential->assertion_file && access(credential->assertion_file, R_OK) != 0)
            draft_warn(draft, section, "assertion_file",
                       "cannot read %s; it is tried again when it is needed",
                       credential->assertion_file);
        return;
    case AUTH_TLS_CLIENT:
        check_missing(draft, section, "cert_file");
        return;
    case AUTH_NONE:
        return;
    }
}

// OA-2, OA-4: fields that bearerd sends itself are there once.
static void check_request_headers(struct draft *draft, const struct draft_section *section)
{
    static const char *const own[] = {"Accept", "Content-Type", "User-Agent", "DPoP",
                                      "Authorization"};
    const struct config_credential *credential = section->object;
    bool is_basic =
        kind_of(credential) & FOR_ASKING && credential->auth_method == AUTH_CLIENT_SECRET_BASIC;
    for (size_t i = 0; i < credential->request_header.count; i++)
        for (size_t j = 0; j < ARRAY_LEN(own) - !is_basic; j++)
            if (str_eq_nocase(str_of(credential->request_header.items[i].name), str_of(own[j])))
                draft_fault(draft, section, draft_place(section, "request_header", i),
                            "request_header", "%s is a field that bearerd itself sends", own[j]);
}

static void check_dpop(struct draft *draft, const struct draft_section *section)
{
    struct config_credential *credential = section->object;
    check_private_key(draft, section, "dpop_key", credential->dpop_key);
    if (!credential->dpop) {
        if (draft_has(section, "dpop_key") && !draft_has(section, "dpop"))
            fault_at(draft, section, "dpop_key", "is not used without dpop = yes");
        return;
    }
    if (credential->header && !str_eq_nocase(str_of(credential->header), STR("Authorization")))
        fault_at(draft, section, "header",
                 "a token bound to a key (dpop = yes) is sent in Authorization (RFC 9449, 7.1)");
    if (draft_has(section, "prefix") && credential->prefix &&
        strcmp(credential->prefix, "DPoP") != 0)
        fault_at(draft, section, "prefix",
                 "before a token bound to a key (dpop = yes) stands DPoP (RFC 9449, 7.1)");
    mem_free(credential->prefix);
    credential->prefix = mem_strdup("DPoP");
}

// What asks a token endpoint, be it only now and then.
static void check_asking(struct draft *draft, const struct draft_section *section)
{
    const struct config_credential *credential = section->object;
    struct config_url url = credential->token_url;
    bool has_issuer = draft_has(section, "issuer");
    if (has_issuer && draft_has(section, "token_url"))
        fault_at(draft, section, "issuer", "token_url is there, too; one of them is enough");
    if (has_issuer && credential->issuer &&
        !url_parse(str_of(credential->issuer), &url, NULL)) // was parsed before
        return;
    check_plaintext(draft, section, has_issuer ? "issuer" : "token_url", &url,
                    credential->allow_plaintext);
    check_tls(draft, section, &credential->tls, &url);
    if (has_issuer && credential->issuer)
        url_fini(&url);
    if (!is_known(section, "auth_method"))
        return;
    if (credential->auth_method != AUTH_ASSERTION_FILE)
        check_missing(draft, section, "client_id");
    check_method(draft, section);
    if (credential->certificate_bound && !draft_has(section, "cert_file"))
        fault_at(draft, section, "certificate_bound",
                 "needs cert_file: the certificate they are "
                 "bound to");
}

static void check_body(struct draft *draft, const struct draft_section *section)
{
    const struct config_login *login = &((struct config_credential *)section->object)->login;
    struct str rest = str_of(login->body), before, reference;
    struct err err;
    if (!login->body)
        return;
    if (!login->is_form && is_known(section, "login_body_type") && !json_check(rest, &err))
        fault_at(draft, section, "login_body", err.text);
    while (template_next(&rest, &before, &reference)) {
        char *text = str_dup(reference);
        struct secret *secret = secret_new(text, &err);
        check_binary_secret(draft, section, "login_body", secret, 1);
        secret_free(secret);
        mem_free(text);
    }
}

static void check_login(struct draft *draft, const struct draft_section *section)
{
    const struct config_credential *credential = section->object;
    check_plaintext(draft, section, "login_url", &credential->login.url,
                    credential->allow_plaintext);
    check_tls(draft, section, &credential->tls, &credential->login.url);
    check_body(draft, section);
}

// A token that never expires is never renewed, nor replaced by another.
static void check_endless(struct draft *draft, const struct draft_section *section)
{
    static const char *const keys[] = {"token_url", "issuer", "clock_skew", "refresh_before"};
    if (draft_has(section, "token_expires") || draft_is_guessed(section, "token_expires"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (draft_has(section, keys[i]))
            fault_at(draft, section, keys[i],
                     "is not used: the token never expires; say when it does (token_expires), or "
                     "take it out");
}

static void check_static(struct draft *draft, const struct draft_section *section)
{
    const struct config_credential *credential = section->object;
    check_secret(draft, section, "token", credential->token);
    check_endless(draft, section);
    if (credential->token_expires_s && credential->token_expires_s <= time(NULL) &&
        !credential->has_endpoint)
        draft_warn(draft, section, "token_expires", "has passed: the token cannot be used");
}

// It may come later (T34); but what others may change is theirs (T-17).
static void check_command(struct draft *draft, const struct draft_section *section, const char *key,
                          const char *command)
{
    struct err err;
    struct stat st;
    char **argv = command ? child_argv_parse(command, &err) : NULL;
    if (!argv)
        return;
    if (access(argv[0], X_OK) != 0)
        draft_warn(draft, section, key, "cannot run %s: %s; it is tried again when it is needed",
                   argv[0], errno == ENOENT ? "there is no such file" : "it is not executable");
    else if (stat(argv[0], &st) == 0 && (st.st_mode & S_IWOTH))
        draft_fault(draft, section, draft_place(section, key, 0), key,
                    "every user of this machine can change %s; chmod o-w it", argv[0]);
    child_argv_free(argv);
}

static void check_source(struct draft *draft, const struct draft_section *section)
{
    struct config_credential *credential = section->object;
    bool is_meant = draft_has(section, "token_url") || draft_has(section, "issuer") ||
                    draft_is_guessed(section, "token_url") || draft_is_guessed(section, "issuer");
    credential->has_endpoint = credential->source != SOURCE_LOGIN && is_meant;
    if (credential->source == SOURCE_OAUTH && !is_meant)
        check_missing(draft, section, "token_url");
    unsigned kind = kind_of(credential);
    check_use(draft, section, kind);
    if (kind & FOR_ASKING)
        check_asking(draft, section);
    if (kind & FOR_LOGIN)
        check_login(draft, section);
    if (kind & (FOR_STATIC | FOR_STATIC_ASKING))
        check_static(draft, section);
    check_command(draft, section, "command", credential->command);
    check_command(draft, section, "on_token_update", credential->on_token_update);
    if (kind & FOR_OAUTH)
        check_dpop(draft, section);
}

void check_credential(struct draft *draft, const struct draft_section *section)
{
    struct config_credential *credential = section->object;
    if (credential->auth_method > AUTH_NONE) // self_signed_tls_client_auth
        credential->auth_method = AUTH_TLS_CLIENT;
    if (is_known(section, "source"))
        check_source(draft, section);
    check_request_headers(draft, section);
    check_commas(draft, section, &credential->scopes);
    if (draft_has(section, "hook_timeout") && !draft_has(section, "on_token_update") &&
        !draft_is_guessed(section, "on_token_update"))
        fault_at(draft, section, "hook_timeout", "is not used without on_token_update");
}
