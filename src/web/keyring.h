/* web/keyring.h - who may ask: the keys of a home at the server's door, and what they have used.
 *
 * Whoever comes through the home's socket is its owner.  By TCP:
 *   - without any key, programs on this machine may ask and nobody else;
 *   - with keys, everybody needs one, programs on this machine too: behind a reverse proxy all
 *     the world looks like this machine.  The setting keyless_local says otherwise.
 * What a proxy has passed on (it says so in X-Forwarded-For, Forwarded or Via) is never taken for
 * a program on this machine.
 *
 * Requests per minute are counted as they come (the generic cell rate algorithm, ITU-T I.371: an
 * idle minute allows them all at once, and the wait for the next one is known to the moment);
 * tokens of a day when a call has ended, so the calls that reach the limit are still answered.
 *
 * Threads: any.  Nothing here waits for the disk but keyring_new and keyring_reload.
 */
#ifndef TANDEM_WEB_KEYRING_H
#define TANDEM_WEB_KEYRING_H

#include "http/server.h"
#include "model/key.h"

struct keyring;

int keyring_new(struct keyring **ret, struct store *s, bool keyless_local, struct err *e);
/* Looks at the keys again; what was used stays counted. */
int keyring_reload(struct keyring *r, struct err *e);
/* No request may be under way.  NULL is allowed. */
void keyring_free(struct keyring *r);
size_t keyring_count(struct keyring *r);

/* For http_table.allow: 0, or 401 or 429.  Sets x->caller.  `counts`: the request is one of those
 * that a key may make in a minute, and tokens must be left. */
int keyring_allow(struct keyring *r, struct http_exchange *x, bool counts, struct err *e);

/* The name of the caller's key; "": it needs none. */
const char *keyring_name(const struct http_exchange *x);
bool keyring_may_name(struct keyring *r, const struct http_exchange *x, const char *model);
/* A call of the caller begins.  ERR_REFUSED: it may not name this model; ERR_BUSY: it has as many
 * calls under way as it may. */
int keyring_begin(struct keyring *r, struct http_exchange *x, const char *model, struct err *e);
/* ... and has ended. */
void keyring_end(struct keyring *r, const struct http_exchange *x, int64_t tokens);

/* ---- looking ---- */

struct keyring_use {
    const char *name;
    struct key_use today;
    int64_t running;
    uint64_t requests, turned_away, tokens; /* since the server began */
};
/* Of all keys, in the order of their names; *ret_unknown: requests without a key that holds. */
size_t keyring_look(struct keyring *r, struct arena *a, struct keyring_use **ret, uint64_t *ret_unknown);
/* The use of one key today; false: there is no such key. */
bool keyring_today(struct keyring *r, const char *name, struct key_use *ret);

#endif
