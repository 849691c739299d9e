/* What the teams of a process share. */
#include "team_fixture.h"

#include "repo/stack.h"
#include "team/house.h"

#include <pthread.h>
#include <stdatomic.h>

struct reading {
    struct site *site;
    atomic_bool stop;
    atomic_int rounds;
};

/* As a worker does whose step began before. */
static void *read_stack(void *ctx)
{
    struct reading *r = ctx;
    while (!atomic_load(&r->stop)) {
        ARENA_LOCAL(a);
        const struct stack *stack = r->site->stack;
        assert_true(*stack_guide(stack, &a, true));
        assert_true(streq(stack_name(stack), "python") || streq(stack_name(stack), "c"));
        atomic_fetch_add(&r->rounds, 1);
    }
    return NULL;
}

static void a_stack_that_is_replaced_stays_readable(void **state)
{
    struct team_fixture *f = *state;
    struct reading reading = { .stop = false };
    struct project_wish w = { .name = "numbers", .spec = one_spec, .stack = "python", .pairs = 1 };
    pthread_t thread;
    open_team(f);
    check_ok(team_create(f->team, &f->s.arena, &w, &f->id, &f->e), &f->e);
    check_ok(site_get(f->team, f->id, &reading.site, &f->e), &f->e);
    check_ok(site_stack(f->house, reading.site, "python", &f->e), &f->e);
    const struct stack *first = reading.site->stack;
    assert_int_equal(pthread_create(&thread, NULL, read_stack, &reading), 0);
    for (int i = 0; i < 50 || atomic_load(&reading.rounds) < 50; i++)
        check_ok(site_stack(f->house, reading.site, i % 2 ? "python" : "c", &f->e), &f->e);
    atomic_store(&reading.stop, true);
    pthread_join(thread, NULL);
    assert_string_equal(stack_name(first), "python");
    check_err(site_stack(f->house, reading.site, "cobol", &f->e), ERR_NOT_FOUND, &f->e, "there is no stack \"cobol\"");
    assert_non_null(reading.site->stack); /* as it was */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_team(a_stack_that_is_replaced_stays_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
