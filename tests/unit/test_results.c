/* Readers of TAP, JUnit XML, LCOV and gcov: what they understand, what they survive. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "base/utf8.h"
#include "repo/results.h"

static struct test_results tap(struct arena *a, const char *text)
{
    struct err e;
    struct test_results r = { 0 };
    check_ok(results_read_tap(a, text, strlen(text), &r, &e), &e);
    return r;
}

static struct test_results junit(struct arena *a, const char *text)
{
    struct err e;
    struct test_results r = { 0 };
    check_ok(results_read_junit(a, text, strlen(text), &r, &e), &e);
    return r;
}

static void check_test(const struct test_results *r, const char *id, enum test_outcome outcome, const char *words)
{
    const struct test_result *t = results_find(r, id);
    if (!t)
        fail_msg("no test \"%s\" among %zu", id, r->count);
    if (t->outcome != (int)outcome)
        fail_msg("%s: %s, not %s", id, test_outcome_names[t->outcome], test_outcome_names[outcome]);
    if (words && !strstr(t->message, words))
        fail_msg("%s: \"%s\" does not say \"%s\"", id, t->message, words);
}

/* ---- TAP ---- */

static void tap_outcomes_and_directives_are_read(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct test_results r = tap(&a, "TAP version 14\n1..9\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no network\n"
                                    "not ok 4 - d # todo later\nok 5 - e # todo\nok\nok 7 with # hash \\# and \\\\\n"
                                    "ok - no number\nnot ok 9\r\n");
    assert_int_equal(r.count, 9);
    assert_string_equal(r.incomplete, "");
    check_test(&r, "a", TEST_PASSED, NULL);
    check_test(&r, "b", TEST_FAILED, NULL);
    check_test(&r, "c", TEST_SKIPPED, "no network");
    check_test(&r, "d", TEST_SKIPPED, "later");
    check_test(&r, "e", TEST_PASSED, NULL);
    check_test(&r, "test 6", TEST_PASSED, NULL);
    check_test(&r, "with # hash # and \\", TEST_PASSED, NULL);
    check_test(&r, "no number", TEST_PASSED, NULL);
    check_test(&r, "test 9", TEST_FAILED, NULL);
}

static void tap_yaml_blocks_and_comments_become_the_message(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct test_results r = tap(&a, "1..3\nnot ok 1 - a\n  ---\n  message: |\n    expected 1\n    got 2\n  severity: error\n"
                                    "  ...\n# after\nnot ok 2 - b\n# expected 3\n#   got 4\n"
                                    "not ok 3 - c\n  ---\n  message: cut off here\n");
    check_test(&r, "a", TEST_ERROR, "message: |\n  expected 1\n  got 2\nafter");
    check_test(&r, "b", TEST_FAILED, "expected 3\n  got 4");
    check_test(&r, "c", TEST_FAILED, "cut off here");
}

static void tap_subtests_and_noise_are_ignored(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct test_results r = tap(&a, "hello\nokay then\nnot okay\n    ok 1 - inner\n    1..1\nok 1 - outer\n1..1 # all\n"
                                    "1..x\n1..5 apples\npragma +strict\n");
    assert_int_equal(r.count, 1);
    check_test(&r, "outer", TEST_PASSED, NULL);
    assert_string_equal(r.incomplete, "");
}

static void tap_that_breaks_off_is_incomplete(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_string_equal(tap(&a, "1..3\nok 1\nok 2\n").incomplete, "planned 3 tests, saw 2");
    assert_string_equal(tap(&a, "1..1\nok 1\nok 2\n").incomplete, "planned 1 tests, saw 2");
    assert_string_equal(tap(&a, "ok 1 - a\n").incomplete, "no plan: the run ended before it was complete");
    assert_string_equal(tap(&a, "1..1\nok 1\n1..1\n").incomplete, "two plans in one run");
    struct test_results r = tap(&a, "1..2\nok 1 - a\nBail out! disk on fire\nok 2 - b\n");
    assert_string_equal(r.incomplete, "the run was given up: disk on fire");
    assert_int_equal(r.count, 1);
    r = tap(&a, "1..0 # skip nothing here\n");
    assert_int_equal(r.count, 0);
    assert_string_equal(r.incomplete, "");
}

static void what_is_not_tap_is_said_to_be_so(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct test_results r = { .count = 7 };
    check_err(results_read_tap(&a, "Segmentation fault\n", 19, &r, &e), ERR_INVALID, &e, "no line of TAP");
    check_err(results_read_tap(&a, "", 0, &r, &e), ERR_INVALID, &e, "no line of TAP");
    assert_int_equal(r.count, 7);
}

static void a_repeated_id_keeps_its_worst_outcome(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct test_results r = tap(&a, "1..5\nok 1 - a\nnot ok 2 - a\n# why\nok 3 - a # SKIP x\nok 4 - b # SKIP x\nok 5 - b\n");
    assert_int_equal(r.count, 2);
    check_test(&r, "a", TEST_FAILED, "why");
    check_test(&r, "b", TEST_SKIPPED, NULL);
}

static size_t before_bracket(const char *id, void *ctx)
{
    (void)ctx;
    return strcspn(id, "[");
}

static void parametrised_tests_fold_into_one(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct test_results r = tap(&a, "1..3\nok 1 - t[1]\nnot ok 2 - t[2]\n# wrong\nok 3 - [odd]\n");
    results_fold(&r, &a, before_bracket, NULL);
    assert_int_equal(r.count, 2);
    check_test(&r, "t", TEST_FAILED, "[2]: wrong");
    check_test(&r, "[odd]", TEST_PASSED, NULL);
}

static void hostile_tap_is_bounded(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct test_results r;
    STR_LOCAL(text);
    for (int i = 0; i < 20001; i++)
        str_addf(&text, "ok %d - t%d\n", i, i);
    check_err(results_read_tap(&a, text.data, text.len, &r, &e), ERR_LIMIT, &e, "more than 20000 tests");
    str_clear(&text);
    while (text.len <= 8 << 20)
        str_add(&text, "ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok\n");
    check_err(results_read_tap(&a, text.data, text.len, &r, &e), ERR_LIMIT, &e, "at most 8 MiB");

    str_clear(&text);
    str_add(&text, "1..99999999999999999999999\nnot ok 1 - ");
    for (int i = 0; i < 3000; i++)
        str_add(&text, "\xc3\xa9");
    str_add_bytes(&text, "\x00\x1b[31m\xff\n", 8);
    for (int i = 0; i < 20000; i++)
        str_add(&text, "# \xff\n");
    check_ok(results_read_tap(&a, text.data, text.len, &r, &e), &e);
    assert_int_equal(r.count, 1);
    assert_true(strlen(r.tests[0].id) <= 1000);
    assert_true(strlen(r.tests[0].message) <= 8192);
    assert_true(utf8_valid(r.tests[0].id, strlen(r.tests[0].id), NULL));
    assert_true(utf8_valid(r.tests[0].message, strlen(r.tests[0].message), NULL));
    r = tap(&a, "1..1\nok 1 - a\x1b[1mb\x7f\n");
    assert_string_equal(r.tests[0].id, "a?[1mb?");
}

/* ---- JUnit ---- */

static void junit_of_pytest_is_read(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct test_results r = junit(&a,
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><testsuites><testsuite name=\"pytest\" errors=\"1\">"
        "<testcase classname=\"tests.test_units.TestConvert\" name=\"test_metres\" file=\"tests/test_units.py\" line=\"4\" time=\"0.001\"/>"
        "<testcase classname=\"tests.test_units\" name=\"test_plain\" file=\"tests/test_units.py\">"
        "<failure message=\"assert 1 == 2\">def test_plain():\n&gt;   assert 1 == 2\nE   assert 1 == 2</failure></testcase>"
        "<testcase classname=\"\" name=\"tests.test_gone\" file=\"tests/test_gone.py\">"
        "<error message=\"collection failure\">ModuleNotFoundError: No module named 'gone'</error></testcase>"
        "<testcase classname=\"tests.test_units\" name=\"test_later\" file=\"tests/test_units.py\"><skipped type=\"pytest.skip\" message=\"later\"/></testcase>"
        "</testsuite></testsuites>");
    assert_int_equal(r.count, 4);
    check_test(&r, "tests/test_units.py::TestConvert::test_metres", TEST_PASSED, NULL);
    check_test(&r, "tests/test_units.py::test_plain", TEST_FAILED, "def test_plain():\n>   assert 1 == 2");
    check_test(&r, "tests/test_gone.py", TEST_ERROR, "collection failure\nModuleNotFoundError: No module named 'gone'");
    check_test(&r, "tests/test_units.py::test_later", TEST_SKIPPED, "later");
}

static void junit_without_files_uses_the_class(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct test_results r = junit(&a,
        "<testsuite><testcase classname=\"a.b.C\" name=\"d\"><system-out>noise</system-out></testcase>"
        "<testcase name=\"plain\"><failure/><error message=\"teardown\"/></testcase>"
        "<testcase><skipped/></testcase></testsuite>");
    check_test(&r, "a.b.C::d", TEST_PASSED, NULL);
    check_test(&r, "plain", TEST_ERROR, "teardown");
    check_test(&r, "(no name)", TEST_SKIPPED, NULL);
}

static void hostile_junit_is_refused(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct test_results r = { .count = 7 };
    static const struct { const char *text; int code; const char *words; } cases[] = {
        { "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><testsuite>&b;</testsuite>", ERR_REFUSED, "document type" },
        { "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><testsuite/>", ERR_REFUSED, "document type" },
        { "<testsuite><testcase name=\"a\">", ERR_INVALID, "not XML: line 1" },
        { "<html>504</html>", ERR_INVALID, "begins with <html>" },
        { "", ERR_INVALID, "not XML" },
        { "1..1\nok 1\n", ERR_INVALID, "not XML" },
        { "<testsuite>\xff\xfe</testsuite>", ERR_INVALID, "not XML" },
        { "<testsuite>&undefined;</testsuite>", ERR_INVALID, "not XML" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_err(results_read_junit(&a, cases[i].text, strlen(cases[i].text), &r, &e), cases[i].code, &e, cases[i].words);
    STR_LOCAL(text);
    str_add(&text, "<testsuite>");
    for (int i = 0; i < 200; i++)
        str_add(&text, "<a>");
    check_err(results_read_junit(&a, text.data, text.len, &r, &e), ERR_LIMIT, &e, "64 levels");
    str_clear(&text);
    str_add(&text, "<testsuite>");
    for (int i = 0; i < 20001; i++)
        str_add(&text, "<testcase name='x'/>");
    check_err(results_read_junit(&a, text.data, text.len, &r, &e), ERR_LIMIT, &e, "more than 20000 tests");
    assert_int_equal(r.count, 7);
}

/* ---- coverage ---- */

static const struct coverage_file *covered_file(const struct coverage *c, const char *path)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->files[i].path, path) == 0)
            return &c->files[i];
    fail_msg("no coverage of %s", path);
    return NULL;
}

static void lcov_is_added_up_per_file(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct coverage c;
    const char *text = "TN:\nSF:/room/units.py\nDA:1,1\nDA:2,0\nDA:4,0\nDA:5,3,checksum\nDA:9,0\nend_of_record\n"
                       "SF:/usr/lib/python3/x.py\nDA:1,1\nend_of_record\nDA:77,1\n"
                       "SF:units.py\r\nDA:9,2\r\nDA:11,0\r\nend_of_record\r\nSF:./src/b.py\nDA:0,1\nDA:-4,1\nDA:99999999999,1\nend_of_record\n";
    check_ok(coverage_read_lcov(&a, "/room", text, strlen(text), &c, &e), &e);
    assert_int_equal(c.count, 2);
    const struct coverage_file *f = covered_file(&c, "units.py");
    assert_int_equal(f->lines, 6);
    assert_int_equal(f->covered, 3);
    assert_int_equal(f->missing.count, 2);
    assert_string_equal(f->missing.items[0], "2-4");
    assert_string_equal(f->missing.items[1], "11");
    assert_int_equal(covered_file(&c, "src/b.py")->lines, 0);
    assert_int_equal(c.lines, 6);
    check_err(coverage_read_lcov(&a, "/room", "hello\n", 6, &c, &e), ERR_INVALID, &e, "not LCOV");
    check_err(coverage_read_lcov(&a, "/room", "SF:a\nDA:x\n", 10, &c, &e), ERR_INVALID, &e, "DA:x");
}

static bool is_test_path(const char *path, void *ctx)
{
    (void)ctx;
    return strncmp(path, "tests/", 6) == 0;
}

static void gcov_documents_are_united(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct coverage c;
    const char *text =
        "{\"format_version\":\"1\",\"files\":[{\"file\":\"src/units.c\",\"lines\":[{\"line_number\":3,\"count\":0},{\"line_number\":4,\"count\":0}]},"
        "{\"file\":\"/usr/include/stdio.h\",\"lines\":[{\"line_number\":1,\"count\":1}]}]}\n\n"
        "{\"current_working_directory\":\"/room/build\",\"files\":[{\"file\":\"../src/units.c\",\"lines\":[{\"line_number\":3,\"count\":2}]},{\"file\":\"../tests/test_units.c\",\"lines\":[{\"line_number\":1,\"count\":1}]}]}\n";
    check_ok(coverage_read_gcov(&a, "/room", text, strlen(text), &c, &e), &e);
    assert_int_equal(c.count, 2);
    assert_int_equal(c.lines, 3);
    coverage_filter(&c, is_test_path, NULL);
    assert_int_equal(c.count, 1);
    assert_int_equal(c.lines, 2);
    assert_int_equal(c.covered, 1);
    assert_string_equal(c.files[0].missing.items[0], "4");
    check_err(coverage_read_gcov(&a, "/room", "{\"files\":", 9, &c, &e), ERR_INVALID, &e, "not gcov's");
    check_ok(coverage_read_gcov(&a, "/room", "{\"files\":[7,{\"lines\":{}},{\"file\":\"a\",\"lines\":[1]}]}", 51, &c, &e), &e);
    check_ok(coverage_read_gcov(&a, "/room", "", 0, &c, &e), &e);
    assert_int_equal(c.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tap_outcomes_and_directives_are_read),
        cmocka_unit_test(tap_yaml_blocks_and_comments_become_the_message),
        cmocka_unit_test(tap_subtests_and_noise_are_ignored),
        cmocka_unit_test(tap_that_breaks_off_is_incomplete),
        cmocka_unit_test(what_is_not_tap_is_said_to_be_so),
        cmocka_unit_test(a_repeated_id_keeps_its_worst_outcome),
        cmocka_unit_test(parametrised_tests_fold_into_one),
        cmocka_unit_test(hostile_tap_is_bounded),
        cmocka_unit_test(junit_of_pytest_is_read),
        cmocka_unit_test(junit_without_files_uses_the_class),
        cmocka_unit_test(hostile_junit_is_refused),
        cmocka_unit_test(lcov_is_added_up_per_file),
        cmocka_unit_test(gcov_documents_are_united),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
