/* usage.h - how much a directory holds, counted while others write; inside src/os only. */
#ifndef TANDEM_USAGE_H
#define TANDEM_USAGE_H

#include <stdint.h>

enum { USAGE_ENTRY_BYTES = 4096, USAGE_DEPTH = 100 };

/* Adds the bytes allocated below `dir_fd` to *total, at least USAGE_ENTRY_BYTES an entry, and
 * stops once it is above `enough`.  Deeper than USAGE_DEPTH counts as above.  What cannot be
 * read is left out. */
void usage_add(int dir_fd, int64_t enough, int64_t *total);

#endif
