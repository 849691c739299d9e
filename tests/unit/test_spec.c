/* Specifications: clauses, numbers, what is refused. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "team/spec.h"

static const char sample[] =
    "# Units\n\nConverts units.\nFor everyone.\n\n## Lengths\n\n- Metres to feet\n  with two digits\n"
    "- Feet to metres:\n\n  ```\n  - not a clause\n  ```\n\n1. First\n2. Second\n\n## Empty section\n";

static void items_and_paragraphs_are_clauses(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct clauses c;
    check_ok(spec_clauses(&a, sample, &c, &e), &e);
    assert_int_equal(c.count, 5);
    assert_string_equal(c.items[0].text, "Converts units.\nFor everyone.");
    assert_string_equal(c.items[0].section, "Units");
    assert_string_equal(c.items[1].text, "Metres to feet\n  with two digits");
    assert_string_equal(c.items[1].section, "Lengths");
    assert_non_null(strstr(c.items[2].text, "- not a clause"));
    assert_string_equal(c.items[4].text, "Second");
}

static void numbers_stand_before_each_clause(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    const char *text = spec_numbered(&a, sample);
    assert_non_null(strstr(text, "\n[1] Converts units.\nFor everyone."));
    assert_non_null(strstr(text, "\n- [2] Metres to feet\n  with two digits\n- [3] Feet"));
    assert_non_null(strstr(text, "\n2. [5] Second"));
    assert_non_null(strstr(text, "## Lengths"));
    assert_null(strstr(text, "[6]"));
}

static void an_edit_does_not_renumber_what_stands_before_it(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct clauses before, after;
    check_ok(spec_clauses(&a, "- a\n- b\n- c\n", &before, &e), &e);
    check_ok(spec_clauses(&a, "- a\n- b\n- new\n- c\n", &after, &e), &e);
    assert_string_equal(before.items[1].text, after.items[1].text);
    assert_int_equal(after.count, 4);
}

static void what_is_no_specification_is_refused_with_its_reason(void **state)
{
    (void)state;
    struct err e;
    check_err(spec_check("", 0, &e), ERR_INVALID, &e, "is empty");
    check_err(spec_check("# Only a title\n\n", 16, &e), ERR_INVALID, &e, "is empty");
    check_err(spec_check("ok\nb\xFF\xFE\n", 7, &e), ERR_INVALID, &e, "not UTF-8 in line 2");
    check_err(spec_check("a\0b", 3, &e), ERR_INVALID, &e, "NUL");
    static char huge[SPEC_MAX_BYTES + 2];
    memset(huge, 'a', sizeof huge - 1);
    check_err(spec_check(huge, sizeof huge - 1, &e), ERR_LIMIT, &e, "split it");
    check_ok(spec_check("It adds numbers.", 16, &e), &e);
}

static void too_many_clauses_are_refused(void **state)
{
    (void)state;
    STR_LOCAL(text);
    for (int i = 0; i <= SPEC_MAX_CLAUSES; i++)
        str_add(&text, "- x\n");
    struct err e;
    check_err(spec_check(text.data, text.len, &e), ERR_LIMIT, &e, "clauses");
}

static void titles_and_names_are_short_and_never_empty(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_string_equal(spec_title(&a, "\n# Unit  converter\n\ntext"), "Unit  converter");
    assert_string_equal(spec_title(&a, "It adds.\nMore"), "It adds.");
    assert_string_equal(spec_title(&a, "\n\n"), "project");
    assert_string_equal(idea_name(&a, "A command line tool that converts units, please"), "converts units");
    assert_string_equal(idea_name(&a, "do it"), "project");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_and_paragraphs_are_clauses),
        cmocka_unit_test(numbers_stand_before_each_clause),
        cmocka_unit_test(an_edit_does_not_renumber_what_stands_before_it),
        cmocka_unit_test(what_is_no_specification_is_refused_with_its_reason),
        cmocka_unit_test(too_many_clauses_are_refused),
        cmocka_unit_test(titles_and_names_are_short_and_never_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
