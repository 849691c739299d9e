/* init.c - the first process in a sandbox; a static program of its own, inside tandem's.
 *
 * bubblewrap brings an init, but that one arms its parent-death signal after the program
 * has begun (it can outlive a Tandem killed just then), starts the program at the end of
 * --block-fd as if it had been told to, and reports a signal as an exit status.  So this
 * is pid 1 (--as-pid-1) instead: it waits for GO, sets the limits where they count (in the
 * new user namespace), runs the program, reaps, and tells how it ended.
 *
 * Static, so that it starts in a fraction of a millisecond and needs nothing of what is
 * mounted.  It has no environment worth reading and cannot be traced.
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
#include <sys/wait.h>
#include <unistd.h>

enum { SWEEPS = 200 };

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

/* ---- without a pid namespace: find and kill what is left ---- */

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
 * sweep. */
static void sweep(void)
{
    for (int i = 0; i < SWEEPS; i++) {
        kill_children();
        pid_t pid;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (pid < 0)
            return;
        usleep(1000);
    }
}

static void parent_is_gone(int sig)
{
    (void)sig;
    sweep();
    _exit(0);
}

/* ---- the program ---- */

static void set_limit(int resource, const char *text)
{
    long long n = strtoll(text, NULL, 10);
    rlim_t value = n < 0 ? RLIM_INFINITY : (rlim_t)n;
    struct rlimit old, fresh = { value, value };
    if (getrlimit(resource, &old) == 0 && fresh.rlim_max > old.rlim_max)
        fresh.rlim_cur = fresh.rlim_max = old.rlim_max;
    setrlimit(resource, &fresh);
}

static void become_program(char **args)
{
    setpgid(0, 0);
    prctl(PR_SET_DUMPABLE, 1);
    set_limit(RLIMIT_CORE, "0");
    set_limit(RLIMIT_AS, args[INIT_ARG_LIMITS + INIT_LIMIT_MEMORY]);
    set_limit(RLIMIT_NPROC, args[INIT_ARG_LIMITS + INIT_LIMIT_PROCESSES]);
    set_limit(RLIMIT_FSIZE, args[INIT_ARG_LIMITS + INIT_LIMIT_FILE]);
    set_limit(RLIMIT_NOFILE, args[INIT_ARG_LIMITS + INIT_LIMIT_OPEN]);
    set_limit(RLIMIT_CPU, args[INIT_ARG_LIMITS + INIT_LIMIT_CPU]);
    signal(SIGTERM, SIG_DFL);

    char **env = args + INIT_ARG_ENV_COUNT + 1;
    long env_count = strtol(args[INIT_ARG_ENV_COUNT], NULL, 10);
    char **argv = env + env_count;
    static char *own[512];
    for (long i = 0; i < env_count && i < 511; i++)
        own[i] = env[i];
    environ = own;
    if (strcmp(argv[0], INIT_PROBE) == 0) {
        close(control);
        _exit(probe(argv + 1));
    }
    execvp(argv[0], argv);
    say(INIT_FAILED, errno);
    _exit(127);
}

/* The program's wait status; reaps whatever else ends before. */
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

int main(int argc, char **argv)
{
    if (argc <= INIT_ARG_ENV_COUNT + 1)
        return 64;
    bool plain = argv[INIT_ARG_MODE][0] == INIT_PLAIN;
    control = (int)strtol(argv[INIT_ARG_SOCKET], NULL, 10);
    prctl(PR_SET_NAME, "tandem-init");
    prctl(PR_SET_DUMPABLE, 0);
    if (plain) {
        signal(SIGTERM, parent_is_gone);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    }
    prctl(PR_SET_PDEATHSIG, plain ? SIGTERM : SIGKILL);
    fcntl(control, F_SETFD, FD_CLOEXEC);
    if (control > 3)
        close_range(3, (unsigned)control - 1, 0);
    close_range((unsigned)control + 1, UINT_MAX, 0);

    say(INIT_READY, 0);
    if (!await_go())
        return 0;
    pid_t program = fork();
    if (program == 0)
        become_program(argv);
    if (program < 0) {
        say(INIT_FAILED, errno);
        return 0;
    }
    int status = reap_until(program);
    if (plain)
        sweep();
    say(INIT_ENDED, status);
    return 0;
}
