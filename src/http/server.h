/* http/server.h - an HTTP/1.1 server: routes as declarations, streams, limits.
 *
 * What a route is (method, path, permission, limits, a line of documentation) is one row of a
 * table; nothing is served that has no row.  404, 405 with Allow, OPTIONS and HEAD follow from
 * the rows.  A malformed request is refused in one place (guard.h) and its connection closed.
 *
 *     static const struct http_route rows[] = {
 *         { "GET", "/v1/models/{id...}", show_model, .permission = "models", .doc = "one model" },
 *     };
 *     static const struct http_table table = { .routes = rows, .route_count = 1, .ctx = manager };
 *     struct http_options options = { .tables = &table, .table_count = 1 };
 *     http_server_new(&options, &server, &e);
 *     http_server_listen_tcp(server, "127.0.0.1", 8080, NULL, &e);
 *     http_server_start(server, &e);
 *     ...
 *     http_server_stop(server, 3000);
 *     http_server_free(server);
 *
 * Threads: one, the door, accepts connections, notices clients that leave and keeps the
 * deadlines; workers move bytes, one at a time, and run handlers, which may block.  An exchange belongs to its handler's thread until the handler returns; `cancel`
 * tells it to stop.  The functions of a server may be called from any thread but a handler's.
 *
 * Who frees what: nothing here is freed by a handler.  The exchange lives until both the
 * handler has returned and the connection is done with it, so a client that leaves never
 * takes anything away from a running handler.
 */
#ifndef TANDEM_HTTP_SERVER_H
#define TANDEM_HTTP_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct http_server;
struct json_t;
struct str;

/* ---- a request, as its handler sees it ---- */

struct http_peer {
    bool local;       /* came through a Unix socket: uid, gid and pid are the client's */
    unsigned uid, gid;
    int pid;
    char address[64]; /* "127.0.0.1", "::1"; "unix" */
    int port;         /* 0: Unix socket */
};

struct http_exchange {
    uint64_t id;        /* counts from 1, for logs */
    const char *method; /* a GET route also gets "HEAD"; its answer is sent without the body */
    const char *path;   /* decoded once: UTF-8, no control characters, no ".." */
    const struct http_route *route;
    struct http_peer peer;
    const char *body; /* whole; a NUL follows */
    size_t body_len;
    const atomic_bool *cancel; /* stop as soon as possible: see http_cancel_reason; may be set
                                  from the beginning, when the client has left the queue */
    void *caller;              /* for http_table.allow to say who it is; NULL before */
    struct arena *arena;       /* for the handler; lives as long as the exchange */
};

/* NULL: there is none.  A parameter of the path is never empty. */
const char *http_param(const struct http_exchange *x, const char *name);
/* The first of that name in the query, decoded: UTF-8 without control characters. */
const char *http_query(const struct http_exchange *x, const char *name);
/* The first of that name, which is written in any case; UTF-8. */
const char *http_header(const struct http_exchange *x, const char *name);

enum http_cancel {
    HTTP_GO_ON,
    HTTP_CLIENT_LEFT, /* closed its connection, or its sending side (which looks alike); a
                         whole answer is still tried, a stream ends */
    HTTP_DEADLINE,    /* of the route: a second is left for last words */
    HTTP_STOPPING,    /* the server ends: likewise */
};
enum http_cancel http_cancel_reason(const struct http_exchange *x);

/* ---- answers ---- */

/* A further header of the answer that is given next.  What cannot be a header (a line end in
 * it) is left out and logged. */
void http_answer_header(struct http_exchange *x, const char *name, const char *value);
/* Copies.  Only the first answer counts; `type` NULL: no body, no type. */
void http_answer(struct http_exchange *x, int status, const char *type, const void *bytes, size_t len);
void http_answer_json(struct http_exchange *x, int status, const struct json_t *value);
/* In the form of the route's table.  `type` and `code` are words for programs, as OpenAI has
 * them; `type` NULL: by the status; `code` NULL: none. */
void http_answer_error(struct http_exchange *x, int status, const char *type, const char *code,
                       const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* An answer whose length is not known yet.  Its head leaves with the first bytes, and each write
 * at once; it waits while more than `stream_buffer` bytes are under way.  A stream that is not ended when its handler
 * returns is broken off, so that the client sees that it is not whole. */
struct http_stream;
struct http_stream *http_stream_begin(struct http_exchange *x, int status, const char *type);
/* ERR_CANCELLED: the client has left or the server has given up, nothing more will be taken;
 * ERR_TIMEOUT: the client reads nothing (`stall_ms`). */
int http_stream_write(struct http_stream *stream, const void *bytes, size_t len, struct err *e);
/* One server-sent event (WHATWG HTML, 9.2); `type` NULL: none named.  Line ends in `data` are kept. */
int http_stream_event(struct http_stream *stream, const char *type, const char *data, size_t len,
                      struct err *e);
void http_stream_end(struct http_stream *stream);
/* Writes and ends in one go, which saves the client a wait; errors as of a write. */
int http_stream_finish(struct http_stream *stream, const void *bytes, size_t len, struct err *e);
/* One event as http_stream_event writes it, for several in one write. */
void http_event_write(struct str *out, const char *data, size_t len);

/* ---- routes ---- */

struct http_route {
    const char *method; /* "GET", "POST", ... in capitals */
    /* "/v1/models/{id}": {id} is one segment, {id...} at the end one or more.  The first row
     * that fits wins. */
    const char *pattern;
    /* Returns 0 after answering, or a negative ERR_* with a sentence in `e`, which becomes an
     * error answer: NOT_FOUND 404, INVALID 400, REFUSED 403, EXISTS and CONFLICT 409, BUSY
     * and LIMIT 429, UNAVAILABLE and GONE 503, TIMEOUT 504, others 500. */
    int (*handle)(struct http_exchange *x, void *ctx, struct err *e);
    const char *permission; /* for http_table.allow; NULL: everybody */
    size_t max_body;        /* 413 beyond; 0: takes no body */
    int64_t deadline_ms;    /* from the whole request to the end of the answer; 0: none */
    bool quick;             /* waits for nothing: served even when all workers are busy */
    const char *doc;        /* one line */
};

enum http_error_form {
    HTTP_ERRORS_JSON, /* {"error":{"message":"...","type":"...","code":"..."}} */
    HTTP_ERRORS_TEXT, /* the message and a line end */
};

struct http_table {
    const struct http_route *routes;
    size_t route_count;
    enum http_error_form errors;
    void *ctx; /* for handlers and `allow` */
    /* Asked for routes with a permission when the head is there, before any body is read.
     * Returns 0, or the status of the refusal (401, 403, 429) with a sentence in `e`.  Runs on
     * the thread that moves all bytes: it must not wait for anything.  NULL: routes with a
     * permission are refused. */
    int (*allow)(struct http_exchange *x, void *ctx, struct err *e);
};

/* ---- the server ---- */

struct http_limits {
    size_t connections;             /* open at once */
    size_t connections_per_address; /* of them from one IPv4 address or IPv6 /64 */
    size_t workers;                 /* handlers at once; threads are made when needed */
    size_t waiting;                 /* whole requests that wait for a worker; 503 beyond */
    size_t request_line, head;      /* bytes; 414, 431 */
    size_t headers;                 /* 431 */
    size_t body;                    /* bytes, whatever the route takes; 0: routes decide alone */
    size_t bodies;                  /* bytes of all bodies together; 503 beyond */
    size_t stream_buffer;           /* bytes */
    int64_t head_ms;                /* for a head, from the connection or its request line on */
    int64_t idle_ms;                /* between an answer and the next whole request line */
    int64_t rate_grace_ms;          /* a body or a whole answer may take so long ... */
    size_t rate;                    /* ... and a second more for each so many bytes */
    int64_t stall_ms;               /* a stream that is not read is broken off */
};
#define HTTP_LIMITS_DEFAULT                                                                    \
    { .connections = 256, .connections_per_address = 128, .workers = 64, .waiting = 64,        \
      .request_line = 8192, .head = 16384, .headers = 100, .bodies = 256 << 20,                \
      .stream_buffer = 65536, .head_ms = 10000, .idle_ms = 60000, .rate_grace_ms = 10000,      \
      .rate = 1024, .stall_ms = 30000 }

/* What became of a request; for a log. */
struct http_access {
    uint64_t id;
    const char *method, *path; /* path without query; "" when refused before it was read */
    const struct http_route *route; /* NULL: none */
    const struct http_peer *peer;
    int status;              /* 0: none was given */
    uint64_t body_bytes, answer_bytes;
    int64_t queued_us, handler_us, total_us; /* handler_us may go on after the client has left */
    enum http_cancel cancelled;
    bool complete; /* all of the answer was handed over to the system */
};

struct http_counters {
    uint64_t connections, requests;
    uint64_t refused;     /* malformed; their connections are closed */
    uint64_t turned_away; /* by a limit: connections, queue, bodies */
    uint64_t timed_out;   /* heads, bodies and answers that took too long */
    uint64_t broken;      /* requests that ended before their answer: the client left or was cut off */
    size_t open_connections, waiting, running;
};

struct http_options {
    const struct http_table *tables; /* must outlive the server */
    size_t table_count;
    const struct http_limits *limits; /* copied; NULL: HTTP_LIMITS_DEFAULT */
    /* Against web pages (names.h): the names under which it is asked by TCP, 421 to others, and the
     * origins whose pages may ask, 403 to others.  NULL: nothing is looked at. */
    const char *hosts, *origins;
    /* Called after each request by whoever moves bytes: must not wait.  May be NULL. */
    void (*on_access)(const struct http_access *access, void *ctx);
    void *access_ctx;
};

/* ERR_INVALID: a table or a limit makes no sense; ERR_UNAVAILABLE: libmicrohttpd is missing. */
int http_server_new(const struct http_options *options, struct http_server **ret, struct err *e);
/* Before start, any number of times.  `host`: a name or address; port 0: any free one.
 * ERR_BUSY: the port is taken.  *ret_port may be NULL. */
int http_server_listen_tcp(struct http_server *s, const char *host, int port, int *ret_port, struct err *e);
/* For this user alone (0600).  A path of more than 107 bytes is ERR_INVALID, a socket on which
 * somebody listens ERR_BUSY, anything but a socket ERR_EXISTS; a dead one is replaced. */
int http_server_listen_unix(struct http_server *s, const char *path, struct err *e);
/* Raises the process's limit of open files as far as its connections and workers need. */
int http_server_start(struct http_server *s, struct err *e);
/* Takes no more connections and waits until what runs is answered, at most `grace_ms`; then
 * cancels it, and cuts it off a second later.  Returns when all handlers have returned.  May
 * be called without start, and again. */
void http_server_stop(struct http_server *s, int64_t grace_ms);
/* NULL: nothing.  Stops with no grace if it runs. */
void http_server_free(struct http_server *s);

void http_server_count(struct http_server *s, struct http_counters *ret);

/* The standard's words for a status ("Not Found"); "Unknown" for others. */
const char *http_status_text(int status);

#endif
