/* endpoint.c - a model behind an address: a call, and in the words of an OpenAI-compatible server.
 *
 * One call is a loop of attempts.  Each attempt ends in one of four ways: an answer; a
 * server that is not ready (waited for, within the patience); a broken answer (asked again
 * with another seed, at most twice: with the same seed a model that fell silent falls silent
 * again); or an error that asking again does not mend.
 */
#include "model/endpoint.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "model/grammar.h"
#include "model/patience.h"
#include "model/stream.h"
#include "os/files.h"

#include <stdlib.h>

enum {
    MAX_RETRIES = ENDPOINT_RETRIES,
    BODY_PER_BYTE = 400, /* body bytes for one byte of answer: chunks are mostly wrapping */
    MAX_KEY = 4096,
};

/* ---- the request ---- */

/* A grammar of ours stands in the way of reasoning, which a template begins before it; so describing
 * allows it only where there is none. */
static enum schema_form next_form(const struct endpoint *m, enum schema_form form)
{
    return m->protocol == &ollama_protocol || atomic_load(&m->is_llama) ? (form == SCHEMA_GRAMMAR ? SCHEMA_FORMAT : SCHEMA_NONE)
                                                                        : form + 1;
}

static json_t *schema_format(const struct record *schema)
{
    json_t *format = json_object(), *described = json_object();
    json_put_text(described, "name", schema->name);
    json_put_bool(described, "strict", true);
    json_put(described, "schema", record_schema(schema));
    json_put_text(format, "type", "json_schema");
    json_put(format, "json_schema", described);
    return format;
}

json_t *endpoint_messages(const struct chat_request *q)
{
    json_t *list = json_array();
    for (size_t i = 0; i < q->message_count; i++) {
        json_t *message = json_object();
        json_put_text(message, "role", chat_role_name(q->messages[i].role));
        json_put_text(message, "content", q->messages[i].text);
        if (json_array_append_new(list, message) < 0)
            out_of_memory();
    }
    return list;
}

static void put_schema(const struct endpoint *m, const struct record *schema, enum schema_form form, json_t *body)
{
    STR_LOCAL(grammar);
    switch (form) {
    case SCHEMA_GRAMMAR:
        grammar_write(&grammar, schema);
        json_put_text(body, "grammar", grammar.data);
        break;
    case SCHEMA_FORMAT:
        json_put(body, "response_format", schema_format(schema));
        break;
    case SCHEMA_OTHER:
        if (atomic_load(&m->is_vllm))
            json_put(body, "guided_json", record_schema(schema));
        else
            json_put(body, "response_format", json_pack("{s:s, s:o}", "type", "json_object", "schema", record_schema(schema)));
        break;
    case SCHEMA_NONE:
        break;
    }
}

static void write_chat(const struct endpoint *m, const struct chat_request *q, const struct attempt *a, json_t *body)
{
    json_put_int(body, "seed", a->seed);
    json_put(body, "temperature", json_real(q->temperature));
    if (q->max_tokens > 0)
        json_put_int(body, "max_tokens", q->max_tokens);
    if (a->slot > 0) {
        json_put_int(body, "id_slot", a->slot - 1);
        json_put_bool(body, "cache_prompt", true);
    }
    if (a->progress)
        json_put_bool(body, "return_progress", true);
    if (q->sampling && json_object_update_missing(body, (json_t *)(uintptr_t)q->sampling) < 0)
        out_of_memory();
    if (a->stream_options)
        json_put(body, "stream_options", json_pack("{s:b}", "include_usage", 1));
    put_schema(m, q->schema, a->schema, body);
}

static void write_request(const struct endpoint *m, struct str *out, const struct chat_request *q, const struct attempt *a)
{
    json_t *body = json_object();
    json_put_text(body, "model", a->name);
    json_put(body, "messages", endpoint_messages(q));
    json_put_bool(body, "stream", true);
    m->protocol->write_chat(m, q, a, body);
    json_write(out, body);
    json_decref(body);
}

/* ---- one attempt ---- */

enum outcome { ANSWERED, NOT_READY, BROKEN, UNWANTED_FIELD, FINAL };

struct call {
    struct endpoint *m;
    const struct chat_request *q;
    struct chat_answer *answer;
    struct attempt attempt;
    struct patience patience;
    int64_t retry_after_ms; /* for NOT_READY */
    int64_t load_us;        /* for ANSWERED */
    int64_t broken;         /* attempts so far */
    struct err *err;
};

static bool feed(const char *bytes, size_t len, void *ctx)
{
    return stream_feed(ctx, bytes, len);
}

static bool tick(void *ctx)
{
    return stream_tick(ctx);
}

int64_t endpoint_patience_ms(const struct endpoint *m)
{
    return atomic_load(&m->answered) ? m->options.patience_ms : m->options.refused_patience_ms;
}

int endpoint_fault_err(const struct endpoint *m, int status, const struct fault *f, struct err *e)
{
    const char *o = m->origin, *words = f->words;
    switch (f->kind) {
    case FAULT_CONTEXT:
        return err_set(e, ERR_LIMIT, "the prompt does not fit the model's context: %s says: %s", o, words);
    case FAULT_KEY:
        return err_set(e, ERR_REFUSED, "%s wants %s API key (status %d: %s); set %s or name a key file",
                       o, m->key ? "another" : "an", status, words,
                       m->options.api_key_env ? m->options.api_key_env : "TANDEM_API_KEY");
    case FAULT_MISSING:
        return err_set(e, ERR_NOT_FOUND, "%s has no such model or address (status %d: %s)%s", o, status, words, m->protocol->hint);
    case FAULT_UNABLE:
        return err_set(e, ERR_SETUP, "%s cannot do that (status %d: %s); start it otherwise, or choose another model", o, status, words);
    case FAULT_WAIT:
        return err_set(e, ERR_UNAVAILABLE, "%s is not ready (status %d: %s)", o, status, words);
    case FAULT_BROKEN:
        return err_set(e, ERR_FAILED, "%s failed (status %d: %s)", o, status, words);
    case FAULT_REJECTED:
        break;
    }
    return err_set(e, ERR_INVALID, "%s rejected the request (status %d): %s", o, status, words);
}

/* A rejected schema is not always called by its name, but a failure for another reason
 * never is. */
static bool names_schema(const char *words)
{
    return strcasestr(words, "response_format") || strcasestr(words, "schema") ||
           strcasestr(words, "grammar");
}

static enum outcome judge_fault(struct call *c, int status, const struct fault *f)
{
    endpoint_fault_err(c->m, status, f, c->err);
    if (f->kind == FAULT_WAIT)
        return NOT_READY;
    if (c->attempt.stream_options && strstr(f->words, "stream_options")) {
        c->attempt.stream_options = false;
        return UNWANTED_FIELD;
    }
    if (c->attempt.schema != SCHEMA_NONE && (f->kind == FAULT_REJECTED || names_schema(f->words))) {
        c->attempt.schema = next_form(c->m, c->attempt.schema);
        return UNWANTED_FIELD;
    }
    return f->kind == FAULT_BROKEN ? BROKEN : FINAL;
}

/* The request itself failed, and the stream does not know better. */
static enum outcome judge_http_error(struct call *c, int code)
{
    struct err *e = c->err;
    if (code != ERR_UNAVAILABLE)
        return code == ERR_FAILED ? BROKEN : FINAL;
    struct err said = *e;
    err_set(e, code, "%.800s; is the model server running?", said.text);
    return NOT_READY;
}

static enum outcome judge_status(struct call *c, const struct http_result *h, const struct str *body)
{
    c->retry_after_ms = h->retry_after_ms;
    if (h->status / 100 == 3) {
        err_set(c->err, ERR_INVALID, "%s points elsewhere (status %d: %s); give that address",
                c->m->origin, h->status, h->location);
        return FINAL;
    }
    struct fault f = fault_of_answer(h->status, body->data, body->len, c->m->key);
    return judge_fault(c, h->status, &f);
}

static enum outcome judge_stream(struct call *c, const struct stream *s)
{
    switch (s->end) {
    case STREAM_FAULT:
        return judge_fault(c, 200, &s->fault);
    case STREAM_FAILED:
        err_set(c->err, s->error.code, "%s: %s", c->m->origin, s->error.text);
        return s->error.code == ERR_FAILED ? BROKEN : FINAL;
    case STREAM_OPEN:
        err_set(c->err, ERR_FAILED, "%s ended in the middle of its answer", c->m->origin);
        return BROKEN;
    case STREAM_COMPLETE:
    case STREAM_REPEATING:
        break;
    }
    if (c->answer->text.len)
        return ANSWERED;
    err_set(c->err, ERR_FAILED, "%s gave an empty answer%s", c->m->origin,
            c->answer->reasoning.len ? " (it was still reasoning when it ended: allow more tokens)" : "");
    return BROKEN;
}

static enum outcome try_once(struct call *c)
{
    STR_LOCAL(body);
    STR_LOCAL(error_body);
    STR_LOCAL(url);
    struct stream stream;
    struct endpoint *m = c->m;
    struct http_result h = { 0 };
    const char *const headers[] = { "Content-Type: application/json", m->protocol->accept, NULL };
    write_request(m, &body, c->q, &c->attempt);
    str_addf(&url, "%s%s", m->url, m->protocol->chat_path);
    stream_init(&stream, m->protocol->dialect, &m->options, c->answer, m->key, c->q->on_text, c->q->ctx);
    struct http_request request = {
        .method = "POST", .url = url.data, .unix_socket = m->socket, .headers = headers, .body = body.data,
        .body_len = body.len, .bearer = m->key, .ca_file = m->options.ca_file,
        .connect_ms = m->options.connect_ms, .total_ms = m->options.total_ms,
        .max_body = (size_t)m->options.max_answer_bytes * BODY_PER_BYTE, .cancel = c->q->cancel,
        .on_body = feed, .on_tick = tick, .ctx = &stream,
    };
    c->retry_after_ms = -1;
    int r = endpoint_http(m, &request, &h, &error_body, c->err);
    if (r == 0)
        atomic_store(&m->answered, true);
    stream_finish(&stream);
    c->answer->first_token_us = stream.first_token_us ? stream.first_token_us - stream.start_us : 0;
    c->load_us = stream.load_us;
    enum outcome outcome;
    if (r < 0 && (stream.end == STREAM_OPEN || is_cancelled(c->q->cancel)))
        outcome = judge_http_error(c, r);
    else if (r == 0 && h.status / 100 != 2)
        outcome = judge_status(c, &h, &error_body);
    else
        outcome = judge_stream(c, &stream);
    stream_release(&stream);
    return outcome;
}

/* ---- the call ---- */

/* Forgets what a failed attempt left, and tells who watched it. */
static void start_over(struct call *c)
{
    bool shown = c->answer->text.len > 0;
    str_clear(&c->answer->text);
    str_clear(&c->answer->reasoning);
    c->answer->finish[0] = c->answer->model[0] = '\0';
    if (shown && c->q->on_text)
        c->q->on_text(NULL, 0, c->q->ctx);
}

static int attempts(struct call *c)
{
    enum schema_form wanted_schema = c->attempt.schema;
    bool wanted_options = c->attempt.stream_options;
    for (;;) { /* bounded: two fields and the forms of one, MAX_RETRIES, the patience */
        enum outcome outcome = try_once(c);
        if (outcome == ANSWERED) {
            /* What was left out and helped is left out from now on. */
            if (c->attempt.schema != wanted_schema)
                atomic_store(&c->m->schema_form, (int)c->attempt.schema);
            if (wanted_options && !c->attempt.stream_options)
                atomic_store(&c->m->no_stream_options, true);
            return 0;
        }
        if (outcome == FINAL)
            return c->err->code;
        if (outcome == BROKEN && c->broken == MAX_RETRIES) {
            struct err said = *c->err;
            return err_set(c->err, said.code, "%.900s, %d times", said.text, MAX_RETRIES + 1);
        }
        start_over(c);
        if (outcome == BROKEN) {
            c->broken++;
            c->answer->retries++; /* there may have been others, elsewhere */
            c->attempt.seed++;
        } else if (outcome == NOT_READY) {
            int r = patience_wait(&c->patience, endpoint_patience_ms(c->m), c->retry_after_ms, c->q->cancel, c->err);
            if (r < 0)
                return r;
        }
    }
}

static int endpoint_chat(struct model *model, const struct chat_request *q, struct chat_answer *answer,
                         struct err *e)
{
    struct endpoint *m = (struct endpoint *)model;
    struct call c = { .m = m, .q = q, .answer = answer, .err = e };
    const struct protocol *p = m->protocol;
    int64_t start = clock_steady_us();
    int r = endpoint_describe(model, q->cancel, &c.attempt.name, &c.attempt.context, e);
    if (r == 0 && p->check_request)
        r = p->check_request(m, q, &c.attempt, e);
    if (r < 0)
        return r;
    int64_t described = clock_steady_us();
    c.attempt.seed = q->seed;
    c.attempt.slot = atomic_load(&m->is_llama) ? q->slot : 0;
    c.attempt.progress = atomic_load(&m->is_llama);
    c.attempt.schema = q->schema ? (enum schema_form)atomic_load(&m->schema_form) : SCHEMA_NONE;
    c.attempt.stream_options = !atomic_load(&m->no_stream_options);
    r = attempts(&c);
    if (r == 0 && p->check_answer)
        r = p->check_answer(m, &c.attempt, answer, c.load_us, q->cancel, e);
    answer->queue_us = described - start + c.patience.waited_us;
    if (!answer->model[0])
        snprintf(answer->model, sizeof answer->model, "%s", c.attempt.name);
    return r;
}

/* ---- opening ---- */

static int read_key(struct endpoint *m, struct err *e)
{
    const char *env = m->options.api_key_env ? m->options.api_key_env : "TANDEM_API_KEY";
    if (!m->options.api_key_file) {
        const char *key = m->options.api_key ? m->options.api_key : getenv(env);
        m->key = key && *key ? arena_strdup(&m->arena, key) : NULL;
        return 0;
    }
    STR_LOCAL(text);
    int r = file_read_path(m->options.api_key_file, MAX_KEY, &text, e);
    if (r < 0) {
        err_prefix(e, "the API key");
        return r;
    }
    str_truncate(&text, strcspn(text.data, "\r\n"));
    str_rtrim(&text);
    if (!text.len)
        return err_set(e, ERR_INVALID, "the API key file %s is empty", m->options.api_key_file);
    m->key = arena_strdup(&m->arena, text.data);
    memset(text.data, 0, text.len);
    return 0;
}

/* The address as people give it, in the form it is used. */
static void read_url(struct endpoint *m, const char *given)
{
    static const char *const endings[] = { "/chat/completions", "/v1", "/api" };
    bool ollama = m->protocol == &ollama_protocol;
    given += ollama ? strlen("ollama:") : 0;
    if (starts_with(given, "unix:")) {
        m->socket = arena_strdup(&m->arena, given + strlen("unix:"));
        m->origin = arena_strdup(&m->arena, given);
        m->root = "http://localhost";
        m->url = ollama ? "http://localhost/api" : "http://localhost/v1";
        return;
    }
    char origin[256];
    size_t len = strlen(given);
    while (len && given[len - 1] == '/')
        len--;
    char *url = arena_strndup(&m->arena, given, len);
    for (size_t i = 0; i < (ollama ? 3 : 1); i++)
        if (ends_with(url, endings[i]))
            url[strlen(url) - strlen(endings[i])] = '\0';
    if (ollama) {
        m->root = url;
        m->url = arena_printf(&m->arena, "%s/api", url);
    } else {
        m->url = strchr(strstr(url, "://") + 3, '/') ? url : arena_printf(&m->arena, "%s/v1", url);
        m->root = ends_with(m->url, "/v1") ? arena_strndup(&m->arena, m->url, strlen(m->url) - 3) : m->url;
    }
    http_origin(url, origin, sizeof origin);
    m->origin = arena_strdup(&m->arena, origin);
}

static void endpoint_free(struct model *model)
{
    struct endpoint *m = (struct endpoint *)model;
    arena_release(&m->arena);
    pthread_mutex_destroy(&m->lock);
    free(m->name);
    free(m);
}

static const struct backend ollama_backend = {
    .name = "ollama", .describe = endpoint_describe, .chat = endpoint_chat,
    .forward = ollama_forward, .embed = endpoint_embed, .hang_up = endpoint_hang_up, .free = endpoint_free,
};

static const struct backend endpoint_backend = {
    .name = "endpoint", .describe = endpoint_describe, .chat = endpoint_chat,
    .forward = endpoint_forward, .takes_parts = true, .embed = endpoint_embed, .hang_up = endpoint_hang_up, .free = endpoint_free,
};

const struct protocol openai_protocol = {
    .name = "openai", .hint = "; the address usually ends in /v1", .chat_path = "/chat/completions", .embed_path = "/embeddings",
    .accept = "Accept: text/event-stream", .dialect = DIALECT_OPENAI, .write_chat = write_chat, .write_embed = openai_write_embed,
    .ask_server = openai_ask_server, .vectors = openai_vectors,
};

static const char *copy(struct arena *a, const char *s)
{
    return s && *s ? arena_strdup(a, s) : NULL;
}

int endpoint_open(struct model **ret, const struct model_options *o, struct err *e)
{
    struct endpoint *m = xcalloc(1, sizeof *m);
    bool ollama = starts_with(o->url, "ollama:");
    m->base.backend = ollama ? &ollama_backend : &endpoint_backend;
    m->protocol = ollama ? &ollama_protocol : &openai_protocol;
    pthread_mutex_init(&m->lock, NULL);
    atomic_store(&m->schema_form, SCHEMA_FORMAT);
    m->options = *o;
    m->options.name = copy(&m->arena, o->name);
    m->options.ca_file = copy(&m->arena, o->ca_file);
    m->options.called = copy(&m->arena, o->called);
    m->options.api_key_env = copy(&m->arena, o->api_key_env);
    m->options.api_key_file = copy(&m->arena, o->api_key_file);
    read_url(m, o->url);
    m->origin = m->options.called ? m->options.called : m->origin;
    int r = read_key(m, e);
    m->options.api_key = NULL; /* the caller's */
    if (r < 0) {
        endpoint_free(&m->base);
        return r;
    }
    *ret = &m->base;
    return 0;
}
