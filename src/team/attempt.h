/* attempt.h - a role's attempt at a ticket, and what happens when it is not good enough.
 *
 * How many attempts there are a person sets (setting attempts); the levels are spread over
 * them: a hint, other sampling, a fresh context, the heavier model, and at the end a person.
 * Loops are cut by lack of progress: the same tree with the same failing tests as an earlier
 * attempt raises the level at once, up to the person.  Progress is a Developer's and raises
 * nothing: fewer tests open than after the best attempt so far, or as many in a program that
 * builds at last.  Each new level is an event. */
#ifndef TANDEM_ATTEMPT_H
#define TANDEM_ATTEMPT_H

#include "team/ask.h"
#include "team/conversation.h"
#include "model/answer.h"

enum escalation { LEVEL_NORMAL, LEVEL_HINT, LEVEL_SAMPLING, LEVEL_FRESH, LEVEL_HEAVY, LEVEL_PERSON };
enum trend { TREND_NONE, TREND_REPEATED, TREND_CLOSER };
/* The level after the n-th failed attempt of `attempts`; `has_heavy`: there is a heavier model
 * to ask. */
int64_t attempt_level(int64_t level, int64_t nth, int64_t attempts, enum trend trend, bool has_heavy);

/* The question for the next attempt at the ticket's current level; `fresh`: the conversation
 * begins with it. */
struct question attempt_question(struct step *s, enum role role, const char *step_name,
                                 struct conversation_use *c, bool fresh);

/* Whether a hard cap (attempts, tokens, time) is reached; blocks the step then. */
bool attempt_capped(struct step *s);

struct failed_attempt {
    const char *fault;    /* one sentence */
    const struct suite_run *run; /* its failures and output are shown */
    const char *tree;     /* what was tried; "" when the answer could not be applied */
    const char *failing;  /* for loop detection */
    const char *template; /* of the message: "tester-retry" */
    const char *number, *criterion; /* placeholders; may be "" */
    int64_t open, tests;  /* how many of how many tests do not pass yet; 0 of 0: that is no measure here */
};
/* Records the refusal (event, WIP ref), tells the model, and ends the step with STEP_AGAIN
 * or STEP_BLOCK. */
int attempt_failed(struct step *s, struct conversation_use *c, const struct failed_attempt *f, struct err *e);

/* The conversation with system prompt and context in place; *ret_new: it was empty. */
int attempt_conversation(struct step *s, enum role role, const char *tree, struct conversation_use **ret,
                         bool *ret_new, struct err *e);

/* "" or why the role must not write or delete that file. */
const char *attempt_refuse_path(struct step *s, enum role role, const struct answer_file *f);
/* A role's attempt at the step's ticket: what is on its branch, a request, and files for an answer. */
struct attempt {
    enum role role;
    const char *step_name;
    /* Adds the request, when it is the first attempt or the conversation begins with it. */
    int (*request)(struct step *s, const struct attempt *a, struct err *e);
    const void *ctx; /* the request's */

    const char *head_tree; /* of the ticket's last commit */
    struct conversation_use *conversation;
    bool fresh;            /* it begins with this attempt */
    struct answer_files files; /* whole; an answer that breaks the contract is notes alone */
    const char *tree;      /* the head's with these files */
    const char *fault;     /* "" or why they are refused */
    const char *shown;     /* with a fault: "" or the lines of a file that an edit may have meant */
};
/* Makes it: what stands above the empty line is the caller's, the rest is filled in.
 * *ret_answered false: the conversation was too long for the model, and the step ends with
 * STEP_AGAIN for a fresh one. */
int attempt_make(struct step *s, struct attempt *a, bool *ret_answered, struct err *e);

/* Tree of a commit. */
int tree_of(struct step *s, const char *commit, const char **ret, struct err *e);

#endif
