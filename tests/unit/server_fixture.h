/* server_fixture.h - a server with routes for tests, and a client that sends raw bytes.
 *
 * Threads: the functions are for the test's thread.
 */
#ifndef TANDEM_TESTS_SERVER_FIXTURE_H
#define TANDEM_TESTS_SERVER_FIXTURE_H

#include "check.h"
#include "tmpdir.h"

#include "base/str.h"
#include "http/server.h"

#include <pthread.h>

/* What the handlers tell the test, and the other way. */
struct stage {
    atomic_bool go;        /* /wait returns, /ignore too */
    atomic_int waiting;    /* handlers of /wait that have begun */
    atomic_int cancelled;  /* of them, told to stop; the last reason is: */
    atomic_int reason;
    atomic_size_t written; /* by /flood */
    atomic_int asked;      /* times `allow` was asked */
    pthread_mutex_t lock;
    struct http_access last; /* texts are not kept */
    atomic_int accesses;
};

struct server_fixture {
    struct tmpdir dir;
    struct http_server *server;
    int port;
    char socket[300];
    struct stage stage;
    struct http_table *tables;
    struct err err;
};

/* Started; `limits` NULL: the defaults. */
struct server_fixture *server_fixture_new(const struct http_limits *limits);
void server_fixture_free(struct server_fixture *f);
/* For cmocka. */
int server_set_up(void **state);
int server_tear_down(void **state);

/* ---- a client ---- */

int client_tcp(const struct server_fixture *f);
int client_unix(const struct server_fixture *f);
/* False: the server does not take all of it. */
bool client_send(int fd, const char *bytes, size_t len);
#define CLIENT_SEND(fd, literal) client_send((fd), (literal), sizeof(literal) - 1)

struct answer {
    int status; /* 0: the connection ended before there was one */
    char head[4096];
    struct str body; /* chunks are joined */
    bool whole;      /* ended as it should */
};
#define ANSWER_LOCAL(name) \
    __attribute__((cleanup(answer_release_at_end))) struct answer name = { .body = STR_INIT }
static inline void answer_release_at_end(struct answer *a) { str_release(&a->body); }

/* Reads one answer, not a byte more; `head_only`: to a HEAD request. */
void client_read(int fd, struct answer *ret, bool head_only);
/* What is being asked, for the words of a failure. */
extern const char *client_asks;
/* Whether the server has closed, waiting at most 5 s; what still comes is thrown away. */
bool client_sees_end(int fd);
/* One request and its answer on a connection of their own. */
void client_ask(const struct server_fixture *f, const char *request, struct answer *ret);

/* Waits until `*value` is at least `least`; fails after 10 s. */
void wait_for(atomic_int *value, int least);

#endif
