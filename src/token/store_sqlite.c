// SPDX-License-Identifier: MIT
// See store_backend.h: one SQLite file, shared by the processes of one machine. The only file that
// knows <sqlite3.h>. Owns the file's modes, its schema and its statements; refuses to know what is
// in a blob. Invariants: no statement is made of text from outside; a file that is not ours, or not
// as we left it, is never written to or deleted; each call is one transaction, so that a process
// that dies at any moment leaves nothing half done.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"
#include "token/store_backend.h"
#include "token/store_seal.h"

#define APPLICATION_ID  "1651667556" // "brrd" in ASCII: what `file` and we know it by
#define SCHEMA_VERSION  "1"
#define SCHEMA_TAG      (APPLICATION_ID " " SCHEMA_VERSION)
#define PURGE_EVERY     256    // writes
#define LEASE_BEYOND_MS 600000 // a lease that ends later was made before the clock was set back

enum { READ, WRITE, LEASE_HOLDER, LEASE, RELEASE, PURGE_TOKENS, PURGE_LEASES, STATEMENTS };

static const char *const statements[STATEMENTS] = {
    [READ] = "SELECT blob FROM tokens WHERE key = ?1",
    [WRITE] = "INSERT INTO tokens (key, blob, expires_s) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO "
              "UPDATE SET blob = excluded.blob, expires_s = excluded.expires_s",
    // A look first, so that those who wait do not queue for the write lock.
    [LEASE_HOLDER] = "SELECT 1 FROM leases WHERE key = ?1 AND owner <> ?2 AND until_ms > ?3 AND "
                     "until_ms < ?4",
    [LEASE] = "INSERT INTO leases (key, owner, until_ms) VALUES (?1, ?2, ?5) ON CONFLICT (key) DO "
              "UPDATE SET owner = excluded.owner, until_ms = excluded.until_ms WHERE owner = ?2 OR "
              "until_ms <= ?3 OR until_ms >= ?4",
    [RELEASE] = "DELETE FROM leases WHERE key = ?1 AND owner = ?2",
    [PURGE_TOKENS] = "DELETE FROM tokens WHERE expires_s <= ?1",
    [PURGE_LEASES] = "DELETE FROM leases WHERE until_ms <= ?1",
};

static const char pragmas[] = "PRAGMA synchronous = NORMAL;" // a lost token is fetched again
                              "PRAGMA secure_delete = ON;"
                              "PRAGMA trusted_schema = OFF;"
                              "PRAGMA cell_size_check = ON;"
                              "PRAGMA mmap_size = 0;";

static const char schema[] =
    "CREATE TABLE tokens (key TEXT PRIMARY KEY, blob BLOB NOT NULL, expires_s INTEGER NOT NULL);"
    "CREATE INDEX tokens_expires_s ON tokens (expires_s);"
    "CREATE TABLE leases (key TEXT PRIMARY KEY, owner TEXT NOT NULL, until_ms INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "PRAGMA application_id = " APPLICATION_ID ";"
    "PRAGMA user_version = " SCHEMA_VERSION ";";

struct sqlite {
    struct store_backend backend;
    char *path, *wal_path, *shm_path;
    int timeout_ms;
    sqlite3 *db; // NULL: not connected
    sqlite3_stmt *statements[STATEMENTS];
    struct stat opened; // which file that was
    unsigned writes;
};

static struct sqlite *sqlite_of(struct store_backend *backend)
{
    return CONTAINER_OF(backend, struct sqlite, backend);
}

// -- the file ----------------------------------------------------------------------------------

static bool check_mode(const char *path, const struct stat *st, struct err *err)
{
    if (!S_ISREG(st->st_mode))
        return err_set(err, "%s is not a regular file", path);
    if (st->st_mode & (S_IRWXG | S_IRWXO))
        return err_set(err, "%s is open to other users (mode %04o): chmod 600 %s", path,
                       (unsigned)(st->st_mode & 07777), path);
    if (st->st_uid != geteuid())
        return err_set(err, "%s belongs to user %u, not to the one bearerd runs as", path,
                       (unsigned)st->st_uid);
    return true;
}

// By name, not by descriptor: closing any descriptor of a file would end SQLite's locks on it.
static bool check_file(const char *path, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR || err_errno(err, "cannot look at %s", path);
    return check_mode(path, &st, err);
}

static bool check_folder(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? mem_strndup(path, (size_t)(slash - path) + 1) : mem_strdup(".");
    struct stat st;
    bool is_open = stat(folder, &st) == 0 && st.st_mode & S_IWOTH && !(st.st_mode & S_ISVTX);
    if (is_open)
        err_set(err, "any user may replace %s, since all may write to its folder: chmod o-w %s",
                path, folder);
    mem_free(folder);
    return !is_open;
}

static bool sqlite_check_files(const struct sqlite *sqlite, struct err *err)
{
    return check_folder(sqlite->path, err) && check_file(sqlite->path, err) &&
           check_file(sqlite->wal_path, err) && check_file(sqlite->shm_path, err);
}

// SQLite would make it as the umask says; what it makes beside it later has the same mode.
static bool sqlite_make_file(const struct sqlite *sqlite, struct err *err)
{
    int fd = open(sqlite->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST)
        return err_errno(err, "cannot create %s", sqlite->path);
    if (fd >= 0)
        close(fd);
    return true;
}

// -- connecting --------------------------------------------------------------------------------

static void sqlite_disconnect(struct sqlite *sqlite)
{
    for (size_t i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(sqlite->statements[i]);
        sqlite->statements[i] = NULL;
    }
    sqlite3_close_v2(sqlite->db);
    sqlite->db = NULL;
}

// Fills err with what went wrong, and disconnects: the next call starts afresh.
static bool sqlite_failed(struct sqlite *sqlite, struct err *err)
{
    int code = sqlite->db ? sqlite3_errcode(sqlite->db) : SQLITE_NOMEM;
    const char *text = sqlite->db ? sqlite3_errmsg(sqlite->db) : "out of memory";
    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
        err_set(err, "%s is damaged or no database (%s): move it away and a new one is made",
                sqlite->path, text);
    else
        err_set(err, "%s: %s", sqlite->path, text);
    sqlite_disconnect(sqlite);
    return false;
}

static int on_row(void *arg, int count, char **values, char **names)
{
    (void)names;
    struct buf *out = arg;
    for (int i = 0; i < count; i++)
        if (!buf_printf(out, "%s%s", out->len ? " " : "", values[i] ? values[i] : ""))
            return 1;
    return 0;
}

static bool sqlite_is_schema(struct sqlite *sqlite, const char *expected, bool *out_is)
{
    struct buf tag;
    buf_init(&tag, 256);
    bool ok = sqlite3_exec(sqlite->db, "PRAGMA application_id; PRAGMA user_version;", on_row, &tag,
                           NULL) == SQLITE_OK;
    *out_is = ok && str_eq(buf_str(&tag), str_of(expected));
    buf_fini(&tag);
    return ok;
}

static bool sqlite_is_empty(struct sqlite *sqlite, bool *out_is)
{
    struct buf count;
    buf_init(&count, 256);
    bool ok = sqlite3_exec(sqlite->db, "SELECT count(*) FROM sqlite_schema;", on_row, &count,
                           NULL) == SQLITE_OK;
    *out_is = ok && str_eq(buf_str(&count), STR("0"));
    buf_fini(&count);
    return ok;
}

// Under the write lock: of several processes that start at once, one makes the tables.
static bool sqlite_make_schema(struct sqlite *sqlite, struct err *err)
{
    bool is_ours, is_new, is_empty;
    if (!sqlite_is_schema(sqlite, SCHEMA_TAG, &is_ours))
        return sqlite_failed(sqlite, err);
    if (is_ours)
        return true;
    if (sqlite3_exec(sqlite->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
        !sqlite_is_schema(sqlite, SCHEMA_TAG, &is_ours) ||
        !sqlite_is_schema(sqlite, "0 0", &is_new) || !sqlite_is_empty(sqlite, &is_empty))
        return sqlite_failed(sqlite, err);
    if (!is_ours && !(is_new && is_empty)) {
        sqlite_disconnect(sqlite);
        return err_set(err,
                       "%s is a database of another program or version: name another file, or move "
                       "it away",
                       sqlite->path);
    }
    if ((!is_ours && sqlite3_exec(sqlite->db, schema, NULL, NULL, NULL) != SQLITE_OK) ||
        sqlite3_exec(sqlite->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        return sqlite_failed(sqlite, err);
    return true;
}

// Of several that switch at once all but one are told "busy" at once, without the time-out.
static bool sqlite_use_wal(struct sqlite *sqlite)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    const uint64_t start_us = clock_boottime_us();
    int code;
    while ((code = sqlite3_exec(sqlite->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL)) ==
               SQLITE_BUSY &&
           clock_boottime_us() - start_us < (uint64_t)sqlite->timeout_ms * 1000)
        nanosleep(&pause, NULL);
    return code == SQLITE_OK;
}

// Nothing is written before the file is known to be ours.
static bool sqlite_prepare(struct sqlite *sqlite, struct err *err)
{
    sqlite3_busy_timeout(sqlite->db, sqlite->timeout_ms);
    sqlite3_db_config(sqlite->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(sqlite->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(sqlite->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_limit(sqlite->db, SQLITE_LIMIT_LENGTH, 4 * (int)STORE_BLOB_MAX);
    if (!sqlite_make_schema(sqlite, err))
        return false;
    bool ok =
        sqlite_use_wal(sqlite) && sqlite3_exec(sqlite->db, pragmas, NULL, NULL, NULL) == SQLITE_OK;
    for (size_t i = 0; ok && i < STATEMENTS; i++)
        ok = sqlite3_prepare_v3(sqlite->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                &sqlite->statements[i], NULL) == SQLITE_OK;
    return ok || sqlite_failed(sqlite, err);
}

// SQLite would refuse a symbolic link anywhere in the path, and folders may be ones: those of
// systemd's DynamicUser= are. So it gets the path without them; the file itself must be none. NULL
// and errno: there is no such file.
static char *real_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? mem_strndup(path, (size_t)(slash - path) + 1) : mem_strdup(".");
    char *real = realpath(folder, NULL), *whole = NULL;
    struct buf out;
    mem_free(folder);
    buf_init(&out, PATH_MAX);
    if (real && buf_printf(&out, "%s/%s", real, slash ? slash + 1 : path))
        whole = buf_take(&out);
    buf_fini(&out);
    free(real);
    return whole;
}

static bool sqlite_connect(struct sqlite *sqlite, struct err *err)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    if (!sqlite_check_files(sqlite, err) || !sqlite_make_file(sqlite, err))
        return false;
    char *path = real_path(sqlite->path);
    if (!path || lstat(path, &sqlite->opened) < 0) {
        mem_free(path);
        return err_errno(err, "cannot look at %s", sqlite->path);
    }
    bool ok = sqlite3_open_v2(path, &sqlite->db, flags, NULL) == SQLITE_OK;
    mem_free(path);
    return ok ? sqlite_prepare(sqlite, err) : sqlite_failed(sqlite, err);
}

// Somebody may have moved the file away: what is written to the old one would be lost to all.
static bool sqlite_is_same_file(const struct sqlite *sqlite)
{
    struct stat st;
    return stat(sqlite->path, &st) == 0 && st.st_ino == sqlite->opened.st_ino &&
           st.st_dev == sqlite->opened.st_dev;
}

static bool sqlite_ready(struct sqlite *sqlite, struct err *err)
{
    if (sqlite->db && !sqlite_is_same_file(sqlite))
        sqlite_disconnect(sqlite);
    return sqlite->db || sqlite_connect(sqlite, err);
}

// -- statements --------------------------------------------------------------------------------

static void bind_text(sqlite3_stmt *statement, int place, const char *text)
{
    sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC);
}

// SQLITE_ROW, SQLITE_DONE or a failure; the statement must be reset afterwards.
static bool sqlite_step(sqlite3_stmt *statement, bool *out_has_row)
{
    int code = sqlite3_step(statement);
    *out_has_row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

static bool sqlite_run(struct sqlite *sqlite, sqlite3_stmt *statement, struct err *err)
{
    bool has_row;
    bool ok = sqlite_step(statement, &has_row);
    if (!ok)
        return sqlite_failed(sqlite, err);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return true;
}

static int64_t realtime_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool sqlite_purge(struct sqlite *sqlite, struct err *err)
{
    if (sqlite->writes++ % PURGE_EVERY)
        return true;
    sqlite3_bind_int64(sqlite->statements[PURGE_TOKENS], 1, clock_realtime_s());
    if (!sqlite_run(sqlite, sqlite->statements[PURGE_TOKENS], err))
        return false;
    sqlite3_bind_int64(sqlite->statements[PURGE_LEASES], 1, realtime_ms());
    return sqlite_run(sqlite, sqlite->statements[PURGE_LEASES], err);
}

static bool sqlite_read(struct store_backend *backend, const char *key, struct buf *out,
                        struct err *err)
{
    struct sqlite *sqlite = sqlite_of(backend);
    if (!sqlite_ready(sqlite, err))
        return false;
    sqlite3_stmt *statement = sqlite->statements[READ];
    bool has_row;
    bind_text(statement, 1, key);
    if (!sqlite_step(statement, &has_row))
        return sqlite_failed(sqlite, err);
    const char *bytes = has_row ? sqlite3_column_blob(statement, 0) : NULL;
    int len = has_row ? sqlite3_column_bytes(statement, 0) : 0;
    // An empty or oversized entry is there, but does not open: one byte stands for it.
    bool ok = !has_row || (bytes && buf_append(out, (struct str){bytes, (size_t)len})) ||
              buf_append(out, STR("?"));
    sqlite3_reset(statement);
    return ok || err_set(err, "an entry of %s is too large", sqlite->path);
}

static bool sqlite_write(struct store_backend *backend, const char *key, struct str blob,
                         int64_t expires_s, struct err *err)
{
    struct sqlite *sqlite = sqlite_of(backend);
    if (!sqlite_ready(sqlite, err))
        return false;
    sqlite3_stmt *statement = sqlite->statements[WRITE];
    bind_text(statement, 1, key);
    sqlite3_bind_blob(statement, 2, blob.ptr, (int)blob.len, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, expires_s);
    return sqlite_run(sqlite, statement, err) && sqlite_purge(sqlite, err);
}

static bool sqlite_lease(struct store_backend *backend, const char *key, const char *owner,
                         uint64_t lease_ms, bool *out_taken, struct err *err)
{
    struct sqlite *sqlite = sqlite_of(backend);
    *out_taken = false;
    if (!sqlite_ready(sqlite, err))
        return false;
    int64_t now = realtime_ms();
    for (int at = LEASE_HOLDER; at <= LEASE; at++) {
        sqlite3_stmt *statement = sqlite->statements[at];
        bind_text(statement, 1, key);
        bind_text(statement, 2, owner);
        sqlite3_bind_int64(statement, 3, now);
        sqlite3_bind_int64(statement, 4, now + LEASE_BEYOND_MS);
    }
    bool is_held;
    sqlite3_stmt *holder = sqlite->statements[LEASE_HOLDER], *lease = sqlite->statements[LEASE];
    if (!sqlite_step(holder, &is_held))
        return sqlite_failed(sqlite, err);
    sqlite3_reset(holder);
    if (is_held)
        return true;
    sqlite3_bind_int64(lease, 5, now + (int64_t)lease_ms);
    if (!sqlite_run(sqlite, lease, err))
        return false;
    *out_taken = sqlite3_changes(sqlite->db) == 1;
    return true;
}

static bool sqlite_release(struct store_backend *backend, const char *key, const char *owner,
                           struct err *err)
{
    struct sqlite *sqlite = sqlite_of(backend);
    if (!sqlite_ready(sqlite, err))
        return false;
    sqlite3_stmt *statement = sqlite->statements[RELEASE];
    bind_text(statement, 1, key);
    bind_text(statement, 2, owner);
    return sqlite_run(sqlite, statement, err);
}

// -- life --------------------------------------------------------------------------------------

static void sqlite_free(struct store_backend *backend)
{
    struct sqlite *sqlite = sqlite_of(backend);
    sqlite_disconnect(sqlite);
    mem_free(sqlite->path);
    mem_free(sqlite->wal_path);
    mem_free(sqlite->shm_path);
    mem_free(sqlite);
}

static char *path_beside(const char *path, const char *end)
{
    struct buf out;
    buf_init(&out, strlen(path) + strlen(end) + 1);
    return buf_append(&out, str_of(path)) && buf_append(&out, str_of(end)) ? buf_take(&out) : NULL;
}

struct store_backend *store_sqlite_new(const char *path, uint64_t timeout_ms, struct err *err)
{
    static const struct store_backend_ops ops = {sqlite_read, sqlite_write, sqlite_lease,
                                                 sqlite_release, sqlite_free};
    if (!*path) {
        err_set(err, "[store] url: sqlite: must be followed by a path");
        return NULL;
    }
    struct sqlite *sqlite = mem_alloc(sizeof *sqlite);
    sqlite->backend.ops = &ops;
    sqlite->path = mem_strdup(path);
    sqlite->wal_path = path_beside(path, "-wal");
    sqlite->shm_path = path_beside(path, "-shm");
    sqlite->timeout_ms = timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms;
    if (sqlite_check_files(sqlite, err))
        return &sqlite->backend;
    sqlite_free(&sqlite->backend);
    return NULL;
}
