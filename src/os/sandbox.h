/* sandbox.h - runs code nobody has read yet, where it can do no harm.
 *
 * bubblewrap with namespaces of its own (user, pid, net, ipc, uts, mount, cgroup), a real
 * unprivileged uid, no capabilities, an environment of our making, a read-only system, a
 * seccomp filter, rlimits, a cgroup where one can be made (v1 and v2), output caps and a
 * deadline.  What is writable: the work directory, the out directory, and sized tmpfs on
 * /tmp and /dev/shm.  Whatever the code starts has died when sandbox_run returns, and dies
 * with Tandem however that ends.
 *
 * When the sandbox cannot be had, sandbox_open fails and says what is missing; running
 * without one must be asked for by name (SANDBOX_IF_THERE, SANDBOX_NONE) and is the caller's to
 * log (sandbox_lacks).  That keeps deadline, caps, rlimits and environment, and as root the
 * unprivileged uid.
 *
 * Threads: one struct sandbox per process, used from any thread.  A room belongs to one
 * thread at a time.
 */
#ifndef TANDEM_SANDBOX_H
#define TANDEM_SANDBOX_H

#include "os/process.h"

struct err;
struct sandbox;
struct settings;

enum sandbox_mode {
    SANDBOX_BWRAP,
    SANDBOX_IF_THERE, /* SANDBOX_BWRAP, or where that cannot be had SANDBOX_NONE */
    SANDBOX_NONE,
};

/* As root, each room gets a uid of its own out of these; those in /etc/passwd are left out. */
#define SANDBOX_FIRST_UID 64000
#define SANDBOX_UID_COUNT 1000
/* Rooms at a time. */
#define SANDBOX_MAX_ROOMS 256

struct sandbox_limits {
    int64_t timeout_ms;      /* wall time; 0: it runs until it is cancelled */
    int64_t memory_mib;      /* of all processes together by cgroup; without one, of each (address space) */
    int64_t processes;       /* and threads, at a time */
    int64_t file_mib;        /* largest file */
    int64_t tmp_mib;         /* size of /tmp; /dev/shm gets a quarter.  Counts as memory. */
    int64_t disk_mib;        /* of the work directory and /out together, checked while it runs */
    size_t max_output;       /* bytes kept of each stream */
};
extern const struct sandbox_limits sandbox_default_limits;

/* `scratch`: a directory outside every home directory where a private one for the rooms is
 * made, so that an unprivileged uid can reach them; NULL: sandbox_scratch_choose.  Removes
 * what dead Tandems of the same user left there.  Runs the quick part of the self-test;
 * ERR_UNAVAILABLE says what is missing and what to do. */
int sandbox_open(struct sandbox **ret, enum sandbox_mode mode, const char *scratch, struct err *e);
/* Both as the settings say. */
enum sandbox_mode sandbox_mode_of(const struct settings *set);
const char *sandbox_scratch_of(const struct settings *set);
/* $TMPDIR; without it /dev/shm when 8 GiB of memory are available, else /tmp. */
void sandbox_scratch_choose(char *ret, size_t size);
/* Removes the scratch directory.  No run may be under way.  NULL is allowed. */
void sandbox_free(struct sandbox *s);

/* A sentence for `doctor` and the log on what holds the code: mode, uid, cgroups. */
const char *sandbox_describe(const struct sandbox *s);

/* Why nothing protects the machine from the code; "" where the sandbox does. */
const char *sandbox_lacks(const struct sandbox *s);

/* A fresh empty directory pair for one run (or several, one after the other): `work` and
 * `out`.  The caller fills `work` through `work_fd`, and reads results through `out_fd`. */
struct sandbox_room {
    char path[256];      /* of the room; work and out lie below it */
    char work_seen[272]; /* under which path the code sees work ("/work"; SANDBOX_NONE: the real one) */
    char out_seen[272];  /* and out ("/out") */
    int work_fd, out_fd;
    uid_t uid;           /* who owns what lies in it while it runs */
    unsigned slot;
};
/* ERR_LIMIT: SANDBOX_MAX_ROOMS are in use. */
int sandbox_room_make(struct sandbox *s, struct sandbox_room *ret, struct err *e);
/* Deletes all below, whatever the code left behind. */
void sandbox_room_remove(struct sandbox *s, struct sandbox_room *room);

/* A shelf: a copy of a directory that runs may mount read-only (a project's dependencies), kept
 * until sandbox_free.  `name`: letters, digits and '-', at most 80. */
enum { SANDBOX_SHELF_PATH = 320 };
bool sandbox_shelf_has(const struct sandbox *s, const char *name, char ret_path[SANDBOX_SHELF_PATH]);
/* One thread at a time for one name. */
int sandbox_shelf_put(struct sandbox *s, const char *name, int from_fd, int64_t max_mib, char ret_path[SANDBOX_SHELF_PATH],
                      struct err *e);

struct sandbox_run {
    const char *const *argv;        /* started in work; argv[0] is looked up in PATH inside */
    const char *const *env;         /* over PATH, HOME=/tmp, LANG=C.UTF-8, TZ=UTC; NULL: none */
    const struct sandbox_room *room;
    bool work_readonly;
    int input_fd;                   /* above 2: its standard input; without it there is none */
    bool endless;                   /* output beyond max_output is only seen by on_output, and ends nothing */
    /* Further read-only mounts.  As root the source must be open to everybody (not in root's
     * home) or lie in the room: it is the room's uid that mounts it.  One file out of its reach may
     * be among them all the same, if others may read it: the program inherits it open, as
     * descriptor 3, and finds a link to that. */
    struct { const char *source, *target; } readonly[8];
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
/* An error means that the program was not run: ERR_NOT_FOUND (no such program inside),
 * ERR_UNAVAILABLE (the sandbox could not be set up), ERR_REFUSED (a source out of reach).
 * A program that fails is a result. */
int sandbox_run(struct sandbox *s, const struct sandbox_run *run, struct sandbox_result *ret, struct err *e);
void sandbox_result_release(struct sandbox_result *r);

/* The full self-test: every escape attempt must fail, every limit hold (about a second).
 * With SANDBOX_NONE the attempts alone, which then succeed.  Calls `report` for each check; returns the number of checks that failed (for
 * `tandem doctor`). */
int sandbox_self_test(struct sandbox *s, void (*report)(const char *check, bool ok, const char *detail, void *ctx), void *ctx);

#endif
