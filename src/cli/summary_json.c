/* summary_json.c - the summary for programs, described once as a record. */
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/summary.h"

struct blocked { const char *what, *why; };
static const struct field blocked_fields[] = {
    FIELD(struct blocked, what, FIELD_TEXT, .doc = "T-3, F-1, or the project"),
    FIELD(struct blocked, why, FIELD_TEXT),
};
static const struct record blocked_record = RECORD("blocked", struct blocked, blocked_fields);

struct numbers {
    const char *end, *result, *branch, *commit;
    struct records blocked; /* struct blocked */
    int64_t tickets, tickets_done, criteria, criteria_proven, tests, tests_passed;
    struct texts failing_before;
    bool unprotected;
    int64_t lines, lines_covered, commits, prompt_tokens, cached_tokens, completion_tokens;
    int64_t wall_ms, model_us, suite_us, git_us, own_us;
};
#define NUMBER(member) FIELD(struct numbers, member, FIELD_INT)
static const struct field numbers_fields[] = {
    FIELD(struct numbers, end, FIELD_TEXT, .doc = "done, blocked or stopped"),
    FIELD(struct numbers, blocked, FIELD_RECORDS, .of = &blocked_record),
    NUMBER(tickets), NUMBER(tickets_done), NUMBER(criteria), NUMBER(criteria_proven), NUMBER(tests), NUMBER(tests_passed),
    FIELD(struct numbers, failing_before, FIELD_TEXTS, .doc = "tests of the repository that did not pass before, and do not"),
    FIELD(struct numbers, unprotected, FIELD_BOOL, .doc = "code ran without a sandbox"),
    NUMBER(lines), NUMBER(lines_covered), NUMBER(commits), NUMBER(prompt_tokens), NUMBER(cached_tokens), NUMBER(completion_tokens),
    NUMBER(wall_ms), NUMBER(model_us), NUMBER(suite_us), NUMBER(git_us), NUMBER(own_us),
    FIELD(struct numbers, result, FIELD_TEXT, .doc = "the repository or clone that gets the result"),
    FIELD(struct numbers, branch, FIELD_TEXT),
    FIELD(struct numbers, commit, FIELD_TEXT, .doc = "of that branch there, as it was handed over last"),
};
static const struct record numbers_record = RECORD("summary", struct numbers, numbers_fields);

static struct records list_blocked(struct arena *a, const struct summary *m)
{
    const struct ticket *t = m->tickets.docs;
    const struct functionality *f = m->functionalities.docs;
    struct blocked *all = ARENA_ARRAY(a, struct blocked, m->tickets.count + m->functionalities.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < m->tickets.count; i++)
        if (*t[i].blocked)
            all[count++] = (struct blocked){ arena_printf(a, "T-%lld", (long long)t[i].number), t[i].blocked };
    for (size_t i = 0; i < m->functionalities.count; i++)
        if (*f[i].blocked)
            all[count++] = (struct blocked){ arena_printf(a, "F-%lld", (long long)f[i].number), f[i].blocked };
    if (*m->project.blocked)
        all[count++] = (struct blocked){ m->id, m->project.blocked };
    return (struct records){ all, count };
}

int summary_print_json(struct session *s, const char *project, const char *end, struct err *e)
{
    struct summary m;
    struct arena *a = &s->in->arena;
    int r = summary_look(s, project, &m, e);
    if (r < 0)
        return r;
    struct numbers n = {
        .end = end, .blocked = list_blocked(a, &m), .result = *m.project.source ? m.project.source : m.project.out, .branch = "DEV",
        .commit = m.project.handed_commit,
        .tickets = (int64_t)m.tickets.count, .tickets_done = (int64_t)m.sum.done,
        .criteria = (int64_t)m.sum.criteria, .criteria_proven = (int64_t)m.sum.proven,
        .tests = m.sum.tests, .tests_passed = m.sum.tests_passed, .failing_before = m.failing_before, .unprotected = m.work.unprotected,
        .lines = m.sum.lines, .lines_covered = m.sum.covered, .commits = (int64_t)m.commits,
        .prompt_tokens = m.cost.prompt_tokens, .cached_tokens = m.cost.cached_tokens, .completion_tokens = m.cost.completion_tokens,
        .wall_ms = m.work.wall_ms, .model_us = m.cost.model_us, .suite_us = m.cost.suite_us, .git_us = m.work.git_us,
        .own_us = m.work.own_us,
    };
    json_t *line = json_object();
    char time[32];
    clock_format(clock_wall_ms(), time);
    json_put_text(line, "time", time);
    json_put_text(line, "project", m.id);
    json_put_text(line, "ticket", "");
    json_put_text(line, "kind", "summary");
    json_put(line, "payload", record_write(&numbers_record, &n));
    STR_LOCAL(text);
    json_write(&text, json_keep(a, line));
    fprintf(s->in->out, "%s\n", text.data);
    return 0;
}
