/* output.c - the filter between what commands print and a terminal.
 *
 * A stdio stream (fopencookie) rather than a printing function of our own: every fprintf in
 * every command goes through it without knowing, which is the only way that none is
 * forgotten.  It works word by word: a word is held until its end is seen, and what hangs
 * is decided by the beginning of the line.
 */
#include "cli/output.h"

#include "base/alloc.h"
#include "base/str.h"
#include "cli/text.h"
#include "os/files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

/* A word that grows beyond this is passed on in pieces. */
enum { MAX_WORD = 4096, MAX_HANG = 40 };

struct output {
    int fd;
    size_t width;
    size_t at;       /* the cursor's column */
    size_t spaces;   /* seen since the last word, not written yet */
    size_t hang;     /* where the next line begins when this one breaks */
    size_t words;    /* in this line so far */
    struct str word; /* as it came */
    struct str ready;
};

/* ---- inks ---- */

/* ESC, a number drawn for this process, and the digit of an ink. */
enum { MARK_LEN = 1 + 16 + 1 };
static char marks[INK_COUNT][MARK_LEN + 1];

static void make_marks(void)
{
    uint64_t number;
    if (*marks[0])
        return;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        abort(); /* not since Linux 3.17 */
    for (int i = 0; i < INK_COUNT; i++)
        snprintf(marks[i], sizeof marks[i], "\033%016" PRIx64 "%d", number, i);
}

/* The ink whose mark stands at `text`; INK_COUNT: none. */
static enum ink ink_at(const char *text, size_t len)
{
    int i = 0;
    while (i < INK_COUNT && (len < MARK_LEN || memcmp(text, marks[i], MARK_LEN) != 0))
        i++;
    return (enum ink)i;
}

const char *const *output_inks(FILE *out, bool colors)
{
    static const char *const marked[] = { marks[0], marks[1], marks[2], marks[3], marks[4], marks[5] };
    _Static_assert(sizeof marked / sizeof *marked == INK_COUNT, "a mark for each ink");
    bool is_ours = out != stdout && out != stderr;
    return colors && is_ours ? marked : term_inks(colors);
}

/* ---- words ---- */

/* Appends the word as a terminal may see it, and to `text` without its inks. */
static void add_safe(struct str *out, struct str *text, const char *word, size_t len)
{
    for (size_t i = 0, end; i < len; i = end) {
        enum ink ink = ink_at(word + i, len - i);
        end = i + (ink < INK_COUNT ? MARK_LEN : 1);
        if (ink < INK_COUNT) {
            str_add(out, term_ink(true, ink));
            continue;
        }
        while (end < len && word[end] != '\033')
            end++;
        text_fit(out, word + i, end - i, SIZE_MAX, "");
        str_add_bytes(text, word + i, end - i);
    }
}

/* "-", "*", "3.", "[3]": what stands before the text of a line. */
static bool is_marker(const struct str *word)
{
    const char *text = word->data;
    if (word->len == 1)
        return strchr("-*+", *text) != NULL;
    size_t open = *text == '[', digits = strspn(text + open, "0123456789");
    return digits > 0 && word->len == open + digits + 1 && text[word->len - 1] == (open ? ']' : '.');
}

static void end_word(struct output *o)
{
    if (!o->word.len)
        return;
    STR_LOCAL(safe);
    STR_LOCAL(text);
    add_safe(&safe, &text, o->word.data, o->word.len);
    size_t columns = text_columns(text.data, text.len);
    /* What hangs begins behind the indentation, a marker, or a gap as between columns. */
    if (o->words == 0 || (o->spaces > 1 && o->at + o->spaces <= MAX_HANG))
        o->hang = o->at + o->spaces;
    if (o->words > 0 && o->at + o->spaces + columns > o->width) {
        str_addf(&o->ready, "\n%*s", (int)o->hang, "");
        o->at = o->hang;
    } else {
        str_addf(&o->ready, "%*s", (int)o->spaces, "");
        o->at += o->spaces;
    }
    if (o->words == 0 && is_marker(&text))
        o->hang = o->at + columns + 1;
    if (o->hang > o->width / 2)
        o->hang = 0;
    str_add_bytes(&o->ready, safe.data, safe.len);
    o->at += columns;
    o->spaces = 0;
    o->words++;
    str_clear(&o->word);
}

static void add_byte(struct output *o, char c)
{
    switch (c) {
    case '\n':
        end_word(o);
        str_add_char(&o->ready, '\n');
        o->at = o->spaces = o->hang = o->words = 0;
        break;
    case '\t':
        end_word(o);
        o->spaces += 8 - (o->at + o->spaces) % 8;
        break;
    case ' ':
        end_word(o);
        o->spaces++;
        break;
    default:
        str_add_char(&o->word, c);
        if (o->word.len >= MAX_WORD)
            end_word(o);
    }
}

/* stdio calls this at the end of a line, when its buffer is full, and at fflush: all that
 * has come is shown, so that a question stands before its answer is awaited. */
static ssize_t on_write(void *cookie, const char *data, size_t len)
{
    struct output *o = cookie;
    for (size_t i = 0; i < len; i++)
        add_byte(o, data[i]);
    end_word(o);
    str_addf(&o->ready, "%*s", (int)o->spaces, "");
    o->at += o->spaces;
    o->spaces = 0;
    int r = fd_write(o->fd, o->ready.len ? o->ready.data : "", o->ready.len);
    str_clear(&o->ready);
    return r < 0 ? 0 : (ssize_t)len;
}

static int on_close(void *cookie)
{
    struct output *o = cookie;
    str_release(&o->word);
    str_release(&o->ready);
    free(o);
    return 0;
}

FILE *output_open_fd(int fd, size_t width)
{
    make_marks();
    struct output *o = xcalloc(1, sizeof *o);
    o->fd = fd;
    o->width = width;
    FILE *out = fopencookie(o, "w", (cookie_io_functions_t){ .write = on_write, .close = on_close });
    if (!out)
        out_of_memory();
    setvbuf(out, NULL, _IOLBF, 64 << 10);
    return out;
}

FILE *output_open(FILE *plain)
{
    struct winsize size;
    int fd = fileno(plain);
    if (fd < 0 || !isatty(fd))
        return plain;
    bool is_known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return output_open_fd(fd, is_known ? size.ws_col : 80);
}

void output_close(FILE *out, FILE *plain)
{
    if (out != plain)
        fclose(out);
}

void output_table(FILE *out, const char *const *cells, size_t columns, size_t rows)
{
    enum { MAX_COLUMNS = 16 };
    size_t width[MAX_COLUMNS] = { 0 };
    for (size_t i = 0; i < columns * rows; i++) {
        size_t w = text_columns(cells[i], strlen(cells[i]));
        width[i % columns] = w > width[i % columns] ? w : width[i % columns];
    }
    for (size_t i = 0; i < columns * rows; i++) {
        bool last = i % columns == columns - 1;
        size_t w = text_columns(cells[i], strlen(cells[i]));
        fprintf(out, "%s%*s", cells[i], last ? 0 : (int)(width[i % columns] - w + 2), "");
        if (last)
            fputc('\n', out);
    }
}
