/* step_start.c - a ticket begins: its base, its branch, what passes before it, its scope. */
#include "base/clock.h"
#include "base/set.h"
#include "team/ask.h"
#include "team/attempt.h"
#include "team/prompt.h"
#include "team/render.h"
#include "team/suite.h"
#include "team/ticket_base.h"
#include "team/tree_limit.h"

int ticket_note_files(struct step *s, const char *parent, const char *commit, struct err *e)
{
    struct oid from = oid_of(parent), to = oid_of(commit);
    struct texts changed;
    int r = repo_changed(s->site->repo, s->arena, &from, &to, &changed, e);
    if (r < 0)
        return r;
    struct set all = set_of(s->arena, &s->ticket.files);
    set_add_all(&all, &changed);
    s->ticket.files = all.texts;
    s->ticket_changed = true;
    return 0;
}

/* A person is told at once, by the first ticket, that what does not pass later is not our doing. */
static void tell_failing(struct step *s)
{
    enum { MOST = 5 };
    const struct texts *failing = &s->ticket.failing;
    if (s->ticket.number != 1 || !failing->count)
        return;
    json_t *payload = json_object();
    json_put(payload, "tests", texts_json(failing));
    json_put_text(payload, "why", texts_join(failing, s->arena, ", ", MOST));
    batch_event(s->batch, &(struct event){ .project = s->project_id, .actor = role_names[ROLE_ENGINE], .kind = "repository.failing",
                                           .on_behalf = s->task_id, .payload_json = json_keep(s->arena, payload) });
}

/* What passes before the ticket's work begins.  *ret_ready false: it cannot begin, and the step is
 * blocked. */
static int take_baseline(struct step *s, const struct oid *base, bool *ret_ready, struct err *e)
{
    struct suite_run run;
    struct run *doc;
    const char *tree, *run_id;
    *ret_ready = false;
    int r = tree_within(s->site->repo, base, &s->team->options.limits, e);
    if (r == ERR_LIMIT) {
        step_block(s, "what it builds on cannot be worked on: %s", e->text);
        return 0;
    }
    if (r == 0)
        r = tree_of(s, s->ticket.base, &tree, e);
    if (r == 0)
        r = suite_on(s, "baseline", tree, 0, &run, &doc, &run_id, e);
    if (r < 0)
        return r;
    suite_store(s, run_id, doc, run.completed ? "baseline" : "failed");
    if (!run.completed) {
        step_block(s, "the tests cannot be run on its base: %s", run.trouble);
        return 0;
    }
    s->ticket.baseline = suite_passed(s->arena, &run);
    s->ticket.failing = suite_failed(s->arena, &run);
    s->ticket.rewritten = run.modified;
    *ret_ready = true;
    return 0;
}

int step_start(struct step *s, struct err *e)
{
    struct oid base;
    const struct ticket *other;
    bool ready;
    int r = base_find(s, &base, &other, e);
    if (r < 0)
        return r;
    if (other)
        return base_merge(s, &base, other, e);
    s->ticket.base = s->ticket.head = arena_strdup(s->arena, base.hex);
    r = take_baseline(s, &base, &ready, e);
    if (r == 0 && ready)
        r = repo_ref_move(s->site->repo, arena_printf(s->arena, "refs/heads/%s", s->ticket.branch), NULL, &base, e);
    if (r < 0 || !ready)
        return r;
    s->ticket.column = COLUMN_INPROGRESS;
    s->ticket.started_ms = clock_wall_ms();
    s->ticket_changed = true;
    tell_failing(s);
    json_t *payload = json_object();
    json_put_text(payload, "base", base.hex);
    json_put_int(payload, "passing", (int64_t)s->ticket.baseline.count - texts_has(&s->ticket.baseline, STACK_BUILD_ID));
    step_event(s, "ticket.started", payload);
    s->end = STEP_NEXT;
    return 0;
}

/* ---- scope ---- */

struct scope_check {
    struct tree tree;
};

static bool in_tree(const struct scope_check *check, struct arena *a, const char *path)
{
    const char *colon = strrchr(path, ':');
    if (colon)
        path = arena_strndup(a, path, (size_t)(colon - path));
    return tree_find(&check->tree, path) != NULL;
}

/* Why a path cannot be in `create`, "" when it can. */
static const char *new_file_fault(struct step *s, const struct scope_check *check, const char *path)
{
    struct err e;
    if (path_check(path, &e) < 0)
        return arena_strdup(s->arena, e.text);
    if (tree_find(&check->tree, path))
        return arena_printf(s->arena, "%s exists already; it belongs into `change`", path);
    return "";
}

/* Test files are the Tester's.  A Developer who lists them is not asked again for that. */
static struct texts without_tests(struct step *s, const struct texts *paths)
{
    struct texts left = { 0 };
    for (size_t i = 0; i < paths->count; i++)
        if (!stack_is_test(s->site->stack, paths->items[i]))
            texts_add(&left, s->arena, paths->items[i]);
    return left;
}

/* What tests are built on is told by the stack's guide, in a tenth of the words. */
static struct texts without_protected(struct step *s, const struct texts *paths)
{
    struct texts left = { 0 };
    for (size_t i = 0; i < paths->count; i++) {
        const char *path = paths->items[i];
        if (!stack_is_protected(s->site->stack, arena_strndup(s->arena, path, strcspn(path, ":"))))
            texts_add(&left, s->arena, path);
    }
    return left;
}

/* All that is wrong at once: each answer costs a turn. */
static const char *check_scope(struct step *s, const void *value, void *ctx)
{
    const struct scope_check *check = ctx;
    const struct scope *scope = value;
    STR_LOCAL(faults);
    struct texts change = without_tests(s, &scope->change), create = without_tests(s, &scope->create);
    const struct texts *existing[] = { &scope->read, &change };
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < existing[k]->count; i++)
            if (!in_tree(check, s->arena, existing[k]->items[i]))
                str_addf(&faults, "; %s: there is no file %s in the repository; new files belong into `create`",
                         k ? "change" : "read", existing[k]->items[i]);
    for (size_t i = 0; i < create.count; i++) {
        const char *fault = new_file_fault(s, check, create.items[i]);
        if (*fault)
            str_addf(&faults, "; create: %s", fault);
    }
    return faults.len ? arena_strdup(s->arena, faults.data + 2) : "";
}

int step_scope(struct step *s, struct err *e)
{
    const char *tree;
    struct conversation_use *c;
    bool fresh;
    int r = tree_of(s, s->ticket.base, &tree, e);
    if (r == 0)
        r = attempt_conversation(s, ROLE_DEVELOPER, tree, &c, &fresh, e);
    if (r < 0)
        return r;
    const char *text;
    struct prompt_value values[] = { { "shape", record_shape(&scope_answer_record, s->arena) }, { NULL, NULL } };
    r = prompt_make(s->arena, "developer-scope", s->site->overrides.dirs, values, &text, e);
    if (r < 0)
        return r;
    if (*s->ticket.hint)
        text = arena_printf(s->arena, "%s\n\nA person adds: %s", text, s->ticket.hint);
    conversation_add(s, c, TURN_REQUEST, text);
    struct scope_check check;
    struct oid oid = oid_of(tree);
    r = repo_tree(s->site->repo, s->arena, &oid, &check.tree, e);
    if (r < 0)
        return r;
    struct question q = { .role = ROLE_DEVELOPER, .step = "scope", .conversation = c, .temperature = 0.1 };
    r = ask_json(s, &q, &scope_answer_record, &s->ticket.scope, check_scope, &check, e);
    if (r == ERR_INVALID) {
        step_block(s, "no usable scope: %s", e->text);
        return 0;
    }
    if (r < 0)
        return r;
    s->ticket.scope.read = without_protected(s, &s->ticket.scope.read);
    s->ticket.scope.change = without_tests(s, &s->ticket.scope.change);
    s->ticket.scope.create = without_tests(s, &s->ticket.scope.create);
    s->ticket_changed = true;
    step_event(s, "ticket.scoped", record_write(&scope_record, &s->ticket.scope));
    s->end = STEP_NEXT;
    return 0;
}
