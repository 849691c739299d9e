/* upstream_openai.c - what llama-server, vLLM and Ollama's second face have in common: the replies
 * of "/v1/chat/completions", "/v1/completions" and "/v1/embeddings". */
#include "fake.h"

#include "base/json.h"

#include <time.h>

/* The members of every chunk and every whole answer. */
static json_t *frame(const struct exchange *x, const char *object, json_t *choices)
{
    json_t *chunk = json_object();
    json_put(chunk, "choices", choices);
    json_put_int(chunk, "created", time(NULL));
    json_put(chunk, "id", json_sprintf("chatcmpl-fake%lld", (long long)x->number));
    json_put_text(chunk, "model", x->fake->model);
    json_put_text(chunk, "object", object);
    return chunk;
}

static json_t *usage_of(const struct openai_style *style, const struct answer *a)
{
    json_t *usage = json_pack("{s:I, s:I, s:I}", "prompt_tokens", (json_int_t)a->prompt_tokens, "completion_tokens",
                              (json_int_t)a->completion_tokens, "total_tokens", (json_int_t)(a->prompt_tokens + a->completion_tokens));
    if (style->cached_figures)
        json_put(usage, "prompt_tokens_details", json_pack("{s:I}", "cached_tokens", (json_int_t)a->cached_tokens));
    return usage;
}

static json_t *timings_of(const struct answer *a)
{
    double read = (double)a->read_us / 1000, made = a->token_us * (double)a->completion_tokens / 1000;
    return json_pack("{s:I, s:I, s:f, s:I, s:f}", "cache_n", (json_int_t)a->cached_tokens, "prompt_n",
                     (json_int_t)(a->prompt_tokens - a->cached_tokens), "prompt_ms", read, "predicted_n",
                     (json_int_t)a->completion_tokens, "predicted_ms", made);
}

/* Takes `delta` over. */
static json_t *choice_of(bool chat, json_t *delta, const char *text, const char *finish)
{
    json_t *choice = json_pack("{s:i, s:o}", "index", 0, "finish_reason", finish ? json_string(finish) : json_null());
    if (chat)
        json_put(choice, "delta", json_incref(delta));
    else
        json_put_text(choice, "text", text);
    json_decref(delta);
    return json_pack("[o]", choice);
}

static void send_event(struct exchange *x, int64_t wait_us, json_t *value)
{
    STR_LOCAL(text);
    str_add(&text, "data: ");
    json_write(&text, value);
    str_add(&text, "\n\n");
    json_decref(value);
    reply_piece(x, wait_us, text.data, text.len);
}

static const char *object_of(bool chat, bool streamed)
{
    return !chat ? "text_completion" : streamed ? "chat.completion.chunk" : "chat.completion";
}

/* A text in tokens; the first comes when the prompt has been read. */
static void send_tokens(struct exchange *x, const struct answer *a, const struct str *text, const char *member, bool chat, bool *begun)
{
    for (size_t at = 0, end; at < text->len; at = end) {
        end = next_token(text->data, text->len, at);
        json_t *piece = json_text(text->data + at, end - at), *delta = json_object();
        json_put(delta, member, json_incref(piece));
        int64_t wait = (int64_t)a->token_us + (*begun ? 0 : a->read_us);
        *begun = true;
        send_event(x, wait, frame(x, object_of(chat, true), choice_of(chat, delta, json_string_value(piece), NULL)));
        json_decref(piece);
    }
}

/* How far the prompt has been read, as llama-server tells it: an event before all others. */
static void send_progress(struct exchange *x, const struct answer *a, bool chat)
{
    json_t *delta = chat ? json_pack("{s:s, s:n}", "role", "assistant", "content") : json_object();
    json_t *chunk = frame(x, object_of(chat, true), choice_of(chat, delta, "", NULL));
    json_put(chunk, "prompt_progress", json_pack("{s:I, s:I, s:I, s:i}", "total", (json_int_t)a->prompt_tokens, "cache",
                                                 (json_int_t)a->cached_tokens, "processed", (json_int_t)a->cached_tokens, "time_ms", 0));
    send_event(x, 0, chunk);
}

static void stream(struct exchange *x, const struct openai_style *style, const struct answer *a, bool chat)
{
    bool begun = false, figures = !x->rule->no_usage;
    bool usage = figures && json_bool_of(json_object_get(x->json, "stream_options"), "include_usage", false);
    reply_head(x, 200, "text/event-stream");
    if (style->timings && json_bool_of(x->json, "return_progress", false))
        send_progress(x, a, chat);
    if (chat)
        send_event(x, 0, frame(x, object_of(chat, true), choice_of(true, json_pack("{s:s, s:n}", "role", "assistant", "content"), NULL, NULL)));
    send_tokens(x, a, &a->reasoning, style->reasoning_member, chat, &begun);
    send_tokens(x, a, &a->text, "content", chat, &begun);
    json_t *last = frame(x, object_of(chat, true), choice_of(chat, json_object(), "", a->finish));
    if (figures && style->timings && !usage)
        json_put(last, "timings", timings_of(a));
    send_event(x, 0, last);
    if (usage) {
        json_t *chunk = frame(x, object_of(chat, true), json_array());
        json_put(chunk, "usage", usage_of(style, a));
        if (style->timings)
            json_put(chunk, "timings", timings_of(a));
        send_event(x, 0, chunk);
    }
    for (int64_t i = x->rule->no_done ? 1 : 0; i < 1 + x->rule->dones; i++)
        reply_piece(x, 0, "data: [DONE]\n\n", 14);
    reply_end(x);
}

static void whole(struct exchange *x, const struct openai_style *style, const struct answer *a, bool chat)
{
    json_t *choice = json_pack("{s:i, s:s}", "index", 0, "finish_reason", a->finish);
    if (chat) {
        json_t *message = json_pack("{s:s, s:s}", "role", "assistant", "content", a->text.data);
        if (a->reasoning.len)
            json_put_text(message, style->reasoning_member, a->reasoning.data);
        json_put(choice, "message", message);
    } else {
        json_put_text(choice, "text", a->text.data);
    }
    json_t *value = frame(x, object_of(chat, false), json_pack("[o]", choice));
    if (!x->rule->no_usage)
        json_put(value, "usage", usage_of(style, a));
    if (!x->rule->no_usage && style->timings)
        json_put(value, "timings", timings_of(a));
    x->delay_us = a->read_us + (int64_t)(a->token_us * (double)a->completion_tokens);
    reply_json(x, 200, value);
}

void reply_openai(struct exchange *x, const struct openai_style *style, const struct answer *a, bool chat)
{
    if (json_bool_of(x->json, "stream", false))
        stream(x, style, a, chat);
    else
        whole(x, style, a, chat);
}

json_t *openai_vectors(struct exchange *x, json_t *inputs, int64_t dimensions)
{
    size_t i, bytes = 0;
    json_t *input, *data = json_array();
    json_array_foreach(inputs, i, input) {
        const char *text = json_is_string(input) ? json_string_value(input) : "";
        bytes += strlen(text);
        json_array_append_new(data, json_pack("{s:s, s:I, s:o}", "object", "embedding", "index", (json_int_t)i, "embedding",
                                              make_vector(text, dimensions)));
    }
    return json_pack("{s:s, s:s, s:o, s:{s:I, s:I}}", "object", "list", "model", x->fake->model, "data", data, "usage",
                     "prompt_tokens", (json_int_t)token_count(bytes), "total_tokens", (json_int_t)token_count(bytes));
}
