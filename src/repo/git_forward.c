/* git_forward.c - takes a person's working tree along when its branch moves forward.
 *
 * Not by `git merge --ff-only` there, which obeys the configuration and the attributes that it
 * finds (filters are programs), and which leaves half a file and its lock when it is killed.
 * Here the files follow only where each is, byte for byte, as in the old commit or already as
 * in the new one, and the index too: then nothing is written over that the repository does not
 * hold, and after a kill the same can be done again.  What is new is written beside the
 * repository's own files, in .git/tandem-forward, and renamed into place under the lock that
 * every git takes.  A lock with the inode of the one in that directory is ours, and it names the
 * commit that was on its way when we were killed: that comes first, should there be a newer one.
 *
 * In doubt it is left to the person: files that git converts when it checks them out do not
 * have the bytes of their objects, links are not made, a directory in a file's place stays.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/failpoint.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAGE "tandem-forward"
#define LOCK "index.lock"

struct forward {
    struct foreign *f;
    struct repo *r;
    const struct oid *from, *to;
    struct tree before, after;
    struct oid half; /* the commit to which a kill left it on its way; "" */
    bool begun;      /* files have moved, now or before a kill */
    int git_fd, files_fd, stage_fd;
};

static int in_the_way(const struct forward *w, const char *path, const char *why, struct err *e)
{
    char shown[256];
    return err_set(e, ERR_BUSY, "it is checked out in %s, where %s%s", w->f->worktree,
                   *path ? path_shown(shown, sizeof shown, path) : "", why);
}

/* ---- is anything of the person's there? ---- */

static int check_idle(const struct forward *w, struct err *e)
{
    static const char *const signs[] = { "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD" };
    struct stat st;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (file_exists(w->git_fd, signs[i]))
            return in_the_way(w, "", "a merge or the like is under way", e);
    if (fstat(w->files_fd, &st) < 0 || st.st_uid != geteuid())
        return in_the_way(w, "", "the files belong to somebody else", e);
    return 0;
}

/* Those that come, as a file or at all. */
static bool comes(const struct forward *w, const struct tree_file *f)
{
    const struct tree_file *old = tree_find(&w->before, f->path);
    return !old || !oid_same(&old->oid, &f->oid) || old->executable != f->executable || old->symlink != f->symlink;
}

static int check_links(const struct forward *w, struct err *e)
{
    for (size_t i = 0; i < w->after.count; i++) {
        const struct tree_file *f = &w->after.files[i], *old = tree_find(&w->before, f->path);
        if ((f->symlink || (old && old->symlink)) && comes(w, f))
            return in_the_way(w, f->path, " is or becomes a symbolic link", e);
    }
    return 0;
}

/* Whether anything but what goes away stands where a new file comes, or a directory for it. */
static bool is_taken(const struct forward *w, const char *path)
{
    ARENA_LOCAL(a);
    struct stat st;
    for (const char *slash = path; (slash = strchr(slash, '/')) != NULL; slash++) {
        const char *dir = arena_strndup(&a, path, (size_t)(slash - path));
        if (fstatat(w->files_fd, dir, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno != ENOENT;
        if (!S_ISDIR(st.st_mode))
            return !tree_find(&w->before, dir);
    }
    return fstatat(w->files_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int check_files(const struct forward *w, struct err *e)
{
    ARENA_LOCAL(a);
    struct texts not_old, not_new;
    int code = repo_checkout_compare(w->r, w->from, w->files_fd, &a, NULL, NULL, &not_old, e);
    if (code == 0)
        code = repo_checkout_compare(w->r, w->to, w->files_fd, &a, NULL, NULL, &not_new, e);
    for (size_t i = 0; code == 0 && i < not_old.count; i++) {
        const char *path = not_old.items[i];
        if (tree_find(&w->after, path) ? texts_has(&not_new, path) : file_exists(w->files_fd, path))
            code = in_the_way(w, path, " has changes that are not committed", e);
    }
    for (size_t i = 0; code == 0 && i < not_new.count; i++)
        if (!tree_find(&w->before, not_new.items[i]) && is_taken(w, not_new.items[i]))
            code = in_the_way(w, not_new.items[i], " lies where a new file comes", e);
    return code < 0 ? code : check_links(w, e);
}

/* With an index of the person's or of ours, under our configuration. */
static int git_there(const struct forward *w, const char *index, const char *const *args, bool *ret_differs, struct err *e)
{
    struct process_result p;
    const char *env[] = { arena_printf(&w->f->arena, "GIT_WORK_TREE=%s", w->f->worktree),
                          arena_printf(&w->f->arena, "GIT_INDEX_FILE=%s/%s", w->f->git_dir, index), NULL };
    struct git_call call = { .git_dir = w->f->facade, .env = env, .args = args, .also_ok = 1 };
    int code = git_run(&call, &p, e);
    if (code < 0)
        return code;
    if (ret_differs)
        *ret_differs = p.status != 0;
    process_result_release(&p);
    return 0;
}

static int check_index(const struct forward *w, struct err *e)
{
    bool not_old = true, not_new = true;
    int code = git_there(w, "index", GIT_ARGS("diff-index", "--cached", "--quiet", w->from->hex), &not_old, NULL);
    if (code == 0 && not_old)
        code = git_there(w, "index", GIT_ARGS("diff-index", "--cached", "--quiet", w->to->hex), &not_new, NULL);
    return code < 0 || (not_old && not_new) ? in_the_way(w, "", "changes are staged", e) : 0;
}

/* ---- the directory beside ---- */

static void remove_lock(const struct forward *w)
{
    struct stat ours, theirs;
    if (fstatat(w->stage_fd, "lock", &ours, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(w->git_fd, LOCK, &theirs, AT_SYMLINK_NOFOLLOW) == 0 &&
        ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev)
        unlinkat(w->git_fd, LOCK, 0);
}

/* One that is there was left by a kill, and so was the lock of the branch. */
static int open_stage(struct forward *w, const char *ref, struct err *e)
{
    ARENA_LOCAL(a);
    STR_LOCAL(half);
    bool was_killed = mkdirat(w->git_fd, STAGE, 0777) < 0 && errno == EEXIST;
    w->stage_fd = openat(w->git_fd, STAGE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (w->stage_fd < 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot make %s/" STAGE, w->f->git_dir);
    if (!was_killed)
        return 0;
    if (file_read(w->stage_fd, "lock", OID_HEX_MAX, &half, NULL) == 0 && half.len == w->r->hex_len)
        oid_set(&w->half, half.data, half.len);
    w->begun = *w->half.hex;
    remove_lock(w);
    unlinkat(w->stage_fd, LOCK, 0);
    unlink(arena_printf(&a, "%s/%s.lock", w->f->common_dir, ref));
    return 0;
}

static const char *stage_path(const struct forward *w, const char *path)
{
    return arena_printf(&w->f->arena, "%s/%s", w->to->hex, path);
}

static int stage_files(const struct forward *w, struct err *e)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < w->after.count; i++) {
        ARENA_LOCAL(a);
        const struct tree_file *f = &w->after.files[i];
        const char *bytes;
        size_t len;
        if (!comes(w, f))
            continue;
        code = repo_blob(w->r, &a, &f->oid, &bytes, &len, e);
        if (code == 0)
            code = file_write(w->stage_fd, stage_path(w, f->path), bytes, len, f->executable ? 0755 : 0644, false, e);
    }
    if (code == 0)
        code = git_there(w, STAGE "/index", GIT_ARGS("read-tree", w->to->hex), NULL, e);
    return code;
}

static int take_lock(const struct forward *w, struct err *e)
{
    int code = file_write(w->stage_fd, "lock", w->to->hex, strlen(w->to->hex), 0644, false, e);
    if (code == 0 && linkat(w->stage_fd, "lock", w->git_fd, LOCK, 0) < 0)
        code = in_the_way(w, "", arena_printf(&w->f->arena, ".git/" LOCK " cannot be made (%s)", strerror(errno)), e);
    return code;
}

/* ---- moving ---- */

static int move_files(const struct forward *w, struct err *e)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < w->before.count; i++) {
        const char *path = w->before.files[i].path;
        if (!tree_find(&w->after, path) && file_exists(w->files_fd, path))
            code = file_remove(w->files_fd, path, e);
    }
    for (size_t i = 0; code == 0 && i < w->after.count; i++) {
        const struct tree_file *f = &w->after.files[i];
        if (comes(w, f))
            code = file_move(w->stage_fd, stage_path(w, f->path), w->files_fd, f->path, e);
    }
    return code;
}

static int move_index(const struct forward *w, struct err *e)
{
    int code = git_there(w, STAGE "/index", GIT_ARGS("update-index", "-q", "--refresh"), NULL, e);
    if (code == 0 && renameat(w->stage_fd, "index", w->git_fd, "index") < 0)
        code = err_set_errno(e, ERR_FAILED, errno, "cannot replace %s/index", w->f->git_dir);
    return code;
}

static int check(struct forward *w, struct err *e)
{
    int code = repo_tree(w->r, &w->f->arena, w->from, &w->before, e);
    if (code == 0)
        code = repo_tree(w->r, &w->f->arena, w->to, &w->after, e);
    if (code == 0)
        code = check_idle(w, e);
    if (code == 0)
        code = check_files(w, e);
    return code < 0 ? code : check_index(w, e);
}

static int move(struct forward *w, const struct oid *from, const struct oid *to, struct err *e)
{
    w->from = from;
    w->to = to;
    int code = check(w, e);
    if (code == 0)
        code = stage_files(w, e);
    if (code == 0)
        code = take_lock(w, e);
    if (code < 0)
        return code;
    w->begun = true;
    failpoint("repo.forward_staged");
    code = move_files(w, e);
    if (code == 0) {
        failpoint("repo.forward_files");
        code = move_index(w, e);
    }
    remove_lock(w);
    return code;
}

static int go_on(struct forward *w, const struct oid *from, const struct oid *to, struct err *e)
{
    bool on_the_way = false;
    if (oid_same(&w->half, to) || repo_is_ancestor(w->r, &w->half, to, &on_the_way, NULL) < 0 || !on_the_way)
        return move(w, from, to, e);
    int code = move(w, from, &w->half, e);
    return code < 0 ? code : move(w, &w->half, to, e);
}

int foreign_forward(struct foreign *f, struct repo *r, const char *ref, const struct oid *from, const struct oid *to, struct err *e)
{
    struct forward w = { .f = f, .r = r, .git_fd = -1, .files_fd = -1, .stage_fd = -1 };
    int code = dir_open(f->git_dir, false, &w.git_fd, e);
    if (code == 0)
        code = dir_open(f->worktree, false, &w.files_fd, e);
    if (code == 0)
        code = open_stage(&w, ref, e);
    if (code == 0)
        code = go_on(&w, from, to, e);
    const int fds[] = { w.git_fd, w.files_fd, w.stage_fd };
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (code < 0 && !w.begun)
        foreign_forward_end(f);
    return code;
}

void foreign_forward_end(struct foreign *f)
{
    foreign_remove_dir(AT_FDCWD, arena_printf(&f->arena, "%s/" STAGE, f->git_dir));
}
