/* managed.c - a model that is asked through the manager.
 *
 * A call waits for its slot, is made there, and gives the slot back.  When the instance dies
 * under it, it waits for another slot, a few times; what was shown of the lost answer is taken
 * back, as after every broken one.
 */
#include "model/manager_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#include <stdlib.h>

enum { MAX_LIVES = 3 };

struct managed {
    struct model base;
    struct manager *manager;
    char *name; /* a role or a model's id */
    size_t step;
    char *described; /* what model_describe gave out, guarded by the manager's lock */
};

/* One that cannot is not asked: it would cost a conversation its slot for a refusal in another program's
 * words.  What others keep may make vectors without its entry saying so; a llama-server of ours is
 * started for one or the other. */
static int check_embeds(const struct registry *r, const struct model_entry *m, struct err *e)
{
    const struct backend_entry *b = registry_backend(r, *m->backend ? m->backend : "llama-server");
    if (texts_has(&m->capabilities, "embed") || (!m->capabilities.count && b->kind != BACKEND_LLAMA_SERVER))
        return 0;
    return err_set(e, ERR_SETUP, "%s makes no vectors; choose a model that does (`tandem model list`), or, if it can, say so: "
                   "`tandem model set %s capabilities=[embed]`", m->id, m->id);
}

/* Who serves this name now, with vectors if it `embeds`. */
static int find_pool(struct managed *m, bool embeds, struct pool **ret, json_t **ret_sampling, struct err *e)
{
    ARENA_LOCAL(a);
    struct texts chain;
    manager_lock(m->manager);
    int r = registry_chain(&m->manager->registry, &a, m->name, &chain, e);
    const char *id = r < 0 ? NULL : chain.items[m->step < chain.count ? m->step : chain.count - 1];
    struct pool *p = id ? manager_pool(m->manager, id) : NULL;
    if (id && !p)
        r = err_set(e, ERR_NOT_FOUND, "the model %s is being taken in; ask again", id);
    const struct model_entry *entry = r == 0 ? registry_model(&m->manager->registry, id) : NULL;
    if (entry && embeds)
        r = check_embeds(&m->manager->registry, entry, e);
    if (r == 0) {
        *ret = p;
        *ret_sampling = entry->sampling ? json_deep_copy(entry->sampling) : NULL;
    }
    manager_unlock(m->manager);
    return r;
}

/* Whether the call failed because the server under it did, so that another try elsewhere may help. */
static bool is_the_server_s_fault(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_FAILED || code == ERR_TIMEOUT;
}

/* One life of the call: in a slot, to its end. */
static int ask_once(struct managed *m, struct pool *p, const struct chat_request *q, struct chat_answer *answer,
                    int64_t *queue_us, struct err *e)
{
    struct waiter w;
    int64_t begun = clock_steady_us();
    int r = admit(m->manager, p, &(struct admission){ .conversation = q->conversation, .cancel = q->cancel }, &w, e);
    *queue_us += clock_steady_us() - begun;
    if (r < 0)
        return r;
    slot_hand_over(&w, q->cancel);
    struct chat_request placed = *q;
    placed.slot = (int)w.slot + 1;
    struct model *model = w.instance->model; /* stays as long as the call is in flight */
    r = model->backend->chat(model, &placed, answer, e);
    answer->version = w.instance->entry.version;
    admission_end(m->manager, &w, r < 0 && is_the_server_s_fault(r));
    return r;
}

static void start_over(const struct chat_request *q, struct chat_answer *answer)
{
    if (answer->text.len && q->on_text)
        q->on_text(NULL, 0, q->ctx);
    str_clear(&answer->text);
    str_clear(&answer->reasoning);
    answer->finish[0] = answer->model[0] = '\0';
}

static void tell_chat(const struct managed *m, const struct pool *p, const struct chat_answer *a, int64_t queue_us, int64_t begun_us, int r)
{
    const struct manager_options *o = &m->manager->options;
    struct manager_call c = { .model = p->model, .prompt_tokens = r < 0 ? -1 : a->prompt_tokens, .cached_tokens = r < 0 ? -1 : a->cached_tokens,
                              .completion_tokens = r < 0 ? -1 : a->completion_tokens, .queue_us = queue_us, .first_token_us = -1,
                              .total_us = clock_steady_us() - begun_us, .failed = r < 0, .cancelled = r == ERR_CANCELLED };
    if (r == 0 && a->first_token_us >= 0)
        c.first_token_us = queue_us + a->first_token_us;
    if (o->called)
        o->called(&c, o->ctx);
}

static int managed_chat(struct model *model, const struct chat_request *q, struct chat_answer *answer, struct err *e)
{
    struct managed *m = (struct managed *)model;
    struct chat_request request = *q;
    struct pool *p;
    json_t *sampling = NULL;
    int64_t queue_us = 0, begun_us = clock_steady_us();
    int r = find_pool(m, false, &p, &sampling, e);
    if (r < 0)
        return r;
    request.sampling = sampling;
    for (int life = 0; r == 0 && life < MAX_LIVES; life++) {
        r = ask_once(m, p, &request, answer, &queue_us, e);
        if (r == 0 || !is_the_server_s_fault(r) || life + 1 == MAX_LIVES || is_cancelled(q->cancel))
            break;
        start_over(q, answer);
        answer->retries++;
        r = 0;
    }
    if (r == 0) {
        answer->queue_us = queue_us;
        snprintf(answer->model, sizeof answer->model, "%s", p->model);
    }
    tell_chat(m, p, answer, queue_us, begun_us, r);
    json_decref(sampling);
    return r;
}

static bool known_context(struct manager *m, const struct pool *p, int64_t *ret)
{
    bool known = false;
    manager_lock(m);
    for (const struct instance *i = m->instances; i && !known; i = i->next) {
        known = i->pool == p && !i->retired && i->context;
        if (known)
            *ret = i->context;
    }
    manager_unlock(m);
    return known;
}

/* ---- passing on ---- */

/* Whether anything of the answer has reached the caller, who then cannot be given another one. */
struct passing {
    const struct forward_request *q;
    bool begun;
};

static bool pass(const char *bytes, size_t len, void *ctx)
{
    struct passing *p = ctx;
    p->begun = true;
    return p->q->on_body(bytes, len, p->q->ctx);
}

static void tell_of_waiting(void *ctx)
{
    const struct passing *p = ctx;
    p->q->on_wait(p->q->ctx);
}

/* For backends of other forms, which read the whole body. */
static int put_together(const struct forward_request *q, struct err *e)
{
    ARENA_LOCAL(a);
    for (size_t i = 0; i < q->part_count; i++) {
        json_t *value;
        int r = json_parse(&a, q->parts[i].text, q->parts[i].len, &value, e);
        if (r < 0)
            return err_prefix(e, "\"%.40s\" of the body", q->parts[i].name);
        json_put(q->body, q->parts[i].name, json_incref(value));
    }
    return 0;
}

static int forward_there(struct model *model, const struct forward_request *q, int slot, struct forward_result *ret, struct str *refusal,
                         struct err *e)
{
    struct forward_request whole = *q;
    if (model->backend->takes_parts)
        return model->backend->forward(model, q, slot, ret, refusal, e);
    int r = put_together(q, e);
    whole.part_count = 0;
    return r < 0 ? r : model->backend->forward(model, &whole, slot, ret, refusal, e);
}

/* As `judge` sees the end of an answer; nobody asks it about refusals. */
static int judge(const struct forward_request *q, int r, const struct forward_result *f, struct err *e)
{
    const struct passing *p = q->ctx;
    return p->q->judge && (r < 0 || f->status / 100 == 2) ? p->q->judge(r, p->q->ctx, e) : r;
}

static int forward_once(struct managed *m, struct pool *p, const struct forward_request *q, struct forward_result *ret,
                        struct str *refusal, struct err *e)
{
    struct waiter w;
    int64_t begun = clock_steady_us();
    struct admission wish = { q->conversation, q->wait_ms, q->cancel, q->on_wait, q->ctx };
    int r = admit(m->manager, p, &wish, &w, e);
    ret->queue_us += clock_steady_us() - begun;
    if (r == ERR_BUSY)
        ret->retry_after_ms = admission_outlook_ms(m->manager, p);
    if (r < 0)
        return r;
    slot_hand_over(&w, q->cancel);
    struct model *model = w.instance->model; /* stays as long as the call is in flight */
    r = model->backend->forward ? forward_there(model, q, (int)w.slot + 1, ret, refusal, e)
                                : err_set(e, ERR_INVALID, "%s cannot be asked by other programs", p->model);
    r = judge(q, r, ret, e);
    ret->version = w.instance->entry.version;
    admission_end(m->manager, &w, r < 0 && is_the_server_s_fault(r));
    return r;
}

/* Before anything has come every failure of the server's is worth another one; later those that end it,
 * not those that took minutes. */
static bool can_ask_again(const struct passing *p, int code)
{
    if (!p->begun)
        return is_the_server_s_fault(code);
    return (code == ERR_UNAVAILABLE || code == ERR_FAILED) && p->q->start_over && p->q->start_over(p->q->ctx);
}

static int managed_forward(struct model *model, const struct forward_request *q, int slot, struct forward_result *ret,
                           struct str *refusal, struct err *e)
{
    (void)slot;
    struct managed *m = (struct managed *)model;
    struct passing passing = { q, false };
    struct forward_request request = *q;
    struct pool *p;
    json_t *sampling;
    request.on_body = pass;
    request.on_wait = q->on_wait ? tell_of_waiting : NULL;
    request.ctx = &passing;
    int r = find_pool(m, streq(q->path, "/embeddings"), &p, &sampling, e);
    if (r < 0)
        return r == ERR_SETUP ? err_recode(e, ERR_INVALID) : r; /* the caller's to mend */
    if (sampling && json_object_update_missing(q->body, sampling) < 0)
        out_of_memory();
    json_decref(sampling);
    for (int life = 0; life < MAX_LIVES; life++) {
        str_clear(refusal);
        r = forward_once(m, p, &request, ret, refusal, e);
        if (r == 0 || is_cancelled(q->cancel) || life + 1 == MAX_LIVES || !can_ask_again(&passing, r))
            break;
        passing.begun = false;
    }
    snprintf(ret->model, sizeof ret->model, "%s", p->model);
    return r;
}

/* ---- vectors ---- */

static int embed_once(struct managed *m, struct pool *p, const struct embed_request *q, struct embeddings *v, struct err *e)
{
    struct waiter w;
    int r = admit(m->manager, p, &(struct admission){ .wait_ms = q->wait_ms, .cancel = q->cancel }, &w, e);
    if (r < 0)
        return r;
    struct model *model = w.instance->model; /* stays as long as the call is in flight */
    r = model->backend->embed ? model->backend->embed(model, q, v, e)
                              : err_set(e, ERR_SETUP, "%s makes no vectors; choose another model for that", p->model);
    v->version = w.instance->entry.version;
    admission_end(m->manager, &w, r < 0 && is_the_server_s_fault(r));
    return r;
}

static void tell_embed(const struct managed *m, const struct pool *p, const struct embeddings *v, int64_t begun_us, int r)
{
    const struct manager_options *o = &m->manager->options;
    struct manager_call c = { .model = p->model, .prompt_tokens = r < 0 ? -1 : v->prompt_tokens, .cached_tokens = -1, .completion_tokens = -1,
                              .first_token_us = -1, .total_us = clock_steady_us() - begun_us, .failed = r < 0,
                              .cancelled = r == ERR_CANCELLED };
    if (o->called)
        o->called(&c, o->ctx);
}

static int managed_embed(struct model *model, const struct embed_request *q, struct embeddings *v, struct err *e)
{
    struct managed *m = (struct managed *)model;
    struct pool *p;
    json_t *sampling;
    int64_t begun_us = clock_steady_us();
    int r = find_pool(m, true, &p, &sampling, e);
    if (r < 0)
        return r;
    json_decref(sampling);
    for (int life = 0; life < MAX_LIVES; life++) {
        r = embed_once(m, p, q, v, e);
        if (r == 0 || !is_the_server_s_fault(r) || is_cancelled(q->cancel))
            break;
        embeddings_release(v);
        v->prompt_tokens = -1;
        v->retries++;
    }
    if (r == 0)
        snprintf(v->model, sizeof v->model, "%s", p->model);
    tell_embed(m, p, v, begun_us, r);
    return r;
}

/* What the registry says, when that is all there is to know; otherwise the model is loaded. */
static int managed_describe(struct model *model, const atomic_bool *cancel, const char **ret_name, int64_t *ret_context_tokens,
                            struct err *e)
{
    struct managed *m = (struct managed *)model;
    struct pool *p;
    json_t *sampling;
    int r = find_pool(m, false, &p, &sampling, e);
    if (r < 0)
        return r;
    json_decref(sampling);
    if (!known_context(m->manager, p, ret_context_tokens)) {
        struct waiter w;
        r = admit(m->manager, p, &(struct admission){ .cancel = cancel }, &w, e);
        if (r < 0)
            return r;
        *ret_context_tokens = w.instance->context;
        admission_end(m->manager, &w, false);
    }
    manager_lock(m->manager);
    if (!m->described || !streq(m->described, p->model)) {
        free(m->described);
        m->described = xstrdup(p->model);
    }
    *ret_name = m->described;
    manager_unlock(m->manager);
    return 0;
}

static void managed_free(struct model *model)
{
    struct managed *m = (struct managed *)model;
    free(m->name);
    free(m->described);
    free(m);
}

static const struct backend managed_backend = {
    .name = "manager", .describe = managed_describe, .chat = managed_chat,
    .forward = managed_forward, .takes_parts = true, .embed = managed_embed, .free = managed_free,
};

size_t manager_steps(struct manager *m, const char *name)
{
    ARENA_LOCAL(a);
    struct texts chain = { 0 };
    manager_lock(m);
    registry_chain(&m->registry, &a, name, &chain, NULL);
    manager_unlock(m);
    return chain.count;
}

struct model *manager_model(struct manager *m, const char *name, size_t step)
{
    struct managed *model = xcalloc(1, sizeof *model);
    model->base.backend = &managed_backend;
    model->manager = m;
    model->name = xstrdup(name);
    model->step = step;
    return &model->base;
}
