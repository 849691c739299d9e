/* stack_file.h - a stack file as a described document; for src/repo/stack*.c alone.
 *
 * What each field means is written once, as its .doc in stack_file.c. */
#ifndef TANDEM_STACK_FILE_H
#define TANDEM_STACK_FILE_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/record.h"
#include "repo/pattern.h"
#include "repo/stack.h"

#include <pthread.h>

struct stack_detect { struct texts files; const char *contains; int64_t weight; };
struct stack_scaffold_file { const char *path, *text, *from; bool executable, protected; };
struct stack_listing { struct texts files; const char *blank, *scope, *scope_end, *test, *id; };
struct stack_additions { struct texts files; const char *begin, *plain, *binds, *hooks; };
struct stack_results { const char *path; int format; };
struct stack_suite {
    struct texts argv, named, env, runners;
    struct stack_results results;
    const char *id_cut;
    int64_t seconds;
};
struct stack_coverage { struct texts argv, env; const char *path; int format; };
struct stack_build { struct texts argv; };
struct stack_prepare { struct texts lock, reads, vendored, version, run, online, env; };
struct stack_rule {
    int means, absent, owner;
    const char *pattern, *defined, *say;
    struct texts in;
    bool in_program;
};
struct stack_failures { const char *diagnostic, *frame; int frames, take; struct records rules; };
struct stack_symbols { struct texts sources, provides; const char *separator, *defined, *foreign; };
struct stack_strip_rule { const char *pattern, *with; };
struct stack_tool { const char *name, *package, *install, *purpose; struct texts check; bool optional; };
struct stack_guide_texts { const char *layout, *tester, *developer; };

enum stack_results_format { RESULTS_TAP, RESULTS_JUNIT };
enum stack_coverage_format { COVERAGE_LCOV, COVERAGE_GCOV };
enum stack_absent { ABSENT_SYMBOL, ABSENT_FILE, ABSENT_SIGNATURE };
enum stack_owner { OWNER_NONE, OWNER_SYMBOL, OWNER_FILE };
enum stack_take { TAKE_LAST, TAKE_ALL };
enum stack_frames { FRAMES_BEFORE, FRAMES_AFTER };

struct stack_spec {
    const char *name, *extends, *title;
    struct records detect, scaffold, listing, strip, tools;
    struct texts tests, protected, refused, build_files;
    struct stack_additions additions;
    struct stack_suite suite;
    struct stack_coverage coverage;
    struct stack_build build;
    struct stack_prepare prepare;
    struct stack_failures failures;
    struct stack_symbols symbols;
    struct stack_guide_texts guide;
};
extern const struct record stack_record;

enum { STACK_MAX_PATTERNS = 400 };

/* What `prepare.version` printed, asked once by whoever needs it first. */
struct stack_version {
    pthread_mutex_t lock;
    struct digest digest; /* "": not asked yet */
};

struct stack {
    struct arena arena;
    struct stack_spec spec;
    struct tree_change *scaffold; /* bytes with "{project}" still in them */
    size_t scaffold_count;
    struct tree_change *runners;  /* files for /stack */
    size_t runner_count;
    struct { const char *text; struct pattern *pattern; } patterns[STACK_MAX_PATTERNS];
    size_t pattern_count;
    struct stack_version *version;
};

/* The compiled pattern of a field, which is found by its text; NULL for "". */
const struct pattern *stack_pattern(const struct stack *s, const char *text);

/* Whether one of the path patterns fits. */
bool stack_fits(const struct texts *globs, const char *path);

/* `bytes` with what the pattern `blank` of a listing finds turned into spaces: its group
 * (?<text>...) where that takes part, else all of it. */
char *stack_blank(const struct stack *s, struct arena *a, const char *blank, const char *bytes, size_t len);

/* The name that a pattern found in the blanked `code`, as the file has it.  *ret_is_literal: it
 * was blank there, that is, a string literal and no word of the language; less the backslashes
 * before quotes. */
const char *stack_name_at(struct arena *a, const char *bytes, const char *code, struct pattern_match place, bool *ret_is_literal);

/* Production code that may define a symbol. */
bool stack_is_source(const struct stack *s, const char *path);

/* `text` with {name} replaced by `value`, for each pair of `pairs` (NULL-terminated). */
const char *stack_fill(struct arena *a, const char *text, const char *const *pairs);

/* What a person types to have it. */
const char *stack_tool_install(struct arena *a, const struct stack_tool *tool);

/* stack_prepare.c: finds or makes what the tree depends on.  That it cannot be made is a
 * result (`trouble`). */
int stack_prepare(const struct stack *s, struct sandbox *sb, struct repo *r, const struct oid *tree,
                  const struct suite_options *options, struct arena *a, struct stack_prepared *ret, struct err *e);

#endif
