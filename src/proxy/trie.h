// SPDX-License-Identifier: MIT
// A tree of path segments with rules on its nodes: the one lookup behind hosts, base paths, mounts
// and routes. The cost of a lookup grows with the path, not with the number of rules. Filled once,
// then only read. Pure: it does not know what a rule stands for, and owns no text.
#ifndef PROXY_TRIE_H
#define PROXY_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/str.h"

struct trie_rule {
    struct str method;   // empty: any
    const void *subject; // what is found: an upstream, a route
    const void *origin;  // why: the line it came from
    uint32_t next;       // of the same node and kind; 0: none
};

struct trie_node {  // all are indices, 0: none
    uint32_t one;   // child for any one segment that is not empty
    uint32_t exact; // rules for a path that ends here
    uint32_t rest;  // rules for a path that ends here or goes on
};

struct trie_edge { // for a literal segment
    struct str segment;
    uint32_t parent, child; // child 0: a free place
};

struct trie {
    struct trie_node *nodes; // 0 is nobody's
    size_t node_count, node_cap;
    struct trie_rule *rules; // 0 is nobody's
    size_t rule_count, rule_cap;
    struct trie_edge *edges; // one hash table for the whole tree: no table per node
    size_t edge_count, edge_cap;
};

void trie_init(struct trie *trie);
void trie_fini(struct trie *trie);
size_t trie_bytes(const struct trie *trie); // memory in use

uint32_t trie_root(struct trie *trie); // a new tree
uint32_t trie_literal(struct trie *trie, uint32_t node,
                      struct str segment);           // child, made if need be
uint32_t trie_one(struct trie *trie, uint32_t node); // likewise
uint32_t trie_get(const struct trie *trie, uint32_t node, struct str segment); // 0: no such child

// Adds a rule; if the node has one of that kind and method already, changes nothing and returns
// that.
const struct trie_rule *trie_put(struct trie *trie, uint32_t node, bool is_rest,
                                 struct trie_rule rule);

// The most specific rule for method and path ("" or "/…"): from the left, segment by segment,
// literal over one-segment over rest; of one node's, named method over any. *out_used: bytes of
// path up to where a rest begins (all of them for an exact match). NULL: none.
const struct trie_rule *trie_find(const struct trie *trie, uint32_t root, struct str method,
                                  struct str path, size_t *out_used);

#endif
