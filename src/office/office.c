/* office.c - opening, settings, and the one way all verbs take. */
#include "office/internal.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include <assert.h>
#include <stdlib.h>

enum { MAX_TRIES = 5 };

int office_open(struct office **ret, const struct office_options *o, struct err *e)
{
    const struct settings *set = o->settings;
    struct office *office = xcalloc(1, sizeof *office);
    struct house_options house = {
        .home = o->home, .sandbox = sandbox_mode_of(set), .scratch = sandbox_scratch_of(set), .queue = queue_default_limits,
    };
    house.queue.attempts = set->task_attempts;
    house.queue.lease_ms = set->lease_s * 1000;
    office->options = *o;
    int r = house_open(&office->house, o->store, &house, e);
    if (r < 0) {
        free(office);
        return r;
    }
    pthread_mutex_init(&office->lock, NULL);
    pthread_mutex_init(&office->opening, NULL);
    pthread_mutex_init(&office->managing, NULL);
    clock_cond_init(&office->changed);
    *ret = office;
    return 0;
}

void office_close(struct office *o)
{
    if (!o)
        return;
    assert(!o->tables && !o->hands);
    house_free(o->house);
    pthread_cond_destroy(&o->changed);
    pthread_mutex_destroy(&o->managing);
    pthread_mutex_destroy(&o->opening);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

struct house *office_house(struct office *o)
{
    return o->house;
}

int office_manager(struct office *o, bool only_if_there, struct manager **ret, struct err *e)
{
    pthread_mutex_lock(&o->managing);
    int r = o->manager || only_if_there ? 0 : o->options.manager(o->options.ctx, &o->manager, e);
    *ret = o->manager;
    pthread_mutex_unlock(&o->managing);
    return r;
}

/* ---- settings ---- */

static bool is_one_of(const char *const *list, const char *word)
{
    while (*list && !streq(*list, word))
        list++;
    return *list;
}

bool office_setting_travels(const char *name)
{
    static const char *const groups[] = { "The team", "Models", "Running tests", "Input", NULL };
    static const char *const stay[] = { "sandbox", "scratch", "nearby", NULL };
    const struct setting *row = setting_find(name);
    return row && is_one_of(groups, row->group) && !is_one_of(stay, name);
}

int office_settings(const struct office *o, const struct office_caller *c, struct arena *a, struct settings *ret, struct err *e)
{
    *ret = *o->options.settings;
    ret->arena = a;
    ret->here = NULL; /* which directory they are in, only they know */
    if (c->api_key)
        ret->api_key_file = "";
    for (size_t i = 0; i < c->settings.count; i++) {
        const char *word = c->settings.items[i], *equals = strchr(word, '=');
        const char *name = arena_strndup(a, word, equals ? (size_t)(equals - word) : strlen(word));
        if (!equals)
            return err_set(e, ERR_INVALID, "\"%.60s\": a setting is said as name=value", name);
        if (!office_setting_travels(name))
            return err_set(e, ERR_INVALID, "\"%.60s\" is no setting, or one that cannot be said with a wish", name);
        int r = settings_assign(ret, word, e);
        if (r < 0)
            return r;
    }
    return 0;
}

struct team_options office_team_options(const struct settings *set)
{
    struct team_options o = { .network = set->network, .limits = team_default_limits };
    struct team_limits *l = &o.limits;
    l->attempts = set->attempts;
    l->review_rounds = set->review_rounds;
    l->replans = set->replans;
    l->coverage_target = set->coverage_target;
    l->ticket_tokens = set->ticket_tokens;
    l->ticket_minutes = set->ticket_minutes;
    l->map_tokens = set->map_tokens;
    l->answer_tokens = set->answer_tokens;
    l->tree_files = set->tree_files;
    l->tree_mib = set->tree_mib;
    l->prepare_ms = set->prepare_timeout_s * 1000;
    l->cache_mib = set->cache_mib;
    l->suite = (struct sandbox_limits){
        .timeout_ms = set->suite_timeout_s * 1000, .memory_mib = set->memory_mib, .processes = set->processes,
        .file_mib = set->file_mib, .tmp_mib = set->tmp_mib, .disk_mib = set->disk_mib,
        .max_output = (size_t)set->output_kib * 1024,
    };
    return o;
}

void office_shut(struct office *o)
{
    atomic_store(&o->shut, true);
}

bool office_is_shut(const struct office *o)
{
    return atomic_load(&o->shut);
}

/* ---- verbs ---- */

bool office_is_being_told(const struct office *o, const char *project)
{
    const struct office_hand *h = o->hands;
    while (h && !(h->verb->gives_work && streq(h->of, project)))
        h = h->next;
    return h;
}

static bool is_in_hand(struct office *o, const char *of)
{
    struct office_hand *h = o->hands;
    while (h && !streq(h->of, of))
        h = h->next;
    return h;
}

static int take_in_hand(struct office *o, struct office_hand *h, const atomic_bool *cancel, struct err *e)
{
    int r = 0;
    pthread_mutex_lock(&o->lock);
    while (r == 0 && is_in_hand(o, h->of)) {
        struct timespec until = clock_steady_in(OFFICE_LOOK_MS);
        pthread_cond_timedwait(&o->changed, &o->lock, &until);
        if (cancel && atomic_load(cancel))
            r = err_set(e, ERR_CANCELLED, "stopped while somebody else spoke to %s", h->of);
    }
    if (r == 0) {
        h->next = o->hands;
        o->hands = h;
    }
    pthread_mutex_unlock(&o->lock);
    return r;
}

/* `done`: what was to be said was said. */
static void let_go(struct office *o, struct office_hand *h, bool done)
{
    pthread_mutex_lock(&o->lock);
    struct office_hand **at = &o->hands;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    if (done && h->verb->gives_work)
        tables_tell(o, h->of);
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
}

/* "": it is about none yet. */
static const char *project_of(const struct office_verb *v, const void *wish)
{
    const struct field *f = record_field(v->wish, "project");
    return f ? *(const char *const *)((const char *)wish + f->offset) : "";
}

static int act(struct office_call *call, const struct office_verb *v, const void *wish, void *answer, struct err *e)
{
    int tries = v->tries_again ? MAX_TRIES : 1;
    int r = team_heard(call->team, call->arena, project_of(v, wish), &call->heard, e);
    if (r < 0)
        return r;
    do
        r = v->act(call, wish, answer, e);
    while (r == ERR_CONFLICT && --tries > 0);
    return r;
}

int office_do(struct office *o, const struct office_verb *v, const struct office_caller *c, struct arena *a, const void *wish,
              void *answer, struct err *e)
{
    struct office_call call = { .office = o, .caller = c, .arena = a };
    int r = office_settings(o, c, a, &call.settings, e);
    if (r < 0)
        return r;
    struct team_options options = office_team_options(&call.settings);
    options.cancel = c->cancel;
    options.word = c->word;
    const char *project = project_of(v, wish);
    struct office_hand hand = { .of = *project || !c->word ? project : c->word, .verb = v };
    if (*hand.of)
        r = take_in_hand(o, &hand, c->cancel, e);
    if (r < 0)
        return r;
    call.team = team_new(o->house, &options);
    r = act(&call, v, wish, answer, e);
    team_free(call.team);
    if (*hand.of)
        let_go(o, &hand, r == 0);
    return r;
}
