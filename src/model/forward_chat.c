/* forward_chat.c - OpenAI's form of a chat, taken apart and put together. */
#include "model/forward_chat.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/chat.h"

#include <stdatomic.h>
#include <unistd.h>

static void append(json_t *list, json_t *item)
{
    if (json_array_append_new(list, item) < 0)
        out_of_memory();
}

static bool is_set(const json_t *value)
{
    return value && !json_is_null(value);
}

/* ---- a wish ---- */

/* A message's content is a text, or a list of parts, of which only texts can be had. */
static int read_content(const json_t *content, struct str *out, struct err *e)
{
    size_t i;
    const json_t *part;
    if (json_is_string(content)) {
        str_add_bytes(out, json_string_value(content), json_string_length(content));
        return 0;
    }
    if (!json_is_array(content))
        return err_set(e, ERR_INVALID, "the content of a message is neither a text nor a list of parts");
    json_array_foreach(content, i, part) {
        const json_t *text = json_object_get(part, "text");
        if (!json_is_string(text))
            return err_set(e, ERR_INVALID, "this model reads text only, and a message has a part of type \"%.40s\"",
                           json_text_of(part, "type", "none"));
        str_add_bytes(out, json_string_value(text), json_string_length(text));
    }
    return 0;
}

static const char *role_of(const json_t *message)
{
    const char *role = json_text_of(message, "role", "");
    return streq(role, "developer") ? "system" : role;
}

static int read_messages(struct arena *a, const json_t *body, json_t **ret, struct err *e)
{
    size_t i;
    const json_t *message, *given = json_object_get(body, "messages");
    json_t *list = json_keep(a, json_array());
    if (!json_array_size(given))
        return err_set(e, ERR_INVALID, "\"messages\" must be a list with at least one message");
    json_array_foreach(given, i, message) {
        STR_LOCAL(text);
        const char *role = role_of(message);
        if (!streq(role, "system") && !streq(role, "user") && !streq(role, "assistant"))
            return err_set(e, ERR_INVALID, "this model knows no messages of the role \"%.40s\"; allowed: system, user, assistant", role);
        int r = read_content(json_object_get(message, "content"), &text, e);
        if (r < 0)
            return r;
        json_t *plain = json_object();
        json_put_text(plain, "role", role);
        json_put(plain, "content", json_text(text.data, text.len));
        append(list, plain);
    }
    *ret = list;
    return 0;
}

static int read_format(const json_t *format, struct chat_wish *w, struct err *e)
{
    const char *type = json_text_of(format, "type", "text");
    json_t *schema = json_object_get(json_object_get(format, "json_schema"), "schema");
    w->any_json = streq(type, "json_object");
    if (streq(type, "json_schema") && !json_is_object(schema))
        return err_set(e, ERR_INVALID, "response_format has no schema in json_schema.schema");
    if (streq(type, "json_schema"))
        w->schema = schema;
    else if (!w->any_json && !streq(type, "text"))
        return err_set(e, ERR_INVALID, "response_format has the type \"%.40s\"; allowed: text, json_object, json_schema", type);
    return 0;
}

static int refuse_what_is_unknown(const json_t *body, struct err *e)
{
    if (json_array_size(json_object_get(body, "tools")) || json_array_size(json_object_get(body, "functions")))
        return err_set(e, ERR_INVALID, "this model cannot call tools");
    if (json_int_of(body, "n", 1) != 1)
        return err_set(e, ERR_INVALID, "this model gives one answer at a time (\"n\" must be 1)");
    if (json_is_true(json_object_get(body, "logprobs")))
        return err_set(e, ERR_INVALID, "this model tells no probabilities (\"logprobs\")");
    return 0;
}

static void read_stop(struct arena *a, const json_t *stop, struct chat_wish *w)
{
    if (json_is_string(stop)) {
        w->stop = json_keep(a, json_array());
        append(w->stop, json_incref((json_t *)(uintptr_t)stop));
    } else if (json_array_size(stop)) {
        w->stop = (json_t *)(uintptr_t)stop;
    }
}

static void read_numbers(const json_t *body, struct chat_wish *w)
{
    static const char *const sampling[] = { "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty" };
    const json_t *temperature = json_object_get(body, "temperature"), *seed = json_object_get(body, "seed");
    w->has_temperature = json_is_number(temperature);
    w->temperature = json_number_value(temperature);
    w->has_seed = json_is_integer(seed);
    w->seed = json_integer_value(seed);
    w->max_tokens = json_int_of(body, "max_tokens", json_int_of(body, "max_completion_tokens", 0));
    for (size_t i = 0; i < sizeof sampling / sizeof *sampling; i++) {
        json_t *value = json_object_get(body, sampling[i]);
        if (json_is_number(value))
            json_put(w->sampling, sampling[i], json_incref(value));
    }
}

int chat_wish_read(struct arena *a, const json_t *body, struct chat_wish *ret, struct err *e)
{
    struct chat_wish w = { .sampling = json_keep(a, json_object()) };
    const json_t *format = json_object_get(body, "response_format");
    int r = refuse_what_is_unknown(body, e);
    if (r == 0)
        r = read_messages(a, body, &w.messages, e);
    if (r == 0 && is_set(format))
        r = read_format(format, &w, e);
    if (r < 0)
        return r;
    read_stop(a, json_object_get(body, "stop"), &w);
    read_numbers(body, &w);
    w.wants_usage = json_is_true(json_object_get(json_object_get(body, "stream_options"), "include_usage"));
    *ret = w;
    return 0;
}

void chat_wish_of(struct arena *a, const struct chat_request *q, struct chat_wish *ret)
{
    struct chat_wish w = { .messages = json_keep(a, json_array()), .sampling = json_keep(a, json_object()), .has_temperature = true,
                           .temperature = q->temperature, .has_seed = true, .seed = q->seed, .max_tokens = q->max_tokens };
    for (size_t i = 0; i < q->message_count; i++) {
        json_t *message = json_object();
        json_put_text(message, "role", chat_role_name(q->messages[i].role));
        json_put(message, "content", json_text(q->messages[i].text, strlen(q->messages[i].text)));
        append(w.messages, message);
    }
    if (q->schema)
        w.schema = json_keep(a, record_schema(q->schema));
    if (q->sampling && json_object_update(w.sampling, (json_t *)(uintptr_t)q->sampling) < 0)
        out_of_memory();
    *ret = w;
}

/* ---- chunks ---- */

void chunk_head_init(struct chunk_head *h, const char *model)
{
    static atomic_ullong answers;
    char seed[64];
    int len = snprintf(seed, sizeof seed, "%ld %lld %llu", (long)getpid(), (long long)clock_steady_us(), atomic_fetch_add(&answers, 1));
    struct digest d = digest_of(seed, (size_t)len);
    *h = (struct chunk_head){ .model = model, .created_s = clock_wall_ms() / 1000 };
    snprintf(h->id, sizeof h->id, "chatcmpl-%.24s", d.hex);
}

static json_t *chunk_begin(const struct chunk_head *h)
{
    json_t *chunk = json_object();
    json_put_text(chunk, "id", h->id);
    json_put_text(chunk, "object", "chat.completion.chunk");
    json_put_int(chunk, "created", h->created_s);
    json_put_text(chunk, "model", h->model);
    json_put(chunk, "choices", json_array());
    return chunk;
}

static json_t *chunk_of(const struct chunk_head *h, const char *member, const char *text, const char *finish)
{
    json_t *chunk = chunk_begin(h), *choice = json_object(), *delta = json_object();
    json_put_int(choice, "index", 0);
    json_put(choice, "delta", delta);
    if (member)
        json_put(delta, member, json_text(text, strlen(text)));
    json_put(choice, "finish_reason", finish ? json_string(finish) : json_null());
    append(json_object_get(chunk, "choices"), choice);
    return chunk;
}

json_t *chunk_text(const struct chunk_head *h, const char *text)
{
    return chunk_of(h, "content", text, NULL);
}

json_t *chunk_reasoning(const struct chunk_head *h, const char *text)
{
    return chunk_of(h, "reasoning_content", text, NULL);
}

json_t *chunk_finish(const struct chunk_head *h, const char *finish)
{
    return chunk_of(h, NULL, NULL, finish);
}

json_t *chunk_usage(const struct chunk_head *h, int64_t prompt_tokens, int64_t cached_tokens, int64_t completion_tokens)
{
    if (prompt_tokens < 0 && completion_tokens < 0)
        return NULL;
    json_t *chunk = chunk_begin(h), *usage = json_object();
    json_put(chunk, "usage", usage);
    if (prompt_tokens >= 0)
        json_put_int(usage, "prompt_tokens", prompt_tokens);
    if (completion_tokens >= 0)
        json_put_int(usage, "completion_tokens", completion_tokens);
    json_put_int(usage, "total_tokens", (prompt_tokens > 0 ? prompt_tokens : 0) + (completion_tokens > 0 ? completion_tokens : 0));
    if (cached_tokens >= 0) {
        json_t *details = json_object();
        json_put_int(details, "cached_tokens", cached_tokens);
        json_put(usage, "prompt_tokens_details", details);
    }
    return chunk;
}

bool chunk_send(const struct forward_request *q, const json_t *chunk)
{
    STR_LOCAL(event);
    str_add(&event, "data: ");
    json_write(&event, chunk);
    str_add(&event, "\n\n");
    return q->on_body(event.data, event.len, q->ctx);
}

bool chunk_send_done(const struct forward_request *q)
{
    static const char done[] = "data: [DONE]\n\n";
    return q->on_body(done, strlen(done), q->ctx);
}

void forward_refuse(struct forward_result *ret, struct str *refusal, int status, const struct err *e)
{
    json_t *body = json_object(), *error = json_object();
    json_put(error, "message", json_text(e->text, strlen(e->text)));
    json_put_text(error, "type", e->code == ERR_LIMIT ? "exceed_context_size_error" : "invalid_request_error");
    json_put_int(error, "code", status);
    json_put(body, "error", error);
    json_write(refusal, body);
    json_decref(body);
    ret->status = status;
    snprintf(ret->content_type, sizeof ret->content_type, "application/json");
}
