/* repetition.c - noticing a model that has begun to say the same thing for ever.
 *
 * A looping model ends its text with w w w ... w.  The period of a text's end is found with
 * the Z function of the reversed tail (Gusfield, "Algorithms on Strings, Trees and
 * Sequences", 1.3): z[p] is how far the reversed text agrees with itself shifted by p, so
 * the end has period p over p + z[p] bytes.  One linear pass finds all periods; comparing
 * lines or n-grams instead would miss loops within a line and cut tables of similar lines.
 *
 * The thresholds leave what people write: long rulers, tables of zeros, a few equal lines.
 */
#include "model/answer.h"

#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>

enum {
    WINDOW = 32 << 10,    /* of the tail that is looked at; bounds time and memory */
    SHORT_PERIOD = 40,    /* up to here: part of a line; */
    SHORT_RUN = 4000,     /* ... bytes that must repeat */
    LONG_PERIOD = 400,    /* up to here: some lines; */
    LINES_RUN = 2500,     /* ... bytes and */
    LINES_TIMES = 12,     /* ... repetitions; beyond: whole blocks */
    BLOCK_TIMES = 4,
};

static bool is_endless(size_t period, size_t run)
{
    if (period <= SHORT_PERIOD)
        return run >= SHORT_RUN;
    if (period <= LONG_PERIOD)
        return run >= LINES_RUN && run >= LINES_TIMES * period;
    return run >= BLOCK_TIMES * period;
}

/* The shortest period in which the end of the text repeats endlessly, or 0. */
static size_t period_of_end(const char *text, size_t len)
{
    const char *last = text + len - 1; /* last[-i] is byte i of the reversed text */
    uint32_t *z = xmalloc(len * sizeof *z);
    size_t left = 0, right = 0, found = 0, longest = 0;
    for (size_t p = 1; p < len && !found; p++) {
        size_t n = 0;
        if (p < right) {
            n = z[p - left];
            if (n > right - p)
                n = right - p;
        }
        while (p + n < len && *(last - n) == *(last - p - n))
            n++;
        z[p] = (uint32_t)n;
        if (p + n > right) {
            left = p;
            right = p + n;
        }
        /* A multiple of a shorter period repeats as far as that and says nothing new. */
        if (n >= p && p + n > longest) {
            longest = p + n;
            if (is_endless(p, p + n))
                found = p;
        }
    }
    free(z);
    return found;
}

long answer_repetition(const char *text, size_t len)
{
    size_t window = len < WINDOW ? len : WINDOW;
    size_t period = window < 2 ? 0 : period_of_end(text + len - window, window);
    if (!period)
        return -1;
    size_t begin = len - period;
    while (begin > 0 && text[begin - 1] == text[begin - 1 + period])
        begin--;
    return (long)(begin + period);
}
