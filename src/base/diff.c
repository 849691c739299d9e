/* diff.c - unified diffs in the process.
 *
 * Not `diff` or `git diff`: a drifting prompt is shown while a person waits, and the layers
 * that need this may not start programs.
 */
#include "base/diff.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdlib.h>

enum { CONTEXT = 3 };

struct line {
    const char *text; /* with its line end */
    size_t len;
};

struct side {
    struct line *lines;
    size_t count;
    bool *changed; /* deleted (old) or inserted (new) */
};

static void split(struct side *s, const char *text, size_t len)
{
    size_t cap = 0;
    const char *end = text + len;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *next = newline ? newline + 1 : end;
        XGROW(s->lines, cap, s->count);
        s->lines[s->count++] = (struct line){ text, (size_t)(next - text) };
        text = next;
    }
    s->changed = xcalloc(s->count + 1, sizeof *s->changed);
}

static bool same(const struct line *a, const struct line *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* The part of both sides between their common beginning and end. */
struct middle {
    struct side *a, *b;
    size_t from, a_len, b_len;
};

static struct middle find_middle(struct side *a, struct side *b)
{
    size_t head = 0, tail = 0;
    while (head < a->count && head < b->count && same(&a->lines[head], &b->lines[head]))
        head++;
    while (tail < a->count - head && tail < b->count - head &&
           same(&a->lines[a->count - 1 - tail], &b->lines[b->count - 1 - tail]))
        tail++;
    return (struct middle){ a, b, head, a->count - head - tail, b->count - head - tail };
}

/* v[k] is how far into `a` a path of d edits gets on diagonal k = x - y; row d of `trace`
 * keeps v as it was before step d, for k from -d to d. */
static int *trace_row(int *trace, int d)
{
    return trace + (size_t)d * (size_t)d + (size_t)d; /* its k = 0 */
}

static void mark_path(const struct middle *m, int *trace, int edits)
{
    int x = (int)m->a_len, y = (int)m->b_len;
    for (int d = edits; d > 0; d--) {
        const int *v = trace_row(trace, d);
        int k = x - y;
        bool down = k == -d || (k != d && v[k - 1] < v[k + 1]);
        int k_before = down ? k + 1 : k - 1;
        int x_before = v[k_before], y_before = x_before - k_before;
        if (down)
            m->b->changed[m->from + (size_t)y_before] = true;
        else
            m->a->changed[m->from + (size_t)x_before] = true;
        x = x_before;
        y = y_before;
    }
}

static void mark_all(const struct middle *m)
{
    for (size_t i = 0; i < m->a_len; i++)
        m->a->changed[m->from + i] = true;
    for (size_t i = 0; i < m->b_len; i++)
        m->b->changed[m->from + i] = true;
}

static void compare(const struct middle *m)
{
    int n = (int)m->a_len, k_max = (int)m->b_len;
    int limit = m->a_len + m->b_len < DIFF_MAX_EDITS ? (int)(m->a_len + m->b_len) : DIFF_MAX_EDITS;
    int *v = xcalloc((size_t)(2 * limit + 3), sizeof *v);
    int *at = v + limit + 1; /* at[k], -limit-1 <= k <= limit+1 */
    int *trace = xmalloc((size_t)(limit + 1) * (size_t)(limit + 1) * sizeof *trace);
    bool found = false;
    for (int d = 0; d <= limit && !found; d++) {
        memcpy(trace_row(trace, d) - d, at - d, (size_t)(2 * d + 1) * sizeof *v);
        for (int k = -d; k <= d && !found; k += 2) {
            int x = d == 0 ? 0 : k == -d || (k != d && at[k - 1] < at[k + 1]) ? at[k + 1] : at[k - 1] + 1;
            int y = x - k;
            while (x < n && y < k_max &&
                   same(&m->a->lines[m->from + (size_t)x], &m->b->lines[m->from + (size_t)y]))
                x++, y++;
            at[k] = x;
            found = x >= n && y >= k_max;
        }
        if (found)
            mark_path(m, trace, d);
    }
    if (!found)
        mark_all(m);
    free(trace);
    free(v);
}

/* ---- output ---- */

static void add_line(struct str *out, char sign, const struct line *l)
{
    str_add_char(out, sign);
    str_add_bytes(out, l->text, l->len);
    if (l->text[l->len - 1] != '\n')
        str_add(out, "\n\\ No newline at end of file\n");
}

/* One hunk: from line i of `a` and j of `b` (the first change) on.  Moves both behind it. */
static void add_hunk(struct str *out, const struct side *a, const struct side *b, size_t *i, size_t *j)
{
    STR_LOCAL(lines);
    size_t lead = *i < CONTEXT ? *i : CONTEXT;
    lead = *j < lead ? *j : lead;
    size_t a_from = *i - lead, b_from = *j - lead, x = a_from, y = b_from, quiet = 0;
    size_t end_len = 0, end_x = x, end_y = y; /* behind the last change and its context */
    while (x < a->count || y < b->count) {
        if (x < a->count && a->changed[x]) {
            add_line(&lines, '-', &a->lines[x++]);
            quiet = 0;
        } else if (y < b->count && b->changed[y]) {
            add_line(&lines, '+', &b->lines[y++]);
            quiet = 0;
        } else if (x >= *i && ++quiet > 2 * CONTEXT) {
            break;
        } else {
            add_line(&lines, ' ', &a->lines[x]);
            x++, y++;
        }
        if (quiet <= CONTEXT) {
            end_len = lines.len;
            end_x = x;
            end_y = y;
        }
    }
    str_addf(out, "@@ -%zu,%zu +%zu,%zu @@\n", a_from + (end_x > a_from), end_x - a_from,
             b_from + (end_y > b_from), end_y - b_from);
    str_add_bytes(out, lines.data, end_len);
    *i = end_x;
    *j = end_y;
}

static void add_hunks(struct str *out, const struct side *a, const struct side *b)
{
    size_t i = 0, j = 0;
    while (i < a->count || j < b->count) {
        if ((i < a->count && a->changed[i]) || (j < b->count && b->changed[j]))
            add_hunk(out, a, b, &i, &j);
        else
            i++, j++;
    }
}

void diff_unified(struct str *out, const char *old_label, const char *old_text, size_t old_len,
                  const char *new_label, const char *new_text, size_t new_len)
{
    if (old_len == new_len && memcmp(old_text, new_text, old_len) == 0)
        return;
    struct side a = { 0 }, b = { 0 };
    split(&a, old_text, old_len);
    split(&b, new_text, new_len);
    struct middle m = find_middle(&a, &b);
    compare(&m);
    str_addf(out, "--- %s\n+++ %s\n", old_label, new_label);
    add_hunks(out, &a, &b);
    free(a.lines);
    free(a.changed);
    free(b.lines);
    free(b.changed);
}
