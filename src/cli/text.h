/* cli/text.h - text as a terminal shows it: columns, cropping, wrapping.
 *
 * Columns are those of wcwidth in UTF-8 (text_init), whatever the user's locale.
 * Characters that a terminal would obey rather than show (escapes, newlines, other
 * controls, bytes that are not UTF-8) count as one column and are written as '?', or as a
 * space where they are white space: text from models and programs goes through here.
 */
#ifndef TANDEM_CLI_TEXT_H
#define TANDEM_CLI_TEXT_H

#include <stddef.h>
#include <stdio.h>

struct str;

/* Once, before the others; sets LC_CTYPE of the process to C.UTF-8. */
void text_init(void);

/* Columns that `len` bytes take. */
size_t text_columns(const char *text, size_t len);

/* Appends at most `columns` columns of the text; when it is longer, the last of them is
 * `ellipsis` ("…" or "..."; "" for none).  Returns the columns written. */
size_t text_fit(struct str *out, const char *text, size_t len, size_t columns, const char *ellipsis);

/* As text_fit, but keeps the end ("…the last words"). */
size_t text_fit_tail(struct str *out, const char *text, size_t len, size_t columns, const char *ellipsis);

/* Paragraphs (command.h) wrapped to `width` columns behind `indent` spaces. */
void text_wrap(FILE *out, const char *text, size_t indent, size_t width);

/* One row of a list: `term` at `indent`, `doc` wrapped at column `at`, on the next line
 * when the term is too long. */
void text_row(FILE *out, const char *term, const char *doc, size_t indent, size_t at, size_t width);

#endif
