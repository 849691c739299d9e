/* edits_read.c - the sections of search/replace blocks, line by line.
 *
 * What is edited may itself hold lines that look like markers: a heading that is underlined
 * with "=", a conflict of git, a document about this format.  So a section is closed by the next
 * marker of as many signs as opened it, whatever other markers are between; only where there is
 * none do other numbers count, and then no other section may have begun.  What is still unclear
 * is said to the model, which can choose another number of signs, and never guessed.
 */
#include "model/edits.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "model/answer_line.h"

#include <strings.h>

enum { LEAST_SIGNS = 5, MOST_SIGNS = 9 };

/* ---- markers ---- */

enum mark { MARK_NONE, MARK_OPEN, MARK_DIVIDE, MARK_CLOSE };

static bool is_word(struct piece a, const char *word)
{
    return a.len == strlen(word) && strncasecmp(a.p, word, a.len) == 0;
}

static enum mark mark_of(struct piece line, size_t *ret_signs)
{
    size_t n = 0;
    while (n < line.len && line.p[n] == *line.p)
        n++;
    if (n < LEAST_SIGNS || n > MOST_SIGNS)
        return MARK_NONE;
    *ret_signs = n;
    struct piece word = piece_trim((struct piece){ line.p + n, line.len - n });
    switch (*line.p) {
    case '<':
        return is_word(word, "SEARCH") ? MARK_OPEN : MARK_NONE;
    case '=':
        return word.len ? MARK_NONE : MARK_DIVIDE;
    case '>':
        return !word.len || is_word(word, "REPLACE") ? MARK_CLOSE : MARK_NONE;
    default:
        return MARK_NONE;
    }
}

bool edits_begin(const char *line, size_t len)
{
    size_t signs;
    return mark_of((struct piece){ line, len }, &signs) == MARK_OPEN;
}

/* Linear in the text also when called at each of its sections: no call reads on behind the next
 * section of as many signs, and there are five such numbers. */
size_t edits_section(const char *text, size_t len)
{
    const char *at = text, *end = text + len;
    size_t signs, n, loose = 0;
    bool alone = true;
    struct piece line;
    if (!piece_next_line(&at, end, &line) || mark_of(line, &signs) != MARK_OPEN)
        return 0;
    while (piece_next_line(&at, end, &line)) {
        enum mark mark = mark_of(line, &n);
        if (mark == MARK_CLOSE && n == signs)
            return (size_t)(at - text);
        if (mark == MARK_OPEN && n == signs)
            break;
        alone = alone && mark != MARK_OPEN;
        if (mark == MARK_CLOSE && alone && !loose)
            loose = (size_t)(at - text);
    }
    return loose;
}

/* ---- sections ---- */

struct section {
    struct piece search, replace;
};

/* Where the two sides of a section part; `lines` is without its first and last line. */
static const char *find_divider(struct piece lines, size_t signs, size_t *ret_count)
{
    const char *at = lines.p, *end = lines.p + lines.len, *begin = at, *exact = NULL, *other = NULL;
    size_t exact_count = 0, other_count = 0, n;
    struct piece line;
    for (; piece_next_line(&at, end, &line); begin = at) {
        if (mark_of(line, &n) != MARK_DIVIDE)
            continue;
        if (n == signs) {
            exact = begin;
            exact_count++;
        } else {
            other = begin;
            other_count++;
        }
    }
    *ret_count = exact_count ? exact_count : other_count;
    return exact_count ? exact : other;
}

/* `text` is a whole section. */
static int split_section(struct piece text, size_t number, struct section *ret, struct err *e)
{
    const char *at = text.p, *end = text.p + text.len, *from, *to = text.p;
    struct piece line;
    size_t signs = 0, dividers;
    piece_next_line(&at, end, &line);
    mark_of(line, &signs);
    from = at;
    while (at < end) {
        to = at;
        piece_next_line(&at, end, &line);
    }
    const char *divider = find_divider((struct piece){ from, (size_t)(to - from) }, signs, &dividers);
    if (!divider)
        return err_set(e, ERR_INVALID, "edit %zu has no line \"=======\" between its old and its new lines", number);
    if (dividers > 1)
        return err_set(e, ERR_INVALID, "edit %zu has %zu lines that could be the one between its old and its new lines; write "
                       "its three markers with another number of signs, %d to %d", number, dividers, LEAST_SIGNS, MOST_SIGNS);
    ret->search = (struct piece){ from, (size_t)(divider - from) };
    piece_next_line(&divider, end, &line);
    ret->replace = (struct piece){ divider, (size_t)(to - divider) };
    return 0;
}

static const char *copy_lines(struct arena *a, struct piece text, size_t *ret_len)
{
    const char *at = text.p;
    char *out = arena_alloc(a, text.len + 2), *to = out;
    struct piece line;
    while (piece_next_line(&at, text.p + text.len, &line)) {
        memcpy(to, line.p, line.len);
        to += line.len;
        *to++ = '\n';
    }
    *ret_len = (size_t)(to - out);
    return out;
}

static int add_section(struct arena *a, struct piece text, struct edits *to, struct err *e)
{
    struct section s;
    struct edit edit;
    if (to->count == EDITS_MAX)
        return err_set(e, ERR_INVALID, "there are more than %d edits; give the file whole", EDITS_MAX);
    int r = split_section(text, to->count + 1, &s, e);
    if (r < 0)
        return r;
    edit.search = copy_lines(a, s.search, &edit.search_len);
    edit.replace = copy_lines(a, s.replace, &edit.replace_len);
    ARENA_GROW(a, to->items, to->cap, to->count);
    to->items[to->count++] = edit;
    return 0;
}

int edits_read(struct arena *a, const char *text, size_t len, struct edits *to, struct err *e)
{
    const char *at = text, *end = text + len, *begin = at;
    struct piece line;
    for (; piece_next_line(&at, end, &line); begin = at) {
        if (!piece_trim(line).len)
            continue;
        size_t section = edits_section(begin, (size_t)(end - begin));
        if (!section && edits_begin(line.p, line.len))
            return err_set(e, ERR_INVALID, "edit %zu has no line \">>>>>>> REPLACE\" at its end", to->count + 1);
        if (!section)
            return err_set(e, ERR_INVALID, "beside the edits stands a line that belongs to none");
        int r = add_section(a, (struct piece){ begin, section }, to, e);
        if (r < 0)
            return r;
        at = begin + section;
    }
    return 0;
}
