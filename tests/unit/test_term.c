/* The terminal: capabilities, questions and the editor, on a real pseudo-terminal. */
#include "check.h"

#include "base/arena.h"
#include "base/setting.h"
#include "base/str.h"
#include "cli/term.h"
#include "os/files.h"

#include <locale.h>
#include <pty.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena arena;
static struct settings settings;
static int person, tty; /* the two ends: what a person types, what Tandem reads */
static const struct choice choices[] = { { 'a', "accept" }, { 'e', "edit" }, { 's', "stop" } };

static int open_terminal(void **state)
{
    (void)state;
    struct winsize size = { .ws_col = 61, .ws_row = 17 };
    settings_init(&settings, &arena);
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    return openpty(&person, &tty, NULL, NULL, &size);
}

static int close_terminal(void **state)
{
    (void)state;
    close(person);
    close(tty);
    arena_release(&arena);
    return 0;
}

static void type(const char *text)
{
    assert_int_equal(write(person, text, strlen(text)), strlen(text));
}

/* What the person has seen since the last look.  Bytes take their time through a terminal;
 * a bell sent behind them tells that all have arrived. */
static const char *screen(void)
{
    static char seen[20000];
    size_t len = 0;
    assert_int_equal(write(tty, "\a", 1), 1);
    while (len == 0 || seen[len - 1] != '\a') {
        ssize_t n = read(person, seen + len, sizeof seen - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
    }
    seen[len - 1] = '\0';
    return seen;
}

static struct term terminal(void)
{
    struct term t;
    term_init(&t, tty, tty, &settings);
    return t;
}

static void a_terminal_tells_what_it_can_do(void **state)
{
    (void)state;
    struct term t = terminal();
    assert_true(t.is_terminal && t.can_ask && t.colors && t.unicode);
    assert_int_equal(t.width, 61);
    assert_int_equal(t.height, 17);
}

static void no_color_and_dumb_terminals_get_no_colors(void **state)
{
    (void)state;
    setenv("NO_COLOR", "1", 1);
    assert_false(terminal().colors);
    setenv("NO_COLOR", "", 1); /* the convention: empty does not count */
    assert_true(terminal().colors);
    setenv("TERM", "dumb", 1);
    struct term t = terminal();
    assert_false(t.colors || t.is_terminal);
    assert_true(t.can_ask);
    settings.color = SETTING_ALWAYS; /* the setting wins */
    assert_true(terminal().colors);
    assert_string_equal(term_ink(false, INK_RED), "");
}

static void another_locale_gets_ascii(void **state)
{
    (void)state;
    setenv("LC_ALL", "C", 1);
    assert_false(terminal().unicode);
    settings.unicode = SETTING_ALWAYS;
    assert_true(terminal().unicode);
    assert_string_equal(term_ellipsis(false), "...");
}

static void a_pipe_is_no_terminal(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct term t;
    term_init(&t, ends[0], ends[1], &settings);
    assert_false(t.is_terminal || t.can_ask || t.colors);
    assert_int_equal(t.width, 80);
    struct err e;
    char letter = '-';
    STR_LOCAL(out);
    check_err(term_ask(&t, "The spec?", choices, 3, "run with --yes to accept", &letter, &e),
              ERR_UNAVAILABLE, &e, "no terminal to ask \"The spec?\" on; run with --yes to accept");
    check_err(term_ask_line(&t, "What?", "use --hint", &out, &e), ERR_UNAVAILABLE, &e, "use --hint");
    check_err(term_edit(&t, "x.md", "x", 1, &out, &e), ERR_UNAVAILABLE, &e, "no terminal");
    assert_int_equal(letter, '-');
    close(ends[0]);
    close(ends[1]);
}

static void a_choice_is_its_letter_or_its_word(void **state)
{
    (void)state;
    struct term t = terminal();
    struct err e;
    struct { const char *typed; char letter; } good[] = {
        { "a\n", 'a' }, { "E\n", 'e' }, { "  stop \n", 's' }, { "acc\n", 'a' }, { "ACCEPT\n", 'a' },
        { "\nx\naccept it\nee\ne\n", 'e' }, /* asked again until it is one */
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char letter = '-';
        type(good[i].typed);
        check_ok(term_ask(&t, "Spec", choices, 3, "", &letter, &e), &e);
        assert_int_equal(letter, good[i].letter);
        screen();
    }
    t.colors = false;
    char letter;
    type("s\n");
    check_ok(term_ask(&t, "Spec", choices, 3, "", &letter, &e), &e);
    assert_non_null(strstr(screen(), "Spec  [a]ccept [e]dit [s]top  "));
}

static void questions_end(void **state)
{
    (void)state;
    struct term t = terminal();
    struct err e;
    char letter = '-';
    type("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
    check_err(term_ask(&t, "Spec", choices, 3, "", &letter, &e), ERR_LIMIT, &e, "none of those offered");
    type("\004"); /* Ctrl-D */
    check_err(term_ask(&t, "Spec", choices, 3, "", &letter, &e), ERR_CANCELLED, &e, "no answer");
    atomic_bool cancel = true;
    t.cancel = &cancel;
    check_err(term_ask(&t, "Spec", choices, 3, "", &letter, &e), ERR_CANCELLED, &e, "stopped");
    assert_int_equal(letter, '-');
}

static void a_line_is_read_as_it_is(void **state)
{
    (void)state;
    struct term t = terminal();
    struct err e;
    STR_LOCAL(out);
    type(" Größe in m², bitte\n");
    check_ok(term_ask_line(&t, "What shall change?", "", &out, &e), &e);
    assert_string_equal(out.data, " Größe in m², bitte");
    assert_non_null(strstr(screen(), "What shall change? "));
}

/* An editor of ours: a script in a private directory whose name has a space in it. */
static const char *make_editor(const char *script)
{
    char *folder = arena_strdup(&arena, "/tmp/tandem test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    struct err e;
    int dir;
    check_ok(dir_open(folder, false, &dir, &e), &e);
    check_ok(file_write(dir, "ed", script, strlen(script), 0755, false, &e), &e);
    close(dir);
    return folder;
}

static void remove_editor(const char *folder)
{
    struct err e;
    int dir;
    check_ok(dir_open(folder, false, &dir, &e), &e);
    check_ok(dir_empty(dir, &e), &e);
    close(dir);
    assert_int_equal(rmdir(folder), 0);
}

static void the_editor_gets_the_text_and_gives_it_back(void **state)
{
    (void)state;
    struct term t = terminal();
    struct err e;
    STR_LOCAL(out);
    const char *folder = make_editor("#!/bin/sh\n[ \"$1\" = 'a  b' ] && [ -t 0 ] && [ -t 1 ] || exit 9\n"
                                     "case $2 in */spec.md) ;; *) exit 8 ;; esac\n"
                                     "echo more >>\"$2\"; echo \"$2\" >\"$(dirname \"$0\")/path\"\n");
    setenv("VISUAL", arena_printf(&arena, "'%s/ed' \"a  b\"", folder), 1);
    check_ok(term_edit(&t, "spec.md", "one\n", 4, &out, &e), &e);
    assert_string_equal(out.data, "one\nmore\n");
    STR_LOCAL(path);
    check_ok(file_read_path(arena_printf(&arena, "%s/path", folder), 4096, &path, &e), &e);
    str_rtrim(&path);
    struct stat gone;
    assert_int_equal(stat(path.data, &gone), -1); /* nothing is left behind */
    remove_editor(folder);
}

static void an_editor_that_fails_changes_nothing(void **state)
{
    (void)state;
    struct term t = terminal();
    struct err e;
    STR_LOCAL(out);
    const char *folder = make_editor("#!/bin/sh\necho lost >\"$1\"\nexit 1\n");
    setenv("VISUAL", arena_printf(&arena, "\"%s/ed\"", folder), 1);
    check_err(term_edit(&t, "spec.md", "one\n", 4, &out, &e), ERR_CANCELLED, &e, "nothing was changed");
    setenv("VISUAL", "/nonexistent/editor", 1);
    check_err(term_edit(&t, "spec.md", "one\n", 4, &out, &e), ERR_UNAVAILABLE, &e, "/nonexistent/editor");
    setenv("VISUAL", "  ", 1);
    setenv("EDITOR", "", 1);
    setenv("PATH", folder, 1);
    check_err(term_edit(&t, "spec.md", "one\n", 4, &out, &e), ERR_UNAVAILABLE, &e, "set EDITOR");
    assert_int_equal(out.len, 0);
    remove_editor(folder);
}

#define ON_TERMINAL(test) cmocka_unit_test_setup_teardown(test, open_terminal, close_terminal)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_TERMINAL(a_terminal_tells_what_it_can_do),
        ON_TERMINAL(no_color_and_dumb_terminals_get_no_colors),
        ON_TERMINAL(another_locale_gets_ascii),
        ON_TERMINAL(a_pipe_is_no_terminal),
        ON_TERMINAL(a_choice_is_its_letter_or_its_word),
        ON_TERMINAL(questions_end),
        ON_TERMINAL(a_line_is_read_as_it_is),
        ON_TERMINAL(the_editor_gets_the_text_and_gives_it_back),
        ON_TERMINAL(an_editor_that_fails_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
