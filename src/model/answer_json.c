/* answer_json.c - finding and reading the JSON object in an answer.
 *
 * Models are told to answer with one object and nothing else; some explain it first, fence
 * it, or repeat the example from the prompt before it.  So every place where an object
 * begins is a candidate, in order, and the first one that the record accepts is the answer.
 */
#include "model/answer.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

#include <ctype.h>

enum { MAX_CANDIDATES = 32, MAX_NESTING = 200 };

/* Length of the balanced object at the beginning of `p`; 0: it never ends. */
static size_t object_len(const char *p, size_t len)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        if (in_string) {
            if (p[i] == '\\')
                i++;
            else
                in_string = p[i] != '"';
        } else if (p[i] == '"') {
            in_string = true;
        } else if (p[i] == '{' || p[i] == '[') {
            if (++depth > MAX_NESTING)
                return 0;
        } else if ((p[i] == '}' || p[i] == ']') && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* ---- mending ---- */

/* Copies a string literal from `i` (its opening quote) on; returns the index behind it. */
static size_t mend_string(struct str *out, const char *p, size_t len, size_t i)
{
    str_add_char(out, p[i++]);
    while (i < len && p[i] != '"') {
        if (p[i] == '\\' && i + 1 < len) {
            str_add_bytes(out, p + i, 2);
            i += 2;
        } else if ((unsigned char)p[i] < ' ') {
            if (p[i] == '\n')
                str_add(out, "\\n");
            else if (p[i] == '\t')
                str_add(out, "\\t");
            else if (p[i] != '\r')
                str_addf(out, "\\u%04x", (unsigned)(unsigned char)p[i]);
            i++;
        } else {
            str_add_char(out, p[i++]);
        }
    }
    if (i < len)
        str_add_char(out, p[i++]);
    return i;
}

/* The index behind white space and comments. */
static size_t skip_blank(const char *p, size_t len, size_t i)
{
    while (i < len) {
        if (isspace((unsigned char)p[i])) {
            i++;
        } else if (p[i] == '/' && i + 1 < len && p[i + 1] == '/') {
            const char *newline = memchr(p + i, '\n', len - i);
            i = newline ? (size_t)(newline - p) : len;
        } else if (p[i] == '/' && i + 1 < len && p[i + 1] == '*') {
            const char *end = memmem(p + i + 2, len - i - 2, "*/", 2);
            i = end ? (size_t)(end - p) + 2 : len;
        } else {
            break;
        }
    }
    return i;
}

/* Python's words for JSON's. */
static size_t mend_word(struct str *out, const char *p, size_t len, size_t i)
{
    static const char *const words[][2] = { { "True", "true" }, { "False", "false" }, { "None", "null" } };
    size_t n = 1;
    while (i + n < len && isalnum((unsigned char)p[i + n]))
        n++;
    for (size_t k = 0; k < 3; k++) {
        if (n == strlen(words[k][0]) && memcmp(p + i, words[k][0], n) == 0) {
            str_add(out, words[k][1]);
            return i + n;
        }
    }
    str_add_bytes(out, p + i, n);
    return i + n;
}

static void mend(struct str *out, const char *p, size_t len)
{
    for (size_t i = skip_blank(p, len, 0); i < len; i = skip_blank(p, len, i)) {
        if (p[i] == '"') {
            i = mend_string(out, p, len, i);
        } else if (isalpha((unsigned char)p[i])) {
            i = mend_word(out, p, len, i);
        } else if (p[i] == ',') {
            size_t next = skip_blank(p, len, i + 1);
            if (next < len && p[next] != '}' && p[next] != ']')
                str_add_char(out, ',');
            i = next;
        } else {
            str_add_char(out, p[i++]);
        }
    }
}

/* ---- candidates ---- */

static int parse(struct arena *a, const char *p, size_t len, bool balanced, json_t **ret, struct err *e)
{
    int r = json_parse(a, p, len, ret, e);
    if (r == 0 || !balanced)
        return r;
    STR_LOCAL(mended);
    mend(&mended, p, len);
    return json_parse(a, mended.data, mended.len, ret, NULL) == 0 ? 0 : r;
}

/* Reads by the record, also the only member of a wrapper.  The error is about the outside. */
static int accept(struct arena *a, const json_t *value, const struct record *r, void *ret, struct err *e)
{
    int code = record_read(r, a, value, ret, e);
    const json_t *inner = json_object_iter_value(json_object_iter((json_t *)value));
    if (code < 0 && json_object_size(value) == 1 && json_is_object(inner) &&
        !record_field(r, json_object_iter_key(json_object_iter((json_t *)value))))
        return record_read(r, a, inner, ret, NULL) == 0 ? 0 : code;
    return code;
}

static int no_object(const char *text, size_t len, struct err *e)
{
    size_t i = 0;
    while (i < len && isspace((unsigned char)text[i]))
        i++;
    if (i == len)
        return err_set(e, ERR_INVALID, "the answer is empty; answer with one JSON object");
    size_t shown = len - i < 60 ? len - i : utf8_floor(text + i, 60);
    return err_set(e, ERR_INVALID, "the answer holds no JSON object, it begins \"%.*s\"; answer with one "
                   "JSON object and nothing else", (int)shown, text + i);
}

int answer_read_json(struct arena *a, const char *text, size_t len, const struct record *r, void *ret,
                     struct err *e)
{
    struct err largest = { 0 }, fault = { 0 };
    size_t largest_len = 0;
    const char *end = text + len, *p = text;
    for (int tries = 0; tries < MAX_CANDIDATES && (p = memchr(p, '{', (size_t)(end - p))); tries++) {
        size_t n = object_len(p, (size_t)(end - p));
        json_t *value = NULL;
        int parsed = parse(a, p, n ? n : (size_t)(end - p), n > 0, &value, &fault);
        if (parsed == 0 && accept(a, value, r, ret, &fault) == 0)
            return 0;
        if (n > largest_len || !largest.code) {
            largest = fault;
            largest_len = n;
        }
        /* What is no JSON may only be a brace in prose, with the object inside. */
        p += parsed == 0 ? n : 1;
    }
    if (!largest.code)
        return no_object(text, len, e);
    return err_set(e, ERR_INVALID, "%s", largest.text);
}
