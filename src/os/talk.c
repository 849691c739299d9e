/* talk.c - a long-running child, spoken to over pipes.
 *
 * Whatever we wait for, the child's output is taken in: a child that waits for us to read
 * while we wait for it to read would never end.  Of standard error the first few
 * kilobytes are kept, for the sentence that says why it ended.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "os/child.h"
#include "os/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITE_TIMEOUT_MS = 60000, STOP_MS = 1000, READ_SIZE = 65536, COMPLAINT_MAX = 4096 };

struct process {
    struct child_pipes child;
    struct str heard;     /* read from the child, not yet asked for */
    size_t taken;         /* bytes at the front of `heard` that were given out */
    struct str complaint; /* the beginning of its standard error */
    size_t max_heard;
    int64_t write_timeout_ms;
    enum process_kind kind;
    bool silent; /* its output has ended */
    char *name;
};

int process_start(struct process **ret, const struct process_options *o, struct err *e)
{
    int64_t started_us = clock_steady_us();
    struct child_pipes child;
    int code = child_start(o, NULL, true, &child, e);
    if (code < 0)
        return code;
    struct process *p = xcalloc(1, sizeof *p);
    *p = (struct process){
        .child = child, .heard = STR_INIT, .complaint = STR_INIT,
        .max_heard = o->max_output ? o->max_output : PROCESS_DEFAULT_OUTPUT,
        .write_timeout_ms = o->timeout_ms ? o->timeout_ms : WRITE_TIMEOUT_MS,
        .kind = o->kind, .name = xstrdup(o->argv[0]),
    };
    *ret = p;
    times_add(p->kind, clock_steady_us() - started_us, 1);
    return 0;
}

static size_t waiting(const struct process *p)
{
    return p->heard.len - p->taken;
}

static void hear(struct process *p)
{
    if (p->taken && p->taken >= p->heard.len / 2) {
        memmove(p->heard.data, p->heard.data + p->taken, waiting(p));
        str_truncate(&p->heard, waiting(p));
        p->taken = 0;
    }
    char bytes[READ_SIZE];
    ssize_t n = read(p->child.out, bytes, sizeof bytes);
    if (n > 0)
        str_add_bytes(&p->heard, bytes, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        p->silent = true;
}

static void note_complaint(struct process *p)
{
    char bytes[1024];
    ssize_t n = read(p->child.err, bytes, sizeof bytes);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        child_close(&p->child.err);
    if (n <= 0)
        return;
    size_t room = COMPLAINT_MAX - p->complaint.len;
    str_add_bytes(&p->complaint, bytes, (size_t)n < room ? (size_t)n : room);
}

/* Waits until something happens; 0, or ERR_TIMEOUT. */
static int wait_for(struct process *p, bool want_write, int64_t deadline_ms, const char *what, struct err *e)
{
    int64_t left = deadline_ms - clock_steady_ms();
    if (left <= 0)
        return err_set(e, ERR_TIMEOUT, "%s: %s took too long", p->name, what);
    struct pollfd fds[3] = {
        { .fd = want_write ? p->child.in : -1, .events = POLLOUT },
        { .fd = p->silent || waiting(p) > p->max_heard ? -1 : p->child.out, .events = POLLIN },
        { .fd = p->child.err, .events = POLLIN },
    };
    poll(fds, 3, left > 60000 ? 60000 : (int)left);
    if (fds[1].revents)
        hear(p);
    if (fds[2].revents)
        note_complaint(p);
    return 0;
}

static int has_ended(struct process *p, struct err *e)
{
    if (p->child.err >= 0)
        note_complaint(p);
    str_rtrim(&p->complaint);
    if (!p->complaint.len)
        return err_set(e, ERR_UNAVAILABLE, "%s ended unexpectedly", p->name);
    return err_set(e, ERR_UNAVAILABLE, "%s ended: %s", p->name, p->complaint.data);
}

static int write_all(struct process *p, const char *bytes, size_t len, struct err *e)
{
    int64_t deadline = clock_steady_ms() + p->write_timeout_ms;
    while (len) {
        ssize_t n = write(p->child.in, bytes, len);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            int code = wait_for(p, true, deadline, "writing to it", e);
            if (code < 0)
                return code;
        } else if (n < 0 && errno != EINTR) {
            return has_ended(p, e);
        }
    }
    return 0;
}

int process_write(struct process *p, const void *bytes, size_t len, struct err *e)
{
    int64_t started_us = clock_steady_us();
    int code = write_all(p, bytes, len, e);
    times_add(p->kind, clock_steady_us() - started_us, 0);
    return code;
}

/* Waits until `len` bytes are there, or (len 0) a line is; *ret_len tells how many. */
static int await(struct process *p, size_t len, size_t *ret_len, int64_t timeout_ms, struct err *e)
{
    int64_t deadline = clock_steady_ms() + timeout_ms;
    size_t searched = 0;
    for (;;) {
        const char *data = p->heard.data + p->taken;
        if (!len) {
            const char *end = waiting(p) > searched ? memchr(data + searched, '\n', waiting(p) - searched) : NULL;
            if (end) {
                *ret_len = (size_t)(end - data) + 1;
                return 0;
            }
            searched = waiting(p);
            if (waiting(p) > p->max_heard)
                return err_set(e, ERR_LIMIT, "%s: a line is longer than %zu bytes", p->name, p->max_heard);
        } else if (waiting(p) >= len) {
            *ret_len = len;
            return 0;
        }
        if (p->silent)
            return has_ended(p, e);
        int code = wait_for(p, false, deadline, "its answer", e);
        if (code < 0)
            return code;
    }
}

static int take(struct process *p, size_t len, struct str *out, int64_t timeout_ms, struct err *e)
{
    int64_t started_us = clock_steady_us();
    size_t got = 0;
    int code = await(p, len, &got, timeout_ms, e);
    if (code == 0) {
        str_add_bytes(out, p->heard.data + p->taken, got);
        p->taken += got;
    }
    times_add(p->kind, clock_steady_us() - started_us, 0);
    return code;
}

int process_read(struct process *p, size_t len, struct str *out, int64_t timeout_ms, struct err *e)
{
    if (len > p->max_heard)
        return err_set(e, ERR_LIMIT, "%s: %zu bytes are more than the %zu that may be read at once", p->name, len,
                       p->max_heard);
    return len ? take(p, len, out, timeout_ms, e) : 0;
}

int process_read_line(struct process *p, struct str *out, int64_t timeout_ms, struct err *e)
{
    return take(p, 0, out, timeout_ms, e);
}

void process_stop(struct process *p)
{
    if (!p)
        return;
    int64_t started_us = clock_steady_us();
    child_close(&p->child.in);
    child_close(&p->child.out);
    struct pollfd end = { .fd = p->child.pidfd, .events = POLLIN };
    int64_t deadline = clock_steady_ms() + STOP_MS, left;
    while (!end.revents && (left = deadline - clock_steady_ms()) > 0)
        poll(&end, 1, (int)left);
    child_reap(&p->child, NULL);
    times_add(p->kind, clock_steady_us() - started_us, 0);
    str_release(&p->heard);
    str_release(&p->complaint);
    free(p->name);
    free(p);
}
