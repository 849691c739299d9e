/* queue.h - the durable queue: which task runs next, and who holds it.
 *
 * A task is a document.  A worker leases one, does it, and commits its result together with
 * "task done" in one batch.  A lease has an owner, an epoch and an end; a heartbeat extends
 * it while the worker lives.  Opening the queue raises the epoch: whatever a dead process
 * held becomes ready again, and a result that comes with an old epoch is refused.
 *
 * A task whose handler fails three times, with growing pauses, is dead-lettered.
 *
 * Threads: any number of workers on one queue.
 */
#ifndef TANDEM_QUEUE_H
#define TANDEM_QUEUE_H

#include "team/docs.h"

struct arena;
struct err;
struct queue;

enum { QUEUE_LEASE_MS = 120000, QUEUE_MAX_ATTEMPTS = 3 };

/* Raises the epoch and takes back all leases, in one commit; starts the heartbeat. */
int queue_open(struct queue **ret, struct store *s, struct err *e);
void queue_free(struct queue *q);
int64_t queue_epoch(const struct queue *q);

/* Whether a ready task may run now (its ticket's dependencies are there, a pair is free). */
typedef bool queue_may_run(const char *id, const struct task *t, void *ctx);

/* Leases the first ready task of the project by order for `owner`.  ERR_NOT_FOUND: none may
 * run; *ret_wait_ms then says in how many milliseconds a paused one becomes ready (-1: none
 * is paused). */
int queue_lease(struct queue *q, struct arena *a, const char *project, const char *owner,
                queue_may_run *may_run, void *ctx, const char **ret_id, struct task *ret,
                int64_t *ret_wait_ms, struct err *e);

/* Commits `b` together with "task done".  ERR_CONFLICT: the lease is not ours any more or a
 * document changed; nothing was written. */
int queue_finish(struct queue *q, const char *id, struct batch *b, struct err *e);

/* Gives a task back: to be run again after a pause, or dead after the third failure;
 * *ret_dead says which.  An event tells why. */
int queue_give_back(struct queue *q, const char *id, const char *why, bool *ret_dead, struct err *e);
/* Gives it back as it was, because we are asked to stop. */
int queue_release(struct queue *q, const char *id, struct err *e);

#endif
