/* process.c - runs a program to its end.
 *
 * One poll loop on the calling thread feeds the input, takes the output, and watches the
 * child's pid descriptor, the deadline and the cancel flag.  The end of the program is
 * what ends the run, not the end of its output: a daemon it leaves behind may hold that
 * open for ever.
 */
#include "os/process.h"

#include "base/clock.h"
#include "base/err.h"
#include "os/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CANCEL_POLL_MS = 20, READ_SIZE = 65536, DRAIN_READS = 1024 };

struct running {
    const struct process_options *o;
    const struct process_hooks *h;
    struct child_pipes child;
    struct process_result result;
    size_t input_sent, max_output;
    int64_t deadline_ms, tick_ms; /* steady clock; 0: none */
    int64_t kill_ms, give_up_ms;  /* once it is ending: when to kill the group, and when to give up */
    int control_fd;
    bool ending; /* it was killed, `result.end` says why */
    bool ended;
};

static void end_it(struct running *r, enum process_end why)
{
    if (r->ending)
        return;
    r->ending = true;
    r->result.end = why;
    int64_t now = clock_steady_ms();
    r->give_up_ms = now + KILL_WAIT_MS;
    if (r->h && r->h->soft_signal && kill(r->child.pid, r->h->soft_signal) == 0)
        r->kill_ms = now + KILL_SOFT_MS;
    else
        kill(-r->child.pid, SIGKILL);
}

static void feed(struct running *r)
{
    const char *bytes = r->o->input;
    while (r->input_sent < r->o->input_len) {
        ssize_t n = write(r->child.in, bytes + r->input_sent, r->o->input_len - r->input_sent);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            break; /* it does not want the rest */
        r->input_sent += (size_t)n;
    }
    child_close(&r->child.in);
}

/* Takes one piece of output.  False: there is none now. */
static bool take(struct running *r, int stream)
{
    int *fd = stream == 1 ? &r->child.out : &r->child.err;
    struct str *kept = stream == 1 ? &r->result.out : &r->result.err;
    if (*fd < 0)
        return false;
    char bytes[READ_SIZE];
    ssize_t n = read(*fd, bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        child_close(fd);
        return false;
    }
    size_t room = r->max_output - kept->len, len = (size_t)n;
    bool flood = len > room && !r->o->endless;
    if (flood)
        len = room;
    str_add_bytes(kept, bytes, len < room ? len : room);
    if (r->o->on_output && len)
        r->o->on_output(stream, bytes, len, r->o->ctx);
    if (flood) {
        end_it(r, PROCESS_FLOODED);
        child_close(fd);
    }
    return !flood;
}

/* Until the next thing to look at; -1: nothing but events. */
static int wait_ms(const struct running *r, int64_t now)
{
    int64_t next = r->kill_ms ? r->kill_ms : r->ending ? r->give_up_ms : r->deadline_ms;
    if (r->tick_ms && !r->ending && (!next || r->tick_ms < next))
        next = r->tick_ms;
    if (r->o->cancel && !r->ending && (!next || now + CANCEL_POLL_MS < next))
        next = now + CANCEL_POLL_MS;
    if (!next)
        return -1;
    int64_t wait = next - now;
    return wait < 0 ? 0 : wait > 60000 ? 60000 : (int)wait;
}

static void look_at_clock(struct running *r)
{
    int64_t now = clock_steady_ms();
    if (r->kill_ms && now >= r->kill_ms) {
        r->kill_ms = 0;
        kill(-r->child.pid, SIGKILL);
    }
    if (r->ending)
        return;
    if (r->o->cancel && atomic_load(r->o->cancel))
        end_it(r, PROCESS_CANCELLED);
    else if (r->deadline_ms && now >= r->deadline_ms)
        end_it(r, PROCESS_TIMED_OUT);
    else if (r->tick_ms && now >= r->tick_ms) {
        if (r->h->on_tick(r->h->ctx))
            end_it(r, PROCESS_CANCELLED);
        r->tick_ms = clock_steady_ms() + r->h->tick_ms;
    }
}

static void step(struct running *r)
{
    enum { IN, OUT, ERR, CONTROL, END, COUNT };
    struct pollfd p[COUNT] = {
        [IN] = { .fd = r->child.in, .events = POLLOUT },
        [OUT] = { .fd = r->child.out, .events = POLLIN },
        [ERR] = { .fd = r->child.err, .events = POLLIN },
        [CONTROL] = { .fd = r->control_fd, .events = POLLIN },
        [END] = { .fd = r->child.pidfd, .events = POLLIN },
    };
    poll(p, COUNT, wait_ms(r, clock_steady_ms()));
    if (p[IN].revents)
        feed(r);
    if (p[OUT].revents)
        take(r, 1);
    if (p[ERR].revents)
        take(r, 2);
    if (p[CONTROL].revents && !r->h->on_control(r->h->ctx))
        r->control_fd = -1;
    if (p[END].revents)
        r->ended = true;
    else
        look_at_clock(r);
}

/* The program has ended; takes what it wrote before.  Bounded: others may still write. */
static void drain(struct running *r)
{
    for (int i = 0; i < DRAIN_READS && take(r, 1); i++)
        ;
    for (int i = 0; i < DRAIN_READS && take(r, 2); i++)
        ;
}

static int64_t microseconds(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

static void finish(struct running *r, int64_t started_us)
{
    struct rusage usage = { 0 };
    kill(-r->child.pid, SIGKILL); /* what it left behind must not write on while we drain */
    drain(r);
    int status = child_reap(&r->child, &usage);
    struct process_result *result = &r->result;
    if (!r->ending)
        result->end = WIFSIGNALED(status) ? PROCESS_SIGNALLED : PROCESS_EXITED;
    result->status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    result->user_us = microseconds(usage.ru_utime);
    result->system_us = microseconds(usage.ru_stime);
    result->max_rss_kib = usage.ru_maxrss;
    result->wall_us = clock_steady_us() - started_us;
}

int process_run_hooked(const struct process_options *o, const struct process_hooks *h, struct process_result *ret,
                       struct err *e)
{
    int64_t started_us = clock_steady_us(), started_ms = (started_us + 999) / 1000;
    struct running r = {
        .o = o, .h = h, .result = { .out = STR_INIT, .err = STR_INIT },
        .max_output = o->max_output ? o->max_output : PROCESS_DEFAULT_OUTPUT,
        .deadline_ms = o->timeout_ms ? started_ms + o->timeout_ms : 0,
        .tick_ms = h && h->tick_ms ? started_ms + h->tick_ms : 0,
        .control_fd = h && h->on_control ? h->control_fd : -1,
    };
    int code = child_start(o, h, o->input != NULL, &r.child, e);
    if (code < 0)
        return code;
    bool stuck = false;
    while (!r.ended && !stuck) {
        step(&r);
        stuck = r.ending && !r.ended && clock_steady_ms() >= r.give_up_ms;
    }
    if (stuck) {
        child_close(&r.child.in);
        child_close(&r.child.out);
        child_close(&r.child.err);
        child_close(&r.child.pidfd);
        process_result_release(&r.result);
        code = err_set(e, ERR_TIMEOUT, "%s (process %ld) does not die although it was killed", o->argv[0],
                       (long)r.child.pid);
    } else {
        finish(&r, started_us);
        *ret = r.result;
    }
    times_add(o->kind, clock_steady_us() - started_us, 1);
    return code;
}

int process_run(const struct process_options *o, struct process_result *ret, struct err *e)
{
    return process_run_hooked(o, NULL, ret, e);
}

void process_result_release(struct process_result *r)
{
    str_release(&r->out);
    str_release(&r->err);
}

const char *process_result_describe(const struct process_result *r, char *buffer, size_t size)
{
    switch (r->end) {
    case PROCESS_EXITED:
        snprintf(buffer, size, "exited with status %d", r->status);
        break;
    case PROCESS_SIGNALLED:
        snprintf(buffer, size, "was killed by signal %d (%s)", r->status, strsignal(r->status));
        break;
    case PROCESS_TIMED_OUT:
        snprintf(buffer, size, "ran out of time");
        break;
    case PROCESS_FLOODED:
        snprintf(buffer, size, "printed too much");
        break;
    case PROCESS_CANCELLED:
        snprintf(buffer, size, "was stopped");
        break;
    }
    return buffer;
}
