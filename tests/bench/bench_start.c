/* bench_start.c - how long `tandem --version` takes, beside a program that does nothing.
 *
 * The bare program is linked against the same shared libraries: loading them is most of
 * what starting costs, and the price of choosing them. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES = 300, WARM_UP = 20 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double run_once(const char *program)
{
    const char *argv[] = { program, "--version", NULL };
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    double start = now_ms();
    pid_t pid;
    int status = -1;
    if (posix_spawn(&pid, program, &files, NULL, (char *const *)argv, environ) != 0 ||
        waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "%s did not run\n", program);
        exit(1);
    }
    double took = now_ms() - start;
    posix_spawn_file_actions_destroy(&files);
    return took;
}

int main(void)
{
    const char *tandem = getenv("TANDEM");
    static double ours[SAMPLES], bare[SAMPLES];
    if (!tandem) {
        fputs("TANDEM must name the binary\n", stderr);
        return 2;
    }
    for (int i = -WARM_UP; i < SAMPLES; i++) {
        double a = run_once(tandem), b = run_once(EMPTY_PROGRAM);
        if (i >= 0) {
            ours[i] = a;
            bare[i] = b;
        }
    }
    double median = bench_median(ours, SAMPLES);
    bench_row("tandem --version", "ms", median, bench_median(bare, SAMPLES), "<= 5 ms median", median <= 5);
    return 0;
}
