/* manager.c - opening, the registry's changes, and looking. */
#include "model/manager_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "model/orphans.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

const char *const life_names[] = { "stopped", "reserving", "spawning", "loading", "probing", "ready", "suspect",
                                   "draining", "stopping", "failed", "quarantined", NULL };

const struct manager_limits manager_default_limits = {
    .room = { .ram_mib = 0, .vram_mib = 0, .ageing_ms = 60000 },
    .queue = 256, .live_ms = 900000, .slot_files_mib = 4096,
    .load_ms = 900000, .probe_ms = 120000, .drain_ms = 600000, .stop_ms = 3000,
    .pause_ms = 1000, .max_pause_ms = 60000, .crashes = 3, .crash_window_ms = 600000,
};

void manager_wait(struct manager *m, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&m->changed, &m->lock, &until);
}

void manager_wake(struct manager *m)
{
    for (struct instance *i = m->instances; i; i = i->next)
        instance_nudge(i);
    pthread_cond_broadcast(&m->changed);
}

struct pool *manager_pool(struct manager *m, const char *model)
{
    for (struct pool *p = m->pools; p; p = p->next)
        if (streq(p->model, model))
            return p;
    return NULL;
}

/* ---- opening ---- */

static int64_t machine_mib(void)
{
    return (int64_t)sysconf(_SC_PHYS_PAGES) / 1024 * sysconf(_SC_PAGESIZE) / 1024;
}

static void copy_options(struct manager *m, const struct manager_options *o)
{
    m->options = *o;
    m->options.models_dir = arena_strdup(&m->texts, o->models_dir);
    m->options.run_dir = arena_strdup(&m->texts, o->run_dir);
    m->options.slots_dir = o->slots_dir ? arena_strdup(&m->texts, o->slots_dir) : NULL;
    m->options.llama_server = arena_strdup(&m->texts, o->llama_server);
    m->options.scratch = o->scratch ? arena_strdup(&m->texts, o->scratch) : NULL;
    if (!m->options.limits.room.ram_mib)
        m->options.limits.room.ram_mib = machine_mib() * 3 / 4;
    /* An instance of ours that is away is the manager's business, not the caller's patience. */
    m->options.chat.patience_ms = m->options.chat.refused_patience_ms = 0;
}

int manager_open(struct manager **ret, const struct manager_options *o, struct err *e)
{
    struct manager *m = xcalloc(1, sizeof *m);
    pthread_condattr_t attr;
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->help_lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m->changed, &attr);
    pthread_condattr_destroy(&attr);
    copy_options(m, o);
    int r = orphans_end(m->options.run_dir, e);
    if (r == 0)
        r = slot_files_open(m, e);
    if (r == 0)
        r = manager_reload(m, e);
    if (r < 0) {
        manager_free(m);
        return r;
    }
    *ret = m;
    return 0;
}

/* Takes out those whose keepers have ended; with the lock held, which is let go meanwhile. */
static void reap(struct manager *m)
{
    for (struct instance **at = &m->instances; *at;) {
        struct instance *i = *at;
        if (!i->keeper_ended) {
            at = &i->next;
            continue;
        }
        *at = i->next;
        instance_free(i);
    }
}

static void free_registry(struct manager *m)
{
    if (m->arena)
        arena_release(m->arena);
    free(m->arena);
}

void manager_free(struct manager *m)
{
    if (!m)
        return;
    manager_lock(m);
    m->closing = true;
    manager_wake(m);
    while (m->instances) {
        reap(m);
        if (m->instances)
            manager_wait(m, 100);
    }
    manager_unlock(m);
    while (m->pools) {
        struct pool *p = m->pools;
        m->pools = p->next;
        free(p->model);
        free(p);
    }
    sandbox_free(m->sandbox);
    free_registry(m);
    arena_release(&m->texts);
    free(m->llama_help);
    free(m->llama_help_of);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->help_lock);
    free(m);
}

/* ---- the registry ---- */

static bool is_same(const struct record *r, const void *one, const void *other)
{
    json_t *a = record_write(r, one), *b = record_write(r, other);
    bool same = json_equal(a, b);
    json_decref(a);
    json_decref(b);
    return same;
}

/* What can be changed under a running instance; all else needs another one. */
static void take_over_light(struct instance *i, const struct model_entry *entry)
{
    i->entry.pinned = entry->pinned;
    i->entry.idle_s = entry->idle_s;
}

static bool still_fits(const struct instance *i, const struct model_entry *entry, const struct backend_entry *backend)
{
    struct model_entry heavy = *entry;
    heavy.pinned = i->entry.pinned;
    heavy.idle_s = i->entry.idle_s;
    heavy.sampling = i->entry.sampling; /* read at each call */
    heavy.edit_format = i->entry.edit_format;
    heavy.capabilities = i->entry.capabilities;
    return is_same(model_type.record, &i->entry, &heavy) && is_same(backend_type.record, &i->backend, backend);
}

/* It leaves when nobody needs it any more: at once when it is not running. */
static void retire(struct instance *i)
{
    i->retired = true;
    instance_nudge(i);
}

static struct instance *current_instance(struct manager *m, const struct pool *p, int64_t replica)
{
    for (struct instance *i = m->instances; i; i = i->next) /* the newest first */
        if (i->pool == p && i->replica == replica && !i->retired)
            return i;
    return NULL;
}

static int ensure_instance(struct manager *m, struct pool *p, const struct model_entry *entry, int64_t replica, struct err *e)
{
    const struct backend_entry *backend = registry_backend(&m->registry, *entry->backend ? entry->backend : "llama-server");
    struct instance *old = current_instance(m, p, replica);
    if (old && still_fits(old, entry, backend)) {
        take_over_light(old, entry);
        instance_nudge(old);
        return 0;
    }
    bool is_running = old && old->life >= LIFE_SPAWNING && old->life <= LIFE_SUSPECT;
    int r = instance_start(m, p, entry, backend, replica, e);
    if (r < 0 || !old)
        return r;
    if (is_running)
        m->instances->asked = true; /* the new one is loaded; it retires the old one when it is ready */
    else
        retire(old);
    return 0;
}

static struct pool *pool_add(struct manager *m, const char *model)
{
    struct pool *p = manager_pool(m, model);
    if (p)
        return p;
    p = xcalloc(1, sizeof *p);
    p->model = xstrdup(model);
    p->next = m->pools;
    m->pools = p;
    return p;
}

static int apply(struct manager *m, struct err *e)
{
    const struct model_entry *models = m->registry.models.items;
    int r = 0;
    for (struct pool *p = m->pools; p; p = p->next)
        p->gone = !registry_model(&m->registry, p->model);
    for (struct instance *i = m->instances; i; i = i->next) {
        const struct model_entry *entry = registry_model(&m->registry, i->entry.id);
        if (!entry || i->replica >= entry->replicas)
            retire(i);
    }
    for (size_t k = 0; r == 0 && k < m->registry.models.count; k++)
        for (int64_t replica = 0; r == 0 && replica < models[k].replicas; replica++)
            r = ensure_instance(m, pool_add(m, models[k].id), &models[k], replica, e);
    return r;
}

int manager_reload(struct manager *m, struct err *e)
{
    struct arena *arena = xcalloc(1, sizeof *arena);
    struct registry registry;
    int r = registry_load(m->options.store, arena, &registry, e);
    if (r < 0) {
        arena_release(arena);
        free(arena);
        return r;
    }
    manager_lock(m);
    free_registry(m);
    m->arena = arena;
    m->registry = registry;
    reap(m);
    r = apply(m, e);
    manager_wake(m);
    manager_unlock(m);
    return r;
}

/* ---- by hand ---- */

/* With the lock held: one that is ready, else what keeps it from that. */
static int load_result(struct manager *m, const struct pool *p, bool *ret_ready, struct err *e)
{
    const struct instance *down = NULL;
    *ret_ready = false;
    for (const struct instance *i = m->instances; i; i = i->next) {
        if (i->pool != p || i->retired)
            continue;
        *ret_ready = *ret_ready || instance_is_open(i);
        if (instance_is_down(i) && !i->asked && !i->released)
            down = i;
    }
    return down && !*ret_ready ? err_set(e, down->why_code, "%s", down->why) : 0;
}

int manager_load(struct manager *m, const char *model, const atomic_bool *cancel, struct err *e)
{
    manager_lock(m);
    struct pool *p = manager_pool(m, model);
    bool ready = false;
    int r = p && !p->gone ? 0 : err_set(e, ERR_NOT_FOUND, "there is no model \"%.100s\"; `tandem model list` shows what there is", model);
    for (struct instance *i = m->instances; r == 0 && i; i = i->next)
        if (i->pool == p && !i->retired && i->replica == 0 && i->life != LIFE_READY)
            i->asked = i->released = true;
    manager_wake(m);
    while (r == 0 && !ready) {
        r = load_result(m, p, &ready, e);
        if (r == 0 && is_cancelled(cancel))
            r = err_set(e, ERR_CANCELLED, "stopped while %.100s was being loaded", model);
        if (r == 0 && !ready)
            manager_wait(m, 20);
    }
    manager_unlock(m);
    return r;
}

int manager_unload(struct manager *m, const char *model, struct err *e)
{
    manager_lock(m);
    struct pool *p = manager_pool(m, model);
    int r = p && !p->gone ? 0 : err_set(e, ERR_NOT_FOUND, "there is no model \"%.100s\"; `tandem model list` shows what there is", model);
    for (struct instance *i = m->instances; r == 0 && i; i = i->next) {
        if (i->pool != p || !i->reserved)
            continue;
        if (i->entry.pinned && !i->retired)
            r = err_set(e, ERR_REFUSED, "%.100s is pinned; change that first (`tandem model set %.100s pinned=false`)", model, model);
        else
            i->leave = true;
    }
    manager_wake(m);
    manager_unlock(m);
    return r;
}

/* ---- looking ---- */

static void picture_of(const struct instance *i, struct arena *a, struct manager_instance *ret)
{
    *ret = (struct manager_instance){
        .model = arena_strdup(a, i->entry.id), .version = i->entry.version, .replica = i->replica, .life = i->life,
        .why = instance_is_down(i) ? arena_strdup(a, i->why) : "", .retired = i->retired, .pinned = i->entry.pinned,
        .since_ms = i->since_ms, .context = i->context, .ram_mib = i->reserved ? i->ram_mib : 0,
        .vram_mib = i->reserved ? i->vram_mib : 0, .load_ms = i->load_ms, .in_flight = i->in_flight,
        .waiting = i->replica == 0 && !i->retired ? i->pool->waiting : 0, .calls = i->calls, .crashes = i->crashes,
        .slots = ARENA_ARRAY(a, struct manager_slot, i->slot_count), .slot_count = i->slot_count,
        .pid = i->service ? service_pid(i->service) : 0,
    };
    for (size_t k = 0; k < i->slot_count; k++)
        ret->slots[k] = (struct manager_slot){ i->slots[k].busy, arena_strdup(a, i->slots[k].conversation) };
}

void manager_look(struct manager *m, struct arena *a, struct manager_picture *ret)
{
    manager_lock(m);
    reap(m);
    size_t count = 0;
    for (const struct instance *i = m->instances; i; i = i->next)
        count++;
    *ret = (struct manager_picture){ .room = m->options.limits.room, .count = count,
                                     .instances = ARENA_ARRAY(a, struct manager_instance, count) };
    for (const struct instance *i = m->instances; i; i = i->next) {
        picture_of(i, a, &ret->instances[--count]); /* the oldest first */
        ret->ram_mib += i->reserved ? i->ram_mib : 0;
        ret->vram_mib += i->reserved ? i->vram_mib : 0;
    }
    manager_unlock(m);
}
