/* web/call_log.h - calls of other programs, in the home's log, behind their answers; and what keys
 * have used, so that a restart does not forget it.
 *
 * Nobody waits for the disk: calls are put into a bounded queue, and one thread commits what
 * has gathered as one batch.  Calls that come together share an event, {"calls": [...]}: an event for
 * each took a fifth of what the calls themselves did.  When the queue is full calls are counted
 * instead of kept, and the next event says how many were lost.
 *
 * Threads: call_log_add from any.
 */
#ifndef TANDEM_WEB_CALL_LOG_H
#define TANDEM_WEB_CALL_LOG_H

#include "web/gateway.h"

struct err;
struct store;
struct call_log;

/* Both are borrowed until the end. */
int call_log_new(struct call_log **ret, struct store *s, struct keyring *keys, struct err *e);
/* Copies. */
void call_log_add(struct call_log *l, const struct gateway_call *c);
/* One call, committed at once: for commands that ask a model themselves. */
int call_log_put(struct store *s, const struct gateway_call *c, const char *actor, struct err *e);
/* Commits what is left.  NULL is allowed. */
void call_log_free(struct call_log *l);

#endif
