/* cli/server.h - asking the process that has a home.
 *
 * Commands that change a home take its lock; when a server has it, they ask the server instead.
 */
#ifndef TANDEM_CLI_SERVER_H
#define TANDEM_CLI_SERVER_H

#include "cli/session.h"

#include <jansson.h>

/* The file of a home that names the socket, for those whose environment names another directory for sockets. */
#define SERVER_PLACE "socket"
/* Whether somebody serves the home on its socket; sets s->server then, or to NULL. */
bool server_runs(struct session *s);

/* Whether it is `tandem serve`, and not a command that lets others in while it works. */
bool server_is_for_good(struct session *s);

/* One request to the server; `body` may be NULL, its reference is taken over.  Waits as long as it takes, unless
 * the person interrupts.  An error answer becomes an error with the server's sentence.  ERR_GONE: the server
 * has ended, perhaps before it did anything; session_open_again finds the next. */
int server_ask(struct session *s, const char *method, const char *path, json_t *body, json_t **ret, struct err *e);
/* The same by POST for an answer that is a stream; ERR_GONE too when nothing comes for half a minute, for who
 * is there says so every ten seconds. */
int server_stream(struct session *s, const char *path, json_t *body, bool (*on_body)(const char *bytes, size_t len, void *ctx),
                  void *ctx, struct err *e);
/* Says, once, which settings of this invocation do not count, for they are those of the server's process. */
void server_warn_settings(struct session *s);
/* Why nothing protects the machine from the code that the server runs; "" where its sandbox does. */
const char *server_unprotected(struct session *s);
/* What {"error": {"code", "message"}} says; `status` counts when it says no code. */
int server_error(const json_t *answer, int status, struct err *e);

#endif
