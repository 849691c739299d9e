/* git_checkout.c - a tree as files, byte for byte.
 *
 * Not `git checkout-index` or `git archive`: those are processes, apply line-ending and
 * other conversions, and resolve whole paths.  Here each directory is entered by the
 * descriptor of the one above, and every file is new (O_EXCL) below a directory that was
 * just made, so that no link is ever followed and nothing is written over.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

struct checkout {
    struct repo *r;
    struct arena *a;
};

/* One directory being filled. */
struct filling {
    const struct checkout *c;
    int fd;
    size_t depth;
    const char *prefix;
    const struct tree_entry **entries; /* those with contents, as asked for */
};

static int failed(const struct filling *f, const struct tree_entry *t, struct err *e)
{
    int saved = errno;
    char shown[256];
    const char *path = arena_printf(f->c->a, "%s%.*s", f->prefix, (int)t->name_len, t->name);
    return err_set_errno(e, saved == EEXIST ? ERR_EXISTS : ERR_FAILED, saved, "cannot write \"%s\"",
                         path_shown(shown, sizeof shown, path));
}

/* Whatever the umask; mostly there is nothing to do, and a look costs less than a change. */
static int set_mode(int fd, mode_t mode)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -1;
    return (st.st_mode & 07777) == mode ? 0 : fchmod(fd, mode);
}

static int write_file(int dir_fd, const char *name, mode_t mode, const struct object *o)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -1;
    int bad = set_mode(fd, mode);
    if (bad == 0)
        bad = fd_write(fd, o->data, o->len);
    int saved = errno;
    if (close(fd) < 0 && bad == 0)
        return -1;
    errno = saved;
    return bad;
}

static int put_file(size_t index, struct object *o, void *ctx, struct err *e)
{
    const struct filling *f = ctx;
    const struct tree_entry *t = f->entries[index];
    char name[NAME_MAX + 1];
    snprintf(name, sizeof name, "%.*s", (int)t->name_len, t->name);
    if (t->mode == MODE_LINK) {
        int code = link_check(arena_printf(f->c->a, "%s%s", f->prefix, name), f->depth, o, e);
        if (code < 0)
            return code;
        return symlinkat(o->data, f->fd, name) < 0 ? failed(f, t, e) : 0;
    }
    return write_file(f->fd, name, t->mode == MODE_EXEC ? 0755 : 0644, o) < 0 ? failed(f, t, e) : 0;
}

static int fill(const struct checkout *c, const struct object *tree, int fd, const char *prefix, size_t depth, struct err *e);

static int fill_below(const struct filling *f, const struct tree_entry *t, const struct object *tree, struct err *e)
{
    char name[NAME_MAX + 1];
    snprintf(name, sizeof name, "%.*s", (int)t->name_len, t->name);
    if (mkdirat(f->fd, name, 0755) < 0)
        return failed(f, t, e);
    int fd = openat(f->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return failed(f, t, e);
    int code = set_mode(fd, 0755) < 0 ? failed(f, t, e) : 0;
    if (code == 0)
        code = fill(f->c, tree, fd, arena_printf(f->c->a, "%s%s/", f->prefix, name), f->depth + 1, e);
    close(fd);
    return code;
}

/* All of a directory is checked before any of it is written. */
static int check_entries(const struct filling *f, const struct tree_entry *entries, size_t count, struct err *e)
{
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        const char *path = arena_printf(f->c->a, "%s%.*s", f->prefix, (int)entries[i].name_len, entries[i].name);
        code = entry_check(&(struct tree_visit){ path, f->depth, &entries[i] }, e);
    }
    return code;
}

static int fill_entries(struct filling *f, const struct tree_entry *entries, size_t count, struct err *e)
{
    struct arena *a = f->c->a;
    struct oid *oids = ARENA_ARRAY(a, struct oid, count + 1);
    f->entries = ARENA_ARRAY(a, const struct tree_entry *, count + 1);
    size_t files = 0, dirs = 0;
    for (size_t i = 0; i < count; i++)
        if (entries[i].mode != MODE_DIR) {
            f->entries[files] = &entries[i];
            oids[files++] = entries[i].oid;
        }
    int code = objects_each(f->c->r, oids, files, OBJECT_BLOB, put_file, f, e);
    if (code < 0 || files == count)
        return code;
    for (size_t i = 0; i < count; i++)
        if (entries[i].mode == MODE_DIR)
            oids[dirs++] = entries[i].oid;
    struct object **trees = ARENA_ARRAY(a, struct object *, dirs);
    code = objects_get(f->c->r, oids, dirs, OBJECT_TREE, trees, e);
    for (size_t i = 0, next = 0; i < count && code == 0; i++)
        if (entries[i].mode == MODE_DIR)
            code = fill_below(f, &entries[i], trees[next++], e);
    for (size_t i = 0; i < dirs; i++)
        object_put(trees[i]);
    return code;
}

static int fill(const struct checkout *c, const struct object *tree, int fd, const char *prefix, size_t depth, struct err *e)
{
    struct tree_entry *entries;
    size_t count;
    struct filling f = { .c = c, .fd = fd, .depth = depth, .prefix = prefix };
    if (depth > TREE_DEPTH_MAX)
        return err_set(e, ERR_LIMIT, "directories are nested deeper than %d: %.200s", TREE_DEPTH_MAX, prefix);
    int code = tree_parse(c->r, c->a, tree, &entries, &count, e);
    if (code == 0)
        code = check_entries(&f, entries, count, e);
    return code < 0 ? code : fill_entries(&f, entries, count, e);
}

int repo_checkout(struct repo *r, const struct oid *commit_or_tree, int root_fd, struct err *e)
{
    ARENA_LOCAL(a);
    OBJECT_LOCAL(tree);
    int code = tree_get(r, commit_or_tree, &tree, e);
    return code < 0 ? code : fill(&(struct checkout){ r, &a }, tree, root_fd, "", 0, e);
}
