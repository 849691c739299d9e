/* approve.c - spec and plan before a person: accepted, sent back, or edited. */
#include "base/yaml.h"
#include "team/judge.h"
#include "team/plan.h"
#include "team/spec.h"
#include "team/talk.h"
#include "team/words.h"

#include <unistd.h>

static const char dev_ref[] = "refs/heads/DEV";

/* Until there is a specification, a project is called by the first words of its idea. */
static void name_by_spec(struct talk *k, const char *text)
{
    struct project *p = &k->project;
    if (!*p->idea || !streq(p->name, idea_name(k->arena, p->idea)))
        return; /* a person named it */
    const char *old = branch_safe(k->arena, p->name);
    p->name = spec_title(k->arena, text);
    const char *last = strrchr(p->out, '/');
    const char *out = !last || !streq(last + 1, old) ? NULL :
        arena_printf(k->arena, "%.*s/%s", (int)(last - p->out), p->out, branch_safe(k->arena, p->name));
    if (out && access(out, F_OK) < 0)
        p->out = out;
}

static int approve_spec(struct talk *k, const char *person, struct err *e)
{
    struct spec spec;
    int64_t version;
    const char *id = arena_printf(k->arena, "%s/spec-%lld", k->id, (long long)k->project.spec);
    int r = store_get(k->team->store, k->arena, &spec_type, id, &spec, &version, e);
    if (r < 0)
        return r;
    spec.approved = true;
    spec.approved_by = person;
    batch_update(k->batch, &spec_type, id, version, &spec);
    name_by_spec(k, spec.text);
    k->project.state = PROJECT_PLAN;
    talk_put_task(k, "plan");
    return talk_end(k, person, "spec.approved", "spec", id, e);
}

/* The first commit of an empty repository, the default branch, and DEV: nothing is on it yet. */
static int prepare_branches(struct talk *k, struct err *e)
{
    struct repo *repo = k->site->repo;
    struct oid base = oid_of(k->project.base), tip;
    const char *ref = arena_printf(k->arena, "refs/heads/%s", k->project.branch);
    int r = site_stack(k->team->house, k->site, k->project.stack, e);
    if (r < 0)
        return r;
    if (!*k->project.base) {
        struct tree_change *files;
        size_t count;
        struct commit_intent c = { .time_s = k->project.created_ms / 1000 };
        r = stack_scaffold(k->site->stack, k->arena, k->project.name, &files, &count, e);
        if (r == 0)
            r = repo_write_tree(repo, &(struct oid){ "" }, files, count, &c.tree, e);
        c.message = arena_printf(k->arena, "Begin %s\n\nScaffold of the stack %s.\n", k->project.name, k->project.stack);
        if (r == 0)
            r = repo_commit(repo, &c, &base, e);
        if (r == 0)
            r = repo_ref_move(repo, ref, NULL, &base, e);
        if (r < 0)
            return r;
        k->project.base = arena_strdup(k->arena, base.hex);
    }
    r = repo_ref(repo, ref, &tip, e);
    if (r == ERR_NOT_FOUND) /* it is unborn in the person's repository, which has a DEV */
        r = repo_ref_move(repo, ref, NULL, &base, e);
    return r < 0 ? r : repo_ref_move(repo, dev_ref, NULL, &base, e);
}

static int read_plan(struct talk *k, struct plan *ret, struct err *e)
{
    const char *text;
    size_t len;
    json_t *json;
    int r = store_blob(k->team->store, k->arena, k->project.plan, &text, &len, e);
    if (r == 0)
        r = json_parse(k->arena, text, len, &json, e);
    if (r == 0)
        r = record_read(&plan_record, k->arena, json, ret, e);
    return r;
}

static int approve_plan(struct talk *k, const char *person, struct err *e)
{
    struct plan plan;
    struct texts taken;
    const struct stage *first = playbook_first(&k->site->playbook, FOR_TICKET);
    int r = read_plan(k, &plan, e);
    if (r == 0) {
        k->project.stack = plan.stack;
        r = prepare_branches(k, e);
    }
    if (r == 0)
        r = repo_branches_taken(k->site->repo, k->arena, &taken, e);
    if (r == 0)
        r = plan_store(k->arena, &plan, k->id, first->name, &taken, k->batch, e);
    if (r < 0)
        return r;
    for (size_t i = 1; i <= plan.tickets.count; i++)
        task_put(k->batch, k->arena, k->id, arena_printf(k->arena, "T-%zu", i), 1, first, (int64_t)i + 1000000);
    k->project.state = PROJECT_BUILD;
    return talk_end(k, person, "plan.approved", "plan", k->project.plan, e);
}

/* ---- the gate ---- */

/* Which spec or plan waits. */
static int look_at_gate(const struct talk *k, struct gate *ret, struct err *e)
{
    const struct project *p = &k->project;
    *ret = (struct gate){ .is_spec = p->state == PROJECT_SPEC_APPROVAL };
    if (!ret->is_spec && p->state != PROJECT_PLAN_APPROVAL)
        return err_set(e, ERR_REFUSED, "nothing of %s waits for approval (it is in %s)", k->id, project_state_names[p->state]);
    ret->shown = ret->is_spec ? arena_printf(k->arena, "spec-%lld", (long long)p->spec) : p->plan;
    return 0;
}

/* A person's answer begins: to what they were shown, if they say which that was. */
static int answer_begin(struct team *t, struct arena *a, const char *project, const char *shown, struct talk *ret, bool *ret_is_spec,
                        struct err *e)
{
    struct gate gate;
    int r = talk_begin(t, a, project, ret, e);
    if (r == 0)
        r = look_at_gate(ret, &gate, e);
    if (r == 0 && *shown && !streq(shown, gate.shown))
        r = err_set(e, ERR_CONFLICT, "what waits for approval of %s by now is %s %s", project,
                    starts_with(shown, "spec-") == gate.is_spec ? "another" : "the", gate.is_spec ? "specification" : "plan");
    if (r == 0)
        *ret_is_spec = gate.is_spec;
    return r;
}

int team_approve(struct team *t, const char *project, const char *shown, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    struct talk k;
    bool is_spec;
    int r = answer_begin(t, &a, project, shown, &k, &is_spec, e);
    if (r == 0)
        r = is_spec ? approve_spec(&k, person, e) : approve_plan(&k, person, e);
    batch_free(k.batch);
    return r;
}

int team_change(struct team *t, const char *project, const char *shown, const char *wish, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    struct talk k;
    bool is_spec;
    int r = answer_begin(t, &a, project, shown, &k, &is_spec, e);
    if (r == 0) {
        k.project.wish = wish;
        k.project.state = is_spec ? PROJECT_SPEC : PROJECT_PLAN;
        talk_put_task(&k, is_spec ? "write-spec" : "plan");
        r = talk_end(&k, person, is_spec ? "spec.change-asked" : "plan.change-asked", "wish", wish, e);
    }
    batch_free(k.batch);
    return r;
}

static int edit_spec(struct talk *k, const char *text, const char *person, struct err *e)
{
    int r = spec_read(k->arena, text, strlen(text), &text, e);
    if (r < 0)
        return r;
    k->project.spec++;
    k->project.edited = true;
    struct spec doc = { .project = k->id, .number = k->project.spec, .text = text, .origin = "person", .approved_by = "" };
    const char *id = arena_printf(k->arena, "%s/spec-%lld", k->id, (long long)doc.number);
    batch_insert(k->batch, &spec_type, id, &doc);
    return talk_end(k, person, "spec.edited", "spec", id, e);
}

static int edit_plan(struct talk *k, const char *text, const char *person, struct err *e)
{
    struct plan plan;
    struct spec spec;
    struct clauses clauses;
    const char *id = arena_printf(k->arena, "%s/spec-%lld", k->id, (long long)k->project.spec);
    int r = yaml_read_record("plan", text, strlen(text), &plan_record, k->arena, &plan, e);
    if (r == 0)
        r = store_get(k->team->store, k->arena, &spec_type, id, &spec, NULL, e);
    if (r == 0)
        r = spec_clauses(k->arena, spec.text, &clauses, e);
    if (r < 0)
        return r;
    const char *fault = architect_is_satisfactory(k->arena, &plan, &clauses);
    if (*fault)
        return err_set(e, ERR_INVALID, "plan: %s", fault);
    if (!*plan.stack)
        plan.stack = k->project.stack;
    if (!*plan.stack)
        return err_set(e, ERR_INVALID, "plan: stack is missing");
    if (site_stack(k->team->house, k->site, plan.stack, e) < 0)
        return err_set(e, ERR_INVALID, "plan: %s", arena_strdup(k->arena, e->text));
    STR_LOCAL(json);
    json_write(&json, json_keep(k->arena, record_write(&plan_record, &plan)));
    k->project.edited = true;
    k->project.plan = arena_strdup(k->arena, batch_blob(k->batch, json.data, json.len).hex);
    if (*k->project.stack) /* known before the plan; otherwise the plan proposes it until it is approved */
        k->project.stack = plan.stack;
    return talk_end(k, person, "plan.edited", "plan", k->project.plan, e);
}

int team_edit(struct team *t, const char *project, const char *shown, const char *text, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    struct talk k;
    bool is_spec;
    int r = answer_begin(t, &a, project, shown, &k, &is_spec, e);
    if (r == 0)
        r = is_spec ? edit_spec(&k, text, person, e) : edit_plan(&k, text, person, e);
    batch_free(k.batch);
    return r;
}

int team_gate(struct team *t, struct arena *a, const char *project, struct gate *ret, struct err *e)
{
    struct talk k;
    struct gate gate;
    struct spec spec;
    struct plan plan;
    struct clauses clauses;
    int r = talk_begin(t, a, project, &k, e);
    batch_free(k.batch);
    if (r == 0)
        r = look_at_gate(&k, &gate, e);
    if (r == 0)
        r = store_get(t->store, a, &spec_type, arena_printf(a, "%s/spec-%lld", project, (long long)k.project.spec), &spec, NULL, e);
    if (r == 0 && gate.is_spec) {
        gate.text = gate.editable = spec.text;
    } else if (r == 0) {
        r = read_plan(&k, &plan, e);
        if (r == 0)
            r = spec_clauses(a, spec.text, &clauses, e);
        if (r < 0)
            return r;
        gate.text = plan_text(a, &plan, &clauses);
        gate.editable = plan_for_editing(a, &plan, &clauses);
    }
    if (r == 0)
        *ret = gate;
    return r;
}
