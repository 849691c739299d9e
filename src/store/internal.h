/* internal.h - what the parts of the store share; nothing for callers. */
#ifndef TANDEM_STORE_INTERNAL_H
#define TANDEM_STORE_INTERNAL_H

#include "base/arena.h"
#include "base/err.h"
#include "store/engine.h"
#include "store/event.h"

#include <pthread.h>

/* ---- batches (batch.c) ---- */

struct batch_blob {
    struct digest digest;
    const void *bytes;
    size_t len;
    bool has_prefix;
    struct digest prefix;
    size_t prefix_len; /* found by batch_prepare */
};

struct batch_doc {
    struct doc_write write;
    struct digest digest; /* of the body; "" for a deletion */
};

struct batch {
    struct arena arena; /* bodies, payloads, values */
    struct event *events;
    size_t event_count, event_cap;
    struct batch_blob *blobs;
    size_t blob_count, blob_cap;
    struct batch_doc *docs;
    size_t doc_count, doc_cap;
    const char *erase; /* digest of a blob to erase; NULL: none */
    struct err fault;  /* the first thing wrong with what was put in; code 0: nothing */
};

/* Readies a batch in the committing thread, so that as little as possible is left to do
 * while others wait: payloads become blobs, prefixes are looked up and compared. */
int batch_prepare(struct batch *b, struct store *s, struct err *e);
/* Empties it for reuse. */
void batch_clear(struct batch *b);

/* ---- the store ---- */

struct commit;

struct store {
    const struct store_engine *engine;
    struct engine *db;
    const struct doc_type **types; /* our own list */
    size_t type_count;
    bool readonly;
    int lock_fd; /* of the home's lock; -1 for a reader */

    struct log_head head; /* belongs to the thread that is committing */

    pthread_mutex_t mutex; /* guards what follows */
    struct commit *first, **last; /* who waits to be committed, oldest first */
    bool committing;
    pthread_cond_t changed; /* last_seq or woken did */
    int64_t last_seq;
    bool woken;
};

/* commit.c: puts a prepared batch through the queue. */
int commit_batch(struct store *s, struct batch *b, int64_t *ret_seq, struct err *e);

/* verify.c: follows a chain of events.  Zeroed but for `head`, the event before. */
struct chain {
    struct log_head head;
};
/* Whether `row` is intact and continues the chain, which is then one longer; what it says
 * goes to *ret and *ret_docs (may be NULL).  ERR_CORRUPT names the sequence number. */
int chain_follow(struct chain *c, struct arena *a, const struct event_row *row, struct event *ret,
                 struct event_docs *ret_docs, struct err *e);
/* Checks the last events and that the log ends where the engine says.  Ends at *head. */
int verify_tail(struct store *s, int64_t count, struct log_head *ret_head, struct err *e);

/* A row's body as the struct that its type describes. */
int doc_read(struct arena *a, const struct doc_type *t, const struct doc_row *row, void *ret, struct err *e);
/* The rows that a query finds, in its order (store_find). */
int find_each(struct store *s, const struct doc_type *t, const struct store_query *q, doc_fn *fn, void *ctx, struct err *e);

/* Whether `t` was given when the store was opened. */
int type_check(const struct store *s, const struct doc_type *t, struct err *e);

#endif
