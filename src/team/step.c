/* step.c - loads what a task is about, runs its code, and commits how it ended.
 *
 * Everything a step changes goes into one batch with "task done" and the next task, so that
 * a crash leaves either the state before or the state after, never one in between.
 */
#include "team/step.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "team/ask.h"

static const struct { const char *name; step_fn *fn; } steps[] = {
    { "write-spec", step_write_spec }, { "plan", step_plan },
    { "start", step_start }, { "scope", step_scope }, { "red", step_red }, { "green", step_green },
    { "work", step_work }, { "refactor", step_refactor }, { "integrate", step_integrate },
    { "review", step_review }, { "merge", step_merge },
    { "appraise", step_appraise }, { "deliver", step_deliver },
};

step_fn *step_find(const char *name)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (streq(steps[i].name, name))
            return steps[i].fn;
    return NULL;
}

const char *step_names(struct arena *a)
{
    struct texts names = { 0 };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        texts_add(&names, a, steps[i].name);
    return texts_join(&names, a, ", ", 0);
}

/* ---- tasks ---- */

void task_put(struct batch *b, struct arena *a, const char *project, const char *thing, int64_t number,
              const struct stage *stage, int64_t order)
{
    struct task t = { .project = project, .ticket = thing, .stage = stage->name, .role = stage->role,
                      .order = order, .owner = "", .error = "" };
    const char *id = *thing ? arena_printf(a, "%s/%s/%lld-%s", project, thing, (long long)number, stage->name)
                            : arena_printf(a, "%s/%lld-%s", project, (long long)number, stage->name);
    batch_insert(b, &task_type, id, &t);
}

/* Tickets that have begun go first, so that few are open at a time. */
static int64_t ticket_order(const struct ticket *t, const struct stage *stage)
{
    return t->number + (streq(stage->step, "start") ? 1000000 : 1000);
}

/* ---- loading ---- */

static int load_thing(struct step *s, const struct doc_type *type, const char *id, void *doc, int64_t *version, struct err *e)
{
    int r = store_get(s->team->store, s->arena, type, id, doc, version, e);
    if (r == ERR_NOT_FOUND)
        return err_set(e, r, "project %s has no %s; tandem status %s lists its tickets", s->project_id,
                       id + strlen(s->project_id) + 1, s->project_id);
    return r;
}

static int load_functionality(struct step *s, int64_t number, struct err *e)
{
    s->functionality_id = arena_printf(s->arena, "%s/F-%lld", s->project_id, (long long)number);
    return load_thing(s, &functionality_type, s->functionality_id, &s->functionality, &s->functionality_version, e);
}

static int load(struct step *s, struct err *e)
{
    int r = store_get(s->team->store, s->arena, &project_type, s->project_id, &s->project, &s->project_version, e);
    if (r < 0)
        return r;
    const char *thing = s->task.ticket;
    long long number;
    if (starts_with(thing, "F-") && parse_int(thing + 2, 1, INT32_MAX, &number)) {
        r = load_functionality(s, number, e);
    } else if (*thing) {
        s->ticket_id = arena_printf(s->arena, "%s/%s", s->project_id, thing);
        r = load_thing(s, &ticket_type, s->ticket_id, &s->ticket, &s->ticket_version, e);
        if (r == 0)
            r = load_functionality(s, s->ticket.functionality, e);
    }
    return r;
}

/* ---- saving ---- */

static void put_documents(struct step *s)
{
    if (s->project_changed)
        batch_update(s->batch, &project_type, s->project_id, s->project_version++, &s->project);
    if (s->ticket_changed)
        batch_update(s->batch, &ticket_type, s->ticket_id, s->ticket_version++, &s->ticket);
    if (s->functionality_changed)
        batch_update(s->batch, &functionality_type, s->functionality_id, s->functionality_version++,
                     &s->functionality);
    s->project_changed = s->ticket_changed = s->functionality_changed = false;
    for (struct conversation_use *c = s->conversations; c; c = c->next)
        conversation_save(s, c);
}

int step_save(struct step *s, struct err *e)
{
    put_documents(s);
    return store_commit(s->team->store, s->batch, NULL, e);
}

void step_event_of(struct step *s, enum role role, const char *kind, json_t *payload)
{
    batch_event(s->batch, &(struct event){
        .project = s->project_id, .ticket = s->task.ticket, .actor = s->person ? s->person : role_names[role],
        .kind = kind,
        .on_behalf = s->task_id, .payload_json = payload ? json_keep(s->arena, payload) : NULL });
}

void step_event(struct step *s, const char *kind, json_t *payload)
{
    step_event_of(s, s->role, kind, payload);
}

const char *step_command(const struct step *s, const char *verb)
{
    return project_command(s->arena, verb, s->project_id, s->task.ticket);
}

/* How a model should have answered comes last in a fault, and is nothing for a person. */
static size_t without_request(const char *why)
{
    size_t len = strlen(why);
    for (const char *at = why; (at = strstr(at, "; answer with ")); at++)
        len = (size_t)(at - why);
    return len;
}

void step_block(struct step *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    STR_LOCAL(text);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    str_truncate(&text, without_request(text.data));
    s->end = STEP_BLOCK;
    s->why = arena_strndup(s->arena, text.data, text.len);
}

void step_pulse_text(int stream, const char *bytes, size_t len, void *step)
{
    (void)stream;
    const struct step *s = step;
    const struct team_watcher *w = &s->team->options.watcher;
    struct pulse p = { s->project_id, s->task.ticket, role_names[ROLE_ENGINE], s->stage->name,
                       s->ticket_id ? s->ticket.attempt + 1 : 1 };
    if (w->text)
        w->text(&p, bytes, len, w->ctx);
}

void ticket_fresh_stage(struct ticket *t)
{
    t->attempt = 0;
    t->level = 0;
    t->seen = (struct texts){ NULL, 0 };
    t->nearest = 0;
    t->passed_at_once = 0;
    t->hint = "";
}

/* ---- ending ---- */

static void mark_blocked(struct step *s, const char *why)
{
    json_t *payload = json_object();
    json_put_text(payload, "why", why);
    if (s->ticket_id) {
        s->ticket.blocked = why;
        s->ticket_changed = true;
        step_event(s, "ticket.blocked", payload);
    } else if (s->functionality_id) {
        s->functionality.blocked = why;
        s->functionality_changed = true;
        step_event(s, "functionality.blocked", payload);
    } else {
        s->project.blocked = why;
        s->project_changed = true;
        step_event(s, "project.blocked", payload);
    }
}

static const struct stage *next_stage(struct step *s)
{
    if (s->end == STEP_AGAIN)
        return s->stage;
    if (s->end == STEP_GOTO)
        return playbook_stage(&s->site->playbook, s->go);
    bool criteria_left = false;
    unsigned holds = 0;
    if (s->ticket_id) {
        criteria_left = ticket_current(&s->ticket) < s->ticket.criteria.count;
        /* Its own work comes once, before anything else was committed. */
        if (s->ticket.kind != TICKET_BEHAVIOUR && streq(s->ticket.head, s->ticket.base))
            holds |= 1u << WHEN_NO_BEHAVIOUR;
        if (*s->ticket.comment)
            holds |= 1u << WHEN_ASKED;
    }
    return playbook_next(&s->site->playbook, s->stage, criteria_left, holds);
}

static void put_next(struct step *s, const struct stage *next)
{
    if (s->ticket_id) {
        if (s->end != STEP_AGAIN)
            ticket_fresh_stage(&s->ticket);
        s->ticket.stage = next->name;
        s->ticket.steps++;
        s->ticket_changed = true;
        task_put(s->batch, s->arena, s->project_id, s->task.ticket, s->ticket.steps, next,
                 ticket_order(&s->ticket, next));
    } else if (s->functionality_id) {
        if (s->end != STEP_AGAIN)
            s->functionality.hint = "";
        s->functionality.stage = next->name;
        s->functionality.steps++;
        s->functionality_changed = true;
        task_put(s->batch, s->arena, s->project_id, s->task.ticket, s->functionality.steps, next, 100);
    } else {
        s->project.steps++;
        s->project_changed = true;
        task_put(s->batch, s->arena, s->project_id, "", s->project.steps, next, 0);
    }
}

/* A finished ticket may have to wait for its merge.  That depends on who was faster, and so it is
 * a matter of the queue. */
static int tell_wait(struct step *s, const struct stage *next, struct err *e)
{
    struct store_found found;
    if (!s->ticket_id || s->end == STEP_AGAIN || !streq(next->step, "integrate"))
        return 0;
    int r = project_tickets(s->team->store, s->arena, s->project_id, &found, e);
    if (r < 0)
        return r;
    struct texts before = tickets_merged_before(s->arena, found.docs, found.count, &s->ticket);
    if (!before.count)
        return 0;
    json_t *payload = json_object();
    json_put_text(payload, "for", texts_join(&before, s->arena, ", ", 0));
    step_event(s, "task.waits", payload);
    return 0;
}

static int finish(struct step *s, struct err *e)
{
    if (s->end != STEP_AGAIN)
        ask_judge(s, s->end == STEP_BLOCK ? s->why : "");
    if (s->end == STEP_BLOCK) {
        mark_blocked(s, s->why);
    } else if (s->end == STEP_NEXT || s->end == STEP_AGAIN || s->end == STEP_GOTO) {
        const struct stage *next = next_stage(s);
        if (s->end == STEP_GOTO && !next)
            return err_set(e, ERR_INVALID, "the playbook %s has no stage \"%s\"", s->project.playbook, s->go);
        int r = next ? tell_wait(s, next, e) : 0;
        if (r < 0)
            return r;
        if (next)
            put_next(s, next);
    }
    put_documents(s);
    return queue_finish(s->team->queue, s->task_id, s->batch, e);
}

static int run_loaded(struct step *s, struct err *e)
{
    int r = load(s, e);
    if (r < 0)
        return r;
    s->stage = playbook_stage(&s->site->playbook, s->task.stage);
    step_fn *fn = s->stage ? step_find(s->stage->step) : NULL;
    if (!fn)
        return err_set(e, ERR_INVALID, "the playbook %s has no stage \"%s\" with a step that this Tandem knows",
                       s->project.playbook, s->task.stage);
    int role = role_parse(s->stage->role);
    s->role = role < 0 ? ROLE_ENGINE : (enum role)role;
    failpoint("step.begin");
    r = fn(s, e);
    if (r == 0)
        r = finish(s, e);
    failpoint("step.end");
    return r;
}

int step_run(struct team *t, struct site *site, const char *task_id, const struct task *task, struct err *e)
{
    ARENA_LOCAL(a);
    struct step s = { .team = t, .site = site, .arena = &a, .task_id = task_id, .task = *task,
                      .project_id = site->id, .batch = batch_new(), .cancel = team_cancel(t) };
    int r = run_loaded(&s, e);
    batch_free(s.batch);
    return r;
}

int step_by_hand(struct team *t, struct arena *a, const char *project, const char *thing, const char *name,
                 const char *person, struct step *ret, struct err *e)
{
    struct step s = { .team = t, .arena = a, .task_id = "", .task = { .project = project, .ticket = thing, .stage = name },
                      .project_id = project, .person = *person ? person : "person", .cancel = team_cancel(t) };
    struct stage *stage = ARENA_NEW(a, struct stage);
    *stage = (struct stage){ .name = name, .step = name, .role = role_names[ROLE_ENGINE] };
    s.stage = stage;
    int r = site_get(t, project, &s.site, e);
    if (r == 0)
        r = load(&s, e);
    if (r < 0)
        return r;
    s.batch = batch_new();
    team_log_unprotected(t, s.batch, a, project);
    *ret = s;
    return 0;
}

void step_by_hand_free(struct step *s)
{
    batch_free(s->batch);
    s->batch = NULL;
}
