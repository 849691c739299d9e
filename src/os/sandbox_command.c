/* sandbox_command.c - what is mounted, and how bubblewrap is told.
 *
 * Namespaces are named one by one: --unshare-all goes on without a user namespace where
 * those are forbidden.  The root, /dev and /proc are mounted read-only again at the end:
 * the first two are tmpfs that code could fill, and in /proc a few files stay writable.
 * Whole directories are mounted, never single files in number: bubblewrap reads the mount
 * table again for each (300 cost 137 ms).
 *
 * The program's environment goes to the first process inside as arguments, not to
 * bubblewrap: that runs outside, and LD_PRELOAD is a variable like any other.
 */
#include "os/sandbox_internal.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "os/files.h"
#include "os/init/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_FILES = 1024, CPU_SLACK_S = 5, INSIDE_ID = 1000 };

struct args {
    struct arena *arena;
    const char **items;
    size_t count, cap;
};

static void add(struct args *a, const char *text)
{
    XGROW(a->items, a->cap, a->count);
    a->items[a->count++] = text;
}

static void add_all(struct args *a, const char *const *texts)
{
    for (; *texts; texts++)
        add(a, *texts);
}
#define ADD(a, ...) add_all((a), (const char *const[]){ __VA_ARGS__, NULL })

static const char *number(struct args *a, int64_t n)
{
    return arena_printf(a->arena, "%lld", (long long)n);
}

/* ---- /etc ---- */

static const struct {
    const char *path, *text;
} etc_files[] = {
    { "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                    "tandem:x:1000:1000:tandem:/tmp:/bin/sh\n"
                    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n" },
    { "etc/group", "root:x:0:\ntandem:x:1000:\nnogroup:x:65534:\n" },
    { "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n" },
    { "etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost ip6-localhost\n" },
    { "etc/resolv.conf", "" },
    { "etc/ssl/openssl.cnf", "" }, /* the openssl command complains without */
};

/* Of the host's, where they are there.  No secrets: everybody may read these. */
static const char *const etc_host[] = { "alternatives", "ld.so.cache", "java-*" };
/* And these where the network is shared. */
static const char *const etc_network[] = { "hosts", "resolv.conf", "ssl/openssl.cnf", "ssl/certs" };

/* Directories of the scratch directory that everybody may enter. */
static int make_dirs(struct sandbox *s, const char *path, struct err *e)
{
    STR_LOCAL(dir);
    for (const char *p = path; *p;) {
        size_t len = strcspn(p, "/");
        str_addf(&dir, "%s%.*s", dir.len ? "/" : "", (int)len, p);
        if ((mkdirat(s->scratch_fd, dir.data, 0755) != 0 && errno != EEXIST)
            || fchmodat(s->scratch_fd, dir.data, 0755, 0) != 0)
            return err_set_errno(e, ERR_FAILED, errno, "cannot make %s/%s", s->scratch, dir.data);
        p += len;
        p += *p == '/';
    }
    return 0;
}

/* A place to mount `path` on, of the same type. */
static int make_place(struct sandbox *s, const char *path, struct err *e)
{
    struct stat st;
    STR_LOCAL(host);
    STR_LOCAL(place);
    str_addf(&host, "/etc/%s", path);
    str_addf(&place, "etc/%s", path);
    if (stat(host.data, &st) != 0 || file_exists(s->scratch_fd, place.data))
        return 0;
    if (S_ISDIR(st.st_mode))
        return make_dirs(s, place.data, e);
    STR_LOCAL(parent);
    str_add_bytes(&parent, place.data, (size_t)(strrchr(place.data, '/') - place.data));
    int code = make_dirs(s, parent.data, e);
    return code < 0 ? code : file_create(s->scratch_fd, place.data, "", 0, 0644, e);
}

static int add_etc(struct sandbox *s, const char *pattern, struct err *e)
{
    STR_LOCAL(full);
    str_addf(&full, "/etc/%s", pattern);
    glob_t found;
    int code = 0;
    if (glob(full.data, 0, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc && s->etc_count < SANDBOX_MAX_ETC && code == 0; i++) {
        s->etc[s->etc_count++] = xstrdup(found.gl_pathv[i] + strlen("/etc/"));
        code = make_place(s, s->etc[s->etc_count - 1], e);
    }
    globfree(&found);
    return code;
}

int sandbox_etc_make(struct sandbox *s, struct err *e)
{
    int code = make_dirs(s, "etc/ssl", e);
    for (size_t i = 0; i < sizeof etc_files / sizeof *etc_files && code == 0; i++)
        code = file_create(s->scratch_fd, etc_files[i].path, etc_files[i].text, strlen(etc_files[i].text), 0644, e);
    for (size_t i = 0; i < sizeof etc_host / sizeof *etc_host && code == 0; i++)
        code = add_etc(s, etc_host[i], e);
    for (size_t i = 0; i < sizeof etc_network / sizeof *etc_network && code == 0; i++)
        code = make_place(s, etc_network[i], e);
    return code;
}

static void add_etc_mounts(struct args *a, const struct sandbox *s, bool network)
{
    ADD(a, "--ro-bind", arena_printf(a->arena, "%s/etc", s->scratch), "/etc");
    for (size_t i = 0; i < s->etc_count; i++) {
        const char *path = arena_printf(a->arena, "/etc/%s", s->etc[i]);
        ADD(a, "--ro-bind-try", path, path);
    }
    for (size_t i = 0; network && i < sizeof etc_network / sizeof *etc_network; i++) {
        const char *path = arena_printf(a->arena, "/etc/%s", etc_network[i]);
        ADD(a, "--ro-bind-try", path, path);
    }
}

/* ---- the rest of the system ---- */

/* /bin and the like are links into /usr on most systems, directories on some. */
static void add_system(struct args *a)
{
    ADD(a, "--ro-bind", "/usr", "/usr");
    static const char *const places[] = { "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32" };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char link[256];
        ssize_t n = readlink(places[i], link, sizeof link - 1);
        if (n > 0) {
            link[n] = '\0';
            ADD(a, "--symlink", arena_strdup(a->arena, link), places[i]);
        } else if (access(places[i], F_OK) == 0) {
            ADD(a, "--ro-bind", places[i], places[i]);
        }
    }
}

static void add_temporary(struct args *a, const char *path, int64_t bytes)
{
    ADD(a, "--perms", "1777", "--size", number(a, bytes), "--tmpfs", path);
}

static void add_sandbox(struct args *a, const struct sandbox *s, const struct sandbox_run *run,
                        const struct sandbox_limits *limits, const struct sandbox_fds *fds)
{
    ADD(a, s->bwrap, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try");
    if (!run->network)
        add(a, "--unshare-net");
    ADD(a, "--uid", number(a, INSIDE_ID), "--gid", number(a, INSIDE_ID), "--hostname", "sandbox", "--new-session",
        "--die-with-parent", "--as-pid-1");
    add_system(a);
    add_etc_mounts(a, s, run->network);
    ADD(a, "--proc", "/proc", "--dev", "/dev");
    add_temporary(a, "/dev/shm", limits->tmp_mib * SANDBOX_MIB / 4);
    add_temporary(a, "/tmp", limits->tmp_mib * SANDBOX_MIB);
    ADD(a, "--dir", "/var", "--symlink", "../tmp", "/var/tmp");
    ADD(a, run->work_readonly ? "--ro-bind" : "--bind", arena_printf(a->arena, "%s/work", run->room->path), "/work");
    ADD(a, "--bind", arena_printf(a->arena, "%s/out", run->room->path), "/out");
    for (size_t i = 0; i < run->readonly_count; i++) {
        if (fds->kept >= 0 && fds->kept_index == i)
            ADD(a, "--symlink", INIT_KEPT_PATH, run->readonly[i].target);
        else
            ADD(a, "--ro-bind", run->readonly[i].source, run->readonly[i].target);
    }
    ADD(a, "--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/");
    ADD(a, "--chdir", "/work", "--seccomp", number(a, fds->filter), "--");
}

/* ---- the program ---- */

static size_t name_len(const char *variable)
{
    return strcspn(variable, "=");
}

static bool is_given(const char *const *env, const char *variable)
{
    for (; env && *env; env++)
        if (name_len(*env) == name_len(variable) && strncmp(*env, variable, name_len(variable)) == 0)
            return true;
    return false;
}

static void add_env(struct args *a, const struct sandbox *s, const struct sandbox_run *run)
{
    const char *home = s->mode == SANDBOX_NONE ? arena_printf(a->arena, "%s/tmp", run->room->path) : "/tmp";
    const char *const defaults[] = {
        "PATH=/usr/local/bin:/usr/bin:/bin", arena_printf(a->arena, "HOME=%s", home),
        arena_printf(a->arena, "TMPDIR=%s", home), "LANG=C.UTF-8", "TZ=UTC", "USER=tandem",
    };
    size_t count_at = a->count;
    add(a, "");
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (!is_given(run->env, defaults[i]))
            add(a, defaults[i]);
    if (run->env)
        add_all(a, run->env);
    a->items[count_at] = number(a, (int64_t)(a->count - count_at - 1));
}

static const char *init_path(struct args *a, const struct sandbox *s)
{
    return arena_printf(a->arena, "/proc/self/fd/%d", s->init_fd);
}

static void add_first(struct args *a, const struct sandbox *s, const struct sandbox_run *run,
                     const struct sandbox_limits *limits, const struct sandbox_fds *fds)
{
    bool grouped = s->mode == SANDBOX_BWRAP && cgroup_limits_memory(s->cgroups);
    const int64_t values[INIT_LIMITS] = {
        /* Sanitizers and some run-times reserve far more address space than they use. */
        [INIT_LIMIT_MEMORY] = grouped ? -1 : limits->memory_mib * SANDBOX_MIB,
        [INIT_LIMIT_PROCESSES] = s->mode == SANDBOX_BWRAP || s->root ? limits->processes + 1 : -1,
        [INIT_LIMIT_FILE] = limits->file_mib * SANDBOX_MIB,
        [INIT_LIMIT_OPEN] = OPEN_FILES,
        [INIT_LIMIT_CPU] = limits->timeout_ms ? limits->timeout_ms / 1000 + CPU_SLACK_S : -1,
    };
    ADD(a, init_path(a, s), INIT_FIRST, number(a, fds->control), number(a, fds->kept));
    for (int i = 0; i < INIT_LIMITS; i++)
        add(a, number(a, values[i]));
    add_env(a, s, run);
}

const char *const *sandbox_command(const struct sandbox *s, const struct sandbox_run *run,
                                   const struct sandbox_limits *limits, const char *const *probe_args,
                                   const struct sandbox_fds *fds, struct arena *arena)
{
    struct args a = { .arena = arena };
    ADD(&a, init_path(&a, s), INIT_WATCHER);
    if (s->mode == SANDBOX_BWRAP)
        add_sandbox(&a, s, run, limits, fds);
    add_first(&a, s, run, limits, fds);
    if (probe_args)
        add(&a, INIT_PROBE);
    add_all(&a, probe_args ? probe_args : run->argv);
    add(&a, NULL);
    arena_defer(arena, free, a.items);
    return a.items;
}
