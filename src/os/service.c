/* service.c - listening to a child.
 *
 * Both its streams come through one pipe, so that what belongs together stays together.  The
 * tail is kept in a buffer of twice its size, whose older half is dropped when it is full:
 * each byte is moved once at most.
 */
#include "os/service.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "os/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEFAULT_TAIL = 64 * 1024, READ_SIZE = 16384, READS_AT_ONCE = 64 };

struct service {
    struct child_pipes child;
    struct str said;
    size_t max_said;
    int wake_fd;
    bool lost;  /* the beginning of what it said */
    bool ended; /* seen, not yet reaped */
};

int service_start(struct service **ret, const struct process_options *o, struct err *e)
{
    struct process_options merged = *o;
    merged.merge_stderr = true;
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        return err_set_errno(e, ERR_FAILED, errno, "cannot watch %s", o->argv[0]);
    struct child_pipes child;
    int r = child_start(&merged, NULL, false, &child, e);
    if (r < 0) {
        close(wake_fd);
        return r;
    }
    struct service *s = xcalloc(1, sizeof *s);
    *s = (struct service){ .child = child, .said = STR_INIT, .wake_fd = wake_fd,
                           .max_said = o->max_output ? o->max_output : DEFAULT_TAIL };
    *ret = s;
    return 0;
}

/* False: there is nothing more now. */
static bool hear(struct service *s)
{
    char bytes[READ_SIZE];
    if (s->child.out < 0)
        return false;
    ssize_t n = read(s->child.out, bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        child_close(&s->child.out);
        return false;
    }
    str_add_bytes(&s->said, bytes, (size_t)n);
    if (s->said.len > 2 * s->max_said) {
        memmove(s->said.data, s->said.data + s->said.len - s->max_said, s->max_said);
        str_truncate(&s->said, s->max_said);
        s->lost = true;
    }
    return true;
}

/* Bounded, so that one who prints without end does not keep us from everything else. */
static void hear_what_is_there(struct service *s)
{
    for (int i = 0; i < READS_AT_ONCE && hear(s); i++)
        ;
}

bool service_wait(struct service *s, int64_t wait_ms)
{
    int64_t deadline = clock_steady_ms() + wait_ms;
    while (!s->ended) {
        enum { OUT, END, WAKE, COUNT };
        struct pollfd p[COUNT] = {
            [OUT] = { .fd = s->child.out, .events = POLLIN },
            [END] = { .fd = s->child.pidfd, .events = POLLIN },
            [WAKE] = { .fd = s->wake_fd, .events = POLLIN },
        };
        int64_t left = wait_ms < 0 ? 60000 : deadline - clock_steady_ms();
        poll(p, COUNT, left < 0 ? 0 : left > 60000 ? 60000 : (int)left);
        hear_what_is_there(s);
        if (p[END].revents)
            s->ended = true;
        uint64_t calls;
        if (p[WAKE].revents && read(s->wake_fd, &calls, sizeof calls) > 0)
            break;
        if (wait_ms >= 0 && clock_steady_ms() >= deadline)
            break;
    }
    return !s->ended;
}

void service_wake(struct service *s)
{
    uint64_t one = 1;
    /* It only fails when the counter is full, and then a wake-up is due anyhow. */
    ssize_t n = write(s->wake_fd, &one, sizeof one);
    (void)n;
}

pid_t service_pid(const struct service *s)
{
    return s->child.pid;
}

const char *service_said(struct service *s)
{
    if (s->said.len <= s->max_said && !s->lost)
        return s->said.data;
    const char *from = s->said.data + (s->said.len > s->max_said ? s->said.len - s->max_said : 0);
    const char *line = strchr(from, '\n');
    return line && line[1] ? line + 1 : from;
}

static struct process_result how_it_ended(int status, bool by_itself, const struct rusage *usage)
{
    struct process_result r = { .out = STR_INIT, .err = STR_INIT };
    r.end = !by_itself ? PROCESS_CANCELLED : WIFSIGNALED(status) ? PROCESS_SIGNALLED : PROCESS_EXITED;
    r.status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    r.max_rss_kib = usage->ru_maxrss;
    return r;
}

void service_end(struct service *s, int64_t grace_ms, struct process_result *ret)
{
    if (!s)
        return;
    bool by_itself = !service_wait(s, 0);
    if (!by_itself && grace_ms > 0) {
        kill(s->child.pid, SIGTERM);
        int64_t deadline = clock_steady_ms() + grace_ms, left;
        while ((left = deadline - clock_steady_ms()) > 0 && service_wait(s, left))
            ;
    }
    struct rusage usage = { 0 };
    int status = child_reap(&s->child, &usage); /* kills the group first */
    if (ret)
        *ret = how_it_ended(status, by_itself, &usage);
    close(s->wake_fd);
    str_release(&s->said);
    free(s);
}
