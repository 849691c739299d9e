/* talk.c - one sentence of a person is one commit: the project, what else it changes, the event. */
#include "team/talk.h"

int talk_begin(struct team *t, struct arena *a, const char *project, struct talk *ret, struct err *e)
{
    *ret = (struct talk){ .team = t, .arena = a, .id = project, .thing = "" };
    int r = site_get(t, project, &ret->site, e);
    if (r == 0)
        r = store_get(t->store, a, &project_type, project, &ret->project, &ret->version, e);
    if (r == 0)
        ret->batch = batch_new();
    return r;
}

/* ---- words that were heard ---- */

enum { REMEMBERED = 16 };

void talk_hear(const struct team *t, struct arena *a, struct project *p)
{
    struct texts kept = { NULL, 0 };
    if (!t->options.word)
        return;
    size_t skipped = p->heard.count < REMEMBERED ? 0 : p->heard.count - REMEMBERED + 1;
    for (size_t i = skipped; i < p->heard.count; i++)
        texts_add(&kept, a, p->heard.items[i]);
    texts_add(&kept, a, arena_strdup(a, t->options.word));
    p->heard = kept;
}

int team_heard(struct team *t, struct arena *a, const char *project, const char **ret_id, struct err *e)
{
    struct store_found found = { .count = 0 };
    struct project one, *all = &one;
    int r = 0;
    *ret_id = NULL;
    if (!t->options.word)
        return 0;
    if (*project)
        r = store_get(t->store, a, &project_type, project, &one, NULL, NULL);
    else if ((r = store_find(t->store, a, &project_type, NULL, &found, e)) == 0)
        all = found.docs;
    size_t count = *project ? r == 0 : found.count;
    for (size_t i = 0; i < count && !*ret_id; i++)
        if (texts_has(&all[i].heard, t->options.word))
            *ret_id = *project ? project : found.ids[i];
    return *project ? 0 : r;
}

/* ---- saying ---- */

int talk_end(struct talk *k, const char *person, const char *kind, const char *payload_key, const char *payload,
                    struct err *e)
{
    json_t *object = json_object();
    if (payload_key)
        json_put_text(object, payload_key, payload);
    talk_hear(k->team, k->arena, &k->project);
    batch_update(k->batch, &project_type, k->id, k->version, &k->project);
    batch_event(k->batch, &(struct event){ .project = k->id, .ticket = k->thing, .actor = *person ? person : "person", .kind = kind,
                                           .payload_json = json_keep(k->arena, object) });
    return store_commit(k->team->store, k->batch, NULL, e);
}

void talk_put_task(struct talk *k, const char *step)
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

int team_set_models(struct team *t, const char *project, const struct texts *models, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    struct talk k;
    int r = talk_begin(t, &a, project, &k, e);
    if (r < 0)
        return r;
    k.project.models = *models;
    r = talk_end(&k, person, "project.models-set", NULL, NULL, e);
    batch_free(k.batch);
    return r;
}

static bool all_is_there(struct talk *k)
{
    struct oid dev;
    return k->project.state == PROJECT_DONE && repo_ref(k->site->repo, "refs/heads/DEV", &dev, NULL) == 0 &&
           streq(k->project.handed_commit, dev.hex);
}

int team_set_out(struct team *t, const char *project, const char *out, const char *person, struct err *e)
{
    ARENA_LOCAL(a);
    struct talk k;
    int r = talk_begin(t, &a, project, &k, e);
    if (r < 0)
        return r;
    if (*k.project.source || all_is_there(&k)) {
        r = err_set(e, ERR_REFUSED, "the result of %s %s %s", project, *k.project.source ? "goes back into" : "is already in",
                    *k.project.source ? k.project.source : k.project.out);
    } else {
        k.project.out = out;
        k.project.handed_commit = "";
        r = talk_end(&k, person, "project.out-set", "out", out, e);
    }
    batch_free(k.batch);
    return r;
}
