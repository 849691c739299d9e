/* suite.h - a test run as a Run, with what the judgements need.
 *
 * The batch of the step takes the Run; nothing is judged here (judge.h). */
#ifndef TANDEM_SUITE_H
#define TANDEM_SUITE_H

#include "team/step.h"

/* Runs the whole suite on a tree; *ret_run_id (may be NULL) gets the Run's id, whose outcome
 * can still be set with suite_outcome before the step is saved. */
int suite_on(struct step *s, const char *step_name, const char *tree, unsigned flags,
             struct suite_run *ret, struct run **ret_run, const char **ret_run_id, struct err *e);
/* Runs it once more, because of tests that passed before and did not now.  Those that pass
 * this time are named as flaky (of the step's ticket, in the log, and in *ret_flaky). */
int suite_again(struct step *s, const char *step_name, const char *tree, unsigned flags, const struct texts *broken,
                struct suite_run *ret, struct run **ret_run, const char **ret_run_id, struct texts *ret_flaky, struct err *e);
/* Puts the Run into the step's batch. */
void suite_store(struct step *s, const char *run_id, struct run *run, const char *outcome);

/* Whether its results say anything: it came to its end and left the tests as they were. */
static inline bool suite_counts(const struct suite_run *run)
{
    return run->completed && !run->modified.count;
}
/* Leaves out of run->modified what the suite rewrites by itself, with or without our work. */
void suite_tolerate(struct arena *a, struct suite_run *run, const struct texts *rewritten);

/* Ids of a run that passed; those that did not: failed, skipped, could not run. */
struct texts suite_passed(struct arena *a, const struct suite_run *run);
struct texts suite_failed(struct arena *a, const struct suite_run *run);

#endif
