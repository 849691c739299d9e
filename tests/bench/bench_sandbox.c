/* bench_sandbox.c - what a child and a sandbox cost, beside fork, exec and bubblewrap alone.
 *
 * The bare side is measured in the same loop, alternating, so that a busy machine is busy
 * for both.
 */
#include "bench.h"

#include "base/clock.h"
#include "base/err.h"
#include "os/sandbox.h"

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 200, SANDBOX_ROUNDS = 100, OPEN_ROUNDS = 15, BALLAST = 30 << 20 };

static void fail(const struct err *e)
{
    fprintf(stderr, "%s\n", e->text);
    exit(1);
}

/* fork, exec, wait; as the sandbox's uid when we are root and `drop`. */
static double bare(const char *const *argv, bool drop)
{
    int64_t start = clock_steady_us();
    pid_t pid = fork();
    if (pid == 0) {
        char *const env[] = { NULL };
        if (drop && geteuid() == 0
            && (setgroups(0, NULL) != 0 || setgid(SANDBOX_FIRST_UID) != 0 || setuid(SANDBOX_FIRST_UID) != 0))
            _exit(126);
        execve(argv[0], (char *const *)argv, env);
        _exit(127);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "%s alone does not run (status %#x)\n", argv[0], (unsigned)status);
        exit(1);
    }
    return (double)(clock_steady_us() - start) / 1000;
}

static double child(void)
{
    const char *const argv[] = { "/bin/true", NULL };
    struct process_result r;
    struct err e;
    int64_t start = clock_steady_us();
    if (process_run(&(struct process_options){ .argv = argv }, &r, &e) < 0)
        fail(&e);
    process_result_release(&r);
    return (double)(clock_steady_us() - start) / 1000;
}

static void bench_child(const char *name)
{
    static double ours[ROUNDS], theirs[ROUNDS];
    const char *const argv[] = { "/bin/true", NULL };
    child();
    for (int i = 0; i < ROUNDS; i++) {
        ours[i] = child();
        theirs[i] = bare(argv, false);
    }
    double value = bench_median(ours, ROUNDS), beside = bench_median(theirs, ROUNDS);
    bench_row(name, "ms", value, beside, "<= 1.3 x bare or 0.2 ms above", value <= 1.3 * beside || value <= beside + 0.2);
}

static double sandboxed(struct sandbox *s)
{
    const char *const argv[] = { "true", NULL };
    struct sandbox_room room;
    struct sandbox_result r;
    struct err e;
    int64_t start = clock_steady_us();
    if (sandbox_room_make(s, &room, &e) < 0
        || sandbox_run(s, &(struct sandbox_run){ .argv = argv, .room = &room }, &r, &e) < 0)
        fail(&e);
    sandbox_result_release(&r);
    sandbox_room_remove(s, &room);
    return (double)(clock_steady_us() - start) / 1000;
}

/* The namespaces and mounts of the sandbox, without its filter, limits, room and watcher. */
#define MOUNTS \
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--unshare-net", \
    "--uid", "1000", "--gid", "1000", "--new-session", "--die-with-parent", "--as-pid-1", "--ro-bind", "/usr", "/usr", \
    "--ro-bind", "/lib", "/lib", "--ro-bind-try", "/lib64", "/lib64", "--ro-bind", "/bin", "/bin", "--dir", "/etc", \
    "--ro-bind-try", "/etc/alternatives", "/etc/alternatives", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", \
    "--proc", "/proc", "--dev", "/dev", "--size", "67108864", "--tmpfs", "/dev/shm", "--size", "268435456", "--tmpfs", \
    "/tmp", "--ro-bind", "/usr/bin", "/work", "--ro-bind", "/usr/lib", "/out", "--remount-ro", "/proc", \
    "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/work"

static void bench_sandbox(void)
{
    static double ours[SANDBOX_ROUNDS], theirs[SANDBOX_ROUNDS], opening[OPEN_ROUNDS];
    const char *const argv[] = { "/usr/bin/bwrap", MOUNTS, "--", "/bin/true", NULL };
    struct sandbox *s;
    struct err e;
    for (int i = 0; i < OPEN_ROUNDS; i++) {
        int64_t start = clock_steady_us();
        if (sandbox_open(&s, SANDBOX_BWRAP, NULL, &e) < 0)
            fail(&e);
        opening[i] = (double)(clock_steady_us() - start) / 1000;
        sandbox_free(s);
    }
    if (sandbox_open(&s, SANDBOX_BWRAP, NULL, &e) < 0)
        fail(&e);
    for (int i = 0; i < SANDBOX_ROUNDS; i++) {
        ours[i] = sandboxed(s);
        theirs[i] = bare(argv, true);
    }
    sandbox_free(s);
    double value = bench_median(ours, SANDBOX_ROUNDS), beside = bench_median(theirs, SANDBOX_ROUNDS);
    bench_row("sandboxed true, with its room", "ms", value, beside, "<= 10 ms", value <= 10);
    value = bench_median(opening, OPEN_ROUNDS);
    bench_row("opening the sandbox, with its self-test", "ms", value, -1, "<= 15 ms", value <= 15);
}

int main(void)
{
    bench_child("a child");
    char *ballast = malloc(BALLAST);
    if (!ballast)
        return 1;
    memset(ballast, 1, BALLAST);
    bench_child("a child, from a process of 30 MB");
    free(ballast);
    bench_sandbox();
    return 0;
}
