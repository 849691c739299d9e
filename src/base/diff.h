/* diff.h - what changed between two texts, line by line.
 *
 * The algorithm is Myers, "An O(ND) Difference Algorithm and Its Variations" (1986), greedy
 * form; beyond DIFF_MAX_EDITS edits the differing middle is shown as replaced whole, which
 * bounds time and memory (4 MiB).
 *
 * Threads: any.
 */
#ifndef TANDEM_DIFF_H
#define TANDEM_DIFF_H

#include <stddef.h>

struct str;

enum { DIFF_MAX_EDITS = 1000 };

/* Appends a unified diff with three lines of context; nothing when the texts are equal. */
void diff_unified(struct str *out, const char *old_label, const char *old_text, size_t old_len,
                  const char *new_label, const char *new_text, size_t new_len);

#endif
