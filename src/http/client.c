/* client.c - HTTP requests on the calling thread, over libcurl's multi interface.
 *
 * curl_easy_perform would be shorter, but its progress callback comes about once a second
 * while nothing arrives, and a request must stop within 50 ms of being cancelled and notice
 * four kinds of time-out.  So each request drives a multi handle of its own and waits in
 * curl_multi_poll for at most 20 ms at a time; a byte that arrives wakes it at once, so the
 * step costs no latency.  (curl_multi_wakeup would spare the steps, but `cancel` is a plain
 * flag that a signal handler may set, and fifty wake-ups a second do not show.)
 *
 * A handle serves one origin and keeps its connection.  Idle handles wait in a pool of at
 * most POOL_MAX, most recently used first, and a request takes one of its origin or makes a
 * new one: parallel conversations with one server get one kept-alive connection each.  (A
 * handle for many origins would leave to libcurl which connection to close when there are
 * too many; it goes by whole milliseconds and closes the one just used now and then.)
 *
 * Threads: the pool is guarded by a mutex; a handle belongs to one request at a time.
 */
#include "http/client.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "http/libcurl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    POOL_MAX = 16,
    CONNECTIONS_PER_HANDLE = 1,
    STEP_MS = 20,
    LONGEST_WAIT_MS = 1000,
    DEFAULT_CONNECT_MS = 5000,
    DEFAULT_MAX_BODY = 16 << 20,
    MAX_ERROR_BODY = 64 << 10,
    MAX_HEADERS = 256 << 10,
    SMALL_BODY = 64 << 10, /* libcurl sends it with the head; a larger one by pieces of its buffer */
    LARGEST_UPLOAD = 2 << 20,
};

/* ---- the pool of handles ---- */

struct handle {
    CURLM *multi;
    CURL *easy;
    char origin[280];
    struct handle *next;
};

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static struct handle *pool;
static int pool_count;

static struct handle *handle_new(const struct libcurl *curl)
{
    struct handle *h = xcalloc(1, sizeof *h);
    h->multi = curl->multi_init();
    h->easy = curl->easy_init();
    if (!h->multi || !h->easy)
        out_of_memory();
    curl->multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_PER_HANDLE);
    return h;
}

static void handle_free(const struct libcurl *curl, struct handle *h)
{
    curl->easy_cleanup(h->easy);
    curl->multi_cleanup(h->multi);
    free(h);
}

static struct handle *handle_take(const struct libcurl *curl, const char *origin)
{
    pthread_mutex_lock(&pool_lock);
    struct handle **at = &pool;
    while (*at && !streq((*at)->origin, origin))
        at = &(*at)->next;
    struct handle *h = *at;
    if (h) {
        *at = h->next;
        pool_count--;
    }
    pthread_mutex_unlock(&pool_lock);
    if (!h) {
        h = handle_new(curl);
        snprintf(h->origin, sizeof h->origin, "%s", origin);
    }
    return h;
}

/* Removes the handle that was idle for longest. */
static struct handle *pool_drop_last(void)
{
    struct handle **at = &pool;
    while ((*at)->next)
        at = &(*at)->next;
    struct handle *last = *at;
    *at = NULL;
    pool_count--;
    return last;
}

static void handle_give_back(const struct libcurl *curl, struct handle *h)
{
    struct handle *dropped = NULL;
    curl->easy_reset(h->easy);
    pthread_mutex_lock(&pool_lock);
    h->next = pool;
    pool = h;
    if (++pool_count > POOL_MAX)
        dropped = pool_drop_last();
    pthread_mutex_unlock(&pool_lock);
    if (dropped)
        handle_free(curl, dropped);
}

/* ---- one transfer ---- */

struct transfer {
    const struct http_request *q;
    const struct libcurl *curl;
    struct handle *handle;
    struct http_result result;
    struct str *body;
    struct err *err;
    int stop;    /* why a callback ended the transfer: an error code, 0: it did not */
    bool enough; /* the part of an error body that is kept is full */
    bool has_retry_after;
    size_t header_len, body_len;
    int64_t start_us, last_byte_us;
    char where[280]; /* for people */
    char curl_words[CURL_ERROR_SIZE];
};

static int give_up(struct transfer *t, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int give_up(struct transfer *t, int code, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t->stop = err_set(t->err, code, "%s", text);
    return t->stop;
}

/* A number of milliseconds for people. */
static const char *seconds(int64_t ms, char out[32])
{
    snprintf(out, 32, ms < 10000 ? "%.3g s" : "%.0f s", (double)ms / 1000);
    return out;
}

static int status_of(struct transfer *t)
{
    long status = 0;
    t->curl->easy_getinfo(t->handle->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static size_t max_body(const struct transfer *t)
{
    return t->q->max_body ? t->q->max_body : DEFAULT_MAX_BODY;
}

/* Takes a piece of the body; false: the transfer shall end. */
static bool take_body(struct transfer *t, const char *bytes, size_t len)
{
    t->last_byte_us = clock_steady_us();
    if (t->result.first_byte_us < 0)
        t->result.first_byte_us = t->last_byte_us - t->start_us;
    t->body_len += len;
    if (status_of(t) / 100 != 2) {
        size_t room = t->body ? MAX_ERROR_BODY - t->body->len : 0;
        if (t->body)
            str_add_bytes(t->body, bytes, len < room ? len : room);
        t->enough = len >= room;
        return !t->enough;
    }
    if (t->body_len > max_body(t)) {
        give_up(t, ERR_LIMIT, "%s sent more than the %zu bytes that are allowed", t->where,
                max_body(t));
        return false;
    }
    if (!t->q->on_body) {
        if (t->body)
            str_add_bytes(t->body, bytes, len);
        return true;
    }
    if (t->q->on_body(bytes, len, t->q->ctx))
        return true;
    give_up(t, ERR_CANCELLED, "the request to %s was stopped", t->where);
    return false;
}

static size_t on_curl_body(char *bytes, size_t size, size_t count, void *ctx)
{
    return take_body(ctx, bytes, size * count) ? size * count : CURL_WRITEFUNC_ERROR;
}

/* Copies the value of header `name` (with its colon) if the line is that header. */
static bool header_value(const char *line, size_t len, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name);
    if (len < name_len || strncasecmp(line, name, name_len) != 0)
        return false;
    line += name_len;
    len -= name_len;
    while (len && (*line == ' ' || *line == '\t'))
        line++, len--;
    while (len && strchr(" \t\r\n", line[len - 1]))
        len--;
    snprintf(out, size, "%.*s", (int)(len < size ? len : size), line);
    return true;
}

static size_t on_curl_header(char *line, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    size_t len = size * count;
    char value[64];
    t->header_len += len;
    if (t->header_len > MAX_HEADERS) {
        give_up(t, ERR_LIMIT, "%s sent more than %d bytes of headers", t->where, MAX_HEADERS);
        return 0;
    }
    header_value(line, len, "content-type:", t->result.content_type,
                 sizeof t->result.content_type);
    header_value(line, len, "location:", t->result.location, sizeof t->result.location);
    if (header_value(line, len, "retry-after:", value, sizeof value))
        t->has_retry_after = true;
    return len;
}

/* As libcurl does by itself, but so that children never inherit the socket. */
static curl_socket_t on_curl_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)ctx;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- setting up ---- */

bool http_has_login(const char *url)
{
    const char *host = strstr(url, "://");
    return host && memchr(host + 3, '@', strcspn(host + 3, "/?#"));
}

void http_origin(const char *url, char *out, size_t size)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t len = strcspn(host, "/?#");
    for (size_t i = len; i > 0; i--) {
        if (host[i - 1] == '@') {
            host += i;
            len -= i;
            break;
        }
    }
    snprintf(out, size, "%s%.*s", starts_with(url, "https://") ? "https://" : "http://",
             (int)(len < size ? len : size), host);
}

static bool has_line_break(const char *s)
{
    return strpbrk(s, "\r\n") != NULL;
}

static int check_request(const struct http_request *q, struct err *e)
{
    if (!starts_with(q->url, "http://") && !starts_with(q->url, "https://"))
        return err_set(e, ERR_INVALID, "\"%.100s\" is not an http:// or https:// address", q->url);
    for (size_t i = 0; q->headers && q->headers[i]; i++)
        if (has_line_break(q->headers[i]))
            return err_set(e, ERR_INVALID, "a request header contains a line break");
    if (q->bearer && has_line_break(q->bearer))
        return err_set(e, ERR_INVALID, "the API key contains a line break");
    return 0;
}

static struct curl_slist *add_header(const struct libcurl *curl, struct curl_slist *list,
                                     const char *text)
{
    struct curl_slist *longer = curl->slist_append(list, text);
    if (!longer)
        out_of_memory();
    return longer;
}

static struct curl_slist *request_headers(const struct transfer *t)
{
    struct curl_slist *list = NULL;
    for (size_t i = 0; t->q->headers && t->q->headers[i]; i++)
        list = add_header(t->curl, list, t->q->headers[i]);
    /* Without this libcurl asks for permission before a large body and waits a second. */
    list = add_header(t->curl, list, "Expect:");
    if (t->q->bearer) {
        STR_LOCAL(header);
        str_addf(&header, "Authorization: Bearer %s", t->q->bearer);
        list = add_header(t->curl, list, header.data);
        memset(header.data, 0, header.len);
    }
    return list;
}

static void set_method(const struct transfer *t)
{
    const struct http_request *q = t->q;
    CURL *easy = t->handle->easy;
    if (q->body || streq(q->method, "POST")) {
        t->curl->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
        t->curl->easy_setopt(easy, CURLOPT_POSTFIELDS, q->body ? q->body : "");
    }
    if (q->body_len > SMALL_BODY)
        t->curl->easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)(q->body_len < LARGEST_UPLOAD ? q->body_len : LARGEST_UPLOAD));
    if (streq(q->method, "HEAD"))
        t->curl->easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (!streq(q->method, "GET") && !streq(q->method, "POST"))
        t->curl->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, q->method);
}

static void set_up(struct transfer *t, struct curl_slist *headers)
{
    const struct http_request *q = t->q;
    const struct libcurl *curl = t->curl;
    CURL *easy = t->handle->easy;
    curl->easy_setopt(easy, CURLOPT_URL, q->url);
    curl->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl->easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl->easy_setopt(easy, CURLOPT_PROXY, "");
    curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L); /* a prompt may take minutes of silence */
    curl->easy_setopt(easy, CURLOPT_USERAGENT, "tandem/" TANDEM_VERSION);
    curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                      (long)(q->connect_ms ? q->connect_ms : DEFAULT_CONNECT_MS));
    curl->easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, t->curl_words);
    curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_curl_body);
    curl->easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_curl_header);
    curl->easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl->easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_curl_socket);
    if (q->unix_socket)
        curl->easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, q->unix_socket);
    if (q->ca_file)
        curl->easy_setopt(easy, CURLOPT_CAINFO, q->ca_file);
    if (q->once)
        curl->easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    set_method(t);
}

/* ---- waiting ---- */

/* Milliseconds until a deadline `limit_ms` after `since_us`; 0 or less: it passed. */
static int64_t left_ms(int64_t since_us, int64_t limit_ms, int64_t now_us)
{
    return limit_ms - (now_us - since_us) / 1000;
}

static bool wanted_to_stop(struct transfer *t)
{
    const struct http_request *q = t->q;
    if ((q->cancel && atomic_load(q->cancel)) || (q->on_tick && !q->on_tick(q->ctx))) {
        give_up(t, ERR_CANCELLED, "the request to %s was stopped", t->where);
        return true;
    }
    return false;
}

/* How long the next wait may be; 0: stop, t->stop says why. */
static int64_t next_wait_ms(struct transfer *t)
{
    const struct http_request *q = t->q;
    char limit[32];
    if (wanted_to_stop(t))
        return 0;
    int64_t now = clock_steady_us(), wait = q->cancel || q->on_tick ? STEP_MS : LONGEST_WAIT_MS;
    if (q->total_ms) {
        int64_t left = left_ms(t->start_us, q->total_ms, now);
        if (left <= 0)
            return give_up(t, ERR_TIMEOUT, "%s did not finish its answer within %s", t->where,
                           seconds(q->total_ms, limit)), 0;
        wait = left < wait ? left : wait;
    }
    bool begun = t->result.first_byte_us >= 0;
    int64_t silence_ms = begun ? q->stall_ms : q->first_byte_ms;
    if (silence_ms) {
        int64_t left = left_ms(begun ? t->last_byte_us : t->start_us, silence_ms, now);
        if (left <= 0)
            return give_up(t, ERR_TIMEOUT, begun ? "%s stopped in the middle of its answer for %s"
                                                 : "%s did not begin to answer within %s",
                           t->where, seconds(silence_ms, limit)), 0;
        wait = left < wait ? left : wait;
    }
    return wait;
}

/* What libcurl's code means to our callers. */
static int translate(struct transfer *t, CURLcode code)
{
    const char *words = t->curl_words[0] ? t->curl_words : t->curl->easy_strerror(code);
    long os_errno = 0;
    char limit[32];
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_COULDNT_RESOLVE_HOST:
        return give_up(t, ERR_UNAVAILABLE, "%s cannot be reached: its name is unknown", t->where);
    case CURLE_COULDNT_CONNECT:
        t->curl->easy_getinfo(t->handle->easy, CURLINFO_OS_ERRNO, &os_errno);
        return give_up(t, ERR_UNAVAILABLE, "%s cannot be reached: %s", t->where,
                       os_errno ? strerrordesc_np((int)os_errno) : words);
    case CURLE_OPERATION_TIMEDOUT: /* the only time-out that is left to libcurl */
        return give_up(t, ERR_TIMEOUT, "%s cannot be reached: no connection within %s", t->where,
                       seconds(t->q->connect_ms ? t->q->connect_ms : DEFAULT_CONNECT_MS, limit));
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return give_up(t, ERR_REFUSED, "the certificate of %s is not trusted: %s; name your "
                       "company's CA file if it has one", t->where, words);
    case CURLE_SSL_CACERT_BADFILE:
        if (!t->q->ca_file)
            return give_up(t, ERR_INVALID, "this machine's trusted certificates cannot be read "
                           "(%s); install the package ca-certificates, or name your company's CA "
                           "file", words);
        return give_up(t, ERR_INVALID, "the CA file %s cannot be used: %s", t->q->ca_file, words);
    case CURLE_URL_MALFORMAT:
        return give_up(t, ERR_INVALID, "%s is not an address: %s", t->where, words);
    case CURLE_SSL_CONNECT_ERROR:
        return give_up(t, ERR_UNAVAILABLE, "%s cannot be reached by https: %s", t->where, words);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return give_up(t, ERR_FAILED, "%s does not speak HTTP", t->where);
    case CURLE_OUT_OF_MEMORY:
        out_of_memory();
    default:
        return give_up(t, ERR_FAILED, "the connection to %s broke: %s", t->where, words);
    }
}

/* The transfer's end as libcurl reports it; false: it goes on. */
static bool ended(struct transfer *t, CURLcode *ret)
{
    int left;
    CURLMsg *message;
    while ((message = t->curl->multi_info_read(t->handle->multi, &left))) {
        if (message->msg == CURLMSG_DONE) {
            *ret = message->data.result;
            return true;
        }
    }
    return false;
}

static int run(struct transfer *t)
{
    const struct libcurl *curl = t->curl;
    CURLM *multi = t->handle->multi;
    for (;;) { /* ends by a deadline, or with the transfer, which max_body bounds */
        int running;
        CURLcode code;
        CURLMcode trouble = curl->multi_perform(multi, &running);
        if (t->stop)
            return t->stop;
        if (trouble != CURLM_OK)
            return give_up(t, ERR_FAILED, "libcurl failed (%d)", (int)trouble);
        if (ended(t, &code))
            return t->enough ? 0 : translate(t, code);
        int64_t wait = next_wait_ms(t);
        if (t->stop)
            return t->stop;
        curl->multi_poll(multi, NULL, 0, (int)wait, NULL);
    }
}

static void read_result(struct transfer *t)
{
    t->result.status = status_of(t);
    t->result.total_us = clock_steady_us() - t->start_us;
    curl_off_t retry_after = 0;
    if (t->has_retry_after)
        t->curl->easy_getinfo(t->handle->easy, CURLINFO_RETRY_AFTER, &retry_after);
    t->result.retry_after_ms = t->has_retry_after ? retry_after * 1000 : -1;
}

int http_ask(const struct http_request *q, struct http_result *ret, struct str *body, struct err *e)
{
    struct err ignored;
    struct transfer t = { .q = q, .body = body, .err = e ? e : &ignored };
    int r = check_request(q, e);
    if (r < 0)
        return r;
    r = libcurl_load(&t.curl, e);
    if (r < 0)
        return r;
    if (body)
        str_clear(body);
    char address[280]; /* the origin or the socket: connections to it are used again */
    if (q->unix_socket)
        snprintf(address, sizeof address, "%s", q->unix_socket);
    else
        http_origin(q->url, address, sizeof address);
    snprintf(t.where, sizeof t.where, "%s", q->called ? q->called : address);
    t.result.first_byte_us = -1;
    t.start_us = clock_steady_us();
    t.handle = handle_take(t.curl, address);

    struct curl_slist *headers = request_headers(&t);
    set_up(&t, headers);
    if (t.curl->multi_add_handle(t.handle->multi, t.handle->easy) != CURLM_OK)
        out_of_memory();
    r = run(&t);
    if (r == 0) {
        read_result(&t);
        *ret = t.result;
    }
    t.curl->multi_remove_handle(t.handle->multi, t.handle->easy);
    handle_give_back(t.curl, t.handle);
    t.curl->slist_free_all(headers);
    return r;
}
