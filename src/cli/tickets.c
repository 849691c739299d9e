/* tickets.c - what `status`, `show` and the summary say of a ticket beside the others. */
#include "cli/tickets.h"

#include "base/set.h"
#include "base/set.h"
#include "base/str.h"
#include "cli/live.h"
#include "team/render.h"

static const char *name_of(struct arena *a, const struct ticket *t)
{
    return arena_printf(a, "T-%lld", (long long)t->number);
}

const char *const column_words[] = { "not begun", "to do", "in progress", "in review", "done", NULL };

const char *ticket_standing(struct arena *a, const struct ticket *all, size_t count, size_t which)
{
    const struct ticket *t = &all[which];
    if (*t->blocked)
        return "blocked";
    if (t->column != COLUMN_INPROGRESS)
        return column_words[t->column];
    struct texts before = tickets_merged_before(a, all, count, t);
    if (streq(t->stage, "integrate") && before.count)
        return arena_printf(a, "waits for %s to be merged", texts_join(&before, a, ", ", 0));
    STR_LOCAL(out);
    size_t current = ticket_current(t);
    live_phase(t->stage, current < t->criteria.count ? (int64_t)current + 1 : 0, &out);
    return arena_strndup(a, out.data, out.len);
}

const char *tickets_behind(struct arena *a, const struct ticket *all, size_t count, size_t which)
{
    struct set stuck = SET_IN(a);
    struct texts behind = { 0 };
    set_add(&stuck, name_of(a, &all[which]));
    for (size_t i = which + 1; i < count; i++) { /* what a ticket builds on comes before it */
        bool waits = false;
        for (size_t k = 0; k < all[i].after.count && all[i].column != COLUMN_DONE; k++)
            waits = waits || set_has(&stuck, all[i].after.items[k]);
        if (!waits)
            continue;
        texts_add(&behind, a, name_of(a, &all[i]));
        set_add(&stuck, name_of(a, &all[i]));
    }
    return texts_join(&behind, a, ", ", 0);
}

int find_thing(struct session *s, const char *project, const char *name, struct err *e)
{
    struct arena *a = &s->in->arena;
    bool is_functionality = starts_with(name, "F-");
    union { struct ticket t; struct functionality f; } doc;
    int r = store_get(s->store, a, is_functionality ? &functionality_type : &ticket_type, arena_printf(a, "%s/%s", project, name),
                      &doc, NULL, e);
    if (r == ERR_NOT_FOUND)
        return err_set(e, r, "project %s has no %s %s; tandem status %s lists them", project,
                       is_functionality ? "functionality" : "ticket", name, project);
    return r;
}

int ticket_last_run(struct session *s, const char *project, const char *ticket, enum run_kind kind, struct run *ret,
                    const char **ret_id, struct err *e)
{
    struct store_found found;
    struct store_query q = { .where = { { "project", project, 0 }, { "ticket", ticket, 0 },
                                        { "kind", kind == RUN_MODEL ? "model" : "suite", 0 } },
                             .where_count = 3, .order_by = "started_ms", .descending = true, .limit = 1 };
    int r = store_find(s->store, &s->in->arena, &run_type, &q, &found, e);
    if (r == 0 && !found.count)
        return err_set(e, ERR_NOT_FOUND, "no run yet");
    if (r == 0) {
        *ret = *(struct run *)found.docs;
        *ret_id = found.ids[0];
    }
    return r;
}

/* "units/T-3/7-red" */
static bool is_of_stage(const char *task, const char *stage)
{
    const char *last = strrchr(task, '/'), *name = last ? strchr(last, '-') : NULL;
    return name && streq(name + 1, stage);
}

const char *ticket_last_failures(struct session *s, const char *project, const char *ticket, const char *stage, size_t max)
{
    struct arena *a = &s->in->arena;
    struct test_results results;
    struct run run;
    const char *id, *output;
    size_t len;
    if (ticket_last_run(s, project, ticket, RUN_SUITE, &run, &id, NULL) < 0 || !is_of_stage(run.task, stage) ||
        stored_results(s->store, a, &run, &results, NULL) < 0 ||
        store_blob(s->store, a, run.answer, &output, &len, NULL) < 0)
        return "";
    return render_failures(a, &results, output, max);
}

void print_part(struct session *s, const char *title, const char *text, size_t len)
{
    if (len)
        fprintf(s->in->out, "\n%s%s%s\n%s%s", session_inks(s)[INK_STRONG], title,
                session_inks(s)[INK_PLAIN], text, text[len - 1] == '\n' ? "" : "\n");
}

void print_blob(struct session *s, const char *title, const char *digest)
{
    const char *text;
    size_t len;
    if (*digest && store_blob(s->store, &s->in->arena, digest, &text, &len, NULL) == 0)
        print_part(s, title, text, len);
}

int project_cost(struct store *s, const char *project, struct runs_cost *ret, struct err *e)
{
    ARENA_LOCAL(a);
    struct runs_cost c = { 0 };
    struct store_found found;
    struct store_query q = { .where = { { "project", project, 0 } }, .where_count = 1 };
    do { /* as many at a time as the store gives */
        int r = store_find(s, &a, &run_type, &q, &found, e);
        if (r < 0)
            return r;
        const struct run *run = found.docs;
        for (size_t i = 0; i < found.count; i++) {
            q.after_id = found.ids[i];
            if (run[i].kind == RUN_SUITE)
                c.suite_us += run[i].total_us;
            if (run[i].kind != RUN_MODEL)
                continue;
            c.model_us += run[i].total_us;
            c.prompt_tokens += run[i].prompt_tokens > 0 ? run[i].prompt_tokens : 0;
            c.cached_tokens += run[i].cached_tokens > 0 ? run[i].cached_tokens : 0;
            c.completion_tokens += run[i].completion_tokens > 0 ? run[i].completion_tokens : 0;
            int role = role_parse(run[i].role);
            if (role < 0 || run[i].cached_tokens < 0 || run[i].prompt_tokens < 0)
                continue;
            c.roles[role].told_tokens += run[i].prompt_tokens;
            c.roles[role].cached_tokens += run[i].cached_tokens;
        }
    } while (found.count == STORE_MAX_LIMIT);
    *ret = c;
    return 0;
}

/* Each test once: what passes with one ticket is not in the tree of another yet. */
static void list_tests(const struct ticket *all, size_t count, struct set *passing, struct set *every)
{
    for (size_t i = 0; i < count; i++) {
        set_add_all(passing, &all[i].baseline);
        set_add_all(every, &all[i].failing);
        for (size_t k = 0; k < all[i].criteria.count; k++) {
            const struct criterion *c = ticket_criterion(&all[i], k);
            set_add_all(criterion_proven(c) ? passing : every, &c->tests);
        }
    }
    set_add_all(every, &passing->texts);
}

struct texts tickets_failing_before(struct arena *a, const struct ticket *all, size_t count)
{
    struct set passing = SET_IN(a), every = SET_IN(a), before = SET_IN(a);
    list_tests(all, count, &passing, &every);
    if (count)
        set_add_but(&before, &all[0].failing, &passing.texts);
    return before.texts;
}

static void count_tests(struct arena *a, const struct ticket *all, size_t count, struct tickets_sum *sum)
{
    struct set passing = SET_IN(a), every = SET_IN(a);
    list_tests(all, count, &passing, &every);
    sum->tests_passed = (int64_t)passing.texts.count - set_has(&passing, STACK_BUILD_ID);
    sum->tests = (int64_t)every.texts.count - set_has(&every, STACK_BUILD_ID);
}

/* Whether a later ticket measured a file of this one again. */
static bool is_measured_again(struct arena *a, const struct ticket *all, size_t count, size_t which)
{
    const struct set own = set_of(a, &all[which].files);
    for (size_t i = which + 1; i < count; i++)
        for (size_t k = 0; all[i].lines && k < all[i].files.count; k++)
            if (set_has(&own, all[i].files.items[k]))
                return true;
    return false;
}

struct tickets_sum tickets_sum(struct arena *a, const struct project *p, const struct ticket *all, size_t count)
{
    struct tickets_sum sum = { .covered = p->covered, .lines = p->lines };
    for (size_t i = 0; i < count; i++) {
        const struct ticket *t = &all[i];
        sum.done += t->column == COLUMN_DONE;
        sum.criteria += t->criteria.count;
        for (size_t k = 0; k < t->criteria.count; k++)
            sum.proven += criterion_proven(ticket_criterion(t, k));
        if (!p->lines && t->lines && !is_measured_again(a, all, count, i)) {
            sum.covered += t->covered;
            sum.lines += t->lines;
        }
    }
    if (p->state == PROJECT_DONE && p->tests_total) {
        sum.tests = p->tests_total;
        sum.tests_passed = p->tests_passed;
    } else {
        count_tests(a, all, count, &sum);
    }
    return sum;
}

const enum bar_segment *ticket_segments(struct arena *a, const struct ticket *t)
{
    enum bar_segment *out = ARENA_ARRAY(a, enum bar_segment, t->criteria.count);
    bool without_tests = t->kind != TICKET_BEHAVIOUR && t->column == COLUMN_DONE;
    for (size_t i = 0; i < t->criteria.count; i++) {
        const struct criterion *c = ticket_criterion(t, i);
        out[i] = criterion_proven(c) || without_tests ? BAR_GREEN : c->state == CRITERION_RED ? BAR_RED : BAR_OPEN;
    }
    return out;
}
