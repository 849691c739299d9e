/* results.h - what a test run said: ids with outcomes, and covered lines.
 *
 * Input comes from code nobody has read.  Every reader takes at most 8 MiB, 20,000 tests
 * or 10,000 files, and keeps at most 1,000 bytes of an id and 8 KiB of a message; more is
 * ERR_LIMIT or cut.  Bytes that are not UTF-8 and control characters are replaced, so that
 * all texts can go into JSON and prompts.
 *
 * Threads: no state; any.
 */
#ifndef TANDEM_RESULTS_H
#define TANDEM_RESULTS_H

#include "base/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

enum test_outcome { TEST_PASSED, TEST_FAILED, TEST_ERROR, TEST_SKIPPED };
extern const char *const test_outcome_names[]; /* NULL-terminated */

struct test_result {
    const char *id;      /* "tests/test_units.py::Convert::test_metres"; of a file that could not
                          * load or build: its path alone */
    int outcome;         /* enum test_outcome; ERROR: could not run (import error, crash) */
    const char *message; /* failure text, volatile parts not yet stripped */
};
extern const struct record test_result_record;

struct test_results {
    struct test_result *tests; /* sorted by id, unique (a repeated id keeps its worst outcome:
                                * error, failed, skipped, passed) */
    size_t count;
    const char *incomplete;    /* why this is not all ("planned 5 tests, saw 3"); "": it is */
};
const struct test_result *results_find(const struct test_results *r, const char *id);
size_t results_count(const struct test_results *r, enum test_outcome outcome);

/* TAP 12 to 14 (https://testanything.org/tap-version-14-specification.html).  The id is the
 * description, or "test N" without one.  A failed "todo" counts as skipped.  A YAML block and
 * comments behind a test are its message; "severity: error" in the block makes a failure an
 * error.  Subtests (indented) are left to the test point that sums them up.  ERR_INVALID:
 * not one line of TAP. */
int results_read_tap(struct arena *a, const char *text, size_t len, struct test_results *ret, struct err *e);

/* JUnit XML as pytest, Maven, Meson, Jest and others write it.  The id is FILE::CLASS::NAME
 * where a file is given (the class without the file's module path), else CLASS::NAME.
 * A document type declaration is refused: it is where XML's attacks live. */
int results_read_junit(struct arena *a, const char *text, size_t len, struct test_results *ret, struct err *e);

/* Cuts from every id what `cut` says (it returns how many bytes of the id stay) and unites
 * those that became the same; for parametrised tests. */
void results_fold(struct test_results *r, struct arena *a, size_t (*cut)(const char *id, void *ctx), void *ctx);

struct coverage_file { const char *path; int64_t lines, covered; struct texts missing; /* "12", "14-17" */ };
struct coverage {
    struct coverage_file *files; /* sorted by path, unique */
    size_t count;
    int64_t lines, covered;
};
extern const struct record coverage_file_record;

/* `root` ("/work"): paths below it become relative to it, other absolute paths are left
 * out.  Lines of a file that is named repeatedly are united. */
int coverage_read_lcov(struct arena *a, const char *root, const char *text, size_t len, struct coverage *ret, struct err *e);
/* What `gcov --json-format --stdout` prints: a JSON document per line and object file. */
int coverage_read_gcov(struct arena *a, const char *root, const char *text, size_t len, struct coverage *ret, struct err *e);
/* Leaves out the files for which `is_out` says so, and adds up again. */
void coverage_filter(struct coverage *c, bool (*is_out)(const char *path, void *ctx), void *ctx);

#endif
