/* sandbox_room.c - the directories in which runs take place.
 *
 * All rooms lie in one scratch directory with a random name, which its Tandem keeps locked
 * (flock on the directory: systemd-tmpfiles leaves such alone, too).  It gets its final
 * name only once the lock is held, so one found by that name and not locked was left behind.
 *
 * As root a room belongs to a uid of its own and is closed to all others; the scratch
 * directory lets that uid pass (0711).  Files are given to it just before a run, since the
 * caller fills the room as root.
 *
 * Where memory is plenty the scratch directory lies there.  A room's files are small, many,
 * and gone within seconds; on a disk each of them waits for the file system's journal, and
 * with it for whatever else is being synced, the store and git not least.
 */
#include "os/sandbox_internal.h"

#include "base/err.h"
#include "base/str.h"
#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "tandem-sandbox-"
#define UNFINISHED "tandem-opening-"
#define MEMORY_BASE "/dev/shm"

enum { UNFINISHED_AGE_S = 600, OWN_DEPTH = 128, MAX_DEAD = 64, MEMORY_ROOM_MIB = 4096 };

/* ---- what dead Tandems left ---- */

static void remove_dead(int base_fd, const char *name)
{
    int fd = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    struct stat st;
    bool ours = fstat(fd, &st) == 0 && st.st_uid == geteuid();
    bool unfinished = starts_with(name, UNFINISHED);
    /* Its age first: the maker of a fresh one must find it unlocked. */
    bool dead = ours && (!unfinished || st.st_mtime + UNFINISHED_AGE_S < time(NULL)) && flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (dead) {
        cgroup_remove_dead(name);
        if (dir_empty(fd, NULL) == 0)
            unlinkat(base_fd, name, AT_REMOVEDIR);
    }
    close(fd);
}

static void remove_all_dead(const char *base)
{
    DIR *dir = opendir(base);
    if (!dir)
        return;
    int count = 0;
    for (struct dirent *d; count < MAX_DEAD && (d = readdir(dir));)
        if (starts_with(d->d_name, PREFIX) || starts_with(d->d_name, UNFINISHED)) {
            remove_dead(dirfd(dir), d->d_name);
            count++;
        }
    closedir(dir);
}

/* ---- the scratch directory ---- */

bool sandbox_is_open_to_all(const char *path)
{
    char real[PATH_MAX];
    if (!realpath(path, real))
        return false;
    for (char *p = real; *p; p++) {
        if (*p != '/' && p[1])
            continue;
        char next = p[1];
        p[1] = '\0';
        struct stat st;
        bool open_to_all = stat(real, &st) == 0 && (!S_ISDIR(st.st_mode) || (st.st_mode & S_IXOTH));
        p[1] = next;
        if (!open_to_all)
            return false;
    }
    return true;
}

static int64_t available_memory_mib(void)
{
    STR_LOCAL(text);
    long long kib = 0;
    if (file_read_path("/proc/meminfo", 1 << 16, &text, NULL) < 0)
        return 0;
    const char *line = strstr(text.data, "MemAvailable:");
    return line && sscanf(line, "MemAvailable: %lld kB", &kib) == 1 ? kib / 1024 : 0;
}

/* Whether rooms can lie in memory: much of it is free, and programs built there may run. */
static bool memory_is_plenty(void)
{
    struct statfs type;
    struct statvfs v;
    return statfs(MEMORY_BASE, &type) == 0 && type.f_type == TMPFS_MAGIC && statvfs(MEMORY_BASE, &v) == 0
           && !(v.f_flag & ST_NOEXEC) && access(MEMORY_BASE, W_OK | X_OK) == 0
           && (int64_t)v.f_bavail * (int64_t)v.f_frsize >= (int64_t)MEMORY_ROOM_MIB * SANDBOX_MIB
           && available_memory_mib() >= 2 * MEMORY_ROOM_MIB;
}

void sandbox_scratch_choose(char *ret, size_t size)
{
    const char *tmp = getenv("TMPDIR");
    bool usable = tmp && *tmp == '/' && access(tmp, W_OK) == 0 && (geteuid() != 0 || sandbox_is_open_to_all(tmp));
    snprintf(ret, size, "%s", usable ? tmp : memory_is_plenty() ? MEMORY_BASE : "/tmp");
}

static int choose_base(const struct sandbox *s, const char *wanted, char *ret, size_t size, struct err *e)
{
    if (wanted) {
        if (s->root && access(wanted, F_OK) == 0 && !sandbox_is_open_to_all(wanted))
            return err_set(e, ERR_UNAVAILABLE,
                           "%s: the sandbox runs code under a user id of its own, which cannot reach this directory; "
                           "name one outside of home directories", wanted);
        snprintf(ret, size, "%s", wanted);
        return 0;
    }
    sandbox_scratch_choose(ret, size);
    return 0;
}

/* Renames the locked directory from UNFINISHED to PREFIX. */
static int give_final_name(struct sandbox *s, size_t name_at, struct err *e)
{
    char finished[sizeof s->scratch];
    snprintf(finished, sizeof finished, "%.*s" PREFIX "%s", (int)name_at, s->scratch,
             s->scratch + name_at + strlen(UNFINISHED));
    if (rename(s->scratch, finished) != 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot rename %s", s->scratch);
    snprintf(s->scratch, sizeof s->scratch, "%s", finished);
    return 0;
}

int sandbox_scratch_make(struct sandbox *s, const char *wanted, struct err *e)
{
    char base[PATH_MAX];
    int code = choose_base(s, wanted, base, sizeof base, e);
    if (code < 0)
        return code;
    if (strlen(base) > 120)
        return err_set(e, ERR_INVALID, "%s: the path of the scratch directory is too long (120 bytes at most)", base);
    if (wanted && mkdir(base, 0711) != 0 && errno != EEXIST)
        return err_set_errno(e, ERR_UNAVAILABLE, errno, "cannot make the scratch directory %s", base);
    remove_all_dead(base);
    if (!wanted && !streq(base, "/tmp")) /* when there was less memory */
        remove_all_dead("/tmp");
    snprintf(s->scratch, sizeof s->scratch, "%s/" UNFINISHED "XXXXXX", base);
    if (!mkdtemp(s->scratch))
        return err_set_errno(e, ERR_UNAVAILABLE, errno, "cannot make a scratch directory in %s", base);
    code = dir_open(s->scratch, false, &s->scratch_fd, e);
    if (code == 0 && flock(s->scratch_fd, LOCK_EX | LOCK_NB) != 0)
        code = err_set_errno(e, ERR_UNAVAILABLE, errno, "cannot lock %s", s->scratch);
    if (code == 0)
        code = give_final_name(s, strlen(base) + 1, e);
    if (code == 0 && fchmod(s->scratch_fd, s->root ? 0711 : 0700) != 0)
        code = err_set_errno(e, ERR_UNAVAILABLE, errno, "cannot set the permissions of %s", s->scratch);
    return code;
}

void sandbox_scratch_remove(struct sandbox *s)
{
    if (s->scratch_fd >= 0)
        dir_empty(s->scratch_fd, NULL);
    if (s->scratch[0])
        rmdir(s->scratch);
    if (s->scratch_fd >= 0)
        close(s->scratch_fd);
}

/* ---- rooms ---- */

static int take_slot(struct sandbox *s, struct sandbox_room *room, struct err *e)
{
    int code = err_set(e, ERR_LIMIT, "more than %d sandboxed runs at a time", SANDBOX_MAX_ROOMS);
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < SANDBOX_UID_COUNT && code; i++) {
        /* The next one in turn, so that a uid is not used again at once. */
        unsigned uid = s->next_slot++ % SANDBOX_UID_COUNT;
        unsigned slot = uid % SANDBOX_MAX_ROOMS;
        if (s->taken[slot] || s->uid_in_use[uid])
            continue;
        s->taken[slot] = true;
        room->slot = slot;
        room->uid = s->root ? SANDBOX_FIRST_UID + uid : geteuid();
        snprintf(room->path, sizeof room->path, "%s/room-%u", s->scratch, s->room_serial++);
        code = 0;
    }
    pthread_mutex_unlock(&s->lock);
    return code;
}

static void leave_slot(struct sandbox *s, const struct sandbox_room *room)
{
    pthread_mutex_lock(&s->lock);
    s->taken[room->slot] = false;
    pthread_mutex_unlock(&s->lock);
}

/* A directory of the room's own; `work` and `out` lie in it. */
static int make_dir(const struct sandbox *s, const struct sandbox_room *room, const char *name)
{
    char path[320];
    snprintf(path, sizeof path, "%s%s", room->path, name);
    if (mkdir(path, 0700) != 0)
        return -1;
    return s->root ? chown(path, room->uid, room->uid) : 0;
}

static int open_dir(const struct sandbox_room *room, const char *name)
{
    char path[320];
    snprintf(path, sizeof path, "%s%s", room->path, name);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int sandbox_room_make(struct sandbox *s, struct sandbox_room *ret, struct err *e)
{
    struct sandbox_room room = { .work_fd = -1, .out_fd = -1 };
    int code = take_slot(s, &room, e);
    if (code < 0)
        return code;
    bool plain = s->mode == SANDBOX_NONE;
    snprintf(room.work_seen, sizeof room.work_seen, "%s/work", plain ? room.path : "");
    snprintf(room.out_seen, sizeof room.out_seen, "%s/out", plain ? room.path : "");
    if (make_dir(s, &room, "") != 0 || make_dir(s, &room, "/work") != 0 || make_dir(s, &room, "/out") != 0
        || (plain && make_dir(s, &room, "/tmp") != 0) || (room.work_fd = open_dir(&room, "/work")) < 0
        || (room.out_fd = open_dir(&room, "/out")) < 0) {
        code = err_set_errno(e, ERR_FAILED, errno, "cannot make the room %s", room.path);
        sandbox_room_remove(s, &room);
        return code;
    }
    *ret = room;
    return 0;
}

void sandbox_room_remove(struct sandbox *s, struct sandbox_room *room)
{
    if (room->work_fd >= 0)
        close(room->work_fd);
    if (room->out_fd >= 0)
        close(room->out_fd);
    room->work_fd = room->out_fd = -1;
    int fd = open(room->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        dir_empty(fd, NULL);
        close(fd);
    }
    rmdir(room->path);
    leave_slot(s, room);
}

static int own_dir(int dir_fd, uid_t uid, int depth);

static int own_entry(int dir_fd, const char *name, uid_t uid, int depth)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return -1;
    if (st.st_uid != uid && fchownat(dir_fd, name, uid, uid, AT_SYMLINK_NOFOLLOW) != 0)
        return -1;
    if (!S_ISDIR(st.st_mode))
        return 0;
    if (depth == OWN_DEPTH) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -1 : own_dir(fd, uid, depth + 1);
}

/* Takes `fd` over. */
static int own_dir(int fd, uid_t uid, int depth)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -1;
    }
    int failed = 0;
    for (struct dirent *d; !failed && (d = readdir(dir));)
        if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
            failed = own_entry(dirfd(dir), d->d_name, uid, depth);
    int saved_errno = errno;
    closedir(dir);
    errno = saved_errno;
    return failed;
}

int sandbox_room_own(const struct sandbox *s, const struct sandbox_room *room, struct err *e)
{
    if (!s->root)
        return 0;
    const int fds[] = { room->work_fd, room->out_fd };
    for (int i = 0; i < 2; i++) {
        int fd = openat(fds[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || own_dir(fd, room->uid, 0) != 0)
            return err_set_errno(e, ERR_FAILED, errno, "cannot give the room %s to user %u", room->path, room->uid);
    }
    return 0;
}
