/* batch.c - collects a change until it is committed.
 *
 * Everything that does not need the database is done here, in the caller's thread:
 * documents are checked and serialised, digests computed, payloads turned into blobs.  What
 * is left for the commit itself is writing rows.  The first mistake is kept and reported by
 * store_commit, so that building a batch needs no error handling at every line.
 */
#include "store/internal.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

#include <stdlib.h>

enum { MAX_TEXT = 1000, MAX_ID = 200 };

struct batch *batch_new(void)
{
    return xcalloc(1, sizeof(struct batch));
}

void batch_clear(struct batch *b)
{
    arena_clear(&b->arena);
    b->event_count = b->blob_count = b->doc_count = 0;
    b->erase = NULL;
    b->fault.code = 0;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    arena_release(&b->arena);
    free(b->events);
    free(b->blobs);
    free(b->docs);
    free(b);
}

/* The error to fill: only the first is kept. */
static struct err *fault_of(struct batch *b)
{
    return b->fault.code ? NULL : &b->fault;
}

static bool has_room(struct batch *b, size_t count)
{
    if (count < STORE_MAX_BATCH)
        return true;
    err_set(fault_of(b), ERR_LIMIT, "a batch holds at most %d items of a kind", STORE_MAX_BATCH);
    return false;
}

/* ---- events ---- */

static bool text_is_fit(struct batch *b, const char *name, const char *text)
{
    if (!text)
        return true;
    size_t len = strlen(text);
    if (len <= MAX_TEXT && utf8_valid(text, len, NULL))
        return true;
    err_set(fault_of(b), ERR_INVALID, "%s of an event must be UTF-8 of at most %d bytes", name,
            MAX_TEXT);
    return false;
}

void batch_event(struct batch *b, const struct event *ev)
{
    if (!ev->kind || !*ev->kind) {
        err_set(fault_of(b), ERR_INVALID, "an event has no kind");
        return;
    }
    if (!text_is_fit(b, "kind", ev->kind) || !text_is_fit(b, "project", ev->project) ||
        !text_is_fit(b, "ticket", ev->ticket) || !text_is_fit(b, "actor", ev->actor) ||
        !text_is_fit(b, "on_behalf", ev->on_behalf) || !has_room(b, b->event_count))
        return;
    if (ev->payload_json && !json_is_object(ev->payload_json)) {
        err_set(fault_of(b), ERR_INVALID, "the payload of event %s is not a JSON object", ev->kind);
        return;
    }
    XGROW(b->events, b->event_cap, b->event_count);
    b->events[b->event_count++] = *ev;
}

/* ---- blobs ---- */

static struct batch_blob *blob_add(struct batch *b, const void *bytes, size_t len)
{
    if (len > STORE_MAX_BLOB) {
        err_set(fault_of(b), ERR_LIMIT, "a blob of %zu bytes is too large; at most %d are stored",
                len, STORE_MAX_BLOB);
        return NULL;
    }
    if (!has_room(b, b->blob_count))
        return NULL;
    XGROW(b->blobs, b->blob_cap, b->blob_count);
    struct batch_blob *blob = &b->blobs[b->blob_count++];
    *blob = (struct batch_blob){ .digest = digest_of(bytes, len), .bytes = bytes, .len = len };
    return blob;
}

struct digest batch_blob(struct batch *b, const void *bytes, size_t len)
{
    struct batch_blob *blob = blob_add(b, bytes, len);
    return blob ? blob->digest : (struct digest){ "" };
}

struct digest batch_blob_after(struct batch *b, const struct digest *prefix, const void *bytes,
                               size_t len)
{
    struct batch_blob *blob = blob_add(b, bytes, len);
    if (!blob)
        return (struct digest){ "" };
    blob->has_prefix = true;
    blob->prefix = *prefix;
    return blob->digest;
}

/* ---- documents ---- */

static bool id_is_fit(struct batch *b, const struct doc_type *t, const char *id)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:-";
    size_t len = strlen(id), fit = 0;
    while (id[fit] && ((unsigned char)id[fit] >= 0x80 || strchr(allowed, id[fit])))
        fit++;
    if (len && len <= MAX_ID && fit == len && utf8_valid(id, len, NULL))
        return true;
    err_set(fault_of(b), ERR_INVALID,
            "\"%.80s\" cannot be the id of a %s: 1 to %d bytes of letters, digits and \"._/:-\" are allowed", id,
            t->name, MAX_ID);
    return false;
}

/* Canonical bytes of `doc`, after reading them back against the description: what cannot be
 * read again must not be stored. */
static bool serialise(struct batch *b, const struct doc_type *t, const void *doc,
                      struct doc_write *w)
{
    json_t *value = json_keep(&b->arena, record_write(t->record, doc));
    ARENA_LOCAL(scratch);
    struct err e;
    if (record_read(t->record, &scratch, value, arena_alloc(&scratch, t->record->size), &e) < 0) {
        err_set(fault_of(b), ERR_INVALID, "%s %s cannot be stored: %s", t->name, w->id, e.text);
        return false;
    }
    STR_LOCAL(body);
    json_write(&body, value);
    if (body.len > STORE_MAX_DOC) {
        err_set(fault_of(b), ERR_LIMIT, "%s %s has %zu bytes; at most %d are stored", t->name, w->id,
                body.len, STORE_MAX_DOC);
        return false;
    }
    w->value = value;
    w->body = arena_strndup(&b->arena, body.data, body.len);
    w->body_len = body.len;
    return true;
}

static void doc_add(struct batch *b, enum doc_operation operation, const struct doc_type *t,
                    const char *id, int64_t version, const void *doc)
{
    if (!id_is_fit(b, t, id) || !has_room(b, b->doc_count))
        return;
    struct batch_doc d = { .write = { .operation = operation, .type = t, .version = version,
                                      .id = arena_strdup(&b->arena, id) } };
    if (doc) {
        if (!serialise(b, t, doc, &d.write))
            return;
        d.digest = digest_of(d.write.body, d.write.body_len);
    }
    XGROW(b->docs, b->doc_cap, b->doc_count);
    b->docs[b->doc_count++] = d;
}

void batch_insert(struct batch *b, const struct doc_type *t, const char *id, const void *doc)
{
    doc_add(b, DOC_INSERT, t, id, 1, doc);
}

void batch_update(struct batch *b, const struct doc_type *t, const char *id,
                  int64_t expected_version, const void *doc)
{
    doc_add(b, DOC_UPDATE, t, id, expected_version + 1, doc);
}

void batch_delete(struct batch *b, const struct doc_type *t, const char *id,
                  int64_t expected_version)
{
    doc_add(b, DOC_DELETE, t, id, expected_version + 1, NULL);
}

/* ---- before the commit ---- */

static void store_payload(struct batch *b, struct event *ev)
{
    ev->payload = "";
    if (!ev->payload_json)
        return;
    STR_LOCAL(bytes);
    json_write(&bytes, ev->payload_json);
    struct digest d = batch_blob(b, arena_strndup(&b->arena, bytes.data, bytes.len), bytes.len);
    ev->payload = arena_strdup(&b->arena, d.hex);
}

/* The length of `prefix` in this batch or the store; 0 when it is not to be had. */
static size_t prefix_len(const struct batch *b, struct store *s, struct view *v,
                         const struct digest *prefix)
{
    for (size_t i = 0; i < b->blob_count; i++)
        if (streq(b->blobs[i].digest.hex, prefix->hex))
            return b->blobs[i].len;
    struct blob_info info;
    if (s->engine->blob_stat(v, prefix->hex, &info, NULL) < 0 || info.erased)
        return 0;
    return info.len;
}

/* A prefix that is unknown, erased, or not one is no error: the blob is then stored whole. */
static int find_prefixes(struct batch *b, struct store *s, struct err *e)
{
    struct view *v = NULL;
    for (size_t i = 0; i < b->blob_count; i++) {
        struct batch_blob *blob = &b->blobs[i];
        if (!blob->has_prefix)
            continue;
        int code = v ? 0 : s->engine->view_open(s->db, &v, e);
        if (code < 0)
            return code;
        size_t len = prefix_len(b, s, v, &blob->prefix);
        blob->has_prefix = len > 0 && len < blob->len &&
                           streq(digest_of(blob->bytes, len).hex, blob->prefix.hex);
        blob->prefix_len = len;
    }
    if (v)
        s->engine->view_close(v);
    return 0;
}

int batch_prepare(struct batch *b, struct store *s, struct err *e)
{
    for (size_t i = 0; i < b->event_count; i++)
        store_payload(b, &b->events[i]);
    for (size_t i = 0; i < b->doc_count; i++) {
        int code = type_check(s, b->docs[i].write.type, fault_of(b));
        if (code < 0)
            break;
    }
    if (b->fault.code) {
        if (e)
            *e = b->fault;
        return b->fault.code;
    }
    return find_prefixes(b, s, e);
}
