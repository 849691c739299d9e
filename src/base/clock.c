/* clock.c - wall time that does not run backwards, and steady time. */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static _Atomic int64_t latest_ms, frozen_ms = -1;

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void clock_wall_at_least(int64_t ms)
{
    int64_t seen = atomic_load(&latest_ms);
    while (seen < ms && !atomic_compare_exchange_weak(&latest_ms, &seen, ms))
        ;
}

int64_t clock_wall_ms(void)
{
    int64_t frozen = atomic_load(&frozen_ms);
    if (frozen >= 0)
        return frozen;
    clock_wall_at_least(read_us(CLOCK_REALTIME) / 1000);
    return atomic_load(&latest_ms);
}

void clock_wall_set(int64_t ms)
{
    atomic_store(&frozen_ms, ms);
}

int64_t clock_steady_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_steady_ms(void)
{
    return clock_steady_us() / 1000;
}

void clock_format(int64_t ms, char *out)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char date[40];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, 25, "%.19s.%03uZ", date, (unsigned)(ms % 1000) % 1000);
}
