/* web/completion.h - a whole completion, put together from the chunks of a stream.
 *
 * Models are always asked to stream, so that a caller who leaves is noticed by them at once;
 * a program that did not ask for a stream gets what it would have got.  Chunks are joined as the text
 * that they are: to make values of each would take ten times as long as to find where the piece of text
 * in it begins and ends.
 *
 * Threads: belongs to one.
 */
#ifndef TANDEM_WEB_COMPLETION_H
#define TANDEM_WEB_COMPLETION_H

#include "base/arena.h"

#include <stdbool.h>

struct err;
struct str;

/* Starts with COMPLETION_INIT. */
struct completion {
    struct arena arena;
    struct completion_node *root; /* NULL before the first chunk */
    struct completion_node *all;  /* for their release */
    size_t count;
};
#define COMPLETION_INIT { .arena = ARENA_INIT }

/* Takes one chunk ("chat.completion.chunk" or "text_completion"), an object.  Texts of a choice's delta
 * are joined, tool calls by their index, lists (log probabilities) appended; anything else is as the
 * last chunk has it.  At most 64 choices, 256 tool calls of each, 64 members of an object and 4,096 of
 * them together; others are left out.  ERR_INVALID: it is not an object in JSON. */
int completion_add(struct completion *c, const char *chunk, size_t len, struct err *e);
/* Writes the completion, its object and choices as those of an answer in one piece, and forgets it;
 * false when there was no chunk. */
bool completion_take(struct completion *c, struct str *out);
void completion_release(struct completion *c);

#endif
