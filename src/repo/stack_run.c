/* stack_run.c - the suite in the sandbox: preparation, build, tests, results.
 *
 * The runner's exit status decides nothing by itself; results count when they were read
 * whole and no limit was hit.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/set.h"
#include "base/str.h"
#include "os/files.h"
#include "repo/results_build.h"
#include "repo/stack_room.h"

enum {
    MAX_HEAD = 24 << 10, /* of the output that is kept */
    MAX_TAIL = 40 << 10,
    MAX_DIAGNOSTICS = 8 << 10,
};

/* ---- what came out ---- */

/* Reads a result file; ERR_NOT_FOUND when the run wrote none. */
static int read_out(struct running *run, const char *path, struct str *text, struct err *e)
{
    return file_read(run->room.out_fd, path, RESULTS_MAX_BYTES, text, e);
}

static size_t cut_id(const char *id, void *ctx)
{
    size_t len = strlen(id);
    struct pattern_match m;
    return pattern_find(ctx, id, len, 0, false, &m) ? m.start : len;
}

static void tidy_results(const struct running *run, struct suite_run *ret)
{
    const struct pattern *cut = stack_pattern(run->stack, run->stack->spec.suite.id_cut);
    if (cut)
        results_fold(&ret->results, run->arena, cut_id, (void *)(uintptr_t)cut);
    for (size_t i = 0; i < ret->results.count; i++) {
        struct test_result *t = &ret->results.tests[i];
        if (*t->message)
            t->message = stack_strip(run->stack, run->arena, t->message, strlen(t->message));
        if (t->outcome == TEST_ERROR && !strstr(t->id, "::"))
            texts_add(&ret->broken, run->arena, t->id);
    }
}

static void keep_only(struct test_results *results, const struct texts *ids)
{
    ARENA_LOCAL(scratch);
    const struct set wanted = set_of(&scratch, ids);
    size_t kept = 0;
    for (size_t i = 0; i < results->count; i++) {
        bool is_file = !strstr(results->tests[i].id, "::");
        if (is_file || set_has(&wanted, results->tests[i].id))
            results->tests[kept++] = results->tests[i];
    }
    results->count = kept;
}

/* A runner that knows that its results are worth nothing says why in {out}/trouble. */
static const char *told_trouble(struct running *run)
{
    enum { MAX_TOLD = 500 };
    STR_LOCAL(text);
    if (read_out(run, "trouble", &text, NULL) < 0)
        return "";
    return text_clean(run->arena, text.data, strcspn(text.data, "\n"), MAX_TOLD, true);
}

/* Fills results, broken and trouble. */
static void take_results(struct running *run, const struct sandbox_result *done, struct suite_run *ret)
{
    const struct stack_suite *suite = &run->stack->spec.suite;
    STR_LOCAL(text);
    struct err e;
    int r = read_out(run, suite->results.path, &text, &e);
    const char *trouble = "";
    if (r == ERR_NOT_FOUND)
        trouble = done->process.end == PROCESS_EXITED
                      ? arena_printf(run->arena, "the test run ended with status %d and no results", done->process.status)
                      : "there are no results";
    else if (r < 0)
        trouble = arena_printf(run->arena, "the results cannot be read: %s", e.text);
    else if ((suite->results.format == RESULTS_TAP ? results_read_tap : results_read_junit)(
                 run->arena, text.data, text.len, &ret->results, &e) < 0)
        trouble = arena_printf(run->arena, "the results cannot be read: %s", e.text);
    else
        trouble = ret->results.incomplete;
    if (*trouble && done->process.end == PROCESS_SIGNALLED)
        trouble = arena_printf(run->arena, "the test run was killed by signal %d; %s", done->process.status, trouble);
    if (!ret->results.incomplete)
        ret->results.incomplete = trouble;
    const char *told = told_trouble(run);
    if (*told)
        ret->results.incomplete = trouble = told;
    if (done->limit_hit)
        trouble = done->limit_text;
    ret->trouble = stack_strip(run->stack, run->arena, trouble, strlen(trouble));
    tidy_results(run, ret);
    if (run->options && run->options->ids)
        keep_only(&ret->results, run->options->ids);
}

static bool is_not_production(const char *path, void *ctx)
{
    return !stack_is_source(ctx, path);
}

static void take_coverage(struct running *run, struct suite_run *ret)
{
    const struct stack_coverage *c = &run->stack->spec.coverage;
    STR_LOCAL(text);
    struct err e;
    if (read_out(run, c->path, &text, &e) < 0)
        return;
    int r = (c->format == COVERAGE_LCOV ? coverage_read_lcov : coverage_read_gcov)(
        run->arena, run->room.work_seen, text.data, text.len, &ret->coverage, &e);
    if (r < 0)
        return;
    ret->coverage_measured = true;
    coverage_filter(&ret->coverage, is_not_production, (void *)(uintptr_t)run->stack);
}

/* ---- the suite ---- */

/* The project's dependencies; that they cannot be had is trouble. */
static int prepare(struct running *run, struct repo *r, const struct oid *tree, struct suite_run *ret)
{
    int code = stack_prepare(run->stack, run->sandbox, r, tree, run->options, run->arena, &ret->prepared, run->err);
    if (code < 0)
        return code;
    run->prepared = ret->prepared.path;
    if (*ret->prepared.trouble) {
        ret->trouble = ret->prepared.trouble;
        ret->output = ret->prepared.output;
        ret->limit_hit = ret->prepared.limit_hit;
    }
    return 0;
}

/* Everything that is no test, before the tests can touch it. */
static int build_all(struct running *run, struct repo *r, const struct oid *tree, struct suite_run *ret)
{
    const struct stack_build *b = &run->stack->spec.build;
    const struct suite_options *o = run->options;
    struct tree t;
    if (!b->argv.count || (o && o->ids))
        return 0;
    int code = repo_tree(r, run->arena, tree, &t, run->err);
    if (code < 0)
        return code;
    struct texts sources = { 0 };
    for (size_t i = 0; i < t.count; i++)
        if (!t.files[i].symlink && stack_is_source(run->stack, t.files[i].path))
            texts_add(&sources, run->arena, t.files[i].path);
    struct sandbox_result done;
    bool with_coverage = o && (o->flags & SUITE_COVERAGE);
    code = running_execute(run, running_fill(run, &b->argv, "{paths}", &sources), running_env(run, with_coverage), &done);
    if (code < 0)
        return code;
    ret->wall_us = done.process.wall_us;
    bool has_ended = !done.limit_hit && done.process.end == PROCESS_EXITED;
    run->built.outcome = has_ended && done.process.status == 0 ? TEST_PASSED : TEST_FAILED;
    run->built.id = STACK_BUILD_ID;
    run->built.message = "";
    if (run->built.outcome == TEST_FAILED)
        run->built.message = running_output(run, &done, MAX_DIAGNOSTICS / 2, MAX_DIAGNOSTICS / 2 - 100);
    if (!has_ended) {
        ret->trouble = arena_printf(run->arena, "the build did not end: %s", done.limit_hit ? done.limit_text : "it was killed");
        ret->output = run->built.message;
        ret->limit_hit = done.limit_hit;
    }
    sandbox_result_release(&done);
    return 0;
}

/* Puts the build's result among those of the tests, which are sorted by id; a test of that
 * name is none of ours and goes. */
static void add_built(const struct running *run, struct test_results *results)
{
    if (!run->built.id)
        return;
    struct test_result *all = ARENA_ARRAY(run->arena, struct test_result, results->count + 1);
    size_t count = 0;
    bool is_in = false;
    for (size_t i = 0; i < results->count; i++) {
        int order = strcmp(results->tests[i].id, run->built.id);
        if (order >= 0 && !is_in)
            all[count++] = run->built;
        is_in = is_in || order >= 0;
        if (order != 0)
            all[count++] = results->tests[i];
    }
    if (!is_in)
        all[count++] = run->built;
    results->tests = all;
    results->count = count;
}

static const char *command_line(struct arena *a, const char *const *argv)
{
    STR_LOCAL(line);
    for (size_t i = 0; argv[i]; i++) {
        str_add(&line, i ? " " : "");
        str_add_shell_word(&line, argv[i]);
    }
    return arena_strndup(a, line.data, line.len);
}

static int run_tests(struct running *run, struct suite_run *ret)
{
    const struct stack_spec *spec = &run->stack->spec;
    const struct suite_options *o = run->options;
    bool with_coverage = o && (o->flags & SUITE_COVERAGE) && spec->coverage.argv.count;
    const struct texts *words = with_coverage ? &spec->coverage.argv : &spec->suite.argv;
    if (o && o->ids && spec->suite.named.count)
        words = &spec->suite.named;
    const char *const *argv = running_fill(run, words, "{ids}", o ? o->ids : NULL);
    struct sandbox_result done;
    int r = running_execute(run, argv, running_env(run, with_coverage), &done);
    if (r < 0)
        return r;
    ret->command = command_line(run->arena, argv);
    ret->exit_status = done.process.end == PROCESS_EXITED ? done.process.status : -1;
    ret->wall_us += done.process.wall_us;
    ret->limit_hit = done.limit_hit;
    ret->output = running_output(run, &done, MAX_HEAD, MAX_TAIL);
    take_results(run, &done, ret);
    add_built(run, &ret->results);
    if (with_coverage)
        take_coverage(run, ret);
    ret->completed = !*ret->trouble && ret->exit_status >= 0;
    sandbox_result_release(&done);
    return 0;
}

/* What the code under test has no business to write to. */
static bool is_frozen(const char *path, void *ctx)
{
    return stack_is_test(ctx, path) || stack_is_protected(ctx, path);
}

int stack_run(const struct stack *s, struct sandbox *sb, struct repo *r, const struct oid *tree,
              const struct suite_options *options, struct arena *a, struct suite_run *ret, struct err *e)
{
    struct running run = { .stack = s, .sandbox = sb, .options = options, .arena = a, .err = e };
    struct suite_run result = { .command = "", .output = "", .trouble = "", .exit_status = -1, .results = { .incomplete = "" } };
    int code = running_enter(&run, r, tree);
    if (code < 0)
        return code;
    result.results.incomplete = NULL;
    code = prepare(&run, r, tree, &result);
    if (code == 0 && !*result.trouble)
        code = build_all(&run, r, tree, &result);
    if (code == 0 && !*result.trouble)
        code = run_tests(&run, &result);
    if (code == 0)
        code = repo_checkout_compare(r, tree, run.room.work_fd, a, is_frozen, (void *)(uintptr_t)s, &result.modified, e);
    sandbox_room_remove(sb, &run.room);
    if (code < 0)
        return code;
    if (!result.results.incomplete)
        result.results.incomplete = result.trouble;
    *ret = result;
    return 0;
}

/* ---- the other uses of the sandbox ---- */

/* Whether a tool's check succeeds. */
static int check_tool(struct running *run, const struct stack_tool *tool, bool *ret)
{
    struct sandbox_result done;
    int r = running_execute(run, running_fill(run, &tool->check, NULL, NULL), NULL, &done);
    if (r == ERR_UNAVAILABLE) {
        *ret = false;
        return 0;
    }
    if (r < 0)
        return r;
    *ret = done.process.end == PROCESS_EXITED && done.process.status == 0;
    sandbox_result_release(&done);
    return 0;
}

int stack_doctor(const struct stack *s, struct sandbox *sb, struct arena *a, const char **ret, bool *ret_usable,
                 struct err *e)
{
    struct running run = { .stack = s, .sandbox = sb, .arena = a, .err = e };
    int code = running_enter(&run, NULL, NULL);
    if (code < 0)
        return code;
    STR_LOCAL(missing);
    bool is_usable = true;
    for (size_t i = 0; code == 0 && i < s->spec.tools.count; i++) {
        const struct stack_tool *tool = (const struct stack_tool *)s->spec.tools.items + i;
        bool is_there = true;
        code = check_tool(&run, tool, &is_there);
        if (code < 0 || is_there)
            continue;
        is_usable = is_usable && tool->optional;
        str_addf(&missing, "%s is missing%s%s%s%s: %s\n", tool->name, *tool->purpose ? " (" : "", tool->purpose,
                 *tool->purpose ? ")" : "", tool->optional ? "; tests run without it" : "", stack_tool_install(a, tool));
    }
    sandbox_room_remove(sb, &run.room);
    if (code < 0)
        return code;
    str_rtrim(&missing);
    *ret = arena_strndup(a, missing.data, missing.len);
    *ret_usable = is_usable;
    return 0;
}
