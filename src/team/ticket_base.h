/* ticket_base.h - the commit a ticket begins with (internal to team/): the merge of what it
 * builds on. */
#ifndef TANDEM_TICKET_BASE_H
#define TANDEM_TICKET_BASE_H

#include "base/set.h"
#include "team/step.h"

/* One more commit into `base`: either contains the other, or git merges them, by a commit of
 * fixed identity and date.  *ret_conflict names paths when it cannot, else "". */
int base_fold(struct step *s, struct oid *base, const char *commit, const char **ret_conflict, struct err *e);

/* The merge of what the step's ticket builds on, as far as git makes it; *ret_other: the first
 * ticket that conflicts with those before it, NULL when there is none. */
int base_find(struct step *s, struct oid *ret, const struct ticket **ret_other, struct err *e);

/* An attempt at the merge of such a ticket's work into the base (merge.h); ends the step. */
int base_merge(struct step *s, const struct oid *base, const struct ticket *other, struct err *e);
/* Adds what must pass then: all that passed before the tickets so far and all that proves them. */
int base_must_pass(struct step *s, const struct ticket *other, struct set *to, struct err *e);
/* The ticket's base is that commit now, by whomever it was merged. */
int base_merged(struct step *s, const char *commit, struct err *e);

#endif
