/* git_compare.c - whether files are still as a checkout wrote them.
 *
 * By hash of what lies there against the object id in the tree: nothing is read from the
 * repository but the tree itself.  Times are not trusted, since the code under test can set
 * them.  What cannot be read as the file it was counts as changed; why does not matter.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "os/files.h"

static bool is_as_written(const struct repo *r, const struct tree_file *f, int root_fd, struct str *bytes)
{
    struct err e;
    str_clear(bytes);
    int code = f->symlink ? file_read_link(root_fd, f->path, bytes, &e)
                          : file_read(root_fd, f->path, (size_t)f->size, bytes, &e);
    if (code < 0)
        return false;
    struct new_object o = { .type = OBJECT_BLOB, .data = bytes->data, .len = bytes->len };
    object_id(r, &o);
    return streq(o.oid.hex, f->oid.hex);
}

int repo_checkout_compare(struct repo *r, const struct oid *commit_or_tree, int root_fd, struct arena *a,
                          bool (*wanted)(const char *path, void *ctx), void *ctx, struct texts *ret, struct err *e)
{
    struct tree t;
    struct texts changed = { 0 };
    STR_LOCAL(bytes);
    int code = repo_tree(r, a, commit_or_tree, &t, e);
    if (code == 0)
        code = repo_tree_sizes(r, &t, e);
    for (size_t i = 0; code == 0 && i < t.count; i++) {
        const struct tree_file *f = &t.files[i];
        if ((!wanted || wanted(f->path, ctx)) && !is_as_written(r, f, root_fd, &bytes))
            texts_add(&changed, a, f->path);
    }
    if (code == 0)
        *ret = changed;
    return code;
}
