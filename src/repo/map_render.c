/* map_render.c - which part of the map a prompt gets.
 *
 * A file is a document of BM25: its words are those of its path and of its symbols.  Files
 * are taken in order of relevance while they fit, whole, or as a bare path where only that
 * fits; the text itself is sorted by path, so that two tickets of one project share long
 * stretches of it.
 */
#include "base/alloc.h"
#include "base/arena.h"
#include "base/str.h"
#include "repo/map.h"
#include "repo/stack.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum {
    BYTES_PER_TOKEN = 3,
    PATH_WEIGHT = 2,         /* a word of the path counts as often as this many symbols */
    MAX_QUERY_WORDS = 400,
    MAX_WORD = 40,
    MAX_SHOWN = 150,         /* symbols of one file */
    RESERVED_TOKENS = 20,    /* for the last line */
};

void map_trim(struct map *m, const struct stack *s)
{
    for (size_t i = 0; i < m->count; i++) {
        struct map_file *f = &m->files[i];
        bool is_test = stack_is_test(s, f->path);
        size_t kept = 0;
        if (stack_is_build(s, f->path) || stack_is_protected(s, f->path))
            f->count = 0;
        for (size_t n = 0; n < f->count; n++)
            if (!is_test || !f->symbols[n].is_private)
                f->symbols[kept++] = f->symbols[n];
        f->count = kept;
    }
}

/* ---- words ---- */

struct words {
    char (*items)[MAX_WORD + 1];
    size_t count, room;
};

static void words_add(struct words *w, const char *text, size_t len)
{
    if (len > 3 && text[len - 1] == 's' && text[len - 2] != 's') /* units, unit */
        len--;
    if (len < 2 || len > MAX_WORD)
        return;
    XGROW(w->items, w->room, w->count);
    memcpy(w->items[w->count], text, len);
    w->items[w->count++][len] = '\0';
}

static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Splits at what is not a letter or digit, and inside camelCase and HTTPServer. */
static void words_split(struct words *w, const char *text, size_t max_words)
{
    char word[MAX_WORD + 2];
    size_t len = 0;
    for (const char *c = text;; c++) {
        bool is_part = is_upper(*c) || is_lower(*c) || is_digit(*c) || (unsigned char)*c >= 0x80;
        bool is_hump = c > text && is_upper(*c) && (is_lower(c[-1]) || is_digit(c[-1]) || (is_upper(c[-1]) && is_lower(c[1])));
        if (len && (!is_part || is_hump)) {
            words_add(w, word, len);
            len = 0;
        }
        if (!*c || w->count >= max_words)
            return;
        if (is_part && len <= MAX_WORD)
            word[len++] = is_upper(*c) ? (char)(*c + 32) : *c;
    }
}

static int compare_word(const void *x, const void *y)
{
    return strcmp(x, y);
}

static void words_sort(struct words *w, bool once)
{
    if (w->count)
        qsort(w->items, w->count, sizeof *w->items, compare_word);
    size_t kept = 0;
    for (size_t i = 0; once && i < w->count; i++)
        if (kept == 0 || !streq(w->items[kept - 1], w->items[i]))
            memmove(w->items[kept++], w->items[i], sizeof *w->items);
    w->count = once ? kept : w->count;
}

static size_t words_number(const struct words *w, const char *word)
{
    const char (*found)[MAX_WORD + 1] = w->count ? bsearch(word, w->items, w->count, sizeof *w->items, compare_word) : NULL;
    return found ? (size_t)(found - (const char (*)[MAX_WORD + 1])w->items) : SIZE_MAX;
}

/* ---- BM25 ---- */

struct ranked { size_t file; int64_t score; };

/* Counts the query's words in a file; returns its length in words. */
static size_t count_words(const struct words *query, const struct map_file *f, uint32_t *counts)
{
    struct words in_file = { 0 };
    for (int i = 0; i < PATH_WEIGHT; i++)
        words_split(&in_file, f->path, SIZE_MAX);
    for (size_t i = 0; i < f->count; i++) {
        words_split(&in_file, f->symbols[i].name, SIZE_MAX);
        words_split(&in_file, f->symbols[i].scope, SIZE_MAX);
    }
    for (size_t i = 0; i < in_file.count; i++) {
        size_t number = words_number(query, in_file.items[i]);
        if (number != SIZE_MAX)
            counts[number]++;
    }
    size_t len = in_file.count;
    free(in_file.items);
    return len;
}

static void score_files(const struct map *m, const struct words *query, struct ranked *ranked)
{
    const double k1 = 1.2, b = 0.75;
    uint32_t *counts = xcalloc(m->count * query->count + 1, sizeof *counts);
    size_t *lengths = xcalloc(m->count + 1, sizeof *lengths), total = 0;
    uint32_t *files_with = xcalloc(query->count + 1, sizeof *files_with);
    for (size_t i = 0; i < m->count; i++) {
        lengths[i] = count_words(query, &m->files[i], counts + i * query->count);
        total += lengths[i];
        for (size_t q = 0; q < query->count; q++)
            files_with[q] += counts[i * query->count + q] > 0;
    }
    double average = total ? (double)total / (double)m->count : 1;
    for (size_t i = 0; i < m->count; i++) {
        double score = 0;
        for (size_t q = 0; q < query->count; q++) {
            double times = counts[i * query->count + q], having = files_with[q];
            double rarity = log(1 + ((double)m->count - having + 0.5) / (having + 0.5));
            score += rarity * times * (k1 + 1) / (times + k1 * (1 - b + b * (double)lengths[i] / average));
        }
        /* In thousandths: the last bit of a sum must not decide what a prompt holds. */
        ranked[i] = (struct ranked){ i, (int64_t)(score * 1000 + 0.5) };
    }
    free(counts);
    free(lengths);
    free(files_with);
}

static int compare_ranked(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return (a->file > b->file) - (a->file < b->file);
}

/* ---- text ---- */

static size_t depth_of(const char *scope)
{
    size_t depth = *scope != '\0';
    for (; *scope; scope++)
        depth += *scope == '.' || (scope[0] == ':' && scope[1] == ':');
    return depth < 4 ? depth : 4;
}

static void write_symbol(struct str *out, const struct map_symbol *s)
{
    str_addf(out, "%*s", (int)(2 + 2 * depth_of(s->scope)), "");
    static const char *const said[] = { "class", "struct", "union", "enum", "typedef", "macro", "interface", "trait" };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (streq(s->kind, said[i]))
            str_addf(out, "%s ", s->kind);
    if (*s->type && !strchr(s->type, ':'))
        str_addf(out, "%s ", s->type);
    str_addf(out, "%s%s\n", s->name, s->signature);
}

static void write_file(struct str *out, const struct map_file *f)
{
    str_addf(out, "%s\n", f->path);
    for (size_t i = 0; i < f->count && i < MAX_SHOWN; i++)
        write_symbol(out, &f->symbols[i]);
    if (f->count > MAX_SHOWN)
        str_addf(out, "  (%zu more)\n", f->count - MAX_SHOWN);
}

enum shown { SHOWN_NOT, SHOWN_PATH, SHOWN_WHOLE };

/* Decides what fits, the most relevant first. */
static void choose(const struct map *m, const struct ranked *ranked, int64_t budget, enum shown *shown)
{
    STR_LOCAL(text);
    for (size_t i = 0; i < m->count; i++) {
        const struct map_file *f = &m->files[ranked[i].file];
        str_clear(&text);
        write_file(&text, f);
        int64_t path_cost = (int64_t)strlen(f->path) + 1;
        if ((int64_t)text.len <= budget) {
            shown[ranked[i].file] = SHOWN_WHOLE;
            budget -= (int64_t)text.len;
        } else if (path_cost <= budget) {
            shown[ranked[i].file] = SHOWN_PATH;
            budget -= path_cost;
        }
    }
}

const char *map_render(const struct map *m, struct arena *a, const char *query, int64_t max_tokens)
{
    struct words words = { 0 };
    words_split(&words, query, MAX_QUERY_WORDS);
    words_sort(&words, true);
    struct ranked *ranked = ARENA_ARRAY(a, struct ranked, m->count);
    enum shown *shown = ARENA_ARRAY(a, enum shown, m->count);
    score_files(m, &words, ranked);
    free(words.items);
    if (m->count)
        qsort(ranked, m->count, sizeof *ranked, compare_ranked);
    if (max_tokens > INT64_MAX / BYTES_PER_TOKEN)
        max_tokens = INT64_MAX / BYTES_PER_TOKEN;
    choose(m, ranked, (max_tokens - RESERVED_TOKENS) * BYTES_PER_TOKEN, shown);
    STR_LOCAL(out);
    size_t left_out = 0, paths_only = 0;
    for (size_t i = 0; i < m->count; i++) {
        left_out += shown[i] == SHOWN_NOT;
        paths_only += shown[i] == SHOWN_PATH && m->files[i].count;
        if (shown[i] == SHOWN_WHOLE)
            write_file(&out, &m->files[i]);
        else if (shown[i] == SHOWN_PATH)
            str_addf(&out, "%s\n", m->files[i].path);
    }
    if (max_tokens >= RESERVED_TOKENS && left_out + paths_only)
        str_addf(&out, "(%zu files left out, %zu without symbols)\n", left_out, paths_only);
    return arena_strndup(a, out.data, out.len);
}
