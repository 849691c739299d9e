/* project.c - how a project comes to be.
 *
 * Git first, store last: what is in the store is true, and everything done to git before is
 * done again in the same way if the store does not know of it.
 */
#include "base/clock.h"
#include "os/files.h"
#include "team/talk.h"
#include "team/tree_limit.h"
#include "team/words.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* A free id from a name: "units", "units-2", ...; it is taken until house_give_name. */
static int free_id(struct team *t, struct arena *a, const char *name, struct house_name *ret, struct err *e)
{
    const char *stem = branch_safe(a, name);
    for (int n = 1; n <= 1000; n++) {
        struct project p;
        ret->id = n == 1 ? stem : arena_printf(a, "%s-%d", stem, n);
        if (!house_take_name(t->house, ret))
            continue;
        int r = store_get(t->store, a, &project_type, ret->id, &p, NULL, e);
        if (r == ERR_NOT_FOUND)
            return 0;
        house_give_name(t->house, ret);
        if (r < 0)
            return r;
    }
    return err_set(e, ERR_LIMIT, "there are 1000 projects named %s already; give another --name", stem);
}

/* A repository that a crash left without a project is nobody's: it is made anew.  Beside it
 * may lie what the person has put there for this project (share/). */
static int make_repo(struct team *t, struct arena *a, const char *id, const char *branch, struct repo **ret, struct err *e)
{
    const char *path = project_repo_path(a, t->home, id);
    int fd;
    int r = dir_open(path, true, &fd, e);
    if (r < 0)
        return r;
    r = dir_empty(fd, e);
    close(fd);
    if (r == 0)
        r = repo_create(path, branch, e);
    if (r == 0)
        r = repo_open(ret, path, e);
    return r;
}

/* Where work on an existing repository starts: its DEV when there is one and it is kept.  Results
 * replace that branch in any case, so a person is asked. */
static int choose_base(struct repo *repo, struct project *p, const struct oid *head, enum existing_dev dev,
                       struct arena *a, struct err *e)
{
    struct repo_refs below;
    struct oid existing;
    int r = repo_refs(repo, a, "refs/tandem/source/DEV/", &below, e);
    if (r < 0)
        return r;
    if (below.count)
        return err_set(e, ERR_INVALID, "%s has the branch %s, beside which there can be no DEV, where results go; rename it first",
                       p->source, below.names[0] + strlen("refs/tandem/source/"));
    p->base = arena_strdup(a, head->hex);
    if (repo_ref(repo, "refs/tandem/source/DEV", &existing, NULL) < 0 || dev == DEV_REPLACE)
        return 0;
    if (dev == DEV_ASK)
        return err_set(e, ERR_EXISTS, "%s has a DEV branch already: continue on it (--dev continue), replace it by one from "
                                      "%s (--dev replace), or stop", p->source, p->branch);
    p->base = arena_strdup(a, existing.hex);
    return 0;
}

static int fill_repo(struct repo *repo, struct arena *a, const struct project_wish *w, struct project *p,
                     bool *ret_dirty, struct err *e)
{
    struct oid head = { "" };
    if (!w->repo)
        return 0;
    int r = repo_import(repo, a, w->repo, "DEV", &p->branch, &head, ret_dirty, e);
    if (r == 0)
        r = choose_base(repo, p, &head, w->dev, a, e);
    return r;
}

static int find_stack(struct repo *repo, struct arena *a, const char *const *override_dirs,
                      struct project *p, struct err *e)
{
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
    struct overrides overrides = team_overrides(a, t->home, id);
    bool dirty = false;
    int r = fill_repo(repo, a, w, p, &dirty, e);
    struct oid base = oid_of(p->base);
    if (r == 0 && *base.hex && (r = tree_within(repo, &base, &t->options.limits, e)) < 0)
        err_prefix(e, "%s", w->repo);
    if (r == 0)
        r = overrides_check(a, overrides.dirs, e);
    if (r == 0)
        r = find_stack(repo, a, overrides.dirs, p, e);
    if (r == 0)
        r = playbook_load(a, p->playbook, overrides.dirs, &playbook, e);
    if (r == 0)
        r = team_sandbox(t, e);
    if (r == 0 && w->before)
        r = w->before(w->ctx, e);
    if (r < 0)
        return r;
    struct batch *b = batch_new();
    talk_hear(t, a, p);
    put_first_documents(a, b, id, p, w->spec, &playbook);
    if (dirty)
        batch_event(b, &(struct event){ .project = id, .actor = role_names[ROLE_ENGINE], .kind = "repository.dirty" });
    r = store_commit(t->store, b, NULL, e);
    batch_free(b);
    return r;
}

static int check_stack(struct team *t, struct arena *a, const char *id, const char *name, struct err *e)
{
    struct stack *stack = NULL;
    struct overrides overrides = team_overrides(a, t->home, id);
    int r = stack_load(&stack, name, overrides.dirs, e);
    stack_free(stack);
    return r == ERR_NOT_FOUND ? err_recode(e, ERR_USAGE) : r;
}

static int create_as(struct team *t, struct arena *a, const char *id, const struct project_wish *w, struct project *p, struct err *e)
{
    struct repo *repo = NULL;
    int r = *p->stack ? check_stack(t, a, id, p->stack, e) : 0;
    if (r == 0 && !w->repo && !*p->out)
        p->out = arena_printf(a, "%s/out/%s", t->home, id);
    if (r == 0)
        r = make_repo(t, a, id, p->branch, &repo, e);
    if (r == 0)
        r = create_in(t, a, id, repo, w, p, e);
    repo_free(repo);
    return r;
}

int team_create(struct team *t, struct arena *a, const struct project_wish *wish, const char **ret_id, struct err *e)
{
    struct project_wish own = *wish, *w = &own;
    int r = w->spec ? spec_read(a, w->spec, strlen(w->spec), &w->spec, e) : 0;
    if (r < 0)
        return r;
    struct git_person who = git_person(w->repo);
    const char *title = w->name ? w->name : w->spec ? spec_title(a, w->spec) : idea_name(a, w->idea);
    struct project p = {
        .name = title, .idea = w->idea ? w->idea : "", .state = PROJECT_SPEC, .stack = w->stack ? w->stack : "",
        .playbook = "agile", .source = w->repo ? w->repo : "", .branch = "main", .base = "", .out = w->out ? w->out : "",
        .handed_commit = "", .plan = "", .blocked = "", .wish = "", .coverage_target = w->coverage_target, .pairs = w->pairs, .models = w->models,
        .person = *who.name && *who.email ? arena_printf(a, "%s <%s>", who.name, who.email) : "", .created_ms = clock_wall_ms(),
    };
    struct house_name name;
    r = free_id(t, a, title, &name, e);
    if (r < 0)
        return r;
    r = create_as(t, a, name.id, w, &p, e);
    house_give_name(t->house, &name);
    if (r == 0)
        *ret_id = name.id;
    return r;
}
