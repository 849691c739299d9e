/* summary.c - numbers from the documents and from the log. */
#include "cli/summary.h"

#include "base/str.h"
#include "cli/live.h"
#include "cli/tickets.h"
#include "repo/git.h"

enum { MAX_OUTPUT = 1500, MAX_NAMES = 5 };

static void print_output(FILE *out, const char *output)
{
    if (*output)
        fprintf(out, "  From the last run of the tests:\n");
    while (*output) {
        size_t len = strcspn(output, "\n");
        fprintf(out, "    %.*s\n", (int)len, output);
        output += len + (output[len] == '\n');
    }
}

static void print_blocked_tickets(struct session *s, const char *project, const struct store_found *tickets)
{
    struct arena *a = &s->in->arena;
    FILE *out = s->in->out;
    const struct ticket *t = tickets->docs;
    for (size_t i = 0; i < tickets->count; i++) {
        if (!*t[i].blocked)
            continue;
        const char *name = arena_printf(a, "T-%lld", (long long)t[i].number), *behind = tickets_behind(a, t, tickets->count, i);
        fprintf(out, "\n%s is blocked: %s\n", name, t[i].blocked);
        if (*behind)
            fprintf(out, "  Waiting for it: %s\n", behind);
        print_output(out, ticket_last_failures(s, project, name, MAX_OUTPUT));
        fprintf(out, "  tandem show %s tells all; tandem retry %s --hint \"...\" starts it again\n", name, name);
    }
}

static void print_blocked_functionalities(struct session *s, const char *project, const struct store_found *functionalities)
{
    FILE *out = s->in->out;
    const struct functionality *f = functionalities->docs;
    for (size_t i = 0; i < functionalities->count; i++) {
        if (!*f[i].blocked)
            continue;
        const char *name = arena_printf(&s->in->arena, "F-%lld", (long long)f[i].number);
        fprintf(out, "\n%s is blocked: %s\n", name, f[i].blocked);
        print_output(out, ticket_last_failures(s, project, name, MAX_OUTPUT));
        fprintf(out, "  tandem retry %s --hint \"...\" starts it again\n", name);
    }
}

static int count_commits(struct session *s, const char *project, const struct project *p, size_t *ret, struct err *e)
{
    struct repo *repo;
    struct oid dev, base = { "" }, *list;
    int r = repo_open(&repo, project_repo_path(&s->in->arena, s->home, project), e);
    if (r < 0)
        return r;
    snprintf(base.hex, sizeof base.hex, "%s", p->base);
    *ret = 0;
    if (repo_ref(repo, "refs/heads/DEV", &dev, NULL) == 0)
        r = repo_log(repo, &s->in->arena, &dev, &base, 10000, &list, ret, e);
    repo_free(repo);
    return r;
}

static int print_times(struct session *s, const char *project, int64_t model_us, int64_t suite_us, struct err *e)
{
    struct project_work work;
    int r = project_work(s->store, project, &work, e);
    if (r < 0)
        return r;
    STR_LOCAL(text);
    live_duration(work.wall_ms, &text);
    const struct { const char *name; int64_t us; } rows[] = {
        { "models", model_us }, { "tests", suite_us }, { "git", work.git_us }, { "Tandem itself", work.own_us } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        str_addf(&text, "%s%s %.1f s", i ? ", " : ": ", rows[i].name, (double)rows[i].us / 1e6);
    fprintf(s->in->out, "Time       %s (each summed over what ran in parallel)\n", text.data);
    return 0;
}

static void print_work(struct session *s, const struct project *p, const struct store_found *tickets, size_t commits)
{
    struct arena *a = &s->in->arena;
    FILE *out = s->in->out;
    struct tickets_sum sum = tickets_sum(a, p, tickets->docs, tickets->count);
    struct texts before = tickets_failing_before(a, tickets->docs, tickets->count);
    fprintf(out, "Tickets    %zu of %zu done, %zu of %zu criteria proven\n", sum.done, tickets->count, sum.proven, sum.criteria);
    fprintf(out, "Tests      %lld of %lld pass", (long long)sum.tests_passed, (long long)sum.tests);
    if (sum.lines)
        fprintf(out, ", %lld %% of the lines covered", (long long)(sum.covered * 100 / sum.lines));
    if (before.count)
        fprintf(out, "\n           not passing before the work began either: %s", texts_join(&before, a, ", ", MAX_NAMES));
    fprintf(out, "\nCommits    %zu on DEV\n", commits);
}

static void print_tokens(FILE *out, const struct runs_cost *cost)
{
    STR_LOCAL(text);
    live_count(cost->prompt_tokens, &text);
    str_add(&text, " in, ");
    live_count(cost->completion_tokens, &text);
    str_add(&text, " out");
    if (cost->cached_tokens > 0) {
        str_add(&text, ", ");
        live_count(cost->cached_tokens, &text);
        str_add(&text, " of them from the cache");
    }
    fprintf(out, "Tokens     %s\n", text.data);
}

static int print_cost(struct session *s, const char *project, struct err *e)
{
    struct runs_cost cost;
    int r = project_cost(s->store, project, &cost, e);
    if (r < 0)
        return r;
    print_tokens(s->in->out, &cost);
    return print_times(s, project, cost.model_us, cost.suite_us, e);
}

int summary_print(struct session *s, const char *project, struct err *e)
{
    struct store_found tickets, functionalities;
    struct project p;
    size_t commits = 0;
    FILE *out = s->in->out;
    int r = session_project(s, project, &project, &p, e);
    if (r == 0)
        r = project_tickets(s->store, &s->in->arena, project, &tickets, e);
    if (r == 0)
        r = project_functionalities(s->store, &s->in->arena, project, &functionalities, e);
    if (r == 0 && *p.base)
        r = count_commits(s, project, &p, &commits, e);
    if (r < 0)
        return r;
    fprintf(out, "\n%s\n", p.name);
    print_work(s, &p, &tickets, commits);
    r = print_cost(s, project, e);
    if (r < 0)
        return r;
    print_blocked_tickets(s, project, &tickets);
    print_blocked_functionalities(s, project, &functionalities);
    if (*p.blocked)
        fprintf(out, "\nThe project is blocked: %s\n  tandem retry --project %s starts it again where it stands\n", p.blocked, project);
    fprintf(out, "\n");
    return 0;
}
