/* results.h - what a test run said: ids with outcomes, and covered lines.
 *
 * Input comes from code nobody has read: every reader bounds what it takes. */
#ifndef TANDEM_RESULTS_H
#define TANDEM_RESULTS_H

#include "base/record.h"

#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

enum test_outcome { TEST_PASSED, TEST_FAILED, TEST_ERROR, TEST_SKIPPED };
extern const char *const test_outcome_names[];

struct test_result {
    const char *id;      /* "tests/test_units.py::Convert::test_metres" */
    int outcome;         /* enum test_outcome; ERROR: could not run (import error, crash) */
    const char *message; /* failure text, volatile parts not yet stripped */
};
extern const struct record test_result_record;

struct test_results {
    struct test_result *tests; /* sorted by id, unique (a repeated id keeps its worst outcome) */
    size_t count;
};
const struct test_result *results_find(const struct test_results *r, const char *id);

int results_read_tap(struct arena *a, const char *text, size_t len, struct test_results *ret, struct err *e);
int results_read_junit(struct arena *a, const char *text, size_t len, struct test_results *ret, struct err *e);

struct coverage_file { const char *path; int64_t lines, covered; struct texts missing; /* "12", "14-17" */ };
struct coverage { struct coverage_file *files; size_t count; int64_t lines, covered; };
int coverage_read_lcov(struct arena *a, const char *text, size_t len, struct coverage *ret, struct err *e);

#endif
