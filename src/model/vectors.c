/* vectors.c - keeping vectors.
 *
 * What was kept is looked up first, the rest is made in one call.  When the answer turns out to
 * come from another version, or in another size, than what was kept, everything is made again,
 * so that all vectors of an answer can be compared.
 */
#include "model/vectors.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/registry.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>

enum { MAX_BATCH = 4000 };

static const struct field vector_fields[] = {
    FIELD(struct vector, model, FIELD_TEXT, .required = true, .max = 128, .indexed = true),
    FIELD(struct vector, version, FIELD_INT),
    FIELD(struct vector, dimensions, FIELD_INT, .min = 1, .max = 65536),
    FIELD(struct vector, values, FIELD_TEXT, .required = true, .max = 64, .doc = "digest of the blob with the numbers"),
};
static const struct field source_fields[] = {
    FIELD(struct vector_source, model, FIELD_TEXT, .required = true, .max = 128),
    FIELD(struct vector_source, version, FIELD_INT),
    FIELD(struct vector_source, dimensions, FIELD_INT, .min = 1, .max = 65536),
};
static const struct record vector_record = RECORD("vector", struct vector, vector_fields);
static const struct record source_record = RECORD("vector_source", struct vector_source, source_fields);
const struct doc_type vector_type = { "vector", &vector_record }, vector_source_type = { "vector_source", &source_record };

struct looking {
    struct store *store;
    struct arena arena;
    const struct vectors_wish *wish;
    const char *model;      /* the name stands for now */
    int64_t version;
    const char **digests;   /* of the texts */
    const char **found;     /* bytes of a kept vector; NULL: to be made */
    size_t dimensions;      /* of those found; 0: none */
    size_t found_count;
};

/* ---- what is kept ---- */

static const char *id_of(struct arena *a, const char *model, int64_t version, const char *digest)
{
    return arena_printf(a, "%s/%lld/%s", model, (long long)version, digest);
}

static const char *find_one(struct looking *l, const char *digest)
{
    struct vector v;
    const char *bytes;
    size_t len;
    if (store_get(l->store, &l->arena, &vector_type, id_of(&l->arena, l->model, l->version, digest), &v, NULL, NULL) < 0 ||
        store_blob(l->store, &l->arena, v.values, &bytes, &len, NULL) < 0 || len != (size_t)v.dimensions * sizeof(float) ||
        (l->dimensions && l->dimensions != (size_t)v.dimensions))
        return NULL;
    l->dimensions = (size_t)v.dimensions;
    return bytes;
}

static int look(struct looking *l, struct err *e)
{
    const struct embed_request *q = &l->wish->texts;
    struct registry registry;
    struct texts chain;
    int r = registry_load(l->store, &l->arena, &registry, e);
    if (r == 0)
        r = registry_chain(&registry, &l->arena, l->wish->name, &chain, e);
    if (r < 0)
        return r;
    l->model = chain.items[0];
    l->version = registry_model(&registry, l->model)->version;
    l->digests = ARENA_ARRAY(&l->arena, const char *, q->count + 1);
    l->found = ARENA_ARRAY(&l->arena, const char *, q->count + 1);
    for (size_t i = 0; i < q->count; i++) {
        l->digests[i] = arena_strdup(&l->arena, digest_of(q->texts[i], strlen(q->texts[i])).hex);
        l->found[i] = find_one(l, l->digests[i]);
        l->found_count += l->found[i] != NULL;
    }
    return 0;
}

static void forget(struct looking *l)
{
    for (size_t i = 0; i < l->wish->texts.count; i++)
        l->found[i] = NULL;
    l->found_count = l->dimensions = 0;
}

/* ---- making the rest ---- */

static void swap_bytes(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits = le32toh(bits);
        memcpy(&values[i], &bits, sizeof bits);
    }
}

static int make(struct looking *l, struct model *m, struct embeddings *made, struct err *e)
{
    struct embed_request q = l->wish->texts;
    const char **texts = ARENA_ARRAY(&l->arena, const char *, q.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < q.count; i++)
        if (!l->found[i])
            texts[count++] = q.texts[i];
    q.texts = texts;
    q.count = count;
    return model_embed(m, &q, made, e);
}

/* What was found and what was made, in the order of the texts. */
static void join(struct looking *l, struct embeddings *made, struct embeddings *ret)
{
    size_t count = l->wish->texts.count, dimensions = made->count ? made->dimensions : l->dimensions, next = 0;
    float *values = xreallocarray(NULL, count + 1, (dimensions + 1) * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        float *to = values + i * dimensions;
        if (l->found[i]) {
            memcpy(to, l->found[i], dimensions * sizeof *to);
            swap_bytes(to, dimensions);
        } else {
            memcpy(to, made->values + next++ * dimensions, dimensions * sizeof *to);
        }
    }
    *ret = *made;
    free(made->values);
    made->values = NULL;
    ret->values = values;
    ret->count = count;
    ret->dimensions = dimensions;
    ret->version = l->version;
    snprintf(ret->model, sizeof ret->model, "%s", l->model);
}

/* ---- keeping ---- */

static void keep_one(struct looking *l, struct batch *b, size_t index, const struct embeddings *all)
{
    size_t size = all->dimensions * sizeof(float);
    float *bytes = arena_alloc(&l->arena, size);
    memcpy(bytes, all->values + index * all->dimensions, size);
    swap_bytes(bytes, all->dimensions);
    const char *id = id_of(&l->arena, l->model, l->version, l->digests[index]);
    struct digest blob = batch_blob(b, bytes, size);
    struct vector v = { l->model, l->version, (int64_t)all->dimensions, blob.hex }, old;
    int64_t version;
    if (store_get(l->store, &l->arena, &vector_type, id, &old, &version, NULL) == 0)
        batch_update(b, &vector_type, id, version, &v); /* of another size */
    else
        batch_insert(b, &vector_type, id, &v);
}

/* A text that comes twice is kept once. */
static bool is_first(const struct looking *l, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (streq(l->digests[i], l->digests[index]))
            return false;
    return true;
}

static void keep(struct looking *l, const struct embeddings *all)
{
    int64_t there = 0;
    if (store_count(l->store, &vector_type, NULL, &there, NULL) < 0)
        return;
    struct batch *b = batch_new();
    int64_t count = 0;
    for (size_t i = 0; i < all->count && count < MAX_BATCH && there + count < l->wish->keep; i++) {
        if (l->found[i] || !is_first(l, i))
            continue;
        keep_one(l, b, i, all);
        count++;
    }
    json_t *payload = json_keep(&l->arena, json_object());
    json_put_text(payload, "model", l->model);
    json_put_int(payload, "version", l->version);
    json_put_int(payload, "dimensions", (int64_t)all->dimensions);
    json_put_int(payload, "count", count);
    batch_event(b, &(struct event){ .actor = "engine", .kind = "vectors.kept", .payload_json = payload });
    if (count)
        store_commit(l->store, b, NULL, NULL); /* what is not kept is made again */
    batch_free(b);
}

/* ---- who it was ---- */

static int note_source(struct looking *l, struct vectors *v, struct err *e)
{
    struct vector_source now = { l->model, l->version, (int64_t)v->all.dimensions }, old;
    int64_t version;
    int r = store_get(l->store, &l->arena, &vector_source_type, l->wish->name, &old, &version, e);
    if (r < 0 && r != ERR_NOT_FOUND)
        return r;
    bool known = r == 0;
    if (known && streq(old.model, now.model) && old.version == now.version && old.dimensions == now.dimensions)
        return 0;
    struct batch *b = batch_new();
    if (known) {
        v->changed = true;
        snprintf(v->before, sizeof v->before, "%.100s version %lld, %lld numbers", old.model, (long long)old.version, (long long)old.dimensions);
        batch_update(b, &vector_source_type, l->wish->name, version, &now);
    } else {
        batch_insert(b, &vector_source_type, l->wish->name, &now);
    }
    json_t *payload = json_keep(&l->arena, record_write(&source_record, &now));
    json_put_text(payload, "name", l->wish->name);
    json_put_text(payload, "before", v->before);
    batch_event(b, &(struct event){ .actor = "engine", .kind = "embedding.changed", .payload_json = payload });
    r = store_commit(l->store, b, NULL, e);
    batch_free(b);
    return r == ERR_READONLY || r == ERR_CONFLICT ? 0 : r; /* somebody else says it */
}

static int answer(struct looking *l, struct model *m, struct vectors *ret, struct err *e)
{
    struct embeddings made = { .prompt_tokens = 0 };
    int r = look(l, e);
    if (r == 0 && l->found_count < l->wish->texts.count)
        r = make(l, m, &made, e);
    if (r < 0)
        return r;
    bool other = made.count && ((l->found_count && made.dimensions != l->dimensions) || (made.version && made.version != l->version));
    if (made.version)
        l->version = made.version;
    if (other && l->found_count) {
        embeddings_release(&made);
        forget(l);
        r = make(l, m, &made, e);
        if (r < 0)
            return r;
    }
    struct vectors v = { .kept = l->found_count };
    join(l, &made, &v.all);
    if (v.kept < v.all.count)
        keep(l, &v.all);
    if (v.all.count)
        r = note_source(l, &v, e);
    if (r < 0)
        vectors_release(&v);
    else
        *ret = v;
    return r;
}

int vectors_of(struct store *s, struct model *m, const struct vectors_wish *w, struct vectors *ret, struct err *e)
{
    struct looking l = { .store = s, .arena = ARENA_INIT, .wish = w };
    int r = answer(&l, m, ret, e);
    arena_release(&l.arena);
    return r;
}

void vectors_release(struct vectors *v)
{
    embeddings_release(&v->all);
}

double vectors_likeness(const float *one, const float *other, size_t dimensions)
{
    double product = 0, a = 0, b = 0;
    for (size_t i = 0; i < dimensions; i++) {
        product += (double)one[i] * (double)other[i];
        a += (double)one[i] * (double)one[i];
        b += (double)other[i] * (double)other[i];
    }
    return a > 0 && b > 0 ? product / sqrt(a * b) : 0;
}
