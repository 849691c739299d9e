/* team.c - the workers: who does what next, and when there is nothing left to do.
 *
 * One thread per pair.  All of them take any task that may run (picture.h), so that an
 * Architect's review does not need a thread of its own.
 *
 * Threads: team->lock guards the team's site and the counters of the run.
 */
#include "team/team.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "team/account.h"
#include "team/picture.h"
#include "team/sitting.h"
#include "team/step.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { MAX_PAIRS = 16 };

const char *const role_names[] = { "engine", "pm", "architect", "developer", "tester", NULL };

int role_parse(const char *name)
{
    for (int i = 0; role_names[i]; i++)
        if (streq(role_names[i], name))
            return i;
    return -1;
}

const struct team_limits team_default_limits = {
    .attempts = 10, .review_rounds = 3, .replans = 3, .ticket_tokens = 0, .ticket_minutes = 0,
    .coverage_target = -1, .map_tokens = 1500,
    .answer_tokens = 0, .tree_files = 50000, .tree_mib = 1024,
    .suite = { .timeout_ms = 120000, .memory_mib = 2048, .processes = 256, .file_mib = 256, .tmp_mib = 256,
               .disk_mib = 1024, .max_output = 4 << 20 },
    .prepare_ms = 900000, .cache_mib = 4096,
};

/* ---- opening ---- */

struct team *team_new(struct house *h, const struct team_options *o)
{
    struct team *t = xcalloc(1, sizeof *t);
    t->house = h;
    t->store = h->store;
    t->queue = h->queue;
    t->home = h->home;
    t->options = *o;
    t->cache = xmalloc(strlen(t->home) + sizeof "/cache/prepared");
    snprintf(t->cache, strlen(t->home) + sizeof "/cache/prepared", "%s/cache/prepared", t->home);
    t->prepare = (struct stack_prepare_options){ .cache = t->cache, .may_write = h->queue, .network = o->network,
                                                 .limits = o->limits.suite, .cache_mib = o->limits.cache_mib };
    t->prepare.limits.timeout_ms = o->limits.prepare_ms;
    pthread_mutex_init(&t->lock, NULL);
    clock_cond_init(&t->wake);
    return t;
}

int team_sandbox(struct team *t, struct err *e)
{
    return t->sandbox ? 0 : house_sandbox(t->house, &t->sandbox, e);
}

void team_log_unprotected(struct team *t, struct batch *b, struct arena *a, const char *project)
{
    const char *why = t->sandbox ? sandbox_lacks(t->sandbox) : "";
    if (!*why)
        return;
    json_t *payload = json_object();
    json_put_text(payload, "why", why);
    batch_event(b, &(struct event){ .project = project, .actor = role_names[ROLE_ENGINE], .kind = "sandbox.none",
                                    .payload_json = json_keep(a, payload) });
}

void team_free(struct team *t)
{
    if (!t)
        return;
    if (t->site)
        house_give_site(t->house, t->site);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    free(t->cache);
    free(t);
}

void team_stop(struct team *t)
{
    /* Only an atomic store: this may run in a signal handler.  Workers look at least once a second. */
    atomic_store(&t->stop, true);
}

struct team_times team_times(struct team *t)
{
    pthread_mutex_lock(&t->lock);
    struct team_times times = t->times;
    pthread_mutex_unlock(&t->lock);
    return times;
}

/* ---- sites ---- */

int project_get(struct store *s, struct arena *a, const char *home, const char *id, struct project *ret, struct err *e)
{
    int r = store_get(s, a, &project_type, id, ret, NULL, e);
    return r == ERR_NOT_FOUND ? err_set(e, r, "there is no project \"%s\" in %s; `tandem status` lists them", id, home) : r;
}

const char *project_repo_path(struct arena *a, const char *home, const char *project)
{
    return arena_printf(a, "%s/projects/%s/repo.git", home, project);
}

const char *project_command(struct arena *a, const char *verb, const char *project, const char *thing)
{
    return arena_printf(a, "tandem %s%s%s --project %s", verb, *thing ? " " : "", thing, project);
}

int site_get(struct team *t, const char *project, struct site **ret, struct err *e)
{
    pthread_mutex_lock(&t->lock);
    int r = 0;
    if (t->site && !streq(t->site->id, project)) {
        house_give_site(t->house, t->site);
        t->site = NULL;
    }
    if (!t->site)
        r = house_take_site(t->house, project, &t->site, e);
    pthread_mutex_unlock(&t->lock);
    if (r == 0)
        *ret = t->site;
    return r;
}

/* ---- workers ---- */

struct crew {
    struct team *team;
    struct site *site;
    const char *project;
    int64_t pairs;
    struct picture *picture; /* under team->lock */
};

static void pulse(const struct crew *c, const struct task *task, bool begun)
{
    const struct team_watcher *w = &c->team->options.watcher;
    struct pulse p = { c->project, task->ticket, task->role, task->stage, task->attempt + 1 };
    if (w->moved)
        w->moved(&p, begun, w->ctx);
}

/* A dead task leaves its thing blocked, with the last error as the reason. */
static int block_dead(struct team *t, struct arena *a, struct batch *b, const char *project, const struct task *task,
                      const char *why, struct err *e)
{
    int64_t version;
    int r;
    const char *id = arena_printf(a, "%s/%s", project, task->ticket);
    if (starts_with(task->ticket, "T-")) {
        struct ticket doc;
        r = store_get(t->store, a, &ticket_type, id, &doc, &version, e);
        doc.blocked = why;
        if (r == 0)
            batch_update(b, &ticket_type, id, version, &doc);
    } else if (starts_with(task->ticket, "F-")) {
        struct functionality doc;
        r = store_get(t->store, a, &functionality_type, id, &doc, &version, e);
        doc.blocked = why;
        if (r == 0)
            batch_update(b, &functionality_type, id, version, &doc);
    } else {
        struct project doc;
        r = store_get(t->store, a, &project_type, project, &doc, &version, e);
        doc.blocked = why;
        if (r == 0)
            batch_update(b, &project_type, project, version, &doc);
    }
    json_t *payload = json_object();
    json_put_text(payload, "why", why);
    batch_event(b, &(struct event){ .project = project, .ticket = task->ticket, .actor = "engine",
                                    .kind = "blocked", .payload_json = json_keep(a, payload) });
    return r;
}

/* Errors of the home itself end the run, and so does what only a person can set right, with the
 * task as it was; others give the task back. */
static int after_error(const struct crew *c, const char *id, const struct task *task, int code, const struct err *why,
                       struct err *e)
{
    struct team *t = c->team;
    if (is_stopped(t))
        return queue_release(t->queue, id, e);
    bool of_setup = code == ERR_SETUP;
    if (of_setup || code == ERR_FULL || code == ERR_CORRUPT || code == ERR_READONLY) {
        int r = of_setup ? queue_release(t->queue, id, e) : 0;
        if (r < 0)
            return r;
        *e = *why;
        return code;
    }
    log_info("%s: %s", id, why->text);
    ARENA_LOCAL(a);
    struct batch *blocked = batch_new();
    int r = block_dead(t, &a, blocked, c->project, task, why->text, e);
    if (r == 0)
        r = queue_give_back(t->queue, id, why->text, blocked, NULL, e);
    batch_free(blocked);
    return r;
}

/* *ret_changes: how many tasks had ended when it was decided that none can run. */
static int do_one(const struct crew *c, struct arena *a, const char *owner, int64_t *ret_wait_ms, int64_t *ret_changes,
                  struct err *e)
{
    struct task task;
    const char *id;
    struct team *t = c->team;
    struct account account = account_open();
    pthread_mutex_lock(&t->lock);
    *ret_changes = t->changes;
    int r = picture_renew(c->picture, e);
    if (r == 0)
        r = queue_lease(t->queue, a, c->project, owner, picture_may_run, c->picture, &id, &task, ret_wait_ms, e);
    if (r == 0)
        t->busy++;
    pthread_mutex_unlock(&t->lock);
    if (r < 0)
        return r;
    pulse(c, &task, true);
    struct err why;
    r = step_run(t, c->site, id, &task, &why);
    if (r < 0)
        r = after_error(c, id, &task, r, &why, e);
    pulse(c, &task, false);
    pthread_mutex_lock(&t->lock);
    account_close(&account, id, &t->times);
    t->busy--;
    t->changes++;
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
    return r;
}

/* Nothing could run: wait for another worker or a paused task.  Ends the run when there is
 * neither.  A task that ended after we looked may have made others ready: look again. */
static void wait_for_work(struct team *t, int64_t wait_ms, int64_t changes)
{
    pthread_mutex_lock(&t->lock);
    if (t->changes != changes) {
        pthread_mutex_unlock(&t->lock);
        return;
    }
    if (!t->busy && wait_ms < 0) {
        t->ended = true;
        pthread_cond_broadcast(&t->wake);
    } else if (!t->ended) {
        if (wait_ms < 0 || wait_ms > 1000)
            wait_ms = 1000;
        struct timespec until = clock_steady_in(wait_ms);
        pthread_cond_timedwait(&t->wake, &t->lock, &until);
    }
    pthread_mutex_unlock(&t->lock);
}

struct worker {
    const struct crew *crew;
    pthread_t thread;
    char owner[32];
};

static void *work(void *ctx)
{
    const struct worker *w = ctx;
    struct team *t = w->crew->team;
    for (;;) {
        ARENA_LOCAL(a);
        struct err e;
        int64_t wait_ms = -1, changes = 0;
        pthread_mutex_lock(&t->lock);
        bool ended = t->ended || is_stopped(t);
        pthread_mutex_unlock(&t->lock);
        if (ended)
            return NULL;
        int r = do_one(w->crew, &a, w->owner, &wait_ms, &changes, &e);
        if (r == ERR_NOT_FOUND) {
            wait_for_work(t, wait_ms, changes);
        } else if (r < 0) {
            pthread_mutex_lock(&t->lock);
            if (!t->failure.code)
                t->failure = e;
            t->ended = true;
            pthread_cond_broadcast(&t->wake);
            pthread_mutex_unlock(&t->lock);
        }
    }
}

static enum team_end how_it_ended(struct team *t, const struct project *p)
{
    if (is_stopped(t))
        return TEAM_STOPPED;
    if (p->state == PROJECT_DONE)
        return TEAM_DONE;
    if (p->state == PROJECT_SPEC_APPROVAL || p->state == PROJECT_PLAN_APPROVAL)
        return TEAM_GATE;
    return TEAM_BLOCKED;
}

/* All workers until each has nothing left to do. */
static int run_workers(const struct crew *crew, struct err *e)
{
    struct worker workers[MAX_PAIRS];
    int64_t started = 0;
    crew->team->ended = false;
    crew->team->failure.code = 0;
    for (; started < crew->pairs; started++) {
        workers[started].crew = crew;
        snprintf(workers[started].owner, sizeof workers[started].owner, "pair-%lld", (long long)started + 1);
        if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0)
            break;
    }
    for (int64_t i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    if (!started)
        return err_set(e, ERR_FAILED, "no worker thread could be started");
    if (crew->team->failure.code) {
        *e = crew->team->failure;
        return e->code;
    }
    return 0;
}

int team_run(struct team *t, const char *project, enum team_end *ret, struct err *e)
{
    ARENA_LOCAL(a);
    struct crew crew = { .team = t, .project = project };
    struct sitting sitting;
    struct project p;
    int r = site_get(t, project, &crew.site, e);
    if (r == 0)
        r = store_get(t->store, &a, &project_type, project, &p, NULL, e);
    if (r < 0)
        return r;
    enum team_end end = how_it_ended(t, &p);
    if (end == TEAM_GATE || end == TEAM_DONE) { /* nothing to do before a person says so */
        *ret = end;
        return 0;
    }
    r = team_sandbox(t, e);
    if (r < 0)
        return r;
    crew.pairs = p.pairs < 1 ? 1 : p.pairs > MAX_PAIRS ? MAX_PAIRS : p.pairs;
    r = sitting_begin(&sitting, t, project, e);
    if (r < 0)
        return r;
    crew.picture = picture_new(t->store, crew.site, crew.pairs);
    r = run_workers(&crew, e);
    picture_free(crew.picture);
    int ended = sitting_end(&sitting, r < 0 ? NULL : e);
    r = r < 0 ? r : ended;
    if (r == 0)
        r = store_get(t->store, &a, &project_type, project, &p, NULL, e);
    if (r == 0)
        *ret = how_it_ended(t, &p);
    return r;
}
