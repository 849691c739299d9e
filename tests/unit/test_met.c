/* Which runs show that a criterion is not met on a tree. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "team/met.h"

static struct test_result results[] = {
    { "a.py::T::error", TEST_ERROR, "" },
    { "a.py::T::fail", TEST_FAILED, "" },
    { "a.py::T::pass", TEST_PASSED, "" },
    { "a.py::T::skip", TEST_SKIPPED, "" },
};

static struct suite_run run_of(bool completed, size_t broken)
{
    static const char *files[] = { "b.py" };
    return (struct suite_run){ .results = { .tests = results, .count = 4 }, .completed = completed, .trouble = "",
                               .broken = { files, broken } };
}

static bool shown(const struct suite_run *run, bool mutated, const char *one, const char *two)
{
    const char *ids[] = { one, two };
    struct texts tests = { ids, two ? 2 : 1 };
    return met_is_shown(run, &tests, mutated);
}

static void on_the_base_every_test_must_fail(void **state)
{
    (void)state;
    struct suite_run run = run_of(true, 0);
    assert_true(shown(&run, false, "a.py::T::fail", NULL));
    assert_false(shown(&run, false, "a.py::T::fail", "a.py::T::pass"));
    assert_false(shown(&run, false, "a.py::T::fail", "a.py::T::skip"));
}

static void a_test_that_was_not_run_counts_where_files_are_broken(void **state)
{
    (void)state;
    struct suite_run whole = run_of(true, 0), broken = run_of(true, 1);
    assert_false(shown(&whole, false, "b.py::T::any", NULL));
    assert_true(shown(&broken, false, "b.py::T::any", NULL));
    assert_false(shown(&whole, false, "a.py::T::error", NULL));
    assert_true(shown(&broken, false, "a.py::T::error", NULL));
}

static void one_failure_kills_a_mutant_and_an_error_does_not(void **state)
{
    (void)state;
    struct suite_run run = run_of(true, 1);
    assert_true(shown(&run, true, "a.py::T::pass", "a.py::T::fail"));
    assert_false(shown(&run, true, "a.py::T::pass", "a.py::T::error"));
    assert_false(shown(&run, true, "b.py::T::any", NULL));
}

static void a_run_that_did_not_end_shows_nothing(void **state)
{
    (void)state;
    struct suite_run run = run_of(false, 0);
    assert_false(shown(&run, false, "a.py::T::fail", NULL));
    assert_false(shown(&run, true, "a.py::T::fail", NULL));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_the_base_every_test_must_fail),
        cmocka_unit_test(a_test_that_was_not_run_counts_where_files_are_broken),
        cmocka_unit_test(one_failure_kills_a_mutant_and_an_error_does_not),
        cmocka_unit_test(a_run_that_did_not_end_shows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
