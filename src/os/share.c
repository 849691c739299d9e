/* share.c - shipped files, from the binary or from a directory that overrides it.
 *
 * The table is a build product (tools/embed), sorted, so a look-up is a binary search.
 * Nothing is cached: an override that was edited counts at the next read.
 */
#include "os/share.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "os/share_table.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_OVERRIDE_BYTES = 4 << 20, MAX_OVERRIDE_FILES = 1000, MAX_OVERRIDE_DEPTH = 8 };

/* "a/b.c": relative, without empty, "." and ".." parts. */
static bool is_plain_path(const char *path)
{
    if (!*path || ends_with(path, "/"))
        return false;
    for (const char *part = path; *part;) {
        size_t len = strcspn(part, "/");
        if (len == 0 || (len <= 2 && strspn(part, ".") >= len))
            return false;
        part += len + (part[len] == '/');
    }
    return true;
}

static int compare_path(const void *key, const void *element)
{
    return strcmp(key, ((const struct share_file *)element)->path);
}

/* Opens a file below `dir` without following links; 1 when there is none. */
static int open_override(const char *dir, const char *path, int *ret_fd, struct err *e)
{
    int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (const char *part = path; at >= 0;) {
        size_t len = strcspn(part, "/");
        bool is_last = part[len] == '\0';
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)len, part);
        int next = len >= sizeof name ? -1 : openat(at, name, O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
                                                    | (is_last ? O_RDONLY : O_PATH | O_DIRECTORY));
        int saved = errno;
        close(at);
        errno = saved;
        at = next;
        if (is_last)
            break;
        part += len + 1;
    }
    if (at < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 1;
    if (at < 0)
        return err_set_errno(e, errno == ELOOP ? ERR_REFUSED : ERR_FAILED, errno, "cannot open %s/%s", dir, path);
    *ret_fd = at;
    return 0;
}

static int read_all(int fd, const char *dir, const char *path, struct str *out, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(e, ERR_REFUSED, "%s/%s is not a file", dir, path);
    for (;;) {
        char buffer[16384];
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(e, ERR_FAILED, errno, "cannot read %s/%s", dir, path);
        if (n == 0)
            return 0;
        str_add_bytes(out, buffer, (size_t)n);
        if (out->len > MAX_OVERRIDE_BYTES)
            return err_set(e, ERR_LIMIT, "%s/%s is larger than %d MiB", dir, path, MAX_OVERRIDE_BYTES >> 20);
    }
}

int share_read(struct arena *a, const char *path, const char *const *override_dirs,
               const char **ret, size_t *ret_len, struct err *e)
{
    if (!is_plain_path(path))
        return err_set(e, ERR_REFUSED, "\"%s\" is not a path below share/", path);
    for (size_t i = 0; override_dirs && override_dirs[i]; i++) {
        int fd = -1;
        int r = open_override(override_dirs[i], path, &fd, e);
        if (r == 1)
            continue;
        STR_LOCAL(text);
        if (r == 0) {
            r = read_all(fd, override_dirs[i], path, &text, e);
            close(fd);
        }
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

/* Adds the files below dir/below that start with `prefix`. */
static void list_dir(struct arena *a, const char *dir, const char *below, const char *prefix, int depth, struct texts *out)
{
    DIR *d = opendir(arena_printf(a, "%s/%s", dir, below));
    for (struct dirent *entry; d && out->count < MAX_OVERRIDE_FILES && (entry = readdir(d));) {
        if (entry->d_name[0] == '.')
            continue;
        const char *path = arena_printf(a, "%s%s%s", below, *below ? "/" : "", entry->d_name);
        if (entry->d_type == DT_DIR && depth < MAX_OVERRIDE_DEPTH)
            list_dir(a, dir, path, prefix, depth + 1, out);
        else if (entry->d_type == DT_REG && starts_with(path, prefix))
            texts_add(out, a, path);
    }
    if (d)
        closedir(d);
}

static int compare_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

int share_list(struct arena *a, const char *prefix, const char *const *override_dirs,
               struct texts *ret, struct err *e)
{
    (void)e;
    struct texts all = { 0 };
    for (size_t i = 0; i < share_table_count; i++)
        if (starts_with(share_table[i].path, prefix))
            texts_add(&all, a, share_table[i].path);
    for (size_t i = 0; override_dirs && override_dirs[i]; i++)
        list_dir(a, override_dirs[i], "", prefix, 0, &all);
    if (all.count)
        qsort(all.items, all.count, sizeof *all.items, compare_text);
    size_t kept = 0;
    for (size_t i = 0; i < all.count; i++)
        if (kept == 0 || !streq(all.items[kept - 1], all.items[i]))
            all.items[kept++] = all.items[i];
    *ret = (struct texts){ all.items, kept };
    return 0;
}
