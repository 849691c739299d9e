/* sitting.c - projects at work, and who looks at them.
 *
 * A project at work is a table, those who look at it have seats there.  It has a thread of its own
 * for the team; the person's side only waits, so that any of several may leave.
 *
 * What a person says may give a team work that is just about to end, when its workers have looked
 * for the last time: so the words are counted, and the thread lets the team work again when one
 * came after the last task that ended (those before it, the look that followed has seen).  What
 * the log calls a sitting (team/sitting.h) is each time that the team works.
 *
 * Threads: office->lock guards the list of tables and all that is in them but what their thread
 * has: team, models and arena; settings and what was wished stay as they began.
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

struct table {
    struct table *next;
    struct office *office;
    struct arena arena;
    const char *project;
    struct settings settings;
    struct texts words;       /* for the models: of who began, or the project's own; none: the routes */
    const char *record;       /* "": nowhere */
    enum drift_rule drift;
    struct crew_models models;
    struct team *team;
    pthread_t thread;
    struct office_seat *seats;
    int64_t told, heard;      /* words that gave work; of them, those that the workers have surely seen */
    bool stopping, ended;
    enum team_end end;
    struct err err;           /* code 0: none */
    const char *notes;        /* for those who are there when it ends */
};

struct office_seat {
    struct office_seat *next;
    struct table *table;
    struct team_watcher watcher;
    struct str left_out;
    bool joined_late;
};

/* ---- from the workers ---- */

static void on_text(const struct pulse *p, const char *text, size_t len, void *ctx)
{
    struct table *t = ctx;
    pthread_mutex_lock(&t->office->lock);
    for (struct office_seat *seat = t->seats; seat; seat = seat->next)
        if (seat->watcher.text)
            seat->watcher.text(p, text, len, seat->watcher.ctx);
    pthread_mutex_unlock(&t->office->lock);
}

static void on_moved(const struct pulse *p, bool begun, void *ctx)
{
    struct table *t = ctx;
    pthread_mutex_lock(&t->office->lock);
    if (!begun)
        t->heard = t->told; /* now they look again */
    for (struct office_seat *seat = t->seats; seat; seat = seat->next)
        if (seat->watcher.moved)
            seat->watcher.moved(p, begun, seat->watcher.ctx);
    pthread_mutex_unlock(&t->office->lock);
}

void tables_tell(struct office *o, const char *project)
{
    for (struct table *t = o->tables; t; t = t->next)
        if (streq(t->project, project))
            t->told++;
}

/* With the lock held: whether somebody has said what the workers may not have seen, or is about to. */
static bool is_told_more(struct table *t)
{
    while (!t->stopping && office_is_being_told(t->office, t->project)) {
        struct timespec until = clock_steady_in(OFFICE_LOOK_MS);
        pthread_cond_timedwait(&t->office->changed, &t->office->lock, &until);
    }
    return !t->stopping && t->told != t->heard;
}

/* The last thing its thread does there. */
static void end(struct table *t, enum team_end how, int code, const struct err *why)
{
    STR_LOCAL(notes);
    crew_models_notes(&t->models, &notes);
    t->notes = arena_strndup(&t->arena, notes.data, notes.len);
    t->ended = true;
    t->end = how;
    t->err = *why;
    t->err.code = code;
    pthread_cond_broadcast(&t->office->changed);
}

static void *work(void *ctx)
{
    struct table *t = ctx;
    for (bool again = true; again;) {
        struct err e = { .code = 0 };
        enum team_end how = TEAM_STOPPED;
        pthread_mutex_lock(&t->office->lock);
        t->heard = t->told;
        pthread_mutex_unlock(&t->office->lock);
        int r = team_run(t->team, t->project, &how, &e);
        pthread_mutex_lock(&t->office->lock);
        again = r == 0 && is_told_more(t);
        if (!again)
            end(t, how, r, &e);
        pthread_mutex_unlock(&t->office->lock);
    }
    return NULL;
}

/* ---- beginning ---- */

static void table_free(struct table *t)
{
    team_free(t->team);
    crew_models_close(&t->models);
    arena_release(&t->arena);
    free(t);
}

static int open_models(struct table *t, const struct office_sitting *w, const struct office_caller *c, struct err *e)
{
    struct project p;
    const struct texts *words = &w->models;
    const struct office_options *o = &t->office->options;
    int r = project_get(o->store, &t->arena, o->home, t->project, &p, e);
    if (r == 0 && !words->count)
        words = &p.models;
    for (size_t i = 0; r == 0 && i < words->count; i++)
        texts_add(&t->words, &t->arena, arena_strdup(&t->arena, words->items[i]));
    if (r == 0)
        r = crew_models_open(&t->models, t->office, c, &t->settings, &t->arena, &t->words, t->drift, e);
    if (r == ERR_USAGE && !w->models.count)
        r = err_recode(e, ERR_INVALID); /* it was remembered */
    if (r == 0 && *t->record)
        r = crew_models_record(&t->models, t->record, e);
    return r;
}

static int table_new(struct office *o, const struct office_sitting *w, const struct office_caller *c, struct table **ret,
                     struct err *e)
{
    struct table *t = xcalloc(1, sizeof *t);
    t->office = o;
    t->project = arena_strdup(&t->arena, w->project);
    t->record = arena_strdup(&t->arena, w->record ? w->record : "");
    t->drift = (enum drift_rule)w->drift;
    t->notes = "";
    int r = office_settings(o, c, &t->arena, &t->settings, e);
    if (r == 0)
        r = open_models(t, w, c, e);
    if (r < 0) {
        table_free(t);
        return r;
    }
    struct team_options options = office_team_options(&t->settings);
    memcpy(options.models, t->models.by_role, sizeof options.models);
    memcpy(options.heavy, t->models.heavy, sizeof options.heavy);
    served_by_blocks(o->options.store, &t->arena, t->models.served, options.edits);
    options.goes_on = w->goes_on;
    options.watcher = (struct team_watcher){ .text = on_text, .moved = on_moved, .ctx = t };
    t->team = team_new(o->house, &options);
    *ret = t;
    return 0;
}

/* With the lock held: NULL, when nobody is at it; one that has ended only waits to be put away. */
static struct table *find(struct office *o, const char *project)
{
    struct table *t = o->tables;
    while (t && (t->ended || !streq(t->project, project)))
        t = t->next;
    return t;
}

/* With the lock held: the sitting of the project that can be joined, NULL when there is none.  One
 * that is being stopped is waited for. */
static int find_open(struct office *o, const char *project, const atomic_bool *cancel, struct table **ret, struct err *e)
{
    while (!office_is_shut(o) && (*ret = find(o, project)) && (*ret)->stopping) {
        if (cancel && atomic_load(cancel))
            return err_set(e, ERR_CANCELLED, "stopped while the work on %s came to its end", project);
        struct timespec until = clock_steady_in(OFFICE_LOOK_MS);
        pthread_cond_timedwait(&o->changed, &o->lock, &until);
    }
    return office_is_shut(o) ? err_set(e, ERR_GONE, "the process that has the home is about to end") : 0;
}

static void seat_free(struct office_seat *seat)
{
    str_release(&seat->left_out);
    free(seat);
}

static void seat_add(struct table *t, struct office_seat *seat)
{
    seat->table = t;
    seat->next = t->seats;
    t->seats = seat;
}

static void table_remove(struct table *t)
{
    struct table **at = &t->office->tables;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
}

/* With the lock held. */
static int table_start(struct office *o, struct table *t, struct office_seat *seat, struct err *e)
{
    t->next = o->tables;
    o->tables = t;
    seat_add(t, seat);
    if (pthread_create(&t->thread, NULL, work, t) == 0)
        return 0;
    table_remove(t);
    return err_set(e, ERR_FAILED, "no thread could be started");
}

/* Of what this person said, what does not count where others have begun, in lines. */
static void say_left_out(const struct table *t, const struct office_sitting *w, const struct settings *mine, struct str *out)
{
    ARENA_LOCAL(a);
    size_t count;
    const struct setting *rows = setting_table(&count);
    for (size_t i = 0; i < count; i++) {
        STR_LOCAL(wanted);
        STR_LOCAL(is);
        if (streq(mine->from[i], "default") || !office_setting_travels(rows[i].name))
            continue;
        setting_format(&rows[i], mine, &wanted);
        setting_format(&rows[i], &t->settings, &is);
        if (!streq(is.data, wanted.data))
            str_addf(out, "%s is %s and not %s, as they began it\n", rows[i].name, is.data, wanted.data);
    }
    if (w->record && *w->record && !streq(w->record, t->record))
        str_addf(out, "nothing is recorded in %s, for they began it without that\n", w->record);
    if ((enum drift_rule)w->drift == DRIFT_FAIL && t->drift != DRIFT_FAIL)
        str_add(out, "prompts that differ from the recording do not end it, as they began it\n");
    if (w->models.count && !streq(texts_join(&w->models, &a, "\n", 0), texts_join(&t->words, &a, "\n", 0)))
        str_add(out, "it goes on with the models that they began it with; yours are for the next time\n");
}

/* Takes a seat, if somebody has begun. */
static int join(struct office *o, const struct office_sitting *w, const struct office_caller *c, struct office_seat *seat, struct err *e)
{
    ARENA_LOCAL(a);
    struct table *t = NULL;
    struct settings mine;
    int r = office_settings(o, c, &a, &mine, e);
    if (r < 0)
        return r;
    pthread_mutex_lock(&o->lock);
    r = find_open(o, w->project, c->cancel, &t, e);
    seat->joined_late = r == 0 && t;
    if (seat->joined_late)
        seat_add(t, seat);
    pthread_mutex_unlock(&o->lock);
    if (seat->joined_late)
        say_left_out(t, w, &mine, &seat->left_out);
    return r;
}

static int begin_or_join(struct office *o, const struct office_sitting *w, const struct office_caller *c, struct office_seat *seat,
                         struct err *e)
{
    struct table *t;
    int r = join(o, w, c, seat, e);
    if (r < 0 || seat->joined_late)
        return r;
    r = table_new(o, w, c, &t, e);
    if (r < 0)
        return r;
    pthread_mutex_lock(&o->lock);
    r = table_start(o, t, seat, e);
    pthread_mutex_unlock(&o->lock);
    if (r < 0)
        table_free(t);
    return r;
}

int office_sit(struct office *o, const struct office_sitting *w, const struct office_caller *c, const struct team_watcher *watcher,
               struct office_seat **ret, struct err *e)
{
    struct office_seat *seat = xcalloc(1, sizeof *seat);
    str_init(&seat->left_out);
    seat->watcher = *watcher;
    pthread_mutex_lock(&o->opening); /* nobody else begins the same */
    int r = begin_or_join(o, w, c, seat, e);
    pthread_mutex_unlock(&o->opening);
    if (r < 0) {
        seat_free(seat);
        return r;
    }
    *ret = seat;
    return 0;
}

bool office_joined(const struct office_seat *seat, const char **ret_left_out)
{
    *ret_left_out = seat->left_out.data;
    return seat->joined_late;
}

bool office_wait(struct office_seat *seat, int64_t ms)
{
    struct table *t = seat->table;
    struct timespec until = clock_steady_in(ms);
    pthread_mutex_lock(&t->office->lock);
    while (!t->ended && pthread_cond_timedwait(&t->office->changed, &t->office->lock, &until) == 0)
        ;
    bool ended = t->ended;
    pthread_mutex_unlock(&t->office->lock);
    return ended;
}

/* ---- leaving ---- */

static void seat_remove(struct office_seat *seat)
{
    struct office_seat **at = &seat->table->seats;
    while (*at != seat)
        at = &(*at)->next;
    *at = seat->next;
}

/* Nobody looks any more: it is stopped, waited for and put away. */
static void table_close(struct table *t)
{
    struct office *o = t->office;
    pthread_join(t->thread, NULL);
    pthread_mutex_lock(&o->lock);
    table_remove(t);
    pthread_cond_broadcast(&o->changed);
    pthread_mutex_unlock(&o->lock);
    table_free(t);
}

int office_leave(struct office_seat *seat, struct arena *a, struct office_ended *ret, struct err *e)
{
    struct table *t = seat->table;
    pthread_mutex_lock(&t->office->lock);
    bool is_last = t->seats == seat && !seat->next;
    if (is_last && !t->ended) {
        t->stopping = true;
        team_stop(t->team);
        while (!t->ended)
            pthread_cond_wait(&t->office->changed, &t->office->lock);
    }
    seat_remove(seat);
    struct err err = t->err;
    *ret = (struct office_ended){ .end = (int)(t->ended ? t->end : TEAM_STOPPED), .notes = t->ended ? arena_strdup(a, t->notes) : "" };
    pthread_mutex_unlock(&t->office->lock);
    if (is_last)
        table_close(t);
    seat_free(seat);
    if (err.code < 0 && e)
        *e = err;
    return err.code;
}
