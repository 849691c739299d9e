/* stack.c - what a stack says about paths, tests and text, without running anything.
 *
 * Tests are listed by patterns over the text rather than by a parser per language: a new
 * language is then a file of data.  Comments and string literals are blanked first, so
 * that a test in a comment is none.
 */
#include "repo/stack.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/set.h"
#include "base/str.h"
#include "repo/results_build.h"
#include "repo/stack_file.h"

enum {
    MAX_LISTED = 5000,
    MAX_STRIPPED = 1 << 20,
    MAX_LOOKED_INTO = 50, /* files per rule of detection */
    MAX_PROJECT_NAME = 60,
    MAX_SCOPES = 10, /* in each other */
};

const char *stack_name(const struct stack *s)
{
    return s->spec.name;
}

const char *stack_title(const struct stack *s)
{
    return s->spec.title;
}

const char *stack_guide(const struct stack *s, struct arena *a, bool for_tester)
{
    return arena_printf(a, "%s%s", s->spec.guide.layout, for_tester ? s->spec.guide.tester : s->spec.guide.developer);
}

bool stack_is_protected(const struct stack *s, const char *path)
{
    for (size_t i = 0; i < s->spec.scaffold.count; i++) {
        const struct stack_scaffold_file *f = (const struct stack_scaffold_file *)s->spec.scaffold.items + i;
        if (f->protected && streq(f->path, path))
            return true;
    }
    return stack_fits(&s->spec.protected, path);
}

bool stack_is_test(const struct stack *s, const char *path)
{
    return stack_fits(&s->spec.tests, path) && !stack_is_protected(s, path);
}

bool stack_is_refused(const struct stack *s, const char *path)
{
    return stack_fits(&s->spec.refused, path) && !stack_is_test(s, path);
}

bool stack_is_build(const struct stack *s, const char *path)
{
    return stack_fits(&s->spec.build_files, path) && !stack_is_protected(s, path);
}

/* ---- detection ---- */

static bool contains(struct repo *r, const struct pattern *p, const struct tree_file *file)
{
    ARENA_LOCAL(scratch);
    const char *bytes;
    size_t len;
    struct err e;
    struct pattern_match found;
    if (repo_blob(r, &scratch, &file->oid, &bytes, &len, &e) < 0)
        return false; /* a rule of thumb; what does not read says nothing */
    return pattern_find(p, bytes, len < RESULTS_MAX_MESSAGE ? len : RESULTS_MAX_MESSAGE, 0, false, &found);
}

static bool rule_holds(const struct stack *s, const struct stack_detect *rule, struct repo *r, const struct tree *t)
{
    const struct pattern *p = stack_pattern(s, rule->contains);
    size_t looked = 0;
    for (size_t i = 0; i < t->count && looked < MAX_LOOKED_INTO; i++) {
        if (!stack_fits(&rule->files, t->files[i].path))
            continue;
        if (!p)
            return true;
        if (!r)
            return false;
        looked++;
        if (contains(r, p, &t->files[i]))
            return true;
    }
    return false;
}

int stack_detect(struct arena *a, const char *const *override_dirs, struct repo *r, const struct tree *t,
                 const char **ret_name, struct err *e)
{
    struct texts names;
    int code = stack_names(a, override_dirs, &names, e);
    const char *best = NULL;
    int64_t best_weight = 0;
    for (size_t i = 0; code == 0 && i < names.count; i++) {
        struct stack *s;
        code = stack_load(&s, names.items[i], override_dirs, e);
        if (code < 0)
            break;
        int64_t weight = 0;
        for (size_t n = 0; n < s->spec.detect.count; n++) {
            const struct stack_detect *rule = (const struct stack_detect *)s->spec.detect.items + n;
            weight += rule_holds(s, rule, r, t) ? rule->weight : 0;
        }
        if (weight > best_weight) {
            best = names.items[i];
            best_weight = weight;
        }
        stack_free(s);
    }
    if (code == 0)
        *ret_name = best;
    return code;
}

/* ---- scaffold ---- */

/* A name that can stand in build files, and as a program's: small letters, digits, '-' and '_', a
 * letter first. */
static const char *plain_name(struct arena *a, const char *project)
{
    STR_LOCAL(name);
    for (; *project && name.len < MAX_PROJECT_NAME; project++) {
        char c = *project;
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (is_letter || (name.len && ((c >= '0' && c <= '9') || c == '_')))
            str_add_char(&name, c);
        else if (name.len && name.data[name.len - 1] != '-')
            str_add_char(&name, '-');
    }
    if (name.len && name.data[name.len - 1] == '-')
        str_truncate(&name, name.len - 1);
    return name.len ? arena_strndup(a, name.data, name.len) : "project";
}

int stack_scaffold(const struct stack *s, struct arena *a, const char *project, struct tree_change **ret,
                   size_t *ret_count, struct err *e)
{
    (void)e;
    const char *const pairs[] = { "{project}", plain_name(a, project), NULL };
    struct tree_change *files = ARENA_ARRAY(a, struct tree_change, s->scaffold_count);
    for (size_t i = 0; i < s->scaffold_count; i++) {
        const struct tree_change *f = &s->scaffold[i];
        const char *text = stack_fill(a, f->bytes, pairs);
        files[i] = (struct tree_change){ arena_strdup(a, f->path), text, strlen(text), f->executable };
    }
    *ret = files;
    *ret_count = s->scaffold_count;
    return 0;
}

/* ---- listing ---- */

/* A copy in which what is not code is blank; newlines stay, so that lines stay. */
char *stack_blank(const struct stack *s, struct arena *a, const char *blank, const char *bytes, size_t len)
{
    static const char *const groups[] = { "text" };
    char *copy = arena_strndup(a, bytes, len);
    const struct pattern *p = stack_pattern(s, blank);
    struct pattern_match m, gone;
    for (size_t at = 0; p && at <= len && pattern_find_places(p, bytes, len, at, false, &m, groups, &gone, 1);) {
        if (gone.start == PATTERN_NOWHERE)
            gone = m;
        for (size_t i = gone.start; i < gone.end; i++)
            if (copy[i] != '\n')
                copy[i] = ' ';
        at = m.end > m.start ? m.end : m.end + 1;
    }
    return copy;
}

const char *stack_name_at(struct arena *a, const char *bytes, const char *code, struct pattern_match place, bool *ret_is_literal)
{
    size_t len = place.start == PATTERN_NOWHERE ? 0 : place.end - place.start;
    const char *text = len ? bytes + place.start : "";
    *ret_is_literal = len && memcmp(text, code + place.start, len) != 0;
    if (!*ret_is_literal)
        return arena_strndup(a, text, len);
    STR_LOCAL(name);
    for (size_t i = 0; i < len; i++) {
        i += text[i] == '\\' && i + 1 < len && strchr("\\\"'`", text[i + 1]);
        str_add_char(&name, text[i]);
    }
    return arena_strndup(a, name.data, name.len);
}

/* The scopes that are open at an offset, the outermost first; offsets only grow. */
struct scopes {
    struct { const char *name; size_t indent; } open[MAX_SCOPES];
    size_t depth;
    size_t from; /* behind what opened the last one */
};

static size_t indent_of_line(const char *text, size_t at)
{
    while (at && text[at - 1] != '\n' && text[at - 1] != '\r')
        at--;
    return strspn(text + at, " \t");
}

/* What stands at this indentation is in none that begins there. */
static void scopes_close(struct scopes *scopes, size_t indent)
{
    while (scopes->depth && scopes->open[scopes->depth - 1].indent >= indent)
        scopes->depth--;
}

struct listed_file { const char *path, *bytes, *code; size_t len; };

static void scopes_advance(const struct stack *s, struct arena *a, const struct stack_listing *l, const struct listed_file *f,
                           size_t offset, struct scopes *scopes)
{
    static const char *const groups[] = { "scope" };
    const struct pattern *begin = stack_pattern(s, l->scope), *end = stack_pattern(s, l->scope_end);
    struct pattern_match m, place;
    while (begin && pattern_find_places(begin, f->code, f->len, scopes->from, false, &m, groups, &place, 1) && m.start < offset) {
        bool is_literal;
        size_t indent = indent_of_line(f->code, m.start);
        scopes_close(scopes, indent);
        if (scopes->depth < MAX_SCOPES) {
            scopes->open[scopes->depth].name = stack_name_at(a, f->bytes, f->code, place, &is_literal);
            scopes->open[scopes->depth++].indent = indent;
        }
        scopes->from = m.end > m.start ? m.end : m.end + 1;
    }
    if (end && pattern_find(end, f->code, f->len, scopes->from, false, &m) && m.start < offset)
        scopes->depth = 0;
}

static const char *scopes_name(struct arena *a, const struct scopes *scopes)
{
    STR_LOCAL(name);
    for (size_t i = 0; i < scopes->depth; i++)
        str_addf(&name, "%s%s", i ? "::" : "", scopes->open[i].name);
    return arena_strndup(a, name.data, name.len);
}

static void list_by(const struct stack *s, const struct stack_listing *l, struct listed_file *f, struct set *out)
{
    static const char *const groups[] = { "name" };
    const struct pattern *test = stack_pattern(s, l->test);
    bool wants_scope = strstr(l->id, "{scope}") != NULL, is_literal;
    ARENA_LOCAL(scratch);
    f->code = stack_blank(s, &scratch, l->blank, f->bytes, f->len);
    struct scopes scopes = { .depth = 0 };
    struct pattern_match m, place;
    for (size_t at = 0; out->texts.count < MAX_LISTED; at = m.end > m.start ? m.end : m.end + 1) {
        if (!pattern_find_places(test, f->code, f->len, at, false, &m, groups, &place, 1))
            break;
        scopes_advance(s, &scratch, l, f, m.start, &scopes);
        scopes_close(&scopes, indent_of_line(f->code, m.start));
        const char *name = stack_name_at(&scratch, f->bytes, f->code, place, &is_literal);
        if (!*name || (wants_scope && !scopes.depth))
            continue;
        const char *const pairs[] = { "{path}", f->path, "{scope}", scopes_name(&scratch, &scopes), "{name}", name, NULL };
        const char *id = stack_fill(&scratch, l->id, pairs);
        set_add(out, text_clean(&scratch, id, strlen(id), RESULTS_MAX_ID, true));
    }
}

int stack_list_tests(const struct stack *s, struct arena *a, const char *path, const char *bytes, size_t len,
                     struct texts *ret, struct err *e)
{
    if (len > RESULTS_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "%s is larger than %d MiB", path, RESULTS_MAX_BYTES >> 20);
    struct set all = SET_IN(a);
    for (size_t i = 0; i < s->spec.listing.count; i++) {
        const struct stack_listing *l = (const struct stack_listing *)s->spec.listing.items + i;
        if (stack_fits(&l->files, path) && !(len && memchr(bytes, '\0', len)))
            list_by(s, l, &(struct listed_file){ .path = path, .bytes = bytes, .len = len }, &all);
    }
    *ret = all.texts;
    return 0;
}

/* ---- stripping ---- */

const char *stack_strip(const struct stack *s, struct arena *a, const char *text, size_t len)
{
    if (len > MAX_STRIPPED)
        len = MAX_STRIPPED;
    struct str now = STR_INIT, next = STR_INIT;
    str_add_bytes(&now, text, len);
    for (size_t i = 0; i < s->spec.strip.count; i++) {
        const struct stack_strip_rule *rule = (const struct stack_strip_rule *)s->spec.strip.items + i;
        str_clear(&next);
        pattern_replace(stack_pattern(s, rule->pattern), now.data, now.len, rule->with, 2 * now.len + 4096, &next);
        struct str swap = now;
        now = next;
        next = swap;
    }
    const char *clean = text_clean(a, now.data, now.len, MAX_STRIPPED, false);
    str_release(&now);
    str_release(&next);
    return clean;
}
