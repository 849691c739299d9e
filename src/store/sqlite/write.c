/* write.c - the transaction of a commit group, and the savepoint of each batch in it. */
#include "store/sqlite/engine_internal.h"

#include <inttypes.h>

static int run(struct engine *g, const char *sql, struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(g->writer, sql, &st, e);
    return code < 0 ? code : statement_finish(g->writer, st, e);
}

/* ---- the transaction ---- */

int sqlite_begin(struct engine *g, struct err *e)
{
    if (g->lost.code < 0) {
        if (e)
            *e = g->lost;
        return g->lost.code;
    }
    return run(g, "BEGIN IMMEDIATE", e);
}

static int write_head(struct engine *g, const struct log_head *head, struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(g->writer, "UPDATE head SET seq = ?1, time_ms = ?2, hash = ?3", &st, e);
    if (code < 0)
        return code;
    sqlite3_bind_int64(st, 1, head->seq);
    sqlite3_bind_int64(st, 2, head->time_ms);
    bind_text(st, 3, head->hash);
    return statement_finish(g->writer, st, e);
}

int sqlite_commit(struct engine *g, const struct log_head *head, struct err *e)
{
    int code = write_head(g, head, e);
    if (code == 0)
        code = run(g, "COMMIT", e);
    /* After a failed sync the kernel may have dropped the pages and forgotten that it did:
     * trying again could report success for what is not on disk. */
    if (code < 0 && connection_lost_sync(g->writer)) {
        err_set(&g->lost, ERR_FAILED,
                "the disk failed to sync the home, so nothing more is written; check the disk and start "
                "Tandem again");
        if (e)
            *e = g->lost;
    }
    return code;
}

void sqlite_rollback(struct engine *g)
{
    if (!sqlite3_get_autocommit(connection_handle(g->writer)))
        run(g, "ROLLBACK", NULL);
}

int sqlite_batch_begin(struct engine *g, struct err *e)
{
    return run(g, "SAVEPOINT batch", e);
}

int sqlite_batch_keep(struct engine *g, struct err *e)
{
    return run(g, "RELEASE batch", e);
}

int sqlite_batch_drop(struct engine *g, struct err *e)
{
    int code = run(g, "ROLLBACK TO batch", e);
    return code < 0 ? code : run(g, "RELEASE batch", e);
}

void sqlite_scrub(struct engine *g)
{
    sqlite3_wal_checkpoint_v2(connection_handle(g->writer), NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

/* ---- rows ---- */

int sqlite_event_append(struct engine *g, const struct event_row *row, struct err *e)
{
    sqlite3_stmt *st;
    int code = statement_begin(g->writer, "INSERT INTO event (seq, project, ticket, kind, hash, body)"
                                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6)", &st, e);
    if (code < 0)
        return code;
    sqlite3_bind_int64(st, 1, row->seq);
    bind_text(st, 2, row->project);
    bind_text(st, 3, row->ticket);
    bind_text(st, 4, row->kind);
    bind_text(st, 5, row->hash);
    bind_bytes(st, 6, row->body, row->body_len);
    return statement_finish(g->writer, st, e);
}

static int conflict(struct engine *g, const struct doc_table *t, const struct doc_write *w, struct err *e)
{
    sqlite3_stmt *st;
    const char *type = t->type->name;
    int code = statement_begin(g->writer, t->version, &st, e);
    if (code < 0)
        return code;
    bind_text(st, 1, w->id);
    code = statement_step(g->writer, st, e);
    int64_t version = code == 1 ? sqlite3_column_int64(st, 0) : 0;
    statement_end(st);
    if (code < 0)
        return code;
    if (w->operation == DOC_INSERT)
        return err_set(e, ERR_CONFLICT, "%s %s exists already", type, w->id);
    if (code == 0)
        return err_set(e, ERR_CONFLICT, "%s %s does not exist any more", type, w->id);
    return err_set(e, ERR_CONFLICT, "%s %s has version %" PRId64 ", not %" PRId64 ": it changed since it was read",
                   type, w->id, version, w->version - 1);
}

int sqlite_doc_write(struct engine *g, const struct doc_write *w, struct err *e)
{
    const struct doc_table *t = engine_table(g, w->type->name);
    if (!t)
        return err_set(e, ERR_INVALID, "documents of type %s are unknown here", w->type->name);
    const char *const sql[] = { [DOC_INSERT] = t->insert, [DOC_UPDATE] = t->update, [DOC_DELETE] = t->erase };
    sqlite3_stmt *st;
    /* Its searchable text goes first, while the row that names it is there. */
    int code = w->operation == DOC_INSERT ? 0 : doc_table_text_remove(t, g->writer, w->id, e);
    if (code == 0)
        code = statement_begin(g->writer, sql[w->operation], &st, e);
    if (code < 0)
        return code;
    bind_text(st, 1, w->id);
    sqlite3_bind_int64(st, 2, w->version);
    if (w->operation != DOC_DELETE) {
        bind_bytes(st, 3, w->body, w->body_len);
        doc_table_bind(t, st, 4, w->value);
    }
    code = statement_finish(g->writer, st, e);
    if (code < 0)
        return code;
    if (sqlite3_changes(connection_handle(g->writer)) == 0)
        return conflict(g, t, w, e);
    return w->operation == DOC_DELETE ? 0 : doc_table_text_add(t, g->writer, w->id, w->value, e);
}
