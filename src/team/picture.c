/* picture.c - which of the ready tasks may run. */
#include "team/picture.h"

#include "base/alloc.h"
#include "team/board.h"

#include <stdlib.h>

struct picture {
    const struct site *site;
    int64_t pairs;
    struct board board; /* by the last look, as is what follows */
    const struct ticket *tickets;
    size_t ticket_count;
    const bool *stuck; /* of each ticket: blocked, or waiting for one that is */
    const struct functionality *functionalities;
    size_t functionality_count;
    struct arena arena; /* of `stuck` */
};

struct picture *picture_new(struct store *s, const struct site *site, int64_t pairs)
{
    struct picture *p = xcalloc(1, sizeof *p);
    board_init(&p->board, s, site->id);
    p->site = site;
    p->pairs = pairs;
    return p;
}

void picture_free(struct picture *p)
{
    if (!p)
        return;
    board_release(&p->board);
    arena_release(&p->arena);
    free(p);
}

int picture_renew(struct picture *p, struct err *e)
{
    int r = board_look(&p->board, e);
    if (r < 0)
        return r;
    p->tickets = p->board.tickets.docs;
    p->ticket_count = p->board.tickets.count;
    p->functionalities = p->board.functionalities.docs;
    p->functionality_count = p->board.functionalities.count;
    arena_clear(&p->arena);
    p->stuck = tickets_stuck(&p->arena, p->tickets, p->ticket_count);
    return 0;
}

/* ---- what may run ---- */

static const struct ticket *ticket_by_name(const struct picture *p, const char *name)
{
    long long number;
    if (!starts_with(name, "T-") || !parse_int(name + 2, 1, INT32_MAX, &number))
        return NULL;
    for (size_t i = 0; i < p->ticket_count; i++)
        if (p->tickets[i].number == number)
            return &p->tickets[i];
    return NULL;
}

/* A pair is held from the ticket's start until it waits for its merge. */
static bool holds_pair(const struct picture *p, const struct ticket *t)
{
    if (t->column != COLUMN_INPROGRESS || *t->blocked)
        return false;
    const struct stage *stage = playbook_stage(&p->site->playbook, t->stage);
    return stage && !streq(stage->step, "integrate");
}

static bool may_start(const struct picture *p, const struct ticket *t)
{
    for (size_t i = 0; i < t->after.count; i++) {
        const struct ticket *dep = ticket_by_name(p, t->after.items[i]);
        if (!dep || dep->column != COLUMN_DONE)
            return false;
    }
    int64_t busy = 0;
    for (size_t i = 0; i < p->ticket_count; i++)
        busy += holds_pair(p, &p->tickets[i]);
    return busy < p->pairs;
}

/* Merges happen in plan order, so that parallel pairs see the same bytes every time. */
static bool may_integrate(const struct picture *p, const struct ticket *t)
{
    ARENA_LOCAL(a);
    return tickets_merged_before(&a, p->tickets, p->ticket_count, t).count == 0;
}

static bool waits_for_blocked(const struct picture *p, const struct functionality *f)
{
    if (*f->blocked)
        return true;
    for (size_t i = 0; i < p->ticket_count; i++)
        if (p->tickets[i].functionality == f->number && p->stuck[i])
            return true;
    return false;
}

/* One functionality after the other, in plan order: a review may add a ticket, whose number
 * must not depend on who was faster. */
static bool may_deliver(const struct picture *p, const char *name)
{
    long long number = 0;
    parse_int(name + 2, 1, INT32_MAX, &number);
    for (size_t i = 0; i < p->functionality_count; i++) {
        const struct functionality *f = &p->functionalities[i];
        if (f->number < number && f->state != FUNCTIONALITY_DONE && !waits_for_blocked(p, f))
            return false;
    }
    return true;
}

bool picture_may_run(const char *id, const struct task *task, void *ctx)
{
    (void)id;
    const struct picture *p = ctx;
    const struct stage *stage = playbook_stage(&p->site->playbook, task->stage);
    const struct ticket *t = ticket_by_name(p, task->ticket);
    if (!stage)
        return true; /* step_run says what is wrong */
    if (streq(stage->step, "start"))
        return t && may_start(p, t);
    if (streq(stage->step, "integrate"))
        return t && may_integrate(p, t);
    if (streq(stage->step, "appraise") || streq(stage->step, "deliver"))
        return may_deliver(p, task->ticket);
    return true;
}
