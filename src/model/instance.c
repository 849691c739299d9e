/* instance.c - the life of an instance, on its keeper's thread.
 *
 * One function for each state: it is entered and left with the lock held, lets go of it for
 * whatever is slow, and returns the next state.  So an instance is where its keeper is, and
 * what others want of it (leave, suspect, asked) they write down and nudge.
 */
#include "model/manager_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <stdlib.h>

enum { LOAD_LOOK_MS = 100, IDLE_LOOK_MS = 60000, HANG_UP_MS = 500, SHORT_MS = 3600000 };

const struct keeping *instance_keeping(const struct instance *i)
{
    return i->backend.kind == BACKEND_LLAMA_SERVER ? &keeping_llama
           : i->backend.kind == BACKEND_ADAPTER    ? &keeping_adapter
           : i->backend.kind == BACKEND_OLLAMA     ? &keeping_ollama
                                                   : &keeping_remote;
}

void instance_set_context(struct instance *i, int64_t context)
{
    manager_lock(i->manager);
    i->context = context;
    manager_unlock(i->manager);
}

void instance_nudge(struct instance *i)
{
    i->nudges++;
    atomic_store(&i->over, i->manager->closing || i->retired);
    if (i->service)
        service_wake(i->service);
    pthread_cond_broadcast(&i->manager->changed);
}

/* ---- what others want ---- */

static bool is_over(const struct instance *i)
{
    return i->manager->closing || i->retired;
}

/* Answers at once that the other instances of the pool can give, or soon will. */
static int64_t capacity_elsewhere(const struct instance *self)
{
    int64_t capacity = 0;
    for (const struct instance *i = self->manager->instances; i; i = i->next) {
        if (i == self || i->pool != self->pool || i->retired)
            continue;
        if (i->life >= LIFE_RESERVING && i->life <= LIFE_PROBING)
            capacity += (int64_t)i->slot_count;
        if (instance_is_open(i))
            capacity += (int64_t)i->slot_count - i->in_flight;
    }
    return capacity;
}

static bool is_wanted(const struct instance *i)
{
    return !is_over(i) && (i->entry.pinned || i->asked || i->pool->waiting > capacity_elsewhere(i));
}

/* ---- states ---- */

static enum life stopped(struct instance *i)
{
    while (!is_over(i) && !is_wanted(i))
        manager_wait(i->manager, IDLE_LOOK_MS);
    i->leave = i->suspect = i->crowded = false;
    if (is_over(i))
        return LIFE_STOPPED;
    if (i->short_ms && (i->released || clock_steady_ms() - i->short_ms > SHORT_MS)) { /* there may be more memory by now */
        i->context = instance_keeping(i)->context(i);
        i->short_ms = i->gpu_cut = 0;
    }
    return LIFE_RESERVING;
}

static bool has_successor(const struct instance *self)
{
    for (const struct instance *i = self->manager->instances; i && i != self; i = i->next)
        if (i->pool == self->pool && i->replica == self->replica && !i->retired)
            return true; /* the newer ones come first */
    return false;
}

static struct tenant tenant_of(const struct instance *i)
{
    const struct waiter *first = i->pool->waiters;
    bool replaced = i->retired || has_successor(i);
    return (struct tenant){
        .ram_mib = i->ram_mib, .vram_mib = i->vram_mib, .loaded = i->reserved,
        .leaving = i->leave || i->life == LIFE_DRAINING || i->life == LIFE_STOPPING, .pinned = i->entry.pinned && !replaced,
        .retired = replaced, .in_flight = i->in_flight, .waiting = i->pool->waiting,
        .used_ms = i->used_ms > i->ready_ms ? i->used_ms : i->ready_ms,
        .wait_since_ms = first ? first->since_ms : i->since_ms,
    };
}

/* All instances as the judgements see them. */
struct tenants {
    struct tenant rows[MAX_INSTANCES];
    struct instance *of[MAX_INSTANCES];
    size_t count, who;
};

static void list_tenants(struct instance *self, struct tenants *t)
{
    t->count = t->who = 0;
    for (struct instance *i = self->manager->instances; i && t->count < MAX_INSTANCES; i = i->next) {
        if (i == self)
            t->who = t->count;
        t->of[t->count] = i;
        t->rows[t->count++] = tenant_of(i);
    }
}

static void make_leave(struct instance *i)
{
    i->leave = true;
    instance_nudge(i);
}

/* Marks those who have to make room. */
static enum verdict judge_room(struct instance *self)
{
    struct tenants t;
    bool victims[MAX_INSTANCES];
    list_tenants(self, &t);
    enum verdict v = room_for(&self->manager->options.limits.room, t.rows, t.count, t.who, clock_steady_ms(), victims);
    for (size_t k = 0; k < t.count; k++)
        if (victims[k])
            make_leave(t.of[k]);
    for (size_t k = 0; k < t.count && v == ROOM_FITS && self->crowded; k++)
        if (k != t.who && t.rows[k].loaded && t.rows[k].leaving)
            v = ROOM_WAIT;
    return v;
}

static bool ask_less(struct instance *i, bool layers_too)
{
    manager_unlock(i->manager);
    bool is_less = instance_keeping(i)->less(i, layers_too);
    manager_lock(i->manager);
    return is_less;
}

/* The ledger was wrong, or others than us take memory: what would help? */
static bool find_memory(struct instance *i)
{
    struct tenants t;
    i->short_ms = clock_steady_ms();
    if (ask_less(i, false))
        return true;
    list_tenants(i, &t);
    size_t victim = one_to_go(t.rows, t.count, t.who);
    if (victim == t.count)
        return ask_less(i, true);
    make_leave(t.of[victim]);
    i->context = instance_keeping(i)->context(i); /* there is more now */
    return i->crowded = true;
}

static enum life fail(struct instance *i, const struct err *e);

static enum life never_fits(struct instance *i)
{
    const struct room *room = &i->manager->options.limits.room;
    struct err e;
    err_set(&e, ERR_SETUP, "%s needs %lld MiB of memory%s; there are %lld for models (setting model_memory_mib), and those that are "
            "pinned stay: a smaller context, fewer slots or a smaller model would fit", i->entry.id, (long long)i->ram_mib,
            i->vram_mib ? " and more on the GPU" : "", (long long)room->ram_mib);
    return fail(i, &e);
}

static enum life reserving(struct instance *i)
{
    struct manager *m = i->manager;
    struct err e;
    int64_t ram, vram;
    manager_unlock(m);
    int r = instance_keeping(i)->measure(i, &ram, &vram, &e);
    manager_lock(m);
    if (r < 0)
        return fail(i, &e);
    i->ram_mib = ram;
    i->vram_mib = vram;
    while (is_wanted(i)) { /* each turn waits */
        enum verdict v = judge_room(i);
        if (v == ROOM_NEVER)
            return never_fits(i);
        if (v == ROOM_FITS) {
            i->reserved = true;
            i->crowded = false;
            return LIFE_SPAWNING;
        }
        manager_wait(m, 1000); /* somebody leaves, or this one has waited long enough */
    }
    return LIFE_STOPPED;
}

static enum life spawning(struct instance *i)
{
    struct err e;
    manager_unlock(i->manager);
    int r = instance_keeping(i)->spawn(i, &e);
    manager_lock(i->manager);
    return r < 0 ? fail(i, &e) : LIFE_LOADING;
}

static enum life loading(struct instance *i)
{
    struct manager *m = i->manager;
    struct err e;
    bool ready = false;
    int r = 0;
    int64_t deadline = clock_steady_ms() + m->options.limits.load_ms;
    while (r == 0 && !ready && !is_over(i)) {
        manager_unlock(m);
        r = instance_keeping(i)->load(i, LOAD_LOOK_MS, &ready, &e);
        if (r == 0 && !ready && clock_steady_ms() >= deadline)
            r = err_set(&e, ERR_UNAVAILABLE, "%s was not loaded within %lld s", i->entry.id, (long long)m->options.limits.load_ms / 1000);
        manager_lock(m);
    }
    if (r < 0)
        return fail(i, &e);
    return ready ? LIFE_PROBING : LIFE_STOPPING;
}

static void retire_older(struct instance *self)
{
    for (struct instance *i = self->next; i; i = i->next) {
        if (i->pool != self->pool || i->replica != self->replica)
            continue;
        i->retired = true;
        instance_nudge(i);
    }
}

static enum life probing(struct instance *i)
{
    struct manager *m = i->manager;
    struct model *model = NULL;
    struct err e;
    manager_unlock(m);
    int r = instance_keeping(i)->probe(i, &model, &e);
    manager_lock(m);
    if (r < 0)
        return fail(i, &e);
    i->model = model;
    i->ready_ms = clock_steady_ms();
    i->asked = i->released = false;
    for (size_t k = 0; k < i->slot_count; k++)
        i->slots[k] = (struct slot){ 0 };
    retire_older(i);
    return LIFE_READY;
}

/* How long it may stay as it is; 0: its idle time is over. */
static int64_t idle_left_ms(const struct instance *i)
{
    int64_t idle_ms = i->entry.idle_s * 1000;
    if (i->entry.pinned || !idle_ms)
        return IDLE_LOOK_MS;
    if (i->in_flight || i->pool->waiting) /* at the end of a call nobody is told */
        return idle_ms < IDLE_LOOK_MS ? idle_ms : IDLE_LOOK_MS;
    int64_t since = i->used_ms > i->ready_ms ? i->used_ms : i->ready_ms;
    int64_t left = since + idle_ms - clock_steady_ms();
    return left < 0 ? 0 : left;
}

static enum life ready(struct instance *i)
{
    struct manager *m = i->manager;
    struct err e;
    bool lives = true;
    admission_serve(m, i->pool);
    pthread_cond_broadcast(&m->changed);
    for (;;) { /* each turn waits */
        if (!lives) {
            err_set(&e, ERR_UNAVAILABLE, "%s ended unexpectedly", i->entry.id);
            return fail(i, &e);
        }
        if (m->closing)
            return LIFE_STOPPING;
        if (i->suspect)
            return LIFE_SUSPECT;
        int64_t left = idle_left_ms(i);
        if (i->leave || i->retired || !left)
            return LIFE_DRAINING;
        manager_unlock(m);
        lives = instance_keeping(i)->watch(i, left);
        manager_lock(m);
    }
}

static enum life suspect(struct instance *i)
{
    struct err e;
    manager_unlock(i->manager);
    int r = instance_keeping(i)->ask(i, &e);
    manager_lock(i->manager);
    i->suspect = false;
    return r < 0 ? fail(i, &e) : LIFE_READY;
}

/* Calls are let to their end, within the limit; whoever closes does not wait for them. */
static enum life draining(struct instance *i)
{
    struct manager *m = i->manager;
    int64_t deadline = clock_steady_ms() + m->options.limits.drain_ms, left;
    bool lives = true;
    while (i->in_flight && lives && !m->closing && (left = deadline - clock_steady_ms()) > 0) {
        manager_unlock(m);
        lives = instance_keeping(i)->watch(i, left);
        manager_lock(m);
    }
    return LIFE_STOPPING;
}

/* Ends the calls that are still under way: a server with open streams may never end.  With the lock
 * held. */
static void hang_up(struct instance *i)
{
    int64_t deadline = clock_steady_ms() + HANG_UP_MS, left;
    if (!i->in_flight || !i->model || !i->model->backend->hang_up)
        return;
    i->model->backend->hang_up(i->model);
    while (i->in_flight && (left = deadline - clock_steady_ms()) > 0)
        manager_wait(i->manager, left);
}

/* Ends the server, and with it the calls that are still under way; with the lock held. */
static bool put_away(struct instance *i, struct err *why)
{
    struct manager *m = i->manager;
    i->leave = true; /* no call comes any more, whatever state this is */
    hang_up(i);
    manager_unlock(m);
    bool is_short = instance_keeping(i)->stop(i, why);
    manager_lock(m);
    while (i->in_flight) /* each of them has lost its server, or is cancelled */
        manager_wait(m, 100);
    struct model *model = i->model;
    i->model = NULL;
    manager_unlock(m); /* it may wait for a thread that tells news */
    model_free(model);
    manager_lock(m);
    i->reserved = false;
    pthread_cond_broadcast(&m->changed); /* there is room */
    return is_short;
}

static enum life stopping(struct instance *i)
{
    slots_save(i);
    put_away(i, NULL);
    return LIFE_STOPPED;
}

/* ---- failures ---- */

/* Notes a crash; true: too many within the window. */
static bool crashed_too_often(struct instance *i)
{
    const struct manager_limits *l = &i->manager->options.limits;
    int64_t now = clock_steady_ms(), within = 0;
    i->crash_ms[i->crashes++ % MAX_CRASHES] = now;
    for (int64_t k = 0; k < MAX_CRASHES && k < i->crashes; k++)
        within += now - i->crash_ms[k] < l->crash_window_ms;
    return within >= l->crashes;
}

bool instance_may_recover(const struct instance *i)
{
    return i->life == LIFE_FAILED && i->why_code == ERR_UNAVAILABLE &&
           (instance_keeping(i)->is_ours || i->failures < i->manager->options.limits.crashes);
}

/* With the lock held, from whatever state it happened in.  A passing failure counts as a crash; one
 * that will not pass by itself (ERR_SETUP) is told to those who wait, and is no crash. */
static enum life fail(struct instance *i, const struct err *said)
{
    struct err e = *said;
    if (put_away(i, &e) && is_wanted(i) && find_memory(i))
        return LIFE_RESERVING;
    i->failures++;
    i->asked = i->released = false;
    i->why_code = e.code;
    snprintf(i->why, sizeof i->why, "%s", e.text);
    if (is_over(i))
        return LIFE_STOPPED;
    if (e.code != ERR_UNAVAILABLE || !instance_keeping(i)->is_ours || !crashed_too_often(i))
        return LIFE_FAILED;
    i->why_code = ERR_SETUP;
    snprintf(i->why, sizeof i->why, "%s, %lld times within %lld minutes; `tandem model load %s` tries again: %.600s", i->entry.id,
             (long long)i->manager->options.limits.crashes, (long long)i->manager->options.limits.crash_window_ms / 60000,
             i->entry.id, e.text);
    return LIFE_QUARANTINED;
}

static enum life failed(struct instance *i)
{
    const struct manager_limits *l = &i->manager->options.limits;
    int64_t pause = l->pause_ms;
    for (int64_t k = 1; k < i->failures && pause < l->max_pause_ms; k++)
        pause *= 2;
    int64_t deadline = clock_steady_ms() + (pause < l->max_pause_ms ? pause : l->max_pause_ms), left;
    while (!is_over(i) && !i->released && (left = deadline - clock_steady_ms()) > 0)
        manager_wait(i->manager, left);
    return LIFE_STOPPED;
}

static enum life quarantined(struct instance *i)
{
    while (!is_over(i) && !i->released)
        manager_wait(i->manager, IDLE_LOOK_MS);
    i->crashes = i->failures = 0;
    return LIFE_STOPPED;
}

/* ---- the keeper ---- */

static enum life (*const states[LIFE_COUNT])(struct instance *i) = {
    [LIFE_STOPPED] = stopped, [LIFE_RESERVING] = reserving, [LIFE_SPAWNING] = spawning, [LIFE_LOADING] = loading,
    [LIFE_PROBING] = probing, [LIFE_READY] = ready, [LIFE_SUSPECT] = suspect, [LIFE_DRAINING] = draining,
    [LIFE_STOPPING] = stopping, [LIFE_FAILED] = failed, [LIFE_QUARANTINED] = quarantined,
};

/* With the lock held, which is let go while others are told. */
static void move(struct instance *i, enum life next)
{
    const struct manager_options *o = &i->manager->options;
    enum life before = i->life;
    i->life = next;
    i->since_ms = clock_steady_ms();
    if (next == LIFE_RESERVING)
        i->load_ms = i->since_ms; /* so far when it began */
    if (next == LIFE_READY && before == LIFE_PROBING)
        i->load_ms = i->since_ms - i->load_ms;
    pthread_cond_broadcast(&i->manager->changed);
    if (!o->moved || before == next)
        return;
    char why[sizeof i->why];
    snprintf(why, sizeof why, "%s", instance_is_down(i) ? i->why : "");
    manager_unlock(i->manager);
    o->moved(i->entry.id, i->replica, before, next, why, o->ctx);
    manager_lock(i->manager);
}

static void *keep(void *ctx)
{
    struct instance *i = ctx;
    manager_lock(i->manager);
    do
        move(i, states[i->life](i));
    while (i->life != LIFE_STOPPED || !is_over(i));
    i->keeper_ended = true;
    pthread_cond_broadcast(&i->manager->changed);
    manager_unlock(i->manager);
    return NULL;
}

/* ---- beginning and end ---- */

/* Entries with all they point to. */
static int copy_entry(struct arena *a, const struct record *r, const void *from, void *to, struct err *e)
{
    json_t *value = json_keep(a, record_write(r, from));
    return record_read(r, a, value, to, e);
}

int instance_start(struct manager *m, struct pool *p, const struct model_entry *entry, const struct backend_entry *backend,
                   int64_t replica, struct err *e)
{
    size_t count = 0;
    for (const struct instance *i = m->instances; i; i = i->next)
        count++;
    if (count == MAX_INSTANCES)
        return err_set(e, ERR_LIMIT, "%d models, replicas and versions that are leaving are more than can be run; try again when some have left", MAX_INSTANCES);
    struct instance *i = xcalloc(1, sizeof *i);
    i->manager = m;
    i->pool = p;
    i->replica = replica;
    i->since_ms = clock_steady_ms();
    int r = copy_entry(&i->arena, model_type.record, entry, &i->entry, e);
    if (r == 0)
        r = copy_entry(&i->arena, backend_type.record, backend, &i->backend, e);
    i->slot_count = (size_t)i->entry.slots;
    i->context = instance_keeping(i)->context(i);
    i->name = arena_printf(&i->arena, "%.24s-%lld-%lld", entry->id, (long long)replica, (long long)++m->serial);
    if (r == 0 && pthread_create(&i->keeper, NULL, keep, i) != 0)
        r = err_set(e, ERR_FAILED, "no thread can be made for %s", entry->id);
    if (r < 0) {
        arena_release(&i->arena);
        free(i);
        return r;
    }
    i->next = m->instances;
    m->instances = i;
    return 0;
}

void instance_free(struct instance *i)
{
    pthread_join(i->keeper, NULL);
    arena_release(&i->arena);
    free(i);
}
