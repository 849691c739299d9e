/* cli/work.h - a team works on a project until it is done or a person is needed: what run,
 * resume, retry and demo have in common. */
#ifndef TANDEM_CLI_WORK_H
#define TANDEM_CLI_WORK_H

#include "cli/session.h"

struct work {
    struct session session;
    struct texts models; /* given now: words of --model that mean the same in another process */
    const char *record;  /* whole path of --record; "" */
    struct progress *progress;
    FILE *out;   /* for words: with --json standard error, since only events go to standard output */
    bool accept; /* gates are passed without asking (--yes) */
    const char *seen; /* what stood at the last gate; NULL before the first */
    bool seen_spec;
};
/* Takes the home, or finds who has it; with a display that fits the terminal and --json. */
int work_open(struct work *w, struct invocation *in, struct err *e);
void work_close(struct work *w);

/* A project is begun: waits for its models first, and says so. */
int work_create(struct work *w, const struct project_wish *wish, const char **ret_id, struct err *e);
/* Runs, asks at gates, hands over and prints the summary.  Returns an exit status or ERR_*. */
int work_on(struct work *w, const char *project, int64_t after_seq, struct err *e);

#endif
