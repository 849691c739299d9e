/* stack.h - how a language's tests are found, run and read, as data (share/stacks/NAME.yaml).
 *
 * A user's file of the same name in $TANDEM_HOME/stacks or the project's .tandem/stacks
 * overrides ours.  A wrong file gives its name, line and the allowed values.
 *
 * Threads: a loaded stack is read-only and may be shared.
 */
#ifndef TANDEM_STACK_H
#define TANDEM_STACK_H

#include "os/sandbox.h"
#include "repo/git.h"
#include "repo/results.h"

struct stack; /* the described document; see stack.c for its fields */

int stack_load(struct stack **ret, const char *name, const char *override_dir, struct err *e);
void stack_free(struct stack *s);
/* Names of all stacks, ours and the user's. */
int stack_names(struct arena *a, const char *override_dir, struct texts *ret, struct err *e);
/* The stack that fits a tree best, NULL when none does. */
int stack_detect(struct arena *a, const char *override_dir, const struct tree *t, const char **ret_name, struct err *e);

const char *stack_name(const struct stack *s);
/* What the role prompts are told about the language, test framework and layout. */
const char *stack_guide(const struct stack *s, bool for_tester);
bool stack_is_test(const struct stack *s, const char *path);       /* the Tester's paths */
bool stack_is_build(const struct stack *s, const char *path);      /* build files the Developer may edit */
bool stack_is_protected(const struct stack *s, const char *path);  /* scaffold nobody edits (runner, test header) */
/* Files of the first commit of an empty repository. */
int stack_scaffold(const struct stack *s, struct arena *a, const char *project, struct tree_change **ret, size_t *ret_count, struct err *e);
/* Ids of the tests in a test file, read without running it. */
int stack_list_tests(const struct stack *s, struct arena *a, const char *path, const char *bytes, size_t len, struct texts *ret, struct err *e);

/* One run of the suite in the sandbox on exactly this tree. */
struct suite_run {
    struct test_results results;
    const char *output;      /* stdout and stderr, volatile parts stripped, at most 64 KiB kept (head and tail) */
    bool completed;          /* the runner came to its end and its results were read */
    const char *trouble;     /* a sentence why not: limit hit, no results, runner missing; "" */
    bool limit_hit;
    int exit_status;
    int64_t wall_us;
    struct texts absent;     /* symbols, modules or headers that diagnostics name as absent */
    struct texts broken;     /* test files that could not load or build */
    struct coverage coverage; /* when asked */
};
enum { SUITE_COVERAGE = 1 };
int stack_run(const struct stack *s, struct sandbox *sb, struct repo *r, const struct oid *tree,
              unsigned flags, const atomic_bool *cancel,
              void (*on_output)(int stream, const char *bytes, size_t len, void *ctx), void *ctx,
              struct arena *a, struct suite_run *ret, struct err *e);

/* Syntax check of single files without running them; "" when fine, else the diagnostic. */
int stack_check_syntax(const struct stack *s, struct sandbox *sb, struct repo *r, const struct oid *tree,
                       const struct texts *paths, struct arena *a, const char **ret, struct err *e);
/* What the host lacks for this stack ("" when complete), e.g. "python3-coverage is missing: apt-get install ...". */
int stack_doctor(const struct stack *s, struct sandbox *sb, struct arena *a, const char **ret, struct err *e);

/* Strips temporary paths, addresses, times and durations by the stack's patterns. */
const char *stack_strip(const struct stack *s, struct arena *a, const char *text, size_t len);

#endif
