/* model/reasoning.h - telling an answer from the thinking before it, while it streams.
 *
 * Reasoning models put their thoughts between tags (<think>...</think> and its kin) unless
 * the server moves them to a field of their own.  The rules:
 *  - An opening tag counts only at the very beginning, or right after another block of
 *    reasoning; later ones are the answer's own text (code may well contain "<think>").
 *  - Chat templates may have opened the tag in the prompt.  Then only </think> comes: on a
 *    line of its own start, outside fenced blocks, once, it makes all before it reasoning.
 *  - A tag that is never closed makes everything reasoning.
 *  - White space at the beginning of the visible text is dropped.
 *
 * Threads: belongs to one.
 */
#ifndef TANDEM_MODEL_REASONING_H
#define TANDEM_MODEL_REASONING_H

#include "base/str.h"

enum reasoning_state { REASONING_START, REASONING_INSIDE, REASONING_VISIBLE };

struct reasoning {
    struct str *visible, *hidden; /* the caller's */
    /* New visible text; (NULL, 0): what was shown turned out to be reasoning.  May be NULL. */
    void (*on_text)(const char *text, size_t len, void *ctx);
    void *ctx;
    enum reasoning_state state;
    struct str held;   /* START: what may become a tag */
    const char *close; /* INSIDE: the tag that ends it */
    bool had_reasoning;
    size_t fence_at; /* VISIBLE: beginning of the first line not yet looked at for fences */
    bool in_fence;
};

void reasoning_init(struct reasoning *r, struct str *visible, struct str *hidden,
                    void (*on_text)(const char *, size_t, void *), void *ctx);
void reasoning_release(struct reasoning *r);
void reasoning_feed(struct reasoning *r, const char *text, size_t len);
/* No more text comes. */
void reasoning_end(struct reasoning *r);

#endif
