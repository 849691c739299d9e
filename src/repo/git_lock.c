/* git_lock.c - removes the lock files of a git that was killed.
 *
 * git takes NAME.lock beside what it writes and leaves it when it is killed in between; the
 * next git then refuses to write.  Tandem's git processes die with it (os/process.h) and one
 * process holds the home, so whoever opens a repository for writing knows that a lock found
 * there is nobody's.  Only refs and the files at the top can be locked; objects cannot.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { MAX_REF_FILES = 100000 };

static void remove_top(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *d; (d = readdir(dir));)
        if (ends_with(d->d_name, ".lock"))
            unlinkat(dir_fd, d->d_name, 0);
    closedir(dir);
}

static int remove_refs(int dir_fd, struct err *e)
{
    ARENA_LOCAL(a);
    struct file_entry *entries;
    size_t count;
    int fd = openat(dir_fd, "refs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set_errno(e, ERR_FAILED, errno, "cannot open refs");
    int code = file_list(fd, &a, MAX_REF_FILES, &entries, &count, e);
    for (size_t i = 0; code == 0 && i < count; i++)
        if (ends_with(entries[i].path, ".lock"))
            code = file_remove(fd, entries[i].path, e);
    close(fd);
    return code;
}

int git_remove_locks(const char *git_dir, struct err *e)
{
    int fd = open(git_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set_errno(e, ERR_FAILED, errno, "cannot open %s", git_dir);
    remove_top(fd);
    int code = remove_refs(fd, e);
    close(fd);
    return code;
}

int repo_unlock(struct repo *r, struct err *e)
{
    foreign_remove_facades(r);
    return git_remove_locks(r->path, e);
}
