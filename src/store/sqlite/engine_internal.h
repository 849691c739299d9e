/* engine_internal.h - what the files of the SQLite engine share. */
#ifndef TANDEM_SQLITE_ENGINE_INTERNAL_H
#define TANDEM_SQLITE_ENGINE_INTERNAL_H

#include "store/engine.h"
#include "store/sqlite/schema.h"

#include <pthread.h>

struct view {
    struct view *next; /* in the pool */
    struct engine *engine;
    struct connection *connection;
};

struct engine {
    struct arena arena; /* names and SQL, as long as the engine */
    const char *file;
    struct doc_table *tables;
    size_t table_count;
    struct connection *writer; /* NULL for readers */
    struct err lost;           /* code < 0: a sync failed, nothing may be written any more */

    pthread_mutex_t mutex; /* guards the pool */
    struct view *idle;
    size_t idle_count;
};

/* The tables of a type; NULL when it was not given at opening. */
const struct doc_table *engine_table(const struct engine *g, const char *type_name);

/* write.c */
int sqlite_begin(struct engine *g, struct err *e);
int sqlite_commit(struct engine *g, const struct log_head *head, struct err *e);
void sqlite_rollback(struct engine *g);
int sqlite_batch_begin(struct engine *g, struct err *e);
int sqlite_batch_keep(struct engine *g, struct err *e);
int sqlite_batch_drop(struct engine *g, struct err *e);
int sqlite_event_append(struct engine *g, const struct event_row *row, struct err *e);
int sqlite_doc_write(struct engine *g, const struct doc_write *w, struct err *e);
void sqlite_scrub(struct engine *g);

/* blob.c */
int sqlite_blob_put(struct engine *g, const char *digest_hex, const void *bytes, size_t len,
                    const char *prefix, size_t prefix_len, struct err *e);
int sqlite_blob_erase(struct engine *g, const char *digest_hex, struct err *e);
int sqlite_blob_stat(struct view *v, const char *digest_hex, struct blob_info *ret, struct err *e);
int sqlite_blob_get(struct view *v, struct arena *a, const char *digest_hex, const char **ret,
                    size_t *ret_len, struct err *e);
int sqlite_blob_each(struct view *v, blob_fn *fn, void *ctx, struct err *e);

/* read.c */
int sqlite_head(struct view *v, struct log_head *ret, struct err *e);
int sqlite_events(struct view *v, const struct event_filter *f, event_fn *fn, void *ctx, struct err *e);
int sqlite_doc_get(struct view *v, const struct doc_type *t, const char *id, doc_fn *fn, void *ctx,
                   struct err *e);
int sqlite_doc_search(struct view *v, const struct doc_type *t, const char *const *words,
                      size_t word_count, size_t limit, doc_fn *fn, void *ctx, struct err *e);
int sqlite_doc_each(struct view *v, doc_fn *fn, void *ctx, struct err *e);
int sqlite_check(struct view *v, void (*fault)(const char *text, void *ctx), void *ctx, struct err *e);
/* Runs a statement that yields id, version, body, and ends it. */
int sqlite_each_doc(struct view *v, const char *type_name, sqlite3_stmt *st, doc_fn *fn, void *ctx,
                    struct err *e);

/* query.c */
int sqlite_doc_find(struct view *v, const struct doc_type *t, const struct store_query *q, doc_fn *fn,
                    void *ctx, struct err *e);
int sqlite_doc_count(struct view *v, const struct doc_type *t, const struct store_query *q, int64_t *ret,
                     struct err *e);

#endif
