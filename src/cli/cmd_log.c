/* cmd_log.c - tandem log: what happened, from the log that cannot be changed. */
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/sentence.h"
#include "cli/tickets.h"

#include <unistd.h>

static const struct option options[] = {
    { .name = "project", .argument = "PROJECT", .doc = "only this project; with T-N, the one begun last without it" },
    { .name = "all", .letter = 'a', .doc = "also what only matters to the machinery (leases, stored answers)" },
    { .name = "follow", .letter = 'f', .doc = "go on printing what happens, until interrupted" },
    { .name = "json", .doc = "print the events as they are stored, one a line" },
    { 0 },
};

static void print_json(struct session *s, const struct event *ev)
{
    json_t *o = json_object();
    json_put_int(o, "seq", ev->seq);
    json_put_int(o, "time_ms", ev->time_ms);
    const struct { const char *key, *text; } rows[] = {
        { "project", ev->project }, { "ticket", ev->ticket }, { "actor", ev->actor }, { "on_behalf", ev->on_behalf },
        { "kind", ev->kind }, { "payload", ev->payload }, { "prev", ev->prev }, { "hash", ev->hash } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_put_text(o, rows[i].key, rows[i].text ? rows[i].text : "");
    STR_LOCAL(line);
    json_write(&line, o);
    json_decref(o);
    fprintf(s->in->out, "%s\n", line.data);
}

/* "Ann <ann@example.org>" is Ann. */
static const char *name_of_actor(struct arena *a, const char *actor)
{
    const char *address = strstr(actor, " <");
    return address ? arena_strndup(a, actor, (size_t)(address - actor)) : actor;
}

static void print_line(struct session *s, struct arena *a, const struct event *ev, bool many_projects)
{
    const char *sentence = event_sentence(s->store, a, ev, option_given(s->in, "all"));
    if (!sentence)
        return;
    char time[32];
    clock_format(ev->time_ms, time);
    fprintf(s->in->out, "%6lld  %.10s %.8s  %s%s%s%s%s\n", (long long)ev->seq, time, time + 11,
            many_projects && ev->project ? ev->project : "", many_projects && ev->project && *ev->project ? ": " : "",
            sentence, *ev->actor ? "  by " : "", name_of_actor(a, ev->actor));
}

/* Which events are wanted: of all projects (NULL), of one, or of one's ticket.  What is named is
 * there. */
static int read_wish(struct session *s, const char **ret_project, const char **ret_thing, struct err *e)
{
    const char *named = option_value(s->in, "project"), *thing = s->in->operands.count ? s->in->operands.items[0] : NULL;
    struct project p;
    if (!named && !thing)
        return 0;
    int r = session_project(s, named, ret_project, &p, e);
    if (r == 0 && thing)
        r = find_thing(s, *ret_project, thing, e);
    *ret_thing = thing;
    return r;
}

static int print_from(struct session *s, int64_t *seq, const char *project, const char *ticket, struct err *e)
{
    int64_t projects = 0;
    int r = project ? 0 : store_count(s->store, &project_type, NULL, &projects, e);
    if (r < 0)
        return r;
    bool many_projects = projects > 1;
    for (;;) {
        ARENA_LOCAL(a);
        struct event *events;
        size_t count;
        r = store_events(s->store, &a, *seq, project, ticket, NULL, 1000, &events, &count, e);
        if (r < 0)
            return r;
        for (size_t i = 0; i < count; i++) {
            *seq = events[i].seq;
            if (option_given(s->in, "json"))
                print_json(s, &events[i]);
            else
                print_line(s, &a, &events[i], many_projects);
        }
        if (count < 1000)
            return 0;
    }
}

static int print(struct session *s, struct err *e)
{
    struct invocation *in = s->in;
    int64_t seq = 0;
    const char *project = NULL, *ticket = NULL;
    int r = read_wish(s, &project, &ticket, e);
    if (r == 0)
        r = print_from(s, &seq, project, ticket, e);
    while (r == 0 && option_given(in, "follow") && fflush(in->out) == 0) {
        usleep(200000);
        r = print_from(s, &seq, project, ticket, e);
    }
    return r;
}

static int run(struct invocation *in, struct err *e)
{
    return session_with(in, session_look, print, e);
}

const struct command command_log = {
    .name = "log",
    .summary = "show what happened, by whom and when",
    .operands = "[T-N|F-N]",
    .max_operands = 1,
    .options = options,
    .description = "The log is hash-chained; tandem verify proves that it was not changed. Times are UTC.",
    .examples = "tandem log T-3\teverything about one ticket\n"
                "tandem log --follow --json\ta stream for machines",
    .run = run,
};
