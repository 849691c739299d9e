/* met.h - a criterion whose tests pass at once: already met, or badly worded? */
#ifndef TANDEM_MET_H
#define TANDEM_MET_H

#include "team/conversation.h"
#include "team/judge.h"
#include "team/step.h"

/* The tests of criterion `index` passed on `tree` without new code.  If they fail on the
 * ticket's base, or under a mutation made by the engine, the criterion closes as met with
 * that evidence; otherwise the Architect rewords or drops it. */
int met_decide(struct step *s, struct conversation_use *tester, size_t index, const char *head_tree,
               const char *tree, const struct red_judgement *j, const char *run_id, struct err *e);

/* Whether a run shows that the criterion is not met on its tree: on the ticket's base every
 * test fails or cannot be run, on a mutant at least one fails. */
bool met_is_shown(const struct suite_run *run, const struct texts *tests, bool mutated);

/* The second half of closing as met: makes the intended commit (also after a crash). */
int met_complete(struct step *s, size_t index, struct err *e);

#endif
