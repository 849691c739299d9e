/* model/patience.h - waiting for a server that is not ready yet.
 *
 * One struct serves one call: its clock starts with the first wait, and anew when the limit
 * becomes another one, that is when something else is waited for. */
#ifndef TANDEM_MODEL_PATIENCE_H
#define TANDEM_MODEL_PATIENCE_H

#include <stdatomic.h>
#include <stdint.h>

struct err;

struct patience {
    int64_t limit_ms; /* of the waiting under way */
    int64_t begun_ms; /* 0: nothing was waited for yet */
    int64_t waited_us;
    int waits;
};

/* Sleeps before the next attempt: as long as the server asked (retry_after_ms; negative:
 * it did not), else 100 ms, doubling up to 5 s.  When `limit_ms` since the clock's start are
 * over, or would be, returns e->code with the waiting added to its text; ERR_CANCELLED
 * within 20 ms of *cancel. */
int patience_wait(struct patience *p, int64_t limit_ms, int64_t retry_after_ms,
                  const atomic_bool *cancel, struct err *e);

#endif
