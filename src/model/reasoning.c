/* reasoning.c - the filter.  Every byte is looked at a bounded number of times, whatever
 * the pieces it comes in. */
#include "model/reasoning.h"

#include <ctype.h>
#include <string.h>

static const struct {
    const char *open, *close;
} tags[] = {
    { "<think>", "</think>" },
    { "<thinking>", "</thinking>" },
    { "<thought>", "</thought>" },
    { "<reasoning>", "</reasoning>" },
    { "[THINK]", "[/THINK]" },
};
enum { TAG_COUNT = sizeof tags / sizeof *tags, HIDDEN_PIECE = 256 };

void reasoning_init(struct reasoning *r, struct str *visible, struct str *hidden,
                    void (*on_text)(const char *, size_t, void *), void *ctx)
{
    *r = (struct reasoning){ .visible = visible, .hidden = hidden, .on_text = on_text, .ctx = ctx,
                             .held = STR_INIT };
}

void reasoning_release(struct reasoning *r)
{
    str_release(&r->held);
}

static void show(struct reasoning *r, const char *text, size_t len)
{
    if (r->on_text && (len || !text))
        r->on_text(text, len, r->ctx);
}

/* Follows the fences in visible[fence_at, end), where `end` is the beginning of a line. */
static void follow_fences(struct reasoning *r, size_t end)
{
    while (r->fence_at < end) {
        const char *line = r->visible->data + r->fence_at;
        const char *newline = memchr(line, '\n', end - r->fence_at);
        const char *p = line + strspn(line, " ");
        if (strncmp(p, "```", 3) == 0 || strncmp(p, "~~~", 3) == 0)
            r->in_fence = !r->in_fence;
        r->fence_at = newline ? (size_t)(newline + 1 - r->visible->data) : end;
    }
}

/* The closing tag without an opening one, in text that came after `from`; its offset or -1. */
static long find_orphan(struct reasoning *r, size_t from, size_t *ret_tag_len)
{
    static const char *const orphans[] = { "</think>", "[/THINK]" };
    for (size_t i = 0; i < 2; i++) {
        size_t tag_len = strlen(orphans[i]);
        size_t at = from > tag_len ? from - tag_len : 0;
        const char *p;
        while ((p = memmem(r->visible->data + at, r->visible->len - at, orphans[i], tag_len))) {
            at = (size_t)(p - r->visible->data);
            if (at == 0 || p[-1] == '\n') {
                follow_fences(r, at);
                if (!r->in_fence) {
                    *ret_tag_len = tag_len;
                    return (long)at;
                }
            }
            at++;
        }
    }
    return -1;
}

static void feed_visible(struct reasoning *r, const char *text, size_t len)
{
    size_t before = r->visible->len, tag_len = 0;
    str_add_bytes(r->visible, text, len);
    long at = r->had_reasoning ? -1 : find_orphan(r, before, &tag_len);
    if (at < 0) {
        show(r, text, len);
        return;
    }
    struct str rest = STR_INIT;
    str_add_bytes(&rest, r->visible->data + at + tag_len, r->visible->len - (size_t)at - tag_len);
    str_add_bytes(r->hidden, r->visible->data, (size_t)at);
    str_clear(r->visible);
    show(r, NULL, 0);
    r->had_reasoning = true;
    r->state = REASONING_START;
    reasoning_feed(r, rest.data, rest.len);
    str_release(&rest);
}

/* Text from within reasoning.  Returns how many bytes it took: a little at a time, since
 * what lies behind the closing tag is copied in vain. */
static size_t feed_hidden(struct reasoning *r, const char *text, size_t len)
{
    len = len < HIDDEN_PIECE ? len : HIDDEN_PIECE;
    size_t before = r->hidden->len, tag_len = strlen(r->close);
    str_add_bytes(r->hidden, text, len);
    size_t from = before > tag_len ? before - tag_len : 0;
    const char *p = memmem(r->hidden->data + from, r->hidden->len - from, r->close, tag_len);
    if (!p)
        return len;
    size_t at = (size_t)(p - r->hidden->data);
    str_truncate(r->hidden, at);
    r->state = REASONING_START;
    return at + tag_len - before;
}

/* Whether what is held opens reasoning (1), may still do so (0), or is text (-1). */
static int judge_held(struct reasoning *r)
{
    int verdict = -1;
    for (size_t i = 0; i < TAG_COUNT; i++) {
        size_t tag_len = strlen(tags[i].open);
        if (r->held.len > tag_len || memcmp(r->held.data, tags[i].open, r->held.len) != 0)
            continue;
        verdict = 0;
        if (r->held.len == tag_len) {
            r->close = tags[i].close;
            return 1;
        }
    }
    return verdict;
}

/* A byte at a time, because there are few.  Returns how many bytes the beginning took. */
static size_t feed_start(struct reasoning *r, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!r->held.len && isspace((unsigned char)text[i]))
            continue;
        str_add_char(&r->held, text[i]);
        int verdict = judge_held(r);
        if (verdict == 0)
            continue;
        if (verdict > 0) {
            r->state = REASONING_INSIDE;
            r->had_reasoning = true;
        } else {
            r->state = REASONING_VISIBLE;
            feed_visible(r, r->held.data, r->held.len);
        }
        str_clear(&r->held);
        return i + 1;
    }
    return len;
}

void reasoning_feed(struct reasoning *r, const char *text, size_t len)
{
    while (len) {
        size_t used = len;
        switch (r->state) {
        case REASONING_START: used = feed_start(r, text, len); break;
        case REASONING_INSIDE: used = feed_hidden(r, text, len); break;
        case REASONING_VISIBLE: feed_visible(r, text, len); break;
        }
        text += used;
        len -= used;
    }
}

void reasoning_end(struct reasoning *r)
{
    if (r->state != REASONING_START || !r->held.len)
        return;
    /* The beginning of a tag that never was one. */
    str_add_bytes(r->visible, r->held.data, r->held.len);
    show(r, r->held.data, r->held.len);
    str_clear(&r->held);
}
