/* stack_stage.h - a stack, a repository and the sandbox: suites run as the engine runs them.
 *
 * Include check.h and git_fixture.h first.  Threads: the test's.
 */
#ifndef TANDEM_TESTS_STACK_STAGE_H
#define TANDEM_TESTS_STACK_STAGE_H

#include "base/str.h"
#include "repo/stack.h"

#define PAIRS(...) ((const char *const[]){ __VA_ARGS__, NULL })

struct stage {
    struct fixture *f;
    struct stack *stack;
    struct arena *a;
};

/* The scaffold's tree with more files. */
static inline struct oid scaffolded(struct stage *st, const char *const *pairs)
{
    struct tree_change *files;
    size_t count;
    check_ok(stack_scaffold(st->stack, st->a, "demo", &files, &count, &st->f->e), &st->f->e);
    struct oid empty = { "" }, base;
    check_ok(repo_write_tree(st->f->r, &empty, files, count, &base, &st->f->e), &st->f->e);
    return tree_with(st->f, &base, pairs);
}

static inline struct suite_run run_with(struct stage *st, const struct oid *tree, const struct suite_options *o)
{
    struct suite_run run;
    check_ok(stack_run(st->stack, fixture_sandbox, st->f->r, tree, o, st->a, &run, &st->f->e), &st->f->e);
    return run;
}

static inline const struct test_result *found(const struct suite_run *run, const char *id)
{
    const struct test_result *t = results_find(&run->results, id);
    if (!t) {
        for (size_t i = 0; i < run->results.count; i++)
            print_message("have %s\n", run->results.tests[i].id);
        fail_msg("no %s; trouble: \"%s\"; output:\n%s", id, run->trouble, run->output);
    }
    return t;
}

static inline void check_outcome(const struct suite_run *run, const char *id, enum test_outcome outcome, const char *words)
{
    const struct test_result *t = found(run, id);
    if (t->outcome != (int)outcome || !strstr(t->message, words))
        fail_msg("%s: %s, not %s with \"%s\":\n%s", id, test_outcome_names[t->outcome], test_outcome_names[outcome], words, t->message);
}

static inline void check_completed(const struct suite_run *run)
{
    if (!run->completed)
        fail_msg("not completed: \"%s\"; status %d; output:\n%s", run->trouble, run->exit_status, run->output);
}

/* Judges the failure of one test against the tree it ran on. */
static inline struct failure judged(struct stage *st, const struct oid *tree, const struct suite_run *run, const char *id)
{
    struct stack_sources *sources;
    struct failure failure;
    check_ok(stack_sources_read(st->stack, st->f->r, tree, st->a, &sources, &st->f->e), &st->f->e);
    stack_judge(st->stack, sources, st->a, found(run, id)->message, &failure);
    return failure;
}

#endif
