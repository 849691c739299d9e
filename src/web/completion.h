/* web/completion.h - a whole completion, put together from the chunks of a stream.
 *
 * Models are always asked to stream, so that a caller who leaves is noticed by them at once;
 * a program that did not ask for a stream gets what it would have got.
 *
 * Threads: belongs to one.
 */
#ifndef TANDEM_WEB_COMPLETION_H
#define TANDEM_WEB_COMPLETION_H

#include <jansson.h>
#include <stddef.h>

/* Starts with { 0 }. */
struct completion {
    json_t *value; /* an object; NULL before the first chunk */
    struct growing_text *texts; /* not in it yet */
    size_t text_count, text_cap, last_text;
};

/* Takes one chunk ("chat.completion.chunk" or "text_completion").  Texts of a choice's delta are
 * joined, tool calls by their index, lists (log probabilities) appended; anything else is as the
 * last chunk has it.  At most 64 choices, 256 tool calls of each and 1,024 texts; others
 * are left out. */
void completion_add(struct completion *c, const json_t *chunk);
/* Hands the completion over, its object and choices as those of an answer in one piece; NULL when
 * there was no chunk. */
json_t *completion_take(struct completion *c);
void completion_release(struct completion *c);

#endif
