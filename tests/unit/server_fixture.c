/* The routes that tests ask for, and a client that parses what it must and no more. */
#include "server_fixture.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

/* ---- handlers ---- */

static int hello(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)ctx;
    (void)e;
    http_answer(x, 200, "text/plain", "hello", 5);
    return 0;
}

static int echo(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)ctx;
    (void)e;
    http_answer(x, 200, "text/plain", x->body, x->body_len);
    return 0;
}

/* What a handler sees, as JSON. */
static int show(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)ctx;
    (void)e;
    json_t *all = json_object();
    const char *const names[] = { "id", "rest" }, *const queries[] = { "q", "r" };
    for (size_t i = 0; i < 2; i++) {
        if (http_param(x, names[i]))
            json_put_text(all, names[i], http_param(x, names[i]));
        if (http_query(x, queries[i]))
            json_put_text(all, queries[i], http_query(x, queries[i]));
    }
    json_put_text(all, "path", x->path);
    json_put_text(all, "method", x->method);
    json_put_text(all, "address", x->peer.address);
    json_put_bool(all, "local", x->peer.local);
    json_put_int(all, "uid", x->peer.uid);
    json_put_int(all, "pid", x->peer.pid);
    if (http_header(x, "x-test"))
        json_put_text(all, "header", http_header(x, "x-test"));
    http_answer_header(x, "X-Shown", "yes");
    http_answer_header(x, "X-Forged", "a\r\nX-Evil: b");
    http_answer_json(x, 200, all);
    json_decref(all);
    return 0;
}

static int give_error(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)ctx;
    const char *what = http_query(x, "what");
    if (streq(what, "missing"))
        return err_set(e, ERR_NOT_FOUND, "no model is called \"%s\"", "x");
    if (streq(what, "busy"))
        return err_set(e, ERR_BUSY, "later");
    if (streq(what, "nothing"))
        return 0;
    http_answer_error(x, 400, "invalid_request_error", "context_length_exceeded", "too long by %d", 3);
    http_answer(x, 200, "text/plain", "comes second", 12);
    http_stream_write(http_stream_begin(x, 200, "text/plain"), "comes third", 11, e);
    return err_set(e, ERR_FAILED, "none of them counts");
}

/* Waits for its cancellation or for the test. */
static int wait_long(struct http_exchange *x, void *ctx, struct err *e)
{
    struct stage *stage = ctx;
    stage->waiting++;
    while (!atomic_load(x->cancel) && !stage->go)
        usleep(500);
    if (!atomic_load(x->cancel)) {
        http_answer(x, 200, "text/plain", "waited", 6);
        return 0;
    }
    stage->reason = (int)http_cancel_reason(x);
    stage->cancelled++;
    return err_set(e, ERR_CANCELLED, "cancelled");
}

/* Does not care whether it is cancelled. */
static int ignore(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)e;
    struct stage *stage = ctx;
    stage->waiting++;
    while (!stage->go)
        usleep(500);
    http_answer(x, 200, "text/plain", "late", 4);
    return 0;
}

/* ?n: events; ?pause: ms between them; ?then: "break" or nothing. */
static int stream(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)ctx;
    long long n = 3, pause = 0;
    if (http_query(x, "n"))
        parse_int(http_query(x, "n"), 0, 1000000, &n);
    if (http_query(x, "pause"))
        parse_int(http_query(x, "pause"), 0, 10000, &pause);
    struct http_stream *s = http_stream_begin(x, 200, "text/event-stream");
    for (long long i = 0; i < n; i++) {
        char text[40];
        int len = snprintf(text, sizeof text, "event %lld", i);
        if (http_stream_event(s, NULL, text, (size_t)len, e) < 0)
            return e->code;
        if (pause)
            usleep((useconds_t)pause * 1000);
    }
    if (!http_query(x, "then"))
        http_stream_end(s);
    return 0;
}

/* Begins a stream, then writes nothing until it is cancelled. */
static int silent(struct http_exchange *x, void *ctx, struct err *e)
{
    struct stage *stage = ctx;
    struct http_stream *s = http_stream_begin(x, 200, "text/event-stream");
    int code = http_stream_event(s, "first", "a\nb", 3, e);
    return code < 0 ? code : wait_long(x, stage, e);
}

/* Begins a stream when it has been cancelled. */
static int begin_late(struct http_exchange *x, void *ctx, struct err *e)
{
    struct stage *stage = ctx;
    stage->waiting++;
    while (!atomic_load(x->cancel))
        usleep(500);
    usleep(20000);
    int code = http_stream_event(http_stream_begin(x, 200, "text/event-stream"), NULL, "late", 4, e);
    stage->cancelled++;
    return code;
}

/* Writes without end. */
static int flood(struct http_exchange *x, void *ctx, struct err *e)
{
    struct stage *stage = ctx;
    static const char bytes[8192];
    struct http_stream *s = http_stream_begin(x, 200, "application/octet-stream");
    stage->waiting++;
    int code;
    while ((code = http_stream_write(s, bytes, sizeof bytes, e)) == 0)
        stage->written += sizeof bytes;
    stage->reason = code;
    stage->cancelled++;
    return code;
}

/* 8 MiB in one write of a stream. */
static int large_stream(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)ctx;
    static char bytes[8 << 20];
    struct http_stream *s = http_stream_begin(x, 200, "application/octet-stream");
    int code = http_stream_write(s, bytes, sizeof bytes, e);
    http_stream_end(s);
    return code;
}

static int large(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)ctx;
    (void)e;
    size_t len = 8 << 20;
    char *bytes = xmalloc(len);
    memset(bytes, 'x', len);
    http_answer(x, 200, "text/plain", bytes, len);
    free(bytes);
    return 0;
}

static int allow(struct http_exchange *x, void *ctx, struct err *e)
{
    struct stage *stage = ctx;
    stage->asked++;
    const char *key = http_header(x, "Authorization");
    if (!key) {
        err_set(e, ERR_REFUSED, "a key is needed");
        return 401;
    }
    if (!streq(key, "Bearer good") || !streq(x->route->permission, "secret")) {
        err_set(e, ERR_REFUSED, "not with this key");
        return 403;
    }
    x->caller = x->arena;
    return 0;
}

static int secret(struct http_exchange *x, void *ctx, struct err *e)
{
    (void)ctx;
    if (!x->caller)
        return err_set(e, ERR_FAILED, "nobody knows who it is");
    http_answer(x, 200, "text/plain", "told", 4);
    return 0;
}

static const struct http_route api_rows[] = {
    { "GET", "/hello", hello, .doc = "says hello" },
    { "POST", "/echo", echo, .max_body = 100000, .doc = "the body" },
    { "GET", "/show", show, .doc = "the request" },
    { "GET", "/show/{id}", show, .doc = "the request" },
    { "GET", "/show/{id}/of/{rest...}", show, .doc = "the request" },
    { "GET", "/fail", give_error, .doc = "errors" },
    { "GET", "/wait", wait_long, .doc = "waits" },
    { "POST", "/wait", wait_long, .max_body = 100, .doc = "waits" },
    { "GET", "/short", wait_long, .deadline_ms = 100, .doc = "waits, but not long" },
    { "GET", "/ignore", ignore, .deadline_ms = 100, .doc = "does not heed its deadline" },
    { "GET", "/stream", stream, .doc = "events" },
    { "GET", "/silent", silent, .doc = "an event and silence" },
    { "GET", "/silent-short", silent, .deadline_ms = 100, .doc = "an event and silence, but not long" },
    { "GET", "/begin-late", begin_late, .doc = "a stream for nobody" },
    { "GET", "/flood", flood, .doc = "bytes without end" },
    { "GET", "/large", large, .doc = "8 MiB" },
    { "GET", "/large-stream", large_stream, .doc = "8 MiB" },
    { "POST", "/secret", secret, .permission = "secret", .max_body = 1000000, .doc = "for those who may" },
    { "GET", "/quick", hello, .quick = true, .doc = "says hello at once" },
};
static const struct http_route page_rows[] = {
    { "GET", "/", hello, .doc = "a page" },
    { "GET", "/page/fail", give_error, .doc = "errors as text" },
    { "GET", "/page/nobody", hello, .permission = "any", .doc = "allowed to nobody" },
};

/* ---- the server ---- */

static void on_access(const struct http_access *access, void *ctx)
{
    struct stage *stage = ctx;
    pthread_mutex_lock(&stage->lock);
    stage->last = *access;
    pthread_mutex_unlock(&stage->lock);
    stage->accesses++;
}

struct server_fixture *server_fixture_new(const struct http_limits *limits)
{
    struct server_fixture *f = calloc(1, sizeof *f);
    f->dir = tmpdir_make();
    pthread_mutex_init(&f->stage.lock, NULL);
    struct http_table *tables = calloc(2, sizeof *tables);
    tables[0] = (struct http_table){ api_rows, sizeof api_rows / sizeof *api_rows, HTTP_ERRORS_JSON, &f->stage, allow };
    tables[1] = (struct http_table){ page_rows, sizeof page_rows / sizeof *page_rows, HTTP_ERRORS_TEXT, &f->stage, NULL };
    f->tables = tables;
    struct http_options options = { .tables = tables, .table_count = 2, .limits = limits, .on_access = on_access, .access_ctx = &f->stage };
    snprintf(f->socket, sizeof f->socket, "%s/s", f->dir.path);
    check_ok(http_server_new(&options, &f->server, &f->err), &f->err);
    check_ok(http_server_listen_tcp(f->server, "127.0.0.1", 0, &f->port, &f->err), &f->err);
    check_ok(http_server_listen_unix(f->server, f->socket, &f->err), &f->err);
    check_ok(http_server_start(f->server, &f->err), &f->err);
    return f;
}

void server_fixture_free(struct server_fixture *f)
{
    f->stage.go = true;
    http_server_free(f->server);
    tmpdir_remove(&f->dir);
    pthread_mutex_destroy(&f->stage.lock);
    free(f->tables);
    free(f);
}

int server_set_up(void **state)
{
    *state = server_fixture_new(NULL);
    return 0;
}

int server_tear_down(void **state)
{
    server_fixture_free(*state);
    return 0;
}

/* ---- the client ---- */

const char *client_asks = "";

int client_tcp(const struct server_fixture *f)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)f->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

int client_unix(const struct server_fixture *f)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, f->socket, strlen(f->socket) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

bool client_send(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* Up to `len` bytes; 0: the end. */
static size_t receive(int fd, char *out, size_t len)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    if (poll(&p, 1, PATIENCE_MS) != 1)
        fail_msg("no answer within %d s: %s", PATIENCE_MS / 1000, client_asks);
    ssize_t n = recv(fd, out, len, 0);
    return n > 0 ? (size_t)n : 0;
}

/* A line without its end; false: the connection ended. */
static bool read_line(int fd, struct str *out)
{
    str_clear(out);
    char c;
    while (receive(fd, &c, 1)) {
        if (c == '\n') {
            assert_true(out->len && out->data[out->len - 1] == '\r');
            str_truncate(out, out->len - 1);
            return true;
        }
        str_add_char(out, c);
    }
    return false;
}

static bool read_bytes(int fd, size_t len, struct str *out)
{
    char bytes[65536];
    while (len) {
        size_t n = receive(fd, bytes, len < sizeof bytes ? len : sizeof bytes);
        if (!n)
            return false;
        str_add_bytes(out, bytes, n);
        len -= n;
    }
    return true;
}

static bool read_chunks(int fd, struct str *out)
{
    STR_LOCAL(line);
    for (;;) {
        if (!read_line(fd, &line))
            return false;
        size_t len = strtoul(line.data, NULL, 16);
        if (!read_bytes(fd, len, out) || !read_line(fd, &line))
            return false;
        if (!len)
            return true;
    }
}

void client_read(int fd, struct answer *ret, bool head_only)
{
    STR_LOCAL(line);
    STR_LOCAL(head);
    str_clear(&ret->body);
    ret->status = 0;
    ret->whole = false;
    while (read_line(fd, &line) && line.len)
        str_addf(&head, "%s\n", line.data);
    snprintf(ret->head, sizeof ret->head, "%s", head.data);
    if (sscanf(head.data, "HTTP/1.1 %d ", &ret->status) != 1)
        return;
    const char *length = strstr(head.data, "Content-Length: ");
    if (head_only || ret->status == 204)
        ret->whole = true;
    else if (strstr(head.data, "Transfer-Encoding: chunked"))
        ret->whole = read_chunks(fd, &ret->body);
    else if (length)
        ret->whole = read_bytes(fd, strtoul(length + 16, NULL, 10), &ret->body);
    else
        ret->whole = !read_bytes(fd, SIZE_MAX, &ret->body);
}

bool client_sees_end(int fd)
{
    char bytes[4096];
    struct pollfd p = { .fd = fd, .events = POLLIN };
    while (poll(&p, 1, PATIENCE_MS / 2) == 1)
        if (recv(fd, bytes, sizeof bytes, 0) <= 0)
            return true;
    return false;
}

void client_ask(const struct server_fixture *f, const char *request, struct answer *ret)
{
    int fd = client_tcp(f);
    client_send(fd, request, strlen(request));
    client_read(fd, ret, strncmp(request, "HEAD", 4) == 0);
    close(fd);
}

void wait_for(atomic_int *value, int least)
{
    int64_t until = clock_steady_ms() + PATIENCE_MS;
    while (atomic_load(value) < least) {
        if (clock_steady_ms() > until)
            fail_msg("waited %d s for %d, it is %d", PATIENCE_MS / 1000, least, atomic_load(value));
        usleep(500);
    }
}
