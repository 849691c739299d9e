/* bench.h - measuring, and one line of JSON per row on standard output.
 *
 * A benchmark is a program in tests/bench that prints rows; tools/bench runs them all,
 * shows one table and writes build/bench.json.  Each row stands beside its bare
 * counterpart, measured in the same run, alternating.
 */
#ifndef TANDEM_BENCH_H
#define TANDEM_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the samples. */
static inline double bench_quantile(double *samples, size_t count, double q)
{
    qsort(samples, count, sizeof *samples, bench_compare);
    return samples[(size_t)(q * (double)(count - 1) + 0.5)];
}

static inline double bench_median(double *samples, size_t count)
{
    return bench_quantile(samples, count, 0.5);
}

/* `bare` < 0: there is none.  `goal`: in words ("<= 10 ms"). */
static inline void bench_row(const char *name, const char *unit, double value, double bare,
                             const char *goal, bool ok)
{
    printf("{\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.6g,", name, unit, value);
    if (bare < 0)
        printf("\"bare\":null,");
    else
        printf("\"bare\":%.6g,", bare);
    printf("\"goal\":\"%s\",\"ok\":%s}\n", goal, ok ? "true" : "false");
    fflush(stdout);
}

#endif
