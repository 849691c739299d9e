/* server_answer.c - what handlers call: headers, parameters, whole answers and streams.
 *
 * A response of libmicrohttpd is made on the worker, and queued and sent in a turn of libmicrohttpd.
 * The first answer counts, whoever gives it: the handler, or the door when the deadline has
 * passed; so neither has to ask what the other is doing.
 *
 * A stream is a bounded buffer.  libmicrohttpd asks for bytes when the socket takes some;
 * when there are none it is told to suspend the connection, and the next write resumes it.
 */
#include "http/server_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

static struct exchange *exchange_of(const struct http_exchange *x)
{
    return (struct exchange *)(uintptr_t)x;
}

/* ---- the request ---- */

static const char *field_named(const struct http_field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (streq(fields[i].name, name))
            return fields[i].value;
    return NULL;
}

const char *http_param(const struct http_exchange *x, const char *name)
{
    return field_named(exchange_of(x)->params, exchange_of(x)->param_count, name);
}

const char *http_query(const struct http_exchange *x, const char *name)
{
    return field_named(exchange_of(x)->target.query, exchange_of(x)->target.query_count, name);
}

const char *http_header(const struct http_exchange *x, const char *name)
{
    const struct exchange *ex = exchange_of(x);
    for (size_t i = 0; i < ex->header_count; i++)
        if (strcasecmp(ex->headers[i].name, name) == 0)
            return ex->headers[i].value;
    return NULL;
}

enum http_cancel http_cancel_reason(const struct http_exchange *x)
{
    struct exchange *ex = exchange_of(x);
    pthread_mutex_lock(&ex->lock);
    enum http_cancel reason = ex->reason;
    pthread_mutex_unlock(&ex->lock);
    return reason;
}

/* ---- responses ---- */

static void response_add_header(struct http_server *s, struct MHD_Response *r, const char *name, const char *value)
{
    if (s->mhd->add_response_header(r, name, value) != MHD_YES)
        log_error("http: the answer's header %s cannot be sent and was left out", name);
}

/* Takes over `bytes`, which were allocated. */
static struct MHD_Response *whole_response(struct exchange *x, const char *type, char *bytes, size_t len)
{
    struct http_server *s = x->server;
    struct MHD_Response *r = s->mhd->create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
    if (!r)
        out_of_memory();
    if (type) {
        response_add_header(s, r, "Content-Type", type);
        response_add_header(s, r, "X-Content-Type-Options", "nosniff");
    }
    if (x->closes || atomic_load(&s->stopping))
        response_add_header(s, r, "Connection", "close");
    return r;
}

static const char *error_type(int status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 429: return "rate_limit_error";
    default: return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

static void write_error(struct str *out, const char *type, const char *code, const char *message)
{
    json_t *error = json_object(), *all = json_object();
    json_put(error, "message", json_text(message, strlen(message)));
    json_put_text(error, "type", type);
    json_put(error, "code", code ? json_text(code, strlen(code)) : json_null());
    json_put(all, "error", error);
    json_write(out, all);
    json_decref(all);
}

static struct MHD_Response *error_response(struct exchange *x, int status, const char *type, const char *code,
                                    const char *message, size_t *ret_len)
{
    struct str body = STR_INIT;
    bool json = x->table->errors == HTTP_ERRORS_JSON;
    if (json)
        write_error(&body, type ? type : error_type(status), code, message);
    else
        str_addf(&body, "%s\n", message);
    *ret_len = body.len;
    struct MHD_Response *r = whole_response(x, json ? "application/json" : "text/plain; charset=utf-8",
                                            str_detach(&body), *ret_len);
    if (status == 401)
        response_add_header(x->server, r, "WWW-Authenticate", "Bearer");
    return r;
}

/* ---- answering ---- */

/* The lock is held, and released. */
static void unlock_and_wake(struct exchange *x)
{
    bool wake = x->parked, answered = x->state == ANSWER_WHOLE || x->stream.ended || x->cut;
    x->parked = false;
    pthread_cond_broadcast(&x->room);
    pthread_mutex_unlock(&x->lock);
    if (!wake)
        return;
    network_resume(x);
    network_turn(x->server, answered);
}

bool exchange_answer(struct exchange *x, int status, struct MHD_Response *response, size_t len)
{
    pthread_mutex_lock(&x->lock);
    if (x->state != ANSWER_NONE || x->done) {
        pthread_mutex_unlock(&x->lock);
        x->server->mhd->destroy_response(response);
        return false;
    }
    x->state = ANSWER_WHOLE;
    x->status = status;
    x->response = response;
    x->answer_bytes = len;
    unlock_and_wake(x);
    exchange_enter(x, PHASE_SEND, clock_steady_us() + 1000 * rate_ms(&x->server->limits, len));
    return true;
}

void exchange_cancel(struct exchange *x, enum http_cancel reason)
{
    pthread_mutex_lock(&x->lock);
    if (x->reason == HTTP_GO_ON) {
        x->reason = reason;
        atomic_store(&x->cancel, true);
    }
    pthread_cond_broadcast(&x->room);
    pthread_mutex_unlock(&x->lock);
}

void exchange_wake(struct exchange *x)
{
    pthread_mutex_lock(&x->lock);
    pthread_cond_broadcast(&x->room);
    pthread_mutex_unlock(&x->lock);
}

/* An answer in the words of why it was cancelled. */
static bool answer_cancelled(struct exchange *x)
{
    enum http_cancel reason = http_cancel_reason(&x->pub);
    int status = reason == HTTP_DEADLINE ? 504 : 503;
    const char *why = reason == HTTP_DEADLINE ? "it took longer than this route may take"
                      : reason == HTTP_STOPPING ? "the server is being stopped"
                                                : "the client has left";
    int code = reason == HTTP_DEADLINE ? ERR_TIMEOUT : reason == HTTP_STOPPING ? ERR_GONE : ERR_CANCELLED;
    size_t len;
    struct MHD_Response *r = error_response(x, status, NULL, err_name(code), why, &len);
    return exchange_answer(x, status, r, len);
}

void exchange_cut(struct exchange *x)
{
    if (answer_cancelled(x))
        return;
    pthread_mutex_lock(&x->lock);
    x->cut = true;
    unlock_and_wake(x);
}

static int status_of(int code)
{
    switch (code) {
    case ERR_NOT_FOUND: return 404;
    case ERR_INVALID: return 400;
    case ERR_REFUSED: return 403;
    case ERR_EXISTS:
    case ERR_CONFLICT: return 409;
    case ERR_BUSY:
    case ERR_LIMIT: return 429;
    case ERR_GONE:
    case ERR_UNAVAILABLE: return 503;
    case ERR_TIMEOUT: return 504;
    default: return 500;
    }
}

void exchange_fail(struct exchange *x, const struct err *e)
{
    if (e->code == ERR_CANCELLED && atomic_load(&x->cancel))
        answer_cancelled(x);
    else
        http_answer_error(&x->pub, status_of(e->code), NULL, err_name(e->code), "%s", e->text);
}

/* ---- for handlers ---- */

void http_answer_header(struct http_exchange *x, const char *name, const char *value)
{
    struct exchange *ex = exchange_of(x);
    ARENA_GROW(&ex->arena, ex->extra, ex->extra_cap, ex->extra_count);
    ex->extra[ex->extra_count++] = (struct http_field){ arena_strdup(&ex->arena, name), arena_strdup(&ex->arena, value) };
}

static bool has_extra(const struct exchange *x, const char *name)
{
    for (size_t i = 0; i < x->extra_count; i++)
        if (strcasecmp(x->extra[i].name, name) == 0)
            return true;
    return false;
}

static void add_extra(struct exchange *x, struct MHD_Response *r)
{
    for (size_t i = 0; i < x->extra_count; i++)
        response_add_header(x->server, r, x->extra[i].name, x->extra[i].value);
    x->extra_count = 0;
}

void http_answer(struct http_exchange *x, int status, const char *type, const void *bytes, size_t len)
{
    struct str copy = STR_INIT;
    str_add_bytes(&copy, bytes, len);
    struct MHD_Response *r = whole_response(exchange_of(x), type, str_detach(&copy), len);
    add_extra(exchange_of(x), r);
    exchange_answer(exchange_of(x), status, r, len);
}

void http_answer_json(struct http_exchange *x, int status, const struct json_t *value)
{
    struct str text = STR_INIT;
    json_write(&text, value);
    size_t len = text.len;
    struct MHD_Response *r = whole_response(exchange_of(x), "application/json", str_detach(&text), len);
    add_extra(exchange_of(x), r);
    exchange_answer(exchange_of(x), status, r, len);
}

void http_answer_error(struct http_exchange *x, int status, const char *type, const char *code,
                       const char *fmt, ...)
{
    struct exchange *ex = exchange_of(x);
    STR_LOCAL(message);
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&message, fmt, ap);
    va_end(ap);
    size_t len;
    struct MHD_Response *r = error_response(ex, status, type, code, message.data, &len);
    if ((status == 429 || status == 503) && !has_extra(ex, "Retry-After"))
        response_add_header(ex->server, r, "Retry-After", "1");
    add_extra(ex, r);
    exchange_answer(ex, status, r, len);
}

/* ---- streams ---- */

/* libmicrohttpd wants bytes, in its turn. */
static ssize_t stream_read(void *ctx, uint64_t position, char *out, size_t max)
{
    (void)position;
    struct exchange *x = ctx;
    struct http_stream *stream = &x->stream;
    pthread_mutex_lock(&x->lock);
    size_t n = stream->bytes.len - stream->at;
    ssize_t result = 0;
    if (x->cut) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (n) {
        n = n < max ? n : max;
        memcpy(out, stream->bytes.data + stream->at, n);
        stream->at += n;
        if (stream->at == stream->bytes.len) {
            str_clear(&stream->bytes);
            stream->at = 0;
        }
        x->answer_bytes += n;
        result = (ssize_t)n;
        pthread_cond_broadcast(&x->room);
    } else if (stream->ended) {
        result = stream->whole ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
    } else {
        x->parked = true;
        x->server->mhd->suspend_connection(x->mhd);
    }
    pthread_mutex_unlock(&x->lock);
    return result;
}

static void stream_release(void *ctx)
{
    exchange_unref(ctx);
}

static struct MHD_Response *stream_response(struct exchange *x, const char *type)
{
    struct http_server *s = x->server;
    exchange_ref(x);
    struct MHD_Response *r = s->mhd->create_response_from_callback(MHD_SIZE_UNKNOWN, s->limits.stream_buffer,
                                                                   stream_read, x, stream_release);
    if (!r)
        out_of_memory();
    response_add_header(s, r, "Content-Type", type);
    response_add_header(s, r, "X-Content-Type-Options", "nosniff");
    if (x->closes || atomic_load(&s->stopping))
        response_add_header(s, r, "Connection", "close");
    add_extra(x, r);
    return r;
}

struct http_stream *http_stream_begin(struct http_exchange *x, int status, const char *type)
{
    struct exchange *ex = exchange_of(x);
    struct MHD_Response *r = stream_response(ex, type);
    pthread_mutex_lock(&ex->lock);
    bool first = ex->state == ANSWER_NONE && !ex->done;
    if (first) {
        ex->state = ANSWER_STREAM;
        ex->status = status;
        ex->response = r;
    }
    pthread_mutex_unlock(&ex->lock); /* it is queued with the first bytes */
    if (!first)
        ex->server->mhd->destroy_response(r);
    return &ex->stream;
}

/* Whether somebody still takes bytes.  The lock is held. */
static bool is_open(const struct exchange *x)
{
    return x->state == ANSWER_STREAM && !x->cut && !x->done && !x->stream.ended && x->reason != HTTP_CLIENT_LEFT;
}

/* Waits until there is room or nobody to make it; false: it took too long.  The lock is held. */
static bool wait_for_room(struct exchange *x, size_t max)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t stall_ms = x->server->limits.stall_ms;
    until.tv_sec += stall_ms / 1000;
    until.tv_nsec += (long)(stall_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (is_open(x) && x->stream.bytes.len - x->stream.at >= max)
        if (pthread_cond_timedwait(&x->room, &x->lock, &until) == ETIMEDOUT)
            return false;
    return true;
}

/* The last of the bytes leave together with the end, when they end it. */
static int write_bytes(struct exchange *x, const char *p, size_t len, bool ends, struct err *e)
{
    struct http_stream *stream = &x->stream;
    size_t max = x->server->limits.stream_buffer;
    do {
        pthread_mutex_lock(&x->lock);
        if (!wait_for_room(x, max)) {
            x->cut = true;
            unlock_and_wake(x);
            return err_set(e, ERR_TIMEOUT, "the client has read nothing for %lld s", (long long)x->server->limits.stall_ms / 1000);
        }
        if (!is_open(x)) {
            pthread_mutex_unlock(&x->lock);
            return err_set(e, ERR_CANCELLED, "nobody reads the answer any more");
        }
        size_t room = max - (stream->bytes.len - stream->at), n = len < room ? len : room;
        if (stream->at >= max) { /* what was read makes room */
            memmove(stream->bytes.data, stream->bytes.data + stream->at, stream->bytes.len - stream->at);
            str_truncate(&stream->bytes, stream->bytes.len - stream->at);
            stream->at = 0;
        }
        str_add_bytes(&stream->bytes, p, n);
        p += n;
        len -= n;
        if (len || !ends) {
            unlock_and_wake(x);
        } else {
            pthread_mutex_unlock(&x->lock);
            answer_finish(x, true);
        }
    } while (len);
    return 0;
}

int http_stream_write(struct http_stream *stream, const void *bytes, size_t len, struct err *e)
{
    return write_bytes(stream->exchange, bytes, len, false, e);
}

int http_stream_finish(struct http_stream *stream, const void *bytes, size_t len, struct err *e)
{
    return write_bytes(stream->exchange, bytes, len, true, e);
}

/* The lines of an event's data, and its end. */
void http_event_write(struct str *out, const char *data, size_t len)
{
    for (const char *end = data + len;;) {
        const char *p = data;
        while (p < end && *p != '\n' && *p != '\r')
            p++;
        str_add(out, "data: ");
        str_add_bytes(out, data, (size_t)(p - data));
        str_add_char(out, '\n');
        if (p == end)
            break;
        data = p + (p + 1 < end && p[0] == '\r' && p[1] == '\n' ? 2 : 1);
    }
    str_add_char(out, '\n');
}

int http_stream_event(struct http_stream *stream, const char *type, const char *data, size_t len, struct err *e)
{
    STR_LOCAL(event);
    if (type && (strchr(type, '\n') || strchr(type, '\r')))
        return err_set(e, ERR_INVALID, "the type of an event is one line");
    if (type)
        str_addf(&event, "event: %s\n", type);
    http_event_write(&event, data, len);
    return http_stream_write(stream, event.data, event.len, e);
}

void answer_finish(struct exchange *x, bool whole)
{
    pthread_mutex_lock(&x->lock);
    bool ends = x->state == ANSWER_STREAM && !x->stream.ended;
    if (ends) {
        x->stream.ended = true;
        x->stream.whole = whole;
    }
    size_t left = x->stream.bytes.len - x->stream.at;
    /* One that was cut off takes nothing any more: its connection ends at the next look. */
    int64_t rest_ms = x->cut ? 0 : rate_ms(&x->server->limits, left);
    unlock_and_wake(x);
    if (ends)
        exchange_enter(x, PHASE_SEND, clock_steady_us() + 1000 * rest_ms);
}

void http_stream_end(struct http_stream *stream)
{
    answer_finish(stream->exchange, true);
}
