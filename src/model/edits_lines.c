/* edits_lines.c - lines, their keys, and what makes two of them alike. */
#include "model/edits_lines.h"

#include "base/arena.h"
#include "base/hash.h"

#include <ctype.h>
#include <string.h>

static bool is_space(char c)
{
    return isspace((unsigned char)c);
}

static uint32_t key_of(struct piece text)
{
    uint64_t hash = HASH_INIT;
    for (size_t i = 0; i < text.len; i++)
        hash = hash_add(hash, text.p[i]);
    return (uint32_t)(hash ^ hash >> 32);
}

/* As if every run of white space were one blank; `text` neither begins nor ends with any. */
static uint32_t key_of_words(struct piece text)
{
    uint64_t hash = HASH_INIT;
    for (size_t i = 0; i < text.len; i++)
        if (!is_space(text.p[i]))
            hash = hash_add(hash, text.p[i]);
        else if (!is_space(text.p[i + 1]))
            hash = hash_add(hash, ' ');
    return (uint32_t)(hash ^ hash >> 32);
}

struct line line_of(const char *text, size_t len, size_t end_len)
{
    struct piece all = { text, len }, inner = piece_trim(all);
    struct piece body = { text, inner.len ? (size_t)(inner.p + inner.len - text) : 0 };
    return (struct line){
        .text = text, .len = (uint32_t)len, .end_len = (uint8_t)end_len, .blank = !inner.len,
        .key = { key_of(all), key_of(body), key_of(inner), key_of_words(inner) },
    };
}

struct lines lines_split(struct arena *a, const char *text, size_t len)
{
    const char *at = text, *end = text + len;
    size_t count = 0;
    struct piece line;
    while (piece_next_line(&at, end, &line))
        count++;
    struct lines lines = { ARENA_ARRAY(a, struct line, count), 0, count };
    for (at = text; piece_next_line(&at, end, &line);) {
        size_t all = (size_t)(at - line.p);
        bool ended = at[-1] == '\n'; /* a lone CR at the end of the file ends no line */
        lines.items[lines.count++] = line_of(line.p, ended ? line.len : all, ended ? all - line.len : 0);
    }
    return lines;
}

struct piece line_text(const struct line *l)
{
    return (struct piece){ l->text, l->len };
}

struct piece line_indent(const struct line *l)
{
    size_t n = 0;
    while (n < l->len && is_space(l->text[n]))
        n++;
    return (struct piece){ l->text, n };
}

static bool same_bytes(struct piece a, struct piece b)
{
    return a.len == b.len && (!a.len || memcmp(a.p, b.p, a.len) == 0);
}

static size_t skip_spaces(struct piece a, size_t at)
{
    while (at < a.len && is_space(a.p[at]))
        at++;
    return at;
}

static bool same_words(struct piece a, struct piece b)
{
    size_t i = 0, k = 0;
    while (i < a.len && k < b.len) {
        if (is_space(a.p[i]) && is_space(b.p[k])) {
            i = skip_spaces(a, i);
            k = skip_spaces(b, k);
        } else if (a.p[i++] != b.p[k++]) {
            return false;
        }
    }
    return i == a.len && k == b.len;
}

static struct piece without_end(const struct line *l)
{
    struct piece inner = piece_trim(line_text(l));
    return (struct piece){ l->text, inner.len ? (size_t)(inner.p + inner.len - l->text) : 0 };
}

bool line_same(const struct line *a, const struct line *b, enum likeness how)
{
    if (a->key[how] != b->key[how])
        return false;
    switch (how) {
    case LIKE_EXACT:
        return same_bytes(line_text(a), line_text(b));
    case LIKE_END:
        return same_bytes(without_end(a), without_end(b));
    case LIKE_INDENT:
        return same_bytes(piece_trim(line_text(a)), piece_trim(line_text(b)));
    default:
        return same_words(piece_trim(line_text(a)), piece_trim(line_text(b)));
    }
}
