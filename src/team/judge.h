/* judge.h - each role's `is_satisfactory`: is this answer good enough to go on?
 *
 * Pure functions of what was witnessed, with tests of their own (test_judge).  Each returns
 * "" when satisfied, otherwise one sentence that can be shown to the model as it is.
 *
 * Red and green follow Beck, "Test-Driven Development by Example" (2002), made strict: a
 * verdict rests on the ids of tests, the exit of the runner and limits not hit.
 */
#ifndef TANDEM_JUDGE_H
#define TANDEM_JUDGE_H

#include "repo/stack.h"
#include "team/docs.h"
#include "team/spec.h"

struct arena;
struct plan;

/* ---- Tester ---- */
struct red_question {
    const struct suite_run *run;
    const struct texts *known;    /* ids that existed before the Tester's answer */
    const struct texts *listed;   /* ids the stack lists in the answered files, statically */
    const struct texts *must_pass;/* ids that passed at the ticket's base */
    const struct texts *proven;   /* ids of this ticket's earlier criteria: they may be unable to load
                                   * together with the new tests, when something absent is the reason */
    /* What the message of a failed test, or of a broken file, means (stack_judge). */
    void (*explain)(const char *message, struct failure *ret, void *ctx);
    void *ctx;
};
struct red_judgement {
    struct texts tests;    /* the new ids */
    struct texts absent;   /* what absence named */
    int reason;            /* enum red_reason */
    struct texts passing;  /* new ids that passed */
    bool passes_at_once;   /* every new test passed */
    struct texts broken;   /* of must_pass and proven: now failing or gone, for no absence */
    const char *failing;   /* digest-worthy list of failing ids, for loop detection */
};
const char *tester_is_satisfactory(struct arena *a, const struct red_question *q, struct red_judgement *ret);

/* ---- Developer ---- */
struct green_question {
    const struct suite_run *run;
    const struct texts *tests;     /* the criterion's */
    const struct texts *must_pass; /* everything that passed before */
};
struct green_judgement {
    const char *failing;       /* as above */
    struct texts broken;       /* of must_pass: now failing or gone */
    struct texts still_failing;/* of tests */
    int64_t open, wanted;      /* how many of both do not pass, of how many; none of a run that proves nothing does */
};
const char *developer_is_satisfactory(struct arena *a, const struct green_question *q, struct green_judgement *ret);

/* ---- PM ---- */
/* It has a title and clauses. */
const char *pm_wrote_specification(struct arena *a, const char *spec);
/* The significant words of the idea that do not occur, "people, nicely"; "" when at most a third of
 * them.  Only a person can tell whether other words say the same. */
const char *pm_leaves_out(struct arena *a, const char *idea, const char *spec);
/* Both. */
const char *pm_is_satisfactory(struct arena *a, const char *idea, const char *spec);

/* ---- Architect ---- */
/* Every clause that states behaviour has a criterion, references resolve, no cycles. */
const char *architect_is_satisfactory(struct arena *a, const struct plan *p, const struct clauses *clauses);

#endif
