/* http/client.h - HTTP requests, over libcurl.
 *
 * libcurl is loaded when the first request is made: it brings some thirty shared libraries,
 * which commands that ask no model should not pay for.
 *
 * Only http and https.  Redirects are not followed (a status 3xx is a result), so that a
 * request never goes to another host than the one named.  Proxies named by the environment
 * are not used: models are local.  Connections are kept open and used again.
 *
 * Threads: any number of requests from any threads.
 */
#ifndef TANDEM_HTTP_CLIENT_H
#define TANDEM_HTTP_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct str;

struct http_request {
    const char *method;         /* "GET", "POST" */
    const char *url;            /* http, https; or http://localhost/... with unix_socket */
    const char *unix_socket;    /* NULL: TCP */
    const char *called;         /* the server in sentences; NULL: its address */
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    const void *body;
    size_t body_len;
    const char *bearer;         /* API key, never logged; NULL: none */
    bool once;                  /* never sent a second time, as is done by itself when a kept connection turns out broken */
    const char *ca_file;        /* a company's CA; NULL: the system's */
    int64_t connect_ms;         /* 0: 5 s */
    int64_t first_byte_ms;      /* of the body, from the start of the request; 0: none */
    int64_t stall_ms;           /* silence within the body; 0: none */
    int64_t total_ms;           /* 0: none */
    size_t max_body;            /* ERR_LIMIT beyond; 0: 16 MiB */
    const atomic_bool *cancel;  /* polled at least every 20 ms; ERR_CANCELLED */
    /* Body as it comes, for 2xx answers; false ends the request with ERR_CANCELLED.
     * NULL: the body is collected in the result. */
    bool (*on_body)(const char *bytes, size_t len, void *ctx);
    /* Called at least every 20 ms while waiting, for deadlines that depend on what the body
     * says; false ends the request with ERR_CANCELLED.  May be NULL. */
    bool (*on_tick)(void *ctx);
    void *ctx;
};

struct http_result {
    int status;
    char content_type[128]; /* "": not given */
    char location[256];     /* where a 3xx answer points; "": nowhere */
    int64_t retry_after_ms; /* -1: not given */
    int64_t first_byte_us;  /* -1: the answer has no body */
    int64_t total_us;
};

/* Any status is a result; errors are ERR_UNAVAILABLE (no connection; the text says which
 * address and why), ERR_TIMEOUT (which of the four), ERR_LIMIT, ERR_CANCELLED, ERR_FAILED
 * (the connection broke, or what came is not HTTP), ERR_REFUSED (the server's certificate is
 * not trusted), ERR_INVALID (the request cannot be made: URL, header, CA file).  `body`
 * (emptied first; may be NULL) gets what on_body does not take, including the body of an
 * error answer (at most 64 KiB of that). */
int http_ask(const struct http_request *q, struct http_result *ret, struct str *body, struct err *e);

/* "http://host:port" of a URL: without user, password, path and query, so that it can be
 * shown.  Writes at most `size` bytes with the NUL. */
void http_origin(const char *url, char *out, size_t size);
/* Whether a user name or password is in it. */
bool http_has_login(const char *url);

#endif
