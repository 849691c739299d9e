/* git_peek.c - one branch of a person's repository: where it stands, and whether somebody
 * is working on it.
 *
 * A full import would also move our own branches forward to theirs, which is right when
 * work begins and wrong when it ends: a release must not take in what nobody asked for.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "os/files.h"

#include <dirent.h>

/* ---- is it checked out? ---- */

/* A rebase or bisect detaches HEAD and comes back to its branch later. */
static bool returns_to_branch(struct foreign *f, const char *git_dir, const char *branch)
{
    static const char *const files[] = { "rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        STR_LOCAL(text);
        if (file_read_path(arena_printf(&f->arena, "%s/%s", git_dir, files[i]), 4096, &text, NULL) < 0)
            continue;
        str_rtrim(&text);
        if (streq(text.data, arena_printf(&f->arena, "refs/heads/%s", branch)) || streq(text.data, branch))
            return true;
    }
    return false;
}

static bool some_worktree_returns(struct foreign *f, const char *branch)
{
    if (returns_to_branch(f, f->common_dir, branch))
        return true;
    const char *worktrees = arena_printf(&f->arena, "%s/worktrees", f->common_dir);
    DIR *dir = opendir(worktrees);
    bool returns = false;
    if (!dir)
        return false;
    for (struct dirent *entry; !returns && (entry = readdir(dir)) != NULL;)
        returns = entry->d_name[0] != '.' && returns_to_branch(f, arena_printf(&f->arena, "%s/%s", worktrees, entry->d_name), branch);
    closedir(dir);
    return returns;
}

/* Records of "key value\0" lines, each record ended by an empty line: the worktree in which
 * the branch is checked out, NULL when in none. */
static const char *worktree_of(const char *list, size_t len, const char *ref)
{
    const char *path = NULL;
    for (const char *p = list; p < list + len; p += strlen(p) + 1) {
        if (starts_with(p, "worktree "))
            path = p + strlen("worktree ");
        else if (starts_with(p, "branch ") && streq(p + strlen("branch "), ref))
            return path;
    }
    return NULL;
}

int foreign_checked_out(struct foreign *f, const char *branch, const char **ret_where, struct err *e)
{
    struct process_result p;
    struct git_call call = { .git_dir = f->common_dir, .args = GIT_ARGS("worktree", "list", "--porcelain", "-z") };
    int code = git_run(&call, &p, e);
    if (code < 0)
        return err_prefix(e, "%s", f->given);
    const char *where = worktree_of(p.out.data, p.out.len, arena_printf(&f->arena, "refs/heads/%s", branch));
    *ret_where = where ? arena_strdup(&f->arena, where) : some_worktree_returns(f, branch) ? "a rebase or bisect" : "";
    process_result_release(&p);
    return 0;
}

/* ---- where does it stand? ---- */

static int fetch_branch(struct repo *r, struct foreign *f, const char *branch, struct err *e)
{
    struct timespec since = sync_mark();
    const char *refspec = arena_printf(&f->arena, "+refs/heads/%s:refs/tandem/source/%s", branch, branch);
    int code = git_fetch(r->path, NULL, f->facade, refspec, e);
    return code < 0 ? err_prefix(e, "cannot copy the objects of %s", f->given) : sync_objects(r, since, e);
}

int repo_look_at(struct repo *r, struct arena *a, const char *source, const char *branch, struct oid *ret,
                 const char **ret_checked_out, struct err *e)
{
    struct foreign f = { 0 };
    const char *where = "";
    struct oid tip = { "" };
    int code = branch_check(branch, e);
    if (code < 0)
        return code;
    code = foreign_open(&f, source, e);
    if (code == 0 && f.hex_len != r->hex_len)
        code = err_set(e, ERR_INVALID, "%s uses another object format than the project", f.given);
    if (code == 0)
        code = foreign_checked_out(&f, branch, &where, e);
    if (code == 0 && foreign_branch(&f, branch)) {
        tip = *foreign_branch(&f, branch);
        code = foreign_facade(&f, r, e);
        if (code == 0)
            code = fetch_branch(r, &f, branch, e);
    }
    if (code == 0) {
        *ret = tip;
        *ret_checked_out = arena_strdup(a, where);
    }
    foreign_close(&f);
    return code;
}

static bool says_yes(struct foreign *f, const char *const *args)
{
    struct process_result p;
    struct git_call call = { .git_dir = f->facade, .args = args };
    if (git_run(&call, &p, NULL) < 0)
        return false;
    process_result_release(&p);
    return true;
}

static int peek_at(struct foreign *f, struct arena *a, const char *branch, const struct oid *commit, struct peek *ret, struct err *e)
{
    const char *where;
    int code = foreign_checked_out(f, branch, &where, e);
    if (code < 0)
        return code;
    const struct oid *tip = foreign_branch(f, branch);
    *ret = (struct peek){ .checked_out = arena_strdup(a, where), .dirty = foreign_is_dirty(f, false) };
    if (tip)
        ret->tip = *tip;
    ret->holds = says_yes(f, GIT_ARGS("cat-file", "-e", arena_printf(&f->arena, "%s^{commit}", commit->hex)));
    ret->has = ret->holds && tip && says_yes(f, GIT_ARGS("merge-base", "--is-ancestor", commit->hex, tip->hex));
    return 0;
}

int repo_peek(struct repo *r, struct arena *a, const char *where, const char *branch, const struct oid *commit,
              struct peek *ret, struct err *e)
{
    struct foreign f = { 0 };
    int code = oid_check(r, commit, e);
    if (code == 0)
        code = foreign_open(&f, where, e);
    if (code == 0)
        code = foreign_facade(&f, r, e);
    if (code == 0)
        code = peek_at(&f, a, branch, commit, ret, e);
    foreign_close(&f);
    return code;
}
