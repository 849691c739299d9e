/* model/edits_lines.h - the lines of a file that is edited, in four degrees of exactness.
 *
 * For the files of edits.h.  Lines point into the text they were made from.
 */
#ifndef TANDEM_MODEL_EDITS_LINES_H
#define TANDEM_MODEL_EDITS_LINES_H

#include "model/answer_line.h"

#include <stdint.h>

struct arena;

/* How two lines are alike; each way sees fewer differences than the one before. */
enum likeness {
    LIKE_EXACT,  /* byte for byte */
    LIKE_END,    /* but for white space at the end */
    LIKE_INDENT, /* but for white space at both ends */
    LIKE_WORDS,  /* but for how much and which white space there is, where there is any */
    LIKE_COUNT
};

struct line {
    const char *text;
    uint32_t len;
    uint8_t end_len; /* "\n", "\r\n", or nothing: behind the text */
    bool blank;
    uint32_t key[LIKE_COUNT]; /* equal for lines that are alike, seldom for others */
};
struct lines {
    struct line *items;
    size_t count, cap;
};

struct line line_of(const char *text, size_t len, size_t end_len);
struct lines lines_split(struct arena *a, const char *text, size_t len);

/* Whether they are alike but for their ends. */
bool line_same(const struct line *a, const struct line *b, enum likeness how);
/* The text; the white space before its first word. */
struct piece line_text(const struct line *l);
struct piece line_indent(const struct line *l);

/* The lines of the file for which a search was probably meant, numbered, at most
 * EDITS_MAX_REGION bytes of UTF-8; "" when there are none like it. */
const char *lines_nearest(struct arena *a, const struct lines *file, const struct lines *search);

#endif
