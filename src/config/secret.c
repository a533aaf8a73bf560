// SPDX-License-Identifier: MIT
// See secret.h. Values of env: and literals are copied at once and wiped in the end; of files only
// the name is kept, so that a rotated file is seen by the next read (T17). Error texts name the
// reference, never the value.
#include "config/secret.h"

#include "base/env.h"
#include "base/file.h"

enum secret_kind { SECRET_LITERAL, SECRET_ENV, SECRET_FILE };

struct secret {
    enum secret_kind kind;
    char *value;  // SECRET_LITERAL, SECRET_ENV
    char *path;   // SECRET_FILE
    char *origin; // for messages
};

static bool is_name(struct str name, bool is_file)
{
    for (size_t i = 0; i < name.len; i++) {
        char lower = str_lower(name.ptr[i]);
        bool is_common =
            (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') || lower == '_';
        if (!is_common && !(is_file && (lower == '-' || lower == '.')))
            return false;
    }
    return name.len && name.ptr[0] != '.';
}

static bool read_env(struct secret *secret, struct str name, struct err *err)
{
    if (!is_name(name, false))
        return err_set(err, "env: must be followed by a variable's name");
    secret->kind = SECRET_ENV;
    const char *value = env_get(str_from(str_of(secret->origin), 4).ptr);
    if (!value)
        return err_set(err, "the environment variable %.*s is not set", STR_ARG(name));
    if (!*value)
        return err_set(err, "the environment variable %.*s is empty", STR_ARG(name));
    secret->value = mem_strdup(value);
    return true;
}

static bool name_file(struct secret *secret, struct str path, struct err *err)
{
    if (!path.len)
        return err_set(err, "file: must be followed by a path");
    secret->kind = SECRET_FILE;
    secret->path = str_dup(path);
    return true;
}

// Outside of systemd there is no such folder. That is no fault: `check` may run anywhere.
static bool name_credential(struct secret *secret, struct str name, struct err *err)
{
    if (!is_name(name, true))
        return err_set(err, "credential: must be followed by the name of a systemd credential");
    const char *folder = env_get("CREDENTIALS_DIRECTORY");
    secret->kind = SECRET_FILE;
    if (!folder || !*folder)
        return true;
    struct buf path;
    buf_init(&path, 4096);
    bool ok = buf_printf(&path, "%s/%.*s", folder, STR_ARG(name));
    if (ok)
        secret->path = buf_take(&path);
    return ok || err_set(err, "CREDENTIALS_DIRECTORY is too long");
}

static bool take_literal(struct secret *secret, struct str text, struct err *err)
{
    if (!text.len)
        return err_set(err, "a secret must not be empty");
    if (text.len > SECRET_MAX)
        return err_set(err, "a secret must not be longer than %d bytes", SECRET_MAX);
    // Taken for a literal, the command line would be sent to the authorization server.
    if (str_starts(text, STR("exec:")))
        return err_set(err, "exec: is not known; a secret is env:NAME, file:PATH, "
                            "credential:NAME or the literal");
    secret->kind = SECRET_LITERAL;
    secret->value = str_dup(text);
    return true;
}

struct secret *secret_new(const char *reference, struct err *err)
{
    struct str text = str_of(reference);
    struct secret *secret = mem_alloc(sizeof *secret);
    bool is_env = str_starts(text, STR("env:")), is_file = str_starts(text, STR("file:"));
    bool is_credential = str_starts(text, STR("credential:"));
    bool is_named = is_env || is_file || is_credential;
    secret->origin = is_named ? str_dup(text) : mem_strdup("(literal)");
    bool ok = is_env          ? read_env(secret, str_from(text, 4), err)
              : is_file       ? name_file(secret, str_from(text, 5), err)
              : is_credential ? name_credential(secret, str_from(text, 11), err)
                              : take_literal(secret, text, err);
    if (ok)
        return secret;
    secret_free(secret);
    return NULL;
}

void secret_free(struct secret *secret)
{
    if (!secret)
        return;
    mem_free_secret(secret->value);
    mem_free(secret->path);
    mem_free(secret->origin);
    mem_free(secret);
}

static struct str without_newline(struct str text)
{
    text.len -= str_ends(text, STR("\r\n")) ? 2 : str_ends(text, STR("\n")) ? 1 : 0;
    return text;
}

static bool read_file(const struct secret *secret, struct buf *out, struct err *err)
{
    if (!secret->path)
        return err_set(err,
                       "%s: CREDENTIALS_DIRECTORY is not set (systemd sets it for a unit with "
                       "LoadCredential=)",
                       secret->origin);
    struct buf content;
    buf_init(&content, SECRET_MAX + 3); // value, CR LF, and the byte that tells the end
    bool ok = file_read_secret(secret->path, &content, err);
    struct str value = without_newline(buf_str(&content));
    if (ok && !value.len)
        ok = err_set(err, "%s is empty", secret->path);
    if (ok && !buf_append(out, value))
        ok = err_set(err, "the secret in %s is too long", secret->path);
    buf_fini(&content);
    return ok;
}

bool secret_read(const struct secret *secret, struct buf *out, struct err *err)
{
    if (secret->kind == SECRET_FILE)
        return read_file(secret, out, err);
    return buf_append(out, str_of(secret->value)) || err_set(err, "the secret is too long");
}

const char *secret_origin(const struct secret *secret)
{
    return secret->origin;
}
