/* upstream.h - a fake server that plays scripted answers, faults and delays.
 *
 * The fake of the test suite for what cannot be had there: model servers that are slow,
 * dying or lying.  It speaks real HTTP/1.1 (or TLS) on a real socket of 127.0.0.1, so
 * everything up to the socket is the product's own code.  Used by tests and benchmarks.
 *
 * Threads: one accepts, one more serves each connection; the functions may be called from
 * the test's thread at any time.  Anything unexpected aborts the test.
 */
#ifndef TANDEM_TESTS_UPSTREAM_H
#define TANDEM_TESTS_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str;
struct upstream;

enum upstream_end {
    UPSTREAM_KEEP,  /* the connection waits for the next request */
    UPSTREAM_CLOSE, /* orderly end of the connection */
    UPSTREAM_RESET, /* TCP reset */
    UPSTREAM_HANG,  /* silence until the client leaves */
};

struct upstream_reply {
    int status;            /* 0: 200; UPSTREAM_RAW: `body` is all that is sent */
    const char *type;      /* content type; NULL: application/json */
    const char *headers;   /* further header lines, each ended by CRLF; may be NULL */
    const char *body;      /* may be NULL */
    size_t repeat;         /* the body so many times over; 0: once */
    size_t piece;          /* in pieces of so many bytes; 0: at once */
    int64_t delay_ms;      /* silence before the headers */
    int64_t body_delay_ms; /* silence between headers and body */
    int64_t pause_ms;      /* silence between two pieces */
    size_t cut;            /* bytes of the body after which `end` comes; 0: after the whole */
    enum upstream_end end;
};
enum { UPSTREAM_RAW = -1 };

struct upstream *upstream_start(void);
/* Serves https with a fresh self-signed certificate for 127.0.0.1, written to `ca_file`. */
struct upstream *upstream_start_tls(const char *ca_file);
/* Listens on a Unix socket instead. */
struct upstream *upstream_start_unix(const char *path);
/* Closes all connections and ends the threads. */
void upstream_stop(struct upstream *u);

/* "http://127.0.0.1:PORT" */
const char *upstream_url(const struct upstream *u);

/* Queues what a request to `path` gets: the first request the first reply, and so on; the
 * last one serves all that follow.  Copies what it is given. */
void upstream_on(struct upstream *u, const char *path, const struct upstream_reply *reply);

/* How many requests to `path` came; path NULL: all. */
size_t upstream_count(struct upstream *u, const char *path);
size_t upstream_connections(struct upstream *u);
/* Of those, the ones that neither side has closed. */
size_t upstream_open_connections(struct upstream *u);
/* Head (request line and headers) and body of the n-th request (from 0) to `path`, valid
 * until stop. */
const char *upstream_head(struct upstream *u, const char *path, size_t n);
const char *upstream_body(struct upstream *u, const char *path, size_t n);
/* Waits until a client has left in the middle of a reply, at most 2 s. */
bool upstream_saw_client_leave(struct upstream *u);

/* ---- what model servers say ---- */

/* One event of a streamed answer: a chunk with `delta` (a JSON object) and `finish` (NULL:
 * not yet). */
void upstream_chunk(struct str *out, const char *delta, const char *finish);
/* A whole streamed answer: `text` in pieces, finish_reason, usage (100 prompt tokens of
 * which 40 cached), [DONE]. */
void upstream_answer(struct str *out, const char *text, const char *finish);
/* Serves /v1/models with one model, and /v1/chat/completions with `text` from then on. */
void upstream_model(struct upstream *u, const char *id, const char *text);

#endif
