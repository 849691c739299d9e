/* git_repo.c - making, opening and tidying a project's bare repository. */
#include "repo/git_internal.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/failpoint.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int branch_check(const char *branch, struct err *e)
{
    ARENA_LOCAL(a);
    if (branch[0] == '-' || !*branch)
        return err_set(e, ERR_INVALID, "\"%.100s\" cannot be the name of a branch", branch);
    return ref_check(arena_printf(&a, "refs/heads/%s", branch), e);
}

/* For whoever serves or tidies it with plain git, and for our own fetches from it. */
static int write_config(const char *git_dir, struct err *e)
{
    static const char config[] = "[uploadpack]\n\tallowAnySHA1InWant = true\n"
                                 "[gc]\n\tauto = 0\n[core]\n\tfsync = all\n";
    ARENA_LOCAL(a);
    int fd = open(arena_printf(&a, "%s/config", git_dir), O_WRONLY | O_APPEND | O_CLOEXEC);
    int bad = fd < 0 || write(fd, config, sizeof config - 1) != (ssize_t)sizeof config - 1 || fsync(fd) < 0;
    int code = bad ? err_set_errno(e, ERR_FAILED, errno, "cannot write %s/config", git_dir) : 0;
    if (fd >= 0)
        close(fd);
    return code;
}

static int init_bare(struct arena *a, const char *path, const char *branch, struct err *e)
{
    int code = git_do(NULL, GIT_ARGS("init", "--quiet", "--bare", "--template=", "--object-format=sha1",
                                     arena_printf(a, "--initial-branch=%s", branch), "--", path), e);
    return code < 0 ? err_prefix(e, "cannot make %s", path) : write_config(path, e);
}

static int sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int bad = fsync(fd);
    int saved = errno;
    close(fd);
    errno = saved;
    return bad;
}

static int clear_unfinished(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set_errno(e, ERR_FAILED, errno, "cannot open %s", path);
    int code = dir_empty(fd, e);
    close(fd);
    return code;
}

const char *path_absolute(struct arena *a, const char *path)
{
    if (path[0] == '/')
        return path;
    char *cwd = getcwd(NULL, 0);
    const char *absolute = arena_printf(a, "%s/%s", cwd ? cwd : "", path);
    free(cwd);
    return absolute;
}

/* Made beside its place and renamed into it: what is there is whole. */
int repo_create(const char *path, const char *default_branch, struct err *e)
{
    ARENA_LOCAL(a);
    struct stat st;
    path = path_absolute(&a, path);
    int code = git_check(e);
    if (code == 0)
        code = branch_check(default_branch, e);
    if (code < 0)
        return code;
    if (stat(arena_printf(&a, "%s/HEAD", path), &st) == 0)
        return err_set(e, ERR_EXISTS, "there is a repository at %s already", path);
    const char *made = arena_printf(&a, "%s.unfinished", path);
    code = clear_unfinished(made, e);
    if (code == 0)
        code = init_bare(&a, made, default_branch, e);
    if (code < 0)
        return code;
    failpoint("repo.initialised");
    if (sync_path(made) < 0 || rename(made, path) < 0 || sync_path(arena_printf(&a, "%s/..", path)) < 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot make %s", path);
    failpoint("repo.created");
    return 0;
}

/* Anything else that goes wrong says nothing of the repository. */
static bool says_corrupt(const char *why)
{
    static const char *const words[] = { "not a git repository", "bad config", "epository extension", "git repo version" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(why, words[i]))
            return true;
    return false;
}

/* The one thing of its configuration that we must know. */
int repo_read_format(struct repo *r, struct err *e)
{
    struct process_result p;
    struct git_call call = { .git_dir = r->path, .args = GIT_ARGS("rev-parse", "--show-object-format", "--is-bare-repository") };
    struct err why;
    int code = git_run(&call, &p, &why);
    if (code == ERR_FAILED && says_corrupt(why.text))
        return err_set(e, ERR_CORRUPT, "%s is not a repository of ours (%s)", r->path, why.text);
    if (code < 0)
        return err_set(e, code, "cannot open the repository %s: %s", r->path, why.text);
    r->hex_len = starts_with(p.out.data, "sha256") ? 64 : 40;
    if (!strstr(p.out.data, "\ntrue\n"))
        code = err_set(e, ERR_CORRUPT, "%s is not a bare repository", r->path);
    process_result_release(&p);
    return code;
}

int repo_open(struct repo **ret, const char *path, struct err *e)
{
    int code = git_check(e);
    if (code < 0)
        return code;
    char *absolute = realpath(path, NULL);
    if (!absolute)
        return err_set_errno(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_FAILED, errno, "cannot open the repository %s", path);
    struct repo *r = xcalloc(1, sizeof *r);
    r->path = absolute;
    r->fd = open(absolute, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cache_init(&r->cache);
    helper_init(&r->reader);
    helper_init(&r->refs);
    code = r->fd < 0 ? err_set_errno(e, ERR_FAILED, errno, "cannot open the repository %s", path) : repo_read_format(r, e);
    if (code < 0)
        repo_free(r);
    else
        *ret = r;
    return code;
}

void repo_free(struct repo *r)
{
    if (!r)
        return;
    helper_release(&r->reader);
    helper_release(&r->refs);
    cache_release(&r->cache);
    if (r->fd >= 0)
        close(r->fd);
    free(r->path);
    free(r);
}

/* Objects that nothing refers to are kept for long: a task may still name them. */
int repo_maintain(struct repo *r, struct err *e)
{
    int code = git_do(r->path, GIT_ARGS("-c", "gc.auto=6700", "-c", "gc.autoDetach=false", "-c", "gc.pruneExpire=90.days.ago",
                                        "gc", "--auto", "--quiet"), e);
    cache_clear(&r->cache); /* what is in it must be in the store as well */
    return code;
}
