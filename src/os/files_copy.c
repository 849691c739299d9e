/* files_copy.c - copies a directory that code nobody has read has filled.
 *
 * Each name is opened without following links, below the directory before it.  Links are
 * copied as links: they lead somewhere in the sandbox, where they are looked at, and are not
 * followed here.  Sockets, pipes and devices are left out.
 */
#include "os/files.h"

#include "base/err.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH = 64, PIECE = 1 << 16 };

struct copying {
    int64_t bytes_left;
    size_t entries_left;
    struct err *err;
};

static int fail(const struct copying *c, const char *name)
{
    return err_set_errno(c->err, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_FAILED, errno, "cannot copy \"%.100s\"", name);
}

static int copy_bytes(struct copying *c, const char *name, int from, int to)
{
    char piece[PIECE];
    for (ssize_t n; (n = read(from, piece, sizeof piece)) != 0;) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(c, name);
        c->bytes_left -= n;
        if (c->bytes_left < 0)
            return err_set(c->err, ERR_LIMIT, "it is too large");
        if (fd_write(to, piece, (size_t)n) < 0)
            return fail(c, name);
    }
    return 0;
}

static int copy_file(struct copying *c, int from_dir, int to_dir, const char *name, mode_t mode)
{
    int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (from < 0)
        return fail(c, name);
    int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = to < 0 ? fail(c, name) : copy_bytes(c, name, from, to);
    if (r == 0 && fchmod(to, mode & 0111 ? 0755 : 0644) != 0)
        r = fail(c, name);
    close(from);
    if (to >= 0 && close(to) != 0 && r == 0)
        r = fail(c, name);
    return r;
}

static int copy_link(struct copying *c, int from_dir, int to_dir, const char *name)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(from_dir, name, target, sizeof target - 1);
    if (n < 0)
        return fail(c, name);
    target[n] = '\0';
    return symlinkat(target, to_dir, name) != 0 ? fail(c, name) : 0;
}

static int copy_dir(struct copying *c, int from, int to, int depth);

static int copy_below(struct copying *c, int from_dir, int to_dir, const char *name, int depth)
{
    if (depth == DEPTH)
        return err_set(c->err, ERR_LIMIT, "its directories are nested deeper than %d", DEPTH);
    if (mkdirat(to_dir, name, 0700) != 0)
        return fail(c, name);
    int from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r = from < 0 || to < 0 ? fail(c, name) : copy_dir(c, from, to, depth + 1);
    if (r == 0 && fchmod(to, 0755) != 0)
        r = fail(c, name);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return r;
}

static int copy_entry(struct copying *c, int from, int to, const char *name, int depth)
{
    struct stat st;
    if (c->entries_left-- == 0)
        return err_set(c->err, ERR_LIMIT, "it has too many files");
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(c, name);
    if (S_ISDIR(st.st_mode))
        return copy_below(c, from, to, name, depth);
    if (S_ISLNK(st.st_mode))
        return copy_link(c, from, to, name);
    return S_ISREG(st.st_mode) ? copy_file(c, from, to, name, st.st_mode) : 0;
}

static int copy_dir(struct copying *c, int from, int to, int depth)
{
    int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int r = fail(c, ".");
        if (fd >= 0)
            close(fd);
        return r;
    }
    int r = 0;
    for (struct dirent *d; r == 0 && (d = readdir(dir));)
        if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
            r = copy_entry(c, from, to, d->d_name, depth);
    closedir(dir);
    return r;
}

int dir_copy(int from_fd, int to_fd, int64_t max_bytes, size_t max_entries, struct err *e)
{
    struct copying c = { max_bytes, max_entries, e };
    return copy_dir(&c, from_fd, to_fd, 0);
}
