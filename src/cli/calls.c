/* calls.c - gathering the calls of models. */
#include "cli/calls.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/registry.h"
#include "team/docs.h"

#include <stdlib.h>

enum { PERCENT = 100, HTTP_OK = 2, OK_CLASS = 100 };

#define CALL(member, kind, ...) FIELD(struct call, member, kind, __VA_ARGS__)
static const struct field call_fields[] = {
    CALL(time_ms, FIELD_INT), CALL(id, FIELD_TEXT), CALL(role, FIELD_TEXT), CALL(model, FIELD_TEXT), CALL(version, FIELD_INT),
    CALL(about, FIELD_TEXT), CALL(escalation, FIELD_INT), CALL(outcome, FIELD_TEXT), CALL(prompt_tokens, FIELD_INT),
    CALL(cached_tokens, FIELD_INT), CALL(completion_tokens, FIELD_INT), CALL(queue_us, FIELD_INT), CALL(first_token_us, FIELD_INT),
    CALL(total_us, FIELD_INT), CALL(retries, FIELD_INT),
};
const struct record call_record = RECORD("call", struct call, call_fields);

struct reading {
    struct store *store;
    struct arena *arena;
    const struct calls_wish *wish;
    struct calls calls;
    size_t cap;
};

static void add(struct reading *r, struct call c)
{
    const struct calls_wish *w = r->wish;
    if ((w->model && !streq(w->model, c.model)) || (w->role && !streq(w->role, c.role)) || c.time_ms < w->since_ms)
        return;
    ARENA_GROW(r->arena, r->calls.items, r->cap, r->calls.count);
    r->calls.items[r->calls.count++] = c;
}

/* ---- a team's ---- */

static const char *outcome_of(const struct run *run)
{
    return *run->verdict ? run->verdict : run->outcome;
}

static const char *about(struct arena *a, const char *project, const char *ticket, const char *step)
{
    return arena_printf(a, "%s%s%s %s", project, *ticket ? "/" : "", ticket, step);
}

static void add_run(struct reading *r, const char *id, const struct run *run)
{
    add(r, (struct call){
        .time_ms = run->started_ms, .id = id, .role = run->role, .model = run->model, .about = about(r->arena, run->project, run->ticket, run->step),
        .outcome = outcome_of(run), .version = run->version, .escalation = run->escalation, .prompt_tokens = run->prompt_tokens,
        .cached_tokens = run->cached_tokens, .completion_tokens = run->completion_tokens, .queue_us = run->queue_us,
        .first_token_us = run->first_token_us, .total_us = run->total_us, .retries = run->retries,
    });
}

static int read_runs(struct reading *r, struct err *e)
{
    struct store_found found;
    struct store_query q = { .where = { { "kind", "model", 0 } }, .where_count = 1, .range_field = "started_ms",
                             .range_from = r->wish->since_ms, .range_to = INT64_MAX, .order_by = "started_ms" };
    do {
        int code = store_find(r->store, r->arena, &run_type, &q, &found, e);
        if (code < 0)
            return code;
        for (size_t i = 0; i < found.count; i++)
            add_run(r, found.ids[i], (const struct run *)found.docs + i);
        q.after_id = found.count ? found.ids[found.count - 1] : NULL;
    } while (found.count == STORE_MAX_LIMIT);
    return 0;
}

/* ---- events ---- */

static bool is_role(const char *name)
{
    for (const char *const *role = route_roles; *role; role++)
        if (streq(*role, name))
            return true;
    return false;
}

static void add_one_asked(struct reading *r, const struct event *ev, const json_t *p)
{
    int64_t status = json_int_of(p, "status", 0);
    const char *asked = json_text_of(p, "asked", ""), *key = json_text_of(p, "key", "");
    add(r, (struct call){
        .time_ms = json_int_of(p, "at_ms", ev->time_ms), .id = "", .role = is_role(asked) ? asked : "", .model = json_text_of(p, "model", ""),
        .about = arena_printf(r->arena, "%s %s", *key ? key : ev->actor, json_text_of(p, "path", "")),
        .outcome = json_bool_of(p, "cancelled", false) ? "failed: cancelled" : status / OK_CLASS == HTTP_OK ? "answered"
                   : status ? arena_printf(r->arena, "failed: status %lld", (long long)status) : "failed: no answer",
        .version = json_int_of(p, "version", 0), .prompt_tokens = json_int_of(p, "prompt_tokens", -1),
        .cached_tokens = json_int_of(p, "cached_tokens", -1), .completion_tokens = json_int_of(p, "completion_tokens", -1),
        .queue_us = json_int_of(p, "queue_us", 0), .first_token_us = json_int_of(p, "first_token_us", -1),
        .total_us = json_int_of(p, "total_us", 0),
    });
}

/* Those that came together; without a list it is one. */
static void add_asked(struct reading *r, const struct event *ev, const json_t *p)
{
    const json_t *calls = json_object_get(p, "calls"), *one;
    size_t i;
    if (!calls)
        add_one_asked(r, ev, p);
    json_array_foreach(calls, i, one)
        add_one_asked(r, ev, one);
}

static void add_failed(struct reading *r, const struct event *ev, const json_t *p)
{
    add(r, (struct call){
        .time_ms = ev->time_ms, .id = "", .role = ev->actor, .model = json_text_of(p, "model", ""),
        .about = about(r->arena, ev->project, ev->ticket ? ev->ticket : "", json_text_of(p, "step", "")),
        .outcome = arena_printf(r->arena, "failed: %s", json_text_of(p, "why", "")), .escalation = json_int_of(p, "escalation", 0),
        .prompt_tokens = -1, .cached_tokens = -1, .completion_tokens = -1, .first_token_us = -1, .total_us = json_int_of(p, "total_us", 0),
    });
}

/* The number of the last event before that time: times never decrease. */
static int64_t seq_before(struct reading *r, int64_t time_ms)
{
    int64_t from = 0, to = store_last_seq(r->store);
    while (from < to) {
        ARENA_LOCAL(a);
        struct event ev;
        int64_t middle = from + (to - from + 1) / 2;
        if (store_event(r->store, &a, middle, &ev, NULL) == 0 && ev.time_ms < time_ms)
            from = middle;
        else
            to = middle - 1;
    }
    return from;
}

static int read_events(struct reading *r, const char *kind, void (*take)(struct reading *r, const struct event *ev, const json_t *p),
                       struct err *e)
{
    int64_t seq = seq_before(r, r->wish->since_ms);
    struct event *events;
    size_t count;
    do {
        int code = store_events(r->store, r->arena, seq, NULL, NULL, kind, STORE_MAX_LIMIT, &events, &count, e);
        if (code < 0)
            return code;
        for (size_t i = 0; i < count; i++) {
            const char *text;
            size_t len;
            json_t *payload;
            seq = events[i].seq;
            if (store_blob(r->store, r->arena, events[i].payload, &text, &len, NULL) == 0 && json_parse(r->arena, text, len, &payload, NULL) == 0)
                take(r, &events[i], payload);
        }
    } while (count == STORE_MAX_LIMIT);
    return 0;
}

static int by_time(const void *a, const void *b)
{
    const struct call *x = a, *y = b;
    return x->time_ms < y->time_ms ? -1 : x->time_ms > y->time_ms;
}

int calls_read(struct store *s, struct arena *a, const struct calls_wish *w, struct calls *ret, struct err *e)
{
    struct reading r = { .store = s, .arena = a, .wish = w };
    int code = read_runs(&r, e);
    if (code == 0)
        code = read_events(&r, "model.asked", add_asked, e);
    if (code == 0)
        code = read_events(&r, "model.failed", add_failed, e);
    if (code < 0)
        return code;
    if (r.calls.count)
        qsort(r.calls.items, r.calls.count, sizeof *r.calls.items, by_time);
    *ret = r.calls;
    return 0;
}

/* ---- sums ---- */

int64_t hit_percent(int64_t cached_tokens, int64_t told_tokens)
{
    return told_tokens > 0 ? cached_tokens * PERCENT / told_tokens : -1;
}

static void count(struct calls_sum *s, const struct call *c)
{
    bool failed = starts_with(c->outcome, "failed: "), satisfied = streq(c->outcome, "satisfied");
    s->calls++;
    s->satisfied += satisfied;
    s->failed += failed;
    s->refused += !failed && !satisfied && !streq(c->outcome, "answered");
    s->escalated += c->escalation > 0;
    s->prompt_tokens += c->prompt_tokens > 0 ? c->prompt_tokens : 0;
    s->completion_tokens += c->completion_tokens > 0 ? c->completion_tokens : 0;
    if (c->cached_tokens >= 0 && c->prompt_tokens > 0) {
        s->told_tokens += c->prompt_tokens;
        s->cached_tokens += c->cached_tokens;
    }
    s->total_us += c->total_us;
    s->queue_us += c->queue_us;
    if (c->first_token_us >= 0) {
        s->first_token_us += c->first_token_us;
        s->first_tokens++;
    }
}

size_t calls_sum(struct arena *a, const struct calls *c, struct calls_sum **ret)
{
    struct calls_sum *sums = NULL, all = { .role = "all" };
    size_t n = 0, cap = 0;
    for (size_t i = 0; i < c->count; i++) {
        const char *role = *c->items[i].role ? c->items[i].role : "-";
        size_t at = 0;
        while (at < n && !streq(sums[at].role, role))
            at++;
        if (at == n) {
            ARENA_GROW(a, sums, cap, n);
            sums[n++] = (struct calls_sum){ .role = role };
        }
        count(&sums[at], &c->items[i]);
        count(&all, &c->items[i]);
    }
    ARENA_GROW(a, sums, cap, n);
    sums[n++] = all;
    *ret = sums;
    return n;
}
