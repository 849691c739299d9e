/* live.c - the live view as lines of text.
 *
 * A pure function of its input: tests compare lines, and the terminal's troubles are all in
 * live_screen.c.  Rows are laid out at full size first; while there are too many, the least
 * interesting kind is folded into one line ("8 done").  Nothing is reordered: an eye that
 * has found a ticket finds it again in the same place.
 */
#include "cli/live.h"

#include "base/str.h"
#include "cli/bar.h"
#include "cli/term.h"
#include "cli/text.h"

#include <inttypes.h>

enum { MAX_ID = 8 };

/* What is folded or left out so that the rest fits; each step includes those before. */
enum folding { FOLD_NOTHING, FOLD_DONE, FOLD_WAITING, FOLD_TAILS, FOLD_DETAILS, FOLD_COUNT };

struct page {
    const struct live_view *view;
    const struct live_size *size;
    enum folding folding;
    size_t columns;             /* of a line */
    size_t id_columns, bar_columns;
    struct str *out;
    int lines;
};

/* ---- numbers ---- */

void live_count(int64_t n, struct str *out)
{
    if (n < 1000)
        str_addf(out, "%" PRId64, n);
    else if (n < 9950)
        str_addf(out, "%.1fk", (double)n / 1e3);
    else if (n < 999500)
        str_addf(out, "%.0fk", (double)n / 1e3);
    else
        str_addf(out, "%.1fM", (double)n / 1e6);
}

void live_duration(int64_t ms, struct str *out)
{
    int64_t s = ms > 0 ? ms / 1000 : 0;
    if (s >= 3600)
        str_addf(out, "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600, s / 60 % 60, s % 60);
    else
        str_addf(out, "%" PRId64 ":%02" PRId64, s / 60, s % 60);
}

/* ---- a line and its parts ---- */

/* A line being built: what is left of its columns, and where it began. */
struct line {
    struct page *page;
    size_t left, start;
};

static struct line line_begin(struct page *p)
{
    return (struct line){ p, p->columns, p->out->len };
}

static void line_end(struct line *l)
{
    struct str *out = l->page->out;
    while (out->len > l->start && out->data[out->len - 1] == ' ')
        str_truncate(out, out->len - 1);
    str_add_char(out, '\n');
    l->page->lines++;
}

static void put(struct line *l, enum ink ink, const char *text, size_t len)
{
    bool colors = l->page->size->colors && ink != INK_PLAIN;
    str_add(l->page->out, term_ink(colors, ink));
    l->left -= text_fit(l->page->out, text, len, l->left, term_ellipsis(l->page->size->unicode));
    str_add(l->page->out, term_ink(colors, INK_PLAIN));
}

static void put_text(struct line *l, enum ink ink, const char *text)
{
    put(l, ink, text, strlen(text));
}

static void put_spaces(struct line *l, size_t count)
{
    for (; count > 0 && l->left > 0; count--, l->left--)
        str_add_char(l->page->out, ' ');
}

static const char *dot(const struct page *p)
{
    return p->size->unicode ? " · " : ", ";
}

/* ---- the bar ---- */

static void put_bar(struct line *l, const struct live_ticket *t)
{
    const struct page *p = l->page;
    size_t used = bar_add(p->out, t->criteria, t->criterion_count, term_inks(p->size->colors), p->size->unicode);
    l->left -= used;
    if (used < p->bar_columns)
        put_spaces(l, p->bar_columns - used);
}

/* ---- tickets ---- */

/* What is being done, not what came of it: "red" and "green" would read as results. */
void live_phase(const char *phase, int64_t criterion, struct str *out)
{
    static const struct { const char *phase, *words; } table[] = {
        { "spec", "being written" }, { "plan", "being planned" }, { "start", "being prepared" }, { "scope", "being scoped" },
        { "red", "writing the test" }, { "green", "writing the code" }, { "refactor", "refactoring" }, { "integrate", "being merged" },
        { "review", "in review" }, { "merge", "being merged" }, { "appraise", "in review" }, { "deliver", "being merged" },
    };
    if (criterion > 0 && phase && (streq(phase, "red") || streq(phase, "green"))) {
        str_addf(out, *phase == 'r' ? "writing test %" PRId64 : "making %" PRId64 " pass", criterion);
        return;
    }
    for (size_t i = 0; phase && i < sizeof table / sizeof *table; i++) {
        if (streq(table[i].phase, phase)) {
            str_add(out, table[i].words);
            return;
        }
    }
    str_add(out, phase ? phase : "working");
}

/* The words at the right end of a ticket's line. */
static enum ink status_of(const struct live_ticket *t, struct str *out)
{
    switch (t->state) {
    case LIVE_WAITING:
        str_add(out, t->note ? t->note : "");
        return INK_QUIET;
    case LIVE_REVIEW:
        live_phase(t->phase ? t->phase : "review", 0, out);
        return INK_ACCENT;
    case LIVE_BLOCKED:
        str_add(out, "blocked");
        return INK_STRONG;
    case LIVE_DONE:
        str_add(out, "done");
        return INK_QUIET;
    case LIVE_WORKING:
        break;
    }
    live_phase(t->phase, t->criterion, out);
    return INK_ACCENT;
}

static void put_ticket_line(struct page *p, const struct live_ticket *t)
{
    struct line l = line_begin(p);
    STR_LOCAL(status);
    enum ink status_ink = status_of(t, &status);
    STR_LOCAL(id);
    size_t id_columns = text_fit(&id, t->id ? t->id : "", t->id ? strlen(t->id) : 0, p->id_columns,
                                 term_ellipsis(p->size->unicode));
    put_text(&l, INK_QUIET, id.data);
    put_spaces(&l, p->id_columns - id_columns + 2);
    if (p->bar_columns) {
        put_bar(&l, t);
        put_spaces(&l, 2);
    }
    /* The title takes what the status leaves; the status never more than a third. */
    size_t status_columns = text_columns(status.data, status.len);
    size_t most = p->columns / 3;
    if (status_columns > most)
        status_columns = most;
    size_t room = l.left > status_columns + 2 ? l.left - status_columns - 2 : 0;
    STR_LOCAL(title);
    const char *text = t->title ? t->title : "";
    size_t used = text_fit(&title, text, strlen(text), room, term_ellipsis(p->size->unicode));
    put_text(&l, t->state == LIVE_DONE || t->state == LIVE_WAITING ? INK_QUIET : INK_PLAIN, title.data);
    if (status.len && l.left > status_columns) {
        put_spaces(&l, room - used + 2);
        put(&l, status_ink, status.data, status.len);
    }
    line_end(&l);
}

static void add_part(const struct page *p, struct str *out, const char *text)
{
    str_addf(out, "%s%s", out->len ? dot(p) : "", text);
}

static void put_detail(struct page *p, const struct live_ticket *t)
{
    STR_LOCAL(text);
    if (t->state == LIVE_BLOCKED && t->note)
        add_part(p, &text, t->note);
    if (t->attempt > 0) {
        STR_LOCAL(part);
        str_addf(&part, "attempt %" PRId64, t->attempt);
        if (t->attempts > 0)
            str_addf(&part, " of %" PRId64, t->attempts);
        add_part(p, &text, part.data);
    }
    if (t->elapsed_ms >= 0 && t->state != LIVE_BLOCKED) {
        STR_LOCAL(part);
        live_duration(t->elapsed_ms, &part);
        add_part(p, &text, part.data);
    }
    if (t->model && t->state != LIVE_BLOCKED)
        add_part(p, &text, t->model);
    if (text.len == 0)
        return;
    struct line l = line_begin(p);
    put_spaces(&l, p->id_columns + 2);
    put(&l, t->state == LIVE_BLOCKED ? INK_PLAIN : INK_QUIET, text.data, text.len);
    line_end(&l);
}

/* The last line of what is streaming in that has something on it. */
static void put_tail(struct page *p, const struct live_ticket *t)
{
    size_t end = t->tail_len;
    while (end > 0 && (unsigned char)t->tail[end - 1] <= ' ')
        end--;
    size_t start = end;
    while (start > 0 && t->tail[start - 1] != '\n' && t->tail[start - 1] != '\r')
        start--;
    while (start < end && (unsigned char)t->tail[start] <= ' ')
        start++;
    if (start == end)
        return;
    struct line l = line_begin(p);
    put_spaces(&l, p->id_columns + 2);
    STR_LOCAL(text);
    text_fit_tail(&text, t->tail + start, end - start, l.left, term_ellipsis(p->size->unicode));
    put(&l, INK_QUIET, text.data, text.len);
    line_end(&l);
}

static void put_ticket(struct page *p, const struct live_ticket *t)
{
    put_ticket_line(p, t);
    bool active = t->state == LIVE_WORKING || t->state == LIVE_REVIEW;
    if (p->folding < FOLD_DETAILS && (active || t->state == LIVE_BLOCKED))
        put_detail(p, t);
    if (p->folding < FOLD_TAILS && active && t->tail)
        put_tail(p, t);
}

static void put_folded(struct page *p, size_t count, const char *what)
{
    if (count == 0)
        return;
    STR_LOCAL(text);
    str_addf(&text, "%zu %s", count, what);
    struct line l = line_begin(p);
    put_spaces(&l, p->id_columns + 2);
    put(&l, INK_QUIET, text.data, text.len);
    line_end(&l);
}

static size_t count_state(const struct live_view *v, enum live_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < v->ticket_count; i++)
        count += v->tickets[i].state == state;
    return count;
}

/* Without the rows of what else is under way. */
static size_t count_tickets(const struct live_view *v)
{
    size_t count = 0;
    for (size_t i = 0; i < v->ticket_count; i++)
        count += !v->tickets[i].is_other;
    return count;
}

static bool is_folded(const struct page *p, const struct live_ticket *t)
{
    return (t->state == LIVE_DONE && p->folding >= FOLD_DONE) ||
           (t->state == LIVE_WAITING && p->folding >= FOLD_WAITING);
}

static void put_tickets(struct page *p)
{
    const struct live_view *v = p->view;
    if (p->folding >= FOLD_DONE)
        put_folded(p, count_state(v, LIVE_DONE), "done");
    for (size_t i = 0; i < v->ticket_count; i++)
        if (!is_folded(p, &v->tickets[i]))
            put_ticket(p, &v->tickets[i]);
    if (p->folding >= FOLD_WAITING)
        put_folded(p, count_state(v, LIVE_WAITING), "waiting");
}

/* ---- first and last line ---- */

static void add_progress(const struct live_view *v, struct str *out)
{
    str_addf(out, "%zu of %zu ticket%s", count_state(v, LIVE_DONE), count_tickets(v), count_tickets(v) == 1 ? "" : "s");
}

static void add_time(const struct live_view *v, struct str *out)
{
    live_duration(v->elapsed_ms, out);
    if (v->rest_ms >= 60000)
        str_addf(out, ", about %" PRId64 " min left", (v->rest_ms + 59999) / 60000);
    else if (v->rest_ms >= 0)
        str_add(out, ", under a minute left");
}

static void put_head(struct page *p)
{
    const struct live_view *v = p->view;
    struct line l = line_begin(p);
    STR_LOCAL(right);
    if (count_tickets(v))
        add_progress(v, &right);
    size_t progress = right.len;
    str_add(&right, progress ? "   " : "");
    add_time(v, &right);
    put_text(&l, INK_STRONG, v->project ? v->project : "");
    put_spaces(&l, 2);
    put_text(&l, INK_ACCENT, v->headline ? v->headline : "");
    if (right.len + 2 > l.left)
        str_truncate(&right, progress);
    if (right.len && right.len + 2 <= l.left) {
        put_spaces(&l, l.left - right.len);
        put(&l, INK_PLAIN, right.data, right.len);
    }
    line_end(&l);
}

static void add_figures(const struct live_view *v, const char *between, struct str *out)
{
    if (v->tests > 0)
        str_addf(out, "%" PRId64 "/%" PRId64 " tests green%s", v->tests_passed, v->tests, between);
    if (v->coverage_percent >= 0)
        str_addf(out, "coverage %" PRId64 " %%%s", v->coverage_percent, between);
    live_count(v->tokens, out);
    str_add(out, " tokens");
    if (v->cached_tokens >= 0 && v->tokens > 0)
        str_addf(out, ", %" PRId64 " %% cached", v->cached_tokens * 100 / v->tokens);
}

static void put_foot(struct page *p)
{
    STR_LOCAL(text);
    add_figures(p->view, "   ", &text);
    struct line l = line_begin(p);
    put(&l, INK_QUIET, text.data, text.len);
    line_end(&l);
}

/* ---- the page ---- */

static void measure(struct page *p)
{
    const struct live_view *v = p->view;
    for (size_t i = 0; i < v->ticket_count; i++) {
        const struct live_ticket *t = &v->tickets[i];
        size_t id = t->id ? text_columns(t->id, strlen(t->id)) : 0, bar = bar_columns(t->criterion_count);
        if (id > p->id_columns)
            p->id_columns = id > MAX_ID ? MAX_ID : id;
        if (bar > p->bar_columns)
            p->bar_columns = bar;
    }
    if (p->bar_columns > p->columns / 3) /* too narrow for bars */
        p->bar_columns = 0;
}

static void put_page(struct page *p)
{
    put_head(p);
    if (p->view->ticket_count && p->size->height > 6) {
        str_add_char(p->out, '\n');
        p->lines++;
    }
    put_tickets(p);
    if (p->view->ticket_count && p->size->height > 6) {
        str_add_char(p->out, '\n');
        p->lines++;
    }
    put_foot(p);
}

/* Keeps the first lines and the last one. */
static void crop(struct str *text, size_t start, int lines, int height)
{
    char *at = text->data + start;
    for (int i = 0; i < height - 1; i++)
        at = strchr(at, '\n') + 1;
    char *last = at;
    for (int i = height - 1; i < lines - 1; i++)
        last = strchr(last, '\n') + 1;
    size_t len = strlen(last);
    memmove(at, last, len + 1);
    str_truncate(text, (size_t)(at - text->data) + len);
}

void live_render(const struct live_view *v, const struct live_size *size, struct str *out)
{
    size_t start = out->len;
    if (size->height < 1)
        return;
    for (enum folding f = FOLD_NOTHING; f < FOLD_COUNT; f++) {
        struct page p = { .view = v, .size = size, .folding = f, .out = out };
        p.columns = size->width > 1 ? (size_t)size->width - 1 : 1;
        measure(&p);
        str_truncate(out, start);
        put_page(&p);
        if (p.lines <= size->height)
            return;
        if (f + 1 == FOLD_COUNT)
            crop(out, start, p.lines, size->height);
    }
}

void live_render_line(const struct live_view *v, struct str *out)
{
    if (v->headline)
        str_addf(out, "%s: ", v->headline);
    add_progress(v, out);
    str_add(out, ", ");
    add_figures(v, ", ", out);
    str_add(out, ", ");
    add_time(v, out);
}
