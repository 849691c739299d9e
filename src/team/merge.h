/* merge.h - bringing two lines of work together: git first, then the Developer, under the
 * whole suite, then a person. */
#ifndef TANDEM_MERGE_H
#define TANDEM_MERGE_H

#include "base/set.h"
#include "team/step.h"

struct merge_wish {
    const char *ours, *theirs;   /* commits; theirs goes into ours */
    const char *ours_name, *theirs_name; /* branches, for messages and prompts */
    const char *step_name;       /* "integrate-1" */
    const struct texts *must_pass; /* by id, on the result */
    const char *hint;            /* from a person; "" */
    int64_t attempt;
};
struct merge_made {
    const char *tree;       /* "" when it did not succeed */
    const char *fault;      /* why not */
    bool needs_person;      /* the Developer cannot: a binary file, a tree above the limits,
                             * tests of one name that git put together */
    struct suite_run run;   /* of the merged tree, with coverage */
    const char *run_id;
};
/* One attempt.  The whole suite runs on the result.  A failed attempt has told the Developer
 * what was wrong; call again with the next attempt.  The Developer resolves files in conflict,
 * tests among them (which stay whole: merge_keeps_tests), and may change any other production file: what one side relies on may be
 * what the other changed, without git seeing a conflict. */
int merge_attempt(struct step *s, const struct merge_wish *w, struct merge_made *ret, struct err *e);
/* After one that did not succeed: the step once more or, after three attempts or where only a
 * person can help, blocked.  `attempt` is counted on; `cannot` begins the reason. */
void merge_failed(struct step *s, int64_t *attempt, const struct merge_made *made, const char *cannot);

/* Whether a text holds conflict markers. */
bool merge_has_markers(const char *bytes, size_t len);

/* Whether every test file of both sides is in the result, as it was or added to; *ret_fault is
 * "" or a sentence that names the first that is not (merge_tests.c). */
struct merge_judged {
    const char *ours, *theirs, *result; /* commits; the result may be a tree */
    const char *ours_name, *theirs_name;
};
int merge_keeps_tests(struct site *site, struct arena *a, const struct merge_judged *m, const char **ret_fault, struct err *e);

/* Adds what must pass after a merge: of a ticket with its functionality, everything that passed
 * before it and what either side has proven (step_integrate.c); of DEV with the step's
 * functionality, all that passed before its tickets and all that proves what is in DEV and
 * what comes now; of the functionality alone, the same of its own tickets (step_deliver.c). */
int integrate_must_pass(struct step *s, struct set *to, struct err *e);
int deliver_must_pass(struct step *s, struct set *to, struct err *e);
int functionality_must_pass(struct step *s, struct set *to, struct err *e);
/* What passed before a ticket, and what proves it, without its flaky ones. */
void ticket_add_tests(const struct ticket *t, struct set *to);

/* Where the branch of the step's functionality stands; the project's base until its first merge. */
int feature_tip(struct step *s, const char **ret, struct err *e);

#endif
