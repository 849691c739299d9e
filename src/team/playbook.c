/* playbook.c - reads playbooks and walks their stages.
 *
 * A list with a loop for criteria, not a general state machine: every way of working in
 * the seeds is such a list, and a list is what a person can check by reading.
 */
#include "team/playbook.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/yaml.h"
#include "os/share.h"
#include "team/step.h"

static const char *const scopes[] = { "project", "functionality", "ticket", "criterion", NULL };
static const char *const conditions[] = { "always", "no-behaviour", "asked", NULL };
static const char *const gates[] = { "none", "person", NULL };

static const struct field stage_fields[] = {
    FIELD(struct stage, name, FIELD_TEXT, .required = true, .max = 40),
    FIELD(struct stage, step, FIELD_TEXT, .required = true, .max = 40),
    FIELD(struct stage, role, FIELD_TEXT, .required = true, .max = 40),
    { .name = "for", .kind = FIELD_ENUM, .offset = offsetof(struct stage, scope),
      .choices = scopes, .required = true },
    FIELD(struct stage, when, FIELD_ENUM, .choices = conditions),
    FIELD(struct stage, gate, FIELD_ENUM, .choices = gates),
};
static const struct record stage_record = RECORD("stage", struct stage, stage_fields);

static const struct field playbook_fields[] = {
    FIELD(struct playbook, name, FIELD_TEXT, .required = true, .max = 40),
    FIELD(struct playbook, summary, FIELD_TEXT, .max = 400),
    FIELD(struct playbook, stages, FIELD_RECORDS, .of = &stage_record, .required = true,
          .min = 1, .max = 64),
};
static const struct record playbook_record = RECORD("playbook", struct playbook, playbook_fields);

static const struct stage *stage_at(const struct playbook *p, size_t i)
{
    return (const struct stage *)p->stages.items + i;
}

/* Code knows these by name, or nothing is finished without them. */
static const struct { const char *step; enum stage_for scope; } needed[] = {
    { "write-spec", FOR_PROJECT }, { "plan", FOR_PROJECT }, { "start", FOR_TICKET }, { "red", FOR_CRITERION },
    { "green", FOR_CRITERION }, { "refactor", FOR_TICKET }, { "integrate", FOR_TICKET }, { "merge", FOR_TICKET },
    { "deliver", FOR_FUNCTIONALITY },
};

static bool has_step(const struct playbook *p, const char *step, enum stage_for scope)
{
    for (size_t i = 0; i < p->stages.count; i++)
        if (streq(stage_at(p, i)->step, step) && stage_at(p, i)->scope == (int)scope)
            return true;
    return false;
}

static int check_stage(struct arena *a, const struct yaml *y, const struct playbook *p, size_t i, struct err *e)
{
    const struct stage *s = stage_at(p, i);
    if (!step_find(s->step))
        return yaml_fault(y, arena_printf(a, "stages[%zu].step", i), e, "is \"%s\"; allowed: %s", s->step, step_names(a));
    if (role_parse(s->role) < 0)
        return yaml_fault(y, arena_printf(a, "stages[%zu].role", i), e, "is \"%s\"; allowed: engine, pm, architect, developer, tester", s->role);
    if (playbook_stage(p, s->name) != s)
        return yaml_fault(y, arena_printf(a, "stages[%zu].name", i), e, "is \"%s\", which is there already; give each its own name", s->name);
    bool is_called = streq(s->step, "refactor") || streq(s->step, "integrate");
    if (is_called && !streq(s->name, s->step))
        return yaml_fault(y, arena_printf(a, "stages[%zu].name", i), e, "is \"%s\"; a stage with the step %s has to be called so too", s->name, s->step);
    return 0;
}

static int check_stages(struct arena *a, const struct yaml *y, const struct playbook *p, struct err *e)
{
    for (size_t i = 0; i < p->stages.count; i++) {
        int r = check_stage(a, y, p, i, e);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!has_step(p, needed[i].step, needed[i].scope))
            return yaml_fault(y, "stages", e, "has none with {step: %s, for: %s}, without which nothing is built", needed[i].step,
                              scopes[needed[i].scope]);
    return 0;
}

int playbook_load(struct arena *a, const char *name, const char *const *override_dirs,
                  struct playbook *ret, struct err *e)
{
    const char *path = arena_printf(a, "playbooks/%s.yaml", name);
    const char *text;
    size_t len;
    int r = share_read(a, path, override_dirs, &text, &len, e);
    if (r < 0)
        return err_prefix(e, "playbook \"%s\"", name);
    struct playbook p;
    struct yaml *yaml;
    r = yaml_parse(a, share_where(a, path, override_dirs), text, len, &yaml, e);
    if (r == 0)
        r = yaml_record(yaml, a, &playbook_record, &p, e);
    if (r == 0)
        r = check_stages(a, yaml, &p, e);
    if (r == 0)
        *ret = p;
    return r;
}

const struct stage *playbook_stage(const struct playbook *p, const char *name)
{
    for (size_t i = 0; i < p->stages.count; i++)
        if (streq(stage_at(p, i)->name, name))
            return stage_at(p, i);
    return NULL;
}

const struct stage *playbook_first(const struct playbook *p, enum stage_for scope)
{
    for (size_t i = 0; i < p->stages.count; i++)
        if (stage_at(p, i)->scope == (int)scope)
            return stage_at(p, i);
    return NULL;
}

/* Criteria belong to the ticket's walk. */
static bool same_walk(int a, int b)
{
    if (a == FOR_CRITERION)
        a = FOR_TICKET;
    if (b == FOR_CRITERION)
        b = FOR_TICKET;
    return a == b;
}

const struct stage *playbook_next(const struct playbook *p, const struct stage *now,
                                  bool criteria_left, unsigned holds)
{
    const struct stage *first_of_loop = playbook_first(p, FOR_CRITERION);
    size_t i = (size_t)(now - stage_at(p, 0)) + 1;
    for (; i < p->stages.count; i++) {
        const struct stage *s = stage_at(p, i);
        if (!same_walk(s->scope, now->scope))
            continue;
        bool leaving = now->scope == FOR_CRITERION && s->scope != FOR_CRITERION;
        if (leaving && criteria_left)
            return first_of_loop;
        if (s->scope == FOR_CRITERION && now->scope != FOR_CRITERION && !criteria_left)
            continue;
        if (s->when != WHEN_ALWAYS && !(holds & 1u << s->when))
            continue;
        return s;
    }
    return now->scope == FOR_CRITERION && criteria_left ? first_of_loop : NULL;
}
