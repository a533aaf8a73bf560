// SPDX-License-Identifier: MIT
// The property the router stands for: if a server reads the path that is sent as resource R, then
// the route chosen is R's, or the request was refused. The oracle is written apart from the router:
// servers as straight sequences of steps on a path that is cut up once, and rules compared one by
// one without a tree.
#include <stdlib.h>
#include <string.h>

#include "../support/fixture.h"
#include "proxy/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what)                                                                                 \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

#define PATH_MAX_LEN 512

static const char *const patterns[] = {
    "/**",        "GET /a",       "/a/b",         "/a/*",  "GET /a/{id}/c",
    "/a/**",      "/admin/**",    "POST /a/b",    "/a/b/", "/*/b/**",
    "/public/**", "PUT /a/*/d/e", "/public/open", "/",     "GET /*/*/**",
};

// ---- the oracle's servers

struct path {
    char bytes[PATH_MAX_LEN * 2];
    size_t len;
};

static void path_decode(struct path *path)
{
    size_t len = 0;
    for (size_t i = 0; i < path->len; i++, len++) {
        int high = i + 2 < path->len ? str_hex_digit(path->bytes[i + 1]) : -1;
        int low = i + 2 < path->len ? str_hex_digit(path->bytes[i + 2]) : -1;
        path->bytes[len] = path->bytes[i];
        if (path->bytes[i] != '%' || high < 0 || low < 0)
            continue;
        path->bytes[len] = (char)(high * 16 + low);
        i += 2;
    }
    path->len = len;
}

static void path_turn_backslashes(struct path *path)
{
    for (size_t i = 0; i < path->len; i++)
        if (path->bytes[i] == '\\')
            path->bytes[i] = '/';
}

static void path_cut_params(struct path *path)
{
    size_t len = 0;
    for (size_t i = 0; i < path->len; i++) {
        if (path->bytes[i] == ';')
            while (i + 1 < path->len && path->bytes[i + 1] != '/')
                i++;
        else
            path->bytes[len++] = path->bytes[i];
    }
    path->len = len;
}

static void path_merge(struct path *path)
{
    size_t len = 0;
    for (size_t i = 0; i < path->len; i++)
        if (i == 0 || path->bytes[i] != '/' || path->bytes[i - 1] != '/')
            path->bytes[len++] = path->bytes[i];
    path->len = len;
}

// False: climbs above the root, which this server answers with 400.
static bool path_remove_dots(struct path *path)
{
    struct str kept[PATH_MAX_LEN * 2], segment, rest = {path->bytes + 1, path->len - 1};
    size_t count = 0;
    bool ends_open = false;
    while (str_split(&rest, '/', &segment)) {
        bool is_up = str_eq(segment, STR("..")), is_dot = is_up || str_eq(segment, STR("."));
        if (is_up && count == 0)
            return false;
        count -= is_up;
        if (!is_dot)
            kept[count++] = segment;
        ends_open = is_dot;
    }
    struct path out = {.len = 0};
    for (size_t i = 0; i < count; i++) {
        out.bytes[out.len++] = '/';
        memcpy(out.bytes + out.len, kept[i].ptr, kept[i].len);
        out.len += kept[i].len;
    }
    if (ends_open || !count)
        out.bytes[out.len++] = '/';
    *path = out;
    return true;
}

enum { DECODE, MERGE, DOTS, PARAMS, BACKSLASH };

static const struct {
    int steps[8];
    size_t count;
} servers[] = {
    {{DECODE, MERGE, DOTS}, 3},                    // nginx
    {{DECODE, DOTS, MERGE}, 3},                    //
    {{PARAMS, DECODE, DOTS}, 3},                   // Tomcat
    {{PARAMS, DECODE, BACKSLASH, MERGE, DOTS}, 5}, //
    {{DOTS, DECODE}, 2},                           // node: URL, then decodeURI
    {{DOTS}, 1},
    {{DECODE}, 1},
    {{MERGE}, 1},
    {{DECODE, DECODE, DOTS}, 3}, // a decoding proxy between
    {{DECODE, BACKSLASH, DOTS}, 3},
    {{DECODE, PARAMS, DOTS, MERGE}, 4},
    {{0}, 0}, // raw
};

static bool server_reads(size_t server, struct path *path)
{
    for (size_t i = 0; i < servers[server].count; i++)
        switch (servers[server].steps[i]) {
        case DECODE:
            path_decode(path);
            break;
        case MERGE:
            path_merge(path);
            break;
        case PARAMS:
            path_cut_params(path);
            break;
        case BACKSLASH:
            path_turn_backslashes(path);
            break;
        default:
            if (!path_remove_dots(path))
                return false;
        }
    return path->len > 0;
}

// ---- the oracle's rules

// 'a' literal, 'b' one segment, 'c' rest, 'd' the end: smaller is more specific. False: does not
// match.
static bool rank(struct str pattern, struct str path, char *out)
{
    struct str want, got, patterns_left = str_from(pattern, 1), path_left = str_from(path, 1);
    while (str_split(&patterns_left, '/', &want)) {
        if (str_eq(want, STR("**"))) {
            *out++ = 'c';
            *out = 0;
            return true;
        }
        if (!str_split(&path_left, '/', &got))
            return false;
        bool is_any = want.len && (want.ptr[0] == '*' || want.ptr[0] == '{');
        if (is_any ? !got.len : !str_eq(want, got))
            return false;
        *out++ = is_any ? 'b' : 'a';
    }
    *out = 0;
    return !path_left.ptr;
}

static int oracle(struct str method, struct str path)
{
    int best = -1;
    char best_rank[64] = "", rank_here[64];
    bool best_named = false;
    for (int i = 0; i < (int)ARRAY_LEN(patterns); i++) {
        struct str text = str_of(patterns[i]), pattern = text;
        size_t space;
        bool is_named = str_find(text, ' ', &space);
        if (is_named) {
            pattern = str_from(text, space + 1);
            if (!str_eq((struct str){text.ptr, space}, method))
                continue;
        }
        if (!rank(pattern, path, rank_here))
            continue;
        // Of two that fit, the one with literals further left; "a" ends before "ac" begins its
        // rest.
        int order = best < 0 ? -1 : strcmp(rank_here, best_rank);
        if (order < 0 || (order == 0 && is_named && !best_named)) {
            best = i;
            best_named = is_named;
            memcpy(best_rank, rank_here, sizeof best_rank);
        }
    }
    return best;
}

// ---- the router

struct setup { // an upstream with all the patterns, reached by the mount `/`
    struct fixture fixture;
    struct route_table *table;
    struct str base;
};

static void setup_init(struct setup *setup, const char *url, struct str base)
{
    fixture_init(&setup->fixture);
    struct config_upstream *api = fixture_upstream(&setup->fixture, "api", url, "/", NULL);
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
        fixture_route(&setup->fixture, api, patterns[i], patterns[i]);
    struct config_faults faults = {0};
    setup->table = route_table_new(&setup->fixture.config, &faults);
    setup->base = base;
    MUST(setup->table);
}

// What the server reads must lie under the base path, and be what the chosen route is for.
static void check_server(size_t server, const struct setup *setup, struct str method,
                         const struct route_choice *choice)
{
    struct path path = {.len = 0};
    memcpy(path.bytes, setup->base.ptr, setup->base.len);
    memcpy(path.bytes + setup->base.len, choice->rest.ptr, choice->rest.len);
    path.len = setup->base.len + choice->rest.len;
    if (!server_reads(server, &path))
        return;
    struct str read = {path.bytes, path.len};
    MUST(str_starts(read, setup->base));
    struct str rest = str_from(read, setup->base.len);
    MUST(!rest.len || rest.ptr[0] == '/');
    MUST(oracle(method, rest.len ? rest : STR("/")) == (int)choice->route->index);
}

static void check(const struct setup *setup, struct str method, struct str raw)
{
    struct target target;
    const char *why;
    if (!target_parse(raw, method, &target, &why) || target.form != TARGET_ORIGIN)
        return;
    struct route_choice choice = route_find(setup->table, method, &target, STR("localhost"));
    if (target.is_simple)
        MUST(choice.verdict == ROUTE_FOUND);
    if (choice.verdict != ROUTE_FOUND)
        return;
    MUST(str_eq(choice.rest, target.path));
    for (size_t i = 0; i < ARRAY_LEN(servers); i++)
        check_server(i, setup, method, &choice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str methods[] = {{"GET", 3}, {"POST", 4}, {"PUT", 3}, {"X", 1}};
    static struct setup setups[2];
    if (!setups[0].table) {
        setup_init(&setups[0], "http://h", STR(""));
        setup_init(&setups[1], "http://h/base/v1", STR("/base/v1"));
    }
    if (size == 0 || size > PATH_MAX_LEN)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        for (size_t j = 0; j < ARRAY_LEN(setups); j++)
            check(&setups[j], methods[i], (struct str){(const char *)data, size});
    return 0;
}
