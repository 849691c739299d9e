/* cmd_model_log.c - tandem model log: every call of a model, and what they come to. */
#include "cli/models.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/calls.h"
#include "cli/live.h"
#include "cli/output.h"
#include "cli/text.h"

enum { SHOWN = 20, MAX_SHOWN = 1000000, OUTCOME_COLUMNS = 50 };

static const struct option options[] = {
    { .name = "model", .letter = 'm', .argument = "MODEL", .doc = "only what this model answered" },
    { .name = "role", .argument = "ROLE", .doc = "only calls for this role" },
    { .name = "since", .argument = "TIME", .doc = "only what is younger than 90m, 12h or 7d" },
    { .name = "limit", .letter = 'n', .argument = "N", .doc = "list so many, the newest (20); the sums are over all" },
    { .name = "json", .doc = "print the calls as JSON, one a line, and the sums as the last" },
    { 0 },
};

/* "90m", "12h", "7d". */
static int read_since(const char *text, int64_t *ret_ms, struct err *e)
{
    static const struct { char unit; int64_t ms; } units[] = { { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 } };
    size_t len = strlen(text);
    char number[12];
    long long n;
    snprintf(number, sizeof number, "%.*s", len ? (int)len - 1 : 0, text);
    for (size_t i = 0; len && len < sizeof number && i < sizeof units / sizeof *units; i++) {
        if (units[i].unit != text[len - 1] || !parse_int(number, 1, 100000, &n))
            continue;
        *ret_ms = clock_wall_ms() - n * units[i].ms;
        return 0;
    }
    return err_set(e, ERR_USAGE, "--since is \"%.40s\"; allowed: a number of minutes, hours or days, as 90m, 12h or 7d", text);
}

static int read_wish(struct session *s, struct calls_wish *w, size_t *ret_limit, struct err *e)
{
    long long limit = SHOWN;
    const char *since = option_value(s->in, "since"), *wanted = option_value(s->in, "limit");
    *w = (struct calls_wish){ option_value(s->in, "model"), option_value(s->in, "role"), 0 };
    if (wanted && !parse_int(wanted, 0, MAX_SHOWN, &limit))
        return err_set(e, ERR_USAGE, "--limit is \"%.40s\"; allowed: 0 to %d", wanted, MAX_SHOWN);
    *ret_limit = (size_t)limit;
    return since ? read_since(since, &w->since_ms, e) : 0;
}

/* ---- for programs ---- */

static void print_object(struct session *s, json_t *o)
{
    STR_LOCAL(text);
    json_write(&text, json_keep(&s->in->arena, o));
    fprintf(s->in->out, "%s\n", text.data);
}

static json_t *describe_sum(const struct calls_sum *m)
{
    json_t *o = json_object();
    const struct { const char *name; int64_t value; } rows[] = {
        { "calls", m->calls }, { "satisfied", m->satisfied }, { "refused", m->refused }, { "failed", m->failed }, { "escalated", m->escalated },
        { "prompt_tokens", m->prompt_tokens }, { "cached_tokens", m->cached_tokens }, { "completion_tokens", m->completion_tokens },
        { "hit_percent", hit_percent(m->cached_tokens, m->told_tokens) }, { "total_us", m->total_us }, { "queue_us", m->queue_us },
        { "first_token_us", m->first_token_us } };
    json_put_text(o, "role", m->role);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_put_int(o, rows[i].name, rows[i].value);
    return o;
}

static void print_json(struct session *s, const struct calls *c, size_t first, const struct calls_sum *sums, size_t sum_count)
{
    for (size_t i = first; i < c->count; i++)
        print_object(s, record_write(&call_record, &c->items[i]));
    json_t *o = json_object(), *list = json_array();
    for (size_t i = 0; i < sum_count; i++)
        json_array_append_new(list, describe_sum(&sums[i]));
    json_put(o, "sums", list);
    print_object(s, o);
}

/* ---- for people ---- */

static const char *seconds(struct arena *a, int64_t us)
{
    return us < 0 ? "-" : arena_printf(a, "%.2f s", (double)us / 1e6);
}

static const char *tokens(struct arena *a, int64_t n)
{
    STR_LOCAL(text);
    if (n < 0)
        return "?";
    live_count(n, &text);
    return arena_strdup(a, text.data);
}

static const char *percent(struct arena *a, int64_t n)
{
    return n < 0 ? "?" : arena_printf(a, "%lld %%", (long long)n);
}

static const char *who(struct arena *a, const struct call *c)
{
    const char *version = c->version > 1 ? arena_printf(a, " v%lld", (long long)c->version) : "";
    return *c->model ? arena_printf(a, "%s%s%s", c->model, version, c->escalation ? " (escalated)" : "") : "-";
}

static const char *outcome(struct session *s, const char *text)
{
    STR_LOCAL(out);
    text_fit(&out, text, strlen(text), OUTCOME_COLUMNS, term_ellipsis(s->term.unicode));
    return arena_strdup(&s->in->arena, out.data);
}

static void print_calls(struct session *s, const struct calls *c, size_t first)
{
    enum { COLUMNS = 11 };
    struct arena *a = &s->in->arena;
    size_t rows = c->count - first;
    const char **cells = ARENA_ARRAY(a, const char *, (rows + 1) * COLUMNS);
    const char *head[COLUMNS] = { "WHEN (UTC)", "ROLE", "MODEL", "FOR", "IN", "CACHED", "OUT", "QUEUE", "FIRST", "WHOLE", "OUTCOME" };
    memcpy(cells, head, sizeof head);
    for (size_t i = 0; i < rows; i++) {
        const struct call *m = &c->items[first + i];
        char time[32];
        clock_format(m->time_ms, time);
        const char *row[COLUMNS] = {
            arena_printf(a, "%.10s %.8s", time, time + 11), *m->role ? m->role : "-", who(a, m), m->about, tokens(a, m->prompt_tokens),
            tokens(a, m->cached_tokens), tokens(a, m->completion_tokens), seconds(a, m->queue_us), seconds(a, m->first_token_us),
            seconds(a, m->total_us), outcome(s, m->outcome) };
        memcpy(cells + (i + 1) * COLUMNS, row, sizeof row);
    }
    if (rows)
        output_table(s->in->out, cells, COLUMNS, rows + 1);
}

static void print_sums(struct session *s, const struct calls_sum *sums, size_t count)
{
    enum { COLUMNS = 12 };
    struct arena *a = &s->in->arena;
    const char **cells = ARENA_ARRAY(a, const char *, (count + 1) * COLUMNS);
    const char *head[COLUMNS] = { "ROLE", "CALLS", "SATISFIED", "REFUSED", "FAILED", "ESCALATED", "IN", "OUT", "CACHE HITS", "QUEUE", "FIRST", "WHOLE" };
    memcpy(cells, head, sizeof head);
    for (size_t i = 0; i < count; i++) {
        const struct calls_sum *m = &sums[i];
        const char *row[COLUMNS] = {
            m->role, tokens(a, m->calls), tokens(a, m->satisfied), tokens(a, m->refused), tokens(a, m->failed), tokens(a, m->escalated),
            tokens(a, m->prompt_tokens), tokens(a, m->completion_tokens), percent(a, hit_percent(m->cached_tokens, m->told_tokens)),
            seconds(a, m->queue_us / m->calls), seconds(a, m->first_tokens ? m->first_token_us / m->first_tokens : -1),
            seconds(a, m->total_us / m->calls) };
        memcpy(cells + (i + 1) * COLUMNS, row, sizeof row);
    }
    fprintf(s->in->out, "\nTogether; times are those of an average call, and CACHE HITS the share of the tokens in that the server had read already:\n");
    output_table(s->in->out, cells, COLUMNS, count + 1);
}

static int log_calls(struct session *s, struct err *e)
{
    struct calls_wish w;
    struct calls c;
    struct calls_sum *sums;
    size_t limit = 0;
    int r = read_wish(s, &w, &limit, e);
    if (r == 0)
        r = calls_read(s->store, &s->in->arena, &w, &c, e);
    if (r < 0)
        return r;
    size_t count = calls_sum(&s->in->arena, &c, &sums), first = c.count > limit ? c.count - limit : 0;
    if (option_given(s->in, "json")) {
        print_json(s, &c, first, sums, count);
    } else if (!c.count) {
        fprintf(s->in->out, "No such call is in the log.\n");
    } else {
        print_calls(s, &c, first);
        print_sums(s, sums, count);
    }
    return 0;
}

static int run(struct invocation *in, struct err *e)
{
    return session_with(in, session_look, log_calls, e);
}

const struct command action_log = {
    .name = "model log", .summary = "show the calls of models: who, how long, what was reused, what became of it",
    .operands = "", .options = options,
    .description = "Calls of the team, of other programs (tandem serve) and by hand. The outcome of a team's call is \"satisfied\", or why its "
                   "answer was not good enough; nobody judges the answers to others. A question mark: the server does not tell.",
    .examples = "tandem model log --role developer --since 12h\twhat the Developer asked today\n"
                "tandem model log --limit 0\tthe sums alone",
    .run = run,
};
