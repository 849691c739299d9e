/* cli/bar.h - a ticket's proof: one segment for each criterion.
 *
 * Open is thin, red half full, green full: the three differ without colours too.
 */
#ifndef TANDEM_CLI_BAR_H
#define TANDEM_CLI_BAR_H

#include <stdbool.h>
#include <stddef.h>

struct str;

enum bar_segment { BAR_OPEN, BAR_RED, BAR_GREEN }; /* red: witnessed; green: proven */

/* Columns that the bar of so many criteria takes. */
size_t bar_columns(size_t count);
/* Appends it; where there are too many for segments "12/40".  Returns its columns.  `inks`: those
 * of the terminal (term_inks), or of the stream that it goes through (output_inks). */
size_t bar_add(struct str *out, const enum bar_segment *segments, size_t count, const char *const *inks, bool unicode);

#endif
