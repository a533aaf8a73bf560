// SPDX-License-Identifier: MIT
// The property the router stands for: if a server reads the path that is sent as resource R, then
// the route chosen is R's, or the request was refused. The oracle is written apart from the router:
// servers as models that are compared with the real ones (server_models.h), and rules compared one
// by one without a tree.
#include <stdlib.h>
#include <string.h>

#include "../support/fixture.h"
#include "../support/server_models.h"
#include "proxy/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what)                                                                                 \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

#define PATH_MAX_LEN (MODEL_PATH_MAX / 2)

static const char *const patterns[] = {
    "/**",        "GET /a",       "/a/b",         "/a/*",  "GET /a/{id}/c",
    "/a/**",      "/admin/**",    "POST /a/b",    "/a/b/", "/*/b/**",
    "/public/**", "PUT /a/*/d/e", "/public/open", "/",     "GET /*/*/**",
};

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
static void check_server(const struct model *model, const struct setup *setup, struct str method,
                         const struct route_choice *choice)
{
    struct model_path path = {.len = 0};
    memcpy(path.bytes, setup->base.ptr, setup->base.len);
    memcpy(path.bytes + setup->base.len, choice->rest.ptr, choice->rest.len);
    path.len = setup->base.len + choice->rest.len;
    if (!model->reads(&path))
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
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        check_server(&models[i], setup, method, &choice);
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
