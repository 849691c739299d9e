/* step_red.c - the Tester's turn: tests that fail, witnessed.
 *
 * Accepted tests become a commit on the ticket's branch whose Evidence trailer is the hash
 * of the "red.witnessed" event.  Tests that pass at once, twice, go to met.c.
 */
#include "base/set.h"
#include "team/attempt.h"
#include "team/commit.h"
#include "team/evidence.h"
#include "team/judge.h"
#include "team/met.h"
#include "team/prompt.h"
#include "team/red.h"
#include "team/render.h"
#include "team/suite.h"

#include <ctype.h>

/* ---- asking ---- */

enum {
    MAX_NEWS = 6000,   /* bytes of code shown to the Tester between criteria */
    MAX_TESTS = 12000, /* of existing tests shown at the beginning */
};

/* The commit that the Tester saw last: the red of the nearest earlier criterion that has one, or
 * its tests alone where it was met already; "": none. */
static int seen_commit(struct step *s, size_t index, const char **ret, struct err *e)
{
    *ret = "";
    while (index-- > 0 && !**ret) {
        struct evidence ev;
        int r = evidence_get(s, index, &ev, e);
        if (r == 0)
            *ret = *ev.red_commit ? ev.red_commit : ev.green_commit;
        else if (r != ERR_NOT_FOUND) /* a dropped criterion has none */
            return r;
    }
    return 0;
}

/* What changed since the Tester last spoke: the code that made the last criterion green.  A fresh
 * context (`shown`: the files it begins with) is told of all production files of the ticket. */
static int news(struct step *s, const struct texts *shown, const char **ret, struct err *e)
{
    const char *seen;
    struct texts production = { 0 }, changed;
    int r = seen_commit(s, ticket_current(&s->ticket), &seen, e);
    *ret = "";
    if (r < 0 || !*seen)
        return r;
    struct oid from = oid_of(seen), to = oid_of(s->ticket.head);
    r = repo_changed(s->site->repo, s->arena, &from, &to, &changed, e);
    if (r < 0)
        return r;
    bool all_but = shown != NULL;
    const struct set these = set_of(s->arena, all_but ? shown : &changed);
    for (size_t i = 0; i < s->ticket.files.count; i++) {
        const char *path = s->ticket.files.items[i];
        if (!stack_is_test(s->site->stack, path) && set_has(&these, path) != all_but)
            texts_add(&production, s->arena, path);
    }
    const char *files;
    r = render_files(s, s->ticket.head, &production, &files, e);
    if (r < 0)
        return r;
    *ret = !*files ? "The tests so far pass."
           : strlen(files) <= MAX_NEWS
               ? arena_printf(s->arena, "The tests so far pass. %s:\n\n%s",
                              shown ? "Other production files of this ticket" : "What has changed of the production files", files)
               : arena_printf(s->arena, "The tests so far pass. Production files of this ticket that have changed: %s.",
                              render_list(s->arena, &production, "none"));
    return 0;
}

/* Whether a text names a file, as its import or #include does: the file's name without folder
 * and ending, as a word. */
static bool names_file(const char *text, size_t len, const char *path)
{
    const char *slash = strrchr(path, '/'), *stem = slash ? slash + 1 : path, *end = text + len;
    size_t n = strcspn(stem, ".:");
    for (const char *at = text; n && (at = memmem(at, (size_t)(end - at), stem, n)); at++) {
        bool begins = at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_');
        if (begins && (at + n == end || !(isalnum((unsigned char)at[n]) || at[n] == '_')))
            return true;
    }
    return false;
}

/* Test files that there are and that new tests may belong to: those of this ticket, and those
 * that name a file which will be changed.  What does not fit into MAX_TESTS is only named. */
static int related_tests(struct step *s, const char *tree_hex, const struct texts *shown, const char **ret, struct err *e)
{
    STR_LOCAL(out);
    struct oid oid = oid_of(tree_hex);
    struct tree tree;
    struct texts left_out = { 0 };
    const struct texts *changed = &s->ticket.scope.change;
    const struct set has_seen = set_of(s->arena, shown), own = set_of(s->arena, &s->ticket.files);
    int r = repo_tree(s->site->repo, s->arena, &oid, &tree, e);
    for (size_t i = 0; r == 0 && i < tree.count; i++) {
        const struct tree_file *f = &tree.files[i];
        const char *bytes;
        size_t len;
        if (!stack_is_test(s->site->stack, f->path) || f->symlink || set_has(&has_seen, f->path))
            continue;
        r = repo_blob(s->site->repo, s->arena, &f->oid, &bytes, &len, e);
        bool related = set_has(&own, f->path);
        for (size_t k = 0; r == 0 && k < changed->count && !related; k++)
            related = names_file(bytes, len, changed->items[k]);
        if (r < 0 || !related)
            continue;
        if (out.len + len <= MAX_TESTS)
            render_file(&out, f->path, bytes, len);
        else
            texts_add(&left_out, s->arena, f->path);
    }
    if (left_out.count)
        str_addf(&out, "Not shown: %s. Put new tests into a new file.", render_list(s->arena, &left_out, ""));
    str_rtrim(&out);
    *ret = out.len ? arena_printf(s->arena, "Tests that there are already:\n\n%s", out.data) : "";
    return r;
}

/* *ret_shown: the files it shows. */
static int scope_text(struct step *s, const char *tree, struct texts *ret_shown, const char **ret, struct err *e)
{
    struct texts paths = { 0 };
    const struct scope *scope = &s->ticket.scope;
    for (size_t i = 0; i < scope->read.count; i++)
        texts_add(&paths, s->arena, scope->read.items[i]);
    for (size_t i = 0; i < scope->change.count; i++)
        if (!texts_has(&paths, scope->change.items[i]) && !stack_is_build(s->site->stack, scope->change.items[i]))
            texts_add(&paths, s->arena, scope->change.items[i]);
    const char *files, *tests = "";
    int r = render_files(s, tree, &paths, &files, e);
    if (r == 0)
        r = related_tests(s, tree, &paths, &tests, e);
    if (r < 0)
        return r;
    *ret_shown = paths;
    struct prompt_value values[] = {
        { "how", scope->how }, { "change", render_list(s->arena, &scope->change, "none") },
        { "create", render_list(s->arena, &scope->create, "none") },
        { "files", files }, { "tests", tests }, { NULL, NULL },
    };
    return prompt_make(s->arena, "scope", s->site->overrides.dirs, values, ret, e);
}

static int add_request(struct step *s, const struct attempt *a, struct err *e)
{
    const char *text, *what_is_new;
    struct texts shown = { 0 };
    if (a->fresh) {
        int r = scope_text(s, a->head_tree, &shown, &text, e);
        if (r < 0)
            return r;
        conversation_add(s, a->conversation, TURN_CONTEXT, text);
    }
    int r = news(s, a->fresh ? &shown : NULL, &what_is_new, e);
    if (r < 0)
        return r;
    size_t index = ticket_current(&s->ticket);
    const struct criterion *criterion = ticket_criterion(&s->ticket, index);
    if (*criterion->objection)
        what_is_new = arena_printf(s->arena, "%s%sYour tests for criterion %zu were taken back, because the Developer objects:\n\n> %s\n\n"
                                             "Where that is right, write other tests. Where it is not, write the same tests again; they stand then.",
                                   a->fresh ? what_is_new : "", a->fresh && *what_is_new ? "\n\n" : "", index + 1, criterion->objection);
    if (*s->ticket.hint && s->ticket.attempt == 0)
        what_is_new = arena_printf(s->arena, "%s%sA person adds: %s", what_is_new, *what_is_new ? "\n" : "", s->ticket.hint);
    struct prompt_value values[] = {
        { "news", what_is_new }, { "number", arena_printf(s->arena, "%zu", index + 1) },
        { "criterion", criterion->text }, { NULL, NULL },
    };
    r = prompt_make(s->arena, "tester-red", s->site->overrides.dirs, values, &text, e);
    if (r == 0)
        conversation_add(s, a->conversation, TURN_REQUEST, text);
    return r;
}

/* ---- witnessing ---- */

/* Adds the tests of a tree, as far as they can be listed without running them; `only`: of these files. */
static int add_tests(struct step *s, const char *tree_hex, const struct set *only, struct set *to, struct err *e)
{
    struct oid oid = oid_of(tree_hex);
    struct tree tree;
    int r = repo_tree(s->site->repo, s->arena, &oid, &tree, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < tree.count; i++) {
        const char *path = tree.files[i].path;
        if (!stack_is_test(s->site->stack, path) || tree.files[i].symlink || (only && !set_has(only, path)))
            continue;
        const char *bytes;
        size_t len;
        struct texts ids = { 0 };
        r = repo_blob(s->site->repo, s->arena, &tree.files[i].oid, &bytes, &len, e);
        if (r == 0)
            r = stack_list_tests(s->site->stack, s->arena, path, bytes, len, &ids, e);
        if (r < 0)
            return r;
        set_add_all(to, &ids);
    }
    return 0;
}

static void add_proven(const struct ticket *t, struct set *to)
{
    for (size_t k = 0; k < t->criteria.count; k++) {
        const struct criterion *c = ticket_criterion(t, k);
        if (c->state == CRITERION_GREEN || c->state == CRITERION_MET)
            set_add_but(to, &c->tests, &t->flaky);
    }
}

struct texts ticket_baseline(struct step *s)
{
    struct set ids = SET_IN(s->arena);
    set_add_but(&ids, &s->ticket.baseline, &s->ticket.flaky);
    return ids.texts;
}

struct texts ticket_proven(struct step *s)
{
    struct set ids = SET_IN(s->arena);
    add_proven(&s->ticket, &ids);
    return ids.texts;
}

struct texts ticket_must_pass(struct step *s)
{
    struct set ids = SET_IN(s->arena);
    set_add_but(&ids, &s->ticket.baseline, &s->ticket.flaky);
    add_proven(&s->ticket, &ids);
    return ids.texts;
}

struct explaining {
    struct step *step;
    struct stack_sources *sources;
};

static void explain(const char *message, struct failure *ret, void *ctx)
{
    const struct explaining *ex = ctx;
    stack_judge(ex->step->site->stack, ex->sources, ex->step->arena, message ? message : "", ret);
}

int red_judge(struct step *s, const char *head_tree, const char *tree, const struct answer_files *files,
              const struct suite_run *run, struct red_judgement *ret, const char **ret_fault, struct err *e)
{
    struct set answered = SET_IN(s->arena), listed = SET_IN(s->arena), known = SET_IN(s->arena);
    for (size_t i = 0; i < files->count; i++)
        set_add(&answered, files->files[i].path);
    int r = add_tests(s, tree, &answered, &listed, e);
    if (r == 0)
        r = add_tests(s, head_tree, NULL, &known, e);
    if (r < 0)
        return r;
    struct texts must_pass = ticket_baseline(s), proven = ticket_proven(s);
    /* Not all tests can be listed without running them. */
    set_add_all(&known, &s->ticket.baseline);
    set_add_all(&known, &s->ticket.failing);
    set_add_all(&known, &proven);
    struct explaining ex = { .step = s };
    struct oid oid = oid_of(tree);
    r = stack_sources_read(s->site->stack, s->site->repo, &oid, s->arena, &ex.sources, e);
    if (r < 0)
        return r;
    struct red_question q = { .run = run, .known = &known.texts, .listed = &listed.texts, .must_pass = &must_pass, .proven = &proven,
                              .explain = explain, .ctx = &ex };
    *ret_fault = tester_is_satisfactory(s->arena, &q, ret);
    return 0;
}

int red_adds_only(struct step *s, const char *before, const char *tree, const char **ret_fault, struct err *e)
{
    struct oid from = oid_of(before), to = oid_of(tree);
    struct texts changed;
    int r = repo_changed(s->site->repo, s->arena, &from, &to, &changed, e);
    *ret_fault = "";
    for (size_t i = 0; r == 0 && i < changed.count && !**ret_fault; i++) {
        const char *path = changed.items[i], *old, *new = "";
        size_t old_len, new_len = 0;
        r = repo_file(s->site->repo, s->arena, &from, path, &old, &old_len, e);
        if (r == 0)
            r = repo_file(s->site->repo, s->arena, &to, path, &new, &new_len, e);
        if (r == ERR_NOT_FOUND) { /* a new file; or a deleted one, whose tests are missed when they run */
            r = 0;
            continue;
        }
        const char *fault = r == 0 ? stack_added_only(s->site->stack, s->arena, path, old, old_len, new, new_len) : "";
        if (*fault)
            *ret_fault = arena_printf(s->arena, "%s %s. Existing tests stay as they are: repeat the file whole and add to it, or "
                                                "put the new tests into a new file", path, fault);
    }
    return r;
}

/* Judges the run of an answer, and puts it into the batch. */
static int judge_run(struct step *s, const struct attempt *a, const struct suite_run *run, struct run *doc, const char *run_id,
                     struct red_judgement *j, const char **ret_fault, struct err *e)
{
    int r = red_judge(s, a->head_tree, a->tree, &a->files, run, j, ret_fault, e);
    if (r == 0)
        suite_store(s, run_id, doc, **ret_fault ? arena_printf(s->arena, "refused: %s", *ret_fault) : "red");
    return r;
}

/* Runs and judges; twice when tests fail that passed before, which may be flaky. */
static int red_on(struct step *s, const struct attempt *a, struct suite_run *run, struct red_judgement *j, const char **ret_run_id,
                  const char **ret_fault, struct err *e)
{
    struct run *doc;
    struct texts flaky;
    int r = red_adds_only(s, a->head_tree, a->tree, ret_fault, e);
    if (r < 0 || **ret_fault)
        return r;
    r = suite_on(s, a->step_name, a->tree, 0, run, &doc, ret_run_id, e);
    if (r == 0)
        r = judge_run(s, a, run, doc, *ret_run_id, j, ret_fault, e);
    if (r < 0 || !**ret_fault || !suite_counts(run) || !j->broken.count)
        return r;
    r = suite_again(s, a->step_name, a->tree, 0, &j->broken, run, &doc, ret_run_id, &flaky, e);
    return r < 0 ? r : judge_run(s, a, run, doc, *ret_run_id, j, ret_fault, e);
}

/* ---- committing ---- */

static int intend(struct step *s, size_t index, const char *tree, const struct red_judgement *j, const char *run_id,
                  struct err *e)
{
    struct criterion *c = ticket_criterion(&s->ticket, index);
    c->tests = j->tests;
    s->ticket_changed = true;
    struct evidence ev = {
        .project = s->project_id, .ticket = s->task.ticket, .criterion = (int64_t)index + 1, .tests = j->tests,
        .reason = j->reason, .absent = j->absent, .red_tree = tree, .red_commit = "", .red_run = run_id,
        .green_tree = "", .green_commit = "", .green_run = "", .met_by = "", .mutation = "",
    };
    int r = evidence_put(s, index, &ev, e);
    if (r < 0)
        return r;
    struct commit_wish w = commit_on_ticket(s, tree);
    w.verb = arena_printf(s->arena, "Red %zu", index + 1);
    w.text = c->text;
    w.event_kind = "red.witnessed";
    w.payload = json_object();
    json_put_int(w.payload, "criterion", (int64_t)index + 1);
    json_put(w.payload, "tests", texts_json(&j->tests));
    json_put_text(w.payload, "reason", red_reason_names[j->reason]);
    json_put_text(w.payload, "run", run_id);
    return commit_intend(s, &w, e);
}

/* The intent was stored: as red, or (met.c) with the criterion closed already. */
static int after_crash(struct step *s, size_t index, struct err *e)
{
    if (index > 0 && ticket_criterion(&s->ticket, index - 1)->state == CRITERION_MET) {
        struct evidence ev;
        if (evidence_get(s, index - 1, &ev, NULL) == 0 && !*ev.green_commit)
            return met_complete(s, index - 1, e);
    }
    return commit_to_criterion(s, index, CRITERION_RED, "red.committed", e);
}

/* Tests that pass before there is code are refused: the red commit holds failing tests only.
 * Whether the code makes them pass for the right reason, nobody has seen then, and so the review
 * is told (step_review.c). */
static void note_left_out(struct step *s, struct criterion *c, const struct red_judgement *j)
{
    struct set all = set_of(s->arena, &c->left_out);
    set_add_all(&all, &j->passing);
    c->left_out = all.texts;
    s->ticket_changed = true;
}

/* ---- the step ---- */

int step_red(struct step *s, struct err *e)
{
    size_t index = ticket_current(&s->ticket);
    if (commit_pending(s))
        return after_crash(s, index, e);
    if (attempt_capped(s))
        return 0;
    struct attempt a = { .role = ROLE_TESTER, .step_name = arena_printf(s->arena, "red-%zu", index + 1), .request = add_request };
    bool answered;
    int r = attempt_make(s, &a, &answered, e);
    if (r < 0 || !answered)
        return r;
    struct suite_run run = { .output = a.shown };
    struct red_judgement j = { .failing = "" };
    const char *run_id = "";
    if (!*a.fault) {
        r = red_on(s, &a, &run, &j, &run_id, &a.fault, e);
        if (r < 0)
            return r;
        if (!*a.fault) {
            r = intend(s, index, a.tree, &j, run_id, e);
            return r < 0 ? r : commit_to_criterion(s, index, CRITERION_RED, "red.committed", e);
        }
    }
    struct criterion *c = ticket_criterion(&s->ticket, index);
    note_left_out(s, c, &j);
    if (j.passes_at_once && ++s->ticket.passed_at_once >= 2)
        return met_decide(s, a.conversation, index, a.head_tree, a.tree, &j, run_id, e);
    struct suite_run silent = { .output = "" }; /* what passes has nothing to say, and the others fail as they should */
    struct failed_attempt f = {
        .fault = a.fault, .run = j.passing.count ? &silent : &run, .tree = a.tree, .failing = j.failing, .template = "tester-retry",
        .number = arena_printf(s->arena, "%zu", index + 1), .criterion = c->text,
    };
    return attempt_failed(s, a.conversation, &f, e);
}
