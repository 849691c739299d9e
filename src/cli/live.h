/* cli/live.h - what a person sees while a team works.
 *
 * live_render turns a plain state into lines, purely; struct live puts them on a terminal
 * in place: only lines that changed are written, at most ten times a second, and what has
 * ended scrolls away above them as ordinary text.  The state knows nothing of the team:
 * strings and numbers, filled by whoever watches the events.
 *
 * One ticket reads as one line, its proof first, one segment for each criterion:
 *
 *     T-10  ━━━ ━━─ ─── ───  Reserve stock for an order, atomically      making 2 pass
 *           attempt 1 of 4 · 3:12 · codellama-7b
 *           def test_two_orders_never_share_the_last_item(self):
 */
#ifndef TANDEM_CLI_LIVE_H
#define TANDEM_CLI_LIVE_H

#include "cli/bar.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str;
struct term;

enum live_state { LIVE_WAITING, LIVE_WORKING, LIVE_REVIEW, LIVE_BLOCKED, LIVE_DONE };

/* Texts may be NULL for none, come from anywhere, and are made harmless here. */
struct live_ticket {
    const char *id, *title;
    enum live_state state;
    const enum bar_segment *criteria;
    size_t criterion_count;
    bool is_other;              /* no ticket, and not counted as one: a functionality in review, the plan */
    const char *phase;          /* the playbook's stage */
    int64_t criterion;          /* worked on, from 1; 0: none */
    int64_t attempt, attempts;  /* 0: none */
    int64_t elapsed_ms;         /* in this phase; -1: not shown */
    const char *model;
    const char *tail;           /* the end of the answer that is streaming in */
    size_t tail_len;
    const char *note;           /* waiting: "after T-3"; blocked: the reason */
};

struct live_view {
    const char *project, *headline; /* "building", "waiting for you" */
    const struct live_ticket *tickets; /* in the order of the plan, which is kept */
    size_t ticket_count;
    int64_t tests_passed, tests;    /* tests 0: not shown */
    int64_t coverage_percent;       /* -1: not shown */
    int64_t tokens, cached_tokens;  /* cached -1: not reported by the server */
    int64_t elapsed_ms, rest_ms;    /* rest -1: cannot be told yet */
};

struct live_size { int width, height; bool colors, unicode; };

/* Appends at most `height` lines, each ended by '\n', none wider than width - 1 columns.
 * What does not fit gives way in this order: finished tickets, waiting ones, streaming
 * tails, details, and then the last lines.  Pure; needs text_init. */
void live_render(const struct live_view *v, const struct live_size *size, struct str *out);

/* "writing test 2", "in review": what is done in a stage of the playbook, for a criterion (0:
 * none).  NULL: "working". */
void live_phase(const char *phase, int64_t criterion, struct str *out);

/* One line of plain text about the same, for logs without a terminal. */
void live_render_line(const struct live_view *v, struct str *out);

/* "48", "1.2k", "412k", "3.1M" and "0:07", "12:40", "1:02:03". */
void live_count(int64_t n, struct str *out);
void live_duration(int64_t ms, struct str *out);

/* ---- on a terminal ----
 * One at a time in a process; from one thread.  The cursor is hidden from live_open to
 * live_close, and brought back if the process exits, is stopped (Ctrl-Z) or dies of a
 * signal that it does not handle itself. */
struct live;
struct live *live_open(const struct term *t);
/* Draws, unless it did less than 100 ms ago; then the next call will (`force`: draws). */
void live_draw(struct live *l, const struct live_view *v, bool force);
/* Prints a line (or several) that stays, above the view. */
void live_print(struct live *l, const char *text);
/* Leaves the last picture on the screen (`keep`) or wipes it.  NULL is allowed. */
void live_close(struct live *l, bool keep);

#endif
