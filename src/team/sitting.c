/* sitting.c - the events around a sitting, and their sum. */
#include "team/sitting.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "os/process.h"
#include "team/step.h"

static bool begins(const struct event *ev)
{
    return streq(ev->kind, "work.begun") || streq(ev->kind, "work.resumed");
}

static bool ends(const struct event *ev)
{
    return streq(ev->kind, "work.ended") || streq(ev->kind, "work.stopped");
}

/* ---- writing ---- */

/* Of this process: git with its processes; the disk and the rest together. */
static void look_at_clocks(struct team *t, int64_t *ret_git_us, int64_t *ret_own_us)
{
    struct team_times times = team_times(t);
    *ret_git_us = process_times_total().wall_us[PROCESS_KIND_GIT] + times.git_us;
    *ret_own_us = times.commit_us + times.own_us;
}

static int store_it(const struct sitting *s, const char *kind, json_t *payload, struct err *e)
{
    ARENA_LOCAL(a);
    struct batch *b = batch_new();
    batch_event(b, &(struct event){ .project = s->project, .kind = kind,
                                    .payload_json = payload ? json_keep(&a, payload) : NULL });
    if (!streq(kind, "work.ended") && !streq(kind, "work.stopped"))
        team_log_unprotected(s->team, b, &a, s->project);
    int r = store_commit(s->team->store, b, NULL, e);
    batch_free(b);
    return r;
}

int sitting_begin(struct sitting *s, struct team *t, const char *project, struct err *e)
{
    struct project_work before;
    *s = (struct sitting){ .team = t, .project = project };
    look_at_clocks(t, &s->git_us, &s->own_us);
    int r = project_work(t->store, project, &before, e);
    if (r < 0)
        return r;
    bool is_first = t->sittings++ == 0 && !t->options.goes_on;
    return store_it(s, is_first && before.sittings > 0 ? "work.resumed" : "work.begun", NULL, e);
}

int sitting_end(struct sitting *s, struct err *e)
{
    int64_t git_us, own_us;
    look_at_clocks(s->team, &git_us, &own_us);
    json_t *payload = json_object();
    json_put_int(payload, "git_us", git_us - s->git_us);
    json_put_int(payload, "own_us", own_us - s->own_us);
    return store_it(s, is_stopped(s->team) ? "work.stopped" : "work.ended", payload, e);
}

/* ---- reading ---- */

static void add_costs(struct store *s, struct arena *a, const struct event *ev, struct project_work *w)
{
    const char *text;
    size_t len;
    json_t *payload;
    if (store_blob(s, a, ev->payload, &text, &len, NULL) < 0 || json_parse(a, text, len, &payload, NULL) < 0)
        return;
    w->git_us += json_int_of(payload, "git_us", 0);
    w->own_us += json_int_of(payload, "own_us", 0);
}

int project_work(struct store *s, const char *project, struct project_work *ret, struct err *e)
{
    struct project_work w = { 0 };
    int64_t seq = 0, begun_ms = -1, last_ms = 0;
    for (size_t count = 1; count;) {
        ARENA_LOCAL(a);
        struct event *events;
        int r = store_events(s, &a, seq, project, NULL, NULL, 1000, &events, &count, e);
        if (r < 0)
            return r;
        for (size_t i = 0; i < count; i++) {
            const struct event *ev = &events[i];
            seq = ev->seq;
            if (begun_ms >= 0 && (begins(ev) || ends(ev))) {
                w.wall_ms += (ends(ev) ? ev->time_ms : last_ms) - begun_ms;
                begun_ms = -1;
            }
            if (begins(ev)) {
                begun_ms = ev->time_ms;
                w.sittings++;
            } else if (ends(ev)) {
                add_costs(s, &a, ev, &w);
            }
            w.unprotected |= streq(ev->kind, "sandbox.none");
            last_ms = ev->time_ms;
        }
    }
    if (begun_ms >= 0)
        w.wall_ms += last_ms - begun_ms;
    w.is_open = begun_ms >= 0;
    w.last_ms = last_ms;
    *ret = w;
    return 0;
}
