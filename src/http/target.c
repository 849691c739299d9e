/* target.c - a request target is cut first and decoded afterwards.
 *
 * A path is a list of segments here and never a string that is compared, so "%2F" in a name
 * (models are called "org/name") is a character of that name and no border.
 */
#include "http/target.h"

#include "base/arena.h"
#include "base/utf8.h"

#include <string.h>

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes `len` bytes into *ret, or says why they are no text. */
static const char *decode(struct arena *a, const char *raw, size_t len, bool plus, const char **ret)
{
    char *out = arena_alloc(a, len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = raw[i];
        if (c == '%') {
            int high = len - i > 2 ? hex_value(raw[i + 1]) : -1;
            int low = len - i > 2 ? hex_value(raw[i + 2]) : -1;
            if (high < 0 || low < 0)
                return "a broken percent encoding";
            c = (char)(high << 4 | low);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        if ((unsigned char)c < ' ' || c == 0x7f)
            return "an encoded control character";
        out[n++] = c;
    }
    if (!utf8_valid(out, n, NULL))
        return "encoded bytes that are not UTF-8";
    *ret = out;
    return NULL;
}

/* Whether a decoded segment is a step rather than a name, also for those who would cut it
 * again at "/" or "\". */
static bool has_dots(const char *segment)
{
    for (const char *p = segment;; p++) {
        size_t len = strcspn(p, "/\\");
        if ((len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
            return true;
        p += len;
        if (!*p)
            return false;
    }
}

static const char *parse_path(struct arena *a, const char *raw, size_t len, struct target *t)
{
    const char *why = decode(a, raw, len, false, &t->path);
    t->segments = ARENA_ARRAY(a, const char *, TARGET_MAX_SEGMENTS);
    const char *p = raw + 1, *end = raw + len;
    while (!why && p <= end && len > 1) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        size_t n = (size_t)((slash ? slash : end) - p);
        if (n == 0 && slash)
            return "an empty segment";
        if (t->segment_count == TARGET_MAX_SEGMENTS)
            return "too many segments";
        const char *segment = NULL;
        why = decode(a, p, n, false, &segment);
        if (!why && has_dots(segment))
            why = "\".\" or \"..\"";
        t->segments[t->segment_count++] = segment;
        p += n + 1;
    }
    return why;
}

static const char *parse_query(struct arena *a, const char *p, struct target *t)
{
    t->query = ARENA_ARRAY(a, struct http_field, TARGET_MAX_QUERY);
    for (;;) {
        size_t len = strcspn(p, "&"), name_len = strcspn(p, "&=");
        if (len) {
            if (t->query_count == TARGET_MAX_QUERY)
                return "too many parameters";
            struct http_field *f = &t->query[t->query_count++];
            size_t value_at = name_len < len ? name_len + 1 : len;
            const char *why = decode(a, p, name_len, true, &f->name);
            if (!why)
                why = decode(a, p + value_at, len - value_at, true, &f->value);
            if (why)
                return why;
        }
        if (!p[len])
            return NULL;
        p += len + 1;
    }
}

const char *target_parse(struct arena *a, const char *raw, struct target *ret)
{
    *ret = (struct target){ .path = "" };
    if (*raw != '/')
        return "it is not a path";
    for (const char *p = raw; *p; p++)
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || strchr("\"<>\\#", *p))
            return "a character that must be encoded";
    size_t path_len = strcspn(raw, "?");
    const char *why = parse_path(a, raw, path_len, ret);
    return why || !raw[path_len] ? why : parse_query(a, raw + path_len + 1, ret);
}

/* ---- patterns ---- */

enum part_kind { PART_LITERAL, PART_ONE, PART_REST };

struct part {
    enum part_kind kind;
    const char *text; /* the literal, or the parameter's name */
    size_t len;
};

/* Takes the next part of a pattern, `*p` being behind its "/"; false: it is none. */
static bool next_part(const char **p, struct part *ret)
{
    size_t len = strcspn(*p, "/");
    *ret = (struct part){ PART_LITERAL, *p, len };
    if (len && **p == '{') {
        bool rest = len > 5 && memcmp(*p + len - 4, "...}", 4) == 0;
        if (len < 3 || (*p)[len - 1] != '}')
            return false;
        *ret = (struct part){ rest ? PART_REST : PART_ONE, *p + 1, len - (rest ? 5 : 2) };
    }
    static const char *const never[] = { [PART_LITERAL] = "{}?#%", [PART_ONE] = "{}.", [PART_REST] = "{}." };
    for (size_t i = 0; i < ret->len; i++)
        if (strchr(never[ret->kind], ret->text[i]))
            return false;
    *p += len;
    return true;
}

bool pattern_valid(const char *pattern)
{
    if (*pattern != '/')
        return false;
    const char *p = pattern + 1;
    for (size_t count = 0; *p || count == 0; count++) {
        struct part part;
        if (count == TARGET_MAX_SEGMENTS || (*p == '/') || !next_part(&p, &part))
            return false;
        if (*p == '/' && (part.kind == PART_REST || !*++p))
            return false;
    }
    return true;
}

/* The segments from `i` on, as they were between slashes. */
static const char *join(struct arena *a, const struct target *t, size_t i)
{
    const char *all = t->segments[i];
    for (i++; i < t->segment_count; i++)
        all = arena_printf(a, "%s/%s", all, t->segments[i]);
    return all;
}

bool pattern_match(struct arena *a, const char *pattern, const struct target *t, struct http_field *ret,
                   size_t *ret_count)
{
    const char *p = pattern + 1;
    size_t i = 0, count = 0;
    while (*p) {
        struct part part;
        if (!next_part(&p, &part) || i == t->segment_count)
            return false;
        const char *segment = t->segments[i++];
        if (part.kind == PART_LITERAL) {
            if (strlen(segment) != part.len || memcmp(segment, part.text, part.len) != 0)
                return false;
        } else {
            if (!*segment)
                return false;
            if (part.kind == PART_REST && t->segment_count > i) {
                if (!*t->segments[t->segment_count - 1])
                    return false;
                segment = join(a, t, i - 1);
                i = t->segment_count;
            }
            ret[count++] = (struct http_field){ arena_strndup(a, part.text, part.len), segment };
        }
        p += *p == '/';
    }
    if (i != t->segment_count)
        return false;
    *ret_count = count;
    return true;
}
