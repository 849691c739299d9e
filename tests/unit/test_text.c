/* Text in columns: wide characters, controls, cropping, wrapping. */
#include "check.h"

#include "base/str.h"
#include "cli/text.h"

static size_t columns(const char *text)
{
    return text_columns(text, strlen(text));
}

static void columns_are_what_a_terminal_shows(void **state)
{
    (void)state;
    assert_int_equal(columns(""), 0);
    assert_int_equal(columns("plain"), 5);
    assert_int_equal(columns("größe"), 5);
    assert_int_equal(columns("在庫"), 4);         /* wide */
    assert_int_equal(columns("e\xcc\x81"), 1);    /* combining */
    assert_int_equal(columns("a\tb\n"), 4);
    assert_int_equal(columns("\xff\xc3"), 2);     /* not UTF-8 */
}

static void check_fit(const char *text, size_t width, const char *wanted)
{
    STR_LOCAL(out);
    size_t done = text_fit(&out, text, strlen(text), width, "…");
    assert_string_equal(out.data, wanted);
    assert_int_equal(done, columns(wanted));
    assert_true(done <= width);
}

static void cropping_never_splits_a_character(void **state)
{
    (void)state;
    check_fit("plain", 5, "plain");
    check_fit("plain", 4, "pla…");
    check_fit("在庫管理", 8, "在庫管理");
    check_fit("在庫管理", 7, "在庫管…");
    check_fit("在庫管理", 6, "在庫…");
    check_fit("在庫管理", 1, "…");
    check_fit("在庫管理", 0, "");
}

static void the_tail_is_kept_where_the_end_matters(void **state)
{
    (void)state;
    STR_LOCAL(out);
    text_fit_tail(&out, "return self.free", 16, 10, "…");
    assert_string_equal(out.data, "…self.free");
    str_clear(&out);
    text_fit_tail(&out, "ab在庫", 8, 4, "…");
    assert_string_equal(out.data, "…庫");
    str_clear(&out);
    text_fit_tail(&out, "short", 5, 10, "…");
    assert_string_equal(out.data, "short");
}

static void nothing_that_a_terminal_would_obey_gets_through(void **state)
{
    (void)state;
    STR_LOCAL(out);
    const char *text = "a\x1b[31mb\r\nc\x07\x9b\xc2\x9b\x7f\xe2\x80\xae" "d";
    text_fit(&out, text, strlen(text), 100, "");
    assert_string_equal(out.data, "a?[31mb  c?????d");
}

static void check_wrap(const char *text, size_t indent, size_t width, const char *wanted)
{
    char *data = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&data, &len);
    text_wrap(f, text, indent, width);
    fclose(f);
    assert_string_equal(data, wanted);
    free(data);
}

static void paragraphs_wrap_and_verbatim_lines_stay(void **state)
{
    (void)state;
    check_wrap("one two three", 0, 9, "one two\nthree\n");
    check_wrap("one two three", 2, 9, "  one two\n  three\n");
    check_wrap("one\ntwo\n\nthree", 0, 80, "one two\n\nthree\n");
    check_wrap("see:\n  $ a   b\n  $ c\nthen\n", 1, 80, " see:\n   $ a   b\n   $ c\n then\n");
    check_wrap("unbreakable", 0, 4, "unbreakable\n");
    check_wrap("", 0, 80, "");
}

int main(void)
{
    text_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_what_a_terminal_shows),
        cmocka_unit_test(cropping_never_splits_a_character),
        cmocka_unit_test(the_tail_is_kept_where_the_end_matters),
        cmocka_unit_test(nothing_that_a_terminal_would_obey_gets_through),
        cmocka_unit_test(paragraphs_wrap_and_verbatim_lines_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
