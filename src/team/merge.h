/* merge.h - bringing two lines of work together: git first, then the Developer, under the
 * whole suite, then a person. */
#ifndef TANDEM_MERGE_H
#define TANDEM_MERGE_H

#include "team/step.h"

struct merge_wish {
    const char *ours, *theirs;   /* commits; theirs goes into ours */
    const char *ours_name, *theirs_name; /* branches, for messages and prompts */
    const char *step_name;       /* "integrate-1" */
    const struct texts *must_pass; /* besides these, everything that passes on either side must */
    int64_t attempt;
};
struct merge_made {
    const char *tree;       /* "" when it did not succeed */
    const char *fault;      /* why not */
    struct suite_run run;   /* of the merged tree, with coverage */
    const char *run_id;
    bool clean;             /* without the Developer's help */
};
/* One attempt.  The whole suite runs on the result.  A failed attempt has told the Developer
 * what was wrong; call again with the next attempt. */
int merge_attempt(struct step *s, const struct merge_wish *w, struct merge_made *ret, struct err *e);

#endif
