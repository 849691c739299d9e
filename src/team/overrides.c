/* overrides.c - what people put in the place of our files, examined before models are asked:
 * a wrong placeholder in the Tester's prompt would otherwise be found when the plan is paid for.
 */
#include "team/team.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "os/share.h"
#include "repo/stack.h"
#include "team/playbook.h"
#include "team/prompt.h"

struct overrides team_overrides(struct arena *a, const char *home, const char *project)
{
    const char *all = arena_printf(a, "%s/share", home);
    return project ? (struct overrides){ { arena_printf(a, "%s/projects/%s/share", home, project), all } } : (struct overrides){ { all } };
}

static int check_playbook(struct arena *a, const char *name, const char *const *dirs, struct err *e)
{
    struct playbook p;
    return playbook_load(a, name, dirs, &p, e);
}

static int check_stack(struct arena *a, const char *name, const char *const *dirs, struct err *e)
{
    (void)a;
    struct stack *s = NULL;
    int r = stack_load(&s, name, dirs, e);
    stack_free(s);
    return r;
}

static const struct override_kind {
    const char *word, *folder, *end;
    int (*check)(struct arena *a, const char *name, const char *const *dirs, struct err *e);
} kinds[] = {
    { "prompt", "prompts/", ".md", prompt_check },
    { "playbook", "playbooks/", ".yaml", check_playbook },
    { "stack", "stacks/", ".yaml", check_stack },
};

/* "tester" of "prompts/tester.md"; NULL: another file, such as one that a stack refers to. */
static const char *name_of(struct arena *a, const struct override_kind *kind, const char *path)
{
    const char *name = path + strlen(kind->folder);
    if (strchr(name, '/') || !ends_with(name, kind->end))
        return NULL;
    return arena_strndup(a, name, strlen(name) - strlen(kind->end));
}

int overrides_examine(struct arena *a, const char *const *dirs, override_seen *seen, void *ctx, struct err *e)
{
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct texts paths;
        int r = share_list(a, kinds[k].folder, dirs, &paths, e);
        if (r < 0)
            return r;
        for (size_t i = 0; i < paths.count; i++) {
            struct err fault;
            const char *name = name_of(a, &kinds[k], paths.items[i]);
            if (!name || share_where(a, paths.items[i], dirs) == paths.items[i]) /* ours */
                continue;
            r = kinds[k].check(a, name, dirs, &fault);
            seen(arena_printf(a, "%s %s", kinds[k].word, name), r < 0 ? fault.text : "", ctx);
        }
    }
    return 0;
}

static void keep_first(const char *what, const char *fault, void *ctx)
{
    (void)what;
    struct err *first = ctx;
    if (*fault && !first->code)
        err_set(first, ERR_SETUP, "%s", fault);
}

int overrides_check(struct arena *a, const char *const *dirs, struct err *e)
{
    struct err first = { 0 };
    int r = overrides_examine(a, dirs, keep_first, &first, e);
    if (r == 0 && first.code)
        *e = first;
    return r < 0 ? r : first.code;
}
