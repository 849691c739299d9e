/* account.h - where the time of one task went (internal to team/).
 *
 * Each task's account is a line of the log at the level "debug", in a form that
 * tests/bench/bench_demo reads.
 */
#ifndef TANDEM_ACCOUNT_H
#define TANDEM_ACCOUNT_H

#include "base/spent.h"
#include "os/process.h"
#include "team/team.h"

struct account {
    int64_t start_us;
    struct spent spent;
    struct process_times children;
};

/* Both on the thread that does the task. */
struct account account_open(void);
/* Adds to `sum`, which the caller protects. */
void account_close(const struct account *opened, const char *task_id, struct team_times *sum);

#endif
