/* keeping_ollama.c - an instance that an Ollama keeps: loaded when somebody asks, let go when it is idle.
 *
 * Its memory is Ollama's business, unless the entry says how much it is.  A model that was loaded
 * before we came is left as it is when Tandem ends.
 */
#include "model/manager_internal.h"

#include "base/str.h"
#include "model/ollama.h"

enum { MARGIN_S = 60 /* it is let go by us; by itself only when we are gone */ };

static int64_t ollama_context(const struct instance *i)
{
    return i->entry.context;
}

static int ollama_measure(struct instance *i, int64_t *ret_ram_mib, int64_t *ret_vram_mib, struct err *e)
{
    (void)e;
    *ret_ram_mib = i->entry.memory_mib;
    *ret_vram_mib = i->entry.vram_mib;
    return 0;
}

static int ollama_spawn(struct instance *i, struct err *e)
{
    (void)i, (void)e;
    return 0;
}

static int open_model(struct instance *i, struct model **ret, struct err *e)
{
    ARENA_LOCAL(a);
    struct model_options o = i->manager->options.chat;
    o.url = arena_printf(&a, "ollama:%s", i->backend.url);
    if (i->entry.pinned)
        o.keep_s = -1;
    else if (i->entry.idle_s)
        o.keep_s = i->entry.idle_s + MARGIN_S;
    return remote_open(i, &o, ret, e);
}

/* In one go: it can be stopped (instance->over). */
static int ollama_load_it(struct instance *i, int64_t wait_ms, bool *ret_ready, struct err *e)
{
    (void)wait_ms;
    struct model *model;
    bool loaded = false;
    int r = open_model(i, &model, e);
    if (r < 0)
        return r;
    r = ollama_is_loaded(model, &i->over, &loaded, e);
    i->was_loaded = loaded;
    if (r == 0 && !loaded)
        r = ollama_load(model, i->manager->options.limits.load_ms, &i->over, e);
    model_free(model);
    *ret_ready = r == 0;
    return remote_failure(r, e);
}

static int ollama_probe(struct instance *i, struct model **ret, struct err *e)
{
    struct model *model;
    const char *name;
    int64_t context;
    bool embeds = texts_has(&i->entry.capabilities, "embed") && !texts_has(&i->entry.capabilities, "chat");
    int r = open_model(i, &model, e);
    if (r < 0)
        return r;
    r = model_describe(model, &i->over, &name, &context, e);
    if (r == 0)
        r = ollama_try(model, embeds, i->manager->options.limits.probe_ms, &i->over, e);
    if (r < 0) {
        model_free(model);
        return remote_failure(r, e);
    }
    instance_set_context(i, context);
    *ret = model;
    return 0;
}

static int ollama_ask(struct instance *i, struct err *e)
{
    return remote_failure(ollama_ping(i->model, e), e);
}

static bool ollama_stop(struct instance *i, struct err *why)
{
    struct model *model; /* another one: that of the calls may have been hung up */
    manager_lock(i->manager);
    bool closing = i->manager->closing;
    manager_unlock(i->manager);
    if (!i->model || why || (closing && i->was_loaded) || open_model(i, &model, NULL) < 0)
        return false;
    ollama_unload(model, NULL); /* if it cannot be reached, it goes by itself later */
    model_free(model);
    return false;
}

const struct keeping keeping_ollama = {
    .context = ollama_context, .measure = ollama_measure, .spawn = ollama_spawn, .load = ollama_load_it, .probe = ollama_probe,
    .ask = ollama_ask, .watch = remote_watch, .stop = ollama_stop,
};
