/* gateway.c - calls of other programs, passed on to the models.
 *
 * Every completion is asked for as a stream, whatever the caller wants: a model stops within
 * milliseconds when a stream is closed, and a caller who leaves closes it.  How the answer gets back is
 * relay.h's.
 */
#include "web/gateway.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/json.h"
#include "base/json_text.h"
#include "base/str.h"
#include "model/forward.h"
#include "model/manager.h"
#include "model/registry.h"
#include "web/embedding.h"
#include "web/relay.h"

enum {
    MAX_BODY = 1 << 30, /* the server's own limit is lower */
    BYTES_PER_TOKEN = 4,
    PREFIX_END = 1024, /* bytes */
};

/* A call on its way. */
struct passing {
    struct relay relay;
    const struct gateway *gateway;
    struct gateway_call call;
    bool counts;  /* it has had a slot and was not refused there */
    bool settled; /* with the keyring */
};

int64_t gateway_tokens_read(const struct http_exchange *x)
{
    return (int64_t)x->body_len / BYTES_PER_TOKEN;
}

/* What the call is counted as against the tokens of a key.  A caller who leaves early hears no
 * figures, and must not get its tokens for nothing: then they are estimated. */
static int64_t tokens_used(const struct passing *p)
{
    const struct relay *r = &p->relay;
    if (!p->counts && !r->event_count)
        return 0;
    int64_t read = r->prompt_tokens >= 0 ? r->prompt_tokens : gateway_tokens_read(r->x);
    return read + (r->completion_tokens >= 0 ? r->completion_tokens : r->event_count);
}

/* The key's call is over before the caller sees the end, who may begin another one at once. */
static void settle(void *ctx)
{
    struct passing *p = ctx;
    if (!p->settled)
        keyring_end(p->gateway->keys, p->relay.x, tokens_used(p));
    p->settled = true;
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

static void tell(struct passing *p, int code, const struct forward_result *f)
{
    const struct relay *r = &p->relay;
    struct gateway_call *c = &p->call;
    c->key = keyring_name(r->x);
    c->model = f->model;
    c->version = f->version;
    c->status = r->whole ? 200 : code < 0 ? 0 : f->status;
    c->prompt_tokens = r->prompt_tokens;
    c->cached_tokens = r->cached_tokens;
    c->completion_tokens = r->completion_tokens;
    c->queue_us = f->queue_us;
    c->first_token_us = r->first_token_us;
    c->total_us = clock_steady_us() - r->begun_us;
    c->cancelled = !r->whole && atomic_load(r->x->cancel);
    if (p->gateway->on_call)
        p->gateway->on_call(c, p->gateway->ctx);
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
    struct passing p = { .gateway = g, .call = { .path = x->path, .asked = asked.model } };
    struct forward_result result = { .retry_after_ms = -1 };
    struct forward_request q = { .path = path, .body = asked.body, .parts = asked.parts,
                                 .part_count = asked.part_count, .conversation = conversation_of(x->arena, &asked), .wait_ms = g->wait_ms,
                                 .cancel = x->cancel, .on_body = relay_take, .on_wait = relay_wait, .judge = relay_judge, .start_over = relay_start_over,
                                 .ctx = &p.relay };
    STR_LOCAL(refusal);
    relay_init(&p.relay, x, asked.body, completes);
    p.relay.before_end = settle;
    p.relay.ctx = &p;
    struct model *model = manager_model(manager, asked.model, 0);
    int code = model_forward(model, &q, &result, &refusal, e);
    p.counts = result.version && (!result.status || result.status / 100 == 2);
    r = relay_finish(&p.relay, code, &result, &refusal, e);
    tell(&p, code, &result);
    model_free(model);
    relay_release(&p.relay);
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
    bool passes;
    int r = embedding_answer(x, ctx, &passes, e);
    return passes ? pass_on(x, ctx, "/embeddings", false, e) : r;
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
