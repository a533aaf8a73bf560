// SPDX-License-Identifier: MIT
// A configuration built by hand, as config_load() would make it: for tests of what takes one. Texts
// are borrowed from the test; all that is allocated hangs on the fixture.
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

#define FIXTURE_UPSTREAMS 8

struct fixture {
    struct config config;
    struct config_upstream upstreams[FIXTURE_UPSTREAMS];
    struct config_upstream *upstream_list[FIXTURE_UPSTREAMS];
    char *hosts[FIXTURE_UPSTREAMS][4];
    char texts[FIXTURE_UPSTREAMS][2][64];
    struct config_credential credential;
    struct config_slot slot;
    unsigned line;
};

static inline char *fixture_text(const char *text)
{
    return (char *)(uintptr_t)text;
}

static inline void fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){.line = 1};
    fixture->config.upstreams = fixture->upstream_list;
    fixture->credential = (struct config_credential){
        .name = fixture_text("main"),
        .header = fixture_text("Authorization"),
        .prefix = fixture_text("Bearer"),
    };
    fixture->slot = (struct config_slot){.credential = &fixture->credential};
}

// url: "http[s]://authority[/path]". mount NULL: none. hosts: NULL or up to three words.
static inline struct config_upstream *fixture_upstream(struct fixture *fixture, const char *name,
                                                       const char *url, const char *mount,
                                                       const char *hosts)
{
    size_t at = fixture->config.upstream_count++;
    struct config_upstream *upstream = &fixture->upstreams[at];
    const char *authority = strstr(url, "://") + 3;
    const char *path = strchr(authority, '/');
    size_t len = path ? (size_t)(path - authority) : strlen(authority);
    memcpy(fixture->texts[at][0], authority, len);
    *upstream = (struct config_upstream){
        .name = fixture_text(name),
        .index = at,
        .place = {"test.ini", fixture->line++},
        .url = {.is_https = url[4] == 's',
                .authority = fixture->texts[at][0],
                .path = fixture_text(path ? path : "/"),
                .text = fixture_text(url)},
        .mount = fixture_text(mount),
        .hosts = {fixture->hosts[at], 0},
    };
    snprintf(fixture->texts[at][1], sizeof fixture->texts[at][1], "%s",
             hosts ? hosts : fixture->texts[at][0]);
    char *save, *word = strtok_r(fixture->texts[at][1], " ", &save);
    for (; word; word = strtok_r(NULL, " ", &save))
        fixture->hosts[at][upstream->hosts.count++] = word;
    fixture->upstream_list[at] = upstream;
    return upstream;
}

static inline struct config_route *fixture_route(struct fixture *fixture,
                                                 const struct config_upstream *upstream,
                                                 const char *name, const char *match)
{
    struct config *config = &fixture->config;
    if (!(config->route_count & (config->route_count - 1)))
        config->routes =
            mem_realloc(config->routes, (config->route_count * 2 + 1) * sizeof(void *));
    struct config_route *route = mem_alloc(sizeof *route);
    *route = (struct config_route){
        .name = fixture_text(name),
        .index = config->route_count,
        .place = {"test.ini", fixture->line++},
        .upstream = upstream,
        .matches = mem_alloc(sizeof(struct config_match)),
        .match_count = 1,
        .slots = mem_alloc(sizeof(void *)),
        .slot_count = 1,
    };
    route->matches[0] = (struct config_match){{"test.ini", fixture->line++}, fixture_text(match)};
    route->slots[0] = &fixture->slot;
    config->routes[config->route_count++] = route;
    return route;
}

static inline void fixture_fini(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->config.route_count; i++) {
        mem_free(fixture->config.routes[i]->matches);
        mem_free(fixture->config.routes[i]->slots);
        mem_free(fixture->config.routes[i]);
    }
    mem_free(fixture->config.routes);
}

#endif
