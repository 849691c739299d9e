/* pattern.c - PCRE2 with limits, and path patterns.
 *
 * Interpreted, not compiled to machine code: the interpreter's match limit bounds
 * backtracking, and a stack's patterns see kilobytes, not gigabytes.
 */
#include "repo/pattern.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/str.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    MATCH_LIMIT = 50000, /* steps of one attempt */
    DEPTH_LIMIT = 2000,
    HEAP_KIB = 8192,
    MAX_GROUPS = 20,
};

struct pattern {
    pcre2_code *code;
    pcre2_match_context *context;
};

static void pattern_free(void *ptr)
{
    struct pattern *p = ptr;
    pcre2_match_context_free(p->context);
    pcre2_code_free(p->code);
}

bool pattern_compile(struct arena *a, const char *expression, struct pattern **ret, char *why, size_t size)
{
    pcre2_compile_context *options = pcre2_compile_context_create(NULL);
    if (!options)
        out_of_memory();
    pcre2_set_newline(options, PCRE2_NEWLINE_ANYCRLF);
    pcre2_set_parens_nest_limit(options, 50);
    int code;
    PCRE2_SIZE offset;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)expression, PCRE2_ZERO_TERMINATED,
                                         PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &offset, options);
    pcre2_compile_context_free(options);
    uint32_t groups = 0;
    if (compiled)
        pcre2_pattern_info(compiled, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (!compiled || groups > MAX_GROUPS) {
        PCRE2_UCHAR text[120] = "more than 20 groups";
        if (!compiled)
            pcre2_get_error_message(code, text, sizeof text);
        snprintf(why, size, "at %zu: %s", compiled ? (size_t)0 : (size_t)offset, (const char *)text);
        pcre2_code_free(compiled);
        return false;
    }
    struct pattern *p = ARENA_NEW(a, struct pattern);
    p->code = compiled;
    p->context = pcre2_match_context_create(NULL);
    if (!p->context)
        out_of_memory();
    pcre2_set_match_limit(p->context, MATCH_LIMIT);
    pcre2_set_depth_limit(p->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(p->context, HEAP_KIB);
    arena_defer(a, pattern_free, p);
    *ret = p;
    return true;
}

bool pattern_has_group(const struct pattern *p, const char *name)
{
    return pcre2_substring_number_from_name(p->code, (PCRE2_SPTR)name) > 0;
}

static pcre2_match_data *match(const struct pattern *p, const char *text, size_t len, size_t from, bool anchored)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(p->code, NULL);
    if (!data)
        out_of_memory();
    int r = from > len ? PCRE2_ERROR_NOMATCH
                       : pcre2_match(p->code, (PCRE2_SPTR)text, len, from, anchored ? PCRE2_ANCHORED : 0, data,
                                     p->context);
    if (r >= 0)
        return data;
    pcre2_match_data_free(data);
    return NULL;
}

/* A match may begin behind its end (\K in a lookahead); such a one is made empty. */
static struct pattern_match bounds_of(pcre2_match_data *data)
{
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data);
    return (struct pattern_match){ ends[0] < ends[1] ? ends[0] : ends[1], ends[1] };
}

bool pattern_find(const struct pattern *p, const char *text, size_t len, size_t from, bool anchored,
                  struct pattern_match *ret)
{
    pcre2_match_data *data = match(p, text, len, from, anchored);
    if (!data)
        return false;
    *ret = bounds_of(data);
    pcre2_match_data_free(data);
    return true;
}

static struct pattern_match group_place(const struct pattern *p, pcre2_match_data *data, const char *name)
{
    int number = pcre2_substring_number_from_name(p->code, (PCRE2_SPTR)name);
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data) + 2 * (number > 0 ? number : 0);
    if (number <= 0 || ends[0] == PCRE2_UNSET || ends[1] < ends[0])
        return (struct pattern_match){ PATTERN_NOWHERE, PATTERN_NOWHERE };
    return (struct pattern_match){ ends[0], ends[1] };
}

bool pattern_find_places(const struct pattern *p, const char *text, size_t len, size_t from, bool anchored,
                         struct pattern_match *ret, const char *const *groups, struct pattern_match *ret_places,
                         size_t group_count)
{
    pcre2_match_data *data = match(p, text, len, from, anchored);
    if (!data)
        return false;
    *ret = bounds_of(data);
    for (size_t i = 0; i < group_count; i++)
        ret_places[i] = group_place(p, data, groups[i]);
    pcre2_match_data_free(data);
    return true;
}

bool pattern_find_groups(const struct pattern *p, struct arena *a, const char *text, size_t len, size_t from,
                         bool anchored, struct pattern_match *ret, const char *const *groups,
                         const char **ret_groups, size_t group_count)
{
    struct pattern_match places[MAX_GROUPS];
    if (group_count > MAX_GROUPS || !pattern_find_places(p, text, len, from, anchored, ret, groups, places, group_count))
        return false;
    for (size_t i = 0; i < group_count; i++)
        ret_groups[i] = places[i].start == PATTERN_NOWHERE ? "" : arena_strndup(a, text + places[i].start, places[i].end - places[i].start);
    return true;
}

void pattern_replace(const struct pattern *p, const char *text, size_t len, const char *with, size_t max,
                     struct str *out)
{
    PCRE2_SIZE room = max + 1;
    PCRE2_UCHAR *replaced = xmalloc(room);
    int r = pcre2_substitute(p->code, (PCRE2_SPTR)text, len, 0,
                             PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_EXTENDED | PCRE2_SUBSTITUTE_UNSET_EMPTY,
                             NULL, p->context, (PCRE2_SPTR)with, PCRE2_ZERO_TERMINATED, replaced, &room);
    if (r >= 0)
        str_add_bytes(out, replaced, room);
    else
        str_add_bytes(out, text, len);
    free(replaced);
}

/* ---- path patterns ---- */

/* One element of the pattern at *glob: its kind, *glob moved behind it. */
enum element { ELEMENT_END, ELEMENT_CHAR, ELEMENT_ANY, ELEMENT_STAR, ELEMENT_DEEP, ELEMENT_FOLDERS };

static enum element next_element(const char **glob, bool at_part, char *ret_char)
{
    const char *g = *glob;
    *ret_char = *g;
    if (!*g)
        return ELEMENT_END;
    if (g[0] == '*' && g[1] == '*') {
        bool is_folders = at_part && g[2] == '/';
        *glob = g + (is_folders ? 3 : 2);
        return is_folders ? ELEMENT_FOLDERS : ELEMENT_DEEP;
    }
    *glob = g + 1;
    return *g == '*' ? ELEMENT_STAR : *g == '?' ? ELEMENT_ANY : ELEMENT_CHAR;
}

/* reached[i]: the pattern so far fits path[0..i). */
static void step(enum element kind, char c, const char *path, size_t len, const bool *reached, bool *next)
{
    bool carried = false;
    for (size_t i = 0; i <= len; i++) {
        bool behind_slash = i == 0 || path[i - 1] == '/';
        switch (kind) {
        case ELEMENT_CHAR: next[i] = i && reached[i - 1] && path[i - 1] == c; break;
        case ELEMENT_ANY: next[i] = i && reached[i - 1] && path[i - 1] != '/'; break;
        case ELEMENT_STAR:
            carried = reached[i] || (carried && path[i - 1] != '/');
            next[i] = carried;
            break;
        case ELEMENT_DEEP:
            carried = carried || reached[i];
            next[i] = carried;
            break;
        case ELEMENT_FOLDERS:
            carried = carried || reached[i];
            next[i] = reached[i] || (carried && behind_slash);
            break;
        case ELEMENT_END: next[i] = reached[i]; break;
        }
    }
}

bool path_fits(const char *glob, const char *path)
{
    enum { MAX_PATH = 4096 };
    size_t len = strlen(path);
    if (len > MAX_PATH)
        return false;
    bool rows[2][MAX_PATH + 1] = { { true } };
    int now = 0;
    bool at_part = true;
    for (;;) {
        char c;
        enum element kind = next_element(&glob, at_part, &c);
        if (kind == ELEMENT_END)
            return rows[now][len];
        step(kind, c, path, len, rows[now], rows[!now]);
        now = !now;
        at_part = kind == ELEMENT_FOLDERS || (kind == ELEMENT_CHAR && c == '/');
    }
}
