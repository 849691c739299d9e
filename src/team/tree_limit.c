/* tree_limit.c - files and bytes of a tree, against the limits.
 *
 * Counted from the listing: trees are in the cache between two steps, and sizes are asked of
 * git all at once, so that looking after each answer costs little.
 */
#include "team/tree_limit.h"

#include "base/arena.h"
#include "base/err.h"

int tree_within(struct repo *r, const struct oid *commit_or_tree, const struct team_limits *limits, struct err *e)
{
    ARENA_LOCAL(a);
    struct tree t;
    int code = repo_tree(r, &a, commit_or_tree, &t, e);
    if (code == 0 && t.count > (size_t)limits->tree_files)
        return err_set(e, ERR_LIMIT, "the tree has %zu files; at most %lld are worked on (setting tree_files)", t.count,
                       (long long)limits->tree_files);
    if (code == 0)
        code = repo_tree_sizes(r, &t, e);
    if (code < 0)
        return code;
    int64_t bytes = 0, most = limits->tree_mib * 1024 * 1024;
    for (size_t i = 0; i < t.count; i++)
        bytes += t.files[i].size;
    if (bytes > most)
        return err_set(e, ERR_LIMIT, "the tree has %lld MiB; at most %lld are worked on (setting tree_mib)",
                       (long long)((bytes + 1024 * 1024 - 1) / (1024 * 1024)), (long long)limits->tree_mib);
    return 0;
}
