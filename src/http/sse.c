/* sse.c - a line at a time: a line is only looked at when it is whole, so it does not
 * matter how the network cut it. */
#include "http/sse.h"

#include <string.h>

void sse_init(struct sse_reader *r, size_t max_event,
              bool (*on_event)(const struct sse_event *event, void *ctx), void *ctx)
{
    *r = (struct sse_reader){ .on_event = on_event, .ctx = ctx, .max_event = max_event,
                              .line = STR_INIT, .data = STR_INIT, .type = STR_INIT, .id = STR_INIT };
}

void sse_release(struct sse_reader *r)
{
    str_release(&r->line);
    str_release(&r->data);
    str_release(&r->type);
    str_release(&r->id);
}

static enum sse_state dispatch(struct sse_reader *r)
{
    bool more = true;
    if (r->has_data) {
        struct sse_event event = { .type = r->type.len ? r->type.data : "message", .id = r->id.data,
                                   .data = r->data.data, .len = r->data.len };
        more = r->on_event(&event, r->ctx);
    }
    str_clear(&r->data);
    str_clear(&r->type);
    r->has_data = false;
    return more ? SSE_MORE : SSE_STOPPED;
}

static enum sse_state take_field(struct sse_reader *r, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    size_t name_len = colon ? (size_t)(colon - line) : len;
    const char *value = colon ? colon + 1 : line + len;
    size_t value_len = (size_t)(line + len - value);
    if (value_len && *value == ' ')
        value++, value_len--;
    if (name_len == 4 && memcmp(line, "data", 4) == 0) {
        if (r->data.len + value_len + 1 > r->max_event)
            return SSE_TOO_LARGE;
        if (r->has_data)
            str_add_char(&r->data, '\n');
        str_add_bytes(&r->data, value, value_len);
        r->has_data = true;
    } else if (name_len == 5 && memcmp(line, "event", 5) == 0) {
        str_clear(&r->type);
        str_add_bytes(&r->type, value, value_len);
    } else if (name_len == 2 && memcmp(line, "id", 2) == 0 && !memchr(value, '\0', value_len)) {
        str_clear(&r->id);
        str_add_bytes(&r->id, value, value_len);
    }
    return SSE_MORE;
}

static enum sse_state take_line(struct sse_reader *r)
{
    const char *line = r->line.data;
    size_t len = r->line.len;
    if (!r->after_first_line && len >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0)
        line += 3, len -= 3;
    r->after_first_line = true;
    enum sse_state state = len == 0       ? dispatch(r)
                           : *line == ':' ? SSE_MORE
                                          : take_field(r, line, len);
    str_clear(&r->line);
    return state;
}

enum sse_state sse_feed(struct sse_reader *r, const char *bytes, size_t len)
{
    const char *end = bytes + len;
    while (bytes < end) {
        if (r->after_cr && *bytes == '\n') {
            r->after_cr = false;
            bytes++;
            continue;
        }
        r->after_cr = false;
        const char *p = bytes;
        while (p < end && *p != '\n' && *p != '\r')
            p++;
        if (r->line.len + (size_t)(p - bytes) > r->max_event)
            return SSE_TOO_LARGE;
        str_add_bytes(&r->line, bytes, (size_t)(p - bytes));
        if (p == end)
            break;
        r->after_cr = *p == '\r';
        bytes = p + 1;
        enum sse_state state = take_line(r);
        if (state != SSE_MORE)
            return state;
    }
    return SSE_MORE;
}

enum sse_state sse_end(struct sse_reader *r)
{
    return dispatch(r);
}
