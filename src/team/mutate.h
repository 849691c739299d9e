/* mutate.h - small faults put into production code, to see whether a test notices.
 *
 * Mutation analysis after DeMillo, Lipton and Sayward, "Hints on Test Data Selection"
 * (IEEE Computer, 1978), on the level of text: one operator, constant or truth value of one
 * line is changed.  Knows no language; a mutant that does not build proves nothing and is
 * passed over by the caller.
 */
#ifndef TANDEM_MUTATE_H
#define TANDEM_MUTATE_H

#include <stddef.h>
#include <stdint.h>

struct arena;

struct mutant {
    const char *bytes;
    size_t len;
    int64_t line;
    const char *what; /* "== -> !=" */
};

/* The nth mutant of a text, spread over its lines in a fixed order.  NULL: there are no more. */
const struct mutant *mutant_of(struct arena *a, const char *bytes, size_t len, size_t nth);

#endif
