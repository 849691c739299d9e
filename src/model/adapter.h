/* model/adapter.h - a running adapter: a program that speaks for a model, in the sandbox.
 *
 * It says hello when its model is loaded, then answers requests, one at a time or as many as its
 * hello allows (model/adapter_line.h).  Whatever breaks the protocol ends it, and the sentence why is
 * what all that wait for it get; somebody else starts another one (keeping_adapter.c).
 *
 * Deadlines: a request that was cancelled has to be acknowledged within `cancel_ms`; how long an
 * answer may take is its asker's to know.
 *
 * Threads: any, but start and free.
 */
#ifndef TANDEM_MODEL_ADAPTER_H
#define TANDEM_MODEL_ADAPTER_H

#include "model/adapter_line.h"
#include "model/chat.h"

#include <stdatomic.h>

struct adapter;
struct adapter_call;
struct arena;
struct err;
struct sandbox;

struct adapter_options {
    struct sandbox *sandbox;  /* borrowed */
    const char *folder;       /* with the program "adapter" in it; copied */
    const char *file;         /* of the model, seen as ADAPTER_MODEL_SEEN; "": none */
    const char *called;       /* the model, in its answers; NULL: as the adapter calls itself */
    struct texts arguments;   /* of the program */
    struct texts environment; /* more of it: "NAME=value" */
    int64_t memory_mib;       /* of all it starts together */
    int64_t context, slots;   /* what is wished for; 0: nothing is said */
    int64_t cancel_ms;        /* 0: five seconds */
    /* It said hello, or ended; on a thread of its own, without locks.  May be NULL. */
    void (*on_news)(void *ctx);
    void *ctx;
};

#define ADAPTER_PROGRAM "adapter"
#define ADAPTER_MODEL_SEEN "/model/weights"

/* Returns at once: how it goes on is told by adapter_await.  ERR_SETUP: the folder or the file is
 * not there. */
int adapter_start(struct adapter **ret, const struct adapter_options *o, struct err *e);
/* Kills it if it is still there.  No call may be under way.  NULL is allowed. */
void adapter_free(struct adapter *a);

/* Waits for hello for up to `wait_ms`.  ERR_UNAVAILABLE: it ended, or broke the protocol; ERR_SETUP:
 * and will do so again. */
int adapter_await(struct adapter *a, int64_t wait_ms, bool *ret_ready, struct err *e);
/* Once it is ready; belongs to the adapter. */
const struct adapter_hello *adapter_said_hello(const struct adapter *a);
/* What its answers call the model; as above. */
const char *adapter_called(const struct adapter *a);
/* Whether it can be asked; ends it when a cancelled request has not been acknowledged in time. */
bool adapter_lives(struct adapter *a);
/* Why it does not live any more, with its last words. */
int adapter_why(struct adapter *a, struct err *e);
/* Sends a line (with its end) that is about no request. */
void adapter_send(struct adapter *a, const char *line);
/* Ends it for a breach of the protocol that only its asker sees. */
void adapter_break(struct adapter *a, const char *why);
/* Asks whether it hears us.  ERR_UNAVAILABLE: not within `wait_ms`, or it has ended. */
int adapter_ping(struct adapter *a, int64_t wait_ms, struct err *e);
/* Hangs up, waits for its end, and kills it after `grace_ms`; *ret_orderly (may be NULL): it ended by
 * itself with status 0. */
void adapter_stop(struct adapter *a, int64_t grace_ms, bool *ret_orderly);
/* Bytes it wrote to its standard error so far, and the last of them (appended). */
int64_t adapter_complaints(struct adapter *a, struct str *ret_last);

/* ---- calls ---- */

/* Waits until it may be asked, for up to `wait_ms`; asks `write`, which gets the call's id, for the
 * line, and sends it.  ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_CANCELLED. */
int adapter_call_begin(struct adapter *a, void (*write)(struct str *out, int64_t id, void *ctx), void *ctx, int64_t wait_ms,
                       const atomic_bool *cancel, struct adapter_call **ret, struct err *e);
/* The next line about it; lives until the next call of this.  ERR_TIMEOUT: none within `wait_ms`;
 * ERR_UNAVAILABLE.  Its last is ADAPTER_DONE or ADAPTER_ERROR. */
int adapter_call_next(struct adapter_call *c, int64_t wait_ms, const struct adapter_line **ret, struct err *e);
/* Cancels it if its last line has not come.  NULL is allowed. */
void adapter_call_end(struct adapter_call *c);

/* ---- as a model ---- */

/* An ordinary model (model_free frees the adapter, too), once it is ready. */
struct model *adapter_model(struct adapter *a, const struct model_options *o);

#endif
