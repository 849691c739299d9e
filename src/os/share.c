/* share.c - shipped files, from the binary or from a directory that overrides it.
 *
 * The table is a build product (tools/embed), sorted, so a look-up is a binary search.
 * Nothing is cached: an override that was edited counts at the next read.
 */
#include "os/share.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "os/files.h"
#include "os/share_table.h"

#include <sys/stat.h>
#include <unistd.h>

enum { MAX_OVERRIDE_BYTES = 4 << 20, MAX_OVERRIDE_ENTRIES = 2000 };

static int compare_path(const void *key, const void *element)
{
    return strcmp(key, ((const struct share_file *)element)->path);
}

/* Appends dir/path to `out`; ERR_NOT_FOUND when there is no such override. */
static int read_override(const char *dir, const char *path, struct str *out, struct err *e)
{
    int root;
    int r = dir_open(dir, false, &root, e);
    if (r < 0)
        return r;
    r = file_read(root, path, MAX_OVERRIDE_BYTES, out, e);
    close(root);
    if (r < 0 && r != ERR_NOT_FOUND)
        return err_prefix(e, "%s", dir);
    return r;
}

int share_read(struct arena *a, const char *path, const char *const *override_dirs,
               const char **ret, size_t *ret_len, struct err *e)
{
    STR_LOCAL(text);
    for (size_t i = 0; override_dirs && override_dirs[i]; i++) {
        int r = read_override(override_dirs[i], path, &text, e);
        if (r == ERR_NOT_FOUND)
            continue;
        if (r < 0)
            return r;
        *ret = arena_strndup(a, text.data, text.len);
        *ret_len = text.len;
        return 0;
    }
    const struct share_file *f = bsearch(path, share_table, share_table_count, sizeof *share_table, compare_path);
    if (!f)
        return err_set(e, ERR_NOT_FOUND, "there is no %s among the files Tandem ships with", path);
    *ret = f->bytes;
    *ret_len = f->len;
    return 0;
}

const char *share_where(struct arena *a, const char *path, const char *const *override_dirs)
{
    for (size_t i = 0; override_dirs && override_dirs[i]; i++) {
        const char *file = arena_printf(a, "%s/%s", override_dirs[i], path);
        if (access(file, F_OK) == 0)
            return file;
    }
    return path;
}

/* Adds the files of dir/folder whose path starts with `prefix`; `folder` ends with '/'. */
static int list_override(struct arena *a, const char *dir, const char *folder, const char *prefix,
                         struct texts *out, struct err *e)
{
    int root;
    int r = dir_open(arena_printf(a, "%s/%s", dir, folder), false, &root, e);
    if (r == ERR_NOT_FOUND)
        return 0;
    if (r < 0)
        return r;
    struct file_entry *entries;
    size_t count;
    r = file_list(root, a, MAX_OVERRIDE_ENTRIES, &entries, &count, e);
    close(root);
    if (r < 0)
        return err_prefix(e, "%s/%s", dir, folder);
    for (size_t i = 0; i < count; i++) {
        const char *path = arena_printf(a, "%s%s", folder, entries[i].path);
        if (S_ISREG(entries[i].mode) && starts_with(path, prefix))
            texts_add(out, a, path);
    }
    return 0;
}

int share_list(struct arena *a, const char *prefix, const char *const *override_dirs,
               struct texts *ret, struct err *e)
{
    const char *slash = strrchr(prefix, '/');
    if (!slash || *prefix == '/' || strstr(prefix, ".."))
        return err_set(e, ERR_REFUSED, "\"%s\" is not a folder below share/", prefix);
    const char *folder = arena_strndup(a, prefix, (size_t)(slash + 1 - prefix));
    struct texts all = { 0 };
    for (size_t i = 0; i < share_table_count; i++)
        if (starts_with(share_table[i].path, prefix))
            texts_add(&all, a, share_table[i].path);
    for (size_t i = 0; override_dirs && override_dirs[i]; i++) {
        int r = list_override(a, override_dirs[i], folder, prefix, &all, e);
        if (r < 0)
            return r;
    }
    texts_sort(&all);
    size_t kept = 0;
    for (size_t i = 0; i < all.count; i++)
        if (kept == 0 || !streq(all.items[kept - 1], all.items[i]))
            all.items[kept++] = all.items[i];
    *ret = (struct texts){ all.items, kept };
    return 0;
}
