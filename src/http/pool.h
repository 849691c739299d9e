/* http/pool.h - threads that do jobs, and a bounded queue before them.
 *
 * Threads: any may submit.  They block all signals, which are the main thread's.
 */
#ifndef TANDEM_HTTP_POOL_H
#define TANDEM_HTTP_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct err;

/* A part of whatever is to be done. */
struct pool_job {
    struct pool_job *next;
    void (*run)(struct pool_job *job);
};

struct pool_sleeper;

struct pool {
    pthread_mutex_t lock;
    struct pool_sleeper *sleepers; /* who went to sleep last is called first */
    struct pool_job *first, **last;
    size_t waiting, max_waiting;
    pthread_t *threads;
    size_t count, max, idle;
    bool stop;
};

void pool_init(struct pool *p, size_t max, size_t max_waiting);
/* Makes one thread; more, up to `max`, are made when jobs wait. */
int pool_start(struct pool *p, struct err *e);
/* False: all are busy and the queue is full. */
bool pool_submit(struct pool *p, struct pool_job *job);
/* Does what waits and ends the threads; nothing may be submitted any more. */
void pool_stop(struct pool *p);
/* After pool_stop, or without pool_start. */
void pool_release(struct pool *p);

void pool_count(struct pool *p, size_t *ret_waiting, size_t *ret_running);

/* A thread with all signals blocked.  Returns an errno. */
int thread_start(pthread_t *ret, void *(*run)(void *), void *ctx);

#endif
