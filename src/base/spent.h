/* spent.h - what a thread waited for, so that Tandem's own time can be told from it.
 *
 * Layers add what they did for the calling thread; who wants to know the share of a piece
 * of work takes the difference of two looks.  Children are counted by os/process.h.
 *
 * Threads: each sees its own account.
 */
#ifndef TANDEM_SPENT_H
#define TANDEM_SPENT_H

#include <stdint.h>

enum spent_on {
    SPENT_MODEL,  /* a model's answer, with the queue before it */
    SPENT_COMMIT, /* the disk, for commits of the store, also of those before ours */
    SPENT_GIT,    /* writing git objects and syncing refs, without the git processes */
    SPENT_COUNT
};

struct spent { int64_t us[SPENT_COUNT], count[SPENT_COUNT]; };

/* Adds one piece of work that began at `start_us` (clock_steady_us) and ends now. */
void spent_since(enum spent_on what, int64_t start_us);
struct spent spent_here(void);

#endif
