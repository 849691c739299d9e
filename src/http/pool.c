/* pool.c - workers are made when a job finds none idle and stay until the end: a handler
 * mostly waits for a model, so a thread costs little more than its stack's first pages.  The one
 * that was busy last is called first, because its memory is still in the processor's caches; on
 * one condition for all they would take turns. */
#include "http/pool.h"

#include "base/alloc.h"
#include "base/err.h"

#include <signal.h>
#include <stdlib.h>

enum { STACK_SIZE = 1 << 20 };

int thread_start(pthread_t *ret, void *(*run)(void *), void *ctx)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failure = pthread_create(ret, &attr, run, ctx);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return failure;
}

struct pool_sleeper {
    struct pool_sleeper *next;
    pthread_cond_t wake;
    bool called;
};

/* The lock is held. */
static struct pool_sleeper *call_one(struct pool *p)
{
    struct pool_sleeper *s = p->sleepers;
    if (s) {
        p->sleepers = s->next;
        s->called = true;
    }
    return s;
}

/* The lock is held. */
static void sleep_until_called(struct pool *p, struct pool_sleeper *self)
{
    self->called = false;
    self->next = p->sleepers;
    p->sleepers = self;
    while (!self->called)
        pthread_cond_wait(&self->wake, &p->lock);
}

static void *work(void *ctx)
{
    struct pool *p = ctx;
    struct pool_sleeper self;
    pthread_cond_init(&self.wake, NULL);
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->first && !p->stop)
            sleep_until_called(p, &self);
        struct pool_job *job = p->first;
        if (!job)
            break;
        p->first = job->next;
        if (!p->first)
            p->last = &p->first;
        p->waiting--;
        p->idle--;
        pthread_mutex_unlock(&p->lock);
        job->run(job);
        pthread_mutex_lock(&p->lock);
        p->idle++;
    }
    pthread_mutex_unlock(&p->lock);
    pthread_cond_destroy(&self.wake);
    return NULL;
}

/* The lock is held. */
static int add_thread(struct pool *p)
{
    int failure = thread_start(&p->threads[p->count], work, p);
    if (!failure) {
        p->count++;
        p->idle++;
    }
    return failure;
}

void pool_init(struct pool *p, size_t max, size_t max_waiting)
{
    *p = (struct pool){ .max = max, .max_waiting = max_waiting };
    p->last = &p->first;
    p->threads = xcalloc(max, sizeof *p->threads);
    pthread_mutex_init(&p->lock, NULL);
}

int pool_start(struct pool *p, struct err *e)
{
    pthread_mutex_lock(&p->lock);
    int failure = add_thread(p);
    pthread_mutex_unlock(&p->lock);
    return failure ? err_set_errno(e, ERR_FAILED, failure, "cannot start a thread") : 0;
}

bool pool_submit(struct pool *p, struct pool_job *job)
{
    pthread_mutex_lock(&p->lock);
    if (p->waiting >= p->idle && p->count < p->max)
        add_thread(p); /* where none can be made, those that are there have to do */
    struct pool_sleeper *sleeper = NULL;
    bool room = p->waiting < p->max_waiting + p->idle;
    if (room) {
        job->next = NULL;
        *p->last = job;
        p->last = &job->next;
        p->waiting++;
        sleeper = call_one(p);
    }
    pthread_mutex_unlock(&p->lock);
    if (sleeper)
        pthread_cond_signal(&sleeper->wake); /* with the lock held it would wake up and wait for that */
    return room;
}

void pool_stop(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    size_t count = p->count;
    for (struct pool_sleeper *s; (s = call_one(p));)
        pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_mutex_lock(&p->lock);
    p->count = p->idle = 0;
    pthread_mutex_unlock(&p->lock);
}

void pool_release(struct pool *p)
{
    free(p->threads);
    pthread_mutex_destroy(&p->lock);
}

void pool_count(struct pool *p, size_t *ret_waiting, size_t *ret_running)
{
    pthread_mutex_lock(&p->lock);
    *ret_waiting += p->waiting;
    *ret_running += p->count - p->idle;
    pthread_mutex_unlock(&p->lock);
}
