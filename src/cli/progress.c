/* progress.c - from events, documents and streams to what a person sees.
 *
 * Events come from the log (none is missed, whatever a thread does when), documents are read
 * again when they have changed (board.h), and streams are the last bytes of each answer.
 *
 * Threads: workers call text and moved (p->lock); everything else belongs to the drawer.
 */
#include "cli/progress.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/live.h"
#include "cli/sentence.h"
#include "cli/text.h"
#include "cli/tickets.h"
#include "team/board.h"

#include <pthread.h>
#include <stdlib.h>

enum { MAX_STREAMS = 32, TAIL = 400, DRAW_MS = 100 };

struct stream {
    char ticket[24], role[16], step[48];
    char tail[TAIL];
    size_t len;
    int64_t begun_ms, attempt;
    bool active;
    bool is_engine; /* the tail is ours, not a model's */
};

struct progress {
    struct session *session;
    enum progress_style style;
    const char *project;
    int64_t seq;
    int64_t begun_ms;  /* this sitting, by the wall clock */
    int64_t before_ms; /* all earlier ones together */
    struct runs_cost cost; /* both as of the last event, since they cost more than a picture */
    struct tickets_sum sum;
    bool are_sums_old;
    struct board board;
    pthread_t drawer;
    bool running;
    struct live *live;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;  /* stop */
    struct stream streams[MAX_STREAMS];
    bool stop, keep;
    char said[2000];     /* by progress_say, not yet shown */
};

/* ---- from the workers ---- */

static struct stream *stream_for(struct progress *p, const char *ticket)
{
    struct stream *free_one = NULL;
    for (size_t i = 0; i < MAX_STREAMS; i++) {
        if (p->streams[i].active && streq(p->streams[i].ticket, ticket))
            return &p->streams[i];
        if (!p->streams[i].active && !free_one)
            free_one = &p->streams[i];
    }
    return free_one;
}

static void on_moved(const struct pulse *pulse, bool begun, void *ctx)
{
    struct progress *p = ctx;
    pthread_mutex_lock(&p->lock);
    struct stream *st = stream_for(p, pulse->ticket);
    if (st) {
        *st = (struct stream){ .active = begun, .begun_ms = clock_steady_ms(), .attempt = pulse->attempt };
        snprintf(st->ticket, sizeof st->ticket, "%s", pulse->ticket);
        snprintf(st->role, sizeof st->role, "%s", pulse->role);
        snprintf(st->step, sizeof st->step, "%s", pulse->step);
    }
    pthread_mutex_unlock(&p->lock);
}

static void on_text(const struct pulse *pulse, const char *text, size_t len, void *ctx)
{
    struct progress *p = ctx;
    static const char tests_run[] = "running the tests";
    pthread_mutex_lock(&p->lock);
    struct stream *st = stream_for(p, pulse->ticket);
    if (st && st->active && streq(pulse->role, role_names[ROLE_ENGINE])) {
        /* Not their output: what a passing test says of an error it expects looks like one. */
        memcpy(st->tail, tests_run, sizeof tests_run - 1);
        st->len = sizeof tests_run - 1;
        st->is_engine = true;
    } else if (st && st->active) {
        if (st->is_engine)
            st->len = 0;
        st->is_engine = false;
        if (len > TAIL) {
            text += len - TAIL;
            len = TAIL;
        }
        if (st->len + len > TAIL) {
            size_t drop = st->len + len - TAIL;
            memmove(st->tail, st->tail + drop, st->len - drop);
            st->len -= drop;
        }
        memcpy(st->tail + st->len, text, len);
        st->len += len;
    }
    pthread_mutex_unlock(&p->lock);
}

struct team_watcher progress_watcher(struct progress *p)
{
    return (struct team_watcher){ .text = on_text, .moved = on_moved, .ctx = p };
}

/* ---- events ---- */

static void print_json(struct progress *p, struct arena *a, const struct event *ev)
{
    json_t *o = json_object();
    char time[32];
    clock_format(ev->time_ms, time);
    json_put_int(o, "seq", ev->seq);
    json_put_text(o, "time", time);
    json_put_text(o, "project", ev->project ? ev->project : "");
    json_put_text(o, "ticket", ev->ticket ? ev->ticket : "");
    json_put_text(o, "actor", ev->actor ? ev->actor : "");
    json_put_text(o, "kind", ev->kind);
    const char *text;
    size_t len;
    json_t *payload;
    if (*ev->payload && store_blob(p->session->store, a, ev->payload, &text, &len, NULL) == 0 &&
        json_parse(a, text, len, &payload, NULL) == 0)
        json_put(o, "payload", json_incref(payload));
    STR_LOCAL(line);
    json_write(&line, json_keep(a, o));
    fprintf(p->session->in->out, "%s\n", line.data);
    fflush(p->session->in->out);
}

static void print_plain(struct progress *p, int64_t time_ms, const char *sentence)
{
    STR_LOCAL(line);
    live_duration(p->before_ms + (time_ms > p->begun_ms ? time_ms - p->begun_ms : 0), &line);
    str_addf(&line, "  %s\n", sentence);
    if (p->live) {
        STR_LOCAL(fitted);
        size_t width = p->session->term.width > 20 ? (size_t)p->session->term.width - 1 : 20;
        text_fit(&fitted, line.data, line.len - 1, width, term_ellipsis(p->session->term.unicode));
        str_add_char(&fitted, '\n');
        live_print(p->live, fitted.data);
    } else {
        fputs(line.data, p->session->in->out);
        fflush(p->session->in->out);
    }
}

static void show_said(struct progress *p)
{
    char said[sizeof p->said];
    pthread_mutex_lock(&p->lock);
    memcpy(said, p->said, sizeof said);
    p->said[0] = '\0';
    pthread_mutex_unlock(&p->lock);
    char *rest = said;
    while (p->style != PROGRESS_JSON && rest && *rest)
        print_plain(p, clock_wall_ms(), strsep(&rest, "\n"));
}

void progress_say(struct progress *p, const char *lines)
{
    pthread_mutex_lock(&p->lock);
    snprintf(p->said, sizeof p->said, "%s", lines);
    pthread_mutex_unlock(&p->lock);
}

/* On a terminal only what a person would miss stays as a line. */
static bool stays(const struct event *ev)
{
    static const char *const kinds[] = { "ticket.blocked", "blocked", "functionality.blocked", "project.blocked",
                                         "review.commented", "functionality.commented", "test.flaky", "ticket.done", "functionality.delivered",
                                         "repository.dirty", "sandbox.none", "repository.failing", "spec.doubted", NULL };
    for (size_t i = 0; kinds[i]; i++)
        if (streq(kinds[i], ev->kind))
            return true;
    return false;
}

static void show_events(struct progress *p)
{
    for (;;) {
        ARENA_LOCAL(a);
        struct event *events;
        size_t count;
        if (store_events(p->session->store, &a, p->seq, p->project, NULL, NULL, 200, &events, &count, NULL) < 0)
            return;
        p->are_sums_old = p->are_sums_old || count;
        for (size_t i = 0; i < count; i++) {
            p->seq = events[i].seq;
            if (p->style == PROGRESS_JSON) {
                print_json(p, &a, &events[i]);
                continue;
            }
            const char *sentence = event_sentence(p->session->store, &a, &events[i], false);
            if (sentence && (!p->live || stays(&events[i])))
                print_plain(p, events[i].time_ms, sentence);
        }
        if (count < 200)
            return;
    }
}

/* ---- the picture ---- */

static enum live_state state_of(const struct ticket *t)
{
    if (*t->blocked)
        return LIVE_BLOCKED;
    switch (t->column) {
    case COLUMN_INPROGRESS: return LIVE_WORKING;
    case COLUMN_REVIEW: return LIVE_REVIEW;
    case COLUMN_DONE: return LIVE_DONE;
    default: return LIVE_WAITING;
    }
}

static const char *note_of(struct arena *a, const struct ticket *t)
{
    if (*t->blocked)
        return t->blocked;
    if (t->column > COLUMN_TODO || !t->after.count)
        return NULL;
    return arena_printf(a, "after %s", texts_join(&t->after, a, ", ", 0));
}

static void fill_stream(struct arena *a, const struct stream *st, struct live_ticket *lt)
{
    lt->phase = arena_strdup(a, st->step);
    lt->elapsed_ms = clock_steady_ms() - st->begun_ms;
    /* The fence that ends a block tells nothing. */
    size_t len = st->len;
    while (len && (st->tail[len - 1] == '\n' || st->tail[len - 1] == '`'))
        len--;
    lt->tail = arena_strndup(a, st->tail, len);
    lt->tail_len = len;
}

/* What is under way besides tickets: the specification, the plan, functionalities. */
static size_t add_others(struct progress *p, struct arena *a, const struct functionality *f, size_t f_count,
                         struct live_ticket *out)
{
    size_t count = 0;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < MAX_STREAMS; i++) {
        const struct stream *st = &p->streams[i];
        if (!st->active || starts_with(st->ticket, "T-"))
            continue;
        struct live_ticket *lt = &out[count++];
        *lt = (struct live_ticket){ .id = arena_strdup(a, st->ticket), .state = LIVE_WORKING, .is_other = true,
                                    .title = streq(st->step, "spec") ? "Specification" : streq(st->step, "plan") ? "Plan" : "" };
        fill_stream(a, st, lt);
        for (size_t k = 0; k < f_count; k++)
            if (streq(lt->id, arena_printf(a, "F-%lld", (long long)f[k].number)))
                lt->title = f[k].title;
    }
    pthread_mutex_unlock(&p->lock);
    return count;
}

static void fill_ticket(struct progress *p, struct arena *a, const struct ticket *t, struct live_ticket *lt)
{
    *lt = (struct live_ticket){
        .id = arena_printf(a, "T-%lld", (long long)t->number), .title = t->title, .state = state_of(t),
        .criteria = ticket_segments(a, t), .criterion_count = t->criteria.count, .phase = t->stage, .elapsed_ms = -1,
        .note = note_of(a, t),
    };
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < MAX_STREAMS; i++) {
        const struct stream *st = &p->streams[i];
        if (!st->active || !streq(st->ticket, lt->id))
            continue;
        fill_stream(a, st, lt);
        size_t current = ticket_current(t);
        if (current < t->criteria.count && (streq(st->step, "red") || streq(st->step, "green"))) {
            lt->criterion = (int64_t)current + 1;
            lt->attempt = t->attempt + 1;
            lt->attempts = p->session->in->settings.attempts;
        }
    }
    pthread_mutex_unlock(&p->lock);
}

/* How long it may still take, by what is done of criteria, tickets (their scope and review) and
 * functionalities, and the time that took, whenever it was; the first one tells nothing yet. */
static int64_t rest_of(int64_t elapsed_ms, const struct tickets_sum *sum, const struct board *board)
{
    size_t done = sum->proven + sum->done, all = sum->criteria + board->tickets.count + board->functionalities.count;
    const struct functionality *f = board->functionalities.docs;
    for (size_t i = 0; i < board->functionalities.count; i++)
        done += f[i].state == FUNCTIONALITY_DONE;
    return done < 2 ? -1 : elapsed_ms * (int64_t)(all - done) / (int64_t)done;
}

static void draw(struct progress *p, bool force)
{
    ARENA_LOCAL(a);
    struct project project;
    if (store_get(p->session->store, &a, &project_type, p->project, &project, NULL, NULL) < 0 || board_look(&p->board, NULL) < 0)
        return;
    const struct ticket *tickets = p->board.tickets.docs;
    const struct functionality *functionalities = p->board.functionalities.docs;
    size_t count = p->board.tickets.count, functionality_count = p->board.functionalities.count;
    struct live_ticket *shown = ARENA_ARRAY(&a, struct live_ticket, count + MAX_STREAMS);
    struct live_view v = { .project = project.name, .headline = project_state_names[project.state],
                           .tickets = shown, .ticket_count = count, .coverage_percent = -1, .cached_tokens = -1,
                           .elapsed_ms = p->before_ms + clock_wall_ms() - p->begun_ms };
    for (size_t i = 0; i < count; i++)
        fill_ticket(p, &a, &tickets[i], &shown[i]);
    if (p->are_sums_old && project_cost(p->session->store, p->project, &p->cost, NULL) == 0) {
        p->sum = tickets_sum(&a, &project, tickets, count);
        p->are_sums_old = false;
    }
    v.tests = p->sum.tests;
    v.tests_passed = p->sum.tests_passed;
    if (p->sum.lines)
        v.coverage_percent = p->sum.covered * 100 / p->sum.lines;
    v.tokens = p->cost.prompt_tokens + p->cost.completion_tokens;
    if (p->cost.cached_tokens)
        v.cached_tokens = p->cost.cached_tokens;
    v.ticket_count += add_others(p, &a, functionalities, functionality_count, shown + count);
    v.rest_ms = project.state == PROJECT_DONE ? -1 : rest_of(v.elapsed_ms, &p->sum, &p->board);
    live_draw(p->live, &v, force);
}

/* True: that was it. */
static bool wait_a_moment(struct progress *p)
{
    struct timespec until = clock_steady_in(DRAW_MS);
    pthread_mutex_lock(&p->lock);
    while (!p->stop && pthread_cond_timedwait(&p->wake, &p->lock, &until) == 0)
        ;
    bool stop = p->stop;
    pthread_mutex_unlock(&p->lock);
    return stop;
}

static void *run(void *ctx)
{
    struct progress *p = ctx;
    if (p->style == PROGRESS_LIVE)
        p->live = live_open(&p->session->term);
    for (bool stop = false; !stop;) {
        show_events(p);
        show_said(p);
        if (p->live)
            draw(p, false);
        stop = wait_a_moment(p);
    }
    show_events(p); /* what came since, before the stop */
    if (p->live)
        draw(p, true);
    live_close(p->live, p->keep);
    p->live = NULL;
    return NULL;
}

/* ---- from the command ---- */

struct progress *progress_new(struct session *s, enum progress_style style)
{
    struct progress *p = xcalloc(1, sizeof *p);
    p->session = s;
    p->style = style;
    pthread_mutex_init(&p->lock, NULL);
    clock_cond_init(&p->wake);
    return p;
}

void progress_begin(struct progress *p, const char *project, int64_t after_seq)
{
    p->project = project;
    if (after_seq > p->seq)
        p->seq = after_seq;
    p->stop = false;
    board_init(&p->board, p->session->store, project);
    struct project_work work = { 0 };
    project_work(p->session->store, project, &work, NULL); /* fails as the run itself will */
    p->are_sums_old = true;
    p->before_ms = work.wall_ms;
    p->begun_ms = clock_wall_ms();
    p->running = pthread_create(&p->drawer, NULL, run, p) == 0;
    if (!p->running)
        board_release(&p->board);
}

void progress_end(struct progress *p, bool keep)
{
    if (!p->running)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    p->keep = keep;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->drawer, NULL);
    board_release(&p->board);
    p->running = false;
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    progress_end(p, false);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
