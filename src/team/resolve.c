/* resolve.c - opens both sides for a person and takes the result back in.
 *
 * The merge is computed anew each time from the two commits, which gives the same tree; so
 * there is nothing to keep between opening and taking but where it was opened, which the
 * event says.  The commit goes on the side that has not been merged yet (the ticket's
 * branch, the functionality's): the stage that failed then finds the other side contained
 * and goes on as if git had merged.
 */
#include "team/resolve.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "os/files.h"
#include "team/attempt.h"
#include "team/commit.h"
#include "team/green.h"
#include "team/merge.h"
#include "team/render.h"
#include "team/suite.h"
#include "team/ticket_base.h"
#include "team/tree_limit.h"

#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE = 16 << 20, MAX_ENTRIES = 100000, MAX_SHOWN = 8000 };

/* ---- which merge ---- */

static const char *step_of(const struct step *s, const char *stage)
{
    const struct stage *found = playbook_stage(&s->site->playbook, stage);
    return found ? found->step : "";
}

static int not_a_conflict(const struct step *s, const char *why, struct err *e)
{
    if (!*why)
        return err_set(e, ERR_REFUSED, "%s is not blocked", s->task.ticket);
    return err_set(e, ERR_REFUSED, "%s is blocked, but not by a merge: %.600s", s->task.ticket, why);
}

/* What the ticket builds on; its own work has not begun. */
static int sides_of_base(struct step *s, struct resolve *w, struct err *e)
{
    struct oid base;
    const struct ticket *other;
    int r = base_find(s, &base, &other, e);
    if (r < 0)
        return r;
    if (!other)
        return not_a_conflict(s, w->why, e);
    w->ours = arena_strdup(s->arena, base.hex);
    w->theirs = other->merged;
    w->theirs_name = other->branch;
    w->ours_is = "what it builds on so far";
    w->theirs_is = "what it builds on as well";
    return 0;
}

static int sides_of_ticket(struct step *s, struct resolve *w, struct err *e)
{
    const char *step = step_of(s, s->ticket.stage);
    w->why = s->ticket.blocked;
    w->ours_name = s->ticket.branch;
    if (*w->why && streq(step, "start"))
        return sides_of_base(s, w, e);
    if (!*w->why || !streq(step, "integrate"))
        return not_a_conflict(s, w->why, e);
    w->theirs_name = s->functionality.branch;
    w->ours_is = "the ticket's work";
    w->theirs_is = "what its functionality has meanwhile";
    w->ours = s->ticket.head;
    return feature_tip(s, &w->theirs, e);
}

static int sides_of_functionality(struct step *s, struct resolve *w, struct err *e)
{
    struct oid dev;
    w->why = s->functionality.blocked;
    if (!*w->why || !streq(step_of(s, s->functionality.stage), "deliver"))
        return not_a_conflict(s, w->why, e);
    w->ours_name = s->functionality.branch;
    w->theirs_name = "DEV";
    w->ours_is = "the functionality's work";
    w->theirs_is = "what is delivered meanwhile";
    int r = feature_tip(s, &w->ours, e);
    if (r == 0)
        r = repo_ref(s->site->repo, "refs/heads/DEV", &dev, e);
    if (r == 0)
        w->theirs = arena_strdup(s->arena, dev.hex);
    return r;
}

/* Where it was opened, when the sides are still those: ours unchanged, theirs still contained. */
static void find_opened(struct step *s, struct resolve *w)
{
    struct event *events;
    size_t count, len;
    const char *text;
    json_t *payload;
    w->dir = "";
    if (store_events(s->team->store, s->arena, 0, s->project_id, s->task.ticket, "conflict.opened", 0, &events, &count, NULL) < 0 ||
        !count || store_blob(s->team->store, s->arena, events[count - 1].payload, &text, &len, NULL) < 0 ||
        json_parse(s->arena, text, len, &payload, NULL) < 0)
        return;
    struct oid theirs = oid_of(json_text_of(payload, "theirs", "")), tip = oid_of(w->theirs);
    bool contained = false;
    if (!streq(json_text_of(payload, "ours", ""), w->ours) ||
        repo_is_ancestor(s->site->repo, &theirs, &tip, &contained, NULL) < 0 || !contained)
        return;
    w->theirs = arena_strdup(s->arena, theirs.hex);
    w->dir = json_text_of(payload, "dir", "");
}

static int find_unmarked(struct step *s, struct resolve *w, struct err *e)
{
    struct oid tree = oid_of(w->tree);
    for (size_t i = 0; i < w->conflicts.count; i++) {
        const char *bytes, *path = w->conflicts.items[i];
        size_t len;
        int r = repo_file(s->site->repo, s->arena, &tree, path, &bytes, &len, e);
        if (r < 0 && r != ERR_NOT_FOUND)
            return r;
        if (r == ERR_NOT_FOUND || !merge_has_markers(bytes, len))
            texts_add(&w->unmarked, s->arena, path);
    }
    return 0;
}

static const char *task_of(struct step *s)
{
    int64_t steps = s->ticket_id ? s->ticket.steps : s->functionality.steps;
    return arena_printf(s->arena, "%s/%s/%lld-resolve", s->project_id, s->task.ticket, (long long)steps + 1);
}

static int look(struct step *s, struct resolve *ret, struct err *e)
{
    struct resolve w = { .project = s->project_id, .thing = s->task.ticket };
    int r = s->ticket_id          ? sides_of_ticket(s, &w, e)
            : s->functionality_id ? sides_of_functionality(s, &w, e)
                                  : err_set(e, ERR_USAGE, "name the ticket (T-3) or functionality (F-1) to resolve");
    if (r < 0)
        return r;
    s->task_id = task_of(s);
    w.pending = commit_pending(s);
    find_opened(s, &w);
    struct oid ours = oid_of(w.ours), theirs = oid_of(w.theirs);
    struct merge_result m;
    bool contained;
    r = repo_is_ancestor(s->site->repo, &theirs, &ours, &contained, e);
    if (r == 0 && contained)
        return not_a_conflict(s, w.why, e);
    if (r == 0)
        r = repo_merge(s->site->repo, s->arena, &ours, &theirs, &m, e);
    if (r < 0)
        return r;
    w.tree = arena_strdup(s->arena, m.tree.hex);
    w.conflicts = m.conflicts;
    r = find_unmarked(s, &w, e);
    if (r == 0)
        *ret = w;
    return r;
}

int team_resolve_look(struct team *t, struct arena *a, const char *project, const char *thing, struct resolve *ret,
                      struct err *e)
{
    struct step s;
    int r = step_by_hand(t, a, project, thing, "resolve", "", &s, e);
    if (r < 0)
        return r;
    r = look(&s, ret, e);
    step_by_hand_free(&s);
    return r;
}

/* ---- opening ---- */

int team_resolve_open(struct team *t, const struct resolve *w, const char *dir, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    struct step s;
    int r = step_by_hand(t, &a, w->project, w->thing, "resolve", person, &s, e);
    if (r < 0)
        return r;
    struct oid theirs = oid_of(w->theirs);
    const char *message = arena_printf(&a, "Merge %s into %s\n\n# %s, by Tandem. In the files, \"ours\" is %s and \"theirs\" is %s.\n"
                                           "# Committing here is not needed: %s --done takes the files as they are.\n",
                                       w->theirs_name, w->ours_name, w->thing, w->ours_name, w->theirs_name, step_command(&s, "resolve"));
    r = repo_clone_conflict(s.site->repo, dir, w->ours_name, &theirs, message, e);
    if (r == 0) {
        json_t *payload = json_object();
        json_put_text(payload, "dir", dir);
        json_put_text(payload, "ours", w->ours);
        json_put_text(payload, "theirs", w->theirs);
        step_event(&s, "conflict.opened", payload);
        failpoint("resolve.cloned");
        r = step_save(&s, e);
    }
    failpoint("resolve.opened");
    if (r == 0)
        r = repo_clone_finish(dir, e);
    step_by_hand_free(&s);
    return r;
}

/* ---- reading back ---- */

static int read_files(struct repo *repo, struct arena *a, const struct resolve *w, int fd, struct tree_change **ret,
                      size_t *ret_count, struct err *e)
{
    struct tree tree;
    struct oid oid = oid_of(w->tree);
    size_t count = 0;
    int r = repo_tree(repo, a, &oid, &tree, e);
    if (r < 0)
        return r;
    struct tree_change *changes = ARENA_ARRAY(a, struct tree_change, tree.count + 1);
    for (size_t i = 0; i < tree.count; i++) {
        const struct tree_file *f = &tree.files[i];
        const char *before;
        size_t len;
        STR_LOCAL(now);
        if (f->symlink)
            continue;
        r = file_read(fd, f->path, MAX_FILE, &now, e);
        if (r == ERR_NOT_FOUND) {
            changes[count++] = (struct tree_change){ .path = f->path };
            continue;
        }
        if (r == 0)
            r = repo_blob(repo, a, &f->oid, &before, &len, e);
        if (r < 0)
            return r;
        if (len != now.len || memcmp(before, now.data, len) != 0)
            changes[count++] = (struct tree_change){ .path = f->path, .bytes = arena_strndup(a, now.data, now.len),
                                                     .len = now.len };
    }
    *ret = changes;
    *ret_count = count;
    return 0;
}

/* Backups of tools, compiled files: the person should know that they stay behind.  Only a
 * courtesy, so that failing to list is no failure. */
static void list_left_out(struct repo *repo, struct arena *a, const struct resolve *w, int fd, struct texts *ret)
{
    struct tree tree;
    struct file_entry *entries;
    struct oid oid = oid_of(w->tree);
    size_t count;
    if (repo_tree(repo, a, &oid, &tree, NULL) < 0 || file_list(fd, a, MAX_ENTRIES, &entries, &count, NULL) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (!S_ISDIR(entries[i].mode) && !starts_with(entries[i].path, ".git/") && !tree_find(&tree, entries[i].path))
            texts_add(ret, a, entries[i].path);
}

int team_resolve_read(struct team *t, struct arena *a, const struct resolve *w, struct tree_change **ret, size_t *ret_count,
                      struct texts *ret_left_out, struct err *e)
{
    struct site *site;
    struct texts left_out = { 0 };
    int fd;
    if (!*w->dir || repo_clone_unfinished(w->dir))
        return err_set(e, ERR_NOT_FOUND, "%s was not opened yet: %s opens it", w->thing,
                       project_command(a, "resolve", w->project, w->thing));
    int r = site_get(t, w->project, &site, e);
    if (r == 0)
        r = dir_open(w->dir, false, &fd, e);
    if (r == ERR_NOT_FOUND)
        return err_set(e, r, "%s was opened in %s, which is gone: %s opens it anew", w->thing, w->dir,
                       project_command(a, "resolve", w->project, w->thing));
    if (r < 0)
        return r;
    list_left_out(site->repo, a, w, fd, &left_out);
    r = read_files(site->repo, a, w, fd, ret, ret_count, e);
    close(fd);
    if (r < 0)
        return err_prefix(e, "%s", w->dir);
    *ret_left_out = left_out;
    return 0;
}

int team_resolve_file(struct team *t, struct arena *a, const struct resolve *w, const char *path, const char **ret,
                      size_t *ret_len, struct err *e)
{
    struct site *site;
    struct oid tree = oid_of(w->tree);
    int r = site_get(t, w->project, &site, e);
    return r < 0 ? r : repo_file(site->repo, a, &tree, path, ret, ret_len, e);
}

/* ---- taking ---- */

/* A conflicted file may be deleted, which can be the answer; another one is a mistake. */
static const char *check_changes(struct step *s, const struct resolve *w, const struct tree_change *changes, size_t count)
{
    const struct set conflicts = set_of(s->arena, &w->conflicts);
    for (size_t i = 0; i < count; i++) {
        const struct tree_change *c = &changes[i];
        if (!c->bytes && !set_has(&conflicts, c->path))
            return arena_printf(s->arena, "%s is missing, and it has no conflict", c->path);
        if (c->bytes && merge_has_markers(c->bytes, c->len))
            return arena_printf(s->arena, "%s still has conflict markers", c->path);
    }
    return "";
}

/* Files nobody touched, too: a conflict may have been overlooked. */
static int check_result(struct step *s, const struct resolve *w, const struct oid *tree, const char **ret_fault, struct err *e)
{
    for (size_t i = 0; i < w->conflicts.count; i++) {
        const char *bytes;
        size_t len;
        int r = repo_file(s->site->repo, s->arena, tree, w->conflicts.items[i], &bytes, &len, e);
        if (r == ERR_NOT_FOUND)
            continue;
        if (r < 0)
            return r;
        if (merge_has_markers(bytes, len)) {
            *ret_fault = arena_printf(s->arena, "%s still has conflict markers", w->conflicts.items[i]);
            return 0;
        }
    }
    return 0;
}

static int make_tree(struct step *s, const struct resolve *w, const struct tree_change *changes, size_t count,
                     const char **ret_tree, const char **ret_fault, struct err *e)
{
    struct oid base = oid_of(w->tree), tree;
    *ret_fault = check_changes(s, w, changes, count);
    if (**ret_fault)
        return 0;
    int r = repo_write_tree(s->site->repo, &base, changes, count, &tree, e);
    if (r == 0)
        r = tree_within(s->site->repo, &tree, &s->team->options.limits, e);
    if (r == ERR_REFUSED || r == ERR_LIMIT) {
        *ret_fault = arena_strdup(s->arena, e->text);
        return 0;
    }
    if (r == 0)
        r = check_result(s, w, &tree, ret_fault, e);
    if (r == 0)
        *ret_tree = arena_strdup(s->arena, tree.hex);
    return r;
}

static int find_must_pass(struct step *s, struct set *to, struct err *e)
{
    struct oid base;
    const struct ticket *other;
    if (!s->ticket_id)
        return deliver_must_pass(s, to, e);
    if (!streq(step_of(s, s->ticket.stage), "start"))
        return integrate_must_pass(s, to, e);
    int r = base_find(s, &base, &other, e);
    return r < 0 || !other ? r : base_must_pass(s, other, to, e);
}

static int run_suite(struct step *s, const char *tree, const char **ret_run_id, const char **ret_fault, const char **ret_output,
                     struct err *e)
{
    struct set must_pass = SET_IN(s->arena);
    struct suite_run run;
    struct green_judgement j;
    unsigned flags = s->ticket_id ? 0 : SUITE_COVERAGE; /* a ticket is measured when it is integrated */
    int r = find_must_pass(s, &must_pass, e);
    if (r == 0)
        r = green_on(s, &(struct green_wish){ "resolve", tree, { NULL, 0 }, must_pass.texts, flags }, &run, &j, ret_run_id, ret_fault, e);
    if (r < 0)
        return r;
    *ret_output = render_failures(s->arena, &run.results, run.output, MAX_SHOWN);
    return **ret_fault ? step_save(s, e) : 0;
}

/* A person may know better than the rule; then it is written down.  *ret_changed: which tests. */
static int check_tests(struct step *s, const struct resolve *w, const char *tree, const char **ret_changed, const char **ret_fault,
                       struct err *e)
{
    struct merge_judged judged = { w->ours, w->theirs, tree, w->ours_name, w->theirs_name };
    int r = merge_keeps_tests(s->site, s->arena, &judged, ret_changed, e);
    if (r == 0 && **ret_changed && !w->changes_tests)
        *ret_fault = arena_printf(s->arena, "%s. Tests of both sides stay as they are, unless you say --change-tests; the evidence "
                                            "then says so", *ret_changed);
    return r;
}

static int intend(struct step *s, const struct resolve *w, const char *tree, const char *run_id, const char *changed, struct err *e)
{
    json_t *payload = json_object();
    if (*changed)
        json_put_text(payload, "changed_tests", changed);
    json_put_text(payload, "run", run_id);
    json_put_text(payload, "with", w->theirs);
    struct commit_wish c = {
        .ref = arena_printf(s->arena, "refs/heads/%s", w->ours_name), .expected = w->ours, .tree = tree,
        .parent = w->ours, .second_parent = w->theirs, .verb = "",
        .text = arena_printf(s->arena, "Merge %s into %s", w->theirs_name, w->ours_name),
        .event_kind = "merge.resolved", .payload = payload,
    };
    return commit_intend(s, &c, e);
}

/* The stage that failed, once more: it will find nothing left to merge. */
static int go_on(struct step *s, const char *commit, struct err *e)
{
    const struct stage *stage = playbook_stage(&s->site->playbook, s->ticket_id ? s->ticket.stage : s->functionality.stage);
    if (!stage)
        return err_set(e, ERR_INVALID, "the playbook %s merges nothing", s->project.playbook);
    if (s->ticket_id) {
        int r = streq(stage->step, "start") ? base_merged(s, commit, e) : 0;
        if (r < 0)
            return r;
        s->ticket.head = commit;
        s->ticket.blocked = "";
        ticket_fresh_stage(&s->ticket);
        s->ticket.steps += 2; /* this one, and the next */
        s->ticket_changed = true;
        task_put(s->batch, s->arena, s->project_id, s->task.ticket, s->ticket.steps, stage, s->ticket.number + 1000);
    } else {
        s->functionality.blocked = "";
        s->functionality.attempt = 0;
        s->functionality.steps += 2;
        s->functionality_changed = true;
        task_put(s->batch, s->arena, s->project_id, s->task.ticket, s->functionality.steps, stage, 100);
    }
    step_event(s, "conflict.resolved", NULL);
    failpoint("resolve.end");
    return step_save(s, e);
}

static int take(struct step *s, const struct resolve *w, const struct tree_change *changes, size_t count,
                const char **ret_fault, const char **ret_output, struct err *e)
{
    const char *tree = "", *changed = "", *run_id, *commit;
    int r = 0;
    s->task_id = task_of(s);
    if (!commit_pending(s)) {
        r = make_tree(s, w, changes, count, &tree, ret_fault, e);
        if (r == 0 && !**ret_fault)
            r = check_tests(s, w, tree, &changed, ret_fault, e);
        if (r == 0 && !**ret_fault)
            r = run_suite(s, tree, &run_id, ret_fault, ret_output, e);
        if (r == 0 && !**ret_fault)
            r = intend(s, w, tree, run_id, changed, e);
    }
    if (r < 0 || **ret_fault)
        return r;
    r = commit_make(s, &commit, e);
    return r < 0 ? r : go_on(s, commit, e);
}

int team_resolve_take(struct team *t, struct arena *a, const struct resolve *w, const struct tree_change *changes,
                      size_t count, const char *person, const char **ret_fault, const char **ret_output, struct err *e)
{
    struct step s;
    *ret_fault = *ret_output = "";
    int r = team_sandbox(t, e);
    if (r == 0)
        r = step_by_hand(t, a, w->project, w->thing, "resolve", person, &s, e);
    if (r < 0)
        return r;
    r = take(&s, w, changes, count, ret_fault, ret_output, e);
    step_by_hand_free(&s);
    return r;
}
