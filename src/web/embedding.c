/* embedding.c - requests of texts alone, answered as the model's server would. */
#include "web/embedding.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/forward_chat.h"
#include "model/manager.h"
#include "model/vectors.h"

/* Members whose meaning is known here; another one may change the numbers. */
static bool is_plain(const json_t *body)
{
    static const char *const known[] = { "model", "input", "encoding_format", "user" };
    size_t found = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        found += json_object_get(body, known[i]) != NULL;
    const char *format = json_text_of(body, "encoding_format", "float");
    return json_object_size(body) == found && (streq(format, "float") || streq(format, "base64"));
}

struct wish {
    const char *model;
    struct texts texts;
    bool base64;
};

static bool read_wish(struct http_exchange *x, struct wish *ret)
{
    json_t *body;
    if (json_parse(x->arena, x->body, x->body_len, &body, NULL) < 0 || !is_plain(body) ||
        embed_wish_read(x->arena, body, &ret->texts, &ret->base64, NULL) < 0)
        return false;
    for (size_t i = 0; i < ret->texts.count; i++)
        if (!*ret->texts.items[i])
            return false;
    ret->model = json_text_of(body, "model", "");
    return *ret->model;
}

static void tell(const struct gateway *g, struct http_exchange *x, const struct wish *w, const struct vectors *v, int code, int64_t begun_us)
{
    struct gateway_call c = { .path = x->path, .asked = w->model, .model = code < 0 ? "" : v->all.model, .key = keyring_name(x),
                              .version = code < 0 ? 0 : v->all.version, .status = code < 0 ? 0 : 200,
                              .prompt_tokens = code < 0 ? -1 : v->all.prompt_tokens, .cached_tokens = -1, .completion_tokens = -1,
                              .first_token_us = -1, .total_us = clock_steady_us() - begun_us, .cancelled = atomic_load(x->cancel) };
    if (g->on_call)
        g->on_call(&c, g->ctx);
}

/* What its texts cost the key; what was kept costs nothing. */
static int64_t tokens_used(const struct http_exchange *x, const struct vectors *v)
{
    return v->all.prompt_tokens >= 0 ? v->all.prompt_tokens : v->kept == v->all.count ? 0 : gateway_tokens_read(x);
}

static int answer(struct http_exchange *x, const struct gateway *g, const struct wish *w, struct manager *manager, struct err *e)
{
    struct vectors v;
    int64_t begun = clock_steady_us();
    struct vectors_wish wish = { w->model, { w->texts.items, w->texts.count, x->cancel, g->wait_ms }, g->vectors_kept };
    struct model *model = manager_model(manager, w->model, 0);
    int r = vectors_of(g->store, model, &wish, &v, e);
    model_free(model);
    keyring_end(g->keys, x, r < 0 ? 0 : tokens_used(x, &v));
    tell(g, x, w, &v, r, begun);
    if (r == ERR_SETUP)
        return err_recode(e, ERR_INVALID); /* the caller's to mend */
    if (r < 0)
        return r;
    STR_LOCAL(text);
    embed_answer_write(&text, &v.all, w->base64);
    http_answer(x, 200, "application/json", text.data, text.len);
    vectors_release(&v);
    return 0;
}

int embedding_answer(struct http_exchange *x, const struct gateway *g, bool *ret_passes, struct err *e)
{
    struct wish w;
    struct manager *manager;
    *ret_passes = !g->vectors_kept || !read_wish(x, &w);
    if (*ret_passes)
        return 0;
    int r = office_manager(g->office, false, &manager, e);
    if (r == 0)
        r = keyring_begin(g->keys, x, w.model, e);
    return r < 0 ? r : answer(x, g, &w, manager, e);
}
