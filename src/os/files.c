/* files.c - files beneath a root, by openat2.
 *
 * Paths come from models and from code under test.  Checking the text of a path and then
 * opening it loses to whoever plants a link in between; openat2 lets the kernel refuse
 * while it resolves.  Only the last component is ever given to a call of the older kind
 * (mkdirat, renameat, unlinkat), which do not follow a link there.
 */
#include "os/files.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    RACES = 16,       /* openat2 may say "try again" when somebody renames meanwhile */
    LIST_DEPTH = 128, /* directories within directories */
};

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define FD_LOCAL(name) __attribute__((cleanup(close_fd))) int name = -1

static int open_beneath(int root_fd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    for (int i = 0; i < RACES; i++) {
        long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            break;
    }
    return -1;
}

/* Turns errno into our code and a sentence. */
static int failed(struct err *e, const char *what, const char *path)
{
    switch (errno) {
    case ENOENT:
        return err_set(e, ERR_NOT_FOUND, "%s: no such file or directory", path);
    case EXDEV:
    case ELOOP:
        return err_set(e, ERR_REFUSED, "%s: leads out of its directory or through a symbolic link", path);
    case EEXIST:
        return err_set(e, ERR_EXISTS, "%s: exists already", path);
    case ENAMETOOLONG:
        return err_set(e, ERR_INVALID, "%.200s…: the path is too long", path);
    case EISDIR:
    case ENOTDIR:
        return err_set_errno(e, ERR_INVALID, errno, "cannot %s %s", what, path);
    case ENOSYS:
        return err_set(e, ERR_UNAVAILABLE, "cannot %s %s: this system has no openat2; Linux 5.6 or newer is needed",
                       what, path);
    default:
        return err_set_errno(e, ERR_FAILED, errno, "cannot %s %s", what, path);
    }
}

/* Plain relative paths only, so that the text of a path says where it leads. */
static int check_path(const char *path, struct err *e)
{
    if (!*path)
        return err_set(e, ERR_INVALID, "the path is empty");
    if (*path == '/')
        return err_set(e, ERR_REFUSED, "%s: absolute paths are refused", path);
    for (const char *p = path; *p;) {
        size_t len = strcspn(p, "/");
        if (!len || (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
            return err_set(e, ERR_REFUSED, "%s: \"\", \".\" and \"..\" are refused in paths", path);
        p += len;
        if (*p == '/' && !*++p)
            return err_set(e, ERR_REFUSED, "%s: ends with a slash", path);
    }
    return 0;
}

/* Makes each missing directory of `dir`; with `sync` also makes their names durable. */
static int make_parents(int root_fd, const char *dir, bool sync, int *ret_fd, struct err *e)
{
    FD_LOCAL(at);
    STR_LOCAL(name);
    for (const char *p = dir; *p;) {
        size_t len = strcspn(p, "/");
        str_clear(&name);
        str_add_bytes(&name, p, len);
        int parent = at >= 0 ? at : root_fd;
        bool made = mkdirat(parent, name.data, 0777) == 0;
        if ((!made && errno != EEXIST) || (made && sync && fsync(parent) != 0))
            return failed(e, "make the directory", dir);
        int next = open_beneath(parent, name.data, O_RDONLY | O_DIRECTORY, 0);
        if (next < 0)
            return failed(e, "open the directory", dir);
        if (at >= 0)
            close(at);
        at = next;
        p += len;
        p += *p == '/';
    }
    *ret_fd = at;
    at = -1;
    return 0;
}

/* Opens the directory that holds the last component of `path`, which *ret_base points at.
 * Descriptors of directories are opened for reading, since fsync refuses O_PATH. */
static int open_parent(int root_fd, const char *path, bool create, bool sync, int *ret_fd, const char **ret_base,
                       struct err *e)
{
    int code = check_path(path, e);
    if (code < 0)
        return code;
    STR_LOCAL(dir);
    const char *slash = strrchr(path, '/');
    if (slash)
        str_add_bytes(&dir, path, (size_t)(slash - path));
    int fd = open_beneath(root_fd, slash ? dir.data : ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 && errno == ENOENT && create && slash) {
        code = make_parents(root_fd, dir.data, sync, &fd, e);
        if (code < 0)
            return code;
    }
    if (fd < 0)
        return failed(e, "open", path);
    *ret_fd = fd;
    *ret_base = slash ? slash + 1 : path;
    return 0;
}

static int sync_dir(const char *path)
{
    FD_LOCAL(fd);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -1 : fsync(fd);
}

/* The names are durable: what is written into a new home shall be found again. */
static int make_path(const char *path)
{
    STR_LOCAL(part);
    STR_LOCAL(parent);
    str_add(&parent, *path == '/' ? "/" : ".");
    for (const char *p = path; *p;) {
        p += strspn(p, "/");
        p += strcspn(p, "/");
        str_clear(&part);
        str_add_bytes(&part, path, (size_t)(p - path));
        bool made = mkdir(part.data, 0700) == 0;
        if ((!made && errno != EEXIST) || (made && sync_dir(parent.data) != 0))
            return -1;
        str_clear(&parent);
        str_add_str(&parent, &part);
    }
    return 0;
}

int dir_open(const char *path, bool create, int *ret_fd, struct err *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && create) {
        if (make_path(path) != 0)
            return failed(e, "make the directory", path);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        return failed(e, "open the directory", path);
    *ret_fd = fd;
    return 0;
}

/* Reads one byte more than allowed at most, so a file that grows meanwhile is noticed. */
static int read_all(int fd, const char *path, size_t max, struct str *out, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return failed(e, "read", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_REFUSED, "%s: is not a regular file", path);
    size_t before = out->len, got = 0;
    size_t room = st.st_size > 0 && (uint64_t)st.st_size <= max ? (size_t)st.st_size + 1 : 4096;
    for (;;) {
        if (got > max) {
            str_truncate(out, before);
            return err_set(e, ERR_LIMIT, "%s: is larger than %zu bytes", path, max);
        }
        str_reserve(out, room);
        ssize_t n = read(fd, out->data + out->len, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int saved = errno;
            str_truncate(out, before);
            errno = saved;
            return failed(e, "read", path);
        }
        if (n == 0)
            return 0;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        got += (size_t)n;
        room = got < 65536 ? 65536 : got;
        if (room > max - got + 1 && got <= max)
            room = max - got + 1;
    }
}

int file_read(int root_fd, const char *path, size_t max, struct str *out, struct err *e)
{
    int code = check_path(path, e);
    if (code < 0)
        return code;
    FD_LOCAL(fd);
    fd = open_beneath(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0); /* a FIFO must not hold us */
    if (fd < 0)
        return failed(e, "read", path);
    return read_all(fd, path, max, out, e);
}

int file_read_link(int root_fd, const char *path, struct str *out, struct err *e)
{
    char target[PATH_MAX];
    int code = check_path(path, e);
    if (code < 0)
        return code;
    FD_LOCAL(fd);
    fd = open_beneath(root_fd, path, O_PATH | O_NOFOLLOW, 0);
    if (fd < 0)
        return failed(e, "read", path);
    struct stat st;
    if (fstat(fd, &st) != 0)
        return failed(e, "read", path);
    if (!S_ISLNK(st.st_mode))
        return err_set(e, ERR_REFUSED, "%s: is not a symbolic link", path);
    ssize_t len = readlinkat(fd, "", target, sizeof target);
    if (len < 0)
        return failed(e, "read", path);
    str_add_bytes(out, target, (size_t)len);
    return 0;
}

int file_read_path(const char *path, size_t max, struct str *out, struct err *e)
{
    FD_LOCAL(fd);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return failed(e, "read", path);
    return read_all(fd, path, max, out, e);
}

int fd_write(int fd, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* 0, or -1 and errno.  `mode` exactly, whatever the umask is. */
static int fill(int fd, const void *bytes, size_t len, mode_t mode, bool sync)
{
    if (fd_write(fd, bytes, len) < 0 || fchmod(fd, mode) != 0)
        return -1;
    return sync ? fsync(fd) : 0;
}

int file_create(int root_fd, const char *path, const void *bytes, size_t len, mode_t mode, struct err *e)
{
    int code = check_path(path, e);
    if (code < 0)
        return code;
    const int flags = O_WRONLY | O_CREAT | O_EXCL;
    FD_LOCAL(fd);
    fd = open_beneath(root_fd, path, flags, 0600);
    if (fd < 0 && errno == ENOENT) {
        FD_LOCAL(parent);
        const char *base;
        code = open_parent(root_fd, path, true, false, &parent, &base, e);
        if (code < 0)
            return code;
        fd = open_beneath(parent, base, flags, 0600);
    }
    if (fd < 0)
        return failed(e, "create", path);
    if (fill(fd, bytes, len, mode, false) != 0)
        return failed(e, "write", path);
    return 0;
}

static void temporary_name(char *name, size_t size)
{
    static atomic_uint serial;
    uint64_t salt = 0;
    if (getrandom(&salt, sizeof salt, GRND_NONBLOCK) < 0)
        salt = (uint64_t)getpid();
    snprintf(name, size, ".tandem-%016" PRIx64 "-%x.tmp", salt, atomic_fetch_add(&serial, 1));
}

/* Or nothing at all. */
static bool is_regular(int dir_fd, const char *name)
{
    struct stat st;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISREG(st.st_mode);
}

int file_write(int root_fd, const char *path, const void *bytes, size_t len, mode_t mode, bool sync, struct err *e)
{
    FD_LOCAL(parent);
    const char *base;
    int code = open_parent(root_fd, path, true, sync, &parent, &base, e);
    if (code < 0)
        return code;
    if (!is_regular(parent, base))
        return err_set(e, ERR_REFUSED, "%s: is not a regular file", path);
    char name[64];
    temporary_name(name, sizeof name);
    FD_LOCAL(fd);
    fd = open_beneath(parent, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return failed(e, "write", path);
    if (fill(fd, bytes, len, mode, sync) != 0 || renameat(parent, name, parent, base) != 0) {
        code = failed(e, "write", path);
        unlinkat(parent, name, 0);
        return code;
    }
    if (sync && fsync(parent) != 0)
        return failed(e, "make durable", path);
    return 0;
}

int file_move(int from_fd, const char *from, int to_fd, const char *to, struct err *e)
{
    FD_LOCAL(source);
    FD_LOCAL(target);
    const char *from_base, *to_base;
    int code = open_parent(from_fd, from, false, false, &source, &from_base, e);
    if (code == 0)
        code = open_parent(to_fd, to, true, false, &target, &to_base, e);
    if (code < 0)
        return code;
    if (!is_regular(source, from_base) || !is_regular(target, to_base))
        return err_set(e, ERR_REFUSED, "%s: is not a regular file", to);
    return renameat(source, from_base, target, to_base) == 0 ? 0 : failed(e, "move", to);
}

int file_remove(int root_fd, const char *path, struct err *e)
{
    FD_LOCAL(parent);
    const char *base;
    int code = open_parent(root_fd, path, false, false, &parent, &base, e);
    if (code < 0)
        return code;
    if (unlinkat(parent, base, 0) != 0)
        return failed(e, "remove", path);
    return 0;
}

bool file_exists(int root_fd, const char *path)
{
    FD_LOCAL(parent);
    const char *base;
    if (open_parent(root_fd, path, false, false, &parent, &base, NULL) < 0)
        return false;
    struct stat st;
    return fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- listing ---- */

struct listing {
    struct arena *arena;
    struct file_entry *items;
    size_t count, cap, max;
    struct err *e;
};

static int list_dir(struct listing *l, int fd, const char *prefix, int depth);

static int list_entry(struct listing *l, int dir_fd, const char *prefix, const char *name, int depth)
{
    if (l->count == l->max)
        return err_set(l->e, ERR_LIMIT, "there are more than %zu files", l->max);
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : failed(l->e, "look at", name);
    const char *path = *prefix ? arena_printf(l->arena, "%s/%s", prefix, name) : arena_strdup(l->arena, name);
    XGROW(l->items, l->cap, l->count);
    l->items[l->count++] = (struct file_entry){ path, st.st_mode, st.st_size };
    if (!S_ISDIR(st.st_mode))
        return 0;
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return failed(l->e, "open the directory", path);
    return list_dir(l, fd, path, depth + 1);
}

/* Takes `fd` over. */
static int list_dir(struct listing *l, int fd, const char *prefix, int depth)
{
    if (depth > LIST_DEPTH) {
        close(fd);
        return err_set(l->e, ERR_LIMIT, "directories are nested more than %d deep", LIST_DEPTH);
    }
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int code = failed(l->e, "open the directory", prefix);
        close(fd);
        return code;
    }
    int code = 0;
    struct dirent *d;
    while (code == 0 && (d = readdir(dir)))
        if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
            code = list_entry(l, dirfd(dir), prefix, d->d_name, depth);
    closedir(dir);
    return code;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct file_entry *)a)->path, ((const struct file_entry *)b)->path);
}

int file_list(int root_fd, struct arena *a, size_t max, struct file_entry **ret, size_t *ret_count, struct err *e)
{
    struct listing l = { .arena = a, .max = max, .e = e };
    int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failed(e, "open", "the directory");
    int code = list_dir(&l, fd, "", 0);
    if (code == 0) {
        struct file_entry *sorted = ARENA_ARRAY(a, struct file_entry, l.count + 1);
        if (l.count) {
            memcpy(sorted, l.items, l.count * sizeof *sorted);
            qsort(sorted, l.count, sizeof *sorted, by_path);
        }
        *ret = sorted;
        *ret_count = l.count;
    }
    free(l.items);
    return code;
}

/* ---- locks ---- */

/* 0: it does not say. */
static int lock_holder(int fd)
{
    char text[32] = "";
    long long pid;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    text[strspn(text, "0123456789")] = '\0';
    return parse_int(text, 1, INT_MAX, &pid) ? (int)pid : 0;
}

static int lock_is_held(int fd, const char *path, struct err *e)
{
    int pid = lock_holder(fd);
    if (!pid)
        return err_set(e, ERR_BUSY, "%s: is locked by another process", path);
    return err_set(e, ERR_BUSY, "%s: is locked by process %d", path, pid);
}

bool lock_has_holder(const char *path)
{
    FD_LOCAL(fd);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int pid = fd < 0 ? 0 : lock_holder(fd);
    return pid && (kill(pid, 0) == 0 || errno == EPERM);
}

int lock_take(const char *path, int *ret_fd, struct err *e)
{
    for (int i = 0; i < RACES; i++) {
        FD_LOCAL(fd);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
        if (fd < 0)
            return failed(e, "lock", path);
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK)
                return lock_is_held(fd, path, e);
            return failed(e, "lock", path);
        }
        /* The last holder may have removed the name: a lock on a nameless file holds nobody off. */
        struct stat ours, named;
        if (fstat(fd, &ours) != 0)
            return failed(e, "lock", path);
        if (stat(path, &named) != 0 || named.st_ino != ours.st_ino || named.st_dev != ours.st_dev)
            continue;
        char text[32];
        int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
        if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len)
            return failed(e, "write our process id to", path);
        *ret_fd = fd;
        fd = -1;
        return 0;
    }
    return err_set(e, ERR_BUSY, "%s: is removed by others as often as we take it", path);
}
