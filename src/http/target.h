/* http/target.h - what a request line points at: path, query, and the route that fits.
 *
 * Percent encoding is undone once, after cutting at "/", "&" and "=", so that nothing decoded
 * can move a border.  Source: RFC 3986, section 3; for queries "+" is a blank as in HTML forms.
 *
 * Threads: pure functions; results are in the arena given.
 */
#ifndef TANDEM_HTTP_TARGET_H
#define TANDEM_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

struct http_field {
    const char *name, *value;
};

struct target {
    const char *path; /* decoded */
    const char **segments; /* of the path, decoded; "/" has none */
    size_t segment_count;
    struct http_field *query;
    size_t query_count;
};

enum { TARGET_MAX_SEGMENTS = 32, TARGET_MAX_QUERY = 64 };

/* `raw`: the request target as it was sent.  Returns NULL, or why it is refused: not a path
 * ("*", "http://..."), a character that has no place there, a broken or needless encoding of
 * one ("%zz", "%00"), not UTF-8, an empty segment, "." or "..", too many parts. */
const char *target_parse(struct arena *a, const char *raw, struct target *ret);

/* Whether a pattern can be matched: literal segments, {name}, and {name...} at the end. */
bool pattern_valid(const char *pattern);
/* The parameters of the pattern that the target gives, at most TARGET_MAX_SEGMENTS in `ret`. */
bool pattern_match(struct arena *a, const char *pattern, const struct target *t, struct http_field *ret,
                   size_t *ret_count);

#endif
