/* merge_tests.c - whether a merge leaves the tests of both sides as they are.
 *
 * Between red and green no test file changes; here is the one place where two versions of one
 * become a third.  It has to hold every piece of both, whoever made it: git, the Developer or
 * a person.  Ids that still pass say nothing, for a test can keep its name and lose its checks.
 *
 * A file that only one side changed since they parted is that side's; so it needs no second
 * merge, and verify can ask as well, which writes nothing.
 */
#include "team/merge.h"

struct side { const char *name; struct tree tree; };
struct looking {
    struct site *site;
    struct arena *arena;
    struct tree base, result;
};

static bool same_file(const struct tree_file *a, const struct tree_file *b)
{
    return a && b ? streq(a->oid.hex, b->oid.hex) && a->symlink == b->symlink : a == b;
}

static int text_of(struct looking *l, const struct tree_file *f, struct stack_text *ret, struct err *e)
{
    return repo_blob(l->site->repo, l->arena, &f->oid, &ret->bytes, &ret->len, e);
}

/* What became of a test file of one side; `other` NULL: the other side does not have it. */
static int look_at_file(struct looking *l, const struct side *side, const struct tree_file *f, const struct tree_file *other,
                        const char **ret_fault, struct err *e)
{
    const struct tree_file *before = tree_find(&l->base, f->path), *after = tree_find(&l->result, f->path);
    bool is_others = before && same_file(f, before) && !same_file(other, before);
    struct stack_text mine, theirs = { 0 }, made;
    const char *fault = "is gone";
    if (is_others || same_file(f, after))
        return 0;
    if (after && (f->symlink || after->symlink || (other && other->symlink))) {
        fault = "is there already and was changed";
    } else if (after) {
        int r = text_of(l, f, &mine, e);
        if (r == 0)
            r = text_of(l, after, &made, e);
        if (r == 0 && other)
            r = text_of(l, other, &theirs, e);
        if (r < 0)
            return r;
        fault = stack_merged_only(l->site->stack, l->arena, f->path, &mine, other ? &theirs : NULL, &made);
    }
    if (*fault)
        *ret_fault = arena_printf(l->arena, "%s %s (as it is on %s)", f->path, fault, side->name);
    return 0;
}

int merge_keeps_tests(struct site *site, struct arena *a, const struct merge_judged *m, const char **ret_fault, struct err *e)
{
    struct looking l = { .site = site, .arena = a };
    struct oid ours = oid_of(m->ours), theirs = oid_of(m->theirs), result = oid_of(m->result), base;
    struct side sides[2] = { { .name = m->ours_name }, { .name = m->theirs_name } };
    *ret_fault = "";
    int r = repo_merge_base(site->repo, &ours, &theirs, &base, e);
    if (r == 0 && *base.hex)
        r = repo_tree(site->repo, a, &base, &l.base, e);
    if (r == 0)
        r = repo_tree(site->repo, a, &ours, &sides[0].tree, e);
    if (r == 0)
        r = repo_tree(site->repo, a, &theirs, &sides[1].tree, e);
    if (r == 0)
        r = repo_tree(site->repo, a, &result, &l.result, e);
    for (size_t k = 0; r == 0 && k < 2; k++)
        for (size_t i = 0; r == 0 && !**ret_fault && i < sides[k].tree.count; i++) {
            const struct tree_file *f = &sides[k].tree.files[i];
            if (stack_is_test(site->stack, f->path) || stack_is_protected(site->stack, f->path))
                r = look_at_file(&l, &sides[k], f, tree_find(&sides[!k].tree, f->path), ret_fault, e);
        }
    return r;
}
