/* project.c - how a project comes to be, and what people say to it.
 *
 * Git first, store last: what is in the store is true, and everything done to git before is
 * done again in the same way if the store does not know of it.
 */
#include "base/clock.h"
#include "base/yaml.h"
#include "os/files.h"
#include "team/judge.h"
#include "team/plan.h"
#include "team/step.h"
#include "team/words.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static const char dev_ref[] = "refs/heads/DEV";

/* ---- creating ---- */

/* A free id from a name: "units", "units-2", ... */
static int free_id(struct team *t, struct arena *a, const char *name, const char **ret, struct err *e)
{
    const char *stem = branch_safe(a, name);
    for (int n = 1; n <= 1000; n++) {
        const char *id = n == 1 ? stem : arena_printf(a, "%s-%d", stem, n);
        struct project p;
        int r = store_get(t->store, a, &project_type, id, &p, NULL, e);
        if (r == ERR_NOT_FOUND) {
            *ret = id;
            return 0;
        }
        if (r < 0)
            return r;
    }
    return err_set(e, ERR_LIMIT, "there are 1000 projects named %s already; give another --name", stem);
}

/* A repository that a crash left without a project is nobody's: it is made anew. */
static int make_repo(struct team *t, struct arena *a, const char *id, const char *branch, struct repo **ret, struct err *e)
{
    const char *dir = arena_printf(a, "%s/projects/%s", t->home, id);
    int fd;
    int r = dir_open(dir, true, &fd, e);
    if (r < 0)
        return r;
    r = dir_empty(fd, e);
    close(fd);
    const char *path = project_repo_path(a, t->home, id);
    if (r == 0)
        r = repo_create(path, branch, e);
    if (r == 0)
        r = repo_open(ret, path, e);
    return r;
}

/* Where work on an existing repository starts: its DEV when there is one and it is kept. */
static int choose_base(struct repo *repo, struct project *p, const struct oid *head, enum existing_dev dev,
                       struct arena *a, struct err *e)
{
    p->base = arena_strdup(a, head->hex);
    struct oid existing;
    if (!*head->hex || repo_ref(repo, dev_ref, &existing, NULL) < 0)
        return 0;
    switch (dev) {
    case DEV_CONTINUE:
        p->base = arena_strdup(a, existing.hex);
        return 0;
    case DEV_REPLACE:
        return repo_ref_move(repo, dev_ref, &existing, head, e);
    case DEV_ASK:
        break;
    }
    return err_set(e, ERR_EXISTS, "%s has a DEV branch already: continue on it (--dev continue), replace it by one from "
                                  "%s (--dev replace), or stop", p->source, p->branch);
}

static int fill_repo(struct repo *repo, struct arena *a, const struct project_wish *w, struct project *p,
                     struct err *e)
{
    struct oid head = { "" };
    if (!w->repo)
        return 0;
    bool dirty;
    int r = repo_import(repo, a, w->repo, &p->branch, &head, &dirty, e);
    if (r == 0)
        r = choose_base(repo, p, &head, w->dev, a, e);
    return r;
}

static int find_stack(struct team *t, struct repo *repo, struct arena *a, const char *const *override_dirs,
                      struct project *p, struct err *e)
{
    (void)t;
    if (*p->stack || !*p->base)
        return 0;
    struct oid base = oid_of(p->base);
    struct tree tree;
    const char *found = NULL;
    int r = repo_tree(repo, a, &base, &tree, e);
    if (r == 0)
        r = stack_detect(a, override_dirs, repo, &tree, &found, e);
    if (r == 0 && found)
        p->stack = found;
    return r;
}

static void put_first_documents(struct arena *a, struct batch *b, const char *id, struct project *p, const char *spec,
                                const struct playbook *playbook)
{
    const struct stage *first = playbook_first(playbook, FOR_PROJECT);
    if (spec) {
        struct spec doc = { .project = id, .number = 1, .text = spec, .origin = "file", .approved = true,
                            .approved_by = p->person };
        batch_insert(b, &spec_type, arena_printf(a, "%s/spec-1", id), &doc);
        p->spec = 1;
        p->state = PROJECT_PLAN;
        first = playbook_next(playbook, first, false, 0);
    }
    p->steps = 1;
    batch_insert(b, &project_type, id, p);
    task_put(b, a, id, "", 1, first, 0);
    batch_event(b, &(struct event){ .project = id, .actor = *p->person ? p->person : "person", .kind = "project.created" });
}

static int create_in(struct team *t, struct arena *a, const char *id, struct repo *repo, const struct project_wish *w,
                     struct project *p, struct err *e)
{
    struct playbook playbook;
    const char *dirs[] = { arena_printf(a, "%s/projects/%s/share", t->home, id),
                           arena_printf(a, "%s/share", t->home), NULL };
    int r = fill_repo(repo, a, w, p, e);
    if (r == 0)
        r = find_stack(t, repo, a, dirs, p, e);
    if (r == 0)
        r = playbook_load(a, p->playbook, dirs, &playbook, e);
    if (r < 0)
        return r;
    struct batch *b = batch_new();
    put_first_documents(a, b, id, p, w->spec, &playbook);
    r = store_commit(t->store, b, NULL, e);
    batch_free(b);
    return r;
}

int team_create(struct team *t, struct arena *a, const struct project_wish *wish, const char **ret_id, struct err *e)
{
    struct project_wish own = *wish, *w = &own;
    int r = w->spec ? spec_read(a, w->spec, strlen(w->spec), &w->spec, e) : 0;
    if (r < 0)
        return r;
    char name[200], email[200];
    git_user(name, sizeof name, email, sizeof email);
    const char *title = w->name ? w->name : w->spec ? spec_title(a, w->spec) : idea_name(a, w->idea);
    struct project p = {
        .name = title, .idea = w->idea ? w->idea : "", .state = PROJECT_SPEC, .stack = w->stack ? w->stack : "",
        .playbook = "agile", .source = w->repo ? w->repo : "", .branch = "main", .base = "", .out = w->out ? w->out : "",
        .plan = "", .blocked = "", .wish = "", .coverage_target = w->coverage_target, .pairs = w->pairs, .models = w->models,
        .person = *name && *email ? arena_printf(a, "%s <%s>", name, email) : "", .created_ms = clock_wall_ms(),
    };
    const char *id = "";
    struct repo *repo = NULL;
    r = free_id(t, a, title, &id, e);
    if (r == 0 && *p.stack) {
        struct stack *check = NULL;
        const char *dirs[] = { arena_printf(a, "%s/share", t->home), NULL };
        r = stack_load(&check, p.stack, dirs, e);
        stack_free(check);
    }
    if (r == 0 && !w->repo && !*p.out)
        p.out = arena_printf(a, "%s/out/%s", t->home, id);
    if (r == 0)
        r = make_repo(t, a, id, p.branch, &repo, e);
    if (r == 0)
        r = create_in(t, a, id, repo, w, &p, e);
    repo_free(repo);
    if (r == 0)
        *ret_id = id;
    return r;
}

/* ---- approving ---- */

struct talk { /* a person speaks to a project */
    struct team *team;
    struct arena *arena;
    struct site *site;
    const char *id;
    struct project project;
    int64_t version;
    struct batch *batch;
};

static int talk_begin(struct team *t, struct arena *a, const char *project, struct talk *ret, struct err *e)
{
    *ret = (struct talk){ .team = t, .arena = a, .id = project };
    int r = site_get(t, project, &ret->site, e);
    if (r == 0)
        r = store_get(t->store, a, &project_type, project, &ret->project, &ret->version, e);
    if (r == 0)
        ret->batch = batch_new();
    return r;
}

static int talk_end(struct talk *k, const char *person, const char *kind, const char *payload_key, const char *payload,
                    struct err *e)
{
    json_t *object = json_object();
    if (payload_key)
        json_put_text(object, payload_key, payload);
    batch_update(k->batch, &project_type, k->id, k->version, &k->project);
    batch_event(k->batch, &(struct event){ .project = k->id, .actor = *person ? person : "person", .kind = kind,
                                           .payload_json = json_keep(k->arena, object) });
    return store_commit(k->team->store, k->batch, NULL, e);
}

static void put_project_task(struct talk *k, const char *step)
{
    const struct playbook *p = &k->site->playbook;
    for (const struct stage *s = playbook_first(p, FOR_PROJECT); s; s = playbook_next(p, s, false, 0)) {
        if (streq(s->step, step)) {
            k->project.steps++;
            task_put(k->batch, k->arena, k->id, "", k->project.steps, s, 0);
            return;
        }
    }
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
    k->project.state = PROJECT_PLAN;
    put_project_task(k, "plan");
    return talk_end(k, person, "spec.approved", "spec", id, e);
}

/* The first commit of an empty repository, and DEV. */
static int prepare_branches(struct talk *k, struct err *e)
{
    struct repo *repo = k->site->repo;
    struct oid base = oid_of(k->project.base), dev;
    int r = site_stack(k->team, k->site, k->project.stack, e);
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
            r = repo_ref_move(repo, arena_printf(k->arena, "refs/heads/%s", k->project.branch), NULL, &base, e);
        if (r < 0)
            return r;
        k->project.base = arena_strdup(k->arena, base.hex);
    }
    if (repo_ref(repo, dev_ref, &dev, NULL) == 0)
        return 0;
    return repo_ref_move(repo, dev_ref, NULL, &base, e);
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
    const struct stage *first = playbook_first(&k->site->playbook, FOR_TICKET);
    int r = read_plan(k, &plan, e);
    if (r == 0)
        r = prepare_branches(k, e);
    if (r == 0)
        r = plan_store(k->arena, &plan, k->id, first->name, k->batch, e);
    if (r < 0)
        return r;
    for (size_t i = 1; i <= plan.tickets.count; i++)
        task_put(k->batch, k->arena, k->id, arena_printf(k->arena, "T-%zu", i), 1, first, (int64_t)i + 1000000);
    k->project.state = PROJECT_BUILD;
    return talk_end(k, person, "plan.approved", "plan", k->project.plan, e);
}

static int not_at_gate(const struct talk *k, struct err *e)
{
    return err_set(e, ERR_REFUSED, "nothing of %s waits for approval (it is in %s)", k->id,
                   project_state_names[k->project.state]);
}

int team_approve(struct team *t, const char *project, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    struct talk k;
    int r = talk_begin(t, &a, project, &k, e);
    if (r == 0)
        r = k.project.state == PROJECT_SPEC_APPROVAL   ? approve_spec(&k, person, e)
            : k.project.state == PROJECT_PLAN_APPROVAL ? approve_plan(&k, person, e)
                                                       : not_at_gate(&k, e);
    batch_free(k.batch);
    return r;
}

int team_change(struct team *t, const char *project, const char *wish, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    struct talk k;
    int r = talk_begin(t, &a, project, &k, e);
    if (r < 0)
        return r;
    k.project.wish = wish;
    if (k.project.state == PROJECT_SPEC_APPROVAL) {
        k.project.state = PROJECT_SPEC;
        put_project_task(&k, "write-spec");
        r = talk_end(&k, person, "spec.change-asked", "wish", wish, e);
    } else if (k.project.state == PROJECT_PLAN_APPROVAL) {
        k.project.state = PROJECT_PLAN;
        put_project_task(&k, "plan");
        r = talk_end(&k, person, "plan.change-asked", "wish", wish, e);
    } else {
        r = not_at_gate(&k, e);
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
    STR_LOCAL(json);
    json_write(&json, json_keep(k->arena, record_write(&plan_record, &plan)));
    k->project.plan = arena_strdup(k->arena, batch_blob(k->batch, json.data, json.len).hex);
    if (*plan.stack)
        k->project.stack = plan.stack;
    return talk_end(k, person, "plan.edited", "plan", k->project.plan, e);
}

int team_edit(struct team *t, const char *project, const char *text, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    struct talk k;
    int r = talk_begin(t, &a, project, &k, e);
    if (r == 0)
        r = k.project.state == PROJECT_SPEC_APPROVAL   ? edit_spec(&k, text, person, e)
            : k.project.state == PROJECT_PLAN_APPROVAL ? edit_plan(&k, text, person, e)
                                                       : not_at_gate(&k, e);
    batch_free(k.batch);
    return r;
}

int team_under_approval(struct team *t, struct arena *a, const char *project, bool for_editing, const char **ret,
                        struct err *e)
{
    struct talk k;
    int r = talk_begin(t, a, project, &k, e);
    if (r < 0)
        return r;
    batch_free(k.batch);
    if (k.project.state == PROJECT_SPEC_APPROVAL) {
        struct spec spec;
        const char *id = arena_printf(a, "%s/spec-%lld", project, (long long)k.project.spec);
        r = store_get(t->store, a, &spec_type, id, &spec, NULL, e);
        if (r == 0)
            *ret = spec.text;
        return r;
    }
    if (k.project.state != PROJECT_PLAN_APPROVAL)
        return not_at_gate(&k, e);
    struct plan plan;
    r = read_plan(&k, &plan, e);
    if (r < 0)
        return r;
    if (for_editing) {
        char *text = json_dumps(json_keep(a, record_write(&plan_record, &plan)), JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        *ret = arena_printf(a, "%s\n", text);
        free(text);
    } else {
        struct spec spec;
        struct clauses clauses;
        const char *id = arena_printf(a, "%s/spec-%lld", project, (long long)k.project.spec);
        r = store_get(t->store, a, &spec_type, id, &spec, NULL, e);
        if (r == 0)
            r = spec_clauses(a, spec.text, &clauses, e);
        if (r == 0)
            *ret = plan_text(a, &plan, &clauses);
    }
    return r;
}

/* ---- going on ---- */

static int retry_ticket(struct talk *k, const char *name, const char *hint, const char *person, struct err *e)
{
    struct ticket t;
    int64_t version;
    const char *id = arena_printf(k->arena, "%s/%s", k->id, name);
    int r = store_get(k->team->store, k->arena, &ticket_type, id, &t, &version, e);
    if (r == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND, "project %s has no ticket %s", k->id, name);
    if (r < 0)
        return r;
    if (!*t.blocked)
        return err_set(e, ERR_REFUSED, "%s is not blocked (it is in %s)", name, column_names[t.column]);
    const struct stage *stage = playbook_stage(&k->site->playbook, t.stage);
    if (!stage)
        stage = playbook_first(&k->site->playbook, FOR_TICKET);
    /* Short coverage is mended by the Developer, whom the hint is for. */
    if (hint && *t.comment && streq(stage->step, "integrate") && playbook_stage(&k->site->playbook, "refactor")) {
        stage = playbook_stage(&k->site->playbook, "refactor");
        t.stage = stage->name;
    }
    t.blocked = "";
    ticket_fresh_stage(&t);
    t.hint = hint ? hint : "";
    t.coverage_rounds = 0;
    if (t.review_rounds)
        t.review_rounds--;
    t.steps++;
    batch_update(k->batch, &ticket_type, id, version, &t);
    task_put(k->batch, k->arena, k->id, name, t.steps, stage, t.number + 1000);
    return talk_end(k, person, "ticket.retried", "hint", t.hint, e);
}

static int retry_functionality(struct talk *k, const char *name, const char *person, struct err *e)
{
    struct functionality f;
    int64_t version;
    const char *id = arena_printf(k->arena, "%s/%s", k->id, name);
    int r = store_get(k->team->store, k->arena, &functionality_type, id, &f, &version, e);
    if (r < 0)
        return r;
    if (!*f.blocked)
        return err_set(e, ERR_REFUSED, "%s is not blocked", name);
    f.blocked = "";
    f.attempt = 0;
    f.steps++;
    if (f.review_rounds)
        f.review_rounds--;
    batch_update(k->batch, &functionality_type, id, version, &f);
    task_put(k->batch, k->arena, k->id, name, f.steps, playbook_first(&k->site->playbook, FOR_FUNCTIONALITY), 100);
    return talk_end(k, person, "functionality.retried", NULL, NULL, e);
}

static int retry_project(struct talk *k, const char *hint, const char *person, struct err *e)
{
    if (!*k->project.blocked)
        return err_set(e, ERR_REFUSED, "project %s is not blocked", k->id);
    k->project.blocked = "";
    if (hint)
        k->project.wish = hint;
    put_project_task(k, k->project.state == PROJECT_SPEC ? "write-spec" : "plan");
    return talk_end(k, person, "project.retried", NULL, NULL, e);
}

int team_retry(struct team *t, const char *project, const char *thing, const char *hint, const char *person,
               struct err *e)
{
    ARENA_LOCAL(a);
    struct talk k;
    int r = talk_begin(t, &a, project, &k, e);
    if (r == 0)
        r = starts_with(thing, "T-")   ? retry_ticket(&k, thing, hint, person, e)
            : starts_with(thing, "F-") ? retry_functionality(&k, thing, person, e)
                                       : retry_project(&k, hint, person, e);
    batch_free(k.batch);
    return r;
}

/* ---- the result ---- */

static int give_back(struct talk *k, const char **ret_note, struct err *e)
{
    struct repo_refs refs;
    int r = repo_refs(k->site->repo, k->arena, "refs/heads/", &refs, e);
    if (r < 0)
        return r;
    STR_LOCAL(note);
    for (size_t i = 0; i < refs.count; i++) {
        const char *branch = refs.names[i] + strlen("refs/heads/");
        if (!streq(branch, "DEV") && !starts_with(branch, "feature/"))
            continue;
        struct oid before;
        const char *imported = arena_printf(k->arena, "refs/tandem/source/%s", branch);
        if (repo_ref(k->site->repo, imported, &before, NULL) < 0)
            before.hex[0] = '\0';
        r = repo_export(k->site->repo, k->project.source, branch, &before, &refs.oids[i], e);
        if (r == 0)
            r = repo_ref_move(k->site->repo, imported, NULL, &refs.oids[i], e);
        if (r == ERR_BUSY || r == ERR_CONFLICT)
            str_addf(&note, "%s was left alone: %s\n", branch, e->text);
        else if (r < 0)
            return r;
    }
    *ret_note = arena_strndup(k->arena, note.data, note.len);
    return 0;
}

/* The directory may be there already, from before a crash. */
static int make_clone(struct talk *k, struct err *e)
{
    int r = repo_clone_out(k->site->repo, k->project.out, "DEV", e);
    return r == ERR_EXISTS && repo_is_cloned(k->site->repo, k->project.out, "DEV") ? 0 : r;
}

int team_hand_over(struct team *t, struct arena *a, const char *project, const char **ret_note, struct err *e)
{
    struct talk k;
    int r = talk_begin(t, a, project, &k, e);
    if (r < 0)
        return r;
    *ret_note = "";
    if (!k.project.handed_over) {
        r = *k.project.source ? give_back(&k, ret_note, e) : make_clone(&k, e);
        k.project.handed_over = true;
        if (r == 0)
            r = talk_end(&k, role_names[ROLE_ENGINE], "project.handed-over", NULL, NULL, e);
    }
    batch_free(k.batch);
    return r;
}
