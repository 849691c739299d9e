/* process.h - child processes from argv arrays, with limits.
 *
 * Children are started by one permanent thread: the parent-death signal is bound to the
 * thread that forked, so a worker thread that ends must not take its children along.  A
 * child waits for GO until it is registered, and dies with Tandem even when that is killed
 * in between.  Children inherit three descriptors and the environment given, nothing else.
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

struct process_options {
    const char *const *argv;    /* NULL-terminated; argv[0] is looked up in a fixed PATH */
    const char *const *env;     /* "NAME=value", NULL-terminated; NULL: empty environment */
    const char *cwd;            /* NULL: "/" */
    const void *input;          /* fed to standard input; NULL: /dev/null */
    size_t input_len;
    int64_t timeout_ms;         /* 0: none; afterwards the process group is killed */
    size_t max_output;          /* bytes kept per stream; more ends the process group. 0: 16 MiB */
    bool merge_stderr;          /* standard error goes where standard output goes */
    const atomic_bool *cancel;  /* polled; true kills the process group; may be NULL */
    /* Sees output as it comes (stream 1 or 2); may be NULL.  Called on the calling thread. */
    void (*on_output)(int stream, const char *bytes, size_t len, void *ctx);
    void *ctx;
    const int *keep_fds;        /* extra descriptors the child may inherit, as they are */
    size_t keep_fd_count;
    uid_t uid;                  /* other than 0: run as this uid and gid, no groups (root only) */
};

enum process_end { PROCESS_EXITED, PROCESS_SIGNALLED, PROCESS_TIMED_OUT, PROCESS_FLOODED, PROCESS_CANCELLED };

struct process_result {
    enum process_end end;
    int status;          /* exit status, or the signal's number */
    struct str out, err; /* the caller releases them (process_result_release) */
    int64_t wall_us, user_us, system_us, max_rss_kib;
};

/* Runs to the end.  An error means that it could not be started (ERR_NOT_FOUND: no such
 * program); a child that fails is a result. */
int process_run(const struct process_options *o, struct process_result *ret, struct err *e);
void process_result_release(struct process_result *r);

/* A long-running child spoken to over pipes (git cat-file --batch). */
struct process;
int process_start(struct process **ret, const struct process_options *o, struct err *e);
int process_write(struct process *p, const void *bytes, size_t len, struct err *e);
/* Reads exactly `len` bytes, or up to and including '\n' (`line`), appending to `out`. */
int process_read(struct process *p, size_t len, struct str *out, int64_t timeout_ms, struct err *e);
int process_read_line(struct process *p, struct str *out, int64_t timeout_ms, struct err *e);
/* Closes its input, waits a second, kills; reaps.  NULL is allowed. */
void process_stop(struct process *p);

/* Sum of the wall time of all children so far, by kind, for the time table. */
enum process_kind { PROCESS_KIND_OTHER, PROCESS_KIND_GIT, PROCESS_KIND_SANDBOX, PROCESS_KIND_COUNT };

#endif
