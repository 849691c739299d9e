/* sandbox_child.h - a program in the sandbox that lives until it is ended, and is spoken to.
 *
 * Its standard input is a pipe of ours; what it prints is seen as it comes.  Two threads belong to
 * each: one runs it, one writes what is to be sent, so that whoever sends never waits for a program
 * that does not read.
 *
 * Threads: send, hang_up and kill from any; start and free from one.
 */
#ifndef TANDEM_SANDBOX_CHILD_H
#define TANDEM_SANDBOX_CHILD_H

#include "os/sandbox.h"

struct sandbox_child;

/* `run` and all it points to stay the caller's until sandbox_child_free; its limits should have no
 * timeout, and its input_fd, endless and cancel are set here.  on_output and, once, `on_end` are
 * called on a thread of the child's.  Returns before the program runs: that it could not be run is
 * told by sandbox_child_end, too. */
int sandbox_child_start(struct sandbox_child **ret, struct sandbox *s, const struct sandbox_run *run, void (*on_end)(void *ctx),
                        struct err *e);

/* Sends all of it, in turn.  ERR_LIMIT: more than 64 MiB wait to be read. */
int sandbox_child_send(struct sandbox_child *c, const char *bytes, size_t len, struct err *e);
/* Closes its input, when all was written that was sent before. */
void sandbox_child_hang_up(struct sandbox_child *c);
/* Ends it and all it started, without asking. */
void sandbox_child_kill(struct sandbox_child *c);

/* How it ended, from on_end on: 0 and *ret (the child's, its streams' beginnings in it), or the
 * error of sandbox_run. */
int sandbox_child_end(const struct sandbox_child *c, const struct sandbox_result **ret, struct err *e);

/* Kills it if need be, and waits for its end.  NULL is allowed. */
void sandbox_child_free(struct sandbox_child *c);

#endif
