/* schema.c - the fixed tables with their migrations, and the SQL of each document type.
 *
 * The SQL of a type is put together from its description once, when the home is opened;
 * names were checked, values are always parameters.
 */
#include "store/sqlite/schema.h"

#include "base/failpoint.h"
#include "base/str.h"

#include <inttypes.h>

enum { APPLICATION_ID = 0x54414e44 }; /* "TAND" */

/* Migration i brings a home from format i to i + 1.  Never change one that was released. */
static const char *const migrations[] = {
    "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL,"
    "  time_ms INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;"
    "INSERT INTO head VALUES (1, 0, 0, '0000000000000000000000000000000000000000000000000000000000000000');"
    "CREATE TABLE event (seq INTEGER PRIMARY KEY, project TEXT NOT NULL, ticket TEXT NOT NULL,"
    "  kind TEXT NOT NULL, hash TEXT NOT NULL, body BLOB NOT NULL) STRICT;"
    "CREATE INDEX event_project ON event (project);" /* an index ends with seq: no sorting */
    "CREATE INDEX event_ticket ON event (ticket, project);"
    "CREATE INDEX event_kind ON event (kind);"
    /* A blob's bytes are those of `prefix`, if any, and then `body`.  `len` counts both; an
     * erased one has neither. */
    "CREATE TABLE blob (n INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, len INTEGER NOT NULL,"
    "  links INTEGER NOT NULL, prefix INTEGER, body BLOB) STRICT;"
    "CREATE INDEX blob_prefix ON blob (prefix) WHERE prefix IS NOT NULL;",
};
enum { FORMAT = sizeof migrations / sizeof *migrations };

/* ---- fixed tables ---- */

static int check_format(struct connection *c, int64_t *ret_format, struct err *e)
{
    int64_t format = 0, application = 0, tables = 0;
    int code = connection_number(c, "PRAGMA user_version", &format, e);
    if (code == 0)
        code = connection_number(c, "PRAGMA application_id", &application, e);
    if (code == 0)
        code = connection_number(c, "SELECT count(*) FROM sqlite_schema", &tables, e);
    if (code < 0)
        return code;
    if (tables && application != APPLICATION_ID)
        return err_set(e, ERR_INVALID, "store.db is not a database of Tandem");
    if (format > FORMAT)
        return err_set(e, ERR_INVALID,
                       "the home was written by a newer Tandem (format %" PRId64 ", this one knows %d): "
                       "use that version",
                       format, FORMAT);
    *ret_format = format;
    return 0;
}

int schema_check(struct connection *c, struct err *e)
{
    int64_t format = 0;
    int code = check_format(c, &format, e);
    if (code == 0 && format == 0)
        return err_set(e, ERR_NOT_FOUND, "the home is empty: its first writer did not finish making it");
    if (code == 0 && format < FORMAT)
        return err_set(e, ERR_INVALID,
                       "the home was written by an older Tandem (format %" PRId64 ", this one needs %d): "
                       "open it once for writing with this version to bring it up to date",
                       format, FORMAT);
    return code;
}

static int migrate(struct connection *c, int64_t format, struct err *e)
{
    for (int64_t i = format; i < FORMAT; i++) {
        int code = connection_run(c, migrations[i], e);
        if (code < 0)
            return err_prefix(e, "bringing the home from format %" PRId64 " to %" PRId64, i, i + 1);
        failpoint("store.migrating");
    }
    STR_LOCAL(sql);
    str_addf(&sql, "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID, FORMAT);
    return format < FORMAT ? connection_run(c, sql.data, e) : 0;
}

int schema_update(struct connection *c, const struct doc_table *tables, size_t count, struct err *e)
{
    int64_t format = 0;
    int code = check_format(c, &format, e);
    if (code == 0)
        code = connection_run(c, "BEGIN IMMEDIATE", e);
    if (code < 0)
        return code;
    code = migrate(c, format, e);
    for (size_t i = 0; i < count && code == 0; i++)
        code = doc_table_upgrade(&tables[i], c, e);
    if (code == 0)
        code = connection_run(c, "COMMIT", e);
    if (code < 0)
        connection_run(c, "ROLLBACK", NULL);
    return code;
}

/* ---- tables of documents ---- */

static bool is_name(const char *s)
{
    return *s && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") == strlen(s);
}

static bool is_field_name(const char *s)
{
    return *s && strspn(s, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(s);
}

static int pick_fields(struct doc_table *t, struct arena *a, struct err *e)
{
    const struct record *r = t->type->record;
    t->indexed = ARENA_ARRAY(a, const struct field *, r->field_count);
    t->searched = ARENA_ARRAY(a, const struct field *, r->field_count);
    for (size_t i = 0; i < r->field_count; i++) {
        const struct field *f = &r->fields[i];
        bool can_index = f->kind == FIELD_TEXT || f->kind == FIELD_INT || f->kind == FIELD_BOOL ||
                         f->kind == FIELD_ENUM;
        if ((f->indexed || f->searched) && !is_field_name(f->name))
            return err_set(e, ERR_INVALID, "\"%s\" cannot be the name of a column", f->name);
        if ((f->indexed && !can_index) || (f->searched && f->kind != FIELD_TEXT))
            return err_set(e, ERR_INVALID, "%s.%s can be neither indexed nor searched", r->name, f->name);
        if (f->indexed)
            t->indexed[t->indexed_count++] = f;
        if (f->searched)
            t->searched[t->searched_count++] = f;
    }
    return 0;
}

/* ", f_state, f_priority" for names, ", ?4, ?5" for parameters that begin with ?4. */
static const char *names(struct arena *a, const struct field *const *fields, size_t count)
{
    STR_LOCAL(out);
    for (size_t i = 0; i < count; i++)
        str_addf(&out, ", f_%s", fields[i]->name);
    return arena_strndup(a, out.data, out.len);
}

static const char *parameters(struct arena *a, size_t count, size_t first)
{
    STR_LOCAL(out);
    for (size_t i = 0; i < count; i++)
        str_addf(&out, ", ?%zu", first + i);
    return arena_strndup(a, out.data, out.len);
}

int doc_table_describe(struct doc_table *ret, struct arena *a, const struct doc_type *type, struct err *e)
{
    struct doc_table t = { .type = type };
    if (!is_name(type->name))
        return err_set(e, ERR_INVALID, "\"%s\" cannot be the name of a document type", type->name);
    int code = pick_fields(&t, a, e);
    if (code < 0)
        return err_prefix(e, "document type %s", type->name);
    const char *name = type->name, *columns = names(a, t.indexed, t.indexed_count);
    const char *values = parameters(a, t.indexed_count, 4);
    t.insert = arena_printf(a, "INSERT INTO doc_%s (id, version, body%s) VALUES (?1, ?2, ?3%s)"
                               " ON CONFLICT (id) DO NOTHING", name, columns, values);
    t.update = arena_printf(a, "UPDATE doc_%s SET (version, body%s) = (?2, ?3%s)"
                               " WHERE id = ?1 AND version = ?2 - 1", name, columns, values);
    t.erase = arena_printf(a, "DELETE FROM doc_%s WHERE id = ?1 AND version = ?2 - 1", name);
    t.version = arena_printf(a, "SELECT version FROM doc_%s WHERE id = ?1", name);
    t.get = arena_printf(a, "SELECT id, version, body FROM doc_%s WHERE id = ?1", name);
    if (t.searched_count) {
        t.text_insert = arena_printf(a, "INSERT INTO text_%s (rowid%s) SELECT n%s FROM doc_%s WHERE id = ?1",
                                     name, names(a, t.searched, t.searched_count),
                                     parameters(a, t.searched_count, 2), name);
        t.text_erase = arena_printf(a, "DELETE FROM text_%s WHERE rowid = (SELECT n FROM doc_%s WHERE id = ?1)",
                                    name, name);
    }
    *ret = t;
    return 0;
}

static void bind_field(sqlite3_stmt *st, int at, const struct field *f, const json_t *value)
{
    const char *text;
    int64_t number;
    index_value(f, value, &text, &number);
    if (text)
        bind_text(st, at, text);
    else
        sqlite3_bind_int64(st, at, number);
}

void doc_table_bind(const struct doc_table *t, sqlite3_stmt *st, int at, const json_t *value)
{
    for (size_t i = 0; i < t->indexed_count; i++)
        bind_field(st, at + (int)i, t->indexed[i], value);
}

int doc_table_text_add(const struct doc_table *t, struct connection *c, const char *id,
                       const json_t *value, struct err *e)
{
    sqlite3_stmt *st;
    int code = t->text_insert ? statement_begin(c, t->text_insert, &st, e) : 0;
    if (code < 0 || !t->text_insert)
        return code;
    bind_text(st, 1, id);
    for (size_t i = 0; i < t->searched_count; i++)
        bind_field(st, 2 + (int)i, t->searched[i], value);
    return statement_finish(c, st, e);
}

int doc_table_text_remove(const struct doc_table *t, struct connection *c, const char *id, struct err *e)
{
    sqlite3_stmt *st;
    int code = t->text_erase ? statement_begin(c, t->text_erase, &st, e) : 0;
    if (code < 0 || !t->text_erase)
        return code;
    bind_text(st, 1, id);
    return statement_finish(c, st, e);
}
