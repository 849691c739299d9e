/* suggest.h - "did you mean ...?" for a mistyped name. */
#ifndef TANDEM_SUGGEST_H
#define TANDEM_SUGGEST_H

#include <stddef.h>

/* How many letters must be added, dropped, changed or swapped with their neighbour to
 * make one word of the other (optimal string alignment; Damerau 1964).  Only the first
 * 63 bytes count. */
size_t suggest_distance(const char *a, const char *b);

/* The nearest candidate so far.  Start with { 0 }. */
struct suggestion {
    const char *name; /* NULL: none is near enough */
    size_t distance;
};

/* Takes `candidate` when it is near enough to `word` (a third of its letters, or it
 * begins with the word) and nearer than the one before. */
void suggestion_try(struct suggestion *s, const char *word, const char *candidate);

#endif
