/* green.h - the whole suite on a tree, judged as green; with a second look at flaky tests. */
#ifndef TANDEM_GREEN_H
#define TANDEM_GREEN_H

#include "team/judge.h"
#include "team/step.h"

/* *ret_fault is "" when all of `tests` and everything that passed before passes.  The Run is
 * in the step's batch. */
int green_on(struct step *s, const char *step_name, const char *tree, const struct texts *tests, unsigned flags,
             struct suite_run *ret, struct green_judgement *j, const char **ret_run_id, const char **ret_fault,
             struct err *e);

#endif
