/* gateway.c - calls of other programs, passed on to the models.
 *
 * Every completion is asked for as a stream, whatever the caller wants: a model stops within
 * milliseconds when a stream is closed, and a caller who leaves closes it.  Events are passed
 * on one by one, so that the figures at the end (usage) can be asked for and kept from those
 * who did not.
 */
#include "web/gateway.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/json.h"
#include "base/json_text.h"
#include "base/str.h"
#include "http/sse.h"
#include "model/forward.h"
#include "model/manager.h"
#include "model/registry.h"
#include "web/completion.h"

enum {
    MAX_BODY = 1 << 30, /* the server's own limit is lower */
    MAX_EVENT = 8 << 20,
    MAX_DOCUMENT = 64 << 20,
    SECOND_MS = 1000,
    BYTES_PER_TOKEN = 4,
    PREFIX_END = 4096,
};

struct passing {
    struct http_exchange *x;
    const struct gateway *gateway;
    bool counts;                 /* it has had a slot and was not refused there */
    bool settled;                /* with the keyring */
    struct gateway_call call;
    int64_t begun_us;
    int64_t event_count;
    bool wants_stream, wants_usage;
    bool is_events;              /* else a document: collected whole */
    struct sse_reader events;
    struct completion completion;
    struct http_stream *stream;  /* NULL: nothing was sent yet */
    struct str events_out;       /* of one piece from the model's server, sent together */
    bool done;                   /* the last event has come, and the stream is ended */
    struct str document;
};

/* ---- the answer as it comes ---- */

static void note_usage(struct gateway_call *c, const json_t *chunk)
{
    const json_t *usage = json_object_get(chunk, "usage");
    c->prompt_tokens = json_int_of(usage, "prompt_tokens", c->prompt_tokens);
    c->completion_tokens = json_int_of(usage, "completion_tokens", c->completion_tokens);
    c->cached_tokens = json_int_of(json_object_get(usage, "prompt_tokens_details"), "cached_tokens", c->cached_tokens);
}

/* A chunk that holds nothing but the figures. */
static bool is_figures(const json_t *chunk)
{
    return json_is_object(json_object_get(chunk, "usage")) && json_array_size(json_object_get(chunk, "choices")) == 0;
}

static bool on_event(const struct sse_event *event, void *ctx)
{
    struct passing *p = ctx;
    if (p->done)
        return true; /* nothing comes after the end */
    p->event_count++;
    p->counts = true;
    if (p->call.first_token_us < 0)
        p->call.first_token_us = clock_steady_us() - p->begun_us;
    bool is_end = event->len == 6 && memcmp(event->data, "[DONE]", 6) == 0;
    p->done = p->done || is_end;
    ARENA_LOCAL(a);
    json_t *chunk = NULL;
    if (!is_end && (!p->wants_stream || memmem(event->data, event->len, "\"usage\"", 7)) &&
        json_parse(&a, event->data, event->len, &chunk, NULL) == 0)
        note_usage(&p->call, chunk);
    if (chunk && !p->wants_stream)
        completion_add(&p->completion, chunk);
    if (p->wants_stream && (!chunk || p->wants_usage || !is_figures(chunk)))
        http_event_write(&p->events_out, event->data, event->len);
    return true;
}

/* What the call is counted as against the tokens of a key.  A caller who leaves early hears no
 * figures, and must not get its tokens for nothing: then they are estimated. */
static int64_t tokens_used(const struct passing *p)
{
    const struct gateway_call *c = &p->call;
    if (!p->counts)
        return 0;
    int64_t read = c->prompt_tokens >= 0 ? c->prompt_tokens : (int64_t)p->x->body_len / BYTES_PER_TOKEN;
    return read + (c->completion_tokens >= 0 ? c->completion_tokens : p->event_count);
}

/* The key's call is over before the caller sees the end, who may begin another one at once. */
static void settle(struct passing *p)
{
    if (!p->settled)
        keyring_end(p->gateway->keys, p->x, tokens_used(p));
    p->settled = true;
}

/* What a piece brought leaves as one. */
static bool send_events(struct passing *p)
{
    if (!p->events_out.len)
        return true;
    if (!p->stream)
        p->stream = http_stream_begin(p->x, 200, "text/event-stream");
    if (p->done)
        settle(p);
    int r = p->done ? http_stream_finish(p->stream, p->events_out.data, p->events_out.len, NULL)
                    : http_stream_write(p->stream, p->events_out.data, p->events_out.len, NULL);
    str_clear(&p->events_out);
    return r == 0;
}

static bool on_body(const char *bytes, size_t len, void *ctx)
{
    struct passing *p = ctx;
    if (p->is_events)
        return sse_feed(&p->events, bytes, len) == SSE_MORE && send_events(p);
    if (p->document.len + len > MAX_DOCUMENT)
        return false;
    str_add_bytes(&p->document, bytes, len);
    return true;
}

/* ---- the request ---- */

/* A body whose long members stay text: of 100 KB of conversation nothing is looked into but where the
 * first person's words end. */
struct question {
    json_t *body;
    const char *model; /* the arena's: the body's is replaced on the way */
    struct forward_part *parts;
    size_t part_count;
};

/* Whether it is only passed on. */
static bool is_part(const struct json_span *m)
{
    static const char *const names[] = { "messages", "prompt", "input", "tools", "functions", "response_format" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (m->key_len == strlen(names[i]) && memcmp(m->key, names[i], m->key_len) == 0)
            return true;
    return false;
}

static int add_part(struct question *q, struct arena *a, const struct json_span *m, struct err *e)
{
    const char *name = arena_strndup(a, m->key, m->key_len);
    for (size_t i = 0; i < q->part_count; i++)
        if (streq(q->parts[i].name, name))
            return err_set(e, ERR_INVALID, "\"%s\" comes twice", name);
    q->parts[q->part_count++] = (struct forward_part){ name, m->text, m->len };
    return 0;
}

/* The members that are not parts go through the parser, which finds those that come twice. */
static int read_question(struct http_exchange *x, struct question *q, struct err *e)
{
    struct arena *a = x->arena;
    STR_LOCAL(rest);
    struct json_span *members;
    size_t count;
    int r = json_text_members(a, x->body, x->body_len, &members, &count, e);
    q->parts = r == 0 ? ARENA_ARRAY(a, struct forward_part, count + 1) : NULL;
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (is_part(&members[i])) {
            r = add_part(q, a, &members[i], e);
            continue;
        }
        str_add(&rest, rest.len ? ",\"" : "{\"");
        str_add_bytes(&rest, members[i].key, members[i].key_len);
        str_add(&rest, "\":");
        str_add_bytes(&rest, members[i].text, members[i].len);
    }
    str_add(&rest, rest.len ? "}" : "{}");
    if (r == 0)
        r = json_parse(a, rest.data, rest.len, &q->body, e);
    if (r < 0)
        return err_prefix(e, "the body");
    q->model = arena_strdup(a, json_text_of(q->body, "model", ""));
    return *q->model ? 0 : err_set(e, ERR_INVALID, "the body must be an object with the member \"model\": one of /v1/models, or a role");
}

static bool is_from_user(struct arena *a, const struct json_span *message)
{
    static const char usual[] = "{\"role\":\"user\",";
    if (message->len > sizeof usual && memcmp(message->text, usual, sizeof usual - 1) == 0)
        return true;
    struct json_span *members;
    size_t count;
    if (json_text_members(a, message->text, message->len, &members, &count, NULL) < 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (members[i].key_len == 4 && memcmp(members[i].key, "role", 4) == 0)
            return members[i].len == 6 && memcmp(members[i].text, "\"user\"", 6) == 0;
    return false;
}

/* Of long ones the ends and the length: two conversations taken for one share a slot, and no more. */
static struct digest digest_of_prefix(const char *text, size_t len)
{
    if (len <= 2 * PREFIX_END)
        return digest_of(text, len);
    struct digest_stream *d = digest_begin();
    digest_add(d, text, PREFIX_END);
    digest_add(d, text + len - PREFIX_END, PREFIX_END);
    digest_add(d, &len, sizeof len);
    return digest_end(d);
}

/* What names the conversation: whatever comes before and with the person's first words, which all
 * its later requests begin with too, as programs write the same message in the same way. */
static const char *conversation_of(struct arena *a, const struct question *q)
{
    struct json_span *messages;
    size_t count, last = 0;
    const struct forward_part *part = NULL;
    for (size_t i = 0; i < q->part_count; i++)
        if (streq(q->parts[i].name, "messages"))
            part = &q->parts[i];
    if (!part || json_text_elements(a, part->text, part->len, &messages, &count, NULL) < 0 || !count)
        return NULL;
    while (last + 1 < count && !is_from_user(a, &messages[last]))
        last++;
    struct digest d = digest_of_prefix(part->text, (size_t)(messages[last].text + messages[last].len - part->text));
    return arena_printf(a, "gateway/%.32s", d.hex);
}

static void ask_for_a_stream(struct passing *p, json_t *body)
{
    json_t *options = json_object_get(body, "stream_options");
    p->is_events = true;
    p->wants_stream = json_is_true(json_object_get(body, "stream"));
    p->wants_usage = json_is_true(json_object_get(options, "include_usage"));
    json_put_bool(body, "stream", true);
    if (!json_is_object(options)) {
        json_put(body, "stream_options", json_object());
        options = json_object_get(body, "stream_options");
    }
    json_put_bool(options, "include_usage", true);
}

/* ---- answering ---- */

static void say_when(struct http_exchange *x, int64_t ms)
{
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", ms < SECOND_MS ? 1 : (long long)(ms + SECOND_MS - 1) / SECOND_MS);
    http_answer_header(x, "Retry-After", seconds);
}

static void answer_refused(struct http_exchange *x, const struct forward_result *f, const struct str *refusal)
{
    if (f->retry_after_ms >= 0)
        say_when(x, f->retry_after_ms);
    http_answer(x, f->status, *f->content_type ? f->content_type : "application/json", refusal->data, refusal->len);
}

static int answer_whole(struct passing *p, const struct forward_result *f, struct err *e)
{
    if (!p->is_events) {
        http_answer(p->x, f->status, *f->content_type ? f->content_type : "application/json", p->document.data, p->document.len);
        return 0;
    }
    json_t *value = completion_take(&p->completion);
    if (!value)
        return err_set(e, ERR_UNAVAILABLE, "%s ended without an answer", f->model);
    http_answer_json(p->x, 200, value);
    json_decref(value);
    return 0;
}

/* The model's end came too early for a stream under way: it is broken off, which the client sees. */
static int finish(struct passing *p, int r, const struct forward_result *f, const struct str *refusal, struct err *e)
{
    p->call.status = p->done ? 200 : r < 0 ? 0 : f->status;
    p->counts = p->counts || (f->version && (!f->status || f->status / 100 == 2));
    if (r == 0 && p->is_events && sse_end(&p->events) == SSE_MORE)
        send_events(p);
    settle(p);
    if (p->stream && (r < 0 || p->done))
        return 0;
    if (r == ERR_BUSY)
        say_when(p->x, f->retry_after_ms);
    if (r < 0)
        return r;
    if (f->status / 100 != 2) {
        answer_refused(p->x, f, refusal);
        return 0;
    }
    if (!p->wants_stream)
        return answer_whole(p, f, e);
    if (!p->stream)
        return err_set(e, ERR_UNAVAILABLE, "%s ended without an answer", f->model);
    http_stream_end(p->stream);
    return 0;
}

static void tell(const struct gateway *g, struct passing *p, const struct forward_result *f)
{
    p->call.key = keyring_name(p->x);
    p->call.model = f->model;
    p->call.version = f->version;
    p->call.queue_us = f->queue_us;
    p->call.total_us = clock_steady_us() - p->begun_us;
    p->call.cancelled = !p->done && atomic_load(p->x->cancel);
    if (g->on_call)
        g->on_call(&p->call, g->ctx);
}

static int pass_on(struct http_exchange *x, const struct gateway *g, const char *path, bool completes, struct err *e)
{
    struct question asked = { .part_count = 0 };
    struct manager *manager;
    int r = read_question(x, &asked, e);
    if (r == 0)
        r = office_manager(g->office, false, &manager, e);
    if (r == 0)
        r = keyring_begin(g->keys, x, asked.model, e);
    if (r < 0)
        return r;
    struct passing p = { .x = x, .gateway = g, .events_out = STR_INIT, .begun_us = clock_steady_us(), .document = STR_INIT,
                         .call = { .path = x->path, .asked = asked.model, .prompt_tokens = -1, .cached_tokens = -1, .completion_tokens = -1,
                                   .first_token_us = -1 } };
    struct forward_result result = { .retry_after_ms = -1 };
    struct forward_request q = { .path = path, .body = asked.body, .parts = asked.parts,
                                 .part_count = asked.part_count, .conversation = conversation_of(x->arena, &asked), .wait_ms = g->wait_ms,
                                 .cancel = x->cancel, .on_body = on_body, .ctx = &p };
    STR_LOCAL(refusal);
    if (completes) {
        ask_for_a_stream(&p, asked.body);
        sse_init(&p.events, MAX_EVENT, on_event, &p);
    }
    struct model *model = manager_model(manager, asked.model, 0);
    r = finish(&p, model_forward(model, &q, &result, &refusal, e), &result, &refusal, e);
    tell(g, &p, &result);
    model_free(model);
    if (completes)
        sse_release(&p.events);
    completion_release(&p.completion);
    str_release(&p.document);
    str_release(&p.events_out);
    return r;
}

static int chat_completions(struct http_exchange *x, void *ctx, struct err *e)
{
    return pass_on(x, ctx, "/chat/completions", true, e);
}

static int completions(struct http_exchange *x, void *ctx, struct err *e)
{
    return pass_on(x, ctx, "/completions", true, e);
}

static int embeddings(struct http_exchange *x, void *ctx, struct err *e)
{
    return pass_on(x, ctx, "/embeddings", false, e);
}

/* ---- what there is ---- */

static json_t *model_object(const char *id, const struct model_entry *m)
{
    json_t *o = json_object();
    json_put_text(o, "id", id);
    json_put_text(o, "object", "model");
    json_put_int(o, "created", 0);
    json_put_text(o, "owned_by", "tandem");
    if (m->context)
        json_put_int(o, "max_model_len", m->context);
    if (!streq(id, m->id))
        json_put_text(o, "root", m->id);
    return o;
}

static int list_models(struct http_exchange *x, void *ctx, struct err *e)
{
    const struct gateway *g = ctx;
    struct registry r;
    int code = registry_load(g->store, x->arena, &r, e);
    if (code < 0)
        return code;
    json_t *answer = json_keep(x->arena, json_object()), *data = json_array();
    const struct model_entry *models = r.models.items;
    const struct route_entry *routes = r.routes.items;
    json_put_text(answer, "object", "list");
    json_put(answer, "data", data);
    for (size_t i = 0; i < r.models.count; i++)
        if (keyring_may_name(g->keys, x, models[i].id))
            json_array_append_new(data, model_object(models[i].id, &models[i]));
    for (size_t i = 0; i < r.routes.count; i++)
        if (keyring_may_name(g->keys, x, routes[i].id))
            json_array_append_new(data, model_object(routes[i].id, registry_model(&r, routes[i].primary)));
    http_answer_json(x, 200, answer);
    return 0;
}

static int show_model(struct http_exchange *x, void *ctx, struct err *e)
{
    const struct gateway *g = ctx;
    struct registry r;
    const struct model_entry *m;
    const char *id = http_param(x, "id");
    int code = registry_load(g->store, x->arena, &r, e);
    if (code == 0)
        code = registry_resolve(&r, id, &m, e);
    if (code == 0 && !keyring_may_name(g->keys, x, id))
        code = err_set(e, ERR_REFUSED, "the key %s may not ask \"%.100s\"", keyring_name(x), id);
    if (code == 0)
        http_answer_json(x, 200, json_keep(x->arena, model_object(id, m)));
    return code;
}

int gateway_allow(struct http_exchange *x, void *ctx, struct err *e)
{
    const struct gateway *g = ctx;
    return keyring_allow(g->keys, x, true, e);
}

const struct http_route gateway_routes[] = {
    { "POST", "/v1/chat/completions", chat_completions, .permission = "ask", .max_body = MAX_BODY, .doc = "an answer to a conversation" },
    { "POST", "/v1/completions", completions, .permission = "ask", .max_body = MAX_BODY, .doc = "a text, continued" },
    { "POST", "/v1/embeddings", embeddings, .permission = "ask", .max_body = MAX_BODY, .doc = "vectors for texts" },
    { "GET", "/v1/models", list_models, .permission = "ask", .quick = true, .doc = "the models, and the roles that have a route" },
    { "GET", "/v1/models/{id...}", show_model, .permission = "ask", .quick = true, .doc = "one of them" },
};
const size_t gateway_route_count = sizeof gateway_routes / sizeof *gateway_routes;
