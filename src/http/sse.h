/* http/sse.h - reading a stream of server-sent events.
 *
 * Source: WHATWG HTML, section 9.2 (server-sent events).  Lines end by LF, CRLF or CR;
 * comments and unknown fields are skipped; `data` lines of an event are joined by LF.
 * Bytes may come in pieces of any size.
 *
 * Threads: a reader belongs to one thread.
 */
#ifndef TANDEM_HTTP_SSE_H
#define TANDEM_HTTP_SSE_H

#include "base/str.h"

struct sse_event {
    const char *type; /* "message" when the stream names none */
    const char *id;   /* the last one seen; "" before the first */
    const char *data; /* valid during the call */
    size_t len;
};

struct sse_reader {
    /* Called for each event that has data; false ends the reading. */
    bool (*on_event)(const struct sse_event *event, void *ctx);
    void *ctx;
    size_t max_event; /* bytes of a line and of an event's data */
    struct str line, data, type, id;
    bool has_data, after_cr, after_first_line;
};

void sse_init(struct sse_reader *r, size_t max_event,
              bool (*on_event)(const struct sse_event *event, void *ctx), void *ctx);
void sse_release(struct sse_reader *r);

enum sse_state { SSE_MORE, SSE_STOPPED, SSE_TOO_LARGE };
enum sse_state sse_feed(struct sse_reader *r, const char *bytes, size_t len);
/* The stream ended: an event whose lines are whole but that no blank line closed is given
 * too (the standard drops it; servers forget the blank line). */
enum sse_state sse_end(struct sse_reader *r);

#endif
