/* What is said of a ticket among the others. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "cli/tickets.h"

/* A ticket with `count` criteria, of which the first `proven` are green. */
static struct ticket ticket_with(struct arena *a, int64_t number, size_t count, size_t proven)
{
    struct criterion *criteria = ARENA_ARRAY(a, struct criterion, count);
    for (size_t i = 0; i < count; i++)
        criteria[i].state = i < proven ? CRITERION_GREEN : CRITERION_OPEN;
    return (struct ticket){ .number = number, .blocked = "", .stage = "", .criteria = { criteria, count } };
}

static void done_is_counted_over_all_tickets(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct ticket t[] = { ticket_with(&a, 1, 2, 2), ticket_with(&a, 2, 3, 1), ticket_with(&a, 3, 1, 0) };
    t[0].column = COLUMN_DONE;
    t[0].covered = 8, t[0].lines = 10;
    t[1].covered = 3, t[1].lines = 4;
    ticket_criterion(&t[1], 2)->state = CRITERION_DROPPED;
    struct tickets_sum sum = tickets_sum(t, 3);
    assert_int_equal(sum.done, 1);
    assert_int_equal(sum.criteria, 6);
    assert_int_equal(sum.proven, 4);
    assert_int_equal(sum.covered, 11);
    assert_int_equal(sum.lines, 14);
}

/* Each ticket tells of its own last run: the newest of the whole suite is that of the last one. */
static void the_tests_are_those_of_the_largest_suite_and_of_the_last_such(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct ticket t[] = { ticket_with(&a, 1, 1, 0), ticket_with(&a, 2, 1, 0), ticket_with(&a, 3, 1, 0) };
    t[0].tests_total = 5, t[0].tests_passed = 4;
    t[1].tests_total = 5, t[1].tests_passed = 5;
    t[2].tests_total = 3, t[2].tests_passed = 3;
    struct tickets_sum sum = tickets_sum(t, 3);
    assert_int_equal(sum.tests, 5);
    assert_int_equal(sum.tests_passed, 5);
}

static void who_builds_on_a_ticket_waits_behind_it(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct ticket t[] = { ticket_with(&a, 1, 1, 0), ticket_with(&a, 2, 1, 0), ticket_with(&a, 3, 1, 0), ticket_with(&a, 4, 1, 0) };
    texts_add(&t[1].after, &a, "T-1");
    texts_add(&t[3].after, &a, "T-2");
    assert_string_equal(tickets_behind(&a, t, 4, 0), "T-2, T-4");
    assert_string_equal(tickets_behind(&a, t, 4, 2), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_is_counted_over_all_tickets),
        cmocka_unit_test(the_tests_are_those_of_the_largest_suite_and_of_the_last_such),
        cmocka_unit_test(who_builds_on_a_ticket_waits_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
