/* git_export.c - gives results back to a person's repository.
 *
 * Not by push, which runs the receiving side's hooks and obeys its configuration: a fetch
 * of ours writes into its object store through the facade, and one compare-and-swap moves
 * the branch.  Its working tree, index and HEAD stay as they are, which is why a branch that
 * is checked out anywhere is left alone: moving it would make every file look changed.
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

struct export {
    struct repo *r;
    struct foreign target;
    const char *branch, *ref;
    const struct oid *expected, *commit;
    bool may_forward; /* files may follow */
    bool with_files;  /* they do: it is checked out there */
};

static bool is_same_dir(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int check_not_checked_out(struct export *x, struct err *e)
{
    const char *where;
    int code = foreign_checked_out(&x->target, x->branch, &where, e);
    if (code < 0)
        return code;
    x->with_files = x->may_forward && !oid_none(x->expected) && x->target.worktree && *where == '/' && is_same_dir(where, x->target.worktree);
    if (*where && !x->with_files)
        code = err_set(e, ERR_BUSY, "the branch %s is checked out in %s and was left alone; check out another branch there", x->branch, where);
    return code;
}

/* ---- whose are the new files? ---- */

/* The server may be root where the person is not: what it makes there shall be theirs. */
static void give_to_owner(int dir_fd, const char *name, const struct stat *owner)
{
    struct stat st;
    if (geteuid() == 0 && owner->st_uid != 0 && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid == 0)
        (void)!fchownat(dir_fd, name, owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW);
}

static void give_packs(int objects_fd, const struct stat *owner)
{
    int fd = openat(objects_fd, "pack", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir)
        return;
    give_to_owner(objects_fd, "pack", owner);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (starts_with(entry->d_name, "pack-"))
            give_to_owner(fd, entry->d_name, owner);
    closedir(dir);
}

static void give_ref(int common_fd, const char *ref, const struct stat *owner)
{
    ARENA_LOCAL(a);
    for (char *path = arena_strdup(&a, ref), *slash;; *slash = '\0') {
        give_to_owner(common_fd, path, owner);
        slash = strrchr(path, '/');
        if (!slash)
            break;
    }
}

/* ---- objects, then the branch ---- */

static int copy_objects(struct export *x, const struct stat *owner, struct err *e)
{
    struct foreign *f = &x->target;
    struct timespec since = sync_mark();
    const char *env[] = { arena_printf(&f->arena, "GIT_OBJECT_DIRECTORY=%s", f->object_dir), NULL };
    int code = git_fetch(f->facade, env, x->r->path, x->commit->hex, e);
    if (code < 0)
        return err_prefix(e, "cannot copy objects into %s", f->given);
    int fd = open(f->object_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot open %s", f->object_dir);
    give_packs(fd, owner);
    code = sync_objects_since(fd, since, e);
    close(fd);
    return code;
}

static int tip_now(struct export *x, struct oid *ret, struct err *e)
{
    struct process_result p;
    struct git_call call = { .git_dir = x->target.common_dir, .args = GIT_ARGS("rev-parse", "--verify", "--quiet", x->ref), .also_ok = 1 };
    int code = git_run(&call, &p, e);
    if (code < 0)
        return err_prefix(e, "%s", x->target.given);
    *ret = (struct oid){ "" };
    if (p.status == 0)
        oid_set(ret, p.out.data, x->r->hex_len);
    process_result_release(&p);
    return 0;
}

static int conflict(const struct export *x, const struct oid *now, struct err *e)
{
    return err_set(e, ERR_CONFLICT, "the branch %s in %s stands at %s, not at %s: it was changed there meanwhile", x->branch,
                   x->target.given, oid_none(now) ? "nothing" : now->hex, oid_none(x->expected) ? "nothing" : x->expected->hex);
}

static int move_branch(struct export *x, int common_fd, const struct stat *owner, struct err *e)
{
    struct oid zero = oid_zero(x->r), now;
    STR_LOCAL(command);
    ref_command(&command, zero.hex, x->ref, x->expected, x->commit);
    struct process_result p;
    struct git_call call = { .git_dir = x->target.common_dir, .args = GIT_ARGS("update-ref", "--stdin"),
                             .input = command.data, .input_len = command.len };
    foreign_lock_clear(x->r);
    int code = foreign_lock_note(x->r, x->target.common_dir, x->ref, x->commit, e);
    if (code < 0)
        return code;
    failpoint("repo.export_moving");
    code = git_run(&call, &p, e);
    if (code == ERR_FAILED || code == 0) /* else git was killed, and may have left its lock */
        foreign_lock_forget(x->r);
    if (code == 0) {
        process_result_release(&p);
    } else {
        int looked = tip_now(x, &now, NULL);
        if (code == ERR_FAILED)
            foreign_lock_explain(x->target.common_dir, x->ref, e);
        if (looked < 0 || (x->expected && oid_same(&now, x->expected)))
            return err_prefix(e, "cannot move the branch %s in %s", x->branch, x->target.given);
        if (!oid_same(&now, x->commit))
            return conflict(x, &now, e);
    }
    give_ref(common_fd, x->ref, owner);
    return ref_sync(common_fd, x->ref, true, e);
}

static int transfer(struct export *x, struct err *e)
{
    int common_fd = open(x->target.common_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat owner;
    if (common_fd < 0 || fstat(common_fd, &owner) < 0) {
        int saved = errno;
        if (common_fd >= 0)
            close(common_fd);
        return err_set_errno(e, ERR_FAILED, saved, "cannot open %s", x->target.common_dir);
    }
    failpoint("repo.export");
    int code = copy_objects(x, &owner, e);
    if (code == 0) {
        failpoint("repo.export_copied");
        code = x->with_files ? foreign_forward(&x->target, x->r, x->ref, x->expected, x->commit, e) : 0;
    }
    if (code == 0) {
        failpoint("repo.export_files");
        code = move_branch(x, common_fd, &owner, e);
    }
    if (code == 0) {
        failpoint("repo.export_moved");
        if (x->with_files)
            foreign_forward_end(&x->target);
    }
    close(common_fd);
    return code;
}

static int export_open(struct export *x, struct err *e)
{
    struct foreign *f = &x->target;
    if (f->hex_len != x->r->hex_len)
        return err_set(e, ERR_INVALID, "%s uses another object format than the project", f->given);
    const struct oid *tip = foreign_branch(f, x->branch);
    if (tip && oid_same(tip, x->commit)) {
        if (x->may_forward)
            foreign_forward_end(f);
        return 1; /* done before */
    }
    struct oid now = tip ? *tip : (struct oid){ "" };
    if (x->expected && !oid_same(&now, x->expected))
        return conflict(x, &now, e);
    int code = check_not_checked_out(x, e);
    return code < 0 ? code : foreign_facade(f, x->r, e);
}

static int give(struct repo *r, const char *target, const char *branch, const struct oid *expected,
                const struct oid *commit, bool may_forward, struct err *e)
{
    OBJECT_LOCAL(known);
    int code = branch_check(branch, e);
    if (code == 0)
        code = object_get(r, commit, OBJECT_COMMIT, &known, e);
    if (code == 0 && !oid_none(expected))
        code = oid_check(r, expected, e);
    if (code < 0)
        return code;
    struct export x = { .r = r, .branch = branch, .expected = expected, .commit = commit, .may_forward = may_forward };
    code = foreign_open(&x.target, target, e);
    if (code == 0) {
        x.ref = arena_printf(&x.target.arena, "refs/heads/%s", branch);
        code = export_open(&x, e);
    }
    if (code == 0)
        code = transfer(&x, e);
    foreign_close(&x.target);
    return code < 0 ? code : 0;
}

int repo_export(struct repo *r, const char *target, const char *branch, const struct oid *expected,
                const struct oid *commit, struct err *e)
{
    return give(r, target, branch, expected, commit, false, e);
}

int repo_forward(struct repo *r, const char *target, const char *branch, const struct oid *expected,
                 const struct oid *commit, struct err *e)
{
    return give(r, target, branch, expected, commit, true, e);
}
