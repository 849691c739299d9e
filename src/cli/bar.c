/* bar.c - segments of three columns while there is room, then of two, then of one. */
#include "cli/bar.h"

#include "base/str.h"
#include "cli/term.h"

enum { MAX_BAR = 27 };

/* Columns of one segment; 0: the criteria are too many for segments. */
static size_t segment_columns(size_t count)
{
    for (size_t columns = 3; columns > 0; columns--)
        if (count * columns + (columns > 1 ? count - 1 : 0) <= MAX_BAR)
            return columns;
    return 0;
}

size_t bar_columns(size_t count)
{
    size_t segment = segment_columns(count);
    if (count == 0)
        return 0;
    if (segment == 0)
        return sizeof "1000/1000" - 1;
    return count * segment + (segment > 1 ? count - 1 : 0);
}

static void add_segment(struct str *out, enum bar_segment state, size_t columns, const char *const *inks, bool unicode)
{
    static const char *const full[] = { "=", "━" }, *const thin[] = { "-", "─" };
    static const enum ink ink_of[] = { [BAR_OPEN] = INK_QUIET, [BAR_RED] = INK_RED, [BAR_GREEN] = INK_GREEN };
    size_t filled = state == BAR_GREEN ? columns : state == BAR_RED ? (columns + 1) / 2 : 0;
    const char *red = unicode ? (columns == 1 ? "╸" : "━") : "x";
    str_add(out, inks[ink_of[state]]);
    for (size_t i = 0; i < columns; i++)
        str_add(out, i >= filled ? thin[unicode] : state == BAR_RED ? red : full[unicode]);
    str_add(out, inks[INK_PLAIN]);
}

size_t bar_add(struct str *out, const enum bar_segment *segments, size_t count, const char *const *inks, bool unicode)
{
    size_t columns = segment_columns(count);
    if (columns == 0) {
        size_t green = 0, before;
        for (size_t i = 0; i < count; i++)
            green += segments[i] == BAR_GREEN;
        str_add(out, inks[INK_GREEN]);
        before = out->len;
        str_addf(out, "%zu/%zu", green, count);
        columns = out->len - before;
        str_add(out, inks[INK_PLAIN]);
        return columns;
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && columns > 1)
            str_add_char(out, ' ');
        add_segment(out, segments[i], columns, inks, unicode);
    }
    return bar_columns(count);
}
