/* runtime.c - the directory for a home's sockets. */
#include "os/runtime.h"

#include "base/arena.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_DIGITS = 12, LONGEST = 80 }; /* so that 26 bytes are left for a socket's name */

/* /tmp is everybody's: what lies there under our name may be somebody else's doing. */
static int check_ours(const char *path, struct err *e)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return err_set_errno(e, ERR_FAILED, errno, "the directory for sockets, %s", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != getuid() || (st.st_mode & 077))
        return err_set(e, ERR_REFUSED, "%s is not a directory of yours alone: remove it, or set XDG_RUNTIME_DIR to one that is", path);
    return 0;
}

static int make(const char *path, bool create, struct err *e)
{
    if (create && mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_set_errno(e, ERR_FAILED, errno, "cannot make the directory for sockets, %s", path);
    return check_ours(path, e);
}

int runtime_dir(struct arena *a, const char *home, bool create, const char **ret, struct err *e)
{
    struct stat st;
    char real[4096];
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (!base || *base != '/' || strlen(base) > LONGEST - NAME_DIGITS - sizeof "/tandem/" || stat(base, &st) < 0 ||
        st.st_uid != getuid() || (st.st_mode & 077))
        base = NULL;
    const char *tandem = base ? arena_printf(a, "%s/tandem", base) : arena_printf(a, "/tmp/tandem-%u", (unsigned)getuid());
    if (!realpath(home, real)) /* one that is not there yet, or cannot be reached, has no other name */
        snprintf(real, sizeof real, "%s", home);
    struct digest digest = digest_of(real, strlen(real));
    const char *dir = arena_printf(a, "%s/%.*s", tandem, NAME_DIGITS, digest.hex);
    int r = make(tandem, create, e);
    if (r == 0)
        r = make(dir, create, e);
    if (r == 0)
        *ret = dir;
    return r;
}

void runtime_dir_leave(struct arena *a, const char *home)
{
    const char *dir;
    if (runtime_dir(a, home, false, &dir, NULL) < 0)
        return;
    rmdir(arena_printf(a, "%s/models", dir));
    rmdir(dir);
}

const char *home_identity(struct arena *a, const char *home)
{
    struct stat st;
    return stat(home, &st) == 0 ? arena_printf(a, "%llx:%llx", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino) : "";
}
