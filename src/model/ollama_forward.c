/* ollama_forward.c - another program's request to an Ollama: translated, so that the context stays
 * what it is for all calls and nothing is cut (ollama.c says why).
 *
 * What would be refused by Ollama is refused in its words; what Ollama cannot do, in ours.
 */
#include "model/endpoint.h"

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/ollama_translate.h"

enum { MAX_LINE = 16 << 20 };

struct passage {
    struct endpoint *m;
    const struct forward_request *q;
    struct ollama_answer answer;
    bool wants_usage;
    struct str line; /* not whole yet */
    bool stopped;    /* by the caller */
    struct err fault;
};

/* ---- the answer ---- */

/* Takes the chunk over; NULL: there is nothing to send. */
static bool send(struct passage *p, json_t *chunk)
{
    p->stopped = p->stopped || (chunk && !chunk_send(p->q, chunk));
    json_decref(chunk);
    return !p->stopped;
}

static bool take_last(struct passage *p, const json_t *line)
{
    int64_t read = json_int_of(line, "prompt_eval_count", -1), written = json_int_of(line, "eval_count", -1);
    if (p->wants_usage && !send(p, chunk_usage(&p->answer.head, read, -1, written)))
        return false;
    p->stopped = !chunk_send_done(p->q);
    return !p->stopped;
}

static bool take_line(struct passage *p)
{
    ARENA_LOCAL(a);
    json_t *line;
    if (!p->line.len || p->answer.done)
        return true;
    if (json_parse(&a, p->line.data, p->line.len, &line, NULL) < 0 || !json_is_object(line)) {
        err_set(&p->fault, ERR_FAILED, "%s sent a line that is not JSON", p->m->origin);
        return false;
    }
    const json_t *error = json_object_get(line, "error");
    if (error) {
        struct fault f = fault_of_event(error, p->m->key);
        endpoint_fault_err(p->m, 200, &f, &p->fault);
        return false;
    }
    return send(p, ollama_chunk_of(&p->answer, line)) && (!p->answer.done || take_last(p, line));
}

static bool on_body(const char *bytes, size_t len, void *ctx)
{
    struct passage *p = ctx;
    while (len) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end ? (size_t)(end - bytes) : len;
        if (p->line.len + n > MAX_LINE) {
            err_set(&p->fault, ERR_LIMIT, "%s sent a line that is larger than allowed", p->m->origin);
            return false;
        }
        str_add_bytes(&p->line, bytes, n);
        if (end && !take_line(p))
            return false;
        if (end)
            str_clear(&p->line);
        n += end != NULL;
        bytes += n;
        len -= n;
    }
    return true;
}

static bool tick(void *ctx)
{
    const struct passage *p = ctx;
    if (p->q->on_wait)
        p->q->on_wait(p->q->ctx);
    return true;
}

static int finish(struct passage *p, int r, const struct http_result *h, struct forward_result *ret, struct str *refusal, struct err *e)
{
    if (p->fault.code) {
        *e = p->fault;
        return e->code;
    }
    if (r < 0)
        return p->stopped ? err_set(e, ERR_CANCELLED, "the call was cancelled") : r;
    atomic_store(&p->m->answered, true);
    ret->retry_after_ms = h->retry_after_ms;
    ret->first_byte_us = h->first_byte_us;
    ret->total_us = h->total_us;
    if (h->status / 100 != 2) {
        struct fault f = fault_of_answer(h->status, refusal->data, refusal->len, p->m->key);
        struct err said;
        err_set(&said, f.kind == FAULT_CONTEXT ? ERR_LIMIT : ERR_INVALID, "%s", f.words);
        str_clear(refusal);
        forward_refuse(ret, refusal, h->status, &said);
        return 0;
    }
    if (!p->answer.done && !take_line(p) && p->fault.code)
        return finish(p, 0, h, ret, refusal, e);
    if (!p->answer.done)
        return err_set(e, ERR_FAILED, "%s ended in the middle of its answer", p->m->origin);
    ret->status = h->status;
    snprintf(ret->content_type, sizeof ret->content_type, "text/event-stream");
    return 0;
}

/* ---- the request ---- */

/* ERR_LIMIT: an Ollama that would cut it is not asked at all. */
static int write_body(struct endpoint *m, const struct forward_request *q, bool is_chat, const char *name, int64_t context,
                      struct str *out, struct err *e)
{
    json_t *body;
    int r = is_chat ? ollama_chat_of(q->body, &body, e) : ollama_text_of(q->body, &body, e);
    if (r < 0)
        return r;
    json_put_text(body, "model", name);
    ollama_put_terms(m, context, body);
    json_write(out, body);
    json_decref(body);
    if (!atomic_load(&m->cuts) || tokens_estimate(out->data, out->len) <= context)
        return 0;
    return err_set(e, ERR_LIMIT, "the prompt may not fit the model's context of %lld tokens, and %s is too old to refuse what is too long",
                   (long long)context, m->origin);
}

static int pass(struct passage *p, const struct str *body, struct forward_result *ret, struct str *refusal, struct err *e)
{
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    struct endpoint *m = p->m;
    STR_LOCAL(url);
    struct http_result h;
    str_addf(&url, "%s%s", m->url, p->answer.is_chat ? "/chat" : "/generate");
    struct http_request request = {
        .method = "POST", .url = url.data, .unix_socket = m->socket, .headers = headers, .body = body->data, .body_len = body->len,
        .bearer = m->key, .ca_file = m->options.ca_file, .connect_ms = m->options.connect_ms,
        .first_byte_ms = m->options.first_token_ms, .stall_ms = m->options.stall_ms, .total_ms = m->options.total_ms,
        .max_body = SIZE_MAX, .cancel = p->q->cancel, .on_body = on_body, .on_tick = tick, .ctx = p,
    };
    return finish(p, endpoint_http(m, &request, &h, refusal, e), &h, ret, refusal, e);
}

static int complete(struct endpoint *m, const struct forward_request *q, const char *name, int64_t context, bool is_chat,
                    struct forward_result *ret, struct str *refusal, struct err *e)
{
    STR_LOCAL(body);
    struct passage p = { .m = m, .q = q, .answer = { .is_chat = is_chat }, .line = STR_INIT };
    int r = write_body(m, q, is_chat, name, context, &body, e);
    if (r < 0) {
        forward_refuse(ret, refusal, 400, e);
        return 0;
    }
    p.wants_usage = json_is_true(json_object_get(json_object_get(q->body, "stream_options"), "include_usage"));
    chunk_head_init(&p.answer.head, name);
    r = pass(&p, &body, ret, refusal, e);
    str_release(&p.line);
    return r;
}

/* As vectors of ours are asked for: in batches, and again where something breaks. */
static int embed(struct endpoint *m, const struct forward_request *q, struct forward_result *ret, struct str *refusal, struct err *e)
{
    ARENA_LOCAL(a);
    STR_LOCAL(text);
    struct texts texts;
    struct embeddings v;
    bool base64;
    int r = embed_wish_read(&a, q->body, &texts, &base64, e);
    if (r == 0)
        r = model_embed(&m->base, &(struct embed_request){ .texts = texts.items, .count = texts.count, .cancel = q->cancel }, &v, e);
    if (r == ERR_INVALID || r == ERR_LIMIT || r == ERR_SETUP) {
        forward_refuse(ret, refusal, 400, e);
        return 0;
    }
    if (r < 0)
        return r;
    embed_answer_write(&text, &v, base64);
    ret->status = 200;
    ret->total_us = ret->first_byte_us = v.total_us;
    snprintf(ret->content_type, sizeof ret->content_type, "application/json");
    q->on_body(text.data, text.len, q->ctx);
    embeddings_release(&v);
    return 0;
}

int ollama_forward(struct model *model, const struct forward_request *q, int slot, struct forward_result *ret, struct str *refusal,
                   struct err *e)
{
    (void)slot; /* Ollama chooses */
    struct endpoint *m = (struct endpoint *)model;
    const char *name;
    int64_t context;
    bool is_chat = streq(q->path, "/chat/completions");
    int r = endpoint_describe(model, q->cancel, &name, &context, e);
    if (r < 0)
        return r;
    snprintf(ret->model, sizeof ret->model, "%s", name);
    if (streq(q->path, "/embeddings"))
        return embed(m, q, ret, refusal, e);
    if (!is_chat && !streq(q->path, "/completions"))
        return err_set(e, ERR_INVALID, "an Ollama is not asked for %s", q->path);
    return complete(m, q, name, context, is_chat, ret, refusal, e);
}
