/* live_screen.c - the live view on a real terminal.
 *
 * The view stands below what has been printed; the cursor rests on the line after it.
 * Drawing goes up, passes over lines that did not change, and writes the others, all in one
 * write (and between "begin" and "end synchronized update", which terminals that do not
 * know them ignore): no flicker, and nothing moves that did not change.  The alternate
 * screen is not used, so that the last picture stays and scrolling back works.
 *
 * The cursor is the only thing about the terminal that is changed, and a few bytes bring it
 * back: from atexit, and from handlers of those signals nobody else handles.
 */
#include "cli/live.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/term.h"
#include "cli/text.h"
#include "os/files.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#define BEGIN_UPDATE "\033[?2026h"
#define END_UPDATE "\033[?2026l"
#define HIDE_CURSOR "\033[?25l"
#define SHOW_CURSOR "\033[0m\033[?25h"

enum { DRAW_EVERY_MS = 100 };

struct live {
    struct term term;
    struct str shown; /* the lines on the screen, each ended by '\n' */
    int shown_width;
    int64_t drawn_ms; /* steady clock; before the first: far in the past */
};

/* ---- bringing the cursor back ---- */

static const int fatal_signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGABRT, SIGSEGV,
                                     SIGBUS, SIGFPE, SIGILL };
enum { FATAL_COUNT = sizeof fatal_signals / sizeof *fatal_signals };

/* Of the one live view of this process; handlers read it. */
static volatile sig_atomic_t active_fd = -1;
static volatile sig_atomic_t was_stopped;
static bool handled[FATAL_COUNT], stop_handled;

static void restore_cursor(void)
{
    if (active_fd >= 0)
        fd_write(active_fd, END_UPDATE SHOW_CURSOR, sizeof END_UPDATE SHOW_CURSOR - 1);
}

/* SA_RESETHAND: raised again, the signal does what it would have done. */
static void on_fatal(int signal_number)
{
    int saved = errno;
    restore_cursor();
    errno = saved;
    raise(signal_number);
}

static void on_stop(int signal_number)
{
    int saved = errno;
    restore_cursor();
    struct sigaction plain = { .sa_handler = SIG_DFL }, ours;
    sigaction(signal_number, &plain, &ours);
    sigset_t only, before;
    sigemptyset(&only);
    sigaddset(&only, signal_number);
    raise(signal_number);
    pthread_sigmask(SIG_UNBLOCK, &only, &before); /* stops here */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sigaction(signal_number, &ours, NULL);
    was_stopped = 1;
    if (active_fd >= 0)
        fd_write(active_fd, HIDE_CURSOR, sizeof HIDE_CURSOR - 1);
    errno = saved;
}

static bool handle_unless_handled(int signal_number, void (*handler)(int), int flags)
{
    struct sigaction now;
    if (sigaction(signal_number, NULL, &now) < 0 || now.sa_handler != SIG_DFL)
        return false;
    struct sigaction ours = { .sa_handler = handler, .sa_flags = flags };
    return sigaction(signal_number, &ours, NULL) == 0;
}

static void watch_signals(void)
{
    static bool at_exit;
    if (!at_exit)
        at_exit = atexit(restore_cursor) == 0;
    for (size_t i = 0; i < FATAL_COUNT; i++)
        handled[i] = handle_unless_handled(fatal_signals[i], on_fatal, (int)SA_RESETHAND);
    stop_handled = handle_unless_handled(SIGTSTP, on_stop, SA_RESTART);
}

static void unwatch_signals(void)
{
    struct sigaction plain = { .sa_handler = SIG_DFL };
    for (size_t i = 0; i < FATAL_COUNT; i++)
        if (handled[i])
            sigaction(fatal_signals[i], &plain, NULL);
    if (stop_handled)
        sigaction(SIGTSTP, &plain, NULL);
}

/* ---- drawing ---- */

struct live *live_open(const struct term *t)
{
    struct live *l = xcalloc(1, sizeof *l);
    l->term = *t;
    str_init(&l->shown);
    l->drawn_ms = INT64_MIN / 2;
    active_fd = t->out_fd;
    was_stopped = 0;
    watch_signals();
    fd_write(t->out_fd, HIDE_CURSOR, sizeof HIDE_CURSOR - 1);
    return l;
}

/* Columns of a line of our own making, which may hold colours. */
static size_t line_columns(const char *line, size_t len)
{
    size_t columns = 0;
    for (size_t i = 0; i < len;) {
        if (line[i] == '\033') {
            while (i < len && line[i++] != 'm')
                continue;
            continue;
        }
        size_t run = i;
        while (run < len && line[run] != '\033')
            run++;
        columns += text_columns(line + i, run - i);
        i = run;
    }
    return columns;
}

/* Rows that the shown lines take now: a narrower terminal has broken them. */
static int shown_rows(const struct live *l)
{
    int rows = 0;
    for (const char *at = l->shown.data; *at;) {
        size_t len = strcspn(at, "\n");
        size_t columns = line_columns(at, len), width = (size_t)l->term.width;
        rows += columns > width ? (int)((columns + width - 1) / width) : 1;
        at += len + (at[len] == '\n');
    }
    return rows < l->term.height ? rows : l->term.height - 1;
}

static void go_up(struct str *out, int rows)
{
    if (rows > 0)
        str_addf(out, "\r\033[%dA", rows);
}

/* Looks at the terminal again, and forgets what is shown if it cannot be relied on. */
static void look_again(struct live *l, struct str *out)
{
    term_measure(&l->term);
    if (was_stopped) {
        was_stopped = 0;
        str_clear(&l->shown); /* the shell has printed since */
    }
    if (l->shown.len && l->term.width != l->shown_width) {
        go_up(out, shown_rows(l));
        str_add(out, "\033[J");
        str_clear(&l->shown);
    }
    l->shown_width = l->term.width;
}

/* Turns what is shown into `fresh`, line by line. */
static void add_changes(struct live *l, const struct str *fresh, struct str *out)
{
    go_up(out, shown_rows(l));
    const char *old = l->shown.data, *new = fresh->data;
    while (*new) {
        size_t new_len = strcspn(new, "\n") + 1, old_len = strcspn(old, "\n");
        old_len += old[old_len] == '\n';
        bool same = new_len == old_len && memcmp(new, old, new_len) == 0;
        if (!same) {
            str_add_bytes(out, new, new_len - 1);
            str_add(out, "\033[K");
        }
        str_add(out, "\r\n");
        new += new_len;
        old += old_len;
    }
    if (*old)
        str_add(out, "\033[J");
}

static void show(struct live *l, struct str *out, struct str *fresh)
{
    str_add(out, END_UPDATE);
    fd_write(l->term.out_fd, out->data, out->len);
    str_clear(&l->shown);
    str_add_str(&l->shown, fresh);
}

void live_draw(struct live *l, const struct live_view *v, bool force)
{
    int64_t now = clock_steady_ms();
    if (!force && now - l->drawn_ms < DRAW_EVERY_MS)
        return;
    l->drawn_ms = now;
    STR_LOCAL(out);
    STR_LOCAL(fresh);
    str_add(&out, BEGIN_UPDATE);
    look_again(l, &out);
    struct live_size size = { l->term.width, l->term.height - 1, l->term.colors, l->term.unicode };
    live_render(v, &size, &fresh);
    add_changes(l, &fresh, &out);
    show(l, &out, &fresh);
}

void live_print(struct live *l, const char *text)
{
    STR_LOCAL(out);
    STR_LOCAL(fresh);
    str_add(&out, BEGIN_UPDATE);
    look_again(l, &out);
    str_add_str(&fresh, &l->shown);
    go_up(&out, shown_rows(l));
    str_add(&out, "\033[J");
    while (*text) {
        size_t len = strcspn(text, "\n");
        text_fit(&out, text, len, SIZE_MAX, "");
        str_add(&out, "\r\n");
        text += len + (text[len] == '\n');
    }
    str_clear(&l->shown);
    add_changes(l, &fresh, &out);
    show(l, &out, &fresh);
}

void live_close(struct live *l, bool keep)
{
    if (!l)
        return;
    if (!keep) {
        STR_LOCAL(out);
        go_up(&out, shown_rows(l));
        str_add(&out, "\033[J");
        fd_write(l->term.out_fd, out.data, out.len);
    }
    restore_cursor();
    active_fd = -1;
    unwatch_signals();
    str_release(&l->shown);
    free(l);
}
