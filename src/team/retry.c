/* retry.c - what is blocked starts again where it stands. */
#include "team/talk.h"

static int retry_ticket(struct talk *k, const char *name, const char *hint, const char *person, struct err *e)
{
    struct ticket t;
    int64_t version;
    const char *id = arena_printf(k->arena, "%s/%s", k->id, name);
    int r = store_get(k->team->store, k->arena, &ticket_type, id, &t, &version, e);
    if (r == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND, "project %s has no ticket %s; tandem status %s lists them", k->id, name, k->id);
    if (r < 0)
        return r;
    if (!*t.blocked)
        return err_set(e, ERR_REFUSED, "%s is not blocked; only what is blocked is started again", name);
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

static int retry_functionality(struct talk *k, const char *name, const char *hint, const char *person, struct err *e)
{
    struct functionality f;
    int64_t version;
    const char *id = arena_printf(k->arena, "%s/%s", k->id, name);
    int r = store_get(k->team->store, k->arena, &functionality_type, id, &f, &version, e);
    if (r < 0)
        return r;
    if (!*f.blocked)
        return err_set(e, ERR_REFUSED, "%s is not blocked; only what is blocked is started again", name);
    /* Accepted is accepted: what failed was its merge into DEV. */
    const struct stage *stage = playbook_stage(&k->site->playbook, f.stage);
    if (!stage)
        stage = playbook_first(&k->site->playbook, FOR_FUNCTIONALITY);
    f.blocked = "";
    f.hint = hint ? hint : "";
    f.attempt = 0;
    f.steps++;
    if (f.review_rounds)
        f.review_rounds--;
    batch_update(k->batch, &functionality_type, id, version, &f);
    task_put(k->batch, k->arena, k->id, name, f.steps, stage, 100);
    return talk_end(k, person, "functionality.retried", "hint", f.hint, e);
}

static int retry_project(struct talk *k, const char *hint, const char *person, struct err *e)
{
    if (!*k->project.blocked)
        return err_set(e, ERR_REFUSED, "project %s is not blocked; `tandem resume %s` goes on with it", k->id, k->id);
    k->project.blocked = "";
    if (hint)
        k->project.wish = hint;
    talk_put_task(k, k->project.state == PROJECT_SPEC ? "write-spec" : "plan");
    return talk_end(k, person, "project.retried", "hint", hint ? hint : "", e);
}

int team_retry(struct team *t, const char *project, const char *thing, const char *hint, const char *person,
               struct err *e)
{
    ARENA_LOCAL(a);
    struct talk k;
    int r = talk_begin(t, &a, project, &k, e);
    k.thing = thing;
    if (r == 0 && *thing && !starts_with(thing, "T-") && !starts_with(thing, "F-"))
        r = err_set(e, ERR_USAGE, "\"%.60s\" is neither a ticket (T-3) nor a functionality (F-1); tandem status %s lists them", thing, k.id);
    if (r == 0)
        r = starts_with(thing, "T-")   ? retry_ticket(&k, thing, hint, person, e)
            : starts_with(thing, "F-") ? retry_functionality(&k, thing, hint, person, e)
                                       : retry_project(&k, hint, person, e);
    batch_free(k.batch);
    return r;
}
