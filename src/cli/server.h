/* cli/server.h - asking the server that runs on a home.
 *
 * Commands that change a home take its lock; when a server has it, they ask the server instead.
 */
#ifndef TANDEM_CLI_SERVER_H
#define TANDEM_CLI_SERVER_H

#include "cli/session.h"

#include <jansson.h>

/* Opens the home to change it, or, when its server has the lock, to look at it with s->server set.
 * Any other process with the lock is ERR_BUSY. */
int session_open_or_ask(struct session *s, struct invocation *in, struct err *e);

/* Whether a server runs on the home; sets s->server then. */
bool server_runs(struct session *s);

/* One request to the server; `body` may be NULL, its reference is taken over.  Waits as long as it takes, unless
 * the person interrupts.  An error answer becomes an error with the server's sentence. */
int server_ask(struct session *s, const char *method, const char *path, json_t *body, json_t **ret, struct err *e);

#endif
