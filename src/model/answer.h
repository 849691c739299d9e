/* model/answer.h - contracts: what a model's answer must look like.
 *
 * Two kinds: whole files (a path line and a fenced block each) and flat JSON checked
 * against a record.  A violation is told in one sentence that can be shown to the model.
 */
#ifndef TANDEM_ANSWER_H
#define TANDEM_ANSWER_H

#include "base/record.h"

#include <stddef.h>

struct arena;
struct err;

struct answer_file {
    const char *path;  /* relative, checked for shape (no "..", not absolute); not yet against the tree */
    const char *bytes; /* LF line ends, a final newline */
    size_t len;
    bool deleted;      /* the answer says DELETE */
};
struct answer_files {
    struct answer_file *files;
    size_t count;
    const char *notes; /* the prose around the blocks */
};

/* Reads "path" lines each followed by a fenced block:
 *
 *     ### src/units.py
 *     ```python
 *     ...
 *     ```
 *
 * A fence may be longer than three; a block ends at a fence at least as long.  Tolerated:
 * bold or back-quoted paths, "File: path", CRLF, a missing last fence when the answer was
 * not cut.  ERR_INVALID: no file, a path twice, binary, an unsafe path, more than 64 files. */
int answer_read_files(struct arena *a, const char *text, size_t len, struct answer_files *ret, struct err *e);

/* Finds the JSON value in an answer (bare, fenced, or with prose around it) and reads it
 * by `r` into *ret.  The error is the validator's sentence. */
int answer_read_json(struct arena *a, const char *text, size_t len, const struct record *r, void *ret, struct err *e);

/* Offset where `text` begins to repeat itself endlessly, or -1. */
long answer_repetition(const char *text, size_t len);

#endif
