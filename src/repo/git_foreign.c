/* git_foreign.c - a person's repository, seen without obeying its configuration.
 *
 * A repository's configuration can name programs (core.fsmonitor, filters, remotes of a
 * partial clone, hooks), and the one at hand may have come in an e-mail.  So git is pointed
 * at it only for questions that run nothing: where its parts are, what HEAD is, which
 * branches there are.  Objects and the state of the working tree are looked at through a
 * facade: a git directory of ours with a configuration of ours, the same branches, and
 * the person's objects as an alternate.  That also hides grafts and replacements.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FACADE_PREFIX "facade-"

enum { STATUS_TIMEOUT_MS = 120 * 1000 };

static bool exists(struct foreign *f, const char *dir, const char *name)
{
    struct stat st;
    return stat(arena_printf(&f->arena, "%s/%s", dir, name), &st) == 0;
}

/* ---- where it is ---- */

/* Not a repository itself: it may lie in one, or hold nothing. */
static int not_a_repository(struct foreign *f, const char *path, struct err *e)
{
    char *up = arena_strdup(&f->arena, path), *slash;
    while ((slash = strrchr(up, '/')) != NULL && slash != up) {
        *slash = '\0';
        if (exists(f, up, ".git"))
            return err_set(e, ERR_INVALID, "%s is a directory inside the repository %s; name that one", f->given, up);
    }
    return err_set(e, ERR_INVALID, "%s is not a git repository", f->given);
}

static int find_git_dir(struct foreign *f, const char *path, struct err *e)
{
    char *absolute = realpath(path, NULL);
    if (!absolute)
        return errno == ENOENT ? err_set(e, ERR_NOT_FOUND, "there is no %s", path)
                               : err_set_errno(e, ERR_INVALID, errno, "cannot look at %s", path);
    f->given = arena_strdup(&f->arena, path);
    path = arena_strdup(&f->arena, absolute);
    free(absolute);
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(e, ERR_INVALID, "%s is a file, not a git repository", f->given);
    if (strchr(path, '\n'))
        return err_set(e, ERR_INVALID, "a repository in a directory with a line break in its name is not supported");
    if (exists(f, path, ".git"))
        f->git_dir = arena_printf(&f->arena, "%s/.git", path);
    else if (exists(f, path, "HEAD") && exists(f, path, "objects") && exists(f, path, "refs"))
        f->git_dir = path;
    else
        return not_a_repository(f, path, e);
    f->worktree = ends_with(f->git_dir, "/.git") ? arena_strndup(&f->arena, f->git_dir, strlen(f->git_dir) - 5) : NULL;
    return 0;
}

static const char *next_line(struct arena *a, const char **at)
{
    size_t len = strcspn(*at, "\n");
    const char *line = arena_strndup(a, *at, len);
    *at += len + ((*at)[len] != '\0');
    return line;
}

static int locate(struct foreign *f, struct err *e)
{
    struct process_result p;
    struct git_call call = {
        .git_dir = f->git_dir,
        .args = GIT_ARGS("rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir", "--git-path", "objects",
                         "--show-object-format", "--is-bare-repository", "--is-shallow-repository"),
    };
    struct err why;
    int code = git_run(&call, &p, &why);
    if (code < 0)
        return err_set(e, ERR_INVALID, "%s is not a repository that git can read (%.500s)", f->given, why.text);
    const char *at = p.out.data;
    f->git_dir = next_line(&f->arena, &at);
    f->common_dir = next_line(&f->arena, &at);
    f->object_dir = next_line(&f->arena, &at);
    f->hex_len = streq(next_line(&f->arena, &at), "sha256") ? 64 : 40;
    bool bare = streq(next_line(&f->arena, &at), "true"), shallow = streq(next_line(&f->arena, &at), "true");
    process_result_release(&p);
    if (bare)
        f->worktree = NULL;
    if (shallow)
        return err_set(e, ERR_INVALID, "%s is a shallow clone: its history is cut off; run git fetch --unshallow in it first", f->given);
    return 0;
}

/* A partial clone lacks objects, and git would fetch them from wherever its configuration says. */
static int check_whole(struct foreign *f, struct err *e)
{
    DIR *dir = opendir(arena_printf(&f->arena, "%s/pack", f->object_dir));
    if (!dir)
        return 0;
    bool partial = false;
    for (struct dirent *entry; !partial && (entry = readdir(dir)) != NULL;)
        partial = ends_with(entry->d_name, ".promisor");
    closedir(dir);
    if (!partial)
        return 0;
    return err_set(e, ERR_INVALID, "%s is a partial clone: objects are missing in it; make a full clone first", f->given);
}

/* ---- what it holds ---- */

static int read_branches(struct foreign *f, struct err *e)
{
    struct process_result p;
    struct git_call call = { .git_dir = f->git_dir,
                             .args = GIT_ARGS("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/"),
                             .max_output = 64 << 20 };
    int code = git_run(&call, &p, e);
    if (code < 0)
        return err_prefix(e, "%s", f->given);
    code = refs_parse(&f->arena, p.out.data, p.out.len, &f->branches, e);
    process_result_release(&p);
    return code;
}

const struct oid *foreign_branch(const struct foreign *f, const char *branch)
{
    ARENA_LOCAL(a);
    return refs_find(&f->branches, arena_printf(&a, "refs/heads/%s", branch));
}

static int read_detached(struct foreign *f, struct err *e)
{
    struct process_result p;
    struct git_call call = { .git_dir = f->git_dir, .args = GIT_ARGS("rev-parse", "--verify", "--quiet", "HEAD"), .also_ok = 1 };
    int code = git_run(&call, &p, e);
    if (code < 0)
        return err_prefix(e, "%s", f->given);
    if (p.status == 0 && p.out.len > f->hex_len)
        oid_set(&f->head, p.out.data, f->hex_len);
    process_result_release(&p);
    return 0;
}

static int read_head(struct foreign *f, struct err *e)
{
    struct process_result p;
    struct git_call call = { .git_dir = f->git_dir, .args = GIT_ARGS("symbolic-ref", "--quiet", "HEAD"), .also_ok = 1 };
    int code = git_run(&call, &p, e);
    if (code < 0)
        return err_prefix(e, "%s", f->given);
    str_rtrim(&p.out);
    bool on_branch = p.status == 0 && starts_with(p.out.data, "refs/heads/");
    f->head_branch = on_branch ? arena_strdup(&f->arena, p.out.data + strlen("refs/heads/")) : "";
    process_result_release(&p);
    if (!on_branch)
        return read_detached(f, e);
    const struct oid *tip = foreign_branch(f, f->head_branch);
    if (tip)
        f->head = *tip;
    return 0;
}

int foreign_open(struct foreign *f, const char *path, struct err *e)
{
    *f = (struct foreign){ .given = path };
    int code = find_git_dir(f, path, e);
    if (code == 0)
        code = locate(f, e);
    if (code == 0)
        code = check_whole(f, e);
    if (code == 0)
        code = read_branches(f, e);
    if (code == 0)
        code = read_head(f, e);
    return code;
}

void foreign_remove_dir(int parent_fd, const char *path)
{
    int fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    dir_empty(fd, NULL);
    close(fd);
    unlinkat(parent_fd, path, AT_REMOVEDIR);
}

void foreign_close(struct foreign *f)
{
    if (f->facade)
        foreign_remove_dir(AT_FDCWD, f->facade);
    arena_release(&f->arena);
}

void foreign_remove_facades(const struct repo *r)
{
    int fd = openat(r->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (starts_with(entry->d_name, FACADE_PREFIX))
            foreign_remove_dir(r->fd, entry->d_name);
    closedir(dir);
}

/* ---- the facade ---- */

static int fill_facade(struct foreign *f, int fd, struct err *e)
{
    STR_LOCAL(refs);
    for (size_t i = 0; i < f->branches.count; i++)
        str_addf(&refs, "%s %s\n", f->branches.oids[i].hex, f->branches.names[i]);
    const char *head = oid_none(&f->head) ? "ref: refs/heads/unborn\n" : arena_printf(&f->arena, "%s\n", f->head.hex);
    const char *config = f->hex_len == 64 ? "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
                                          : "[core]\n\trepositoryformatversion = 0\n\tbare = true\n";
    const char *alternates = arena_printf(&f->arena, "%s\n", f->object_dir);
    const struct { const char *name, *text; } files[] = {
        { "HEAD", head }, { "config", config }, { "packed-refs", refs.data }, { "objects/info/alternates", alternates },
    };
    int code = mkdirat(fd, "refs", 0700) < 0 ? err_set_errno(e, ERR_FAILED, errno, "cannot make %s/refs", f->facade) : 0;
    for (size_t i = 0; i < sizeof files / sizeof *files && code == 0; i++)
        code = file_create(fd, files[i].name, files[i].text, strlen(files[i].text), 0600, e);
    return code;
}

int foreign_facade(struct foreign *f, const struct repo *r, struct err *e)
{
    char *path = arena_printf(&f->arena, "%s/" FACADE_PREFIX "XXXXXX", r->path);
    if (!mkdtemp(path))
        return err_set_errno(e, ERR_FAILED, errno, "cannot make a directory like %s", path);
    f->facade = path;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot open %s", path);
    int code = fill_facade(f, fd, e);
    close(fd);
    return code;
}

/* By the person's index and files, under our configuration: a file that only its filters
 * or line-ending settings would call unchanged may count as changed.  Not telling is
 * "dirty": the answer only decides whether the person is warned. */
bool foreign_is_dirty(struct foreign *f, bool new_too)
{
    if (!f->worktree)
        return false;
    const char *env[] = { arena_printf(&f->arena, "GIT_WORK_TREE=%s", f->worktree),
                          arena_printf(&f->arena, "GIT_INDEX_FILE=%s/index", f->git_dir), NULL };
    struct process_result p;
    struct git_call call = {
        .git_dir = f->facade,
        .env = env,
        .args = GIT_ARGS("-c", arena_printf(&f->arena, "core.excludesFile=%s/info/exclude", f->common_dir), "status",
                         "--porcelain", "-z", "--no-renames", new_too ? "--untracked-files=normal" : "--untracked-files=no",
                         "--ignore-submodules=all"),
        .max_output = 1,
        .cut_ok = true,
        .timeout_ms = STATUS_TIMEOUT_MS,
    };
    struct err ignored;
    if (git_run(&call, &p, &ignored) < 0)
        return true;
    bool dirty = p.out.len > 0 || p.end == PROCESS_FLOODED;
    process_result_release(&p);
    return dirty;
}
