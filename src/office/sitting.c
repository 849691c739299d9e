/* sitting.c - projects at work, and who looks at them.
 *
 * A sitting has a thread of its own for the team; the person's side only waits, so that any of
 * several may leave.
 *
 * Threads: office->lock guards the list of sittings and all that is in them but what their thread
 * has: team and models.
 */
#include "office/internal.h"
#include "office/models.h"
#include "office/served.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include <stdlib.h>

struct sitting_at {
    struct sitting_at *next;
    struct office *office;
    struct arena arena;       /* project and settings */
    const char *project;
    struct settings settings;
    struct crew_models models;
    struct team *team;
    pthread_t thread;
    struct office_seat *seats;
    bool stopping, ended;
    enum team_end end;
    struct err err;           /* code 0: none */
};

struct office_seat {
    struct office_seat *next;
    struct sitting_at *sitting;
    struct team_watcher watcher;
    bool joined_late;
};

/* ---- from the workers ---- */

static void on_text(const struct pulse *p, const char *text, size_t len, void *ctx)
{
    struct sitting_at *s = ctx;
    pthread_mutex_lock(&s->office->lock);
    for (struct office_seat *seat = s->seats; seat; seat = seat->next)
        if (seat->watcher.text)
            seat->watcher.text(p, text, len, seat->watcher.ctx);
    pthread_mutex_unlock(&s->office->lock);
}

static void on_moved(const struct pulse *p, bool begun, void *ctx)
{
    struct sitting_at *s = ctx;
    pthread_mutex_lock(&s->office->lock);
    for (struct office_seat *seat = s->seats; seat; seat = seat->next)
        if (seat->watcher.moved)
            seat->watcher.moved(p, begun, seat->watcher.ctx);
    pthread_mutex_unlock(&s->office->lock);
}

static void *work(void *ctx)
{
    struct sitting_at *s = ctx;
    struct err e = { .code = 0 };
    enum team_end end = TEAM_STOPPED;
    int r = team_run(s->team, s->project, &end, &e);
    pthread_mutex_lock(&s->office->lock);
    s->ended = true;
    s->end = end;
    s->err = e;
    s->err.code = r;
    pthread_cond_broadcast(&s->office->changed);
    pthread_mutex_unlock(&s->office->lock);
    return NULL;
}

/* ---- beginning ---- */

static void sitting_free(struct sitting_at *s, struct str *notes)
{
    team_free(s->team);
    crew_models_close(&s->models, notes);
    arena_release(&s->arena);
    free(s);
}

static int open_models(struct sitting_at *s, const struct office_sitting *w, const struct office_caller *c, struct err *e)
{
    struct project p;
    struct texts words = w->models;
    const struct office_options *o = &s->office->options;
    int r = project_get(o->store, &s->arena, o->home, s->project, &p, e);
    if (r == 0 && !words.count)
        words = p.models;
    if (r == 0)
        r = crew_models_open(&s->models, s->office, c, &s->settings, &s->arena, &words, (enum drift_rule)w->drift, e);
    if (r == ERR_USAGE && !w->models.count)
        r = err_recode(e, ERR_INVALID); /* it was remembered */
    if (r == 0 && w->record && *w->record)
        r = crew_models_record(&s->models, w->record, e);
    return r;
}

static int sitting_new(struct office *o, const struct office_sitting *w, const struct office_caller *c, struct sitting_at **ret,
                       struct err *e)
{
    struct sitting_at *s = xcalloc(1, sizeof *s);
    s->office = o;
    s->project = arena_strdup(&s->arena, w->project);
    int r = office_settings(o, c, &s->arena, &s->settings, e);
    if (r == 0)
        r = open_models(s, w, c, e);
    if (r < 0) {
        sitting_free(s, NULL);
        return r;
    }
    struct team_options options = office_team_options(&s->settings);
    memcpy(options.models, s->models.by_role, sizeof options.models);
    memcpy(options.heavy, s->models.heavy, sizeof options.heavy);
    served_by_blocks(o->options.store, &s->arena, s->models.served, options.edits);
    options.goes_on = w->goes_on;
    options.watcher = (struct team_watcher){ .text = on_text, .moved = on_moved, .ctx = s };
    s->team = team_new(o->house, &options);
    *ret = s;
    return 0;
}

/* With the lock held: NULL, when nobody is at it; one that has ended only waits to be put away. */
static struct sitting_at *find(struct office *o, const char *project)
{
    struct sitting_at *s = o->sittings;
    while (s && (s->ended || !streq(s->project, project)))
        s = s->next;
    return s;
}

/* With the lock held: the sitting of the project that can be joined, NULL when there is none.  One
 * that is being stopped is waited for. */
static int find_open(struct office *o, const char *project, const atomic_bool *cancel, struct sitting_at **ret, struct err *e)
{
    while (!office_is_shut(o) && (*ret = find(o, project)) && (*ret)->stopping) {
        if (cancel && atomic_load(cancel))
            return err_set(e, ERR_CANCELLED, "stopped while the work on %s came to its end", project);
        struct timespec until = clock_steady_in(OFFICE_LOOK_MS);
        pthread_cond_timedwait(&o->changed, &o->lock, &until);
    }
    return office_is_shut(o) ? err_set(e, ERR_GONE, "the process that has the home is about to end") : 0;
}

static void seat_add(struct sitting_at *s, struct office_seat *seat)
{
    seat->sitting = s;
    seat->next = s->seats;
    s->seats = seat;
}

static void sitting_remove(struct sitting_at *s)
{
    struct sitting_at **at = &s->office->sittings;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
}

/* With the lock held. */
static int sitting_start(struct office *o, struct sitting_at *s, struct office_seat *seat, struct err *e)
{
    s->next = o->sittings;
    o->sittings = s;
    seat_add(s, seat);
    if (pthread_create(&s->thread, NULL, work, s) == 0)
        return 0;
    sitting_remove(s);
    return err_set(e, ERR_FAILED, "no thread could be started");
}

static int begin_or_join(struct office *o, const struct office_sitting *w, const struct office_caller *c, struct office_seat *seat,
                         struct err *e)
{
    struct sitting_at *s;
    pthread_mutex_lock(&o->lock);
    int r = find_open(o, w->project, c->cancel, &s, e);
    seat->joined_late = r == 0 && s;
    if (seat->joined_late)
        seat_add(s, seat);
    pthread_mutex_unlock(&o->lock);
    if (r < 0 || seat->joined_late)
        return r;
    r = sitting_new(o, w, c, &s, e);
    if (r < 0)
        return r;
    pthread_mutex_lock(&o->lock);
    r = sitting_start(o, s, seat, e);
    pthread_mutex_unlock(&o->lock);
    if (r < 0)
        sitting_free(s, NULL);
    return r;
}

int office_sit(struct office *o, const struct office_sitting *w, const struct office_caller *c, const struct team_watcher *watcher,
               struct office_seat **ret, struct err *e)
{
    struct office_seat *seat = xcalloc(1, sizeof *seat);
    seat->watcher = *watcher;
    pthread_mutex_lock(&o->opening); /* nobody else begins the same */
    int r = begin_or_join(o, w, c, seat, e);
    pthread_mutex_unlock(&o->opening);
    if (r < 0) {
        free(seat);
        return r;
    }
    *ret = seat;
    return 0;
}

bool office_joined(const struct office_seat *seat)
{
    return seat->joined_late;
}

bool office_wait(struct office_seat *seat, int64_t ms)
{
    struct sitting_at *s = seat->sitting;
    struct timespec until = clock_steady_in(ms);
    pthread_mutex_lock(&s->office->lock);
    while (!s->ended && pthread_cond_timedwait(&s->office->changed, &s->office->lock, &until) == 0)
        ;
    bool ended = s->ended;
    pthread_mutex_unlock(&s->office->lock);
    return ended;
}

/* ---- leaving ---- */

static void seat_remove(struct office_seat *seat)
{
    struct office_seat **at = &seat->sitting->seats;
    while (*at != seat)
        at = &(*at)->next;
    *at = seat->next;
}

/* Nobody looks any more: it is stopped, waited for and put away. */
static void sitting_end(struct sitting_at *s, struct str *notes)
{
    struct office *o = s->office;
    pthread_join(s->thread, NULL);
    pthread_mutex_lock(&o->lock);
    sitting_remove(s);
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
    sitting_free(s, notes);
}

int office_leave(struct office_seat *seat, struct arena *a, struct office_ended *ret, struct err *e)
{
    struct sitting_at *s = seat->sitting;
    STR_LOCAL(notes);
    pthread_mutex_lock(&s->office->lock);
    bool is_last = s->seats == seat && !seat->next;
    if (is_last && !s->ended) {
        s->stopping = true;
        team_stop(s->team);
        while (!s->ended)
            pthread_cond_wait(&s->office->changed, &s->office->lock);
    }
    seat_remove(seat);
    struct err err = s->err;
    *ret = (struct office_ended){ .end = (int)(s->ended ? s->end : TEAM_STOPPED) };
    pthread_mutex_unlock(&s->office->lock);
    if (is_last)
        sitting_end(s, &notes);
    ret->notes = arena_strndup(a, notes.data, notes.len);
    free(seat);
    if (err.code < 0 && e)
        *e = err;
    return err.code;
}
