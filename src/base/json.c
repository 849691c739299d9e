/* json.c - a thin coat over Jansson. */
#include "base/json.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"

#include <stdlib.h>

static void decref(void *value)
{
    json_decref(value);
}

json_t *json_keep(struct arena *a, json_t *value)
{
    if (!value)
        out_of_memory();
    arena_defer(a, decref, value);
    return value;
}

int json_parse(struct arena *a, const char *text, size_t len, json_t **ret, struct err *e)
{
    json_error_t fault;
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
    if (!value)
        return err_set(e, ERR_INVALID, "not JSON: line %d, column %d: %s", fault.line, fault.column,
                       fault.text);
    *ret = json_keep(a, value);
    return 0;
}

static int append(const char *bytes, size_t len, void *out)
{
    str_add_bytes(out, bytes, len);
    return 0;
}

void json_write(struct str *out, const json_t *value)
{
    if (json_dump_callback(value, append, out, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) < 0)
        out_of_memory();
}

const char *json_text_of(const json_t *object, const char *key, const char *fallback)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : fallback;
}

int64_t json_int_of(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *v = json_object_get(object, key);
    return json_is_integer(v) ? json_integer_value(v) : fallback;
}

bool json_bool_of(const json_t *object, const char *key, bool fallback)
{
    const json_t *v = json_object_get(object, key);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

json_t *json_text(const char *text, size_t len)
{
    json_t *v;
    if (utf8_valid(text, len, NULL)) {
        v = json_stringn_nocheck(text, len);
    } else {
        char *fixed = xmalloc(3 * len + 1);
        v = json_stringn_nocheck(fixed, utf8_repair(fixed, text, len));
        free(fixed);
    }
    if (!v)
        out_of_memory();
    return v;
}

void json_put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) < 0)
        out_of_memory();
}

void json_put_text(json_t *object, const char *key, const char *text)
{
    json_put(object, key, json_text(text, strlen(text)));
}

void json_put_int(json_t *object, const char *key, int64_t value)
{
    json_put(object, key, json_integer(value));
}

void json_put_bool(json_t *object, const char *key, bool value)
{
    json_put(object, key, json_boolean(value));
}
