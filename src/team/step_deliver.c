/* step_deliver.c - a finished functionality goes into DEV. */
#include "base/clock.h"
#include "team/attempt.h"
#include "team/commit.h"
#include "team/merge.h"

static const char dev_ref[] = "refs/heads/DEV";

void ticket_add_tests(const struct ticket *t, struct set *to)
{
    set_add_but(to, &t->baseline, &t->flaky);
    for (size_t i = 0; i < t->criteria.count; i++)
        set_add_but(to, &ticket_criterion(t, i)->tests, &t->flaky);
}

static bool is_delivered(const struct store_found *functionalities, int64_t number)
{
    const struct functionality *f = functionalities->docs;
    for (size_t i = 0; i < functionalities->count; i++)
        if (f[i].number == number)
            return f[i].state == FUNCTIONALITY_DONE;
    return false;
}

int deliver_must_pass(struct step *s, struct set *to, struct err *e)
{
    struct store_found functionalities, tickets;
    int r = project_functionalities(s->team->store, s->arena, s->project_id, &functionalities, e);
    if (r == 0)
        r = project_tickets(s->team->store, s->arena, s->project_id, &tickets, e);
    if (r < 0)
        return r;
    const struct ticket *t = tickets.docs;
    for (size_t i = 0; i < tickets.count; i++)
        if (t[i].functionality == s->functionality.number || is_delivered(&functionalities, t[i].functionality))
            ticket_add_tests(&t[i], to);
    return 0;
}

int functionality_must_pass(struct step *s, struct set *to, struct err *e)
{
    struct store_found tickets;
    int r = project_tickets(s->team->store, s->arena, s->project_id, &tickets, e);
    const struct ticket *t = tickets.docs;
    for (size_t i = 0; r == 0 && i < tickets.count; i++)
        if (t[i].functionality == s->functionality.number)
            ticket_add_tests(&t[i], to);
    return r;
}

/* The last functionality ends the project. */
static int finish_project(struct step *s, struct err *e)
{
    struct store_found found;
    int r = project_functionalities(s->team->store, s->arena, s->project_id, &found, e);
    if (r < 0)
        return r;
    const struct functionality *f = found.docs;
    for (size_t i = 0; i < found.count; i++)
        if (f[i].number != s->functionality.number && f[i].state != FUNCTIONALITY_DONE)
            return 0;
    s->project.state = PROJECT_DONE;
    s->project.finished_ms = clock_wall_ms();
    batch_event(s->batch, &(struct event){ .project = s->project_id, .actor = role_names[ROLE_ENGINE],
                                           .kind = "project.done", .on_behalf = s->task_id });
    return 0;
}

static int complete(struct step *s, struct err *e)
{
    const char *commit;
    int r = commit_make(s, &commit, e);
    if (r < 0)
        return r;
    s->functionality.merged = commit;
    s->functionality.state = FUNCTIONALITY_DONE;
    s->functionality_changed = true;
    s->project.tests_passed = s->functionality.tests_passed;
    s->project.tests_total = s->functionality.tests_total;
    s->project.covered = s->functionality.covered;
    s->project.lines = s->functionality.lines;
    s->project_changed = true;
    step_event(s, "functionality.delivered", NULL);
    s->end = STEP_NEXT;
    return finish_project(s, e);
}

/* Both have something that the other has not.  *ret_tree "": that did not succeed, and the step has
 * its end. */
static int merge_into_dev(struct step *s, const struct oid *dev, const struct oid *feature, const char **ret_tree,
                          const char **ret_run_id, struct err *e)
{
    struct set must_pass = SET_IN(s->arena);
    struct merge_made made;
    struct merge_wish w = {
        .ours = dev->hex, .theirs = feature->hex, .ours_name = "DEV", .theirs_name = s->functionality.branch,
        .step_name = "deliver", .must_pass = &must_pass.texts, .hint = s->functionality.hint, .attempt = s->functionality.attempt,
    };
    int r = deliver_must_pass(s, &must_pass, e);
    if (r == 0)
        r = merge_attempt(s, &w, &made, e);
    if (r < 0)
        return r;
    *ret_tree = made.tree;
    *ret_run_id = made.run_id;
    if (!*made.tree) {
        s->functionality_changed = true;
        merge_failed(s, &s->functionality.attempt, &made, arena_printf(s->arena, "%s cannot be merged into DEV", s->functionality.branch));
    }
    return 0;
}

static int intend(struct step *s, const struct oid *dev, const struct oid *feature, const char *tree, const char *run_id,
                  struct err *e)
{
    json_t *payload = json_object();
    json_put_text(payload, "run", run_id);
    json_put_text(payload, "feature", feature->hex);
    struct commit_wish c = {
        .ref = dev_ref, .expected = arena_strdup(s->arena, dev->hex), .tree = tree,
        .parent = arena_strdup(s->arena, dev->hex), .second_parent = arena_strdup(s->arena, feature->hex),
        .verb = "", .text = arena_printf(s->arena, "Merge %s into DEV\n%s", s->functionality.branch, s->functionality.title),
        .event_kind = "functionality.merged", .payload = payload,
    };
    return commit_intend(s, &c, e);
}

int step_deliver(struct step *s, struct err *e)
{
    if (commit_pending(s))
        return complete(s, e);
    struct oid dev, feature;
    int r = repo_ref(s->site->repo, dev_ref, &dev, e);
    if (r == 0)
        r = repo_ref(s->site->repo, arena_printf(s->arena, "refs/heads/%s", s->functionality.branch), &feature, e);
    bool contained;
    if (r == 0)
        r = repo_is_ancestor(s->site->repo, &dev, &feature, &contained, e);
    if (r < 0)
        return r;
    const char *tree, *run_id = "";
    if (contained) /* DEV has nothing that the functionality's last run did not see */
        r = tree_of(s, feature.hex, &tree, e);
    else
        r = merge_into_dev(s, &dev, &feature, &tree, &run_id, e);
    if (r < 0 || !*tree)
        return r;
    r = intend(s, &dev, &feature, tree, run_id, e);
    return r < 0 ? r : complete(s, e);
}
