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
    r = yaml_read_record(path, text, len, &playbook_record, a, &p, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < p.stages.count; i++)
        if (playbook_stage(&p, stage_at(&p, i)->name) != stage_at(&p, i))
            return err_set(e, ERR_INVALID, "%s: the stage \"%s\" is there twice; give each its own name",
                           path, stage_at(&p, i)->name);
    *ret = p;
    return 0;
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
