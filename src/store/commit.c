/* commit.c - commits from many threads, few syncs.
 *
 * Committing threads stand in a queue.  Whoever finds nobody committing takes all that wait
 * and commits them as one transaction with one sync, while the next ones gather behind.  A
 * separate writer thread would do the same, but each commit would then pay two switches of
 * threads, which is more than everything else we add to the sync itself.
 *
 * Each batch is a unit of its own within the transaction: a conflict undoes that batch and
 * no other.  When the transaction as a whole fails (a full disk), its batches are tried
 * again one by one, so that a large one does not take small ones along.
 *
 * Threads: `struct store.head` belongs to the thread that set `committing`.
 */
#include "store/internal.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/spent.h"
#include "base/str.h"

#include <string.h>

enum { MAX_GROUP = 256 };

/* A waiting thread's place in the queue; lives on its stack. */
struct commit {
    struct commit *next;
    struct batch *batch;
    int64_t seq;
    int code;
    struct err err;
    bool done;
    pthread_cond_t turn; /* done, or nobody is committing */
};

/* ---- one batch ---- */

/* Gives the event its place in the chain and writes it.  `docs`: what it vouches for. */
static int append(struct store *s, struct event *ev, const struct event_doc *docs, size_t doc_count,
                  struct log_head *head, struct err *e)
{
    int64_t now = clock_wall_ms();
    char prev[sizeof head->hash];
    memcpy(prev, head->hash, sizeof prev);
    ev->seq = head->seq + 1;
    ev->time_ms = now > head->time_ms ? now : head->time_ms;
    ev->prev = prev;
    STR_LOCAL(body);
    event_write(&body, ev, docs, doc_count);
    struct digest hash = digest_of(body.data, body.len);
    struct event_row row = {
        .seq = ev->seq, .hash = hash.hex, .body = body.data, .body_len = body.len,
        .project = ev->project ? ev->project : "", .ticket = ev->ticket ? ev->ticket : "",
        .kind = ev->kind,
    };
    int code = s->engine->event_append(s->db, &row, e);
    if (code < 0)
        return code;
    head->seq = ev->seq;
    head->time_ms = ev->time_ms;
    memcpy(head->hash, hash.hex, sizeof head->hash);
    return 0;
}

static int append_events(struct store *s, struct batch *b, struct log_head *head, struct err *e)
{
    struct event silent = { .actor = "engine", .kind = "documents.written", .payload = "" };
    struct event *events = b->events;
    size_t count = b->event_count;
    if (!count && b->doc_count) {
        events = &silent;
        count = 1;
    }
    struct event_doc *docs = ARENA_ARRAY(&b->arena, struct event_doc, b->doc_count);
    for (size_t i = 0; i < b->doc_count; i++) {
        const struct batch_doc *d = &b->docs[i];
        docs[i] = (struct event_doc){ d->write.type->name, d->write.id, d->write.version, d->digest.hex };
    }
    for (size_t i = 0; i < count; i++) {
        int code = append(s, &events[i], docs, i + 1 == count ? b->doc_count : 0, head, e);
        if (code < 0)
            return code;
    }
    return 0;
}

static int write_rows(struct store *s, const struct batch *b, struct err *e)
{
    int code = 0;
    for (size_t i = 0; i < b->doc_count && code == 0; i++)
        code = s->engine->doc_write(s->db, &b->docs[i].write, e);
    for (size_t i = 0; i < b->blob_count && code == 0; i++) {
        const struct batch_blob *blob = &b->blobs[i];
        code = s->engine->blob_put(s->db, blob->digest.hex, blob->bytes, blob->len,
                                   blob->has_prefix ? blob->prefix.hex : NULL, blob->prefix_len, e);
    }
    if (code == 0 && b->erase)
        code = s->engine->blob_erase(s->db, b->erase, e);
    return code;
}

static bool concerns_batch_only(int code)
{
    return code == ERR_CONFLICT || code == ERR_NOT_FOUND || code == ERR_INVALID || code == ERR_LIMIT;
}

/* Writes one batch within the transaction; `head` moves only when it is kept.  Returns
 * negative when the transaction cannot go on. */
static int write_batch(struct store *s, struct commit *c, struct log_head *head, struct err *e)
{
    struct log_head moved = *head;
    int code = s->engine->batch_begin(s->db, e);
    if (code < 0)
        return code;
    c->code = write_rows(s, c->batch, &c->err);
    if (c->code == 0)
        c->code = append_events(s, c->batch, &moved, &c->err);
    if (c->code == 0) {
        c->seq = moved.seq > head->seq ? moved.seq : 0;
        *head = moved;
        return s->engine->batch_keep(s->db, e);
    }
    if (concerns_batch_only(c->code))
        return s->engine->batch_drop(s->db, e);
    if (e)
        *e = c->err;
    return c->code;
}

/* ---- a group ---- */

static int write_group(struct store *s, struct commit *group, struct log_head *head, struct err *e)
{
    int code = s->engine->begin(s->db, e);
    size_t kept = 0;
    for (struct commit *c = group; c && code == 0; c = c->next) {
        code = write_batch(s, c, head, e);
        kept += code == 0 && c->code == 0;
    }
    if (code == 0 && kept) {
        failpoint("store.committing");
        int64_t start_us = clock_steady_us();
        code = s->engine->commit(s->db, head, e);
        spent_since(SPENT_COMMIT, start_us);
        failpoint("store.committed");
    }
    if (code < 0 || !kept)
        s->engine->rollback(s->db);
    return code;
}

static int try_group(struct store *s, struct commit *group)
{
    struct log_head head = s->head;
    struct err e = { 0 };
    int code = write_group(s, group, &head, &e);
    if (code == 0) {
        s->head = head;
        return 0;
    }
    for (struct commit *c = group; c; c = c->next) {
        c->code = code;
        c->err = e;
    }
    return code;
}

static void commit_group(struct store *s, struct commit *group)
{
    if (try_group(s, group) == 0 || !group->next)
        return;
    for (struct commit *c = group, *next; c; c = next) {
        next = c->next;
        c->next = NULL;
        try_group(s, c);
        c->next = next;
    }
}

/* ---- the queue ---- */

/* Takes the oldest off the queue.  The mutex is held. */
static struct commit *take_group(struct store *s)
{
    struct commit *group = s->first, *c = group;
    for (size_t count = 1; c->next && count < MAX_GROUP; count++)
        c = c->next;
    s->first = c->next;
    if (!s->first)
        s->last = &s->first;
    c->next = NULL;
    return group;
}

/* Commits those who wait.  The mutex is held, but not while writing. */
static void lead(struct store *s)
{
    struct commit *group = take_group(s);
    s->committing = true;
    pthread_mutex_unlock(&s->mutex);
    commit_group(s, group);
    pthread_mutex_lock(&s->mutex);
    s->committing = false;
    if (s->last_seq != s->head.seq) {
        s->last_seq = s->head.seq;
        pthread_cond_broadcast(&s->changed);
    }
    for (struct commit *c = group, *next; c; c = next) {
        next = c->next; /* `c` is gone when its thread has seen `done` */
        c->done = true;
        pthread_cond_signal(&c->turn);
    }
    if (s->first)
        pthread_cond_signal(&s->first->turn);
}

int commit_batch(struct store *s, struct batch *b, int64_t *ret_seq, struct err *e)
{
    struct commit mine = { .batch = b };
    pthread_cond_init(&mine.turn, NULL);
    pthread_mutex_lock(&s->mutex);
    *s->last = &mine;
    s->last = &mine.next;
    while (!mine.done) {
        if (s->committing) {
            int64_t start_us = clock_steady_us();
            pthread_cond_wait(&mine.turn, &s->mutex);
            spent_since(SPENT_COMMIT, start_us);
        } else {
            lead(s);
        }
    }
    pthread_mutex_unlock(&s->mutex);
    pthread_cond_destroy(&mine.turn);
    if (mine.code < 0) {
        if (e)
            *e = mine.err;
        return mine.code;
    }
    if (ret_seq)
        *ret_seq = mine.seq;
    return 0;
}
