// SPDX-License-Identifier: MIT
// See admin_client.h. The key goes into the request and nowhere else; buffers that held it are
// wiped.
#include "cli/admin_client.h"

#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/json_in.h"
#include "cli/probe.h"
#include "http/h1.h"

#define ANSWER_MAX  ((size_t)80 * 1024 * 1024) // status.json of the largest configurations
#define REQUEST_MAX ((size_t)2 * SECRET_MAX)

bool admin_option_take(struct admin_options *options, int option, const char *value)
{
    const char **field = option == 'c'   ? &options->config_path
                         : option == 'a' ? &options->address
                         : option == 'k' ? &options->key_file
                                         : NULL;
    if (field)
        *field = value;
    return field != NULL;
}

// -- where it is, and the key ------------------------------------------------------------------

// A socket first: over it orders need no key. Where an inherited one is, nobody can tell.
static const char *choose_address(const struct config_strings *listen)
{
    const char *found = NULL;
    for (size_t i = 0; i < listen->count; i++) {
        const char *address = listen->items[i];
        if (str_starts(str_of(address), STR("unix:")))
            return address;
        if (!found && !str_starts(str_of(address), STR("fd:")))
            found = address;
    }
    return found;
}

static bool read_config(struct admin_client *client, const char *path, struct err *err)
{
    struct config_faults faults = {0};
    client->config = config_inspect(path, &faults);
    bool is_read = client->config->files.count > 0 ||
                   err_set(err, "%s", faults.count ? faults.items[0].message : "it is empty");
    config_faults_fini(&faults);
    client->address = choose_address(&client->config->admin.listen);
    client->is_elsewhere = !client->address && client->config->admin.listen.count > 0;
    return is_read;
}

static bool read_key_file(const char *path, struct buf *out, struct err *err)
{
    char reference[4096];
    snprintf(reference, sizeof reference, "file:%s", path);
    struct secret *secret = secret_new(reference, err);
    bool is_read = secret && secret_read(secret, out, err);
    secret_free(secret);
    return is_read;
}

static bool read_key(struct admin_client *client, const char *key_file, struct err *err)
{
    const struct secret *key = client->config ? client->config->admin.key : NULL;
    if (key_file)
        return read_key_file(key_file, &client->key, err);
    struct err why;
    if (!key || secret_read(key, &client->key, &why))
        return true;
    // Over a socket, and for health, none is needed: without it is better than not at all.
    buf_clear(&client->key);
    return true;
}

bool admin_client_open(struct admin_client *client, const struct admin_options *options,
                       struct err *err)
{
    const char *path = options->config_path;
    *client = (struct admin_client){0};
    buf_init(&client->key, SECRET_MAX);
    if (path || !options->address) {
        if (!read_config(client, path ? path : DEFAULT_CONFIG_PATH, err))
            return false;
    }
    if (options->address) {
        client->address = options->address;
        client->is_elsewhere = false;
    }
    return read_key(client, options->key_file, err);
}

void admin_client_explain(const struct admin_client *client, struct err *err)
{
    const struct config *config = client->config;
    if (client->is_elsewhere)
        err_set(err,
                "%s: [admin] listen = %s: where that socket is, only who hands it over knows; name "
                "it (--admin ADDRESS)",
                config->path, config->admin.listen.items[0]);
    else
        err_set(err, "%s has no [admin] listen", config->path);
}

const char *admin_client_proxy(const struct admin_client *client, struct err *err)
{
    if (client->config->listen.count)
        return client->config->listen.items[0];
    err_set(err, "%s: its [proxy] listen cannot be used; see bearerd check", client->config->path);
    return NULL;
}

void admin_client_close(struct admin_client *client)
{
    config_unref(client->config);
    buf_fini(&client->key);
}

// -- the exchange ------------------------------------------------------------------------------

static bool write_request(const struct admin_client *client, const char *method_path,
                          struct buf *out, struct err *err)
{
    struct str address = str_of(client->address);
    bool is_unix = str_starts(address, STR("unix:"));
    const char *port = is_unix ? NULL : strrchr(client->address, ':');
    bool ok =
        buf_printf(out, "%s HTTP/1.1\r\nHost: localhost%s\r\n", method_path, port ? port : "");
    if (client->key.len)
        ok = ok && buf_append(out, STR("Authorization: Bearer ")) &&
             buf_append(out, buf_str(&client->key)) && buf_append(out, STR("\r\n"));
    if (client->key.len && !field_value_is_valid(buf_str(&client->key)))
        return err_set(err, "the key holds what cannot be sent in a field");
    if (str_starts(str_of(method_path), STR("POST ")))
        ok = ok && buf_append(out, STR("Content-Length: 0\r\n"));
    return (ok && buf_append(out, STR("Connection: close\r\n\r\n"))) ||
           err_set(err, "the key is too long");
}

static bool read_answer(const struct admin_client *client, struct admin_answer *out,
                        struct err *err)
{
    struct h1_response response;
    const char *why = "it ends within its head";
    if (h1_parse_response(buf_str(&out->bytes), false, &response, &why) != H1_DONE)
        return err_set(err, "%s: no answer that can be understood: %s", client->address, why);
    out->status = response.status;
    out->body = str_from(buf_str(&out->bytes), response.head_len);
    if (response.has_length && response.content_length != out->body.len)
        return err_set(err, "%s: the answer is cut off", client->address);
    return true;
}

bool admin_client_ask(const struct admin_client *client, const char *method_path,
                      unsigned timeout_ms, struct admin_answer *out, struct err *err)
{
    struct buf request;
    *out = (struct admin_answer){0};
    buf_init(&out->bytes, ANSWER_MAX);
    buf_init(&request, REQUEST_MAX);
    bool ok = write_request(client, method_path, &request, err) &&
              probe_exchange(client->address, buf_str(&request), timeout_ms, &out->bytes, err) &&
              read_answer(client, out, err);
    buf_fini(&request);
    return ok;
}

void admin_answer_fini(struct admin_answer *answer)
{
    buf_fini(&answer->bytes);
}

// -- what it said ------------------------------------------------------------------------------

char *admin_text_plain(struct str text, bool keep_lines)
{
    char *out = mem_alloc(text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_kept = (c >= ' ' && c <= '~') || (keep_lines && c == '\n');
        if (((unsigned char)c & 0xC0) == 0x80)
            continue; // within a character of UTF-8
        if (!is_kept)
            c = '?';
        out[len++] = c;
    }
    return out;
}

void admin_answer_complain(const struct admin_answer *answer, const char *prefix)
{
    struct json_t *document = json_in_parse(answer->body, NULL);
    struct str detail = json_in_text(document, "detail");
    char *plain = admin_text_plain(str_trim(detail.len ? detail : answer->body), true);
    size_t len = strlen(plain);
    while (len && plain[len - 1] == '\n')
        plain[--len] = '\0';
    fprintf(stderr, "%s%s\n", prefix, plain);
    mem_free(plain);
    json_in_free(document);
}
