/* server_door.c - the door: who comes in, who has left, and who takes too long.
 *
 * libmicrohttpd can listen itself, but on one socket for each of its threads; it counts idle
 * time only, so that one byte now and then keeps a connection for ever; and it does not see
 * that a client leaves whose connection is suspended, which is just when a model works for
 * nobody.  One thread of ours does these things: it accepts, and hands the descriptor over;
 * it watches each for the other side's end (EPOLLRDHUP, which costs nothing while all is
 * well); and looks at all deadlines every 50 ms.
 *
 * A client that has closed and one that has only closed its sending side look alike.  Both
 * are taken to have left: their handlers are told to stop.
 *
 * To end a connection the door shuts its socket down and lets libmicrohttpd find that; only
 * libmicrohttpd closes descriptors that it was given, after telling us (connection_free), so
 * a descriptor in the table is always the connection's own.
 *
 * A socket that is closed with bytes unread is reset, and the reset can overtake our last
 * answer (413 to a client that is still sending).  So a closed connection lingers for a
 * moment in a copy of its descriptor, of which what comes is thrown away.
 */
#include "http/server_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SWEEP_MS = 50, ACCEPTS = 32, LINGER_MS = 2000, LAST_WORDS_MS = 1000, PAUSE_MS = 100, BATCH = 64 };

/* What an event belongs to: a kind, and a descriptor with its generation or an index. */
enum kind { KIND_WAKE, KIND_LISTENER, KIND_CONNECTION, KIND_LINGERING };

static uint64_t event_name(enum kind kind, int fd, uint32_t generation)
{
    return (uint64_t)kind << 62 | (uint64_t)fd << 32 | generation;
}

static void watch(struct http_server *s, int how, int fd, uint32_t events, uint64_t name)
{
    struct epoll_event event = { .events = events, .data.u64 = name };
    epoll_ctl(s->door_epoll, how, fd, &event);
}

/* ---- connections ---- */

/* The lock is held. */
static struct connection *find(struct http_server *s, struct connection_key key)
{
    struct connection *c = (size_t)key.fd < s->by_fd_count ? s->by_fd[key.fd] : NULL;
    return c && c->key.generation == key.generation ? c : NULL;
}

/* The lock is held. */
static void connection_remove(struct connection *c)
{
    struct http_server *s = c->server;
    s->by_fd[c->key.fd] = NULL;
    if (c->next)
        c->next->previous = c->previous;
    *(c->previous ? &c->previous->next : &s->connections) = c->next;
    s->connection_count--;
    pthread_cond_broadcast(&s->changed);
}

/* The lock is held. */
static void connection_add(struct http_server *s, struct connection *c)
{
    size_t fd = (size_t)c->key.fd;
    if (fd >= s->by_fd_count) {
        size_t count = fd * 2 + 64;
        s->by_fd = xreallocarray(s->by_fd, count, sizeof(struct connection *));
        memset(s->by_fd + s->by_fd_count, 0, (count - s->by_fd_count) * sizeof(struct connection *));
        s->by_fd_count = count;
    }
    if (s->by_fd[fd]) { /* closed without a word: libmicrohttpd was out of memory */
        struct connection *lost = s->by_fd[fd];
        connection_remove(lost);
        free(lost);
    }
    c->key.generation = ++s->generation;
    s->by_fd[fd] = c;
    c->next = s->connections;
    if (c->next)
        c->next->previous = c;
    s->connections = c;
    s->connection_count++;
    s->counters.connections++;
}

struct connection *connection_started(struct http_server *s, int fd)
{
    pthread_mutex_lock(&s->lock);
    struct connection *c = (size_t)fd < s->by_fd_count ? s->by_fd[fd] : NULL;
    pthread_mutex_unlock(&s->lock);
    return c;
}

/* Keeps a copy of the descriptor for a moment.  The lock is held. */
static void linger(struct http_server *s, int fd)
{
    for (size_t i = 0; i < LINGERING_MAX; i++) {
        struct lingering *l = &s->lingering[i];
        if (l->fd >= 0)
            continue;
        l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        l->deadline_us = clock_steady_us() + LINGER_MS * 1000;
        if (l->fd >= 0)
            watch(s, EPOLL_CTL_ADD, l->fd, EPOLLIN | EPOLLRDHUP, event_name(KIND_LINGERING, (int)i, 0));
        return;
    }
}

void connection_free(struct connection *c)
{
    struct http_server *s = c->server;
    pthread_mutex_lock(&s->lock);
    /* The copy below keeps the socket open, so epoll would go on watching it. */
    epoll_ctl(s->door_epoll, EPOLL_CTL_DEL, c->key.fd, NULL);
    if (!c->left)
        linger(s, c->key.fd);
    connection_remove(c);
    pthread_mutex_unlock(&s->lock);
    free(c);
}

void connection_take(struct connection *c, struct exchange *x)
{
    struct http_server *s = c->server;
    pthread_mutex_lock(&s->lock);
    c->exchange = x;
    if (c->phase == PHASE_IDLE)
        c->deadline_us = x->begun_us + 1000 * s->limits.head_ms;
    c->phase = PHASE_HEAD;
    bool left = c->left;
    pthread_mutex_unlock(&s->lock);
    if (left)
        exchange_cancel(x, HTTP_CLIENT_LEFT);
}

void connection_give_back(struct exchange *x)
{
    struct http_server *s = x->server;
    pthread_mutex_lock(&s->lock);
    struct connection *c = find(s, x->connection);
    if (c) {
        c->exchange = NULL;
        c->phase = PHASE_IDLE;
        c->deadline_us = clock_steady_us() + 1000 * s->limits.idle_ms;
    }
    pthread_mutex_unlock(&s->lock);
}

void exchange_enter(struct exchange *x, enum phase phase, int64_t deadline_us)
{
    struct http_server *s = x->server;
    pthread_mutex_lock(&s->lock);
    struct connection *c = find(s, x->connection);
    if (c && c->exchange == x) {
        c->phase = phase;
        c->deadline_us = deadline_us;
    }
    pthread_mutex_unlock(&s->lock);
}

void send_refusal(int fd, int status)
{
    char text[160];
    int len = snprintf(text, sizeof text, "HTTP/1.1 %d %s\r\n%sConnection: close\r\nContent-Length: 0\r\n\r\n", status,
                       http_status_text(status), status == 503 ? "Retry-After: 1\r\n" : "");
    send(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Nothing goes on it any more.  The lock is held. */
static void hang_up(struct connection *c)
{
    c->left = true; /* nothing to linger for */
    c->deadline_us = 0;
    shutdown(c->key.fd, SHUT_RDWR);
}

void connections_close(struct http_server *s, bool all)
{
    pthread_mutex_lock(&s->lock);
    for (struct connection *c = s->connections; c; c = c->next)
        if (all || c->phase == PHASE_HEAD || c->phase == PHASE_IDLE)
            hang_up(c);
    pthread_mutex_unlock(&s->lock);
}

void exchanges_visit(struct http_server *s, void (*each)(struct exchange *x))
{
    pthread_mutex_lock(&s->lock);
    size_t count = 0;
    struct exchange **found = xcalloc(s->connection_count, sizeof *found);
    for (struct connection *c = s->connections; c; c = c->next)
        if (c->exchange) {
            exchange_ref(c->exchange);
            found[count++] = c->exchange;
        }
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < count; i++) {
        each(found[i]);
        exchange_unref(found[i]);
    }
    free(found);
}

/* ---- who comes in ---- */

/* Fills in who it is, and the part of the address that is counted. */
static void identify(struct connection *c, const struct sockaddr_storage *address)
{
    struct http_peer *p = &c->peer;
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, p->address, sizeof p->address);
        memcpy(c->address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
        memcpy(c->address + 12, &in->sin_addr, 4);
        p->port = ntohs(in->sin_port);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &in->sin6_addr, p->address, sizeof p->address);
        bool mapped = IN6_IS_ADDR_V4MAPPED(&in->sin6_addr);
        memcpy(c->address, &in->sin6_addr, mapped ? 16 : 8);
        p->port = ntohs(in->sin6_port);
    } else {
        struct ucred who;
        socklen_t len = sizeof who;
        snprintf(p->address, sizeof p->address, "unix");
        p->local = getsockopt(c->key.fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0;
        if (p->local) {
            p->uid = who.uid;
            p->gid = who.gid;
            p->pid = who.pid;
        }
    }
}

/* The lock is held. */
static bool has_room(const struct http_server *s, const struct connection *new)
{
    size_t same = 0;
    for (const struct connection *c = s->connections; c && !new->peer.local; c = c->next)
        same += memcmp(c->address, new->address, sizeof c->address) == 0;
    return s->connection_count < s->limits.connections && same < s->limits.connections_per_address;
}

static void turn_away(struct http_server *s, int fd)
{
    send_refusal(fd, 503);
    shutdown(fd, SHUT_WR);
    pthread_mutex_lock(&s->lock);
    s->counters.turned_away++;
    linger(s, fd);
    pthread_mutex_unlock(&s->lock);
    close(fd);
}

/* Has the system find out about clients that vanish without a word. */
static void keep_alive(int fd)
{
    int yes = 1, idle_s = 30, every_s = 10, tries = 3;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
}

static void let_in(struct http_server *s, int fd, const struct sockaddr_storage *address, socklen_t len)
{
    struct connection *c = xcalloc(1, sizeof *c);
    c->server = s;
    c->key.fd = fd;
    c->phase = PHASE_HEAD;
    c->deadline_us = clock_steady_us() + 1000 * s->limits.head_ms;
    identify(c, address);
    if (address->ss_family != AF_UNIX)
        keep_alive(fd);
    pthread_mutex_lock(&s->lock);
    bool room = has_room(s, c);
    if (room) {
        connection_add(s, c);
        watch(s, EPOLL_CTL_ADD, fd, EPOLLRDHUP | EPOLLET, event_name(KIND_CONNECTION, fd, c->key.generation));
    }
    struct connection_key key = c->key;
    pthread_mutex_unlock(&s->lock);
    if (!room) {
        free(c);
        turn_away(s, fd);
    } else if (!network_add(s, fd, (const struct sockaddr *)address, len)) {
        pthread_mutex_lock(&s->lock); /* it has closed the descriptor, and may have told us (connection_free) */
        c = find(s, key);
        if (c)
            connection_remove(c);
        pthread_mutex_unlock(&s->lock);
        free(c);
    }
}

static void watch_listeners(struct http_server *s, int how, uint32_t events)
{
    for (size_t i = 0; i < s->listener_count; i++)
        watch(s, how, s->listeners[i].fd, events, event_name(KIND_LISTENER, (int)i, 0));
}

/* Returns when to accept again, when the system has no descriptors left; else 0. */
static int64_t accept_some(struct http_server *s, const struct listener *l)
{
    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage address = { .ss_family = AF_UNIX };
        socklen_t len = sizeof address;
        int fd = accept4(l->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            let_in(s, fd, &address, len);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            watch_listeners(s, EPOLL_CTL_MOD, 0);
            return clock_steady_us() + 1000 * PAUSE_MS;
        } else if (errno == EAGAIN) {
            break;
        }
    }
    return 0;
}

/* ---- who has left ---- */

static void notice(struct http_server *s, struct connection_key key)
{
    pthread_mutex_lock(&s->lock);
    struct connection *c = find(s, key);
    struct exchange *x = NULL;
    if (c) {
        c->left = true;
        x = c->exchange;
        if (x)
            exchange_ref(x);
    }
    pthread_mutex_unlock(&s->lock);
    if (x) {
        exchange_cancel(x, HTTP_CLIENT_LEFT);
        exchange_unref(x);
    }
}

/* Throws away what came; `index`: of lingering. */
static void drain(struct http_server *s, size_t index)
{
    char bytes[16384];
    pthread_mutex_lock(&s->lock);
    struct lingering *l = &s->lingering[index];
    if (l->fd >= 0) {
        ssize_t n = recv(l->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            close(l->fd);
            l->fd = -1;
        }
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- who takes too long ---- */

/* What a deadline means in the connection's phase.  Returns an exchange to cancel or to cut,
 * with a reference.  The lock is held. */
static struct exchange *expire(struct connection *c, int64_t now, bool *ret_cut)
{
    struct http_server *s = c->server;
    *ret_cut = c->phase != PHASE_WORK;
    switch (c->phase) {
    case PHASE_HEAD:
    case PHASE_BODY:
        send_refusal(c->key.fd, 408);
        s->counters.timed_out++;
        hang_up(c);
        return NULL;
    case PHASE_IDLE:
        hang_up(c);
        return NULL;
    case PHASE_WORK:
        s->counters.timed_out++;
        c->phase = PHASE_LAST_WORDS;
        c->deadline_us = now + 1000 * LAST_WORDS_MS;
        break;
    case PHASE_LAST_WORDS:
        c->phase = PHASE_SEND;
        c->deadline_us = now + 1000 * s->limits.rate_grace_ms;
        break;
    case PHASE_SEND:
        s->counters.timed_out++;
        hang_up(c);
        break;
    }
    if (c->exchange)
        exchange_ref(c->exchange);
    return c->exchange;
}

/* At most BATCH; returns how many. */
static size_t sweep_some(struct http_server *s, int64_t now)
{
    struct {
        struct exchange *exchange;
        bool cut;
    } late[BATCH];
    size_t count = 0;
    pthread_mutex_lock(&s->lock);
    for (struct connection *c = s->connections; c && count < BATCH; c = c->next)
        if (c->deadline_us && c->deadline_us <= now) {
            late[count].exchange = expire(c, now, &late[count].cut);
            count += late[count].exchange != NULL;
        }
    for (size_t i = 0; i < LINGERING_MAX; i++)
        if (s->lingering[i].fd >= 0 && s->lingering[i].deadline_us <= now) {
            close(s->lingering[i].fd);
            s->lingering[i].fd = -1;
        }
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < count; i++) {
        if (late[i].cut)
            exchange_cut(late[i].exchange);
        else
            exchange_cancel(late[i].exchange, HTTP_DEADLINE);
        exchange_unref(late[i].exchange);
    }
    return count;
}

/* How long to sleep: for ever while there is nobody to look after. */
static int nap_ms(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    bool busy = s->connections != NULL;
    for (size_t i = 0; i < LINGERING_MAX && !busy; i++)
        busy = s->lingering[i].fd >= 0;
    pthread_mutex_unlock(&s->lock);
    return busy ? SWEEP_MS : -1;
}

/* ---- the thread ---- */

static void close_listeners(struct http_server *s)
{
    for (size_t i = 0; i < s->listener_count; i++)
        listener_close(&s->listeners[i]);
    pthread_mutex_lock(&s->lock);
    s->listener_count = 0;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Returns when to accept again, if not now. */
static int64_t handle(struct http_server *s, uint64_t name)
{
    enum kind kind = (enum kind)(name >> 62);
    int fd = (int)(name >> 32 & 0x3fffffff);
    uint64_t count;
    switch (kind) {
    case KIND_WAKE:
        if (read(s->door_wake, &count, sizeof count) < 0)
            break;
        break;
    case KIND_LISTENER:
        return (size_t)fd < s->listener_count ? accept_some(s, &s->listeners[fd]) : 0;
    case KIND_CONNECTION:
        notice(s, (struct connection_key){ fd, (uint32_t)name });
        break;
    case KIND_LINGERING:
        drain(s, (size_t)fd);
        break;
    }
    return 0;
}

static void *keep_door(void *ctx)
{
    struct http_server *s = ctx;
    int64_t paused_until = 0, next_sweep = 0;
    for (bool closed = false; !closed;) {
        struct epoll_event events[BATCH];
        int n = epoll_wait(s->door_epoll, events, BATCH, paused_until ? SWEEP_MS : nap_ms(s));
        for (int i = 0; i < n; i++) {
            int64_t until = handle(s, events[i].data.u64);
            paused_until = until ? until : paused_until;
        }
        if (atomic_load(&s->stopping) && s->listener_count)
            close_listeners(s);
        int64_t now = clock_steady_us();
        if (paused_until && now >= paused_until) {
            watch_listeners(s, EPOLL_CTL_MOD, EPOLLIN);
            paused_until = 0;
        }
        if (now >= next_sweep) {
            while (sweep_some(s, now) == BATCH)
                ;
            next_sweep = now + 1000 * SWEEP_MS;
        }
        pthread_mutex_lock(&s->lock);
        closed = s->door_closed;
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

static void close_descriptors(struct http_server *s)
{
    if (s->door_wake >= 0)
        close(s->door_wake);
    if (s->door_epoll >= 0)
        close(s->door_epoll);
    s->door_wake = s->door_epoll = -1;
}

int door_open(struct http_server *s, struct err *e)
{
    s->door_epoll = epoll_create1(EPOLL_CLOEXEC);
    s->door_wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int failure = s->door_epoll < 0 || s->door_wake < 0 ? errno : 0;
    if (!failure) {
        watch(s, EPOLL_CTL_ADD, s->door_wake, EPOLLIN, event_name(KIND_WAKE, 0, 0));
        watch_listeners(s, EPOLL_CTL_ADD, EPOLLIN);
        failure = thread_start(&s->door, keep_door, s);
    }
    if (!failure)
        return 0;
    close_descriptors(s);
    return err_set_errno(e, ERR_FAILED, failure, "the HTTP server cannot start");
}

static void wake_door(struct http_server *s)
{
    uint64_t one = 1;
    while (write(s->door_wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void door_shut(struct http_server *s)
{
    wake_door(s); /* it sees that the server is stopping */
    pthread_mutex_lock(&s->lock);
    while (s->listener_count)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

void door_close(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->door_closed = true;
    pthread_mutex_unlock(&s->lock);
    wake_door(s);
    pthread_join(s->door, NULL);
    for (size_t i = 0; i < LINGERING_MAX; i++)
        if (s->lingering[i].fd >= 0)
            close(s->lingering[i].fd);
    close_descriptors(s);
}
