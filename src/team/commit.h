/* commit.h - commits that carry the proof they rest on.
 *
 * Three moments, each durable before the next: (1) the store learns what was witnessed and
 * that a commit will be made (the intent: parent, tree, message, date); (2) git gets the
 * commit, whose Evidence trailer is the hash of the witnessing event, and the ref moves by
 * compare-and-swap; (3) the step's end is committed to the store.  A crash between them is
 * mended by doing the step again: it finds its intent and makes the same commit.
 */
#ifndef TANDEM_COMMIT_H
#define TANDEM_COMMIT_H

#include "team/step.h"

struct commit_wish {
    const char *ref;        /* "refs/heads/ticket/T-1" */
    const char *expected;   /* where it stands; "" when it does not exist */
    const char *tree;
    const char *parent, *second_parent; /* "" for none */
    const char *verb;       /* "Red", "Green"; "" for none: the first line is "VERB: TEXT", cut to 72 */
    const char *text;       /* what it is about; the whole of it is the body when it was cut */
    const char *event_kind; /* what was witnessed: "red.witnessed" */
    json_t *payload;        /* of that event; taken over */
};

/* A wish for a commit on the ticket's own branch, on top of its head; who wishes adds the verb,
 * the text and what was witnessed. */
struct commit_wish commit_on_ticket(struct step *s, const char *tree);

/* The trailers name ticket, functionality, role (of who wrote the tree), and the model that answered in this step.
 * Moment 1: puts event and intent into the step and saves it (with everything else the step
 * has changed so far). */
int commit_intend(struct step *s, const struct commit_wish *w, struct err *e);

/* Whether this task has an intent already, from before a crash. */
bool commit_pending(struct step *s);

/* Moment 2; *ret_commit gets the object id. */
int commit_make(struct step *s, const char **ret_commit, struct err *e);

/* The second half of a commit on the ticket's own branch, which becomes its head: commit_make,
 * and an event for moment 3.  The step ends with STEP_NEXT. */
int commit_to_ticket(struct step *s, const char *event_kind, const char **ret_commit, struct err *e);
/* The same for a criterion, which gets a new state and has the commit in its evidence: the red
 * one for CRITERION_RED, otherwise the green one. */
int commit_to_criterion(struct step *s, size_t index, enum criterion_state state, const char *event_kind, struct err *e);

#endif
