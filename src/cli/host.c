/* host.c - the models of a home, hosted in the process of a command. */
#include "cli/session.h"

#include "base/log.h"
#include "base/str.h"
#include "model/registry.h"
#include "os/runtime.h"

static void limits_from_settings(const struct settings *set, struct manager_limits *l)
{
    *l = manager_default_limits;
    l->room.ram_mib = set->model_memory_mib;
    l->room.vram_mib = set->model_vram_mib;
    l->room.ageing_ms = set->model_ageing_s * 1000;
    l->queue = set->model_queue;
    l->slot_files_mib = set->slot_files_mib;
    l->load_ms = set->model_load_s * 1000;
}

static void moved(const char *model, int64_t replica, enum life from, enum life to, const char *why, void *ctx)
{
    (void)ctx;
    log_line(to == LIFE_FAILED || to == LIFE_QUARANTINED ? LOG_WARNING : LOG_INFO, "model %s/%lld: %s -> %s%s%s", model,
           (long long)replica, life_names[from], life_names[to], *why ? ": " : "", why);
}

bool home_has_routes(struct invocation *in)
{
    struct session s;
    struct registry r;
    int code = session_look(&s, in, NULL);
    if (code == 0)
        code = registry_load(s.store, &in->arena, &r, NULL);
    session_close(&s);
    return code == 0 && r.routes.count;
}

static int open_manager(struct session *s, struct err *e)
{
    const struct settings *set = &s->in->settings;
    struct arena *a = &s->hosted;
    const char *dir;
    if (s->manager)
        return 0;
    int r = runtime_dir(a, s->home, true, &dir, e);
    if (r < 0)
        return r;
    struct manager_options o = {
        .store = s->store, .models_dir = *set->models_dir ? set->models_dir : arena_printf(a, "%s/models", s->home),
        .slots_dir = arena_printf(a, "%s/slots", s->home),
        .run_dir = arena_printf(a, "%s/models", dir), .llama_server = set->llama_server,
        .sandbox = sandbox_mode_of(set), .scratch = sandbox_scratch_of(set), .chat = model_default_options, .moved = moved,
        .called = s->called, .ctx = s->called_ctx,
    };
    limits_from_settings(set, &o.limits);
    office_model_options(set, &o.chat);
    return manager_open(&s->manager, &o, e);
}

int session_manager_of(void *session, struct manager **ret, struct err *e)
{
    struct session *s = session;
    int r = open_manager(s, e);
    *ret = s->manager;
    return r;
}

int session_manager(struct session *s, struct err *e)
{
    struct manager *same;
    return s->office ? office_manager(s->office, false, &same, e) : open_manager(s, e);
}
