/* blob.c - large bytes by digest, conversations as links.
 *
 * A blob that begins with another is a row with the number of that other and only the bytes
 * that follow, so that turn n of a conversation costs turn n.  Reading goes back along at
 * most BLOB_MAX_LINKS rows; when a chain has become that long, one blob is kept whole.
 */
#include "store/sqlite/engine_internal.h"

#include "base/str.h"

struct link {
    int64_t n, prefix; /* prefix 0: none */
    int64_t links;
    size_t len;
    bool erased;
};

/* ---- looking up ---- */

static int find(struct connection *c, const char *digest_hex, struct link *ret, struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(c, "SELECT n, prefix, links, len, body IS NULL FROM blob WHERE digest = ?1",
                               &st, e);
    if (code < 0)
        return code;
    bind_text(st, 1, digest_hex);
    code = statement_step(c, st, e);
    if (code == 1)
        *ret = (struct link){
            .n = sqlite3_column_int64(st, 0), .prefix = sqlite3_column_int64(st, 1),
            .links = sqlite3_column_int64(st, 2), .len = (size_t)sqlite3_column_int64(st, 3),
            .erased = sqlite3_column_int(st, 4),
        };
    statement_end(st);
    if (code == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no blob %s", digest_hex);
    return code < 0 ? code : 0;
}

static int find_bytes(struct connection *c, const char *digest_hex, struct link *ret, struct err *e)
{
    int code = find(c, digest_hex, ret, e);
    if (code == 0 && ret->erased)
        return err_set(e, ERR_NOT_FOUND, "the bytes of blob %s were erased", digest_hex);
    return code;
}

static int broken(const char *digest_hex, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "blob %s is damaged: its parts do not add up", digest_hex);
}

/* Fills bytes[0..len) from the back, one row of the chain after the other. */
static int read_chain(struct connection *c, const char *digest_hex, int64_t n, char *bytes, size_t len,
                      struct err *e)
{
    for (int links = 0; n; links++) {
        sqlite3_stmt *st;
        int code = links > BLOB_MAX_LINKS ? broken(digest_hex, e)
                                          : statement_begin(c, "SELECT prefix, body FROM blob WHERE n = ?1", &st, e);
        if (code < 0)
            return code;
        sqlite3_bind_int64(st, 1, n);
        code = statement_step(c, st, e);
        if (code == 1 && sqlite3_column_type(st, 1) == SQLITE_BLOB) {
            size_t part_len;
            const void *part = column_bytes(st, 1, &part_len);
            n = sqlite3_column_int64(st, 0);
            if (part_len <= len && (n || part_len == len)) {
                len -= part_len;
                memcpy(bytes + len, part, part_len);
            } else {
                code = 0;
            }
        } else if (code == 1) {
            code = 0;
        }
        statement_end(st);
        if (code <= 0)
            return code < 0 ? code : broken(digest_hex, e);
    }
    return 0;
}

int sqlite_blob_stat(struct view *v, const char *digest_hex, struct blob_info *ret, struct err *e)
{
    struct link l = { 0 };
    int code = find(v->connection, digest_hex, &l, e);
    if (code == 0)
        *ret = (struct blob_info){ l.len, l.erased };
    return code;
}

static int get(struct connection *c, struct arena *a, const char *digest_hex, const char **ret,
               size_t *ret_len, struct err *e)
{
    struct link l = { 0 };
    int code = find_bytes(c, digest_hex, &l, e);
    if (code < 0)
        return code;
    if (l.len > STORE_MAX_BLOB)
        return broken(digest_hex, e);
    char *bytes = arena_alloc(a, l.len + 1);
    code = read_chain(c, digest_hex, l.n, bytes, l.len, e);
    if (code < 0)
        return code;
    *ret = bytes;
    *ret_len = l.len;
    return 0;
}

int sqlite_blob_get(struct view *v, struct arena *a, const char *digest_hex, const char **ret,
                    size_t *ret_len, struct err *e)
{
    return get(v->connection, a, digest_hex, ret, ret_len, e);
}

int sqlite_blob_each(struct view *v, blob_fn *fn, void *ctx, struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(v->connection, "SELECT digest, body IS NULL FROM blob ORDER BY n", &st, e);
    if (code < 0)
        return code;
    while ((code = statement_step(v->connection, st, e)) == 1) {
        code = fn(column_text(st, 0), sqlite3_column_int(st, 1), ctx, e);
        if (code < 0)
            break;
    }
    statement_end(st);
    return code;
}

/* ---- writing ---- */

int sqlite_blob_put(struct engine *g, const char *digest_hex, const void *bytes, size_t len,
                    const char *prefix, size_t prefix_len, struct err *e)
{
    struct connection *c = g->writer;
    struct link l = { 0 };
    if (prefix) {
        int code = find_bytes(c, prefix, &l, e);
        if (code < 0 && code != ERR_NOT_FOUND)
            return code;
        if (code < 0 || l.len != prefix_len || l.links + 1 >= BLOB_MAX_LINKS)
            l = (struct link){ 0 };
    }
    sqlite3_stmt *st;
    int code = statement_begin(c, "INSERT INTO blob (digest, len, links, prefix, body) VALUES (?1, ?2, ?3, ?4, ?5)"
                                  " ON CONFLICT (digest) DO UPDATE SET links = excluded.links,"
                                  " prefix = excluded.prefix, body = excluded.body WHERE body IS NULL", &st, e);
    if (code < 0)
        return code;
    bind_text(st, 1, digest_hex);
    sqlite3_bind_int64(st, 2, (int64_t)len);
    sqlite3_bind_int64(st, 3, l.n ? l.links + 1 : 0);
    if (l.n)
        sqlite3_bind_int64(st, 4, l.n);
    bind_bytes(st, 5, (const char *)bytes + l.len, len - l.len);
    return statement_finish(c, st, e);
}

/* ---- erasing ---- */

static int set_whole(struct connection *c, int64_t n, const char *bytes, size_t len, struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(c, "UPDATE blob SET prefix = NULL, links = 0, body = ?2 WHERE n = ?1", &st, e);
    if (code < 0)
        return code;
    sqlite3_bind_int64(st, 1, n);
    if (bytes)
        bind_bytes(st, 2, bytes, len);
    return statement_finish(c, st, e);
}

/* One blob that is a link to number `n`: its digest and number; 0: there is none. */
static int next_child(struct connection *c, int64_t n, struct digest *ret, struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(c, "SELECT digest FROM blob WHERE prefix = ?1 LIMIT 1", &st, e);
    if (code < 0)
        return code;
    sqlite3_bind_int64(st, 1, n);
    code = statement_step(c, st, e);
    if (code == 1)
        snprintf(ret->hex, sizeof ret->hex, "%s", column_text(st, 0));
    statement_end(st);
    return code;
}

/* Blobs that begin with this one are made whole first: they are others' to keep. */
static int detach_children(struct connection *c, int64_t n, struct err *e)
{
    struct digest child;
    int code;
    while ((code = next_child(c, n, &child, e)) == 1) {
        ARENA_LOCAL(a);
        struct link l = { 0 };
        const char *bytes;
        size_t len;
        code = find(c, child.hex, &l, e);
        if (code == 0)
            code = get(c, &a, child.hex, &bytes, &len, e);
        if (code == 0)
            code = set_whole(c, l.n, bytes, len, e);
        if (code < 0)
            return code;
    }
    return code;
}

int sqlite_blob_erase(struct engine *g, const char *digest_hex, struct err *e)
{
    struct link l = { 0 };
    int code = find_bytes(g->writer, digest_hex, &l, e);
    if (code == 0)
        code = detach_children(g->writer, l.n, e);
    return code < 0 ? code : set_whole(g->writer, l.n, NULL, 0, e);
}
