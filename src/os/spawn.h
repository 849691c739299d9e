/* spawn.h - how a child begins; inside src/os only (process.h is for the layers above). */
#ifndef TANDEM_SPAWN_H
#define TANDEM_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;
struct spawner;

enum { SPAWN_MAX_FDS = 16 };

struct spawn {
    const char *path;            /* of the program; absolute */
    const char *const *argv;
    const char *const *env;      /* NULL: empty */
    const char *cwd;             /* NULL: "/" */
    int stdio[3];                /* become 0, 1 and 2; each is above 2 */
    const int *keep_fds;         /* inherited under the same numbers; each is above 2 */
    size_t keep_fd_count;        /* at most SPAWN_MAX_FDS */
    struct spawner *spawner;     /* the thread that makes it; NULL: the common one */
    int cgroup_fd;               /* directory of the control group (v2) it is born in; 0: ours */
    bool expendable;             /* when memory runs out, the kernel ends this before us */
    uid_t uid;                   /* other than 0: this uid and gid, no groups */
};

/* Returns when the child has become the program.  Its process group is its pid.  The
 * caller owns the pid file descriptor, and reaps the child. */
int spawn_child(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd, struct err *e);

/* A spawner of its own, in control groups of its own: children inherit those of the thread
 * that makes them.  (Moving a child instead waits for the kernel's readers, for milliseconds.)
 * `join_fds`: files "tasks" of v1, of which the thread joins each.  Its children die when
 * it is freed. */
int spawner_new(struct spawner **ret, const int *join_fds, size_t count, struct err *e);
void spawner_free(struct spawner *s);

/* Finds `name` in PROCESS_PATH.  `path` holds at least PATH_MAX bytes. */
int spawn_find(const char *name, char *path, size_t size, struct err *e);

#endif
