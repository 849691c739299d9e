/* clock.c - wall time that does not run backwards, and steady time.
 *
 * Wall time is steady time plus the largest lead that the machine's clock ever had over it:
 * where that is set back, ours goes on at the steady rate instead of standing still, so that
 * leases run out and pauses end.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>

static _Atomic int64_t lead_ms = INT64_MIN, frozen_ms = -1;

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

#ifdef TANDEM_FAILPOINTS
#include "base/str.h"

#include <stdlib.h>

/* TANDEM_CLOCK_JUMP="AFTER:BY": the machine's clock is set by BY ms, AFTER ms after it was
 * first asked. */
static int64_t jump_ms(void)
{
    static _Atomic int64_t begun_ms;
    const char *armed = getenv("TANDEM_CLOCK_JUMP"), *by = armed ? strchr(armed, ':') : NULL;
    if (!by)
        return 0;
    int64_t none = 0, now = clock_steady_ms();
    atomic_compare_exchange_strong(&begun_ms, &none, now);
    return now - atomic_load(&begun_ms) >= strtoll(armed, NULL, 10) ? strtoll(by + 1, NULL, 10) : 0;
}
#else
static int64_t jump_ms(void)
{
    return 0;
}
#endif

/* At least `lead`; what it is then. */
static int64_t raise_lead(int64_t lead)
{
    int64_t seen = atomic_load(&lead_ms);
    while (seen < lead && !atomic_compare_exchange_weak(&lead_ms, &seen, lead))
        ;
    return seen < lead ? lead : seen;
}

void clock_wall_at_least(int64_t ms)
{
    raise_lead(ms - clock_steady_ms());
}

int64_t clock_wall_ms(void)
{
    int64_t frozen = atomic_load(&frozen_ms);
    if (frozen >= 0)
        return frozen;
    int64_t steady = clock_steady_ms();
    return steady + raise_lead(read_us(CLOCK_REALTIME) / 1000 + jump_ms() - steady);
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

void clock_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

struct timespec clock_steady_in(int64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + ms % 1000 * 1000000;
    t.tv_sec += ms / 1000 + ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    return t;
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
