/* engine.h - what a database must do to hold a home.
 *
 * The store (store.c, commit.c, verify.c) knows what events, batches, chains and queries
 * mean; an engine only keeps rows.  What an engine must promise is what PostgreSQL, and
 * MongoDB without multi-document transactions, can do too: rows written between `begin` and
 * `commit` appear together with the new head of the log, or not at all; a `view` sees one
 * moment of that history.  An engine may keep rows back until `commit`.
 *
 * Errors: ERR_CONFLICT, ERR_NOT_FOUND, ERR_INVALID and ERR_LIMIT concern the current batch,
 * which is then dropped; every other error of a writing function concerns the transaction,
 * which is then rolled back.  ERR_FULL: there was no room, and there may be some later.
 *
 * Threads: the writing functions are called by one thread at a time (not always the same),
 * a view belongs to one thread at a time, and view_open and view_close may be called from
 * any.  tests/unit/store_suite.c is run over every engine.
 */
#ifndef TANDEM_STORE_ENGINE_H
#define TANDEM_STORE_ENGINE_H

#include "store/store.h"

#include <jansson.h>

struct engine; /* each engine's own */
struct view;

/* The end of the log.  An empty log has seq 0 and 64 zeros. */
struct log_head {
    int64_t seq;
    int64_t time_ms;
    char hash[DIGEST_HEX_LEN + 1];
};

/* An event as it is kept.  `body` is what `hash` is the digest of; the three texts repeat
 * members of the body so that they can be searched by. */
struct event_row {
    int64_t seq;
    const char *project, *ticket, *kind;
    const char *hash;
    const void *body;
    size_t body_len;
};

enum doc_operation { DOC_INSERT, DOC_UPDATE, DOC_DELETE };

struct doc_write {
    enum doc_operation operation;
    const struct doc_type *type;
    const char *id;
    int64_t version;     /* the one written; update and delete expect the one before */
    const void *body;    /* canonical JSON */
    size_t body_len;
    const json_t *value; /* the same, parsed */
};

struct doc_row {
    const char *type;  /* its name: a home may hold types that this program does not know */
    const char *id;
    int64_t version;
    const void *body;
    size_t body_len;
};

/* What a blob is apart from its bytes. */
struct blob_info {
    size_t len;
    bool erased;
};

/* Blobs that begin with another are kept as a link to it and the rest; after so many links
 * one is kept whole, which bounds the work of reading it. */
enum { BLOB_MAX_LINKS = 32 };

/* Called for each row; what `row` points to is valid until it returns.  Negative: stop, and
 * return that. */
typedef int event_fn(const struct event_row *row, void *ctx, struct err *e);
typedef int doc_fn(const struct doc_row *row, void *ctx, struct err *e);
typedef int blob_fn(const char *digest_hex, bool erased, void *ctx, struct err *e);

struct event_filter {
    int64_t after_seq;
    const char *project, *ticket, *kind; /* NULL: any */
    int64_t limit;
};

struct store_engine {
    const char *name;

    /* Opens what lies in the directory `home`.  `writer`: creates what is absent and brings
     * it up to date; the caller holds the home's lock.  Otherwise nothing is changed and
     * ERR_NOT_FOUND means that there is nothing.  `types` stays valid. */
    int (*open)(struct engine **ret, const char *home, bool writer,
                const struct doc_type *const *types, size_t type_count, struct err *e);
    /* All views are closed by now. */
    void (*close)(struct engine *g);

    /* ---- writing ---- */
    int (*begin)(struct engine *g, struct err *e);
    /* Makes all kept batches durable together with the new head.  When it fails in a way
     * that leaves unknown what is on disk, every later `begin` fails. */
    int (*commit)(struct engine *g, const struct log_head *head, struct err *e);
    void (*rollback)(struct engine *g);
    /* A batch within the transaction: what was written since batch_begin is kept, or undone. */
    int (*batch_begin)(struct engine *g, struct err *e);
    int (*batch_keep)(struct engine *g, struct err *e);
    int (*batch_drop)(struct engine *g, struct err *e);

    int (*event_append)(struct engine *g, const struct event_row *row, struct err *e);
    /* ERR_CONFLICT: the expected version is not there (insert: the id is). */
    int (*doc_write)(struct engine *g, const struct doc_write *w, struct err *e);
    /* Stores the blob unless it is there; one that was erased is filled again.  Unless
     * `prefix` is NULL, its bytes are the first `prefix_len` of these, and the engine may
     * store only what follows; it stores all when the prefix is gone. */
    int (*blob_put)(struct engine *g, const char *digest_hex, const void *bytes, size_t len,
                    const char *prefix, size_t prefix_len, struct err *e);
    /* Forgets the bytes, not the name; blobs that are kept as links to it stay whole.
     * ERR_NOT_FOUND: no such blob, or erased before. */
    int (*blob_erase)(struct engine *g, const char *digest_hex, struct err *e);
    /* After commits that erased: nothing of the bytes shall be left in files.  Best effort. */
    void (*scrub)(struct engine *g);

    /* ---- reading ---- */
    int (*view_open)(struct engine *g, struct view **ret, struct err *e);
    void (*view_close)(struct view *v);

    int (*head)(struct view *v, struct log_head *ret, struct err *e);
    /* In order of seq. */
    int (*events)(struct view *v, const struct event_filter *f, event_fn *fn, void *ctx,
                  struct err *e);
    /* ERR_NOT_FOUND. */
    int (*doc_get)(struct view *v, const struct doc_type *t, const char *id, doc_fn *fn,
                   void *ctx, struct err *e);
    /* The query's fields were checked: indexed, and given as their kind wants. */
    int (*doc_find)(struct view *v, const struct doc_type *t, const struct store_query *q,
                    doc_fn *fn, void *ctx, struct err *e);
    int (*doc_count)(struct view *v, const struct doc_type *t, const struct store_query *q,
                     int64_t *ret, struct err *e);
    /* Documents whose searched fields hold all the words, best first. */
    int (*doc_search)(struct view *v, const struct doc_type *t, const char *const *words,
                      size_t word_count, size_t limit, doc_fn *fn, void *ctx, struct err *e);
    /* Documents of every type, known or not. */
    int (*doc_each)(struct view *v, doc_fn *fn, void *ctx, struct err *e);
    int (*blob_stat)(struct view *v, const char *digest_hex, struct blob_info *ret,
                     struct err *e);
    /* ERR_NOT_FOUND also when it was erased. */
    int (*blob_get)(struct view *v, struct arena *a, const char *digest_hex, const char **ret,
                    size_t *ret_len, struct err *e);
    int (*blob_each)(struct view *v, blob_fn *fn, void *ctx, struct err *e);
    /* The engine's own consistency: pages, indexes, columns against bodies.  Calls `fault`
     * with a sentence for each thing that does not hold. */
    int (*check)(struct view *v, void (*fault)(const char *text, void *ctx), void *ctx,
                 struct err *e);
};

/* As store_open and store_open_reader, on a named engine.  For the conformance suite. */
int store_open_on(struct store **ret, const struct store_engine *engine, const char *path,
                  bool writer, const struct doc_type *const *types, size_t type_count,
                  struct err *e);

/* What an index holds of a document for a field: a word or a number, also when the member is
 * absent (record.h says what it then is).  For FIELD_TEXT and FIELD_ENUM *ret_text is set and
 * belongs to `value` or is static, otherwise it is NULL and *ret_number is set. */
void index_value(const struct field *f, const json_t *value, const char **ret_text,
                 int64_t *ret_number);

#endif
