/* upstream_llama.c - the fake model server as llama-server: paths, words and statuses of version
 * b6000 and later, as far as Tandem can see them. */
#include "fake.h"
#include "fake_flags.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "os/files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { DIMENSIONS = 32, MAX_SAVED = 64 << 20 };

static const char template[] =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

static const struct openai_style llama_style = {
    .timings = true, .cached_figures = true, .reasoning_member = "reasoning_content",
};

static void refuse(struct exchange *x, int status, const char *type, const char *message)
{
    reply_json(x, status, json_pack("{s:{s:i, s:s, s:s}}", "error", "code", status, "message", message, "type", type));
}

static void refuse_request(struct exchange *x, const char *message)
{
    refuse(x, 400, "invalid_request_error", message);
}

/* ---- what it tells of itself ---- */

static void props(struct exchange *x)
{
    const struct fake *f = x->fake;
    reply_json(x, 200, json_pack("{s:{s:I}, s:I, s:s, s:s, s:s, s:b, s:b}", "default_generation_settings", "n_ctx", (json_int_t)f->context,
                                 "total_slots", (json_int_t)f->slot_count, "model_alias", f->model, "model_path", f->file,
                                 "chat_template", template, "endpoint_slots", 1, "endpoint_props", 0));
}

static void models(struct exchange *x)
{
    const struct fake *f = x->fake;
    json_t *meta = json_pack("{s:I, s:I, s:I, s:i}", "n_ctx", (json_int_t)f->context, "n_ctx_train", (json_int_t)131072, "n_params",
                             (json_int_t)134515008, "n_vocab", 49152);
    json_t *entry = json_pack("{s:s, s:[s], s:s, s:i, s:s, s:o}", "id", f->model, "aliases", f->model, "object", "model", "created", 1,
                              "owned_by", "llamacpp", "meta", meta);
    reply_json(x, 200, json_pack("{s:s, s:[o]}", "object", "list", "data", entry));
}

static void slots(struct exchange *x)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < x->fake->slot_count; i++)
        json_array_append_new(list, json_pack("{s:I, s:I, s:b, s:b}", "id", (json_int_t)i, "n_ctx", (json_int_t)x->fake->context,
                                              "speculative", 0, "is_processing", x->fake->slots[i].busy));
    reply_json(x, 200, list);
}

/* ---- slots as files ---- */

static int save(const struct exchange *x, int64_t id, const char *path)
{
    const struct str *holds = &x->fake->slots[id].holds;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    int r = fd_write(fd, holds->data, holds->len);
    close(fd);
    return r;
}

static void slot_file(struct exchange *x, int64_t id, bool saves)
{
    const char *name = json_text_of(x->json, "filename", "");
    struct slot *s = &x->fake->slots[id];
    if (!x->fake->slot_dir) {
        refuse(x, 501, "not_supported_error", "This server does not support slots action. Start it with `--slot-save-path`");
        return;
    }
    if (!*name || strchr(name, '/') || starts_with(name, ".")) {
        refuse_request(x, "Invalid filename");
        return;
    }
    const char *path = arena_printf(&x->arena, "%s/%s", x->fake->slot_dir, name);
    STR_LOCAL(text);
    if (saves ? save(x, id, path) < 0 : file_read_path(path, MAX_SAVED, &text, NULL) < 0) {
        refuse_request(x, saves ? "Unable to save slot" : "Unable to restore slot: No available space in KV cache or invalid slot save file");
        return;
    }
    if (!saves) {
        str_clear(&s->holds);
        str_add_str(&s->holds, &text);
    }
    int64_t tokens = token_count(s->holds.len);
    reply_json(x, 200, json_pack("{s:I, s:s, s:I, s:I}", "id_slot", (json_int_t)id, "filename", name, saves ? "n_saved" : "n_restored",
                                 (json_int_t)tokens, saves ? "n_written" : "n_read", (json_int_t)s->holds.len));
}

/* "/slots/N?action=save" */
static bool slot_action(struct exchange *x)
{
    int64_t id = strtoll(x->path + strlen("/slots/"), NULL, 10) % x->fake->slot_count;
    struct slot *s = &x->fake->slots[id < 0 ? 0 : id];
    if (s->busy)
        return false; /* its turn comes after the answer */
    if (streq(x->query, "action=save") || streq(x->query, "action=restore")) {
        slot_file(x, s - x->fake->slots, streq(x->query, "action=save"));
    } else if (streq(x->query, "action=erase")) {
        int64_t tokens = token_count(s->holds.len);
        str_clear(&s->holds);
        reply_json(x, 200, json_pack("{s:I, s:I}", "id_slot", (json_int_t)(s - x->fake->slots), "n_erased", (json_int_t)tokens));
    } else {
        refuse_request(x, "Invalid action");
    }
    return true;
}

/* ---- answers ---- */

/* Only this form is honoured: the schema one level down; or a grammar. */
static const json_t *schema_of(const struct exchange *x)
{
    const json_t *grammar = json_object_get(x->json, "grammar");
    if (json_is_string(grammar))
        return grammar;
    const json_t *format = json_object_get(x->json, "response_format");
    const char *type = json_text_of(format, "type", "");
    const json_t *schema = json_object_get(x->json, "json_schema");
    if (streq(type, "json_schema"))
        schema = json_object_get(json_object_get(format, "json_schema"), "schema");
    else if (streq(type, "json_object") && json_is_object(json_object_get(format, "schema")))
        schema = json_object_get(format, "schema");
    return json_is_object(schema) ? schema : NULL;
}

static bool is_wrong_schema(struct exchange *x, const json_t *schema)
{
    static const char *const types[] = { "object", "array", "string", "integer", "number", "boolean", "null", NULL };
    const char *type = json_text_of(schema, "type", NULL);
    STR_LOCAL(text);
    if (json_is_string(schema) && !write_by_grammar(&text, json_string_value(schema))) {
        refuse_request(x, "failed to parse grammar");
        return true;
    }
    if (!type)
        return false;
    for (const char *const *t = types; *t; t++)
        if (streq(*t, type))
            return false;
    refuse_request(x, arena_printf(&x->arena, "Unable to generate parser for this template. Automatic parser generation failed: "
                                   "JSON schema error at #: unrecognized type %s", type));
    return true;
}

static bool is_too_long(struct exchange *x, size_t len)
{
    int64_t tokens = token_count(len);
    if (tokens < x->fake->context)
        return false;
    char words[160];
    snprintf(words, sizeof words, "request (%lld tokens) exceeds the available context size (%lld tokens), try increasing it",
             (long long)tokens, (long long)x->fake->context);
    reply_json(x, 400, json_pack("{s:{s:i, s:s, s:s, s:I, s:I}}", "error", "code", 400, "message", words, "type",
                                 "exceed_context_size_error", "n_prompt_tokens", (json_int_t)tokens, "n_ctx", (json_int_t)x->fake->context));
    return true;
}

static bool complete(struct exchange *x, bool chat)
{
    STR_LOCAL(prompt);
    int64_t cached = 0, most = json_int_of(x->json, "max_tokens", json_int_of(x->json, "n_predict", -1));
    if (!x->json) {
        refuse(x, 500, "server_error", "[json.exception.parse_error.101] parse error at line 1, column 1: syntax error while parsing value");
        return true;
    }
    if (chat)
        write_prompt(&prompt, json_object_get(x->json, "messages"));
    else
        str_add(&prompt, json_text_of(x->json, "prompt", ""));
    const json_t *schema = schema_of(x);
    if (is_wrong_schema(x, schema) || is_too_long(x, prompt.len))
        return true;
    if (!slot_take(x, json_int_of(x->json, "id_slot", -1), prompt.data, &cached))
        return false;
    if (!json_bool_of(x->json, "cache_prompt", true))
        cached = 0;
    log_line("slot", json_pack("{s:I, s:I, s:I, s:I}", "n", (json_int_t)x->number, "slot", (json_int_t)x->slot, "cached",
                               (json_int_t)cached, "prompt", (json_int_t)token_count(prompt.len)));
    if (reply_by_rule(x))
        return true;
    int64_t room = x->fake->context - token_count(prompt.len);
    struct answer a;
    make_answer(x, prompt.data, schema, cached, most >= 0 && most < room ? most : room, &a);
    reply_openai(x, &llama_style, &a, chat);
    answer_release(&a);
    return true;
}

static void embed(struct exchange *x)
{
    json_t *input = json_object_get(x->json, "input"), *text;
    json_t *list = json_is_string(input) ? json_pack("[O]", input) : json_incref(input);
    const struct script *s = script_now(x->fake->script);
    int64_t batch = flag_number("--ubatch-size", 512);
    size_t i;
    json_array_foreach(list, i, text) {
        int64_t tokens = token_count(json_string_length(text));
        if (tokens > batch) {
            char words[160];
            snprintf(words, sizeof words, "input (%lld tokens) is too large to process. increase the physical batch size "
                     "(current batch size: %lld)", (long long)tokens, (long long)batch);
            json_decref(list);
            refuse(x, 500, "server_error", words);
            return;
        }
    }
    if (!x->fake->embeds)
        refuse(x, 501, "not_supported_error", "This server does not support embeddings. Start it with `--embeddings`");
    else if (!list)
        refuse_request(x, "\"input\" or \"content\" must be provided");
    else if (json_array_size(list) == 0)
        refuse(x, 500, "server_error", "\"prompt\" must not be empty");
    else
        reply_json(x, 200, openai_vectors(x, list, s->dimensions ? s->dimensions : DIMENSIONS));
    json_decref(list);
}

static void tokenize(struct exchange *x)
{
    json_t *tokens = json_array();
    const char *text = json_text_of(x->json, "content", "");
    for (size_t at = 0, len = strlen(text); at < len; at = next_token(text, len, at))
        json_array_append_new(tokens, json_integer((unsigned char)text[at]));
    reply_json(x, 200, json_pack("{s:o}", "tokens", tokens));
}

static bool is_allowed(const struct exchange *x)
{
    const char *key = x->fake->api_key, *line = strcasestr(x->head, "\r\nauthorization: bearer ");
    return !key || streq(x->path, "/health") || (line && strncmp(line + 24, key, strlen(key)) == 0 && line[24 + strlen(key)] == '\r');
}

static bool llama_serve(struct exchange *x)
{
    bool chat = streq(x->path, "/v1/chat/completions"), post = streq(x->method, "POST");
    if (!x->fake->ready)
        refuse(x, 503, "unavailable_error", "Loading model");
    else if (!is_allowed(x))
        refuse(x, 401, "authentication_error", "Invalid API Key");
    else if (post && (chat || streq(x->path, "/v1/completions")))
        return complete(x, chat);
    else if (reply_by_rule(x))
        return true;
    else if (streq(x->path, "/health"))
        reply_json(x, 200, json_pack("{s:s}", "status", "ok"));
    else if (streq(x->path, "/props"))
        props(x);
    else if (streq(x->path, "/v1/models"))
        models(x);
    else if (streq(x->path, "/slots"))
        slots(x);
    else if (post && starts_with(x->path, "/slots/"))
        return slot_action(x);
    else if (post && streq(x->path, "/v1/embeddings"))
        embed(x);
    else if (post && streq(x->path, "/tokenize"))
        tokenize(x);
    else
        refuse(x, 404, "not_found_error", "File Not Found");
    return true;
}

const struct pose pose_llama = { "llama-server", llama_serve };
