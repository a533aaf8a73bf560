// SPDX-License-Identifier: MIT
// See post.h. Owns the lines of heads until they are wiped; refuses to know what is asked for.
#include "token/post.h"

#include "token/grant.h"
#include "token/tls_files.h"

static void head_free(char **head)
{
    for (char **line = head; *line; line++)
        mem_free_secret(*line);
    mem_free(head);
}

char **post_head(const struct config_credential *credential, bool is_form, char *first,
                 char *second, struct err *err)
{
    const struct config_headers *more = &credential->request_header;
    char **lines = mem_array(6 + more->count, sizeof *lines), **line = lines;
    struct buf text;
    bool ok = true;
    *line++ = mem_strdup(is_form ? "Content-Type: application/x-www-form-urlencoded"
                                 : "Content-Type: application/json");
    *line++ = mem_strdup("Accept: application/json");
    *line++ = mem_strdup("User-Agent: bearerd/" BEARERD_VERSION);
    if (first)
        *line++ = first;
    if (second)
        *line++ = second;
    buf_init(&text, GRANT_FORM_MAX);
    for (size_t i = 0; ok && i < more->count; i++) {
        ok = buf_printf(&text, "%s: %s", more->items[i].name, more->items[i].value) ||
             err_set(err, "request_header is too long");
        if (ok)
            *line++ = buf_take(&text);
    }
    buf_fini(&text);
    if (ok)
        return lines;
    head_free(lines);
    return NULL;
}

struct fetch_request post_settings(const struct config_credential *credential)
{
    return (struct fetch_request){.tls = tls_files_options(&credential->tls),
                                  .proxy = credential->proxy,
                                  .connect_timeout_ms = credential->connect_timeout_ms,
                                  .timeout_ms = credential->timeout_ms};
}

struct fetch *post_start(struct fetcher *fetcher, const struct post *post, fetch_done_fn *done,
                         void *arg, struct err *err)
{
    struct fetch_request request = post_settings(post->credential);
    request.method = "POST";
    request.url = post->url;
    request.headers = (const char *const *)post->head;
    request.body = post->body;
    request.body_max = GRANT_BODY_MAX;
    struct fetch *fetch = fetch_start(fetcher, &request, done, arg, err);
    head_free(post->head);
    return fetch;
}
