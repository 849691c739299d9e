/* cli/desk.h - what a command says to projects: to the office of its own process, or to the server
 * that has the home.
 */
#ifndef TANDEM_CLI_DESK_H
#define TANDEM_CLI_DESK_H

#include "cli/session.h"

/* Said to whoever has the home, and to the next one when that ends before it has answered; it is fulfilled
 * once all the same.  Nothing of the session (store, office, eyes) may be kept across it.  The answer's texts
 * live in the invocation's arena. */
int desk_do(struct session *s, const struct office_verb *v, const void *wish, void *answer, struct err *e);

struct desk_watcher {
    struct team_watcher team;
    /* Others are at it already; `left_out`: what was asked for and does not count then, in lines. */
    void (*joined)(const char *left_out, void *ctx);
    bool *goes_on;             /* set when anything happened */
    void *ctx;
};
/* A sitting until its end, or until the person interrupts it (TEAM_STOPPED).  The watcher is called
 * from other threads.  ERR_GONE: who had the home has ended meanwhile; session_open_again. */
int desk_sit(struct session *s, const struct office_sitting *w, const struct desk_watcher *watcher, struct office_ended *ret,
             struct err *e);

#endif
