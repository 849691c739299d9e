/* clock.h - what time it is, asked of one place so that tests can set it.
 *
 * Wall time is for people and for the log and never goes back within a process;
 * durations and deadlines use the steady clock.
 *
 * Threads: all functions may be called from any thread.
 */
#ifndef TANDEM_CLOCK_H
#define TANDEM_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds since 1970-01-01 UTC; at least what it returned before. */
int64_t clock_wall_ms(void);
/* Steady time since an arbitrary start. */
int64_t clock_steady_ms(void);
int64_t clock_steady_us(void);

/* A condition that waits by the steady clock, and the moment in so many milliseconds, for
 * pthread_cond_timedwait on it. */
void clock_cond_init(pthread_cond_t *c);
struct timespec clock_steady_in(int64_t ms);

/* Later calls of clock_wall_ms return no less than this (the log's last time, so that
 * a clock that was set back does not make history run backwards). */
void clock_wall_at_least(int64_t ms);

/* Tests: freezes wall time at `ms`; negative: real time again. */
void clock_wall_set(int64_t ms);

/* "2026-01-31T12:00:00.123Z" into `out` (at least 25 bytes). */
void clock_format(int64_t ms, char *out);

#endif
