/* test_output.c - what a terminal is sent. */
#include "check.h"

#include "base/str.h"
#include "cli/output.h"
#include "cli/text.h"

#include <sys/mman.h>
#include <unistd.h>

/* What arrives when `text` is printed on a terminal of `width` columns. */
static void check_shown(const char *text, size_t width, const char *wanted)
{
    int fd = memfd_create("terminal", MFD_CLOEXEC);
    assert_true(fd >= 0);
    FILE *out = output_open_fd(fd, width);
    fputs(text, out);
    output_close(out, NULL);
    char shown[4096] = "";
    ssize_t n = pread(fd, shown, sizeof shown - 1, 0);
    assert_true(n >= 0);
    assert_string_equal(shown, wanted);
    close(fd);
}

static void lines_break_between_words(void **state)
{
    (void)state;
    check_shown("one two three\n", 9, "one two\nthree\n");
    check_shown("one two\n", 7, "one two\n");
    check_shown("one  two   three\n\nx\n", 80, "one  two   three\n\nx\n");
    check_shown("the end without newline", 12, "the end\nwithout\nnewline");
}

static void what_is_longer_than_a_line_is_left_to_the_terminal(void **state)
{
    (void)state;
    check_shown("a unbreakable b\n", 6, "a\nunbreakable\nb\n");
}

static void the_rest_hangs_below_where_the_text_began(void **state)
{
    (void)state;
    check_shown("- one two three\n", 10, "- one two\n  three\n");
    check_shown("  12. one two three\n", 14, "  12. one two\n      three\n");
    check_shown("  [3] one two three\n", 14, "  [3] one two\n      three\n");
    check_shown("    one two three\n", 12, "    one two\n    three\n");
    check_shown("16  09:30  one two three four\n", 24, "16  09:30  one two three\n           four\n");
}

static void our_own_inks_come_through_and_take_no_room(void **state)
{
    (void)state;
    FILE *ours = output_open_fd(STDERR_FILENO, 80);
    const char *const *inks = output_inks(ours, true);
    char text[400];
    snprintf(text, sizeof text, "a%sred%s b\n", inks[INK_RED], inks[INK_PLAIN]);
    check_shown(text, 7, "a\033[31mred\033[0m b\n");
    snprintf(text, sizeof text, "a%s%sb%s%sc\n", inks[INK_RED], inks[INK_STRONG], inks[INK_PLAIN], inks[INK_QUIET]);
    check_shown(text, 7, "a\033[31m\033[1mb\033[0m\033[2mc\n");
    snprintf(text, sizeof text, "%s1.%s one two\n", inks[INK_STRONG], inks[INK_PLAIN]);
    check_shown(text, 9, "\033[1m1.\033[0m one\n   two\n");
    assert_string_equal(output_inks(ours, false)[INK_RED], "");
    assert_string_equal(output_inks(stdout, true)[INK_RED], "\033[31m");
    output_close(ours, NULL);
}

static void nothing_that_others_wrote_is_obeyed(void **state)
{
    (void)state;
    check_shown("a\033[31mred\033[8m b\033[0m\n", 80, "a?[31mred?[8m b?[0m\n");
    check_shown("a\03300000000000000004 b\n", 80, "a?00000000000000004 b\n");
    check_shown("a\033[2Jb\033]0;title\007c\rd\033", 80, "a?[2Jb?]0;title?c d?");
    check_shown("abc\xe2\x80\xae" "def \xff\n", 80, "abc?def ?\n");
}

static void wide_characters_count_twice(void **state)
{
    (void)state;
    check_shown("\xe6\x97\xa5\xe6\x9c\xac x y\n", 6, "\xe6\x97\xa5\xe6\x9c\xac x\ny\n");
}

static void a_file_gets_the_bytes_as_they_are(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_ptr_equal(output_open(file), file);
    output_close(file, file);
    assert_true(fputs("still open", file) >= 0);
    fclose(file);
}

int main(void)
{
    text_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_break_between_words),
        cmocka_unit_test(what_is_longer_than_a_line_is_left_to_the_terminal),
        cmocka_unit_test(the_rest_hangs_below_where_the_text_began),
        cmocka_unit_test(our_own_inks_come_through_and_take_no_room),
        cmocka_unit_test(nothing_that_others_wrote_is_obeyed),
        cmocka_unit_test(wide_characters_count_twice),
        cmocka_unit_test(a_file_gets_the_bytes_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
