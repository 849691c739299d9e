/* upstream.c - the fake server.  Plain blocking sockets and a thread for each connection:
 * a test opens a handful. */
#include "upstream.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 64, MAX_REPLIES = 32, MAX_ROUTES = 8, MAX_REQUESTS = 4096 };

struct request {
    char *path, *head, *body;
};

struct route {
    char *path;
    struct upstream_reply replies[MAX_REPLIES];
    size_t reply_count, next;
    bool last_served; /* replies[next] is the last and was given at least once */
};

struct upstream {
    int listener;
    char url[64];
    SSL_CTX *tls;
    pthread_t acceptor;
    atomic_bool stopping, client_left;
    pthread_mutex_t lock; /* guards all below */
    struct route routes[MAX_ROUTES];
    size_t route_count;
    struct request requests[MAX_REQUESTS];
    size_t request_count;
    struct connection {
        struct upstream *server;
        pthread_t thread;
        int fd;
        SSL *tls;
    } connections[MAX_CONNECTIONS];
    size_t connection_count;
};

static void must(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fake upstream: %s: %s\n", what, strerror(errno));
    abort();
}

/* ---- bytes ---- */

static ssize_t receive(struct connection *c, char *out, size_t size)
{
    return c->tls ? SSL_read(c->tls, out, (int)size) : recv(c->fd, out, size, 0);
}

static bool transmit(struct connection *c, const char *bytes, size_t len)
{
    while (len) {
        size_t some = len < 1 << 20 ? len : 1 << 20;
        ssize_t n = c->tls ? SSL_write(c->tls, bytes, (int)some)
                           : send(c->fd, bytes, some, MSG_NOSIGNAL);
        if (n <= 0) {
            atomic_store(&c->server->client_left, true);
            return false;
        }
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* Sleeps unless the client leaves or the server stops; then false. */
static bool pause_for(struct connection *c, int64_t ms)
{
    int64_t end = clock_steady_ms() + ms;
    for (;;) {
        int64_t left = end - clock_steady_ms();
        if (left <= 0)
            return true;
        struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };
        poll(&p, 1, (int)(left < 10 ? left : 10));
        if (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) {
            atomic_store(&c->server->client_left, true);
            return false;
        }
        if (atomic_load(&c->server->stopping))
            return false;
    }
}

/* ---- one request ---- */

static size_t content_length(const char *head)
{
    const char *line = strcasestr(head, "\r\ncontent-length:");
    return line ? strtoul(line + 17, NULL, 10) : 0;
}

/* Reads a request; false: the connection ended. */
static bool read_request(struct connection *c, struct request *ret)
{
    STR_LOCAL(in);
    char buffer[16384];
    size_t head_len = 0, want = SIZE_MAX;
    while (in.len < want) {
        ssize_t n = receive(c, buffer, sizeof buffer);
        if (n <= 0)
            return false;
        str_add_bytes(&in, buffer, (size_t)n);
        char *end = head_len ? NULL : strstr(in.data, "\r\n\r\n");
        if (end) {
            head_len = (size_t)(end - in.data) + 4;
            char *head = xstrndup(in.data, head_len);
            want = head_len + content_length(head);
            free(head);
        }
    }
    size_t path_at = strcspn(in.data, " ") + 1;
    *ret = (struct request){
        .path = xstrndup(in.data + path_at, strcspn(in.data + path_at, " ?")),
        .head = xstrndup(in.data, head_len),
        .body = xstrndup(in.data + head_len, in.len - head_len),
    };
    return true;
}

/* Notes the request and finds its reply; a path without a script gets 404. */
static struct upstream_reply next_reply(struct upstream *u, const struct request *r)
{
    struct upstream_reply reply = {
        .status = 404, .body = "{\"error\":{\"message\":\"not found\",\"type\":\"not_found_error\"}}"
    };
    pthread_mutex_lock(&u->lock);
    must(u->request_count < MAX_REQUESTS, "too many requests");
    u->requests[u->request_count++] = *r;
    for (size_t i = 0; i < u->route_count; i++) {
        struct route *route = &u->routes[i];
        if (streq(route->path, r->path)) {
            reply = route->replies[route->next];
            if (route->next + 1 < route->reply_count)
                route->next++;
            else
                route->last_served = true;
        }
    }
    pthread_mutex_unlock(&u->lock);
    return reply;
}

static bool send_piece(struct connection *c, const char *bytes, size_t len)
{
    STR_LOCAL(chunk);
    str_addf(&chunk, "%zx\r\n", len);
    str_add_bytes(&chunk, bytes, len);
    str_add(&chunk, "\r\n");
    return transmit(c, chunk.data, chunk.len);
}

/* Sends the body in chunks; false: the client left. */
static bool send_body(struct connection *c, const struct upstream_reply *r)
{
    size_t len = r->body ? strlen(r->body) : 0, sent = 0;
    size_t times = r->repeat ? r->repeat : 1;
    for (size_t round = 0; len && round < times; round++) {
        for (size_t at = 0; at < len;) {
            size_t n = r->piece && r->piece < len - at ? r->piece : len - at;
            if (r->cut && n > r->cut - sent)
                n = r->cut - sent;
            if (sent && r->pause_ms && !pause_for(c, r->pause_ms))
                return false;
            if (n && !send_piece(c, r->body + at, n))
                return false;
            at += n;
            sent += n;
            if (r->cut && sent >= r->cut)
                return true;
        }
    }
    return transmit(c, "0\r\n\r\n", 5);
}

static bool send_head(struct connection *c, const struct upstream_reply *r)
{
    STR_LOCAL(head);
    str_addf(&head, "HTTP/1.1 %d Fake\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n%s%s\r\n",
             r->status ? r->status : 200, r->type ? r->type : "application/json",
             r->end == UPSTREAM_CLOSE ? "Connection: close\r\n" : "", r->headers ? r->headers : "");
    return transmit(c, head.data, head.len);
}

/* Plays one reply; false: the connection is over. */
static bool play(struct connection *c, const struct upstream_reply *r)
{
    if (r->delay_ms && !pause_for(c, r->delay_ms))
        return false;
    if (r->status == UPSTREAM_RAW) {
        if (r->body && !transmit(c, r->body, strlen(r->body)))
            return false;
    } else if (!send_head(c, r) || (r->body_delay_ms && !pause_for(c, r->body_delay_ms)) ||
               !send_body(c, r)) {
        return false;
    }
    if (r->end == UPSTREAM_HANG)
        pause_for(c, 60000);
    if (r->end == UPSTREAM_RESET) {
        struct linger now = { .l_onoff = 1, .l_linger = 0 };
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    return r->end == UPSTREAM_KEEP;
}

static void *serve(void *argument)
{
    struct connection *c = argument;
    if (!c->tls || SSL_accept(c->tls) > 0) {
        struct request request;
        while (!atomic_load(&c->server->stopping) && read_request(c, &request)) {
            struct upstream_reply reply = next_reply(c->server, &request);
            if (!play(c, &reply))
                break;
        }
    }
    pthread_mutex_lock(&c->server->lock);
    close(c->fd);
    c->fd = -1;
    pthread_mutex_unlock(&c->server->lock);
    return NULL;
}

static void *accept_all(void *argument)
{
    struct upstream *u = argument;
    for (;;) {
        int fd = accept4(u->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            if (atomic_load(&u->stopping))
                return NULL;
            must(errno == EINTR || errno == ECONNABORTED, "accept");
            continue;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_mutex_lock(&u->lock);
        must(u->connection_count < MAX_CONNECTIONS, "too many connections");
        struct connection *c = &u->connections[u->connection_count++];
        *c = (struct connection){ .server = u, .fd = fd };
        if (u->tls) {
            c->tls = SSL_new(u->tls);
            SSL_set_fd(c->tls, fd);
        }
        must(pthread_create(&c->thread, NULL, serve, c) == 0, "thread");
        pthread_mutex_unlock(&u->lock);
    }
}

/* ---- start and stop ---- */

static struct upstream *start(int family, const struct sockaddr *address, socklen_t len)
{
    struct upstream *u = xcalloc(1, sizeof *u);
    pthread_mutex_init(&u->lock, NULL);
    u->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(u->listener >= 0 && bind(u->listener, address, len) == 0, "bind");
    must(listen(u->listener, 64) == 0, "listen");
    return u;
}

static struct upstream *start_tcp(const char *scheme)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct upstream *u = start(AF_INET, (struct sockaddr *)&a, sizeof a);
    socklen_t len = sizeof a;
    must(getsockname(u->listener, (struct sockaddr *)&a, &len) == 0, "getsockname");
    snprintf(u->url, sizeof u->url, "%s://127.0.0.1:%d", scheme, ntohs(a.sin_port));
    return u;
}

static struct upstream *run(struct upstream *u)
{
    must(pthread_create(&u->acceptor, NULL, accept_all, u) == 0, "thread");
    return u;
}

struct upstream *upstream_start(void)
{
    return run(start_tcp("http"));
}

struct upstream *upstream_start_unix(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    struct upstream *u = start(AF_UNIX, (struct sockaddr *)&a, sizeof a);
    snprintf(u->url, sizeof u->url, "http://localhost");
    return run(u);
}

static X509 *self_signed(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"fake", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(cert, san, -1);
    X509_EXTENSION_free(san);
    must(X509_sign(cert, key, EVP_sha256()) > 0, "sign");
    return cert;
}

struct upstream *upstream_start_tls(const char *ca_file)
{
    struct upstream *u = start_tcp("https");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = self_signed(key);
    u->tls = SSL_CTX_new(TLS_server_method());
    must(SSL_CTX_use_certificate(u->tls, cert) == 1 && SSL_CTX_use_PrivateKey(u->tls, key) == 1,
         "certificate");
    FILE *f = fopen(ca_file, "w");
    must(f && PEM_write_X509(f, cert) == 1 && fclose(f) == 0, "CA file");
    X509_free(cert);
    EVP_PKEY_free(key);
    signal(SIGPIPE, SIG_IGN); /* SSL_write has no MSG_NOSIGNAL */
    return run(u);
}

void upstream_stop(struct upstream *u)
{
    atomic_store(&u->stopping, true);
    shutdown(u->listener, SHUT_RDWR);
    pthread_join(u->acceptor, NULL);
    close(u->listener);
    pthread_mutex_lock(&u->lock);
    for (size_t i = 0; i < u->connection_count; i++)
        if (u->connections[i].fd >= 0)
            shutdown(u->connections[i].fd, SHUT_RDWR);
    pthread_mutex_unlock(&u->lock);
    for (size_t i = 0; i < u->connection_count; i++) {
        pthread_join(u->connections[i].thread, NULL);
        SSL_free(u->connections[i].tls);
    }
    for (size_t i = 0; i < u->request_count; i++) {
        free(u->requests[i].path);
        free(u->requests[i].head);
        free(u->requests[i].body);
    }
    for (size_t i = 0; i < u->route_count; i++) {
        for (size_t k = 0; k < u->routes[i].reply_count; k++) {
            free((char *)u->routes[i].replies[k].type);
            free((char *)u->routes[i].replies[k].headers);
            free((char *)u->routes[i].replies[k].body);
        }
        free(u->routes[i].path);
    }
    SSL_CTX_free(u->tls);
    pthread_mutex_destroy(&u->lock);
    free(u);
}

const char *upstream_url(const struct upstream *u)
{
    return u->url;
}

/* ---- the script and what came ---- */

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

void upstream_on(struct upstream *u, const char *path, const struct upstream_reply *reply)
{
    pthread_mutex_lock(&u->lock);
    size_t i = 0;
    while (i < u->route_count && !streq(u->routes[i].path, path))
        i++;
    must(i < MAX_ROUTES, "too many paths");
    struct route *route = &u->routes[i];
    if (i == u->route_count) {
        route->path = xstrdup(path);
        u->route_count++;
    }
    must(route->reply_count < MAX_REPLIES, "too many replies");
    if (route->last_served)
        route->next++;
    route->last_served = false;
    struct upstream_reply *r = &route->replies[route->reply_count++];
    *r = *reply;
    r->type = copy(reply->type);
    r->headers = copy(reply->headers);
    r->body = copy(reply->body);
    pthread_mutex_unlock(&u->lock);
}

static bool is_for(const struct request *r, const char *path)
{
    return !path || streq(r->path, path);
}

size_t upstream_count(struct upstream *u, const char *path)
{
    size_t count = 0;
    pthread_mutex_lock(&u->lock);
    for (size_t i = 0; i < u->request_count; i++)
        count += is_for(&u->requests[i], path);
    pthread_mutex_unlock(&u->lock);
    return count;
}

size_t upstream_connections(struct upstream *u)
{
    pthread_mutex_lock(&u->lock);
    size_t count = u->connection_count;
    pthread_mutex_unlock(&u->lock);
    return count;
}

size_t upstream_open_connections(struct upstream *u)
{
    size_t count = 0;
    pthread_mutex_lock(&u->lock);
    for (size_t i = 0; i < u->connection_count; i++)
        count += u->connections[i].fd >= 0;
    pthread_mutex_unlock(&u->lock);
    return count;
}

static const struct request *request_at(struct upstream *u, const char *path, size_t n)
{
    const struct request *found = NULL;
    pthread_mutex_lock(&u->lock);
    for (size_t i = 0; i < u->request_count && !found; i++)
        if (is_for(&u->requests[i], path) && n-- == 0)
            found = &u->requests[i];
    pthread_mutex_unlock(&u->lock);
    must(found != NULL, "no such request");
    return found;
}

const char *upstream_head(struct upstream *u, const char *path, size_t n)
{
    return request_at(u, path, n)->head;
}

const char *upstream_body(struct upstream *u, const char *path, size_t n)
{
    return request_at(u, path, n)->body;
}

bool upstream_saw_client_leave(struct upstream *u)
{
    for (int i = 0; i < 200 && !atomic_load(&u->client_left); i++)
        usleep(10000);
    return atomic_load(&u->client_left);
}

/* ---- what model servers say ---- */

void upstream_chunk(struct str *out, const char *delta, const char *finish)
{
    str_addf(out,
             "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,"
             "\"model\":\"fake-7b\",\"choices\":[{\"index\":0,\"delta\":%s,"
             "\"finish_reason\":%s%s%s}]}\n\n",
             delta, finish ? "\"" : "", finish ? finish : "null", finish ? "\"" : "");
}

void upstream_answer(struct str *out, const char *text, const char *finish)
{
    upstream_chunk(out, "{\"role\":\"assistant\",\"content\":null}", NULL);
    for (size_t len = strlen(text), at = 0, n; at < len; at += n) {
        n = utf8_floor(text + at, len - at < 16 ? len - at : 16);
        json_t *piece = json_text(text + at, n), *delta = json_object();
        json_put(delta, "content", piece);
        STR_LOCAL(words);
        json_write(&words, delta);
        json_decref(delta);
        upstream_chunk(out, words.data, NULL);
    }
    upstream_chunk(out, "{}", finish);
    str_add(out, "data: {\"object\":\"chat.completion.chunk\",\"model\":\"fake-7b\",\"choices\":[],"
                 "\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":7,\"total_tokens\":107,"
                 "\"prompt_tokens_details\":{\"cached_tokens\":40}}}\n\ndata: [DONE]\n\n");
}

void upstream_model(struct upstream *u, const char *id, const char *text)
{
    STR_LOCAL(body);
    str_addf(&body, "{\"object\":\"list\",\"data\":[{\"id\":\"%s\",\"object\":\"model\"}]}", id);
    upstream_on(u, "/v1/models", &(struct upstream_reply){ .body = body.data });
    str_clear(&body);
    upstream_answer(&body, text, "stop");
    upstream_on(u, "/v1/chat/completions",
                &(struct upstream_reply){ .type = "text/event-stream", .body = body.data });
}
