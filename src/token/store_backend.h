// SPDX-License-Identifier: MIT
// What a kind of store must be able to do. Called on the store's thread only; may block, within the
// limits it was made with. Blobs are sealed already; what comes back may be anything.
#ifndef TOKEN_STORE_BACKEND_H
#define TOKEN_STORE_BACKEND_H

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

struct store_backend;

struct store_backend_ops {
    // All connect when they are not connected; false with err: away. An absent entry is true with
    // an empty out, one beyond out's ceiling is true with something that does not open.
    bool (*read)(struct store_backend *backend, const char *key, struct buf *out, struct err *err);
    // Replaces what was there, until expires_s.
    bool (*write)(struct store_backend *backend, const char *key, struct str blob,
                  int64_t expires_s, struct err *err);
    // *out_taken: nobody else held it; if it was owner's, it lasts lease_ms from now on. Ends by
    // itself after lease_ms, also when we die.
    bool (*lease)(struct store_backend *backend, const char *key, const char *owner,
                  uint64_t lease_ms, bool *out_taken, struct err *err);
    // No-op when it is not owner's.
    bool (*release)(struct store_backend *backend, const char *key, const char *owner,
                    struct err *err);
    void (*free)(struct store_backend *backend);
};

struct store_backend {
    const struct store_backend_ops *ops;
};

// NULL: can never work as configured. They do not connect yet.
struct store_backend *store_sqlite_new(const char *path, uint64_t timeout_ms,
                                       struct err *err) WARN_UNUSED;
struct store_backend *store_redis_new(const struct config_store *config, uint64_t timeout_ms,
                                      struct err *err) WARN_UNUSED;

#endif
