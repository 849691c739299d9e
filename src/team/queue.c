/* queue.c - leases on task documents.
 *
 * The table of leases held by this process is in memory; what makes it safe is in the
 * store: every transition is an update with an expected version, so that two holders can
 * never both finish a task.  The heartbeat only matters to other processes that look at the
 * same store; a restart does not wait for leases to run out, because the epoch tells.
 *
 * Pauses are stored as wall time, for a restart, and measured here by the steady clock:
 * wall time stands still after it was set back, and nobody should wait for it.
 */
#include "team/queue.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <pthread.h>
#include <stdlib.h>

enum { MAX_PAUSE_FACTOR = 64 };

const struct queue_limits queue_default_limits = { .attempts = 3, .lease_ms = 60000, .pause_ms = 1000 };

struct held {
    char *id; /* NULL: free */
    int64_t version;
    bool finishing; /* its version is about to change: the heartbeat keeps off */
};

/* When a task's pause ends by the steady clock. */
struct pause {
    char *id;
    int64_t not_before_ms; /* of the document: a new pause of the same task is another one */
    int64_t steady_ms;
};

struct queue {
    struct store *store;
    struct queue_limits limits;
    int64_t epoch;
    pthread_mutex_t lock; /* guards held, pauses, stop; held across the pick of a task */
    pthread_cond_t wake;
    pthread_t heartbeat;
    bool stop;
    struct held *held; /* as many as there ever were workers at once, which is what bounds them */
    size_t held_count, held_cap;
    struct pause *pauses;
    size_t pause_count, pause_cap;
};

static struct held *held_find(struct queue *q, const char *id)
{
    for (size_t i = 0; i < q->held_count; i++)
        if (q->held[i].id && streq(q->held[i].id, id))
            return &q->held[i];
    return NULL;
}

/* A worker that has a task is a thread, and those are limited where they are made; the table grows
 * with them, for a task refused here would be nobody's. */
static void held_add(struct queue *q, const char *id, int64_t version)
{
    size_t i = 0;
    while (i < q->held_count && q->held[i].id)
        i++;
    if (i == q->held_count) {
        XGROW(q->held, q->held_cap, q->held_count);
        q->held_count++;
    }
    q->held[i] = (struct held){ .id = xstrdup(id), .version = version };
}

/* ---- opening ---- */

static int raise_epoch(struct queue *q, struct arena *a, struct batch *b, struct err *e)
{
    struct queue_state state = { 0 };
    int64_t version = 0;
    int r = store_get(q->store, a, &queue_state_type, "queue", &state, &version, e);
    if (r < 0 && r != ERR_NOT_FOUND)
        return r;
    state.epoch++;
    if (r == 0)
        batch_update(b, &queue_state_type, "queue", version, &state);
    else
        batch_insert(b, &queue_state_type, "queue", &state);
    q->epoch = state.epoch;
    return 0;
}

static int take_back(struct queue *q, struct arena *a, struct batch *b, size_t *ret_count, struct err *e)
{
    struct store_found found;
    struct store_query query = { .where = { { "state", "leased", 0 } }, .where_count = 1 };
    int r = store_find(q->store, a, &task_type, &query, &found, e);
    if (r < 0)
        return r;
    struct task *tasks = found.docs;
    for (size_t i = 0; i < found.count; i++) {
        tasks[i].state = TASK_READY;
        tasks[i].owner = "";
        tasks[i].lease_until_ms = 0;
        batch_update(b, &task_type, found.ids[i], found.versions[i], &tasks[i]);
    }
    *ret_count = found.count;
    return 0;
}

static void beat_once(struct queue *q)
{
    ARENA_LOCAL(a);
    for (size_t i = 0; i < q->held_count; i++) {
        struct held *h = &q->held[i];
        if (!h->id || h->finishing)
            continue;
        struct task t;
        struct err e;
        int64_t version;
        if (store_get(q->store, &a, &task_type, h->id, &t, &version, &e) < 0 || version != h->version)
            continue;
        t.lease_until_ms = clock_wall_ms() + q->limits.lease_ms;
        struct batch *b = batch_new();
        batch_event(b, &(struct event){ .project = t.project, .ticket = t.ticket, .actor = "engine",
                                        .kind = "task.heartbeat", .on_behalf = h->id });
        batch_update(b, &task_type, h->id, version, &t);
        if (store_commit(q->store, b, NULL, &e) == 0)
            h->version = version + 1;
        else
            log_warning("heartbeat of %s: %s", h->id, e.text);
        batch_free(b);
    }
}

static void *beat(void *ctx)
{
    struct queue *q = ctx;
    pthread_mutex_lock(&q->lock);
    while (!q->stop) {
        struct timespec until = clock_steady_in(q->limits.lease_ms / 3);
        if (pthread_cond_timedwait(&q->wake, &q->lock, &until) != 0 && !q->stop)
            beat_once(q);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

int queue_open(struct queue **ret, struct store *s, const struct queue_limits *limits, struct err *e)
{
    ARENA_LOCAL(a);
    struct queue *q = xcalloc(1, sizeof *q);
    q->store = s;
    q->limits = limits ? *limits : queue_default_limits;
    struct batch *b = batch_new();
    size_t count = 0;
    int r = raise_epoch(q, &a, b, e);
    if (r == 0)
        r = take_back(q, &a, b, &count, e);
    if (r == 0) {
        json_t *payload = json_object();
        json_put_int(payload, "epoch", q->epoch);
        json_put_int(payload, "taken_back", (int64_t)count);
        batch_event(b, &(struct event){ .actor = "engine", .kind = "queue.opened",
                                        .payload_json = json_keep(&a, payload) });
        r = store_commit(s, b, NULL, e);
    }
    batch_free(b);
    if (r < 0) {
        free(q);
        return r;
    }
    pthread_mutex_init(&q->lock, NULL);
    clock_cond_init(&q->wake);
    if (pthread_create(&q->heartbeat, NULL, beat, q) != 0)
        out_of_memory();
    *ret = q;
    return 0;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_broadcast(&q->wake);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->heartbeat, NULL);
    for (size_t i = 0; i < q->held_count; i++)
        free(q->held[i].id);
    free(q->held);
    for (size_t i = 0; i < q->pause_count; i++)
        free(q->pauses[i].id);
    free(q->pauses);
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

int64_t queue_epoch(const struct queue *q)
{
    return q->epoch;
}

/* ---- leasing ---- */

static int lease_one(struct queue *q, const char *id, int64_t version, struct task *t,
                     const char *owner, struct err *e)
{
    t->state = TASK_LEASED;
    t->owner = owner;
    t->epoch = q->epoch;
    t->lease_until_ms = clock_wall_ms() + q->limits.lease_ms;
    struct batch *b = batch_new();
    batch_event(b, &(struct event){ .project = t->project, .ticket = t->ticket, .actor = owner,
                                    .kind = "task.leased", .on_behalf = id });
    batch_update(b, &task_type, id, version, t);
    int r = store_commit(q->store, b, NULL, e);
    batch_free(b);
    if (r == 0) {
        held_add(q, id, version + 1);
        failpoint("queue.leased");
    }
    return r;
}

/* After the n-th failure, n from 1. */
static int64_t pause_after(const struct queue *q, int64_t failures)
{
    int64_t factor = 1;
    for (int64_t i = 1; i < failures && factor < MAX_PAUSE_FACTOR; i++)
        factor *= 4;
    return q->limits.pause_ms * factor;
}

/* How long the task still has to wait; 0: no more. */
static int64_t rest_of_pause(struct queue *q, const char *id, const struct task *t)
{
    if (!t->not_before_ms)
        return 0;
    int64_t now = clock_steady_ms();
    for (size_t i = 0; i < q->pause_count; i++) {
        struct pause *p = &q->pauses[i];
        if (!streq(p->id, id))
            continue;
        if (p->not_before_ms == t->not_before_ms)
            return p->steady_ms > now ? p->steady_ms - now : 0;
        free(p->id);
        *p = q->pauses[--q->pause_count];
        break;
    }
    int64_t rest = t->not_before_ms - clock_wall_ms(), most = pause_after(q, t->attempt);
    if (rest <= 0)
        return 0;
    if (rest > most)
        rest = most;
    XGROW(q->pauses, q->pause_cap, q->pause_count);
    q->pauses[q->pause_count++] = (struct pause){ xstrdup(id), t->not_before_ms, now + rest };
    return rest;
}

static int pick(struct queue *q, struct arena *a, const char *project, const char *owner,
                queue_may_run *may_run, void *ctx, const char **ret_id, struct task *ret,
                int64_t *ret_wait_ms, struct err *e)
{
    struct store_found found;
    struct store_query query = { .where = { { "project", project, 0 }, { "state", "ready", 0 } },
                                 .where_count = 2, .order_by = "order" };
    int r = store_find(q->store, a, &task_type, &query, &found, e);
    if (r < 0)
        return r;
    *ret_wait_ms = -1;
    struct task *tasks = found.docs;
    for (size_t i = 0; i < found.count; i++) {
        int64_t wait = rest_of_pause(q, found.ids[i], &tasks[i]);
        if (wait > 0) {
            if (*ret_wait_ms < 0 || wait < *ret_wait_ms)
                *ret_wait_ms = wait;
            continue;
        }
        if (!may_run(found.ids[i], &tasks[i], ctx))
            continue;
        r = lease_one(q, found.ids[i], found.versions[i], &tasks[i], owner, e);
        if (r == ERR_CONFLICT)
            continue;
        if (r == 0) {
            *ret_id = found.ids[i];
            *ret = tasks[i];
        }
        return r;
    }
    return err_set(e, ERR_NOT_FOUND, "no task of %s can run now", project);
}

int queue_lease(struct queue *q, struct arena *a, const char *project, const char *owner,
                queue_may_run *may_run, void *ctx, const char **ret_id, struct task *ret,
                int64_t *ret_wait_ms, struct err *e)
{
    pthread_mutex_lock(&q->lock);
    int r = pick(q, a, project, owner, may_run, ctx, ret_id, ret, ret_wait_ms, e);
    pthread_mutex_unlock(&q->lock);
    return r;
}

/* ---- finishing ---- */

/* `code`: of what begin_finish began.  What succeeded is not held any more; after a failure the
 * lease is as it was, and the heartbeat goes on. */
static void end_finish(struct queue *q, const char *id, int code)
{
    pthread_mutex_lock(&q->lock);
    struct held *h = held_find(q, id);
    if (h && code == 0) {
        free(h->id);
        *h = (struct held){ 0 };
    } else if (h) {
        h->finishing = false;
    }
    pthread_mutex_unlock(&q->lock);
}

/* The task as it is stored and the version it is held at, now ours alone to change until
 * end_finish; ERR_CONFLICT when we do not hold it. */
static int begin_finish(struct queue *q, struct arena *a, const char *id, struct task *ret, int64_t *ret_version, struct err *e)
{
    pthread_mutex_lock(&q->lock);
    struct held *h = held_find(q, id);
    if (h) {
        h->finishing = true;
        *ret_version = h->version;
    }
    pthread_mutex_unlock(&q->lock);
    if (!h)
        return err_set(e, ERR_CONFLICT, "the lease on %s is not ours", id);
    int r = store_get(q->store, a, &task_type, id, ret, NULL, e);
    if (r < 0)
        end_finish(q, id, r);
    return r;
}

int queue_finish(struct queue *q, const char *id, struct batch *b, struct err *e)
{
    ARENA_LOCAL(a);
    int64_t version;
    struct task t;
    int r = begin_finish(q, &a, id, &t, &version, e);
    if (r < 0)
        return r;
    if (t.epoch != q->epoch) {
        r = err_set(e, ERR_CONFLICT, "the lease on %s is of an earlier start", id);
    } else {
        t.state = TASK_DONE;
        t.owner = "";
        batch_update(b, &task_type, id, version, &t);
        failpoint("queue.finishing");
        r = store_commit(q->store, b, NULL, e);
        failpoint("queue.finished");
    }
    end_finish(q, id, r);
    return r;
}

/* `why` NULL: it did not fail, we were asked to stop. */
static int hand_back(struct queue *q, const char *id, const char *why, struct batch *if_dead, bool *ret_dead,
                     struct err *e)
{
    ARENA_LOCAL(a);
    int64_t version;
    struct task t;
    int r = begin_finish(q, &a, id, &t, &version, e);
    if (r < 0)
        return r;
    t.owner = "";
    t.lease_until_ms = 0;
    t.state = TASK_READY;
    const char *kind = "task.released";
    if (why) {
        t.error = why;
        if (++t.attempt >= q->limits.attempts)
            t.state = TASK_DEAD;
        else
            t.not_before_ms = clock_wall_ms() + pause_after(q, t.attempt);
        kind = t.state == TASK_DEAD ? "task.dead" : "task.failed";
    }
    struct batch *own = batch_new(), *b = t.state == TASK_DEAD && if_dead ? if_dead : own;
    json_t *payload = json_object();
    json_put_text(payload, "why", why ? why : "stopped");
    batch_event(b, &(struct event){ .project = t.project, .ticket = t.ticket, .actor = "engine", .kind = kind,
                                    .on_behalf = id, .payload_json = json_keep(&a, payload) });
    batch_update(b, &task_type, id, version, &t);
    r = store_commit(q->store, b, NULL, e);
    failpoint("queue.given-back");
    batch_free(own);
    end_finish(q, id, r);
    if (r == 0 && ret_dead)
        *ret_dead = t.state == TASK_DEAD;
    return r;
}

int queue_give_back(struct queue *q, const char *id, const char *why, struct batch *if_dead, bool *ret_dead,
                    struct err *e)
{
    return hand_back(q, id, why, if_dead, ret_dead, e);
}

int queue_release(struct queue *q, const char *id, struct err *e)
{
    return hand_back(q, id, NULL, NULL, NULL, e);
}
