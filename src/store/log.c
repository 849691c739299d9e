/* log.c - reading the log, and following it.
 *
 * In the process that writes, a follower sleeps until a commit wakes it.  Beside another
 * process there is nothing to be woken by, so a reader looks every 200 ms how long the log
 * is, which costs one page that is in memory anyway.
 */
#include "store/internal.h"

#include "base/clock.h"
#include "base/str.h"


enum { PAGE = 256, POLL_MS = 200 };

struct gathering {
    struct arena *arena;
    struct event *events;
    size_t count, room;
};

static int add_event(const struct event_row *row, void *ctx, struct err *e)
{
    struct gathering *g = ctx;
    ARENA_GROW(g->arena, g->events, g->room, g->count);
    struct event *ev = &g->events[g->count];
    int code = event_read(g->arena, row->body, row->body_len, ev, NULL, e);
    if (code < 0)
        return err_prefix(e, "event %lld", (long long)row->seq);
    ev->hash = arena_strdup(g->arena, row->hash);
    g->count++;
    return 0;
}

static int gather(struct store *s, struct gathering *g, const struct event_filter *f, struct err *e)
{
    struct view *v;
    int code = s->engine->view_open(s->db, &v, e);
    if (code < 0)
        return code;
    code = s->engine->events(v, f, add_event, g, e);
    s->engine->view_close(v);
    return code;
}

int store_events(struct store *s, struct arena *a, int64_t after_seq, const char *project,
                 const char *ticket, const char *kind, size_t limit, struct event **ret,
                 size_t *ret_count, struct err *e)
{
    struct gathering g = { .arena = a };
    struct event_filter f = { after_seq, project, ticket, kind, (int64_t)limit };
    if (limit > STORE_MAX_LIMIT || !limit)
        f.limit = STORE_MAX_LIMIT;
    int code = gather(s, &g, &f, e);
    if (code < 0)
        return code;
    *ret = g.events;
    *ret_count = g.count;
    return 0;
}

int store_event(struct store *s, struct arena *a, int64_t seq, struct event *ret, struct err *e)
{
    struct gathering g = { .arena = a };
    struct event_filter f = { .after_seq = seq - 1, .limit = 1 };
    int code = gather(s, &g, &f, e);
    if (code < 0)
        return code;
    if (!g.count || g.events[0].seq != seq)
        return err_set(e, ERR_NOT_FOUND, "there is no event %lld", (long long)seq);
    *ret = g.events[0];
    return 0;
}

int64_t store_last_seq(struct store *s)
{
    if (!s->readonly) {
        pthread_mutex_lock(&s->mutex);
        int64_t seq = s->last_seq;
        pthread_mutex_unlock(&s->mutex);
        return seq;
    }
    struct view *v;
    struct log_head head = { 0 };
    if (s->engine->view_open(s->db, &v, NULL) == 0) {
        s->engine->head(v, &head, NULL);
        s->engine->view_close(v);
    }
    return head.seq;
}

/* ---- following ---- */

void store_wake(struct store *s)
{
    pthread_mutex_lock(&s->mutex);
    s->woken = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

static bool take_wake(struct store *s)
{
    pthread_mutex_lock(&s->mutex);
    bool woken = s->woken;
    s->woken = false;
    pthread_mutex_unlock(&s->mutex);
    return woken;
}

/* Sleeps until the log may be longer than `seq`, or woken. */
static void wait_for_more(struct store *s, int64_t seq)
{
    struct timespec until = clock_steady_in(POLL_MS);
    pthread_mutex_lock(&s->mutex);
    int code = 0;
    while (!s->woken && code == 0 && (s->readonly || s->last_seq <= seq))
        code = s->readonly ? pthread_cond_timedwait(&s->changed, &s->mutex, &until)
                           : pthread_cond_wait(&s->changed, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
}

static int missing(int64_t seq, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "event %lld is missing from the log; `tandem verify` lists all that is wrong",
                   (long long)seq);
}

int store_tail(struct store *s, int64_t after_seq, bool (*fn)(const struct event *ev, void *ctx),
               void *ctx, struct err *e)
{
    while (!take_wake(s)) {
        ARENA_LOCAL(a);
        struct gathering g = { .arena = &a };
        struct event_filter f = { .after_seq = after_seq, .limit = PAGE };
        bool more = store_last_seq(s) > after_seq;
        int code = more ? gather(s, &g, &f, e) : 0;
        if (code == 0 && more && !g.count)
            code = missing(after_seq + 1, e);
        if (code < 0)
            return code;
        for (size_t i = 0; i < g.count; i++) {
            if (g.events[i].seq != ++after_seq)
                return missing(after_seq, e);
            if (!fn(&g.events[i], ctx))
                return 0;
        }
        if (!g.count)
            wait_for_more(s, after_seq);
    }
    return 0;
}
