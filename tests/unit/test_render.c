/* Parts of prompts: what is shown of files and of failures. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "base/utf8.h"
#include "team/render.h"

static void a_fence_is_longer_than_any_in_the_file(void **state)
{
    (void)state;
    STR_LOCAL(out);
    render_file(&out, "README.md", "```\ncode\n```", 12);
    assert_string_equal(out.data, "### README.md\n````\n```\ncode\n```\n````\n\n");
}

static void a_binary_file_is_named_and_not_shown(void **state)
{
    (void)state;
    STR_LOCAL(out);
    render_file(&out, "logo.png", "\x89PNG\0\0\1", 7);
    assert_string_equal(out.data, "### logo.png\n(a binary file of 7 bytes)\n\n");
}

static void cut_output_stays_utf8(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    STR_LOCAL(euros);
    for (int i = 0; i < 3000; i++)
        str_add(&euros, "\xE2\x82\xAC");
    struct test_result failed = { "t.py::T::test", TEST_FAILED, euros.data };
    struct test_results results = { &failed, 1, "" };
    for (size_t max = 1000; max < 1006; max++) {
        const char *text = render_output(&a, euros.data, max);
        assert_true(utf8_valid(text, strlen(text), NULL));
        assert_non_null(strstr(text, "(earlier lines left out)"));
        text = render_failures(&a, &results, euros.data, max);
        assert_true(utf8_valid(text, strlen(text), NULL));
    }
}

static void what_was_printed_is_shown_when_nothing_failed_in_words(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct test_result tests[] = { { "t.py::T::a", TEST_PASSED, "" }, { "t.py::T::b", TEST_FAILED, "1 != 2" } };
    struct test_results results = { tests, 2, "" };
    const char *text = render_failures(&a, &results, "hello\n", 4000);
    assert_non_null(strstr(text, "t.py::T::b failed\n1 != 2"));
    assert_null(strstr(text, "hello"));
    results.count = 1;
    assert_string_equal(render_failures(&a, &results, "hello\n", 4000), "```\nhello\n```");
    assert_string_equal(render_failures(&a, &results, "", 4000), "");
}

static void the_same_long_words_are_said_once(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    char words[301], longer[401];
    memset(words, 'x', 300);
    words[300] = '\0';
    snprintf(longer, sizeof longer, "main.c: y\n%s", words);
    struct test_result tests[] = { { STACK_BUILD_ID, TEST_FAILED, longer }, { "t.c", TEST_ERROR, words },
                                   { "u.c::a", TEST_FAILED, "short" }, { "u.c::b", TEST_FAILED, "short" } };
    struct test_results results = { tests, 4, "" };
    const char *text = render_failures(&a, &results, "", 4000);
    assert_non_null(strstr(text, "t.c error\n(same failure as above)\n"));
    assert_non_null(strstr(text, "u.c::b failed\nshort"));
}

static void the_exception_of_each_failure_is_kept(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    STR_LOCAL(frames);
    for (int i = 0; i < 60; i++)
        str_addf(&frames, "  File \"words.py\", line %d, in count\n", i);
    struct test_result tests[5] = { { "t.py::T::a", TEST_PASSED, "" } };
    for (int i = 1; i < 5; i++)
        tests[i] = (struct test_result){ "t.py::T::b", TEST_FAILED, arena_printf(&a, "%sKeyError: %d", frames.data, i) };
    struct test_results results = { tests, 5, "" };
    const char *text = render_failures(&a, &results, "", 2000);
    for (int i = 1; i < 5; i++)
        assert_non_null(strstr(text, arena_printf(&a, "line 59, in count\nKeyError: %d\n", i)));
    assert_non_null(strstr(text, "[...]\n  File "));
    assert_null(strstr(text, "left out"));
    assert_true(strlen(text) < 2020);
    assert_non_null(strstr(render_failures(&a, &results, "", 600), "(3 further failures left out)"));
    tests[4].message = tests[3].message;
    assert_non_null(strstr(render_failures(&a, &results, "", 2000), "t.py::T::b failed\n(same failure as above)\n"));
}

static void the_build_is_told_only_when_it_fails(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct test_result tests[] = { { STACK_BUILD_ID, TEST_PASSED, "" }, { "t.c::a", TEST_PASSED, "" } };
    struct suite_run run = { .results = { tests, 2, "" } };
    assert_string_equal(render_results(&a, &run, NULL), "- 1 tests pass");
    tests[0].outcome = TEST_FAILED;
    assert_string_equal(render_results(&a, &run, NULL), "- build::all: failed\n- 1 other tests pass");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fence_is_longer_than_any_in_the_file),
        cmocka_unit_test(a_binary_file_is_named_and_not_shown),
        cmocka_unit_test(cut_output_stays_utf8),
        cmocka_unit_test(what_was_printed_is_shown_when_nothing_failed_in_words),
        cmocka_unit_test(the_same_long_words_are_said_once),
        cmocka_unit_test(the_exception_of_each_failure_is_kept),
        cmocka_unit_test(the_build_is_told_only_when_it_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
