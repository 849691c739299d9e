/* queue.h - the durable queue: which task runs next, and who holds it.
 *
 * A task is a document.  A worker leases one, does it, and commits its result together with
 * "task done" in one batch.  A lease has an owner, an epoch and an end; a heartbeat extends
 * it while the worker lives.  Opening the queue raises the epoch: whatever a dead process
 * held becomes ready again, and a result that comes with an old epoch is refused.
 *
 * A task whose handler fails again and again, with growing pauses, is dead-lettered; what
 * that means for others goes into the same commit.
 *
 * Threads: any number of workers on one queue.
 */
#ifndef TANDEM_QUEUE_H
#define TANDEM_QUEUE_H

#include "team/docs.h"

struct arena;
struct err;
struct queue;
struct batch;
struct store;

struct queue_limits {
    int64_t attempts; /* failures of a task's handler after which it is dead */
    int64_t lease_ms; /* three heartbeats */
    int64_t pause_ms; /* after the first failure; four times as long after each further one */
};
extern const struct queue_limits queue_default_limits;

/* Raises the epoch and takes back all leases, in one commit; starts the heartbeat.  `limits`
 * NULL: default. */
int queue_open(struct queue **ret, struct store *s, const struct queue_limits *limits, struct err *e);
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

/* Gives a task back: to be run again after a pause, or dead after too many failures;
 * *ret_dead says which.  An event tells why.  `if_dead` (may be NULL) is committed together
 * with the death, so that no crash leaves a dead task that nobody was told of; otherwise it
 * is left as it is.  After an error the lease is as it was, and the heartbeat goes on. */
int queue_give_back(struct queue *q, const char *id, const char *why, struct batch *if_dead, bool *ret_dead,
                    struct err *e);
/* Gives it back as it was, because we are asked to stop. */
int queue_release(struct queue *q, const char *id, struct err *e);

#endif
