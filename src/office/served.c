/* served.c - who serves the roles, as the registry has it. */
#include "office/served.h"

#include "base/arena.h"
#include "base/str.h"

static void add_new(struct texts *list, struct arena *a, const struct texts *more)
{
    for (size_t i = 0; i < more->count; i++)
        if (!texts_has(list, more->items[i]))
            texts_add(list, a, more->items[i]);
}

const char *served_unexamined(struct arena *a, const struct registry *r, const struct texts *models)
{
    STR_LOCAL(names);
    const char *first = NULL;
    for (size_t i = 0; i < models->count; i++) {
        if (registry_exam(r, models->items[i]))
            continue;
        str_addf(&names, "%s%s", first ? ", " : "", models->items[i]);
        first = first ? first : models->items[i];
    }
    return first ? arena_printf(a, "not examined yet: %s; `tandem model exam %s` shows whether it can do the work", names.data, first) : "";
}

int served_by_routes(struct store *s, struct arena *a, const char *served[ROLE_COUNT], const char **ret_note, struct err *e)
{
    struct registry r;
    struct texts used = { 0 };
    int code = registry_load(s, a, &r, e);
    for (int i = ROLE_PM; code == 0 && i < ROLE_COUNT; i++) {
        struct texts chain;
        if (served[i] || !registry_route(&r, role_names[i]))
            continue;
        code = registry_chain(&r, a, role_names[i], &chain, e);
        if (code < 0)
            return code;
        served[i] = role_names[i];
        add_new(&used, a, &chain);
    }
    if (code == 0)
        *ret_note = served_unexamined(a, &r, &used);
    return code;
}

void served_by_blocks(struct store *s, struct arena *a, const char *const served[ROLE_COUNT], bool edits[ROLE_COUNT])
{
    struct registry r;
    if (registry_load(s, a, &r, NULL) < 0)
        return;
    for (int i = ROLE_PM; i < ROLE_COUNT; i++)
        edits[i] = served[i] && registry_edits_by_blocks(&r, served[i]);
}
