// SPDX-License-Identifier: MIT
// Any bytes as a request target, and as a path for readings. What must hold: what is taken is made
// of the bytes that may be there; a simple path has one reading; readings start with '/', are never
// longer than the path and none comes twice; a normalised authority stays as it is when it is
// normalised again.
#include <stdlib.h>
#include <string.h>

#include "proxy/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what)                                                                                 \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

struct seen {
    struct str first;
    char *texts;
    struct str items[300];
    size_t count, used;
};

static bool see(void *arg, struct str reading)
{
    struct seen *seen = arg;
    MUST(reading.len >= 1 && reading.len <= seen->first.len && reading.ptr[0] == '/');
    MUST(seen->count || str_eq(reading, seen->first));
    for (size_t i = 0; i < seen->count; i++)
        MUST(!str_eq(seen->items[i], reading));
    MUST(seen->count < ARRAY_LEN(seen->items));
    char *copy = seen->texts + seen->used;
    memcpy(copy, reading.ptr, reading.len);
    seen->used += reading.len;
    seen->items[seen->count++] = (struct str){copy, reading.len};
    return true;
}

static void check_readings(struct str path, bool is_simple)
{
    struct seen seen = {.first = path};
    seen.texts = mem_alloc(path.len * ARRAY_LEN(seen.items));
    bool is_whole = target_each_reading(path, see, &seen);
    MUST(!is_simple || (is_whole && seen.count == 1));
    mem_free(seen.texts);
}

static void check_bytes(const struct target *target)
{
    for (size_t i = 0; i < target->path.len; i++)
        MUST(target->path.ptr[i] > ' ' && target->path.ptr[i] < 0x7f &&
             !strchr("\\#\"<>^`{|}?", target->path.ptr[i]));
    for (size_t i = 0; i < target->query.len; i++)
        MUST(target->query.ptr[i] > ' ' && target->query.ptr[i] < 0x7f &&
             target->query.ptr[i] != '#');
}

static void check_authority(struct str authority)
{
    char *once = mem_realloc(NULL, authority.len), *twice = NULL;
    size_t once_len, twice_len;
    if (target_normal_authority(authority, 80, once, &once_len)) {
        MUST(once_len > 0 && once_len <= authority.len);
        twice = mem_realloc(NULL, once_len);
        MUST(target_normal_authority((struct str){once, once_len}, 80, twice, &twice_len));
        MUST(str_eq((struct str){once, once_len}, (struct str){twice, twice_len}));
    }
    mem_free(once);
    mem_free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str methods[] = {{"GET", 3}, {"OPTIONS", 7}, {"CONNECT", 7}};
    struct str raw = {(const char *)data, size};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct target target;
        const char *why = NULL;
        if (!target_parse(raw, methods[i], &target, &why)) {
            MUST(why);
            continue;
        }
        check_bytes(&target);
        bool has_path = target.path.len && target.path.ptr[0] == '/';
        MUST(has_path || str_eq(target.path, STR("*")) || target.form == TARGET_AUTHORITY);
        MUST(target.form == TARGET_ORIGIN || target.form == TARGET_ASTERISK ||
             target.authority.len);
        if (has_path)
            check_readings(target.path, target.is_simple);
    }
    if (size) {
        check_authority(raw);
        // Readings are safe for any bytes, not only for those that target_parse lets through.
        if (raw.ptr[0] == '/')
            check_readings(raw, false);
    }
    return 0;
}
