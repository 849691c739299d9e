/* keeping_remote.c - an instance that somebody else keeps: a server with an address.
 *
 * Nothing is started and no memory is counted; it is ready when it can be asked what it is.
 */
#include "model/manager_internal.h"

#include "base/str.h"

static int64_t remote_context(const struct instance *i)
{
    (void)i;
    return 0; /* its server tells */
}

static int remote_measure(struct instance *i, int64_t *ret_ram_mib, int64_t *ret_vram_mib, struct err *e)
{
    (void)i, (void)e;
    *ret_ram_mib = *ret_vram_mib = 0;
    return 0;
}

static int remote_spawn(struct instance *i, struct err *e)
{
    (void)i, (void)e;
    return 0;
}

static int remote_load(struct instance *i, int64_t wait_ms, bool *ret_ready, struct err *e)
{
    (void)i, (void)wait_ms, (void)e;
    *ret_ready = true;
    return 0;
}

int remote_failure(int r, struct err *e)
{
    if (r == 0 || r == ERR_UNAVAILABLE || r == ERR_CANCELLED)
        return r;
    return e->code = r == ERR_TIMEOUT || r == ERR_FAILED ? ERR_UNAVAILABLE : ERR_SETUP;
}

int remote_open(const struct instance *i, struct model_options *o, struct model **ret, struct err *e)
{
    o->name = *i->entry.name ? i->entry.name : i->entry.id;
    o->api_key_file = *i->backend.key_file ? i->backend.key_file : o->api_key_file;
    o->ca_file = *i->backend.ca_file ? i->backend.ca_file : o->ca_file;
    o->context_tokens = i->entry.context;
    return model_open(ret, o, e);
}

static int remote_probe(struct instance *i, struct model **ret, struct err *e)
{
    struct model_options o = i->manager->options.chat;
    struct model *model;
    const char *name;
    int64_t context;
    o.url = i->backend.url;
    int r = remote_open(i, &o, &model, e);
    if (r < 0)
        return r;
    r = model_describe(model, &i->over, &name, &context, e);
    if (r < 0) {
        model_free(model);
        return remote_failure(r, e);
    }
    instance_set_context(i, context);
    *ret = model;
    return 0;
}

static int remote_ask(struct instance *i, struct err *e)
{
    (void)i, (void)e;
    return 0; /* whatever ails it, each call finds out for itself */
}

bool remote_watch(struct instance *i, int64_t wait_ms)
{
    manager_lock(i->manager);
    if (i->nudges == i->nudges_seen) /* else there is news already */
        manager_wait(i->manager, wait_ms);
    i->nudges_seen = i->nudges;
    manager_unlock(i->manager);
    return true;
}

static bool remote_stop(struct instance *i, struct err *why)
{
    (void)i, (void)why;
    return false;
}

const struct keeping keeping_remote = {
    .context = remote_context, .measure = remote_measure, .spawn = remote_spawn, .load = remote_load, .probe = remote_probe, .ask = remote_ask,
    .watch = remote_watch, .stop = remote_stop,
};
