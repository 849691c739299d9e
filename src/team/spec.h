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

enum { SPEC_MAX_BYTES = 1024 * 1024, SPEC_MAX_CLAUSES = 2000 };

struct clause {
    const char *section; /* the nearest heading, "" for none */
    const char *text;    /* as written, without the list marker */
};
struct clauses {
    struct clause *items; /* clause n is items[n - 1] */
    size_t count;
};

/* What people, editors and models give as a specification becomes its text: lines end with LF
 * (not CR LF or CR), no byte order mark.  The other functions expect such a text.  ERR_INVALID
 * for what cannot be one: empty, not UTF-8 (names the line), binary, without a single clause;
 * ERR_LIMIT when it is too large. */
int spec_read(struct arena *a, const char *bytes, size_t len, const char **ret, struct err *e);
int spec_clauses(struct arena *a, const char *text, struct clauses *ret, struct err *e);
/* The text with "[n] " before each clause, as the prompts show it.  A numbered list's own
 * numbers are left out, so that there is one number to name a clause by. */
const char *spec_numbered(struct arena *a, const char *text);
/* The text of the first heading, or the first words; never empty. */
const char *spec_title(struct arena *a, const char *text);

#endif
