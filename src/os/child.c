/* child.c - the pipes of a child, its end, and the account of time. */
#include "os/child.h"

#include "base/err.h"
#include "os/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static _Atomic int64_t total_wall_us[PROCESS_KIND_COUNT], total_count[PROCESS_KIND_COUNT];
static _Thread_local struct process_times thread_times;

void child_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A pipe whose ends are above 2, so that making one of them descriptor 0, 1 or 2 cannot
 * overwrite another.  fd[0] is for reading. */
static int make_pipe(int fd[2])
{
    if (pipe2(fd, O_CLOEXEC) != 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (fd[i] > 2)
            continue;
        int moved = fcntl(fd[i], F_DUPFD_CLOEXEC, 3);
        int saved_errno = errno;
        close(fd[i]);
        fd[i] = moved;
        if (moved < 0) {
            close(fd[!i]);
            errno = saved_errno;
            return -1;
        }
    }
    return 0;
}

static void do_not_block(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

struct ends {
    int ours[3], theirs[3];
};

static int open_ends(const struct process_options *o, bool with_input, struct ends *d)
{
    int fd[2];
    if (o->input_fd > 2) {
        d->theirs[0] = fcntl(o->input_fd, F_DUPFD_CLOEXEC, 3);
        if (d->theirs[0] < 0)
            return -1;
    } else if (with_input) {
        if (make_pipe(fd) != 0)
            return -1;
        d->theirs[0] = fd[0];
        d->ours[0] = fd[1];
    } else {
        d->theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (d->theirs[0] < 0)
            return -1;
    }
    for (int i = 1; i < (o->merge_stderr ? 2 : 3); i++) {
        if (make_pipe(fd) != 0)
            return -1;
        d->ours[i] = fd[0];
        d->theirs[i] = fd[1];
    }
    for (int i = 0; i < 3; i++)
        if (d->ours[i] >= 0)
            do_not_block(d->ours[i]);
    return 0;
}

int child_start(const struct process_options *o, const struct process_hooks *h, bool with_input,
                struct child_pipes *ret, struct err *e)
{
    char path[PATH_MAX];
    int code = spawn_find(o->argv[0], path, sizeof path, e);
    if (code < 0)
        return code;
    struct ends d = { { -1, -1, -1 }, { -1, -1, -1 } };
    struct child_pipes c = { .pid = -1, .pidfd = -1 };
    if (open_ends(o, with_input, &d) != 0) {
        code = err_set_errno(e, ERR_FAILED, errno, "cannot make the pipes for %s", o->argv[0]);
        goto out;
    }
    /* Else code under another uid could not open /dev/stdout, which is the pipe. */
    for (int i = 0; o->uid && i < 3; i++)
        if ((i || with_input || o->input_fd > 2) && d.theirs[i] >= 0 && fchown(d.theirs[i], o->uid, o->uid) != 0) {
            code = err_set_errno(e, ERR_FAILED, errno, "cannot give the pipes of %s away", o->argv[0]);
            goto out;
        }
    struct spawn s = {
        .path = path, .argv = o->argv, .env = o->env, .cwd = o->cwd,
        .stdio = { d.theirs[0], d.theirs[1], o->merge_stderr ? d.theirs[1] : d.theirs[2] },
        .keep_fds = o->keep_fds, .keep_fd_count = o->keep_fd_count,
        .spawner = h ? h->spawner : NULL, .cgroup_fd = h ? h->cgroup_fd : 0, .expendable = h && h->expendable,
        .uid = o->uid,
    };
    code = spawn_child(&s, &c.pid, &c.pidfd, e);
out:
    for (int i = 0; i < 3; i++) {
        child_close(&d.theirs[i]);
        if (code < 0)
            child_close(&d.ours[i]);
    }
    if (code < 0)
        return code;
    c.in = d.ours[0];
    c.out = d.ours[1];
    c.err = d.ours[2];
    *ret = c;
    return 0;
}

int child_reap(struct child_pipes *c, struct rusage *usage)
{
    int status = 0;
    kill(-c->pid, SIGKILL); /* before reaping: afterwards the number may be somebody else's */
    while (wait4(c->pid, &status, 0, usage) < 0 && errno == EINTR)
        ;
    child_close(&c->pidfd);
    child_close(&c->in);
    child_close(&c->out);
    child_close(&c->err);
    return status;
}

/* ---- time ---- */

void times_add(enum process_kind kind, int64_t wall_us, int64_t children)
{
    thread_times.wall_us[kind] += wall_us;
    thread_times.count[kind] += children;
    atomic_fetch_add_explicit(&total_wall_us[kind], wall_us, memory_order_relaxed);
    atomic_fetch_add_explicit(&total_count[kind], children, memory_order_relaxed);
}

struct process_times process_times_thread(void)
{
    return thread_times;
}

struct process_times process_times_total(void)
{
    struct process_times t;
    for (int i = 0; i < PROCESS_KIND_COUNT; i++) {
        t.wall_us[i] = atomic_load_explicit(&total_wall_us[i], memory_order_relaxed);
        t.count[i] = atomic_load_explicit(&total_count[i], memory_order_relaxed);
    }
    return t;
}
