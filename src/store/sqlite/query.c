/* query.c - a store_query as SQL.
 *
 * The text depends only on the shape of the query, so its statement stays prepared; values
 * are parameters.  A cursor is the order value and id of the document it continues behind,
 * looked up at that moment.
 */
#include "store/sqlite/engine_internal.h"

#include "base/str.h"


/* WHERE with numbered parameters: those of `where` from ?1 on, then the range, the cursor's
 * id and the limit. */
enum { AT_RANGE = STORE_MAX_WHERE + 1, AT_CURSOR = AT_RANGE + 2, AT_LIMIT };

static void add_conditions(struct str *sql, const struct store_query *q)
{
    str_add(sql, " WHERE true");
    for (size_t i = 0; i < q->where_count; i++)
        str_addf(sql, " AND f_%s = ?%zu", q->where[i].field, i + 1);
    if (q->range_field)
        str_addf(sql, " AND f_%s BETWEEN ?%d AND ?%d", q->range_field, AT_RANGE, AT_RANGE + 1);
}

static void bind_conditions(sqlite3_stmt *st, const struct store_query *q)
{
    for (size_t i = 0; i < q->where_count; i++) {
        if (q->where[i].text)
            bind_text(st, (int)i + 1, q->where[i].text);
        else
            sqlite3_bind_int64(st, (int)i + 1, q->where[i].number);
    }
    if (q->range_field) {
        sqlite3_bind_int64(st, AT_RANGE, q->range_from);
        sqlite3_bind_int64(st, AT_RANGE + 1, q->range_to);
    }
}

static void add_order(struct str *sql, const struct doc_type *t, const struct store_query *q)
{
    const char *direction = q->descending ? "DESC" : "ASC", *beyond = q->descending ? "<" : ">";
    if (q->after_id && q->order_by)
        str_addf(sql, " AND (f_%s, id) %s (SELECT f_%s, id FROM doc_%s WHERE id = ?%d)", q->order_by, beyond,
                 q->order_by, t->name, AT_CURSOR);
    else if (q->after_id)
        str_addf(sql, " AND id %s ?%d", beyond, AT_CURSOR);
    str_add(sql, " ORDER BY ");
    if (q->order_by)
        str_addf(sql, "f_%s %s, ", q->order_by, direction);
    str_addf(sql, "id %s LIMIT ?%d", direction, AT_LIMIT);
}

/* Without an order of its own the cursor is an id, and needs no document. */
static int check_cursor(struct view *v, const struct doc_type *t, const struct store_query *q, struct err *e)
{
    if (!q->after_id || !q->order_by)
        return 0;
    sqlite3_stmt *st;
    int code = statement_begin(v->connection, engine_table(v->engine, t->name)->version, &st, e);
    if (code < 0)
        return code;
    bind_text(st, 1, q->after_id);
    code = statement_step(v->connection, st, e);
    statement_end(st);
    if (code == 0)
        return err_set(e, ERR_NOT_FOUND, "%s %s, behind which to continue, is gone: start again", t->name,
                       q->after_id);
    return code < 0 ? code : 0;
}

int sqlite_doc_find(struct view *v, const struct doc_type *t, const struct store_query *q, doc_fn *fn,
                    void *ctx, struct err *e)
{
    int code = check_cursor(v, t, q, e);
    if (code < 0)
        return code;
    STR_LOCAL(sql);
    sqlite3_stmt *st;
    str_addf(&sql, "SELECT id, version, body FROM doc_%s", t->name);
    add_conditions(&sql, q);
    add_order(&sql, t, q);
    code = statement_begin(v->connection, sql.data, &st, e);
    if (code < 0)
        return code;
    bind_conditions(st, q);
    if (q->after_id)
        bind_text(st, AT_CURSOR, q->after_id);
    sqlite3_bind_int64(st, AT_LIMIT, (int64_t)q->limit);
    return sqlite_each_doc(v, t->name, st, fn, ctx, e);
}

int sqlite_doc_count(struct view *v, const struct doc_type *t, const struct store_query *q, int64_t *ret,
                     struct err *e)
{
    STR_LOCAL(sql);
    sqlite3_stmt *st;
    str_addf(&sql, "SELECT count(*) FROM doc_%s", t->name);
    add_conditions(&sql, q);
    int code = statement_begin(v->connection, sql.data, &st, e);
    if (code < 0)
        return code;
    bind_conditions(st, q);
    code = statement_step(v->connection, st, e);
    int64_t count = sqlite3_column_int64(st, 0);
    statement_end(st);
    if (code < 0)
        return code;
    *ret = count;
    return 0;
}
