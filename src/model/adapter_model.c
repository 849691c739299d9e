/* adapter_model.c - a running adapter as a model.
 *
 * Its lines become the chunks that a server would have sent: the reader of streams takes them for a
 * caller of ours, and they go as events to another program.  A broken or empty answer is asked for
 * again with another seed, as endpoint.c does; an adapter that has ended is its keeper's business.
 */
#include "model/adapter.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/backend.h"
#include "model/forward_chat.h"
#include "model/patience.h"
#include "model/stream.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_RETRIES = 2, STEP_MS = 20, MAX_DIMENSIONS = 16384 };

struct adapter_backed {
    struct model base;
    struct adapter *adapter;
    struct model_options options;
};

static const char *name_of(const struct adapter_backed *m)
{
    return adapter_said_hello(m->adapter)->name;
}

static bool can(const struct adapter_backed *m, const char *what)
{
    return texts_has(&adapter_said_hello(m->adapter)->can, what);
}

static int adapter_describe(struct model *model, const atomic_bool *cancel, const char **ret_name, int64_t *ret_context_tokens,
                            struct err *e)
{
    struct adapter_backed *m = (struct adapter_backed *)model;
    (void)cancel, (void)e;
    *ret_name = adapter_called(m->adapter);
    *ret_context_tokens = adapter_said_hello(m->adapter)->context;
    return 0;
}

/* ---- a request ---- */

struct asking {
    struct adapter_backed *m;
    struct chat_wish wish;
    int slot; /* from 1; 0: none */
    int64_t seed;
    const char *const *texts; /* of a request for vectors */
    size_t text_count;
};

static void write_chat(struct str *out, int64_t id, void *ctx)
{
    const struct asking *q = ctx;
    adapter_write_chat(out, id, &q->wish, q->seed, q->slot - 1, can(q->m, "schema"));
}

static void write_embed(struct str *out, int64_t id, void *ctx)
{
    const struct asking *q = ctx;
    adapter_write_embed(out, id, q->texts, q->text_count);
}

/* An error line, as the error it means. */
static int fault_err(const struct adapter_backed *m, const struct adapter_line *line, struct err *e)
{
    const char *name = name_of(m), *words = line->text;
    switch (line->fault) {
    case ADAPTER_CONTEXT:
        return err_set(e, ERR_LIMIT, "the prompt does not fit the model's context: %s says: %.600s", name, words);
    case ADAPTER_INVALID:
        return err_set(e, ERR_INVALID, "%s rejected the request: %.600s", name, words);
    case ADAPTER_UNABLE:
        return err_set(e, ERR_SETUP, "%s cannot do that: %.600s; choose another model", name, words);
    case ADAPTER_BUSY:
        return err_set(e, ERR_UNAVAILABLE, "%s is busy: %.600s", name, words);
    case ADAPTER_FAILED:
        break;
    }
    return err_set(e, ERR_FAILED, "%s failed: %.600s", name, words);
}

/* The call's next line, waited for as long as `goes_on` says; ERR_TIMEOUT when that has had enough. */
static int next_line(struct adapter_call *c, const atomic_bool *cancel, bool (*goes_on)(void *ctx), void *ctx,
                     const struct adapter_line **ret, struct err *e)
{
    for (;;) { /* `goes_on` has deadlines */
        int r = adapter_call_next(c, STEP_MS, ret, e);
        if (is_cancelled(cancel))
            return err_set(e, ERR_CANCELLED, "the call was cancelled");
        if (r != ERR_TIMEOUT || !goes_on(ctx))
            return r;
    }
}

/* ---- chat ---- */

struct chatting {
    struct asking asking;
    struct chunk_head head;
    const struct chat_request *q;
    struct chat_answer *answer;
    struct stream stream;
    int64_t deadline_ms;
};

static bool stream_goes_on(void *ctx)
{
    struct chatting *c = ctx;
    return stream_tick(&c->stream) && clock_steady_ms() < c->deadline_ms;
}

static void take_chunk(struct stream *s, json_t *chunk)
{
    if (chunk)
        stream_take(s, chunk);
    json_decref(chunk);
}

/* True: the answer goes on. */
static bool take_line(struct chatting *c, const struct adapter_line *line)
{
    if (line->type == ADAPTER_TEXT)
        take_chunk(&c->stream, chunk_text(&c->head, line->text));
    else if (line->type == ADAPTER_REASONING)
        take_chunk(&c->stream, chunk_reasoning(&c->head, line->text));
    else if (line->type == ADAPTER_DONE) {
        take_chunk(&c->stream, chunk_usage(&c->head, line->prompt_tokens, line->cached_tokens, line->completion_tokens));
        take_chunk(&c->stream, chunk_finish(&c->head, line->finish));
    }
    return (line->type == ADAPTER_TEXT || line->type == ADAPTER_REASONING) && c->stream.end == STREAM_OPEN;
}

static int wrong_line(const struct adapter_backed *m, const struct adapter_line *line, const char *asked, struct err *e)
{
    STR_LOCAL(why);
    str_addf(&why, "it answered a request for %s with \"%s\"", asked, adapter_type_names[line->type]);
    adapter_break(m->adapter, why.data);
    return adapter_why(m->adapter, e);
}

static int read_answer(struct chatting *c, struct adapter_call *call, struct err *e)
{
    const struct adapter_line *line;
    for (;;) { /* ends with the answer, or a deadline */
        int r = next_line(call, c->q->cancel, stream_goes_on, c, &line, e);
        if (r == ERR_TIMEOUT && c->stream.end == STREAM_OPEN)
            return err_set(e, r, "%s did not finish within %.3g s", name_of(c->asking.m), (double)c->asking.m->options.total_ms / 1000);
        if (r == ERR_TIMEOUT)
            return 0; /* the stream knows why */
        if (r == 0 && line->type == ADAPTER_ERROR)
            r = fault_err(c->asking.m, line, e);
        if (r == 0 && line->type == ADAPTER_VECTORS)
            r = wrong_line(c->asking.m, line, "text", e);
        if (r < 0)
            return r;
        if (!take_line(c, line))
            return 0;
    }
}

static int judge_answer(struct chatting *c, struct err *e)
{
    const struct stream *s = &c->stream;
    const char *name = name_of(c->asking.m);
    if (s->end == STREAM_FAILED)
        return err_set(e, s->error.code, "%s: %s", name, s->error.text);
    if (s->end == STREAM_OPEN)
        return err_set(e, ERR_FAILED, "%s ended in the middle of its answer", name);
    if (c->answer->text.len)
        return 0;
    return err_set(e, ERR_FAILED, "%s gave an empty answer%s", name,
                   c->answer->reasoning.len ? " (it was still reasoning when it ended: allow more tokens)" : "");
}

static int chat_once(struct chatting *c, struct err *e)
{
    struct adapter_backed *m = c->asking.m;
    struct adapter_call *call = NULL;
    c->deadline_ms = clock_steady_ms() + m->options.total_ms;
    int r = adapter_call_begin(m->adapter, write_chat, &c->asking, m->options.first_token_ms, c->q->cancel, &call, e);
    if (r < 0)
        return r;
    stream_init(&c->stream, DIALECT_OPENAI, &m->options, c->answer, NULL, c->q->on_text, c->q->ctx);
    r = read_answer(c, call, e);
    adapter_call_end(call);
    stream_finish(&c->stream);
    if (r == 0)
        r = judge_answer(c, e);
    c->answer->first_token_us = c->stream.first_token_us ? c->stream.first_token_us - c->stream.start_us : 0;
    stream_release(&c->stream);
    return r;
}

static void start_over(struct chatting *c)
{
    if (c->answer->text.len && c->q->on_text)
        c->q->on_text(NULL, 0, c->q->ctx);
    str_clear(&c->answer->text);
    str_clear(&c->answer->reasoning);
    c->answer->finish[0] = '\0';
}

static int adapter_chat(struct model *model, const struct chat_request *q, struct chat_answer *answer, struct err *e)
{
    ARENA_LOCAL(a);
    struct adapter_backed *m = (struct adapter_backed *)model;
    struct chatting c = { .asking = { .m = m, .slot = q->slot, .seed = q->seed }, .q = q, .answer = answer };
    struct patience patience = { 0 };
    if (!can(m, "chat"))
        return err_set(e, ERR_SETUP, "%s answers no chats; choose another model for that", name_of(m));
    chat_wish_of(&a, q, &c.asking.wish);
    chunk_head_init(&c.head, adapter_called(m->adapter));
    snprintf(answer->model, sizeof answer->model, "%s", c.head.model);
    for (;;) { /* ends with the retries or the patience */
        int r = chat_once(&c, e);
        answer->queue_us = patience.waited_us;
        if (r == 0)
            return 0;
        bool broken = r == ERR_FAILED, busy = r == ERR_UNAVAILABLE && adapter_lives(m->adapter);
        if (broken && answer->retries == MAX_RETRIES) {
            struct err said = *e;
            return err_set(e, r, "%.900s, %d times", said.text, MAX_RETRIES + 1);
        }
        if (!broken && !busy)
            return r;
        start_over(&c);
        if (busy && (r = patience_wait(&patience, m->options.patience_ms, -1, q->cancel, e)) < 0)
            return r;
        answer->retries += broken;
        c.asking.seed += broken;
    }
}

/* ---- vectors ---- */

struct embedding {
    struct asking asking;
    const struct embed_request *q;
    struct embeddings *v;
    size_t first; /* of the batch */
    int64_t deadline_ms;
};

static bool time_is_left(void *ctx)
{
    const struct embedding *b = ctx;
    return clock_steady_ms() < b->deadline_ms;
}

/* Texts from `first` on that go into one request, bounded as endpoint_embed.c bounds them. */
static size_t batch_size(const struct embedding *b)
{
    const struct model_options *o = &b->asking.m->options;
    size_t count = 0;
    int64_t bytes = 0;
    while (b->first + count < b->q->count && (int64_t)count < o->embed_texts) {
        bytes += (int64_t)strlen(b->q->texts[b->first + count]);
        if (count && bytes > o->embed_bytes)
            break;
        count++;
    }
    return count ? count : 1;
}

/* One more vector behind those there are; false: it is none, or of another size. */
static bool add_vector(struct embedding *b, const json_t *list)
{
    struct embeddings *v = b->v;
    size_t i, n = json_array_size(list);
    const json_t *number;
    if (v->count == b->first + b->asking.text_count || !n || n > MAX_DIMENSIONS || (v->dimensions && n != v->dimensions))
        return false;
    if (!v->values)
        v->values = xreallocarray(NULL, b->q->count, n * sizeof *v->values);
    v->dimensions = n;
    float *out = v->values + v->count * n;
    json_array_foreach(list, i, number) {
        out[i] = json_is_number(number) ? (float)json_number_value(number) : NAN;
        if (!isfinite(out[i]))
            return false;
    }
    v->count++;
    return true;
}

static int take_vectors(struct embedding *b, const struct adapter_line *line, struct err *e)
{
    size_t i;
    const json_t *list;
    if (line->type == ADAPTER_ERROR)
        return fault_err(b->asking.m, line, e);
    if (line->type == ADAPTER_TEXT || line->type == ADAPTER_REASONING)
        return wrong_line(b->asking.m, line, "vectors", e);
    json_array_foreach(line->vectors, i, list)
        if (!add_vector(b, list))
            return err_set(e, ERR_FAILED, "%s gave something else than one vector of one size for each text", name_of(b->asking.m));
    if (line->type == ADAPTER_DONE && b->v->count < b->first + b->asking.text_count)
        return err_set(e, ERR_FAILED, "%s gave %zu vectors for %zu texts", name_of(b->asking.m), b->v->count - b->first, b->asking.text_count);
    if (line->type == ADAPTER_DONE && line->prompt_tokens >= 0)
        b->v->prompt_tokens = (b->v->prompt_tokens > 0 ? b->v->prompt_tokens : 0) + line->prompt_tokens;
    return 0;
}

static int embed_once(struct embedding *b, struct err *e)
{
    struct adapter_backed *m = b->asking.m;
    struct adapter_call *call = NULL;
    const struct adapter_line *line = NULL;
    b->v->count = b->first;
    b->deadline_ms = clock_steady_ms() + m->options.first_token_ms;
    int r = adapter_call_begin(m->adapter, write_embed, &b->asking, m->options.first_token_ms, b->q->cancel, &call, e);
    while (r == 0 && (!line || line->type != ADAPTER_DONE)) {
        r = next_line(call, b->q->cancel, time_is_left, b, &line, e);
        if (r == ERR_TIMEOUT)
            err_set(e, r, "%s gave no vectors within %.3g s", name_of(m), (double)m->options.first_token_ms / 1000);
        if (r == 0)
            r = take_vectors(b, line, e);
    }
    adapter_call_end(call);
    return r;
}

static int adapter_embed(struct model *model, const struct embed_request *q, struct embeddings *v, struct err *e)
{
    struct adapter_backed *m = (struct adapter_backed *)model;
    struct embedding b = { .asking = { .m = m }, .q = q, .v = v };
    int64_t retries = 0;
    if (!can(m, "embed"))
        return err_set(e, ERR_SETUP, "%s makes no vectors; choose another model for that", name_of(m));
    snprintf(v->model, sizeof v->model, "%s", adapter_called(m->adapter));
    while (b.first < q->count) { /* ends with the retries */
        b.asking.texts = q->texts + b.first;
        b.asking.text_count = batch_size(&b);
        int r = embed_once(&b, e);
        if (r == ERR_FAILED && retries < MAX_RETRIES) {
            retries++;
            v->retries++;
            if (!b.first)
                embeddings_release(v); /* what was no answer does not say how large a vector is */
            continue;
        }
        if (r == ERR_FAILED) {
            struct err said = *e;
            return err_set(e, r, "%.900s, %d times", said.text, MAX_RETRIES + 1);
        }
        if (r < 0)
            return r;
        b.first += b.asking.text_count;
        retries = 0;
    }
    return 0;
}

/* ---- for other programs ---- */

struct forwarding {
    struct asking asking;
    struct chunk_head head;
    const struct forward_request *q;
    struct forward_result *ret;
    int64_t begun_us, last_us; /* last: of a line; 0: none yet */
    int64_t bytes;             /* of its text so far */
};

static bool passing_goes_on(void *ctx)
{
    const struct forwarding *f = ctx;
    const struct model_options *o = &f->asking.m->options;
    int64_t now = clock_steady_us();
    if (f->q->on_wait)
        f->q->on_wait(f->q->ctx);
    int64_t silent_ms = (now - (f->last_us ? f->last_us : f->begun_us)) / 1000;
    return silent_ms < (f->last_us ? o->stall_ms : o->first_token_ms) && (now - f->begun_us) / 1000 < o->total_ms;
}

static bool pass_chunk(const struct forwarding *f, json_t *chunk)
{
    bool more = !chunk || chunk_send(f->q, chunk);
    json_decref(chunk);
    return more;
}

static bool pass_line(const struct forwarding *f, const struct adapter_line *line)
{
    if (line->type == ADAPTER_TEXT)
        return pass_chunk(f, chunk_text(&f->head, line->text));
    if (line->type == ADAPTER_REASONING)
        return pass_chunk(f, chunk_reasoning(&f->head, line->text));
    if (!pass_chunk(f, chunk_finish(&f->head, line->finish)))
        return false;
    if (f->asking.wish.wants_usage && !pass_chunk(f, chunk_usage(&f->head, line->prompt_tokens, line->cached_tokens, line->completion_tokens)))
        return false;
    chunk_send_done(f->q);
    return false;
}

static int pass_answer(struct forwarding *f, struct adapter_call *call, struct err *e)
{
    const struct adapter_line *line;
    bool more = true;
    while (more) { /* ends with the answer, or a deadline */
        int r = next_line(call, f->q->cancel, passing_goes_on, f, &line, e);
        if (r == ERR_TIMEOUT)
            return err_set(e, r, "%s fell silent, or took longer than allowed", f->head.model);
        if (r == 0 && line->type == ADAPTER_ERROR)
            r = fault_err(f->asking.m, line, e);
        if (r == 0 && line->type == ADAPTER_VECTORS)
            r = wrong_line(f->asking.m, line, "text", e);
        if (r < 0)
            return r;
        f->last_us = clock_steady_us();
        f->bytes += line->text ? (int64_t)strlen(line->text) : 0;
        if (f->bytes > f->asking.m->options.max_answer_bytes)
            return err_set(e, ERR_LIMIT, "%s: the answer is longer than the %lld bytes that are allowed", f->head.model,
                           (long long)f->asking.m->options.max_answer_bytes);
        if (f->ret->first_byte_us < 0)
            f->ret->first_byte_us = f->last_us - f->begun_us;
        more = pass_line(f, line);
    }
    return 0;
}

static int forward_chat(struct forwarding *f, struct err *e)
{
    ARENA_LOCAL(a);
    struct adapter_call *call = NULL;
    struct adapter_backed *m = f->asking.m;
    int r = chat_wish_read(&a, f->q->body, &f->asking.wish, e);
    if (r == 0 && !can(m, "chat"))
        r = err_set(e, ERR_INVALID, "%s answers no chats", name_of(m));
    f->asking.seed = f->asking.wish.seed;
    if (r == 0)
        r = adapter_call_begin(m->adapter, write_chat, &f->asking, m->options.first_token_ms, f->q->cancel, &call, e);
    f->begun_us = clock_steady_us();
    if (r == 0)
        r = pass_answer(f, call, e);
    adapter_call_end(call);
    snprintf(f->ret->content_type, sizeof f->ret->content_type, "text/event-stream");
    return r;
}

static int forward_embed(struct forwarding *f, struct err *e)
{
    ARENA_LOCAL(a);
    STR_LOCAL(body);
    struct texts texts;
    struct embeddings v = { .prompt_tokens = -1 };
    bool base64;
    int r = embed_wish_read(&a, f->q->body, &texts, &base64, e);
    struct embed_request q = { .texts = texts.items, .count = texts.count, .cancel = f->q->cancel };
    if (r == 0)
        r = model_embed(&f->asking.m->base, &q, &v, e);
    if (r == 0) {
        embed_answer_write(&body, &v, base64);
        f->q->on_body(body.data, body.len, f->q->ctx);
    }
    embeddings_release(&v);
    snprintf(f->ret->content_type, sizeof f->ret->content_type, "application/json");
    return r;
}

static int adapter_forward(struct model *model, const struct forward_request *q, int slot, struct forward_result *ret,
                           struct str *refusal, struct err *e)
{
    struct adapter_backed *m = (struct adapter_backed *)model;
    struct forwarding f = { .asking = { .m = m, .slot = slot }, .q = q, .ret = ret };
    struct err fault = { 0 };
    int r;
    int64_t begun = clock_steady_us();
    chunk_head_init(&f.head, adapter_called(m->adapter));
    if (streq(q->path, "/chat/completions"))
        r = forward_chat(&f, &fault);
    else if (streq(q->path, "/embeddings"))
        r = forward_embed(&f, &fault);
    else
        r = err_set(&fault, ERR_INVALID, "%s continues no texts; ask it as a chat (/v1/chat/completions)", name_of(m));
    snprintf(ret->model, sizeof ret->model, "%s", f.head.model);
    ret->total_us = clock_steady_us() - begun;
    ret->status = 200;
    if (r == 0 || ret->first_byte_us >= 0 || (r != ERR_INVALID && r != ERR_LIMIT && r != ERR_SETUP))
        return r < 0 ? err_set(e, r, "%s", fault.text) : 0;
    forward_refuse(ret, refusal, 400, &fault);
    return 0;
}

/* ---- opening ---- */

static void adapter_backed_free(struct model *model)
{
    struct adapter_backed *m = (struct adapter_backed *)model;
    adapter_free(m->adapter);
    free(m);
}

static const struct backend adapter_backend = {
    .name = "adapter", .describe = adapter_describe, .chat = adapter_chat, .forward = adapter_forward, .embed = adapter_embed,
    .free = adapter_backed_free,
};

struct model *adapter_model(struct adapter *a, const struct model_options *o)
{
    struct adapter_backed *m = xcalloc(1, sizeof *m);
    *m = (struct adapter_backed){ .base = { &adapter_backend }, .adapter = a, .options = *o };
    return &m->base;
}
