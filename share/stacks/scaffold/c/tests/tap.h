/* tap.h - tests in C: one program per test file, one process per test, TAP as output.
 *
 *     #include "tap.h"
 *     #include "units.h"
 *
 *     TEST(kilometres_become_metres)
 *     {
 *         CHECK_DOUBLE(convert(1, "km", "m"), 1000, 1e-9);
 *     }
 *
 * No main function and no list: every TEST of the file is found.  A test ends at its first
 * check that fails.  Each runs in a process of its own, so that a crash or a hang fails
 * that test alone.
 *
 *     CHECK(condition)                 CHECK_INT(got, wanted)
 *     CHECK_STR(got, wanted)           CHECK_UINT(got, wanted)
 *     CHECK_NULL(p)                    CHECK_DOUBLE(got, wanted, tolerance)
 *     CHECK_NOT_NULL(p)                CHECK_MEM(got, wanted, length)
 *     FAIL(message)                    SKIP(reason)
 *
 * `PROGRAM` runs all tests of a file, `PROGRAM name...` those.  TAP goes to standard
 * output, or to the file that TAP_OUT names.  TAP_SECONDS limits a test (10).
 */
#ifndef TAP_H
#define TAP_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct tap_test {
    const char *name;
    void (*run)(void);
    struct tap_test *next;
};

static struct tap_test *tap_first, **tap_last = &tap_first;
static int tap_pipe = -1; /* of a test's process: where it says why it failed */

/* Exit statuses of a test's process; 0 is none of them, so that exit(0) in the code under
 * test is no success. */
enum { TAP_PASSED = 100, TAP_FAILED = 101, TAP_SKIPPED = 102 };

#define TEST(name_)                                                             \
    static void tap_run_##name_(void);                                          \
    static struct tap_test tap_test_##name_ = { #name_, tap_run_##name_, NULL }; \
    __attribute__((constructor)) static void tap_add_##name_(void)              \
    {                                                                           \
        *tap_last = &tap_test_##name_;                                          \
        tap_last = &tap_test_##name_.next;                                      \
    }                                                                           \
    static void tap_run_##name_(void)

__attribute__((unused, noreturn, format(printf, 2, 3)))
static void tap_end(int status, const char *format, ...)
{
    char text[2000];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    size_t length = strlen(text);
    if (write(tap_pipe, text, length) != (ssize_t)length)
        status = 1;
    exit(status); /* not _exit: coverage is written at exit */
}

#define FAIL(message) tap_end(TAP_FAILED, "%s:%d: %s", __FILE__, __LINE__, message)
#define SKIP(reason) tap_end(TAP_SKIPPED, "%s", reason)
#define CHECK(condition)                                                                      \
    do {                                                                                      \
        if (!(condition))                                                                     \
            tap_end(TAP_FAILED, "%s:%d: CHECK(%s) does not hold", __FILE__, __LINE__, #condition); \
    } while (0)
#define CHECK_NULL(p) CHECK((p) == NULL)
#define CHECK_NOT_NULL(p) CHECK((p) != NULL)
#define CHECK_INT(got, wanted) tap_int(__FILE__, __LINE__, #got, (got), (wanted))
#define CHECK_UINT(got, wanted) tap_uint(__FILE__, __LINE__, #got, (got), (wanted))
#define CHECK_DOUBLE(got, wanted, tolerance) tap_double(__FILE__, __LINE__, #got, (got), (wanted), (tolerance))
#define CHECK_STR(got, wanted) tap_str(__FILE__, __LINE__, #got, (got), (wanted))
#define CHECK_MEM(got, wanted, length) tap_mem(__FILE__, __LINE__, #got, (got), (wanted), (length))

__attribute__((unused))
static void tap_int(const char *file, int line, const char *what, long long got, long long wanted)
{
    if (got != wanted)
        tap_end(TAP_FAILED, "%s:%d: %s is %lld, not %lld", file, line, what, got, wanted);
}

__attribute__((unused))
static void tap_uint(const char *file, int line, const char *what, unsigned long long got, unsigned long long wanted)
{
    if (got != wanted)
        tap_end(TAP_FAILED, "%s:%d: %s is %llu, not %llu", file, line, what, got, wanted);
}

__attribute__((unused))
static void tap_double(const char *file, int line, const char *what, double got, double wanted, double tolerance)
{
    double difference = got > wanted ? got - wanted : wanted - got;
    if (!(difference <= tolerance) && got != wanted)
        tap_end(TAP_FAILED, "%s:%d: %s is %.17g, not %.17g (tolerance %g)", file, line, what, got, wanted, tolerance);
}

__attribute__((unused))
static void tap_str(const char *file, int line, const char *what, const char *got, const char *wanted)
{
    if (got == NULL ? wanted != NULL : wanted == NULL || strcmp(got, wanted) != 0)
        tap_end(TAP_FAILED, "%s:%d: %s is %s%.800s%s, not %s%.800s%s", file, line, what,
                got ? "\"" : "", got ? got : "NULL", got ? "\"" : "",
                wanted ? "\"" : "", wanted ? wanted : "NULL", wanted ? "\"" : "");
}

__attribute__((unused))
static void tap_mem(const char *file, int line, const char *what, const void *got, const void *wanted, size_t length)
{
    const unsigned char *a = got, *b = wanted;
    for (size_t i = 0; i < length; i++)
        if (a[i] != b[i])
            tap_end(TAP_FAILED, "%s:%d: byte %zu of %s is 0x%02x, not 0x%02x", file, line, i, what, a[i], b[i]);
}

/* ---- the program ---- */

static void tap_comment(FILE *out, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        fprintf(out, "# %.*s\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

/* The path of the test file, for the ids; a build that compiles elsewhere defines it. */
#ifndef TAP_FILE
#define TAP_FILE __BASE_FILE__
#endif

static void tap_point(FILE *out, int number, const char *file, const char *name, int status, unsigned seconds,
                      const char *said)
{
    int passed = WIFEXITED(status) && WEXITSTATUS(status) == TAP_PASSED;
    int skipped = WIFEXITED(status) && WEXITSTATUS(status) == TAP_SKIPPED;
    int failed = WIFEXITED(status) && WEXITSTATUS(status) == TAP_FAILED;
    fprintf(out, "%s %d - %s::%s", passed || skipped ? "ok" : "not ok", number, file, name);
    fprintf(out, skipped ? " # SKIP %s\n" : "\n", said);
    if (failed) {
        tap_comment(out, said);
    } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        fprintf(out, "# timed out: it did not end within %u seconds; probably a loop that does not end\n", seconds);
    } else if (!passed && !skipped) {
        fprintf(out, "  ---\n  severity: error\n  ...\n");
        if (WIFSIGNALED(status))
            fprintf(out, "# crashed: signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
        else
            fprintf(out, "# ended the program with status %d\n", WEXITSTATUS(status));
    }
}

static int tap_run_one(FILE *out, int number, const char *file, const struct tap_test *test, unsigned seconds)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (child == 0) {
        close(ends[0]);
        if (out != stdout)
            fclose(out);
        tap_pipe = ends[1];
        alarm(seconds);
        test->run();
        exit(TAP_PASSED);
    }
    close(ends[1]);
    char said[2001] = "";
    int status = 0;
    pid_t waited;
    do {
        waited = waitpid(child, &status, 0);
    } while (waited < 0 && errno == EINTR);
    ssize_t length = WIFEXITED(status) && WEXITSTATUS(status) >= TAP_FAILED ? read(ends[0], said, sizeof said - 1) : 0;
    said[length > 0 ? length : 0] = '\0';
    close(ends[0]);
    tap_point(out, number, file, test->name, status, seconds, said);
    fflush(out);
    return WIFEXITED(status) && (WEXITSTATUS(status) == TAP_PASSED || WEXITSTATUS(status) == TAP_SKIPPED) ? 0 : 1;
}

static int tap_is_chosen(const struct tap_test *test, int count, char **names)
{
    for (int i = 1; i < count; i++)
        if (strcmp(names[i], test->name) == 0)
            return 1;
    return count <= 1;
}

static FILE *tap_open(void)
{
    const char *path = getenv("TAP_OUT");
    return path && *path ? fopen(path, "w") : stdout;
}

static unsigned tap_seconds(void)
{
    const char *limit = getenv("TAP_SECONDS");
    return limit && *limit ? (unsigned)strtoul(limit, NULL, 10) : 10;
}

int main(int argc, char **argv)
{
    FILE *out = tap_open();
    if (!out) {
        perror("tap.h: TAP_OUT");
        return 2;
    }
    int count = 0, failed = 0, number = 0;
    for (struct tap_test *t = tap_first; t; t = t->next)
        count += tap_is_chosen(t, argc, argv);
    fprintf(out, "TAP version 14\n1..%d\n", count);
    for (struct tap_test *t = tap_first; t; t = t->next) {
        if (!tap_is_chosen(t, argc, argv))
            continue;
        int r = tap_run_one(out, ++number, TAP_FILE, t, tap_seconds());
        if (r < 0) {
            fprintf(out, "Bail out! cannot start a process: %s\n", strerror(errno));
            return 2;
        }
        failed |= r;
    }
    return failed;
}

#endif
