/* guard.c - one look at a whole head, before anything acts on it.
 *
 * libmicrohttpd 0.9.75 takes, also when it is told to be strict, Content-Length beside
 * Transfer-Encoding, several of each, two Hosts and a blank before the colon; all of that can
 * be seen in the headers it gives.  What it does not show is how lines ended: a bare LF ends
 * one too, a line that begins with a blank is silently joined to the one before, a NUL cuts a
 * value off, and a line that begins with NUL or a colon ends the whole head, so that the next
 * line of the same head is read as a request.  But it parses in place: each byte it passed
 * over has become NUL and names and values point into what was received.  So all bytes of a
 * well-formed head can be accounted for, and where the sum is wrong, the head is refused.
 * (A proxy of our own in front, that sees the bytes first, would be a second parser and a
 * second copy of everything, for the same verdicts.)  What stays unseen is a NUL that was
 * sent just there, beside a bare LF, in place of a CR.  To be led astray by that, somebody
 * before us would have to pass on NULs in headers; all that we know of refuse them.
 *
 * Bodies in chunks are read as loosely by that version, and there nothing can be seen.  So a
 * connection is closed after such a request: bytes that others might take for a request are
 * never read (exchange.c does that).
 */
#include "http/guard.h"

#include "base/str.h"
#include "base/utf8.h"
#include "http/server.h"

#include <strings.h>

static bool is_token(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        bool letter = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && (!c || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return len > 0;
}

/* Text without control characters but tabs. */
static bool is_value(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f)
            return false;
    return utf8_valid(s, len, NULL);
}

/* Visible ASCII, as a target has it before it is decoded. */
static bool is_target(const char *s)
{
    while (*s > ' ' && *s < 0x7f)
        s++;
    return !*s;
}

static bool is_host(const char *s, size_t len)
{
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
        len--;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] <= ' ' || strchr("\"/\\<>?#@,;`{}|^", s[i]))
            return false;
    return true;
}

static bool is_named(const struct guard_header *h, const char *name)
{
    return h->name_len == strlen(name) && strncasecmp(h->name, name, h->name_len) == 0;
}

/* ---- every byte accounted for ---- */

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

/* Behind the line end at `p`; NULL: there is not exactly one. */
static const char *skip_line_end(const char *p)
{
    return p[0] == '\0' && p[1] == '\0' ? p + 2 : NULL;
}

static bool accounts_for_all(const struct guard_head *h)
{
    const char *p = h->method + strlen(h->method) + 1 + strlen(h->target) + 1;
    const char *end = h->method + h->size;
    if (p != h->version || p + strlen(p) + 2 > end)
        return false;
    p = skip_line_end(p + strlen(p));
    for (size_t i = 0; i < h->header_count; i++) {
        const struct guard_header *f = &h->headers[i];
        /* Of what the library stripped it left nothing but blanks. */
        if (!p || p != f->name || p + f->name_len + 1 > end)
            return false;
        p = skip_blanks(p + f->name_len + 1);
        if (p != f->value || p + f->value_len + 2 > end)
            return false;
        p = skip_line_end(p + f->value_len);
    }
    return p && p + 2 == end && skip_line_end(p);
}

/* ---- what the headers say ---- */

static const char *take_length(const struct guard_header *f, struct guard_verdict *v)
{
    if (f->value_len == 0 || f->value_len > 18)
        return "Content-Length is not a number of bytes";
    for (size_t i = 0; i < f->value_len; i++) {
        if (f->value[i] < '0' || f->value[i] > '9')
            return "Content-Length is not a number of bytes";
        v->content_length = v->content_length * 10 + (uint64_t)(f->value[i] - '0');
    }
    return NULL;
}

static void refuse(struct guard_verdict *v, int status, const char *why)
{
    if (!v->status) {
        v->status = status;
        v->why = why;
    }
}

static void check_headers(const struct guard_head *h, struct guard_verdict *v)
{
    size_t hosts = 0, lengths = 0, encodings = 0, logins = 0;
    for (size_t i = 0; i < h->header_count; i++) {
        const struct guard_header *f = &h->headers[i];
        if (!is_token(f->name, f->name_len))
            refuse(v, 400, "the name of a header has a character that is not allowed there");
        if (!is_value(f->value, f->value_len))
            refuse(v, 400, "the value of a header has a control character or is not UTF-8");
        if (is_named(f, "Host")) {
            hosts++;
            if (!is_host(f->value, f->value_len))
                refuse(v, 400, "Host is not the name of a host");
        } else if (is_named(f, "Authorization")) {
            if (logins++)
                refuse(v, 400, "more than one Authorization");
        } else if (is_named(f, "Content-Length")) {
            const char *why = lengths++ ? "more than one Content-Length" : take_length(f, v);
            if (why)
                refuse(v, 400, why);
        } else if (is_named(f, "Transfer-Encoding")) {
            encodings++;
            v->chunked = true;
            if (f->value_len != 7 || strncasecmp(f->value, "chunked", 7) != 0)
                refuse(v, 501, "the only Transfer-Encoding known here is chunked");
        }
    }
    bool old = streq(h->version, "HTTP/1.0");
    if (encodings > 1)
        refuse(v, 400, "more than one Transfer-Encoding");
    if (encodings && lengths)
        refuse(v, 400, "Content-Length beside Transfer-Encoding");
    if (encodings && old)
        refuse(v, 400, "Transfer-Encoding in HTTP/1.0");
    if (hosts > 1 || (!hosts && !old))
        refuse(v, 400, hosts ? "more than one Host" : "no Host");
}

void guard_check(const struct guard_head *h, const struct http_limits *limits, struct guard_verdict *ret)
{
    *ret = (struct guard_verdict){ 0 };
    size_t line = strlen(h->method) + strlen(h->target) + strlen(h->version) + 2;
    if (!streq(h->version, "HTTP/1.1") && !streq(h->version, "HTTP/1.0"))
        refuse(ret, strncmp(h->version, "HTTP/", 5) == 0 ? 505 : 400, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    if (line > limits->request_line)
        refuse(ret, 414, "the request line is too long");
    if (h->size > limits->head || h->header_count > limits->headers)
        refuse(ret, 431, "too many headers, or too long ones");
    if (!is_token(h->method, strlen(h->method)))
        refuse(ret, 400, "the method is not a word");
    if (!is_target(h->target))
        refuse(ret, 400, "the path has a blank or another byte that must be encoded");
    if (h->in_place && !accounts_for_all(h))
        refuse(ret, 400, "a line that does not end by CR LF, a folded header, or a NUL");
    check_headers(h, ret);
}
