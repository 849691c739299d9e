/* canceller.h - a thread that cancels after 100 ms, and remembers when it did. */
#ifndef TANDEM_TESTS_CANCELLER_H
#define TANDEM_TESTS_CANCELLER_H

#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

struct canceller {
    atomic_bool flag;
    int64_t at_ms;
};

static inline void *cancel_soon(void *argument)
{
    struct canceller *c = argument;
    usleep(100000);
    c->at_ms = clock_steady_ms();
    atomic_store(&c->flag, true);
    return NULL;
}

#endif
