/* read.c - rows for a view, and what SQLite itself can say about the database's health. */
#include "store/sqlite/engine_internal.h"

#include "base/json.h"
#include "base/str.h"


/* ---- the log ---- */

int sqlite_head(struct view *v, struct log_head *ret, struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(v->connection, "SELECT seq, time_ms, hash FROM head", &st, e);
    if (code < 0)
        return code;
    code = statement_step(v->connection, st, e);
    if (code == 1) {
        ret->seq = sqlite3_column_int64(st, 0);
        ret->time_ms = sqlite3_column_int64(st, 1);
        snprintf(ret->hash, sizeof ret->hash, "%s", column_text(st, 2));
    }
    statement_end(st);
    if (code == 0)
        return err_set(e, ERR_CORRUPT, "the database does not say where the log ends");
    return code < 0 ? code : 0;
}

static int filtered(struct view *v, const struct event_filter *f, sqlite3_stmt **ret, struct err *e)
{
    STR_LOCAL(sql);
    /* A ticket has far fewer events than a kind: "+" keeps SQLite from that index. */
    const char *kind = f->ticket ? " AND +kind = ?5" : " AND kind = ?5";
    str_addf(&sql, "SELECT seq, project, ticket, kind, hash, body FROM event WHERE seq > ?1%s%s%s ORDER BY seq LIMIT ?2",
             f->project ? " AND project = ?3" : "", f->ticket ? " AND ticket = ?4" : "", f->kind ? kind : "");
    int code = statement_begin(v->connection, sql.data, ret, e);
    if (code < 0)
        return code;
    sqlite3_bind_int64(*ret, 1, f->after_seq);
    sqlite3_bind_int64(*ret, 2, f->limit);
    if (f->project)
        bind_text(*ret, 3, f->project);
    if (f->ticket)
        bind_text(*ret, 4, f->ticket);
    if (f->kind)
        bind_text(*ret, 5, f->kind);
    return 0;
}

int sqlite_events(struct view *v, const struct event_filter *f, event_fn *fn, void *ctx, struct err *e)
{
    sqlite3_stmt *st;
    int code = filtered(v, f, &st, e);
    if (code < 0)
        return code;
    while ((code = statement_step(v->connection, st, e)) == 1) {
        struct event_row row = {
            .seq = sqlite3_column_int64(st, 0), .project = column_text(st, 1), .ticket = column_text(st, 2),
            .kind = column_text(st, 3), .hash = column_text(st, 4),
        };
        row.body = column_bytes(st, 5, &row.body_len);
        code = fn(&row, ctx, e);
        if (code < 0)
            break;
    }
    statement_end(st);
    return code;
}

/* ---- documents ---- */

int sqlite_each_doc(struct view *v, const char *type_name, sqlite3_stmt *st, doc_fn *fn, void *ctx,
                    struct err *e)
{
    int code;
    while ((code = statement_step(v->connection, st, e)) == 1) {
        struct doc_row row = { .type = type_name, .id = column_text(st, 0),
                               .version = sqlite3_column_int64(st, 1) };
        row.body = column_bytes(st, 2, &row.body_len);
        code = fn(&row, ctx, e);
        if (code < 0)
            break;
    }
    statement_end(st);
    return code;
}

struct counting {
    doc_fn *fn;
    void *ctx;
    size_t count;
};

static int count_one(const struct doc_row *row, void *ctx, struct err *e)
{
    struct counting *c = ctx;
    c->count++;
    return c->fn(row, c->ctx, e);
}

int sqlite_doc_get(struct view *v, const struct doc_type *t, const char *id, doc_fn *fn, void *ctx,
                   struct err *e)
{
    struct counting counting = { fn, ctx, 0 };
    const struct doc_table *table = engine_table(v->engine, t->name);
    sqlite3_stmt *st;
    int code = statement_begin(v->connection, table->get, &st, e);
    if (code < 0)
        return code;
    bind_text(st, 1, id);
    code = sqlite_each_doc(v, t->name, st, count_one, &counting, e);
    if (code == 0 && !counting.count)
        return err_set(e, ERR_NOT_FOUND, "there is no %s %s", t->name, id);
    return code;
}

/* A query that FTS5 reads as plain words, whatever is in them: each quoted. */
static void add_words(struct str *out, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        str_add(out, i ? " \"" : "\"");
        for (const char *p = words[i]; *p; p++) {
            if (*p == '"')
                str_add_char(out, '"');
            str_add_char(out, *p);
        }
        str_add_char(out, '"');
    }
}

int sqlite_doc_search(struct view *v, const struct doc_type *t, const char *const *words,
                      size_t word_count, size_t limit, doc_fn *fn, void *ctx, struct err *e)
{
    STR_LOCAL(sql);
    STR_LOCAL(match);
    sqlite3_stmt *st;
    str_addf(&sql, "SELECT d.id, d.version, d.body FROM text_%s JOIN doc_%s d ON d.n = text_%s.rowid"
                   " WHERE text_%s MATCH ?1 ORDER BY text_%s.rank, d.id LIMIT ?2",
             t->name, t->name, t->name, t->name, t->name);
    add_words(&match, words, word_count);
    int code = statement_begin(v->connection, sql.data, &st, e);
    if (code < 0)
        return code;
    bind_text(st, 1, match.data);
    sqlite3_bind_int64(st, 2, (int64_t)limit);
    return sqlite_each_doc(v, t->name, st, fn, ctx, e);
}

static int type_names(struct view *v, struct arena *a, struct texts *ret, struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(v->connection, "SELECT substr(name, 5) FROM sqlite_schema WHERE type = 'table'"
                                              " AND substr(name, 1, 4) = 'doc_' ORDER BY name", &st, e);
    if (code < 0)
        return code;
    while ((code = statement_step(v->connection, st, e)) == 1)
        texts_add(ret, a, column_text(st, 0));
    statement_end(st);
    return code;
}

int sqlite_doc_each(struct view *v, doc_fn *fn, void *ctx, struct err *e)
{
    ARENA_LOCAL(a);
    struct texts names = { 0 };
    int code = type_names(v, &a, &names, e);
    for (size_t i = 0; i < names.count && code == 0; i++) {
        sqlite3_stmt *st;
        code = statement_begin(v->connection, arena_printf(&a, "SELECT id, version, body FROM \"doc_%s\" ORDER BY id",
                                                           names.items[i]), &st, e);
        if (code == 0)
            code = sqlite_each_doc(v, names.items[i], st, fn, ctx, e);
    }
    return code;
}

/* ---- health ---- */

static bool column_agrees(sqlite3_stmt *st, int at, const struct field *f, const json_t *value)
{
    const char *text;
    int64_t number;
    index_value(f, value, &text, &number);
    if (text)
        return sqlite3_column_type(st, at) == SQLITE_TEXT && streq(column_text(st, at), text);
    return sqlite3_column_type(st, at) == SQLITE_INTEGER && sqlite3_column_int64(st, at) == number;
}

/* Whether a row's columns (from the second on) say what its body (the first) says. */
static void check_row(sqlite3_stmt *st, const struct doc_table *t, void (*fault)(const char *, void *), void *ctx)
{
    ARENA_LOCAL(a);
    size_t len;
    const char *body = column_bytes(st, 1, &len);
    json_t *value;
    if (json_parse(&a, body, len, &value, NULL) < 0)
        return; /* its digest says so */
    for (size_t i = 0; i < t->indexed_count; i++)
        if (!column_agrees(st, 2 + (int)i, t->indexed[i], value))
            fault(arena_printf(&a, "%s %s is found by another %s than it has", t->type->name,
                               column_text(st, 0), t->indexed[i]->name), ctx);
}

static int check_columns(struct view *v, const struct doc_table *t, void (*fault)(const char *, void *),
                         void *ctx, struct err *e)
{
    STR_LOCAL(sql);
    sqlite3_stmt *st;
    str_add(&sql, "SELECT id, body");
    for (size_t i = 0; i < t->indexed_count; i++)
        str_addf(&sql, ", f_%s", t->indexed[i]->name);
    str_addf(&sql, " FROM doc_%s", t->type->name);
    int code = statement_begin(v->connection, sql.data, &st, e);
    if (code < 0)
        return code;
    while ((code = statement_step(v->connection, st, e)) == 1)
        check_row(st, t, fault, ctx);
    statement_end(st);
    return code;
}

int sqlite_check(struct view *v, void (*fault)(const char *text, void *ctx), void *ctx, struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(v->connection, "PRAGMA integrity_check(100)", &st, e);
    if (code < 0)
        return code;
    while ((code = statement_step(v->connection, st, e)) == 1)
        if (!streq(column_text(st, 0), "ok"))
            fault(column_text(st, 0), ctx);
    statement_end(st);
    ARENA_LOCAL(a);
    struct texts there = { 0 };
    if (code == 0)
        code = type_names(v, &a, &there, e);
    /* A type that is younger than the home has no table yet, and no documents. */
    for (size_t i = 0; i < v->engine->table_count && code == 0; i++)
        if (texts_has(&there, v->engine->tables[i].type->name))
            code = check_columns(v, &v->engine->tables[i], fault, ctx, e);
    return code;
}
