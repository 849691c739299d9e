/* child.h - what process.c, talk.c and the sandbox share; inside src/os only. */
#ifndef TANDEM_CHILD_H
#define TANDEM_CHILD_H

#include <sys/resource.h>

#include "os/process.h"

struct err;

enum { PROCESS_DEFAULT_OUTPUT = 16 * 1024 * 1024, KILL_SOFT_MS = 2000, KILL_WAIT_MS = 10000 };

/* A child and our ends of its pipes (-1: none, or closed). */
struct child_pipes {
    pid_t pid;
    int pidfd;
    int in, out, err;
};

/* What the sandbox needs of a run beyond process.h. */
struct process_hooks {
    struct spawner *spawner;  /* these three: see spawn.h */
    int cgroup_fd;
    bool expendable;
    int control_fd;           /* on_control is called when it is readable; -1: none */
    bool (*on_control)(void *ctx); /* false: do not look at it again */
    int64_t tick_ms;          /* on_tick is called this often; 0: never */
    bool (*on_tick)(void *ctx);    /* true: end it (the result says PROCESS_CANCELLED) */
    int soft_signal;          /* to end it this goes to the child alone, and the group is killed
                                 two seconds later; 0: the group is killed at once */
    void *ctx;
};

int process_run_hooked(const struct process_options *o, const struct process_hooks *h, struct process_result *ret,
                       struct err *e);

/* Makes the pipes and starts the child.  Our ends do not block.  `with_input`: standard
 * input is a pipe, otherwise /dev/null. */
int child_start(const struct process_options *o, const struct process_hooks *h, bool with_input,
                struct child_pipes *ret, struct err *e);
/* Kills what is left of the process group and reaps.  The child has ended or will at once.
 * Returns its wait status. */
int child_reap(struct child_pipes *c, struct rusage *usage);
void child_close(int *fd);

void times_add(enum process_kind kind, int64_t wall_us, int64_t children);

#endif
