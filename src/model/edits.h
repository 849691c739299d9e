/* model/edits.h - search/replace blocks: the contract by which an answer changes parts of a file.
 *
 *     <<<<<<< SEARCH
 *     lines as they are in the file
 *     =======
 *     lines as they are to be
 *     >>>>>>> REPLACE
 *
 * One such section is an edit; answer.h says how a file comes to its edits.  A marker begins
 * its line, has 5 to 9 signs, and blanks may follow; the words may be in any case, and the last
 * one left out.  The three markers of a section have equally many signs where the lines between
 * them could be taken for markers; where they could not, other numbers are understood as well.
 *
 * All functions take any bytes.  Threads: any.
 */
#ifndef TANDEM_EDITS_H
#define TANDEM_EDITS_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct err;

enum {
    EDITS_MAX = 200,                   /* for one file */
    EDITS_MAX_BYTES = 4 * 1024 * 1024, /* of a file, before and after */
    EDITS_MAX_REGION = 4000,           /* bytes shown of a file */
};

/* Lines with LF, each ended; either side may be empty. */
struct edit {
    const char *search, *replace;
    size_t search_len, replace_len;
};
struct edits {
    struct edit *items;
    size_t count, cap;
};

/* Whether a line (without its end) is a section's first. */
bool edits_begin(const char *line, size_t len);
/* The length of the section that `text` begins with, its last line included; 0: it has none
 * that is closed. */
size_t edits_section(const char *text, size_t len);

/* Adds the edits of a text of sections with at most blank lines around them.  ERR_INVALID with
 * a sentence for the model. */
int edits_read(struct arena *a, const char *text, size_t len, struct edits *to, struct err *e);

struct edited {
    const char *bytes; /* the whole file */
    size_t len;
    size_t inexact;    /* edits that fitted only where white space was left aside */
    const char *region; /* after ERR_INVALID, when all else is not set: the lines, numbered, that a
                         * search was probably meant for; "": none */
};

/* Applies edits to a file, in order, each to what the one before has left; line numbers in
 * errors count there.  `text` NULL: there is no such file.
 *
 * Where the lines of a search are is looked for in four ways, and the first that finds them
 * counts; it must find them at one place only:
 *  1. as they are;
 *  2. without white space at their ends;
 *  3. all indented by the same more or less, as is then what replaces them;
 *  4. with any white space for any other, blank lines left out; what replaces them gets the
 *     indentation that the file has where the search has its own.
 * Lines with which search and replacement begin or end alike stay as the file has them.  New
 * lines end as the file's do (CRLF), and it ends with or without a line end as before.  Its byte
 * order mark stays.  An empty search is for a file that does not exist or is empty.
 *
 * ERR_INVALID, with a sentence for the model: no place, several (their lines are named), the
 * file is not text, or too large.  A failed answer changes nothing.
 *
 * Time and memory are linear in the file, for each edit, and in the edits: lines are compared by
 * hash, with the algorithm of Knuth, Morris and Pratt ("Fast Pattern Matching in Strings",
 * 1977), and only a bounded number of hits byte for byte. */
int edits_apply(struct arena *a, const char *text, size_t len, const struct edits *edits, struct edited *ret,
                struct err *e);

#endif
