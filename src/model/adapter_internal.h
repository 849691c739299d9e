/* adapter_internal.h - what the parts of a running adapter share; for them alone.
 *
 * adapter.c       its life, and calls
 * adapter_hear.c  what it prints
 *
 * `lock` guards all but what is written before the child starts, and `partial` and `lines`, which
 * are the child's thread's.
 */
#ifndef TANDEM_MODEL_ADAPTER_INTERNAL_H
#define TANDEM_MODEL_ADAPTER_INTERNAL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "model/adapter.h"
#include "os/sandbox_child.h"

#include <pthread.h>
#include <stdlib.h>

struct said {
    struct said *next;
    struct arena arena;
    struct adapter_line line;
    size_t bytes;
};

struct adapter_call {
    struct adapter *adapter;
    struct adapter_call *next;
    int64_t id;
    struct said *first, **last, *current;
    bool finished;         /* its last line has come */
    int64_t given_up_ms;   /* when its caller left; 0: it is there */
};

struct adapter {
    struct adapter_options options;
    struct arena arena;
    struct sandbox_room room;
    bool has_room;
    struct sandbox_limits limits;
    struct sandbox_run run;
    struct sandbox_child *child;
    struct str partial;
    int64_t lines;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct adapter_hello hello;
    struct arena hello_arena;
    bool has_hello, stopping, ended, orderly;
    struct err why;        /* code 0: nothing is wrong yet */
    struct adapter_call *calls;
    int64_t next_id, ping_id;
    size_t unread;
    struct str words;      /* its standard error, the end of it */
    int64_t words_bytes, calm_since_ms, calm_bytes;
};

/* With the lock held.  Ends it; the first reason counts. */
void adapter_break_locked(struct adapter *a, int code, const char *text);
/* With the lock held.  Where the call of this id is linked, or the end of the list. */
struct adapter_call **adapter_find_call(struct adapter *a, int64_t id);
/* With the lock held, and the call out of the list. */
void adapter_free_call(struct adapter_call *c);
static inline void said_free(struct said *s)
{
    arena_release(&s->arena);
    free(s);
}
/* sandbox_run's on_output (adapter_hear.c). */
void adapter_hear(int stream, const char *bytes, size_t len, void *ctx);

enum { ADAPTER_MAX_WORDS = 2048 }; /* of its standard error */

#endif
