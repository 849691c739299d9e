/* Threads that do jobs: who does which, and who looks out for more. */
#include "check.h"

#include "http/pool.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { MAX_JOBS = 16, PATIENCE_MS = 10000, MOMENT_US = 20000 };

/* A door with a bell, rung once for each job that comes: whoever is on duty submits them. */
struct door {
    struct pool *pool;
    int bell, call, last_bell;
    atomic_bool dismissed;
    atomic_int arrived, attended;
};

struct task {
    struct pool_job job;
    struct door *door;
    pthread_t finder, doer;
    atomic_bool begun, released, ended;
};
static struct task tasks[MAX_JOBS];

static void wait_for(const atomic_bool *flag)
{
    for (int i = 0; i < PATIENCE_MS && !atomic_load(flag); i++)
        usleep(1000);
    assert_true(atomic_load(flag));
}

static void run(struct pool_job *job)
{
    struct task *t = (struct task *)job;
    t->doer = pthread_self();
    atomic_store(&t->begun, true);
    for (int i = 0; i < PATIENCE_MS && !atomic_load(&t->released); i++)
        usleep(1000);
    atomic_store(&t->ended, true);
}

static void ring(int fd)
{
    uint64_t one = 1;
    assert_int_equal(write(fd, &one, sizeof one), sizeof one);
}

static void attend(void *ctx)
{
    struct door *d = ctx;
    struct pollfd fds[] = { { d->bell, POLLIN, 0 }, { d->call, POLLIN, 0 }, { d->last_bell, POLLIN, 0 } };
    uint64_t rung;
    atomic_fetch_add(&d->attended, 1);
    poll(fds, 3, -1);
    bool called = read(d->call, &rung, sizeof rung) == sizeof rung;
    if (!called && !atomic_load(&d->dismissed) && read(d->bell, &rung, sizeof rung) == sizeof rung) {
        for (uint64_t i = 0; i < rung; i++) {
            struct task *t = &tasks[atomic_fetch_add(&d->arrived, 1)];
            t->job.run = run;
            t->finder = pthread_self();
            pool_submit(d->pool, &t->job);
        }
    }
    atomic_fetch_sub(&d->attended, 1);
}

static void call(void *ctx)
{
    struct door *d = ctx;
    ring(d->call);
}

static void dismiss(void *ctx)
{
    struct door *d = ctx;
    atomic_store(&d->dismissed, true);
    ring(d->last_bell);
}

static struct pool pool;
static struct door door;

static void open_pool(size_t max, size_t max_waiting)
{
    struct err e;
    memset(tasks, 0, sizeof tasks);
    door = (struct door){ .pool = &pool, .bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .last_bell = eventfd(0, EFD_CLOEXEC),
                          .call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
    pool_init(&pool, max, max_waiting, &(struct pool_duty){ attend, call, dismiss, &door });
    check_ok(pool_start(&pool, &e), &e);
}

static void close_pool(void)
{
    for (size_t i = 0; i < MAX_JOBS; i++)
        atomic_store(&tasks[i].released, true);
    pool_stop(&pool);
    pool_release(&pool);
    close(door.bell);
    close(door.call);
    close(door.last_bell);
}

static void wait_for_arrivals(int count)
{
    for (int i = 0; i < PATIENCE_MS && atomic_load(&door.arrived) < count; i++)
        usleep(1000);
    assert_int_equal(atomic_load(&door.arrived), count);
}

static void whoever_finds_a_job_does_it(void **state)
{
    (void)state;
    open_pool(4, 4);
    for (int i = 0; i < 8; i++) {
        ring(door.bell);
        atomic_store(&tasks[i].released, true);
        wait_for(&tasks[i].ended);
        assert_true(pthread_equal(tasks[i].finder, tasks[i].doer));
    }
    close_pool();
    assert_int_equal(atomic_load(&door.arrived), 8);
}

static void somebody_is_on_duty_while_all_are_busy(void **state)
{
    (void)state;
    open_pool(3, 2);
    for (int i = 0; i < 5; i++) { /* the last two have to wait */
        ring(door.bell);
        if (i < 3)
            wait_for(&tasks[i].begun);
    }
    wait_for_arrivals(5);
    usleep(MOMENT_US);
    assert_false(atomic_load(&tasks[3].begun));
    size_t waiting = 0, running = 0;
    pool_count(&pool, &waiting, &running);
    assert_int_equal(waiting, 2);
    assert_int_equal(running, 3);
    assert_true(atomic_load(&door.attended) > 0);
    atomic_store(&tasks[1].released, true);
    wait_for(&tasks[3].begun); /* first come, first served */
    assert_false(atomic_load(&tasks[4].begun));
    close_pool();
    assert_true(atomic_load(&tasks[4].ended)); /* what waits is done before the end */
}

static void jobs_that_come_together_run_together(void **state)
{
    (void)state;
    open_pool(8, 0);
    uint64_t eight = 8;
    assert_int_equal(write(door.bell, &eight, sizeof eight), sizeof eight);
    for (int i = 0; i < 8; i++)
        wait_for(&tasks[i].begun);
    close_pool();
}

static void only_so_many_look_out(void **state)
{
    (void)state;
    open_pool(8, 8);
    uint64_t eight = 8;
    assert_int_equal(write(door.bell, &eight, sizeof eight), sizeof eight);
    for (int i = 0; i < 8; i++) {
        wait_for(&tasks[i].begun);
        atomic_store(&tasks[i].released, true);
        wait_for(&tasks[i].ended);
    }
    usleep(MOMENT_US);
    int attended = atomic_load(&door.attended);
    close_pool();
    assert_in_range(attended, 1, 3); /* the others sleep */
}

/* As on a machine that makes no more threads. */
static void open_short_pool(void)
{
    open_pool(8, 8);
    pthread_mutex_lock(&pool.lock);
    pool.room = pool.count;
    pthread_mutex_unlock(&pool.lock);
}

static void the_last_thread_stays_on_duty(void **state)
{
    (void)state;
    open_short_pool();
    for (int i = 0; i < 5; i++) {
        ring(door.bell);
        wait_for_arrivals(i + 1);
        if (i < 2)
            wait_for(&tasks[i].begun);
    }
    usleep(MOMENT_US);
    assert_false(atomic_load(&tasks[2].begun));
    assert_int_equal(atomic_load(&door.attended), 1);
    atomic_store(&tasks[0].released, true);
    wait_for(&tasks[2].begun);
    close_pool();
    assert_true(atomic_load(&tasks[4].ended));
}

static void a_job_from_elsewhere_calls_somebody_on_duty(void **state)
{
    (void)state;
    open_short_pool();
    for (int i = 0; i < 2; i++) {
        tasks[i].job.run = run;
        assert_true(pool_submit(&pool, &tasks[i].job));
        wait_for(&tasks[i].begun);
    }
    close_pool();
}

static void what_finds_no_room_is_refused(void **state)
{
    (void)state;
    struct err e;
    memset(tasks, 0, sizeof tasks);
    pool_init(&pool, 2, 1, NULL);
    check_ok(pool_start(&pool, &e), &e);
    for (int i = 0; i < 4; i++) {
        tasks[i].job.run = run;
        assert_int_equal(pool_submit(&pool, &tasks[i].job), i < 3);
    }
    for (int i = 0; i < 3; i++)
        atomic_store(&tasks[i].released, true);
    pool_stop(&pool);
    pool_release(&pool);
    assert_true(atomic_load(&tasks[2].ended));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_finds_a_job_does_it),
        cmocka_unit_test(somebody_is_on_duty_while_all_are_busy),
        cmocka_unit_test(jobs_that_come_together_run_together),
        cmocka_unit_test(only_so_many_look_out),
        cmocka_unit_test(the_last_thread_stays_on_duty),
        cmocka_unit_test(a_job_from_elsewhere_calls_somebody_on_duty),
        cmocka_unit_test(what_finds_no_room_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
