/* utf8.h - what one needs to know about UTF-8 to cut and check text. */
#ifndef TANDEM_UTF8_H
#define TANDEM_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the `len` bytes are well-formed UTF-8 (RFC 3629: no surrogates, no
 * overlong forms, nothing above U+10FFFF).  *ret_bad_at (may be NULL) gets the
 * offset of the first bad byte. */
bool utf8_valid(const char *text, size_t len, size_t *ret_bad_at);

/* The character at `text` and the length of it; 0 when there is no well-formed one. */
size_t utf8_decode(const char *text, size_t len, uint32_t *ret);

/* The largest n <= len at which `text` can be cut without splitting a character
 * that is whole in text[0..len). */
size_t utf8_floor(const char *text, size_t len);

/* The end of `text` in at most `max` bytes, beginning with a whole character, and with a whole
 * line where its first line ends within that. */
const char *utf8_tail(const char *text, size_t len, size_t max);

/* Copies `len` bytes to `out` (room for 3 * len), each bad byte becoming U+FFFD.
 * Returns the length written. */
size_t utf8_repair(char *out, const char *text, size_t len);

#endif
