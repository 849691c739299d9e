/* Each role's is_satisfactory, on results as a test run gives them. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "team/judge.h"

/* Messages in these tests say their kind themselves: "absence: units". */
static void explain(const char *message, struct failure *ret, void *ctx)
{
    struct arena *a = ctx;
    *ret = (struct failure){ .kind = FAILURE_FAULT, .reason = message, .advice = "a syntax error" };
    if (starts_with(message, "assertion"))
        ret->kind = FAILURE_ASSERTION;
    if (starts_with(message, "error"))
        ret->kind = FAILURE_ERROR;
    if (starts_with(message, "exception"))
        ret->kind = FAILURE_EXCEPTION;
    if (starts_with(message, "absence: ")) {
        ret->kind = FAILURE_ABSENCE;
        texts_add(&ret->absent, a, message + 9);
    }
}

struct scene {
    struct arena arena;
    struct test_result tests[16];
    struct suite_run run;
    struct texts known, listed, must_pass, proven;
    struct red_judgement j;
};

static void begin(struct scene *sc)
{
    *sc = (struct scene){ .run = { .completed = true, .trouble = "", .output = "" } };
    sc->run.results.tests = sc->tests;
}

/* In order of ids. */
static void result(struct scene *sc, const char *id, int outcome, const char *message)
{
    sc->tests[sc->run.results.count++] = (struct test_result){ id, outcome, message };
}

static const char *tester(struct scene *sc)
{
    struct red_question q = { .run = &sc->run, .known = &sc->known, .listed = &sc->listed, .must_pass = &sc->must_pass,
                              .proven = &sc->proven, .explain = explain, .ctx = &sc->arena };
    return tester_is_satisfactory(&sc->arena, &q, &sc->j);
}

static void end(struct scene *sc)
{
    arena_release(&sc->arena);
}

#define SCENE(sc) __attribute__((cleanup(end))) struct scene sc; begin(&sc)

static void red_holds_when_every_new_test_fails_by_assertion(void **state)
{
    (void)state;
    SCENE(sc);
    texts_add(&sc.known, &sc.arena, "t.py::old");
    texts_add(&sc.must_pass, &sc.arena, "t.py::old");
    texts_add(&sc.listed, &sc.arena, "t.py::new");
    result(&sc, "t.py::new", TEST_FAILED, "assertion");
    result(&sc, "t.py::old", TEST_PASSED, "");
    assert_string_equal(tester(&sc), "");
    assert_int_equal(sc.j.reason, RED_ASSERTION);
    assert_int_equal(sc.j.tests.count, 1);
    assert_string_equal(sc.j.tests.items[0], "t.py::new");
}

static void red_holds_by_absence_with_ids_from_the_listing(void **state)
{
    (void)state;
    SCENE(sc);
    texts_add(&sc.listed, &sc.arena, "t.py::one");
    texts_add(&sc.listed, &sc.arena, "t.py::two");
    texts_add(&sc.run.broken, &sc.arena, "t.py");
    result(&sc, "t.py", TEST_ERROR, "absence: units");
    assert_string_equal(tester(&sc), "");
    assert_int_equal(sc.j.reason, RED_ABSENCE);
    assert_int_equal(sc.j.tests.count, 2);
    assert_string_equal(sc.j.absent.items[0], "units");
}

static void red_is_refused_when_the_new_test_passes(void **state)
{
    (void)state;
    SCENE(sc);
    texts_add(&sc.listed, &sc.arena, "t.py::new");
    result(&sc, "t.py::new", TEST_PASSED, "");
    assert_non_null(strstr(tester(&sc), "pass at once"));
    assert_true(sc.j.passes_at_once);
    result(&sc, "t.py::other", TEST_FAILED, "assertion");
    texts_add(&sc.listed, &sc.arena, "t.py::other");
    assert_non_null(strstr(tester(&sc), "pass at once"));
    assert_false(sc.j.passes_at_once);
}

static void red_is_refused_for_a_fault_of_the_test_itself(void **state)
{
    (void)state;
    SCENE(sc);
    texts_add(&sc.listed, &sc.arena, "t.py::new");
    texts_add(&sc.run.broken, &sc.arena, "t.py");
    result(&sc, "t.py", TEST_ERROR, "fault: invalid syntax");
    assert_non_null(strstr(tester(&sc), "a syntax error"));
}

static void red_is_refused_for_an_error_that_is_no_assertion(void **state)
{
    (void)state;
    SCENE(sc);
    texts_add(&sc.listed, &sc.arena, "t.py::new");
    result(&sc, "t.py::new", TEST_ERROR, "exception: KeyError");
    assert_non_null(strstr(tester(&sc), "the test did not come to an assertion: exception: KeyError"));
}

static void red_holds_by_an_error_inside_production_code(void **state)
{
    (void)state;
    SCENE(sc);
    texts_add(&sc.listed, &sc.arena, "t.py::a");
    texts_add(&sc.listed, &sc.arena, "t.py::b");
    result(&sc, "t.py::a", TEST_FAILED, "error: ValueError");
    result(&sc, "t.py::b", TEST_FAILED, "assertion");
    assert_string_equal(tester(&sc), "");
    assert_int_equal(sc.j.reason, RED_ERROR);
    assert_string_equal(red_reason_names[sc.j.reason], "error");
    sc.tests[1].message = "exception";
    assert_non_null(strstr(tester(&sc), "t.py::b"));
}

static void red_is_refused_when_a_test_of_the_base_is_broken_or_gone(void **state)
{
    (void)state;
    SCENE(sc);
    texts_add(&sc.known, &sc.arena, "t.py::old");
    texts_add(&sc.must_pass, &sc.arena, "t.py::old");
    texts_add(&sc.listed, &sc.arena, "t.py::new");
    result(&sc, "t.py::new", TEST_FAILED, "assertion");
    assert_non_null(strstr(tester(&sc), "t.py::old"));
}

static void proven_tests_may_wait_for_something_absent_in_their_file(void **state)
{
    (void)state;
    SCENE(sc);
    texts_add(&sc.known, &sc.arena, "t.py::one");
    texts_add(&sc.proven, &sc.arena, "t.py::one");
    texts_add(&sc.listed, &sc.arena, "t.py::one");
    texts_add(&sc.listed, &sc.arena, "t.py::two");
    texts_add(&sc.run.broken, &sc.arena, "t.py");
    result(&sc, "t.py", TEST_ERROR, "absence: units.to_feet");
    assert_string_equal(tester(&sc), "");
    assert_int_equal(sc.j.tests.count, 1);
    assert_string_equal(sc.j.tests.items[0], "t.py::two");
    sc.run.broken.count = 0;
    sc.run.results.count = 0;
    result(&sc, "t.py::one", TEST_FAILED, "assertion");
    result(&sc, "t.py::two", TEST_FAILED, "assertion");
    assert_non_null(strstr(tester(&sc), "t.py::one"));
}

static void red_is_refused_without_a_new_test_or_a_complete_run(void **state)
{
    (void)state;
    SCENE(sc);
    assert_non_null(strstr(tester(&sc), "no new test"));
    texts_add(&sc.listed, &sc.arena, "t.py::new");
    result(&sc, "t.py::new", TEST_FAILED, "assertion");
    sc.run.completed = false;
    sc.run.trouble = "it ran out of time";
    assert_non_null(strstr(tester(&sc), "ran out of time"));
}

static const char *developer(struct scene *sc, struct texts *tests)
{
    struct green_judgement j;
    struct green_question q = { .run = &sc->run, .tests = tests, .must_pass = &sc->must_pass };
    return developer_is_satisfactory(&sc->arena, &q, &j);
}

static void a_run_that_changes_its_tests_proves_neither_red_nor_green(void **state)
{
    (void)state;
    SCENE(sc);
    texts_add(&sc.listed, &sc.arena, "t.py::new");
    result(&sc, "t.py::new", TEST_FAILED, "assertion");
    assert_string_equal(tester(&sc), "");
    texts_add(&sc.run.modified, &sc.arena, "t.py");
    assert_non_null(strstr(tester(&sc), "changed or deleted test files, which are frozen while they run: t.py"));
    sc.tests[0].outcome = TEST_PASSED;
    assert_non_null(strstr(developer(&sc, &sc.listed), "t.py"));
    sc.run.modified.count = 0;
    assert_string_equal(developer(&sc, &sc.listed), "");
}

static void a_program_that_builds_has_to_go_on_building(void **state)
{
    (void)state;
    SCENE(sc);
    texts_add(&sc.must_pass, &sc.arena, STACK_BUILD_ID);
    texts_add(&sc.listed, &sc.arena, "t.c::new");
    result(&sc, STACK_BUILD_ID, TEST_PASSED, "");
    result(&sc, "t.c::new", TEST_FAILED, "assertion");
    assert_string_equal(tester(&sc), "");
    assert_int_equal(sc.j.tests.count, 1);
    sc.tests[0] = (struct test_result){ STACK_BUILD_ID, TEST_FAILED, "src/main.c:1:1: error: oops" };
    assert_string_equal(tester(&sc), "");
    assert_non_null(strstr(developer(&sc, &sc.listed), "the program does not build any more"));
    sc.tests[1].outcome = TEST_PASSED;
    assert_non_null(strstr(developer(&sc, &sc.listed), "the program does not build any more"));
    sc.must_pass.count = 0; /* as at a base that did not build either */
    assert_string_equal(developer(&sc, &sc.listed), "");
    sc.tests[1].outcome = TEST_FAILED;
    assert_string_equal(tester(&sc), "");
    assert_int_equal(sc.j.tests.count, 1);
}

static void a_listed_test_that_was_never_run_is_not_red(void **state)
{
    (void)state;
    SCENE(sc);
    texts_add(&sc.listed, &sc.arena, "t.py::ghost");
    assert_non_null(strstr(tester(&sc), "t.py::ghost"));
}

static void green_needs_the_same_ids_and_everything_from_before(void **state)
{
    (void)state;
    SCENE(sc);
    struct texts tests = { 0 };
    texts_add(&tests, &sc.arena, "t.py::new");
    texts_add(&sc.must_pass, &sc.arena, "t.py::old");
    result(&sc, "t.py::new", TEST_PASSED, "");
    assert_non_null(strstr(developer(&sc, &tests), "t.py::old"));
    result(&sc, "t.py::old", TEST_SKIPPED, "");
    assert_non_null(strstr(developer(&sc, &tests), "t.py::old"));
    sc.tests[1].outcome = TEST_PASSED;
    assert_string_equal(developer(&sc, &tests), "");
    sc.tests[0].outcome = TEST_FAILED;
    assert_non_null(strstr(developer(&sc, &tests), "still fail: t.py::new"));
    sc.tests[0].outcome = TEST_PASSED;
    sc.run.completed = false;
    sc.run.trouble = "killed";
    assert_non_null(strstr(developer(&sc, &tests), "killed"));
}

static void a_spec_must_speak_of_what_was_said(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    const char *idea = "A tool that converts lengths and temperatures between units, with rounding";
    assert_string_equal(pm_is_satisfactory(&a, idea, "# Units\n\n- Converts a length or a temperature between units.\n"
                                                     "- Rounding is to two digits.\n"), "");
    assert_non_null(strstr(pm_is_satisfactory(&a, idea, "# Cooking\n\n- It stores recipes.\n"), "temperatures"));
    assert_non_null(strstr(pm_is_satisfactory(&a, idea, "Converts lengths, temperatures, units; rounding."), "title line"));
    assert_non_null(strstr(pm_is_satisfactory(&a, idea, ""), "empty"));
    assert_string_equal(pm_wrote_specification(&a, "# Cooking\n\n- It stores recipes.\n"), "");
    assert_non_null(strstr(pm_wrote_specification(&a, "Converts lengths."), "title line"));
    assert_string_equal(pm_leaves_out(&a, "converts lengths", "# Cooking\n\n- It stores recipes.\n"), "converts, lengths");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(red_holds_when_every_new_test_fails_by_assertion),
        cmocka_unit_test(red_holds_by_absence_with_ids_from_the_listing),
        cmocka_unit_test(red_is_refused_when_the_new_test_passes),
        cmocka_unit_test(red_is_refused_for_a_fault_of_the_test_itself),
        cmocka_unit_test(red_is_refused_for_an_error_that_is_no_assertion),
        cmocka_unit_test(red_holds_by_an_error_inside_production_code),
        cmocka_unit_test(red_is_refused_when_a_test_of_the_base_is_broken_or_gone),
        cmocka_unit_test(proven_tests_may_wait_for_something_absent_in_their_file),
        cmocka_unit_test(red_is_refused_without_a_new_test_or_a_complete_run),
        cmocka_unit_test(a_run_that_changes_its_tests_proves_neither_red_nor_green),
        cmocka_unit_test(a_program_that_builds_has_to_go_on_building),
        cmocka_unit_test(a_listed_test_that_was_never_run_is_not_red),
        cmocka_unit_test(green_needs_the_same_ids_and_everything_from_before),
        cmocka_unit_test(a_spec_must_speak_of_what_was_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
