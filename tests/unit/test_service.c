/* Children that serve: what they say, how they end, and that somebody notices. */
#include "check.h"
#include "proctab.h"

#include "base/clock.h"
#include "base/str.h"
#include "os/service.h"

#include <pthread.h>
#include <signal.h>

static struct service *start(const char *script, size_t max_said)
{
    struct service *s;
    struct err e;
    struct process_options o = { .argv = (const char *const[]){ "sh", "-c", script, NULL }, .max_output = max_said };
    check_ok(service_start(&s, &o, &e), &e);
    return s;
}

static void an_end_of_its_own_is_noticed_and_told(void **state)
{
    (void)state;
    struct process_result r;
    struct service *s = start("echo ready; echo oh >&2; exit 3", 0);
    assert_false(service_wait(s, -1));
    assert_false(service_wait(s, -1)); /* and stays so */
    assert_string_equal(service_said(s), "ready\noh\n");
    service_end(s, 1000, &r);
    assert_int_equal(r.end, PROCESS_EXITED);
    assert_int_equal(r.status, 3);

    s = start("kill -SEGV $$", 0);
    assert_false(service_wait(s, -1));
    service_end(s, 1000, &r);
    assert_int_equal(r.end, PROCESS_SIGNALLED);
    assert_int_equal(r.status, SIGSEGV);
}

static void one_that_serves_is_asked_to_end_and_then_made_to(void **state)
{
    (void)state;
    struct process_result r;
    struct service *s = start("trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done", 0);
    while (!strstr(service_said(s), "up"))
        assert_true(service_wait(s, 20));
    service_end(s, 5000, &r);
    assert_int_equal(r.end, PROCESS_CANCELLED);
    assert_int_equal(r.status, 0);

    s = start("trap '' TERM; echo up; while :; do sleep 0.01; done", 0);
    while (!strstr(service_said(s), "up"))
        assert_true(service_wait(s, 20));
    service_end(s, 50, &r);
    assert_int_equal(r.end, PROCESS_CANCELLED);
    assert_int_equal(r.status, SIGKILL);
}

static void only_the_latest_lines_are_kept(void **state)
{
    (void)state;
    struct service *s = start("i=0; while [ $i -lt 2000 ]; do echo \"line $i\"; i=$((i+1)); done", 200);
    assert_false(service_wait(s, -1));
    const char *said = service_said(s);
    assert_true(strlen(said) <= 200);
    assert_true(starts_with(said, "line 1"));
    assert_true(ends_with(said, "line 1999\n"));
    service_end(s, 0, NULL);
}

static void its_whole_group_goes_with_it(void **state)
{
    (void)state;
    struct service *s = start("sleep 98.7654 & echo up; wait", 0);
    while (!strstr(service_said(s), "up"))
        assert_true(service_wait(s, 20));
    service_end(s, 0, NULL);
    assert_int_equal(proctab_count_left("98.7654"), 0);
    service_end(NULL, 0, NULL);
}

static void *wake(void *s)
{
    service_wake(s);
    return NULL;
}

static void another_thread_can_wake_its_keeper(void **state)
{
    (void)state;
    struct service *s = start("exec sleep 1000", 0);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, wake, s), 0);
    assert_true(service_wait(s, -1)); /* for ever, were it not woken */
    pthread_join(t, NULL);
    service_wake(s); /* before the waiting begins */
    assert_true(service_wait(s, -1));
    service_end(s, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_of_its_own_is_noticed_and_told),
        cmocka_unit_test(one_that_serves_is_asked_to_end_and_then_made_to),
        cmocka_unit_test(only_the_latest_lines_are_kept),
        cmocka_unit_test(its_whole_group_goes_with_it),
        cmocka_unit_test(another_thread_can_wake_its_keeper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
