/* stack_judge.c - why a test failed, as far as red and green need to know.
 *
 * A message is cut into its diagnostics (the last exception of a traceback, each error of
 * a compiler); the stack's rules say what each means.  "Absent" is then checked against
 * the project's files: a test may fail because a symbol is not there yet, but not because
 * a library is missing, a name is misspelt, or a module lies elsewhere.
 *
 * Definitions are looked for by pattern in the text of production code, comments and
 * literals blanked, and not in the map of ctags: no sandbox is needed to judge, and a
 * declaration without a body, which ctags leaves out, counts too.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/set.h"
#include "base/str.h"
#include "repo/results_build.h"
#include "repo/stack_file.h"

#include <stdlib.h>

enum {
    MAX_SOURCES = 2000,
    MAX_SOURCE_BYTES = 1 << 20,
    MAX_DIAGNOSTICS = 60,
    MAX_REASON_LINE = 300,
    MEANS_COMPANION = FAILURE_FAULT + 1,
    MEANS_NOTHING, /* the rule does not fit after all */
};

/* ---- sources ---- */

struct source { const char *path, *text; size_t len; };

struct stack_sources {
    struct set paths; /* of everything */
    struct source *sources;
    size_t count;
};

static const char *blank_of(const struct stack *s)
{
    return ((const struct stack_listing *)s->spec.listing.items)->blank;
}

static void add_source(const struct stack *s, struct arena *a, struct stack_sources *to, const char *path,
                       const char *bytes, size_t len)
{
    if (to->count == MAX_SOURCES || len > MAX_SOURCE_BYTES)
        return;
    to->sources[to->count++] = (struct source){ path, stack_blank(s, a, blank_of(s), bytes, len), len };
}

static struct stack_sources *sources_new(struct arena *a)
{
    struct stack_sources *all = ARENA_NEW(a, struct stack_sources);
    *all = (struct stack_sources){ .paths = SET_IN(a), .sources = ARENA_ARRAY(a, struct source, MAX_SOURCES) };
    return all;
}

int stack_sources_read(const struct stack *s, struct repo *r, const struct oid *tree, struct arena *a,
                       struct stack_sources **ret, struct err *e)
{
    struct tree t;
    int code = repo_tree(r, a, tree, &t, e);
    if (code < 0)
        return code;
    struct stack_sources *all = sources_new(a);
    for (size_t i = 0; i < t.count; i++) {
        const struct tree_file *f = &t.files[i];
        set_add(&all->paths, f->path);
        if (f->symlink || !stack_is_source(s, f->path))
            continue;
        ARENA_LOCAL(scratch);
        const char *bytes;
        size_t len;
        code = repo_blob(r, &scratch, &f->oid, &bytes, &len, e);
        if (code < 0)
            return code;
        add_source(s, a, all, f->path, bytes, len);
    }
    *ret = all;
    return 0;
}

struct stack_sources *stack_sources_make(const struct stack *s, struct arena *a, const struct tree_change *files,
                                         size_t count)
{
    struct stack_sources *all = sources_new(a);
    for (size_t i = 0; i < count; i++) {
        set_add(&all->paths, files[i].path);
        if (stack_is_source(s, files[i].path))
            add_source(s, a, all, arena_strdup(a, files[i].path), files[i].bytes, files[i].len);
    }
    return all;
}

/* ---- what the project has ---- */

struct judging {
    const struct stack *stack;
    const struct stack_sources *sources;
    struct arena *arena;
    const struct stack_rule *rule;
    const char *name, *owner;
};

/* Where the tree provides a module or header, or would; NULL: nowhere. */
static const char *provided_by(const struct judging *j, const char *name, const char **ret_first)
{
    const struct stack_symbols *symbols = &j->stack->spec.symbols;
    STR_LOCAL(path);
    const char *separator = symbols->separator;
    size_t separator_len = strlen(separator);
    for (const char *p = name; *p;) {
        bool is_separator = separator_len && strncmp(p, separator, separator_len) == 0;
        str_add_char(&path, is_separator ? '/' : *p);
        p += is_separator ? separator_len : 1;
    }
    const char *const pairs[] = { "{name}", path.data, NULL };
    for (size_t i = 0; i < symbols->provides.count; i++) {
        const char *wanted = stack_fill(j->arena, symbols->provides.items[i], pairs);
        const char *below = arena_printf(j->arena, "/%s", wanted);
        if (i == 0 && ret_first)
            *ret_first = wanted;
        for (size_t n = 0; n < j->sources->paths.texts.count; n++) {
            const char *have = j->sources->paths.texts.items[n];
            if (streq(have, wanted) || ends_with(have, below))
                return have;
        }
    }
    return NULL;
}

/* The path and line of a definition, as "units.c:12"; NULL: none. */
static const char *defined_at(const struct judging *j, const char *name, const char *only_path)
{
    const struct stack_rule *rule = j->rule;
    const char *template = *rule->defined ? rule->defined : j->stack->spec.symbols.defined;
    ARENA_LOCAL(scratch);
    const char *const pairs[] = { "{name}", arena_printf(&scratch, "\\Q%s\\E", name), NULL };
    char why[200];
    struct pattern *p;
    if (strstr(name, "\\E") || !pattern_compile(&scratch, stack_fill(&scratch, template, pairs), &p, why, sizeof why))
        return NULL;
    for (size_t i = 0; i < j->sources->count; i++) {
        const struct source *source = &j->sources->sources[i];
        if (only_path ? !streq(only_path, source->path) : rule->in.count && !stack_fits(&rule->in, source->path))
            continue;
        struct pattern_match m;
        if (!pattern_find(p, source->text, source->len, 0, false, &m))
            continue;
        const char *at = memmem(source->text + m.start, m.end - m.start, name, strlen(name));
        size_t line = 1;
        for (const char *c = source->text; at && c < at; c++)
            line += *c == '\n';
        return arena_printf(j->arena, "%s:%zu", source->path, line);
    }
    return NULL;
}

static bool is_foreign(const struct judging *j, const char *name)
{
    const struct pattern *p = stack_pattern(j->stack, j->stack->spec.symbols.foreign);
    struct pattern_match m;
    return p && pattern_find(p, name, strlen(name), 0, false, &m);
}

/* ---- one diagnostic ---- */

struct verdict {
    int means;          /* enum failure_kind, or MEANS_COMPANION */
    const char *absent; /* ABSENCE */
    const char *advice; /* FAULT; never NULL there */
    bool is_rule;       /* the advice is general: the rule's */
};

static struct verdict fault(const char *advice)
{
    return (struct verdict){ .means = FAILURE_FAULT, .advice = advice };
}

static struct verdict absent_file(const struct judging *j)
{
    const char *first = j->name;
    const char *have = provided_by(j, j->name, &first);
    const char *separator = j->stack->spec.symbols.separator;
    const char *top = j->name;
    const char *dot = *separator ? strstr(top, separator) : NULL;
    if (dot)
        top = arena_strndup(j->arena, top, (size_t)(dot - top));
    if (is_foreign(j, j->name) || is_foreign(j, top))
        return fault(arena_printf(j->arena, "%s is a library that is not on this machine; tests may use only the "
                                            "standard library and the project", j->name));
    if (have)
        return fault(arena_printf(j->arena, "%s is there, as %s; the test asks for it in the wrong way", j->name, have));
    if (stack_is_test(j->stack, first) || stack_is_protected(j->stack, first))
        return fault(arena_printf(j->arena, "%s belongs to the tests; it must come with them", first));
    return (struct verdict){ .means = FAILURE_ABSENCE, .absent = j->name };
}

/* Whether what should have the symbol is the project's own; fills *ret_path for a file. */
static bool owner_is_ours(const struct judging *j, const char **ret_path)
{
    *ret_path = NULL;
    if (j->rule->owner == OWNER_NONE)
        return true;
    if (j->rule->owner == OWNER_SYMBOL) {
        struct stack_rule plain = { .means = j->rule->means, .defined = "" };
        struct judging anywhere = *j;
        anywhere.rule = &plain;
        return defined_at(&anywhere, j->owner, NULL) != NULL;
    }
    *ret_path = provided_by(j, j->owner, NULL);
    return *ret_path && stack_is_source(j->stack, *ret_path);
}

static struct verdict absent_symbol(const struct judging *j)
{
    if (is_foreign(j, j->name))
        return fault(arena_printf(j->arena, "%s belongs to a library, not to the project", j->name));
    const char *path;
    if (!owner_is_ours(j, &path)) {
        if (j->rule->owner == OWNER_SYMBOL)
            return (struct verdict){ .means = MEANS_NOTHING };
        return fault(path ? arena_printf(j->arena, "%s belongs to the tests; it must come with them", path)
                          : arena_printf(j->arena, "%s has no %s, and is not part of the project", j->owner, j->name));
    }
    const char *where = j->rule->owner == OWNER_SYMBOL ? NULL : defined_at(j, j->name, path);
    if (where)
        return fault(arena_printf(j->arena, "%s is there, in %s; the test reaches for it in the wrong way", j->name, where));
    const char *separator = j->stack->spec.symbols.separator, *absent = j->name;
    if (j->rule->owner == OWNER_FILE && !*separator) /* it is named by its path */
        absent = arena_printf(j->arena, "%s in %s", j->name, path);
    else if (j->rule->owner != OWNER_NONE)
        absent = arena_printf(j->arena, "%s%s%s", j->owner, *separator ? separator : ".", j->name);
    return (struct verdict){ .means = FAILURE_ABSENCE, .absent = absent };
}

/* A function of the project that does not take the arguments yet that the test gives it. */
static struct verdict absent_signature(const struct judging *j)
{
    if (is_foreign(j, j->name) || !defined_at(j, j->name, NULL))
        return (struct verdict){ .means = MEANS_NOTHING };
    return (struct verdict){ .means = FAILURE_ABSENCE, .absent = arena_printf(j->arena, "%s(...)", j->name) };
}

/* Whether the innermost file of the project in the traceback of the diagnostic at `at` is production code. */
static bool is_in_program(const struct stack *s, const struct stack_sources *sources, struct arena *a,
                          const char *message, size_t len, size_t at)
{
    static const char *const groups[] = { "path" };
    const struct pattern *frame = stack_pattern(s, s->spec.failures.frame);
    bool is_after = s->spec.failures.frames == FRAMES_AFTER, is_program = false;
    size_t from = is_after ? at : 0, to = is_after ? len : at;
    struct pattern_match m;
    const char *path;
    for (; pattern_find_groups(frame, a, message, to, from, false, &m, groups, &path, 1);
         from = m.end > m.start ? m.end : m.end + 1) {
        if (!set_has(&sources->paths, path))
            continue;
        is_program = stack_is_source(s, path);
        if (is_after)
            break;
    }
    return is_program;
}

static struct verdict judge_one(const struct stack *s, const struct stack_sources *sources, struct arena *a,
                                const char *message, size_t len, size_t at)
{
    static const char *const groups[] = { "name", "owner" };
    const struct records *rules = &s->spec.failures.rules;
    for (size_t i = 0; i < rules->count; i++) {
        const struct stack_rule *rule = (const struct stack_rule *)rules->items + i;
        const char *found[2];
        struct pattern_match m;
        if (!pattern_find_groups(stack_pattern(s, rule->pattern), a, message, len, at, true, &m, groups, found, 2))
            continue;
        if (rule->in_program && !is_in_program(s, sources, a, message, len, at))
            continue;
        if (rule->means != FAILURE_ABSENCE)
            return (struct verdict){ .means = rule->means, .advice = rule->say, .is_rule = true };
        struct judging j = { s, sources, a, rule, found[0], found[1] };
        if (!*j.name)
            return fault("the diagnostic names nothing");
        struct verdict v = rule->absent == ABSENT_FILE        ? absent_file(&j)
                           : rule->absent == ABSENT_SIGNATURE ? absent_signature(&j)
                                                              : absent_symbol(&j);
        if (v.means != MEANS_NOTHING)
            return v;
    }
    return (struct verdict){ .means = FAILURE_EXCEPTION };
}

/* ---- the whole message ---- */

struct places { size_t at[MAX_DIAGNOSTICS], end[MAX_DIAGNOSTICS], count; };

static void find_diagnostics(const struct stack *s, const char *message, size_t len, struct places *places)
{
    const struct pattern *p = stack_pattern(s, s->spec.failures.diagnostic);
    bool last_only = s->spec.failures.take == TAKE_LAST;
    struct pattern_match m;
    for (size_t at = 0; pattern_find(p, message, len, at, false, &m); at = m.end > m.start ? m.end : m.end + 1) {
        if (last_only)
            places->count = 0;
        if (places->count == MAX_DIAGNOSTICS)
            break;
        places->at[places->count] = m.start;
        places->end[places->count++] = m.end;
    }
}

/* Adds a line to the reason, once. */
static void add_reason(struct arena *a, struct texts *lines, const char *text, size_t len)
{
    const char *newline = len ? memchr(text, '\n', len) : NULL;
    if (newline)
        len = (size_t)(newline - text);
    const char *line = text_clean(a, text, len, MAX_REASON_LINE, true);
    if (!texts_has(lines, line))
        texts_add(lines, a, line);
}

/* Weights of verdicts: the gravest decides. */
static int gravity(int means)
{
    static const int order[] = { [FAILURE_ASSERTION] = 1, [FAILURE_ABSENCE] = 2, [FAILURE_ERROR] = 3,
                                 [FAILURE_EXCEPTION] = 4, [FAILURE_FAULT] = 5, [MEANS_COMPANION] = 0 };
    return order[means];
}

void stack_judge(const struct stack *s, const struct stack_sources *sources, struct arena *a, const char *message,
                 struct failure *ret)
{
    size_t len = strlen(message);
    struct places places = { .count = 0 };
    find_diagnostics(s, message, len, &places);
    int gravest = MEANS_COMPANION;
    struct texts reasons[MEANS_COMPANION + 1] = { { 0 } };
    struct texts absent = { 0 };
    const char *advice = "";
    for (size_t i = 0; i < places.count; i++) {
        struct verdict v = judge_one(s, sources, a, message, len, places.at[i]);
        add_reason(a, &reasons[v.means], message + places.at[i], places.end[i] - places.at[i]);
        if (v.means == FAILURE_ABSENCE && !texts_has(&absent, v.absent))
            texts_add(&absent, a, v.absent);
        if (v.means == FAILURE_FAULT && !*advice) {
            const struct texts *said = &reasons[FAILURE_FAULT];
            advice = v.is_rule && *v.advice ? arena_printf(a, "%s: %s", v.advice, said->items[0]) : v.advice;
        }
        if (gravity(v.means) > gravity(gravest))
            gravest = v.means;
    }
    *ret = (struct failure){ .kind = gravest, .advice = "" };
    if (places.count == 0) {
        ret->kind = FAILURE_EXCEPTION;
        add_reason(a, &reasons[FAILURE_EXCEPTION], *message ? message : "no message", *message ? len : 10);
    } else if (gravest == MEANS_COMPANION) {
        ret->kind = FAILURE_FAULT;
    }
    ret->reason = texts_join(&reasons[places.count == 0 ? FAILURE_EXCEPTION : gravest], a, "\n", 0);
    if (ret->kind == FAILURE_FAULT)
        ret->advice = *advice ? advice : ret->reason;
    if (ret->kind == FAILURE_ABSENCE) {
        texts_sort(&absent);
        ret->absent = absent;
    }
}
