/* git_conflict.c - a clone in which a merge waits for a person.
 *
 * What `git merge` would leave after a conflict, made by plumbing: the files with markers
 * are those that repo_merge gave to the Developer before, so that a person sees what the
 * model saw, whatever merge driver or conflict style the person has configured.  The index
 * gets the three sides of each conflict and .git/MERGE_HEAD names the other branch; from
 * there on it is an ordinary merge for git and every tool on top of it.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/failpoint.h"
#include "os/files.h"

#include <unistd.h>

static const char conflict_ref[] = "refs/tandem/conflict";

/* "<tree>\0", then "<mode> <id> <stage>\t<path>\0" for each side of each conflict, which is
 * what update-index reads; before a path's first side its merged entry goes. */
static void index_lines(struct repo *r, struct arena *a, const struct merge_sides *sides, const struct process_result *p, struct str *out)
{
    const char *at = p->out.data, *end = at + p->out.len, *last = "";
    for (at += strlen(at) + 1; at < end; at += strlen(at) + 1) {
        const char *tab = strchr(at, '\t');
        if (!tab)
            break;
        const char *path = merge_relabel_path(a, sides, tab + 1);
        if (!streq(path, last)) {
            str_addf(out, "0 %s\t%s", oid_zero(r).hex, path);
            str_add_char(out, '\0');
        }
        last = path;
        str_addf(out, "%.*s\t%s", (int)(tab - at), at, path);
        str_add_char(out, '\0');
    }
}

static int list_sides(struct repo *r, struct arena *a, const struct oid *ours, const struct oid *theirs, struct str *out, struct err *e)
{
    struct process_result p;
    struct git_call call = { .git_dir = r->path,
                             .args = GIT_ARGS("merge-tree", "--write-tree", "-z", "--no-messages", ours->hex, theirs->hex),
                             .also_ok = 1 };
    int code = git_run(&call, &p, e);
    if (code < 0)
        return code;
    struct merge_sides sides = { ours, theirs };
    index_lines(r, a, &sides, &p, out);
    process_result_release(&p);
    return 0;
}

/* The merged tree comes along as a commit that only a ref of ours names. */
static int bring_tree(struct repo *r, struct arena *a, const char *git_dir, const struct oid *ours, const struct oid *theirs,
                      const struct oid *tree, struct err *e)
{
    struct commit_intent c = { .tree = *tree, .parents = { *ours, *theirs }, .message = "Conflict\n", .time_s = 0 };
    struct oid commit;
    int code = repo_commit(r, &c, &commit, e);
    if (code == 0)
        code = repo_ref_move(r, conflict_ref, NULL, &commit, e);
    if (code == 0)
        code = git_fetch(git_dir, NULL, r->path, arena_printf(a, "+%s:%s", conflict_ref, conflict_ref), e);
    return code;
}

static int write_sides(const char *git_dir, const struct str *lines, struct err *e)
{
    struct process_result p;
    struct git_call call = { .git_dir = git_dir, .args = GIT_ARGS("update-index", "-z", "--index-info"),
                             .input = lines->data, .input_len = lines->len };
    int code = git_run(&call, &p, e);
    if (code == 0)
        process_result_release(&p);
    return code;
}

static int write_state(const char *git_dir, const struct oid *theirs, const char *message, struct err *e)
{
    int fd;
    int code = dir_open(git_dir, false, &fd, e);
    if (code < 0)
        return code;
    STR_LOCAL(head);
    str_addf(&head, "%s\n", theirs->hex);
    code = file_write(fd, "MERGE_MSG", message, strlen(message), 0644, false, e);
    if (code == 0)
        code = file_write(fd, "MERGE_MODE", "", 0, 0644, false, e);
    if (code == 0)
        code = file_write(fd, "MERGE_HEAD", head.data, head.len, 0644, false, e);
    close(fd);
    return code;
}

int repo_clone_conflict(struct repo *r, const char *dir, const char *branch, const struct oid *theirs, const char *message,
                        struct err *e)
{
    ARENA_LOCAL(a);
    struct oid ours;
    struct merge_result m;
    STR_LOCAL(lines);
    int code = repo_ref(r, arena_printf(&a, "refs/heads/%s", branch), &ours, e);
    if (code == 0)
        code = repo_merge(r, &a, &ours, theirs, &m, e);
    if (code == 0)
        code = list_sides(r, &a, &ours, theirs, &lines, e);
    if (code == 0)
        code = clone_begin(r, dir, branch, e);
    if (code < 0)
        return code;
    failpoint("repo.conflict_cloned");
    const char *absolute = path_absolute(&a, dir), *git_dir = arena_printf(&a, "%s/.git", absolute);
    const char *work_tree = arena_printf(&a, "--work-tree=%s", absolute);
    code = bring_tree(r, &a, git_dir, &ours, theirs, &m.tree, e);
    if (code == 0)
        code = git_do(git_dir, GIT_ARGS(work_tree, "read-tree", "--reset", "-u", m.tree.hex), e);
    if (code == 0 && lines.len)
        code = write_sides(git_dir, &lines, e);
    if (code == 0)
        code = git_do(git_dir, GIT_ARGS("update-ref", "-d", conflict_ref), e);
    if (code == 0)
        code = write_state(git_dir, theirs, message, e);
    return code;
}
