/* pattern.h - regular expressions and path patterns that stack files carry.
 *
 * Expressions are Perl's (PCRE2), matched on bytes, with multi-line mode on and any of
 * \n, \r\n, \r as line end.  What they are matched against is hostile: effort is limited
 * per call, and reaching the limit counts as "no match".
 *
 * Threads: a compiled pattern is read-only and may be shared.
 */
#ifndef TANDEM_PATTERN_H
#define TANDEM_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct pattern;
struct str;

/* `why` (`size` bytes) says what is wrong and where: "at 5: missing closing parenthesis".
 * Lives as long as the arena. */
bool pattern_compile(struct arena *a, const char *expression, struct pattern **ret, char *why, size_t size);
bool pattern_has_group(const struct pattern *p, const char *name);

struct pattern_match { size_t start, end; };
/* The first match at or behind `from` (`anchored`: at `from` only). */
bool pattern_find(const struct pattern *p, const char *text, size_t len, size_t from, bool anchored,
                  struct pattern_match *ret);
/* As pattern_find; ret_places says where the named groups are (PATTERN_NOWHERE twice where a
 * group took no part). */
#define PATTERN_NOWHERE SIZE_MAX
bool pattern_find_places(const struct pattern *p, const char *text, size_t len, size_t from, bool anchored,
                         struct pattern_match *ret, const char *const *groups, struct pattern_match *ret_places,
                         size_t group_count);
/* The same; the groups' texts go to ret_groups ("" where a group took no part), copied into
 * the arena. */
bool pattern_find_groups(const struct pattern *p, struct arena *a, const char *text, size_t len, size_t from,
                         bool anchored, struct pattern_match *ret, const char *const *groups,
                         const char **ret_groups, size_t group_count);

/* Appends `text` with every match replaced ($1, ${name} in `with`); at most `max` bytes,
 * otherwise (and where the effort is too great) the text as it was. */
void pattern_replace(const struct pattern *p, const char *text, size_t len, const char *with, size_t max,
                     struct str *out);

/* Whether the whole path fits: '?' and '*' stop at '/', "**" does not, and a leading or
 * inner "**" followed by '/' may stand for nothing. */
bool path_fits(const char *glob, const char *path);

#endif
