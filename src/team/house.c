/* house.c - what the teams of a process share. */
#include "team/house.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "repo/git.h"
#include "repo/stack.h"

#include <stdlib.h>
#include <unistd.h>

static int open_house(struct house **ret, struct store *s, const struct house_options *o, bool works, struct err *e)
{
    struct house *h = xcalloc(1, sizeof *h);
    h->store = s;
    h->home = xstrdup(o->home);
    h->sandbox_mode = o->sandbox;
    h->scratch = o->scratch ? xstrdup(o->scratch) : NULL;
    pthread_mutex_init(&h->lock, NULL);
    pthread_mutex_init(&h->opening, NULL);
    int r = works ? queue_open(&h->queue, s, &o->queue, e) : 0;
    if (r < 0) {
        house_free(h);
        return r;
    }
    *ret = h;
    return 0;
}

int house_open(struct house **ret, struct store *s, const struct house_options *o, struct err *e)
{
    return open_house(ret, s, o, true, e);
}

int house_look(struct house **ret, struct store *s, const struct house_options *o, struct err *e)
{
    return open_house(ret, s, o, false, e);
}

int house_sandbox(struct house *h, struct sandbox **ret, struct err *e)
{
    pthread_mutex_lock(&h->opening);
    int r = h->sandbox ? 0 : sandbox_open(&h->sandbox, h->sandbox_mode, h->scratch, e);
    *ret = h->sandbox;
    pthread_mutex_unlock(&h->opening);
    return r;
}

const char *house_unprotected(struct house *h)
{
    struct sandbox *s;
    return house_sandbox(h, &s, NULL) == 0 ? sandbox_lacks(s) : "";
}

void house_free(struct house *h)
{
    if (!h)
        return;
    queue_free(h->queue);
    sandbox_free(h->sandbox);
    pthread_mutex_destroy(&h->opening);
    pthread_mutex_destroy(&h->lock);
    free(h->scratch);
    free(h->home);
    free(h);
}

/* ---- sites ---- */

static void site_free(struct site *site)
{
    repo_free(site->repo);
    for (size_t i = 0; i < site->stack_count; i++)
        stack_free(site->stacks[i]);
    free(site->stacks);
    arena_release(&site->arena);
    free(site);
}

/* With house->lock held, or before the site is in the list. */
static int open_stack(struct site *site, const char *name, struct err *e)
{
    for (size_t i = 0; i < site->stack_count; i++) {
        if (streq(stack_name(site->stacks[i]), name)) {
            site->stack = site->stacks[i];
            return 0;
        }
    }
    struct stack *stack;
    int r = stack_load(&stack, name, site->overrides.dirs, e);
    if (r < 0)
        return r;
    XGROW(site->stacks, site->stack_cap, site->stack_count);
    site->stacks[site->stack_count++] = stack;
    site->stack = stack;
    return 0;
}

static int site_open(struct house *h, const char *project, struct site **ret, struct err *e)
{
    struct site *site = xcalloc(1, sizeof *site);
    struct project p;
    site->id = arena_strdup(&site->arena, project);
    site->overrides = team_overrides(&site->arena, h->home, project);
    int r = project_get(h->store, &site->arena, h->home, project, &p, e);
    if (r == 0 && h->queue)
        r = overrides_check(&site->arena, site->overrides.dirs, e);
    if (r == 0)
        r = playbook_load(&site->arena, p.playbook, site->overrides.dirs, &site->playbook, e);
    if (r == 0)
        r = repo_open(&site->repo, project_repo_path(&site->arena, h->home, project), e);
    if (r == 0 && h->queue)
        r = repo_unlock(site->repo, e);
    if (r == 0 && *p.stack)
        r = open_stack(site, p.stack, e);
    if (r < 0) {
        site_free(site);
        return r;
    }
    *ret = site;
    return 0;
}

int house_take_site(struct house *h, const char *project, struct site **ret, struct err *e)
{
    pthread_mutex_lock(&h->lock);
    struct site *site = h->sites;
    while (site && !streq(site->id, project))
        site = site->next;
    int r = 0;
    if (!site) {
        r = site_open(h, project, &site, e);
        if (r == 0) {
            site->next = h->sites;
            h->sites = site;
        }
    }
    if (r == 0) {
        site->users++;
        *ret = site;
    }
    pthread_mutex_unlock(&h->lock);
    return r;
}

void house_give_site(struct house *h, struct site *site)
{
    pthread_mutex_lock(&h->lock);
    if (--site->users == 0) {
        struct site **at = &h->sites;
        while (*at != site)
            at = &(*at)->next;
        *at = site->next;
        site_free(site);
    }
    pthread_mutex_unlock(&h->lock);
}

int site_stack(struct house *h, struct site *site, const char *name, struct err *e)
{
    pthread_mutex_lock(&h->lock);
    int r = open_stack(site, name, e);
    pthread_mutex_unlock(&h->lock);
    return r;
}

/* ---- names ---- */

bool house_take_name(struct house *h, struct house_name *name)
{
    pthread_mutex_lock(&h->lock);
    const struct house_name *n = h->names;
    while (n && !streq(n->id, name->id))
        n = n->next;
    if (!n) {
        name->next = h->names;
        h->names = name;
    }
    pthread_mutex_unlock(&h->lock);
    return !n;
}

int house_wait_name(struct house *h, struct house_name *name, const atomic_bool *cancel, struct err *e)
{
    enum { PAUSE_US = 20000 };
    while (!house_take_name(h, name)) {
        if (cancel && atomic_load(cancel))
            return err_set(e, ERR_CANCELLED, "stopped while somebody else had %s", name->id);
        usleep(PAUSE_US);
    }
    return 0;
}

void house_give_name(struct house *h, struct house_name *name)
{
    pthread_mutex_lock(&h->lock);
    struct house_name **at = &h->names;
    while (*at != name)
        at = &(*at)->next;
    *at = name->next;
    pthread_mutex_unlock(&h->lock);
}
