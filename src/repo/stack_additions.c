/* stack_additions.c - whether a test file was only added to.
 *
 * A test that passed must stay able to fail.  Whether a changed one is as strict as before no
 * program can say, so an existing test file may grow and nothing else: it is cut into pieces
 * where the stack's pattern fits (a function, a statement at the left margin), and the old
 * pieces have to be there, whole and in their order.  Nothing can then come into the middle
 * of an old one.  A new piece that defines an old name again would take its place, as a
 * helper that checks nothing, and is refused as well.
 *
 * Comparing the lines alone would let a `return` into a test; comparing the bodies of tests
 * alone would let their helpers be emptied.
 */
#include "base/arena.h"
#include "base/str.h"
#include "repo/results_build.h"
#include "repo/stack_file.h"

enum {
    MAX_SHOWN = 100,
    MAX_PIECES = 5000, /* what comes after them is one piece */
};

struct piece {
    const char *text;
    size_t len;
    const char *name, *scope; /* what it defines, and in what; "" */
};
struct pieces { struct piece *items; size_t count; };

/* Length of the next line that is not blank, less what is blank at its end; 0: none left. */
static size_t next_line(const char **p, const char *end, const char **ret)
{
    while (*p < end) {
        const char *line = *p, *nl = memchr(line, '\n', (size_t)(end - line));
        size_t len = nl ? (size_t)(nl - line) : (size_t)(end - line);
        *p = nl ? nl + 1 : end;
        while (len && strchr(" \t\r\f", line[len - 1]))
            len--;
        if (len) {
            *ret = line;
            return len;
        }
    }
    return 0;
}

static bool same_piece(const struct piece *x, const struct piece *y)
{
    const char *p = x->text, *q = y->text, *a, *b;
    for (;;) {
        size_t n = next_line(&p, x->text + x->len, &a), m = next_line(&q, y->text + y->len, &b);
        if (n != m || (n && memcmp(a, b, n) != 0))
            return false;
        if (!n)
            return true;
    }
}

static bool is_blank(const struct piece *piece)
{
    const char *p = piece->text, *line;
    return next_line(&p, piece->text + piece->len, &line) == 0;
}

static struct pieces cut(const struct stack *s, struct arena *a, const char *bytes, size_t len)
{
    static const char *const groups[] = { "name" };
    const struct pattern *begin = stack_pattern(s, s->spec.additions.begin);
    const char *code = stack_blank(s, a, ((const struct stack_listing *)s->spec.listing.items)->blank, bytes, len);
    const char *name, *scope = "";
    size_t cap = 2;
    for (size_t i = 0; i < len && cap < MAX_PIECES; i++)
        cap += bytes[i] == '\n';
    struct pieces all = { ARENA_ARRAY(a, struct piece, cap), 0 };
    struct piece now = { .text = bytes, .name = "", .scope = "" };
    struct pattern_match m;
    for (size_t at = 0; all.count + 1 < cap && pattern_find_groups(begin, a, code, len, at, false, &m, groups, &name, 1);
         at = m.end > m.start ? m.end : m.end + 1) {
        now.len = (size_t)(bytes + m.start - now.text);
        if (!is_blank(&now))
            all.items[all.count++] = now;
        bool inner = strchr(" \t", code[m.start]) != NULL;
        now = (struct piece){ .text = bytes + m.start, .name = name, .scope = inner ? scope : "" };
        if (!inner)
            scope = name;
    }
    now.len = (size_t)(bytes + len - now.text);
    if (!is_blank(&now))
        all.items[all.count++] = now;
    return all;
}

static const char *first_line(struct arena *a, const struct piece *piece)
{
    const char *p = piece->text, *line = p;
    size_t len = next_line(&p, piece->text + piece->len, &line);
    while (len && strchr(" \t", *line))
        line++, len--;
    return text_clean(a, line, len, MAX_SHOWN, true);
}

static bool defines(const struct pieces *pieces, const struct piece *again)
{
    for (size_t i = 0; *again->name && i < pieces->count; i++)
        if (streq(pieces->items[i].name, again->name) && streq(pieces->items[i].scope, again->scope))
            return true;
    return false;
}

/* What became of the old pieces. */
struct comparison {
    struct pieces old, added;
    size_t kept; /* of the old ones, from the first */
};

static struct comparison compare(const struct stack *s, struct arena *a, const char *before, size_t before_len, const char *after,
                                 size_t after_len)
{
    struct pieces new = cut(s, a, after, after_len);
    struct comparison c = { .old = cut(s, a, before, before_len), .added = { ARENA_ARRAY(a, struct piece, new.count + 1), 0 } };
    for (size_t i = 0; i < new.count; i++) {
        if (c.kept < c.old.count && same_piece(&c.old.items[c.kept], &new.items[i]))
            c.kept++;
        else
            c.added.items[c.added.count++] = new.items[i];
    }
    return c;
}

static bool can_be_cut(const struct stack *s, const char *path, const char *bytes, size_t len)
{
    return stack_fits(&s->spec.additions.files, path) && !memchr(bytes, '\0', len) && len <= RESULTS_MAX_BYTES;
}

const char *stack_added_only(const struct stack *s, struct arena *a, const char *path, const char *before, size_t before_len,
                             const char *after, size_t after_len)
{
    if (before_len == after_len && memcmp(before, after, before_len) == 0)
        return "";
    if (!can_be_cut(s, path, before, before_len) || !can_be_cut(s, path, after, after_len))
        return "is there already and stays as it is";
    struct comparison c = compare(s, a, before, before_len, after, after_len);
    if (c.kept < c.old.count)
        return arena_printf(a, "is there already and was changed or cut at `%s`", first_line(a, &c.old.items[c.kept]));
    for (size_t i = 0; i < c.added.count; i++)
        if (defines(&c.old, &c.added.items[i]))
            return arena_printf(a, "defines `%s` a second time", c.added.items[i].name);
    return "";
}

const char *stack_added(const struct stack *s, struct arena *a, const char *path, const char *before, size_t before_len,
                        const char *after, size_t after_len)
{
    if (!can_be_cut(s, path, before, before_len) || !can_be_cut(s, path, after, after_len))
        return after;
    STR_LOCAL(out);
    struct comparison c = compare(s, a, before, before_len, after, after_len);
    for (size_t i = 0; i < c.added.count; i++)
        str_add_bytes(&out, c.added.items[i].text, c.added.items[i].len);
    return arena_strndup(a, out.data, out.len);
}
