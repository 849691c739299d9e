/* store.h - the log and the documents: everything Tandem remembers.
 *
 * Whatever happens is an event in one hash-chained log.  What people and agents look at
 * are documents: described structs (base/record.h) with an id, a version and a few
 * indexed fields.  Large bytes (prompts, answers, outputs, payloads) are blobs, named by
 * their digest.  A change is a batch: blobs, events and document writes that become
 * visible together or not at all.  There is no other way to write.
 *
 * Engines implement `struct store_engine` (engine.h; see sqlite/).  tests/unit/store_suite.c
 * runs one conformance suite over each of them; what the suite does not demand, callers
 * must not rely on.
 *
 * Following the log, search and erasing have no command yet: they are for the server to come,
 * which has listeners to wake.  (`log --follow` asks store_events now and then, which filters.)
 *
 * Threads: a `struct store` may be used from any thread.  A `struct batch` belongs to the
 * thread that made it.
 */
#ifndef TANDEM_STORE_H
#define TANDEM_STORE_H

#include "base/digest.h"
#include "base/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct store;

/* ---- opening --------------------------------------------------------------- */

/* A type of document.  `name` is also its table: letters and '_' only.  Declared once, as
 * a constant with static lifetime; all types a store will see are given when it is opened.
 * A description may gain fields, and fields may become indexed or searched or cease to be:
 * the writer that opens the home brings its tables up to date.  A field that documents have
 * must stay described, and its limits may only widen: they are checked when reading too. */
struct doc_type {
    const char *name;
    const struct record *record;
};

/* Opens the home at `path`, creating it when absent, and takes its lock.
 * Fails with ERR_BUSY when another process holds it (the message names its process id),
 * ERR_CORRUPT when the database is damaged or the tail of the log does not chain (the
 * message names the first bad sequence number), ERR_FULL, ERR_INVALID when the home was
 * written by a newer Tandem.  Only the last 64 events are checked: opening does not depend
 * on the length of the log. */
int store_open(struct store **ret, const char *path, const struct doc_type *const *types,
               size_t type_count, struct err *e);

/* Opens an existing home beside its writer, without the lock; commits fail with
 * ERR_READONLY.  ERR_NOT_FOUND when there is no home at `path`. */
int store_open_reader(struct store **ret, const char *path, const struct doc_type *const *types,
                      size_t type_count, struct err *e);

/* Waits for writes under way, releases the lock.  NULL is allowed. */
void store_free(struct store *s);

/* ---- writing ---------------------------------------------------------------
 * A batch only borrows what is put into it, until commit or release, except that ids are
 * copied and documents serialised at once. */

enum {
    STORE_MAX_BATCH = 10000,    /* events, blobs and documents each */
    STORE_MAX_BLOB = 64 << 20,  /* bytes */
    STORE_MAX_DOC = 16 << 20,   /* bytes of its JSON */
};

/* What happened.  Texts may be NULL or "" where they do not apply (a kind always does); each
 * is UTF-8 of at most 1,000 bytes. */
struct event {
    int64_t seq;      /* given by the store */
    int64_t time_ms;  /* wall time, given by the store, never decreasing */
    const char *project;
    const char *ticket;
    const char *actor;     /* a role ("tester"), "engine", or a person's name */
    const char *on_behalf; /* the person or task the actor acts for */
    const char *kind;      /* "red.witnessed" */
    const struct json_t *payload_json; /* writing: the payload, an object; may be NULL */
    const char *payload;               /* reading: digest of the payload's blob, "" for none */
    const char *prev, *hash;           /* reading: the chain */
};

struct batch;
struct batch *batch_new(void);
void batch_free(struct batch *b); /* NULL is allowed */

void batch_event(struct batch *b, const struct event *ev);
/* A blob; the digest it will be found under is returned.  Storing it again is no error, and
 * brings the bytes back if they were erased. */
struct digest batch_blob(struct batch *b, const void *bytes, size_t len);
/* The same for a blob whose `len` bytes begin with all the bytes of an earlier one (`prefix`,
 * in this batch or in the store): only what follows is stored, so that a conversation costs
 * its length.  `bytes` is the whole blob, and the digest is of the whole; when the prefix
 * turns out to be absent or not a prefix, all of it is stored. */
struct digest batch_blob_after(struct batch *b, const struct digest *prefix, const void *bytes,
                               size_t len);

/* `doc` points to a struct described by t->record.  Ids are non-empty, at most 200 bytes of
 * letters and digits (of ASCII, or any well-formed UTF-8 above it) and "._/:-".  A document is inserted with version 1; each update adds 1.
 * The documents of a batch are listed, with their digests, in its last event; a batch that
 * writes documents and has no event gets one of kind "documents.written". */
void batch_insert(struct batch *b, const struct doc_type *t, const char *id, const void *doc);
void batch_update(struct batch *b, const struct doc_type *t, const char *id,
                  int64_t expected_version, const void *doc);
void batch_delete(struct batch *b, const struct doc_type *t, const char *id,
                  int64_t expected_version);

/* Makes the batch durable (on disk, synced) and visible.  *ret_seq (may be NULL) gets the
 * sequence number of its last event, 0 if it had none.
 * ERR_CONFLICT: a document had another version than expected (insert: it exists); nothing
 * was written, read again.  ERR_FULL: the disk is full, nothing was written, and the store
 * stays usable.  ERR_INVALID, ERR_LIMIT: a document, id or event breaks its description or
 * a limit (checked on batch_*, reported here).  ERR_FAILED after a failed sync: what is on
 * disk is unknown, and further commits fail until the home is opened again.
 * Commits from several threads are grouped into one sync; a conflict of one never fails
 * another.  The batch is empty afterwards, also after an error. */
int store_commit(struct store *s, struct batch *b, int64_t *ret_seq, struct err *e);

/* ---- reading ---------------------------------------------------------------
 * What is returned lives in the caller's arena. */

/* Reads one document into *ret_doc (a struct of t->record).  ERR_NOT_FOUND.
 * *ret_version may be NULL. */
int store_get(struct store *s, struct arena *a, const struct doc_type *t, const char *id,
              void *ret_doc, int64_t *ret_version, struct err *e);

enum { STORE_MAX_WHERE = 4, STORE_MAX_LIMIT = 10000 };

struct store_query {
    struct {
        const char *field; /* an indexed field */
        const char *text;  /* FIELD_TEXT and FIELD_ENUM */
        int64_t number;    /* FIELD_INT and FIELD_BOOL, when text is NULL */
    } where[STORE_MAX_WHERE];
    size_t where_count;
    const char *range_field; /* an indexed FIELD_INT with from <= value <= to; NULL: none */
    int64_t range_from, range_to;
    const char *order_by; /* an indexed field, then id; NULL: by id */
    bool descending;
    size_t limit;         /* 0: STORE_MAX_LIMIT */
    const char *after_id; /* continues behind this document of the same query; NULL: from the start */
};

struct store_found {
    const char **ids;
    int64_t *versions;
    void *docs; /* `count` structs of t->record */
    size_t count;
};
/* `q` may be NULL: all documents.  ERR_INVALID: a field is not indexed, or compared with what
 * it cannot be.  ERR_NOT_FOUND: the document behind which to continue was deleted. */
int store_find(struct store *s, struct arena *a, const struct doc_type *t,
               const struct store_query *q, struct store_found *ret, struct err *e);
/* For who looks at the same documents again and again: store_find into memory that `k` keeps, in
 * which a document is only read again when it is another than at the last call.  One `k` for one
 * type and query.  *ret is valid until the next call; the texts and lists of a document that did
 * not change stay where they are.  After an error `k` is as new. */
struct store_kept;
struct store_kept *store_kept_new(void);
void store_kept_free(struct store_kept *k); /* NULL is allowed */
int store_find_again(struct store *s, struct store_kept *k, const struct doc_type *t, const struct store_query *q,
                     struct store_found *ret, struct err *e);
/* Order, limit and cursor do not matter here. */
int store_count(struct store *s, const struct doc_type *t, const struct store_query *q,
                int64_t *ret, struct err *e);

/* The bytes of a blob, followed by a NUL that does not count.  ERR_NOT_FOUND also when they
 * were erased, ERR_CORRUPT when they do not have the digest. */
int store_blob(struct store *s, struct arena *a, const char *digest_hex, const char **ret,
               size_t *ret_len, struct err *e);

/* ERR_NOT_FOUND. */
int store_event(struct store *s, struct arena *a, int64_t seq, struct event *ret, struct err *e);
/* Up to `limit` events (0 and more than STORE_MAX_LIMIT: that many) with seq > after_seq in order; `project`, `ticket` and `kind` filter unless NULL. */
int store_events(struct store *s, struct arena *a, int64_t after_seq, const char *project,
                 const char *ticket, const char *kind, size_t limit, struct event **ret,
                 size_t *ret_count, struct err *e);
/* 0 when the log is empty. */
int64_t store_last_seq(struct store *s);

/* Follows the log from `after_seq`; calls `fn` for each event in order, then waits for more
 * until `fn` returns false or store_wake() is called from another thread (before counts
 * too: a wake-up is kept until a follower takes it).  Never skips: a gap is ERR_CORRUPT.  One
 * follower per process is meant: it fans out to all listeners.  `fn` may use the store. */
int store_tail(struct store *s, int64_t after_seq, bool (*fn)(const struct event *ev, void *ctx),
               void *ctx, struct err *e);
void store_wake(struct store *s);

/* Full-text search over the `searched` fields of a type: documents that hold all words of
 * `text`, in any order and whatever their case, best first.  ERR_INVALID: nothing of this
 * type is searched. */
int store_search(struct store *s, struct arena *a, const struct doc_type *t, const char *text,
                 size_t limit, struct store_found *ret, struct err *e);

/* ---- integrity ------------------------------------------------------------- */

/* Checks the whole chain, every blob's digest and every document against the digest the
 * log last gave it.  Calls `fault` with one sentence for each thing that does not hold;
 * *ret_events gets the number of events checked.  Fails only when nothing can be read. */
int store_verify(struct store *s, void (*fault)(const char *text, void *ctx), void *ctx,
                 int64_t *ret_events, struct err *e);

/* Erases a blob's bytes (privacy), also from freed pages and the WAL; the chain still verifies
 * and an event of kind "blob.erased" says so.  Blobs that begin with it keep their bytes: they
 * are to be erased too.  ERR_NOT_FOUND. */
int store_erase_blob(struct store *s, const char *digest_hex, const char *actor, const char *reason,
                     struct err *e);

#endif
