// SPDX-License-Identifier: MIT
// See route.h. One tree holds everything: under `hosts` the first segment is an authority and the
// base path follows; under `mounts` the mounts; and one root for each upstream's routes. Consensus:
// a path with more than one reading is judged in each of them, and refused unless all choose the
// same; what is sent, once the mount is swapped for the base path, is judged again.
#include "proxy/route.h"

#include <string.h>

#include "config/pattern.h"
#include "proxy/trie.h"

struct route_table {
    struct trie trie;
    uint32_t hosts, mounts;
    uint32_t *roots; // by upstream->index
    char **names;    // the authorities, normalised: what `hosts` has views of
    size_t name_count;
};

struct builder {
    struct route_table *table;
    struct config_faults *faults;
    bool is_bad;
};

#define FAULT(builder, place, ...)                                                                 \
    do {                                                                                           \
        config_faults_add((builder)->faults, (place), __VA_ARGS__);                                \
        (builder)->is_bad = true;                                                                  \
    } while (0)

// ---- compiling

static uint32_t prefix_add(struct trie *trie, uint32_t node, const char *prefix)
{
    enum pattern_part part;
    struct str segment, rest = str_of(prefix);
    if (rest.len == 1)
        return node;
    while (pattern_next(&rest, &part, &segment))
        node = trie_literal(trie, node, segment);
    return node;
}

// `what` says which two settings are alike.
static void upstream_put(struct builder *builder, uint32_t node,
                         const struct config_upstream *upstream, const char *what)
{
    const struct trie_rule *same =
        trie_put(&builder->table->trie, node, true, (struct trie_rule){.subject = upstream});
    const struct config_upstream *other = same ? same->subject : NULL;
    if (other && other != upstream)
        FAULT(builder, upstream->place, "[upstream %s] has the same %s as [upstream %s] (%s:%u)",
              upstream->name, what, other->name, other->place.file, other->place.line);
}

static void hosts_add(struct builder *builder, const struct config_upstream *upstream)
{
    struct route_table *table = builder->table;
    for (size_t i = 0; i < upstream->hosts.count; i++) {
        struct str text = str_of(upstream->hosts.items[i]);
        char *name = mem_alloc(text.len + 1);
        size_t len;
        table->names[table->name_count++] = name;
        if (!target_normal_authority(text, upstream->url.is_https ? 443 : 80, name, &len)) {
            FAULT(builder, upstream->place, "hosts: `%.*s` is not a host[:port]", STR_ARG(text));
            continue;
        }
        uint32_t node = trie_literal(&table->trie, table->hosts, (struct str){name, len});
        upstream_put(builder, prefix_add(&table->trie, node, upstream->url.path), upstream,
                     "host and base path");
    }
}

static void upstream_add(struct builder *builder, const struct config_upstream *upstream)
{
    struct route_table *table = builder->table;
    table->roots[upstream->index] = trie_root(&table->trie);
    if (!pattern_is_prefix(str_of(upstream->url.path)))
        FAULT(builder, upstream->place, "url: the path `%s` can be read in more than one way",
              upstream->url.path);
    else
        hosts_add(builder, upstream);
    if (!upstream->mount)
        return;
    if (!pattern_is_prefix(str_of(upstream->mount)))
        FAULT(builder, upstream->place, "mount: `%s` is not a plain path such as /api",
              upstream->mount);
    else
        upstream_put(builder, prefix_add(&table->trie, table->mounts, upstream->mount), upstream,
                     "mount");
}

static void rule_put(struct builder *builder, uint32_t node, bool is_rest, struct trie_rule rule)
{
    const struct trie_rule *same = trie_put(&builder->table->trie, node, is_rest, rule);
    if (!same)
        return;
    const struct config_match *match = rule.origin, *other = same->origin;
    const struct config_route *other_route = same->subject;
    FAULT(builder, match->place, "match `%s` takes the same requests as `%s` of [route %s] (%s:%u)",
          match->text, other->text, other_route->name, other->place.file, other->place.line);
}

static void match_add(struct builder *builder, const struct config_route *route,
                      const struct config_match *match)
{
    struct trie *trie = &builder->table->trie;
    struct pattern pattern;
    struct err err;
    if (!pattern_parse(str_of(match->text), &pattern, &err)) {
        FAULT(builder, match->place, "match: %s", err.text);
        return;
    }
    uint32_t node = builder->table->roots[route->upstream->index];
    enum pattern_part part = PATTERN_LITERAL;
    struct str segment, rest = pattern.path;
    while (pattern_next(&rest, &part, &segment) && part != PATTERN_REST)
        node = part == PATTERN_ONE ? trie_one(trie, node) : trie_literal(trie, node, segment);
    struct trie_rule rule = {.subject = route, .origin = match};
    if (!pattern.methods.len)
        rule_put(builder, node, part == PATTERN_REST, rule);
    while (str_word(&pattern.methods, &rule.method))
        rule_put(builder, node, part == PATTERN_REST, rule);
}

struct route_table *route_table_new(const struct config *config, struct config_faults *faults)
{
    struct route_table *table = mem_alloc(sizeof *table);
    struct builder builder = {.table = table, .faults = faults};
    size_t name_count = 0;
    for (size_t i = 0; i < config->upstream_count; i++)
        name_count += config->upstreams[i]->hosts.count;
    trie_init(&table->trie);
    table->hosts = trie_root(&table->trie);
    table->mounts = trie_root(&table->trie);
    table->roots = mem_array(config->upstream_count, sizeof *table->roots);
    table->names = mem_array(name_count, sizeof *table->names);
    for (size_t i = 0; i < config->upstream_count; i++)
        upstream_add(&builder, config->upstreams[i]);
    for (size_t i = 0; i < config->route_count; i++)
        for (size_t j = 0; j < config->routes[i]->match_count; j++)
            match_add(&builder, config->routes[i], &config->routes[i]->matches[j]);
    if (!builder.is_bad)
        return table;
    route_table_free(table);
    return NULL;
}

void route_table_free(struct route_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->name_count; i++)
        mem_free(table->names[i]);
    mem_free(table->names);
    mem_free(table->roots);
    trie_fini(&table->trie);
    mem_free(table);
}

size_t route_table_bytes(const struct route_table *table)
{
    return sizeof *table + trie_bytes(&table->trie);
}

// ---- choosing

// The route of an upstream for what stands behind mount or base path.
static void choose_route(const struct route_table *table, struct str method, struct str rest,
                         struct route_choice *choice)
{
    const struct config_upstream *upstream = choice->upstream;
    size_t used;
    const struct trie_rule *rule =
        trie_find(&table->trie, table->roots[upstream->index], method, rest, &used);
    choice->route = rule ? rule->subject : NULL;
    choice->match = rule ? rule->origin : NULL;
    choice->verdict = rule                                    ? ROUTE_FOUND
                      : upstream->unmatched == UNMATCHED_PASS ? ROUTE_PASS
                                                              : ROUTE_UNMATCHED;
}

// `*` is no path: it belongs to an upstream as a whole, so only to base path and mount `/`, and to
// no pattern but `/**`.
static struct route_choice choose(const struct route_table *table, uint32_t root, struct str method,
                                  struct str path)
{
    struct route_choice choice = {.verdict = ROUTE_NO_UPSTREAM};
    bool is_asterisk = path.ptr[0] == '*';
    size_t used = 0;
    const struct trie_rule *rule = NULL;
    if (root)
        rule = trie_find(&table->trie, root, STR_NONE, is_asterisk ? STR_NONE : path, &used);
    if (!rule)
        return choice;
    choice.upstream = rule->subject;
    choice.rest = str_from(path, used);
    struct str rest = choice.rest.len ? choice.rest : STR("/");
    choose_route(table, method, is_asterisk ? STR_NONE : rest, &choice);
    return choice;
}

struct consensus {
    const struct route_table *table;
    uint32_t root;
    struct str method;
    const struct route_choice *choice; // that of the raw path
};

// The verdict follows from these two.
static bool is_same(const struct route_choice *a, const struct route_choice *b)
{
    return a->upstream == b->upstream && a->route == b->route;
}

static bool reading_agrees(void *arg, struct str reading)
{
    const struct consensus *consensus = arg;
    struct route_choice choice =
        choose(consensus->table, consensus->root, consensus->method, reading);
    return is_same(&choice, consensus->choice);
}

// A reading of the path as it is sent: must not leave the base path, nor find another route below
// it.
static bool sent_agrees(void *arg, struct str reading)
{
    const struct consensus *consensus = arg;
    struct route_choice choice = {.upstream = consensus->choice->upstream};
    struct str base = str_of(choice.upstream->url.path);
    if (base.len == 1)
        base.len = 0;
    struct str rest = str_from(reading, base.len);
    if (!str_starts(reading, base) || (rest.len && rest.ptr[0] != '/'))
        return false;
    choose_route(consensus->table, consensus->method, rest.len ? rest : STR("/"), &choice);
    return is_same(&choice, consensus->choice);
}

static bool sent_is_agreed(struct consensus *consensus)
{
    const struct route_choice *choice = consensus->choice;
    struct str base = str_of(choice->upstream->url.path);
    if (base.len == 1)
        base.len = 0;
    struct str sent = {NULL, base.len + choice->rest.len};
    if (!sent.len)
        return true;
    char *bytes = mem_alloc(sent.len);
    memcpy(bytes, base.ptr, base.len);
    if (choice->rest.len)
        memcpy(bytes + base.len, choice->rest.ptr, choice->rest.len);
    sent.ptr = bytes;
    bool is_agreed = target_each_reading(sent, sent_agrees, consensus);
    mem_free(bytes);
    return is_agreed;
}

static bool is_agreed(struct consensus *consensus, struct str path)
{
    const struct route_table *table = consensus->table;
    if (!target_each_reading(path, reading_agrees, consensus))
        return false;
    // By host, the path is sent as it came: judged already.
    bool is_swapped = consensus->choice->upstream && consensus->root == table->mounts;
    return !is_swapped || sent_is_agreed(consensus);
}

struct route_choice route_find(const struct route_table *table, struct str method,
                               const struct target *target, struct str host)
{
    if (target->form == TARGET_AUTHORITY)
        return (struct route_choice){.verdict = ROUTE_NO_UPSTREAM};
    uint32_t root = trie_get(&table->trie, table->hosts, host);
    if (!root && target->form != TARGET_ABSOLUTE)
        root = table->mounts;
    struct route_choice choice = choose(table, root, method, target->path);
    struct consensus consensus = {table, root, method, &choice};
    if (!target->is_simple && !is_agreed(&consensus, target->path))
        return (struct route_choice){.verdict = ROUTE_AMBIGUOUS, .upstream = choice.upstream};
    return choice;
}

struct caller_verdict route_refusal(enum route_verdict verdict)
{
    switch (verdict) {
    case ROUTE_UNMATCHED:
        return (struct caller_verdict){403, "no-route",
                                       "no route of this upstream matches the method and path"};
    case ROUTE_NO_UPSTREAM:
        return (struct caller_verdict){404, "no-upstream",
                                       "no upstream is configured for this host and path"};
    case ROUTE_AMBIGUOUS:
        return (struct caller_verdict){
            400, "ambiguous-path",
            "the path can be read in ways that lead to different routes; send it without escapes, "
            "dot segments, empty segments and parameters"};
    case ROUTE_FOUND:
    case ROUTE_PASS:
        break;
    }
    return (struct caller_verdict){0};
}
