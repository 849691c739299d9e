/* registry_exam.c - what the exams of models allow them to do. */
#include "model/registry.h"

#include "base/arena.h"
#include "base/str.h"
#include "model/exam.h"

void registry_load_exams(struct store *s, struct arena *a, struct registry *r)
{
    const struct model_entry *models = r->models.items;
    struct exam_card *cards = ARENA_ARRAY(a, struct exam_card, r->models.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < r->models.count; i++)
        count += exam_load(s, a, models[i].id, models[i].version, &cards[count], NULL) == 0;
    r->exams = (struct records){ cards, count };
}

const struct exam_card *registry_exam(const struct registry *r, const char *model)
{
    const struct exam_card *cards = r->exams.items;
    for (size_t i = 0; i < r->exams.count; i++)
        if (streq(cards[i].model, model))
            return &cards[i];
    return NULL;
}

static bool uses_blocks(const struct model_entry *m, const struct exam_card *c)
{
    return m->edit_format == EDIT_BLOCKS && exam_allows_blocks(c);
}

void registry_lacks(const struct registry *r, const struct route_entry *route, const char *model, struct str *out)
{
    struct exam_role needs = { .role = route->id, .context = route->min_context, .schema = route->min_schema };
    const struct model_entry *entry = registry_model(r, model);
    const struct exam_card *c = registry_exam(r, model);
    if (!route->min_context && !route->min_schema && !route->min_edits)
        return;
    if (!c || !entry) {
        str_addf(out, "not examined yet (`tandem model exam %s`)", model);
        return;
    }
    exam_role_lacks(c, &needs, out);
    int64_t edits = uses_blocks(entry, c) ? c->blocks : c->files;
    if (edits < route->min_edits)
        str_addf(out, "%sedits %lld %% of %lld %%", out->len ? ", " : "", (long long)(edits < 0 ? 0 : edits), (long long)route->min_edits);
}

bool registry_edits_by_blocks(const struct registry *r, const char *name)
{
    ARENA_LOCAL(a);
    struct texts chain = { 0 };
    if (registry_chain(r, &a, name, &chain, NULL) < 0)
        return false;
    for (size_t i = 0; i < chain.count; i++) {
        const struct exam_card *c = registry_exam(r, chain.items[i]);
        if (!c || !uses_blocks(registry_model(r, chain.items[i]), c))
            return false;
    }
    return true;
}
