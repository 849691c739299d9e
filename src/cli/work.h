/* cli/work.h - a team works on a project until it is done or a person is needed: what run,
 * resume, retry and demo have in common. */
#ifndef TANDEM_CLI_WORK_H
#define TANDEM_CLI_WORK_H

#include "cli/session.h"

struct work {
    struct session session;
    struct progress *progress;
    FILE *out;   /* for words: with --json standard error, since only events go to standard output */
    bool accept; /* gates are passed without asking (--yes) */
    const char *seen; /* what stood at the last gate; NULL before the first */
    bool seen_spec;
};
/* Takes the home, without a team yet. */
int work_open(struct work *w, struct invocation *in, struct err *e);
/* Starts the team, with a display that fits the terminal and --json.  `models`: used when
 * --model is not given; may be NULL. */
int work_begin(struct work *w, const struct texts *models, struct err *e);
void work_close(struct work *w);

/* Runs, asks at gates, hands over and prints the summary.  Returns an exit status or ERR_*. */
int work_on(struct work *w, const char *project, int64_t after_seq, struct err *e);

#endif
