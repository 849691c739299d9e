/* render.c - what prompts are made of besides templates. */
#include "team/render.h"

#include "base/set.h"
#include "base/utf8.h"
#include "repo/map.h"
#include "team/prompt.h"

enum { WORTH_SAYING_ONCE = 100, LEAST_SHOWN = 300, AROUND = 80 }; /* bytes of a failure's message, and beside it */

static size_t longest_fence(const char *bytes, size_t len)
{
    size_t longest = 0, run = 0;
    for (size_t i = 0; i < len; i++) {
        run = bytes[i] == '`' ? run + 1 : 0;
        if (run > longest)
            longest = run;
    }
    return longest;
}

static void add_fence(struct str *out, const char *bytes, size_t len)
{
    size_t n = longest_fence(bytes, len);
    for (n = n < 3 ? 3 : n + 1; n; n--)
        str_add_char(out, '`');
}

void render_file(struct str *out, const char *path, const char *bytes, size_t len)
{
    str_addf(out, "### %s\n", path);
    if (memchr(bytes, '\0', len)) {
        str_addf(out, "(a binary file of %zu bytes)\n\n", len);
        return;
    }
    add_fence(out, bytes, len);
    str_add_char(out, '\n');
    str_add_bytes(out, bytes, len);
    if (len && bytes[len - 1] != '\n')
        str_add_char(out, '\n');
    add_fence(out, bytes, len);
    str_add(out, "\n\n");
}

/* Lines first..last (from 1) of a text. */
static const char *lines_of(const char *bytes, size_t len, int64_t first, int64_t last, size_t *ret_len)
{
    const char *p = bytes, *end = bytes + len, *start = end;
    for (int64_t line = 1; p < end; line++) {
        if (line == first)
            start = p;
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        p = nl ? nl + 1 : end;
        if (line == last)
            break;
    }
    *ret_len = start < p ? (size_t)(p - start) : 0;
    return start;
}

/* The files or symbols of a tree that are being shown. */
struct showing {
    struct step *step;
    const char *tree;
    struct texts whole; /* shown so far */
    struct str *out;
};

static int show_file(struct showing *sh, const char *path, struct err *e)
{
    struct oid oid = oid_of(sh->tree);
    const char *bytes;
    size_t len;
    if (texts_has(&sh->whole, path))
        return 0;
    int r = repo_file(sh->step->site->repo, sh->step->arena, &oid, path, &bytes, &len, e);
    if (r == 0) {
        render_file(sh->out, path, bytes, len);
        texts_add(&sh->whole, sh->step->arena, path);
    }
    return r;
}

/* A symbol that is not there is named, and its file shown as a whole. */
static int show_symbol(struct showing *sh, const char *path, const char *symbol, struct err *e)
{
    struct step *s = sh->step;
    struct oid oid = oid_of(sh->tree);
    struct map map;
    const char *bytes;
    size_t len;
    int r = repo_file(s->site->repo, s->arena, &oid, path, &bytes, &len, e);
    if (r == 0)
        r = map_build(s->site->repo, s->team->sandbox, &oid, s->arena, &map, e);
    if (r < 0)
        return r;
    const struct map_symbol *sym = map_symbol_find(&map, path, symbol);
    if (!sym)
        str_addf(sh->out, "There is no %s in %s.\n\n", symbol, path);
    if (!sym || sym->end_line < sym->line || texts_has(&sh->whole, path))
        return show_file(sh, path, e);
    bytes = lines_of(bytes, len, sym->line, sym->end_line, &len);
    render_file(sh->out, arena_printf(s->arena, "%s (only %s)", path, symbol), bytes, len);
    return 0;
}

int render_files(struct step *s, const char *tree, const struct texts *paths, const char **ret, struct err *e)
{
    STR_LOCAL(out);
    struct showing sh = { .step = s, .tree = tree, .out = &out };
    for (size_t i = 0; i < paths->count; i++) {
        const char *path = paths->items[i], *colon = strrchr(path, ':');
        if (colon)
            path = arena_strndup(s->arena, path, (size_t)(colon - path));
        int r = colon && !texts_has(paths, path) ? show_symbol(&sh, path, colon + 1, e) : show_file(&sh, path, e);
        if (r < 0 && r != ERR_NOT_FOUND)
            return r;
    }
    str_rtrim(&out);
    *ret = arena_strndup(s->arena, out.data, out.len);
    return 0;
}

const char *render_criteria(struct arena *a, const struct ticket *t)
{
    STR_LOCAL(out);
    for (size_t i = 0; i < t->criteria.count; i++) {
        const struct criterion *c = ticket_criterion(t, i);
        str_addf(&out, "%zu. %s%s", i + 1, c->text, streq(c->origin, "review") ? " (from the review)" : "");
        if (c->clause)
            str_addf(&out, " [%lld]", (long long)c->clause);
        str_add_char(&out, '\n');
    }
    str_rtrim(&out);
    return arena_strndup(a, out.data, out.len);
}

const char *render_output(struct arena *a, const char *output, size_t max)
{
    size_t len = strlen(output);
    if (!len)
        return "";
    STR_LOCAL(out);
    const char *note = "";
    if (len > max) {
        /* The end of a test run's output tells most. */
        output = utf8_tail(output, len, max);
        len = strlen(output);
        note = "(earlier lines left out)\n";
    }
    add_fence(&out, output, len);
    str_addf(&out, "\n%s%s", note, output);
    if (out.data[out.len - 1] != '\n')
        str_add_char(&out, '\n');
    add_fence(&out, output, len);
    return arena_strndup(a, out.data, out.len);
}

static bool is_failure(const struct test_result *t)
{
    return t->outcome == TEST_FAILED || t->outcome == TEST_ERROR;
}

/* Whether an earlier failure says all that this one says, as when a library does not build. */
static bool is_repeated(const struct test_results *results, size_t index)
{
    const char *message = results->tests[index].message;
    if (!message || strlen(message) < WORTH_SAYING_ONCE)
        return false;
    for (size_t i = 0; i < index; i++)
        if (is_failure(&results->tests[i]) && results->tests[i].message && strstr(results->tests[i].message, message))
            return true;
    return false;
}

/* The end of a message, from the beginning of a line: what was raised stands below where. */
static void add_message(struct str *out, const char *message, size_t most)
{
    size_t len = strlen(message);
    if (len > most) {
        const char *tail = utf8_tail(message, len, most), *line = strchr(tail, '\n');
        message = line && line[1] ? line + 1 : tail;
        str_add(out, "[...]\n");
    }
    str_addf(out, "%s%s", message, *message ? "\n\n" : "\n");
}

const char *render_failures(struct arena *a, const struct test_results *results, const char *output, size_t max)
{
    STR_LOCAL(out);
    size_t left = 0; /* to tell */
    for (size_t i = 0; i < results->count; i++)
        left += is_failure(&results->tests[i]);
    for (size_t i = 0; i < results->count && left; i++) {
        const struct test_result *t = &results->tests[i];
        if (!is_failure(t))
            continue;
        if (out.len + strlen(t->id) + LEAST_SHOWN + AROUND > max) {
            str_addf(&out, "(%zu further failures left out)\n", left);
            break;
        }
        str_addf(&out, "%s %s\n", t->id, test_outcome_names[t->outcome]);
        /* Each gets a fair part of the room; what one does not need is for those after it. */
        size_t part = (max - out.len - AROUND) / left--;
        if (is_repeated(results, i))
            str_add(&out, "(same failure as above)\n\n");
        else
            add_message(&out, t->message ? t->message : "", part < LEAST_SHOWN ? LEAST_SHOWN : part);
    }
    /* The failures' own words say it; what was printed is for when there are none. */
    str_rtrim(&out);
    return out.len ? render_output(a, out.data, max) : render_output(a, output, max);
}

int stored_results(struct store *store, struct arena *a, const struct run *run, struct test_results *ret, struct err *e)
{
    const char *text;
    size_t len;
    json_t *list = NULL;
    int r = store_blob(store, a, run->results, &text, &len, e);
    if (r == 0)
        r = json_parse(a, text, len, &list, e);
    if (r < 0)
        return r;
    size_t count = json_array_size(list);
    struct test_result *tests = ARENA_ARRAY(a, struct test_result, count);
    for (size_t i = 0; i < count; i++) {
        r = record_read(&test_result_record, a, json_array_get(list, i), &tests[i], e);
        if (r < 0)
            return r;
    }
    *ret = (struct test_results){ .tests = tests, .count = count, .incomplete = "" };
    return 0;
}

const char *render_results(struct arena *a, const struct suite_run *run, const struct texts *own)
{
    STR_LOCAL(out);
    const struct set named = set_of(a, own ? own : &(struct texts){ 0 });
    size_t others = 0;
    for (size_t i = 0; i < run->results.count; i++) {
        const struct test_result *t = &run->results.tests[i];
        if (t->outcome == TEST_PASSED && !set_has(&named, t->id))
            others += !streq(t->id, STACK_BUILD_ID); /* the build is no test */
        else
            str_addf(&out, "- %s: %s\n", t->id, test_outcome_names[t->outcome]);
    }
    if (others)
        str_addf(&out, "- %zu %stests pass\n", others, out.len ? "other " : "");
    const struct coverage *c = &run->coverage;
    for (size_t i = 0; i < c->count; i++) {
        const struct coverage_file *f = &c->files[i];
        str_addf(&out, "- coverage of %s: %lld of %lld lines", f->path, (long long)f->covered, (long long)f->lines);
        for (size_t k = 0; k < f->missing.count && k < 20; k++)
            str_addf(&out, "%s%s", k ? ", " : "; not executed: ", f->missing.items[k]);
        str_add_char(&out, '\n');
    }
    str_rtrim(&out);
    return arena_strndup(a, out.data, out.len);
}

const char *render_list(struct arena *a, const struct texts *t, const char *none)
{
    return t->count ? texts_join(t, a, ", ", 0) : none;
}

int spec_text(struct step *s, const char **ret, struct err *e)
{
    struct spec spec;
    const char *id = arena_printf(s->arena, "%s/spec-%lld", s->project_id, (long long)s->project.spec);
    int r = store_get(s->team->store, s->arena, &spec_type, id, &spec, NULL, e);
    if (r == 0)
        *ret = spec.text;
    return r;
}

int render_context(struct step *s, const char *tree, const char **ret, struct err *e)
{
    const char *spec, *map_text = "(empty)";
    int r = spec_text(s, &spec, e);
    if (r < 0)
        return r;
    const struct ticket *t = s->ticket_id ? &s->ticket : NULL;
    if (*tree) {
        struct oid oid = oid_of(tree);
        struct map map;
        r = map_build(s->site->repo, s->team->sandbox, &oid, s->arena, &map, e);
        if (r < 0)
            return r;
        const char *query = t ? arena_printf(s->arena, "%s\n%s\n%s", t->title, t->description, render_criteria(s->arena, t))
                              : spec;
        if (s->site->stack)
            map_trim(&map, s->site->stack);
        map_text = map_render(&map, s->arena, query, s->team->options.limits.map_tokens);
    }
    struct prompt_value values[] = {
        { "project", s->project.name }, { "spec", spec_numbered(s->arena, spec) }, { "map", map_text },
        { "ticket", t ? s->task.ticket : "" }, { "title", t ? t->title : "" },
        { "description", t ? t->description : "" },
        { "criteria", t && t->criteria.count ? arena_printf(s->arena, "Acceptance criteria:\n%s", render_criteria(s->arena, t)) : "" },
        { NULL, NULL },
    };
    return prompt_make(s->arena, t ? "context" : "project", s->site->overrides.dirs, values, ret, e);
}

int render_system(struct step *s, enum role role, const char **ret, struct err *e)
{
    const struct stack *stack = s->site->stack;
    const char *edits = "";
    if (s->team->options.edits[role]) {
        int r = prompt_make(s->arena, "edits", s->site->overrides.dirs, (struct prompt_value[]){ { NULL, NULL } }, &edits, e);
        if (r < 0)
            return r;
    }
    struct prompt_value values[] = {
        { "guide", stack ? stack_guide(stack, s->arena, role == ROLE_TESTER) : "" }, { "edits", edits }, { NULL, NULL },
    };
    return prompt_make(s->arena, role_names[role], s->site->overrides.dirs, values, ret, e);
}

const char *render_form(const struct step *s, enum role role)
{
    return s->team->options.edits[role] ? "whole or by search/replace blocks" : "whole";
}
