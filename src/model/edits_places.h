/* model/edits_places.h - where in a file the lines of a search are.
 *
 * For edits_apply.c.
 */
#ifndef TANDEM_MODEL_EDITS_PLACES_H
#define TANDEM_MODEL_EDITS_PLACES_H

#include "model/edits_lines.h"

enum { PLACES_NAMED = 5 };

/* What the indentation of all lines has more in the file than in the search (`added`), or less
 * (`taken`), in front. */
struct shift {
    bool known;
    struct piece added, taken;
};

/* The lines of a search that count. */
struct pattern {
    enum likeness how;
    const struct line **lines;
    size_t count;
    size_t *map;        /* `map[i]`: the file's line for line i, from 0; they ascend */
    struct shift shift; /* for LIKE_INDENT */
};
struct places {
    size_t at[PLACES_NAMED + 1]; /* the first line of each, from 0; more are not looked for */
    size_t count;
    struct pattern pattern;      /* mapped to the first place */
};

/* Blank lines do not where only words do. */
bool line_counts(const struct line *l, enum likeness how);

/* `search` has a line that is not blank. */
struct places find_places(struct arena *a, const struct lines *file, const struct lines *search, enum likeness how);

#endif
