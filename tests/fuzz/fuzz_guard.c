/* fuzz_guard.c - heads of requests, as libmicrohttpd 0.9.75 leaves them in its memory.
 *
 * read_head does what that version does with the bytes: it ends lines at LF or CR LF, joins
 * folded ones, stops at an empty line, and writes NULs.  Whatever the guard accepts then has
 * to be, byte by byte, a head in which each line ends by CR LF and nothing is ambiguous; but
 * for NULs at the end of a line, which cannot be told from those that were written there. */
#include "base/str.h"
#include "http/guard.h"
#include "http/server.h"

#include <stdint.h>
#include <stdlib.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_HEADERS = 200 };

struct read {
    char *bytes; /* a NUL follows */
    size_t len, at;
    struct guard_header headers[MAX_HEADERS];
    struct guard_head head;
    char target[70000];
};

/* The next line, cut off in place; NULL: none ends. */
static char *take_line(struct read *r)
{
    char *line = r->bytes + r->at;
    for (size_t i = r->at; i < r->len; i++) {
        bool both = r->bytes[i] == '\r' && i + 1 < r->len && r->bytes[i + 1] == '\n';
        if (r->bytes[i] != '\n' && !both)
            continue;
        r->bytes[i] = '\0';
        if (both)
            r->bytes[++i] = '\0';
        r->at = i + 1;
        return line;
    }
    return NULL;
}

static bool read_request_line(struct read *r)
{
    char *line = take_line(r);
    char *blank = line ? strchr(line, ' ') : NULL, *last = line ? strrchr(line, ' ') : NULL;
    if (!blank || blank == last || strlen(blank + 1) >= sizeof r->target)
        return false;
    *blank = *last = '\0';
    r->head.method = line;
    r->head.version = last + 1;
    snprintf(r->target, sizeof r->target, "%s", blank + 1);
    r->head.target = r->target;
    return true;
}

static bool read_head(struct read *r)
{
    if (!read_request_line(r))
        return false;
    r->head.headers = r->headers;
    for (char *line = take_line(r); line; line = take_line(r)) {
        r->head.size = (size_t)(r->bytes + r->at - r->head.method);
        if (!*line)
            return true;
        char *colon = strchr(line, ':');
        if (r->head.header_count && (*line == ' ' || *line == '\t'))
            continue; /* joined to the one before, elsewhere in memory */
        if (!colon || r->head.header_count == MAX_HEADERS)
            return false;
        *colon++ = '\0';
        while (*colon == ' ' || *colon == '\t')
            colon++;
        r->headers[r->head.header_count++] = (struct guard_header){ line, colon, strlen(line), strlen(colon) };
        if (!*line)
            return true; /* an empty name is taken for an empty line */
    }
    return false;
}

/* Every line of `raw` ends by CR LF and begins with a name. */
static void check_raw(const char *raw, size_t len)
{
    size_t hosts = 0, lengths = 0, encodings = 0;
    for (size_t at = 0, line = 0; at < len; line++) {
        const char *end = memchr(raw + at, '\n', len - at);
        if (!end || end == raw + at || end[-1] != '\r')
            abort();
        size_t n = (size_t)(end - 1 - (raw + at));
        for (size_t i = 0; i < n; i++)
            if (((unsigned char)raw[at + i] < ' ' && raw[at + i] != '\t') || raw[at + i] == 0x7f)
                abort();
        if (line && n && (raw[at] == ' ' || raw[at] == '\t' || raw[at] == ':'))
            abort();
        hosts += n > 5 && strncasecmp(raw + at, "host:", 5) == 0;
        lengths += strncasecmp(raw + at, "content-length", 14) == 0;
        encodings += strncasecmp(raw + at, "transfer-encoding", 17) == 0;
        at += n + 2;
        if (line && !n && at != len)
            abort();
    }
    if (hosts > 1 || lengths + encodings > 1)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct read *r = calloc(1, sizeof *r);
    struct guard_verdict v = { 400, "", false, 0 };
    r->bytes = calloc(1, size + 1);
    memcpy(r->bytes, data, size);
    r->len = size;
    r->head.in_place = true;
    if (read_head(r))
        guard_check(&r->head, &limits, &v);
    bool hides_nul = memmem(data, size, "\0\n", 2) || memmem(data, size, "\n\0", 2);
    if (!v.status && !hides_nul)
        check_raw((const char *)data, r->head.size);
    free(r->bytes);
    free(r);
    return 0;
}
