/* step_green.c - the Developer's turn: the least code that makes the frozen tests pass. */
#include "base/set.h"
#include "team/attempt.h"
#include "team/commit.h"
#include "team/evidence.h"
#include "team/green.h"
#include "team/judge.h"
#include "team/prompt.h"
#include "team/red.h"
#include "team/render.h"
#include "team/suite.h"
#include "team/take_back.h"

/* ---- asking ---- */

/* One test file of a red commit; `known`: the Developer has seen it as it was before, so that
 * what was added to it is enough. */
static int test_file(struct step *s, const struct oid *before, const struct oid *after, const char *path, bool known,
                     struct str *out, struct err *e)
{
    const char *bytes, *old;
    size_t len, old_len;
    int r = repo_file(s->site->repo, s->arena, after, path, &bytes, &len, e);
    if (r < 0)
        return r;
    if (known && repo_file(s->site->repo, s->arena, before, path, &old, &old_len, e) == 0) {
        bytes = stack_added(s->site->stack, s->arena, path, old, old_len, bytes, len);
        path = arena_printf(s->arena, "%s (only what is new)", path);
        len = strlen(bytes);
    }
    render_file(out, path, bytes, len);
    return 0;
}

/* Test files of the ticket's current criterion: what the red commit changed.  Those of its
 * earlier criteria are in the conversation already, unless it is fresh. */
static int test_files(struct step *s, const struct evidence *ev, bool fresh, const char **ret, struct err *e)
{
    STR_LOCAL(out);
    struct oid commit = oid_of(ev->red_commit), base = oid_of(s->ticket.base);
    struct commit_info info;
    struct texts changed, earlier = { 0 };
    int r = repo_commit_info(s->site->repo, s->arena, &commit, &info, e);
    if (r == 0)
        r = repo_changed(s->site->repo, s->arena, &info.parents[0], &commit, &changed, e);
    if (r == 0 && !fresh)
        r = repo_changed(s->site->repo, s->arena, &base, &info.parents[0], &earlier, e);
    const struct set known = set_of(s->arena, &earlier);
    for (size_t i = 0; r == 0 && i < changed.count; i++)
        r = test_file(s, &info.parents[0], &commit, changed.items[i], set_has(&known, changed.items[i]), &out, e);
    str_rtrim(&out);
    *ret = arena_strndup(s->arena, out.data, out.len);
    return r;
}

static int red_output(struct step *s, const struct evidence *ev, const char **ret, struct err *e)
{
    struct run run;
    const char *output = "";
    size_t len;
    int r = store_get(s->team->store, s->arena, &run_type, ev->red_run, &run, NULL, e);
    if (r == 0)
        r = store_blob(s->team->store, s->arena, run.answer, &output, &len, e);
    struct test_results results;
    if (r == 0)
        r = stored_results(s->team->store, s->arena, &run, &results, e);
    if (r == 0)
        *ret = render_failures(s->arena, &results, output, 4000);
    return r;
}

/* A fresh context has to be told the scope and show the files as they are now. */
static int current_files(struct step *s, const char *tree, const char **ret, struct err *e)
{
    struct set paths = SET_IN(s->arena);
    const struct scope *scope = &s->ticket.scope;
    const struct texts *lists[] = { &scope->read, &scope->change, &scope->create };
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < lists[k]->count; i++)
            if (!stack_is_test(s->site->stack, lists[k]->items[i]))
                set_add(&paths, lists[k]->items[i]);
    return render_files(s, tree, &paths.texts, ret, e);
}

static int add_request(struct step *s, const struct attempt *a, struct err *e)
{
    size_t index = ticket_current(&s->ticket);
    const char *tests = "", *output = "", *files = "", *text;
    struct evidence ev;
    int r = evidence_get(s, index, &ev, e);
    if (r == 0)
        r = test_files(s, &ev, a->fresh, &tests, e);
    if (r == 0)
        r = red_output(s, &ev, &output, e);
    /* The first criterion follows the scope answer, whose files were not shown yet. */
    if (r == 0 && (a->fresh || index == 0))
        r = current_files(s, a->head_tree, &files, e);
    if (r < 0)
        return r;
    STR_LOCAL(news);
    if (a->fresh && *s->ticket.scope.how)
        str_addf(&news, "Scope of this ticket: %s\n\n", s->ticket.scope.how);
    if (*files)
        str_addf(&news, "Files in scope as they are now:\n\n%s\n\n", files);
    if (*s->ticket.hint)
        str_addf(&news, "A person adds: %s\n", s->ticket.hint);
    str_rtrim(&news);
    struct prompt_value values[] = {
        { "news", news.data }, { "number", arena_printf(s->arena, "%zu", index + 1) },
        { "criterion", ticket_criterion(&s->ticket, index)->text }, { "tests", tests }, { "output", output },
        { NULL, NULL },
    };
    r = prompt_make(s->arena, "developer-green", s->site->overrides.dirs, values, &text, e);
    if (r == 0)
        conversation_add(s, a->conversation, TURN_REQUEST, text);
    return r;
}

/* ---- committing ---- */

static int intend(struct step *s, size_t index, const char *tree, const char *run_id, struct err *e)
{
    struct evidence ev;
    int r = evidence_get(s, index, &ev, e);
    if (r < 0)
        return r;
    ev.green_tree = tree;
    ev.green_run = run_id;
    r = evidence_put(s, index, &ev, e);
    if (r < 0)
        return r;
    struct commit_wish w = commit_on_ticket(s, tree);
    w.verb = arena_printf(s->arena, "Green %zu", index + 1);
    w.text = ticket_criterion(&s->ticket, index)->text;
    w.event_kind = "green.witnessed";
    w.payload = json_object();
    json_put_int(w.payload, "criterion", (int64_t)index + 1);
    json_put_text(w.payload, "run", run_id);
    json_put_text(w.payload, "red", ev.red_commit);
    return commit_intend(s, &w, e);
}

/* A Developer who holds that a test is wrong says so once; then the Tester's second word stands.
 * *ret_taken_back: the step is through. */
static int hear_objection(struct step *s, size_t index, struct attempt *a, bool *ret_taken_back, struct err *e)
{
    const char *objection = take_back_asked(s->arena, &a->files);
    *ret_taken_back = false;
    if (!*objection)
        return 0;
    if (*ticket_criterion(&s->ticket, index)->objection) {
        a->fault = "the Tester has looked at the tests of this criterion once more because of an objection, and they stand; make them pass";
        return 0;
    }
    struct evidence ev;
    int r = evidence_get(s, index, &ev, e);
    *ret_taken_back = true;
    return r < 0 ? r : take_back(s, index, &ev, objection, e);
}

int step_green(struct step *s, struct err *e)
{
    size_t index = ticket_current(&s->ticket);
    bool is_red = index < s->ticket.criteria.count && ticket_criterion(&s->ticket, index)->state == CRITERION_RED;
    if (commit_pending(s))
        return is_red ? commit_to_criterion(s, index, CRITERION_GREEN, "green.committed", e) : take_back_complete(s, e);
    if (!is_red) {
        /* Already met or dropped: there is nothing to make green. */
        s->end = STEP_NEXT;
        return 0;
    }
    if (attempt_capped(s))
        return 0;
    struct attempt a = { .role = ROLE_DEVELOPER, .step_name = arena_printf(s->arena, "green-%zu", index + 1), .request = add_request };
    bool answered, taken_back;
    int r = attempt_make(s, &a, &answered, e);
    if (r < 0 || !answered)
        return r;
    r = hear_objection(s, index, &a, &taken_back, e);
    if (r < 0 || taken_back)
        return r;
    struct suite_run run = { .output = a.shown };
    struct green_judgement j = { .failing = "" };
    if (!*a.fault) {
        const char *run_id;
        struct green_wish w = { a.step_name, a.tree, ticket_criterion(&s->ticket, index)->tests, ticket_must_pass(s), 0 };
        r = green_on(s, &w, &run, &j, &run_id, &a.fault, e);
        if (r < 0)
            return r;
        if (!*a.fault) {
            r = intend(s, index, a.tree, run_id, e);
            return r < 0 ? r : commit_to_criterion(s, index, CRITERION_GREEN, "green.committed", e);
        }
    }
    struct failed_attempt f = { .fault = a.fault, .run = &run, .tree = a.tree, .failing = j.failing,
                                .template = "developer-retry", .number = "", .criterion = "", .open = j.open, .tests = j.wanted };
    return attempt_failed(s, a.conversation, &f, e);
}
