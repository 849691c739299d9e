/* server_network.c - libmicrohttpd's turns: who runs it, and when.
 *
 * libmicrohttpd has no thread of its own.  It is run by whoever has something for it: a thread that is on
 * duty (pool.h) when a socket has bytes or takes some, and a worker as soon as it has an answer.  So a
 * request is read and handled by the same thread, and its answer is sent by the thread that made it,
 * without a wake-up between them.
 *
 * Threads on duty wait for libmicrohttpd's epoll descriptor within one of ours, which tells one of them
 * (EPOLLONESHOT) and is armed again after its turn.
 */
#include "http/server_internal.h"

#include "base/err.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    /* Of libmicrohttpd for an answer: it begins one, and it sends it; and again for a stream's first bytes. */
    RUNS_FOR_ANSWER = 6,
    RUNS_ON_DUTY = 16, /* others wait for the lock */
};

/* One of those on duty takes a turn. */
void network_call(void *ctx)
{
    struct http_server *s = ctx;
    uint64_t one = 1;
    while (write(s->duty_wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* Whether libmicrohttpd's descriptor is watched for those on duty, one of whom is told.  The network lock
 * is held, or nobody is on duty. */
static int watch_sockets(struct http_server *s, int how, bool watched)
{
    struct epoll_event event = { .events = watched ? EPOLLIN | EPOLLONESHOT : 0 };
    event.data.fd = s->mhd->get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return epoll_ctl(s->duty_epoll, how, event.data.fd, &event);
}

static bool has_more(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    return atomic_load(&s->resumed) || (s->mhd->get_timeout(s->daemon, &wait_ms) == MHD_YES && wait_ms == 0);
}

/* At most `runs`; returns whether there is more to do. */
static bool run(struct http_server *s, int runs)
{
    bool more = true;
    while (more && runs-- > 0 && !pool_has_found_job()) {
        atomic_store(&s->resumed, false);
        s->mhd->run(s->daemon);
        more = has_more(s);
    }
    return more;
}

/* With one run more, to hear what came of the others: a socket that is watched again, as it is after an
 * answer, is said to take bytes, for which nobody need be called. */
static bool run_and_hear(struct http_server *s, int runs)
{
    watch_sockets(s, EPOLL_CTL_MOD, false);
    bool more = run(s, runs);
    if (!more)
        more = run(s, 1);
    watch_sockets(s, EPOLL_CTL_MOD, true);
    return more;
}

static void take_turn(struct http_server *s, int runs, bool hears)
{
    pthread_mutex_lock(&s->network);
    bool more = hears ? run_and_hear(s, runs) : run(s, runs);
    pthread_mutex_unlock(&s->network);
    if (more)
        network_call(s);
}

void network_turn(struct http_server *s, bool answered)
{
    take_turn(s, RUNS_FOR_ANSWER, answered);
}

void network_resume(struct exchange *x)
{
    x->server->mhd->resume_connection(x->mhd);
    atomic_store(&x->server->resumed, true);
}

bool network_add(struct http_server *s, int fd, const struct sockaddr *address, socklen_t len)
{
    pthread_mutex_lock(&s->network);
    bool added = s->mhd->add_connection(s->daemon, fd, address, len) == MHD_YES;
    bool more = has_more(s); /* from 0.9.77 on the next turn begins with it */
    pthread_mutex_unlock(&s->network);
    if (more)
        network_call(s);
    return added;
}

/* ---- on duty ---- */

/* Whether the call is for this thread: another one may have been faster. */
static bool take_call(struct http_server *s)
{
    uint64_t count;
    bool taken = read(s->duty_wake, &count, sizeof count) == sizeof count;
    if (taken && atomic_load(&s->dismissed))
        network_call(s); /* that call was for all */
    return taken;
}

void network_attend(void *ctx)
{
    struct http_server *s = ctx;
    struct epoll_event event;
    if (epoll_wait(s->duty_epoll, &event, 1, -1) != 1 || atomic_load(&s->dismissed))
        return;
    if (event.data.fd != s->duty_wake || take_call(s))
        take_turn(s, RUNS_ON_DUTY, true);
}

void network_dismiss(void *ctx)
{
    struct http_server *s = ctx;
    atomic_store(&s->dismissed, true);
    network_call(s);
}

/* ---- start and stop ---- */

static int open_duty(struct http_server *s)
{
    s->duty_epoll = epoll_create1(EPOLL_CLOEXEC);
    s->duty_wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = s->duty_wake };
    if (s->duty_epoll < 0 || s->duty_wake < 0 || epoll_ctl(s->duty_epoll, EPOLL_CTL_ADD, s->duty_wake, &event) < 0)
        return -1;
    return watch_sockets(s, EPOLL_CTL_ADD, true);
}

int network_start(struct http_server *s, struct err *e)
{
    /* Half of a connection's memory is its buffer for reading, in which a head has to fit; all of it
     * is cleared for each request. */
    size_t memory = 4 * s->limits.head > 65536 ? 4 * s->limits.head : 65536;
    s->daemon = s->mhd->start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME,
        0, NULL, NULL, on_request, s,
        MHD_OPTION_URI_LOG_CALLBACK, on_line, s,
        MHD_OPTION_NOTIFY_COMPLETED, on_done, s,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_UNESCAPE_CALLBACK, decode_nothing, s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->limits.connections + LINGERING_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u, /* the door keeps all deadlines */
        /* Up to 0.9.76 all of it is left to the guard, whose answers are better. */
        MHD_OPTION_STRICT_FOR_CLIENT, s->mhd->parses_in_place ? 0 : 1,
        MHD_OPTION_END);
    if (s->daemon && open_duty(s) == 0)
        return 0;
    int saved = errno;
    network_stop(s);
    return err_set_errno(e, ERR_FAILED, saved, "libmicrohttpd does not start");
}

void network_stop(struct http_server *s)
{
    if (s->daemon)
        s->mhd->stop_daemon(s->daemon);
    if (s->duty_wake >= 0)
        close(s->duty_wake);
    if (s->duty_epoll >= 0)
        close(s->duty_epoll);
    s->daemon = NULL;
    s->duty_wake = s->duty_epoll = -1;
}
