/* step_review.c - the Architect looks at the real diff and the real results: of a ticket,
 * and of a whole functionality, which then goes into DEV.
 *
 * A comment becomes a criterion (a new red) or a refactoring; nothing is just noted down.
 */
#include "team/ask.h"
#include "team/attempt.h"
#include "team/commit.h"
#include "team/green.h"
#include "team/merge.h"
#include "team/prompt.h"
#include "team/render.h"
#include "team/ticket_base.h"

enum { MAX_DIFF = 24 * 1024, MAX_COMMENTS = 8 };

struct comment { int kind; const char *text; };
enum comment_kind { COMMENT_CRITERION, COMMENT_REFACTORING };
static const char *const comment_kinds[] = { "criterion", "refactoring", NULL };
static const struct field comment_fields[] = {
    FIELD(struct comment, kind, FIELD_ENUM, .choices = comment_kinds, .required = true),
    FIELD(struct comment, text, FIELD_TEXT, .one_line = true, .required = true, .max = 1000),
};
static const struct record comment_record = RECORD("comment", struct comment, comment_fields);

struct review { bool accept; struct records comments; };
static const struct field review_fields[] = {
    FIELD(struct review, accept, FIELD_BOOL, .required = true),
    FIELD(struct review, comments, FIELD_RECORDS, .of = &comment_record, .max = MAX_COMMENTS),
};
static const struct record review_record = RECORD("review", struct review, review_fields);

static const char *check_review(struct step *s, const void *value, void *ctx)
{
    (void)s, (void)ctx;
    const struct review *v = value;
    if (v->accept && v->comments.count)
        return "`accept` is true and there are comments; either accept, or say what must change";
    if (!v->accept && !v->comments.count)
        return "`accept` is false and there is no comment; say what must change";
    return "";
}

/* ---- asking ---- */

/* What earlier reviews asked for, so that it is looked at and not thought up anew. */
static const char *asked_before(struct arena *a, const struct texts *asked)
{
    STR_LOCAL(out);
    for (size_t i = 0; i < asked->count; i++)
        str_addf(&out, "%s%s", i ? "; " : "", asked->items[i]);
    return asked->count ? arena_printf(a, "An earlier review asked for this, see whether it is done: %s", out.data) : "";
}

static struct texts asked_now(struct step *s, const struct texts *before, const struct review *v)
{
    struct texts asked = { 0 }; /* a copy, so that the document's array is not grown in place */
    const struct comment *comments = v->comments.items;
    for (size_t i = 0; i < before->count; i++)
        texts_add(&asked, s->arena, before->items[i]);
    for (size_t i = 0; i < v->comments.count; i++)
        texts_add(&asked, s->arena, arena_printf(s->arena, "%s: %s", comment_kinds[comments[i].kind], comments[i].text));
    return asked;
}

/* Puts the request, a template with these values, to the Architect.  *ret_answered false: the
 * step is blocked, since no answer could be used. */
static int ask_review(struct step *s, const char *tree, const char *template, const struct prompt_value *values,
                      int64_t round, struct review *ret, bool *ret_answered, struct err *e)
{
    struct conversation_use *c;
    bool fresh;
    const char *text, *step_name = arena_printf(s->arena, "%s-%lld", s->stage->step, (long long)round);
    int r = conversation_open(s, ROLE_ARCHITECT, &c, e);
    /* A later review begins afresh: what it is about has changed, and the old diff is stale. */
    if (r == 0 && round > 1)
        conversation_restart(c);
    if (r == 0)
        r = attempt_conversation(s, ROLE_ARCHITECT, tree, &c, &fresh, e);
    if (r == 0)
        r = prompt_make(s->arena, template, s->site->overrides.dirs, values, &text, e);
    if (r < 0)
        return r;
    const char *hint = s->ticket_id ? s->ticket.hint : s->functionality.hint;
    if (*hint)
        text = arena_printf(s->arena, "%s\n\nA person adds: %s", text, hint);
    conversation_add(s, c, TURN_REQUEST, text);
    struct question q = { .role = ROLE_ARCHITECT, .conversation = c, .temperature = 0.2, .step = step_name };
    r = ask_json(s, &q, &review_record, ret, check_review, NULL, e);
    *ret_answered = r == 0;
    if (r != ERR_INVALID)
        return r;
    step_block(s, "no usable review: %s", e->text);
    return 0;
}

/* Whether what the review asks for comes once too often; the step is blocked then. */
static bool asked_too_often(struct step *s, int64_t rounds, const struct review *v)
{
    if (rounds <= s->team->options.limits.review_rounds)
        return false;
    step_block(s, "the review asked for changes %lld time%s (setting review_rounds); the last: %s", (long long)rounds, rounds == 1 ? "" : "s",
               ((const struct comment *)v->comments.items)[0].text);
    return true;
}

/* ---- a ticket ---- */

/* What the ticket's changes are compared with: its base, and what the functionality had when
 * it was integrated. */
static int ticket_from(struct step *s, struct oid *ret, struct err *e)
{
    struct oid from = oid_of(s->ticket.base), tip;
    const char *conflict;
    int r = repo_ref(s->site->repo, arena_printf(s->arena, "refs/heads/%s", s->functionality.branch), &tip, NULL);
    if (r == 0) {
        r = base_fold(s, &from, tip.hex, &conflict, e);
        if (r < 0)
            return r;
        if (*conflict)
            from = tip;
    }
    *ret = from;
    return 0;
}

static struct texts ticket_tests(struct step *s)
{
    struct texts ids = { 0 };
    for (size_t i = 0; i < s->ticket.criteria.count; i++) {
        const struct texts *tests = &ticket_criterion(&s->ticket, i)->tests;
        for (size_t k = 0; k < tests->count; k++)
            texts_add(&ids, s->arena, tests->items[k]);
    }
    return ids;
}

/* Tests of the criteria that were left out because they passed before there was code, and are
 * not among those that prove one now. */
static const char *list_left_out(struct step *s, const struct texts *own)
{
    STR_LOCAL(out);
    const struct set proving = set_of(s->arena, own);
    for (size_t i = 0; i < s->ticket.criteria.count; i++) {
        const struct criterion *c = ticket_criterion(&s->ticket, i);
        for (size_t k = 0; k < c->left_out.count && c->state != CRITERION_DROPPED; k++)
            if (!set_has(&proving, c->left_out.items[k]))
                str_addf(&out, "- %s (criterion %zu)\n", c->left_out.items[k], i + 1);
    }
    return out.len ? arena_printf(s->arena, "The Tester wrote these tests too and had to leave them out, since they passed before "
                                  "the code was there. Where no other test checks now what they did, ask for that as a criterion:\n%s",
                                  out.data) : "";
}

/* A file that the scope promised and nobody wrote is missed by no test: the reviewer is told. */
static int add_missing(struct step *s, const char *tree, const struct ticket *t, struct str *out, struct err *e)
{
    struct tree files;
    struct oid oid = oid_of(tree);
    int r = repo_tree(s->site->repo, s->arena, &oid, &files, e);
    for (size_t i = 0; r == 0 && i < t->scope.create.count; i++)
        if (!tree_find(&files, t->scope.create.items[i]))
            str_addf(out, "%s- planned but not there: %s", out->len ? "\n" : "", t->scope.create.items[i]);
    return r;
}

static int ask_about_ticket(struct step *s, const char *tree, struct review *ret, bool *ret_answered, struct err *e)
{
    STR_LOCAL(diff);
    struct oid base, head = oid_of(s->ticket.head);
    struct suite_run run = { .output = "" };
    struct run checked;
    int r = ticket_from(s, &base, e);
    if (r == 0)
        r = repo_diff(s->site->repo, &base, &head, MAX_DIFF, &diff, e);
    if (r == 0)
        r = store_get(s->team->store, s->arena, &run_type, s->ticket.checked, &checked, NULL, e);
    if (r == 0)
        r = stored_results(s->team->store, s->arena, &checked, &run.results, e);
    if (r < 0)
        return r;
    struct texts own = ticket_tests(s);
    STR_LOCAL(results);
    str_add(&results, render_results(s->arena, &run, &own));
    r = add_missing(s, tree, &s->ticket, &results, e);
    if (r < 0)
        return r;
    struct prompt_value values[] = {
        { "ticket", s->task.ticket }, { "results", results.data },
        { "asked", asked_before(s->arena, &s->ticket.asked) }, { "left_out", list_left_out(s, &own) },
        { "diff", render_output(s->arena, diff.data, MAX_DIFF + 256) },
        { "shape", record_shape(&review_record, s->arena) }, { NULL, NULL },
    };
    return ask_review(s, tree, "architect-review", values, s->ticket.review_rounds + 1, ret, ret_answered, e);
}

static void add_criterion(struct step *s, const char *text)
{
    struct ticket *t = &s->ticket;
    struct criterion *all = ARENA_ARRAY(s->arena, struct criterion, t->criteria.count + 1);
    if (t->criteria.count)
        memcpy(all, t->criteria.items, t->criteria.count * sizeof *all);
    all[t->criteria.count] = (struct criterion){ .text = text, .origin = "review", .objection = "" };
    t->criteria = (struct records){ all, t->criteria.count + 1 };
}

/* "a; b": what is to be refactored, as one request. */
static const char *join_refactorings(struct step *s, const struct review *v)
{
    STR_LOCAL(out);
    const struct comment *comments = v->comments.items;
    for (size_t i = 0; i < v->comments.count; i++)
        if (comments[i].kind == COMMENT_REFACTORING)
            str_addf(&out, "%s%s", out.len ? "; " : "", comments[i].text);
    return arena_strndup(s->arena, out.data, out.len);
}

int step_review(struct step *s, struct err *e)
{
    const char *tree;
    struct review v;
    bool answered;
    int r = tree_of(s, s->ticket.head, &tree, e);
    if (r == 0)
        r = ask_about_ticket(s, tree, &v, &answered, e);
    if (r < 0 || !answered)
        return r;
    s->ticket.review_rounds++;
    s->ticket_changed = true;
    if (v.accept) {
        step_event(s, "review.accepted", NULL);
        s->end = STEP_NEXT;
        return 0;
    }
    s->ticket.asked = asked_now(s, &s->ticket.asked, &v);
    step_event(s, "review.commented", record_write(&review_record, &v));
    if (asked_too_often(s, s->ticket.review_rounds, &v))
        return 0;
    const struct comment *comments = v.comments.items;
    bool criteria = false;
    for (size_t i = 0; i < v.comments.count; i++) {
        if (comments[i].kind == COMMENT_CRITERION) {
            add_criterion(s, comments[i].text);
            criteria = true;
        }
    }
    s->ticket.comment = join_refactorings(s, &v);
    s->ticket.column = COLUMN_INPROGRESS;
    s->end = STEP_GOTO;
    s->go = criteria ? playbook_first(&s->site->playbook, FOR_CRITERION)->name : "refactor";
    return 0;
}

/* ---- a functionality ---- */

static const char *list_tickets(struct step *s, const struct store_found *found)
{
    STR_LOCAL(out);
    const struct ticket *t = found->docs;
    for (size_t i = 0; i < found->count; i++) {
        if (t[i].functionality != s->functionality.number)
            continue;
        str_addf(&out, "T-%lld %s\n%s%s", (long long)t[i].number, t[i].title, render_criteria(s->arena, &t[i]),
                 t[i].criteria.count ? "\n" : "");
    }
    str_rtrim(&out);
    return arena_strndup(s->arena, out.data, out.len);
}

static int feature_head(struct step *s, struct oid *ret, struct err *e)
{
    return repo_ref(s->site->repo, arena_printf(s->arena, "refs/heads/%s", s->functionality.branch), ret, e);
}

/* What a functionality's changes are compared with: what its tickets build on elsewhere. */
static int functionality_from(struct step *s, const struct store_found *tickets, struct oid *ret, struct err *e)
{
    struct oid from = oid_of(s->project.base);
    const struct ticket *t = tickets->docs;
    for (size_t i = 0; i < tickets->count; i++) {
        for (size_t k = 0; t[i].functionality == s->functionality.number && k < t[i].after.count; k++) {
            long long number;
            if (!parse_int(t[i].after.items[k] + 2, 1, (long long)tickets->count, &number) ||
                t[number - 1].functionality == s->functionality.number)
                continue;
            struct oid before = from;
            const char *conflict;
            int r = base_fold(s, &from, t[number - 1].merged, &conflict, e);
            if (r < 0)
                return r;
            if (*conflict)
                from = before;
        }
    }
    *ret = from;
    return 0;
}

static int ask_about_functionality(struct step *s, const char *tree, const struct oid *head, const struct suite_run *run,
                                   struct review *ret, bool *ret_answered, struct err *e)
{
    STR_LOCAL(diff);
    struct store_found found = { 0 };
    struct oid base;
    int r = project_tickets(s->team->store, s->arena, s->project_id, &found, e);
    if (r == 0)
        r = functionality_from(s, &found, &base, e);
    if (r == 0)
        r = repo_diff(s->site->repo, &base, head, MAX_DIFF, &diff, e);
    STR_LOCAL(results);
    str_add(&results, render_results(s->arena, run, NULL));
    const struct ticket *t = found.docs;
    for (size_t i = 0; r == 0 && i < found.count; i++)
        if (t[i].functionality == s->functionality.number)
            r = add_missing(s, tree, &t[i], &results, e);
    if (r < 0)
        return r;
    struct prompt_value values[] = {
        { "title", s->functionality.title }, { "summary", s->functionality.summary },
        { "tickets", list_tickets(s, &found) }, { "asked", asked_before(s->arena, &s->functionality.asked) },
        { "results", results.data },
        { "diff", render_output(s->arena, diff.data, MAX_DIFF + 256) }, { "shape", record_shape(&review_record, s->arena) }, { NULL, NULL },
    };
    return ask_review(s, tree, "architect-functionality", values, s->functionality.review_rounds + 1, ret, ret_answered, e);
}

/* The comments of a functionality's review become one more ticket of it. */
static int add_ticket(struct step *s, const struct review *v, struct err *e)
{
    struct store_found found;
    struct texts taken;
    int r = project_tickets(s->team->store, s->arena, s->project_id, &found, e);
    if (r == 0)
        r = repo_branches_taken(s->site->repo, s->arena, &taken, e);
    if (r < 0)
        return r;
    const struct ticket *all = found.docs;
    struct ticket t = {
        .project = s->project_id, .number = all[found.count - 1].number + 1, .functionality = s->functionality.number,
        .title = arena_printf(s->arena, "Review of %s", s->functionality.title), .kind = TICKET_REFACTOR,
        .column = COLUMN_TODO, .severity = SEVERITY_MEDIUM, .description = join_refactorings(s, v), .blocked = "",
        .hint = "", .base = "", .head = "", .merged = "", .scope.how = "", .comment = "", .checked = "", .steps = 1,
    };
    t.branch = branch_free(s->arena, &taken, "ticket", arena_printf(s->arena, "T-%lld", (long long)t.number));
    for (size_t i = 0; i < found.count; i++)
        if (all[i].functionality == t.functionality)
            texts_add(&t.after, s->arena, arena_printf(s->arena, "T-%lld", (long long)all[i].number));
    const struct comment *comments = v->comments.items;
    struct criterion *criteria = ARENA_ARRAY(s->arena, struct criterion, v->comments.count);
    size_t n = 0;
    for (size_t i = 0; i < v->comments.count; i++) {
        if (comments[i].kind != COMMENT_CRITERION)
            continue;
        criteria[n++] = (struct criterion){ .text = comments[i].text, .origin = "review", .objection = "" };
        t.kind = TICKET_BEHAVIOUR;
    }
    t.criteria = (struct records){ criteria, n };
    if (t.kind == TICKET_BEHAVIOUR)
        t.comment = t.description; /* the refactoring is done after its criteria */
    const struct stage *first = playbook_first(&s->site->playbook, FOR_TICKET);
    t.stage = first->name;
    const char *thing = arena_printf(s->arena, "T-%lld", (long long)t.number);
    batch_insert(s->batch, &ticket_type, arena_printf(s->arena, "%s/%s", s->project_id, thing), &t);
    task_put(s->batch, s->arena, s->project_id, thing, 1, first, t.number + 1000000);
    return 0;
}

int step_appraise(struct step *s, struct err *e)
{
    struct oid head;
    struct suite_run run;
    struct green_judgement j;
    struct set must_pass = SET_IN(s->arena);
    struct review v;
    const char *tree, *run_id, *fault = "";
    bool answered;
    int r = feature_head(s, &head, e);
    if (r == 0)
        r = tree_of(s, head.hex, &tree, e);
    if (r == 0)
        r = functionality_must_pass(s, &must_pass, e);
    if (r == 0) {
        struct green_wish w = { arena_printf(s->arena, "appraise-%lld", (long long)s->functionality.review_rounds + 1), tree, { NULL, 0 }, must_pass.texts, SUITE_COVERAGE };
        r = green_on(s, &w, &run, &j, &run_id, &fault, e);
    }
    if (r < 0)
        return r;
    if (*fault) {
        step_block(s, "the suite is not green on %s: %s", s->functionality.branch, fault);
        return 0;
    }
    r = ask_about_functionality(s, tree, &head, &run, &v, &answered, e);
    if (r < 0 || !answered)
        return r;
    s->functionality.review_rounds++;
    s->functionality_changed = true;
    if (v.accept) {
        step_event(s, "functionality.accepted", NULL);
        s->end = STEP_NEXT;
        return 0;
    }
    s->functionality.asked = asked_now(s, &s->functionality.asked, &v);
    step_event(s, "functionality.commented", record_write(&review_record, &v));
    if (asked_too_often(s, s->functionality.review_rounds, &v))
        return 0;
    s->functionality.state = FUNCTIONALITY_OPEN;
    s->end = STEP_END;
    return add_ticket(s, &v, e);
}
