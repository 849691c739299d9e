/* json_text.c - one pass over the bytes, by recursive descent.
 *
 * Nearly all bytes of a body are inside of strings, so only those are looked at sixteen at a time.
 */
#include "base/json_text.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MAX_DEPTH = 200, LAST_CONTROL = 0x1f, FIRST_BEYOND_ASCII = 0x80 };

typedef int8_t bytes_at_once __attribute__((vector_size(16)));

/* Where the bytes end; a function that finds something wrong returns NULL and leaves `bad` there. */
struct scan {
    const char *end, *bad;
};

static const char *wrong(struct scan *s, const char *at)
{
    s->bad = at;
    return NULL;
}

static const char *skip_blanks(const struct scan *s, const char *p)
{
    while (p < s->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* ---- strings ---- */

/* Stands for itself, and nothing comes with it. */
static bool is_plain(char c)
{
    return (unsigned char)c > LAST_CONTROL && (unsigned char)c < FIRST_BEYOND_ASCII && c != '"' && c != '\\';
}

/* Whether all of them are. */
static bool are_plain(const char *p)
{
    bytes_at_once bytes, other;
    uint64_t halves[sizeof bytes / sizeof(uint64_t)];
    memcpy(&bytes, p, sizeof bytes);
    other = (bytes <= LAST_CONTROL) | (bytes == '"') | (bytes == '\\'); /* beyond ASCII they are negative */
    memcpy(halves, &other, sizeof other);
    return !(halves[0] | halves[1]);
}

static const char *skip_hex(const struct scan *s, const char *p)
{
    if (s->end - p < 4)
        return NULL;
    for (int i = 0; i < 4; i++)
        if (!p[i] || !strchr("0123456789abcdefABCDEF", p[i]))
            return NULL;
    return p + 4;
}

/* Behind the escape at `p`, which is a backslash.  Halves of a pair must come as a pair. */
static const char *skip_escape(struct scan *s, const char *p)
{
    const char *at = p;
    if (s->end - p < 2 || !p[1] || !strchr("\"\\/bfnrtu", p[1]))
        return wrong(s, at);
    if (p[1] != 'u')
        return p + 2;
    const char *next = skip_hex(s, p + 2);
    bool surrogate = next && (p[2] == 'd' || p[2] == 'D') && strchr("89abAB", p[3]);
    bool second = next && (p[2] == 'd' || p[2] == 'D') && strchr("cdefCDEF", p[3]);
    if (!next || second)
        return wrong(s, at);
    if (!surrogate)
        return next;
    if (s->end - next < 6 || next[0] != '\\' || next[1] != 'u' || (next[2] != 'd' && next[2] != 'D') || !next[3] ||
        !strchr("cdefCDEF", next[3]) || !skip_hex(s, next + 2))
        return wrong(s, at);
    return next + 6;
}

static const char *skip_string(struct scan *s, const char *p)
{
    uint32_t c;
    if (p == s->end || *p != '"')
        return wrong(s, p);
    for (p++;;) {
        while (s->end - p >= (ptrdiff_t)sizeof(bytes_at_once) && are_plain(p))
            p += sizeof(bytes_at_once);
        while (p < s->end && is_plain(*p))
            p++;
        if (p == s->end || (unsigned char)*p <= LAST_CONTROL)
            return wrong(s, p);
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            p = skip_escape(s, p);
            if (!p)
                return NULL;
            continue;
        }
        size_t n = utf8_decode(p, (size_t)(s->end - p), &c);
        if (!n)
            return wrong(s, p);
        p += n;
    }
}

/* ---- other values ---- */

static const char *skip_digits(const struct scan *s, const char *p)
{
    while (p < s->end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static const char *skip_number(struct scan *s, const char *p)
{
    const char *digits = p + (*p == '-'), *after = skip_digits(s, digits);
    if (after == digits || (*digits == '0' && after > digits + 1))
        return wrong(s, p);
    if (after < s->end && *after == '.') {
        digits = after + 1;
        after = skip_digits(s, digits);
        if (after == digits)
            return wrong(s, after);
    }
    if (after < s->end && (*after == 'e' || *after == 'E')) {
        digits = after + 1;
        digits += digits < s->end && (*digits == '+' || *digits == '-');
        after = skip_digits(s, digits);
        if (after == digits)
            return wrong(s, after);
    }
    return after;
}

static const char *skip_word(struct scan *s, const char *p)
{
    static const char *const words[] = { "true", "false", "null" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(s->end - p) >= n && memcmp(p, words[i], n) == 0)
            return p + n;
    }
    return wrong(s, p);
}

struct found {
    struct arena *arena; /* NULL: nothing is kept */
    struct json_span *items;
    size_t count, cap;
};

static const char *skip_items(struct scan *s, const char *p, int depth, struct found *found);

static const char *skip_value(struct scan *s, const char *p, int depth)
{
    struct found none = { 0 };
    if (p == s->end || depth > MAX_DEPTH)
        return wrong(s, p);
    switch (*p) {
    case '"': return skip_string(s, p);
    case '{':
    case '[': return skip_items(s, p, depth, &none);
    case 't':
    case 'f':
    case 'n': return skip_word(s, p);
    default: return skip_number(s, p);
    }
}

static void keep(struct found *f, const struct json_span *span)
{
    if (!f->arena)
        return;
    ARENA_GROW(f->arena, f->items, f->cap, f->count);
    f->items[f->count++] = *span;
}

/* A member or an element. */
static const char *skip_item(struct scan *s, const char *p, bool named, int depth, struct found *found)
{
    struct json_span span = { 0 };
    if (named) {
        const char *after = skip_string(s, p);
        if (!after)
            return NULL;
        span.key = p + 1;
        span.key_len = (size_t)(after - p) - 2;
        p = skip_blanks(s, after);
        if (p == s->end || *p != ':')
            return wrong(s, p);
        p = skip_blanks(s, p + 1);
    }
    const char *after = skip_value(s, p, depth + 1);
    if (!after)
        return NULL;
    span.text = p;
    span.len = (size_t)(after - p);
    keep(found, &span);
    return after;
}

/* Of the object or array at `p`. */
static const char *skip_items(struct scan *s, const char *p, int depth, struct found *found)
{
    bool named = *p == '{';
    char last = named ? '}' : ']';
    p = skip_blanks(s, p + 1);
    if (p < s->end && *p == last)
        return p + 1;
    for (;;) {
        p = skip_item(s, p, named, depth, found);
        if (!p)
            return NULL;
        p = skip_blanks(s, p);
        if (p < s->end && *p == last)
            return p + 1;
        if (p == s->end || *p != ',')
            return wrong(s, p);
        p = skip_blanks(s, p + 1);
    }
}

static int find(struct arena *a, char first, const char *text, size_t len, struct json_span **ret, size_t *ret_count, struct err *e)
{
    struct scan s = { text + len, text };
    struct found found = { .arena = a };
    const char *p = skip_blanks(&s, text);
    if (p == s.end || *p != first)
        return err_set(e, ERR_INVALID, "not a JSON %s", first == '{' ? "object" : "array");
    p = skip_items(&s, p, 0, &found);
    if (p) {
        p = skip_blanks(&s, p);
        s.bad = p;
    }
    if (!p || p < s.end)
        return err_set(e, ERR_INVALID, "not JSON at byte %zu", (size_t)(s.bad - text) + 1);
    *ret = found.items;
    *ret_count = found.count;
    return 0;
}

int json_text_members(struct arena *a, const char *text, size_t len, struct json_span **ret, size_t *ret_count, struct err *e)
{
    return find(a, '{', text, len, ret, ret_count, e);
}

int json_text_elements(struct arena *a, const char *text, size_t len, struct json_span **ret, size_t *ret_count, struct err *e)
{
    return find(a, '[', text, len, ret, ret_count, e);
}
