/* step_integrate.c - a ticket takes in what its functionality has meanwhile, and is measured:
 * the whole suite and coverage on what will be merged.  Then its merge. */
#include "base/clock.h"
#include "team/attempt.h"
#include "team/commit.h"
#include "team/green.h"
#include "team/merge.h"
#include "team/red.h"
#include "team/render.h"

static const char *feature_ref(struct step *s)
{
    return arena_printf(s->arena, "refs/heads/%s", s->functionality.branch);
}

int feature_tip(struct step *s, const char **ret, struct err *e)
{
    struct oid tip;
    int r = repo_ref(s->site->repo, feature_ref(s), &tip, e);
    if (r == ERR_NOT_FOUND) {
        *ret = s->project.base;
        return 0;
    }
    if (r == 0)
        *ret = arena_strdup(s->arena, tip.hex);
    return r;
}

int integrate_must_pass(struct step *s, struct set *to, struct err *e)
{
    struct store_found found;
    struct texts own = ticket_must_pass(s);
    set_add_all(to, &own);
    int r = project_tickets(s->team->store, s->arena, s->project_id, &found, e);
    if (r < 0)
        return r;
    const struct ticket *tickets = found.docs;
    for (size_t i = 0; i < found.count; i++) {
        const struct ticket *t = &tickets[i];
        if (t->functionality != s->ticket.functionality || t->column != COLUMN_DONE)
            continue;
        for (size_t k = 0; k < t->criteria.count; k++)
            set_add_but(to, &ticket_criterion(t, k)->tests, &t->flaky);
    }
    return 0;
}

/* Coverage of the production files that this ticket's own commits changed. */
static void measure(struct step *s, const struct coverage *c)
{
    const struct set own = set_of(s->arena, &s->ticket.files);
    s->ticket.covered = s->ticket.lines = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (!set_has(&own, c->files[i].path) || stack_is_test(s->site->stack, c->files[i].path))
            continue;
        s->ticket.covered += c->files[i].covered;
        s->ticket.lines += c->files[i].lines;
    }
    s->ticket_changed = true;
}

/* Lines that no test executes go back to the Developer: minimal code has none.  Sets the
 * ticket's comment when coverage is short. */
static void check_coverage(struct step *s, const struct coverage *c)
{
    int64_t target = s->team->options.limits.coverage_target;
    if (target < 0)
        target = s->project.coverage_target;
    s->ticket.comment = "";
    if (!s->ticket.lines || s->ticket.covered * 100 >= target * s->ticket.lines)
        return;
    STR_LOCAL(text);
    str_addf(&text, "Only %lld %% of the lines are executed by a test; the target is %lld %%. Remove code that no test "
                    "needs, or make it part of code that is tested. Lines not executed:",
             (long long)(s->ticket.covered * 100 / s->ticket.lines), (long long)target);
    const struct set own = set_of(s->arena, &s->ticket.files);
    for (size_t i = 0; i < c->count; i++) {
        const struct coverage_file *f = &c->files[i];
        if (set_has(&own, f->path) && f->missing.count && !stack_is_test(s->site->stack, f->path))
            str_addf(&text, " %s: %s;", f->path, render_list(s->arena, &f->missing, ""));
    }
    s->ticket.comment = arena_strndup(s->arena, text.data, text.len);
    s->ticket.coverage_rounds++;
    s->ticket_changed = true;
}

/* Measured and green: to the review, unless coverage is short. */
static void leave(struct step *s)
{
    if (!*s->ticket.comment) {
        s->ticket.column = COLUMN_REVIEW;
        s->ticket_changed = true;
        step_event(s, "ticket.integrated", NULL);
        s->end = STEP_NEXT;
        return;
    }
    step_event(s, "coverage.short", NULL);
    s->end = STEP_GOTO;
    s->go = "refactor";
    if (s->ticket.coverage_rounds > 1)
        step_block(s, "%s `%s --hint \"...\"` asks the Developer again; with a lower coverage_target it goes on as it is",
                   s->ticket.comment, step_command(s, "retry"));
}

static int complete(struct step *s, struct err *e)
{
    const char *commit;
    int r = commit_make(s, &commit, e);
    if (r < 0)
        return r;
    s->ticket.head = commit;
    s->ticket_changed = true;
    leave(s);
    return 0;
}

/* The feature branch has nothing new: only the measurement is missing. */
static int measure_head(struct step *s, struct err *e)
{
    const char *tree, *run_id, *fault = "";
    struct suite_run run;
    struct green_judgement j;
    int r = tree_of(s, s->ticket.head, &tree, e);
    if (r == 0) {
        struct green_wish w = { "integrate", tree, { NULL, 0 }, ticket_must_pass(s), SUITE_COVERAGE };
        r = green_on(s, &w, &run, &j, &run_id, &fault, e);
    }
    if (r < 0)
        return r;
    if (*fault) {
        step_block(s, "the suite is not green on the finished ticket: %s", fault);
        return 0;
    }
    s->ticket.checked = run_id;
    measure(s, &run.coverage);
    check_coverage(s, &run.coverage);
    leave(s);
    return 0;
}

/* What the functionality has meanwhile comes into the ticket's branch, under the suite. */
static int take_in(struct step *s, const char *tip, struct err *e)
{
    struct set must_pass = SET_IN(s->arena);
    struct merge_made made;
    struct merge_wish w = {
        .ours = s->ticket.head, .theirs = tip, .ours_name = s->ticket.branch, .theirs_name = s->functionality.branch,
        .step_name = arena_printf(s->arena, "integrate-%lld", (long long)s->ticket.review_rounds + 1),
        .must_pass = &must_pass.texts, .hint = s->ticket.hint, .attempt = s->ticket.attempt,
    };
    int r = integrate_must_pass(s, &must_pass, e);
    if (r == 0)
        r = merge_attempt(s, &w, &made, e);
    if (r < 0)
        return r;
    s->ticket_changed = true;
    if (!*made.tree) {
        merge_failed(s, &s->ticket.attempt, &made, arena_printf(s->arena, "it cannot be merged with %s", s->functionality.branch));
        return 0;
    }
    s->ticket.checked = made.run_id;
    measure(s, &made.run.coverage);
    check_coverage(s, &made.run.coverage);
    struct commit_wish c = commit_on_ticket(s, made.tree);
    c.second_parent = tip;
    c.text = arena_printf(s->arena, "Merge %s into %s", s->functionality.branch, s->ticket.branch);
    c.event_kind = "merge.witnessed";
    c.payload = json_object();
    json_put_text(c.payload, "run", made.run_id);
    json_put_text(c.payload, "with", tip);
    r = commit_intend(s, &c, e);
    return r < 0 ? r : complete(s, e);
}

/* The tip of the functionality's branch, and whether the ticket has all of it. */
static int feature_contained(struct step *s, const char **ret_tip, bool *ret_contained, struct err *e)
{
    int r = feature_tip(s, ret_tip, e);
    if (r < 0)
        return r;
    struct oid tip = oid_of(*ret_tip), head = oid_of(s->ticket.head);
    return repo_is_ancestor(s->site->repo, &tip, &head, ret_contained, e);
}

int step_integrate(struct step *s, struct err *e)
{
    if (commit_pending(s))
        return complete(s, e);
    const char *tip;
    bool contained;
    int r = feature_contained(s, &tip, &contained, e);
    if (r < 0)
        return r;
    return contained ? measure_head(s, e) : take_in(s, tip, e);
}

/* ---- the merge into the functionality ---- */

/* The last ticket of a functionality starts its review. */
static int begin_appraisal(struct step *s, struct err *e)
{
    struct store_found found;
    int r = project_tickets(s->team->store, s->arena, s->project_id, &found, e);
    if (r < 0)
        return r;
    const struct ticket *tickets = found.docs;
    for (size_t i = 0; i < found.count; i++)
        if (tickets[i].functionality == s->ticket.functionality && tickets[i].number != s->ticket.number &&
            tickets[i].column != COLUMN_DONE)
            return 0;
    const struct stage *first = playbook_first(&s->site->playbook, FOR_FUNCTIONALITY);
    s->functionality.state = FUNCTIONALITY_REVIEW;
    s->functionality.stage = first ? first->name : "";
    s->functionality.steps++;
    s->functionality_changed = true;
    if (first)
        task_put(s->batch, s->arena, s->project_id, arena_printf(s->arena, "F-%lld", (long long)s->functionality.number),
                 s->functionality.steps, first, 100);
    return 0;
}

static int merged(struct step *s, struct err *e)
{
    const char *commit;
    int r = commit_make(s, &commit, e);
    if (r < 0)
        return r;
    s->ticket.merged = commit;
    s->ticket.column = COLUMN_DONE;
    s->ticket.finished_ms = clock_wall_ms();
    s->ticket_changed = true;
    step_event(s, "ticket.done", NULL);
    s->end = STEP_NEXT;
    return begin_appraisal(s, e);
}

int step_merge(struct step *s, struct err *e)
{
    if (commit_pending(s))
        return merged(s, e);
    const char *tip, *tree;
    struct oid existing;
    bool contained;
    int r = feature_contained(s, &tip, &contained, e);
    if (r < 0)
        return r;
    if (!contained) {
        /* The branch moved on since this ticket was integrated: once more. */
        s->end = STEP_GOTO;
        s->go = "integrate";
        return 0;
    }
    r = tree_of(s, s->ticket.head, &tree, e);
    if (r < 0)
        return r;
    bool exists = repo_ref(s->site->repo, feature_ref(s), &existing, NULL) == 0;
    json_t *payload = json_object();
    json_put_text(payload, "run", s->ticket.checked);
    struct commit_wish w = {
        .ref = feature_ref(s), .expected = exists ? tip : "", .tree = tree, .parent = tip, .second_parent = s->ticket.head,
        .verb = s->task.ticket, .text = *s->ticket.description ? arena_printf(s->arena, "%s\n%s", s->ticket.title, s->ticket.description)
                                                               : s->ticket.title,
        .event_kind = "ticket.merged", .payload = payload,
    };
    r = commit_intend(s, &w, e);
    return r < 0 ? r : merged(s, e);
}
