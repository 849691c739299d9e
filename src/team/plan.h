/* plan.h - the Architect's plan: its shape, its judgement, and the documents it becomes. */
#ifndef TANDEM_PLAN_H
#define TANDEM_PLAN_H

#include "team/docs.h"
#include "team/spec.h"

struct arena;
struct batch;
struct err;

enum { PLAN_MAX_FUNCTIONALITIES = 40, PLAN_MAX_TICKETS = 200, PLAN_MAX_CRITERIA = 12 };

struct plan_functionality { const char *id, *title, *summary; };
struct plan_criterion { const char *text; int64_t clause; };
struct plan_ticket {
    const char *id, *functionality, *title, *description;
    int kind, severity;
    int64_t estimate_minutes;
    struct texts after;
    struct records criteria; /* struct plan_criterion */
};
struct plan {
    const char *stack;               /* "" when the person chose one */
    struct records functionalities;  /* struct plan_functionality */
    struct records tickets;          /* struct plan_ticket */
};
extern const struct record plan_record;

static inline struct plan_ticket *plan_ticket_at(const struct plan *p, size_t i)
{
    return (struct plan_ticket *)p->tickets.items + i;
}

/* The plan in the order in which it can be merged (dependencies first, else as given), as
 * documents in the batch: F-1.., T-1...  Branch names are made safe, and none is in `taken`,
 * which grows by them.  `stage` is where tickets begin. */
int plan_store(struct arena *a, const struct plan *p, const char *project, const char *stage, struct texts *taken,
               struct batch *b, struct err *e);

/* The plan for people, as text: functionalities, tickets, criteria with their clauses, and
 * which clauses no criterion names. */
const char *plan_text(struct arena *a, const struct plan *p, const struct clauses *clauses);

/* The plan as YAML for a person to edit, the clauses as comments below it. */
const char *plan_for_editing(struct arena *a, const struct plan *p, const struct clauses *clauses);

#endif
