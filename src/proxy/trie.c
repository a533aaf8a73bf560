// SPDX-License-Identifier: MIT
// See trie.h. A node is reached in one way only, so a lookup, however often it turns back, looks at
// each node once at most; it goes as deep as the patterns do (PATTERN_SEGMENTS_MAX), not as the
// path.
#include "proxy/trie.h"

#include <string.h>

void trie_init(struct trie *trie)
{
    *trie = (struct trie){.node_count = 1, .rule_count = 1};
}

void trie_fini(struct trie *trie)
{
    mem_free(trie->nodes);
    mem_free(trie->rules);
    mem_free(trie->edges);
    trie_init(trie);
}

size_t trie_bytes(const struct trie *trie)
{
    return trie->node_cap * sizeof *trie->nodes + trie->rule_cap * sizeof *trie->rules +
           trie->edge_cap * sizeof *trie->edges;
}

// Room for one more item. The ceiling is the configuration's size.
static void *grown(void *items, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return items;
    *cap = *cap ? *cap * 2 : 16;
    return mem_realloc(items, *cap * size);
}

uint32_t trie_root(struct trie *trie)
{
    trie->nodes = grown(trie->nodes, trie->node_count, &trie->node_cap, sizeof *trie->nodes);
    trie->nodes[trie->node_count] = (struct trie_node){0};
    return (uint32_t)trie->node_count++;
}

static struct trie_edge *edge_place(const struct trie *trie, uint32_t parent, struct str segment)
{
    uint64_t hash = 0xcbf29ce484222325u ^ parent * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < segment.len; i++)
        hash = (hash ^ (unsigned char)segment.ptr[i]) * 0x100000001b3u;
    size_t at = (size_t)(hash ^ hash >> 32) & (trie->edge_cap - 1);
    while (trie->edges[at].child &&
           (trie->edges[at].parent != parent || !str_eq(trie->edges[at].segment, segment)))
        at = (at + 1) & (trie->edge_cap - 1);
    return &trie->edges[at];
}

static void edges_grow(struct trie *trie)
{
    struct trie_edge *old = trie->edges;
    size_t old_cap = trie->edge_cap;
    trie->edge_cap = old_cap ? old_cap * 2 : 16;
    trie->edges = mem_array(trie->edge_cap, sizeof *trie->edges);
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].child)
            *edge_place(trie, old[i].parent, old[i].segment) = old[i];
    mem_free(old);
}

uint32_t trie_get(const struct trie *trie, uint32_t node, struct str segment)
{
    return trie->edge_cap ? edge_place(trie, node, segment)->child : 0;
}

uint32_t trie_literal(struct trie *trie, uint32_t node, struct str segment)
{
    uint32_t child = trie_get(trie, node, segment);
    if (child)
        return child;
    if (trie->edge_count * 2 >= trie->edge_cap)
        edges_grow(trie);
    child = trie_root(trie);
    *edge_place(trie, node, segment) = (struct trie_edge){segment, node, child};
    trie->edge_count++;
    return child;
}

uint32_t trie_one(struct trie *trie, uint32_t node)
{
    if (!trie->nodes[node].one) {
        uint32_t child = trie_root(trie); // may move the nodes
        trie->nodes[node].one = child;
    }
    return trie->nodes[node].one;
}

// Named methods stand before the rule for any, so that the first that fits is the one.
const struct trie_rule *trie_put(struct trie *trie, uint32_t node, bool is_rest,
                                 struct trie_rule rule)
{
    trie->rules = grown(trie->rules, trie->rule_count, &trie->rule_cap, sizeof *trie->rules);
    uint32_t *link = is_rest ? &trie->nodes[node].rest : &trie->nodes[node].exact;
    for (; *link; link = &trie->rules[*link].next) {
        if (str_eq(trie->rules[*link].method, rule.method))
            return &trie->rules[*link];
        if (!trie->rules[*link].method.len)
            break;
    }
    rule.next = *link;
    trie->rules[trie->rule_count] = rule;
    *link = (uint32_t)trie->rule_count++;
    return NULL;
}

struct lookup {
    const struct trie *trie;
    struct str method, path;
    size_t used;
};

static const struct trie_rule *rule_pick(struct lookup *lookup, uint32_t first, size_t at)
{
    const struct trie_rule *rules = lookup->trie->rules;
    for (uint32_t i = first; i; i = rules[i].next) {
        if (rules[i].method.len && !str_eq(rules[i].method, lookup->method))
            continue;
        lookup->used = at;
        return &rules[i];
    }
    return NULL;
}

// `at` is where the next segment's slash stands, or the end of the path.
static const struct trie_rule *walk(struct lookup *lookup, uint32_t node, size_t at)
{
    const struct trie_node *here = &lookup->trie->nodes[node];
    const struct trie_rule *rule = NULL;
    if (at == lookup->path.len) {
        rule = rule_pick(lookup, here->exact, at);
        return rule ? rule : rule_pick(lookup, here->rest, at);
    }
    struct str segment = str_from(lookup->path, at + 1);
    const char *slash = segment.len ? memchr(segment.ptr, '/', segment.len) : NULL;
    if (slash)
        segment.len = (size_t)(slash - segment.ptr);
    size_t behind = at + 1 + segment.len;
    uint32_t child = trie_get(lookup->trie, node, segment);
    if (child)
        rule = walk(lookup, child, behind);
    if (!rule && here->one && segment.len)
        rule = walk(lookup, here->one, behind);
    return rule ? rule : rule_pick(lookup, here->rest, at);
}

const struct trie_rule *trie_find(const struct trie *trie, uint32_t root, struct str method,
                                  struct str path, size_t *out_used)
{
    struct lookup lookup = {.trie = trie, .method = method, .path = path};
    const struct trie_rule *rule = walk(&lookup, root, 0);
    *out_used = lookup.used;
    return rule;
}
