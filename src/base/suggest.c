/* suggest.c - the nearest of a few names.
 *
 * Swapped neighbours count once ("stauts"), which is what fingers do; the plain
 * Levenshtein distance would count two and miss short words.
 */
#include "base/suggest.h"

#include "base/str.h"

enum { MAX_WORD = 63 };

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t word_len(const char *s)
{
    return min(strlen(s), MAX_WORD);
}

size_t suggest_distance(const char *a, const char *b)
{
    size_t n = word_len(a), m = word_len(b);
    /* Three rows of the table: two back, the last, and the one being filled. */
    size_t rows[3][MAX_WORD + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t cost = a[i - 1] != b[j - 1];
            now[j] = min(min(last[j] + 1, now[j - 1] + 1), last[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min(now[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[m];
}

void suggestion_try(struct suggestion *s, const char *word, const char *candidate)
{
    size_t distance = suggest_distance(word, candidate), len = word_len(word);
    bool near = distance <= (len + 1) / 3;
    if (!near && (len < 3 || !starts_with(candidate, word)))
        return;
    if (!near) /* a beginning: after everything that is merely mistyped */
        distance += MAX_WORD;
    if (!s->name || distance < s->distance)
        *s = (struct suggestion){ candidate, distance };
}
