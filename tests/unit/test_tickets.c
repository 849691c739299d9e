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
    ticket_criterion(&t[1], 2)->state = CRITERION_DROPPED;
    struct tickets_sum sum = tickets_sum(&a, &(struct project){ 0 }, t, 3);
    assert_int_equal(sum.done, 1);
    assert_int_equal(sum.criteria, 6);
    assert_int_equal(sum.proven, 4);
}

static void each_test_counts_once_over_tickets_that_do_not_see_each_others(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct ticket t[] = { ticket_with(&a, 1, 2, 2), ticket_with(&a, 2, 1, 1), ticket_with(&a, 3, 1, 0) };
    for (size_t i = 0; i < 3; i++) {
        texts_add(&t[i].baseline, &a, "build::all");
        texts_add(&t[i].baseline, &a, "theirs");
        texts_add(&t[i].failing, &a, "theirs, broken");
    }
    texts_add(&ticket_criterion(&t[0], 0)->tests, &a, "one");
    texts_add(&ticket_criterion(&t[0], 1)->tests, &a, "two");
    texts_add(&ticket_criterion(&t[1], 0)->tests, &a, "three");
    texts_add(&ticket_criterion(&t[2], 0)->tests, &a, "four, still red");
    struct tickets_sum sum = tickets_sum(&a, &(struct project){ 0 }, t, 3);
    assert_int_equal(sum.tests, 6);
    assert_int_equal(sum.tests_passed, 4);
    struct texts before = tickets_failing_before(&a, t, 3);
    assert_true(before.count == 1 && streq(before.items[0], "theirs, broken"));
    texts_add(&t[1].baseline, &a, "theirs, broken"); /* the first ticket mended it */
    assert_int_equal(tickets_failing_before(&a, t, 3).count, 0);
    assert_int_equal(tickets_failing_before(&a, t, 0).count, 0);
}

static void a_file_that_two_tickets_changed_is_measured_once(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct ticket t[] = { ticket_with(&a, 1, 1, 1), ticket_with(&a, 2, 1, 1), ticket_with(&a, 3, 1, 1), ticket_with(&a, 4, 1, 0) };
    static const char *const files[] = { "greet.py", "greet.py", "other.py", "other.py" };
    for (size_t i = 0; i < 4; i++)
        texts_add(&t[i].files, &a, files[i]);
    t[0].covered = 5, t[0].lines = 10;
    t[1].covered = 19, t[1].lines = 20;
    t[2].covered = 3, t[2].lines = 4;
    struct tickets_sum sum = tickets_sum(&a, &(struct project){ 0 }, t, 4);
    assert_int_equal(sum.covered, 22);
    assert_int_equal(sum.lines, 24);
}

static void what_is_in_DEV_is_told_as_it_was_run_there(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct ticket t[] = { ticket_with(&a, 1, 1, 1) };
    struct project p = { .state = PROJECT_DONE, .tests_passed = 6, .tests_total = 7, .covered = 8, .lines = 9 };
    texts_add(&ticket_criterion(&t[0], 0)->tests, &a, "one");
    t[0].covered = 1, t[0].lines = 1;
    struct tickets_sum sum = tickets_sum(&a, &p, t, 1);
    assert_true(sum.tests_passed == 6 && sum.tests == 7 && sum.covered == 8 && sum.lines == 9);
    p.state = PROJECT_BUILD; /* not all of it is there */
    sum = tickets_sum(&a, &p, t, 1);
    assert_true(sum.tests_passed == 1 && sum.tests == 1 && sum.covered == 8 && sum.lines == 9);
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
        cmocka_unit_test(each_test_counts_once_over_tickets_that_do_not_see_each_others),
        cmocka_unit_test(a_file_that_two_tickets_changed_is_measured_once),
        cmocka_unit_test(what_is_in_DEV_is_told_as_it_was_run_there),
        cmocka_unit_test(who_builds_on_a_ticket_waits_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
