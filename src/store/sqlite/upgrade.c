/* upgrade.c - makes the tables of documents agree with their descriptions.
 *
 * Whatever a table says besides id, version and body can be computed from the bodies.  So a
 * description may change freely: columns that are missing are added and filled, those that
 * nobody wants any more are dropped, and the text index is rebuilt when its fields changed.
 * The table itself is compared, not a stored fingerprint of the description: nothing else
 * can get out of step.
 */
#include "store/sqlite/schema.h"

#include "base/failpoint.h"
#include "base/json.h"
#include "base/str.h"

#include <inttypes.h>

/* The columns of a table that hold fields ("f_state TEXT"). */
static int read_columns(struct connection *c, struct arena *a, const char *table, struct texts *ret,
                        struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(c, "SELECT name || ' ' || type FROM pragma_table_info(?1)"
                                  " WHERE substr(name, 1, 2) = 'f_'", &st, e);
    if (code < 0)
        return code;
    bind_text(st, 1, table);
    *ret = (struct texts){ 0 };
    while ((code = statement_step(c, st, e)) == 1)
        texts_add(ret, a, column_text(st, 0));
    statement_end(st);
    return code;
}

static int run(struct connection *c, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int run(struct connection *c, struct err *e, const char *fmt, ...)
{
    STR_LOCAL(sql);
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&sql, fmt, ap);
    va_end(ap);
    return connection_run(c, sql.data, e);
}

/* ---- going through the bodies ---- */

typedef int body_fn(const struct doc_table *t, struct connection *c, int64_t n, const char *id,
                    const json_t *value, struct err *e);

/* One row per statement: the table is being written meanwhile. */
static int each_body(const struct doc_table *t, struct connection *c, body_fn *fn, struct err *e)
{
    ARENA_LOCAL(sql);
    const char *next = arena_printf(&sql, "SELECT n, id, body FROM doc_%s WHERE n > ?1 ORDER BY n LIMIT 1",
                                    t->type->name);
    for (int64_t n = 0;;) {
        ARENA_LOCAL(a);
        sqlite3_stmt *st;
        int code = statement_begin(c, next, &st, e);
        if (code < 0)
            return code;
        sqlite3_bind_int64(st, 1, n);
        code = statement_step(c, st, e);
        if (code <= 0) {
            statement_end(st);
            return code;
        }
        n = sqlite3_column_int64(st, 0);
        const char *id = arena_strdup(&a, column_text(st, 1));
        size_t len;
        const char *body = column_bytes(st, 2, &len);
        json_t *value;
        code = json_parse(&a, body, len, &value, e);
        statement_end(st);
        if (code == 0)
            code = fn(t, c, n, id, value, e);
        if (code < 0)
            return err_prefix(e, "%s %s", t->type->name, id);
    }
}

static int refill(const struct doc_table *t, struct connection *c, int64_t n, const char *id,
                  const json_t *value, struct err *e)
{
    (void)id;
    STR_LOCAL(sql);
    str_addf(&sql, "UPDATE doc_%s SET ", t->type->name);
    for (size_t i = 0; i < t->indexed_count; i++)
        str_addf(&sql, "%sf_%s = ?%zu", i ? ", " : "", t->indexed[i]->name, i + 2);
    str_add(&sql, " WHERE n = ?1");
    sqlite3_stmt *st;
    int code = statement_begin(c, sql.data, &st, e);
    if (code < 0)
        return code;
    sqlite3_bind_int64(st, 1, n);
    doc_table_bind(t, st, 2, value);
    return statement_finish(c, st, e);
}

static int refill_text(const struct doc_table *t, struct connection *c, int64_t n, const char *id,
                       const json_t *value, struct err *e)
{
    (void)n;
    return doc_table_text_add(t, c, id, value, e);
}

/* ---- columns ---- */

static const char *column_of(struct arena *a, const struct field *f)
{
    bool textual = f->kind == FIELD_TEXT || f->kind == FIELD_ENUM;
    return arena_printf(a, "f_%s %s", f->name, textual ? "TEXT" : "INTEGER");
}

/* Columns that no field has, or of another type. */
static int drop_columns(const struct doc_table *t, struct connection *c, const struct texts *have,
                        const struct texts *wanted, struct err *e)
{
    const char *name = t->type->name;
    for (size_t i = 0; i < have->count; i++) {
        if (texts_has(wanted, have->items[i]))
            continue;
        int len = (int)strcspn(have->items[i], " ");
        const char *column = have->items[i];
        int code = run(c, e, "DROP INDEX IF EXISTS doc_%s_%.*s; ALTER TABLE doc_%s DROP COLUMN %.*s", name,
                       len, column, name, len, column);
        if (code < 0)
            return code;
    }
    return 0;
}

static int add_columns(const struct doc_table *t, struct connection *c, const struct texts *have,
                       const struct texts *wanted, bool *ret_added, struct err *e)
{
    const char *name = t->type->name;
    for (size_t i = 0; i < wanted->count; i++) {
        const char *column = wanted->items[i], *field = t->indexed[i]->name;
        if (texts_has(have, column))
            continue;
        int code = run(c, e, "ALTER TABLE doc_%s ADD COLUMN %s NOT NULL DEFAULT %s;"
                             "CREATE INDEX doc_%s_f_%s ON doc_%s (f_%s, id)",
                       name, column, ends_with(column, " TEXT") ? "''" : "0", name, field, name, field);
        if (code < 0)
            return code;
        *ret_added = true;
    }
    return 0;
}

static int upgrade_columns(const struct doc_table *t, struct connection *c, struct err *e)
{
    ARENA_LOCAL(a);
    struct texts have, wanted = { 0 };
    bool added = false;
    for (size_t i = 0; i < t->indexed_count; i++)
        texts_add(&wanted, &a, column_of(&a, t->indexed[i]));
    int code = run(c, e, "CREATE TABLE IF NOT EXISTS doc_%s (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
                         " version INTEGER NOT NULL, body BLOB NOT NULL) STRICT", t->type->name);
    if (code == 0)
        code = read_columns(c, &a, arena_printf(&a, "doc_%s", t->type->name), &have, e);
    if (code == 0)
        code = drop_columns(t, c, &have, &wanted, e);
    if (code == 0)
        code = add_columns(t, c, &have, &wanted, &added, e);
    if (code < 0 || !added)
        return code;
    failpoint("store.migrating");
    return each_body(t, c, refill, e);
}

static int upgrade_text(const struct doc_table *t, struct connection *c, struct err *e)
{
    ARENA_LOCAL(a);
    STR_LOCAL(wanted);
    struct texts have;
    const char *name = arena_printf(&a, "text_%s", t->type->name);
    int code = read_columns(c, &a, name, &have, e);
    if (code < 0)
        return code;
    bool same = have.count == t->searched_count;
    for (size_t i = 0; i < t->searched_count; i++) {
        str_addf(&wanted, "f_%s, ", t->searched[i]->name);
        same = same && starts_with(have.items[i], "f_") &&
               streq(have.items[i] + 2, arena_printf(&a, "%s ", t->searched[i]->name));
    }
    if (same)
        return 0;
    code = run(c, e, "DROP TABLE IF EXISTS %s", name);
    if (code == 0 && t->searched_count)
        code = run(c, e, "CREATE VIRTUAL TABLE %s USING fts5(%stokenize = 'unicode61 remove_diacritics 2')",
                   name, wanted.data);
    if (code == 0 && t->searched_count)
        code = each_body(t, c, refill_text, e);
    return code;
}

int doc_table_upgrade(const struct doc_table *t, struct connection *c, struct err *e)
{
    int code = upgrade_columns(t, c, e);
    if (code == 0)
        code = upgrade_text(t, c, e);
    return code < 0 ? err_prefix(e, "the table of %s", t->type->name) : 0;
}
