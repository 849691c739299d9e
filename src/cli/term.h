/* cli/term.h - the terminal: what it can do, colours by meaning, questions, the editor.
 *
 * Red and green mean test states and nothing else; one accent colour says "here"; all else
 * is plain or quiet.  Without colours the same texts read the same.
 */
#ifndef TANDEM_CLI_TERM_H
#define TANDEM_CLI_TERM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct err;
struct settings;
struct str;

struct term {
    int in_fd, out_fd;
    bool is_terminal; /* output goes to a terminal that can move its cursor */
    bool can_ask;     /* a person can read and answer */
    bool colors, unicode;
    int width, height; /* 80 by 24 when unknown */
    /* Set when the person wants to stop; ends questions.  May be NULL. */
    const atomic_bool *cancel;
};

/* Looks at the descriptors, TERM, NO_COLOR, the locale, and the settings `color` and
 * `unicode` (which win). */
void term_init(struct term *t, int in_fd, int out_fd, const struct settings *s);
/* Asks for the size again. */
void term_measure(struct term *t);

enum ink { INK_PLAIN, INK_QUIET, INK_STRONG, INK_ACCENT, INK_RED, INK_GREEN, INK_COUNT };
/* The escape sequence that starts an ink (INK_PLAIN ends any), "" without colours. */
const char *term_ink(bool colors, enum ink ink);
/* All of them, by enum ink. */
const char *const *term_inks(bool colors);
/* "…" or "...". */
const char *term_ellipsis(bool unicode);

struct choice {
    char letter;       /* 'a' */
    const char *label; /* "accept": begins with the letter */
};

/* Prints `question` and "[a]ccept [e]dit ..." and waits for one of them: its letter or its
 * word.  ERR_UNAVAILABLE when there is no terminal (`otherwise` says what to do instead:
 * "run with --yes to accept"), ERR_CANCELLED at the end of input or when cancelled,
 * ERR_LIMIT after ten answers that are none. */
int term_ask(const struct term *t, const char *question, const struct choice *choices,
             size_t count, const char *otherwise, char *ret, struct err *e);

/* Prints `prompt` and reads one line, without its end, of at most 64 KiB. */
int term_ask_line(const struct term *t, const char *prompt, const char *otherwise,
                  struct str *ret, struct err *e);

/* Opens the person's editor (VISUAL, EDITOR, else editor, nano, vi) on a private temporary
 * file `name` ("spec.md") holding `text`, waits, and appends what the file holds then to
 * `out`.  The variables may carry arguments ("code --wait"), separated by spaces, with
 * single or double quotes where one contains a space; no shell reads them.
 * ERR_UNAVAILABLE without terminal or editor; ERR_CANCELLED when the editor fails, which
 * is how one says "leave it" in vi (:cq); ERR_LIMIT above 16 MiB. */
int term_edit(const struct term *t, const char *name, const char *text, size_t len,
              struct str *out, struct err *e);

#endif
