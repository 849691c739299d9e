/* cmd_model_ask.c - tandem model load, ask: trying a model. */
#include "cli/models.h"
#include "cli/server.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "web/call_log.h"

#include <unistd.h>

static const struct option ask_options[] = {
    { .name = "max-tokens", .argument = "N", .doc = "end the answer after so many" },
    { .name = "verbose", .letter = 'v', .doc = "say afterwards how long it took and what was reused" },
    { 0 },
};

static void on_text(const char *text, size_t len, void *ctx)
{
    FILE *out = ctx;
    fwrite(text, 1, len, out);
    fflush(out);
}

static void say_cost(const struct chat_answer *a, FILE *out)
{
    fprintf(out, "[%s; %.1f s, first token after %.2f s, waited %.2f s", a->model, (double)a->total_us / 1e6,
            (double)a->first_token_us / 1e6, (double)a->queue_us / 1e6);
    if (a->prompt_tokens >= 0)
        fprintf(out, "; %lld tokens read", (long long)a->prompt_tokens);
    if (a->cached_tokens > 0)
        fprintf(out, ", %lld of them from the cache", (long long)a->cached_tokens);
    if (a->completion_tokens >= 0)
        fprintf(out, "; %lld written", (long long)a->completion_tokens);
    fprintf(out, "]\n");
}

/* In the log, as the server of the home does it; NULL: there was no answer. */
static void note(struct session *s, const struct chat_answer *a, int64_t took_ms)
{
    struct gateway_call c = { .path = "ask", .key = "", .asked = s->in->operands.items[0], .model = "", .prompt_tokens = -1, .cached_tokens = -1,
                              .completion_tokens = -1, .first_token_us = -1, .total_us = took_ms * 1000,
                              .cancelled = atomic_load(&session_interrupted) };
    if (a) {
        c.model = a->model;
        c.version = a->version;
        c.status = 200;
        c.prompt_tokens = a->prompt_tokens;
        c.cached_tokens = a->cached_tokens;
        c.completion_tokens = a->completion_tokens;
        c.queue_us = a->queue_us;
        c.first_token_us = a->first_token_us;
        c.total_us = a->total_us;
    }
    call_log_put(s->store, &c, session_login(&s->in->arena), NULL); /* it was only a try */
}

static int ask(struct session *s, struct err *e)
{
    struct arena *a = &s->in->arena;
    struct texts words = { s->in->operands.items + 1, s->in->operands.count - 1 };
    const char *limit = option_value(s->in, "max-tokens");
    struct model *model;
    long long max_tokens = 0;
    if (limit && !parse_int(limit, 1, 1000000, &max_tokens))
        return err_set(e, ERR_USAGE, "--max-tokens is \"%.40s\"; allowed: 1 to 1000000", limit);
    session_catch_signals();
    int64_t begun_ms = clock_wall_ms();
    int r = models_open(s, s->in->operands.items[0], 0, &model, e);
    if (r < 0)
        return r;
    struct chat_message message = { CHAT_USER, texts_join(&words, a, " ", 0) };
    struct chat_request q = { .messages = &message, .message_count = 1, .max_tokens = max_tokens, .temperature = 0.2, .seed = 1,
                              .cancel = &session_interrupted, .on_text = on_text, .ctx = s->in->out,
                              .key = { "", "person", "ask", 1 } };
    struct chat_answer answer;
    r = model_chat(model, &q, &answer, e);
    if (!s->server)
        note(s, r == 0 ? &answer : NULL, clock_wall_ms() - begun_ms);
    if (r == 0) {
        fputc('\n', s->in->out);
        if (option_given(s->in, "verbose"))
            say_cost(&answer, stderr);
        chat_answer_release(&answer);
    }
    model_free(model);
    return r;
}

static int run_ask(struct invocation *in, struct err *e)
{
    return session_with(in, session_open_shared, ask, e);
}

const struct command action_ask = {
    .name = "model ask", .summary = "ask a model, or whoever serves a role, one question",
    .operands = "MODEL|ROLE QUESTION...", .min_operands = 2, .max_operands = 10000, .options = ask_options,
    .examples = "tandem model ask developer \"Write a haiku about tests\"\tthe model that serves the role",
    .run = run_ask,
};

static int load_there(struct session *s, const char *id, struct err *e)
{
    json_t *answer;
    int r = server_ask(s, "POST", arena_printf(&s->in->arena, "/tandem/models/%s/load", id), NULL, &answer, e);
    if (r == 0)
        fprintf(s->in->out, "%s is ready: context %lld, %lld MiB reserved, loaded in %.1f s.\n", id, (long long)json_int_of(answer, "context", 0),
                (long long)json_int_of(answer, "memory_mib", 0), (double)json_int_of(answer, "load_ms", 0) / 1000);
    return r;
}

static int load_here(struct session *s, const char *id, struct err *e)
{
    struct manager_picture picture;
    int64_t begun = clock_steady_ms();
    int r = session_manager(s, e);
    if (r == 0)
        r = manager_load(s->manager, id, &session_interrupted, e);
    if (r < 0)
        return r;
    manager_look(s->manager, &s->in->arena, &picture);
    for (size_t i = 0; i < picture.count; i++)
        if (streq(picture.instances[i].model, id))
            fprintf(s->in->out, "%s can be loaded: it was ready after %.1f s, context %lld, %lld MiB reserved. No server runs on this home "
                                "(`tandem serve`), so it has ended again.\n", id, (double)(clock_steady_ms() - begun) / 1000,
                    (long long)picture.instances[i].context, (long long)picture.instances[i].ram_mib);
    return 0;
}

static int load(struct session *s, struct err *e)
{
    session_catch_signals();
    return s->server ? load_there(s, s->in->operands.items[0], e) : load_here(s, s->in->operands.items[0], e);
}

static int run_load(struct invocation *in, struct err *e)
{
    return session_with(in, session_open_shared, load, e);
}

const struct command action_load = {
    .name = "model load", .summary = "load a model and say how that went",
    .operands = "MODEL", .min_operands = 1, .max_operands = 1, .run = run_load,
};

static int unload(struct session *s, struct err *e)
{
    json_t *answer;
    const char *id = s->in->operands.items[0];
    if (!server_runs(s))
        return err_set(e, ERR_NOT_FOUND, "no server runs on this home, so no model is loaded (`tandem serve`)");
    int r = server_ask(s, "POST", arena_printf(&s->in->arena, "/tandem/models/%s/unload", id), NULL, &answer, e);
    if (r == 0)
        fprintf(s->in->out, "%s leaves when its calls have ended.\n", id);
    return r;
}

static int run_unload(struct invocation *in, struct err *e)
{
    return session_with(in, session_look, unload, e);
}

const struct command action_unload = {
    .name = "model unload", .summary = "let a loaded model go",
    .operands = "MODEL", .min_operands = 1, .max_operands = 1, .run = run_unload,
};
