/* edits_apply.c - finds where each edit belongs in a file, and makes it.
 *
 * The file is an array of lines with their keys, in which an edit replaces some; so no line is
 * read twice, however many edits there are.  Only what search and replacement do not have in
 * common is replaced: a model's copy of the lines around, with white space of its own, must not
 * change them.
 */
#include "model/edits.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"
#include "model/edits_places.h"

enum {
    MOST_INDENTS = 16, /* kinds of indentation told apart within one edit */
    MOST_QUOTED = 60,  /* bytes of a line in an error */
};

struct editing {
    struct arena *arena; /* dies with the call */
    struct lines lines;
    size_t bytes, made;  /* of the file as it is now; of all new lines so far */
    const char *newline; /* of new lines */
    const struct edit *edit;
    size_t number;       /* of the edit, from 1 */
    struct lines search, replace;
    struct err *err;
};

/* ---- errors ---- */

/* The first line of the search that says something, as an error quotes it. */
static struct piece quoted(const struct editing *ed)
{
    struct piece line = { "", 0 };
    for (size_t i = 0; i < ed->search.count && !line.len; i++)
        line = piece_trim(line_text(&ed->search.items[i]));
    if (line.len > MOST_QUOTED)
        line.len = utf8_floor(line.p, MOST_QUOTED);
    return line;
}

static int no_place(const struct editing *ed, bool has_region)
{
    struct piece line = quoted(ed);
    return err_set(ed->err, ERR_INVALID, "the old lines of edit %zu, from \"%.*s\" on, are not in the file%s", ed->number,
                   (int)line.len, line.p,
                   has_region ? "; below is the part of it that is most like them, with line numbers. Repeat the old lines "
                                "exactly as they are there, without the numbers"
                              : ", nor any like them");
}

static int many_places(const struct editing *ed, const struct places *p)
{
    STR_LOCAL(lines);
    size_t named = p->count < PLACES_NAMED ? p->count : PLACES_NAMED;
    for (size_t i = 0; i < named; i++)
        str_addf(&lines, "%s%zu", !i ? "" : i + 1 == p->count ? " and " : ", ", p->at[i] + 1);
    struct piece line = quoted(ed);
    return err_set(ed->err, ERR_INVALID, "the old lines of edit %zu, from \"%.*s\" on, are at several places in the file, at lines "
                   "%s%s; begin them earlier or end them later, so that they are at one place only", ed->number,
                   (int)line.len, line.p, lines.data, p->count > PLACES_NAMED ? " and more" : "");
}

static int too_large(const struct editing *ed)
{
    return err_set(ed->err, ERR_INVALID, "edit %zu makes too much: the file, and all that is new in it, may have %d MiB", ed->number,
                   EDITS_MAX_BYTES >> 20);
}

/* ---- indentation ---- */

struct indents {
    struct { struct piece from, to; } pairs[MOST_INDENTS];
    size_t count;
};

static bool same_piece(struct piece a, struct piece b)
{
    return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

/* Which indentation of the search is which of the file. */
static struct indents learn_indents(const struct editing *ed, const struct pattern *p)
{
    struct indents in = { .count = 0 };
    for (size_t i = 0; i < p->count && in.count < MOST_INDENTS; i++) {
        struct piece from = line_indent(p->lines[i]);
        bool known = p->lines[i]->blank;
        for (size_t k = 0; k < in.count && !known; k++)
            known = same_piece(in.pairs[k].from, from);
        if (!known) {
            in.pairs[in.count].from = from;
            in.pairs[in.count++].to = line_indent(&ed->lines.items[p->map[i]]);
        }
    }
    return in;
}

static bool all_of(struct piece a, char c)
{
    for (size_t i = 0; i < a.len; i++)
        if (a.p[i] != c)
            return false;
    return a.len > 0;
}

/* Indentation that the search does not have, as deep as it would be in the file's: tabs for as
 * many blanks as they stand for, and the reverse. */
static void add_deeper(struct str *out, struct piece from, struct piece to, struct piece rest)
{
    size_t blanks_per_tab = all_of(from, ' ') && all_of(to, '\t') ? from.len / to.len : 0;
    size_t tabs_per_blank = all_of(from, '\t') && all_of(to, ' ') ? to.len / from.len : 0;
    while (blanks_per_tab && rest.len >= blanks_per_tab && all_of((struct piece){ rest.p, blanks_per_tab }, ' ')) {
        str_add_char(out, '\t');
        rest = (struct piece){ rest.p + blanks_per_tab, rest.len - blanks_per_tab };
    }
    for (; tabs_per_blank && rest.len && *rest.p == '\t'; rest.p++, rest.len--)
        for (size_t i = 0; i < tabs_per_blank; i++)
            str_add_char(out, ' ');
    str_add_bytes(out, rest.p, rest.len);
}

static void add_indent(struct str *out, const struct indents *in, struct piece indent)
{
    size_t best = in->count;
    for (size_t i = 0; i < in->count; i++) {
        struct piece from = in->pairs[i].from;
        if (from.len <= indent.len && memcmp(from.p, indent.p, from.len) == 0 &&
            (best == in->count || from.len > in->pairs[best].from.len))
            best = i;
    }
    if (best == in->count) {
        str_add_bytes(out, indent.p, indent.len);
        return;
    }
    struct piece from = in->pairs[best].from, to = in->pairs[best].to;
    str_add_bytes(out, to.p, to.len);
    add_deeper(out, from, to, (struct piece){ indent.p + from.len, indent.len - from.len });
}

static void add_shifted(struct str *out, const struct shift *s, struct piece indent)
{
    size_t n = 0; /* a line that has less than all others lose is left with nothing */
    while (n < s->taken.len && n < indent.len && s->taken.p[n] == indent.p[n])
        n++;
    str_add_bytes(out, s->added.p, s->added.len);
    str_add_bytes(out, indent.p + n, indent.len - n);
}

/* ---- making an edit ---- */

/* Lines [from, to) of the file give way to lines [first, end) of the replacement. */
struct change {
    size_t from, to, first, end;
};

/* How many lines search and replacement have in common, at the beginning or at the end. */
static size_t common(const struct editing *ed, size_t most, bool at_end)
{
    size_t n = 0;
    const struct lines *s = &ed->search, *r = &ed->replace;
    while (n < most && line_same(&s->items[at_end ? s->count - 1 - n : n], &r->items[at_end ? r->count - 1 - n : n], LIKE_EXACT))
        n++;
    return n;
}

static struct change change_of(const struct editing *ed, const struct pattern *p)
{
    const struct line *s = ed->search.items;
    size_t least = ed->search.count < ed->replace.count ? ed->search.count : ed->replace.count;
    size_t head = common(ed, least, false), tail = common(ed, least - head, true), before = 0, within = 0;
    struct change c = { .first = head, .end = ed->replace.count - tail };
    size_t end = ed->search.count - tail;
    for (size_t i = 0; i < end; i++) {
        before += i < head && line_counts(&s[i], p->how);
        within += i >= head && line_counts(&s[i], p->how);
    }
    if (within) {
        c.from = p->map[before];
        c.to = p->map[before + within - 1] + 1;
    } else {
        /* Only new lines: in front of what follows, or else behind what is before. */
        c.from = c.to = before < p->count ? p->map[before] : p->map[before - 1] + 1;
    }
    return c;
}

/* The replacement's line as it is to be in the file. */
static int make_line(const struct editing *ed, const struct line *l, const struct shift *shift, const struct indents *indents,
                     struct line *ret)
{
    STR_LOCAL(out);
    struct piece text = line_text(l), indent = line_indent(l);
    if (!l->blank && (shift || indents)) {
        if (shift)
            add_shifted(&out, shift, indent);
        else
            add_indent(&out, indents, indent);
        text = (struct piece){ text.p + indent.len, text.len - indent.len };
    }
    str_add_bytes(&out, text.p, text.len);
    size_t len = out.len;
    str_add(&out, ed->newline);
    if (out.len > EDITS_MAX_BYTES)
        return too_large(ed);
    *ret = line_of(arena_strndup(ed->arena, out.data, out.len), len, out.len - len);
    return 0;
}

static int make_lines(struct editing *ed, const struct change *c, const struct shift *shift, const struct indents *indents,
                      struct line *ret)
{
    for (size_t i = c->first; i < c->end; i++) {
        struct line *l = &ret[i - c->first];
        int r = make_line(ed, &ed->replace.items[i], shift, indents, l);
        if (r < 0)
            return r;
        ed->bytes += l->len + l->end_len;
        ed->made += l->len + l->end_len;
        if (ed->bytes > EDITS_MAX_BYTES || ed->made > EDITS_MAX_BYTES)
            return too_large(ed);
    }
    return 0;
}

static void splice(struct editing *ed, const struct change *c, const struct line *made)
{
    struct lines *l = &ed->lines;
    size_t added = c->end - c->first, behind = l->count - c->to, count = c->from + added + behind;
    if (count > l->cap) {
        l->cap = count + count / 2;
        l->items = arena_resized(ed->arena, l->items, l->count, l->cap, sizeof *l->items);
    }
    if (behind)
        memmove(l->items + c->from + added, l->items + c->to, behind * sizeof *l->items);
    if (added)
        memcpy(l->items + c->from, made, added * sizeof *made);
    l->count = count;
}

static int change_file(struct editing *ed, const struct change *c, const struct shift *shift, const struct indents *indents)
{
    for (size_t i = c->from; i < c->to; i++)
        ed->bytes -= ed->lines.items[i].len + ed->lines.items[i].end_len;
    struct line *made = ARENA_ARRAY(ed->arena, struct line, c->end - c->first);
    int r = make_lines(ed, c, shift, indents, made);
    if (r == 0)
        splice(ed, c, made);
    return r;
}

static int edit_at(struct editing *ed, const struct pattern *p)
{
    struct change c = change_of(ed, p);
    if (p->how == LIKE_INDENT)
        return change_file(ed, &c, &p->shift, NULL);
    struct indents indents = learn_indents(ed, p);
    return change_file(ed, &c, NULL, p->how == LIKE_WORDS ? &indents : NULL);
}

static bool all_blank(const struct lines *l)
{
    for (size_t i = 0; i < l->count; i++)
        if (!l->items[i].blank)
            return false;
    return true;
}

/* An edit whose search is empty gives a file that was not there. */
static int edit_nothing(struct editing *ed)
{
    if (!all_blank(&ed->lines))
        return err_set(ed->err, ERR_INVALID, "edit %zu has no old lines, but the file is there already; say which lines the new "
                       "ones replace", ed->number);
    struct change c = { .from = 0, .to = ed->lines.count, .first = 0, .end = ed->replace.count };
    return change_file(ed, &c, NULL, NULL);
}

static int edit_one(struct editing *ed, struct arena *a, struct edited *ret)
{
    ed->search = lines_split(ed->arena, ed->edit->search, ed->edit->search_len);
    ed->replace = lines_split(ed->arena, ed->edit->replace, ed->edit->replace_len);
    if (all_blank(&ed->search))
        return edit_nothing(ed);
    if (!ed->lines.count)
        return err_set(ed->err, ERR_INVALID, "edit %zu has old lines, but the file does not exist or is empty; give it whole",
                       ed->number);
    for (enum likeness how = LIKE_EXACT; how < LIKE_COUNT; how++) {
        struct places found = find_places(ed->arena, &ed->lines, &ed->search, how);
        if (found.count > 1)
            return many_places(ed, &found);
        if (found.count) {
            ret->inexact += how != LIKE_EXACT;
            return edit_at(ed, &found.pattern);
        }
    }
    ret->region = lines_nearest(a, &ed->lines, &ed->search);
    return no_place(ed, *ret->region);
}

/* ---- files ---- */

static const char *line_end_of(const struct lines *l)
{
    return l->count && l->items[0].end_len == 2 ? "\r\n" : "\n";
}

static void join(const struct editing *ed, struct arena *a, bool ends, struct piece mark, struct edited *ret)
{
    const struct lines *l = &ed->lines;
    char *out = arena_alloc(a, mark.len + ed->bytes + 2 * l->count + 1), *to = out;
    memcpy(to, mark.p, mark.len);
    to += mark.len;
    for (size_t i = 0; i < l->count; i++) {
        const struct line *line = &l->items[i];
        bool own = line->end_len && (ends || i + 1 < l->count);
        size_t len = line->len + (own ? line->end_len : 0u);
        memcpy(to, line->text, len);
        to += len;
        if (!own && i + 1 < l->count) {
            size_t end = strlen(ed->newline);
            memcpy(to, ed->newline, end);
            to += end;
        }
    }
    ret->bytes = out;
    ret->len = (size_t)(to - out);
}

int edits_apply(struct arena *a, const char *text, size_t len, const struct edits *edits, struct edited *ret,
                struct err *e)
{
    ARENA_LOCAL(scratch);
    struct edited made = { .region = "" };
    struct editing ed = { .arena = &scratch, .err = e };
    struct piece mark = { text, text && len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0 };
    ret->region = "";
    if (!text)
        text = mark.p = "", len = 0;
    if (len > EDITS_MAX_BYTES)
        return err_set(e, ERR_INVALID, "the file is larger than %d MiB: it cannot be edited", EDITS_MAX_BYTES >> 20);
    if (memchr(text, '\0', len))
        return err_set(e, ERR_INVALID, "the file is not text: it cannot be edited");
    ed.bytes = len - mark.len;
    ed.lines = lines_split(&scratch, text + mark.len, ed.bytes);
    ed.newline = line_end_of(&ed.lines);
    bool ends = !ed.bytes || text[len - 1] == '\n';
    int r = 0;
    for (size_t i = 0; r == 0 && i < edits->count; i++) {
        ed.edit = &edits->items[i];
        ed.number = i + 1;
        r = edit_one(&ed, a, &made);
    }
    if (r < 0) {
        ret->region = made.region;
        return r;
    }
    join(&ed, a, ends, mark, &made);
    *ret = made;
    return 0;
}
