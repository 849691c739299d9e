/* sqlite_engine.c - opening and closing, and the pool of reading connections.
 *
 * WAL lets readers read while the writer commits, each its own moment, so every view is a
 * read transaction on a connection of its own.  A few connections are kept for reuse;
 * beyond those a view opens one more instead of waiting, so that code which reads while it
 * reads cannot block itself.
 */
#include "store/sqlite/sqlite_engine.h"

#include "base/alloc.h"
#include "base/str.h"
#include "store/sqlite/engine_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_IDLE = 4 };

/* ---- opening ---- */

static int describe_types(struct engine *g, const struct doc_type *const *types, size_t count, struct err *e)
{
    g->tables = ARENA_ARRAY(&g->arena, struct doc_table, count);
    for (size_t i = 0; i < count; i++) {
        int code = doc_table_describe(&g->tables[i], &g->arena, types[i], e);
        if (code < 0)
            return code;
        g->table_count++;
    }
    return 0;
}

/* Makes the file private before SQLite sees it (its other files inherit the mode), and its
 * name durable. */
static int create_file(const char *home, const char *file, struct err *e)
{
    int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? 0 : err_set_errno(e, ERR_FAILED, errno, "cannot create %s", file);
    close(fd);
    int dir = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int synced = dir < 0 ? -1 : fsync(dir);
    int saved = errno;
    if (dir >= 0)
        close(dir);
    return synced < 0 ? err_set_errno(e, ERR_FAILED, saved, "cannot sync %s", home) : 0;
}

static int open_writer(struct engine *g, const char *home, struct err *e)
{
    int code = create_file(home, g->file, e);
    if (code == 0)
        code = connection_open(&g->writer, g->file, true, e);
    return code < 0 ? code : schema_update(g->writer, g->tables, g->table_count, e);
}

/* The first view stays in the pool. */
static int open_reader(struct engine *g, struct err *e)
{
    struct view *v;
    int code = sqlite_engine.view_open(g, &v, e);
    if (code < 0)
        return code;
    code = schema_check(v->connection, e);
    sqlite_engine.view_close(v);
    return code;
}

static void engine_close(struct engine *g)
{
    while (g->idle) {
        struct view *v = g->idle;
        g->idle = v->next;
        connection_close(v->connection);
        free(v);
    }
    connection_close(g->writer); /* last: it then moves the WAL into the database */
    pthread_mutex_destroy(&g->mutex);
    arena_release(&g->arena);
    free(g);
}

static int engine_open(struct engine **ret, const char *home, bool writer,
                       const struct doc_type *const *types, size_t type_count, struct err *e)
{
    struct engine *g = xcalloc(1, sizeof *g);
    pthread_mutex_init(&g->mutex, NULL);
    g->file = arena_printf(&g->arena, "%s/store.db", home);
    int code = describe_types(g, types, type_count, e);
    if (code == 0)
        code = writer ? open_writer(g, home, e) : open_reader(g, e);
    if (code < 0) {
        engine_close(g);
        return code;
    }
    *ret = g;
    return 0;
}

const struct doc_table *engine_table(const struct engine *g, const char *type_name)
{
    for (size_t i = 0; i < g->table_count; i++)
        if (streq(g->tables[i].type->name, type_name))
            return &g->tables[i];
    return NULL;
}

void sqlite_engine_limit(struct engine *g, int64_t pages)
{
    STR_LOCAL(sql);
    int64_t now = 0;
    connection_number(g->writer, "PRAGMA page_count", &now, NULL);
    str_addf(&sql, "PRAGMA max_page_count=%lld", pages < 0 ? 1073741823LL : (long long)(now + pages));
    connection_run(g->writer, sql.data, NULL);
}

/* ---- views ---- */

static struct view *take_idle(struct engine *g)
{
    pthread_mutex_lock(&g->mutex);
    struct view *v = g->idle;
    if (v) {
        g->idle = v->next;
        g->idle_count--;
    }
    pthread_mutex_unlock(&g->mutex);
    return v;
}

static void view_discard(struct view *v)
{
    connection_close(v->connection);
    free(v);
}

static int transaction(struct view *v, const char *word, struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(v->connection, word, &st, e);
    return code < 0 ? code : statement_finish(v->connection, st, e);
}

static int view_open(struct engine *g, struct view **ret, struct err *e)
{
    struct view *v = take_idle(g);
    if (!v) {
        struct connection *c;
        int code = connection_open(&c, g->file, false, e);
        if (code < 0)
            return code;
        v = xcalloc(1, sizeof *v);
        v->engine = g;
        v->connection = c;
    }
    int code = transaction(v, "BEGIN", e);
    if (code < 0) {
        view_discard(v);
        return code;
    }
    *ret = v;
    return 0;
}

static void view_close(struct view *v)
{
    struct engine *g = v->engine;
    if (transaction(v, "ROLLBACK", NULL) < 0) {
        view_discard(v);
        return;
    }
    pthread_mutex_lock(&g->mutex);
    bool kept = g->idle_count < MAX_IDLE;
    if (kept) {
        v->next = g->idle;
        g->idle = v;
        g->idle_count++;
    }
    pthread_mutex_unlock(&g->mutex);
    if (!kept)
        view_discard(v);
}

const struct store_engine sqlite_engine = {
    .name = "sqlite",
    .open = engine_open,
    .close = engine_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .batch_begin = sqlite_batch_begin,
    .batch_keep = sqlite_batch_keep,
    .batch_drop = sqlite_batch_drop,
    .event_append = sqlite_event_append,
    .doc_write = sqlite_doc_write,
    .blob_put = sqlite_blob_put,
    .blob_erase = sqlite_blob_erase,
    .scrub = sqlite_scrub,
    .view_open = view_open,
    .view_close = view_close,
    .head = sqlite_head,
    .events = sqlite_events,
    .doc_get = sqlite_doc_get,
    .doc_find = sqlite_doc_find,
    .doc_count = sqlite_doc_count,
    .doc_search = sqlite_doc_search,
    .doc_each = sqlite_doc_each,
    .blob_stat = sqlite_blob_stat,
    .blob_get = sqlite_blob_get,
    .blob_each = sqlite_blob_each,
    .check = sqlite_check,
};
