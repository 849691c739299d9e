/* summary.c - numbers from the documents and from the log. */
#include "cli/summary.h"

#include "base/str.h"
#include "cli/calls.h"
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
        print_output(out, ticket_last_failures(s, project, name, t[i].stage, MAX_OUTPUT));
        fprintf(out, "  %s tells all; %s --hint \"...\" starts it again\n", project_command(a, "show", project, name),
                project_command(a, "retry", project, name));
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
        print_output(out, ticket_last_failures(s, project, name, f[i].stage, MAX_OUTPUT));
        fprintf(out, "  %s --hint \"...\" starts it again\n", project_command(&s->in->arena, "retry", project, name));
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

int summary_look(struct session *s, const char *project, struct summary *ret, struct err *e)
{
    struct arena *a = &s->in->arena;
    *ret = (struct summary){ .commits = 0 };
    int r = session_project(s, project, &ret->id, &ret->project, e);
    if (r == 0)
        r = project_tickets(s->store, a, ret->id, &ret->tickets, e);
    if (r == 0)
        r = project_functionalities(s->store, a, ret->id, &ret->functionalities, e);
    if (r == 0 && *ret->project.base)
        r = count_commits(s, ret->id, &ret->project, &ret->commits, e);
    if (r == 0)
        r = project_cost(s->store, ret->id, &ret->cost, e);
    if (r == 0)
        r = project_work(s->store, ret->id, &ret->work, e);
    if (r < 0)
        return r;
    ret->sum = tickets_sum(a, &ret->project, ret->tickets.docs, ret->tickets.count);
    ret->failing_before = tickets_failing_before(a, ret->tickets.docs, ret->tickets.count);
    return 0;
}

/* ---- for people ---- */

static void print_work(struct session *s, const struct summary *m)
{
    FILE *out = s->in->out;
    const struct tickets_sum *sum = &m->sum;
    fprintf(out, "Tickets    %zu of %zu done, %zu of %zu criteria proven\n", sum->done, m->tickets.count, sum->proven, sum->criteria);
    fprintf(out, "Tests      %lld of %lld pass", (long long)sum->tests_passed, (long long)sum->tests);
    if (sum->lines)
        fprintf(out, ", %lld %% of the lines covered", (long long)(sum->covered * 100 / sum->lines));
    if (m->failing_before.count)
        fprintf(out, "\n           not passing before the work began either: %s",
                texts_join(&m->failing_before, &s->in->arena, ", ", MAX_NAMES));
    fprintf(out, "\nCommits    %zu on DEV\n", m->commits);
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
    str_clear(&text);
    for (int role = ROLE_PM; cost->cached_tokens > 0 && role < ROLE_COUNT; role++) {
        int64_t percent = hit_percent(cost->roles[role].cached_tokens, cost->roles[role].told_tokens);
        if (percent >= 0)
            str_addf(&text, "%s%s %lld %%", text.len ? ", " : "", role_names[role], (long long)percent);
    }
    if (text.len)
        fprintf(out, "           read from the cache: %s\n", text.data);
}

static void print_times(FILE *out, const struct summary *m)
{
    STR_LOCAL(text);
    live_duration(m->work.wall_ms, &text);
    const struct { const char *name; int64_t us; } rows[] = {
        { "models", m->cost.model_us }, { "tests", m->cost.suite_us }, { "git", m->work.git_us }, { "Tandem itself", m->work.own_us } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        str_addf(&text, "%s%s %.1f s", i ? ", " : ": ", rows[i].name, (double)rows[i].us / 1e6);
    fprintf(out, "Time       %s (each summed over what ran in parallel)\n", text.data);
}

int summary_print(struct session *s, const char *project, struct err *e)
{
    struct summary m;
    FILE *out = s->in->out;
    int r = summary_look(s, project, &m, e);
    if (r < 0)
        return r;
    fprintf(out, "\n%s\n", m.project.name);
    if (m.tickets.count) /* there is a plan */
        print_work(s, &m);
    print_tokens(out, &m.cost);
    print_times(out, &m);
    if (m.work.unprotected)
        fprintf(out, "Sandbox    NONE: the project's code ran unprotected (tandem log --project %s says when)\n", m.id);
    print_blocked_tickets(s, m.id, &m.tickets);
    print_blocked_functionalities(s, m.id, &m.functionalities);
    if (*m.project.blocked)
        fprintf(out, "\nThe project is blocked: %s\n  %s starts it again where it stands\n", m.project.blocked,
                project_command(&s->in->arena, "retry", m.id, ""));
    fprintf(out, "\n");
    return 0;
}
