/* pool.c - workers are made when a job finds none idle and stay until the end: a handler
 * mostly waits for a model, so a thread costs little more than its stack's first pages. */
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

static void *work(void *ctx)
{
    struct pool *p = ctx;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->first && !p->stop)
            pthread_cond_wait(&p->work, &p->lock);
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
    pthread_cond_init(&p->work, NULL);
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
    bool room = p->waiting < p->max_waiting + p->idle;
    if (room) {
        job->next = NULL;
        *p->last = job;
        p->last = &job->next;
        p->waiting++;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    return room;
}

void pool_stop(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    size_t count = p->count;
    pthread_cond_broadcast(&p->work);
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
    pthread_cond_destroy(&p->work);
}

void pool_count(struct pool *p, size_t *ret_waiting, size_t *ret_running)
{
    pthread_mutex_lock(&p->lock);
    *ret_waiting += p->waiting;
    *ret_running += p->count - p->idle;
    pthread_mutex_unlock(&p->lock);
}
