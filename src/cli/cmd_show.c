/* cmd_show.c - tandem show: one ticket as its proof, from top to bottom; or a functionality. */
#include "base/clock.h"
#include "base/str.h"
#include "cli/calls.h"
#include "cli/commands.h"
#include "cli/live.h"
#include "cli/sentence.h"
#include "cli/session.h"
#include "cli/tickets.h"

static const struct option show_options[] = {
    { .name = "prompt", .doc = "also what was last sent to a model, byte for byte, and its answer" },
    { .name = "project", .argument = "PROJECT", .doc = "the project; the one begun last without it" },
    { 0 },
};

enum { MAX_FAILURES = 8000 };

static const char *name_of(const struct invocation *in)
{
    return in->operands.items[0];
}

/* The ticket or functionality that is asked for. */
static int find(struct session *s, const struct doc_type *type, const char *project, void *ret, struct err *e)
{
    const char *id = arena_printf(&s->in->arena, "%s/%s", project, name_of(s->in));
    int r = store_get(s->store, &s->in->arena, type, id, ret, NULL, e);
    if (r == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND, "project %s has no %s; tandem status %s lists its tickets", project, name_of(s->in), project);
    return r;
}

static void print_list(FILE *out, const char *label, const struct texts *t)
{
    if (!t->count)
        return;
    fprintf(out, "%s", label);
    for (size_t i = 0; i < t->count; i++)
        fprintf(out, "%s%s", i ? ", " : " ", t->items[i]);
    fprintf(out, "\n");
}

static void print_criterion(struct session *s, const char *ticket_id, const struct ticket *t, size_t i)
{
    const struct criterion *c = ticket_criterion(t, i);
    FILE *out = s->in->out;
    bool proven = criterion_proven(c), red = c->state == CRITERION_RED;
    fprintf(out, "\n%s%zu. %s%s  (%s%s", session_inks(s)[proven ? INK_GREEN : red ? INK_RED : INK_PLAIN], i + 1,
            c->text, session_inks(s)[INK_PLAIN], criterion_state_names[c->state],
            streq(c->origin, "review") ? ", from the review" : "");
    if (c->clause)
        fprintf(out, ", clause %lld", (long long)c->clause);
    fprintf(out, ")\n");
    for (size_t k = 0; k < c->tests.count; k++)
        fprintf(out, "   test   %s\n", c->tests.items[k]);
    struct evidence ev;
    const char *id = arena_printf(&s->in->arena, "%s/%zu", ticket_id, i + 1);
    if (store_get(s->store, &s->in->arena, &evidence_type, id, &ev, NULL, NULL) < 0)
        return;
    if (*ev.red_commit) {
        fprintf(out, "   red    commit %.12s, run %s, by %s", ev.red_commit, ev.red_run, red_reason_names[ev.reason]);
        print_list(out, " of", &ev.absent);
        if (!ev.absent.count)
            fprintf(out, "\n");
    }
    if (*ev.met_by)
        fprintf(out, "   met    the tests fail on tree %.12s%s%s\n", ev.met_by, *ev.mutation ? ", where " : " (the base)", ev.mutation);
    if (*ev.green_commit)
        fprintf(out, "   green  commit %.12s, run %s\n", ev.green_commit, ev.green_run);
}

/* What happened to it, so far as the criteria above do not tell. */
static void print_history(struct session *s, const char *project)
{
    struct event *events;
    size_t count;
    if (store_events(s->store, &s->in->arena, 0, project, name_of(s->in), NULL, 1000, &events, &count, NULL) < 0)
        return;
    fprintf(s->in->out, "\n");
    for (size_t i = 0; i < count; i++) {
        const char *sentence = event_sentence(s->store, &s->in->arena, &events[i], false);
        char time[32];
        clock_format(events[i].time_ms, time);
        if (sentence)
            fprintf(s->in->out, "%.8s  %s\n", time + 11, sentence + strlen(name_of(s->in)) + 1);
    }
}

static void print_head(struct session *s, const struct ticket *t)
{
    FILE *out = s->in->out;
    bool works = t->column == COLUMN_INPROGRESS;
    fprintf(out, "%s  %s\n", name_of(s->in), t->title);
    fprintf(out, "%s%s%s, %s, branch %s\n", column_words[t->column], works ? ", stage " : "", works ? t->stage : "",
            ticket_kind_names[t->kind], t->branch);
    print_list(out, "after", &t->after);
    if (*t->blocked)
        fprintf(out, "%sblocked:%s %s\n", session_inks(s)[INK_STRONG], session_inks(s)[INK_PLAIN], t->blocked);
    if (*t->description)
        fprintf(out, "\n%s\n", t->description);
    if (*t->scope.how) {
        fprintf(out, "\nScope: %s\n", t->scope.how);
        print_list(out, "  reads", &t->scope.read);
        print_list(out, "  changes", &t->scope.change);
        print_list(out, "  creates", &t->scope.create);
    }
}

static void print_numbers(FILE *out, const struct ticket *t)
{
    STR_LOCAL(numbers);
    live_count(t->prompt_tokens, &numbers);
    str_add(&numbers, " tokens in");
    if (t->cached_tokens > 0)
        str_addf(&numbers, " (%lld %% from the cache)", (long long)hit_percent(t->cached_tokens, t->prompt_tokens));
    str_add(&numbers, ", ");
    live_count(t->completion_tokens, &numbers);
    fprintf(out, "\n%s out; model %.1f s, tests %.1f s", numbers.data, (double)t->model_us / 1e6, (double)t->suite_us / 1e6);
    if (t->lines)
        fprintf(out, "; %lld of %lld lines covered", (long long)t->covered, (long long)t->lines);
    fprintf(out, "\n");
}

/* Why it is blocked, and with --prompt what the model was told last. */
static void print_last_runs(struct session *s, const char *project, const char *blocked, const char *stage)
{
    const char *run_id, *failures = *blocked ? ticket_last_failures(s, project, name_of(s->in), stage, MAX_FAILURES) : "";
    struct run run;
    if (*failures)
        fprintf(s->in->out, "\n%sIts last test run:%s\n%s\n", session_inks(s)[INK_STRONG], session_inks(s)[INK_PLAIN],
                failures);
    if (option_given(s->in, "prompt") && ticket_last_run(s, project, name_of(s->in), RUN_MODEL, &run, &run_id, NULL) == 0) {
        print_blob(s, arena_printf(&s->in->arena, "Prompt (%s):", run_id), run.prompt);
        print_blob(s, "Answer:", run.answer);
    }
}

static int show_ticket(struct session *s, const char *project, struct err *e)
{
    struct ticket t;
    int r = find(s, &ticket_type, project, &t, e);
    if (r < 0)
        return r;
    print_head(s, &t);
    for (size_t i = 0; i < t.criteria.count; i++)
        print_criterion(s, arena_printf(&s->in->arena, "%s/%s", project, name_of(s->in)), &t, i);
    print_list(s->in->out, "\nFlaky tests:", &t.flaky);
    print_history(s, project);
    print_numbers(s->in->out, &t);
    print_last_runs(s, project, t.blocked, t.stage);
    return 0;
}

/* ---- a functionality ---- */

static void print_its_tickets(struct session *s, const struct functionality *f, const struct store_found *tickets)
{
    const struct ticket *t = tickets->docs;
    fprintf(s->in->out, "\n");
    for (size_t i = 0; i < tickets->count; i++)
        if (t[i].functionality == f->number)
            fprintf(s->in->out, "  T-%-3lld %s  %s\n", (long long)t[i].number, t[i].title, ticket_standing(&s->in->arena, t, tickets->count, i));
}

static int show_functionality(struct session *s, const char *project, struct err *e)
{
    static const char *const states[] = { "open", "in review", "in DEV" };
    struct functionality f;
    struct store_found tickets;
    FILE *out = s->in->out;
    int r = find(s, &functionality_type, project, &f, e);
    if (r == 0)
        r = project_tickets(s->store, &s->in->arena, project, &tickets, e);
    if (r < 0)
        return r;
    fprintf(out, "%s  %s\n%s, branch %s\n", name_of(s->in), f.title, states[f.state], f.branch);
    if (*f.blocked)
        fprintf(out, "%sblocked:%s %s\n", session_inks(s)[INK_STRONG], session_inks(s)[INK_PLAIN], f.blocked);
    if (*f.summary)
        fprintf(out, "\n%s\n", f.summary);
    print_its_tickets(s, &f, &tickets);
    print_list(out, "\nIts reviews asked for:", &f.asked);
    print_history(s, project);
    if (f.tests_total)
        fprintf(out, "\n%lld of %lld tests pass on it\n", (long long)f.tests_passed, (long long)f.tests_total);
    print_last_runs(s, project, f.blocked, f.stage);
    return 0;
}

static int show(struct session *s, struct err *e)
{
    const char *project;
    struct project p;
    int r = session_project(s, option_value(s->in, "project"), &project, &p, e);
    if (r < 0)
        return r;
    return starts_with(name_of(s->in), "F-") ? show_functionality(s, project, e) : show_ticket(s, project, e);
}

static int run_show(struct invocation *in, struct err *e)
{
    return session_with(in, session_look, show, e);
}

const struct command command_show = {
    .name = "show",
    .summary = "show a ticket as its proof, from top to bottom, or a functionality",
    .operands = "T-N|F-N",
    .min_operands = 1, .max_operands = 1,
    .options = show_options,
    .description = "Criteria with their tests, red and green commits; scope, tokens, times; why it is blocked and the "
                   "last output; of a functionality its tickets and what became of it. tandem runs has every prompt, answer and test run.",
    .run = run_show,
};
