/* words.h - the words of an idea that say what is wanted.
 *
 * Where a script puts blanks between words, a word is one.  Where it does not (Chinese,
 * Japanese, Thai) finding words takes a dictionary; there a whole stretch up to the next
 * punctuation counts as one word, and is mentioned where a piece of it is.
 */
#ifndef TANDEM_WORDS_H
#define TANDEM_WORDS_H

#include <stdbool.h>

struct arena;

/* The next word of *text that says something about what is wanted (at least four letters and
 * not one of the common ones; of ideographs or syllables, at least two), moving *text behind
 * it; NULL at the end. */
const char *next_telling_word(struct arena *a, const char **text);
/* Whether the text has the word, in any case and without a plural s; of a stretch without
 * blanks, any two ideographs or syllables in a row, or any four letters. */
bool mentions_word(const char *text, const char *word);
/* A short name for an idea: its first three telling words, "project" when it has none. */
const char *idea_name(struct arena *a, const char *idea);

#endif
