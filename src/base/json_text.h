/* json_text.h - the members of an object in its text, found without making values of them.
 *
 * For bodies that are passed on: of 100 KB of conversation only a few short members are of
 * interest, and the rest may stay the bytes that it is.  Finding takes a tenth of parsing.
 * What is accepted is JSON (RFC 8259) in well-formed UTF-8; escapes are checked, not undone.
 *
 * Threads: pure functions; results point into the text.
 */
#ifndef TANDEM_JSON_TEXT_H
#define TANDEM_JSON_TEXT_H

#include <stddef.h>

struct arena;
struct err;

struct json_span {
    const char *key; /* as written, between its quotes; NULL: an element of an array */
    size_t key_len;
    const char *text; /* of the value */
    size_t len;
};

/* Members of the one object that the text is, in its order, also those that come twice.
 * ERR_INVALID: it is none, or not well-formed; says at which byte. */
int json_text_members(struct arena *a, const char *text, size_t len, struct json_span **ret, size_t *ret_count, struct err *e);
/* The same of an array. */
int json_text_elements(struct arena *a, const char *text, size_t len, struct json_span **ret, size_t *ret_count, struct err *e);

#endif
