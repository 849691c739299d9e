/* completion.c - joining chunks.
 *
 * Generic, so that members we do not know are kept: a text is joined to the text before it
 * only in a choice's delta (and its tool calls' functions), where the protocol says that it is
 * a piece.  Texts grow beside the value and are put into it at the end: to copy what there is for
 * each piece would take the square of an answer's length.
 */
#include "web/completion.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"

#include <stdlib.h>

enum { MAX_CHOICES = 64, MAX_CALLS = 256, MAX_TEXTS = 1024 };

/* Members of a delta that name something, and are no pieces of text. */
static bool is_name(const char *key)
{
    return streq(key, "role") || streq(key, "id") || streq(key, "type") || streq(key, "name");
}

static void put(json_t *object, const char *key, json_t *value)
{
    json_put(object, key, json_incref(value));
}

/* A member of an object whose text goes on. */
struct growing_text {
    json_t *object;
    char *key;
    struct str text;
};

static bool is_text_of(const struct growing_text *t, const json_t *object, const char *key)
{
    return t->object == object && streq(t->key, key);
}

/* It begins with what the member is.  Mostly it is the one of the piece before.  NULL: there are too many. */
static struct str *text_in(struct completion *c, json_t *object, const char *key)
{
    for (size_t i = 0; i < c->text_count; i++) {
        size_t at = (c->last_text + i) % c->text_count;
        if (is_text_of(&c->texts[at], object, key)) {
            c->last_text = at;
            return &c->texts[at].text;
        }
    }
    if (c->text_count == MAX_TEXTS)
        return NULL;
    if (c->text_count == c->text_cap) {
        c->text_cap = 2 * c->text_cap + 4;
        c->texts = xreallocarray(c->texts, c->text_cap, sizeof *c->texts);
    }
    const json_t *before = json_object_get(object, key);
    struct growing_text *t = &c->texts[c->last_text = c->text_count++];
    *t = (struct growing_text){ json_incref(object), xstrdup(key), STR_INIT };
    if (json_is_string(before))
        str_add_bytes(&t->text, json_string_value(before), json_string_length(before));
    else
        json_put_text(object, key, "");
    return &t->text;
}

static void join_text(struct completion *c, json_t *into, const char *key, const json_t *piece)
{
    struct str *text = text_in(c, into, key);
    if (text)
        str_add_bytes(text, json_string_value(piece), json_string_length(piece));
}

/* Nothing is put back where the object was replaced meanwhile: then it is nobody's any more. */
static void put_texts(struct completion *c)
{
    for (size_t i = 0; i < c->text_count; i++) {
        struct growing_text *t = &c->texts[i];
        json_put(t->object, t->key, json_text(t->text.data, t->text.len));
        json_decref(t->object);
        str_release(&t->text);
        free(t->key);
    }
    free(c->texts);
    c->texts = NULL;
    c->text_count = c->text_cap = c->last_text = 0;
}

static void join(struct completion *c, json_t *into, const json_t *from);

/* The element of `list` with this index (a member of its own), made when there is none. */
static json_t *element(json_t *list, int64_t index, size_t most)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
        if (json_int_of(item, "index", 0) == index)
            return item;
    if (json_array_size(list) >= most)
        return NULL;
    item = json_object();
    json_put_int(item, "index", index);
    if (json_array_append_new(list, item) < 0)
        out_of_memory();
    return item;
}

static json_t *list_in(json_t *object, const char *key)
{
    if (!json_is_array(json_object_get(object, key)))
        json_put(object, key, json_array());
    return json_object_get(object, key);
}

static void join_calls(struct completion *c, json_t *into, const json_t *calls)
{
    size_t i;
    json_t *call;
    json_array_foreach((json_t *)(uintptr_t)calls, i, call) {
        json_t *place = element(list_in(into, "tool_calls"), json_int_of(call, "index", 0), MAX_CALLS);
        if (place)
            join(c, place, call);
    }
}

/* A delta, or an object within it. */
static void join(struct completion *c, json_t *into, const json_t *from)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)from, key, value) {
        if (streq(key, "tool_calls")) {
            join_calls(c, into, value);
        } else if (json_is_string(value) && !is_name(key)) {
            join_text(c, into, key, value);
        } else if (json_is_object(value) && json_is_object(json_object_get(into, key))) {
            join(c, json_object_get(into, key), value);
        } else if (json_is_object(value)) {
            json_put(into, key, json_deep_copy(value));
        } else if (!json_is_null(value) || !json_object_get(into, key)) {
            put(into, key, value);
        }
    }
}

static void extend_lists(json_t *into, const json_t *from)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)from, key, value)
        if (json_is_array(value) && json_array_extend(list_in(into, key), value) < 0)
            out_of_memory();
}

static void add_choice(struct completion *c, json_t *into, const json_t *choice)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)choice, key, value) {
        if (streq(key, "delta")) {
            if (!json_is_object(json_object_get(into, "message")))
                json_put(into, "message", json_object());
            join(c, json_object_get(into, "message"), value);
        } else if (streq(key, "text") && json_is_string(value)) {
            join_text(c, into, key, value);
        } else if (streq(key, "logprobs") && json_is_object(value)) {
            if (!json_is_object(json_object_get(into, key)))
                json_put(into, key, json_object());
            extend_lists(json_object_get(into, key), value);
        } else if (!json_is_null(value) || !json_object_get(into, key)) {
            put(into, key, value);
        }
    }
}

void completion_add(struct completion *c, const json_t *chunk)
{
    const char *key;
    json_t *value, *choice;
    size_t i;
    if (!c->value)
        c->value = json_object();
    json_object_foreach((json_t *)(uintptr_t)chunk, key, value)
        if (!streq(key, "choices") && (!json_is_null(value) || !json_object_get(c->value, key)))
            put(c->value, key, value);
    json_t *choices = list_in(c->value, "choices");
    json_array_foreach(json_object_get(chunk, "choices"), i, choice) {
        json_t *place = element(choices, json_int_of(choice, "index", 0), MAX_CHOICES);
        if (place)
            add_choice(c, place, choice);
    }
}

/* A message without text has one that is null, and calls do not carry their index. */
static void finish_message(json_t *message)
{
    size_t i;
    json_t *call;
    if (!json_object_get(message, "role"))
        json_put_text(message, "role", "assistant");
    if (!json_object_get(message, "content"))
        json_put(message, "content", json_null());
    json_array_foreach(json_object_get(message, "tool_calls"), i, call)
        json_object_del(call, "index");
}

json_t *completion_take(struct completion *c)
{
    size_t i;
    json_t *value = c->value, *choice;
    put_texts(c);
    c->value = NULL;
    if (!value)
        return NULL;
    if (streq(json_text_of(value, "object", ""), "chat.completion.chunk"))
        json_put_text(value, "object", "chat.completion");
    json_array_foreach(json_object_get(value, "choices"), i, choice)
        if (json_is_object(json_object_get(choice, "message")))
            finish_message(json_object_get(choice, "message"));
    return value;
}

void completion_release(struct completion *c)
{
    put_texts(c);
    json_decref(c->value);
    c->value = NULL;
}
