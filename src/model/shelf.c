/* shelf.c - copying model files in, under the digest of their bytes.
 *
 * Copied and hashed in one reading: files of this size do not stay in the page cache between
 * two.  The room is taken before the copying begins, so that a full disk is told at once and
 * not after minutes.
 */
#include "model/shelf.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 20, MIB = 1 << 20, MAX_FILES = 100000, LEFT_S = 60 };
static const char temporary_begin[] = ".new-";

const char *shelf_path(struct arena *a, const char *dir, const char *digest)
{
    return arena_printf(a, "%s/%s.gguf", dir, digest);
}

/* ---- copying ---- */

struct copying {
    const struct shelf_options *o;
    const char *path;
    int from, to, dir;
    int64_t total, done;
    char temporary[64];
};

static int no_room(const struct copying *c, struct err *e)
{
    return err_set(e, ERR_FULL, "there is no room for %s: it needs %lld MiB in %s; free some, or name another place (setting models_dir)",
                   c->path, (long long)(c->total / MIB + 1), c->o->dir);
}

static int open_source(struct copying *c, struct err *e)
{
    struct stat st;
    c->from = open(c->path, O_RDONLY | O_CLOEXEC);
    if (c->from < 0 && errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "there is no file %s", c->path);
    if (c->from < 0 || fstat(c->from, &st) < 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot read %s", c->path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "%s is not a regular file", c->path);
    c->total = st.st_size;
    return 0;
}

/* What one that was killed left half done; whoever writes one holds its lock. */
static void remove_left(int dir)
{
    ARENA_LOCAL(a);
    struct file_entry *entries;
    struct stat st;
    size_t count;
    if (file_list(dir, &a, MAX_FILES, &entries, &count, NULL) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        int fd = starts_with(entries[i].path, temporary_begin) ? openat(dir, entries[i].path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        if (fstat(fd, &st) == 0 && time(NULL) - st.st_mtime > LEFT_S && flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dir, entries[i].path, 0);
        close(fd);
    }
}

static int open_target(struct copying *c, struct err *e)
{
    int r = dir_open(c->o->dir, true, &c->dir, e);
    if (r < 0)
        return r;
    remove_left(c->dir);
    snprintf(c->temporary, sizeof c->temporary, "%s%ld-%d", temporary_begin, (long)getpid(), c->from);
    c->to = openat(c->dir, c->temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (c->to < 0)
        return errno == ENOSPC ? no_room(c, e) : err_set_errno(e, ERR_FAILED, errno, "cannot write into %s", c->o->dir);
    flock(c->to, LOCK_EX | LOCK_NB); /* where there are no locks, what is left is removed after a minute */
    int code = c->total ? posix_fallocate(c->to, 0, c->total) : 0;
    if (code == ENOSPC || code == EDQUOT || code == EFBIG)
        return no_room(c, e);
    return 0; /* a file system that cannot reserve will say it when writing */
}

static int write_piece(struct copying *c, const char *bytes, size_t len, struct err *e)
{
    while (len) {
        ssize_t n = write(c->to, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == ENOSPC || errno == EDQUOT ? no_room(c, e) : err_set_errno(e, ERR_FAILED, errno, "cannot write into %s", c->o->dir);
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static int copy(struct copying *c, struct digest_stream *digest, struct err *e)
{
    char *bytes = xmalloc(PIECE);
    int r = 0;
    while (r == 0) { /* ends with the file, or when it has grown */
        ssize_t n = read(c->from, bytes, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            r = err_set_errno(e, ERR_FAILED, errno, "cannot read %s", c->path);
        if (n <= 0)
            break;
        c->done += n;
        digest_add(digest, bytes, (size_t)n);
        r = c->done > c->total ? 0 : write_piece(c, bytes, (size_t)n, e);
        if (r == 0 && c->done > c->total)
            break;
        if (r == 0 && c->o->progress)
            c->o->progress(c->done, c->total, c->o->ctx);
        if (r == 0 && c->o->cancel && atomic_load(c->o->cancel))
            r = err_set(e, ERR_CANCELLED, "stopped; nothing was taken in");
    }
    free(bytes);
    if (r == 0 && c->done != c->total)
        r = err_set(e, ERR_INVALID, "%s changed while it was read; is it still being downloaded?", c->path);
    return r;
}

/* Gives it its name, so that it stays. */
static int put_in_place(struct copying *c, const char *name, struct err *e)
{
    if (fsync(c->to) < 0 || renameat(c->dir, c->temporary, c->dir, name) < 0 || fsync(c->dir) < 0)
        return errno == ENOSPC ? no_room(c, e) : err_set_errno(e, ERR_FAILED, errno, "cannot finish %s/%s", c->o->dir, name);
    return 0;
}

static const char *use_of(struct arena *a, const char *digest, const char *user)
{
    return arena_printf(a, "%s.%s.use", digest, user);
}

/* Where there are no links, each file is the one user's who takes it away. */
static int note_use(const struct copying *c, const char *name, const char *digest, struct err *e)
{
    ARENA_LOCAL(a);
    if (!c->o->user || linkat(c->dir, name, c->dir, use_of(&a, digest, c->o->user), 0) == 0 || errno != ENOENT)
        return 0;
    return err_set(e, ERR_CONFLICT, "somebody removed the model file %.12s... from %s at the same moment; import it again", digest, c->o->dir);
}

static int check_expected(const struct copying *c, const struct digest *d, struct err *e)
{
    if (!c->o->expected || strcasecmp(c->o->expected, d->hex) == 0)
        return 0;
    return err_set(e, ERR_CONFLICT, "%s is not the file that was expected: its SHA-256 is %s, not %s; fetch it again", c->path, d->hex,
                   c->o->expected);
}

int shelf_put(const char *path, const struct shelf_options *o, struct digest *ret, int64_t *ret_bytes, bool *ret_was_there,
              struct err *e)
{
    struct copying c = { .o = o, .path = path, .from = -1, .to = -1, .dir = -1 };
    struct digest_stream *digest = digest_begin();
    char name[DIGEST_HEX_LEN + 8] = "";
    int r = open_source(&c, e);
    if (r == 0)
        r = open_target(&c, e);
    if (r == 0)
        r = copy(&c, digest, e);
    struct digest d = digest_end(digest);
    if (r == 0)
        r = check_expected(&c, &d, e);
    snprintf(name, sizeof name, "%s.gguf", d.hex);
    bool was_there = r == 0 && faccessat(c.dir, name, F_OK, 0) == 0;
    if (r == 0 && !was_there)
        r = put_in_place(&c, name, e);
    if (r == 0)
        r = note_use(&c, name, d.hex, e);
    if (c.to >= 0 && (r < 0 || was_there))
        unlinkat(c.dir, c.temporary, 0);
    for (int *fd = (int[]){ c.from, c.to, c.dir, -2 }; *fd != -2; fd++)
        if (*fd >= 0)
            close(*fd);
    if (r == 0) {
        *ret = d;
        *ret_bytes = c.total;
        *ret_was_there = was_there;
    }
    return r;
}

/* ---- what is there ---- */

int shelf_remove(const char *dir, const char *digest, const char *user, struct err *e)
{
    ARENA_LOCAL(a);
    struct stat st;
    if (user) {
        unlink(arena_printf(&a, "%s/%s", dir, use_of(&a, digest, user)));
        if (stat(shelf_path(&a, dir, digest), &st) == 0 && st.st_nlink > 1)
            return 0;
    }
    if (unlink(shelf_path(&a, dir, digest)) == 0)
        return 0;
    return errno == ENOENT ? err_set(e, ERR_NOT_FOUND, "there is no model file %s in %s", digest, dir)
                           : err_set_errno(e, ERR_FAILED, errno, "cannot remove the model file %s", digest);
}

int shelf_verify(const char *dir, const char *digest, const atomic_bool *cancel, struct err *e)
{
    ARENA_LOCAL(a);
    const char *path = shelf_path(&a, dir, digest);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_NOT_FOUND, "there is no model file %s in %s", digest, dir);
    struct digest_stream *stream = digest_begin();
    char *bytes = xmalloc(PIECE);
    int r = 0;
    ssize_t n;
    while (r == 0 && ((n = read(fd, bytes, PIECE)) > 0 || (n < 0 && errno == EINTR))) {
        if (n > 0)
            digest_add(stream, bytes, (size_t)n);
        if (cancel && atomic_load(cancel))
            r = err_set(e, ERR_CANCELLED, "stopped");
    }
    if (r == 0 && n < 0)
        r = err_set_errno(e, ERR_FAILED, errno, "cannot read %s", path);
    struct digest d = digest_end(stream);
    if (r == 0 && strcmp(d.hex, digest) != 0)
        r = err_set(e, ERR_CORRUPT, "the model file %s has changed since it was taken in: its SHA-256 is %s now; import the model again",
                    path, d.hex);
    free(bytes);
    close(fd);
    return r;
}
