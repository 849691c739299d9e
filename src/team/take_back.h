/* take_back.h - the Developer holds that a criterion's tests are wrong.
 *
 * A frozen test that contradicts its criterion cannot be made green.  So the Developer may say
 * so, once for each criterion: a commit returns the branch to the tree before the red, the
 * objection is in the log, and the Tester is asked again with the Developer's words.  The new
 * tests stand, whatever they are.
 */
#ifndef TANDEM_TAKE_BACK_H
#define TANDEM_TAKE_BACK_H

#include "model/answer.h"
#include "team/step.h"

/* What an answer without files objects to: the line that begins with "WRONG TEST:".  "" when
 * there is none. */
const char *take_back_asked(struct arena *a, const struct answer_files *answer);

/* Takes the red of criterion `index` back because of `objection`. */
int take_back(struct step *s, size_t index, const struct evidence *red, const char *objection, struct err *e);

/* Its second half (also after a crash: an intent is pending and the criterion is open). */
int take_back_complete(struct step *s, struct err *e);

#endif
