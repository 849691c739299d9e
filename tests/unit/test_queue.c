/* The queue on a real store: who holds a task, what a crash leaves, what the dead take along. */
#include "check.h"
#include "tmpdir.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"
#include "team/queue.h"

#include <pthread.h>
#include <stdatomic.h>

struct fixture {
    struct tmpdir dir;
    struct store *store;
    struct queue *queue;
    struct queue_limits limits;
    struct arena a;
    struct err e;
};

static void open_store(struct fixture *f)
{
    check_ok(store_open(&f->store, f->dir.path, team_doc_types, team_doc_type_count, &f->e), &f->e);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->dir = tmpdir_make();
    f->limits = (struct queue_limits){ .attempts = 3, .lease_ms = 60000, .pause_ms = 20 };
    open_store(f);
    check_ok(queue_open(&f->queue, f->store, &f->limits, &f->e), &f->e);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    clock_wall_set(-1);
    queue_free(f->queue);
    store_free(f->store);
    tmpdir_remove(&f->dir);
    arena_release(&f->a);
    free(f);
    return 0;
}

static void put_task(struct fixture *f, const char *id, int64_t order)
{
    struct task t = { .project = "p", .ticket = "T-1", .stage = "red", .role = "tester", .order = order, .owner = "", .error = "" };
    struct batch *b = batch_new();
    batch_insert(b, &task_type, id, &t);
    check_ok(store_commit(f->store, b, NULL, &f->e), &f->e);
    batch_free(b);
}

static struct task task_of(struct fixture *f, const char *id, int64_t *ret_version)
{
    struct task t;
    check_ok(store_get(f->store, &f->a, &task_type, id, &t, ret_version, &f->e), &f->e);
    return t;
}

static bool any(const char *id, const struct task *t, void *ctx)
{
    (void)id, (void)t, (void)ctx;
    return true;
}

static bool not_this(const char *id, const struct task *t, void *ctx)
{
    (void)t;
    return !streq(id, ctx);
}

static int lease(struct fixture *f, queue_may_run *may_run, void *ctx, const char **ret_id, int64_t *ret_wait_ms)
{
    struct task t;
    return queue_lease(f->queue, &f->a, "p", "pair-1", may_run, ctx, ret_id, &t, ret_wait_ms, &f->e);
}

static const char *leased(struct fixture *f)
{
    const char *id;
    int64_t wait_ms;
    check_ok(lease(f, any, NULL, &id, &wait_ms), &f->e);
    return id;
}

/* Leases the only task once its pause is over. */
static const char *leased_after_pause(struct fixture *f)
{
    const char *id;
    int64_t wait_ms;
    for (int i = 0; i < 200; i++) {
        if (lease(f, any, NULL, &id, &wait_ms) == 0)
            return id;
        assert_true(wait_ms >= 0);
        usleep(5000);
    }
    fail_msg("the pause does not end");
    return NULL;
}

static size_t count_events(struct fixture *f, const char *kind)
{
    struct event *events;
    size_t count;
    check_ok(store_events(f->store, &f->a, 0, NULL, NULL, kind, 0, &events, &count, &f->e), &f->e);
    return count;
}

static struct batch *with_event(const char *kind)
{
    struct batch *b = batch_new();
    batch_event(b, &(struct event){ .project = "p", .kind = kind });
    return b;
}

/* ---- who gets what ---- */

static void tasks_come_by_order_and_only_those_that_may_run(void **state)
{
    struct fixture *f = *state;
    const char *id;
    int64_t wait_ms;
    put_task(f, "p/2", 2);
    put_task(f, "p/1", 1);
    put_task(f, "p/3", 3);
    char barred[] = "p/1";
    check_ok(lease(f, not_this, barred, &id, &wait_ms), &f->e);
    assert_string_equal(id, "p/2");
    assert_string_equal(leased(f), "p/1");
    assert_string_equal(leased(f), "p/3");
    assert_int_equal(lease(f, any, NULL, &id, &wait_ms), ERR_NOT_FOUND);
    assert_int_equal(wait_ms, -1);
}

/* Of one process, over all its projects. */
static void any_number_of_workers_has_a_task_each(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 150 };
    const char *ids[MANY];
    for (int i = 0; i < MANY; i++)
        put_task(f, arena_printf(&f->a, "p/%d", i), i);
    for (int i = 0; i < MANY; i++)
        ids[i] = leased(f);
    for (int i = 0; i < MANY; i++) {
        struct batch *b = batch_new();
        check_ok(queue_finish(f->queue, ids[i], b, &f->e), &f->e);
        batch_free(b);
        assert_int_equal(task_of(f, ids[i], NULL).state, TASK_DONE);
    }
}

static void a_result_and_its_task_are_done_together(void **state)
{
    struct fixture *f = *state;
    put_task(f, "p/1", 1);
    const char *id = leased(f);
    struct batch *b = with_event("green.committed");
    check_ok(queue_finish(f->queue, id, b, &f->e), &f->e);
    batch_free(b);
    assert_int_equal(task_of(f, id, NULL).state, TASK_DONE);
    assert_int_equal(count_events(f, "green.committed"), 1);
}

static void a_result_that_conflicts_writes_nothing_and_its_task_can_be_done_again(void **state)
{
    struct fixture *f = *state;
    put_task(f, "p/1", 1);
    put_task(f, "p/other", 2);
    const char *id = leased(f);
    struct task other = task_of(f, "p/other", NULL);
    struct batch *b = with_event("green.committed");
    batch_update(b, &task_type, "p/other", 7, &other);
    assert_int_equal(queue_finish(f->queue, id, b, &f->e), ERR_CONFLICT);
    assert_int_equal(task_of(f, id, NULL).state, TASK_LEASED);
    assert_int_equal(count_events(f, "green.committed"), 0);
    check_ok(queue_finish(f->queue, id, b, &f->e), &f->e);
    batch_free(b);
}

static void nobody_finishes_a_task_twice(void **state)
{
    struct fixture *f = *state;
    put_task(f, "p/1", 1);
    const char *id = leased(f);
    struct batch *b = batch_new();
    check_ok(queue_finish(f->queue, id, b, &f->e), &f->e);
    check_err(queue_finish(f->queue, id, b, &f->e), ERR_CONFLICT, &f->e, "not ours");
    batch_free(b);
}

/* ---- after a crash ---- */

static void what_a_dead_process_held_is_ready_again(void **state)
{
    struct fixture *f = *state;
    put_task(f, "p/1", 1);
    leased(f);
    int64_t epoch = queue_epoch(f->queue);
    queue_free(f->queue);
    store_free(f->store);
    open_store(f);
    check_ok(queue_open(&f->queue, f->store, &f->limits, &f->e), &f->e);
    assert_int_equal(queue_epoch(f->queue), epoch + 1);
    assert_string_equal(leased(f), "p/1");
    assert_int_equal(task_of(f, "p/1", NULL).attempt, 0);
}

static void a_result_with_an_old_epoch_is_refused(void **state)
{
    struct fixture *f = *state;
    put_task(f, "p/1", 1);
    const char *id = leased(f);
    struct queue *newer;
    check_ok(queue_open(&newer, f->store, &f->limits, &f->e), &f->e);
    struct batch *b = with_event("green.committed");
    assert_int_equal(queue_finish(f->queue, id, b, &f->e), ERR_CONFLICT);
    batch_free(b);
    assert_int_equal(count_events(f, "green.committed"), 0);
    assert_int_equal(task_of(f, id, NULL).state, TASK_READY);
    queue_free(newer);
}

/* ---- failures ---- */

static void a_task_that_fails_is_paused_and_dies_after_the_last_attempt(void **state)
{
    struct fixture *f = *state;
    bool dead = true;
    put_task(f, "p/1", 1);
    struct batch *last_words = with_event("blocked");
    const char *id = leased(f);
    check_ok(queue_give_back(f->queue, id, "no model", last_words, &dead, &f->e), &f->e);
    assert_false(dead);
    int64_t wait_ms;
    assert_int_equal(lease(f, any, NULL, &id, &wait_ms), ERR_NOT_FOUND);
    assert_in_range(wait_ms, 1, 20);
    id = leased_after_pause(f);
    check_ok(queue_give_back(f->queue, id, "no model", last_words, &dead, &f->e), &f->e);
    assert_false(dead);
    assert_int_equal(count_events(f, "blocked"), 0);
    id = leased_after_pause(f);
    check_ok(queue_give_back(f->queue, id, "no model", last_words, &dead, &f->e), &f->e);
    assert_true(dead);
    batch_free(last_words);
    assert_int_equal(lease(f, any, NULL, &id, &wait_ms), ERR_NOT_FOUND);
    assert_int_equal(wait_ms, -1);
    struct task t = task_of(f, "p/1", NULL);
    assert_int_equal(t.state, TASK_DEAD);
    assert_string_equal(t.error, "no model");
}

static void a_death_and_what_it_means_are_one_commit(void **state)
{
    struct fixture *f = *state;
    bool dead = false;
    f->limits.attempts = 1;
    queue_free(f->queue);
    check_ok(queue_open(&f->queue, f->store, &f->limits, &f->e), &f->e);
    put_task(f, "p/1", 1);
    put_task(f, "p/other", 2);
    const char *id = leased(f);
    struct task other = task_of(f, "p/other", NULL);
    struct batch *b = with_event("blocked");
    batch_update(b, &task_type, "p/other", 7, &other); /* conflicts */
    assert_int_equal(queue_give_back(f->queue, id, "no model", b, &dead, &f->e), ERR_CONFLICT);
    batch_free(b);
    assert_false(dead);
    assert_int_equal(task_of(f, id, NULL).state, TASK_LEASED);
    assert_int_equal(count_events(f, "blocked"), 0);
}

static void wait_for_heartbeat(struct fixture *f, const char *id)
{
    int64_t first = task_of(f, id, NULL).lease_until_ms;
    for (int i = 0; i < 200 && task_of(f, id, NULL).lease_until_ms == first; i++)
        usleep(5000);
    assert_true(task_of(f, id, NULL).lease_until_ms > first);
}

/* Ends with the task held as before: the heartbeat goes on, and it can be ended again. */
static void what_could_not_be_ended_is_still_held(void **state)
{
    struct fixture *f = *state;
    f->limits = (struct queue_limits){ .attempts = 1, .lease_ms = 30, .pause_ms = 20 };
    queue_free(f->queue);
    check_ok(queue_open(&f->queue, f->store, &f->limits, &f->e), &f->e);
    put_task(f, "p/1", 1);
    put_task(f, "p/other", 2);
    const char *id = leased(f);
    struct task other = task_of(f, "p/other", NULL);
    for (int finish = 0; finish < 2; finish++) {
        struct batch *b = batch_new();
        batch_update(b, &task_type, "p/other", 7, &other); /* conflicts */
        assert_int_equal(finish ? queue_finish(f->queue, id, b, &f->e) : queue_give_back(f->queue, id, "no model", b, NULL, &f->e),
                         ERR_CONFLICT);
        batch_free(b);
        wait_for_heartbeat(f, id);
    }
    check_ok(queue_release(f->queue, id, &f->e), &f->e);
    assert_int_equal(task_of(f, id, NULL).state, TASK_READY);
}

static void a_pause_ends_even_when_wall_time_stands_still(void **state)
{
    struct fixture *f = *state;
    put_task(f, "p/1", 1);
    clock_wall_set(4102444800000); /* set back after this: it stays there */
    const char *id = leased(f);
    check_ok(queue_give_back(f->queue, id, "no model", NULL, NULL, &f->e), &f->e);
    assert_string_equal(leased_after_pause(f), "p/1");
}

static void a_task_that_is_released_has_not_failed(void **state)
{
    struct fixture *f = *state;
    put_task(f, "p/1", 1);
    for (int i = 0; i < 5; i++)
        check_ok(queue_release(f->queue, leased(f), &f->e), &f->e);
    struct task t = task_of(f, "p/1", NULL);
    assert_int_equal(t.attempt, 0);
    assert_int_equal(t.state, TASK_READY);
}

/* ---- several workers and the heartbeat ---- */

enum { WORKERS = 6, TASKS = 60 };

struct crew {
    struct fixture *f;
    atomic_int done, wrong;
};

static void *work(void *ctx)
{
    struct crew *c = ctx;
    for (;;) {
        ARENA_LOCAL(a);
        struct err e;
        struct task t;
        const char *id;
        int64_t wait_ms;
        int r = queue_lease(c->f->queue, &a, "p", "pair", any, NULL, &id, &t, &wait_ms, &e);
        if (r == ERR_NOT_FOUND)
            return NULL;
        usleep(2000); /* long enough for heartbeats in between */
        struct batch *b = with_event("done");
        if (r == 0)
            r = queue_finish(c->f->queue, id, b, &e);
        batch_free(b);
        atomic_fetch_add(r == 0 ? &c->done : &c->wrong, 1);
    }
}

static void each_task_is_done_once_by_many_workers_under_a_fast_heartbeat(void **state)
{
    struct fixture *f = *state;
    f->limits.lease_ms = 3;
    queue_free(f->queue);
    check_ok(queue_open(&f->queue, f->store, &f->limits, &f->e), &f->e);
    for (int i = 0; i < TASKS; i++)
        put_task(f, arena_printf(&f->a, "p/%d", i), i);
    struct crew crew = { .f = f };
    pthread_t threads[WORKERS];
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &crew), 0);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&crew.wrong), 0);
    assert_int_equal(atomic_load(&crew.done), TASKS);
    assert_int_equal(count_events(f, "done"), TASKS);
}

static void the_heartbeat_extends_a_lease(void **state)
{
    struct fixture *f = *state;
    f->limits.lease_ms = 30;
    queue_free(f->queue);
    check_ok(queue_open(&f->queue, f->store, &f->limits, &f->e), &f->e);
    put_task(f, "p/1", 1);
    const char *id = leased(f);
    wait_for_heartbeat(f, id);
    struct batch *b = batch_new();
    check_ok(queue_finish(f->queue, id, b, &f->e), &f->e);
    batch_free(b);
}

int main(void)
{
#define with_queue(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        with_queue(tasks_come_by_order_and_only_those_that_may_run),
        with_queue(any_number_of_workers_has_a_task_each),
        with_queue(a_result_and_its_task_are_done_together),
        with_queue(a_result_that_conflicts_writes_nothing_and_its_task_can_be_done_again),
        with_queue(nobody_finishes_a_task_twice),
        with_queue(what_a_dead_process_held_is_ready_again),
        with_queue(a_result_with_an_old_epoch_is_refused),
        with_queue(a_task_that_fails_is_paused_and_dies_after_the_last_attempt),
        with_queue(a_death_and_what_it_means_are_one_commit),
        with_queue(what_could_not_be_ended_is_still_held),
        with_queue(a_pause_ends_even_when_wall_time_stands_still),
        with_queue(a_task_that_is_released_has_not_failed),
        with_queue(each_task_is_done_once_by_many_workers_under_a_fast_heartbeat),
        with_queue(the_heartbeat_extends_a_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
