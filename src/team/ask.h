/* ask.h - asks a role's model, and stores the Run before its answer is used.
 *
 * After a crash a complete answer to the same prompt is taken from the store, for which no
 * server is needed as long as nothing had to be left out of the prompt; a partial one is asked
 * again.
 */
#ifndef TANDEM_ASK_H
#define TANDEM_ASK_H

#include "team/conversation.h"
#include "team/step.h"

struct question {
    enum role role;
    const char *step;            /* "red-1": with ticket and role the key of recordings */
    struct conversation_use *conversation; /* its last turn is the request */
    const struct record *schema; /* NULL: text */
    double temperature;
    bool heavy;                  /* use the heavier model where there is one */
    bool can_begin_anew;         /* the caller would rather have ERR_LIMIT and begin a fresh context
                                  * than let the model work without what it has written */
};

struct reply {
    const char *text;
    size_t len;
    const char *run_id;
    bool cut; /* the answer ended at the token limit or in endless repetition */
};

/* Appends the answer to the conversation.  Errors are the model's (model_chat) or the
 * store's; ERR_SETUP when the role has no model, or it is not there: that is no fault of the work. */
int ask(struct step *s, const struct question *q, struct reply *ret, struct err *e);

/* What became of the step's last answer is noted in its run, with what the step changes: `fault` is ""
 * when it was good enough.  Only the first word counts; without any, how the step ends says it. */
void ask_judge(struct step *s, const char *fault);

/* ask, then the JSON contract; a violation is told to the model and it is asked again, as
 * often as the limit `replans` says.  Then ERR_INVALID with the last violation.  `check` (may be NULL)
 * is the role's own judgement of the value read: "" or a sentence for the model. */
typedef const char *answer_check(struct step *s, const void *value, void *ctx);
int ask_json(struct step *s, const struct question *q, const struct record *r, void *ret,
             answer_check *check, void *ctx, struct err *e);

#endif
