// SPDX-License-Identifier: MIT
// The rows of [credential NAME]. See settings.h for the columns; check_credential.c holds a
// credential to `sources` and `methods`.
#include "config/config.h"
#include "config/settings_rows.h"

static const char *const sources[] = {"oauth", "login", "exec", "static", NULL}; // config_source
// enum config_auth_method. The last one is, to a client, what tls_client_auth is.
static const char *const auth_methods[] = {"client_secret_basic",
                                           "client_secret_post",
                                           "client_secret_jwt",
                                           "private_key_jwt",
                                           "assertion_file",
                                           "tls_client_auth",
                                           "none",
                                           "self_signed_tls_client_auth",
                                           NULL};
static const char *const encodings[] = {"form", "raw", NULL}; // enum config_basic_encoding
static const char *const algorithms[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                         "PS512", "ES256", "ES384", "ES512", "EdDSA",
                                         "HS256", "HS384", "HS512", NULL};
static const char *const assertion_types[] = {"JWT", "client-authentication+jwt", NULL};
static const char *const granted_words[] = {"warn", "accept", "refuse", NULL}; // config_granted
static const char *const body_types[] = {"json", "form", NULL};                // is_form

#define FOR_REQUESTS (FOR_ASKING | FOR_LOGIN) // those that bearerd makes itself
#define FOR_SCOPED   (FOR_ASKING | FOR_EXEC)  // tokens that differ by scopes and the like
#define FOR_EXECS    (FOR_EXEC | FOR_EXEC_ASKING)
#define FOR_STATICS  (FOR_STATIC | FOR_STATIC_ASKING)

#define BY_SECRET                                                                                  \
    (FOR_METHOD(AUTH_CLIENT_SECRET_BASIC) | FOR_METHOD(AUTH_CLIENT_SECRET_POST) |                  \
     FOR_METHOD(AUTH_CLIENT_SECRET_JWT))
#define BY_JWT (FOR_METHOD(AUTH_CLIENT_SECRET_JWT) | FOR_METHOD(AUTH_PRIVATE_KEY_JWT))
#define BY_KEY FOR_METHOD(AUTH_PRIVATE_KEY_JWT)

const struct setting settings_credential[] = {
    {CHOICE("source", config_credential, source), .section = SECTION_CREDENTIAL,
     .fallback = "oauth", .choices = sources,
     .help =
         "Where tokens come from: oauth asks a token endpoint (client-credentials grant), login "
         "posts a document and takes the token out of the answer, exec runs a command, static "
         "has one that does not change. exec and static may name a token endpoint as well, to "
         "be asked when the command says so or the token has expired.",
     .example = "login"},
    {URL("token_url", config_credential, token_url), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NO_EMPTY, .sources = FOR_ASKABLE,
     .help = "The authorization server's token endpoint. A query in it is kept.",
     .more = "issuer must be there in its place",
     .example = "https://idp.example.com/oauth2/token"},
    {TEXT("issuer", config_credential, issuer), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NO_EMPTY, .sources = FOR_ASKABLE, .item = item_issuer,
     .help = "The authorization server's issuer identifier: the token endpoint is then read from "
             "its metadata (RFC 8414 or OpenID Connect Discovery), which must name the same "
             "issuer, letter by letter.",
     .more = "token_url must be there in its place", .example = "https://idp.example.com"},
    {TEXT("client_id", config_credential, client_id), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NO_EMPTY, .sources = FOR_ASKING, .item = item_client_id,
     .help = "The client identifier that the authorization server issued. With assertion_file it "
             "may be left out.",
     .more = "it must be set, unless auth_method is assertion_file", .example = "legacy-app"},
    {SECRET("client_secret", config_credential, client_secret), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NEEDED, .sources = FOR_ASKING, .methods = BY_SECRET,
     .help = "The client's password, by reference or as it is.", .example = "env:CLIENT_SECRET"},
    {SECRET("client_secret_next", config_credential, client_secret_next),
     .section = SECTION_CREDENTIAL, .sources = FOR_ASKING, .methods = BY_SECRET,
     .help = "A second secret, tried when the first is refused: so a secret can be changed at the "
             "authorization server without a gap.",
     .example = "file:/etc/bearerd/client_secret.next"},
    {CHOICE("auth_method", config_credential, auth_method), .section = SECTION_CREDENTIAL,
     .sources = FOR_ASKING, .fallback = "client_secret_basic", .choices = auth_methods,
     .help = "How the client shows who it is: by its secret in an Authorization field or in the "
             "form, by an assertion signed with the secret or a key of its own (RFC 7523), by one "
             "that somebody else puts into a file, by its TLS certificate (RFC 8705), or not at "
             "all (a public client).",
     .example = "private_key_jwt"},
    {CHOICE("basic_encoding", config_credential, basic_encoding), .section = SECTION_CREDENTIAL,
     .sources = FOR_ASKING, .methods = FOR_METHOD(AUTH_CLIENT_SECRET_BASIC), .fallback = "form",
     .choices = encodings,
     .help = "How identifier and secret are encoded: form is what RFC 6749 says; raw is for "
             "servers that do not decode it.",
     .example = "raw"},
    {SECRET("signing_key", config_credential, signing_key), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NEEDED, .sources = FOR_ASKING, .methods = BY_KEY,
     .help = "The private key that signs assertions, PEM, by reference.",
     .example = "file:/etc/bearerd/signing.pem"},
    {WORD("signing_alg", config_credential, signing_alg), .section = SECTION_CREDENTIAL,
     .sources = FOR_ASKING, .methods = BY_JWT, .choices = algorithms,
     .help =
         "Algorithm of the signature: HS256 and its like with client_secret_jwt, the others with "
         "private_key_jwt. It must fit the key.",
     .more = "RS256, or HS256 with client_secret_jwt", .example = "ES256"},
    {TEXT("key_id", config_credential, key_id), .section = SECTION_CREDENTIAL,
     .sources = FOR_ASKING, .methods = BY_JWT, .item = item_text,
     .help = "Name of the key in the assertion's head (kid).",
     .more = "the key's thumbprint (RFC 7638), or none with client_secret_jwt",
     .example = "2024-03"},
    {PEM_FILE("signing_certificate", config_credential, signing_certificate),
     .section = SECTION_CREDENTIAL, .sources = FOR_ASKING, .methods = BY_KEY,
     .help = "PEM file of the signing key's certificate: its thumbprint goes into the assertion's "
             "head (x5t#S256), as some servers want.",
     .example = "/etc/bearerd/signing.crt"},
    {PATH("assertion_file", config_credential, assertion_file), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NEEDED, .sources = FOR_ASKING, .methods = FOR_METHOD(AUTH_ASSERTION_FILE),
     .help = "File of the assertion, put there and renewed by somebody else (a projected service "
             "account token, a JWT-SVID). It is read for every token request.",
     .example = "/var/run/secrets/tokens/idp"},
    {TEXT("assertion_audience", config_credential, assertion_audience),
     .section = SECTION_CREDENTIAL, .sources = FOR_ASKING, .methods = BY_JWT, .item = item_text,
     .help = "Whom the assertion is for (aud).",
     .more = "the issuer if it is set, else the token endpoint",
     .example = "https://idp.example.com"},
    {WORD("assertion_type", config_credential, assertion_type), .section = SECTION_CREDENTIAL,
     .sources = FOR_ASKING, .methods = BY_JWT, .fallback = "JWT", .choices = assertion_types,
     .help = "Type in the assertion's head (typ).", .example = "client-authentication+jwt"},
    {WORDS("scopes", config_credential, scopes), .section = SECTION_CREDENTIAL,
     .sources = FOR_SCOPED, .item = item_scope,
     .help = "Scopes to ask for with every token of this credential, besides those of the route.",
     .example = "openid"},
    {CHOICE("granted_scopes", config_credential, granted_scopes), .section = SECTION_CREDENTIAL,
     .sources = FOR_SCOPED, .fallback = "warn", .choices = granted_words,
     .help = "What happens when other scopes are granted than were asked for: warn uses the token "
             "and says so in the log, accept uses it, refuse does not use one that lacks a scope "
             "and says so of one that has more.",
     .example = "refuse"},
    {TEXT("audience", config_credential, audience), .section = SECTION_CREDENTIAL,
     .sources = FOR_SCOPED, .item = item_text,
     .help = "Value of the audience parameter, which some authorization servers want.",
     .example = "https://api.example.com"},
    {WORDS("resource", config_credential, resource), .section = SECTION_CREDENTIAL,
     .sources = FOR_SCOPED, .flags = SETTING_REPEATS, .item = item_resource,
     .help = "Resource the token is for (RFC 8707): an absolute URI. Repeat it for more.",
     .example = "https://api.example.com/"},
    {TEXT("authorization_details", config_credential, authorization_details),
     .section = SECTION_CREDENTIAL, .sources = FOR_SCOPED, .item = item_authorization_details,
     .help = "Rich authorization request (RFC 9396): a JSON array of objects, each with a type.",
     .example = "[{\"type\":\"payment_initiation\"}]"},
    {PARAMS("param", config_credential, param), .section = SECTION_CREDENTIAL,
     .sources = FOR_ASKING, .flags = SETTING_REPEATS,
     .help = "A parameter more for the token request: name, space, value. Repeat it for more.",
     .example = "tenant acme"},
    {HEADERS("request_header", config_credential, request_header), .section = SECTION_CREDENTIAL,
     .sources = FOR_REQUESTS, .flags = SETTING_REPEATS,
     .help = "A field more for the head of the token or login request. Repeat it for more.",
     .example = "X-Tenant: acme"},
    {BOOL("dpop", config_credential, dpop), .section = SECTION_CREDENTIAL, .sources = FOR_OAUTH,
     .fallback = "no",
     .help = "Whether tokens are bound to a key (DPoP, RFC 9449): token requests and requests to "
             "the upstream then carry a proof, made anew for each. The token is sent as "
             "Authorization: DPoP.",
     .example = "yes"},
    {SECRET("dpop_key", config_credential, dpop_key), .section = SECTION_CREDENTIAL,
     .sources = FOR_OAUTH,
     .help = "The private key of dpop, PEM, of the curve P-256 (ES256), by reference. Needed where "
             "a store shall carry tokens over a restart or to other processes.",
     .more = "one is made at each start", .example = "file:/etc/bearerd/dpop.pem"},
    {BOOL("certificate_bound", config_credential, certificate_bound), .section = SECTION_CREDENTIAL,
     .sources = FOR_ASKING, .fallback = "no",
     .help = "Whether tokens are bound to cert_file (RFC 8705, 3) and good for nothing without it: "
             "then every upstream of its routes must have the same cert_file.",
     .example = "yes"},
    {SECRET("token", config_credential, token), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NEEDED, .sources = FOR_STATICS, .help = "The token itself.",
     .example = "file:/etc/bearerd/api_token"},
    {TIME("token_expires", config_credential, token_expires_s), .section = SECTION_CREDENTIAL,
     .sources = FOR_STATICS, .help = "When the token expires, in UTC.", .more = "never",
     .example = "2030-01-31T12:00:00Z"},
    {TEXT("command", config_credential, command), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NEEDED, .sources = FOR_EXECS, .item = item_command,
     .help =
         "Command that gives tokens: an absolute path and arguments. No shell: words are "
         "separated by spaces, '...' and \"...\" hold them together. It gets what is asked for as "
         "JSON on its input, and answers with a token response (RFC 6749, 5.1), or with "
         "{\"use\":\"oauth\"} to have bearerd ask.",
     .example = "/usr/local/bin/get-token --profile prod"},
    {DURATION("command_timeout", config_credential, command_timeout_ms),
     .section = SECTION_CREDENTIAL, .sources = FOR_EXECS, .fallback = "10s", .min = 100,
     .max = 10 * MS_MINUTE, .help = "How long the command may take; then it is killed.",
     .example = "30s"},
    {URL("login_url", config_credential, login.url), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NO_EMPTY | SETTING_NEEDED, .sources = FOR_LOGIN,
     .help = "Where the login is posted to.", .example = "https://api.example.com/session/login"},
    {TEMPLATE("login_body", config_credential, login.body), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NEEDED, .sources = FOR_LOGIN,
     .help = "What is posted. %{env:NAME}, %{file:PATH} and %{credential:NAME} in it stand for "
             "secrets, which are read at each login and encoded as the type of the body asks for.",
     .example = "{\"username\":\"%{env:API_USER}\",\"password\":\"%{env:API_PASSWORD}\"}"},
    {BOOL("login_body_type", config_credential, login.is_form), .section = SECTION_CREDENTIAL,
     .sources = FOR_LOGIN, .fallback = "json", .choices = body_types,
     .help = "What login_body is: JSON, or name=value&name=value.", .example = "form"},
    {TEXT("login_token", config_credential, login.token), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NEEDED, .sources = FOR_LOGIN, .item = item_json_pointer,
     .help = "Where the token stands in the JSON answer: a JSON pointer (RFC 6901).",
     .example = "/sessionToken"},
    {TEXT("login_lifetime", config_credential, login.lifetime), .section = SECTION_CREDENTIAL,
     .sources = FOR_LOGIN, .item = item_json_pointer,
     .help = "Where the token's lifetime in seconds stands in the answer: a JSON pointer.",
     .more = "login_ttl counts", .example = "/expires_in"},
    {DURATION("login_ttl", config_credential, login.ttl_ms), .section = SECTION_CREDENTIAL,
     .sources = FOR_LOGIN, .fallback = "1h", .min = MS_SECOND, .max = 30 * MS_DAY,
     .help = "Lifetime of a token whose answer tells none.", .example = "12h"},
    {TEXT("login_credential", config_credential, login.credential), .section = SECTION_CREDENTIAL,
     .sources = FOR_LOGIN, .item = item_text,
     .help = "Name of another credential, whose token (with its own scopes) the login request "
             "bears. A login that is answered with 401 because of that token is made once more "
             "with a newer one.",
     .more = "the login request bears none", .example = "main"},
    {DURATION("idle_ttl", config_credential, idle_ttl_ms), .section = SECTION_CREDENTIAL,
     .sources = FOR_ASKING | FOR_LOGIN | FOR_EXEC, .fallback = "none", .min = MS_SECOND,
     .max = 30 * MS_DAY, .zero = "none",
     .help = "How long a token may go unused before the server forgets it: one that was is not "
             "used any more, but replaced.",
     .example = "20m"},
    {TEXT("on_token_update", config_credential, on_token_update), .section = SECTION_CREDENTIAL,
     .sources = FOR_ASKING | FOR_LOGIN | FOR_EXEC, .item = item_command,
     .help = "Command to run once for each new token, written as command is. It gets the token on "
             "its input and what is known of it in the environment.",
     .example = "/usr/local/bin/token-changed"},
    {DURATION("hook_timeout", config_credential, hook_timeout_ms), .section = SECTION_CREDENTIAL,
     .sources = FOR_ASKING | FOR_LOGIN | FOR_EXEC, .fallback = "30s", .min = 100, .max = MS_HOUR,
     .help = "How long on_token_update may take; then it is killed.", .example = "5s"},
    {DURATION("clock_skew", config_credential, clock_skew_ms), .section = SECTION_CREDENTIAL,
     .fallback = "10s", .min = 0, .max = 10 * MS_MINUTE,
     .help = "How long before its expiry a token is no longer used.", .example = "30s"},
    {DURATION("refresh_before", config_credential, refresh_before_ms),
     .section = SECTION_CREDENTIAL, .fallback = "60s", .min = 0, .max = MS_DAY,
     .help = "How long before the end of its use a token is renewed in the background; never more "
             "than a quarter of its lifetime.",
     .example = "5m"},
    {DURATION("default_ttl", config_credential, default_ttl_ms), .section = SECTION_CREDENTIAL,
     .sources = FOR_SCOPED, .fallback = "60s", .min = MS_SECOND, .max = MS_DAY,
     .help = "Lifetime of a token whose answer tells none (no expires_in).", .example = "5m"},
    {TEXT("header", config_credential, header), .section = SECTION_CREDENTIAL,
     .flags = SETTING_NO_EMPTY, .fallback = "Authorization", .item = item_header_name,
     .help = "Field that the token is sent in.", .example = "X-Access-Token"},
    {BOOL("required", config_credential, required), .section = SECTION_CREDENTIAL, .fallback = "no",
     .help = "Whether bearerd is ready only with its tokens: they are then fetched at start and "
             "kept at hand, and /readyz of [admin] says 503 while one is missing.",
     .example = "yes"},
    {TEXT("prefix", config_credential, prefix), .section = SECTION_CREDENTIAL, .fallback = "Bearer",
     .item = item_prefix,
     .help = "What stands before the token in that field; an empty value sends the token alone.",
     .example = ""},
    {PEM_FILE("ca_file", config_credential, tls.ca_file), .section = SECTION_CREDENTIAL,
     .sources = FOR_REQUESTS, .help = CA_HELP, .more = "the system's authorities",
     .example = "/etc/bearerd/idp-ca.pem"},
    {PEM_FILE("cert_file", config_credential, tls.cert_file), .section = SECTION_CREDENTIAL,
     .sources = FOR_REQUESTS,
     .help = "PEM file of the client certificate to show to the token endpoint; needs key_file.",
     .example = "/etc/bearerd/client.pem"},
    {PEM_FILE("key_file", config_credential, tls.key_file), .section = SECTION_CREDENTIAL,
     .sources = FOR_REQUESTS, .help = "PEM file of the certificate's private key.",
     .example = "/etc/bearerd/client.key"},
    {CHOICE("tls_min", config_credential, tls.min), .section = SECTION_CREDENTIAL,
     .sources = FOR_REQUESTS, .fallback = "1.2", .choices = setting_tls_versions,
     .help = TLS_MIN_HELP, .example = "1.3"},
    {TEXT("tls_ciphers", config_credential, tls.ciphers), .section = SECTION_CREDENTIAL,
     .sources = FOR_REQUESTS, .item = item_ciphers, .help = TLS_CIPHERS_HELP,
     .more = "OpenSSL's own choice", .example = TLS_CIPHERS_EXAMPLE},
    {TEXT("tls_ciphersuites", config_credential, tls.ciphersuites), .section = SECTION_CREDENTIAL,
     .sources = FOR_REQUESTS, .item = item_ciphers, .help = TLS_SUITES_HELP,
     .more = "OpenSSL's own choice", .example = TLS_SUITES_EXAMPLE},
    {TEXT("tls_pin", config_credential, tls.pin), .section = SECTION_CREDENTIAL,
     .sources = FOR_REQUESTS, .flags = SETTING_NO_EMPTY, .item = item_pins, .help = TLS_PIN_HELP,
     .more = "any that is trusted", .example = TLS_PIN_EXAMPLE},
    {TEXT("proxy", config_credential, proxy), .section = SECTION_CREDENTIAL,
     .sources = FOR_REQUESTS, .item = item_proxy, .help = PROXY_HELP, .more = "a direct connection",
     .example = "http://proxy.example.com:3128"},
    {DURATION("connect_timeout", config_credential, connect_timeout_ms),
     .section = SECTION_CREDENTIAL, .sources = FOR_REQUESTS, .fallback = "5s", .min = 10,
     .max = 10 * MS_MINUTE,
     .help = "How long connecting to the token endpoint may take, TLS included.", .example = "2s"},
    {DURATION("timeout", config_credential, timeout_ms), .section = SECTION_CREDENTIAL,
     .sources = FOR_REQUESTS, .fallback = "10s", .min = 10, .max = 10 * MS_MINUTE,
     .help = "How long a whole token request may take.", .example = "30s"},
    {BOOL("allow_plaintext", config_credential, allow_plaintext), .section = SECTION_CREDENTIAL,
     .sources = FOR_REQUESTS, .fallback = "no",
     .help = "Whether token_url, issuer or login_url may be http:// on another machine: secret and "
             "token can then be read on the way.",
     .example = "yes"},
};
const size_t settings_credential_count = ARRAY_LEN(settings_credential);
_Static_assert(ARRAY_LEN(settings_credential) <= 64, "draft_section.guessed has a bit for each");
