/* git_import.c - takes over a person's repository.
 *
 * What it had is kept under refs/tandem/source, and our branches are made or moved forward
 * from there, so that doing it again (after a crash, or when the person has gone on) never
 * takes back what was built since.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/failpoint.h"

/* ---- object format ---- */

/* A repository that holds nothing yet takes the format of what it shall hold. */
static int adopt_format(struct repo *r, const struct foreign *f, struct err *e)
{
    if (f->hex_len == r->hex_len)
        return 0;
    const char *theirs = f->hex_len == 64 ? "sha256" : "sha1";
    ARENA_LOCAL(a);
    struct repo_refs refs;
    int code = repo_refs(r, &a, "refs/", &refs, e);
    if (code == 0 && refs.count)
        code = err_set(e, ERR_INVALID, "%s uses %s object ids, and the project has objects of another format already", f->given, theirs);
    if (code == 0)
        code = git_do(r->path, GIT_ARGS("config", "core.repositoryformatversion", "1"), e);
    if (code == 0)
        code = git_do(r->path, GIT_ARGS("config", "extensions.objectformat", theirs), e);
    if (code < 0)
        return code;
    pthread_mutex_lock(&r->reader.lock);
    helper_stop(&r->reader);
    pthread_mutex_unlock(&r->reader.lock);
    pthread_mutex_lock(&r->refs.lock);
    helper_stop(&r->refs);
    pthread_mutex_unlock(&r->refs.lock);
    cache_clear(&r->cache);
    return repo_read_format(r, e);
}

/* ---- which branch ---- */

/* What a clone of it would check out; when nothing is, what people call the main one. */
static int choose_branch(struct foreign *f, const char **ret, struct oid *ret_head, struct err *e)
{
    if (*f->head_branch) {
        *ret = f->head_branch;
        *ret_head = f->head;
        return 0;
    }
    static const char *const usual[] = { "main", "master", "trunk" };
    const char *branch = f->branches.count == 1 ? f->branches.names[0] + strlen("refs/heads/") : NULL;
    for (size_t i = 0; i < 3 && !branch; i++)
        branch = foreign_branch(f, usual[i]) ? usual[i] : NULL;
    if (!branch)
        return err_set(e, ERR_INVALID, "HEAD is detached in %s and no branch is called main or master; check out the branch to build on",
                       f->given);
    *ret = branch;
    *ret_head = *foreign_branch(f, branch);
    return 0;
}

/* ---- copying ---- */

static int fetch(struct repo *r, struct foreign *f, struct err *e)
{
    struct timespec since = sync_mark();
    int code = git_fetch(r->path, NULL, f->facade, "+refs/heads/*:refs/tandem/source/*", e);
    return code < 0 ? err_prefix(e, "cannot copy the objects of %s", f->given) : sync_objects(r, since, e);
}

static int make_branch(struct repo *r, const char *ref, const struct oid *ours, const struct oid *theirs, struct err *e)
{
    if (!ours)
        return repo_ref_move(r, ref, &(struct oid){ "" }, theirs, e);
    bool forward = false;
    int code = oid_same(ours, theirs) ? 0 : repo_is_ancestor(r, ours, theirs, &forward, e);
    return code < 0 || !forward ? code : repo_ref_move(r, ref, ours, theirs, e);
}

static int make_branches(struct repo *r, const struct foreign *f, struct err *e)
{
    ARENA_LOCAL(a);
    struct repo_refs ours;
    int code = repo_refs(r, &a, "refs/heads/", &ours, e);
    for (size_t i = 0; i < f->branches.count && code == 0; i++)
        code = make_branch(r, f->branches.names[i], refs_find(&ours, f->branches.names[i]), &f->branches.oids[i], e);
    return code;
}

static int copy(struct repo *r, struct foreign *f, const struct oid *head, struct err *e)
{
    if (!f->branches.count)
        return 0;
    int code = fetch(r, f, e);
    if (code < 0)
        return code;
    failpoint("repo.import_fetched");
    code = oid_none(head) ? 0 : tree_check(r, head, e);
    if (code == ERR_REFUSED) {
        err_prefix(e, "%s cannot be worked on", f->given);
        return e ? e->code = ERR_INVALID : ERR_INVALID;
    }
    if (code < 0)
        return code;
    return make_branches(r, f, e);
}

int repo_import(struct repo *r, struct arena *a, const char *source, const char **ret_branch,
                struct oid *ret_head, bool *ret_dirty, struct err *e)
{
    struct foreign f;
    const char *branch = NULL;
    struct oid head = { "" };
    bool dirty = false;
    int code = foreign_open(&f, source, e);
    if (code == 0)
        code = choose_branch(&f, &branch, &head, e);
    if (code == 0)
        code = branch_check(branch, e);
    if (code == 0)
        code = adopt_format(r, &f, e);
    if (code == 0)
        code = foreign_facade(&f, e);
    if (code == 0) {
        dirty = foreign_is_dirty(&f);
        code = copy(r, &f, &head, e);
    }
    if (code == 0)
        code = git_do(r->path, GIT_ARGS("symbolic-ref", "HEAD", arena_printf(a, "refs/heads/%s", branch)), e);
    if (code == 0) {
        *ret_branch = arena_strdup(a, branch);
        *ret_head = head;
        *ret_dirty = dirty;
    }
    foreign_close(&f);
    return code;
}
