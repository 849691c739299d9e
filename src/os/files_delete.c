/* files_delete.c - empties a directory, whatever code that nobody read left in it.
 *
 * Such code may take permissions away and nest directories a hundred thousand deep.  So
 * the walk holds few descriptors: where it gets deep, the directory is moved up to the
 * root under a new name and met again there.  nftw(3) follows paths by name, has no
 * answer to missing permissions, and recursion without a bound would end the stack.
 */
#include "os/files.h"

#include "base/err.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DEPTH = 32,
    PASSES = 1 << 20, /* over the root; each moves at least one directory up or is the last */
};

struct deletion {
    int root_fd;
    unsigned moved; /* names given at the root */
    bool again;     /* something was moved there: walk it once more */
    int saved_errno;
};

/* Opens a directory for reading, giving ourselves permission where it was taken away. */
static int open_for_deletion(int dir_fd, const char *name)
{
    const int flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
        return -1;
    if ((st.st_mode & 0700) != 0700) {
        int path_fd = openat(dir_fd, name, flags | O_PATH);
        if (path_fd < 0)
            return -1;
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", path_fd);
        int failed = chmod(link, 0700);
        close(path_fd);
        if (failed)
            return -1;
    }
    return openat(dir_fd, name, flags | O_RDONLY);
}

static void delete_in(struct deletion *d, int fd, int depth);

static void move_up(struct deletion *d, int dir_fd, const char *name)
{
    char fresh[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(fresh, sizeof fresh, ".tandem-delete-%u", d->moved++);
        if (renameat2(dir_fd, name, d->root_fd, fresh, RENAME_NOREPLACE) == 0) {
            d->again = true;
            return;
        }
        if (errno != EEXIST)
            break;
    }
    d->saved_errno = errno;
}

static void delete_entry(struct deletion *d, int dir_fd, const char *name, int depth)
{
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return;
    if (errno != EISDIR && errno != EPERM) {
        d->saved_errno = errno;
        return;
    }
    int fd = open_for_deletion(dir_fd, name);
    if (fd < 0) {
        d->saved_errno = errno;
        return;
    }
    if (depth == DEPTH) {
        close(fd);
        if (unlinkat(dir_fd, name, AT_REMOVEDIR) != 0)
            move_up(d, dir_fd, name);
        return;
    }
    delete_in(d, fd, depth + 1);
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) != 0 && !d->saved_errno)
        d->saved_errno = errno;
}

/* Takes `fd` over. */
static void delete_in(struct deletion *d, int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        d->saved_errno = errno;
        close(fd);
        return;
    }
    struct dirent *entry;
    while (!d->saved_errno && (entry = readdir(dir)))
        if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
            delete_entry(d, dirfd(dir), entry->d_name, depth);
    closedir(dir);
}

int dir_empty(int root_fd, struct err *e)
{
    struct deletion d = { .root_fd = root_fd };
    struct stat st;
    if (fstat(root_fd, &st) == 0 && (st.st_mode & 0700) != 0700)
        (void)!fchmod(root_fd, 0700); /* or else its own "." is out of reach of all but root */
    for (int i = 0; i < PASSES; i++) {
        d.again = false;
        int fd = open_for_deletion(root_fd, ".");
        if (fd < 0)
            return err_set_errno(e, ERR_FAILED, errno, "cannot open the directory to empty it");
        delete_in(&d, fd, 0);
        if (d.saved_errno)
            return err_set_errno(e, ERR_FAILED, d.saved_errno, "cannot empty the directory");
        if (!d.again)
            return 0;
    }
    return err_set(e, ERR_LIMIT, "cannot empty the directory: it is nested too deep");
}
