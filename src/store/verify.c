/* verify.c - does everything that is stored still hold together?
 *
 * The log is walked once.  Each event must have the hash that was stored with it and name
 * the hash of the one before, so that changing, dropping or inserting one shows at that
 * very place.  What the events say of documents is kept in a ledger and then compared with
 * the documents; blobs carry their own digest as name.
 *
 * Whatever does not hold is a sentence for the caller, and the walk goes on: one fault must
 * not hide the next.
 */
#include "store/internal.h"

#include "base/json.h"
#include "base/str.h"
#include "store/ledger.h"

/* ---- the chain ---- */

static int missing(int64_t from, int64_t to, struct err *e)
{
    if (from == to)
        return err_set(e, ERR_CORRUPT, "event %lld is missing", (long long)from);
    return err_set(e, ERR_CORRUPT, "events %lld to %lld are missing", (long long)from, (long long)to);
}

static int check_event(const struct log_head *before, const struct event_row *row, const struct event *ev,
                       struct err *e)
{
    long long seq = row->seq;
    if (row->seq <= before->seq)
        return err_set(e, ERR_CORRUPT, "event %lld is there twice", seq);
    if (ev->seq != row->seq)
        return err_set(e, ERR_CORRUPT, "event %lld says that it is event %lld", seq, (long long)ev->seq);
    if (before->hash[0] && row->seq == before->seq + 1 && !streq(ev->prev, before->hash))
        return err_set(e, ERR_CORRUPT, "event %lld does not follow from the one before: one of the two was replaced", seq);
    if (!streq(ev->project, row->project) || !streq(ev->ticket, row->ticket) || !streq(ev->kind, row->kind))
        return err_set(e, ERR_CORRUPT, "event %lld is listed under another project, ticket or kind than it has", seq);
    if (row->seq > before->seq + 1)
        return missing(before->seq + 1, row->seq - 1, e);
    if (ev->time_ms < before->time_ms)
        return err_set(e, ERR_CORRUPT, "event %lld is older than the one before", seq);
    return 0;
}

int chain_follow(struct chain *c, struct arena *a, const struct event_row *row, struct event *ret,
                 struct event_docs *ret_docs, struct err *e)
{
    struct log_head before = c->head;
    c->head.seq = row->seq;
    snprintf(c->head.hash, sizeof c->head.hash, "%s", row->hash);
    if (!streq(digest_of(row->body, row->body_len).hex, row->hash))
        return err_set(e, ERR_CORRUPT, "event %lld was altered: its bytes do not have its hash", (long long)row->seq);
    int code = event_read(a, row->body, row->body_len, ret, ret_docs, e);
    if (code < 0)
        return err_prefix(e, "event %lld", (long long)row->seq);
    ret->hash = arena_strdup(a, row->hash);
    code = check_event(&before, row, ret, e);
    c->head.time_ms = ret->time_ms;
    return code;
}

/* Whether the chain ends where the engine says that the log does. */
static int check_end(const struct chain *c, const struct log_head *head, struct err *e)
{
    if (c->head.seq < head->seq)
        return missing(c->head.seq + 1, head->seq, e);
    if (c->head.seq > head->seq)
        return err_set(e, ERR_CORRUPT, "event %lld was added behind the end of the log", (long long)head->seq + 1);
    if (!streq(c->head.hash, head->hash))
        return err_set(e, ERR_CORRUPT, "event %lld is not the one the log ended with", (long long)head->seq);
    return 0;
}

/* A database that cannot be read further, in the words of the log. */
static int unreadable(const struct chain *c, int code, struct err *e)
{
    return code == ERR_CORRUPT && e ? err_prefix(e, "event %lld cannot be read", (long long)c->head.seq + 1) : code;
}

/* ---- the tail, at opening ---- */

struct tail {
    struct chain chain;
    bool at_fault;
};

static int follow_row(const struct event_row *row, void *ctx, struct err *e)
{
    ARENA_LOCAL(a);
    struct tail *t = ctx;
    struct event ev;
    int code = chain_follow(&t->chain, &a, row, &ev, NULL, e);
    t->at_fault = code < 0;
    return code;
}

static int check_tail(struct store *s, struct view *v, int64_t count, struct log_head *ret_head, struct err *e)
{
    struct tail t = { 0 };
    int code = s->engine->head(v, ret_head, e);
    if (code < 0)
        return code;
    t.chain.head.seq = ret_head->seq > count ? ret_head->seq - count : 0;
    if (t.chain.head.seq == 0)
        memcpy(t.chain.head.hash, event_no_hash, sizeof event_no_hash);
    struct event_filter f = { .after_seq = t.chain.head.seq, .limit = count + 1 };
    code = s->engine->events(v, &f, follow_row, &t, e);
    if (code < 0)
        return t.at_fault ? code : unreadable(&t.chain, code, e);
    return check_end(&t.chain, ret_head, e);
}

int verify_tail(struct store *s, int64_t count, struct log_head *ret_head, struct err *e)
{
    struct view *v;
    struct log_head head;
    int code = s->engine->view_open(s->db, &v, e);
    if (code < 0)
        return code;
    code = check_tail(s, v, count, &head, e);
    s->engine->view_close(v);
    if (code == 0)
        *ret_head = head;
    return code;
}

/* ---- everything ---- */

struct verifying {
    struct store *store;
    struct view *view;
    void (*fault)(const char *text, void *ctx);
    void *ctx;
    struct chain chain;
    struct ledger documents, erased; /* what the log says was written, what it says was erased */
    int64_t events;
};

static void say(struct verifying *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct verifying *w, const char *fmt, ...)
{
    char text[1200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    w->fault(text, w->ctx);
}

static void note_documents(struct verifying *w, const struct event *ev, const struct event_docs *docs)
{
    for (size_t i = 0; i < docs->count; i++) {
        const struct event_doc *d = &docs->items[i];
        struct ledger_entry *entry = ledger_find(&w->documents, d->type, d->id, true);
        entry->seq = ev->seq;
        entry->version = d->version;
        snprintf(entry->digest, sizeof entry->digest, "%s", d->digest);
    }
}

/* The payload must be there, or have been erased; that of an erasure names the blob. */
static void check_payload(struct verifying *w, struct arena *a, const struct event *ev)
{
    const struct store_engine *engine = w->store->engine;
    struct blob_info info;
    const char *bytes;
    size_t len;
    json_t *payload;
    if (!*ev->payload)
        return;
    if (engine->blob_stat(w->view, ev->payload, &info, NULL) < 0) {
        say(w, "event %lld: its payload %s is missing", (long long)ev->seq, ev->payload);
        return;
    }
    if (streq(ev->kind, "blob.erased") && engine->blob_get(w->view, a, ev->payload, &bytes, &len, NULL) == 0 &&
        json_parse(a, bytes, len, &payload, NULL) == 0)
        ledger_find(&w->erased, "blob", json_text_of(payload, "digest", ""), true);
}

static int verify_event(const struct event_row *row, void *ctx, struct err *e)
{
    (void)e;
    ARENA_LOCAL(a);
    struct verifying *w = ctx;
    struct event ev = { 0 };
    struct event_docs docs = { 0 };
    struct err fault;
    if (chain_follow(&w->chain, &a, row, &ev, &docs, &fault) < 0)
        say(w, "%s", fault.text);
    w->events++;
    if (!ev.kind) /* its bytes are not an event */
        return 0;
    note_documents(w, &ev, &docs);
    check_payload(w, &a, &ev);
    return 0;
}

static void verify_log(struct verifying *w)
{
    struct err e;
    struct log_head head;
    struct event_filter all = { .limit = INT64_MAX };
    memcpy(w->chain.head.hash, event_no_hash, sizeof event_no_hash);
    int code = w->store->engine->events(w->view, &all, verify_event, w, &e);
    if (code < 0)
        unreadable(&w->chain, code, &e);
    else if ((code = w->store->engine->head(w->view, &head, &e)) == 0)
        code = check_end(&w->chain, &head, &e);
    if (code < 0)
        say(w, "%s", e.text);
}

static int verify_document(const struct doc_row *row, void *ctx, struct err *e)
{
    (void)e;
    struct verifying *w = ctx;
    struct ledger_entry *entry = ledger_find(&w->documents, row->type, row->id, false);
    if (!entry || !*entry->digest) {
        say(w, "%s %s is there, but the log does not say that it was written", row->type, row->id);
        return 0;
    }
    entry->seen = true;
    if (!streq(digest_of(row->body, row->body_len).hex, entry->digest))
        say(w, "%s %s was altered: it is not what event %lld says was written", row->type, row->id,
            (long long)entry->seq);
    else if (row->version != entry->version)
        say(w, "%s %s has version %lld, but event %lld says %lld", row->type, row->id, (long long)row->version,
            (long long)entry->seq, (long long)entry->version);
    return 0;
}

static void verify_documents(struct verifying *w)
{
    struct err e;
    if (w->store->engine->doc_each(w->view, verify_document, w, &e) < 0) {
        say(w, "not all documents can be read: %s", e.text);
        return;
    }
    for (size_t i = 0; i < w->documents.cap; i++) {
        const struct ledger_entry *entry = &w->documents.slots[i];
        if (entry->type && *entry->digest && !entry->seen)
            say(w, "%s %s is missing: event %lld says that it was written", entry->type, entry->id,
                (long long)entry->seq);
    }
}

static int verify_blob(const char *digest_hex, bool erased, void *ctx, struct err *e)
{
    (void)e;
    ARENA_LOCAL(a);
    struct verifying *w = ctx;
    struct err fault;
    const char *bytes;
    size_t len;
    if (erased) {
        if (!ledger_find(&w->erased, "blob", digest_hex, false))
            say(w, "the bytes of blob %s are gone, but the log does not say that they were erased", digest_hex);
    } else if (w->store->engine->blob_get(w->view, &a, digest_hex, &bytes, &len, &fault) < 0) {
        say(w, "%s", fault.text);
    } else if (!streq(digest_of(bytes, len).hex, digest_hex)) {
        say(w, "blob %s was altered", digest_hex);
    }
    return 0;
}

int store_verify(struct store *s, void (*fault)(const char *text, void *ctx), void *ctx,
                 int64_t *ret_events, struct err *e)
{
    struct verifying w = { .store = s, .fault = fault, .ctx = ctx };
    struct err trouble;
    int code = s->engine->view_open(s->db, &w.view, e);
    if (code < 0)
        return code;
    verify_log(&w);
    verify_documents(&w);
    if (s->engine->blob_each(w.view, verify_blob, &w, &trouble) < 0)
        say(&w, "not all blobs can be read: %s", trouble.text);
    if (s->engine->check(w.view, fault, ctx, &trouble) < 0)
        say(&w, "not all tables can be checked: %s", trouble.text);
    s->engine->view_close(w.view);
    ledger_release(&w.documents);
    ledger_release(&w.erased);
    *ret_events = w.events;
    return 0;
}
