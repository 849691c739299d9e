/* model/answer.h - contracts: what a model's answer must look like.
 *
 * Two kinds: files (a path line and a fenced block each, with the whole file or with edits of
 * it) and flat JSON checked against a record.  A violation is told in one sentence that can be
 * shown to the model.
 *
 * All functions here take any bytes, in time linear in their number.  Threads: any.
 */
#ifndef TANDEM_ANSWER_H
#define TANDEM_ANSWER_H

#include "base/record.h"
#include "model/edits.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct err;

enum { ANSWER_MAX_FILES = 64 };

struct answer_file {
    const char *path;  /* relative, checked for shape (no "..", not absolute); not yet against the tree */
    const char *bytes; /* LF line ends, a final newline; no NUL, UTF-8; may be empty */
    size_t len;
    bool deleted;      /* the answer says DELETE; no bytes then */
    struct edits edits; /* some: the answer changes the file instead of giving it; no bytes then */
};
struct answer_files {
    struct answer_file *files;
    size_t count;
    const char *notes; /* the prose around the blocks, and blocks without a path */
    bool unclosed;     /* the last fence is missing: whoever knows that the answer was cut
                        * (finish "length") must not take the last file */
};

/* Reads "path" lines each followed by a fenced block:
 *
 *     ### src/units.py
 *     ```python
 *     ...
 *     ```
 *
 * The path of a block is, in this order:
 *  1. in its info string: ```python src/x.py, ```src/x.py, ```python title="src/x.py";
 *  2. on a heading, in bold or after "File:" before it, with at most eight lines of prose
 *     between;
 *  3. in a comment that is the block's first line: # src/x.py, // src/x.c.  The line stays
 *     in the file, unless it has more than one # (which no language needs);
 *  4. on the last line before it that is not blank, if that is the path alone (perhaps
 *     back-quoted, a list item, with a colon or "(new)" behind it), or prose with exactly
 *     one back-quoted path with a slash, unless the block is a shell session.
 * A block without any is prose (an example, a command).
 *
 * A fence is three or more ` or ~; its block ends at a bare fence at least as long.  Within
 * a block, a fence with a language opens an inner block that must be closed first, so that
 * Markdown survives in a fence of the same length.  An indented fence takes its indentation
 * off the lines of its block.  Deleted is a path line followed by DELETE, in a block or not,
 * or a path line with "DELETE" or "(deleted)" beside the path.  An answer that is wrapped in
 * a block as a whole is unwrapped once.  CRLF becomes LF, a byte order mark is dropped.
 *
 * A block that begins with a section of edits.h, if need be below its path, holds edits instead
 * of a file.  All edits of a path are joined, in their order, from one block or several.  A block
 * of edits without a path is for the file of the edits before it.  Sections need no fence; prose
 * and path lines may stand between them.
 *
 * ERR_INVALID: no file, a path twice (but for edits), edits without a path, binary, an unsafe path (absolute, a drive, "..",
 * backslashes, .git in any case, a folder, odd bytes, too long), more than 64 files. */
int answer_read_files(struct arena *a, const char *text, size_t len, struct answer_files *ret, struct err *e);

/* Whether a path that a model wrote is safe in shape; on ERR_INVALID the text says what is
 * wrong with it.  "./x" and "a//b" are cleaned; the result belongs to the arena. */
int answer_check_path(struct arena *a, const char *path, size_t len, const char **ret, struct err *e);

/* Finds the JSON object in an answer (bare, fenced, or with prose around it) and reads it
 * by `r` into *ret.  The first object that `r` accepts counts; one that is wrapped in an
 * object with a single member is taken out.  Mended: trailing commas, comments, raw line
 * breaks in strings, True/False/None.  The error is the validator's sentence about the
 * largest candidate.  At most 32 places are tried. */
int answer_read_json(struct arena *a, const char *text, size_t len, const struct record *r, void *ret, struct err *e);

/* Offset where `text` begins to repeat itself endlessly (behind the first copy), or -1.
 * Only repetition that reaches the end of the text counts. */
long answer_repetition(const char *text, size_t len);

#endif
