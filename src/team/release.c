/* release.c - shows what a release brings, and makes it.
 *
 * Our own branch moves first, then the event is stored, then the branch in the person's
 * repository moves.  A crash in between is mended by releasing again: the person's branch
 * still stands where it stood, the same two commits give the same merge (its intent is
 * named after them), and what was done is found done.
 */
#include "team/release.h"

#include "base/failpoint.h"
#include "team/commit.h"
#include "team/green.h"
#include "team/merge.h"
#include "team/suite.h"

#include <sys/stat.h>

enum { MAX_COMMITS = 10000 };

static const char dev_ref[] = "refs/heads/DEV";

static const char *branch_ref(struct step *s)
{
    return arena_printf(s->arena, "refs/heads/%s", s->project.branch);
}

static bool is_there(const char *path)
{
    struct stat st;
    return *path && stat(path, &st) == 0;
}

/* ---- looking ---- */

static int unfinished(struct step *s, struct err *e)
{
    struct store_found found;
    size_t done = 0;
    int r = project_tickets(s->team->store, s->arena, s->project_id, &found, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < found.count; i++)
        done += ((const struct ticket *)found.docs)[i].column == COLUMN_DONE;
    return err_set(e, ERR_REFUSED, "%zu of %zu tickets of %s are done; --partial releases what is in DEV so far", done, found.count,
                   s->project_id);
}

/* Where the branch stands: there, when there is a repository to give back to. */
static int find_from(struct step *s, struct release *w, struct err *e)
{
    const struct project *p = &s->project;
    w->target = *p->source ? p->source : p->out;
    w->checked_out = "";
    int r = ERR_NOT_FOUND;
    if (*p->source || is_there(w->target))
        r = repo_look_at(s->site->repo, s->arena, w->target, p->branch, &w->from, &w->checked_out, e);
    if (r < 0 && *p->source)
        return r;
    if (r < 0)
        w->target = ""; /* the clone is the person's, to move or delete */
    w->in_target = r == 0 && *w->from.hex;
    return w->in_target ? 0 : repo_ref(s->site->repo, branch_ref(s), &w->from, e);
}

static bool was_made(struct step *s, const char *commit)
{
    struct event *events;
    size_t count, len;
    const char *text;
    json_t *payload;
    return store_events(s->team->store, s->arena, 0, s->project_id, NULL, "release.made", 0, &events, &count, NULL) == 0 && count &&
           store_blob(s->team->store, s->arena, events[count - 1].payload, &text, &len, NULL) == 0 &&
           json_parse(s->arena, text, len, &payload, NULL) == 0 && streq(json_text_of(payload, "to", ""), commit);
}

/* Of a worktree in which the branch is checked out: there it is the person's to move. */
static const char *how_to_take(struct step *s, const struct release *w, bool by_dev)
{
    bool is_path = *w->checked_out == '/'; /* not "a rebase or bisect" */
    STR_LOCAL(out);
    str_addf(&out, "To take the release over%s:\n  git -C ",
             w->dirty ? ", commit or stash your changes there first, then" : "");
    str_add_shell_word(&out, is_path ? w->checked_out : w->target);
    if (by_dev) {
        str_add(&out, " merge --ff-only DEV\n");
    } else {
        str_add(&out, " pull --ff-only ");
        str_add_shell_word(&out, project_repo_path(s->arena, s->team->home, s->project_id));
        str_addf(&out, " %s\n", w->branch);
    }
    return arena_strdup(s->arena, out.data);
}

/* Made before, but the person has not taken it yet. */
static int find_made(struct step *s, struct release *w, bool *ret, struct oid *ret_at, struct err *e)
{
    bool has_dev = false, has_theirs = false;
    int r = repo_ref(s->site->repo, branch_ref(s), ret_at, e);
    if (r == 0)
        r = repo_is_ancestor(s->site->repo, &w->dev, ret_at, &has_dev, e);
    if (r == 0)
        r = repo_is_ancestor(s->site->repo, &w->from, ret_at, &has_theirs, e);
    if (r == 0)
        *ret = has_dev && has_theirs && was_made(s, ret_at->hex);
    return r;
}

static int look_there(struct step *s, struct release *w, struct err *e)
{
    struct oid at;
    struct peek there = { .dirty = false };
    w->take = "";
    if (!*w->checked_out || w->nothing)
        return 0;
    int r = find_made(s, w, &w->made, &at, e);
    if (r == 0 && *w->checked_out == '/')
        r = repo_peek(s->site->repo, s->arena, w->checked_out, "DEV", &w->dev, &there, e);
    w->dirty = there.dirty;
    if (r == 0)
        w->take = how_to_take(s, w, streq(there.tip.hex, w->dev.hex) && (w->made ? streq(at.hex, w->dev.hex) : w->forward));
    return r;
}

static int list_commits(struct step *s, struct release *w, struct err *e)
{
    struct oid *list, at = w->dev;
    int r = repo_log(s->site->repo, s->arena, &w->dev, &w->from, MAX_COMMITS, &list, &w->commits, e);
    if (r < 0)
        return r;
    struct set coming = SET_IN(s->arena);
    for (size_t i = 0; i < w->commits; i++)
        set_add(&coming, list[i].hex);
    while (set_has(&coming, at.hex)) {
        struct commit_info info;
        r = repo_commit_info(s->site->repo, s->arena, &at, &info, e);
        if (r < 0)
            return r;
        texts_add(&w->subjects, s->arena, arena_printf(s->arena, "%.12s %.*s", at.hex, (int)strcspn(info.message, "\n"), info.message));
        at = info.parents[0];
    }
    return 0;
}

static int compare(struct step *s, struct release *w, struct err *e)
{
    struct repo *repo = s->site->repo;
    struct merge_result m;
    int r = repo_is_ancestor(repo, &w->dev, &w->from, &w->nothing, e);
    if (r < 0 || w->nothing)
        return r;
    r = repo_is_ancestor(repo, &w->from, &w->dev, &w->forward, e);
    if (r == 0)
        r = list_commits(s, w, e);
    if (r == 0 && w->forward)
        return repo_diff_stats(repo, s->arena, &w->from, &w->dev, &w->files, e);
    if (r == 0)
        r = repo_merge(repo, s->arena, &w->from, &w->dev, &m, e);
    if (r < 0)
        return r;
    w->conflicts = m.conflicts;
    return repo_diff_stats(repo, s->arena, &w->from, &m.tree, &w->files, e);
}

static int look(struct step *s, bool partial, struct release *ret, struct err *e)
{
    struct release w = { .project = s->project_id, .branch = s->project.branch };
    if (!*s->project.base)
        return err_set(e, ERR_REFUSED, "nothing of %s is built yet", s->project_id);
    if (s->project.state != PROJECT_DONE && !partial)
        return unfinished(s, e);
    int r = repo_ref(s->site->repo, dev_ref, &w.dev, e);
    if (r == 0)
        r = find_from(s, &w, e);
    if (r == 0)
        r = compare(s, &w, e);
    if (r == 0)
        r = look_there(s, &w, e);
    if (r == 0)
        *ret = w;
    return r;
}

int team_release_look(struct team *t, struct arena *a, const char *project, bool partial, struct release *ret, struct err *e)
{
    struct step s;
    int r = step_by_hand(t, a, project, "", "release", "", &s, e);
    if (r < 0)
        return r;
    r = look(&s, partial, ret, e);
    step_by_hand_free(&s);
    return r;
}

/* ---- the merge ---- */

/* What passes on the branch as it is, and what proves DEV. */
static int find_must_pass(struct step *s, const struct release *w, struct set *to, struct err *e)
{
    struct commit_info info;
    struct suite_run run;
    struct run *doc;
    const char *run_id;
    int r = deliver_must_pass(s, to, e);
    if (r == 0)
        r = repo_commit_info(s->site->repo, s->arena, &w->from, &info, e);
    if (r == 0)
        r = suite_on(s, "release-before", arena_strdup(s->arena, info.tree.hex), 0, &run, &doc, &run_id, e);
    if (r < 0)
        return r;
    suite_store(s, run_id, doc, run.completed ? "measured" : run.trouble);
    struct texts passed = suite_passed(s->arena, &run);
    set_add_all(to, &passed);
    return 0;
}

static int intend_merge(struct step *s, const struct release *w, struct err *e)
{
    struct merge_result m;
    struct set must_pass = SET_IN(s->arena);
    struct suite_run run;
    struct green_judgement j;
    const char *run_id, *fault = "";
    struct oid now;
    int r = repo_merge(s->site->repo, s->arena, &w->from, &w->dev, &m, e);
    if (r == 0)
        r = find_must_pass(s, w, &must_pass, e);
    const char *tree = arena_strdup(s->arena, r == 0 ? m.tree.hex : "");
    if (r == 0)
        r = green_on(s, &(struct green_wish){ "release", tree, { NULL, 0 }, must_pass.texts, 0 }, &run, &j, &run_id, &fault, e);
    if (r < 0)
        return r;
    if (*fault) {
        r = step_save(s, e);
        return r < 0 ? r : err_set(e, ERR_REFUSED, "%s and DEV can be merged, but not under the tests: %.700s", w->branch, fault);
    }
    r = repo_ref(s->site->repo, branch_ref(s), &now, e);
    if (r < 0)
        return r;
    json_t *payload = json_object();
    json_put_text(payload, "run", run_id);
    struct commit_wish c = {
        .ref = branch_ref(s), .expected = arena_strdup(s->arena, now.hex), .tree = tree, .parent = w->from.hex,
        .second_parent = w->dev.hex, .verb = "", .text = arena_printf(s->arena, "Merge DEV into %s", w->branch),
        .event_kind = "release.witnessed", .payload = payload,
    };
    return commit_intend(s, &c, e);
}

static int merge(struct step *s, const struct release *w, const char **ret_commit, struct err *e)
{
    s->task_id = arena_printf(s->arena, "%s/release-%.12s-%.12s", s->project_id, w->from.hex, w->dev.hex);
    int r = commit_pending(s) ? 0 : intend_merge(s, w, e);
    return r < 0 ? r : commit_make(s, ret_commit, e);
}

/* ---- making ---- */

static int record(struct step *s, const struct release *w, const char *commit, struct err *e)
{
    if (!was_made(s, commit)) {
        json_t *payload = json_object();
        json_put_text(payload, "branch", w->branch);
        json_put_text(payload, "from", w->from.hex);
        json_put_text(payload, "dev", w->dev.hex);
        json_put_text(payload, "to", commit);
        step_event(s, "release.made", payload);
    }
    return step_save(s, e);
}

static int give(struct step *s, const struct release *w, const struct oid *commit, const char **ret_note, struct err *e)
{
    struct oid none = { "" };
    if (*w->checked_out) {
        *ret_note = arena_printf(s->arena, "%s is checked out in %s and was left alone there. %s", w->branch, w->checked_out, w->take);
        return 0;
    }
    if (*w->target) {
        int r = repo_export(s->site->repo, w->target, w->branch, w->in_target ? &w->from : &none, commit, e);
        return r < 0 ? err_prefix(e, "the release is made, but %s did not take it (`tandem release %s` tries again)", w->target,
                                  s->project_id) : 0;
    }
    if (is_there(s->project.out)) {
        *ret_note = arena_printf(s->arena, "%s is not a clone any more; the release is in %s, branch %s.\n", s->project.out,
                                 project_repo_path(s->arena, s->team->home, s->project_id), w->branch);
        return 0;
    }
    int r = repo_clone_out(s->site->repo, s->project.out, w->branch, e);
    if (r == 0)
        *ret_note = arena_printf(s->arena, "The clone was gone; %s is a new one.\n", s->project.out);
    return r;
}

static int make(struct step *s, const struct release *w, const char **ret_note, struct err *e)
{
    const char *commit = w->dev.hex;
    int r = w->forward ? 0 : merge(s, w, &commit, e);
    struct oid to = oid_of(commit);
    if (r == 0) /* ours follows the person's, even if they have rewritten it */
        r = repo_ref_move(s->site->repo, branch_ref(s), NULL, &to, e);
    failpoint("release.moved");
    if (r == 0)
        r = record(s, w, commit, e);
    failpoint("release.recorded");
    return r < 0 ? r : give(s, w, &to, ret_note, e);
}

int team_release_make(struct team *t, struct arena *a, const struct release *w, const char *person, const char **ret_note,
                      struct err *e)
{
    struct step s;
    *ret_note = "";
    if (w->conflicts.count)
        return err_set(e, ERR_REFUSED, "%s and DEV change the same places", w->branch);
    int r = team_sandbox(t, e);
    if (r == 0)
        r = step_by_hand(t, a, w->project, "", "release", person, &s, e);
    if (r < 0)
        return r;
    r = make(&s, w, ret_note, e);
    step_by_hand_free(&s);
    return r;
}
