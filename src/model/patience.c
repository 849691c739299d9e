/* patience.c - bounded waiting.  Steps of 20 ms instead of a condition variable: `cancel`
 * is a plain flag that signal handlers set. */
#include "model/patience.h"

#include "base/clock.h"
#include "base/err.h"
#include "model/backend.h"

#include <stdio.h>
#include <time.h>

enum { FIRST_MS = 100, LONGEST_MS = 5000, STEP_MS = 20 };

static int sleep_until(int64_t end_ms, const atomic_bool *cancel, struct err *e)
{
    for (int64_t left; (left = end_ms - clock_steady_ms()) > 0;) {
        if (is_cancelled(cancel))
            return err_set(e, ERR_CANCELLED, "the call was cancelled");
        int64_t ms = left < STEP_MS ? left : STEP_MS;
        nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
    }
    return 0;
}

static int give_up(int64_t waited_ms, int64_t retry_after_ms, struct err *e)
{
    char said[sizeof e->text];
    snprintf(said, sizeof said, "%s", e->text);
    if (retry_after_ms > 0)
        return err_set(e, e->code, "%.700s; it asks to wait %.0f s more, which is longer than allowed",
                       said, (double)retry_after_ms / 1000);
    return err_set(e, e->code, "%.700s (waited %.1f s)", said, (double)waited_ms / 1000);
}

int patience_wait(struct patience *p, int64_t limit_ms, int64_t retry_after_ms,
                  const atomic_bool *cancel, struct err *e)
{
    int64_t now = clock_steady_ms();
    if (!p->begun_ms || p->limit_ms != limit_ms)
        *p = (struct patience){ .limit_ms = limit_ms, .begun_ms = now, .waited_us = p->waited_us };
    int64_t left = p->begun_ms + limit_ms - now;
    int64_t delay = p->waits < 6 ? FIRST_MS << p->waits : LONGEST_MS;
    if (retry_after_ms > delay)
        delay = retry_after_ms;
    if (left <= 0 || retry_after_ms > left)
        return give_up(now - p->begun_ms, retry_after_ms > left ? retry_after_ms : 0, e);
    if (delay > left)
        delay = left;
    p->waits++;
    int r = sleep_until(now + delay, cancel, e);
    p->waited_us += (clock_steady_ms() - now) * 1000;
    return r;
}
