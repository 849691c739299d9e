/* cli/summary.h - what a run came to: tickets, tests, coverage, commits, tokens, time. */
#ifndef TANDEM_CLI_SUMMARY_H
#define TANDEM_CLI_SUMMARY_H

#include "cli/tickets.h"

struct summary {
    const char *id;
    struct project project;
    struct store_found tickets, functionalities;
    struct tickets_sum sum;
    struct texts failing_before; /* the repository's own tests that did not pass, and do not */
    size_t commits;              /* on DEV since the base */
    struct runs_cost cost;
    struct project_work work;
};
int summary_look(struct session *s, const char *project, struct summary *ret, struct err *e);

/* For people. */
int summary_print(struct session *s, const char *project, struct err *e);
/* The last line of `--json`: like an event's, of the kind "summary".  `end`: "done", "blocked" or
 * "stopped". */
int summary_print_json(struct session *s, const char *project, const char *end, struct err *e);

#endif
