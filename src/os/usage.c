/* usage.c - counts what lies in a directory.
 *
 * The walk stops at the limit, so that a program that makes a million files costs no more
 * than the limit allows for.  Quotas of the file system would be better and are not there.
 */
#include "os/usage.h"

#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void add_dir(int fd, int64_t enough, int64_t *total, int depth);

static void add_entry(int dir_fd, const char *name, int64_t enough, int64_t *total, int depth)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    int64_t bytes = (int64_t)st.st_blocks * 512;
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
        bytes /= (int64_t)st.st_nlink;
    *total += bytes > USAGE_ENTRY_BYTES ? bytes : USAGE_ENTRY_BYTES;
    if (!S_ISDIR(st.st_mode))
        return;
    if (depth == USAGE_DEPTH) {
        *total = enough + 1;
        return;
    }
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        add_dir(fd, enough, total, depth + 1);
}

/* Takes `fd` over. */
static void add_dir(int fd, int64_t enough, int64_t *total, int depth)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return;
    }
    for (struct dirent *d; *total <= enough && (d = readdir(dir));)
        if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
            add_entry(dirfd(dir), d->d_name, enough, total, depth);
    closedir(dir);
}

void usage_add(int dir_fd, int64_t enough, int64_t *total)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        add_dir(fd, enough, total, 0);
}
