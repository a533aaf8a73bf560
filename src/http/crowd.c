// SPDX-License-Identifier: MIT
// See crowd.h. A hash table with a secret seed, since peers may choose their addresses; an entry
// lives as long as its client has a connection, so connections bound the table. Under one lock:
// connections are rare, and a limit that each worker held for itself would be another one on every
// try.
#include "http/crowd.h"

#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "base/list.h"

#define BUCKETS 4096

struct entry {
    struct list link;
    struct crowd_client client;
    uint64_t count;
};

struct crowd {
    pthread_mutex_t lock;
    uint64_t limit, seed;
    struct list buckets[BUCKETS];
};

struct crowd *crowd_new(uint64_t limit)
{
    struct crowd *crowd = mem_alloc(sizeof *crowd);
    crowd->limit = limit;
    // Without a seed chains can be made long; no more than that.
    if (getrandom(&crowd->seed, sizeof crowd->seed, 0) < 0)
        crowd->seed = (uintptr_t)crowd;
    pthread_mutex_init(&crowd->lock, NULL);
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&crowd->buckets[i]);
    return crowd;
}

void crowd_free(struct crowd *crowd)
{
    if (!crowd)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct list *link;
        while ((link = list_take_first(&crowd->buckets[i])))
            mem_free(CONTAINER_OF(link, struct entry, link));
    }
    pthread_mutex_destroy(&crowd->lock);
    mem_free(crowd);
}

struct crowd_client crowd_client_of(int fd, const struct sockaddr_storage *address)
{
    struct crowd_client client = {.bytes = {(unsigned char)address->ss_family}};
    const void *from = NULL;
    struct ucred peer = {.uid = UINT32_MAX};
    socklen_t peer_len = sizeof peer;
    size_t len = 0;
    if (address->ss_family == AF_INET) {
        from = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
        len = sizeof(struct in_addr);
    } else if (address->ss_family == AF_INET6) {
        from = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        len = sizeof(struct in6_addr);
    } else if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len)) {
        from = &peer.uid;
        len = sizeof peer.uid;
    }
    if (from)
        memcpy(client.bytes + 1, from, len);
    return client;
}

static struct list *bucket_of(struct crowd *crowd, const struct crowd_client *client)
{
    uint64_t hash = crowd->seed;
    for (size_t i = 0; i < sizeof client->bytes; i++) { // FNV-1a, then the high bits
        hash ^= client->bytes[i];
        hash *= 0x100000001b3u;
    }
    return &crowd->buckets[(hash ^ hash >> 32) % BUCKETS];
}

static struct entry *entry_find(struct list *bucket, const struct crowd_client *client)
{
    for (struct list *link = bucket->next; link != bucket; link = link->next) {
        struct entry *entry = CONTAINER_OF(link, struct entry, link);
        if (!memcmp(&entry->client, client, sizeof *client))
            return entry;
    }
    return NULL;
}

bool crowd_enter(struct crowd *crowd, const struct crowd_client *client)
{
    pthread_mutex_lock(&crowd->lock);
    struct list *bucket = bucket_of(crowd, client);
    struct entry *entry = entry_find(bucket, client);
    bool is_let_in = !entry || entry->count < crowd->limit;
    if (!entry) {
        entry = mem_alloc(sizeof *entry);
        entry->client = *client;
        list_append(bucket, &entry->link);
    }
    entry->count += is_let_in;
    pthread_mutex_unlock(&crowd->lock);
    return is_let_in;
}

void crowd_leave(struct crowd *crowd, const struct crowd_client *client)
{
    pthread_mutex_lock(&crowd->lock);
    struct entry *entry = entry_find(bucket_of(crowd, client), client);
    if (entry && --entry->count == 0) {
        list_remove(&entry->link);
        mem_free(entry);
    }
    pthread_mutex_unlock(&crowd->lock);
}
