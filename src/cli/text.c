/* text.c - columns of text, and fitting text into them.
 *
 * Decoded by mbrtowc in a UTF-8 locale of our own choice, because wcwidth knows wide and
 * combining characters and a table of ours would be out of date with the next Unicode.
 */
#include "cli/text.h"

#include "base/str.h"

#include <locale.h>
#include <stdint.h>
#include <wchar.h>

void text_init(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
}

struct glyph {
    const char *bytes; /* what to write */
    size_t len;        /* of bytes */
    size_t used;       /* bytes of the input, at least 1 */
    size_t columns;
};

/* The next character of a text of `len` > 0 bytes. */
static struct glyph next_glyph(const char *text, size_t len)
{
    unsigned char first = (unsigned char)*text;
    if (first >= ' ' && first < 0x7f)
        return (struct glyph){ text, 1, 1, 1 };
    if (first == '\t' || first == '\n' || first == '\r' || first == '\f' || first == '\v')
        return (struct glyph){ " ", 1, 1, 1 };
    mbstate_t state = { 0 };
    wchar_t wide;
    size_t used = first < 0x80 ? 0 : mbrtowc(&wide, text, len, &state);
    if (used == 0 || used > len) /* a control, NUL, or not UTF-8 */
        return (struct glyph){ "?", 1, 1, 1 };
    int columns = wcwidth(wide);
    if (columns < 0 || (wide >= 0x202a && wide <= 0x202e) || (wide >= 0x2066 && wide <= 0x2069))
        return (struct glyph){ "?", 1, used, 1 }; /* also: what turns the direction of text */
    return (struct glyph){ text, used, used, (size_t)columns };
}

size_t text_columns(const char *text, size_t len)
{
    size_t columns = 0;
    for (size_t i = 0; i < len;) {
        struct glyph g = next_glyph(text + i, len - i);
        columns += g.columns;
        i += g.used;
    }
    return columns;
}

/* Appends whole characters while they fit; returns the columns. */
static size_t add_fitting(struct str *out, const char *text, size_t len, size_t columns)
{
    size_t done = 0;
    for (size_t i = 0; i < len;) {
        struct glyph g = next_glyph(text + i, len - i);
        if (done + g.columns > columns)
            break;
        str_add_bytes(out, g.bytes, g.len);
        done += g.columns;
        i += g.used;
    }
    return done;
}

size_t text_fit(struct str *out, const char *text, size_t len, size_t columns, const char *ellipsis)
{
    size_t mark = text_columns(ellipsis, strlen(ellipsis));
    if (text_columns(text, len) <= columns || mark > columns)
        return add_fitting(out, text, len, columns);
    size_t done = add_fitting(out, text, len, columns - mark);
    str_add(out, ellipsis);
    return done + mark;
}

size_t text_fit_tail(struct str *out, const char *text, size_t len, size_t columns, const char *ellipsis)
{
    size_t all = text_columns(text, len), mark = text_columns(ellipsis, strlen(ellipsis));
    if (all <= columns || mark > columns)
        return add_fitting(out, text, len, columns);
    size_t skip = all - (columns - mark), i = 0;
    for (size_t skipped = 0; i < len && skipped < skip;) {
        struct glyph g = next_glyph(text + i, len - i);
        skipped += g.columns;
        i += g.used;
    }
    str_add(out, ellipsis);
    return mark + add_fitting(out, text + i, len - i, columns - mark);
}

/* Words of one paragraph; the first line begins at column `at`. */
static void wrap_words(FILE *out, const char *text, size_t len, size_t at, size_t indent, size_t width)
{
    bool line_start = true;
    for (size_t i = 0; i < len;) {
        size_t word = strcspn(text + i, " \n");
        if (word > len - i)
            word = len - i;
        if (word > 0) {
            size_t columns = text_columns(text + i, word);
            if (!line_start && at + 1 + columns > width) {
                fprintf(out, "\n%*s", (int)indent, "");
                at = indent;
                line_start = true;
            }
            fprintf(out, "%s%.*s", line_start ? "" : " ", (int)word, text + i);
            at += columns + !line_start;
            line_start = false;
        }
        i += word;
        while (i < len && (text[i] == ' ' || text[i] == '\n'))
            i++;
    }
    fputc('\n', out);
}

/* The length of the paragraph at `text`: up to an empty line, or to where verbatim lines
 * begin or end. */
static size_t paragraph_len(const char *text)
{
    bool verbatim = starts_with(text, "  ");
    size_t len = 0;
    while (text[len] && text[len] != '\n' && starts_with(text + len, "  ") == verbatim) {
        len += strcspn(text + len, "\n");
        len += text[len] == '\n';
    }
    return len;
}

void text_wrap(FILE *out, const char *text, size_t indent, size_t width)
{
    while (*text) {
        size_t len = paragraph_len(text);
        if (starts_with(text, "  ")) {
            for (size_t i = 0; i < len;) {
                size_t line = strcspn(text + i, "\n");
                fprintf(out, "%*s%.*s\n", (int)indent, "", (int)line, text + i);
                i += line + (text[i + line] == '\n');
            }
        } else if (len) {
            fprintf(out, "%*s", (int)indent, "");
            wrap_words(out, text, len, indent, indent, width);
        }
        text += len;
        for (; *text == '\n'; text++)
            fputc('\n', out);
    }
}

void text_row(FILE *out, const char *term, const char *doc, size_t indent, size_t at, size_t width)
{
    size_t end = indent + text_columns(term, strlen(term));
    fprintf(out, "%*s%s", (int)indent, "", term);
    if (end + 2 > at)
        fprintf(out, "\n%*s", (int)at, "");
    else
        fprintf(out, "%*s", (int)(at - end), "");
    wrap_words(out, doc, strlen(doc), at, at, width);
}
