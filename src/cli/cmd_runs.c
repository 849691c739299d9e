/* cmd_runs.c - tandem runs: every model call and command of a ticket, and one of them whole. */
#include "base/clock.h"
#include "base/str.h"
#include "cli/calls.h"
#include "cli/commands.h"
#include "cli/tickets.h"
#include "team/render.h"

static const struct option options[] = {
    { .name = "project", .argument = "PROJECT", .doc = "the project; the one begun last without it" },
    { 0 },
};

/* What the server told; a negative count: it told nothing. */
static const char *as_told(struct arena *a, int64_t count)
{
    return count < 0 ? "?" : arena_printf(a, "%lld", (long long)count);
}

/* " (91 % from the cache)" */
static const char *reused(struct arena *a, const struct run *run)
{
    int64_t percent = run->cached_tokens > 0 ? hit_percent(run->cached_tokens, run->prompt_tokens) : -1;
    return percent < 0 ? "" : arena_printf(a, " (%lld %% from the cache)", (long long)percent);
}

static void print_row(FILE *out, struct arena *a, size_t number, const struct run *run)
{
    char time[32];
    clock_format(run->started_ms, time);
    fprintf(out, "%4zu  %.8s  %7.2f s  %-9s %-12s", number, time + 11, (double)run->total_us / 1e6, run->role, run->step);
    if (run->kind == RUN_MODEL)
        fprintf(out, "  %s+%s tokens%s, %s", as_told(a, run->prompt_tokens), as_told(a, run->completion_tokens), reused(a, run), run->model);
    fprintf(out, "  %s\n", *run->verdict ? run->verdict : run->outcome);
}

/* Every test with its outcome, then whatever those that did not pass had to say. */
static void print_results(struct session *s, const struct run *run)
{
    struct test_results results;
    if (stored_results(s->store, &s->in->arena, run, &results, NULL) < 0)
        return;
    STR_LOCAL(list);
    for (size_t i = 0; i < results.count; i++)
        str_addf(&list, "%-7s  %s\n", test_outcome_names[results.tests[i].outcome], results.tests[i].id);
    print_part(s, "Tests:", list.data, list.len);
    for (size_t i = 0; i < results.count; i++) {
        const struct test_result *t = &results.tests[i];
        if (t->outcome != TEST_PASSED && t->message)
            print_part(s, t->id, t->message, strlen(t->message));
    }
}

static void print_whole(struct session *s, const char *id, const struct run *run)
{
    FILE *out = s->in->out;
    struct arena *a = &s->in->arena;
    fprintf(out, "%s, %.2f s, %s\n", id, (double)run->total_us / 1e6, run->outcome);
    if (*run->verdict)
        fprintf(out, "What became of it: %s\n", run->verdict);
    if (run->kind == RUN_MODEL) {
        fprintf(out, "%s, %s tokens in", run->model, as_told(a, run->prompt_tokens));
        if (run->cached_tokens > 0)
            fprintf(out, " (%lld of them cached)", (long long)run->cached_tokens);
        fprintf(out, ", %s out, %.2f s to the first, %.2f s in the queue\n", as_told(a, run->completion_tokens),
                (double)run->first_token_us / 1e6, (double)run->queue_us / 1e6);
        print_blob(s, "Prompt:", run->prompt);
        print_blob(s, "Reasoning:", run->reasoning);
        print_blob(s, "Answer:", run->answer);
    } else {
        fprintf(out, "%s\n", run->model);
        if (run->kind == RUN_SUITE) {
            fprintf(out, "on the tree %s\n", run->prompt);
            print_results(s, run);
        } else {
            print_blob(s, "Command:", run->prompt);
        }
        print_blob(s, "Output:", run->answer);
    }
}

static int print(struct session *s, struct err *e)
{
    const struct texts *words = &s->in->operands;
    const char *project, *ticket = words->count && !streq(words->items[0], "project") ? words->items[0] : "";
    struct project p;
    struct store_found found;
    int r = session_project(s, option_value(s->in, "project"), &project, &p, e);
    struct store_query q = { .where = { { "project", project, 0 }, { "ticket", ticket, 0 } }, .where_count = 2,
                             .order_by = "started_ms" };
    if (r == 0)
        r = store_find(s->store, &s->in->arena, &run_type, &q, &found, e);
    if (r < 0)
        return r;
    if (!found.count)
        return err_set(e, ERR_NOT_FOUND, "project %s has no runs of %s; tandem status %s lists its tickets", project,
                       *ticket ? ticket : "its own", project);
    const struct run *runs = found.docs;
    long long number = 0;
    if (words->count < 2) {
        for (size_t i = 0; i < found.count; i++)
            print_row(s->in->out, &s->in->arena, i + 1, &runs[i]);
        return 0;
    }
    if (!parse_int(words->items[1], 1, (long long)found.count, &number))
        return err_set(e, ERR_USAGE, "there is no run %s; %s lists 1 to %zu", words->items[1],
                       project_command(&s->in->arena, "runs", project, words->items[0]), found.count);
    print_whole(s, found.ids[number - 1], &runs[number - 1]);
    return 0;
}

static int run(struct invocation *in, struct err *e)
{
    return session_with(in, session_look, print, e);
}

const struct command command_runs = {
    .name = "runs",
    .summary = "list the model calls and test runs of a ticket, or print one whole",
    .operands = "[T-N|F-N|project] [NUMBER]",
    .max_operands = 2,
    .options = options,
    .description = "Every model call and command is stored with its full input, output and timing. Without a ticket, those of "
                   "the project itself: its specification and its plan.",
    .examples = "tandem runs T-3\tall of a ticket, numbered\n"
                "tandem runs T-3 7\tthe seventh: what was sent, and what came back",
    .run = run,
};
