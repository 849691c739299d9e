/* cli/summary.h - what a run came to: tickets, tests, coverage, commits, tokens, time. */
#ifndef TANDEM_CLI_SUMMARY_H
#define TANDEM_CLI_SUMMARY_H

#include "cli/session.h"

int summary_print(struct session *s, const char *project, struct err *e);

#endif
