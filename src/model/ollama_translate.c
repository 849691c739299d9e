/* ollama_translate.c - what other programs ask of an OpenAI-compatible server, as Ollama's own paths
 * have it, and the answers back.
 *
 * Sources: OpenAI's API reference (chat completions, completions), Ollama's docs/api.md
 * and openai/openai.go.  Ollama has such a translation itself, but in it nobody can say how large the
 * context shall be, and what does not fit is cut.
 */
#include "model/ollama_translate.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

static json_t *share(const json_t *value)
{
    return json_incref((json_t *)(uintptr_t)value);
}

static void append(json_t *list, json_t *value)
{
    if (json_array_append_new(list, value) < 0)
        out_of_memory();
}

/* ---- messages ---- */

/* Pictures come as "data:image/png;base64,..."; Ollama wants what stands behind the comma. */
static int take_picture(const json_t *part, json_t *images, struct err *e)
{
    const json_t *holder = json_object_get(part, "image_url");
    const char *url = json_is_string(holder) ? json_string_value(holder) : json_text_of(holder, "url", "");
    const char *data = strstr(url, ";base64,");
    if (!starts_with(url, "data:") || !data)
        return err_set(e, ERR_INVALID, "a picture must be in the request itself (data:image/...;base64,...); nothing is fetched");
    append(images, json_string(data + strlen(";base64,")));
    return 0;
}

static int put_content(json_t *out, const json_t *content, struct err *e)
{
    STR_LOCAL(text);
    size_t i;
    const json_t *part;
    json_t *images = json_array();
    int r = 0;
    if (json_is_string(content))
        str_add(&text, json_string_value(content));
    json_array_foreach(content, i, part) {
        const char *type = json_text_of(part, "type", "");
        if (streq(type, "text"))
            str_addf(&text, "%s%s", text.len ? "\n" : "", json_text_of(part, "text", ""));
        else if (streq(type, "image_url"))
            r = take_picture(part, images, e);
        else
            r = err_set(e, ERR_INVALID, "a part of a message is of the type \"%.40s\"; allowed: text, image_url", type);
        if (r < 0)
            break;
    }
    json_put(out, "content", json_text(text.data, text.len));
    if (json_array_size(images))
        json_put(out, "images", json_incref(images));
    json_decref(images);
    return r;
}

/* Arguments are a text there and an object here. */
static int put_calls(json_t *out, const json_t *calls, struct err *e)
{
    size_t i;
    const json_t *call;
    json_t *list = json_array();
    json_put(out, "tool_calls", list);
    json_array_foreach(calls, i, call) {
        const json_t *function = json_object_get(call, "function");
        const char *text = json_text_of(function, "arguments", "{}");
        json_t *arguments = json_loads(*text ? text : "{}", 0, NULL);
        if (!json_is_object(arguments)) {
            json_decref(arguments);
            return err_set(e, ERR_INVALID, "the arguments of the call of \"%.60s\" are no JSON object", json_text_of(function, "name", ""));
        }
        append(list, json_pack("{s:s, s:{s:s, s:o}}", "id", json_text_of(call, "id", ""), "function", "name",
                               json_text_of(function, "name", ""), "arguments", arguments));
    }
    return 0;
}

static int put_message(json_t *list, const json_t *message, struct err *e)
{
    const char *role = json_text_of(message, "role", "");
    const json_t *calls = json_object_get(message, "tool_calls");
    json_t *out = json_object();
    append(list, out);
    json_put_text(out, "role", streq(role, "developer") ? "system" : role);
    int r = put_content(out, json_object_get(message, "content"), e);
    if (r == 0 && json_is_array(calls))
        r = put_calls(out, calls, e);
    if (json_is_string(json_object_get(message, "tool_call_id")))
        json_put_text(out, "tool_call_id", json_text_of(message, "tool_call_id", ""));
    if (streq(role, "tool") && json_is_string(json_object_get(message, "name")))
        json_put_text(out, "tool_name", json_text_of(message, "name", ""));
    return r;
}

/* ---- the rest of a request ---- */

static void put_options(json_t *out, const json_t *body)
{
    static const char *const same[] = { "temperature", "top_p", "top_k", "min_p", "seed", "repeat_penalty", "presence_penalty",
                                        "frequency_penalty", NULL };
    static const char *const most[] = { "max_tokens", "max_completion_tokens", NULL };
    json_t *options = json_object();
    const json_t *stop = json_object_get(body, "stop");
    for (size_t i = 0; same[i]; i++)
        if (json_is_number(json_object_get(body, same[i])))
            json_put(options, same[i], share(json_object_get(body, same[i])));
    for (size_t i = 0; most[i]; i++)
        if (json_int_of(body, most[i], 0) > 0)
            json_put_int(options, "num_predict", json_int_of(body, most[i], 0));
    if (json_is_string(stop))
        json_put(options, "stop", json_pack("[O]", stop));
    else if (json_is_array(stop))
        json_put(options, "stop", share(stop));
    json_put(out, "options", options);
}

static int put_format(json_t *out, const json_t *format, struct err *e)
{
    const char *type = json_text_of(format, "type", "text");
    const json_t *schema = json_object_get(json_object_get(format, "json_schema"), "schema");
    schema = schema ? schema : json_object_get(format, "schema");
    if (streq(type, "text"))
        return 0;
    if (!streq(type, "json_object") && !streq(type, "json_schema"))
        return err_set(e, ERR_INVALID, "response_format is \"%.40s\"; allowed: text, json_object, json_schema", type);
    if (!schema && streq(type, "json_schema"))
        return err_set(e, ERR_INVALID, "response_format has no json_schema.schema");
    json_put(out, "format", schema ? share(schema) : json_string("json"));
    return 0;
}

static int put_tools(json_t *out, const json_t *body, struct err *e)
{
    const json_t *tools = json_object_get(body, "tools"), *choice = json_object_get(body, "tool_choice");
    const char *word = json_is_string(choice) ? json_string_value(choice) : json_is_object(choice) ? "one function" : "auto";
    if (!json_array_size(tools) || streq(word, "none"))
        return 0;
    if (!streq(word, "auto"))
        return err_set(e, ERR_INVALID, "tool_choice is \"%.40s\", and Ollama cannot force a call; allowed: auto, none", word);
    json_put(out, "tools", share(tools));
    return 0;
}

static int check_common(const json_t *body, struct err *e)
{
    if (json_int_of(body, "n", 1) > 1 || json_int_of(body, "best_of", 1) > 1)
        return err_set(e, ERR_INVALID, "Ollama gives one answer at a time: n must be 1");
    if (!json_bool_of(body, "stream", false))
        return err_set(e, ERR_INVALID, "an answer is passed on as a stream only");
    return 0;
}

static int read_chat(const json_t *body, json_t *out, struct err *e)
{
    size_t i;
    const json_t *message, *effort = json_object_get(body, "reasoning_effort");
    json_t *messages = json_array();
    json_put(out, "messages", messages);
    int r = check_common(body, e);
    if (r == 0 && !json_array_size(json_object_get(body, "messages")))
        r = err_set(e, ERR_INVALID, "messages is missing or empty");
    json_array_foreach(json_object_get(body, "messages"), i, message)
        if (r == 0)
            r = put_message(messages, message, e);
    if (r == 0)
        r = put_format(out, json_object_get(body, "response_format"), e);
    if (r == 0)
        r = put_tools(out, body, e);
    if (r < 0)
        return r;
    if (json_is_string(effort) && streq(json_string_value(effort), "none"))
        json_put_bool(out, "think", false);
    if (json_bool_of(body, "logprobs", false)) {
        json_put_bool(out, "logprobs", true);
        json_put_int(out, "top_logprobs", json_int_of(body, "top_logprobs", 0));
    }
    put_options(out, body);
    return 0;
}

/* A text that is to be continued is no message: it goes without the template, unless the template
 * is what knows where the middle belongs. */
static int read_text(const json_t *body, json_t *out, struct err *e)
{
    const json_t *prompt = json_object_get(body, "prompt");
    const char *suffix = json_text_of(body, "suffix", "");
    if (json_array_size(prompt) == 1)
        prompt = json_array_get(prompt, 0);
    int r = check_common(body, e);
    if (r == 0 && (!json_is_string(prompt) || !json_string_length(prompt)))
        r = err_set(e, ERR_INVALID, "prompt must be one text that is not empty");
    if (r < 0)
        return r;
    json_put(out, "prompt", share(prompt));
    json_put_bool(out, "raw", !*suffix);
    if (*suffix)
        json_put_text(out, "suffix", suffix);
    put_options(out, body);
    return 0;
}

static int translate(int (*read)(const json_t *, json_t *, struct err *), const json_t *body, json_t **ret, struct err *e)
{
    json_t *out = json_object();
    int r = read(body, out, e);
    if (r == 0)
        *ret = out;
    else
        json_decref(out);
    return r;
}

int ollama_chat_of(const json_t *body, json_t **ret, struct err *e)
{
    return translate(read_chat, body, ret, e);
}

int ollama_text_of(const json_t *body, json_t **ret, struct err *e)
{
    return translate(read_text, body, ret, e);
}

/* ---- answers ---- */

static void put_tool_calls(struct ollama_answer *a, json_t *delta, const json_t *calls)
{
    size_t i;
    const json_t *call;
    json_t *list = json_array();
    json_array_foreach(calls, i, call) {
        STR_LOCAL(arguments);
        STR_LOCAL(id);
        const json_t *function = json_object_get(call, "function"), *given = json_object_get(function, "arguments");
        if (given)
            json_write(&arguments, given);
        else
            str_add(&arguments, "{}");
        str_addf(&id, "call_%s_%lld", a->head.id, (long long)a->calls);
        append(list, json_pack("{s:I, s:s, s:s, s:{s:s, s:s}}", "index", (json_int_t)a->calls++, "id", json_text_of(call, "id", id.data),
                               "type", "function", "function", "name", json_text_of(function, "name", ""), "arguments",
                               arguments.data));
    }
    json_put(delta, "tool_calls", list);
}

static json_t *delta_of(struct ollama_answer *a, const json_t *line)
{
    const json_t *message = json_object_get(line, "message");
    json_t *delta = json_object();
    if (!a->begun)
        json_put_text(delta, "role", "assistant");
    if (*json_text_of(message, "thinking", ""))
        json_put_text(delta, "reasoning_content", json_text_of(message, "thinking", ""));
    if (*json_text_of(message, "content", "") || !a->begun)
        json_put_text(delta, "content", json_text_of(message, "content", ""));
    if (json_array_size(json_object_get(message, "tool_calls")))
        put_tool_calls(a, delta, json_object_get(message, "tool_calls"));
    a->begun = true;
    return delta;
}

json_t *ollama_chunk_of(struct ollama_answer *a, const json_t *line)
{
    json_t *chunk = chunk_finish(&a->head, NULL), *choice = json_array_get(json_object_get(chunk, "choices"), 0);
    const json_t *logprobs = json_object_get(line, "logprobs");
    a->done = json_bool_of(line, "done", false);
    if (a->is_chat) {
        json_put(choice, "delta", delta_of(a, line));
    } else {
        json_put_text(chunk, "object", "text_completion");
        json_object_del(choice, "delta");
        json_put_text(choice, "text", json_text_of(line, "response", ""));
    }
    if (json_array_size(logprobs))
        json_put(choice, "logprobs", json_pack("{s:O}", "content", logprobs));
    if (a->done)
        json_put_text(choice, "finish_reason", a->calls ? "tool_calls" : json_text_of(line, "done_reason", "stop"));
    return chunk;
}
