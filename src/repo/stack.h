/* stack.h - how a language's tests are found, run and read, as data (share/stacks/NAME.yaml).
 *
 * A file of the same name in an override directory (share.h) wins over ours.  A wrong one gives its name, line and the allowed values:
 *     stacks/python.yaml:14: suite.results.format is "xunit"; allowed: tap, junit
 *
 * Ids of tests are PATH::NAME or PATH::CLASS::NAME in every language; a test file that
 * cannot load or build is an error whose id is its path.
 *
 * Threads: a loaded stack is read-only and may be shared.
 */
#ifndef TANDEM_STACK_H
#define TANDEM_STACK_H

#include "os/sandbox.h"
#include "repo/git.h"
#include "repo/results.h"

struct stack;

/* `override_dirs`: as in share.h. */
int stack_load(struct stack **ret, const char *name, const char *const *override_dirs, struct err *e);
/* The same from a text, which errors call stacks/NAME.yaml. */
int stack_parse(struct stack **ret, const char *name, const char *text, size_t len,
                const char *const *override_dirs, struct err *e);
void stack_free(struct stack *s);
/* Names of all stacks, ours and the user's, sorted. */
int stack_names(struct arena *a, const char *const *override_dirs, struct texts *ret, struct err *e);
/* The stack that fits a tree best, NULL when none does (an empty tree).  `r` is asked for
 * the contents of files; NULL: only names count. */
int stack_detect(struct arena *a, const char *const *override_dirs, struct repo *r, const struct tree *t,
                 const char **ret_name, struct err *e);

const char *stack_name(const struct stack *s);
const char *stack_title(const struct stack *s);
/* What the role prompts are told about the language, test framework and layout. */
const char *stack_guide(const struct stack *s, struct arena *a, bool for_tester);
bool stack_is_test(const struct stack *s, const char *path);      /* the Tester's paths */
bool stack_is_build(const struct stack *s, const char *path);     /* build files the Developer may edit */
bool stack_is_protected(const struct stack *s, const char *path); /* scaffold nobody edits (test header) */
/* Would stand between the tests and their framework (conftest.py, a pytest.py of the project). */
bool stack_is_refused(const struct stack *s, const char *path);

/* Files of the first commit of an empty repository. */
int stack_scaffold(const struct stack *s, struct arena *a, const char *project, struct tree_change **ret,
                   size_t *ret_count, struct err *e);

/* Ids of the tests in a test file, read without running it, in the order of the file, each
 * once; at most 5,000.  A file that is binary or has none gives an empty list. */
int stack_list_tests(const struct stack *s, struct arena *a, const char *path, const char *bytes, size_t len,
                     struct texts *ret, struct err *e);

/* What an answer may do to a test file that is there already: add whole pieces to it (the
 * stack's `additions`) that leave the old ones their meaning, so that every test keeps its way
 * to fail.  "" when that is all it
 * does, otherwise the rest of a sentence that begins with the path. */
const char *stack_added_only(const struct stack *s, struct arena *a, const char *path, const char *before, size_t before_len,
                             const char *after, size_t after_len);

/* The same of a merge: `merged` holds every piece of `side`, and nothing else that could change
 * its meaning but what comes from the `other` side.  To be asked for both sides. */
struct stack_text { const char *bytes; size_t len; };
const char *stack_merged_only(const struct stack *s, struct arena *a, const char *path, const struct stack_text *side,
                              const struct stack_text *other, const struct stack_text *merged);

/* What was added: the new pieces as they stand in `after`; all of it where the stack cannot tell. */
const char *stack_added(const struct stack *s, struct arena *a, const char *path, const char *before, size_t before_len,
                        const char *after, size_t after_len);

/* ---- running ---- */

enum { SUITE_COVERAGE = 1 };

/* Beside the tests, a run of the whole suite tells under this id whether everything that is
 * no test builds (the stack's `build`): a program that nothing tests, a module that nothing
 * imports.  It is a result as any other, so what built once has to go on building; its
 * message is the tools' words. */
#define STACK_BUILD_ID "build::all"

/* Dependencies: the stack's `prepare`, whose result is kept by the digest of what went in. */
struct stack_prepare_options {
    const char *cache;   /* the directory of results; NULL: they are kept for this process alone */
    bool may_write;      /* to the cache: we are the one process that writes the home */
    bool network;        /* run `online` with the host's network where the stack has it */
    struct sandbox_limits limits;
    int64_t cache_mib;   /* all results together; the ones not used for longest go */
};

struct suite_options {
    unsigned flags;
    const struct stack_prepare_options *prepare; /* NULL: no cache, no network, `limits` */
    const struct texts *ids;     /* only these tests; NULL: all */
    const struct sandbox_limits *limits; /* NULL: default */
    const atomic_bool *cancel;   /* may be NULL */
    void (*on_output)(int stream, const char *bytes, size_t len, void *ctx); /* may be NULL */
    void *ctx;
};

struct stack_prepared {
    const char *digest;  /* of lock files, vendored files, command and its version; "": nothing to prepare */
    const char *path;    /* the result, outside of the sandbox; "" when there is none */
    const char *command; /* in one line */
    const char *output;  /* when it ran */
    const char *trouble; /* a sentence why it failed; "" */
    bool ran;            /* else the result was there already */
    bool network, limit_hit;
    int64_t wall_us;
};

struct suite_run {
    struct stack_prepared prepared;
    const char *command;         /* that ran the tests, as one would type it; "": it did not come to that */
    struct test_results results; /* messages are stripped of what changes from run to run */
    const char *output;          /* stdout, then stderr, stripped; at most 64 KiB kept (head and tail) */
    bool completed;              /* the runner came to its end, no limit was hit, all planned tests reported */
    const char *trouble;         /* a sentence why not; "" */
    bool limit_hit;
    int exit_status;             /* of the runner; -1: it was killed */
    int64_t wall_us;
    struct texts broken;         /* test files that could not load or build */
    struct texts modified;       /* test files and protected ones that the run itself changed or
                                  * deleted (the tree's, sorted): its results prove nothing */
    bool coverage_measured;
    struct coverage coverage;    /* of production code */
};

/* One run of the suite in the sandbox on exactly this tree, written afresh.  Trouble is a
 * result; an error means that nothing could be run, or ERR_CANCELLED. */
int stack_run(const struct stack *s, struct sandbox *sb, struct repo *r, const struct oid *tree,
              const struct suite_options *options, struct arena *a, struct suite_run *ret, struct err *e);

/* What the host lacks for this stack, a line each with what to install ("" when complete).
 * *ret_usable: tests can be run all the same. */
int stack_doctor(const struct stack *s, struct sandbox *sb, struct arena *a, const char **ret, bool *ret_usable,
                 struct err *e);

/* Strips temporary paths, addresses, times and durations by the stack's patterns. */
const char *stack_strip(const struct stack *s, struct arena *a, const char *text, size_t len);

/* ---- judging why a test failed ---- */

/* The project's files as far as judging needs them: all paths, and the text of production
 * code (at most 2,000 files of 1 MiB).  Belongs to the arena. */
struct stack_sources;
int stack_sources_read(const struct stack *s, struct repo *r, const struct oid *tree, struct arena *a,
                       struct stack_sources **ret, struct err *e);
/* The same from memory. */
struct stack_sources *stack_sources_make(const struct stack *s, struct arena *a, const struct tree_change *files,
                                         size_t count);

enum failure_kind {
    FAILURE_ASSERTION, /* the test ran and found otherwise than it wants */
    FAILURE_ABSENCE,   /* what it needs of the project is not there yet */
    FAILURE_ERROR,     /* production code raised or crashed */
    FAILURE_EXCEPTION, /* the test's own lines raised, or it did not end */
    FAILURE_FAULT,     /* the test itself is wrong, or something of the machine is missing */
};
extern const char *const failure_kind_names[]; /* NULL-terminated */

struct failure {
    int kind;            /* enum failure_kind */
    const char *reason;  /* the diagnostics that decided, a line each; the same in every run */
    struct texts absent; /* ABSENCE: "units", "units.convert", "units.h", "convert(...)", sorted */
    const char *advice;  /* FAULT: a sentence for the Tester, naming the cause; else "" */
};

/* What the message of a failed or broken test means.  ABSENCE only if each diagnostic names
 * a module, header or symbol that could be the project's own and that the sources neither
 * have nor define, or a function of theirs that does not take the arguments which the test
 * gives it ("convert(...)"); a missing library, a typo in the test and a syntax error are FAULT.  An
 * exception is an ERROR when the innermost file of the project in its traceback is production
 * code.  A test in C that dies by a signal is one too: whose line it was, a signal does not
 * say.  Red holds by ASSERTION, ABSENCE or ERROR. */
void stack_judge(const struct stack *s, const struct stack_sources *sources, struct arena *a, const char *message,
                 struct failure *ret);

#endif
