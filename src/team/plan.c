/* plan.c - checks a plan as a graph, and numbers it.
 *
 * Ids in a plan are the model's ("core", "T1"); documents get ours, in an order in which
 * every ticket comes after what it builds on (Kahn's algorithm, keeping the given order
 * among those that are free).
 */
#include "team/plan.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "base/yaml.h"
#include "repo/git.h"
#include "store/store.h"
#include "team/judge.h"

enum { CLAUSE_SHOWN = 80 }; /* bytes of a clause that no criterion names */

static const struct field plan_functionality_fields[] = {
    FIELD(struct plan_functionality, id, FIELD_TEXT, .required = true, .max = 40),
    FIELD(struct plan_functionality, title, FIELD_TEXT, .one_line = true, .required = true, .max = 100),
    FIELD(struct plan_functionality, summary, FIELD_TEXT, .max = 1000),
};
static const struct record plan_functionality_record =
    RECORD("functionality", struct plan_functionality, plan_functionality_fields);

static const struct field plan_criterion_fields[] = {
    FIELD(struct plan_criterion, clause, FIELD_INT, .required = true, .min = 1, .max = SPEC_MAX_CLAUSES),
    FIELD(struct plan_criterion, text, FIELD_TEXT, .one_line = true, .required = true, .max = 1000),
};
static const struct record plan_criterion_record =
    RECORD("criterion", struct plan_criterion, plan_criterion_fields);

static const struct field plan_ticket_fields[] = {
    FIELD(struct plan_ticket, id, FIELD_TEXT, .required = true, .max = 40),
    FIELD(struct plan_ticket, functionality, FIELD_TEXT, .required = true, .max = 40),
    FIELD(struct plan_ticket, title, FIELD_TEXT, .one_line = true, .required = true, .max = 120),
    FIELD(struct plan_ticket, description, FIELD_TEXT, .max = 4000),
    FIELD(struct plan_ticket, kind, FIELD_ENUM, .choices = ticket_kind_names),
    FIELD(struct plan_ticket, severity, FIELD_ENUM, .choices = severity_names, .absent = SEVERITY_MEDIUM, .quiet = true),
    FIELD(struct plan_ticket, estimate_minutes, FIELD_INT, .max = 10000, .quiet = true),
    FIELD(struct plan_ticket, after, FIELD_TEXTS, .max = 40),
    FIELD(struct plan_ticket, criteria, FIELD_RECORDS, .of = &plan_criterion_record,
          .max = PLAN_MAX_CRITERIA),
};
static const struct record plan_ticket_record = RECORD("ticket", struct plan_ticket, plan_ticket_fields);

static const struct field plan_fields[] = {
    FIELD(struct plan, stack, FIELD_TEXT, .max = 40), /* the first: left out of the shape when it is known */
    FIELD(struct plan, functionalities, FIELD_RECORDS, .of = &plan_functionality_record,
          .required = true, .min = 1, .max = PLAN_MAX_FUNCTIONALITIES),
    FIELD(struct plan, tickets, FIELD_RECORDS, .of = &plan_ticket_record, .required = true,
          .min = 1, .max = PLAN_MAX_TICKETS),
};
const struct record plan_record = RECORD("plan", struct plan, plan_fields);

static struct plan_functionality *functionality_at(const struct plan *p, size_t i)
{
    return (struct plan_functionality *)p->functionalities.items + i;
}

static size_t ticket_index(const struct plan *p, const char *id)
{
    size_t i = 0;
    while (i < p->tickets.count && !streq(plan_ticket_at(p, i)->id, id))
        i++;
    return i;
}

static size_t functionality_index(const struct plan *p, const char *id)
{
    size_t i = 0;
    while (i < p->functionalities.count && !streq(functionality_at(p, i)->id, id))
        i++;
    return i;
}

/* Merge order into `order`; false when there is a cycle, and *stuck is in it or behind it. */
static bool plan_order(struct arena *a, const struct plan *p, size_t *order, size_t *stuck)
{
    size_t n = p->tickets.count, done = 0;
    bool *placed = ARENA_ARRAY(a, bool, n);
    while (done < n) {
        size_t next = n;
        for (size_t i = 0; i < n && next == n; i++) {
            if (placed[i])
                continue;
            bool free = true;
            const struct texts *after = &plan_ticket_at(p, i)->after;
            for (size_t k = 0; k < after->count && free; k++) {
                size_t d = ticket_index(p, after->items[k]);
                free = d < n && placed[d];
            }
            if (free)
                next = i;
            else
                *stuck = i;
        }
        if (next == n)
            return false;
        placed[next] = true;
        order[done++] = next;
    }
    return true;
}

/* ---- the judgement ---- */

static const char *check_ticket(struct arena *a, const struct plan *p, size_t i, const struct clauses *clauses)
{
    const struct plan_ticket *t = plan_ticket_at(p, i);
    if (ticket_index(p, t->id) != i)
        return arena_printf(a, "the ticket id \"%s\" is used twice; every ticket needs its own", t->id);
    if (functionality_index(p, t->functionality) == p->functionalities.count)
        return arena_printf(a, "ticket \"%s\" belongs to the functionality \"%s\", which the plan does not have",
                            t->id, t->functionality);
    for (size_t k = 0; k < t->after.count; k++) {
        if (streq(t->after.items[k], t->id))
            return arena_printf(a, "ticket \"%s\" depends on itself", t->id);
        if (ticket_index(p, t->after.items[k]) == p->tickets.count)
            return arena_printf(a, "ticket \"%s\" comes after \"%s\", which the plan does not have", t->id,
                                t->after.items[k]);
    }
    if (t->kind == TICKET_BEHAVIOUR && !t->criteria.count)
        return arena_printf(a, "ticket \"%s\" has no criteria; give it at least one, or another kind if it changes no behaviour",
                            t->id);
    const struct plan_criterion *c = t->criteria.items;
    for (size_t k = 0; k < t->criteria.count; k++)
        if ((size_t)c[k].clause > clauses->count)
            return arena_printf(a, "ticket \"%s\" names clause %lld; the specification has clauses 1 to %zu", t->id,
                                (long long)c[k].clause, clauses->count);
    return "";
}

const char *architect_is_satisfactory(struct arena *a, const struct plan *p, const struct clauses *clauses)
{
    for (size_t i = 0; i < p->tickets.count; i++) {
        const char *fault = check_ticket(a, p, i, clauses);
        if (*fault)
            return fault;
    }
    for (size_t i = 0; i < p->functionalities.count; i++) {
        const char *id = functionality_at(p, i)->id;
        if (functionality_index(p, id) != i)
            return arena_printf(a, "the functionality id \"%s\" is used twice", id);
        size_t tickets = 0;
        for (size_t k = 0; k < p->tickets.count; k++)
            tickets += streq(plan_ticket_at(p, k)->functionality, id);
        if (!tickets)
            return arena_printf(a, "the functionality \"%s\" has no ticket", id);
    }
    size_t stuck = 0;
    if (!plan_order(a, p, ARENA_ARRAY(a, size_t, p->tickets.count), &stuck))
        return arena_printf(a, "the dependencies form a cycle that ticket \"%s\" is part of or waits for",
                            plan_ticket_at(p, stuck)->id);
    return "";
}

/* ---- documents ---- */

static void store_functionalities(struct arena *a, const struct plan *p, const char *project, struct texts *taken,
                                  struct batch *b)
{
    for (size_t i = 0; i < p->functionalities.count; i++) {
        const struct plan_functionality *pf = functionality_at(p, i);
        struct functionality f = {
            .project = project, .number = (int64_t)i + 1, .title = pf->title, .summary = pf->summary,
            .branch = branch_free(a, taken, "feature", branch_safe(a, pf->title)), .blocked = "", .merged = "", .stage = "", .hint = "",
        };
        batch_insert(b, &functionality_type, arena_printf(a, "%s/F-%zu", project, i + 1), &f);
    }
}

static void store_ticket(struct arena *a, const struct plan *p, const char *project, const char *stage,
                         const size_t *number_of, size_t i, struct texts *taken, struct batch *b)
{
    const struct plan_ticket *pt = plan_ticket_at(p, i);
    struct ticket t = {
        .project = project, .number = (int64_t)number_of[i] + 1,
        .functionality = (int64_t)functionality_index(p, pt->functionality) + 1,
        .title = pt->title, .description = pt->description, .kind = pt->kind, .column = COLUMN_BACKLOG,
        .severity = pt->severity, .estimate_minutes = pt->estimate_minutes,
        .blocked = "", .hint = "", .branch = branch_free(a, taken, "ticket", arena_printf(a, "T-%zu", number_of[i] + 1)),
        .base = "", .head = "", .merged = "", .scope.how = "", .stage = stage, .comment = "",
        .checked = "", .steps = 1,
    };
    for (size_t k = 0; k < pt->after.count; k++)
        texts_add(&t.after, a, arena_printf(a, "T-%zu", number_of[ticket_index(p, pt->after.items[k])] + 1));
    struct criterion *criteria = ARENA_ARRAY(a, struct criterion, pt->criteria.count);
    const struct plan_criterion *pc = pt->criteria.items;
    for (size_t k = 0; k < pt->criteria.count; k++)
        criteria[k] = (struct criterion){ .text = pc[k].text, .clause = pc[k].clause, .origin = "plan", .objection = "" };
    t.criteria = (struct records){ criteria, pt->criteria.count };
    batch_insert(b, &ticket_type, arena_printf(a, "%s/T-%zu", project, number_of[i] + 1), &t);
}

int plan_store(struct arena *a, const struct plan *p, const char *project, const char *stage, struct texts *taken,
               struct batch *b, struct err *e)
{
    size_t n = p->tickets.count, stuck = 0;
    size_t *order = ARENA_ARRAY(a, size_t, n), *number_of = ARENA_ARRAY(a, size_t, n);
    if (!plan_order(a, p, order, &stuck))
        return err_set(e, ERR_INVALID, "the plan's dependencies form a cycle");
    for (size_t i = 0; i < n; i++)
        number_of[order[i]] = i;
    store_functionalities(a, p, project, taken, b);
    for (size_t i = 0; i < n; i++)
        store_ticket(a, p, project, stage, number_of, order[i], taken, b);
    return 0;
}

/* What a clause is recognised by: its first line, shortened. */
static const char *first_words(struct arena *a, const char *text)
{
    size_t line = strcspn(text, "\n"), len = line > CLAUSE_SHOWN ? utf8_floor(text, CLAUSE_SHOWN) : line;
    return arena_printf(a, "%.*s%s", (int)len, text, text[len] ? "..." : "");
}

/* What the numbers at the criteria mean, and which are at none. */
static void add_clauses(struct arena *a, struct str *out, const struct plan *p, const struct clauses *clauses)
{
    bool *covered = ARENA_ARRAY(a, bool, clauses->count);
    for (size_t i = 0; i < p->tickets.count; i++) {
        const struct records *criteria = &plan_ticket_at(p, i)->criteria;
        for (size_t k = 0; k < criteria->count; k++) {
            int64_t clause = ((const struct plan_criterion *)criteria->items)[k].clause;
            if (clause >= 1 && (size_t)clause <= clauses->count)
                covered[clause - 1] = true;
        }
    }
    static const char *const titles[] = { "Clauses of the specification:\n", "\nClauses that no criterion names:\n" };
    for (int uncovered = 0; uncovered < 2; uncovered++) {
        const char *title = titles[uncovered];
        for (size_t i = 0; i < clauses->count; i++) {
            if (covered[i] != !uncovered)
                continue;
            str_addf(out, "%s  [%zu] %s\n", title, i + 1, first_words(a, clauses->items[i].text));
            title = "";
        }
    }
}

const char *plan_text(struct arena *a, const struct plan *p, const struct clauses *clauses)
{
    STR_LOCAL(out);
    if (*p->stack)
        str_addf(&out, "Stack: %s\n\n", p->stack);
    for (size_t i = 0; i < p->functionalities.count; i++) {
        const struct plan_functionality *f = functionality_at(p, i);
        str_addf(&out, "%s  %s\n", f->id, f->title);
        if (*f->summary)
            str_addf(&out, "     %s\n", f->summary);
        for (size_t k = 0; k < p->tickets.count; k++) {
            const struct plan_ticket *t = plan_ticket_at(p, k);
            if (!streq(t->functionality, f->id))
                continue;
            str_addf(&out, "  %s  %s", t->id, t->title);
            if (t->kind != TICKET_BEHAVIOUR)
                str_addf(&out, " (%s)", ticket_kind_names[t->kind]);
            for (size_t d = 0; d < t->after.count; d++)
                str_addf(&out, "%s%s", d ? ", " : "  after ", t->after.items[d]);
            str_add_char(&out, '\n');
            if (*t->description)
                str_addf(&out, "       %s\n", t->description);
            const struct plan_criterion *c = t->criteria.items;
            for (size_t d = 0; d < t->criteria.count; d++)
                str_addf(&out, "        [%lld] %s\n", (long long)c[d].clause, c[d].text);
        }
        str_add_char(&out, '\n');
    }
    add_clauses(a, &out, p, clauses);
    str_rtrim(&out);
    return arena_strndup(a, out.data, out.len);
}

static void add_comment(struct str *out, size_t number, const char *text)
{
    str_addf(out, "# [%zu] ", number);
    for (; *text; text++) {
        str_add_char(out, *text);
        if (*text == '\n')
            str_add(out, "#     ");
    }
    str_add_char(out, '\n');
}

const char *plan_for_editing(struct arena *a, const struct plan *p, const struct clauses *clauses)
{
    STR_LOCAL(out);
    yaml_write(&out, json_keep(a, record_write(&plan_record, p)));
    str_add(&out, "\n# The clauses of the specification:\n");
    for (size_t i = 0; i < clauses->count; i++)
        add_comment(&out, i + 1, clauses->items[i].text);
    return arena_strdup(a, out.data);
}
