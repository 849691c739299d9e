/* connection.c - opening SQLite the way a log needs it, and statements that stay prepared.
 *
 * Reading a home that nobody writes and that we may not write either (a copy on read-only
 * media) needs care: SQLite wants a shared-memory file beside a database in WAL mode.  Where
 * it cannot have one, no writer can be at work, so the file is opened without locks and with
 * the index of the WAL in our own memory.
 */
#include "store/sqlite/connection.h"

#include "base/alloc.h"
#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Writing needs about ten texts and three a type, reading a few more. */
enum { CACHE_SIZE = 128, BUSY_MS = 5000 };

struct connection {
    sqlite3 *db;
    struct cached {
        char *sql;
        sqlite3_stmt *statement;
        uint64_t used_at;
    } cache[CACHE_SIZE];
    uint64_t uses;
};

sqlite3 *connection_handle(struct connection *c)
{
    return c->db;
}

/* ---- errors ---- */

static bool is_full(int extended, int system_errno)
{
    return (extended & 0xff) == SQLITE_FULL || extended == SQLITE_IOERR_SHMSIZE ||
           ((extended & 0xff) == SQLITE_IOERR && (system_errno == ENOSPC || system_errno == EDQUOT));
}

int connection_fail(struct connection *c, struct err *e)
{
    int extended = sqlite3_extended_errcode(c->db), system_errno = sqlite3_system_errno(c->db);
    const char *said = sqlite3_errmsg(c->db);
    if (is_full(extended, system_errno))
        return err_set(e, ERR_FULL, "the disk that holds the home is full; nothing was written. Make room and try again");
    switch (extended & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(e, ERR_CORRUPT,
                       "the database %s is damaged (%s); nothing was changed. Restore the home from a copy, "
                       "and look at it with tandem verify --home COPY",
                       sqlite3_db_filename(c->db, "main"), said);
    case SQLITE_NOMEM:
        out_of_memory();
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(e, ERR_BUSY, "the database store.db is held by another program (%s)", said);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return err_set(e, ERR_READONLY, "the database store.db cannot be written (%s)", said);
    case SQLITE_ERROR:
        if (strstr(said, "no such"))
            return err_set(e, ERR_INVALID,
                           "the home was last opened by another version of Tandem (%s); open it once "
                           "with this one to bring it up to date",
                           said);
        break;
    default:
        break;
    }
    if (system_errno)
        return err_set_errno(e, ERR_FAILED, system_errno, "the database store.db failed (%s)", said);
    return err_set(e, ERR_FAILED, "the database store.db failed: %s", said);
}

bool connection_lost_sync(struct connection *c)
{
    int extended = sqlite3_extended_errcode(c->db);
    return extended == SQLITE_IOERR_FSYNC || extended == SQLITE_IOERR_DIR_FSYNC;
}

/* ---- opening ---- */

static int attach(struct connection *c, const char *name, int flags, struct err *e)
{
    int code = sqlite3_open_v2(name, &c->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (!c->db)
        out_of_memory();
    if (code != SQLITE_OK)
        return connection_fail(c, e);
    sqlite3_busy_timeout(c->db, BUSY_MS);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return 0;
}

/* SQLite answers with the mode it could have, which is no error. */
static int use_wal(struct connection *c, struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(c, "PRAGMA journal_mode=WAL", &st, e);
    if (code < 0)
        return code;
    code = statement_step(c, st, e);
    if (code == 1 && !streq(column_text(st, 0), "wal"))
        code = err_set(e, ERR_UNAVAILABLE,
                       "the file system of the home cannot hold its database (it lacks shared memory, as "
                       "network file systems do); put the home on a local disk");
    statement_end(st);
    return code < 0 ? code : 0;
}

static int open_writer(struct connection *c, const char *file, struct err *e)
{
    int code = attach(c, file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e);
    if (code == 0)
        code = use_wal(c, e);
    if (code == 0)
        code = connection_run(c,
                              "PRAGMA synchronous=FULL;"
                              "PRAGMA secure_delete=ON;" /* erased means gone */
                              "PRAGMA temp_store=MEMORY;"
                              "PRAGMA cell_size_check=ON;"
                              "PRAGMA journal_size_limit=67108864;"
                              "PRAGMA cache_size=-4096",
                              e);
    return code;
}

/* "file:" and the path, with what means something in a URI escaped. */
static void add_uri(struct str *out, const char *file)
{
    str_add(out, "file:");
    for (; *file; file++) {
        if (strchr("%?#", *file))
            str_addf(out, "%%%02X", (unsigned)(unsigned char)*file);
        else
            str_add_char(out, *file);
    }
}

/* For a database whose directory we cannot write and that no writer has open. */
static int open_unshared(struct connection *c, const char *file, struct err *e)
{
    STR_LOCAL(wal);
    STR_LOCAL(uri);
    str_addf(&wal, "%s-wal", file);
    add_uri(&uri, file);
    /* Without a WAL SQLite would make one, unless it is told that nothing will change. */
    str_add(&uri, access(wal.data, F_OK) == 0 ? "?mode=ro&vfs=unix-none" : "?mode=ro&immutable=1");
    sqlite3_close(c->db);
    int code = attach(c, uri.data, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, e);
    return code < 0 ? code : connection_run(c, "PRAGMA locking_mode=EXCLUSIVE", e);
}

static int open_reader(struct connection *c, const char *file, struct err *e)
{
    if (access(file, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(e, ERR_NOT_FOUND, "there is no home here: %s does not exist; tandem run makes one, --home or TANDEM_HOME names another", file);
    int code = attach(c, file, SQLITE_OPEN_READONLY, e);
    if (code < 0)
        return code;
    int64_t ignored;
    static const char look[] = "SELECT count(*) FROM sqlite_schema";
    if (connection_number(c, look, &ignored, e) < 0) {
        int extended = sqlite3_extended_errcode(c->db);
        if ((extended & 0xff) != SQLITE_CANTOPEN && (extended & 0xff) != SQLITE_READONLY)
            return connection_fail(c, e);
        code = open_unshared(c, file, e);
        if (code == 0)
            code = connection_number(c, look, &ignored, e);
    }
    return code < 0 ? code : connection_run(c, "PRAGMA cell_size_check=ON; PRAGMA cache_size=-1024", e);
}

int connection_open(struct connection **ret, const char *file, bool writer, struct err *e)
{
    struct connection *c = xcalloc(1, sizeof *c);
    int code = writer ? open_writer(c, file, e) : open_reader(c, file, e);
    if (code < 0) {
        connection_close(c);
        return code;
    }
    *ret = c;
    return 0;
}

void connection_close(struct connection *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < CACHE_SIZE; i++) {
        sqlite3_finalize(c->cache[i].statement);
        free(c->cache[i].sql);
    }
    sqlite3_close(c->db);
    free(c);
}

/* ---- statements ---- */

int connection_run(struct connection *c, const char *sql, struct err *e)
{
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : connection_fail(c, e);
}

int connection_number(struct connection *c, const char *sql, int64_t *ret, struct err *e)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(c->db, sql, -1, &st, NULL) != SQLITE_OK)
        return connection_fail(c, e);
    int code = statement_step(c, st, e);
    if (code == 1)
        *ret = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    if (code == 0)
        return err_set(e, ERR_FAILED, "no answer to %s", sql);
    return code < 0 ? code : 0;
}

/* The place of `sql` in the cache: where it is, or the one that was unused for longest. */
static struct cached *place_of(struct connection *c, const char *sql)
{
    struct cached *oldest = NULL;
    for (size_t i = 0; i < CACHE_SIZE; i++) {
        struct cached *p = &c->cache[i];
        if (p->sql && streq(p->sql, sql))
            return p;
        if (!(oldest && oldest->used_at <= p->used_at) && !sqlite3_stmt_busy(p->statement))
            oldest = p;
    }
    assert(oldest);
    sqlite3_finalize(oldest->statement);
    free(oldest->sql);
    *oldest = (struct cached){ 0 };
    return oldest;
}

int statement_begin(struct connection *c, const char *sql, sqlite3_stmt **ret, struct err *e)
{
    struct cached *p = place_of(c, sql);
    if (!p->statement) {
        if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &p->statement, NULL) != SQLITE_OK)
            return connection_fail(c, e);
        p->sql = xstrdup(sql);
    }
    assert(!sqlite3_stmt_busy(p->statement));
    p->used_at = ++c->uses;
    *ret = p->statement;
    return 0;
}

int statement_step(struct connection *c, sqlite3_stmt *st, struct err *e)
{
    int code = sqlite3_step(st);
    if (code == SQLITE_ROW)
        return 1;
    return code == SQLITE_DONE ? 0 : connection_fail(c, e);
}

void statement_end(sqlite3_stmt *st)
{
    if (!st)
        return;
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
}

int statement_finish(struct connection *c, sqlite3_stmt *st, struct err *e)
{
    int code = statement_step(c, st, e);
    statement_end(st);
    return code < 0 ? code : 0;
}

void bind_text(sqlite3_stmt *st, int at, const char *text)
{
    sqlite3_bind_text(st, at, text ? text : "", -1, SQLITE_STATIC);
}

void bind_bytes(sqlite3_stmt *st, int at, const void *bytes, size_t len)
{
    sqlite3_bind_blob64(st, at, len ? bytes : "", len, SQLITE_STATIC);
}

const char *column_text(sqlite3_stmt *st, int at)
{
    const char *text = (const char *)sqlite3_column_text(st, at);
    return text ? text : "";
}

const void *column_bytes(sqlite3_stmt *st, int at, size_t *ret_len)
{
    const void *bytes = sqlite3_column_blob(st, at);
    *ret_len = (size_t)sqlite3_column_bytes(st, at);
    return bytes ? bytes : "";
}
