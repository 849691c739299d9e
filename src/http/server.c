/* server.c - a server's tables and limits, its start and its stop.
 *
 * Why libmicrohttpd and so much beside it: it reads and writes HTTP on many connections with
 * one thread, can suspend a connection while a handler thinks, and is a library small enough
 * to know; what it lacks (see server_door.c and guard.c) is easier to add than a parser, a
 * writer and years of other people's clients are to write.
 */
#include "http/server_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    STOP_STEP_MS = 10,
    STOP_LAST_WORDS_MS = 1000, /* for handlers that were cancelled, and for what is being sent */
    QUICK_WORKERS = 1,
    QUICK_WAITING = 256,
    OTHER_FILES = 256, /* of all else in the process */
    LEAST_CONNECTIONS = 8,
};

const char *http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } all[] = {
        { 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" },
        { 303, "See Other" }, { 304, "Not Modified" },
        { 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" },
        { 405, "Method Not Allowed" }, { 408, "Request Timeout" }, { 409, "Conflict" },
        { 411, "Length Required" }, { 413, "Content Too Large" }, { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" }, { 421, "Misdirected Request" }, { 422, "Unprocessable Content" }, { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 502, "Bad Gateway" },
        { 503, "Service Unavailable" }, { 504, "Gateway Timeout" }, { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].status == status)
            return all[i].text;
    return "Unknown";
}

/* ---- tables and limits ---- */

static bool is_method(const char *method)
{
    size_t len = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return len && !method[len];
}

static int check_tables(const struct http_options *o, struct err *e)
{
    if (!o->table_count)
        return err_set(e, ERR_INVALID, "a server without a table of routes");
    for (size_t i = 0; i < o->table_count; i++)
        for (size_t j = 0; j < o->tables[i].route_count; j++) {
            const struct http_route *r = &o->tables[i].routes[j];
            if (!r->method || !is_method(r->method) || !r->pattern || !pattern_valid(r->pattern) || !r->handle || !r->doc)
                return err_set(e, ERR_INVALID, "route %zu of table %zu (%s %s) has no method, pattern, handler or line of documentation",
                               j, i, r->method ? r->method : "?", r->pattern ? r->pattern : "?");
            for (size_t k = 0; k < j; k++)
                if (streq(o->tables[i].routes[k].method, r->method) && streq(o->tables[i].routes[k].pattern, r->pattern))
                    return err_set(e, ERR_INVALID, "two routes for %s %s", r->method, r->pattern);
        }
    return 0;
}

static int check_limits(const struct http_limits *l, struct err *e)
{
    bool good = l->connections && l->connections_per_address && l->workers && l->request_line && l->head >= l->request_line &&
                l->headers && l->stream_buffer && l->rate && l->head_ms > 0 && l->idle_ms > 0 && l->rate_grace_ms > 0 &&
                l->stall_ms > 0;
    return good ? 0 : err_set(e, ERR_INVALID, "a limit of the HTTP server is 0, or its head is shorter than its request line");
}

int http_server_new(const struct http_options *options, struct http_server **ret, struct err *e)
{
    static const struct http_limits preset = HTTP_LIMITS_DEFAULT;
    const struct libmicrohttpd *mhd;
    const struct http_limits *limits = options->limits ? options->limits : &preset;
    int code = check_tables(options, e);
    if (code == 0)
        code = check_limits(limits, e);
    if (code == 0)
        code = libmicrohttpd_load(&mhd, e);
    if (code < 0)
        return code;
    struct http_server *s = xcalloc(1, sizeof *s);
    s->mhd = mhd;
    s->options = *options;
    s->limits = *limits;
    s->door_epoll = s->door_wake = s->duty_epoll = s->duty_wake = -1;
    for (size_t i = 0; i < LINGERING_MAX; i++)
        s->lingering[i].fd = -1;
    struct pool_duty duty = { network_attend, network_call, network_dismiss, s };
    pool_init(&s->pool, s->limits.workers, s->limits.waiting, &duty);
    pool_init(&s->quick_pool, QUICK_WORKERS, QUICK_WAITING, NULL);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->network, NULL);
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &steady);
    pthread_condattr_destroy(&steady);
    *ret = s;
    return 0;
}

/* ---- start ---- */

static int keep_listener(struct http_server *s, int code, const struct listener *l)
{
    if (code < 0)
        return code;
    XGROW(s->listeners, s->listener_cap, s->listener_count);
    s->listeners[s->listener_count++] = *l;
    return 0;
}

int http_server_listen_tcp(struct http_server *s, const char *host, int port, int *ret_port, struct err *e)
{
    struct listener l;
    int code = keep_listener(s, listen_tcp(&l, host, port, e), &l);
    if (code == 0 && ret_port)
        *ret_port = l.port;
    return code;
}

int http_server_listen_unix(struct http_server *s, const char *path, struct err *e)
{
    struct listener l;
    return keep_listener(s, listen_unix(&l, path, e), &l);
}

/* A connection is a descriptor, and so is what its handler asks in turn.  With the usual limit of 1,024
 * clients could take those that models and the store need; and where the machine allows no more,
 * connections have to be fewer. */
static void make_room(struct http_server *s)
{
    struct rlimit limit;
    struct http_limits *l = &s->limits;
    rlim_t others = l->workers + OTHER_FILES, wanted = l->connections + others;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    size_t room = limit.rlim_cur > others + LEAST_CONNECTIONS ? (size_t)(limit.rlim_cur - others) : LEAST_CONNECTIONS;
    log_warning("http: this machine lets a process have %llu files open, so that %zu connections are taken instead of %zu",
                (unsigned long long)limit.rlim_cur, room, l->connections);
    l->connections = room;
}

static void end_threads(struct http_server *s)
{
    pool_stop(&s->pool);
    pool_stop(&s->quick_pool);
    network_stop(s);
}

int http_server_start(struct http_server *s, struct err *e)
{
    make_room(s);
    int code = network_start(s, e);
    if (code == 0)
        code = pool_start(&s->pool, e);
    if (code == 0)
        code = pool_start(&s->quick_pool, e);
    if (code == 0)
        code = door_open(s, e);
    s->running = code == 0;
    if (code < 0)
        end_threads(s);
    return code;
}

/* ---- stop ---- */

/* Waits until no handler runs (and with `connections` no connection is left), at most until
 * then; negative: as long as it takes. */
static void wait_until_gone(struct http_server *s, bool connections, int64_t until_ms)
{
    for (bool gone = false; !gone && (until_ms < 0 || clock_steady_ms() < until_ms);) {
        connections_close(s, false);
        pthread_mutex_lock(&s->lock);
        gone = !s->exchange_count && (!connections || !s->connection_count);
        if (!gone) {
            struct timespec t;
            clock_gettime(CLOCK_MONOTONIC, &t);
            t.tv_nsec += STOP_STEP_MS * 1000000;
            if (t.tv_nsec >= 1000000000) {
                t.tv_sec++;
                t.tv_nsec -= 1000000000;
            }
            pthread_cond_timedwait(&s->changed, &s->lock, &t);
        }
        pthread_mutex_unlock(&s->lock);
    }
}

static void tell_to_stop(struct exchange *x)
{
    exchange_cancel(x, HTTP_STOPPING);
}

void http_server_stop(struct http_server *s, int64_t grace_ms)
{
    atomic_store(&s->stopping, true);
    if (!s->running)
        return;
    s->running = false;
    door_shut(s);
    wait_until_gone(s, true, clock_steady_ms() + grace_ms);
    exchanges_visit(s, tell_to_stop);
    wait_until_gone(s, true, clock_steady_ms() + STOP_LAST_WORDS_MS);
    exchanges_visit(s, exchange_cut);
    wait_until_gone(s, false, -1);
    wait_until_gone(s, true, clock_steady_ms() + STOP_LAST_WORDS_MS);
    connections_close(s, true);
    wait_until_gone(s, true, clock_steady_ms() + STOP_LAST_WORDS_MS);
    end_threads(s);
    door_close(s);
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    http_server_stop(s, 0);
    for (size_t i = 0; i < s->listener_count; i++)
        listener_close(&s->listeners[i]);
    free(s->listeners);
    free(s->by_fd);
    pool_release(&s->pool);
    pool_release(&s->quick_pool);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->network);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void http_server_count(struct http_server *s, struct http_counters *ret)
{
    pthread_mutex_lock(&s->lock);
    *ret = s->counters;
    ret->open_connections = s->connection_count;
    pthread_mutex_unlock(&s->lock);
    pool_count(&s->pool, &ret->waiting, &ret->running);
    pool_count(&s->quick_pool, &ret->waiting, &ret->running);
}
