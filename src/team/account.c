/* account.c - differences of what the thread spent before and after a task. */
#include "team/account.h"

#include "base/clock.h"
#include "base/log.h"

struct account account_open(void)
{
    return (struct account){ clock_steady_us(), spent_here(), process_times_thread() };
}

static struct team_times between(const struct account *from, const struct account *to)
{
    struct team_times t = {
        .tasks = 1,
        .wall_us = to->start_us - from->start_us,
        .model_us = to->spent.us[SPENT_MODEL] - from->spent.us[SPENT_MODEL],
        .commit_us = to->spent.us[SPENT_COMMIT] - from->spent.us[SPENT_COMMIT],
        .git_us = to->spent.us[SPENT_GIT] - from->spent.us[SPENT_GIT],
    };
    for (int i = 0; i < PROCESS_KIND_COUNT; i++)
        t.child_us += to->children.wall_us[i] - from->children.wall_us[i];
    t.own_us = t.wall_us - t.model_us - t.child_us - t.commit_us - t.git_us;
    return t;
}

void account_close(const struct account *opened, const char *task_id, struct team_times *sum)
{
    struct account now = account_open();
    struct team_times t = between(opened, &now);
    log_debug("%s: wall_us=%lld model_us=%lld child_us=%lld commit_us=%lld git_us=%lld own_us=%lld", task_id,
              (long long)t.wall_us, (long long)t.model_us, (long long)t.child_us, (long long)t.commit_us,
              (long long)t.git_us, (long long)t.own_us);
    sum->tasks += t.tasks;
    sum->wall_us += t.wall_us;
    sum->model_us += t.model_us;
    sum->child_us += t.child_us;
    sum->commit_us += t.commit_us;
    sum->git_us += t.git_us;
    sum->own_us += t.own_us;
}
