/* init.c - the two processes around sandboxed code; a static program of its own, inside
 * tandem's.
 *
 *   tandem -> watcher -> bwrap -> bwrap (sets up) = first process -> the program
 *
 * The watcher exists because bubblewrap alone cannot promise to leave nothing: its second
 * half waits for its first on an eventfd that both hold, before any parent-death signal is
 * armed, so killing the first half just then leaves the second waiting for ever.  The
 * watcher adopts such orphans and kills them, when the first half ended or when Tandem did.
 * Without a sandbox it does the same for what a program leaves behind.
 *
 * The first process is pid 1 inside (--as-pid-1) instead of bubblewrap's, which reports a
 * signal as an exit status and can begin the program after Tandem's death.  It waits for
 * GO, sets the limits where they count (in the new user namespace), runs the program, reaps,
 * and tells how it ended.
 *
 * Static, so that it starts in a fraction of a millisecond and needs nothing of what is
 * mounted.  Neither has an environment worth reading, and neither can be traced.
 */
#include "os/init/probe.h"
#include "os/init/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SWEEPS = 2000, SWEEP_US = 500 };

static int control;

static void say(int kind, int value)
{
    struct init_message m = { kind, value };
    while (send(control, &m, sizeof m, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

static bool await_go(void)
{
    struct init_message m;
    ssize_t n;
    while ((n = recv(control, &m, sizeof m, 0)) < 0 && errno == EINTR)
        ;
    return n == (ssize_t)sizeof m && m.kind == INIT_GO;
}

/* ---- the watcher ---- */

static void kill_children(void)
{
    char path[64], text[65536];
    snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    for (char *p = text, *end; *p; p = end) {
        long pid = strtol(p, &end, 10);
        if (end == p)
            break;
        if (pid > 1)
            kill((pid_t)pid, SIGKILL);
    }
}

/* A killed child's children become ours (PR_SET_CHILD_SUBREAPER) and are met in the next
 * sweep.  Returns when there are none. */
static void sweep(void)
{
    for (int i = 0; i < SWEEPS; i++) {
        kill_children();
        pid_t pid;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (pid < 0)
            return;
        usleep(SWEEP_US);
    }
}

/* Tandem wants an end, or is gone. */
static void on_term(int sig)
{
    (void)sig;
    sweep();
    _exit(0);
}

/* The wait status of `program`; reaps whatever else ends before. */
static int reap_until(pid_t program)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid == program)
            return status;
        if (pid < 0 && errno != EINTR)
            return 0;
    }
}

static int watch(char **command)
{
    /* Until here the parent-death signal was SIGKILL, and there was nobody to clean up after. */
    signal(SIGTERM, on_term);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    pid_t self = getpid(), child = vfork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == self) /* executing puts SIGTERM back to its default */
            execv(command[0], command);
        _exit(127);
    }
    int status = child < 0 ? 0x7f00 : reap_until(child);
    sweep();
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- the first process ---- */

/* By system call, as the C libraries do not agree on the type of `resource`. */
static void set_limit(int resource, const char *text)
{
    long long n = strtoll(text, NULL, 10);
    struct rlimit old, fresh = { n < 0 ? RLIM_INFINITY : (rlim_t)n, n < 0 ? RLIM_INFINITY : (rlim_t)n };
    if (syscall(SYS_prlimit64, 0, resource, NULL, &old) == 0 && fresh.rlim_max > old.rlim_max)
        fresh.rlim_cur = fresh.rlim_max = old.rlim_max;
    syscall(SYS_prlimit64, 0, resource, &fresh, NULL);
}

/* In a child that shares our memory (vfork), but for the probe, which runs on in it. */
static void become_program(char **args)
{
    setpgid(0, 0);
    set_limit(RLIMIT_CORE, "0");
    set_limit(RLIMIT_AS, args[INIT_ARG_LIMITS + INIT_LIMIT_MEMORY]);
    set_limit(RLIMIT_NPROC, args[INIT_ARG_LIMITS + INIT_LIMIT_PROCESSES]);
    set_limit(RLIMIT_FSIZE, args[INIT_ARG_LIMITS + INIT_LIMIT_FILE]);
    set_limit(RLIMIT_NOFILE, args[INIT_ARG_LIMITS + INIT_LIMIT_OPEN]);
    set_limit(RLIMIT_CPU, args[INIT_ARG_LIMITS + INIT_LIMIT_CPU]);

    char **env = args + INIT_ARG_ENV_COUNT + 1;
    long env_count = strtol(args[INIT_ARG_ENV_COUNT], NULL, 10);
    char **argv = env + env_count;
    static char *own[512];
    for (long i = 0; i < env_count && i < 511; i++)
        own[i] = env[i];
    environ = own;
    if (strcmp(argv[0], INIT_PROBE) == 0) {
        prctl(PR_SET_DUMPABLE, 1);
        close(control);
        _exit(probe(argv + 1));
    }
    execvp(argv[0], argv);
    say(INIT_FAILED, errno);
    _exit(127);
}

/* Gives the descriptor that the program is to have its number; returns the first one that it is
 * not to have. */
static unsigned keep(int fd)
{
    if (fd < 0)
        return INIT_KEPT_FD;
    if (control <= INIT_KEPT_FD)
        control = fcntl(control, F_DUPFD, INIT_KEPT_FD + 1);
    if (fd != INIT_KEPT_FD)
        dup2(fd, INIT_KEPT_FD);
    return INIT_KEPT_FD + 1;
}

static int first(char **argv)
{
    control = (int)strtol(argv[INIT_ARG_SOCKET], NULL, 10);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    unsigned first_unwanted = keep((int)strtol(argv[INIT_ARG_KEPT], NULL, 10));
    fcntl(control, F_SETFD, FD_CLOEXEC);
    if ((unsigned)control > first_unwanted)
        close_range(first_unwanted, (unsigned)control - 1, 0);
    close_range((unsigned)control + 1, UINT_MAX, 0);

    say(INIT_READY, 0);
    if (!await_go())
        return 0;
    char **command = argv + INIT_ARG_ENV_COUNT + 1 + strtol(argv[INIT_ARG_ENV_COUNT], NULL, 10);
    pid_t program = strcmp(command[0], INIT_PROBE) == 0 ? fork() : vfork();
    if (program == 0)
        become_program(argv);
    if (program < 0)
        say(INIT_FAILED, errno);
    else
        say(INIT_ENDED, reap_until(program));
    return 0;
}

int main(int argc, char **argv)
{
    prctl(PR_SET_NAME, "tandem-init");
    prctl(PR_SET_DUMPABLE, 0);
    if (argc > INIT_ARG_COMMAND && strcmp(argv[INIT_ARG_ROLE], INIT_WATCHER) == 0)
        return watch(argv + INIT_ARG_COMMAND);
    if (argc > INIT_ARG_ENV_COUNT + 1 && strcmp(argv[INIT_ARG_ROLE], INIT_FIRST) == 0)
        return first(argv);
    return 64;
}
