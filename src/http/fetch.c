// SPDX-License-Identifier: MIT
// See fetch.h. Owns one libcurl easy handle per request, never reused: token requests are rare, and
// a fresh connection cannot carry another request's TLS identity or die of old age. It refuses to
// know what the bytes mean. Invariant: libcurl is told everything explicitly, nothing comes from
// the environment; what was copied from the request is wiped when the fetch ends.
#include "http/fetch.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "http/multi.h"

#define HEADERS_MAX 65536 // of a response, 1xx blocks and trailers included
#define FIELD_MAX   520   // of the response fields that are handed out; the rest is cut off

enum { CONTENT_TYPE, RETRY_AFTER, CACHE_CONTROL, DATE, WWW_AUTHENTICATE, DPOP_NONCE, FIELDS };
static const struct str field_names[FIELDS] = {STR("Content-Type:"),     STR("Retry-After:"),
                                               STR("Cache-Control:"),    STR("Date:"),
                                               STR("WWW-Authenticate:"), STR("DPoP-Nonce:")};

struct fetcher {
    struct multi *multi;
    struct loop *loop;
    uint64_t fresh_ms; // what libcurl parsed before is not used any more
    struct list fetches;
};

struct fetch {
    struct list link;
    struct fetcher *fetcher;
    CURL *easy;
    struct curl_slist *headers;
    struct buf request_body, body;
    char *host, *query; // of the URL, for texts: query is what must not be in them
    unsigned port;
    char fields[FIELDS][FIELD_MAX];
    unsigned nonce_count;
    size_t header_bytes;
    bool is_too_large;
    char curl_text[CURL_ERROR_SIZE];
    uint64_t connect_timeout_ms, timeout_ms, sent_ms, started_us;
    fetch_done_fn *done;
    void *arg;
};

// -- what libcurl calls ------------------------------------------------------------------------

// Fewer bytes taken than given make libcurl end the transfer.
static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct fetch *fetch = arg;
    fetch->is_too_large = !buf_append(&fetch->body, (struct str){bytes, size * count});
    return fetch->is_too_large ? 0 : size * count;
}

static void keep_field(struct fetch *fetch, struct str line)
{
    for (size_t i = 0; i < FIELDS; i++) {
        struct str name = {line.ptr, field_names[i].len};
        if (line.len < name.len || !str_eq_nocase(name, field_names[i]))
            continue;
        struct str value = str_from(line, name.len);
        while (value.len && (value.ptr[value.len - 1] == '\r' || value.ptr[value.len - 1] == '\n'))
            value.len--;
        value = str_trim(value);
        size_t at = i == WWW_AUTHENTICATE ? strlen(fetch->fields[i]) : 0;
        snprintf(fetch->fields[i] + at, FIELD_MAX - at, "%s%.*s", at ? ", " : "", STR_ARG(value));
        fetch->nonce_count += i == DPOP_NONCE;
    }
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct fetch *fetch = arg;
    struct str line = {bytes, size * count};
    fetch->header_bytes += line.len;
    if (fetch->header_bytes > HEADERS_MAX) {
        fetch->is_too_large = true;
        return 0;
    }
    if (str_starts(line, STR("HTTP/"))) { // a new block; the one before was a 1xx
        mem_wipe(fetch->fields, sizeof fetch->fields);
        fetch->nonce_count = 0;
    }
    keep_field(fetch, line);
    return line.len;
}

// -- how it ended ------------------------------------------------------------------------------

// TLS 1.3 servers refuse a client only after its handshake is done, so the alert ("certificate
// required") comes in the place of the answer.
static bool is_tls_alert(const struct fetch *fetch)
{
    return strstr(fetch->curl_text, "SSL") && strstr(fetch->curl_text, "alert");
}

static enum fetch_error fetch_error_of(const struct fetch *fetch, int code)
{
    if (fetch->is_too_large)
        return FETCH_TOO_LARGE;
    switch (code) {
    case CURLE_OK:
        return FETCH_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        return FETCH_UNREACHABLE;
    case CURLE_OUT_OF_MEMORY: // its word for a field beyond its own limit
        return FETCH_TOO_LARGE;
    case CURLE_OPERATION_TIMEDOUT:
        return FETCH_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
        return FETCH_TLS;
    default:
        return is_tls_alert(fetch) ? FETCH_TLS : FETCH_BROKEN;
    }
}

static void timeout_text(const struct fetch *fetch, char *out, size_t out_size)
{
    curl_off_t resolved_us = 0, connected_us = 0;
    curl_easy_getinfo(fetch->easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved_us);
    curl_easy_getinfo(fetch->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
    unsigned long long limit_ms = connected_us ? fetch->timeout_ms : fetch->connect_timeout_ms;
    snprintf(out, out_size, "%s %s:%u: no %s within %llu ms",
             connected_us ? "request to" : "connect to", fetch->host, fetch->port,
             connected_us  ? "complete answer"
             : resolved_us ? "connection"
                           : "address",
             limit_ms < fetch->timeout_ms ? limit_ms : (unsigned long long)fetch->timeout_ms);
}

static void connect_text(const struct fetch *fetch, char *out, size_t out_size)
{
    long code = 0;
    char reason[128] = "no connection";
    curl_easy_getinfo(fetch->easy, CURLINFO_OS_ERRNO, &code);
    const char *text = code ? strerror_r((int)code, reason, sizeof reason) : reason;
    snprintf(out, out_size, "connect to %s:%u: %s", fetch->host, fetch->port, text);
}

static bool is_about_a_file(int code)
{
    return code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_SSL_CRL_BADFILE;
}

// libcurl's own words, unless they repeat the query, or name files, which are the log's business.
static void curl_text(const struct fetch *fetch, int code, char *out, size_t out_size)
{
    const char *text = fetch->curl_text[0] ? fetch->curl_text : curl_easy_strerror((CURLcode)code);
    if (is_about_a_file(code))
        log_error("fetch.tls_file", F_TEXT("text", text));
    if (is_about_a_file(code) || (fetch->query && strstr(text, fetch->query)))
        text = curl_easy_strerror((CURLcode)code);
    snprintf(out, out_size, "%s:%u: %s", fetch->host, fetch->port, text);
    for (char *c = out; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

static void fetch_describe(const struct fetch *fetch, int code, struct fetch_response *response)
{
    char *text = response->error_text;
    size_t size = sizeof response->error_text;
    if (response->error == FETCH_TOO_LARGE)
        snprintf(text, size, "%s:%u: the answer is too large", fetch->host, fetch->port);
    else if (response->error == FETCH_TIMEOUT)
        timeout_text(fetch, text, size);
    else if (code == CURLE_COULDNT_CONNECT)
        connect_text(fetch, text, size);
    else if (response->error != FETCH_OK)
        curl_text(fetch, code, text, size);
}

static void wipe_slist(struct curl_slist *list)
{
    for (struct curl_slist *node = list; node; node = node->next)
        mem_wipe(node->data, strlen(node->data));
    curl_slist_free_all(list);
}

static void fetch_free(struct fetch *fetch)
{
    list_remove(&fetch->link);
    if (fetch->easy)
        curl_easy_cleanup(fetch->easy);
    wipe_slist(fetch->headers);
    buf_fini(&fetch->request_body);
    buf_fini(&fetch->body);
    mem_free(fetch->host);
    mem_free(fetch->query);
    mem_wipe(fetch->fields, sizeof fetch->fields);
    mem_free(fetch);
}

static void on_transfer_done(void *arg, void *easy, int code)
{
    (void)arg;
    char *private = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct fetch *fetch = (struct fetch *)(void *)private;
    multi_remove(fetch->fetcher->multi, easy);
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    struct fetch_response response = {.error = fetch_error_of(fetch, code),
                                      .status = (int)status,
                                      .body = buf_str(&fetch->body),
                                      .content_type = str_of(fetch->fields[CONTENT_TYPE]),
                                      .retry_after = str_of(fetch->fields[RETRY_AFTER]),
                                      .cache_control = str_of(fetch->fields[CACHE_CONTROL]),
                                      .date = str_of(fetch->fields[DATE]),
                                      .www_authenticate = str_of(fetch->fields[WWW_AUTHENTICATE]),
                                      .sent_ms = fetch->sent_ms,
                                      .took_us = clock_boottime_us() - fetch->started_us};
    if (fetch->nonce_count == 1) // two would be a matter of taste (RFC 9449 8.1)
        response.dpop_nonce = str_of(fetch->fields[DPOP_NONCE]);
    fetch_describe(fetch, code, &response);
    fetch->done(fetch->arg, &response);
    fetch_free(fetch);
}

// -- starting ----------------------------------------------------------------------------------

static bool is_field_line(const char *line)
{
    for (const char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return strchr(line, ':') != NULL;
}

static bool copy_headers(struct fetch *fetch, const char *const *headers, struct err *err)
{
    // libcurl adds "Expect: 100-continue" to larger bodies; a token endpoint has no use for it.
    fetch->headers = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; headers && headers[i]; i++) {
        if (!is_field_line(headers[i]))
            return err_set(err, "a header field of the request is not valid");
        struct curl_slist *grown = curl_slist_append(fetch->headers, headers[i]);
        if (!grown)
            return err_set(err, "libcurl: out of memory");
        fetch->headers = grown;
    }
    return true;
}

static char *url_part(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    if (curl_url_get(url, part, &text, flags) != CURLUE_OK)
        return NULL;
    char *copy = mem_strdup(text);
    curl_free(text);
    return copy;
}

static bool check_url(struct fetch *fetch, const char *text, struct err *err)
{
    CURLU *url = curl_url();
    if (!url)
        return err_set(err, "libcurl: out of memory");
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER);
    char *scheme = code == CURLUE_OK ? url_part(url, CURLUPART_SCHEME, 0) : NULL;
    char *port = code == CURLUE_OK ? url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT) : NULL;
    uint64_t port_number = 0;
    bool ok = scheme && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) && port &&
              str_to_u64(str_of(port), &port_number);
    if (ok) {
        fetch->host = url_part(url, CURLUPART_HOST, 0);
        fetch->query = url_part(url, CURLUPART_QUERY, 0);
        fetch->port = (unsigned)port_number;
        // Only this scheme, so that nothing can change it on the way.
        curl_easy_setopt(fetch->easy, CURLOPT_PROTOCOLS_STR, scheme);
        curl_easy_setopt(fetch->easy, CURLOPT_URL, text);
    }
    curl_url_cleanup(url);
    mem_free(scheme);
    mem_free(port);
    return ok || err_set(err, "the URL is not a usable http or https URL%s%s", code ? ": " : "",
                         code ? curl_url_strerror(code) : "");
}

// A missing file must be an error, never a connection without it.
static bool check_file(const char *what, const char *path, struct err *err)
{
    return !path || access(path, R_OK) == 0 || err_errno(err, "cannot read %s %s", what, path);
}

static bool set_tls(struct fetch *fetch, const struct fetch_request *request, struct err *err)
{
    const struct tls_options *tls = &request->tls;
    if (!check_file("ca_file", tls->ca_file, err) ||
        !check_file("cert_file", tls->cert_file, err) ||
        !check_file("key_file", tls->key_file, err))
        return false;
    uint64_t kept_s = (clock_boottime_us() / 1000 - fetch->fetcher->fresh_ms) / 1000;
    tls_apply(fetch->easy, tls);
    tls_forget_authorities(fetch->easy, kept_s);
    return true;
}

static void set_limits(struct fetch *fetch, const struct fetch_request *request)
{
    CURL *easy = fetch->easy;
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); // do not wait for a resolver thread
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    // Without "*", no_proxy of the environment would be consulted; with it, no proxy would be used.
    curl_easy_setopt(easy, CURLOPT_PROXY, request->proxy ? request->proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, request->proxy ? "" : "*");
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 0L);
    curl_easy_setopt(easy, CURLOPT_UNRESTRICTED_AUTH, 0L);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
}

static void set_message(struct fetch *fetch, bool is_post)
{
    CURL *easy = fetch->easy;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
    if (is_post) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)fetch->request_body.len);
        // Not COPYPOSTFIELDS: that copy could not be wiped.
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                         fetch->request_body.len ? fetch->request_body.ptr : "");
    }
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->curl_text);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
}

struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_request *request,
                          fetch_done_fn *done, void *arg, struct err *err)
{
    bool is_post = strcmp(request->method, "POST") == 0;
    if (!is_post && strcmp(request->method, "GET") != 0) {
        err_set(err, "unusable method %s", request->method);
        return NULL;
    }
    struct fetch *fetch = mem_alloc(sizeof *fetch);
    *fetch = (struct fetch){.fetcher = fetcher,
                            .connect_timeout_ms = request->connect_timeout_ms,
                            .timeout_ms = request->timeout_ms,
                            .sent_ms = clock_boottime_us() / 1000,
                            .started_us = clock_boottime_us(),
                            .done = done,
                            .arg = arg};
    buf_init(&fetch->request_body, request->body.len);
    buf_init(&fetch->body, request->body_max);
    list_append(&fetcher->fetches, &fetch->link);
    fetch->easy = curl_easy_init();
    if (!fetch->easy || !buf_append(&fetch->request_body, request->body)) {
        err_set(err, "libcurl: out of memory");
        goto fail;
    }
    if (!check_url(fetch, request->url, err) || !copy_headers(fetch, request->headers, err) ||
        !set_tls(fetch, request, err))
        goto fail;
    set_limits(fetch, request);
    set_message(fetch, is_post);
    if (!multi_add(fetcher->multi, fetch->easy, err))
        goto fail;
    return fetch;
fail:
    fetch_free(fetch);
    return NULL;
}

void fetch_cancel(struct fetch *fetch)
{
    if (!fetch)
        return;
    multi_remove(fetch->fetcher->multi, fetch->easy);
    fetch_free(fetch);
}

// -- the fetcher -------------------------------------------------------------------------------

struct fetcher *fetcher_new(struct loop *loop, struct err *err)
{
    struct fetcher *fetcher = mem_alloc(sizeof *fetcher);
    fetcher->loop = loop;
    list_init(&fetcher->fetches);
    fetcher->multi = multi_new(loop, on_transfer_done, fetcher, err);
    if (!fetcher->multi) {
        mem_free(fetcher);
        return NULL;
    }
    return fetcher;
}

void fetcher_refresh(struct fetcher *fetcher)
{
    fetcher->fresh_ms = clock_boottime_us() / 1000;
}

void fetcher_free(struct fetcher *fetcher)
{
    if (!fetcher)
        return;
    assert(list_is_empty(&fetcher->fetches));
    multi_free(fetcher->multi);
    mem_free(fetcher);
}
