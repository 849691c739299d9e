/* proof_claim.c - what the evidence of a ticket claims, and whether a test run bears it out.
 *
 * Documents and commits are compared here; claims about how tests end are gathered first and
 * judged when their tree has been run, because many claims name the same tree.
 */
#include "team/met.h"
#include "team/proof.h"
#include "team/red.h"
#include "team/suite.h"

void claim_add(struct proof *p, const struct claim *c)
{
    ARENA_GROW(p->arena, p->claims, p->claim_cap, p->claim_count);
    p->claims[p->claim_count++] = *c;
}

static bool same_texts(const struct texts *a, const struct texts *b)
{
    ARENA_LOCAL(scratch);
    struct set one = set_of(&scratch, a), other = set_of(&scratch, b);
    size_t both = 0;
    for (size_t i = 0; i < one.texts.count; i++)
        both += set_has(&other, one.texts.items[i]);
    return both == one.texts.count && both == other.texts.count;
}

static const char *join(struct arena *a, const struct texts *t)
{
    return t->count ? texts_join(t, a, ", ", 5) : "none";
}

/* ---- one criterion's documents and commits ---- */

struct looked {
    struct proof *p;
    const struct ticket *ticket;
    const char *about;          /* "T-3" */
    size_t index;               /* of the criterion */
    const struct evidence *ev;
    const struct texts *branch; /* commits of the ticket's branch, newest first */
};

#define FAULT(l, ...) proof_fault((l)->p, (l)->about, (int64_t)(l)->index + 1, __VA_ARGS__)

static int position(const struct texts *t, const char *item)
{
    for (size_t i = 0; i < t->count; i++)
        if (streq(t->items[i], item))
            return (int)i;
    return -1;
}

static bool on_branch(struct looked *l, const char *name, const char *commit)
{
    if (position(l->branch, commit) >= 0)
        return true;
    FAULT(l, "the %s commit %.12s is not on the branch %s any more", name, commit, l->ticket->branch);
    return false;
}

static void check_run(struct looked *l, const char *name, const char *run_id, const char *tree)
{
    struct run run;
    struct err e;
    if (store_get(l->p->team->store, l->p->arena, &run_type, run_id, &run, NULL, &e) < 0)
        FAULT(l, "the run %s, in which %s was seen, cannot be read: %s", run_id, name, e.text);
    else if (!streq(run.prompt, tree))
        FAULT(l, "the run %s was on the tree %.12s, not on the %s tree %.12s", run_id, run.prompt, name, tree);
}

/* Names and numbers that the event behind a commit states as well. */
static void check_payload(struct looked *l, const struct witness *w, bool with_reason)
{
    const json_t *tests = json_object_get(w->payload, "tests");
    struct texts witnessed = { 0 };
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)tests, i, item)
        texts_add(&witnessed, l->p->arena, json_string_value(item) ? json_string_value(item) : "");
    if (json_int_of(w->payload, "criterion", 0) != (int64_t)l->index + 1)
        FAULT(l, "event %lld witnessed criterion %lld", (long long)w->seq, (long long)json_int_of(w->payload, "criterion", 0));
    if (tests && !same_texts(&witnessed, &l->ev->tests))
        FAULT(l, "its evidence names the tests %s, but event %lld witnessed %s", join(l->p->arena, &l->ev->tests), (long long)w->seq,
              join(l->p->arena, &witnessed));
    if (with_reason && !streq(json_text_of(w->payload, "reason", ""), red_reason_names[l->ev->reason]))
        FAULT(l, "its evidence says that the tests failed by %s, but event %lld witnessed %s", red_reason_names[l->ev->reason],
              (long long)w->seq, json_text_of(w->payload, "reason", ""));
}

/* Tests that were there are there still: `from` and `to` are the trees before and after new ones came. */
static void check_additions(struct looked *l, const char *name, const char *commit, const char *from, const char *to)
{
    struct step s = { .team = l->p->team, .site = l->p->site, .arena = l->p->arena, .project_id = l->p->id };
    const char *fault;
    struct err e;
    if (red_adds_only(&s, from, to, &fault, &e) < 0)
        FAULT(l, "the trees %.12s and %.12s cannot be compared: %s", from, to, e.text);
    else if (*fault)
        FAULT(l, "the %s commit %.12s does more than add tests: %s", name, commit, fault);
}

/* Paths between two trees that are tests, or are not. */
static struct texts changed_files(struct looked *l, const char *from, const char *to, bool tests)
{
    struct texts all = { 0 }, some = { 0 };
    struct oid a = oid_of(from), b = oid_of(to);
    struct err e;
    if (repo_changed(l->p->site->repo, l->p->arena, &a, &b, &all, &e) < 0)
        FAULT(l, "the trees %.12s and %.12s cannot be compared: %s", from, to, e.text);
    for (size_t i = 0; i < all.count; i++)
        if (stack_is_test(l->p->site->stack, all.items[i]) == tests)
            texts_add(&some, l->p->arena, all.items[i]);
    return some;
}

static void claim(struct looked *l, int kind, const char *what, const char *tree, const char *before)
{
    claim_add(l->p, &(struct claim){ .kind = kind, .what = what, .about = l->about, .criterion = (int64_t)l->index + 1,
                                     .tree = tree, .ticket = l->ticket, .evidence = l->ev, .before = before,
                                     .tests = l->ev->tests });
}

static void look_at_red(struct looked *l)
{
    struct proof *p = l->p;
    const struct evidence *ev = l->ev;
    struct commit_info info, parent;
    const struct witness *w;
    struct commit_known k = { l->about, (int64_t)l->index + 1, "red", ev->red_commit, ev->red_tree, "red.witnessed" };
    if (!commit_holds(p, &k, &info, &w))
        return;
    if (w)
        check_payload(l, w, true);
    on_branch(l, "red", ev->red_commit);
    check_run(l, "red", ev->red_run, ev->red_tree);
    struct err e;
    if (repo_commit_info(p->site->repo, p->arena, &info.parents[0], &parent, &e) < 0) {
        FAULT(l, "the commit before the red commit %.12s cannot be read: %s", ev->red_commit, e.text);
        return;
    }
    const char *before = arena_strdup(p->arena, parent.tree.hex), *tree = arena_strdup(p->arena, info.tree.hex);
    struct texts production = changed_files(l, before, tree, false);
    if (production.count)
        FAULT(l, "the red commit %.12s changes files that are not tests: %s", ev->red_commit, join(p->arena, &production));
    check_additions(l, "red", ev->red_commit, before, tree);
    claim(l, CLAIM_RED, arena_printf(p->arena, "the red commit %.12s", ev->red_commit), tree, before);
}

static void look_at_green(struct looked *l)
{
    struct proof *p = l->p;
    const struct evidence *ev = l->ev;
    struct commit_info info;
    const struct witness *w;
    struct commit_known k = { l->about, (int64_t)l->index + 1, "green", ev->green_commit, ev->green_tree, "green.witnessed" };
    if (!commit_holds(p, &k, &info, &w))
        return;
    if (w && !streq(json_text_of(w->payload, "red", ""), ev->red_commit))
        FAULT(l, "event %lld witnessed green after the red commit %.12s, not after %.12s", (long long)w->seq,
              json_text_of(w->payload, "red", ""), ev->red_commit);
    if (w)
        check_payload(l, w, false);
    if (on_branch(l, "green", ev->green_commit) && position(l->branch, ev->red_commit) <= position(l->branch, ev->green_commit))
        FAULT(l, "the green commit %.12s does not come after the red commit %.12s", ev->green_commit, ev->red_commit);
    check_run(l, "green", ev->green_run, ev->green_tree);
    const char *tree = arena_strdup(p->arena, info.tree.hex);
    struct texts tests = changed_files(l, ev->red_tree, tree, true);
    if (tests.count)
        FAULT(l, "tests were changed between red and green: %s", join(p->arena, &tests));
    claim(l, CLAIM_GREEN, arena_printf(p->arena, "the green commit %.12s", ev->green_commit), tree, NULL);
}

/* Where the tests fail is the same tree but for production code. */
static void look_at_met(struct looked *l)
{
    struct proof *p = l->p;
    const struct evidence *ev = l->ev;
    struct commit_info info, parent;
    const struct witness *w;
    struct commit_known k = { l->about, (int64_t)l->index + 1, "tests'", ev->green_commit, ev->green_tree, "criterion.met" };
    if (!commit_holds(p, &k, &info, &w))
        return;
    if (w && !streq(json_text_of(w->payload, "failed_on", ""), ev->met_by))
        FAULT(l, "event %lld saw the tests fail on the tree %.12s, not on %.12s", (long long)w->seq,
              json_text_of(w->payload, "failed_on", ""), ev->met_by);
    if (w)
        check_payload(l, w, false);
    on_branch(l, "tests'", ev->green_commit);
    check_run(l, "the tests passing at once", ev->green_run, ev->green_tree);
    const char *tree = arena_strdup(p->arena, info.tree.hex);
    if (repo_commit_info(p->site->repo, p->arena, &info.parents[0], &parent, NULL) == 0) {
        check_additions(l, "tests'", ev->green_commit, parent.tree.hex, tree);
        struct texts added = changed_files(l, parent.tree.hex, tree, true), changed = changed_files(l, ev->met_by, tree, true);
        const struct set differ = set_of(p->arena, &changed);
        for (size_t i = 0; i < added.count; i++)
            if (set_has(&differ, added.items[i]))
                FAULT(l, "the tree %.12s, on which its tests failed, has another %s", ev->met_by, added.items[i]);
    }
    claim(l, CLAIM_GREEN, arena_printf(p->arena, "the tests' commit %.12s", ev->green_commit), tree, NULL);
    const char *where = *ev->mutation ? arena_printf(p->arena, "the mutant (%s)", ev->mutation) : "the ticket's base";
    claim(l, CLAIM_UNMET, where, ev->met_by, NULL);
}

static void look_at_criterion(struct looked *l)
{
    struct proof *p = l->p;
    const struct criterion *c = ticket_criterion(l->ticket, l->index);
    if (c->state == CRITERION_OPEN || c->state == CRITERION_DROPPED)
        return;
    struct evidence *ev = ARENA_NEW(p->arena, struct evidence);
    struct err e;
    const char *id = arena_printf(p->arena, "%s/%s/%zu", p->id, l->about, l->index + 1);
    p->count->criteria++;
    if (store_get(p->team->store, p->arena, &evidence_type, id, ev, NULL, &e) < 0) {
        FAULT(l, "it is %s, but its evidence cannot be read: %s", criterion_state_names[c->state], e.text);
        return;
    }
    l->ev = ev;
    if (!streq(ev->project, p->id) || !streq(ev->ticket, l->about) || ev->criterion != (int64_t)l->index + 1)
        FAULT(l, "its evidence says that it is of %s/%s, criterion %lld", ev->project, ev->ticket, (long long)ev->criterion);
    if (!same_texts(&c->tests, &ev->tests))
        FAULT(l, "its evidence names the tests %s, the ticket %s", join(p->arena, &ev->tests), join(p->arena, &c->tests));
    if (c->state == CRITERION_MET) {
        if (*ev->green_commit)
            look_at_met(l); /* otherwise its commit is being made */
        return;
    }
    if (!*ev->red_commit)
        FAULT(l, "it is %s, but its evidence has no red commit", criterion_state_names[c->state]);
    else
        look_at_red(l);
    if (c->state == CRITERION_GREEN && !*ev->green_commit)
        FAULT(l, "it is green, but its evidence has no green commit");
    else if (c->state == CRITERION_GREEN)
        look_at_green(l);
}

/* ---- one ticket ---- */

void ticket_tests(const struct ticket *t, struct set *to)
{
    bool any = false;
    if (texts_has(&t->baseline, STACK_BUILD_ID))
        set_add(to, STACK_BUILD_ID);
    for (size_t i = 0; i < t->criteria.count; i++) {
        const struct criterion *c = ticket_criterion(t, i);
        if (!criterion_proven(c) || !c->tests.count)
            continue;
        any = true;
        set_add_but(to, &c->tests, &t->flaky);
    }
    if (!any)
        set_add_but(to, &t->baseline, &t->flaky);
}

/* A red that was taken back: the tree is again what it was before. */
static void look_at_taken_back(struct proof *p, const char *about, const struct witness *w)
{
    const char *red = json_text_of(w->payload, "red", "");
    int64_t criterion = json_int_of(w->payload, "criterion", 0);
    struct oid oid = oid_of(red);
    struct commit_info info, parent;
    struct err e;
    int r = repo_commit_info(p->site->repo, p->arena, &oid, &info, &e);
    if (r == 0)
        r = repo_commit_info(p->site->repo, p->arena, &info.parents[0], &parent, &e);
    if (r < 0)
        proof_fault(p, about, criterion, "the red commit %.12s, which event %lld took back, cannot be read: %s", red, (long long)w->seq,
                    e.text);
    else if (!streq(parent.tree.hex, w->tree))
        proof_fault(p, about, criterion, "event %lld took back the red commit %.12s to the tree %.12s, not to %.12s before it",
                    (long long)w->seq, red, w->tree, parent.tree.hex);
}

/* Its merge is on its functionality's branch and brought in what its own branch holds. */
static void look_at_merge(struct proof *p, const struct ticket *t, const char *about, const struct texts *branch,
                          const struct texts *feature)
{
    struct oid oid = oid_of(t->merged);
    struct commit_info info;
    struct err e;
    if (!*t->merged) {
        proof_fault(p, about, 0, "it is done, but was not merged");
        return;
    }
    if (position(feature, t->merged) < 0)
        proof_fault(p, about, 0, "its merge %.12s is not on the branch of its functionality any more", t->merged);
    if (repo_commit_info(p->site->repo, p->arena, &oid, &info, &e) < 0)
        return; /* then it is not on the branch */
    if (position(branch, info.parents[1].hex) < 0)
        proof_fault(p, about, 0, "its merge %.12s brought in %.12s, which is not on the branch %s", t->merged, info.parents[1].hex,
                    t->branch);
}

void ticket_prove(struct proof *p, const struct ticket *t, const struct texts *feature)
{
    const char *about = arena_printf(p->arena, "T-%lld", (long long)t->number);
    if (!*t->head)
        return; /* it has not begun */
    p->count->tickets++;
    base_prove(p, t, about);
    struct texts branch = branch_walk(p, about, t->branch, t->base);
    if (!streq(t->head, t->base) && position(&branch, t->head) < 0)
        proof_fault(p, about, 0, "its last commit %.12s is not on the branch %s any more", t->head, t->branch);
    for (size_t i = 0; i < t->criteria.count; i++) {
        struct looked l = { .p = p, .ticket = t, .about = about, .index = i, .branch = &branch };
        look_at_criterion(&l);
    }
    for (size_t i = 0; i < p->witnesses.count; i++)
        if (streq(p->witnesses.items[i].kind, "red.taken-back") && streq(p->witnesses.items[i].ticket, about))
            look_at_taken_back(p, about, &p->witnesses.items[i]);
    if (t->column == COLUMN_DONE)
        look_at_merge(p, t, about, &branch, feature);
}

/* ---- judging a run ---- */

/* The ticket as it was when its criterion was worked on: those after it had no evidence. */
static struct ticket ticket_then(struct arena *a, const struct claim *c)
{
    struct ticket t = *c->ticket;
    struct criterion *criteria = ARENA_ARRAY(a, struct criterion, t.criteria.count);
    memcpy(criteria, t.criteria.items, t.criteria.count * sizeof *criteria);
    for (size_t i = (size_t)c->criterion - 1; i < t.criteria.count; i++)
        criteria[i].state = CRITERION_OPEN;
    t.criteria.items = criteria;
    return t;
}

static const char *compare_red(struct arena *a, const struct claim *c, const struct red_judgement *j)
{
    const struct evidence *ev = c->evidence;
    if (!same_texts(&j->tests, &ev->tests))
        return arena_printf(a, "the tests that fail on %s are %s, not %s", c->what, join(a, &j->tests), join(a, &ev->tests));
    if (j->reason != ev->reason)
        return arena_printf(a, "the tests fail on %s by %s, not by %s", c->what, red_reason_names[j->reason],
                            red_reason_names[ev->reason]);
    if (!same_texts(&j->absent, &ev->absent))
        return arena_printf(a, "the tests fail on %s because %s is absent, not %s", c->what, join(a, &j->absent),
                            join(a, &ev->absent));
    return "";
}

static const char *judge_red(struct proof *p, const struct claim *c, const struct suite_run *run, struct step *s)
{
    struct texts changed;
    struct oid before = oid_of(c->before), tree = oid_of(c->tree);
    struct err e;
    struct red_judgement j;
    const char *fault;
    int r = repo_changed(p->site->repo, s->arena, &before, &tree, &changed, &e);
    if (r == 0) {
        struct answer_files files = { .files = ARENA_ARRAY(s->arena, struct answer_file, changed.count), .count = changed.count };
        for (size_t i = 0; i < changed.count; i++)
            files.files[i].path = changed.items[i];
        r = red_judge(s, c->before, c->tree, &files, run, &j, &fault, &e);
    }
    if (r < 0)
        return arena_printf(s->arena, "%s cannot be judged: %s", c->what, e.text);
    if (*fault)
        return arena_printf(s->arena, "%s is not red any more: %s", c->what, fault);
    return compare_red(s->arena, c, &j);
}

const char *claim_judge(struct proof *p, const struct claim *c, const struct suite_run *run, struct arena *a)
{
    struct texts none = { NULL, 0 }, must_pass = none;
    struct step s = { .team = p->team, .site = p->site, .arena = a, .project_id = p->id };
    struct suite_run tolerated = *run;
    if (c->evidence) {
        s.ticket = ticket_then(a, c);
        suite_tolerate(a, &tolerated, &s.ticket.rewritten);
    } else {
        for (size_t i = 0; i < p->tickets.count; i++)
            suite_tolerate(a, &tolerated, &proof_ticket(p, i)->rewritten);
    }
    run = &tolerated;
    if (c->kind == CLAIM_UNMET) {
        if (met_is_shown(run, &c->tests, *c->evidence->mutation))
            return "";
        return arena_printf(a, "its tests do not fail on %s, tree %.12s%s%s", c->what, c->tree, run->completed ? "" : ": ",
                            run->trouble);
    }
    if (c->kind == CLAIM_RED)
        return judge_red(p, c, run, &s);
    if (c->kind == CLAIM_GREEN)
        must_pass = ticket_must_pass(&s);
    struct green_question q = { .run = run, .tests = &c->tests, .must_pass = &must_pass };
    struct green_judgement j;
    const char *fault = developer_is_satisfactory(a, &q, &j);
    return *fault ? arena_printf(a, "%s is not green any more: %s", c->what, fault) : "";
}
