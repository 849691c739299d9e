/* cgroup.c - finds where groups can be made, and keeps a few for reuse.
 *
 * v1 has a tree for each controller, v2 one for all.  Ours are made below the group that
 * Tandem runs in, or (v2, where a group with processes cannot have groups with controllers)
 * beside it.  What works is found by trying: mount options, delegation and containers make
 * every rule about it wrong somewhere.
 *
 * Groups are reused: moving a process (here once, the thread that makes the children)
 * waits for all readers in the kernel, eight milliseconds on a busy machine.
 */
#include "os/cgroup.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "os/files.h"
#include "os/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEMORY, PROCESSES, CONTROLLERS, KEPT = 16, REMOVE_TRIES = 50 };
static const char *const controller_names[CONTROLLERS] = { "memory", "pids" };

struct cgroup {
    struct cgroup *next;
    int dir_fd[CONTROLLERS]; /* -1: none.  The same directory opened twice for v2. */
    int born_fd;             /* of them, the one for v2; 0: none */
    struct spawner *spawner; /* sits in those of v1; NULL: none */
    int64_t oom_before, memory_bytes, processes;
    char name[32];
};

struct cgroup_pool {
    pthread_mutex_t lock;
    bool v2[CONTROLLERS];
    char *dir[CONTROLLERS]; /* NULL: not available */
    struct cgroup *free;
    int free_count;
    unsigned made;
};

/* ---- small files ---- */

static int write_text(int dir_fd, const char *file, const char *text)
{
    int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    int saved_errno = errno;
    close(fd);
    errno = saved_errno;
    return n < 0 ? -1 : 0;
}

static int write_number(int dir_fd, const char *file, int64_t n)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)n);
    return write_text(dir_fd, file, text);
}

/* The number after `key` in a file of "key number" lines; 0 when there is none. */
static int64_t read_number(int dir_fd, const char *file, const char *key)
{
    char text[1024];
    int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    size_t len = strlen(key);
    for (const char *p = text; (p = strstr(p, key)); p += len)
        if ((p == text || p[-1] == '\n') && p[len] == ' ')
            return strtoll(p + len, NULL, 10);
    return 0;
}

/* ---- where ---- */

/* `list` is separated by commas. */
static bool in_list(const char *list, const char *end, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = list; p < end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t item = (size_t)((comma ? comma : end) - p);
        if (item == len && strncmp(p, word, len) == 0)
            return true;
        p += item + 1;
    }
    return false;
}

/* Our group's path in the tree of `controller` (v2: the line "0::"). */
static bool own_path(const char *table, const char *controller, bool v2, struct str *out)
{
    for (const char *line = table; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *list = strchr(line, ':');
        const char *path = list ? strchr(list + 1, ':') : NULL;
        if (!path)
            return false;
        bool match = v2 ? starts_with(line, "0::") : in_list(list + 1, path, controller);
        if (match) {
            str_add_bytes(out, path + 1, strcspn(path + 1, "\n"));
            return true;
        }
    }
    return false;
}

/* Where the tree is mounted: a line of mountinfo is
 * "id parent dev ROOT MOUNTPOINT options [fields] - TYPE source SUPEROPTIONS". */
static bool mount_point(const char *table, const char *controller, bool v2, struct str *ret_root, struct str *ret_point)
{
    for (const char *line = table; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        char root[PATH_MAX], point[PATH_MAX];
        const char *end = line + strcspn(line, "\n");
        const char *dash = memmem(line, (size_t)(end - line), " - ", 3);
        if (!dash || sscanf(line, "%*s %*s %*s %4095s %4095s", root, point) != 2)
            continue;
        const char *type = dash + 3;
        const char *options = end;
        while (options > type && options[-1] != ' ')
            options--;
        bool match = v2 ? starts_with(type, "cgroup2 ")
                        : starts_with(type, "cgroup ") && in_list(options, end, controller);
        if (match) {
            str_add(ret_root, root);
            str_add(ret_point, point);
            return true;
        }
    }
    return false;
}

/* The directory of our own group; false when the tree is not mounted.  *ret_top: how much of
 * it is the mount point. */
static bool own_dir(const char *groups, const char *mounts, const char *controller, bool v2, struct str *out,
                    size_t *ret_top)
{
    STR_LOCAL(path);
    STR_LOCAL(root);
    if (!own_path(groups, controller, v2, &path) || !mount_point(mounts, controller, v2, &root, out))
        return false;
    *ret_top = out->len;
    /* In a container the mount shows a part of the tree only. */
    const char *below = path.data;
    if (!streq(root.data, "/") && starts_with(below, root.data))
        below += root.len;
    if (!streq(below, "/"))
        str_add(out, below);
    return true;
}

static const char *limit_file(int controller, bool v2)
{
    if (controller == PROCESSES)
        return "pids.max";
    return v2 ? "memory.max" : "memory.limit_in_bytes";
}

/* Makes `base`/`name` and looks whether its controller is there. */
static bool try_base(const char *base, const char *name, int controller, bool v2, struct str *ret_dir)
{
    STR_LOCAL(dir);
    str_addf(&dir, "%s/%s", base, name);
    if (mkdir(dir.data, 0755) != 0 && errno != EEXIST)
        return false;
    int fd = open(dir.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (v2 && fd >= 0) {
        int base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        STR_LOCAL(wish);
        str_addf(&wish, "+%s", controller_names[controller]);
        if (faccessat(fd, limit_file(controller, v2), F_OK, 0) != 0)
            write_text(base_fd, "cgroup.subtree_control", wish.data);
        write_text(fd, "cgroup.subtree_control", wish.data);
        close(base_fd);
    }
    bool good = fd >= 0 && faccessat(fd, limit_file(controller, v2), W_OK, 0) == 0;
    if (fd >= 0)
        close(fd);
    if (good)
        str_add_str(ret_dir, &dir);
    else
        rmdir(dir.data);
    return good;
}

static bool find_dir(const char *groups, const char *mounts, const char *name, int controller, bool v2,
                     struct str *ret_dir)
{
    STR_LOCAL(own);
    size_t top;
    if (!own_dir(groups, mounts, controller_names[controller], v2, &own, &top))
        return false;
    if (try_base(own.data, name, controller, v2, ret_dir))
        return true;
    if (!v2 || own.len == top)
        return false;
    str_truncate(&own, (size_t)(strrchr(own.data, '/') - own.data));
    return try_base(own.data, name, controller, v2, ret_dir);
}

static bool read_tables(struct str *groups, struct str *mounts)
{
    return file_read_path("/proc/self/cgroup", 1 << 16, groups, NULL) == 0
           && file_read_path("/proc/self/mountinfo", 1 << 22, mounts, NULL) == 0;
}

int cgroup_pool_open(struct cgroup_pool **ret, const char *name, struct err *e)
{
    STR_LOCAL(groups);
    STR_LOCAL(mounts);
    if (!read_tables(&groups, &mounts))
        return err_set(e, ERR_UNAVAILABLE, "/proc does not tell about control groups");
    struct cgroup_pool *p = xcalloc(1, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    for (int i = 0; i < CONTROLLERS; i++) {
        STR_LOCAL(dir);
        p->v2[i] = !find_dir(groups.data, mounts.data, name, i, false, &dir);
        if (!p->v2[i] || find_dir(groups.data, mounts.data, name, i, true, &dir))
            p->dir[i] = str_detach(&dir);
    }
    if (!p->dir[MEMORY] && !p->dir[PROCESSES]) {
        cgroup_pool_free(p);
        return err_set(e, ERR_UNAVAILABLE, "no control group for memory or processes can be made here");
    }
    *ret = p;
    return 0;
}

bool cgroup_limits_memory(const struct cgroup_pool *p)
{
    return p && p->dir[MEMORY];
}

bool cgroup_limits_processes(const struct cgroup_pool *p)
{
    return p && p->dir[PROCESSES];
}

/* ---- groups ---- */

static void close_group(struct cgroup *c)
{
    for (int i = 0; i < CONTROLLERS; i++)
        if (c->dir_fd[i] >= 0)
            close(c->dir_fd[i]);
    free(c);
}

/* A group is busy for a moment after its last process ended. */
static void remove_dir(const char *path)
{
    for (int i = 0; i < REMOVE_TRIES && rmdir(path) != 0 && errno == EBUSY; i++)
        usleep(2000);
}

static void remove_group(struct cgroup_pool *p, struct cgroup *c)
{
    spawner_free(c->spawner);
    for (int i = 0; i < CONTROLLERS; i++) {
        if (!p->dir[i] || (i && p->dir[0] && streq(p->dir[i], p->dir[0])))
            continue;
        STR_LOCAL(path);
        str_addf(&path, "%s/%s", p->dir[i], c->name);
        remove_dir(path.data);
    }
    close_group(c);
}

static int start_spawner(struct cgroup_pool *p, struct cgroup *c, struct err *e)
{
    int tasks[CONTROLLERS];
    size_t count = 0;
    int code = 0;
    for (int i = 0; i < CONTROLLERS && code == 0; i++) {
        if (c->dir_fd[i] < 0 || p->v2[i])
            continue;
        tasks[count] = openat(c->dir_fd[i], "tasks", O_WRONLY | O_CLOEXEC);
        if (tasks[count] < 0)
            code = err_set_errno(e, ERR_FAILED, errno, "cannot join the control group %s/%s", p->dir[i], c->name);
        else
            count++;
    }
    if (code == 0 && count)
        code = spawner_new(&c->spawner, tasks, count, e);
    while (count)
        close(tasks[--count]);
    return code;
}

static int make_group(struct cgroup_pool *p, unsigned number, struct cgroup **ret, struct err *e)
{
    struct cgroup *c = xcalloc(1, sizeof *c);
    *c = (struct cgroup){ .dir_fd = { -1, -1 } };
    snprintf(c->name, sizeof c->name, "run-%u", number);
    int code = 0;
    for (int i = 0; i < CONTROLLERS && code == 0; i++) {
        if (!p->dir[i])
            continue;
        STR_LOCAL(path);
        str_addf(&path, "%s/%s", p->dir[i], c->name);
        if (mkdir(path.data, 0755) == 0 || errno == EEXIST)
            c->dir_fd[i] = open(path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (c->dir_fd[i] < 0)
            code = err_set_errno(e, ERR_FAILED, errno, "cannot make the control group %s", path.data);
        else if (p->v2[i])
            c->born_fd = c->dir_fd[i];
    }
    if (code == 0)
        code = start_spawner(p, c, e);
    if (code < 0) {
        remove_group(p, c);
        return code;
    }
    *ret = c;
    return 0;
}

static int set_memory(const struct cgroup_pool *p, const struct cgroup *c, int64_t bytes)
{
    int fd = c->dir_fd[MEMORY];
    if (p->v2[MEMORY]) {
        write_text(fd, "memory.swap.max", "0");
        write_text(fd, "memory.oom.group", "1");
        return write_number(fd, "memory.max", bytes);
    }
    /* Memory plus swap may never be the lower of the two, so it is lifted first. */
    write_text(fd, "memory.memsw.limit_in_bytes", "-1");
    if (write_number(fd, "memory.limit_in_bytes", bytes) != 0)
        return -1;
    write_number(fd, "memory.memsw.limit_in_bytes", bytes);
    return 0;
}

static int64_t oom_kills(const struct cgroup_pool *p, const struct cgroup *c)
{
    if (c->dir_fd[MEMORY] < 0)
        return 0;
    return read_number(c->dir_fd[MEMORY], p->v2[MEMORY] ? "memory.events" : "memory.oom_control", "oom_kill");
}

static int set_limits(const struct cgroup_pool *p, struct cgroup *c, int64_t memory_bytes, int64_t processes,
                      struct err *e)
{
    if (c->dir_fd[MEMORY] >= 0 && c->memory_bytes != memory_bytes && set_memory(p, c, memory_bytes) != 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot limit the memory of a control group");
    c->memory_bytes = memory_bytes;
    if (c->dir_fd[PROCESSES] >= 0 && c->processes != processes
        && write_number(c->dir_fd[PROCESSES], "pids.max", processes) != 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot limit the processes of a control group");
    c->processes = processes;
    c->oom_before = oom_kills(p, c);
    return 0;
}

int cgroup_take(struct cgroup_pool *p, int64_t memory_bytes, int64_t processes, struct cgroup **ret, struct err *e)
{
    pthread_mutex_lock(&p->lock);
    struct cgroup *c = p->free;
    unsigned number = 0;
    if (c) {
        p->free = c->next;
        p->free_count--;
    } else {
        number = p->made++;
    }
    pthread_mutex_unlock(&p->lock);
    int code = c ? 0 : make_group(p, number, &c, e);
    if (code < 0)
        return code;
    code = set_limits(p, c, memory_bytes, processes, e);
    if (code < 0) {
        remove_group(p, c);
        return code;
    }
    *ret = c;
    return 0;
}

struct spawner *cgroup_spawner(const struct cgroup *c)
{
    return c->spawner;
}

int cgroup_dir_fd(const struct cgroup *c)
{
    return c->born_fd;
}

int64_t cgroup_oom_kills(const struct cgroup *c)
{
    if (c->dir_fd[MEMORY] < 0)
        return 0;
    /* Only one of the two files is there. */
    int64_t now = read_number(c->dir_fd[MEMORY], "memory.oom_control", "oom_kill")
                  + read_number(c->dir_fd[MEMORY], "memory.events", "oom_kill");
    return now - c->oom_before;
}

/* But for the thread of ours that sits in it. */
static bool is_empty(const struct cgroup *c)
{
    for (int i = 0; i < CONTROLLERS; i++) {
        char text[64];
        const char *file = c->dir_fd[i] == c->born_fd ? "cgroup.procs" : "tasks";
        int fd = c->dir_fd[i] < 0 ? -1 : openat(c->dir_fd[i], file, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
        if (fd >= 0)
            close(fd);
        text[n > 0 ? n : 0] = '\0';
        const char *second = strchr(text, '\n');
        if (c->dir_fd[i] == c->born_fd ? n != 0 : second && second[1])
            return false;
    }
    return true;
}

void cgroup_give_back(struct cgroup_pool *p, struct cgroup *c)
{
    bool keep = is_empty(c);
    pthread_mutex_lock(&p->lock);
    keep = keep && p->free_count < KEPT;
    if (keep) {
        c->next = p->free;
        p->free = c;
        p->free_count++;
    }
    pthread_mutex_unlock(&p->lock);
    if (!keep)
        remove_group(p, c);
}

void cgroup_pool_free(struct cgroup_pool *p)
{
    if (!p)
        return;
    while (p->free) {
        struct cgroup *c = p->free;
        p->free = c->next;
        remove_group(p, c);
    }
    for (int i = 0; i < CONTROLLERS; i++) {
        if (p->dir[i])
            remove_dir(p->dir[i]);
        free(p->dir[i]);
    }
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- what a dead one left ---- */

static void kill_members(const char *dir)
{
    STR_LOCAL(path);
    STR_LOCAL(text);
    str_addf(&path, "%s/cgroup.procs", dir);
    if (file_read_path(path.data, 1 << 20, &text, NULL) < 0)
        return;
    for (char *p = text.data, *end; *p; p = end) {
        long pid = strtol(p, &end, 10);
        if (end == p)
            break;
        if (pid > 1)
            kill((pid_t)pid, SIGKILL);
    }
}

static void remove_dead_dir(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));) {
        if (!starts_with(entry->d_name, "run-"))
            continue;
        STR_LOCAL(path);
        str_addf(&path, "%s/%s", dir, entry->d_name);
        kill_members(path.data);
        remove_dir(path.data);
    }
    closedir(d);
    remove_dir(dir);
}

void cgroup_remove_dead(const char *name)
{
    STR_LOCAL(groups);
    STR_LOCAL(mounts);
    if (!read_tables(&groups, &mounts))
        return;
    for (int i = 0; i < CONTROLLERS * 2; i++) {
        STR_LOCAL(own);
        size_t top;
        if (!own_dir(groups.data, mounts.data, controller_names[i / 2], i % 2, &own, &top))
            continue;
        STR_LOCAL(dir);
        str_addf(&dir, "%s/%s", own.data, name);
        remove_dead_dir(dir.data);
        if (own.len == top)
            continue;
        str_truncate(&own, (size_t)(strrchr(own.data, '/') - own.data));
        str_clear(&dir);
        str_addf(&dir, "%s/%s", own.data, name);
        remove_dead_dir(dir.data);
    }
}
