/* upstream_http.c - the fake model server's own HTTP: one thread, poll, replies played in time.
 *
 * No library, because the replies have to be able to be wrong.  What it reads is what well-meaning
 * clients send: a head, and a body as long as Content-Length says.
 */
#include "fake.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 1000,
    MAX_HEAD = 64 << 10,
    MAX_BODY = 64 << 20,
    MAX_LOGGED = 1 << 20,
    IDLE_US = 5000000, /* llama-server closes a connection that is silent for so long */
    LONGEST_WAIT_US = 1000000,
    FAIR_SHARE = 1 << 20, /* bytes that one client may get before the next */
};

struct connection {
    int fd;
    struct str in;
    struct exchange *exchange; /* NULL: a request is awaited */
    size_t at;                 /* the piece under way, */
    int64_t round;             /* its repetition, */
    size_t offset;             /* what was sent of that, */
    int64_t due_us;            /* and when it may go on */
    int64_t sent, idle_since_us;
    bool blocked;              /* the client does not read */
};

static struct connection connections[MAX_CONNECTIONS];
static size_t connection_count;
static bool something_ended; /* and made room for who waits */

/* ---- writing a reply ---- */

static void add_piece(struct exchange *x, struct piece p)
{
    ARENA_GROW(&x->arena, x->pieces, x->cap, x->count);
    x->pieces[x->count++] = p;
}

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *words;
    } reasons[] = { { 200, "OK" }, { 400, "Bad Request" }, { 401, "Unauthorized" }, { 404, "Not Found" },
                    { 429, "Too Many Requests" }, { 500, "Internal Server Error" }, { 501, "Not Implemented" },
                    { 503, "Service Unavailable" } };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].words;
    return "Fake";
}

static void write_head(struct exchange *x, int status, const char *type, int framing, int64_t length)
{
    const struct rule *r = x->rule;
    STR_LOCAL(head);
    str_addf(&head, "HTTP/1.1 %d %s\r\nServer: fake\r\nContent-Type: %s\r\n", status, reason_of(status),
             *r->type ? r->type : type ? type : "application/json; charset=utf-8");
    for (size_t i = 0; i < r->headers.count; i++)
        str_addf(&head, "%s\r\n", r->headers.items[i]);
    if (framing == FRAMING_LENGTH)
        str_addf(&head, "Content-Length: %lld\r\n", (long long)(r->length ? r->length : length));
    if (framing == FRAMING_CHUNKED)
        str_add(&head, "Transfer-Encoding: chunked\r\n");
    /* As llama-server does: an error is the last word on a connection. */
    bool last = status / 100 != 2 || framing == FRAMING_CLOSE;
    str_add(&head, last ? "Connection: close\r\n\r\n" : "Keep-Alive: timeout=5, max=100\r\n\r\n");
    x->has_head = true;
    x->chunked = framing == FRAMING_CHUNKED;
    x->then = last ? THEN_CLOSE : THEN_KEEP;
    add_piece(x, (struct piece){ .wait_us = r->after_ms * 1000 + x->delay_us, .len = head.len, .times = 1,
                                 .bytes = arena_strndup(&x->arena, head.data, head.len) });
}

static void cut_short(struct exchange *x)
{
    x->is_cut = true;
    x->then = (enum then)x->rule->then;
}

void reply_head(struct exchange *x, int status, const char *type)
{
    if (x->rule->cut < 0) {
        add_piece(x, (struct piece){ .wait_us = x->rule->after_ms * 1000, .bytes = "", .times = 1 });
        cut_short(x);
    } else {
        write_head(x, status, type, x->rule->framing, 0);
    }
}

static void add_body(struct exchange *x, int64_t wait_us, const char *bytes, size_t len)
{
    int64_t room = x->rule->cut ? x->rule->cut - x->body_len_out : INT64_MAX;
    if (x->is_cut || !len)
        return;
    if ((int64_t)len > room)
        len = (size_t)room;
    STR_LOCAL(out);
    if (x->chunked)
        str_addf(&out, "%zx\r\n", len);
    str_add_bytes(&out, bytes, len);
    if (x->chunked)
        str_add(&out, "\r\n");
    if (len)
        add_piece(x, (struct piece){ .wait_us = wait_us, .bytes = arena_strndup(&x->arena, out.data, out.len),
                                     .len = out.len, .times = 1 });
    x->body_len_out += (int64_t)len;
    if (x->rule->cut && x->body_len_out >= x->rule->cut)
        cut_short(x);
}

void reply_piece(struct exchange *x, int64_t wait_us, const char *bytes, size_t len)
{
    size_t step = x->rule->piece ? (size_t)x->rule->piece : len;
    for (size_t at = 0; at < len; at += step)
        add_body(x, at ? x->rule->pause_ms * 1000 : wait_us, bytes + at, step < len - at ? step : len - at);
}

void reply_end(struct exchange *x)
{
    if (x->is_cut)
        return;
    if (x->chunked)
        add_piece(x, (struct piece){ .bytes = "0\r\n\r\n", .len = 5, .times = 1 });
    if (x->rule->then != THEN_KEEP)
        x->then = (enum then)x->rule->then;
}

void reply_json(struct exchange *x, int status, json_t *value)
{
    STR_LOCAL(text);
    json_write(&text, value);
    json_decref(value);
    if (x->rule->cut < 0)
        reply_head(x, status, NULL);
    else
        write_head(x, status, NULL, FRAMING_LENGTH, (int64_t)text.len);
    reply_piece(x, 0, text.data, text.len);
    reply_end(x);
}

/* Characters up to U+00FF as one byte each. */
static void as_latin1(struct str *s)
{
    size_t n = 0;
    uint32_t c;
    for (size_t i = 0, len; (len = utf8_decode(s->data + i, s->len - i, &c)) > 0; i += len)
        s->data[n++] = (char)c;
    str_truncate(s, n);
}

/* Whole, many times over: one piece that is sent again and again, so that a gigabyte costs nothing. */
static void repeat_body(struct exchange *x, const struct str *body)
{
    const struct rule *r = x->rule;
    add_body(x, 0, body->data, body->len);
    if (x->is_cut || !x->count)
        return;
    x->pieces[x->count - 1].times = r->repeat;
    x->pieces[x->count - 1].wait_us = r->pause_ms * 1000;
}

bool reply_by_rule(struct exchange *x)
{
    const struct rule *r = x->rule;
    STR_LOCAL(body);
    if (!r->status && !r->raw)
        return false;
    str_add(&body, r->body);
    if (r->latin1)
        as_latin1(&body);
    int64_t times = r->repeat ? r->repeat : 1;
    if (r->raw)
        add_piece(x, (struct piece){ .wait_us = r->after_ms * 1000, .bytes = "", .times = 1 });
    else if (r->cut < 0)
        reply_head(x, (int)r->status, r->type);
    else
        write_head(x, (int)r->status, r->type, r->framing, (int64_t)body.len * times);
    if (r->repeat)
        repeat_body(x, &body);
    else
        reply_piece(x, 0, body.data, body.len);
    reply_end(x);
    return true;
}

/* ---- ends ---- */

static void end_exchange(struct connection *c)
{
    fake_done(c->exchange);
    str_release(&c->exchange->holds);
    arena_release(&c->exchange->arena);
    free(c->exchange);
    c->exchange = NULL;
    c->idle_since_us = clock_steady_us();
    something_ended = true;
}

static void close_connection(struct connection *c)
{
    if (c->exchange)
        end_exchange(c);
    str_release(&c->in);
    close(c->fd);
    c->fd = -1;
}

static void client_left(struct connection *c)
{
    if (c->exchange)
        log_line("left", json_pack("{s:I, s:I, s:I}", "n", (json_int_t)c->exchange->number, "sent", (json_int_t)c->sent,
                                   "slot", (json_int_t)c->exchange->slot));
    close_connection(c);
}

static void reset_connection(struct connection *c)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close_connection(c);
}

/* The last piece was sent. */
static void reply_played(struct connection *c)
{
    struct exchange *x = c->exchange;
    if (x->then == THEN_HANG) {
        c->due_us = INT64_MAX; /* until the client leaves */
        return;
    }
    log_line("end", json_pack("{s:I, s:I, s:I}", "n", (json_int_t)x->number, "sent", (json_int_t)c->sent, "slot",
                              (json_int_t)x->slot));
    fake_then(x);
    if (x->then == THEN_RESET)
        reset_connection(c);
    else if (x->then == THEN_CLOSE)
        close_connection(c);
    else
        end_exchange(c);
}

/* ---- playing ---- */

/* Sends what is due; false: the client has left. */
static bool play(struct connection *c, int64_t now)
{
    struct exchange *x = c->exchange;
    int64_t enough = c->sent + FAIR_SHARE;
    while (c->at < x->count && now >= c->due_us && c->sent < enough) {
        const struct piece *p = &x->pieces[c->at];
        ssize_t n = p->len > c->offset ? send(c->fd, p->bytes + c->offset, p->len - c->offset, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
        if (n < 0) {
            c->blocked = errno == EAGAIN;
            return c->blocked;
        }
        c->sent += n;
        c->offset += (size_t)n;
        if (c->offset < p->len)
            continue;
        c->offset = 0;
        if (++c->round >= p->times) {
            c->round = 0;
            c->at++;
        }
        if (c->at < x->count && x->pieces[c->at].wait_us)
            c->due_us = now + x->pieces[c->at].wait_us;
    }
    return true;
}

static void go_on(struct connection *c, int64_t now)
{
    c->blocked = false;
    if (!play(c, now))
        client_left(c);
    else if (!c->blocked && c->at == c->exchange->count && c->due_us < INT64_MAX)
        reply_played(c);
}

static void begin_reply(struct connection *c)
{
    struct exchange *x = c->exchange;
    if (!x->fake->pose->serve(x))
        return;
    x->waits = false;
    c->at = c->offset = 0;
    c->round = c->sent = 0;
    c->due_us = clock_steady_us() + (x->count ? x->pieces[0].wait_us : 0);
    log_line("reply", json_pack("{s:I, s:I}", "n", (json_int_t)x->number, "slot", (json_int_t)x->slot));
    go_on(c, clock_steady_us());
}

/* Of those that wait for a slot, the first to come after the `last`-th request. */
static struct connection *next_waiting(int64_t last)
{
    struct connection *next = NULL;
    for (size_t i = 0; i < connection_count; i++) {
        const struct exchange *x = connections[i].exchange;
        if (x && x->waits && x->number > last && (!next || x->number < next->exchange->number))
            next = &connections[i];
    }
    return next;
}

static void serve_waiting(void)
{
    struct connection *next;
    for (int64_t last = 0; something_ended; last = 0) {
        something_ended = false;
        while (!something_ended && (next = next_waiting(last))) {
            last = next->exchange->number;
            begin_reply(next);
        }
    }
}

/* ---- requests ---- */

static size_t content_length(const char *head)
{
    const char *line = strcasestr(head, "\r\ncontent-length:");
    return line ? strtoul(line + 17, NULL, 10) : 0;
}

static void log_request(const struct exchange *x)
{
    json_t *line = json_pack("{s:I, s:s, s:s, s:s}", "n", (json_int_t)x->number, "method", x->method, "path", x->path, "head", x->head);
    json_put(line, "body", json_text(x->body, x->body_len < MAX_LOGGED ? x->body_len : MAX_LOGGED));
    json_put_text(line, "query", x->query);
    log_line("request", line);
}

static void begin_exchange(struct fake *f, struct connection *c, size_t head_len, size_t body_len)
{
    struct exchange *x = xcalloc(1, sizeof *x);
    x->fake = f;
    x->number = ++f->requests;
    x->slot = -1;
    str_init(&x->holds);
    x->head = arena_strndup(&x->arena, c->in.data, head_len);
    x->body = arena_strndup(&x->arena, c->in.data + head_len, body_len);
    x->body_len = body_len;
    const char *path = x->head + strcspn(x->head, " \r\n"), *query = path + strcspn(path, "?\r\n");
    x->method = arena_strndup(&x->arena, x->head, (size_t)(path - x->head));
    path += *path == ' ';
    x->path = arena_strndup(&x->arena, path, strcspn(path, " ?\r\n"));
    x->query = *query == '?' ? arena_strndup(&x->arena, query + 1, strcspn(query + 1, " \r\n")) : "";
    json_t *value = NULL;
    if (json_parse(&x->arena, x->body, body_len, &value, NULL) == 0 && json_is_object(value))
        x->json = value;
    memmove(c->in.data, c->in.data + head_len + body_len, c->in.len - head_len - body_len);
    str_truncate(&c->in, c->in.len - head_len - body_len);
    x->rule = script_rule(f->script, x->path, f->model, x->body);
    c->exchange = x;
    x->waits = true;
    log_request(x);
    begin_reply(c);
}

/* A whole request, if it is there. */
static void look_for_request(struct fake *f, struct connection *c)
{
    char *end = strstr(c->in.data, "\r\n\r\n");
    if (!end) {
        if (c->in.len > MAX_HEAD)
            close_connection(c);
        return;
    }
    size_t head_len = (size_t)(end - c->in.data) + 4;
    char last = c->in.data[head_len - 1];
    c->in.data[head_len - 1] = '\0';
    size_t body_len = content_length(c->in.data);
    c->in.data[head_len - 1] = last;
    if (body_len > MAX_BODY)
        close_connection(c);
    else if (c->in.len >= head_len + body_len)
        begin_exchange(f, c, head_len, body_len);
}

static void receive(struct fake *f, struct connection *c)
{
    char buffer[65536];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        client_left(c);
        return;
    }
    str_add_bytes(&c->in, buffer, (size_t)n);
    look_for_request(f, c);
}

/* ---- the loop ---- */

bool http_listen(struct fake *f, int64_t port)
{
    struct sockaddr_un on_path = { .sun_family = AF_UNIX };
    struct sockaddr_in on_port = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port) };
    socklen_t len = f->path ? sizeof on_path : sizeof on_port;
    if (f->path && strlen(f->path) >= sizeof on_path.sun_path)
        return false;
    if (f->path)
        snprintf(on_path.sun_path, sizeof on_path.sun_path, "%s", f->path);
    f->listener = socket(f->path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (f->listener < 0 || bind(f->listener, f->path ? (struct sockaddr *)&on_path : (struct sockaddr *)&on_port, len) < 0 ||
        listen(f->listener, 256) < 0)
        return false;
    if (f->path)
        return true;
    if (getsockname(f->listener, (struct sockaddr *)&on_port, &len) < 0)
        return false;
    f->port = ntohs(on_port.sin_port);
    printf("listening on http://127.0.0.1:%d\n", f->port);
    fflush(stdout);
    return true;
}

static void accept_all(struct fake *f)
{
    int fd, on = 1;
    while (connection_count < MAX_CONNECTIONS && (fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        if (!f->path)
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[connection_count++] = (struct connection){ .fd = fd, .in = STR_INIT, .idle_since_us = clock_steady_us() };
    }
}

/* What one connection waits for, and until when. */
static struct pollfd wish_of(const struct fake *f, const struct connection *c, int64_t *until_us)
{
    struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };
    int64_t due;
    if (!c->exchange) {
        p.events |= POLLIN;
        due = c->idle_since_us + IDLE_US;
    } else if (c->exchange->waits || f->ending) {
        due = INT64_MAX;
    } else if (c->blocked) {
        p.events |= POLLOUT;
        due = INT64_MAX;
    } else {
        due = c->due_us;
    }
    if (due < *until_us)
        *until_us = due;
    return p;
}

static void look_after(struct fake *f, struct connection *c, short events, int64_t now)
{
    if (!c->exchange && (events & POLLIN)) {
        receive(f, c);
        return;
    }
    if (events & (POLLRDHUP | POLLHUP | POLLERR)) {
        client_left(c);
        return;
    }
    if (!c->exchange) {
        if (now >= c->idle_since_us + IDLE_US || f->ending)
            close_connection(c);
        return;
    }
    if (c->exchange->waits || f->ending)
        return;
    if ((events & POLLOUT) || (!c->blocked && now >= c->due_us))
        go_on(c, now);
    /* The next request may lie there already. */
    if (c->fd >= 0 && !c->exchange && c->in.len)
        look_for_request(f, c);
}

static void forget_closed(void)
{
    size_t n = 0;
    for (size_t i = 0; i < connection_count; i++)
        if (connections[i].fd >= 0)
            connections[n++] = connections[i];
    connection_count = n;
}

static bool is_busy(void)
{
    for (size_t i = 0; i < connection_count; i++)
        if (connections[i].exchange)
            return true;
    return false;
}

void http_run(struct fake *f)
{
    static struct pollfd polls[MAX_CONNECTIONS + 1];
    while (!f->ending || clock_steady_us() < f->end_us) {
        int64_t now = clock_steady_us(), until = now + LONGEST_WAIT_US;
        if (f->ending && !is_busy())
            break;
        if (!f->ready && f->ready_us < until)
            until = f->ready_us;
        polls[0] = (struct pollfd){ .fd = f->ending ? -1 : f->listener, .events = POLLIN };
        size_t count = connection_count;
        for (size_t i = 0; i < count; i++)
            polls[i + 1] = wish_of(f, &connections[i], &until);
        int64_t wait = until > now ? until - now : 0;
        struct timespec t = { .tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000 };
        sigset_t none; /* signals come here and nowhere else */
        sigemptyset(&none);
        if (ppoll(polls, count + 1, &t, &none) < 0)
            continue;
        now = clock_steady_us();
        if (!f->ready && now >= f->ready_us)
            fake_loaded(f);
        for (size_t i = 0; i < count; i++)
            look_after(f, &connections[i], polls[i + 1].revents, now);
        serve_waiting();
        forget_closed();
        if (polls[0].revents & POLLIN)
            accept_all(f);
    }
    for (size_t i = 0; i < connection_count; i++)
        close_connection(&connections[i]);
    connection_count = 0;
}
