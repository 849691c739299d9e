/* git_import.c - takes over a person's repository.
 *
 * What it had is kept under refs/tandem/source, out of the way of our branches: a person's
 * feature/x is not ours, even if ours would have the same name.  Only the default branch is
 * shared; it is made or moved forward, so that doing it again (after a crash, or when the
 * person has gone on) never takes back what was built since.
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

/* The only one that is not for results, or what people call the main one; NULL: neither. */
static const char *guess_branch(const struct foreign *f, const char *results)
{
    static const char *const usual[] = { "main", "master", "trunk" };
    const char *only = NULL;
    size_t others = 0;
    for (size_t i = 0; i < f->branches.count; i++) {
        const char *name = f->branches.names[i] + strlen("refs/heads/");
        if (!streq(name, results)) {
            only = name;
            others++;
        }
    }
    for (size_t i = 0; i < 3 && others > 1; i++)
        if (foreign_branch(f, usual[i]))
            return usual[i];
    return others == 1 ? only : NULL;
}

/* What a clone of it would check out, as a rule. */
static int choose_branch(struct foreign *f, const char *results, const char **ret, struct oid *ret_head, struct err *e)
{
    if (*f->head_branch && !streq(f->head_branch, results)) {
        *ret = f->head_branch;
        *ret_head = f->head;
        return 0;
    }
    const char *branch = guess_branch(f, results);
    if (!branch)
        return err_set(e, ERR_INVALID, "%s in %s and no other branch is called main or master; check out the branch to build on",
                       *f->head_branch ? arena_printf(&f->arena, "%s is checked out", results) : "HEAD is detached", f->given);
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

static int make_branch(struct repo *r, const char *ref, const struct oid *theirs, struct err *e)
{
    struct oid ours;
    bool forward = false;
    int code = repo_ref(r, ref, &ours, e);
    if (code == ERR_NOT_FOUND)
        return repo_ref_move(r, ref, &(struct oid){ "" }, theirs, e);
    if (code == 0)
        code = repo_is_ancestor(r, &ours, theirs, &forward, e);
    return code < 0 || !forward ? code : repo_ref_move(r, ref, &ours, theirs, e);
}

static int copy(struct repo *r, struct foreign *f, const char *ref, const struct oid *head, struct err *e)
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
    return oid_none(head) ? 0 : make_branch(r, ref, head, e);
}

int repo_import(struct repo *r, struct arena *a, const char *source, const char *results, const char **ret_branch,
                struct oid *ret_head, bool *ret_dirty, struct err *e)
{
    struct foreign f;
    const char *branch = NULL;
    struct oid head = { "" };
    bool dirty = false;
    int code = foreign_open(&f, source, e);
    if (code == 0)
        code = choose_branch(&f, results, &branch, &head, e);
    if (code == 0)
        code = branch_check(branch, e);
    if (code == 0)
        code = adopt_format(r, &f, e);
    if (code == 0)
        code = foreign_facade(&f, r, e);
    if (code == 0) {
        const char *ref = arena_printf(a, "refs/heads/%s", branch);
        dirty = foreign_is_dirty(&f, true);
        code = copy(r, &f, ref, &head, e);
        if (code == 0)
            code = git_do(r->path, GIT_ARGS("symbolic-ref", "HEAD", ref), e);
    }
    if (code == 0) {
        *ret_branch = arena_strdup(a, branch);
        *ret_head = head;
        *ret_dirty = dirty;
    }
    foreign_close(&f);
    return code;
}
