/* set.h - texts, each once, in the order in which they came.
 *
 * For lists in which others are looked up: ids of tests, paths of a tree.  What was in a list
 * stays in its order, because prompts and documents are written from it.
 *
 *     struct set known = SET_IN(arena);
 *     set_add_all(&known, &before);
 *     if (!set_has(&known, id)) ...
 *     *ret = known.texts;
 *
 * A handful of texts needs no set: texts_has (record.h) is as good then.
 *
 * Threads: as its arena.
 */
#ifndef TANDEM_SET_H
#define TANDEM_SET_H

#include "base/arena.h"
#include "base/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct set {
    struct texts texts; /* to be read; it may be kept, and is in the arena like its texts */
    struct arena *arena;
    uint32_t *slots;    /* places in `texts`, from 1; 0: free */
    size_t slot_count;  /* a power of two, or 0 */
};
#define SET_IN(a) { .arena = (a) }

/* A set of what is in a list.  The list's texts are borrowed, not copied; its array is not. */
struct set set_of(struct arena *a, const struct texts *t);

bool set_has(const struct set *s, const char *text);
/* Copies the text into the arena.  false: it was there. */
bool set_add(struct set *s, const char *text);
void set_add_all(struct set *s, const struct texts *from);
/* Those of `from` that are not in `but`. */
void set_add_but(struct set *s, const struct texts *from, const struct texts *but);

#endif
