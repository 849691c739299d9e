/* model/answer_line.h - the lines of an answer; recognising fences and path lines.
 *
 * For answer_files.c and the files of edits.h.  Lines come without their ends.
 */
#ifndef TANDEM_MODEL_ANSWER_LINE_H
#define TANDEM_MODEL_ANSWER_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* A piece of the answer; p NULL: none. */
struct piece {
    const char *p;
    size_t len;
};

static inline bool piece_is(struct piece a, const char *word)
{
    size_t i = 0;
    while (i < a.len && word[i] && a.p[i] == word[i])
        i++;
    return i == a.len && !word[i];
}
struct piece piece_trim(struct piece a);
/* Takes the first line, without its end, off the text from *at to `end`; false at its end. */
bool piece_next_line(const char **at, const char *end, struct piece *ret);

struct fence {
    char mark;     /* ` or ~ */
    size_t indent; /* spaces before it */
    size_t count;  /* marks */
    struct piece info;
};
bool line_is_fence(struct piece line, struct fence *ret);

enum path_strength {
    PATH_NONE,
    PATH_PROSE,  /* back-quoted within a sentence */
    PATH_PLAIN,  /* a line of its own */
    PATH_STRONG, /* heading, bold, "File:" */
};
struct path_line {
    enum path_strength strength;
    struct piece path;
    bool deleted;
};
struct path_line line_path(struct piece line);

/* The path in a fence's info string, or that a block's first line names in a comment. */
struct piece info_path(struct piece info);
struct piece comment_path(struct piece first_line);

/* Whether the info string says that the block is a shell session. */
bool info_is_shell(struct piece info);

#endif
