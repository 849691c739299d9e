/* git_changed.c - which files differ between two trees.
 *
 * Compared here and not by `git diff-tree`: the trees are mostly in the cache, directories
 * that are the same are not entered, and a process costs 3 ms in every step of a ticket.
 */
#include "repo/git_internal.h"

#include "base/err.h"

struct comparing {
    struct repo *r;
    struct arena *a;
    struct texts changed;
};

/* One directory of one side. */
struct listing {
    struct object *tree; /* NULL: it is not there */
    struct tree_entry *entries;
    size_t count;
};

static int listing_open(struct comparing *c, const struct oid *id, struct listing *ret, struct err *e)
{
    *ret = (struct listing){ NULL, NULL, 0 };
    int code = tree_get(c->r, id, &ret->tree, e);
    if (code == 0)
        code = tree_parse(c->r, c->a, ret->tree, &ret->entries, &ret->count, e);
    return code;
}

static int compare_dirs(struct comparing *c, const struct oid *from, const struct oid *to, const char *prefix,
                        size_t depth, struct err *e);

/* An entry that is not the same on both sides; one side may have none. */
static int differs(struct comparing *c, const struct tree_entry *from, const struct tree_entry *to, const char *prefix,
                   size_t depth, struct err *e)
{
    const struct tree_entry *any = from ? from : to;
    const char *path = arena_printf(c->a, "%s%.*s%s", prefix, (int)any->name_len, any->name, any->mode == MODE_DIR ? "/" : "");
    if (any->mode == MODE_DIR)
        return compare_dirs(c, from ? &from->oid : NULL, to ? &to->oid : NULL, path, depth + 1, e);
    texts_add(&c->changed, c->a, path);
    return 0;
}

/* Both sides are in git's order, in which a file and a directory of one name are two entries. */
static int compare_listings(struct comparing *c, const struct listing *from, const struct listing *to,
                            const char *prefix, size_t depth, struct err *e)
{
    int code = 0;
    for (size_t i = 0, k = 0; code == 0 && (i < from->count || k < to->count);) {
        const struct tree_entry *x = i < from->count ? &from->entries[i] : NULL;
        const struct tree_entry *y = k < to->count ? &to->entries[k] : NULL;
        int order = !x ? 1 : !y ? -1 : tree_entry_compare(x, y);
        if (order < 0) {
            code = differs(c, x, NULL, prefix, depth, e);
        } else if (order > 0) {
            code = differs(c, NULL, y, prefix, depth, e);
        } else if (x->mode != y->mode || !oid_same(&x->oid, &y->oid)) {
            code = differs(c, x, y, prefix, depth, e);
        }
        i += order <= 0;
        k += order >= 0;
    }
    return code;
}

static int compare_dirs(struct comparing *c, const struct oid *from, const struct oid *to, const char *prefix,
                        size_t depth, struct err *e)
{
    if (depth > TREE_DEPTH_MAX)
        return err_set(e, ERR_LIMIT, "directories are nested deeper than %d", TREE_DEPTH_MAX);
    struct listing x = { NULL, NULL, 0 }, y = { NULL, NULL, 0 };
    int code = listing_open(c, from, &x, e);
    if (code == 0)
        code = listing_open(c, to, &y, e);
    if (code == 0 && !(x.tree && y.tree && oid_same(&x.tree->oid, &y.tree->oid)))
        code = compare_listings(c, &x, &y, prefix, depth, e);
    object_put(x.tree);
    object_put(y.tree);
    return code;
}

int repo_changed(struct repo *r, struct arena *a, const struct oid *from, const struct oid *to, struct texts *ret, struct err *e)
{
    struct comparing c = { .r = r, .a = a };
    int code = compare_dirs(&c, from, to, "", 0, e);
    if (code == 0)
        *ret = c.changed;
    return code;
}
