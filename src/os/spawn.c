/* spawn.c - the threads that make children.
 *
 * Permanent threads, because PR_SET_PDEATHSIG fires when the *thread* that made the child
 * ends, and workers come and go.  One serves all; a control group of v1 has another, which
 * sits in it (spawn.h).  The child shares our memory until it executes (CLONE_VM |
 * CLONE_VFORK, as posix_spawn does): fork copies page tables, which from a process of
 * 30 MB takes three times as long (1.5 ms against 0.5 ms for a run of `true`).
 * posix_spawn itself cannot arm the parent-death signal, join a cgroup or change the uid.
 *
 * Because memory is shared, the child below makes bare system calls only.  In particular
 * setresuid(3) of the C library would change the uid of all our threads.
 *
 * Nobody can attach to the child while it shares our memory under another uid: the kernel
 * makes that memory not dumpable when the uid changes, which is undone once it is gone.
 */
#include "os/spawn.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/failpoint.h"
#include "base/str.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_STACK = 128 * 1024, THREAD_STACK = 512 * 1024 };

/* ThreadSanitizer takes clone for a fork and gives up on threads; the same function under
 * its other exported name is left alone. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

/* What the child reads, and the two fields in which it says why it failed. */
struct child {
    const struct spawn *s;
    pid_t parent;
    int keep[SPAWN_MAX_FDS]; /* sorted */
    const char *volatile failed_step;
    volatile int saved_errno;
};

/* Memory that a child sees even when it has a copy of ours (clone_into). */
struct shared {
    struct child child;
    char stack[CHILD_STACK] __attribute__((aligned(64)));
};

struct request {
    const struct spawn *s;
    struct request *next;
    bool done;
    pid_t pid;
    int pidfd;
    const char *failed_step;
    int saved_errno;
};

struct spawner {
    pthread_mutex_t lock;
    pthread_cond_t asked, answered;
    struct request *first, **last;
    bool starting, running, stop;
    pthread_t thread;
    struct shared *shared; /* of the child; one at a time */
    const int *join_fds;   /* while it starts */
    size_t join_count;
    int join_errno;
};

#define SPAWNER_INIT \
    { .lock = PTHREAD_MUTEX_INITIALIZER, .asked = PTHREAD_COND_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER }

static struct spawner common = SPAWNER_INIT;

/* ---- in the child ---- */

/* Instrumented code would leave traces in the memory that we share. */
#if defined(__clang__)
#define CHILD_CODE __attribute__((no_sanitize("address", "undefined", "thread"), disable_sanitizer_instrumentation))
#else
#define CHILD_CODE __attribute__((no_sanitize("address", "undefined", "thread")))
#endif

CHILD_CODE static int child_fail(struct child *c, const char *step)
{
    c->saved_errno = errno;
    c->failed_step = step;
    syscall(SYS_exit, 127);
    return 127;
}

CHILD_CODE static bool child_fds(const struct child *c)
{
    for (int i = 0; i < 3; i++)
        if (syscall(SYS_dup3, c->s->stdio[i], i, 0) < 0)
            return false;
    unsigned from = 3;
    for (size_t i = 0; i < c->s->keep_fd_count; i++) {
        unsigned fd = (unsigned)c->keep[i];
        if (fd > from && syscall(SYS_close_range, from, fd - 1, 0) < 0)
            return false;
        if (syscall(SYS_fcntl, fd, F_SETFD, 0) < 0)
            return false;
        from = fd + 1;
    }
    return syscall(SYS_close_range, from, ~0U, 0) == 0;
}

/* The kernel's struct sigaction, zeroed: SIG_DFL.  Also for the signals the C library hides. */
CHILD_CODE static void child_signals(void)
{
    static const unsigned long reset[4];
    for (int sig = 1; sig <= 64; sig++)
        syscall(SYS_rt_sigaction, sig, reset, NULL, 8);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, reset, NULL, 8);
}

/* No error when it cannot: nothing depends on it. */
CHILD_CODE static void child_is_expendable(void)
{
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY, 0);
    if (fd < 0)
        return;
    syscall(SYS_write, fd, "500", 3);
    syscall(SYS_close, fd);
}

CHILD_CODE static int child_main(void *arg)
{
    struct child *c = arg;
    const struct spawn *s = c->s;
    if (s->expendable)
        child_is_expendable();
    if (syscall(SYS_setsid) < 0)
        return child_fail(c, "make a session");
    if (s->uid
        && (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, s->uid, s->uid, s->uid) < 0
            || syscall(SYS_setresuid, s->uid, s->uid, s->uid) < 0))
        return child_fail(c, "change the user id");
    /* Only now: a change of uid clears it. */
    if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return child_fail(c, "arm the parent-death signal");
    if (syscall(SYS_getppid) != c->parent)
        return child_fail(c, "find its parent");
    syscall(SYS_umask, 022);
    if (syscall(SYS_chdir, s->cwd ? s->cwd : "/") < 0)
        return child_fail(c, "enter its working directory");
    if (!child_fds(c))
        return child_fail(c, "set up its descriptors");
    child_signals();
    static const char *const empty[1];
    syscall(SYS_execve, s->path, s->argv, s->env ? s->env : empty);
    return child_fail(c, "execute");
}

/* ---- in the spawner thread ---- */

static void sort_keep(struct child *c)
{
    for (size_t i = 0; i < c->s->keep_fd_count; i++) {
        size_t k = i;
        for (; k && c->keep[k - 1] > c->s->keep_fds[i]; k--)
            c->keep[k] = c->keep[k - 1];
        c->keep[k] = c->s->keep_fds[i];
    }
}

/* Into a control group of v2.  A copy of our memory, as with fork: the C library has no
 * clone3, and without a stack of its own the child cannot share ours. */
static pid_t clone_into(struct child *c, int cgroup_fd, int *pidfd)
{
    struct clone_args args = {
        .flags = (unsigned)(CLONE_VFORK | CLONE_PIDFD) + CLONE_INTO_CGROUP, .pidfd = (uintptr_t)pidfd,
        .exit_signal = SIGCHLD, .cgroup = (unsigned)cgroup_fd,
    };
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        child_main(c);
    return (pid_t)pid;
}

static void make_child(struct spawner *sp, struct request *r)
{
    struct child *c = &sp->shared->child;
    *c = (struct child){ .s = r->s, .parent = getpid() };
    sort_keep(c);
    int dumpable = r->s->uid ? prctl(PR_GET_DUMPABLE) : 0;
    int pidfd = -1;
    pid_t pid = r->s->cgroup_fd > 0 ? clone_into(c, r->s->cgroup_fd, &pidfd)
                                    : clone(child_main, sp->shared->stack + CHILD_STACK,
                                            CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, c, &pidfd);
    int saved_errno = errno;
    if (dumpable == 1)
        prctl(PR_SET_DUMPABLE, 1);
    if (pid < 0) {
        r->failed_step = "be made";
        r->saved_errno = saved_errno;
        return;
    }
    if (c->failed_step) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        close(pidfd);
        r->failed_step = c->failed_step;
        r->saved_errno = c->saved_errno;
        return;
    }
    failpoint("process.started");
    r->pid = pid;
    r->pidfd = pidfd;
}

static void *spawner_main(void *arg)
{
    struct spawner *sp = arg;
    pthread_mutex_lock(&sp->lock);
    for (size_t i = 0; i < sp->join_count && !sp->join_errno; i++)
        if (write(sp->join_fds[i], "0", 1) != 1)
            sp->join_errno = errno;
    sp->running = true;
    pthread_cond_broadcast(&sp->answered);
    while (!sp->stop) {
        struct request *r = sp->first;
        if (!r) {
            pthread_cond_wait(&sp->asked, &sp->lock);
            continue;
        }
        sp->first = r->next;
        pthread_mutex_unlock(&sp->lock);
        make_child(sp, r);
        pthread_mutex_lock(&sp->lock);
        r->done = true;
        pthread_cond_broadcast(&sp->answered);
    }
    pthread_mutex_unlock(&sp->lock);
    return NULL;
}

/* ---- for the callers ---- */

/* A forked copy of this program has no threads: it starts its own, on memory of its own.
 * (That of the original is shared with it and in use there.) */
static void after_fork(void)
{
    if (common.shared)
        munmap(common.shared, sizeof *common.shared);
    common = (struct spawner)SPAWNER_INIT;
}

static void prepare_program(void)
{
    pthread_atfork(NULL, NULL, after_fork);
    for (int fd; (fd = open("/dev/null", O_RDWR)) >= 0;)
        if (fd > 2) {
            close(fd);
            break;
        }
    struct sigaction old;
    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

/* The lock is held.  Returns 0 or an errno. */
static int start_spawner(struct spawner *sp)
{
    while (sp->starting) /* for another caller: there must never be two */
        pthread_cond_wait(&sp->answered, &sp->lock);
    if (sp->running)
        return 0;
    if (!sp->shared) {
        void *p = mmap(NULL, sizeof *sp->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return errno;
        sp->shared = p;
    }
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* no handler of ours may run in a child that shares our memory */
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    sp->starting = true;
    int failure = pthread_create(&sp->thread, &attr, spawner_main, sp);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    while (!failure && !sp->running)
        pthread_cond_wait(&sp->answered, &sp->lock);
    sp->starting = false;
    pthread_cond_broadcast(&sp->answered);
    return failure;
}

static int ask(struct spawner *sp, struct request *r)
{
    pthread_once(&prepared, prepare_program);
    pthread_mutex_lock(&sp->lock);
    int failure = sp->running ? 0 : start_spawner(sp);
    if (!failure) {
        if (!sp->first)
            sp->last = &sp->first;
        *sp->last = r;
        sp->last = &r->next;
        pthread_cond_signal(&sp->asked);
        while (!r->done)
            pthread_cond_wait(&sp->answered, &sp->lock);
    }
    pthread_mutex_unlock(&sp->lock);
    return failure;
}

int spawner_new(struct spawner **ret, const int *join_fds, size_t count, struct err *e)
{
    pthread_once(&prepared, prepare_program);
    struct spawner *sp = xcalloc(1, sizeof *sp);
    *sp = (struct spawner)SPAWNER_INIT;
    sp->join_fds = join_fds;
    sp->join_count = count;
    pthread_mutex_lock(&sp->lock);
    int failure = start_spawner(sp);
    if (!failure)
        failure = sp->join_errno;
    pthread_mutex_unlock(&sp->lock);
    if (failure) {
        spawner_free(sp);
        return err_set_errno(e, ERR_FAILED, failure, "cannot start a thread in a control group");
    }
    *ret = sp;
    return 0;
}

void spawner_free(struct spawner *sp)
{
    if (!sp)
        return;
    pthread_mutex_lock(&sp->lock);
    bool running = sp->running;
    sp->stop = true;
    pthread_cond_signal(&sp->asked);
    pthread_mutex_unlock(&sp->lock);
    if (running)
        pthread_join(sp->thread, NULL);
    if (sp->shared)
        munmap(sp->shared, sizeof *sp->shared);
    pthread_cond_destroy(&sp->asked);
    pthread_cond_destroy(&sp->answered);
    pthread_mutex_destroy(&sp->lock);
    free(sp);
}

int spawn_child(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd, struct err *e)
{
    if (s->keep_fd_count > SPAWN_MAX_FDS)
        return err_set(e, ERR_LIMIT, "%s: more than %d descriptors to keep", s->argv[0], SPAWN_MAX_FDS);
    struct request r = { .s = s };
    int failure = ask(s->spawner ? s->spawner : &common, &r);
    if (failure)
        return err_set_errno(e, ERR_FAILED, failure, "cannot start the thread that starts programs");
    if (r.failed_step && streq(r.failed_step, "execute") && r.saved_errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "%s: its interpreter (the \"#!\" line or the dynamic loader) is missing",
                       s->path);
    if (r.failed_step && r.saved_errno == ENOSYS)
        return err_set(e, ERR_UNAVAILABLE, "cannot start %s: Linux 5.9 or newer is needed", s->path);
    if (r.failed_step && streq(r.failed_step, "enter its working directory"))
        return err_set_errno(e, r.saved_errno == ENOENT ? ERR_NOT_FOUND : ERR_FAILED, r.saved_errno,
                             "cannot start %s in %s", s->path, s->cwd ? s->cwd : "/");
    if (r.failed_step)
        return err_set_errno(e, ERR_FAILED, r.saved_errno, "cannot start %s: it could not %s", s->path, r.failed_step);
    *ret_pid = r.pid;
    *ret_pidfd = r.pidfd;
    return 0;
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

int spawn_find(const char *name, char *path, size_t size, struct err *e)
{
    if (strchr(name, '/')) {
        if (*name != '/')
            return err_set(e, ERR_INVALID, "%s: a program is named by an absolute path or without a slash", name);
        if (strlen(name) >= size || !is_program(name))
            return err_set(e, ERR_NOT_FOUND, "%s: no such program", name);
        snprintf(path, size, "%s", name);
        return 0;
    }
    for (const char *p = PROCESS_PATH; *name && *p;) {
        size_t len = strcspn(p, ":");
        if ((size_t)snprintf(path, size, "%.*s/%s", (int)len, p, name) < size && is_program(path))
            return 0;
        p += len;
        p += *p == ':';
    }
    return err_set(e, ERR_NOT_FOUND, "%s: no such program in %s; install it", name, PROCESS_PATH);
}
