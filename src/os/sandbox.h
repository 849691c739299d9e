/* sandbox.h - runs code nobody has read yet, where it can do no harm.
 *
 * bubblewrap with namespaces of its own (user, pid, net, ipc, uts, mount, cgroup), a real
 * unprivileged uid, no capabilities, an empty environment, a read-only system, a seccomp
 * filter, rlimits, a cgroup where one can be made, output caps and a deadline.  What is
 * writable: the work directory, /out, and sized tmpfs on /tmp and /dev/shm.
 *
 * When the sandbox cannot be had, sandbox_open fails and says what is missing; running
 * without one must be asked for by name (SANDBOX_NONE) and is the caller's to log.
 *
 * Threads: one struct sandbox per process, used from any thread.
 */
#ifndef TANDEM_SANDBOX_H
#define TANDEM_SANDBOX_H

#include "os/process.h"

struct err;
struct sandbox;

enum sandbox_mode { SANDBOX_BWRAP, SANDBOX_NONE };

struct sandbox_limits {
    int64_t timeout_ms;      /* wall time */
    int64_t memory_mib;      /* address space of each process, and of all by cgroup where possible */
    int64_t processes;
    int64_t file_mib;        /* largest file */
    int64_t tmp_mib;         /* size of /tmp; /dev/shm gets a quarter */
    int64_t disk_mib;        /* of the work directory and /out together, checked while it runs */
    size_t max_output;       /* bytes kept of each stream */
};
extern const struct sandbox_limits sandbox_default_limits;

/* `scratch`: a directory outside every home directory where run directories are made, so
 * that an unprivileged uid can reach them; NULL: chosen ($TMPDIR or /tmp).  Runs the quick
 * part of the self-test; ERR_UNAVAILABLE says what is missing and what to do. */
int sandbox_open(struct sandbox **ret, enum sandbox_mode mode, const char *scratch, struct err *e);
/* Removes the scratch directory.  NULL is allowed. */
void sandbox_free(struct sandbox *s);

/* A fresh empty directory pair for one run: `work` (seen as /work) and `out` (seen as
 * /out, for result files).  The caller fills `work` through `work_fd` before running. */
struct sandbox_room {
    char path[256];  /* of the room; work and out lie below it */
    int work_fd, out_fd;
    uid_t uid;       /* who owns what lies in it while it runs */
};
int sandbox_room_make(struct sandbox *s, struct sandbox_room *ret, struct err *e);
/* Deletes all below, whatever the code left behind. */
void sandbox_room_remove(struct sandbox *s, struct sandbox_room *room);

struct sandbox_run {
    const char *const *argv;        /* started in /work */
    const char *const *env;         /* added to PATH, HOME=/tmp, LANG=C.UTF-8, TZ=UTC; NULL: none */
    const struct sandbox_room *room;
    bool work_readonly;
    struct { const char *source, *target; } readonly[8]; /* further read-only mounts */
    size_t readonly_count;
    bool network;                   /* keep the host's network (a project's prepare step, when allowed) */
    const struct sandbox_limits *limits; /* NULL: default */
    const atomic_bool *cancel;
    void (*on_output)(int stream, const char *bytes, size_t len, void *ctx);
    void *ctx;
};

struct sandbox_result {
    struct process_result process;
    bool oom_killed;      /* any process in it was killed for memory, whatever the exit status says */
    bool disk_exceeded;
    bool limit_hit;       /* one of: timed out, flooded, oom_killed, disk_exceeded */
    char limit_text[160]; /* a sentence about the limit, "" when none was hit */
};
int sandbox_run(struct sandbox *s, const struct sandbox_run *run, struct sandbox_result *ret, struct err *e);
void sandbox_result_release(struct sandbox_result *r);

/* The full self-test: every escape attempt must fail.  Calls `report` for each check;
 * returns the number of checks that failed (for `tandem doctor`). */
int sandbox_self_test(struct sandbox *s, void (*report)(const char *check, bool ok, const char *detail, void *ctx), void *ctx);

#endif
