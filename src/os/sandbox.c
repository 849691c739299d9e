/* sandbox.c - opens the sandbox and runs one program in it.
 *
 * A run is a child like any other (process.c): the watcher of init/init.c, which starts
 * bubblewrap and has cleaned up behind it when it ends.  A socket leads to the first
 * process inside (init/protocol.h), which says READY once it will die with its parents;
 * only then it gets GO.  So whichever process is killed at any instant, Tandem included,
 * nothing is left running.
 */
#include "os/sandbox_internal.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/failpoint.h"
#include "base/setting.h"
#include "os/child.h"
#include "os/files.h"
#include "os/init/data.h"
#include "os/init/protocol.h"
#include "os/syscall_filter.h"
#include "os/spawn.h"
#include "os/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TICK_MS = 50, SLOW_TICK_MS = 1000,
    GROUP_SLACK = 5,       /* a thread of ours, the watcher, bubblewrap and the first process count, too */
    DISK_RESERVE_MIB = 64, /* a run ends rather than leave less than this on the disk */
    GONE_WAIT_MS = 5000,
};

const struct sandbox_limits sandbox_default_limits = {
    .timeout_ms = 120000, .memory_mib = 2048, .processes = 256, .file_mib = 256, .tmp_mib = 256, .disk_mib = 1024,
    .max_output = 4 * 1024 * 1024,
};

/* ---- opening ---- */

enum sandbox_mode sandbox_mode_of(const struct settings *set)
{
    return set->sandbox == SETTING_SANDBOX_NONE ? SANDBOX_IF_THERE : SANDBOX_BWRAP;
}

const char *sandbox_scratch_of(const struct settings *set)
{
    return *set->scratch ? set->scratch : NULL;
}

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* The first process as a sealed file in memory: nothing inside can write to it. */
static int make_init(int *ret_fd, struct err *e)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create("tandem-init", flags | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) /* older than Linux 6.3 */
        fd = memfd_create("tandem-init", flags);
    size_t len = (size_t)(sandbox_init_end - sandbox_init_data);
    if (fd < 0 || write(fd, sandbox_init_data, len) != (ssize_t)len || fchmod(fd, 0555) != 0
        || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        int code = err_set_errno(e, ERR_UNAVAILABLE, errno, "cannot make the sandbox's first process");
        if (fd >= 0)
            close(fd);
        return code;
    }
    *ret_fd = fd;
    return 0;
}

/* Whether we can take the uids of the range: we are root, and not of a user namespace that
 * knows no others. */
static bool can_change_uid(void)
{
    if (geteuid() != 0)
        return false;
    static const char *const maps[] = { "/proc/self/uid_map", "/proc/self/gid_map" };
    for (int i = 0; i < 2; i++) {
        STR_LOCAL(map);
        long long inside, outside, count;
        bool whole = false;
        if (file_read_path(maps[i], 1 << 16, &map, NULL) < 0)
            return false;
        for (const char *line = map.data; *line; line += strcspn(line, "\n"), line += *line == '\n')
            if (sscanf(line, "%lld %lld %lld", &inside, &outside, &count) == 3)
                whole = whole || (inside <= SANDBOX_FIRST_UID
                                  && inside + count >= SANDBOX_FIRST_UID + SANDBOX_UID_COUNT);
        if (!whole)
            return false;
    }
    return true;
}

/* Uids of the range that belong to somebody. */
static void note_users(struct sandbox *s)
{
    STR_LOCAL(users);
    if (file_read_path("/etc/passwd", 1 << 22, &users, NULL) < 0)
        return;
    for (const char *line = users.data; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *password = strchr(line, ':');
        const char *uid = password ? strchr(password + 1, ':') : NULL;
        long n = uid ? strtol(uid + 1, NULL, 10) - SANDBOX_FIRST_UID : -1;
        if (n >= 0 && n < SANDBOX_UID_COUNT)
            s->uid_in_use[n] = true;
    }
}

static void describe(struct sandbox *s)
{
    char who[64];
    snprintf(who, sizeof who, s->root ? "user ids %d to %d" : "your own user id", SANDBOX_FIRST_UID,
             SANDBOX_FIRST_UID + SANDBOX_UID_COUNT - 1);
    const char *memory = cgroup_limits_memory(s->cgroups) ? "memory by control group" : "memory of each process alone";
    const char *processes = cgroup_limits_processes(s->cgroups) ? "processes by control group" : "processes by rlimit";
    if (s->mode == SANDBOX_NONE)
        snprintf(s->description, sizeof s->description, "NO SANDBOX (%s; deadline, output and rlimits only)", who);
    else
        snprintf(s->description, sizeof s->description, "bubblewrap (%s; limits: %s, %s)", who, memory, processes);
}

const char *sandbox_describe(const struct sandbox *s)
{
    return s->description;
}

const char *sandbox_lacks(const struct sandbox *s)
{
    return s->lacks;
}

static int prepare(struct sandbox *s, const char *scratch, struct err *e)
{
    int code = 0;
    if (s->mode == SANDBOX_BWRAP) {
        code = spawn_find("bwrap", s->bwrap, sizeof s->bwrap, e);
        if (code < 0)
            return err_set(e, ERR_UNAVAILABLE, "bubblewrap is not installed, so no code can be run safely; install it "
                           "(apt-get install bubblewrap)");
    }
    code = sandbox_scratch_make(s, scratch, e);
    if (code == 0)
        code = make_init(&s->init_fd, e);
    if (code < 0 || s->mode == SANDBOX_NONE)
        return code;
    code = syscall_filter_make(false, &s->filter_fd[false], e);
    if (code == 0)
        code = syscall_filter_make(true, &s->filter_fd[true], e);
    if (code == 0)
        code = sandbox_etc_make(s, e);
    return code;
}

static int open_as(struct sandbox **ret, enum sandbox_mode mode, const char *scratch, const char *lacks, struct err *e)
{
    struct sandbox *s = xcalloc(1, sizeof *s);
    *s = (struct sandbox){ .mode = mode, .root = can_change_uid(), .scratch_fd = -1, .init_fd = -1,
                           .filter_fd = { -1, -1 } };
    pthread_mutex_init(&s->lock, NULL);
    static atomic_uint opened;
    s->next_slot = (unsigned)getpid() * 37 + atomic_fetch_add(&opened, 1) * 400; /* two Tandems, or sandboxes, seldom share a uid */
    note_users(s);
    int code = prepare(s, scratch, e);
    if (code == 0 && mode == SANDBOX_BWRAP) {
        cgroup_pool_open(&s->cgroups, strrchr(s->scratch, '/') + 1, NULL);
        code = sandbox_quick_test(s, e);
        if (code < 0 && s->cgroups) { /* perhaps a group can be made but not joined */
            cgroup_pool_free(s->cgroups);
            s->cgroups = NULL;
            code = sandbox_quick_test(s, e);
        }
    }
    if (code < 0) {
        sandbox_free(s);
        return code;
    }
    describe(s);
    snprintf(s->lacks, sizeof s->lacks, "%s", lacks);
    *ret = s;
    return 0;
}

int sandbox_open(struct sandbox **ret, enum sandbox_mode mode, const char *scratch, struct err *e)
{
    struct err why;
    if (mode == SANDBOX_NONE)
        return open_as(ret, mode, scratch, "none was asked for", e);
    int code = open_as(ret, SANDBOX_BWRAP, scratch, "", &why);
    if (code == ERR_UNAVAILABLE && mode == SANDBOX_IF_THERE)
        return open_as(ret, SANDBOX_NONE, scratch, why.text, e);
    if (code < 0 && e)
        *e = why;
    return code;
}

void sandbox_free(struct sandbox *s)
{
    if (!s)
        return;
    cgroup_pool_free(s->cgroups);
    sandbox_scratch_remove(s);
    child_close(&s->init_fd);
    child_close(&s->filter_fd[0]);
    child_close(&s->filter_fd[1]);
    for (size_t i = 0; i < s->etc_count; i++)
        free(s->etc[i]);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- one run ---- */

struct under_way {
    const struct sandbox *s;
    const struct sandbox_run *run;
    const struct sandbox_limits *limits;
    struct cgroup *group;  /* NULL: none */
    int control[2];        /* ours, theirs */
    int filter_fd;
    int kept_fd;           /* of a file that cannot be mounted */
    size_t kept_index;
    bool ready, ended;
    int exec_errno;        /* other than 0: the program could not be executed */
    int wait_status;
    int64_t counted_us;    /* how long counting the disk took last */
    int64_t next_count_ms;
    bool oom, disk, disk_low;
};

static void heard_ready(struct under_way *u)
{
    u->ready = true;
    failpoint("sandbox.ready");
    struct init_message go = { INIT_GO, 0 };
    ssize_t ignored = send(u->control[0], &go, sizeof go, MSG_NOSIGNAL);
    (void)ignored;
    failpoint("sandbox.go");
}

static bool on_control(void *ctx)
{
    struct under_way *u = ctx;
    struct init_message m;
    ssize_t n = recv(u->control[0], &m, sizeof m, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n != (ssize_t)sizeof m)
        return false;
    if (m.kind == INIT_READY && !u->ready)
        heard_ready(u);
    else if (m.kind == INIT_FAILED)
        u->exec_errno = m.value;
    else if (m.kind == INIT_ENDED) {
        u->ended = true;
        u->wait_status = m.value;
    }
    return true;
}

static bool disk_is_low(const struct under_way *u)
{
    struct statvfs v;
    return fstatvfs(u->run->room->work_fd, &v) == 0
           && (int64_t)v.f_bavail * (int64_t)v.f_frsize < (int64_t)DISK_RESERVE_MIB * SANDBOX_MIB;
}

/* True when the run must end.  Counting takes at most a tenth of the time. */
static bool on_tick(void *ctx)
{
    struct under_way *u = ctx;
    u->oom = u->group && cgroup_oom_kills(u->group) > 0;
    int64_t now_us = clock_steady_us();
    if (now_us / 1000 >= u->next_count_ms) {
        int64_t total = 0, most = u->limits->disk_mib * SANDBOX_MIB;
        usage_add(u->run->room->work_fd, most, &total);
        usage_add(u->run->room->out_fd, most, &total);
        u->disk = total > most;
        u->disk_low = disk_is_low(u);
        int64_t took_us = clock_steady_us() - now_us;
        u->next_count_ms = (now_us + took_us * 10) / 1000;
    }
    return u->oom || u->disk || u->disk_low;
}

/* The watcher has ended and with it all others, unless it was killed itself: then waits
 * for the end of the socket, which the first process holds.  Takes its last words. */
static void wait_until_gone(struct under_way *u)
{
    int64_t deadline = clock_steady_ms() + GONE_WAIT_MS, left;
    shutdown(u->control[0], SHUT_WR);
    struct pollfd p = { .fd = u->control[0], .events = POLLIN };
    while ((left = deadline - clock_steady_ms()) > 0) {
        poll(&p, 1, (int)left);
        if (p.revents && !on_control(u))
            return;
    }
}

static int open_control(struct under_way *u, struct err *e)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, u->control) != 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot make the sandbox's socket");
    return 0;
}

/* A descriptor of its own for each run: bubblewrap reads to the end of the file, and a
 * duplicate would share the position. */
static int open_filter(struct under_way *u, struct err *e)
{
    if (u->s->mode == SANDBOX_NONE)
        return 0;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", u->s->filter_fd[u->run->network]);
    u->filter_fd = open(path, O_RDONLY | O_CLOEXEC);
    return u->filter_fd < 0 ? err_set_errno(e, ERR_FAILED, errno, "cannot open the filter of system calls") : 0;
}

/* Opens a file that the room's uid cannot reach but may read; false: it is no such file. */
static bool keep_open(struct under_way *u, size_t index)
{
    struct stat st;
    if (u->kept_fd >= 0 || u->s->mode == SANDBOX_NONE)
        return false;
    int fd = open(u->run->readonly[index].source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    u->kept_fd = fcntl(fd, F_DUPFD_CLOEXEC, INIT_KEPT_FD + 1);
    close(fd);
    u->kept_index = index;
    return u->kept_fd >= 0 && fstat(u->kept_fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IROTH | S_IWOTH)) == S_IROTH;
}

static int check_sources(struct under_way *u, struct err *e)
{
    const struct sandbox *s = u->s;
    const struct sandbox_run *run = u->run;
    for (size_t i = 0; i < run->readonly_count; i++) {
        const char *source = run->readonly[i].source;
        if (access(source, F_OK) != 0)
            return err_set_errno(e, ERR_NOT_FOUND, errno, "cannot mount %s in the sandbox", source);
        size_t room_len = strlen(run->room->path);
        bool in_room = strncmp(source, run->room->path, room_len) == 0 && source[room_len] == '/';
        if (s->root && !in_room && !sandbox_is_open_to_all(source) && !keep_open(u, i))
            return err_set(e, ERR_REFUSED, "cannot mount %s in the sandbox: it runs under a user id of its own, which "
                           "cannot reach it; put it outside of home directories, open to all", source);
    }
    return 0;
}

static int run_child(struct under_way *u, const char *const *probe_args, struct process_result *ret, struct err *e)
{
    ARENA_LOCAL(a);
    const struct sandbox *s = u->s;
    const int keep[4] = { u->control[1], s->init_fd, u->filter_fd, u->kept_fd };
    const struct sandbox_fds fds = { u->control[1], u->filter_fd, u->kept_fd, u->kept_index };
    const char *cwd = s->mode == SANDBOX_NONE ? arena_printf(&a, "%s/work", u->run->room->path) : NULL;
    struct process_options o = {
        .argv = sandbox_command(s, u->run, u->limits, probe_args, &fds, &a),
        .cwd = cwd, .timeout_ms = u->limits->timeout_ms, .max_output = u->limits->max_output, .endless = u->run->endless,
        .input_fd = u->run->input_fd, .cancel = u->run->cancel,
        .on_output = u->run->on_output, .ctx = u->run->ctx, .keep_fds = keep,
        .keep_fd_count = s->mode == SANDBOX_NONE ? 2 : u->kept_fd < 0 ? 3 : 4, .uid = s->root ? u->run->room->uid : 0,
        .kind = PROCESS_KIND_SANDBOX,
    };
    struct process_hooks h = {
        .spawner = u->group ? cgroup_spawner(u->group) : NULL, .cgroup_fd = u->group ? cgroup_dir_fd(u->group) : 0,
        .expendable = true,
        .control_fd = u->control[0], .on_control = on_control, .tick_ms = u->limits->timeout_ms ? TICK_MS : SLOW_TICK_MS, .on_tick = on_tick,
        .soft_signal = SIGTERM, .ctx = u,
    };
    return process_run_hooked(&o, &h, ret, e);
}

/* What went wrong before the program began. */
static int did_not_run(const struct under_way *u, struct process_result *p, struct err *e)
{
    const char *name = u->run->argv ? u->run->argv[0] : "the program";
    if (u->exec_errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "%s: no such program (or no such interpreter) in the sandbox", name);
    if (u->exec_errno)
        return err_set_errno(e, ERR_FAILED, u->exec_errno, "%s cannot be executed in the sandbox", name);
    str_rtrim(&p->err);
    char how[64];
    const char *why = p->err.len ? p->err.data : process_result_describe(p, how, sizeof how);
    return err_set(e, ERR_UNAVAILABLE, "the sandbox could not be set up: %.800s", why);
}

static void judge(struct under_way *u, struct sandbox_result *r)
{
    struct process_result *p = &r->process;
    if (u->ended && p->end == PROCESS_EXITED) {
        p->end = WIFSIGNALED(u->wait_status) ? PROCESS_SIGNALLED : PROCESS_EXITED;
        p->status = WIFSIGNALED(u->wait_status) ? WTERMSIG(u->wait_status) : WEXITSTATUS(u->wait_status);
    } else if (!u->ended && p->end == PROCESS_EXITED && p->status > 128) {
        p->end = PROCESS_SIGNALLED; /* the first process itself was killed: bubblewrap says 128 + signal */
        p->status -= 128;
    }
    r->oom_killed = u->group && cgroup_oom_kills(u->group) > 0;
    r->disk_exceeded = u->disk || u->disk_low;
    const struct sandbox_limits *l = u->limits;
    char *text = r->limit_text;
    size_t size = sizeof r->limit_text;
    if (r->oom_killed)
        snprintf(text, size, "It used more than %lld MiB of memory.", (long long)l->memory_mib);
    else if (u->disk)
        snprintf(text, size, "It wrote more than %lld MiB to the disk.", (long long)l->disk_mib);
    else if (u->disk_low)
        snprintf(text, size, "It was ended because the disk is nearly full.");
    else if (p->end == PROCESS_TIMED_OUT)
        snprintf(text, size, "It took longer than %g seconds.", (double)l->timeout_ms / 1000);
    else if (p->end == PROCESS_FLOODED)
        snprintf(text, size, "It printed more than %zu bytes.", l->max_output);
    r->limit_hit = text[0] != '\0';
}

static int set_up(struct under_way *u, struct err *e)
{
    int code = check_sources(u, e);
    if (code == 0)
        code = sandbox_room_own(u->s, u->run->room, e);
    if (code == 0)
        code = open_control(u, e);
    if (code == 0)
        code = open_filter(u, e);
    if (code == 0 && u->s->cgroups)
        code = cgroup_take(u->s->cgroups, u->limits->memory_mib * SANDBOX_MIB, u->limits->processes + GROUP_SLACK,
                           &u->group, e);
    return code;
}

int sandbox_execute(struct sandbox *s, const struct sandbox_run *run, const char *const *probe_args,
                    struct sandbox_result *ret, struct err *e)
{
    struct under_way u = { .s = s, .run = run, .limits = run->limits ? run->limits : &sandbox_default_limits,
                           .control = { -1, -1 }, .filter_fd = -1, .kept_fd = -1 };
    struct sandbox_result r = { .process = { .out = STR_INIT, .err = STR_INIT } };
    int64_t started_us = clock_steady_us(), counted_us = process_times_thread().wall_us[PROCESS_KIND_SANDBOX];
    int code = set_up(&u, e);
    if (code == 0)
        code = run_child(&u, probe_args, &r.process, e);
    child_close(&u.control[1]);
    if (code == 0) {
        wait_until_gone(&u);
        judge(&u, &r);
        if (u.exec_errno || (!u.ready && r.process.end <= PROCESS_SIGNALLED && !r.limit_hit))
            code = did_not_run(&u, &r.process, e);
    }
    child_close(&u.control[0]);
    child_close(&u.filter_fd);
    child_close(&u.kept_fd);
    if (u.group)
        cgroup_give_back(s->cgroups, u.group);
    /* What is around the process belongs to it in the account of time. */
    counted_us = process_times_thread().wall_us[PROCESS_KIND_SANDBOX] - counted_us;
    times_add(PROCESS_KIND_SANDBOX, clock_steady_us() - started_us - counted_us, 0);
    if (code < 0)
        sandbox_result_release(&r);
    else
        *ret = r;
    return code;
}

int sandbox_run(struct sandbox *s, const struct sandbox_run *run, struct sandbox_result *ret, struct err *e)
{
    return sandbox_execute(s, run, NULL, ret, e);
}

void sandbox_result_release(struct sandbox_result *r)
{
    process_result_release(&r->process);
}
