/* verify.c - the home, its projects, and their trees.
 *
 * Everything that documents, events and commits say of each other is compared first.  What
 * is left are claims about how tests end on a tree; every tree is run once, several at a
 * time, however many claims name it.
 *
 * A writer may be at work meanwhile.  So documents are read first, then refs, then events:
 * a commit is on its branch before a document names it, and its event is in the log before
 * it is made.
 *
 * Threads: the workers share the proof read-only; what they find goes into their claims,
 * under the pool's lock.
 */
#include "team/verify.h"

#include "team/proof.h"

#include <pthread.h>

enum { MAX_JOBS = 16 };

void proof_fault(struct proof *p, const char *about, int64_t criterion, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    STR_LOCAL(text);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    p->count->faults++;
    p->watcher->fault(&(struct verify_finding){ p->id, about, criterion, text.data }, p->watcher->ctx);
}

void proof_note(struct proof *p, const char *about, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    STR_LOCAL(text);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    p->watcher->note(&(struct verify_finding){ p->id, about, 0, text.data }, p->watcher->ctx);
}

/* ---- running trees ---- */

struct pool {
    struct proof *proof;
    const char **trees; /* each once, in the order of the claims */
    size_t tree_count, next, done;
    pthread_mutex_t lock;
    bool cancelled;
};

static int run_tree(struct proof *p, const char *tree, struct arena *a, struct suite_run *ret, struct err *e)
{
    struct oid oid = oid_of(tree);
    struct suite_options o = { .prepare = &p->team->prepare, .limits = &p->team->options.limits.suite, .cancel = team_cancel(p->team) };
    if (!p->site->stack)
        return err_set(e, ERR_INVALID, "the project has no stack");
    return stack_run(p->site->stack, p->team->sandbox, p->site->repo, &oid, &o, a, ret, e);
}

static const char *kept(struct pool *pool, const char *text)
{
    pthread_mutex_lock(&pool->lock);
    const char *copy = arena_strdup(pool->proof->arena, text);
    pthread_mutex_unlock(&pool->lock);
    return copy;
}

/* Judges all claims about a tree; returns how many do not hold.  `again`: only those that
 * did not hold the first time. */
static size_t judge_tree(struct pool *pool, const char *tree, const struct suite_run *run, struct arena *a, bool again)
{
    struct proof *p = pool->proof;
    size_t faults = 0;
    for (size_t i = 0; i < p->claim_count; i++) {
        struct claim *c = &p->claims[i];
        if (!streq(c->tree, tree) || (again && !c->fault))
            continue;
        const char *fault = claim_judge(p, c, run, a);
        if (*fault) {
            c->fault = again ? c->fault : kept(pool, fault);
            faults++;
        } else if (again) {
            c->note = kept(pool, arena_printf(a, "%s; the second time it held: a test changes its mind", c->fault));
            c->fault = NULL;
        }
    }
    return faults;
}

static void tree_failed(struct pool *pool, const char *tree, const struct err *why)
{
    struct proof *p = pool->proof;
    for (size_t i = 0; i < p->claim_count; i++)
        if (streq(p->claims[i].tree, tree))
            p->claims[i].fault = kept(pool, why->text);
}

/* A tree whose claims do not hold is run once more, as at the time of the proof. */
static int prove_tree(struct pool *pool, const char *tree, struct err *e)
{
    for (int nth = 0; nth < 2; nth++) {
        ARENA_LOCAL(a);
        struct suite_run run;
        int r = run_tree(pool->proof, tree, &a, &run, e);
        if (r < 0)
            return r;
        if (!judge_tree(pool, tree, &run, &a, nth > 0))
            return 0;
    }
    return 0;
}

static const char *what_of(const struct pool *pool, const char *tree)
{
    const struct proof *p = pool->proof;
    for (size_t i = 0; i < p->claim_count; i++)
        if (streq(p->claims[i].tree, tree))
            return p->claims[i].about;
    return "";
}

static void *work(void *ctx)
{
    struct pool *pool = ctx;
    const struct verify_watcher *v = pool->proof->watcher;
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        const char *tree = pool->next < pool->tree_count && !pool->cancelled ? pool->trees[pool->next++] : NULL;
        pthread_mutex_unlock(&pool->lock);
        if (!tree)
            return NULL;
        struct err e;
        int r = prove_tree(pool, tree, &e);
        if (r < 0 && r != ERR_CANCELLED)
            tree_failed(pool, tree, &e);
        pthread_mutex_lock(&pool->lock);
        pool->cancelled |= r == ERR_CANCELLED;
        v->moved((int64_t)++pool->done, (int64_t)pool->tree_count, what_of(pool, tree), v->ctx);
        pthread_mutex_unlock(&pool->lock);
    }
}

static void gather_trees(struct pool *pool)
{
    struct proof *p = pool->proof;
    pool->trees = ARENA_ARRAY(p->arena, const char *, p->claim_count + 1);
    for (size_t i = 0; i < p->claim_count; i++) {
        size_t k = 0;
        while (k < pool->tree_count && !streq(pool->trees[k], p->claims[i].tree))
            k++;
        if (k == pool->tree_count)
            pool->trees[pool->tree_count++] = p->claims[i].tree;
    }
}

static void report(struct proof *p)
{
    for (size_t i = 0; i < p->claim_count; i++) {
        const struct claim *c = &p->claims[i];
        struct verify_finding f = { p->id, c->about, c->criterion, c->note };
        if (c->fault)
            proof_fault(p, c->about, c->criterion, "%s", c->fault);
        else if (c->note)
            p->watcher->note(&f, p->watcher->ctx);
    }
}

static int run_trees(struct proof *p, int64_t jobs, struct err *e)
{
    struct pool pool = { .proof = p };
    pthread_t threads[MAX_JOBS];
    int64_t started = 0, wanted = jobs < 1 ? 1 : jobs > MAX_JOBS ? MAX_JOBS : jobs;
    gather_trees(&pool);
    p->watcher->moved(0, (int64_t)pool.tree_count, "", p->watcher->ctx);
    pthread_mutex_init(&pool.lock, NULL);
    while (started < wanted && started < (int64_t)pool.tree_count && pthread_create(&threads[started], NULL, work, &pool) == 0)
        started++;
    for (int64_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&pool.lock);
    p->count->trees += (int64_t)pool.done;
    if (pool.cancelled || is_stopped(p->team))
        return err_set(e, ERR_CANCELLED, "stopped; %zu of %zu trees were tested", pool.done, pool.tree_count);
    if (pool.tree_count && !started)
        return err_set(e, ERR_FAILED, "no thread could be started");
    report(p);
    return 0;
}

/* ---- a project ---- */

/* What brought a functionality into DEV, and that it passes what proves its tickets. */
static void look_at_delivery(struct proof *p, const struct functionality *f, const struct texts *dev)
{
    const char *about = arena_printf(p->arena, "F-%lld", (long long)f->number);
    struct oid merged = oid_of(f->merged);
    struct commit_info info;
    struct err e;
    struct set tests = SET_IN(p->arena);
    if (!texts_has(dev, f->merged))
        proof_fault(p, about, 0, "its merge %.12s is not on the branch DEV any more", f->merged);
    if (repo_commit_info(p->site->repo, p->arena, &merged, &info, &e) < 0) {
        proof_fault(p, about, 0, "its merge %.12s cannot be read: %s", f->merged, e.text);
        return;
    }
    for (size_t i = 0; i < p->tickets.count; i++)
        if (proof_ticket(p, i)->functionality == f->number)
            ticket_tests(proof_ticket(p, i), &tests);
    claim_add(p, &(struct claim){ .kind = CLAIM_WHOLE, .about = about, .tree = arena_strdup(p->arena, info.tree.hex), .tests = tests.texts,
                                  .what = arena_printf(p->arena, "the merge %.12s into DEV", f->merged) });
}

/* Done, but not in DEV yet: its own merge must pass. */
static void look_at_waiting(struct proof *p, const struct ticket *t)
{
    struct oid merged = oid_of(t->merged);
    struct commit_info info;
    struct set tests = SET_IN(p->arena);
    if (!*t->merged || repo_commit_info(p->site->repo, p->arena, &merged, &info, NULL) < 0)
        return; /* ticket_prove has said so */
    ticket_tests(t, &tests);
    claim_add(p, &(struct claim){ .kind = CLAIM_WHOLE, .about = arena_printf(p->arena, "T-%lld", (long long)t->number),
                                  .tree = arena_strdup(p->arena, info.tree.hex), .ticket = t, .tests = tests.texts,
                                  .what = arena_printf(p->arena, "the merge %.12s", t->merged) });
}

static bool is_wanted(const struct proof *p, const struct ticket *t)
{
    return !p->only || streq(p->only, arena_printf(p->arena, "T-%lld", (long long)t->number));
}

static void prove_functionality(struct proof *p, const struct functionality *f)
{
    const char *about = arena_printf(p->arena, "F-%lld", (long long)f->number);
    bool walked = false;
    struct texts feature = { 0 };
    for (size_t i = 0; i < p->tickets.count; i++) {
        const struct ticket *t = proof_ticket(p, i);
        if (t->functionality != f->number || !is_wanted(p, t))
            continue;
        if (t->column == COLUMN_DONE && !walked) {
            feature = branch_walk(p, about, f->branch, p->project.base);
            walked = true;
        }
        ticket_prove(p, t, &feature);
        if (t->column == COLUMN_DONE && (f->state != FUNCTIONALITY_DONE || p->only))
            look_at_waiting(p, t);
    }
}

/* What was released is still in the released branch. */
static void look_at_releases(struct proof *p)
{
    struct event *events;
    size_t count;
    struct oid tip;
    if (store_events(p->team->store, p->arena, 0, p->id, NULL, "release.made", 0, &events, &count, NULL) < 0 || !count)
        return;
    const char *text, *ref = arena_printf(p->arena, "refs/heads/%s", p->project.branch);
    size_t len;
    json_t *payload;
    if (store_blob(p->team->store, p->arena, events[count - 1].payload, &text, &len, NULL) < 0 ||
        json_parse(p->arena, text, len, &payload, NULL) < 0)
        return; /* store_verify has said so */
    struct oid made = oid_of(json_text_of(payload, "to", ""));
    bool holds = false;
    if (repo_ref(p->site->repo, ref, &tip, NULL) < 0 || repo_is_ancestor(p->site->repo, &made, &tip, &holds, NULL) < 0 || !holds)
        proof_fault(p, "", 0, "the release %.12s (event %lld) is not on the branch %s any more", made.hex,
                    (long long)events[count - 1].seq, p->project.branch);
}

static void prove_all(struct proof *p)
{
    const struct functionality *f = p->functionalities.docs;
    struct texts dev = { 0 };
    if (!p->only && *p->project.base && p->functionalities.count)
        dev = branch_walk(p, "", "DEV", p->project.base);
    for (size_t i = 0; i < p->functionalities.count; i++) {
        prove_functionality(p, &f[i]);
        if (f[i].state == FUNCTIONALITY_DONE && !p->only)
            look_at_delivery(p, &f[i], &dev);
    }
    if (!p->only)
        look_at_releases(p);
}

static bool has_ticket(const struct proof *p)
{
    for (size_t i = 0; i < p->tickets.count; i++)
        if (p->only && is_wanted(p, proof_ticket(p, i)))
            return true;
    return !p->only;
}

/* Documents first, then refs, then events. */
static int read_project(struct proof *p, struct err *e)
{
    struct store *s = p->team->store;
    int r = store_get(s, p->arena, &project_type, p->id, &p->project, NULL, e);
    if (r == 0)
        r = project_functionalities(s, p->arena, p->id, &p->functionalities, e);
    if (r == 0)
        r = project_tickets(s, p->arena, p->id, &p->tickets, e);
    if (r == 0)
        r = site_get(p->team, p->id, &p->site, e);
    if (r == 0)
        r = repo_refs(p->site->repo, p->arena, "refs/heads/", &p->refs, e);
    return r == 0 ? witnesses_load(p, e) : r;
}

static int prove_project(struct team *t, const char *id, const struct verify_wish *w, const struct verify_watcher *v,
                         struct verify_count *count, struct err *e)
{
    ARENA_LOCAL(a);
    struct proof p = { .team = t, .arena = &a, .watcher = v, .count = count, .id = id, .only = w->ticket };
    struct err why;
    int r = team_sandbox(t, e);
    if (r < 0)
        return r;
    count->projects++;
    if (read_project(&p, &why) < 0) {
        proof_fault(&p, "", 0, "the project cannot be read: %s", why.text);
        return 0;
    }
    if (!has_ticket(&p))
        return err_set(e, ERR_NOT_FOUND, "project %s has no ticket %s; tandem status %s lists them", id, w->ticket, id);
    prove_all(&p);
    return run_trees(&p, w->jobs, e);
}

/* ---- the home ---- */

struct home_fault {
    const struct verify_watcher *watcher;
    struct verify_count *count;
};

static void store_fault(const char *text, void *ctx)
{
    struct home_fault *h = ctx;
    h->count->faults++;
    h->watcher->fault(&(struct verify_finding){ "", "", 0, text }, h->watcher->ctx);
}

int team_verify(struct team *t, const struct verify_wish *w, const struct verify_watcher *v,
                struct verify_count *ret, struct err *e)
{
    ARENA_LOCAL(a);
    struct verify_count count = { 0 };
    struct home_fault home = { v, &count };
    struct store_found projects;
    struct project one;
    if (w->project) { /* a wrong name is said before the work */
        int r = store_get(t->store, &a, &project_type, w->project, &one, NULL, e);
        if (r < 0)
            return r;
    }
    int r = store_verify(t->store, store_fault, &home, &count.events, e);
    if (r == 0 && w->project)
        r = prove_project(t, w->project, w, v, &count, e);
    else if (r == 0)
        r = store_find(t->store, &a, &project_type, NULL, &projects, e);
    for (size_t i = 0; r == 0 && !w->project && i < projects.count; i++)
        r = prove_project(t, projects.ids[i], w, v, &count, e);
    if (r == 0)
        *ret = count;
    return r;
}
