/* sandbox_internal.h - what the files of the sandbox share; inside src/os only.
 *
 * sandbox.c          opening, running one program
 * sandbox_command.c  the arguments of bubblewrap and of the first process inside
 * sandbox_room.c     the scratch directory, rooms, what dead Tandems left
 * sandbox_shelf.c    what all rooms see, read-only
 * sandbox_test.c     the self-test
 * sandbox_child.c    a program that is spoken to (sandbox_child.h)
 */
#ifndef TANDEM_SANDBOX_INTERNAL_H
#define TANDEM_SANDBOX_INTERNAL_H

#include <pthread.h>

#include "os/cgroup.h"
#include "os/sandbox.h"

struct arena;

enum { SANDBOX_MAX_ETC = 16, SANDBOX_MIB = 1024 * 1024 };

struct sandbox {
    enum sandbox_mode mode;
    bool root;               /* we are, and rooms have uids of their own */
    char scratch[200];
    int scratch_fd;          /* locked */
    int init_fd;             /* the program tandem-init */
    int filter_fd[2];        /* without and with the host's network */
    char bwrap[64];
    struct cgroup_pool *cgroups; /* NULL: none can be made */
    char *etc[SANDBOX_MAX_ETC];  /* of the host's /etc, relative; mounted besides our own */
    size_t etc_count;
    char description[256];
    char lacks[1024]; /* why, with SANDBOX_NONE; else "" */

    pthread_mutex_t lock;    /* of what follows */
    bool taken[SANDBOX_MAX_ROOMS];
    bool uid_in_use[SANDBOX_UID_COUNT]; /* by a user of this system */
    unsigned next_slot, room_serial;
};

/* ---- sandbox_room.c ---- */
int sandbox_scratch_make(struct sandbox *s, const char *base, struct err *e);
void sandbox_scratch_remove(struct sandbox *s);
/* Makes the room's uid the owner of all that lies in it. */
int sandbox_room_own(const struct sandbox *s, const struct sandbox_room *room, struct err *e);
/* Everybody may pass through every directory on the way to `path`. */
bool sandbox_is_open_to_all(const char *path);

/* ---- sandbox_command.c ---- */
/* What a run is given besides: `kept` is a file that cannot be mounted, the index-th of those to be,
 * already open; -1: there is none. */
struct sandbox_fds {
    int control, filter, kept;
    size_t kept_index;
};
/* The argv of one run: the watcher, bubblewrap, the first process, the program.  `probe_args`: the
 * self-test's attempts instead of a program. */
const char *const *sandbox_command(const struct sandbox *s, const struct sandbox_run *run,
                                   const struct sandbox_limits *limits, const char *const *probe_args,
                                   const struct sandbox_fds *fds, struct arena *a);
/* Makes the /etc that is seen inside, in the scratch directory. */
int sandbox_etc_make(struct sandbox *s, struct err *e);

/* ---- sandbox.c ---- */
int sandbox_execute(struct sandbox *s, const struct sandbox_run *run, const char *const *probe_args,
                    struct sandbox_result *ret, struct err *e);

/* ---- sandbox_test.c ---- */
/* Every attempt of probe.c, in one run. */
int sandbox_quick_test(struct sandbox *s, struct err *e);

#endif
