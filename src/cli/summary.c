/* summary.c - numbers from the documents and from the log. */
#include "cli/summary.h"

#include "base/str.h"
#include "cli/live.h"
#include "cli/tickets.h"
#include "repo/git.h"

enum { MAX_OUTPUT = 1500 };

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

static void print_blocked(struct session *s, const char *project, const struct store_found *tickets,
                          const struct store_found *functionalities)
{
    struct arena *a = &s->in->arena;
    FILE *out = s->in->out;
    const struct ticket *t = tickets->docs;
    const struct functionality *f = functionalities->docs;
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
    for (size_t i = 0; i < functionalities->count; i++) {
        if (!*f[i].blocked)
            continue;
        const char *name = arena_printf(a, "F-%lld", (long long)f[i].number);
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

int summary_print(struct session *s, const char *project, struct err *e)
{
    struct store_found tickets, functionalities;
    struct project p;
    size_t commits = 0;
    struct arena *a = &s->in->arena;
    int r = session_project(s, project, &project, &p, e);
    if (r == 0)
        r = project_tickets(s->store, a, project, &tickets, e);
    if (r == 0)
        r = project_functionalities(s->store, a, project, &functionalities, e);
    if (r == 0 && *p.base)
        r = count_commits(s, project, &p, &commits, e);
    if (r < 0)
        return r;
    const struct ticket *t = tickets.docs;
    size_t done = 0, criteria = 0, proven = 0;
    int64_t tests = 0, passed = 0, covered = 0, lines = 0;
    for (size_t i = 0; i < tickets.count; i++) {
        done += t[i].column == COLUMN_DONE;
        criteria += t[i].criteria.count;
        for (size_t k = 0; k < t[i].criteria.count; k++)
            proven += criterion_proven(ticket_criterion(&t[i], k));
        if (t[i].tests_total >= tests) {
            tests = t[i].tests_total;
            passed = t[i].tests_passed;
        }
        covered += t[i].covered;
        lines += t[i].lines;
    }
    struct runs_cost cost;
    r = project_cost(s->store, project, &cost, e);
    if (r < 0)
        return r;
    FILE *out = s->in->out;
    fprintf(out, "\n%s\n", p.name);
    fprintf(out, "Tickets    %zu of %zu done, %zu of %zu criteria proven\n", done, tickets.count, proven, criteria);
    fprintf(out, "Tests      %lld of %lld pass", (long long)passed, (long long)tests);
    if (lines)
        fprintf(out, ", %lld %% of the lines covered", (long long)(covered * 100 / lines));
    fprintf(out, "\nCommits    %zu on DEV\n", commits);
    STR_LOCAL(tokens);
    live_count(cost.prompt_tokens, &tokens);
    str_add(&tokens, " in, ");
    live_count(cost.completion_tokens, &tokens);
    str_add(&tokens, " out");
    if (cost.cached_tokens > 0) {
        str_add(&tokens, ", ");
        live_count(cost.cached_tokens, &tokens);
        str_add(&tokens, " of them from the cache");
    }
    fprintf(out, "Tokens     %s\n", tokens.data);
    r = print_times(s, project, cost.model_us, cost.suite_us, e);
    if (r < 0)
        return r;
    print_blocked(s, project, &tickets, &functionalities);
    if (*p.blocked)
        fprintf(out, "\nThe project is blocked: %s\n  tandem retry --project %s starts it again where it stands\n", p.blocked, project);
    fprintf(out, "\n");
    return 0;
}
