/* pool.c - workers are made when a job finds none idle and stay until the end: a handler
 * mostly waits for a model, so a thread costs little more than its stack's first pages.  The one
 * that was busy last is called first, because its memory is still in the processor's caches; on
 * one condition for all they would take turns.
 *
 * Some are on duty while nothing is to do, so that one that leaves with a job need not wake up
 * another to take its place: a client that has its answer asks again before its thread is back.
 */
#include "http/pool.h"

#include "base/alloc.h"
#include "base/err.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

enum { STACK_SIZE = 1 << 20, ON_DUTY = 3 };

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

/* Of the thread that is on duty: for which pool, and the job it will do itself. */
static _Thread_local struct pool *attended;
static _Thread_local struct pool_job *own_job;

/* ---- who is called; the lock is held ---- */

/* To be woken up when the lock is not held any more: before, it would wait for that. */
static struct pool_sleeper *call_one(struct pool *p)
{
    struct pool_sleeper *s = p->sleepers;
    if (s) {
        p->sleepers = s->next;
        s->called = true;
    }
    return s;
}

static void sleep_until_called(struct pool *p, struct pool_sleeper *self)
{
    self->called = false;
    self->next = p->sleepers;
    p->sleepers = self;
    while (!self->called)
        pthread_cond_wait(&self->wake, &p->lock);
}

static void *work(void *ctx);

static int add_thread(struct pool *p)
{
    int failure = p->count < p->room && !p->stop ? thread_start(&p->threads[p->count], work, p) : EAGAIN;
    if (!failure)
        p->count++;
    return failure;
}

/* Finds somebody to be on duty; false: there is nobody. */
static bool find_another(struct pool *p, struct pool_sleeper **ret_called)
{
    *ret_called = call_one(p);
    return *ret_called || add_thread(p) == 0;
}

/* ---- what a thread does ---- */

/* The lock is held, and let go meanwhile.  Returns the job that the thread found, if it is to do it. */
static struct pool_job *be_on_duty(struct pool *p)
{
    p->attending++;
    pthread_mutex_unlock(&p->lock);
    attended = p;
    p->duty.attend(p->duty.ctx);
    struct pool_job *job = own_job;
    own_job = NULL;
    attended = NULL;
    pthread_mutex_lock(&p->lock);
    if (!job)
        p->attending--; /* else it is off duty since it has the job */
    return job;
}

/* Whether the calling thread may do what waits: somebody is on duty, or will be. */
static bool may_leave(struct pool *p)
{
    struct pool_sleeper *called = NULL;
    bool may = !p->duty.attend || p->attending || p->stop || find_another(p, &called);
    if (called)
        pthread_cond_signal(&called->wake);
    return may;
}

/* The lock is held. */
static struct pool_job *take(struct pool *p)
{
    struct pool_job *job = p->running < p->max ? p->first : NULL;
    if (!job || !may_leave(p))
        return NULL;
    p->first = job->next;
    if (!p->first)
        p->last = &p->first;
    p->waiting--;
    p->running++;
    return job;
}

static void *work(void *ctx)
{
    struct pool *p = ctx;
    struct pool_sleeper self;
    pthread_cond_init(&self.wake, NULL);
    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct pool_job *job = take(p);
        if (!job && p->stop)
            break; /* what waits is left to those that still do something */
        if (!job && p->duty.attend && p->attending < ON_DUTY)
            job = be_on_duty(p);
        else if (!job)
            sleep_until_called(p, &self);
        if (!job)
            continue;
        pthread_mutex_unlock(&p->lock);
        job->run(job);
        pthread_mutex_lock(&p->lock);
        p->running--;
    }
    pthread_mutex_unlock(&p->lock);
    pthread_cond_destroy(&self.wake);
    return NULL;
}

/* ---- for others ---- */

void pool_init(struct pool *p, size_t max, size_t max_waiting, const struct pool_duty *duty)
{
    *p = (struct pool){ .max = max, .room = max + (duty ? ON_DUTY : 0), .max_waiting = max_waiting };
    if (duty)
        p->duty = *duty;
    p->last = &p->first;
    p->threads = xcalloc(p->room, sizeof *p->threads);
    pthread_mutex_init(&p->lock, NULL);
}

int pool_start(struct pool *p, struct err *e)
{
    int failure = 0;
    pthread_mutex_lock(&p->lock);
    for (int i = 0; i < (p->duty.attend ? ON_DUTY : 1) && !failure; i++)
        failure = add_thread(p);
    pthread_mutex_unlock(&p->lock);
    return failure ? err_set_errno(e, ERR_FAILED, failure, "cannot start a thread") : 0;
}

/* Whether the calling thread, which is on duty, takes the job itself.  The lock is held. */
static bool keep(struct pool *p, struct pool_job *job, struct pool_sleeper **ret_called)
{
    if (attended != p || own_job || p->running == p->max || (p->attending == 1 && !find_another(p, ret_called)))
        return false;
    own_job = job;
    p->attending--;
    p->running++;
    return true;
}

/* Behind the others.  False: there is no room.  The lock is held. */
static bool put_in_line(struct pool *p, struct pool_job *job, struct pool_sleeper **ret_called, bool *ret_short)
{
    /* Where no thread can be made, those that are there have to do, also those on duty. */
    *ret_short = p->waiting >= p->count - p->running - p->attending && add_thread(p) != 0 && p->attending;
    if (p->waiting >= p->max_waiting + p->max - p->running)
        return false;
    job->next = NULL;
    *p->last = job;
    p->last = &job->next;
    p->waiting++;
    *ret_called = call_one(p);
    return true;
}

bool pool_submit(struct pool *p, struct pool_job *job)
{
    struct pool_sleeper *called = NULL;
    bool is_short = false;
    pthread_mutex_lock(&p->lock);
    bool taken = keep(p, job, &called) || put_in_line(p, job, &called, &is_short);
    pthread_mutex_unlock(&p->lock);
    if (called)
        pthread_cond_signal(&called->wake);
    if (is_short)
        p->duty.call(p->duty.ctx);
    return taken;
}

bool pool_has_found_job(void)
{
    return own_job;
}

void pool_stop(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    size_t count = p->count;
    for (struct pool_sleeper *s; (s = call_one(p));)
        pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&p->lock);
    if (p->duty.dismiss)
        p->duty.dismiss(p->duty.ctx);
    for (size_t i = 0; i < count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_mutex_lock(&p->lock);
    p->count = 0;
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
    *ret_running += p->running;
    pthread_mutex_unlock(&p->lock);
}
