/* cmd_status.c - tandem status: the projects of the home, or one of them ticket by ticket. */
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/tickets.h"

static const struct option options[] = {
    { .name = "json", .doc = "print documents as JSON" },
    { 0 },
};

/* A process at work renews its leases more often than this (setting lease_s). */
enum { SILENCE_MS = 120000 };

static void add_proof(struct str *out, struct session *s, const struct ticket *t, size_t columns)
{
    size_t used = bar_add(out, ticket_segments(&s->in->arena, t), t->criteria.count, session_inks(s), s->term.unicode);
    str_addf(out, "%*s", (int)(used < columns ? columns - used : 0), "");
}

/* Whether a sitting could do anything without a person's help first. */
static bool can_go_on(struct arena *a, const struct project *p, const struct store_found *tickets, const struct store_found *functionalities)
{
    const struct ticket *t = tickets->docs;
    const struct functionality *f = functionalities->docs;
    const bool *stuck = tickets_stuck(a, t, tickets->count);
    if (*p->blocked || !tickets->count)
        return !*p->blocked;
    for (size_t i = 0; i < tickets->count; i++)
        if (t[i].column != COLUMN_DONE && !stuck[i])
            return true;
    for (size_t i = 0; i < functionalities->count; i++) {
        bool waits = f[i].state == FUNCTIONALITY_DONE || *f[i].blocked;
        for (size_t k = 0; k < tickets->count && !waits; k++)
            waits = t[k].functionality == f[i].number && t[k].column != COLUMN_DONE;
        if (!waits)
            return true;
    }
    return false;
}

/* What the person can do about a project that nobody is at work on. */
static void print_next(struct session *s, const char *id, const struct project *p, bool goes_on)
{
    FILE *out = s->in->out;
    if (p->state == PROJECT_SPEC_APPROVAL || p->state == PROJECT_PLAN_APPROVAL)
        fprintf(out, "  the %s waits for your approval: tandem resume %s shows it, tandem resume %s --yes accepts it\n",
                p->state == PROJECT_SPEC_APPROVAL ? "specification" : "plan", id, id);
    else if (*p->blocked)
        fprintf(out, "  %s starts it again\n", project_command(&s->in->arena, "retry", id, ""));
    else if (goes_on)
        fprintf(out, "  nobody is at work on it; tandem resume %s goes on\n", id);
    else
        fprintf(out, "  nobody is at work on it, and all that is left waits for what is blocked\n");
}

static void print_blocked(struct session *s, const char *id, int indent, const char *thing, const char *why)
{
    fprintf(s->in->out, "%*s%s\n%*s%s --hint \"...\" starts it again\n", indent, "", why, indent, "",
            project_command(&s->in->arena, "retry", id, thing));
}

static void print_functionality(struct session *s, const char *id, const struct functionality *f, const struct ticket *t, size_t count,
                                size_t columns)
{
    FILE *out = s->in->out;
    struct arena *a = &s->in->arena;
    fprintf(out, "\nF-%lld %s%s\n", (long long)f->number, f->title, f->state == FUNCTIONALITY_DONE ? " (in DEV)" : "");
    if (*f->blocked)
        print_blocked(s, id, 2, arena_printf(a, "F-%lld", (long long)f->number), arena_printf(a, "blocked: %s", f->blocked));
    for (size_t k = 0; k < count; k++) {
        if (t[k].functionality != f->number)
            continue;
        STR_LOCAL(proof);
        add_proof(&proof, s, &t[k], columns);
        fprintf(out, "  T-%-3lld %s  %s  %s\n", (long long)t[k].number, proof.data, t[k].title, ticket_standing(a, t, count, k));
        if (*t[k].blocked)
            print_blocked(s, id, 8, arena_printf(a, "T-%lld", (long long)t[k].number), t[k].blocked);
    }
}

static int one_project(struct session *s, const char *id, const struct project *p, struct err *e)
{
    struct store_found tickets, functionalities;
    struct project_work work;
    int r = project_tickets(s->store, &s->in->arena, id, &tickets, e);
    if (r == 0)
        r = project_functionalities(s->store, &s->in->arena, id, &functionalities, e);
    if (r == 0)
        r = project_work(s->store, id, &work, e);
    if (r < 0)
        return r;
    FILE *out = s->in->out;
    fprintf(out, "%s (%s): %s\n", p->name, id, project_state_names[p->state]);
    if (*p->blocked)
        fprintf(out, "  blocked: %s\n", p->blocked);
    if (work.unprotected)
        fprintf(out, "  NO SANDBOX: its code ran unprotected on this machine (tandem log --project %s says when)\n", id);
    bool at_work = work.is_open && clock_wall_ms() - work.last_ms < SILENCE_MS;
    if (p->state != PROJECT_DONE && !at_work)
        print_next(s, id, p, can_go_on(&s->in->arena, p, &tickets, &functionalities));
    const struct ticket *t = tickets.docs;
    size_t columns = 0;
    for (size_t k = 0; k < tickets.count; k++)
        columns = bar_columns(t[k].criteria.count) > columns ? bar_columns(t[k].criteria.count) : columns;
    for (size_t i = 0; i < functionalities.count; i++)
        print_functionality(s, id, (const struct functionality *)functionalities.docs + i, t, tickets.count, columns);
    return 0;
}

static int as_json(struct session *s, const char *const *ids, const struct project *projects, size_t count, struct err *e)
{
    json_t *list = json_array();
    json_keep(&s->in->arena, list);
    for (size_t i = 0; i < count; i++) {
        struct store_found tickets, functionalities;
        int r = project_tickets(s->store, &s->in->arena, ids[i], &tickets, e);
        if (r == 0)
            r = project_functionalities(s->store, &s->in->arena, ids[i], &functionalities, e);
        if (r < 0)
            return r;
        json_t *o = record_write(project_type.record, &projects[i]), *ts = json_array(), *fs = json_array();
        json_object_del(o, "heard"); /* of no use to anybody outside */
        json_put_text(o, "id", ids[i]);
        for (size_t k = 0; k < tickets.count; k++)
            json_array_append_new(ts, record_write(ticket_type.record, (struct ticket *)tickets.docs + k));
        for (size_t k = 0; k < functionalities.count; k++)
            json_array_append_new(fs, record_write(functionality_type.record, (struct functionality *)functionalities.docs + k));
        json_put(o, "tickets", ts);
        json_put(o, "functionalities", fs);
        json_array_append_new(list, o);
    }
    STR_LOCAL(text);
    json_write(&text, list);
    fprintf(s->in->out, "%s\n", text.data);
    return 0;
}

static int show(struct session *s, struct err *e)
{
    struct invocation *in = s->in;
    if (in->operands.count) {
        const char *id;
        struct project p;
        int r = session_project(s, in->operands.items[0], &id, &p, e);
        if (r < 0)
            return r;
        return option_given(in, "json") ? as_json(s, &id, &p, 1, e) : one_project(s, id, &p, e);
    }
    struct store_found found;
    int r = store_find(s->store, &in->arena, &project_type, NULL, &found, e);
    if (r < 0)
        return r;
    const struct project *p = found.docs;
    if (option_given(in, "json"))
        return as_json(s, found.ids, p, found.count, e);
    if (!found.count)
        fprintf(in->out, "There is no project in %s yet; tandem run begins one.\n", s->home);
    for (size_t i = 0; i < found.count && r == 0; i++) {
        fprintf(in->out, "%s", i ? "\n\n" : "");
        r = one_project(s, found.ids[i], &p[i], e);
    }
    return r;
}

static int run(struct invocation *in, struct err *e)
{
    return session_with(in, session_look, show, e);
}

const struct command command_status = {
    .name = "status",
    .summary = "show the projects, their tickets and how far each is proven",
    .operands = "[PROJECT]",
    .max_operands = 1,
    .options = options,
    .description = "Each ticket shows one segment for each criterion: open, red witnessed, green proven. May be used "
                   "while the team works.",
    .run = run,
};
