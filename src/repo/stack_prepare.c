/* stack_prepare.c - a project's dependencies: installed once, kept by what they come from.
 *
 * The command sees the lock files, what is vendored, what else the stack names, and no other
 * file of the project, so that the digest of those (and of the command, and of what prints its
 * version) says all that its result depends on.  It runs in the sandbox like a test.  What it
 * wrote lies in the home's cache, from where it is put on the sandbox's shelf once in each
 * process; runs mount it read-only.
 *
 * A result is copied under a temporary name, synced, and renamed, and renamed back before it is
 * removed: what has a digest for a name is whole.  One process writes a cache; another one that
 * only looks (verify) copies from it, under a shared lock on what it copies, and installs for
 * itself what it does not find.
 */
#include "repo/stack_room.h"

#include "base/digest.h"
#include "base/err.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/str.h"
#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_HEAD = 8 << 10, MAX_TAIL = 24 << 10, MAX_ENTRIES = 200000, MAX_KEPT = 1000, MIB = 1024 * 1024 };

#define UNFINISHED "half-"

/* Preparing happens rarely and is worth waiting for: one at a time in a process. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

struct preparing {
    struct running run;
    struct repo *repo;
    const struct stack_prepare_options *options; /* may be NULL */
    struct tree tree;         /* what the command sees */
    const struct texts *argv; /* `run` or `online` */
    struct stack_prepared *ret;
};

static struct sandbox_limits limits_of(const struct preparing *p)
{
    const struct suite_options *o = p->run.options;
    return p->options ? p->options->limits : o && o->limits ? *o->limits : sandbox_default_limits;
}

/* ---- what goes in ---- */

/* Keeps of the whole tree what the command sees; false: there is nothing to prepare. */
static bool choose(struct preparing *p, const struct tree *all)
{
    const struct stack_prepare *data = &p->run.stack->spec.prepare;
    bool is_online = p->options && p->options->network && data->online.count;
    bool is_locked = false, is_vendored = !data->vendored.count || is_online;
    p->tree.files = ARENA_ARRAY(p->run.arena, struct tree_file, all->count);
    for (size_t i = 0; i < all->count; i++) {
        const struct tree_file *f = &all->files[i];
        bool lock = stack_fits(&data->lock, f->path), vendored = stack_fits(&data->vendored, f->path);
        if (f->symlink || (!lock && !vendored && !stack_fits(&data->reads, f->path)))
            continue;
        is_locked = is_locked || lock;
        is_vendored = is_vendored || vendored;
        p->tree.files[p->tree.count++] = *f;
    }
    p->argv = is_online ? &data->online : &data->run;
    p->run.network = is_online;
    return is_locked && is_vendored && p->argv->count;
}

/* What it prints counts, however it ends: an installer that is missing has no version. */
static int ask_version(struct preparing *p, struct digest *ret)
{
    const struct texts *argv = &p->run.stack->spec.prepare.version;
    struct running run = p->run;
    struct sandbox_result done = { 0 };
    run.network = false;
    int r = argv->count ? running_enter(&run, p->repo, NULL) : 0;
    if (r == 0 && argv->count) {
        r = running_execute(&run, running_fill(&run, argv, NULL, NULL), running_env(&run, false), &done);
        sandbox_room_remove(run.sandbox, &run.room);
    }
    if (r < 0 && r != ERR_UNAVAILABLE)
        return r;
    *ret = digest_of(done.process.out.data, done.process.out.len);
    if (argv->count && r == 0)
        sandbox_result_release(&done);
    return 0;
}

static int find_version(struct preparing *p, const char **ret)
{
    struct stack_version *v = p->run.stack->version;
    int r = 0;
    pthread_mutex_lock(&v->lock);
    if (!*v->digest.hex)
        r = ask_version(p, &v->digest);
    if (r == 0)
        *ret = arena_strdup(p->run.arena, v->digest.hex);
    pthread_mutex_unlock(&v->lock);
    return r;
}

static const char *digest_inputs(const struct preparing *p, const char *version)
{
    STR_LOCAL(text);
    str_addf(&text, "2\n%s\n%s\n", stack_name(p->run.stack), version);
    for (size_t i = 0; i < p->argv->count; i++)
        str_addf(&text, "%zu %s\n", strlen(p->argv->items[i]), p->argv->items[i]);
    for (size_t i = 0; i < p->tree.count; i++)
        str_addf(&text, "%s %s\n", p->tree.files[i].oid.hex, p->tree.files[i].path);
    return arena_strdup(p->run.arena, digest_of(text.data, text.len).hex);
}

/* ---- running it ---- */

static int write_inputs(struct preparing *p)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < p->tree.count; i++) {
        ARENA_LOCAL(a);
        const struct tree_file *f = &p->tree.files[i];
        const char *bytes;
        size_t len;
        r = repo_blob(p->repo, &a, &f->oid, &bytes, &len, p->run.err);
        if (r == 0)
            r = file_create(p->run.room.work_fd, f->path, bytes, len, f->executable ? 0755 : 0644, p->run.err);
    }
    return r;
}

static int put_on_shelf(struct preparing *p, int from_fd)
{
    char path[SANDBOX_SHELF_PATH];
    int r = sandbox_shelf_put(p->run.sandbox, p->ret->digest, from_fd, limits_of(p).disk_mib, path, p->run.err);
    if (r == 0)
        p->ret->path = arena_strdup(p->run.arena, path);
    return r;
}

static void judge(struct preparing *p, const struct sandbox_result *done)
{
    struct stack_prepared *ret = p->ret;
    ret->ran = true;
    ret->network = p->run.network;
    ret->wall_us = done->process.wall_us;
    ret->output = running_output(&p->run, done, MAX_HEAD, MAX_TAIL);
    ret->limit_hit = done->limit_hit;
    if (done->limit_hit)
        ret->trouble = arena_printf(p->run.arena, "the dependencies cannot be installed: %s", done->limit_text);
    else if (done->process.end != PROCESS_EXITED)
        ret->trouble = "the dependencies cannot be installed: the command was killed";
    else if (done->process.status != 0)
        ret->trouble = arena_printf(p->run.arena, "the dependencies cannot be installed: the command ended with status %d",
                                    done->process.status);
}

static int install(struct preparing *p)
{
    struct suite_options o = p->run.options ? *p->run.options : (struct suite_options){ 0 };
    struct sandbox_limits limits = limits_of(p);
    o.limits = &limits;
    p->run.options = &o;
    int r = running_enter(&p->run, p->repo, NULL);
    if (r < 0)
        return r;
    struct sandbox_result done;
    r = write_inputs(p);
    if (r == 0)
        r = running_execute(&p->run, running_fill(&p->run, p->argv, NULL, NULL), running_env(&p->run, false), &done);
    if (r == 0) {
        judge(p, &done);
        sandbox_result_release(&done);
        failpoint("prepare.ran");
        if (!*p->ret->trouble)
            r = put_on_shelf(p, p->run.room.out_fd);
        if (r == ERR_LIMIT) {
            p->ret->trouble = arena_printf(p->run.arena, "the dependencies cannot be used: %s", p->run.err->text);
            r = 0;
        }
    }
    sandbox_room_remove(p->run.sandbox, &p->run.room);
    return r;
}

/* ---- the cache ---- */

struct kept { const char *name; int64_t used_s, bytes; };

static void remove_kept(int cache_fd, const char *name)
{
    int fd = openat(cache_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    if (dir_empty(fd, NULL) == 0) {
        failpoint("prepare.emptied");
        unlinkat(cache_fd, name, AT_REMOVEDIR);
    }
    close(fd);
}

/* Unless somebody is copying it. */
static void remove_whole(int cache_fd, const char *name, struct arena *a)
{
    const char *half = arena_printf(a, UNFINISHED "%s", name);
    int fd = openat(cache_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && renameat(cache_fd, name, cache_fd, half) == 0)
        remove_kept(cache_fd, half);
    close(fd);
}

static int64_t bytes_below(int fd)
{
    ARENA_LOCAL(a);
    struct file_entry *entries;
    size_t count;
    int64_t bytes = 0;
    if (file_list(fd, &a, MAX_ENTRIES, &entries, &count, NULL) < 0)
        return INT64_MAX / MAX_KEPT;
    for (size_t i = 0; i < count; i++)
        bytes += entries[i].size;
    return bytes;
}

static int newest_first(const void *x, const void *y)
{
    const struct kept *a = x, *b = y;
    return (a->used_s < b->used_s) - (a->used_s > b->used_s);
}

static struct kept look_at(int cache_fd, const char *name)
{
    struct kept k = { .name = name };
    struct stat st;
    int fd = openat(cache_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        k.used_s = st.st_mtime;
        k.bytes = bytes_below(fd);
    }
    if (fd >= 0)
        close(fd);
    return k;
}

/* Removes what a dead process left half done, and what is too much. */
static void tidy(int cache_fd, int64_t most_bytes, struct arena *a)
{
    struct kept all[MAX_KEPT];
    size_t count = 0;
    DIR *dir = fdopendir(openat(cache_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (struct dirent *d; dir && count < MAX_KEPT && (d = readdir(dir));) {
        if (starts_with(d->d_name, UNFINISHED))
            remove_kept(cache_fd, d->d_name);
        else if (*d->d_name != '.')
            all[count++] = look_at(cache_fd, arena_strdup(a, d->d_name));
    }
    if (dir)
        closedir(dir);
    qsort(all, count, sizeof *all, newest_first);
    for (size_t i = 0; i < count; i++) {
        most_bytes -= all[i].bytes;
        if (i && most_bytes < 0) /* the one just made stays */
            remove_whole(cache_fd, all[i].name, a);
    }
}

/* Locked for copying and still there. */
static bool hold_kept(int fd, const char *path)
{
    struct stat ours, there;
    return flock(fd, LOCK_SH | LOCK_NB) == 0 && fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_ino == there.st_ino;
}

/* Takes a result from the cache; false: it is not there (or was just removed). */
static bool take_kept(struct preparing *p)
{
    const struct stack_prepare_options *o = p->options;
    if (!o || !o->cache)
        return false;
    const char *path = arena_printf(p->run.arena, "%s/%s", o->cache, p->ret->digest);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = hold_kept(fd, path) && put_on_shelf(p, fd) == 0;
    if (ok && o->may_write)
        futimens(fd, NULL);
    close(fd);
    return ok;
}

static int keep_as(int cache_fd, int shelf_fd, const char *digest, const char *half, struct err *e)
{
    remove_kept(cache_fd, half); /* of a process that died */
    if (mkdirat(cache_fd, half, 0700) != 0)
        return err_set_errno(e, ERR_FAILED, errno, "%s", half);
    int fd = openat(cache_fd, half, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(e, ERR_FAILED, errno, "%s", half);
    int r = dir_copy(shelf_fd, fd, INT64_MAX, MAX_ENTRIES, e);
    failpoint("prepare.copied");
    if (r == 0 && (syncfs(fd) != 0 || renameat(cache_fd, half, cache_fd, digest) != 0 || fsync(cache_fd) != 0))
        r = err_set_errno(e, ERR_FAILED, errno, "%s", digest);
    close(fd);
    if (r < 0)
        remove_kept(cache_fd, half);
    return r;
}

/* Failing to keep it costs time later, nothing else. */
static void keep(struct preparing *p)
{
    const struct stack_prepare_options *o = p->options;
    struct err e;
    int cache_fd = -1, shelf_fd = -1;
    if (!o || !o->cache || !o->may_write || !o->cache_mib)
        return;
    int r = dir_open(o->cache, true, &cache_fd, &e);
    if (r == 0)
        r = dir_open(p->ret->path, false, &shelf_fd, &e);
    if (r == 0)
        r = keep_as(cache_fd, shelf_fd, p->ret->digest, arena_printf(p->run.arena, UNFINISHED "%s", p->ret->digest), &e);
    if (r == 0)
        tidy(cache_fd, o->cache_mib * MIB, p->run.arena);
    if (r < 0)
        log_warning("the dependencies are not kept in %s: %s", o->cache, e.text);
    if (cache_fd >= 0)
        close(cache_fd);
    if (shelf_fd >= 0)
        close(shelf_fd);
}

/* ---- */

static int find_or_install(struct preparing *p)
{
    char path[SANDBOX_SHELF_PATH];
    if (sandbox_shelf_has(p->run.sandbox, p->ret->digest, path)) { /* another thread, just now */
        p->ret->path = arena_strdup(p->run.arena, path);
        return 0;
    }
    if (take_kept(p))
        return 0;
    int r = install(p);
    if (r == 0 && *p->ret->path)
        keep(p);
    return r;
}

int stack_prepare(const struct stack *s, struct sandbox *sb, struct repo *r, const struct oid *tree,
                  const struct suite_options *options, struct arena *a, struct stack_prepared *ret, struct err *e)
{
    struct stack_prepared result = { .digest = "", .path = "", .command = "", .output = "", .trouble = "" };
    struct preparing p = { .run = { .stack = s, .sandbox = sb, .options = options, .arena = a, .err = e }, .repo = r,
                           .options = options ? options->prepare : NULL, .ret = &result };
    struct tree all;
    int code = s->spec.prepare.lock.count ? repo_tree(r, a, tree, &all, e) : 0;
    if (code < 0)
        return code;
    if (s->spec.prepare.lock.count && choose(&p, &all)) {
        char path[SANDBOX_SHELF_PATH];
        const char *version;
        code = find_version(&p, &version);
        if (code < 0)
            return code;
        result.digest = digest_inputs(&p, version);
        result.command = texts_join(p.argv, a, " ", 0);
        if (sandbox_shelf_has(sb, result.digest, path)) {
            result.path = arena_strdup(a, path);
        } else {
            pthread_mutex_lock(&one_at_a_time);
            code = find_or_install(&p);
            pthread_mutex_unlock(&one_at_a_time);
        }
    }
    if (code == 0)
        *ret = result;
    return code;
}
