/* The team from plan to DEV: who runs when, what ends a run, what a ticket goes through. */
#include "team_fixture.h"

#define DOUBLE_TEST(value) \
    FILE_BLOCK("tests/test_doubling.py", \
               "import unittest\n\nfrom doubling import double\n\n\nclass DoubleTest(unittest.TestCase):\n" \
               "    def test_double(self):\n        self.assertEqual(double(21), " value ")\n")
#define DOUBLE_CODE(body) FILE_BLOCK("doubling.py", "def double(n):\n    " body "\n")

static void check_file(struct team_fixture *f, const char *branch, const char *path, const char *text)
{
    const char *found = file_on(f, branch, path);
    if (!found)
        fail_msg("%s is not on %s", path, branch);
    assert_string_equal(found, text);
}

static void a_ticket_goes_through_red_and_green_into_dev(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/scope/1", SCOPE("doubling.py"));
    says(f, "T-1/tester/red-1/1", DOUBLE_TEST("42"));
    says(f, "T-1/developer/green-1/1", DOUBLE_CODE("return n + 1"));
    says(f, "T-1/developer/green-1/2", DOUBLE_CODE("return 2 * n"));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    run_team(f, TEAM_DONE);
    check_file(f, "DEV", "doubling.py", "def double(n):\n    return 2 * n\n");
    assert_int_equal(count_events(f, "green.refused"), 1);
    assert_int_equal(ticket_of(f, 1).column, COLUMN_DONE);
}

static void a_ticket_without_behaviour_is_worked_on(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/scope/1", SCOPE("README.md"));
    says(f, "T-1/developer/work/1", FILE_BLOCK("README.md", "# Numbers\n"));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, one_ticket(f, "document", (const char *const[]){ "a README says what it is", NULL }), NULL);
    run_team(f, TEAM_DONE);
    check_file(f, "DEV", "README.md", "# Numbers\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_team(a_ticket_goes_through_red_and_green_into_dev),
        with_team(a_ticket_without_behaviour_is_worked_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
