/* git_internal.h - what the git_*.c files share; nobody else includes it.
 *
 *   git_path.c      names: which may stand in a tree, in a link, in a branch
 *   git_run.c       one git process: its environment, its failure as a sentence
 *   git_object.c    ids, and writing objects so that they survive a power cut
 *   git_cache.c     a bounded cache of objects
 *   git_read.c      reading objects through one `git cat-file`
 *   git_tree.c      reading trees
 *   git_change.c    writing changed ones
 *   git_checkout.c  a tree as files
 *   git_ref.c       refs, through one `git update-ref`
 *   git_changed.c   which files differ
 *   git_commit.c    commits, history, diffs
 *   git_merge.c     merges
 *   git_foreign.c   a person's repository, seen without obeying its configuration
 *   git_import.c, git_export.c, git_clone.c
 *   git_forward.c   a person's working tree follows its branch
 *   git_peek.c      one branch of a person's repository
 *   git_conflict.c  a clone in which a merge waits for a person
 *   git_repo.c      making, opening, tidying
 */
#ifndef TANDEM_GIT_INTERNAL_H
#define TANDEM_GIT_INTERNAL_H

#include "base/arena.h"
#include "base/str.h"
#include "os/process.h"
#include "repo/git.h"

#include <pthread.h>
#include <stdatomic.h>

enum { TREE_DEPTH_MAX = 256 };
static const size_t git_object_max = 256u << 20; /* bytes of one object that are read or written */

/* ---- names (git_path.c) ---- */
/* Why a name must not stand in any tree; NULL when it may. */
const char *name_is_dangerous(const char *name, size_t len);
/* Whether a link `depth` directories below the root leads to a place inside it, whatever
 * other such links it passes. */
bool link_stays_inside(size_t depth, const char *target, size_t len);
int ref_check(const char *ref, struct err *e);
/* A name made fit for an error's text. */
const char *path_shown(char *buffer, size_t size, const char *text);

/* ---- one git process (git_run.c) ---- */
struct git_call {
    const char *git_dir;             /* NULL: none */
    const char *const *args;         /* after "git --git-dir=…", NULL-terminated */
    const char *const *env;          /* besides our own; NULL: none */
    const void *input;
    size_t input_len;
    size_t max_output;               /* 0: 16 MiB */
    int64_t timeout_ms;              /* 0: two minutes */
    int also_ok;                     /* an exit status besides 0 that is an answer, not a failure */
    bool cut_ok;                     /* more than max_output is cut, not a failure */
};
/* Runs git to its end.  On success the caller releases `ret`. */
int git_run(const struct git_call *call, struct process_result *ret, struct err *e);
/* The same where only success matters; may take an hour. */
int git_do(const char *git_dir, const char *const *args, struct err *e);
/* Copies objects, and branches as the refspec says, from the git directory `from` (absolute). */
int git_fetch(const char *git_dir, const char *const *env, const char *from, const char *refspec, struct err *e);
/* The clone of repo_clone_out, still marked as unfinished. */
int clone_begin(struct repo *r, const char *dir, const char *branch, struct err *e);
/* Starts a helper that is spoken to over pipes. */
int git_start(const char *git_dir, const char *const *args, struct process **ret, struct err *e);
/* That git is there and new enough; looked at once. */
int git_check(struct err *e);
#define GIT_ARGS(...) (const char *const[]){ __VA_ARGS__, NULL }

/* ---- objects ---- */
enum object_type { OBJECT_ANY, OBJECT_COMMIT, OBJECT_TREE, OBJECT_BLOB, OBJECT_TAG };
extern const char *const object_type_names[];

/* Immutable, counted.  `data` is followed by a NUL. */
struct object {
    struct oid oid;
    enum object_type type;
    size_t len;
    atomic_int uses;
    struct object *hash_next, *newer, *older; /* of the cache, under its lock */
    char data[];
};
struct object *object_new(const struct oid *oid, enum object_type type, size_t len);
struct object *object_hold(struct object *o);
void object_put(struct object *o); /* NULL is allowed */
static inline void object_put_at_end(struct object **o) { object_put(*o); }
#define OBJECT_LOCAL(name) __attribute__((cleanup(object_put_at_end))) struct object *name = NULL

/* ---- the cache (git_cache.c); any thread ---- */
enum { CACHE_BUCKETS = 4096, CACHE_BYTES = 8 << 20, CACHE_OBJECT_MAX = 512 << 10 };
struct object_cache {
    pthread_mutex_t lock;
    struct object *buckets[CACHE_BUCKETS];
    struct object *newest, *oldest;
    size_t bytes;
};
void cache_init(struct object_cache *c);
void cache_release(struct object_cache *c);
void cache_clear(struct object_cache *c);
/* A held object, or NULL. */
struct object *cache_get(struct object_cache *c, const struct oid *oid);
void cache_put(struct object_cache *c, struct object *o);

struct git_helper {
    pthread_mutex_t lock; /* held for one question and its answer */
    struct process *process;
};
void helper_init(struct git_helper *h);
void helper_stop(struct git_helper *h); /* under its lock */
void helper_release(struct git_helper *h);

struct repo {
    char *path;      /* absolute */
    size_t hex_len;  /* 40: SHA-1, 64: SHA-256; changes only while an empty repository adopts another's format */
    int fd;          /* the directory */
    atomic_bool synced[256]; /* objects/NN: whether its name is known to be durable */
    struct object_cache cache;
    struct git_helper reader, refs;
};

/* git is run in "/": the paths that people give are made absolute. */
const char *path_absolute(struct arena *a, const char *path);
/* ERR_INVALID unless git and we accept it as a branch's name. */
int branch_check(const char *branch, struct err *e);
/* Learns the object format, after opening or a change. */
int repo_read_format(struct repo *r, struct err *e);

/* ---- reading (git_read.c) ---- */
/* The objects of `oids`, each held; released and NULL on failure.  ERR_NOT_FOUND names the
 * missing one, ERR_INVALID one of another type, ERR_LIMIT one above 256 MiB. */
int objects_get(struct repo *r, const struct oid *oids, size_t count, enum object_type type,
                struct object **ret, struct err *e);
int object_get(struct repo *r, const struct oid *oid, enum object_type type, struct object **ret, struct err *e);
/* The same, one after the other: `fn` sees each (not in order) and holds what it keeps.  It
 * must not read objects itself.  Keeps memory to one object at a time. */
typedef int (*object_fn)(size_t index, struct object *o, void *ctx, struct err *e);
int objects_each(struct repo *r, const struct oid *oids, size_t count, enum object_type type,
                 object_fn fn, void *ctx, struct err *e);
/* What a ref or id stands for; ERR_NOT_FOUND. */
int object_resolve(struct repo *r, const char *name, struct oid *ret, struct err *e);
/* The tree of a commit or tree; NULL or "" gives the empty tree, as a NULL object. */
int tree_get(struct repo *r, const struct oid *commit_or_tree, struct object **ret, struct err *e);

bool oid_valid(const struct repo *r, const struct oid *oid);
/* ERR_INVALID unless it is an id of this repository's format. */
int oid_check(const struct repo *r, const struct oid *oid, struct err *e);
void oid_set(struct oid *oid, const char *hex, size_t len);
static inline bool oid_none(const struct oid *oid) { return !oid || !oid->hex[0]; }
static inline bool oid_same(const struct oid *a, const struct oid *b) { return streq(a->hex, b->hex); }

/* ---- trees (git_tree.c) ---- */
enum entry_mode { MODE_DIR = 0040000, MODE_FILE = 0100644, MODE_EXEC = 0100755, MODE_LINK = 0120000, MODE_GITLINK = 0160000 };
struct tree_entry {
    const char *name; /* not terminated by NUL when read from a tree object */
    size_t name_len;
    unsigned mode;    /* one of enum entry_mode; other file modes are read as these */
    struct oid oid;
};
/* Entries of one tree object (NULL: none), names pointing into it. */
int tree_parse(const struct repo *r, struct arena *a, const struct object *tree, struct tree_entry **ret, size_t *ret_count, struct err *e);
/* git's order: a directory stands where its name with a slash would. */
int tree_entry_compare(const struct tree_entry *a, const struct tree_entry *b);
/* Walks a tree, directories before what is in them, else in the order of paths. */
struct tree_visit {
    const char *path;      /* in the arena */
    size_t depth;          /* of the directory that holds it; 0: the root */
    const struct tree_entry *entry;
};
typedef int (*tree_fn)(const struct tree_visit *v, void *ctx, struct err *e);
int tree_walk(struct repo *r, struct arena *a, const struct oid *commit_or_tree, tree_fn fn, void *ctx, struct err *e);
/* That one entry may be written to disk, and where a link leads. */
int entry_check(const struct tree_visit *v, struct err *e);
int link_check(const char *path, size_t depth, const struct object *target, struct err *e);
/* That nothing in it is dangerous to check out: names, submodules, links that lead outside. */
int tree_check(struct repo *r, const struct oid *commit_or_tree, struct err *e);

/* ---- writing (git_object.c) ---- */
struct new_object {
    enum object_type type;
    const void *data;
    size_t len;
    struct oid oid; /* set by object_id */
};
void object_id(const struct repo *r, struct new_object *o);
/* Durable on return, and in the cache. */
int objects_write(struct repo *r, struct new_object *objects, size_t count, struct err *e);
/* Syncs the directories of the object store in which something appeared since `since`
 * (of sync_mark): git syncs its files but not their names. */
struct timespec sync_mark(void);
int sync_objects_since(int objects_fd, struct timespec since, struct err *e);
int sync_objects(struct repo *r, struct timespec since, struct err *e);

/* ---- refs (git_ref.c) ---- */
/* Makes the name of a ref durable: the directories down to it. */
int ref_sync(int git_dir_fd, const char *ref, bool with_parents, struct err *e);
bool ref_dir_exists(int git_dir_fd, const char *ref);
struct oid oid_zero(const struct repo *r);
/* One command for `git update-ref --stdin`; expected and to as for repo_ref_move. */
void ref_command(struct str *out, const char *zero, const char *ref, const struct oid *expected, const struct oid *to);
/* By full name; NULL when it is not among them (sorted). */
const struct oid *refs_find(const struct repo_refs *refs, const char *name);
/* Lines "<id> <name>". */
int refs_parse(struct arena *a, const char *text, size_t len, struct repo_refs *ret, struct err *e);

/* ---- merges (git_merge.c) ---- */
struct merge_sides {
    const struct oid *ours, *theirs;
};
/* "dir~<id>", the name a file gets when its place is taken, as "dir~ours" or "dir~theirs". */
const char *merge_relabel_path(struct arena *a, const struct merge_sides *s, const char *path);

/* ---- a person's repository (git_foreign.c, git_peek.c, git_forward.c) ---- */
struct foreign {
    struct arena arena;
    const char *given;       /* as the person named it */
    const char *git_dir;     /* of the worktree named */
    const char *common_dir;  /* of the repository */
    const char *object_dir;
    const char *worktree;    /* NULL when bare */
    const char *facade;      /* a git directory of ours that shows its objects and branches */
    size_t hex_len;
    const char *head_branch; /* "main"; "" when detached */
    struct oid head;         /* "" when unborn */
    struct repo_refs branches;
};
/* Fails with what is wrong: missing, not a repository, inside one, shallow, partial. */
int foreign_open(struct foreign *f, const char *path, struct err *e);
/* Makes the facade, in `r`, where one that a killed process left is found again. */
int foreign_facade(struct foreign *f, const struct repo *r, struct err *e);
/* Removes a directory of ours, unless a link lies there. */
void foreign_remove_dir(int parent_fd, const char *path);
/* Removes those facades that were left. */
void foreign_remove_facades(const struct repo *r);
/* Whether its working tree has changes or (`new_too`) new files; needs the facade. */
bool foreign_is_dirty(struct foreign *f, bool new_too);
/* The tip of a branch; NULL when there is none. */
const struct oid *foreign_branch(const struct foreign *f, const char *branch);
/* Where the branch is checked out there (or will be again, by a rebase); "" for nowhere. */
int foreign_checked_out(struct foreign *f, const char *branch, const char **ret_where, struct err *e);
/* Index and files of the worktree, which are at `from`, become those of `to`, whose objects are
 * there already; ref, which is checked out there, is the caller's to move.  ERR_BUSY: something
 * of the person's is in the way.  Needs the facade. */
int foreign_forward(struct foreign *f, struct repo *r, const char *ref, const struct oid *from, const struct oid *to, struct err *e);
/* When `ref` has moved: there is nothing left that a crash would have to be mended from. */
void foreign_forward_end(struct foreign *f);
void foreign_close(struct foreign *f); /* removes the facade; also after a failure */

/* git_lock.c: the same for any git directory; absent: no error. */
int git_remove_locks(const char *git_dir, struct err *e);

/* Before a branch of a person's repository is moved, and when that has ended or failed. */
int foreign_lock_note(struct repo *r, const char *git_dir, const char *ref, const struct oid *to, struct err *e);
void foreign_lock_forget(struct repo *r);
/* Takes away the lock that a git of ours left there when it was killed, if a note says that one was
 * at it and nobody else's can be meant. */
void foreign_lock_clear(struct repo *r);
/* When a lock of the branch is there: names it, and how to remove it; ERR_BUSY.  Else `e` stays. */
void foreign_lock_explain(const char *git_dir, const char *ref, struct err *e);

#endif
