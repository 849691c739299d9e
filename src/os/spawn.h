/* spawn.h - how a child begins; inside src/os only (process.h is for the layers above). */
#ifndef TANDEM_SPAWN_H
#define TANDEM_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;

enum { SPAWN_MAX_FDS = 16 };

struct spawn {
    const char *path;            /* of the program; absolute */
    const char *const *argv;
    const char *const *env;      /* NULL: empty */
    const char *cwd;             /* NULL: "/" */
    int stdio[3];                /* become 0, 1 and 2; each is above 2 */
    const int *keep_fds;         /* inherited under the same numbers; each is above 2 */
    size_t keep_fd_count;        /* at most SPAWN_MAX_FDS */
    const int *join_fds;         /* files the child writes "0" to before all else (cgroup.procs) */
    size_t join_fd_count;
    bool expendable;             /* when memory runs out, the kernel ends this before us */
    uid_t uid;                   /* other than 0: this uid and gid, no groups */
};

/* Returns when the child has become the program.  Its process group is its pid.  The
 * caller owns the pid file descriptor, and reaps the child. */
int spawn_child(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd, struct err *e);

/* Finds `name` in PROCESS_PATH.  `path` holds at least PATH_MAX bytes. */
int spawn_find(const char *name, char *path, size_t size, struct err *e);

#endif
