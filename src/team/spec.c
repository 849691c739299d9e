/* spec.c - cuts Markdown into clauses, line by line.
 *
 * Not a Markdown parser: what matters is that a person who looks at the numbers agrees
 * with them, and that an edit elsewhere does not renumber what stands before it.
 */
#include "team/spec.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdlib.h>

enum line_kind { LINE_BLANK, LINE_HEADING, LINE_ITEM, LINE_TEXT, LINE_FENCE };

static size_t indent_of(const char *line, size_t len)
{
    size_t i = 0;
    while (i < len && (line[i] == ' ' || line[i] == '\t'))
        i++;
    return i;
}

/* Length of a list marker with its blank ("- ", "12. "), 0 for none. */
static size_t marker_len(const char *s, size_t len)
{
    if (len >= 2 && (s[0] == '-' || s[0] == '*' || s[0] == '+') && s[1] == ' ')
        return 2;
    size_t i = 0;
    while (i < len && i < 4 && isdigit((unsigned char)s[i]))
        i++;
    if (i && i + 1 < len && (s[i] == '.' || s[i] == ')') && s[i + 1] == ' ')
        return i + 2;
    return 0;
}

static enum line_kind kind_of(const char *line, size_t len)
{
    size_t in = indent_of(line, len);
    const char *s = line + in;
    len -= in;
    if (!len)
        return LINE_BLANK;
    if (len >= 3 && (memcmp(s, "```", 3) == 0 || memcmp(s, "~~~", 3) == 0))
        return LINE_FENCE;
    if (*s == '#' || *s == '=')
        return LINE_HEADING;
    if (marker_len(s, len))
        return LINE_ITEM;
    return LINE_TEXT;
}

/* Walks the text; `begin` is called at each clause's first line, `heading` at each
 * heading, `more` for further lines of the clause. */
struct walk {
    void (*begin)(void *ctx, const char *line, size_t len);
    void (*more)(void *ctx, const char *line, size_t len);
    void (*heading)(void *ctx, const char *line, size_t len);
    void (*other)(void *ctx, const char *line, size_t len);
    void *ctx;
};

static void walk(const char *text, const struct walk *w)
{
    bool in_clause = false, fenced = false;
    while (*text) {
        const char *end = strchrnul(text, '\n');
        size_t len = (size_t)(end - text);
        enum line_kind kind = kind_of(text, len);
        if (fenced || kind == LINE_FENCE) {
            (in_clause ? w->more : w->other)(w->ctx, text, len);
            if (kind == LINE_FENCE)
                fenced = !fenced;
        } else if (kind == LINE_BLANK) {
            (in_clause ? w->more : w->other)(w->ctx, text, len);
            /* An indented continuation may follow a blank line; plain text starts anew. */
            const char *next = *end ? end + 1 : end;
            if (!(*next == ' ' || *next == '\t') && kind_of(next, strcspn(next, "\n")) != LINE_FENCE)
                in_clause = false;
        } else if (kind == LINE_HEADING) {
            in_clause = false;
            w->heading(w->ctx, text, len);
        } else if (kind == LINE_TEXT && in_clause) {
            w->more(w->ctx, text, len);
        } else {
            in_clause = true;
            w->begin(w->ctx, text, len);
        }
        text = *end ? end + 1 : end;
    }
}

/* ---- collecting ---- */

struct collect {
    struct arena *arena;
    struct clause *items;
    size_t count, cap;
    struct str current;
    const char *section;
};

static void flush(struct collect *c)
{
    if (c->count && c->items[c->count - 1].text == NULL) {
        str_rtrim(&c->current);
        c->items[c->count - 1].text = arena_strndup(c->arena, c->current.data, c->current.len);
    }
    str_clear(&c->current);
}

static void collect_begin(void *ctx, const char *line, size_t len)
{
    struct collect *c = ctx;
    flush(c);
    if (c->count > SPEC_MAX_CLAUSES) /* one more, to be told */
        return;
    XGROW(c->items, c->cap, c->count);
    c->items[c->count++] = (struct clause){ c->section, NULL };
    size_t in = indent_of(line, len);
    size_t skip = in + marker_len(line + in, len - in);
    str_add_bytes(&c->current, line + skip, len - skip);
    str_add_char(&c->current, '\n');
}

static void collect_more(void *ctx, const char *line, size_t len)
{
    struct collect *c = ctx;
    str_add_bytes(&c->current, line, len);
    str_add_char(&c->current, '\n');
}

static void collect_heading(void *ctx, const char *line, size_t len)
{
    struct collect *c = ctx;
    flush(c);
    size_t skip = strspn(line, "#= ");
    c->section = skip < len ? arena_strndup(c->arena, line + skip, len - skip) : "";
}

static void ignore(void *ctx, const char *line, size_t len)
{
    (void)ctx, (void)line, (void)len;
}

int spec_clauses(struct arena *a, const char *text, struct clauses *ret, struct err *e)
{
    struct collect c = { .arena = a, .section = "", .current = STR_INIT };
    walk(text, &(struct walk){ collect_begin, collect_more, collect_heading, ignore, &c });
    flush(&c);
    str_release(&c.current);
    if (c.count > SPEC_MAX_CLAUSES) {
        free(c.items);
        return err_set(e, ERR_LIMIT, "the specification has more than %d clauses; split it into several projects",
                       SPEC_MAX_CLAUSES);
    }
    struct clause *items = ARENA_ARRAY(a, struct clause, c.count);
    if (c.count)
        memcpy(items, c.items, c.count * sizeof *items);
    free(c.items);
    *ret = (struct clauses){ items, c.count };
    return 0;
}

/* ---- numbering ---- */

struct numbering {
    struct str out;
    size_t count;
};

static void copy_line(void *ctx, const char *line, size_t len)
{
    struct numbering *n = ctx;
    str_add_bytes(&n->out, line, len);
    str_add_char(&n->out, '\n');
}

static void number_line(void *ctx, const char *line, size_t len)
{
    struct numbering *n = ctx;
    size_t in = indent_of(line, len), marker = marker_len(line + in, len - in);
    str_add_bytes(&n->out, line, in);
    /* An item's own number beside the clause's would be taken for it. */
    str_addf(&n->out, "%s[%zu] ", marker ? "- " : "", ++n->count);
    copy_line(n, line + in + marker, len - in - marker);
}

const char *spec_numbered(struct arena *a, const char *text)
{
    struct numbering n = { .out = STR_INIT };
    walk(text, &(struct walk){ number_line, copy_line, copy_line, copy_line, &n });
    str_rtrim(&n.out);
    const char *numbered = arena_strndup(a, n.out.data, n.out.len);
    str_release(&n.out);
    return numbered;
}

/* ---- reading ---- */

/* Without a byte order mark, and every end of a line (LF, CR LF, CR) a LF. */
static char *plain_text(struct arena *a, const char *bytes, size_t len)
{
    if (len >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        bytes += 3;
        len -= 3;
    }
    char *text = arena_alloc(a, len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\r' && i + 1 < len && bytes[i + 1] == '\n')
            continue;
        text[n++] = bytes[i] == '\r' ? '\n' : bytes[i];
    }
    text[n] = '\0';
    return text;
}

static int check_bytes(const char *bytes, size_t len, struct err *e)
{
    if (len > SPEC_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "the specification has %zu bytes; at most %d are read: split it into several projects",
                       len, SPEC_MAX_BYTES);
    if (len >= 2 && (memcmp(bytes, "\xFF\xFE", 2) == 0 || memcmp(bytes, "\xFE\xFF", 2) == 0))
        return err_set(e, ERR_INVALID, "the specification is UTF-16: save it as UTF-8");
    if (memchr(bytes, '\0', len))
        return err_set(e, ERR_INVALID, "the specification contains NUL bytes: give a text file (Markdown)");
    return 0;
}

int spec_read(struct arena *a, const char *bytes, size_t len, const char **ret, struct err *e)
{
    int r = check_bytes(bytes, len, e);
    if (r < 0)
        return r;
    const char *text = plain_text(a, bytes, len);
    size_t bad;
    if (!utf8_valid(text, strlen(text), &bad)) {
        size_t line = 1;
        for (size_t i = 0; i < bad; i++)
            line += text[i] == '\n';
        return err_set(e, ERR_INVALID, "the specification is not UTF-8 in line %zu: save it as UTF-8", line);
    }
    struct clauses c;
    r = spec_clauses(a, text, &c, e);
    if (r < 0)
        return r;
    if (!c.count)
        return err_set(e, ERR_INVALID, "the specification is empty: write at least one sentence that says what must hold");
    *ret = text;
    return 0;
}

const char *spec_title(struct arena *a, const char *text)
{
    const char *line = text + strspn(text, " \t\r\n");
    size_t len = strcspn(line, "\n");
    size_t skip = strspn(line, "#= ");
    if (skip < len) {
        line += skip;
        len -= skip;
    }
    if (len > 60)
        len = utf8_floor(line, 60);
    while (len && isspace((unsigned char)line[len - 1]))
        len--;
    return len ? arena_strndup(a, line, len) : "project";
}
