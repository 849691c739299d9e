/* record.c - JSON in and out of described structs.
 *
 * A table walked at run time, not generated code: the table can also be printed as a
 * schema, and a new field is one line in one place.
 */
#include "base/record.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_MAX_TEXT = 1 << 20, DEFAULT_MAX_ITEMS = 10000, MAX_DEPTH = 8 };

struct reading {
    struct arena *arena;
    struct err *err;
    char where[256];
    int depth;
};

static void *at(const void *value, const struct field *f)
{
    return (char *)value + f->offset;
}

const struct field *record_field(const struct record *r, const char *name)
{
    for (size_t i = 0; i < r->field_count; i++)
        if (streq(r->fields[i].name, name))
            return &r->fields[i];
    return NULL;
}

/* ---- reading ---- */

static int fault(struct reading *rd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int fault(struct reading *rd, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(rd->err, ERR_INVALID, "%s %s", rd->where[0] ? rd->where : "the value", text);
}

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "text";
    case JSON_INTEGER: return "a whole number";
    case JSON_REAL: return "a number";
    case JSON_NULL: return "null";
    default: return "true or false";
    }
}

static int wrong_type(struct reading *rd, const json_t *v, const char *wanted)
{
    return fault(rd, "must be %s, not %s", wanted, type_name(v));
}

static int read_object(struct reading *rd, const struct record *r, const json_t *v, void *ret);

/* A line that is part of larger layouts.  Not a blank in the place of a line's end: in what a
 * program prints, it matters which of them it is. */
static const char *in_one_line(struct arena *a, const char *text, size_t len)
{
    STR_LOCAL(out);
    while (len && isspace((unsigned char)text[len - 1]))
        len--;
    size_t i = strspn(text, " \t\r\n");
    for (; i < len; i++) {
        if (text[i] == '\n')
            str_add(&out, "\\n");
        else if (text[i] == '\t')
            str_add(&out, "\\t");
        else if (text[i] != '\r')
            str_add_char(&out, text[i]);
    }
    return arena_strndup(a, out.data, out.len);
}

static int read_text(struct reading *rd, const struct field *f, const json_t *v, const char **ret)
{
    if (!json_is_string(v))
        return wrong_type(rd, v, "text");
    size_t len = json_string_length(v);
    int64_t max = f->kind == FIELD_TEXT && f->max > 0 ? f->max : DEFAULT_MAX_TEXT;
    if ((int64_t)len > max)
        return fault(rd, "is %zu bytes long; at most %" PRId64 " are allowed", len, max);
    if (f->kind == FIELD_TEXT && (int64_t)len < f->min)
        return fault(rd, "is too short; at least %" PRId64 " bytes are needed", f->min);
    if (memchr(json_string_value(v), '\0', len))
        return fault(rd, "contains a NUL byte");
    *ret = f->one_line ? in_one_line(rd->arena, json_string_value(v), len) : arena_strndup(rd->arena, json_string_value(v), len);
    return 0;
}

static int read_int(struct reading *rd, const struct field *f, const json_t *v, int64_t *ret)
{
    if (!json_is_integer(v))
        return wrong_type(rd, v, "a whole number");
    int64_t n = json_integer_value(v);
    if (f->max > f->min && (n < f->min || n > f->max))
        return fault(rd, "is %" PRId64 "; allowed is %" PRId64 " to %" PRId64, n, f->min, f->max);
    *ret = n;
    return 0;
}

static int read_enum(struct reading *rd, const struct field *f, const json_t *v, int *ret)
{
    const char *word = json_string_value(v);
    for (int i = 0; word && f->choices[i]; i++) {
        if (streq(f->choices[i], word)) {
            *ret = i;
            return 0;
        }
    }
    STR_LOCAL(allowed);
    str_add_words(&allowed, f->choices);
    if (!word)
        return fault(rd, "must be one of: %s", allowed.data);
    return fault(rd, "is \"%.60s\"; allowed: %s", word, allowed.data);
}

/* What texts_add takes to be there: the next power of two. */
static size_t texts_room(size_t count)
{
    size_t room = 1;
    while (room < count)
        room *= 2;
    return room;
}

static int read_list(struct reading *rd, const struct field *f, const json_t *v, void *ret)
{
    if (!json_is_array(v))
        return wrong_type(rd, v, "a list");
    size_t count = json_array_size(v);
    size_t max = f->max > 0 ? (size_t)f->max : DEFAULT_MAX_ITEMS;
    if (count > max)
        return fault(rd, "has %zu items; at most %zu are allowed", count, max);
    if ((int64_t)count < f->min)
        return fault(rd, "has %zu items; at least %" PRId64 " are needed", count, f->min);
    size_t size = f->kind == FIELD_TEXTS ? sizeof(char *) : f->of->size;
    size_t room = f->kind == FIELD_TEXTS ? texts_room(count) : count;
    char *items = arena_alloc_array(rd->arena, room, size);
    size_t where_len = strlen(rd->where);
    for (size_t i = 0; i < count; i++) {
        snprintf(rd->where + where_len, sizeof rd->where - where_len, "[%zu]", i);
        const json_t *item = json_array_get(v, i);
        int r = f->kind == FIELD_TEXTS ? read_text(rd, f, item, (const char **)items + i)
                                       : read_object(rd, f->of, item, items + i * size);
        if (r < 0)
            return r;
    }
    rd->where[where_len] = '\0';
    if (f->kind == FIELD_TEXTS)
        *(struct texts *)ret = (struct texts){ (const char **)items, count };
    else
        *(struct records *)ret = (struct records){ items, count };
    return 0;
}

static int read_field(struct reading *rd, const struct field *f, const json_t *v, void *ret)
{
    switch (f->kind) {
    case FIELD_TEXT: return read_text(rd, f, v, ret);
    case FIELD_INT: return read_int(rd, f, v, ret);
    case FIELD_REAL:
        if (!json_is_number(v))
            return wrong_type(rd, v, "a number");
        *(double *)ret = json_number_value(v);
        return 0;
    case FIELD_BOOL:
        if (!json_is_boolean(v))
            return wrong_type(rd, v, "true or false");
        *(bool *)ret = json_is_true(v);
        return 0;
    case FIELD_ENUM: return read_enum(rd, f, v, ret);
    case FIELD_TEXTS:
    case FIELD_RECORDS: return read_list(rd, f, v, ret);
    case FIELD_RECORD: return read_object(rd, f->of, v, ret);
    case FIELD_JSON:
        *(json_t **)ret = json_keep(rd->arena, json_incref((json_t *)v));
        return 0;
    }
    return 0;
}

static void set_defaults(const struct record *r, void *ret)
{
    memset(ret, 0, r->size);
    for (size_t i = 0; i < r->field_count; i++) {
        const struct field *f = &r->fields[i];
        if (f->kind == FIELD_TEXT)
            *(const char **)at(ret, f) = "";
        else if (f->kind == FIELD_INT)
            *(int64_t *)at(ret, f) = f->absent ? f->absent : f->min > 0 ? f->min : 0;
        else if (f->kind == FIELD_ENUM)
            *(int *)at(ret, f) = (int)f->absent;
        else if (f->kind == FIELD_RECORD)
            set_defaults(f->of, at(ret, f));
    }
}

static int unknown_member(struct reading *rd, const struct record *r, const char *key)
{
    char allowed[400];
    size_t len = 0;
    allowed[0] = '\0';
    for (size_t i = 0; i < r->field_count && len < sizeof allowed; i++)
        len += (size_t)snprintf(allowed + len, sizeof allowed - len, "%s%s", i ? ", " : "",
                                r->fields[i].name);
    return fault(rd, "is not known here; allowed in %s: %s (found \"%.60s\")", r->name, allowed, key);
}

static int read_object(struct reading *rd, const struct record *r, const json_t *v, void *ret)
{
    if (!json_is_object(v))
        return wrong_type(rd, v, "an object");
    if (rd->depth >= MAX_DEPTH)
        return fault(rd, "is nested too deeply");
    rd->depth++;
    set_defaults(r, ret);
    size_t where_len = strlen(rd->where);
    const char *dot = where_len ? "." : "";
    const char *key;
    json_t *ignored;
    json_object_foreach((json_t *)v, key, ignored) {
        if (!record_field(r, key)) {
            snprintf(rd->where + where_len, sizeof rd->where - where_len, "%s%.100s", dot, key);
            return unknown_member(rd, r, key);
        }
    }
    for (size_t i = 0; i < r->field_count; i++) {
        const struct field *f = &r->fields[i];
        const json_t *member = json_object_get(v, f->name);
        snprintf(rd->where + where_len, sizeof rd->where - where_len, "%s%s", dot, f->name);
        if (!member || json_is_null(member)) {
            if (f->required)
                return fault(rd, "is missing%s%s", f->doc ? ": " : "", f->doc ? f->doc : "");
            continue;
        }
        int code = read_field(rd, f, member, at(ret, f));
        if (code < 0)
            return code;
        if (f->required && f->kind == FIELD_TEXT && !**(const char **)at(ret, f))
            return fault(rd, "is empty%s%s", f->doc ? ": " : "", f->doc ? f->doc : "");
    }
    rd->where[where_len] = '\0';
    rd->depth--;
    return 0;
}

int record_read_at(const struct record *r, struct arena *a, const json_t *value, void *ret,
                   char *ret_where, size_t size, struct err *e)
{
    struct reading rd = { .arena = a, .err = e };
    void *fresh = arena_alloc(a, r->size);
    int code = read_object(&rd, r, value, fresh);
    if (code < 0) {
        if (size)
            snprintf(ret_where, size, "%s", rd.where);
        return code;
    }
    memcpy(ret, fresh, r->size);
    return 0;
}

int record_read(const struct record *r, struct arena *a, const json_t *value, void *ret,
                struct err *e)
{
    return record_read_at(r, a, value, ret, NULL, 0, e);
}

/* ---- writing ---- */

static json_t *write_list(const struct field *f, const void *value)
{
    json_t *list = json_array();
    const struct texts *texts = value;
    const struct records *records = value;
    size_t count = f->kind == FIELD_TEXTS ? texts->count : records->count;
    for (size_t i = 0; i < count; i++) {
        json_t *item = f->kind == FIELD_TEXTS
                           ? json_text(texts->items[i], strlen(texts->items[i]))
                           : record_write(f->of, (char *)records->items + i * f->of->size);
        if (json_array_append_new(list, item) < 0)
            out_of_memory();
    }
    return list;
}

/* NULL: leave it out. */
static json_t *write_field(const struct field *f, const void *value)
{
    switch (f->kind) {
    case FIELD_TEXT: {
        const char *s = *(const char *const *)value;
        return s && (*s || f->required) ? json_text(s, strlen(s)) : NULL;
    }
    case FIELD_INT: return f->quiet && *(const int64_t *)value == f->absent ? NULL : json_integer(*(const int64_t *)value);
    case FIELD_REAL: return json_real(*(const double *)value);
    case FIELD_BOOL: return json_boolean(*(const bool *)value);
    case FIELD_ENUM: return f->quiet && *(const int *)value == f->absent ? NULL : json_string(f->choices[*(const int *)value]);
    case FIELD_TEXTS:
    case FIELD_RECORDS: {
        size_t count = f->kind == FIELD_TEXTS ? ((const struct texts *)value)->count
                                              : ((const struct records *)value)->count;
        return count || f->required ? write_list(f, value) : NULL;
    }
    case FIELD_RECORD: return record_write(f->of, value);
    case FIELD_JSON: {
        json_t *v = *(json_t *const *)value;
        return v ? json_incref(v) : NULL;
    }
    }
    return NULL;
}

json_t *record_write(const struct record *r, const void *value)
{
    json_t *object = json_object();
    for (size_t i = 0; i < r->field_count; i++) {
        json_t *member = write_field(&r->fields[i], at(value, &r->fields[i]));
        if (member)
            json_put(object, r->fields[i].name, member);
    }
    return object;
}

/* ---- texts that cannot be written ---- */

static int check_text(const char *name, const char *text, struct err *e)
{
    size_t bad, line = 1;
    if (!text || utf8_valid(text, strlen(text), &bad))
        return 0;
    for (size_t i = 0; i < bad; i++)
        line += text[i] == '\n';
    return err_set(e, ERR_INVALID, "%s is not UTF-8 in line %zu (byte %zu of the text), as all has to be that is stored", name, line, bad + 1);
}

static int check_field(const struct field *f, const void *value, struct err *e)
{
    const struct texts *texts = value;
    const struct records *records = value;
    int r = 0;
    if (f->kind == FIELD_TEXT)
        return check_text(f->name, *(const char *const *)value, e);
    if (f->kind == FIELD_RECORD)
        return record_check_utf8(f->of, value, e);
    for (size_t i = 0; r == 0 && f->kind == FIELD_TEXTS && i < texts->count; i++)
        r = check_text(f->name, texts->items[i], e);
    for (size_t i = 0; r == 0 && f->kind == FIELD_RECORDS && i < records->count; i++)
        if ((r = record_check_utf8(f->of, (const char *)records->items + i * f->of->size, e)) < 0)
            err_prefix(e, "%s[%zu]", f->name, i);
    return r;
}

int record_check_utf8(const struct record *r, const void *value, struct err *e)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < r->field_count; i++)
        code = check_field(&r->fields[i], at(value, &r->fields[i]), e);
    return code;
}

/* ---- the schema ---- */

static json_t *field_schema(const struct field *f)
{
    static const char *const types[] = {
        [FIELD_TEXT] = "string", [FIELD_INT] = "integer", [FIELD_REAL] = "number",
        [FIELD_BOOL] = "boolean", [FIELD_ENUM] = "string", [FIELD_TEXTS] = "array",
        [FIELD_RECORDS] = "array",
    };
    if (f->kind == FIELD_RECORD)
        return record_schema(f->of);
    json_t *s = json_object();
    if (f->kind == FIELD_JSON)
        return s;
    json_put_text(s, "type", types[f->kind]);
    if (f->doc)
        json_put_text(s, "description", f->doc);
    if (f->kind == FIELD_ENUM) {
        json_t *list = json_array();
        for (size_t i = 0; f->choices[i]; i++)
            json_array_append_new(list, json_string(f->choices[i]));
        json_put(s, "enum", list);
    }
    if (f->kind == FIELD_INT && f->max > f->min) {
        json_put_int(s, "minimum", f->min);
        json_put_int(s, "maximum", f->max);
    }
    if (f->kind == FIELD_TEXT && (f->required || f->min > 0))
        json_put_int(s, "minLength", f->min > 0 ? f->min : 1);
    if (f->kind == FIELD_TEXT && f->max > 0)
        json_put_int(s, "maxLength", f->max);
    if (f->kind == FIELD_TEXTS || f->kind == FIELD_RECORDS) {
        if (f->min > 0)
            json_put_int(s, "minItems", f->min);
        if (f->max > 0)
            json_put_int(s, "maxItems", f->max);
        json_put(s, "items", f->kind == FIELD_TEXTS ? json_pack("{s:s}", "type", "string")
                                                    : record_schema(f->of));
    }
    return s;
}

json_t *record_schema(const struct record *r)
{
    json_t *schema = json_object(), *properties = json_object(), *required = json_array();
    json_put_text(schema, "type", "object");
    for (size_t i = 0; i < r->field_count; i++) {
        json_put(properties, r->fields[i].name, field_schema(&r->fields[i]));
        if (r->fields[i].required)
            json_array_append_new(required, json_string(r->fields[i].name));
    }
    json_put(schema, "properties", properties);
    json_put(schema, "required", required);
    json_put_bool(schema, "additionalProperties", false);
    return schema;
}

/* ---- the shape ---- */

static void add_shape(struct str *out, const struct record *r);

static void add_field_shape(struct str *out, const struct field *f)
{
    switch (f->kind) {
    case FIELD_TEXT: str_add(out, "text"); break;
    case FIELD_INT: str_add(out, "whole number"); break;
    case FIELD_REAL: str_add(out, "number"); break;
    case FIELD_BOOL: str_add(out, "true or false"); break;
    case FIELD_ENUM:
        for (size_t i = 0; f->choices[i]; i++)
            str_addf(out, "%s\"%s\"", i ? "|" : "", f->choices[i]);
        break;
    case FIELD_TEXTS: str_add(out, "[text]"); break;
    case FIELD_RECORD: add_shape(out, f->of); break;
    case FIELD_RECORDS:
        str_add_char(out, '[');
        add_shape(out, f->of);
        str_add_char(out, ']');
        break;
    case FIELD_JSON: str_add(out, "any"); break;
    }
}

static void add_shape(struct str *out, const struct record *r)
{
    str_add_char(out, '{');
    for (size_t i = 0; i < r->field_count; i++) {
        str_addf(out, "%s\"%s\"%s: ", i ? ", " : "", r->fields[i].name, r->fields[i].required ? "" : "?");
        add_field_shape(out, &r->fields[i]);
    }
    str_add_char(out, '}');
}

const char *record_shape(const struct record *r, struct arena *a)
{
    STR_LOCAL(out);
    add_shape(&out, r);
    return arena_strndup(a, out.data, out.len);
}

/* ---- texts ---- */

bool texts_has(const struct texts *t, const char *item)
{
    for (size_t i = 0; i < t->count; i++)
        if (streq(t->items[i], item))
            return true;
    return false;
}

void texts_add(struct texts *t, struct arena *a, const char *item)
{
    /* Room doubles at powers of two, so that adding n items copies O(n). */
    if ((t->count & (t->count - 1)) == 0) {
        size_t room = t->count ? t->count * 2 : 1;
        const char **items = ARENA_ARRAY(a, const char *, room);
        if (t->count)
            memcpy(items, t->items, t->count * sizeof *items);
        t->items = items;
    }
    t->items[t->count++] = arena_strdup(a, item);
}

json_t *texts_json(const struct texts *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->count; i++)
        json_array_append_new(list, json_string(t->items[i]));
    return list;
}

const char *texts_join(const struct texts *t, struct arena *a, const char *between, size_t most)
{
    STR_LOCAL(out);
    size_t shown = most && most < t->count ? most : t->count;
    for (size_t i = 0; i < shown; i++)
        str_addf(&out, "%s%s", i ? between : "", t->items[i]);
    if (shown < t->count)
        str_addf(&out, " and %zu more", t->count - shown);
    return arena_strndup(a, out.data, out.len);
}

static int compare_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

void texts_sort(struct texts *t)
{
    if (t->count)
        qsort(t->items, t->count, sizeof *t->items, compare_text);
}
