/* cli/sentence.h - an event as one line for people. */
#ifndef TANDEM_CLI_SENTENCE_H
#define TANDEM_CLI_SENTENCE_H

#include "store/store.h"

#include <stdbool.h>

struct arena;

/* "T-3 red witnessed: criterion 2, absence (3 tests)".  NULL for events that only matter to
 * the machinery (leases, heartbeats), unless `all`. */
const char *event_sentence(struct store *s, struct arena *a, const struct event *ev, bool all);

#endif
