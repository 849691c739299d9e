/* server_exchange.c - libmicrohttpd's callbacks: a request from its first line to its end.
 *
 * For each request libmicrohttpd calls, in its turn: on_line when the request line
 * is whole; on_request when the head is, then for each piece of the body, then when all is
 * there, and again whenever the connection was resumed; and on_done.  We look at the head
 * once (guard, route, permission, size), collect the body, hand the exchange to a worker and
 * suspend the connection until there is an answer.
 *
 * A handler is never called here: whatever waits here stops every connection.  The thread that is on duty
 * takes it along, and calls it when the turn is over.
 */
#include "http/server_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "http/guard.h"
#include "http/names.h"

#include <stdlib.h>

enum {
    /* A body in chunks that is too large is read so much further before the client is told. */
    TOO_MUCH = 1 << 20,
    /* Memory for a body is taken at its first byte up to this, and beyond as it comes. */
    AT_ONCE = 1 << 20,
};

int64_t rate_ms(const struct http_limits *limits, uint64_t bytes)
{
    return limits->rate_grace_ms + (int64_t)(bytes * 1000 / limits->rate);
}

/* ---- life ---- */

static struct exchange *exchange_new(struct http_server *s, struct connection *c, struct MHD_Connection *mhd)
{
    struct exchange *x = xcalloc(1, sizeof *x);
    x->server = s;
    x->mhd = mhd;
    x->connection = c->key;
    x->table = &s->options.tables[0];
    x->begun_us = clock_steady_us();
    arena_init(&x->arena);
    str_init(&x->body);
    str_init(&x->stream.bytes);
    x->stream.exchange = x;
    x->pub = (struct http_exchange){
        .id = atomic_fetch_add(&s->next_id, 1) + 1, .method = "", .path = "", .peer = c->peer, .body = "",
        .cancel = &x->cancel, .arena = &x->arena,
    };
    atomic_init(&x->references, 1);
    pthread_mutex_init(&x->lock, NULL);
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&x->room, &steady);
    pthread_condattr_destroy(&steady);
    return x;
}

void exchange_ref(struct exchange *x)
{
    atomic_fetch_add(&x->references, 1);
}

void exchange_unref(struct exchange *x)
{
    if (atomic_fetch_sub(&x->references, 1) > 1)
        return;
    atomic_fetch_sub(&x->server->bodies, x->reserved);
    str_release(&x->body);
    str_release(&x->stream.bytes);
    arena_release(&x->arena);
    pthread_cond_destroy(&x->room);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

static void tally(struct http_server *s, uint64_t *counter)
{
    pthread_mutex_lock(&s->lock);
    ++*counter;
    pthread_mutex_unlock(&s->lock);
}

/* ---- answers given here ---- */

/* Suspends the connection until there is an answer, and then queues that.
 *
 * It is suspended even when the answer is there already: otherwise libmicrohttpd reads once
 * more before it writes, and closes on a client that has ended its sending with the request. */
static enum MHD_Result give_answer(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool ready = x->state != ANSWER_NONE || x->cut;
    if (!ready || !x->rested) {
        x->rested = true;
        x->parked = !ready;
        x->server->mhd->suspend_connection(x->mhd);
        pthread_mutex_unlock(&x->lock);
        if (ready)
            network_resume(x);
        return MHD_YES;
    }
    struct MHD_Response *r = x->response;
    x->response = NULL;
    unsigned status = (unsigned)x->status;
    pthread_mutex_unlock(&x->lock);
    if (!r)
        return MHD_NO;
    enum MHD_Result queued = x->server->mhd->queue_response(x->mhd, status, r);
    x->server->mhd->destroy_response(r);
    return queued;
}

static void refuse(struct exchange *x, int status, const char *code, const char *message)
{
    http_answer_error(&x->pub, status, NULL, code, "%s", message);
}

static void turn_away(struct exchange *x, const char *message)
{
    tally(x->server, &x->server->counters.turned_away);
    refuse(x, 503, "busy", message);
}

static bool is_answered(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool answered = x->state != ANSWER_NONE;
    pthread_mutex_unlock(&x->lock);
    return answered;
}

/* ---- the head ---- */

struct collected {
    struct exchange *x;
    struct guard_header *headers;
    size_t count, cap;
};

static enum MHD_Result collect(void *ctx, enum MHD_ValueKind kind, const char *name, size_t name_len,
                               const char *value, size_t value_len)
{
    (void)kind;
    struct collected *c = ctx;
    ARENA_GROW(&c->x->arena, c->headers, c->cap, c->count);
    c->headers[c->count++] = (struct guard_header){ name, value ? value : "", name_len, value_len };
    return MHD_YES;
}

/* Copies: a handler may outlive libmicrohttpd's memory. */
static void keep_headers(struct exchange *x, const struct collected *c)
{
    x->headers = ARENA_ARRAY(&x->arena, struct http_field, c->count);
    x->header_count = c->count;
    for (size_t i = 0; i < c->count; i++) {
        const struct guard_header *h = &c->headers[i];
        size_t len = h->value_len;
        while (len && (h->value[len - 1] == ' ' || h->value[len - 1] == '\t'))
            len--;
        x->headers[i].name = arena_strndup(&x->arena, h->name, h->name_len);
        x->headers[i].value = arena_strndup(&x->arena, h->value, len);
    }
}

static void guard(struct exchange *x, const char *method, const char *version, struct guard_verdict *ret)
{
    struct http_server *s = x->server;
    struct collected c = { .x = x };
    s->mhd->get_connection_values_n(x->mhd, MHD_HEADER_KIND, collect, &c);
    const union MHD_ConnectionInfo *size = s->mhd->get_connection_info(x->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    struct guard_head head = {
        .method = method, .version = version, .target = x->raw_target, .headers = c.headers, .header_count = c.count,
        .size = size ? size->header_size : 0, .in_place = s->mhd->parses_in_place,
    };
    guard_check(&head, &s->limits, ret);
    if (ret->status)
        return;
    x->pub.method = arena_strdup(&x->arena, method);
    keep_headers(x, &c);
}

/* ---- the route ---- */

static bool takes_method(const struct http_route *route, const char *method)
{
    return streq(route->method, method) || (streq(route->method, "GET") && streq(method, "HEAD"));
}

static void add_method(struct str *allowed, const char *method)
{
    /* A word of a list joined by ", ": no method is part of another's name. */
    if (!strstr(allowed->data, method))
        str_addf(allowed, "%s%s", allowed->len ? ", " : "", method);
}

/* Finds the route; `allowed` gets the methods of those that fit but for theirs. */
static void find_route(struct exchange *x, struct str *allowed)
{
    const struct http_options *o = &x->server->options;
    x->params = ARENA_ARRAY(&x->arena, struct http_field, TARGET_MAX_SEGMENTS);
    for (size_t i = 0; i < o->table_count && !x->pub.route; i++)
        for (size_t j = 0; j < o->tables[i].route_count && !x->pub.route; j++) {
            const struct http_route *route = &o->tables[i].routes[j];
            if (!pattern_match(&x->arena, route->pattern, &x->target, x->params, &x->param_count))
                continue;
            x->table = &o->tables[i];
            if (takes_method(route, x->pub.method))
                x->pub.route = route;
            add_method(allowed, route->method);
            if (streq(route->method, "GET"))
                add_method(allowed, "HEAD");
        }
}

/* What a browser asks before it lets an allowed page send anything else than a form could. */
static void add_preflight(struct exchange *x, const char *methods)
{
    const char *wanted = http_header(&x->pub, "Access-Control-Request-Headers");
    if (!http_header(&x->pub, "Origin") || !http_header(&x->pub, "Access-Control-Request-Method"))
        return;
    http_answer_header(&x->pub, "Access-Control-Allow-Methods", methods);
    if (wanted)
        http_answer_header(&x->pub, "Access-Control-Allow-Headers", wanted);
    http_answer_header(&x->pub, "Access-Control-Max-Age", "600");
}

static void answer_without_route(struct exchange *x, struct str *allowed)
{
    if (!allowed->len) {
        refuse(x, 404, "not-found", "there is nothing at this path");
        return;
    }
    add_method(allowed, "OPTIONS");
    http_answer_header(&x->pub, "Allow", allowed->data);
    add_preflight(x, allowed->data);
    if (streq(x->pub.method, "OPTIONS"))
        http_answer(&x->pub, 204, NULL, "", 0);
    else
        refuse(x, 405, "method", "this path has no such method; Allow names those it has");
}

/* 0, or the status of a refusal. */
static int ask_permission(struct exchange *x, struct err *e)
{
    if (!x->pub.route->permission)
        return 0;
    if (x->table->allow)
        return x->table->allow(&x->pub, x->table->ctx, e);
    err_set(e, ERR_REFUSED, "nobody is allowed this");
    return 403;
}

/* Room for the body among those of all others. */
static bool reserve(struct exchange *x, size_t bytes)
{
    struct http_server *s = x->server;
    if (atomic_fetch_add(&s->bodies, bytes) + bytes > s->limits.bodies) {
        atomic_fetch_sub(&s->bodies, bytes);
        return false;
    }
    x->reserved = bytes;
    return true;
}

static size_t max_body(const struct exchange *x)
{
    size_t limit = x->server->limits.body, max = x->pub.route->max_body;
    return limit && limit < max ? limit : max;
}

/* What programs know refusals by; OpenAI's words where it has some. */
static const char *refusal_code(int status)
{
    return status == 401 ? "invalid_api_key" : status == 429 ? "rate_limit_exceeded" : "refused";
}

/* Whether the route takes the request; it is answered when not. */
static void check_route(struct exchange *x, const struct guard_verdict *v)
{
    size_t max = max_body(x);
    struct err e = { 0 };
    if (v->content_length > max || (v->chunked && !max)) {
        refuse(x, 413, "too-large", arena_printf(&x->arena, "a body may have %zu bytes here", max));
        return;
    }
    int status = ask_permission(x, &e);
    if (status)
        refuse(x, status, refusal_code(status), e.text);
    else if (atomic_load(&x->server->stopping))
        turn_away(x, "the server is being stopped");
    else if (!reserve(x, v->chunked ? max : (size_t)v->content_length))
        turn_away(x, "too many large requests at once; try again soon");
}

/* Whether the name it was sent to and the page it comes from are allowed; it is answered when not. */
static bool check_names(struct exchange *x)
{
    const struct http_options *o = &x->server->options;
    const char *host = http_header(&x->pub, "Host"), *origin = http_header(&x->pub, "Origin");
    if (x->pub.peer.local)
        return true;
    if (o->hosts && host && !host_is_ours(host, o->hosts)) {
        refuse(x, 421, "host", "this server is not known under the name in Host; its setting hosts lists further names");
        return false;
    }
    if (!o->origins || !origin)
        return true;
    if (!origin_is_allowed(origin, host, o->origins)) {
        refuse(x, 403, "origin", "pages of this origin may not ask here; the server's setting origins lists those that may");
        return false;
    }
    http_answer_header(&x->pub, "Access-Control-Allow-Origin", origin);
    http_answer_header(&x->pub, "Vary", "Origin");
    return true;
}

/* Answers whatever need not be read further. */
static void look_at_head(struct exchange *x, const char *method, const char *version)
{
    struct guard_verdict v;
    guard(x, method, version, &v);
    x->has_body = v.chunked || v.content_length;
    x->closes = v.status || v.chunked; /* see guard.c */
    if (v.status) {
        tally(x->server, &x->server->counters.refused);
        refuse(x, v.status, "malformed", v.why);
        return;
    }
    const char *why = target_parse(&x->arena, x->raw_target, &x->target);
    if (why) {
        refuse(x, 400, "path", arena_printf(&x->arena, "the path or query cannot be read: %s", why));
        return;
    }
    x->pub.path = x->target.path;
    if (!check_names(x))
        return;
    STR_LOCAL(allowed);
    find_route(x, &allowed);
    if (x->pub.route)
        check_route(x, &v);
    else
        answer_without_route(x, &allowed);
}

static enum MHD_Result take_head(struct exchange *x, const char *method, const char *version)
{
    x->head_seen = true;
    look_at_head(x, method, version);
    x->body_us = clock_steady_us();
    x->submitted = is_answered(x);
    /* libmicrohttpd closes the connection when it gets an answer before the end of the request,
     * so without need it gets none yet. */
    if (x->submitted)
        return x->has_body || x->closes ? give_answer(x) : MHD_YES;
    if (x->has_body)
        exchange_enter(x, PHASE_BODY, x->body_us + 1000 * rate_ms(&x->server->limits, 0));
    return MHD_YES;
}

/* ---- the body ---- */

static enum MHD_Result take_body(struct exchange *x, const char *bytes, size_t len)
{
    size_t max = max_body(x);
    x->received += len;
    x->too_large = x->too_large || x->received > max;
    if (x->received > max + TOO_MUCH) {
        /* libmicrohttpd takes no answer before the end, and there may be none. */
        send_refusal(x->connection.fd, 413);
        x->status = 413;
        return MHD_NO;
    }
    if (!x->body.len && x->reserved <= AT_ONCE)
        str_reserve(&x->body, x->reserved);
    if (!x->too_large)
        str_add_bytes(&x->body, bytes, len);
    exchange_enter(x, PHASE_BODY, x->body_us + 1000 * rate_ms(&x->server->limits, x->received));
    return MHD_YES;
}

/* ---- the work ---- */

/* On a worker. */
static void run_handler(struct pool_job *job)
{
    struct exchange *x = (struct exchange *)((char *)job - offsetof(struct exchange, job));
    struct http_server *s = x->server;
    struct err e = { 0 };
    int code = 0;
    atomic_store(&x->started_us, clock_steady_us());
    if (!is_answered(x)) /* its deadline may have passed in the queue */
        code = x->pub.route->handle(&x->pub, x->table->ctx, &e);
    atomic_store(&x->returned_us, clock_steady_us());
    if (!e.code)
        err_set(&e, code ? code : ERR_FAILED, "the server has a fault: this request got no answer");
    if (!is_answered(x))
        exchange_fail(x, &e);
    answer_finish(x, false);
    pthread_mutex_lock(&s->lock);
    s->exchange_count--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    exchange_unref(x);
}

/* The request is whole: to the workers with it.  False: they cannot take it. */
static bool submit(struct exchange *x)
{
    struct http_server *s = x->server;
    const struct http_route *route = x->pub.route;
    x->pub.body = x->body.data;
    x->pub.body_len = x->body.len;
    x->job.run = run_handler;
    exchange_ref(x);
    exchange_enter(x, PHASE_WORK, route->deadline_ms ? x->whole_us + 1000 * route->deadline_ms : 0);
    pthread_mutex_lock(&s->lock);
    s->exchange_count++;
    pthread_mutex_unlock(&s->lock);
    if (pool_submit(route->quick ? &s->quick_pool : &s->pool, &x->job))
        return true;
    pthread_mutex_lock(&s->lock);
    s->exchange_count--;
    pthread_mutex_unlock(&s->lock);
    exchange_unref(x);
    return false;
}

static enum MHD_Result take_end(struct exchange *x)
{
    x->submitted = true;
    x->whole_us = clock_steady_us();
    if (x->too_large)
        refuse(x, 413, "too-large", "the body is too large");
    else if (atomic_load(&x->server->stopping))
        turn_away(x, "the server is being stopped");
    else if (!submit(x))
        turn_away(x, "too many requests at once; try again soon");
    return give_answer(x);
}

/* ---- libmicrohttpd's callbacks ---- */

void *on_line(void *ctx, const char *target, struct MHD_Connection *mhd)
{
    struct http_server *s = ctx;
    const union MHD_ConnectionInfo *info = s->mhd->get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *c = info ? info->socket_context : NULL;
    if (!c)
        return NULL;
    struct exchange *x = exchange_new(s, c, mhd);
    x->raw_target = arena_strdup(&x->arena, target ? target : "");
    connection_take(c, x);
    return x;
}

enum MHD_Result on_request(void *ctx, struct MHD_Connection *mhd, const char *path, const char *method,
                                  const char *version, const char *bytes, size_t *len, void **request)
{
    (void)ctx;
    (void)mhd;
    (void)path; /* decoded in another way than ours */
    struct exchange *x = *request;
    if (!x)
        return MHD_NO;
    if (!x->head_seen)
        return take_head(x, method, version);
    if (*len) {
        size_t n = *len;
        *len = 0;
        return take_body(x, bytes, n);
    }
    return x->submitted ? give_answer(x) : take_end(x);
}

static void report(struct exchange *x, bool complete)
{
    struct http_server *s = x->server;
    pthread_mutex_lock(&s->lock);
    s->counters.requests++;
    s->counters.broken += !complete;
    pthread_mutex_unlock(&s->lock);
    if (!s->options.on_access)
        return;
    pthread_mutex_lock(&x->lock);
    struct http_access access = {
        .id = x->pub.id, .method = x->pub.method, .path = x->pub.path, .route = x->pub.route, .peer = &x->pub.peer,
        .status = x->status, .body_bytes = x->received, .answer_bytes = x->answer_bytes, .cancelled = x->reason,
        .complete = complete,
    };
    pthread_mutex_unlock(&x->lock);
    int64_t now = clock_steady_us(), started = atomic_load(&x->started_us), returned = atomic_load(&x->returned_us);
    access.total_us = now - x->begun_us;
    access.queued_us = started ? started - x->whole_us : 0;
    access.handler_us = !started ? 0 : (returned ? returned : now) - started;
    s->options.on_access(&access, s->options.access_ctx);
}

void on_done(void *ctx, struct MHD_Connection *mhd, void **request, enum MHD_RequestTerminationCode how)
{
    (void)ctx;
    (void)mhd;
    struct exchange *x = *request;
    if (!x)
        return;
    *request = NULL;
    bool complete = how == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    if (how == MHD_REQUEST_TERMINATED_WITH_ERROR && !x->head_seen)
        tally(x->server, &x->server->counters.refused); /* by libmicrohttpd itself */
    pthread_mutex_lock(&x->lock);
    x->done = true;
    struct MHD_Response *never_queued = x->response; /* of a stream: it has a reference on us */
    x->response = NULL;
    pthread_mutex_unlock(&x->lock);
    if (never_queued)
        x->server->mhd->destroy_response(never_queued);
    if (!complete)
        exchange_cancel(x, HTTP_CLIENT_LEFT);
    else
        exchange_wake(x);
    connection_give_back(x);
    report(x, complete);
    exchange_unref(x);
}

void on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = ctx;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*socket_context)
            connection_free(*socket_context);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info = s->mhd->get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    *socket_context = info ? connection_started(s, info->connect_fd) : NULL;
}

size_t decode_nothing(void *ctx, struct MHD_Connection *mhd, char *text)
{
    (void)ctx;
    (void)mhd;
    return strlen(text);
}
