/* The live view: the lines themselves, and what a terminal makes of the drawing. */
#include "check.h"

#include "base/arena.h"
#include "base/setting.h"
#include "base/str.h"
#include "cli/live.h"
#include "cli/term.h"
#include "cli/text.h"

#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const enum bar_segment proven[] = { BAR_GREEN, BAR_GREEN, BAR_GREEN };
static const enum bar_segment half[] = { BAR_GREEN, BAR_RED, BAR_OPEN, BAR_OPEN };
static const enum bar_segment untouched[] = { BAR_OPEN, BAR_OPEN };
static const char answer[] = "class Stock:\n    def test_two_orders_never_share_the_last_item(self):\n  \n";

static const struct live_ticket tickets[] = {
    { .id = "T-7", .title = "Read the article file", .state = LIVE_DONE, .criteria = proven,
      .criterion_count = 3, .elapsed_ms = -1 },
    { .id = "T-10", .title = "Reserve stock for an order, atomically", .state = LIVE_WORKING,
      .criteria = half, .criterion_count = 4, .phase = "green", .criterion = 2, .attempt = 1,
      .attempts = 4, .elapsed_ms = 192000, .model = "codellama-7b", .tail = answer,
      .tail_len = sizeof answer - 1 },
    { .id = "T-11", .title = "List stock below threshold", .state = LIVE_BLOCKED, .criteria = half,
      .criterion_count = 4, .attempt = 4, .attempts = 4, .elapsed_ms = 5, .note = "the same test failed four times" },
    { .id = "T-12", .title = "Reject negative quantities", .state = LIVE_WAITING, .criteria = untouched,
      .criterion_count = 2, .note = "after T-11", .elapsed_ms = -1 },
};

static const struct live_view view = {
    .project = "Warehouse API", .headline = "building", .tickets = tickets, .ticket_count = 4,
    .tests_passed = 61, .tests = 61, .coverage_percent = 92, .tokens = 412000, .cached_tokens = 383160,
    .elapsed_ms = 760000, .rest_ms = 25 * 60000,
};

static void check_lines(const struct live_view *v, int width, int height, bool unicode, const char *wanted)
{
    struct live_size size = { width, height, false, unicode };
    STR_LOCAL(out);
    live_render(v, &size, &out);
    assert_string_equal(out.data, wanted);
}

static void a_view_reads_as_one_line_for_each_ticket(void **state)
{
    (void)state;
    check_lines(&view, 81, 30, true,
        "Warehouse API  building                1 of 4 tickets   12:40, about 25 min left\n"
        "\n"
        "T-7   ━━━ ━━━ ━━━      Read the article file                                done\n"
        "T-10  ━━━ ━━─ ─── ───  Reserve stock for an order, atomically      making 2 pass\n"
        "      attempt 1 of 4 · 3:12 · codellama-7b\n"
        "      def test_two_orders_never_share_the_last_item(self):\n"
        "T-11  ━━━ ━━─ ─── ───  List stock below threshold                        blocked\n"
        "      the same test failed four times · attempt 4 of 4\n"
        "T-12  ─── ───          Reject negative quantities                     after T-11\n"
        "\n"
        "61/61 tests green   coverage 92 %   412k tokens, 93 % cached\n");
}

static void ascii_says_the_same(void **state)
{
    (void)state;
    check_lines(&view, 57, 30, false,
        "Warehouse API  building                   1 of 4 tickets\n"
        "\n"
        "T-7   === === ===      Read the article file        done\n"
        "T-10  === xx- --- ---  Reserve stock f...  making 2 pass\n"
        "      attempt 1 of 4, 3:12, codellama-7b\n"
        "      ...est_two_orders_never_share_the_last_item(self):\n"
        "T-11  === xx- --- ---  List stock below thre...  blocked\n"
        "      the same test failed four times, attempt 4 of 4\n"
        "T-12  --- ---          Reject negative qu...  after T-11\n"
        "\n"
        "61/61 tests green   coverage 92 %   412k tokens, 93 %...\n");
}

static void what_does_not_fit_folds_before_it_is_cut(void **state)
{
    (void)state;
    /* First the finished fold (here that saves nothing), then the waiting, the tails, the
     * details, and at last tickets go. */
    check_lines(&view, 67, 10, true,
        "Warehouse API  building  1 of 4 tickets   12:40, about 25 min left\n"
        "\n"
        "      1 done\n"
        "T-10  ━━━ ━━─ ─── ───  Reserve stock for an order,…  making 2 pass\n"
        "      attempt 1 of 4 · 3:12 · codellama-7b\n"
        "T-11  ━━━ ━━─ ─── ───  List stock below threshold          blocked\n"
        "      the same test failed four times · attempt 4 of 4\n"
        "      1 waiting\n"
        "\n"
        "61/61 tests green   coverage 92 %   412k tokens, 93 % cached\n");
    check_lines(&view, 67, 6, true,
        "Warehouse API  building  1 of 4 tickets   12:40, about 25 min left\n"
        "      1 done\n"
        "T-10  ━━━ ━━─ ─── ───  Reserve stock for an order,…  making 2 pass\n"
        "T-11  ━━━ ━━─ ─── ───  List stock below threshold          blocked\n"
        "      1 waiting\n"
        "61/61 tests green   coverage 92 %   412k tokens, 93 % cached\n");
    check_lines(&view, 67, 3, true,
        "Warehouse API  building  1 of 4 tickets   12:40, about 25 min left\n"
        "      1 done\n"
        "61/61 tests green   coverage 92 %   412k tokens, 93 % cached\n");
    check_lines(&view, 67, 1, true,
        "61/61 tests green   coverage 92 %   412k tokens, 93 % cached\n");
    check_lines(&view, 67, 0, true, "");
}

static void no_line_is_wider_and_no_page_higher_than_the_terminal(void **state)
{
    (void)state;
    enum bar_segment many[300] = { BAR_GREEN, BAR_RED };
    struct live_ticket wild[] = {
        { .id = "T-1", .title = "在庫を注文のために確保する", .state = LIVE_WORKING, .criteria = many,
          .criterion_count = 300, .phase = "red", .tail = "在庫\x1b[2J", .tail_len = 10 },
        { .id = "T-123456789", .title = "two\nlines\r\x1b[31m\xff", .state = LIVE_REVIEW, .criteria = many,
          .criterion_count = 20, .note = "x" },
        { .state = LIVE_BLOCKED }, /* nothing known at all */
    };
    struct live_view v = { .project = "在庫", .tickets = wild, .ticket_count = 3, .coverage_percent = -1,
                           .cached_tokens = -1, .rest_ms = -1 };
    for (int width = 0; width <= 120; width++) {
        for (int height = 0; height <= 20; height++) {
            struct live_size size = { width, height, false, true };
            STR_LOCAL(out);
            live_render(&v, &size, &out);
            assert_null(strchr(out.data, '\033'));
            int lines = 0;
            for (const char *at = out.data; *at; lines++) {
                size_t len = strcspn(at, "\n");
                assert_true(text_columns(at, len) <= (size_t)(width > 1 ? width - 1 : 1));
                at += len + 1;
            }
            assert_true(lines <= height);
        }
    }
}

static void red_and_green_mean_test_states(void **state)
{
    (void)state;
    struct live_size size = { 80, 24, true, true };
    STR_LOCAL(out);
    live_render(&view, &size, &out);
    assert_non_null(strstr(out.data, "\033[32m━━━\033[0m \033[31m━━─\033[0m \033[2m───\033[0m"));
    assert_non_null(strstr(out.data, "\033[34mmaking 2 pass\033[0m"));
    assert_null(strstr(out.data, "\033[31mblocked"));
    assert_null(strstr(out.data, "\033[32mdone"));
}

static void what_is_no_ticket_has_a_row_and_is_not_counted(void **state)
{
    (void)state;
    struct live_ticket rows[] = { tickets[0], { .id = "F-1", .title = "Stock", .state = LIVE_WORKING, .is_other = true,
                                                .phase = "appraise", .elapsed_ms = 1000 } };
    struct live_view v = { .project = "units", .headline = "build", .tickets = rows, .ticket_count = 2, .coverage_percent = -1,
                           .cached_tokens = -1, .rest_ms = -1, .tokens = 900, .elapsed_ms = 3999 };
    check_lines(&v, 60, 10, true, "units  build                           1 of 1 ticket   0:03\n\n"
                "T-7  ━━━ ━━━ ━━━  Read the article file                done\n"
                "F-1               Stock                           in review\n"
                "     0:01\n\n900 tokens\n");
}

static void unknown_numbers_are_not_shown(void **state)
{
    (void)state;
    struct live_view v = { .project = "units", .headline = "planning", .coverage_percent = -1,
                           .cached_tokens = -1, .rest_ms = -1, .tokens = 900, .elapsed_ms = 3999 };
    check_lines(&v, 60, 10, true, "units  planning                                        0:03\n900 tokens\n");
    STR_LOCAL(line);
    live_render_line(&view, &line);
    assert_string_equal(line.data, "building: 1 of 4 tickets, 61/61 tests green, coverage 92 %, "
                                   "412k tokens, 93 % cached, 12:40, about 25 min left");
}

static void numbers_stay_short(void **state)
{
    (void)state;
    struct { int64_t n; const char *text; } counts[] = {
        { 0, "0" }, { 999, "999" }, { 1000, "1.0k" }, { 9949, "9.9k" }, { 9950, "10k" },
        { 999499, "999k" }, { 999500, "1.0M" }, { 3100000, "3.1M" },
    }, durations[] = {
        { -5, "0:00" }, { 999, "0:00" }, { 7000, "0:07" }, { 760000, "12:40" }, { 3723000, "1:02:03" },
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        STR_LOCAL(out);
        live_count(counts[i].n, &out);
        assert_string_equal(out.data, counts[i].text);
    }
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        STR_LOCAL(out);
        live_duration(durations[i].n, &out);
        assert_string_equal(out.data, durations[i].text);
    }
}

/* ---- on a terminal ---- */

enum { ROWS = 14, COLUMNS = 62 };

/* A terminal in miniature: what live_screen.c uses of one, for one-column characters. */
struct screen {
    char cell[ROWS][COLUMNS][5];
    int row, column;
    bool cursor;
    size_t bytes;
};

static struct screen screen;
static int person, tty;

static void scroll(void)
{
    memmove(screen.cell[0], screen.cell[1], sizeof screen.cell[0] * (ROWS - 1));
    memset(screen.cell[ROWS - 1], 0, sizeof screen.cell[0]);
    screen.row = ROWS - 1;
}

static const char *obey_escape(const char *at)
{
    char final;
    int number = 0;
    bool is_private = at[1] == '?';
    at += is_private ? 2 : 1;
    for (; (*at >= '0' && *at <= '9') || *at == ';'; at++)
        number = *at == ';' ? 0 : number * 10 + *at - '0';
    final = *at++;
    if (is_private && number == 25)
        screen.cursor = final == 'h';
    else if (final == 'A')
        screen.row = screen.row > number ? screen.row - number : 0;
    else if (final == 'K' || final == 'J')
        memset(screen.cell[screen.row][screen.column], 0, sizeof screen.cell[0][0] * (size_t)(COLUMNS - screen.column));
    else if (!is_private && final != 'm')
        fail_msg("the terminal does not know ESC[...%c", final);
    if (final == 'J' && screen.row + 1 < ROWS)
        memset(screen.cell[screen.row + 1], 0, sizeof screen.cell[0] * (size_t)(ROWS - 1 - screen.row));
    return at;
}

static void feed(const char *at)
{
    while (*at) {
        if (*at == '\033') {
            at = obey_escape(at + 1);
        } else if (*at == '\r') {
            screen.column = 0;
            at++;
        } else if (*at == '\n') {
            if (++screen.row == ROWS)
                scroll();
            at++;
        } else {
            int len = (unsigned char)*at < 0x80 ? 1 : (unsigned char)*at >= 0xe0 ? 3 : 2;
            assert_true(screen.column < COLUMNS);
            snprintf(screen.cell[screen.row][screen.column++], 5, "%.*s", len, at);
            at += len;
        }
    }
}

/* Reads what was written so far and returns the screen as text. */
static const char *look(void)
{
    static char text[ROWS * COLUMNS * 4], bytes[1 << 16];
    screen.bytes = 0;
    assert_int_equal(write(tty, "\a", 1), 1); /* behind all that was drawn */
    while (screen.bytes == 0 || bytes[screen.bytes - 1] != '\a') {
        ssize_t n = read(person, bytes + screen.bytes, sizeof bytes - 1 - screen.bytes);
        assert_true(n > 0);
        screen.bytes += (size_t)n;
    }
    bytes[--screen.bytes] = '\0';
    feed(bytes);
    size_t len = 0;
    for (int r = 0; r < ROWS; r++) {
        for (int c = 0; c < COLUMNS; c++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s", screen.cell[r][c]);
        text[len++] = '\n';
    }
    while (len > 1 && text[len - 2] == '\n')
        len--;
    text[len] = '\0';
    return text;
}

static int open_screen(void **state)
{
    (void)state;
    struct winsize size = { .ws_col = COLUMNS, .ws_row = ROWS };
    memset(&screen, 0, sizeof screen);
    screen.cursor = true;
    return openpty(&person, &tty, NULL, NULL, &size);
}

static int close_screen(void **state)
{
    (void)state;
    close(person);
    close(tty);
    return 0;
}

static struct term terminal(void)
{
    return (struct term){ .in_fd = tty, .out_fd = tty, .is_terminal = true, .unicode = true,
                          .width = COLUMNS, .height = ROWS };
}

static void render(const struct live_view *v, int width, struct str *out)
{
    struct live_size size = { width, ROWS - 1, false, true };
    str_clear(out);
    live_render(v, &size, out);
}

static void the_screen_always_shows_the_last_state(void **state)
{
    (void)state;
    struct term t = terminal();
    struct live *l = live_open(&t);
    struct live_view v = view;
    STR_LOCAL(lines);
    for (size_t step = 0; step < 30; step++) {
        v.ticket_count = (step * 7) % 5; /* grows and shrinks */
        v.tokens = 1000 * (int64_t)step;
        live_draw(l, &v, true);
        render(&v, COLUMNS, &lines);
        assert_string_equal(look(), lines.data);
        assert_false(screen.cursor);
    }
    live_close(l, true);
    assert_string_equal(look(), lines.data);
    assert_true(screen.cursor);
}

static void lines_that_did_not_change_are_not_written(void **state)
{
    (void)state;
    struct term t = terminal();
    struct live *l = live_open(&t);
    struct live_view v = view;
    v.ticket_count = 3;
    live_draw(l, &v, true);
    look();
    live_draw(l, &v, true);
    look();
    assert_true(screen.bytes < 60); /* moving only */
    v.tokens += 5000;
    live_draw(l, &v, true);
    look();
    assert_true(screen.bytes < 160); /* and one line */
    live_close(l, true);
}

static void drawing_more_than_ten_times_a_second_is_put_off(void **state)
{
    (void)state;
    struct term t = terminal();
    struct live *l = live_open(&t);
    struct live_view v = view;
    live_draw(l, &v, false);
    look();
    v.tokens = 1;
    live_draw(l, &v, false);
    look();
    assert_int_equal(screen.bytes, 0);
    live_close(l, true);
}

static void printed_lines_stay_above(void **state)
{
    (void)state;
    struct term t = terminal();
    struct live *l = live_open(&t);
    struct live_view v = view;
    v.ticket_count = 1;
    live_draw(l, &v, true);
    live_print(l, "T-7 done\nand more\x1b[2J");
    STR_LOCAL(lines), wanted = STR_INIT;
    render(&v, COLUMNS, &lines);
    str_addf(&wanted, "T-7 done\nand more?[2J\n%s", lines.data);
    assert_string_equal(look(), wanted.data);
    live_draw(l, &v, true);
    assert_string_equal(look(), wanted.data);
    live_close(l, false);
    assert_string_equal(look(), "T-7 done\nand more?[2J\n");
    str_release(&wanted);
}

static void a_narrower_terminal_is_drawn_anew(void **state)
{
    (void)state;
    struct term t = terminal();
    struct live *l = live_open(&t);
    live_draw(l, &view, true);
    look();
    struct winsize size = { .ws_col = 40, .ws_row = ROWS };
    assert_int_equal(ioctl(tty, TIOCSWINSZ, &size), 0);
    memset(&screen, 0, sizeof screen); /* where the old rows end is the terminal's affair */
    live_draw(l, &view, true);
    STR_LOCAL(lines);
    render(&view, 40, &lines);
    assert_string_equal(look(), lines.data);
    live_close(l, true);
}

/* Ends in a child that has the view open, and sees the cursor back. */
static void check_restored(int signal_number)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (signal_number)
            signal(signal_number, SIG_DFL);
        struct term t = terminal();
        live_draw(live_open(&t), &view, true);
        if (signal_number)
            raise(signal_number);
        exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (signal_number)
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signal_number);
    look();
    assert_true(screen.bytes > 0);
    assert_true(screen.cursor);
}

static void the_cursor_comes_back_however_it_ends(void **state)
{
    (void)state;
    check_restored(0);
    check_restored(SIGTERM);
    check_restored(SIGINT);
    check_restored(SIGSEGV);
}

static void a_handler_of_somebody_else_is_left_alone(void **state)
{
    (void)state;
    struct sigaction before, after;
    signal(SIGINT, SIG_IGN);
    sigaction(SIGINT, NULL, &before);
    struct term t = terminal();
    live_close(live_open(&t), true);
    sigaction(SIGINT, NULL, &after);
    assert_true(after.sa_handler == SIG_IGN);
    signal(SIGINT, SIG_DFL);
    live_close(live_open(&t), true);
    sigaction(SIGINT, NULL, &after);
    assert_true(after.sa_handler == SIG_DFL);
}

#define ON_SCREEN(test) cmocka_unit_test_setup_teardown(test, open_screen, close_screen)

int main(void)
{
    text_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_reads_as_one_line_for_each_ticket),
        cmocka_unit_test(ascii_says_the_same),
        cmocka_unit_test(what_does_not_fit_folds_before_it_is_cut),
        cmocka_unit_test(no_line_is_wider_and_no_page_higher_than_the_terminal),
        cmocka_unit_test(red_and_green_mean_test_states),
        cmocka_unit_test(what_is_no_ticket_has_a_row_and_is_not_counted),
        cmocka_unit_test(unknown_numbers_are_not_shown),
        cmocka_unit_test(numbers_stay_short),
        ON_SCREEN(the_screen_always_shows_the_last_state),
        ON_SCREEN(lines_that_did_not_change_are_not_written),
        ON_SCREEN(drawing_more_than_ten_times_a_second_is_put_off),
        ON_SCREEN(printed_lines_stay_above),
        ON_SCREEN(a_narrower_terminal_is_drawn_anew),
        ON_SCREEN(the_cursor_comes_back_however_it_ends),
        ON_SCREEN(a_handler_of_somebody_else_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
