/* git_clone.c - a normal clone for a person: one branch checked out, the others as local
 * branches, objects of its own, no remote.
 *
 * `git clone` would leave a remote that points into Tandem's home, make one local branch,
 * and refuse to go on after a crash.  Here every step may be repeated; a file says
 * that the clone is not finished, and only such a directory is gone on with.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/failpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNFINISHED ".tandem-unfinished"

/* Makes the directory and those above it, as the umask says: they are the person's. */
static int make_directory(const char *dir)
{
    ARENA_LOCAL(a);
    char *path = arena_strdup(&a, dir);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0777) < 0 && errno != EEXIST)
            return -1;
        *slash = '/';
    }
    return mkdir(path, 0777) < 0 && errno != EEXIST ? -1 : 0;
}

static bool is_empty(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    bool empty = dir != NULL;
    for (struct dirent *entry; empty && (entry = readdir(dir)) != NULL;)
        empty = streq(entry->d_name, ".") || streq(entry->d_name, "..");
    if (dir)
        closedir(dir);
    return empty;
}

/* The directory, marked as unfinished. */
static int claim(const char *dir, struct err *e)
{
    if (make_directory(dir) < 0)
        return err_set_errno(e, errno == ENOTDIR ? ERR_EXISTS : ERR_FAILED, errno, "cannot make the directory %s", dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOTDIR ? err_set(e, ERR_EXISTS, "%s is there already and is not a directory", dir)
                                : err_set_errno(e, ERR_FAILED, errno, "cannot open %s", dir);
    if (faccessat(fd, UNFINISHED, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        close(fd);
        return 0;
    }
    int code = is_empty(fd) ? 0 : err_set(e, ERR_EXISTS, "%s is not empty", dir);
    int mark = code == 0 ? openat(fd, UNFINISHED, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : -1;
    if (code == 0 && mark < 0)
        code = err_set_errno(e, ERR_FAILED, errno, "cannot write to %s", dir);
    if (mark >= 0)
        close(mark);
    close(fd);
    return code;
}

static int fill(struct repo *r, struct arena *a, const char *dir, const char *branch, struct err *e)
{
    const char *git_dir = arena_printf(a, "%s/.git", dir);
    const char *format = r->hex_len == 64 ? "--object-format=sha256" : "--object-format=sha1";
    int code = git_remove_locks(git_dir, e);
    if (code == 0)
        code = git_do(NULL, GIT_ARGS("init", "--quiet", "--template=", format, arena_printf(a, "--initial-branch=%s", branch), "--", dir), e);
    if (code == 0)
        code = git_fetch(git_dir, NULL, r->path, "+refs/heads/*:refs/heads/*", e);
    if (code == 0) {
        failpoint("repo.clone_fetched");
        code = git_do(git_dir, GIT_ARGS("symbolic-ref", "HEAD", arena_printf(a, "refs/heads/%s", branch)), e);
    }
    if (code == 0)
        code = git_do(git_dir, GIT_ARGS(arena_printf(a, "--work-tree=%s", dir), "reset", "--quiet", "--hard"), e);
    return code;
}

int clone_begin(struct repo *r, const char *dir, const char *branch, struct err *e)
{
    ARENA_LOCAL(a);
    struct oid tip;
    int code = branch_check(branch, e);
    if (code == 0)
        code = repo_ref(r, arena_printf(&a, "refs/heads/%s", branch), &tip, e);
    if (code == 0)
        code = claim(dir, e);
    if (code < 0)
        return code;
    failpoint("repo.clone");
    code = fill(r, &a, path_absolute(&a, dir), branch, e);
    return code < 0 ? err_prefix(e, "cannot write the clone %s", dir) : 0;
}

int repo_clone_finish(const char *dir, struct err *e)
{
    ARENA_LOCAL(a);
    if (unlink(arena_printf(&a, "%s/" UNFINISHED, dir)) < 0 && errno != ENOENT)
        return err_set_errno(e, ERR_FAILED, errno, "cannot finish the clone %s", dir);
    return 0;
}

bool repo_clone_unfinished(const char *dir)
{
    ARENA_LOCAL(a);
    return access(arena_printf(&a, "%s/" UNFINISHED, dir), F_OK) == 0;
}

int repo_clone_out(struct repo *r, const char *dir, const char *branch, struct err *e)
{
    int code = clone_begin(r, dir, branch, e);
    return code < 0 ? code : repo_clone_finish(dir, e);
}
