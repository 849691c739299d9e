/* spent.c - an account per thread: nothing to lock, and nothing to pass through layers that
 * do not care. */
#include "base/spent.h"

#include "base/clock.h"

static _Thread_local struct spent account;

void spent_since(enum spent_on what, int64_t start_us)
{
    account.us[what] += clock_steady_us() - start_us;
    account.count[what]++;
}

struct spent spent_here(void)
{
    return account;
}
