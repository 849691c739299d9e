/* web/outbox.h - what happens at a sitting, on its way to one who looks, as server-sent events.
 *
 * Workers put in and never wait; the handler takes out and sends.  Who does not keep up misses
 * pieces of text; who reads nothing at all is given up, and may look again.
 *
 * Threads: any.
 */
#ifndef TANDEM_WEB_OUTBOX_H
#define TANDEM_WEB_OUTBOX_H

#include "base/str.h"
#include "team/team.h"

#include <pthread.h>

enum {
    OUTBOX_PIECE = 64 << 10,  /* of text in one event, before JSON makes more of it */
    OUTBOX_TEXTS = 1 << 20,   /* unsent, from which on pieces of text are left out */
    OUTBOX_MAX = 4 << 20,     /* unsent, at which the reader is given up */
};

struct outbox {
    pthread_mutex_t lock;
    struct str events; /* whole ones */
    bool is_full;
};
void outbox_init(struct outbox *o);
void outbox_release(struct outbox *o);

/* As struct team_watcher calls them; `outbox` is a struct outbox. */
void outbox_text(const struct pulse *p, const char *text, size_t len, void *outbox);
void outbox_moved(const struct pulse *p, bool begun, void *outbox);

/* Appends all that came to `out`.  ERR_LIMIT: it was more than OUTBOX_MAX. */
int outbox_take(struct outbox *o, struct str *out, struct err *e);

#endif
