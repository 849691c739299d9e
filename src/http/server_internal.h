/* http/server_internal.h - what the parts of the server share.
 *
 *     server.c           tables, limits, start and stop
 *     server_door.c      the door: accepts, notices who leaves, keeps deadlines
 *     server_exchange.c  libmicrohttpd's callbacks: a request from its first line to its end
 *     server_answer.c    what handlers call
 *     server_network.c   libmicrohttpd's turns: who runs it, and when
 *
 * Threads.  libmicrohttpd is run by one thread at a time, which has the *network lock*: a worker, the
 * door, or a thread on duty.  All of its callbacks are called in such a *turn*.
 *
 * A connection is made by the door and freed in a turn when libmicrohttpd closes it; all of it is
 * guarded by the server's lock.  It is always in one phase, and a phase has
 * one deadline; what happens when it passes is the phase's.
 *
 * An exchange is counted: one reference is held for libmicrohttpd's request, one for the
 * worker, one for a response that reads from it.  Its lock guards what turns, door and worker
 * share.  While `parked` its connection is suspended, and libmicrohttpd will not
 * touch it; whoever clears `parked` (under the lock) resumes it (after the lock), exactly
 * once.  `mhd` is used for nothing else.
 *
 * These two locks are never held together; either may be taken with the network lock held.
 */
#ifndef TANDEM_HTTP_SERVER_INTERNAL_H
#define TANDEM_HTTP_SERVER_INTERNAL_H

#include "base/arena.h"
#include "base/str.h"
#include "http/libmicrohttpd.h"
#include "http/listen.h"
#include "http/pool.h"
#include "http/server.h"
#include "http/target.h"

#include <pthread.h>

/* ---- connections ---- */

enum phase {
    PHASE_HEAD,       /* the deadline closes it with 408 */
    PHASE_BODY,       /* likewise */
    PHASE_WORK,       /* ... cancels the exchange */
    PHASE_LAST_WORDS, /* ... ends it without its handler */
    PHASE_SEND,       /* ... closes it */
    PHASE_IDLE,       /* likewise */
};

/* Names a connection that may be gone already. */
struct connection_key {
    int fd;
    uint32_t generation; /* tells it from a later one with the same descriptor */
};

struct connection {
    struct connection *next, *previous;
    struct http_server *server;
    struct connection_key key;
    struct http_peer peer;
    unsigned char address[16]; /* of connections_per_address: zero for Unix sockets */
    enum phase phase;
    int64_t deadline_us; /* steady; 0: none */
    struct exchange *exchange;
    bool left; /* the client has closed, or at least sends nothing more */
};

/* ---- exchanges ---- */

enum answer_state { ANSWER_NONE, ANSWER_WHOLE, ANSWER_STREAM };

struct http_stream {
    struct exchange *exchange;
    struct str bytes; /* from `at` on: not yet given to libmicrohttpd */
    size_t at;
    bool ended;
    bool whole; /* ended by its handler */
};

struct exchange {
    struct http_exchange pub; /* first: handlers get a pointer to it */
    struct pool_job job;
    struct http_server *server;
    struct connection_key connection;
    struct MHD_Connection *mhd;
    struct arena arena;
    const struct http_table *table;

    /* The request: of libmicrohttpd's turns until it is submitted, then the worker's. */
    const char *raw_target;
    struct target target;
    struct http_field *headers, *params;
    size_t header_count, param_count;
    struct str body;
    size_t reserved; /* of limits.bodies */
    bool head_seen, has_body, submitted, too_large, rested;
    bool closes; /* the connection ends with this answer */
    uint64_t received;
    int64_t begun_us, body_us, whole_us;
    _Atomic int64_t started_us, returned_us; /* of the handler */

    /* The answer's further headers: the worker's. */
    struct http_field *extra;
    size_t extra_count, extra_cap;

    atomic_int references;
    atomic_bool cancel;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t room;  /* in the stream's buffer, or none to wait for */
    enum http_cancel reason;
    enum answer_state state;
    int status;
    uint64_t answer_bytes;
    struct MHD_Response *response; /* of a whole answer, until it is queued */
    struct http_stream stream;
    bool parked;
    bool cut;  /* ended without its handler; nothing more is taken */
    bool done; /* libmicrohttpd has finished the request */
};

/* ---- the server ---- */

struct lingering {
    int fd; /* -1: free */
    int64_t deadline_us;
};

enum { LINGERING_MAX = 64 };

struct http_server {
    const struct libmicrohttpd *mhd;
    struct MHD_Daemon *daemon;
    struct http_options options;
    struct http_limits limits;
    struct listener *listeners;
    size_t listener_count, listener_cap;
    struct pool pool, quick_pool;
    bool running;

    pthread_mutex_t network; /* guards `daemon` and whatever is libmicrohttpd's */
    atomic_bool resumed;     /* a connection, since the last run */
    atomic_bool dismissed;   /* nobody is on duty any more */
    int duty_epoll, duty_wake;

    pthread_t door;
    int door_epoll, door_wake;
    struct lingering lingering[LINGERING_MAX]; /* the door's */

    atomic_bool stopping;    /* no new requests */
    atomic_size_t bodies;    /* bytes reserved of limits.bodies */
    atomic_uint_fast64_t next_id;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed; /* a connection or an exchange has gone */
    struct connection *connections;
    struct connection **by_fd;
    size_t by_fd_count;
    uint32_t generation;
    size_t connection_count, exchange_count;
    bool door_closed; /* by stop: the door ends */
    struct http_counters counters;
};

/* ---- server_door.c ---- */

int door_open(struct http_server *s, struct err *e);
/* Closes the listeners; returns when it is done. */
void door_shut(struct http_server *s);
/* Ends the thread. */
void door_close(struct http_server *s);

/* libmicrohttpd begins with a connection.  NULL: the door does not know it. */
struct connection *connection_started(struct http_server *s, int fd);
/* libmicrohttpd is about to close it. */
void connection_free(struct connection *c);
/* A request begins on it, and ends. */
void connection_take(struct connection *c, struct exchange *x);
void connection_give_back(struct exchange *x);
/* The phase of the connection that works at `x`, if one still does.  deadline_us 0: none. */
void exchange_enter(struct exchange *x, enum phase phase, int64_t deadline_us);
/* Calls `each` with every exchange that has a connection; none of the locks is held. */
void exchanges_visit(struct http_server *s, void (*each)(struct exchange *x));
/* Hangs up where nothing but a request is waited for; `all`: everywhere. */
void connections_close(struct http_server *s, bool all);
/* Sends an answer of ours past libmicrohttpd, where it has no way to give one. */
void send_refusal(int fd, int status);

/* ---- server_exchange.c ---- */

/* For libmicrohttpd. */
void *on_line(void *ctx, const char *target, struct MHD_Connection *mhd);
enum MHD_Result on_request(void *ctx, struct MHD_Connection *mhd, const char *path, const char *method,
                           const char *version, const char *bytes, size_t *len, void **request);
void on_done(void *ctx, struct MHD_Connection *mhd, void **request, enum MHD_RequestTerminationCode how);
void on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_context, enum MHD_ConnectionNotificationCode what);
/* Targets are decoded by us (target.c), from what was sent. */
size_t decode_nothing(void *ctx, struct MHD_Connection *mhd, char *text);

void exchange_ref(struct exchange *x);
void exchange_unref(struct exchange *x);

/* How long so many bytes may take. */
int64_t rate_ms(const struct http_limits *limits, uint64_t bytes);

/* ---- server_network.c ---- */

/* Starts and stops libmicrohttpd; nobody is on duty. */
int network_start(struct http_server *s, struct err *e);
void network_stop(struct http_server *s);
/* The pool's duty. */
void network_attend(void *ctx);
void network_call(void *ctx);
void network_dismiss(void *ctx);
/* Lets libmicrohttpd do what there is to do; `answered`: for the end of an answer, rather than for bytes of
 * a stream.  Not within a turn. */
void network_turn(struct http_server *s, bool answered);
/* The connection goes on in the next turn. */
void network_resume(struct exchange *x);
/* Hands over a connection; false: the descriptor was closed. */
bool network_add(struct http_server *s, int fd, const struct sockaddr *address, socklen_t len);

/* ---- server_answer.c ---- */

/* Asks the handler to stop; the first reason counts. */
void exchange_cancel(struct exchange *x, enum http_cancel reason);
/* Ends it without its handler: an error when nothing was answered yet, else it is broken off. */
void exchange_cut(struct exchange *x);

/* Answers when nothing was answered yet; false: something was.  Takes the response over. */
bool exchange_answer(struct exchange *x, int status, struct MHD_Response *response, size_t len);
/* An error of a handler as an answer. */
void exchange_fail(struct exchange *x, const struct err *e);
/* Ends the stream if there is one that goes on. */
void answer_finish(struct exchange *x, bool whole);
/* Lets a writer that waits look again. */
void exchange_wake(struct exchange *x);

#endif
