/* git_object.c - ids, and writing objects so that they survive a power cut.
 *
 * Loose objects are written here and not by git.  A durable commit of one changed file by
 * plumbing is seven processes (rev-parse, read-tree, hash-object, update-index, write-tree,
 * commit-tree, update-ref) and 20 ms; by fast-import 9 to 15 ms; by unpack-objects and a
 * long-running update-ref 9 ms; this way 3 ms (on a quiet machine; tests/bench/bench_git.c).
 * The ids are needed before anything is written in any case, and the format of a loose
 * object (zlib over "type size\0bytes", named by its digest) has not changed since 2005;
 * tests have `git fsck --strict` agree with it.
 *
 * git syncs a file before it renames it into place, but never the directory, so a power
 * cut can take the name away.  Here both are synced.
 */
#include "repo/git_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/failpoint.h"
#include "base/spent.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { WRITE_AT_ONCE = 16, TEMP_NAME_MAX = 32 };

const char *const object_type_names[] = { "object", "commit", "tree", "blob", "tag" };

static size_t header_of(const struct new_object *o, char *out, size_t size)
{
    return (size_t)snprintf(out, size, "%s %zu", object_type_names[o->type], o->len) + 1;
}

void object_id(const struct repo *r, struct new_object *o)
{
    char header[48];
    struct digest d = digest_of_object(r->hex_len == 40 ? DIGEST_SHA1 : DIGEST_SHA256, header,
                                       header_of(o, header, sizeof header), o->data, o->len);
    oid_set(&o->oid, d.hex, r->hex_len);
}

/* ---- one loose object ---- */

struct loose {
    const struct new_object *object;
    int dir_fd, fd;      /* -1: not open */
    bool present;        /* it is there already */
    char temp[TEMP_NAME_MAX];
};

static int deflate_into(z_stream *z, int fd, const void *bytes, size_t len, int flush)
{
    unsigned char out[16384];
    const unsigned char *at = bytes;
    do {
        uInt piece = len > (1u << 30) ? 1u << 30 : (uInt)len;
        z->next_in = (z_const Bytef *)at;
        z->avail_in = piece;
        at += piece;
        len -= piece;
        do {
            z->next_out = out;
            z->avail_out = sizeof out;
            deflate(z, len ? Z_NO_FLUSH : flush);
            if (fd_write(fd, out, sizeof out - z->avail_out) < 0)
                return -1;
        } while (z->avail_out == 0);
    } while (len);
    return 0;
}

static int deflate_object(int fd, const struct new_object *o)
{
    char header[48];
    z_stream z = { 0 };
    if (deflateInit(&z, Z_BEST_SPEED) != Z_OK)
        out_of_memory();
    int r = deflate_into(&z, fd, header, header_of(o, header, sizeof header), Z_NO_FLUSH);
    if (r == 0)
        r = deflate_into(&z, fd, o->data, o->len, Z_FINISH);
    int saved = errno;
    deflateEnd(&z);
    errno = saved;
    return r;
}

/* Which of the 256 directories below objects/. */
static unsigned loose_dir_index(const struct oid *oid)
{
    const char name[3] = { oid->hex[0], oid->hex[1], '\0' };
    return (unsigned)strtoul(name, NULL, 16);
}

static int loose_dir(struct repo *r, int objects_fd, const struct oid *oid)
{
    char name[3] = { oid->hex[0], oid->hex[1], '\0' };
    int fd = openat(objects_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    /* Before it is there, since another thread may find it at once. */
    atomic_store(&r->synced[loose_dir_index(oid)], false);
    if (mkdirat(objects_fd, name, 0777) < 0 && errno != EEXIST)
        return -1;
    return openat(objects_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Writes the bytes under a temporary name of the kind that `git prune` clears away. */
static int loose_begin(struct repo *r, struct loose *l, int objects_fd)
{
    l->dir_fd = loose_dir(r, objects_fd, &l->object->oid);
    if (l->dir_fd < 0)
        return -1;
    l->present = faccessat(l->dir_fd, l->object->oid.hex + 2, F_OK, 0) == 0;
    if (l->present) {
        utimensat(l->dir_fd, l->object->oid.hex + 2, NULL, 0); /* `git prune` goes by age */
        return 0;
    }
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return -1;
    snprintf(l->temp, sizeof l->temp, "tmp_obj_%016llx", (unsigned long long)random);
    l->fd = openat(l->dir_fd, l->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (l->fd < 0 || deflate_object(l->fd, l->object) < 0)
        return -1;
    /* A hint: the disk begins while the next object is compressed. */
    sync_file_range(l->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return 0;
}

static int loose_place(struct loose *l)
{
    if (l->present)
        return 0;
    if (renameat(l->dir_fd, l->temp, l->dir_fd, l->object->oid.hex + 2) < 0)
        return -1;
    l->temp[0] = '\0';
    return 0;
}

static void loose_end(struct loose *l)
{
    if (l->temp[0])
        unlinkat(l->dir_fd, l->temp, 0);
    if (l->fd >= 0)
        close(l->fd);
    if (l->dir_fd >= 0)
        close(l->dir_fd);
}

/* Also the directory of an object that was there, and the name of a directory that was: a
 * process that was killed, or another thread, may have placed it without coming to this line. */
static int loose_sync_dirs(struct repo *r, const struct loose *l, size_t count, int objects_fd)
{
    bool done[256] = { false }, known = true;
    for (size_t i = 0; i < count; i++)
        known = known && atomic_load(&r->synced[loose_dir_index(&l[i].object->oid)]);
    if (!known && fsync(objects_fd) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        unsigned at = loose_dir_index(&l[i].object->oid);
        if (!known)
            atomic_store(&r->synced[at], true);
        if (!done[at] && fsync(l[i].dir_fd) < 0)
            return -1;
        done[at] = true;
    }
    return 0;
}

static int write_some(struct repo *r, int objects_fd, const struct new_object *const *objects,
                      size_t count, struct err *e)
{
    struct loose l[WRITE_AT_ONCE];
    for (size_t i = 0; i < count; i++)
        l[i] = (struct loose){ .object = objects[i], .dir_fd = -1, .fd = -1 };
    int bad = 0;
    for (size_t i = 0; i < count && bad == 0; i++)
        bad = loose_begin(r, &l[i], objects_fd);
    if (bad == 0)
        failpoint("repo.objects_staged");
    /* All are synced before the first is renamed: a rename between two of them would make
     * the second wait for the file system's journal once more. */
    for (size_t i = 0; i < count && bad == 0; i++)
        bad = l[i].present ? 0 : fsync(l[i].fd);
    for (size_t i = 0; i < count && bad == 0; i++)
        bad = loose_place(&l[i]);
    if (bad == 0)
        bad = loose_sync_dirs(r, l, count, objects_fd);
    int saved = errno;
    for (size_t i = 0; i < count; i++)
        loose_end(&l[i]);
    return bad < 0 ? err_set_errno(e, ERR_FAILED, saved, "cannot write an object to %s", r->path) : 0;
}

static void remember(struct repo *r, const struct new_object *o)
{
    if (o->len > CACHE_OBJECT_MAX)
        return;
    struct object *kept = object_new(&o->oid, o->type, o->len);
    if (o->len)
        memcpy(kept->data, o->data, o->len);
    cache_put(&r->cache, kept);
    object_put(kept);
}

int objects_write(struct repo *r, struct new_object *objects, size_t count, struct err *e)
{
    int64_t start_us = clock_steady_us();
    int objects_fd = openat(r->fd, "objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (objects_fd < 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot open the objects of %s", r->path);
    failpoint("repo.objects");
    int code = 0;
    for (size_t at = 0; at < count && code == 0;) {
        const struct new_object *fresh[WRITE_AT_ONCE];
        size_t n = 0;
        for (; at < count && n < WRITE_AT_ONCE; at++) {
            OBJECT_LOCAL(known);
            known = cache_get(&r->cache, &objects[at].oid);
            if (!known)
                fresh[n++] = &objects[at];
        }
        code = write_some(r, objects_fd, fresh, n, e);
        for (size_t i = 0; i < n && code == 0; i++)
            remember(r, fresh[i]);
    }
    close(objects_fd);
    spent_since(SPENT_GIT, start_us);
    if (code == 0)
        failpoint("repo.objects_written");
    return code;
}

/* ---- what git wrote ---- */

struct timespec sync_mark(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    now.tv_sec -= 2; /* file systems keep coarse times */
    return now;
}

static int sync_if_changed(int parent_fd, const char *name, struct timespec since)
{
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    struct stat st;
    int bad = fstat(fd, &st);
    bool newer = bad == 0 && (st.st_mtim.tv_sec > since.tv_sec ||
                              (st.st_mtim.tv_sec == since.tv_sec && st.st_mtim.tv_nsec >= since.tv_nsec));
    if (newer)
        bad = fsync(fd);
    int saved = errno;
    close(fd);
    errno = saved;
    return bad;
}

int sync_objects_since(int objects_fd, struct timespec since, struct err *e)
{
    int64_t start_us = clock_steady_us();
    int bad = sync_if_changed(objects_fd, "pack", since);
    for (unsigned i = 0; i < 256 && bad == 0; i++) {
        char name[3];
        snprintf(name, sizeof name, "%02x", i);
        bad = sync_if_changed(objects_fd, name, since);
    }
    if (bad == 0)
        bad = sync_if_changed(objects_fd, ".", since);
    spent_since(SPENT_GIT, start_us);
    return bad < 0 ? err_set_errno(e, ERR_FAILED, errno, "cannot sync the objects") : 0;
}

int sync_objects(struct repo *r, struct timespec since, struct err *e)
{
    int fd = openat(r->fd, "objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot open the objects of %s", r->path);
    int code = sync_objects_since(fd, since, e);
    close(fd);
    return code;
}
