/* git.h - a project's bare repository, driven by git's plumbing.
 *
 * Nothing in the code under work can make git execute anything: worktrees have no .git,
 * git runs with an environment of our making and without hooks, filters, signing or
 * user configuration, and diffs are taken between commits.  Objects and refs are synced
 * (core.fsync=all) before a function that wrote them returns.
 *
 * Threads: a struct repo may be used from any thread; calls on one repo take turns where
 * they share a helper process.
 */
#ifndef TANDEM_GIT_H
#define TANDEM_GIT_H

#include "base/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct repo;
struct str;

/* The oldest git that will do: Debian 12's, by which all is tested. */
enum { GIT_MAJOR = 2, GIT_MINOR = 39 };

enum { OID_HEX_MAX = 64 };
/* An object id, 40 or 64 hexadecimal digits; "" for none. */
struct oid { char hex[OID_HEX_MAX + 1]; };

/* Bare and empty; whole or not there at all.  ERR_EXISTS. */
int repo_create(const char *path, const char *default_branch, struct err *e);
int repo_open(struct repo **ret, const char *path, struct err *e);
void repo_free(struct repo *r);
/* Removes what a killed process left: lock files of git, and views of a person's repository.  For the one process that may write, before it
 * writes. */
int repo_unlock(struct repo *r, struct err *e);
/* Packs what has gathered, when that is worth it (`git gc --auto`); takes long then.  For
 * moments without work. */
int repo_maintain(struct repo *r, struct err *e);

/* Takes over the person's repository at `source` (bare or not, or a linked worktree).  Its
 * working tree, index, refs and configuration are only read, and nothing that they name is
 * run.  What its branches are goes to refs/tandem/source/<branch>; of ours only the default one
 * is made or moved forward, never back.  It may be done again.
 * *ret_branch: its default branch, that is what a clone of it would check out (HEAD; when
 * detached, or at the branch `results`, which is never taken: its only branch besides, main,
 * master or trunk); *ret_head: its commit, "" when unborn;
 * *ret_dirty: its working tree has changes or new files (which are not taken).
 * An empty `r` takes over the object format (SHA-256); no other thread may use it meanwhile.
 * ERR_NOT_FOUND; ERR_INVALID says what is wrong: not a repository, a directory inside one,
 * shallow or partial, submodules, links that leave the tree, names that are refused. */
int repo_import(struct repo *r, struct arena *a, const char *source, const char *results, const char **ret_branch,
                struct oid *ret_head, bool *ret_dirty, struct err *e);

/* Gives results back: copies objects into `target` and moves refs/heads/<branch> from
 * `expected` to `commit` there by compare-and-swap ("": must not exist; NULL: whatever it
 * is); already at `commit` is success.  Never a push; working tree, index and HEAD stay as
 * they are.  ERR_BUSY names the worktree in which the branch is checked out (or to which a
 * rebase or bisect will return), ERR_CONFLICT says that it was changed there. */
int repo_export(struct repo *r, const char *target, const char *branch, const struct oid *expected,
                const struct oid *commit, struct err *e);

/* The same for a clone that was made for the person: where `branch` is checked out in `target`
 * itself, index and files follow it.  ERR_BUSY also says what of theirs is in the way: changes, a
 * merge under way, a new file of the same name.  After a crash it may be done again. */
int repo_forward(struct repo *r, const char *target, const char *branch, const struct oid *expected,
                 const struct oid *commit, struct err *e);

/* A normal clone of `branch` at `dir` (absent or empty, else ERR_EXISTS), other branches as
 * local branches as well, with objects of its own and without a remote.  After a crash it
 * may be done again: only a directory that it began itself is gone on with. */
int repo_clone_out(struct repo *r, const char *dir, const char *branch, struct err *e);
/* Whether a clone was begun at `dir` and not finished. */
bool repo_clone_unfinished(const char *dir);

/* A clone as by repo_clone_out in which the merge of `theirs` into `branch` is under way: the
 * files hold conflict markers ("ours", "theirs"), the index holds all three sides, so that
 * git status, git mergetool and editors show it as they show any; `message` is the merge's.
 * It is unfinished, and may be made again at the same place, until repo_clone_finish. */
int repo_clone_conflict(struct repo *r, const char *dir, const char *branch, const struct oid *theirs, const char *message,
                        struct err *e);
int repo_clone_finish(const char *dir, struct err *e);

/* Where a branch of the person's repository stands now, with its objects copied beneath
 * refs/tandem/source/BRANCH; *ret "" when it has no such branch.  *ret_checked_out: the
 * worktree there that has it checked out, "" for none.  Nothing is changed there. */
int repo_look_at(struct repo *r, struct arena *a, const char *source, const char *branch, struct oid *ret,
                 const char **ret_checked_out, struct err *e);

/* A branch of the person's repository as it is now, beside a commit of ours.  Only looks. */
struct peek {
    struct oid tip;          /* "" for no such branch */
    const char *checked_out; /* as for repo_look_at */
    bool dirty;              /* files in the worktree `where` that git knows have changes */
    bool holds;              /* `commit` is among the objects there */
    bool has;                /* the branch stands at it or after it */
};
int repo_peek(struct repo *r, struct arena *a, const char *where, const char *branch, const struct oid *commit,
              struct peek *ret, struct err *e);

/* ---- refs ---- */
/* ERR_NOT_FOUND.  `ref` is full ("refs/heads/DEV"). */
int repo_ref(struct repo *r, const char *ref, struct oid *ret, struct err *e);
/* Moves `ref` from `expected` ("" : must not exist; NULL: whatever it is) to `to` ("": delete).
 * ERR_CONFLICT when it stands elsewhere; already at `to` is success. */
int repo_ref_move(struct repo *r, const char *ref, const struct oid *expected, const struct oid *to, struct err *e);
/* All refs below `prefix`, sorted. */
struct repo_refs { const char **names; struct oid *oids; size_t count; };
int repo_refs(struct repo *r, struct arena *a, const char *prefix, struct repo_refs *ret, struct err *e);
/* A branch name part made safe from text a model or person wrote: letters (lower-case) and
 * digits of any script and '-', at most 40 bytes, never empty ("unnamed"). */
const char *branch_safe(struct arena *a, const char *text);
/* "PREFIX/NAME", or with a number behind it: the first that can stand beside all that are
 * `taken`, also where git keeps refs as files (one is not another's directory) and where files
 * differ in more than case; added to `taken`. */
const char *branch_free(struct arena *a, struct texts *taken, const char *prefix, const char *name);
/* The names of all branches, here and as last seen in the person's repository. */
int repo_branches_taken(struct repo *r, struct arena *a, struct texts *ret, struct err *e);

/* ---- trees ---- */
struct tree_file {
    const char *path;
    struct oid oid;
    bool executable;
    bool symlink; /* content is the target */
    int64_t size; /* -1 when not asked */
};
struct tree { struct tree_file *files; size_t count; }; /* sorted by path */

int repo_tree(struct repo *r, struct arena *a, const struct oid *commit_or_tree, struct tree *ret, struct err *e);
/* Fills in the sizes. */
int repo_tree_sizes(struct repo *r, struct tree *t, struct err *e);
const struct tree_file *tree_find(const struct tree *t, const char *path);
int repo_blob(struct repo *r, struct arena *a, const struct oid *blob, const char **ret, size_t *ret_len, struct err *e);
/* The bytes of one file; ERR_NOT_FOUND. */
int repo_file(struct repo *r, struct arena *a, const struct oid *commit_or_tree, const char *path,
              const char **ret, size_t *ret_len, struct err *e);

/* One change to a tree; bytes NULL deletes the path (absent: no error).  What was executable
 * stays so. */
struct tree_change { const char *path; const void *bytes; size_t len; bool executable; };
/* Writes blobs and the tree that is `base` ("" : empty) with the changes, deletions first.
 * ERR_REFUSED names an entry that must not exist: ".git" in any case or disguise, "..",
 * absolute, a file where a directory is (and the reverse), control characters, a backslash,
 * not UTF-8, longer than 4096 (component: 255); ERR_INVALID a path named twice. */
int repo_write_tree(struct repo *r, const struct oid *base, const struct tree_change *changes,
                    size_t count, struct oid *ret_tree, struct err *e);
/* The check alone. */
int path_check(const char *path, struct err *e);

/* Writes every file of the tree below root_fd (an empty directory), byte for byte, modes
 * 0644 and 0755.  ERR_REFUSED names what somebody else's tree should not hold: the names
 * above, submodules, links that lead out of the tree. */
int repo_checkout(struct repo *r, const struct oid *commit_or_tree, int root_fd, struct err *e);
/* Paths of the tree, sorted, whose file below root_fd is not as repo_checkout wrote it: other
 * bytes, another kind, gone, or not to be read.  Modes are not looked at, and files that the
 * tree does not have are not named.  `wanted` NULL: every path. */
int repo_checkout_compare(struct repo *r, const struct oid *commit_or_tree, int root_fd, struct arena *a,
                          bool (*wanted)(const char *path, void *ctx), void *ctx, struct texts *ret, struct err *e);

/* ---- commits ---- */
struct commit_intent {
    struct oid tree;
    struct oid parents[2]; /* "" for none */
    const char *message;   /* with trailers */
    const char *author_name, *author_email; /* NULL: Tandem */
    const char *committer_name, *committer_email;
    int64_t time_s; /* both dates, UTC */
};
/* The same intent always gives the same id. */
int repo_commit(struct repo *r, const struct commit_intent *c, struct oid *ret, struct err *e);
struct commit_info {
    struct oid tree, parents[2]; /* the first two of parent_count */
    size_t parent_count;
    const char *author, *message;
    int64_t time_s;
};
int repo_commit_info(struct repo *r, struct arena *a, const struct oid *commit, struct commit_info *ret, struct err *e);
/* Commits reachable from `tip` and not from `not_from` ("": all), newest first, at most `limit`. */
int repo_log(struct repo *r, struct arena *a, const struct oid *tip, const struct oid *not_from,
             size_t limit, struct oid **ret, size_t *ret_count, struct err *e);
/* A commit that both come from, the nearest ("": none). */
int repo_merge_base(struct repo *r, const struct oid *one, const struct oid *other, struct oid *ret, struct err *e);
int repo_is_ancestor(struct repo *r, const struct oid *ancestor, const struct oid *of, bool *ret, struct err *e);

/* Unified diff between two commits or trees ("": the empty tree), at most `max` bytes (cut at
 * a line, with a note).  The same bytes whatever the configuration, attributes and git
 * version; without "index" lines. */
int repo_diff(struct repo *r, const struct oid *from, const struct oid *to, size_t max, struct str *out, struct err *e);
/* Paths that differ. */
int repo_changed(struct repo *r, struct arena *a, const struct oid *from, const struct oid *to, struct texts *ret, struct err *e);
/* The same with the lines added and removed in each; -1: binary. */
struct diff_stat { const char *path; long long added, removed; };
struct diff_stats { struct diff_stat *files; size_t count; };
int repo_diff_stats(struct repo *r, struct arena *a, const struct oid *from, const struct oid *to, struct diff_stats *ret, struct err *e);

struct merge_result {
    struct oid tree;         /* with conflict markers ("ours", "theirs") when there are conflicts */
    struct texts conflicts;  /* paths; empty: clean */
};
/* Three-way merge of two commits (git merge-tree --write-tree); nothing is committed.
 * ERR_INVALID: they have no commit in common. */
int repo_merge(struct repo *r, struct arena *a, const struct oid *ours, const struct oid *theirs,
               struct merge_result *ret, struct err *e);

/* The user's identity from git's configuration ("" when unset): as the repository at `source`
 * says, for which a commit there would be theirs, else as their own configuration does. */
struct git_person { char name[256], email[256]; };
struct git_person git_person(const char *source);

#endif
