/* upstream_ollama.c - the fake model server as Ollama: its own paths with NDJSON streams, models
 * that are loaded when they are asked and leave after keep_alive, a context for each loaded model,
 * and prompts that are cut to it without a word, unless truncate is false (which versions before
 * 0.13 do not know). */
#include "fake.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_CONTEXT = 4096, DIMENSIONS = 32, KEEP_S = 300, MAX_LOADED = 8, TRAINED = 131072 };

struct loaded {
    const char *name; /* NULL: free */
    int64_t context, until_ms; /* wall time */
};

static struct loaded loaded[MAX_LOADED];
static const struct openai_style openai_face = { .reasoning_member = "reasoning" };

static void refuse(struct exchange *x, int status, const char *message)
{
    reply_json(x, status, json_pack("{s:s}", "error", message));
}

/* ---- models ---- */

/* Those of the script, else the one of the command line. */
static const struct texts *listed(const struct exchange *x)
{
    static const char *only[1];
    static const struct texts one = { only, 1 };
    const struct script *s = script_now(x->fake->script);
    only[0] = x->fake->model;
    return s->models.count ? &s->models : &one;
}

/* The name as it is listed: "name" stands for "name:latest". */
static const char *listed_name(const struct exchange *x, const char *name)
{
    const struct texts *models = listed(x);
    for (size_t i = 0; i < models->count; i++) {
        const char *item = models->items[i];
        size_t len = strlen(name);
        if (streq(item, name) || (strncmp(item, name, len) == 0 && streq(item + len, ":latest")))
            return item;
    }
    return NULL;
}

static int64_t duration_s(const json_t *value, int64_t fallback)
{
    const char *text = json_string_value(value);
    if (json_is_number(value))
        return (int64_t)json_number_value(value);
    if (!text)
        return fallback;
    int64_t n = strtoll(text, NULL, 10);
    return n * (strchr(text, 'h') ? 3600 : strchr(text, 'm') ? 60 : 1);
}

static struct loaded *find_loaded(const char *name)
{
    for (size_t i = 0; i < MAX_LOADED; i++) {
        if (loaded[i].name && loaded[i].until_ms <= clock_wall_ms())
            loaded[i].name = NULL;
        if (loaded[i].name && streq(loaded[i].name, name))
            return &loaded[i];
    }
    return NULL;
}

/* Loads it where it is not, or not with this context; NULL: refused. */
static struct loaded *load(struct exchange *x)
{
    const struct script *s = script_now(x->fake->script);
    const char *name = listed_name(x, json_text_of(x->json, "model", ""));
    if (!name) {
        refuse(x, 404, arena_printf(&x->arena, "model '%s' not found", json_text_of(x->json, "model", "")));
        return NULL;
    }
    struct loaded *l = find_loaded(name);
    int64_t context = json_int_of(json_object_get(x->json, "options"), "num_ctx", s->context ? s->context : DEFAULT_CONTEXT);
    if (s->most_context && context > s->most_context)
        context = s->most_context; /* it lowers it without a word */
    if (!l || l->context != context) {
        for (size_t i = 0; !l && i < MAX_LOADED; i++)
            l = loaded[i].name ? NULL : &loaded[i];
        l = l ? l : &loaded[0];
        *l = (struct loaded){ .name = name, .context = context };
        x->delay_us = x->fake->life->load_ms * 1000;
        log_line("loaded", json_pack("{s:s, s:I}", "model", name, "context", (json_int_t)context));
    }
    int64_t keep_s = duration_s(json_object_get(x->json, "keep_alive"), KEEP_S);
    l->until_ms = keep_s < 0 ? INT64_MAX : clock_wall_ms() + keep_s * 1000;
    return l;
}

static json_t *describe_one(const char *name)
{
    json_t *value = json_pack("{s:s, s:s, s:I, s:s, s:{s:s, s:s, s:s}}", "name", name, "model", name, "size", (json_int_t)4683087332, "digest",
                     "2bada8a7450677000f678be90653b85d364de7db25eb5ea54136ada5f3933730", "details", "format", "gguf", "parameter_size",
                     "7.6B", "quantization_level", "Q4_K_M");
    if (ends_with(name, "cloud")) { /* it would be asked elsewhere */
        json_put_text(value, "remote_model", name);
        json_put_text(value, "remote_host", "https://ollama.com:443");
    }
    return value;
}

static void tags(struct exchange *x)
{
    json_t *list = json_array();
    const struct texts *models = listed(x);
    for (size_t i = 0; i < models->count; i++)
        json_array_append_new(list, describe_one(models->items[i]));
    reply_json(x, 200, json_pack("{s:o}", "models", list));
}

static void ps(struct exchange *x)
{
    json_t *list = json_array();
    for (size_t i = 0; i < MAX_LOADED; i++) {
        if (!loaded[i].name || !find_loaded(loaded[i].name))
            continue;
        json_t *entry = describe_one(loaded[i].name);
        char until[32];
        clock_format(loaded[i].until_ms == INT64_MAX ? clock_wall_ms() : loaded[i].until_ms, until);
        json_put_text(entry, "expires_at", until);
        json_put_int(entry, "size_vram", 0);
        json_put_int(entry, "context_length", loaded[i].context);
        json_array_append_new(list, entry);
    }
    reply_json(x, 200, json_pack("{s:o}", "models", list));
}

static void show(struct exchange *x)
{
    const char *name = listed_name(x, json_text_of(x->json, "model", ""));
    const struct script *script = script_now(x->fake->script);
    const char *parameters = script->parameters ? script->parameters : "";
    if (!name)
        refuse(x, 404, arena_printf(&x->arena, "model '%s' not found", json_text_of(x->json, "model", "")));
    else
        reply_json(x, 200, json_pack("{s:s, s:s, s:{s:s, s:I, s:I}, s:[s], s:{s:s, s:s}}", "template", "{{ .Prompt }}", "parameters",
                                     *parameters ? parameters : "temperature 0.7", "model_info", "general.architecture", "qwen2", "qwen2.context_length",
                                     (json_int_t)TRAINED, "qwen2.embedding_length", (json_int_t)3584, "capabilities",
                                     x->fake->embeds ? "embedding" : "completion", "details", "format", "gguf", "family", "qwen2"));
}

/* ---- answers ---- */

static json_t *frame(const char *name, bool chat, const char *member, const char *text, size_t len)
{
    char now[32];
    clock_format(clock_wall_ms(), now);
    json_t *value = json_pack("{s:s, s:s, s:b}", "model", name, "created_at", now, "done", 0);
    json_t *words = json_text(text, len);
    if (chat) {
        json_t *message = json_pack("{s:s, s:s}", "role", "assistant", "content", "");
        json_put(message, member, words);
        json_put(value, "message", message);
    } else {
        json_put(value, "response", words);
    }
    return value;
}

static void send_line(struct exchange *x, int64_t wait_us, json_t *value)
{
    STR_LOCAL(text);
    json_write(&text, value);
    str_add_char(&text, '\n');
    json_decref(value);
    reply_piece(x, wait_us, text.data, text.len);
}

static void put_figures(const struct exchange *x, json_t *value, const struct answer *a)
{
    json_put_bool(value, "done", true);
    json_put_text(value, "done_reason", a->finish);
    json_put_int(value, "total_duration", 1000 * (a->read_us + (int64_t)(a->token_us * (double)a->completion_tokens)));
    json_put_int(value, "load_duration", 1000 * x->delay_us);
    if (x->rule->no_usage)
        return;
    json_put_int(value, "prompt_eval_count", a->prompt_tokens);
    json_put_int(value, "prompt_eval_duration", 1000 * a->read_us);
    json_put_int(value, "eval_count", a->completion_tokens);
    json_put_int(value, "eval_duration", (int64_t)(1000 * a->token_us * (double)a->completion_tokens));
}

static void send_text(struct exchange *x, const char *name, const struct answer *a, const struct str *text, bool chat, const char *member)
{
    for (size_t at = 0, end; at < text->len; at = end) {
        end = next_token(text->data, text->len, at);
        bool first = text == &a->text ? !a->reasoning.len && at == 0 : at == 0;
        send_line(x, (int64_t)a->token_us + (first ? a->read_us : 0), frame(name, chat, member, text->data + at, end - at));
    }
}

static void reply_answer(struct exchange *x, const char *name, const struct answer *a, bool chat)
{
    if (json_bool_of(x->json, "stream", true)) {
        reply_head(x, 200, "application/x-ndjson");
        send_text(x, name, a, &a->reasoning, chat, "thinking");
        send_text(x, name, a, &a->text, chat, "content");
        json_t *last = frame(name, chat, "content", "", 0);
        put_figures(x, last, a);
        send_line(x, 0, last);
        reply_end(x);
        return;
    }
    json_t *value = frame(name, chat, "content", a->text.data, a->text.len);
    if (chat && a->reasoning.len)
        json_put_text(json_object_get(value, "message"), "thinking", a->reasoning.data);
    put_figures(x, value, a);
    x->delay_us += a->read_us + (int64_t)(a->token_us * (double)a->completion_tokens);
    reply_json(x, 200, value);
}

static const char *version(const struct exchange *x)
{
    const char *said = script_now(x->fake->script)->version;
    return said && *said ? said : "0.17.4";
}

static bool knows_truncate(const struct exchange *x)
{
    return strtol(strchr(version(x), '.') + 1, NULL, 10) >= 13;
}

/* What a request without a prompt does. */
static bool load_or_unload(struct exchange *x)
{
    const char *name = listed_name(x, json_text_of(x->json, "model", ""));
    bool go = duration_s(json_object_get(x->json, "keep_alive"), KEEP_S) == 0;
    struct loaded *l = go && name ? find_loaded(name) : NULL;
    if (l)
        l->name = NULL;
    if ((go && !name) || (!go && !load(x))) {
        if (go)
            refuse(x, 404, "model not found");
        return true;
    }
    json_t *value = frame(name, false, "", "", 0);
    json_put_bool(value, "done", true);
    json_put_text(value, "done_reason", go ? "unload" : "load");
    reply_json(x, 200, value);
    return true;
}

static bool answer(struct exchange *x, bool chat)
{
    STR_LOCAL(prompt);
    int64_t cached = 0, most = json_int_of(json_object_get(x->json, "options"), "num_predict", -1);
    if (!chat && !*json_text_of(x->json, "prompt", ""))
        return load_or_unload(x);
    struct loaded *l = load(x);
    if (!l)
        return true;
    if (chat)
        write_prompt(&prompt, json_object_get(x->json, "messages"));
    else
        str_add(&prompt, json_text_of(x->json, "prompt", ""));
    size_t room = (size_t)l->context * 4;
    if (prompt.len > room && knows_truncate(x) && !json_bool_of(x->json, "truncate", true)) {
        refuse(x, 400, "the input length exceeds the context length");
        return true;
    }
    /* It forgets the beginning, and says nothing of it. */
    const char *kept = prompt.len > room ? prompt.data + prompt.len - room : prompt.data;
    if (!slot_take(x, -1, kept, &cached))
        return false;
    log_line("slot", json_pack("{s:I, s:I, s:I, s:I}", "n", (json_int_t)x->number, "slot", (json_int_t)x->slot, "cached",
                               (json_int_t)cached, "prompt", (json_int_t)token_count(strlen(kept))));
    if (reply_by_rule(x))
        return true;
    const json_t *format = json_object_get(x->json, "format");
    struct answer a;
    make_answer(x, kept, json_is_object(format) ? format : NULL, cached, most >= 0 ? most : l->context, &a);
    reply_answer(x, l->name, &a, chat);
    answer_release(&a);
    return true;
}

static void embed(struct exchange *x)
{
    json_t *input = json_object_get(x->json, "input"), *text, *vectors = json_array();
    const struct script *s = script_now(x->fake->script);
    struct loaded *l = load(x);
    int64_t tokens = 0;
    size_t i;
    json_t *list = json_is_string(input) ? json_pack("[O]", input) : json_incref(input);
    bool too_long = false;
    json_array_foreach(list, i, text) {
        tokens += token_count(json_string_length(text));
        too_long = too_long || (l && token_count(json_string_length(text)) > l->context);
        json_array_append_new(vectors, make_vector(json_is_string(text) ? json_string_value(text) : "", s->dimensions ? s->dimensions : DIMENSIONS));
    }
    json_decref(list);
    if (l && !x->fake->embeds)
        refuse(x, 501, "this model does not support embeddings");
    else if (l && too_long && !json_bool_of(x->json, "truncate", true))
        refuse(x, 400, "the input length exceeds the context length");
    else if (l) {
        reply_json(x, 200, json_pack("{s:s, s:O, s:I, s:I, s:I}", "model", l->name, "embeddings", vectors, "total_duration", (json_int_t)1000,
                                     "load_duration", (json_int_t)(1000 * x->delay_us), "prompt_eval_count", (json_int_t)tokens));
    }
    json_decref(vectors);
}

/* ---- the face that looks like OpenAI's ---- */

static void openai_models(struct exchange *x)
{
    json_t *list = json_array();
    const struct texts *models = listed(x);
    for (size_t i = 0; i < models->count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:s}", "id", models->items[i], "object", "model", "created",
                                              (json_int_t)time(NULL), "owned_by", "library"));
    reply_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", list));
}

static bool openai_chat(struct exchange *x)
{
    STR_LOCAL(prompt);
    int64_t cached = 0;
    struct loaded *l = load(x);
    if (!l)
        return true;
    write_prompt(&prompt, json_object_get(x->json, "messages"));
    if (!slot_take(x, -1, prompt.data, &cached))
        return false;
    if (reply_by_rule(x))
        return true;
    const json_t *schema = json_object_get(json_object_get(json_object_get(x->json, "response_format"), "json_schema"), "schema");
    struct answer a;
    make_answer(x, prompt.data, schema, cached, json_int_of(x->json, "max_tokens", l->context), &a);
    reply_openai(x, &openai_face, &a, true);
    answer_release(&a);
    return true;
}

static bool ollama_serve(struct exchange *x)
{
    bool post = streq(x->method, "POST");
    if (post && !x->json)
        refuse(x, 400, "invalid character in JSON");
    else if (post && (streq(x->path, "/api/chat") || streq(x->path, "/api/generate")))
        return answer(x, streq(x->path, "/api/chat"));
    else if (post && streq(x->path, "/v1/chat/completions"))
        return openai_chat(x);
    else if (reply_by_rule(x))
        return true;
    else if (post && streq(x->path, "/api/embed"))
        embed(x);
    else if (post && streq(x->path, "/api/show"))
        show(x);
    else if (streq(x->path, "/api/tags"))
        tags(x);
    else if (streq(x->path, "/api/ps"))
        ps(x);
    else if (streq(x->path, "/api/version"))
        reply_json(x, 200, json_pack("{s:s}", "version", version(x)));
    else if (streq(x->path, "/v1/models"))
        openai_models(x);
    else
        reply_json(x, 404, json_pack("{s:s}", "error", "not found"));
    return true;
}

const struct pose pose_ollama = { "ollama", ollama_serve };
