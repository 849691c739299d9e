/* http/pool.h - threads that do jobs, and a bounded queue before them.
 *
 * A pool may have a *duty*: its idle threads wait where jobs come from, instead of asleep, and the one
 * that finds a job does it at once.  To hand it to another thread would cost a wake-up, which on a
 * machine that has nothing else to do takes longer than a short job.  (The pattern is known as
 * leader/followers: Schmidt et al., Pattern-Oriented Software Architecture 2, 2000.)
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

struct pool_duty {
    /* Waits until something has happened, and submits what is to be done about it.  Several threads are
     * in it at once. */
    void (*attend)(void *ctx);
    /* Makes one return from it. */
    void (*call)(void *ctx);
    /* Makes all return from it, now and from then on. */
    void (*dismiss)(void *ctx);
    void *ctx;
};

struct pool_sleeper;

struct pool {
    pthread_mutex_t lock;
    struct pool_sleeper *sleepers; /* who went to sleep last is called first */
    struct pool_job *first, **last;
    size_t waiting, max_waiting;
    struct pool_duty duty;
    pthread_t *threads;
    size_t count, room;         /* threads that there are, and may be */
    size_t running, max;        /* of them, with a job */
    size_t attending;           /* of them, on duty */
    bool stop;
};

/* At most `max` jobs run at once.  `duty`: copied; may be NULL.  Somebody always attends to it, however
 * many jobs run; where no more threads can be made, jobs wait for that. */
void pool_init(struct pool *p, size_t max, size_t max_waiting, const struct pool_duty *duty);
/* Makes the threads it cannot do without; more are made when jobs wait. */
int pool_start(struct pool *p, struct err *e);
/* False: all are busy and the queue is full. */
bool pool_submit(struct pool *p, struct pool_job *job);
/* Of a thread on duty: whether it has found a job, and should go and do it. */
bool pool_has_found_job(void);
/* Does what waits and ends the threads; nothing may be submitted any more. */
void pool_stop(struct pool *p);
/* After pool_stop, or without pool_start. */
void pool_release(struct pool *p);

void pool_count(struct pool *p, size_t *ret_waiting, size_t *ret_running);

/* A thread with all signals blocked.  Returns an errno. */
int thread_start(pthread_t *ret, void *(*run)(void *), void *ctx);

#endif
