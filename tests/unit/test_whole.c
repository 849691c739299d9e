/* Answers that change files by search/replace blocks, from the prompt to the commit. */
#include "team_fixture.h"

#include "base/json.h"

#define EDIT(search, replace) "<<<<<<< SEARCH\n" search "=======\n" replace ">>>>>>> REPLACE\n"
#define EDIT_BLOCK(path, search, replace) FILE_BLOCK(path, EDIT(search, replace))

#define TEST_CLASS "import unittest\n\nimport doubling\n\n\nclass DoubleTest(unittest.TestCase):\n"
#define TEST_DOUBLE "    def test_double(self):\n        self.assertEqual(doubling.double(21), 42)\n"
#define MODULE "\"\"\"Numbers.\"\"\"\n\n\ndef half(n):\n    return n / 2\n\n\ndef double(n):\n    raise NotImplementedError\n"

#define PARAGRAPH "search/replace blocks below its path"

/* A repository with the module above; the ticket wants double(21) to be 42. */
static void begin(struct team_fixture *f)
{
    says(f, "T-1/developer/scope/1", "{\"change\": [\"doubling.py\"], \"how\": \"double(n)\"}");
    says(f, "T-1/tester/red-1/1", FILE_BLOCK("tests/test_doubling.py", TEST_CLASS TEST_DOUBLE));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), (const char *const[]){ "doubling.py", MODULE, NULL });
}

static void is_noted(struct team_fixture *f, size_t nth, int64_t edits, int64_t inexact, bool fitted, bool asked)
{
    const json_t *p = event_payload(f, "answer.edited", nth);
    assert_int_equal(json_int_of(p, "edits", -1), edits);
    assert_int_equal(json_int_of(p, "inexact", -1), inexact);
    assert_int_equal(json_bool_of(p, "fitted", !fitted), fitted);
    assert_int_equal(json_bool_of(p, "asked", !asked), asked);
}

static void a_green_comes_from_an_edit_of_a_model_that_was_told_how(void **state)
{
    struct team_fixture *f = *state;
    f->options.edits[ROLE_DEVELOPER] = true;
    says(f, "T-1/developer/green-1/1", EDIT_BLOCK("doubling.py", "def double(n):\n    raise NotImplementedError\n", "def double(n):\n    return 2 * n\n"));
    begin(f);
    run_team(f, TEAM_DONE);
    assert_string_equal(file_on(f, "DEV", "doubling.py"), "\"\"\"Numbers.\"\"\"\n\n\ndef half(n):\n    return n / 2\n\n\ndef double(n):\n    return 2 * n\n");
    const char *prompt = prompt_of(f, "T-1/developer/green-1/1");
    assert_non_null(strstr(prompt, "whole content\n```\n\nTo change parts of a file"));
    assert_non_null(strstr(prompt, "\n>>>>>>> REPLACE\n```\n- The lines of a SEARCH"));
    assert_null(strstr(prompt_of(f, "T-1/tester/red-1/1"), PARAGRAPH));
    assert_int_equal(count_events(f, "green.refused"), 0);
    is_noted(f, 0, 1, 0, true, true);
}

static void edits_of_a_model_that_was_not_told_are_taken_where_they_fit(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/green-1/1", EDIT_BLOCK("doubling.py", "def double(n):\n  raise NotImplementedError  \n", "def double(n):\n  return n + 1\n"));
    says(f, "T-1/developer/green-1/2", "Of course.\n\n### doubling.py\n" EDIT("    raise NotImplementedError\n", "    return 2 * n\n"));
    begin(f);
    run_team(f, TEAM_DONE);
    assert_null(strstr(prompt_of(f, "T-1/developer/green-1/1"), "SEARCH"));
    assert_non_null(strstr(prompt_of(f, "T-1/developer/green-1/2"), "Answer with every production file that has to change, whole."));
    assert_non_null(strstr(file_on(f, "DEV", "doubling.py"), "def double(n):\n    return 2 * n\n"));
    is_noted(f, 0, 1, 1, true, false);
    is_noted(f, 1, 1, 0, true, false);
}

static void an_edit_that_fits_nowhere_is_answered_by_the_lines_it_may_mean(void **state)
{
    struct team_fixture *f = *state;
    f->options.edits[ROLE_DEVELOPER] = true;
    says(f, "T-1/developer/green-1/1", EDIT_BLOCK("doubling.py", "def half(n):\n", "def half(m):\n")
                                       EDIT_BLOCK("doubling.py", "def double(number):\n    raise NotImplementedError\n", "def double(number):\n    return 2 * number\n"));
    says(f, "T-1/developer/green-1/2", EDIT_BLOCK("doubling.py", "    raise NotImplementedError\n", "    return 2 * n\n"));
    begin(f);
    run_team(f, TEAM_DONE);
    const char *prompt = prompt_of(f, "T-1/developer/green-1/2");
    assert_non_null(strstr(prompt, "Not accepted: doubling.py: the old lines of edit 2, from \"def double(number):\" on, are not in the file; below"));
    assert_non_null(strstr(prompt, "```\n   5 |     return n / 2\n   6 | \n   7 | \n   8 | def double(n):\n   9 |     raise NotImplementedError\n```"));
    assert_non_null(strstr(prompt, "has to change, whole or by search/replace blocks."));
    assert_non_null(strstr(file_on(f, "DEV", "doubling.py"), "def half(n):")); /* nothing was kept of the first answer */
    assert_null(strstr(event_text(f, "green.refused", 0, "fault"), " | "));
    is_noted(f, 0, 2, 0, false, true);
}

static void test_files_stay_frozen_also_for_edits(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/green-1/1", EDIT_BLOCK("tests/test_doubling.py", "no such line\n", "x\n"));
    says(f, "T-1/developer/green-1/2", EDIT_BLOCK("doubling.py", "    raise NotImplementedError\n", "    return 2 * n\n"));
    begin(f);
    run_team(f, TEAM_DONE);
    assert_non_null(strstr(event_text(f, "green.refused", 0, "fault"), "is a test file; test files are frozen"));
    assert_int_equal(count_events(f, "answer.edited"), 1);
}

static void a_tester_adds_to_a_file_by_an_edit_and_changes_nothing_else(void **state)
{
    struct team_fixture *f = *state;
    f->options.edits[ROLE_TESTER] = true;
    says(f, "T-1/developer/green-1/1", EDIT_BLOCK("doubling.py", "    raise NotImplementedError\n", "    return 2 * n\n"));
    says(f, "T-1/developer/scope/1", "{\"change\": [\"doubling.py\"], \"how\": \"double(n)\"}");
    says(f, "T-1/tester/red-1/1", EDIT_BLOCK("tests/test_half.py", "half(4), 2)\n", "half(4), 4)\n"));
    says(f, "T-1/tester/red-1/2",
         EDIT_BLOCK("tests/test_half.py", "        self.assertEqual(doubling.half(4), 2)\n",
                    "        self.assertEqual(doubling.half(4), 4)\n\n    def test_double(self):\n        self.assertEqual(doubling.double(21), 42)\n"));
    says(f, "T-1/tester/red-1/3",
         EDIT_BLOCK("tests/test_half.py", "        self.assertEqual(doubling.half(4), 2)\n",
                    "        self.assertEqual(doubling.half(4), 2)\n\n    def test_double(self):\n        self.assertEqual(doubling.double(21), 42)\n"));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"),
                  (const char *const[]){ "doubling.py", MODULE, "tests/test_half.py",
                                         "import unittest\n\nimport doubling\n\n\nclass HalfTest(unittest.TestCase):\n    def test_half(self):\n"
                                         "        self.assertEqual(doubling.half(4), 2)\n", NULL });
    run_team(f, TEAM_DONE);
    assert_non_null(strstr(prompt_of(f, "T-1/tester/red-1/1"), PARAGRAPH));
    assert_non_null(strstr(event_text(f, "red.refused", 0, "fault"), "are not in the file"));
    assert_non_null(strstr(event_text(f, "red.refused", 1, "fault"), "Existing tests stay as they are"));
    assert_non_null(strstr(file_on(f, "DEV", "tests/test_half.py"), "half(4), 2)\n\n    def test_double(self):"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_team(a_green_comes_from_an_edit_of_a_model_that_was_told_how),
        with_team(edits_of_a_model_that_was_not_told_are_taken_where_they_fit),
        with_team(an_edit_that_fits_nowhere_is_answered_by_the_lines_it_may_mean),
        with_team(test_files_stay_frozen_also_for_edits),
        with_team(a_tester_adds_to_a_file_by_an_edit_and_changes_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
