/* Conversations that lose their slot find what was read of them in files, when they come back. */
#include "check.h"
#include "manager_fixture.h"

#include "base/json.h"
#include "base/str.h"

#include <dirent.h>

/* Of the n-th answer (the probe's not counted). */
static int64_t cached(struct fixture *f, size_t n)
{
    const json_t *line = fake_log(&f->fake, "slot", n + 1);
    assert_non_null(line);
    return json_int_of(line, "cached", -1);
}

static int files(struct fixture *f)
{
    int count = 0;
    DIR *dir = opendir(scratch_path(&f->fake.room, "slots"));
    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir));)
        count += d->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void talk(struct fixture *f, const char *conversation)
{
    if (!ask_in(f, "m", conversation, NULL))
        fail_msg("%s", f->e.text);
}

static void set_up_one_slot(struct fixture *f, const char *more)
{
    entries(f, arena_printf(&f->arena, "models:\n- {id: m, file: " DIGEST ", memory_mib: 400, context: 4096%s}\n", more));
    open_manager(f);
}

static void one_that_lost_its_slot_to_another_goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;
    set_up_one_slot(f, "");
    talk(f, "a");
    assert_int_equal(cached(f, 0), 0);
    talk(f, "b");
    assert_int_equal(files(f), 1);
    assert_non_null(fake_request(&f->fake, "/slots/0", 0));
    talk(f, "a");
    assert_true(cached(f, 2) > 0);
    assert_int_equal(files(f), 1); /* of b; that of a has served */
}

static void a_side_call_costs_a_conversation_nothing(void **state)
{
    struct fixture *f = *state;
    set_up_one_slot(f, "");
    talk(f, "a");
    assert_non_null(ask(f, "m"));
    talk(f, "a");
    assert_int_equal(files(f), 0);
    assert_int_equal((int)fake_count(&f->fake, "slot"), 1 + 3);
    assert_true(cached(f, 2) > 0);
}

static void a_server_that_keeps_them_in_memory_is_not_asked(void **state)
{
    struct fixture *f = *state;
    set_up_one_slot(f, ", cache_mib: 100");
    talk(f, "a");
    talk(f, "b");
    talk(f, "a");
    assert_int_equal(files(f), 0);
}

static void a_model_that_left_and_came_back_remembers(void **state)
{
    struct fixture *f = *state;
    set_up_one_slot(f, ", slots: 2, cache_mib: 100");
    talk(f, "a");
    talk(f, "b");
    unload(f, "m");
    assert_int_equal(files(f), 2);
    talk(f, "b");
    talk(f, "a");
    assert_int_equal(files(f), 0);
    assert_true(json_int_of(fake_log(&f->fake, "slot", 4), "cached", 0) > 0); /* two, a probe, b */
    assert_true(json_int_of(fake_log(&f->fake, "slot", 5), "cached", 0) > 0);
}

static void another_tandem_on_the_home_remembers_too(void **state)
{
    struct fixture *f = *state;
    set_up_one_slot(f, "");
    talk(f, "a");
    manager_free(f->manager);
    open_manager(f);
    assert_int_equal(files(f), 1);
    talk(f, "a");
    assert_true(json_int_of(fake_log(&f->fake, "slot", 3), "cached", 0) > 0);
}

static void files_of_another_context_do_not_fit(void **state)
{
    struct fixture *f = *state;
    set_up_one_slot(f, "");
    talk(f, "a");
    unload(f, "m");
    entries(f, "models:\n- {id: m, file: " DIGEST ", memory_mib: 400, context: 2048}\n");
    check_ok(manager_reload(f->manager, &f->e), &f->e);
    talk(f, "a");
    assert_int_equal(json_int_of(fake_log(&f->fake, "slot", 3), "cached", -1), 0);
}

static void no_more_is_kept_than_allowed_and_nothing_with_zero(void **state)
{
    struct fixture *f = *state;
    f->options.limits.slot_files_mib = 1;
    char *large = test_malloc((3 << 18) + 1);
    memset(large, 'x', 3 << 18);
    large[3 << 18] = '\0';
    scratch_write(&f->fake.room, "slots/old.slot", large);
    scratch_write(&f->fake.room, "slots/new.slot", large);
    scratch_write(&f->fake.room, "slots/broken.part", large);
    test_free(large);
    scratch_sh(&f->fake.room, "touch -d '100 seconds ago' slots/old.slot");
    set_up_one_slot(f, "");
    assert_true(scratch_has(&f->fake.room, "slots/new.slot"));
    assert_int_equal(files(f), 1);
    manager_free(f->manager);
    f->manager = NULL;
    f->options.limits.slot_files_mib = 0;
    open_manager(f);
    talk(f, "a");
    talk(f, "b");
    assert_int_equal(files(f), 0);
}

static void a_file_that_cannot_be_read_is_as_good_as_none(void **state)
{
    struct fixture *f = *state;
    set_up_one_slot(f, "");
    talk(f, "a");
    talk(f, "b");
    fake_script(&f->fake, "rules:\n- {on: /slots/0, has: .slot, status: 400, body: '{}'}\n");
    talk(f, "a");
    talk(f, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MANAGER_TEST(one_that_lost_its_slot_to_another_goes_on_where_it_was),
        MANAGER_TEST(a_side_call_costs_a_conversation_nothing),
        MANAGER_TEST(a_server_that_keeps_them_in_memory_is_not_asked),
        MANAGER_TEST(a_model_that_left_and_came_back_remembers),
        MANAGER_TEST(another_tandem_on_the_home_remembers_too),
        MANAGER_TEST(files_of_another_context_do_not_fit),
        MANAGER_TEST(no_more_is_kept_than_allowed_and_nothing_with_zero),
        MANAGER_TEST(a_file_that_cannot_be_read_is_as_good_as_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
