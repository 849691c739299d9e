/* keeping_adapter.c - an instance that is an adapter: a program in the sandbox.
 *
 * Each has a copy of the folder in the repository.  It is loaded when it says hello.  The model
 * that calls go to owns the running adapter from probing on, so that it is freed when the last call
 * has left it.
 */
#include "model/manager_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "model/adapter.h"
#include "model/adapter_shelf.h"
#include "model/shelf.h"

enum {
    MIB = 1 << 20, LEAST_MIB = 1024, /* without a file, or besides it: an interpreter and its libraries */
    LOOK_MS = 500,                   /* for requests that were cancelled and are not let go */
    ASK_MS = 5000, FIRST_ASK_MS = 10000, /* it has just said that it is ready */
};

static int64_t adapter_context(const struct instance *i)
{
    return i->entry.context; /* 0: it says so itself */
}

static int adapter_measure(struct instance *i, int64_t *ret_ram_mib, int64_t *ret_vram_mib, struct err *e)
{
    (void)e;
    *ret_ram_mib = i->entry.memory_mib ? i->entry.memory_mib : i->entry.bytes / MIB * 5 / 4 + LEAST_MIB;
    *ret_vram_mib = i->entry.vram_mib;
    return 0;
}

/* The sandbox of all adapters, opened for the first. */
static int find_sandbox(struct manager *m, struct sandbox **ret, struct err *e)
{
    int r = 0;
    pthread_mutex_lock(&m->help_lock);
    if (!m->sandbox) {
        r = sandbox_open(&m->sandbox, m->options.sandbox, m->options.scratch, e);
        if (r == 0 && *sandbox_lacks(m->sandbox))
            log_warning("NO SANDBOX, adapters run unprotected: %s", sandbox_lacks(m->sandbox));
    }
    *ret = m->sandbox;
    pthread_mutex_unlock(&m->help_lock);
    if (r < 0) {
        struct err said = *e;
        return err_set(e, ERR_SETUP, "adapters run in the sandbox only: %.900s", said.text);
    }
    return r;
}

static void on_news(void *ctx)
{
    struct instance *i = ctx;
    manager_lock(i->manager);
    pthread_cond_broadcast(&i->manager->changed);
    manager_unlock(i->manager);
}

static int adapter_spawn(struct instance *i, struct err *e)
{
    ARENA_LOCAL(a);
    struct manager *m = i->manager;
    struct adapter *adapter;
    struct adapter_options o = {
        .folder = adapter_shelf_path(&a, m->options.models_dir, i->backend.program),
        .file = *i->entry.file ? shelf_path(&a, m->options.models_dir, i->entry.file) : "",
        .called = i->entry.id, .arguments = i->entry.arguments, .environment = i->backend.environment, .memory_mib = i->ram_mib,
        .context = i->entry.context, .slots = i->entry.slots, .on_news = on_news, .ctx = i,
    };
    if (!o.folder)
        return err_set(e, ERR_SETUP, "the adapter %s has not been taken in: `tandem model import FOLDER`", i->backend.id);
    int r = find_sandbox(m, &o.sandbox, e);
    if (r == 0)
        r = adapter_start(&adapter, &o, e);
    if (r < 0)
        return r;
    manager_lock(m);
    i->adapter = adapter;
    manager_unlock(m);
    return 0;
}

static int adapter_load(struct instance *i, int64_t wait_ms, bool *ret_ready, struct err *e)
{
    return adapter_await(i->adapter, wait_ms, ret_ready, e);
}

static int check_hello(struct instance *i, const struct adapter_hello *h, struct err *e)
{
    const char *id = i->entry.id;
    if (h->slots < i->entry.slots)
        return err_set(e, ERR_SETUP, "the adapter %s answers %lld at once, not %lld: `tandem model set %s slots=%lld`", h->name,
                       (long long)h->slots, (long long)i->entry.slots, id, (long long)h->slots);
    if (h->context < i->entry.context)
        return err_set(e, ERR_SETUP, "%s has a context of %lld tokens, not of %lld: `tandem model set %s context=%lld`, or another model", id,
                       (long long)h->context, (long long)i->entry.context, id, (long long)h->context);
    return 0;
}

static int adapter_probe(struct instance *i, struct model **ret, struct err *e)
{
    const struct adapter_hello *h = adapter_said_hello(i->adapter);
    int r = check_hello(i, h, e);
    if (r == 0)
        r = adapter_ping(i->adapter, FIRST_ASK_MS, e);
    if (r < 0)
        return r;
    instance_set_context(i, i->entry.context ? i->entry.context : h->context);
    *ret = adapter_model(i->adapter, &i->manager->options.chat);
    return 0;
}

static int adapter_ask(struct instance *i, struct err *e)
{
    return adapter_lives(i->adapter) ? adapter_ping(i->adapter, ASK_MS, e) : adapter_why(i->adapter, e);
}

static bool adapter_watch(struct instance *i, int64_t wait_ms)
{
    int64_t deadline = clock_steady_ms() + wait_ms, left;
    bool lives;
    while ((lives = adapter_lives(i->adapter)) && (left = deadline - clock_steady_ms()) > 0) {
        manager_lock(i->manager);
        bool news = i->nudges != i->nudges_seen;
        i->nudges_seen = i->nudges;
        if (!news)
            manager_wait(i->manager, left < LOOK_MS ? left : LOOK_MS);
        manager_unlock(i->manager);
        if (news)
            break;
    }
    return lives;
}

static bool adapter_end(struct instance *i, struct err *why)
{
    struct manager *m = i->manager;
    manager_lock(m);
    struct adapter *adapter = i->adapter;
    i->adapter = NULL;
    bool is_owned = i->model != NULL;
    manager_unlock(m);
    if (!adapter)
        return false;
    if (why && why->code == ERR_UNAVAILABLE)
        adapter_why(adapter, why);
    adapter_stop(adapter, why ? 0 : m->options.limits.stop_ms, NULL);
    if (!is_owned)
        adapter_free(adapter);
    return false;
}

const struct keeping keeping_adapter = {
    .context = adapter_context, .measure = adapter_measure, .spawn = adapter_spawn, .load = adapter_load, .probe = adapter_probe,
    .ask = adapter_ask, .is_ours = true, .watch = adapter_watch, .stop = adapter_end,
};
