/* service.h - a child that serves until it is ended: it is only listened to.
 *
 * For programs that are spoken to over a socket (a model server).  What they print is kept
 * up to a limit, the oldest lines lost first; whoever looks after one waits here for its end,
 * so that it never stands with a full pipe.  Like every child it dies with us (process.h).
 *
 * Threads: a struct service belongs to one, its keeper; service_wake may be called from any.
 */
#ifndef TANDEM_SERVICE_H
#define TANDEM_SERVICE_H

#include "os/process.h"

struct service;

/* Of the options, `input`, `timeout_ms`, `cancel` and `on_output` are not used; `max_output`
 * is how much of its latest output is kept (0: 64 KiB). */
int service_start(struct service **ret, const struct process_options *o, struct err *e);

/* Listens until `wait_ms` are over (negative: for ever), service_wake is called, or it has
 * ended; false: it has. */
bool service_wait(struct service *s, int64_t wait_ms);
/* Ends a service_wait under way, or else the next one. */
void service_wake(struct service *s);

pid_t service_pid(const struct service *s);
/* The latest output, from the beginning of a line; valid until the next call with `s`. */
const char *service_said(struct service *s);

/* Asks it to end (SIGTERM), kills its process group after `grace_ms`, reaps.  *ret (may be NULL)
 * tells how it ended: PROCESS_EXITED or PROCESS_SIGNALLED by itself, PROCESS_CANCELLED when it
 * was still there; its texts are empty.  `s` is freed; NULL is allowed. */
void service_end(struct service *s, int64_t grace_ms, struct process_result *ret);

#endif
