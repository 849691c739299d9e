/* verbs.c - what a person can say to a project: each calls its part of the team. */
#include "office/internal.h"
#include "office/models.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "team/release.h"
#include "team/resolve.h"

/* ---- a new project ---- */

struct asking {
    struct office_call *call;
    const struct project_wish *wish;
    const char *note;
};

/* A wrong name, address or key is told before anything is begun. */
static int ask_models(void *ctx, struct err *e)
{
    struct asking *w = ctx;
    struct office_call *c = w->call;
    struct crew_models models;
    int r = crew_models_open(&models, c->office, c->caller, &c->settings, c->arena, &w->wish->models, DRIFT_WARN, e);
    if (r == 0)
        r = crew_models_ask(&models, c->caller->cancel, e);
    w->note = models.note;
    crew_models_close(&models);
    return r;
}

static const char *or_null(const char *text)
{
    return text && *text ? text : NULL;
}

static int create(struct office_call *c, const void *wish, void *answer, struct err *e)
{
    struct project_wish w = *(const struct project_wish *)wish;
    struct office_created *made = answer;
    struct asking asking = { c, &w, "" };
    w.name = or_null(w.name);
    w.idea = or_null(w.idea);
    w.spec = or_null(w.spec);
    w.stack = or_null(w.stack);
    w.repo = or_null(w.repo);
    w.out = or_null(w.out);
    w.pairs = w.pairs ? w.pairs : c->settings.pairs;
    w.coverage_target = w.coverage_target < 0 ? c->settings.coverage_target : w.coverage_target;
    w.before = ask_models;
    w.ctx = &asking;
    if (!w.idea && !w.spec)
        return err_set(e, ERR_INVALID, "neither an idea nor a specification is given");
    if (c->heard) {
        *made = (struct office_created){ c->heard, "" };
        return 0;
    }
    int r = team_create(c->team, c->arena, &w, &made->project, e);
    made->note = asking.note;
    return r;
}

const struct office_verb office_create = {
    "create", &office_create_record, &office_created_record, create, .doc = "begins a project of a specification or an idea",
};

/* ---- words ---- */

static int approve(struct office_call *c, const void *wish, void *answer, struct err *e)
{
    (void)answer;
    const struct office_approval *w = wish;
    return c->heard ? 0 : team_approve(c->team, w->project, w->shown, c->caller->person, e);
}

const struct office_verb office_approve = {
    "approve", &office_approval_record, &office_nothing_record, approve, .tries_again = true, .gives_work = true, .doc = "accepts the spec or plan under approval",
};

static int change(struct office_call *c, const void *wish, void *answer, struct err *e)
{
    (void)answer;
    const struct office_revision *w = wish;
    return c->heard ? 0 : team_change(c->team, w->project, w->shown, w->text, c->caller->person, e);
}

const struct office_verb office_change = {
    "change", &office_revision_record, &office_nothing_record, change, .tries_again = true, .gives_work = true,
    .doc = "sends the spec or plan under approval back, with what should be different",
};

static int edit(struct office_call *c, const void *wish, void *answer, struct err *e)
{
    (void)answer;
    const struct office_revision *w = wish;
    return c->heard ? 0 : team_edit(c->team, w->project, w->shown, w->text, c->caller->person, e);
}

const struct office_verb office_edit = {
    "edit", &office_revision_record, &office_nothing_record, edit, .tries_again = true, .gives_work = true, .doc = "the spec or plan under approval as the person wrote it",
};

static int retry(struct office_call *c, const void *wish, void *answer, struct err *e)
{
    (void)answer;
    const struct office_retry *w = wish;
    return c->heard ? 0 : team_retry(c->team, w->project, w->thing, or_null(w->hint), c->caller->person, e);
}

const struct office_verb office_retry = {
    "retry", &office_retry_record, &office_nothing_record, retry, .tries_again = true, .gives_work = true, .doc = "starts again what is blocked",
};

static int set_models(struct office_call *c, const void *wish, void *answer, struct err *e)
{
    (void)answer;
    const struct office_models *w = wish;
    return team_set_models(c->team, w->project, &w->models, c->caller->person, e);
}

const struct office_verb office_set_models = {
    "set-models", &office_models_record, &office_nothing_record, set_models, .tries_again = true, .doc = "other models from now on",
};

static int set_out(struct office_call *c, const void *wish, void *answer, struct err *e)
{
    (void)answer;
    const struct office_place *w = wish;
    return team_set_out(c->team, w->project, w->dir, c->caller->person, e);
}

const struct office_verb office_set_out = {
    "set-out", &office_place_record, &office_nothing_record, set_out, .tries_again = true, .doc = "another place for the clone of the result",
};

static int hand_over(struct office_call *c, const void *wish, void *answer, struct err *e)
{
    const struct office_project *w = wish;
    return team_hand_over(c->team, c->arena, w->project, answer, e);
}

const struct office_verb office_hand_over = {
    "hand-over", &office_project_record, &office_handed_record, hand_over, .tries_again = true, .doc = "brings what is finished to the person's repository or clone",
};

/* ---- merging by hand ---- */

static int resolve_open(struct office_call *c, const void *wish, void *answer, struct err *e)
{
    (void)answer;
    const struct office_clone *w = wish;
    struct resolve merge;
    int r = team_resolve_look(c->team, c->arena, w->project, w->thing, &merge, e);
    return r < 0 ? r : team_resolve_open(c->team, &merge, w->dir, c->caller->person, e);
}

const struct office_verb office_resolve_open = {
    "resolve-open", &office_clone_record, &office_nothing_record, resolve_open, .doc = "a clone in which the merge is under way",
};

static struct tree_change *changes_of(struct office_call *c, const struct office_merge *w)
{
    const struct office_file *files = w->files.items;
    struct tree_change *changes = ARENA_ARRAY(c->arena, struct tree_change, w->files.count + 1);
    for (size_t i = 0; i < w->files.count; i++)
        changes[i] = (struct tree_change){ .path = files[i].path, .bytes = files[i].text, .len = strlen(files[i].text) };
    return changes;
}

static int resolve_take(struct office_call *c, const void *wish, void *answer, struct err *e)
{
    const struct office_merge *w = wish;
    struct office_merged *merged = answer;
    struct resolve merge;
    size_t count = w->files.count;
    struct tree_change *changes = changes_of(c, w);
    *merged = (struct office_merged){ .fault = "", .output = "" };
    int r = team_resolve_look(c->team, c->arena, w->project, w->thing, &merge, e);
    if (r < 0)
        return r;
    merge.changes_tests = w->changes_tests;
    if (merge.pending)
        return team_resolve_take(c->team, c->arena, &merge, NULL, 0, c->caller->person, &merged->fault, &merged->output, e);
    if (w->from_clone)
        r = team_resolve_read(c->team, c->arena, &merge, &changes, &count, &merged->left_out, e);
    else if (!streq(w->tree, merge.tree))
        r = err_set(e, ERR_CONFLICT, "what is to be merged has changed meanwhile; nothing was taken");
    return r < 0 ? r : team_resolve_take(c->team, c->arena, &merge, changes, count, c->caller->person, &merged->fault, &merged->output, e);
}

const struct office_verb office_resolve_take = {
    "resolve-take", &office_merge_record, &office_merged_record, resolve_take, .gives_work = true, .doc = "takes a merge made by hand, under the whole suite",
};

/* ---- release ---- */

static int release(struct office_call *c, const void *wish, void *answer, struct err *e)
{
    const struct office_release *w = wish;
    struct office_note *note = answer;
    struct release now;
    int r = team_release_look(c->team, c->arena, w->project, w->partial, &now, e);
    if (r == 0 && (!streq(w->from, now.from.hex) || !streq(w->dev, now.dev.hex)))
        r = err_set(e, ERR_CONFLICT, "DEV or %s has changed meanwhile; nothing was released, look again", now.branch);
    return r < 0 ? r : team_release_make(c->team, c->arena, &now, c->caller->person, &note->note, e);
}

const struct office_verb office_release = {
    "release", &office_release_record, &office_note_record, release, .doc = "moves the default branch to what is in DEV",
};

const struct office_verb *const office_verbs[] = {
    &office_create, &office_approve, &office_change, &office_edit, &office_retry, &office_set_models, &office_set_out,
    &office_hand_over, &office_resolve_open, &office_resolve_take, &office_release, NULL,
};
