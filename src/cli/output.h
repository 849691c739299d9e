/* cli/output.h - a stream to a terminal on which texts of models and programs are safe.
 *
 * What is printed about a project holds words of models, test output and file names.  On a
 * terminal they must neither be obeyed (escapes, carriage returns, what turns the direction
 * of text) nor be cut in the middle of a word.  All that a command prints for people goes
 * through one such stream, so that no command has to think of it.
 */
#ifndef TANDEM_CLI_OUTPUT_H
#define TANDEM_CLI_OUTPUT_H

#include "cli/term.h"

#include <stdio.h>

/* `plain` itself where it is no terminal: what goes into a file or a pipe stays byte for
 * byte.  Otherwise a stream of its own to the same descriptor that shows other controls than
 * newlines and tabs as '?', colours too unless they are ours (output_inks), and breaks lines between words, the rest behind the
 * column where the line's text began ("- " and "12  " stand out).  Needs text_init. */
FILE *output_open(FILE *plain);

/* The same, to any descriptor, `width` columns wide. */
FILE *output_open_fd(int fd, size_t width);

/* Writes out what is left and ends the stream, unless it is `plain`. */
void output_close(FILE *out, FILE *plain);

/* Rows of cells, each column as wide as its widest; at most 16 columns. */
void output_table(FILE *out, const char *const *cells, size_t columns, size_t rows);

/* The inks (by enum ink) to be written to `out`.  A stream of ours is given marks that nobody can
 * guess in place of the terminal's sequences, which a model may have written as well: they would
 * paint a failed test green or hide words. */
const char *const *output_inks(FILE *out, bool colors);

#endif
