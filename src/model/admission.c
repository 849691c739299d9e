/* admission.c - calls that wait for a model, and who gets a slot.
 *
 * First come, first served, except that a call which no free slot suits (policy.h) lets those
 * behind it pass.
 */
#include "model/manager_internal.h"

#include "base/clock.h"
#include "base/str.h"

enum { LOOK_MS = 20 };

static void waiter_add(struct pool *p, struct waiter *w)
{
    struct waiter **at = &p->waiters;
    while (*at)
        at = &(*at)->next;
    *at = w;
    p->waiting++;
}

static void waiter_remove(struct pool *p, struct waiter *w)
{
    for (struct waiter **at = &p->waiters; *at; at = &(*at)->next) {
        if (*at != w)
            continue;
        *at = w->next;
        p->waiting--;
        return;
    }
}

/* ---- slots ---- */

/* The slots of all instances of a model in a row, and whose each is. */
struct row {
    struct slot **slots;
    struct instance **of;
    size_t count;
};

static struct row row_of(struct manager *m, const struct pool *p, struct arena *a)
{
    size_t most = 0;
    for (const struct instance *i = m->instances; i; i = i->next)
        most += i->pool == p ? i->slot_count : 0;
    struct row row = { ARENA_ARRAY(a, struct slot *, most), ARENA_ARRAY(a, struct instance *, most), 0 };
    for (struct instance *i = m->instances; i; i = i->next) {
        for (size_t k = 0; i->pool == p && k < i->slot_count; k++) {
            i->slots[k].open = instance_is_open(i);
            row.slots[row.count] = &i->slots[k];
            row.of[row.count++] = i;
        }
    }
    return row;
}

static void grant(struct pool *p, struct waiter *w, const struct row *row, size_t at)
{
    struct instance *i = row->of[at];
    struct slot *slot = row->slots[at];
    w->is_new = !streq(slot->conversation, w->conversation);
    bool lives = w->is_new && clock_steady_ms() - slot->used_ms < i->manager->options.limits.live_ms;
    snprintf(w->before, sizeof w->before, "%s", lives ? slot->conversation : "");
    slot->busy = true;
    snprintf(slot->conversation, sizeof slot->conversation, "%s", w->conversation);
    i->in_flight++;
    w->instance = i;
    w->granted_us = clock_steady_us();
    w->slot = (size_t)(slot - i->slots);
    p->turn = at + 1;
    waiter_remove(p, w);
    pthread_cond_signal(&w->granted);
}

void admission_serve(struct manager *m, struct pool *p)
{
    if (!p->waiters)
        return;
    ARENA_LOCAL(a);
    struct row row = row_of(m, p, &a);
    for (struct waiter *w = p->waiters, *next; w && row.count; w = next) {
        next = w->next;
        int at = slot_choose(row.slots, row.count, w->conversation, p->turn % row.count, m->options.limits.live_ms, clock_steady_ms());
        if (at < 0)
            continue;
        grant(p, w, &row, (size_t)at);
    }
}

/* ---- waiting ---- */

/* Whether there is no hope for those who wait: nothing can be loaded, or not without a person.  A
 * passing failure is waited out. */
static int no_hope(struct manager *m, const struct pool *p, struct err *e)
{
    const struct instance *down = NULL;
    if (m->closing)
        return err_set(e, ERR_CANCELLED, "Tandem is ending");
    if (p->gone)
        return err_set(e, ERR_NOT_FOUND, "the model %s is no longer there", p->model);
    for (const struct instance *i = m->instances; i; i = i->next) {
        if (i->pool != p || i->retired)
            continue;
        if (!instance_is_down(i) || instance_may_recover(i))
            return 0;
        down = i;
    }
    return down ? err_set(e, down->why_code, "%s", down->why) : 0;
}

/* Why somebody waits no longer; 0: there is no reason. */
static int give_up(struct manager *m, const struct pool *p, const struct waiter *w, int64_t wait_ms, const atomic_bool *cancel,
                   struct err *e)
{
    if (is_cancelled(cancel))
        return err_set(e, ERR_CANCELLED, "the call was cancelled");
    if (wait_ms && clock_steady_ms() - w->since_ms >= wait_ms)
        return err_set(e, ERR_BUSY, "no slot of %s came free within %.3g s; ask again later", p->model, (double)wait_ms / 1000);
    return no_hope(m, p, e);
}

/* With the lock held, which is let go. */
static void tell_of_waiting(struct manager *m, const struct admission *a)
{
    if (!a->on_wait)
        return;
    manager_unlock(m);
    a->on_wait(a->ctx);
    manager_lock(m);
}

int admit(struct manager *m, struct pool *p, const struct admission *a, struct waiter *ret, struct err *e)
{
    *ret = (struct waiter){ .since_ms = clock_steady_ms() };
    snprintf(ret->conversation, sizeof ret->conversation, "%s", a->conversation ? a->conversation : "");
    clock_cond_init(&ret->granted);
    manager_lock(m);
    if (p->waiting >= m->options.limits.queue) {
        int64_t waiting = p->waiting;
        manager_unlock(m);
        pthread_cond_destroy(&ret->granted);
        return err_set(e, ERR_BUSY, "%lld calls wait for %s already; ask again later", (long long)waiting, p->model);
    }
    waiter_add(p, ret);
    admission_serve(m, p);
    if (!ret->instance)
        manager_wake(m);
    int r = 0;
    while (r == 0 && !ret->instance) {
        struct timespec until = clock_steady_in(LOOK_MS);
        pthread_cond_timedwait(&ret->granted, &m->lock, &until);
        if (!ret->instance)
            tell_of_waiting(m, a);
        if (!ret->instance)
            r = give_up(m, p, ret, a->wait_ms, a->cancel, e);
    }
    if (r < 0)
        waiter_remove(p, ret);
    manager_unlock(m);
    pthread_cond_destroy(&ret->granted);
    return r;
}

/* A new measurement is an eighth of the average, so that it follows within some ten calls. */
static void note_held(struct pool *p, int64_t us)
{
    p->held_us = p->held_us ? (7 * p->held_us + us) / 8 : us;
}

int64_t admission_outlook_ms(struct manager *m, const struct pool *p)
{
    int64_t slots = 0;
    manager_lock(m);
    for (const struct instance *i = m->instances; i; i = i->next)
        slots += i->pool == p && instance_is_open(i) ? (int64_t)i->slot_count : 0;
    int64_t ms = (p->waiting + 1) * p->held_us / (slots ? slots : 1) / 1000;
    manager_unlock(m);
    return ms;
}

/* Whether somebody but those in the queue minds that a call has ended: its keeper, or one that waits
 * for memory.  (A keeper whose instance is idle finds out by itself when its time is over.) */
static bool is_minded(const struct manager *m, const struct instance *i)
{
    bool minded = m->closing || i->suspect || i->leave || i->retired || i->life != LIFE_READY;
    for (const struct instance *other = m->instances; other && !minded; other = other->next)
        minded = other->life == LIFE_RESERVING;
    return minded;
}

void admission_end(struct manager *m, const struct waiter *w, bool trouble)
{
    struct instance *i = w->instance;
    struct slot *slot = &i->slots[w->slot];
    manager_lock(m);
    slot->busy = false;
    slot->used_ms = i->used_ms = clock_steady_ms();
    i->in_flight--;
    i->calls++;
    note_held(i->pool, clock_steady_us() - w->granted_us);
    if (trouble)
        i->suspect = true;
    else
        i->failures = 0;
    admission_serve(m, i->pool);
    if (is_minded(m, i))
        instance_nudge(i);
    manager_unlock(m);
}
