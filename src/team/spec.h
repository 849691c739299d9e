/* spec.h - a specification's text and its clauses.
 *
 * A clause is an addressable paragraph: each list item (with what is indented below it),
 * each paragraph and each table row's block counts, in order, from 1.  Headings and fenced
 * blocks are not clauses of their own; a fenced block belongs to the clause before it.
 */
#ifndef TANDEM_SPEC_H
#define TANDEM_SPEC_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

enum { SPEC_MAX_BYTES = 256 * 1024, SPEC_MAX_CLAUSES = 2000 };

struct clause {
    const char *section; /* the nearest heading, "" for none */
    const char *text;    /* as written, without the list marker */
};
struct clauses {
    struct clause *items; /* clause n is items[n - 1] */
    size_t count;
};

/* Refuses with ERR_INVALID what cannot be a specification: empty, not UTF-8 (names the
 * line), binary, too large, without a single clause. */
int spec_check(const char *text, size_t len, struct err *e);
int spec_clauses(struct arena *a, const char *text, struct clauses *ret, struct err *e);
/* The text with "[n] " before each clause, as the prompts show it. */
const char *spec_numbered(struct arena *a, const char *text);
/* The next word of *text that says something about what is wanted (at least four letters and
 * not one of the common ones), moving *text behind it; NULL at the end. */
const char *next_telling_word(struct arena *a, const char **text);
/* A short name for an idea: its first three telling words. */
const char *idea_name(struct arena *a, const char *idea);
/* The text of the first heading, or the first words; never empty. */
const char *spec_title(struct arena *a, const char *text);

#endif
