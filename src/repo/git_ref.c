/* git_ref.c - refs, moved by compare-and-swap through one long-running `git update-ref`.
 *
 * git moves them, not we: it knows lock files, packed refs, names that are another's
 * directory, and whatever format comes next.  A move that fails ends the helper (git dies
 * on it), which is rare enough.  git syncs the file of a ref, and we the directory, so that
 * the move has happened when the function returns, also after a power cut.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/failpoint.h"
#include "base/spent.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ANSWER_TIMEOUT_MS = 60 * 1000 };

struct oid oid_zero(const struct repo *r)
{
    struct oid zero = { "" };
    memset(zero.hex, '0', r->hex_len);
    return zero;
}

/* ---- reading ---- */

/* Whether there is no such ref for certain, as far as files alone can tell. */
static bool has_no_file(const struct repo *r, const char *ref)
{
    static const char *const elsewhere[] = { "packed-refs", "reftable" };
    for (size_t i = 0; i < 2; i++)
        if (faccessat(r->fd, elsewhere[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
            return false;
    struct stat st;
    return fstatat(r->fd, ref, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

/* cat-file says "missing" for a ref that is not there and for one whose object is not. */
static int look_closer(struct repo *r, const char *ref, struct err *e)
{
    if (has_no_file(r, ref))
        return err_set(e, ERR_NOT_FOUND, "there is no %s in %s", ref, r->path);
    struct process_result p;
    struct git_call call = { .git_dir = r->path, .args = GIT_ARGS("rev-parse", "--verify", "--quiet", ref),
                             .also_ok = 1 };
    int code = git_run(&call, &p, e);
    if (code < 0)
        return code;
    bool exists = p.status == 0;
    process_result_release(&p);
    if (exists)
        return err_set(e, ERR_CORRUPT, "%s in %s stands at an object that is not there", ref, r->path);
    return err_set(e, ERR_NOT_FOUND, "there is no %s in %s", ref, r->path);
}

int repo_ref(struct repo *r, const char *ref, struct oid *ret, struct err *e)
{
    int code = ref_check(ref, e);
    if (code == 0)
        code = object_resolve(r, ref, ret, e);
    return code == ERR_NOT_FOUND ? look_closer(r, ref, e) : code;
}

/* "<id> <name>\n" each, as for-each-ref wrote it. */
int refs_parse(struct arena *a, const char *text, size_t len, struct repo_refs *ret, struct err *e)
{
    size_t lines = 0;
    for (const char *p = text; (p = memchr(p, '\n', (size_t)(text + len - p))) != NULL; p++)
        lines++;
    struct repo_refs refs = { ARENA_ARRAY(a, const char *, lines + 1), ARENA_ARRAY(a, struct oid, lines + 1), 0 };
    for (const char *line = text, *end; (end = memchr(line, '\n', (size_t)(text + len - line))) != NULL; line = end + 1) {
        const char *space = memchr(line, ' ', (size_t)(end - line));
        if (!space || space - line > OID_HEX_MAX)
            return err_set(e, ERR_CORRUPT, "git for-each-ref answered \"%.100s\"", line);
        oid_set(&refs.oids[refs.count], line, (size_t)(space - line));
        refs.names[refs.count++] = arena_strndup(a, space + 1, (size_t)(end - space - 1));
    }
    *ret = refs;
    return 0;
}

static int compare_ref(const void *name, const void *ref)
{
    return strcmp(name, *(const char *const *)ref);
}

const struct oid *refs_find(const struct repo_refs *refs, const char *name)
{
    const char **found = refs->count ? bsearch(name, refs->names, refs->count, sizeof *refs->names, compare_ref) : NULL;
    return found ? &refs->oids[found - refs->names] : NULL;
}

int repo_refs(struct repo *r, struct arena *a, const char *prefix, struct repo_refs *ret, struct err *e)
{
    if (!starts_with(prefix, "refs/") || strpbrk(prefix, "*?[\\") != NULL)
        return err_set(e, ERR_INVALID, "\"%.100s\" is not a prefix of refs", prefix);
    struct process_result p;
    struct git_call call = { .git_dir = r->path,
                             .args = GIT_ARGS("for-each-ref", "--format=%(objectname) %(refname)", prefix) };
    int code = git_run(&call, &p, e);
    if (code < 0)
        return code;
    code = refs_parse(a, p.out.data, p.out.len, ret, e);
    process_result_release(&p);
    return code;
}

int repo_branches_taken(struct repo *r, struct arena *a, struct texts *ret, struct err *e)
{
    static const char *const prefixes[] = { "refs/heads/", "refs/tandem/source/" };
    struct texts taken = { 0 };
    for (size_t i = 0; i < 2; i++) {
        struct repo_refs refs;
        int code = repo_refs(r, a, prefixes[i], &refs, e);
        if (code < 0)
            return code;
        for (size_t k = 0; k < refs.count; k++)
            texts_add(&taken, a, refs.names[k] + strlen(prefixes[i]));
    }
    *ret = taken;
    return 0;
}

/* ---- moving ---- */

static int sync_dir(int fd, const char *path)
{
    int dir = openat(fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT ? 0 : -1; /* git removes a directory with its last ref */
    int bad = fsync(dir);
    int saved = errno;
    close(dir);
    errno = saved;
    return bad;
}

int ref_sync(int git_dir_fd, const char *ref, bool with_parents, struct err *e)
{
    ARENA_LOCAL(a);
    char *path = arena_strdup(&a, ref), *slash;
    while ((slash = strrchr(path, '/')) != NULL) {
        *slash = '\0';
        if (sync_dir(git_dir_fd, path) < 0)
            return err_set_errno(e, ERR_FAILED, errno, "cannot sync %s", path);
        if (!with_parents)
            return 0;
    }
    return sync_dir(git_dir_fd, ".") < 0 ? err_set_errno(e, ERR_FAILED, errno, "cannot sync the repository") : 0;
}

bool ref_dir_exists(int git_dir_fd, const char *ref)
{
    ARENA_LOCAL(a);
    char *dir = arena_strdup(&a, ref);
    *strrchr(dir, '/') = '\0';
    struct stat st;
    return fstatat(git_dir_fd, dir, &st, 0) == 0;
}

/* One line of `git update-ref --stdin`. */
void ref_command(struct str *out, const char *zero, const char *ref, const struct oid *expected, const struct oid *to)
{
    if (!oid_none(to))
        str_addf(out, "update %s %s", ref, to->hex);
    else
        str_addf(out, "%s %s", expected && oid_none(expected) ? "verify" : "delete", ref);
    if (expected) /* a space and nothing would mean: must not exist */
        str_addf(out, " %s", oid_none(expected) ? zero : expected->hex);
    str_add_char(out, '\n');
}

static int expect_line(struct process *p, const char *want, struct err *e)
{
    STR_LOCAL(line);
    int code = process_read_line(p, &line, ANSWER_TIMEOUT_MS, e);
    if (code < 0)
        return code;
    str_rtrim(&line);
    return streq(line.data, want) ? 0 : err_set(e, ERR_FAILED, "git update-ref answered \"%.200s\"", line.data);
}

static int transact(struct repo *r, const struct str *command, struct err *e)
{
    int code = r->refs.process ? 0 : git_start(r->path, GIT_ARGS("update-ref", "--stdin"), &r->refs.process, e);
    if (code == 0)
        code = process_write(r->refs.process, command->data, command->len, e);
    static const char *const answers[] = { "start: ok", "prepare: ok", "commit: ok" };
    for (size_t i = 0; i < 3 && code == 0; i++)
        code = expect_line(r->refs.process, answers[i], e);
    if (code < 0)
        helper_stop(&r->refs);
    return code;
}

/* After a move that git did not make: whether it stands there already, or elsewhere. */
static int explain(struct repo *r, const char *ref, const struct oid *expected, const struct oid *to,
                   const struct err *why, struct err *e)
{
    struct oid now = { "" };
    int code = repo_ref(r, ref, &now, NULL);
    if (code == 0 || code == ERR_NOT_FOUND) {
        if (oid_same(&now, oid_none(to) ? &(struct oid){ "" } : to))
            return 0;
        if (expected && !oid_same(&now, expected))
            return err_set(e, ERR_CONFLICT, "%s stands at %s, not at %s", ref, oid_none(&now) ? "nothing" : now.hex,
                           oid_none(expected) ? "nothing" : expected->hex);
    }
    code = strstr(why->text, "No space left") ? ERR_FULL : why->code == ERR_UNAVAILABLE ? ERR_FAILED : why->code;
    return err_set(e, code, "cannot move %s: %s", ref, why->text);
}

int repo_ref_move(struct repo *r, const char *ref, const struct oid *expected, const struct oid *to, struct err *e)
{
    int code = ref_check(ref, e);
    if (code == 0 && !oid_none(to))
        code = oid_check(r, to, e);
    if (code == 0 && !oid_none(expected))
        code = oid_check(r, expected, e);
    if (code < 0)
        return code;
    struct oid zero = oid_zero(r);
    STR_LOCAL(command);
    str_add(&command, "start\n");
    ref_command(&command, zero.hex, ref, expected, to);
    str_add(&command, "prepare\ncommit\n");
    failpoint("repo.ref");
    pthread_mutex_lock(&r->refs.lock);
    bool had_dir = ref_dir_exists(r->fd, ref), was_running = r->refs.process != NULL;
    struct err why;
    code = transact(r, &command, &why);
    if (code == ERR_UNAVAILABLE && was_running) /* it may have been killed since: a fresh one tells */
        code = transact(r, &command, &why);
    pthread_mutex_unlock(&r->refs.lock);
    if (code < 0)
        code = explain(r, ref, expected, to, &why, e);
    int64_t start_us = clock_steady_us();
    if (code == 0)
        code = ref_sync(r->fd, ref, !had_dir || oid_none(to), e);
    spent_since(SPENT_GIT, start_us);
    if (code == 0)
        failpoint("repo.ref_moved");
    return code;
}
