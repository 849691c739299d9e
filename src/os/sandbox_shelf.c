/* sandbox_shelf.c - directories that every room may see, read-only.
 *
 * They lie in the scratch directory, since that is what the rooms' user ids can reach; a copy
 * gets its final name when it is whole.
 */
#include "os/sandbox_internal.h"

#include "base/err.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_ENTRIES = 200000 };

bool sandbox_shelf_has(const struct sandbox *s, const char *name, char ret_path[SANDBOX_SHELF_PATH])
{
    struct stat st;
    snprintf(ret_path, SANDBOX_SHELF_PATH, "%s/shelf-%s", s->scratch, name);
    return stat(ret_path, &st) == 0;
}

int sandbox_shelf_put(struct sandbox *s, const char *name, int from_fd, int64_t max_mib, char ret_path[SANDBOX_SHELF_PATH],
                      struct err *e)
{
    char path[SANDBOX_SHELF_PATH], half[SANDBOX_SHELF_PATH];
    if (sandbox_shelf_has(s, name, path)) {
        memcpy(ret_path, path, sizeof path);
        return 0;
    }
    snprintf(half, sizeof half, "%s/half-%s", s->scratch, name);
    if (mkdir(half, 0700) != 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot make %s", half);
    int fd = open(half, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r = fd < 0 ? err_set_errno(e, ERR_FAILED, errno, "cannot open %s", half)
                   : dir_copy(from_fd, fd, max_mib * SANDBOX_MIB, MAX_ENTRIES, e);
    if (r == 0 && (fchmod(fd, 0755) != 0 || rename(half, path) != 0))
        r = err_set_errno(e, ERR_FAILED, errno, "cannot make %s", path);
    if (r < 0 && fd >= 0 && dir_empty(fd, NULL) == 0)
        rmdir(half);
    if (fd >= 0)
        close(fd);
    if (r == 0)
        memcpy(ret_path, path, sizeof path);
    return r;
}
