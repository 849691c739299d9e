/* http/guard.h - which heads of requests are refused, whatever they ask for.
 *
 * The threat is request smuggling: two programs (a proxy and we) that read one stream of bytes
 * differently, so that the body of one client's request becomes the request of another.  So
 * whatever can be read in two ways is refused, and the connection is closed.
 * Sources: RFC 9112, sections 2.2, 3, 5 and 6, where each "MAY" is taken strictly.
 *
 * Threads: pure functions.
 */
#ifndef TANDEM_HTTP_GUARD_H
#define TANDEM_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_limits;

struct guard_header {
    const char *name, *value;
    size_t name_len, value_len;
};

struct guard_head {
    const char *method, *version, *target; /* as sent */
    const struct guard_header *headers;
    size_t header_count;
    size_t size; /* bytes of the head as received */
    /* `method`, `version`, names and values lie where those bytes were received, beginning at
     * `method`, and each byte between them that was looked at has become NUL. */
    bool in_place;
};

struct guard_verdict {
    int status; /* 0: well-formed; else 400, 414, 431, 501 or 505 */
    const char *why;
    bool chunked;          /* a body in chunks follows */
    uint64_t content_length; /* 0: none or empty */
};

void guard_check(const struct guard_head *h, const struct http_limits *limits, struct guard_verdict *ret);

#endif
