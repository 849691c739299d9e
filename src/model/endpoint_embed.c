/* endpoint_embed.c - vectors from a server, batch by batch.
 *
 * A batch is bounded by bytes as well as by texts: a server reads it in one go and says nothing
 * meanwhile, so that a large one could not be told from a dead server.  The answer is taken by the
 * numbers (`index`) it carries, because nobody promises that it comes in order.
 */
#include "model/endpoint.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_DIMENSIONS = 16384 };

struct batch {
    size_t first, count;
};

/* The texts from `first` on that go into one request. */
static struct batch next_batch(const struct endpoint *m, const struct embed_request *q, size_t first)
{
    struct batch b = { .first = first };
    int64_t bytes = 0;
    while (first + b.count < q->count && (int64_t)b.count < m->options.embed_texts) {
        bytes += (int64_t)strlen(q->texts[first + b.count]);
        if (b.count && bytes > m->options.embed_bytes)
            break;
        b.count++;
    }
    b.count += !b.count && first < q->count; /* whatever the options say, it goes on */
    return b;
}

void openai_write_embed(const struct endpoint *m, int64_t context, json_t *body)
{
    (void)m, (void)context;
    json_put_text(body, "encoding_format", "float");
}

static void write_request(const struct endpoint *m, struct str *out, const char *name, int64_t context, const struct embed_request *q,
                          struct batch b)
{
    json_t *body = json_object(), *input = json_array();
    for (size_t i = b.first; i < b.first + b.count; i++)
        if (json_array_append_new(input, json_text(q->texts[i], strlen(q->texts[i]))) < 0)
            out_of_memory();
    json_put_text(body, "model", name);
    json_put(body, "input", input);
    m->protocol->write_embed(m, context, body);
    json_write(out, body);
    json_decref(body);
}

/* ---- the answer ---- */

/* One vector into its place; false: it is none, or not of this size. */
static bool take_vector(const json_t *list, float *out, size_t dimensions)
{
    size_t i;
    const json_t *number;
    if (json_array_size(list) != dimensions)
        return false;
    json_array_foreach(list, i, number) {
        double value = json_is_number(number) ? json_number_value(number) : NAN;
        out[i] = (float)value;
        if (!isfinite(out[i]))
            return false;
    }
    return true;
}

/* The first vector says how many numbers all have; room for all of them is made then. */
static void find_dimensions(struct embeddings *v, const json_t *data, size_t count)
{
    size_t n = json_array_size(json_object_get(json_array_get(data, 0), "embedding"));
    if (v->dimensions || !n || n > MAX_DIMENSIONS)
        return;
    v->dimensions = n;
    v->values = xreallocarray(NULL, count, n * sizeof *v->values);
}

/* Whether the answer holds one good vector for each text of the batch. */
static bool take_vectors(const json_t *data, struct batch b, struct embeddings *v, size_t all)
{
    size_t i;
    const json_t *item;
    if (json_array_size(data) != b.count)
        return false;
    find_dimensions(v, data, all);
    bool *seen = xcalloc(b.count, sizeof *seen), good = v->dimensions > 0;
    json_array_foreach(data, i, item) {
        int64_t index = json_int_of(item, "index", (int64_t)i);
        good = good && index >= 0 && index < (int64_t)b.count && !seen[index] &&
               take_vector(json_object_get(item, "embedding"), v->values + (b.first + (size_t)index) * v->dimensions, v->dimensions);
        if (!good)
            break;
        seen[index] = true;
    }
    free(seen);
    return good;
}

const json_t *openai_vectors(const json_t *value, struct arena *a, int64_t *ret_tokens)
{
    (void)a;
    *ret_tokens = json_int_of(json_object_get(value, "usage"), "prompt_tokens", -1);
    return json_object_get(value, "data");
}

static int ask_batch(struct endpoint *m, const char *name, int64_t context, const struct embed_request *q, struct batch b, struct embeddings *v,
                     struct err *e)
{
    ARENA_LOCAL(a);
    STR_LOCAL(body);
    struct endpoint_reply reply;
    int64_t retries = 0, tokens = -1;
    const char *url = arena_printf(&a, "%s%s", m->url, m->protocol->embed_path);
    write_request(m, &body, name, context, q, b);
    for (;;) { /* ends with the retries */
        int r = endpoint_ask(m, url, body.data, q->cancel, &a, &reply, &retries, e);
        if (r == 0 && reply.status / 100 != 2)
            r = endpoint_fault_err(m, reply.status, &reply.fault, e);
        if (r < 0)
            return r;
        if (take_vectors(m->protocol->vectors(reply.value, &a, &tokens), b, v, q->count))
            break;
        if (!v->count)
            embeddings_release(v); /* what was no answer does not say how large a vector is */
        if (retries++ == ENDPOINT_RETRIES)
            return err_set(e, ERR_FAILED, "%s did not give a vector of one size for each of %zu texts, %d times", m->origin, b.count,
                           ENDPOINT_RETRIES + 1);
    }
    if (tokens >= 0)
        v->prompt_tokens = (v->prompt_tokens > 0 ? v->prompt_tokens : 0) + tokens;
    const char *said = json_text_of(reply.value, "model", name);
    snprintf(v->model, sizeof v->model, "%.*s", (int)utf8_floor(said, strnlen(said, sizeof v->model - 1)), said);
    v->retries += retries;
    v->count += b.count;
    return 0;
}

int endpoint_embed(struct model *model, const struct embed_request *q, struct embeddings *v, struct err *e)
{
    struct endpoint *m = (struct endpoint *)model;
    const char *name;
    int64_t context;
    int r = endpoint_describe(model, q->cancel, &name, &context, e);
    while (r == 0 && v->count < q->count)
        r = ask_batch(m, name, context, q, next_batch(m, q, v->count), v, e);
    if (r == 0 && !v->model[0])
        snprintf(v->model, sizeof v->model, "%s", name);
    return r;
}
