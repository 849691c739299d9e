/* red.h - what red and its neighbours (green, met) share. */
#ifndef TANDEM_RED_H
#define TANDEM_RED_H

#include "model/answer.h"
#include "team/judge.h"
#include "team/step.h"

/* Ids that passed at the ticket's base; ids of its criteria proven since; both.  Without the
 * flaky ones. */
struct texts ticket_baseline(struct step *s);
struct texts ticket_proven(struct step *s);
struct texts ticket_must_pass(struct step *s);

/* Whether a Tester's answer leaves the test files of `before` as they are, apart from what it
 * adds to them; *ret_fault is "" or a sentence for the Tester.  Both are trees. */
int red_adds_only(struct step *s, const char *before, const char *tree, const char **ret_fault, struct err *e);

/* Judges a run of `tree` (= head_tree with the Tester's files) as red. */
int red_judge(struct step *s, const char *head_tree, const char *tree, const struct answer_files *files,
              const struct suite_run *run, struct red_judgement *ret, const char **ret_fault, struct err *e);

#endif
