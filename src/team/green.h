/* green.h - the whole suite on a tree, judged as green; with a second look at flaky tests. */
#ifndef TANDEM_GREEN_H
#define TANDEM_GREEN_H

#include "team/judge.h"
#include "team/step.h"

struct green_wish {
    const char *step_name, *tree;
    struct texts tests;     /* which must be green now */
    struct texts must_pass; /* what passed before */
    unsigned flags;         /* SUITE_COVERAGE */
};

/* *ret_fault is "" when all of `tests` and `must_pass` passes.  The Runs are in the step's
 * batch; `ret` is the last of them. */
int green_on(struct step *s, const struct green_wish *w, struct suite_run *ret, struct green_judgement *j,
             const char **ret_run_id, const char **ret_fault, struct err *e);

#endif
