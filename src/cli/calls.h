/* cli/calls.h - the calls of models that a home's log has, whoever made them.
 *
 * Those of a team are runs and, where no answer came, events of kind model.failed; those of other
 * programs and of `tandem model ask` are events of kind model.asked, one for those that came together.
 */
#ifndef TANDEM_CLI_CALLS_H
#define TANDEM_CLI_CALLS_H

#include "store/store.h"

struct call {
    int64_t time_ms;       /* when it began; of what only an event tells, when it ended */
    const char *id;        /* of a team's run; "" */
    const char *role;      /* "developer"; "" when a model was named */
    const char *model;     /* who answered; "" when nobody did */
    const char *about;     /* "units/T-3 red-1", or the path of the gateway */
    const char *outcome;   /* "satisfied", or why not; "answered" where nobody judges */
    int64_t version, escalation;
    int64_t prompt_tokens, cached_tokens, completion_tokens; /* -1: not told */
    int64_t queue_us, first_token_us, total_us;              /* first_token_us -1: none came */
    int64_t retries;
};
extern const struct record call_record;

struct calls_wish {
    const char *model, *role; /* NULL: all */
    int64_t since_ms;         /* wall time; 0: all there are */
};
struct calls {
    struct call *items; /* in the order of their times */
    size_t count;
};
int calls_read(struct store *s, struct arena *a, const struct calls_wish *w, struct calls *ret, struct err *e);

/* What they come to together. */
struct calls_sum {
    const char *role;
    int64_t calls, satisfied, refused, failed, escalated;
    int64_t prompt_tokens, completion_tokens;
    int64_t told_tokens, cached_tokens; /* of the prompts whose server told what it had cached */
    int64_t total_us, queue_us, first_token_us, first_tokens;
};
/* One for each role, in the order in which they first occur, and one for all at the end. */
size_t calls_sum(struct arena *a, const struct calls *c, struct calls_sum **ret);

/* Of the prompts whose server told it, how many percent of the tokens came from its cache; -1: none told. */
int64_t hit_percent(int64_t cached_tokens, int64_t told_tokens);

#endif
