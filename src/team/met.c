/* met.c - evidence for tests that pass without new code.
 *
 * A test that has never been seen to fail proves nothing.  So the engine looks for a tree
 * on which it fails: the ticket's base, then mutants of the production files in scope.
 */
#include "team/met.h"

#include "team/ask.h"
#include "team/attempt.h"
#include "team/commit.h"
#include "team/evidence.h"
#include "team/mutate.h"
#include "team/prompt.h"
#include "team/render.h"
#include "team/suite.h"

enum { MAX_MUTANTS = 12, MAX_REWORDED = 2 };

struct met {
    struct step *s;
    size_t index;
    const char *head_tree, *tree;
    const struct red_judgement *red;
    struct texts changed; /* the answered test files */
};

/* Whether every test fails (an assertion, or an error where the base lacks the code). */
static bool all_fail(const struct suite_run *run, const struct texts *tests, bool errors_count)
{
    for (size_t i = 0; i < tests->count; i++) {
        const struct test_result *t = results_find(&run->results, tests->items[i]);
        if (t ? t->outcome == TEST_PASSED || t->outcome == TEST_SKIPPED || (t->outcome == TEST_ERROR && !errors_count)
              : !errors_count)
            return false;
    }
    return true;
}

static bool any_fails(const struct suite_run *run, const struct texts *tests)
{
    for (size_t i = 0; i < tests->count; i++) {
        const struct test_result *t = results_find(&run->results, tests->items[i]);
        if (t && t->outcome == TEST_FAILED)
            return true;
    }
    return false;
}

bool met_is_shown(const struct suite_run *run, const struct texts *tests, bool mutated)
{
    if (!suite_counts(run))
        return false;
    return mutated ? any_fails(run, tests) : all_fail(run, tests, run->broken.count > 0);
}

/* The ticket's base with the new tests put in. */
static int base_tree_with_tests(const struct met *m, const char **ret, struct err *e)
{
    struct step *s = m->s;
    const char *base_tree;
    int r = tree_of(s, s->ticket.base, &base_tree, e);
    if (r < 0)
        return r;
    struct tree_change *changes = ARENA_ARRAY(s->arena, struct tree_change, m->changed.count);
    struct oid from = oid_of(m->tree), base = oid_of(base_tree), result;
    for (size_t i = 0; i < m->changed.count; i++) {
        changes[i].path = m->changed.items[i];
        const char *bytes;
        r = repo_file(s->site->repo, s->arena, &from, changes[i].path, &bytes, &changes[i].len, e);
        if (r < 0)
            return r;
        changes[i].bytes = bytes;
    }
    r = repo_write_tree(s->site->repo, &base, changes, m->changed.count, &result, e);
    if (r == 0)
        *ret = arena_strdup(s->arena, result.hex);
    return r;
}

static int run_on(struct step *s, const char *step_name, const char *tree, struct suite_run *run, struct err *e)
{
    struct run *doc;
    const char *id;
    int r = suite_on(s, step_name, tree, 0, run, &doc, &id, e);
    if (r == 0)
        suite_store(s, id, doc, "looking for a tree on which the tests fail");
    return r;
}

static int try_base(const struct met *m, const char **ret_met_by, struct err *e)
{
    struct step *s = m->s;
    const char *tree = "";
    int r = base_tree_with_tests(m, &tree, e);
    if (r < 0 || streq(tree, m->tree))
        return r;
    struct suite_run run;
    r = run_on(s, arena_printf(s->arena, "met-%zu-base", m->index + 1), tree, &run, e);
    if (r == 0 && met_is_shown(&run, &m->red->tests, false))
        *ret_met_by = tree;
    return r;
}

static int production_files(const struct met *m, struct texts *ret, struct err *e)
{
    struct step *s = m->s;
    struct oid oid = oid_of(m->tree);
    struct tree all;
    int r = repo_tree(s->site->repo, s->arena, &oid, &all, e);
    if (r < 0)
        return r;
    const struct scope *scope = &s->ticket.scope;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < all.count; i++) {
            const char *path = all.files[i].path;
            bool in_scope = texts_has(&scope->change, path) || texts_has(&scope->create, path) || texts_has(&scope->read, path);
            if (in_scope == (pass == 0) && !all.files[i].symlink && !stack_is_test(s->site->stack, path) &&
                !stack_is_protected(s->site->stack, path) && !stack_is_build(s->site->stack, path))
                texts_add(ret, s->arena, path);
        }
    }
    return 0;
}

static int try_mutants(const struct met *m, const char **ret_met_by, const char **ret_mutation, struct err *e)
{
    struct step *s = m->s;
    struct texts files = { 0 };
    int r = production_files(m, &files, e);
    if (r < 0)
        return r;
    struct oid oid = oid_of(m->tree);
    size_t tried = 0;
    for (size_t nth = 0; nth < MAX_MUTANTS && tried < MAX_MUTANTS; nth++) {
        for (size_t i = 0; i < files.count && tried < MAX_MUTANTS; i++) {
            const char *bytes;
            size_t len;
            r = repo_file(s->site->repo, s->arena, &oid, files.items[i], &bytes, &len, e);
            if (r < 0)
                return r;
            const struct mutant *mutant = mutant_of(s->arena, bytes, len, nth);
            if (!mutant)
                continue;
            tried++;
            struct tree_change change = { .path = files.items[i], .bytes = mutant->bytes, .len = mutant->len };
            struct oid mutated;
            struct suite_run run;
            r = repo_write_tree(s->site->repo, &oid, &change, 1, &mutated, e);
            if (r == 0)
                r = run_on(s, arena_printf(s->arena, "met-%zu-mutant-%zu", m->index + 1, tried), mutated.hex, &run, e);
            if (r < 0)
                return r;
            if (met_is_shown(&run, &m->red->tests, true)) {
                *ret_met_by = arena_strdup(s->arena, mutated.hex);
                *ret_mutation = arena_printf(s->arena, "%s:%lld: %s", files.items[i], (long long)mutant->line, mutant->what);
                return 0;
            }
        }
    }
    return 0;
}

/* ---- the three ends ---- */

/* No branch holds the tree on which the tests failed; a ref of its own keeps it for verify. */
static int keep_tree(const struct met *m, const char *met_by, struct err *e)
{
    struct oid tree = oid_of(met_by);
    const char *ref = arena_printf(m->s->arena, "refs/tandem/met/%s/%zu", m->s->task.ticket, m->index + 1);
    return repo_ref_move(m->s->site->repo, ref, NULL, &tree, e);
}

/* Not a commit with an intent of its own: the tests go in with the criterion's close. */
static int close_as_met(const struct met *m, const char *met_by, const char *mutation, const char *run_id, struct err *e)
{
    struct step *s = m->s;
    struct criterion *c = ticket_criterion(&s->ticket, m->index);
    c->tests = m->red->tests;
    c->state = CRITERION_MET;
    s->ticket_changed = true;
    struct evidence ev = {
        .project = s->project_id, .ticket = s->task.ticket, .criterion = (int64_t)m->index + 1,
        .tests = m->red->tests, .red_tree = met_by, .red_commit = "", .red_run = "", .green_tree = m->tree,
        .green_commit = "", .green_run = run_id, .met_by = met_by, .mutation = mutation,
    };
    int r = evidence_put(s, m->index, &ev, e);
    if (r == 0)
        r = keep_tree(m, met_by, e);
    if (r < 0)
        return r;
    struct commit_wish w = commit_on_ticket(s, m->tree);
    w.verb = arena_printf(s->arena, "Already met %zu", m->index + 1);
    w.text = c->text;
    w.event_kind = "criterion.met";
    w.payload = json_object();
    json_put_int(w.payload, "criterion", (int64_t)m->index + 1);
    json_put(w.payload, "tests", texts_json(&ev.tests));
    json_put_text(w.payload, "failed_on", met_by);
    json_put_text(w.payload, "mutation", mutation);
    r = commit_intend(s, &w, e);
    return r < 0 ? r : met_complete(s, m->index, e);
}

int met_complete(struct step *s, size_t index, struct err *e)
{
    return commit_to_criterion(s, index, CRITERION_MET, "criterion.committed", e);
}

struct verdict { bool drop; const char *text; };
static const struct field verdict_fields[] = {
    FIELD(struct verdict, drop, FIELD_BOOL, .required = true, .doc = "it is met or makes no sense"),
    FIELD(struct verdict, text, FIELD_TEXT, .one_line = true, .max = 1000, .doc = "the criterion in better words"),
};
static const struct record verdict_record = RECORD("verdict", struct verdict, verdict_fields);

static const char *check_verdict(struct step *s, const void *value, void *ctx)
{
    (void)s, (void)ctx;
    const struct verdict *v = value;
    return v->drop || *v->text ? "" : "either `drop` is true or `text` holds the criterion in better words";
}

/* The Architect's conversation with the request: what is to become of the criterion. */
static int verdict_conversation(const struct met *m, const struct criterion *criterion, struct conversation_use **ret, struct err *e)
{
    struct step *s = m->s;
    bool fresh;
    const char *tests, *text;
    int r = attempt_conversation(s, ROLE_ARCHITECT, m->head_tree, ret, &fresh, e);
    if (r == 0)
        r = render_files(s, m->tree, &m->changed, &tests, e);
    if (r < 0)
        return r;
    struct prompt_value values[] = {
        { "number", arena_printf(s->arena, "%zu", m->index + 1) }, { "ticket", s->task.ticket },
        { "criterion", criterion->text }, { "tests", tests }, { "shape", record_shape(&verdict_record, s->arena) }, { NULL, NULL },
    };
    r = prompt_make(s->arena, "architect-criterion", s->site->overrides.dirs, values, &text, e);
    if (r == 0)
        conversation_add(s, *ret, TURN_REQUEST, text);
    return r;
}

static void apply_verdict(const struct met *m, struct criterion *criterion, const struct verdict *v, struct conversation_use *tester)
{
    struct step *s = m->s;
    json_t *payload = json_object();
    json_put_int(payload, "criterion", (int64_t)m->index + 1);
    json_put_text(payload, "old", criterion->text);
    s->ticket_changed = true;
    if (v->drop) {
        criterion->state = CRITERION_DROPPED;
        step_event(s, "criterion.dropped", payload);
        s->end = STEP_NEXT;
        return;
    }
    json_put_text(payload, "new", v->text);
    step_event(s, "criterion.reworded", payload);
    criterion->text = v->text;
    criterion->reworded++;
    ticket_fresh_stage(&s->ticket);
    s->ticket.passed_at_once = 0;
    conversation_add(s, tester, TURN_OBSERVATION, "The Architect has put the criterion into other words.");
    s->end = STEP_AGAIN;
}

static int ask_architect(const struct met *m, struct conversation_use *tester, struct err *e)
{
    struct step *s = m->s;
    struct criterion *criterion = ticket_criterion(&s->ticket, m->index);
    if (criterion->reworded >= MAX_REWORDED) {
        step_block(s, "criterion %zu was put into other words %d times, and its tests still pass without new code: %s",
                   m->index + 1, MAX_REWORDED, criterion->text);
        return 0;
    }
    struct verdict v;
    struct question q = { .role = ROLE_ARCHITECT, .step = arena_printf(s->arena, "reword-%zu", m->index + 1), .temperature = 0.2 };
    int r = verdict_conversation(m, criterion, &q.conversation, e);
    if (r < 0)
        return r;
    r = ask_json(s, &q, &verdict_record, &v, check_verdict, NULL, e);
    if (r == ERR_INVALID) {
        step_block(s, "the Architect could not decide about criterion %zu: %s", m->index + 1, e->text);
        return 0;
    }
    if (r == 0)
        apply_verdict(m, criterion, &v, tester);
    return r;
}

int met_decide(struct step *s, struct conversation_use *tester, size_t index, const char *head_tree,
               const char *tree, const struct red_judgement *j, const char *run_id, struct err *e)
{
    struct met m = { .s = s, .index = index, .head_tree = head_tree, .tree = tree, .red = j };
    struct oid from = oid_of(head_tree), to = oid_of(tree);
    const char *met_by = "", *mutation = "";
    int r = repo_changed(s->site->repo, s->arena, &from, &to, &m.changed, e);
    if (r == 0)
        r = try_base(&m, &met_by, e);
    if (r == 0 && !*met_by)
        r = try_mutants(&m, &met_by, &mutation, e);
    if (r < 0)
        return r;
    return *met_by ? close_as_met(&m, met_by, mutation, run_id, e) : ask_architect(&m, tester, e);
}
