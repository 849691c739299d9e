/* process.h - child processes from argv arrays, with limits.
 *
 * Children are started by one permanent thread: the parent-death signal is bound to the
 * thread that made the child, so a worker thread that ends must not take its children
 * along.  A child arms that signal and looks whether its parent is still there before it
 * becomes the program, so it never outlives a Tandem that is killed at any instant.  It is
 * the leader of its own session and process group, has every signal at its default, umask
 * 022, and inherits three descriptors and the environment given, nothing else.
 *
 * What the child starts in turn dies with the process group; a grandchild that leaves the
 * group is beyond reach here (sandbox.h holds those, and any code we do not trust).
 *
 * The first use makes the whole program ignore SIGPIPE and opens /dev/null on whichever of
 * the descriptors 0 to 2 is closed.  Needs Linux 5.9.
 *
 * Threads: all functions may be called from any thread.  A struct process belongs to one.
 */
#ifndef TANDEM_PROCESS_H
#define TANDEM_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

struct err;

/* Where programs are looked for, whatever the environment says. */
#define PROCESS_PATH "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

/* For the time table. */
enum process_kind { PROCESS_KIND_OTHER, PROCESS_KIND_GIT, PROCESS_KIND_SANDBOX, PROCESS_KIND_COUNT };

struct process_options {
    const char *const *argv;    /* NULL-terminated; argv[0] without a slash is looked up in PROCESS_PATH */
    const char *const *env;     /* "NAME=value", NULL-terminated; NULL: empty environment */
    const char *cwd;            /* NULL: "/" */
    const void *input;          /* fed to standard input; NULL: /dev/null */
    size_t input_len;
    int input_fd;               /* above 2: is standard input instead; stays the caller's */
    int64_t timeout_ms;         /* 0: none; afterwards the process group is killed */
    size_t max_output;          /* bytes kept per stream; more ends the process group. 0: 16 MiB */
    bool endless;               /* more is only seen by on_output, and ends nothing */
    bool merge_stderr;          /* standard error goes where standard output goes */
    const atomic_bool *cancel;  /* polled every 20 ms; true kills the process group; may be NULL */
    /* Sees output as it comes (stream 1 or 2), besides its being kept; may be NULL.  Called on
     * the calling thread. */
    void (*on_output)(int stream, const char *bytes, size_t len, void *ctx);
    void *ctx;
    const int *keep_fds;        /* extra descriptors the child inherits under the same numbers; at most 16 */
    size_t keep_fd_count;
    uid_t uid;                  /* other than 0: run as this uid and gid, no groups (root only) */
    enum process_kind kind;     /* whose time this is */
};

enum process_end { PROCESS_EXITED, PROCESS_SIGNALLED, PROCESS_TIMED_OUT, PROCESS_FLOODED, PROCESS_CANCELLED };

struct process_result {
    enum process_end end;
    int status;          /* exit status, or the signal's number */
    struct str out, err; /* the caller releases them (process_result_release) */
    int64_t wall_us, user_us, system_us, max_rss_kib;
};

/* Runs until the program ends (output that its children still hold open is not waited
 * for; they are killed).  An error means that it could not be started: ERR_NOT_FOUND, no
 * such program or working directory.  A child that fails is a result. */
int process_run(const struct process_options *o, struct process_result *ret, struct err *e);
void process_result_release(struct process_result *r);

/* "exited with status 1", "was killed by signal 9 (Killed)", "ran out of time", ... */
const char *process_result_describe(const struct process_result *r, char *buffer, size_t size);

/* A long-running child spoken to over pipes (git cat-file --batch).  Of the options,
 * `input`, `on_output` and `cancel` are not used; `timeout_ms` is how long one write may
 * take (0: a minute), `max_output` how many bytes may wait to be read. */
struct process;
int process_start(struct process **ret, const struct process_options *o, struct err *e);
/* Takes in what the child says meanwhile, so that neither side waits for the other. */
int process_write(struct process *p, const void *bytes, size_t len, struct err *e);
/* Reads exactly `len` bytes, or up to and including '\n' (`line`), appending to `out`.
 * ERR_TIMEOUT; ERR_UNAVAILABLE when the child has ended, with what it said on standard
 * error.  After an error, stop it. */
int process_read(struct process *p, size_t len, struct str *out, int64_t timeout_ms, struct err *e);
int process_read_line(struct process *p, struct str *out, int64_t timeout_ms, struct err *e);
/* Closes its input, waits a second, kills; reaps.  NULL is allowed. */
void process_stop(struct process *p);

/* Wall time that callers spent waiting for children so far. */
struct process_times {
    int64_t wall_us[PROCESS_KIND_COUNT];
    int64_t count[PROCESS_KIND_COUNT]; /* children started */
};
/* Of the whole program; children that run in parallel are each counted in full. */
struct process_times process_times_total(void);
/* Of the calling thread. */
struct process_times process_times_thread(void);

#endif
