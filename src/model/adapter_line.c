/* adapter_line.c - the protocol's lines, each type described once. */
#include "model/adapter_line.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/forward_chat.h"

const char *const adapter_type_names[] = { "hello", "text", "reasoning", "vectors", "done", "error", "pong", NULL };
static const char *const fault_names[] = { "failed", "context", "invalid", "unable", "busy", NULL };
static const char *const finish_names[] = { "stop", "length", "cancelled", NULL };

enum { MAX_ID_TEXT = 100, MAX_CONTEXT = 100 << 20, MAX_CAN = 10, MAX_MESSAGE = 4000, MAX_TOKENS = 1 << 30 };

/* Everything but hello, whose members nobody else has. */
struct said {
    const char *type;
    int64_t id;
    const char *text, *message;
    int finish, kind;
    int64_t prompt_tokens, cached_tokens, completion_tokens;
    json_t *vectors;
};

#define HELLO(member, kind, ...) FIELD(struct adapter_hello, member, kind, __VA_ARGS__)
#define SAID(member, kind, ...) FIELD(struct said, member, kind, __VA_ARGS__)
#define TYPE SAID(type, FIELD_TEXT, .required = true)
#define ID SAID(id, FIELD_INT, .required = true, .min = 1, .max = INT64_MAX)

static const struct field hello_fields[] = {
    HELLO(type, FIELD_TEXT, .required = true),
    HELLO(protocol, FIELD_INT, .required = true),
    HELLO(name, FIELD_TEXT, .required = true, .max = MAX_ID_TEXT),
    HELLO(version, FIELD_TEXT, .max = MAX_ID_TEXT),
    HELLO(context, FIELD_INT, .required = true, .min = 1, .max = MAX_CONTEXT),
    HELLO(slots, FIELD_INT, .min = 1, .max = ADAPTER_MAX_SLOTS),
    HELLO(can, FIELD_TEXTS, .required = true, .max = MAX_CAN),
};
static const struct field piece_fields[] = { TYPE, ID, SAID(text, FIELD_TEXT, .required = true, .max = ADAPTER_MAX_LINE) };
static const struct field vectors_fields[] = { TYPE, ID, SAID(vectors, FIELD_JSON, .required = true) };
static const struct field done_fields[] = {
    TYPE, ID,
    SAID(finish, FIELD_ENUM, .choices = finish_names),
    SAID(prompt_tokens, FIELD_INT, .max = MAX_TOKENS),
    SAID(cached_tokens, FIELD_INT, .max = MAX_TOKENS),
    SAID(completion_tokens, FIELD_INT, .max = MAX_TOKENS),
};
static const struct field error_fields[] = {
    TYPE, ID,
    SAID(kind, FIELD_ENUM, .choices = fault_names),
    SAID(message, FIELD_TEXT, .required = true, .max = MAX_MESSAGE),
};
static const struct field pong_fields[] = { TYPE, ID };

static const struct record hello_record = RECORD("hello", struct adapter_hello, hello_fields);
static const struct record records[] = {
    [ADAPTER_TEXT] = RECORD("text", struct said, piece_fields),
    [ADAPTER_REASONING] = RECORD("reasoning", struct said, piece_fields),
    [ADAPTER_VECTORS] = RECORD("vectors", struct said, vectors_fields),
    [ADAPTER_DONE] = RECORD("done", struct said, done_fields),
    [ADAPTER_ERROR] = RECORD("error", struct said, error_fields),
    [ADAPTER_PONG] = RECORD("pong", struct said, pong_fields),
};

/* ---- reading ---- */

static int read_hello(struct arena *a, const json_t *value, struct adapter_line *ret, struct err *e)
{
    /* The version first: what else another one says is not for us to judge. */
    int64_t protocol = json_int_of(value, "protocol", -1);
    if (protocol > 0 && protocol != ADAPTER_PROTOCOL)
        return err_set(e, ERR_SETUP, "it speaks version %lld of the protocol, and this Tandem version %d", (long long)protocol,
                       ADAPTER_PROTOCOL);
    struct adapter_hello *h = &ret->hello;
    int r = record_read(&hello_record, a, value, h, e);
    if (r < 0)
        return r;
    if (h->protocol != ADAPTER_PROTOCOL)
        return err_set(e, ERR_INVALID, "\"protocol\" must be %d", ADAPTER_PROTOCOL);
    if (!*h->name)
        return err_set(e, ERR_INVALID, "\"name\" is empty");
    for (size_t i = 0; i < h->can.count; i++)
        if (!streq(h->can.items[i], "chat") && !streq(h->can.items[i], "embed") && !streq(h->can.items[i], "schema"))
            return err_set(e, ERR_INVALID, "\"can\" has \"%.40s\"; allowed: chat, embed, schema", h->can.items[i]);
    if (!texts_has(&h->can, "chat") && !texts_has(&h->can, "embed"))
        return err_set(e, ERR_INVALID, "\"can\" must have chat, embed or both");
    return 0;
}

static int64_t tokens_of(const json_t *value, const char *member, int64_t read)
{
    return json_object_get(value, member) ? read : -1;
}

static int read_said(struct arena *a, const json_t *value, struct adapter_line *ret, struct err *e)
{
    struct said said = { 0 };
    int r = record_read(&records[ret->type], a, value, &said, e);
    if (r < 0)
        return r;
    if (ret->type == ADAPTER_VECTORS && !json_is_array(said.vectors))
        return err_set(e, ERR_INVALID, "\"vectors\" must be a list of lists of numbers");
    ret->id = said.id;
    ret->text = ret->type == ADAPTER_ERROR ? said.message : said.text;
    ret->finish = finish_names[said.finish];
    ret->fault = (enum adapter_fault)said.kind;
    ret->vectors = said.vectors;
    ret->prompt_tokens = tokens_of(value, "prompt_tokens", said.prompt_tokens);
    ret->cached_tokens = tokens_of(value, "cached_tokens", said.cached_tokens);
    ret->completion_tokens = tokens_of(value, "completion_tokens", said.completion_tokens);
    return 0;
}

int adapter_line_read(struct arena *a, const char *text, size_t len, struct adapter_line *ret, struct err *e)
{
    json_t *value;
    struct adapter_line line = { 0 };
    int r = json_parse(a, text, len, &value, e);
    if (r < 0)
        return r;
    const char *type = json_text_of(value, "type", NULL);
    if (!type)
        return err_set(e, ERR_INVALID, "it is no object with a \"type\"");
    size_t k = 0;
    while (adapter_type_names[k] && !streq(adapter_type_names[k], type))
        k++;
    if (!adapter_type_names[k]) {
        STR_LOCAL(allowed);
        str_add_words(&allowed, adapter_type_names);
        return err_set(e, ERR_INVALID, "its \"type\" is \"%.40s\"; allowed: %s", type, allowed.data);
    }
    line.type = (enum adapter_type)k;
    r = line.type == ADAPTER_HELLO ? read_hello(a, value, &line, e) : read_said(a, value, &line, e);
    if (r == 0)
        *ret = line;
    return r;
}

/* ---- writing ---- */

static void write_line(struct str *out, json_t *object)
{
    json_write(out, object); /* has no line ends in it */
    str_add_char(out, '\n');
    json_decref(object);
}

static json_t *request(const char *type, int64_t id)
{
    json_t *object = json_object();
    json_put_text(object, "type", type);
    json_put_int(object, "id", id);
    return object;
}

static void put_borrowed(json_t *object, const char *key, json_t *value)
{
    if (value)
        json_put(object, key, json_incref(value));
}

void adapter_write_chat(struct str *out, int64_t id, const struct chat_wish *w, int64_t seed, int slot, bool with_schema)
{
    json_t *line = request("chat", id);
    put_borrowed(line, "messages", w->messages);
    if (w->has_temperature)
        json_put(line, "temperature", json_real(w->temperature));
    if (w->has_seed)
        json_put_int(line, "seed", seed);
    if (w->max_tokens > 0)
        json_put_int(line, "max_tokens", w->max_tokens);
    if (json_object_size(w->sampling))
        put_borrowed(line, "sampling", w->sampling);
    put_borrowed(line, "stop", w->stop);
    if (with_schema)
        put_borrowed(line, "schema", w->schema);
    if (slot >= 0)
        json_put_int(line, "slot", slot);
    write_line(out, line);
}

void adapter_write_embed(struct str *out, int64_t id, const char *const *texts, size_t count)
{
    json_t *line = request("embed", id), *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(list, json_text(texts[i], strlen(texts[i]))) < 0)
            out_of_memory();
    json_put(line, "texts", list);
    write_line(out, line);
}

void adapter_write_word(struct str *out, const char *type, int64_t id)
{
    write_line(out, request(type, id));
}
