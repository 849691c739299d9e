/* upstream_vllm.c - the fake model server as vLLM, and so as a plain OpenAI-compatible server: no
 * slots to choose, a list with max_model_len, strict checks of a request in pydantic's words. */
#include "fake.h"

#include "base/json.h"

#include <time.h>

enum { BLOCK_TOKENS = 16, DIMENSIONS = 32 };

static const struct openai_style vllm_style = { .cached_figures = true, .reasoning_member = "reasoning_content" };

static void refuse(struct exchange *x, int status, const char *type, const char *param, const char *message)
{
    reply_json(x, status, json_pack("{s:{s:s, s:s, s:s?, s:i}}", "error", "message", message, "type", type, "param", param,
                                    "code", status));
}

static void models(struct exchange *x)
{
    const struct fake *f = x->fake;
    reply_json(x, 200, json_pack("{s:s, s:[{s:s, s:s, s:I, s:s, s:s, s:n, s:I}]}", "object", "list", "data", "id", f->model, "object",
                                 "model", "created", (json_int_t)time(NULL), "owned_by", "vllm", "root", f->model, "parent",
                                 "max_model_len", (json_int_t)f->context));
}

static bool is_known(struct exchange *x)
{
    const char *name = json_text_of(x->json, "model", x->fake->model);
    if (streq(name, x->fake->model))
        return true;
    refuse(x, 404, "NotFoundError", "model", arena_printf(&x->arena, "The model `%s` does not exist.", name));
    return false;
}

/* The schema that is asked for; false: the request was refused. */
static bool find_schema(struct exchange *x, const json_t **ret)
{
    const json_t *format = json_object_get(x->json, "response_format");
    *ret = json_object_get(x->json, "guided_json"); /* until 0.12 */
    if (!streq(json_text_of(format, "type", "text"), "json_schema"))
        return true;
    const json_t *described = json_object_get(format, "json_schema");
    *ret = json_object_get(described, "schema");
    if (json_is_object(*ret) && json_is_string(json_object_get(described, "name")))
        return true;
    refuse(x, 400, "BadRequestError", NULL,
           "[{'type': 'missing', 'loc': ('body', 'response_format', 'json_schema'), 'msg': 'Field required'}]");
    return false;
}

static bool is_too_long(struct exchange *x, size_t len)
{
    long long tokens = token_count(len), most = json_int_of(x->json, "max_tokens", 0), context = x->fake->context;
    if (tokens + most <= context && tokens < context)
        return false;
    refuse(x, 400, "BadRequestError", "input_tokens",
           arena_printf(&x->arena, "This model's maximum context length is %lld tokens. However, you requested %lld output tokens and your "
                        "prompt contains %lld input tokens, for a total of %lld tokens. Please reduce the length of the input prompt or "
                        "the number of requested output tokens.", context, most, tokens, tokens + most));
    return true;
}

static bool complete(struct exchange *x, bool chat)
{
    STR_LOCAL(prompt);
    const json_t *schema;
    int64_t cached = 0, most = json_int_of(x->json, "max_tokens", -1);
    if (!x->json) {
        refuse(x, 400, "BadRequestError", NULL, "[{'type': 'json_invalid', 'loc': ('body', 0), 'msg': 'JSON decode error'}]");
        return true;
    }
    if (chat)
        write_prompt(&prompt, json_object_get(x->json, "messages"));
    else
        str_add(&prompt, json_text_of(x->json, "prompt", ""));
    if (!is_known(x) || !find_schema(x, &schema) || is_too_long(x, prompt.len))
        return true;
    if (!slot_take(x, -1, prompt.data, &cached))
        return false;
    cached -= cached % BLOCK_TOKENS; /* it keeps whole blocks */
    log_line("slot", json_pack("{s:I, s:I, s:I, s:I}", "n", (json_int_t)x->number, "slot", (json_int_t)x->slot, "cached",
                               (json_int_t)cached, "prompt", (json_int_t)token_count(prompt.len)));
    if (reply_by_rule(x))
        return true;
    int64_t room = x->fake->context - token_count(prompt.len);
    struct answer a;
    make_answer(x, prompt.data, schema, cached, most >= 0 && most < room ? most : room, &a);
    reply_openai(x, &vllm_style, &a, chat);
    answer_release(&a);
    return true;
}

static void embed(struct exchange *x)
{
    json_t *input = json_object_get(x->json, "input");
    json_t *list = json_is_string(input) ? json_pack("[O]", input) : json_incref(input);
    const struct script *s = script_now(x->fake->script);
    size_t i, longest = 0;
    json_t *text;
    json_array_foreach(list, i, text)
        longest = json_string_length(text) > longest ? json_string_length(text) : longest;
    if (!x->fake->embeds)
        refuse(x, 400, "BadRequestError", NULL, "The model does not support Embeddings API");
    else if (is_known(x) && !is_too_long(x, longest))
        reply_json(x, 200, openai_vectors(x, list, s->dimensions ? s->dimensions : DIMENSIONS));
    json_decref(list);
}

static bool vllm_serve(struct exchange *x)
{
    bool chat = streq(x->path, "/v1/chat/completions"), post = streq(x->method, "POST");
    if (post && (chat || streq(x->path, "/v1/completions")))
        return complete(x, chat);
    if (reply_by_rule(x))
        return true;
    if (streq(x->path, "/health"))
        reply_json(x, 200, json_object());
    else if (streq(x->path, "/v1/models"))
        models(x);
    else if (post && streq(x->path, "/v1/embeddings"))
        embed(x);
    else
        reply_json(x, 404, json_pack("{s:s}", "detail", "Not Found"));
    return true;
}

const struct pose pose_vllm = { "vllm", vllm_serve };
