/* test_spent.c - tests of base/spent.h. */
#include "base/clock.h"
#include "base/spent.h"
#include "check.h"

#include <pthread.h>

static void work_is_added_to_its_account_alone(void **state)
{
    (void)state;
    struct spent before = spent_here();
    spent_since(SPENT_COMMIT, clock_steady_us() - 5000);
    spent_since(SPENT_COMMIT, clock_steady_us());
    struct spent after = spent_here();
    assert_int_equal(after.count[SPENT_COMMIT] - before.count[SPENT_COMMIT], 2);
    assert_true(after.us[SPENT_COMMIT] - before.us[SPENT_COMMIT] >= 5000);
    assert_int_equal(after.count[SPENT_MODEL], before.count[SPENT_MODEL]);
    assert_int_equal(after.us[SPENT_GIT], before.us[SPENT_GIT]);
}

static void *elsewhere(void *ctx)
{
    spent_since(SPENT_MODEL, clock_steady_us() - 1000);
    *(struct spent *)ctx = spent_here();
    return NULL;
}

static void another_threads_work_is_not_ours(void **state)
{
    (void)state;
    struct spent before = spent_here(), there;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, elsewhere, &there), 0);
    pthread_join(thread, NULL);
    assert_int_equal(there.count[SPENT_MODEL], 1);
    assert_int_equal(spent_here().count[SPENT_MODEL], before.count[SPENT_MODEL]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_is_added_to_its_account_alone),
        cmocka_unit_test(another_threads_work_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
