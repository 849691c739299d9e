/* kept.c - finding the same documents again and again, and reading those that are new.
 *
 * Parsing is what costs: the bytes of a document come from the engine's cache, but a document
 * with thousands of texts becomes as many values.  So each is kept with the bytes it was read
 * from, and read again only when these are others.  Versions would not do: they begin anew when
 * a document is deleted and made again.
 */
#include "store/internal.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdlib.h>

/* A document as it was found last, in memory of its own. */
struct kept {
    struct arena arena;
    const char *id;
    int64_t version;
    const void *body;
    size_t body_len;
    void *doc;
};

struct store_kept {
    struct kept **docs; /* in the order in which they were found */
    size_t count, cap;
    struct arena lists; /* what was returned last */
};

static void kept_free(struct kept *d)
{
    if (!d)
        return;
    arena_release(&d->arena);
    free(d);
}

static void forget_all(struct store_kept *k)
{
    for (size_t i = 0; i < k->count; i++)
        kept_free(k->docs[i]);
    free(k->docs);
    k->docs = NULL;
    k->count = k->cap = 0;
    arena_clear(&k->lists);
}

struct store_kept *store_kept_new(void)
{
    return xcalloc(1, sizeof(struct store_kept));
}

void store_kept_free(struct store_kept *k)
{
    if (!k)
        return;
    forget_all(k);
    free(k);
}

/* One look: documents move from `before` to `now`. */
struct looking {
    const struct doc_type *type;
    struct store_kept before, now;
    size_t next; /* of `before`: where the next one is likely to be */
};

/* Takes what is kept of a document; NULL: nothing. */
static struct kept *take(struct looking *l, const char *id)
{
    for (size_t i = 0; i < l->before.count; i++) {
        size_t at = (l->next + i) % l->before.count;
        struct kept *d = l->before.docs[at];
        if (!d || !streq(d->id, id))
            continue;
        l->before.docs[at] = NULL;
        l->next = at + 1;
        return d;
    }
    return NULL;
}

static int read_new(const struct doc_type *t, const struct doc_row *row, struct kept **ret, struct err *e)
{
    struct kept *d = xcalloc(1, sizeof *d);
    d->id = arena_strdup(&d->arena, row->id);
    d->body = arena_resized(&d->arena, row->body, row->body_len, row->body_len, 1);
    d->body_len = row->body_len;
    d->doc = arena_alloc(&d->arena, t->record->size);
    int code = doc_read(&d->arena, t, row, d->doc, e);
    if (code < 0)
        kept_free(d);
    else
        *ret = d;
    return code;
}

static int look_at(const struct doc_row *row, void *ctx, struct err *e)
{
    struct looking *l = ctx;
    struct kept *d = take(l, row->id);
    if (!d || d->body_len != row->body_len || memcmp(d->body, row->body, row->body_len) != 0) {
        kept_free(d);
        int code = read_new(l->type, row, &d, e);
        if (code < 0)
            return code;
    }
    d->version = row->version;
    XGROW(l->now.docs, l->now.cap, l->now.count);
    l->now.docs[l->now.count++] = d;
    return 0;
}

static struct store_found list(struct store_kept *k, size_t size)
{
    struct store_found found = {
        .ids = ARENA_ARRAY(&k->lists, const char *, k->count), .versions = ARENA_ARRAY(&k->lists, int64_t, k->count),
        .docs = arena_alloc_array(&k->lists, k->count, size), .count = k->count,
    };
    for (size_t i = 0; i < k->count; i++) {
        found.ids[i] = k->docs[i]->id;
        found.versions[i] = k->docs[i]->version;
        memcpy((char *)found.docs + i * size, k->docs[i]->doc, size);
    }
    return found;
}

int store_find_again(struct store *s, struct store_kept *k, const struct doc_type *t, const struct store_query *q,
                     struct store_found *ret, struct err *e)
{
    struct looking l = { .type = t, .before = *k };
    int code = find_each(s, t, q, look_at, &l, e);
    forget_all(&l.before);
    *k = l.now;
    if (code < 0)
        forget_all(k);
    else
        *ret = list(k, t->record->size);
    return code;
}
