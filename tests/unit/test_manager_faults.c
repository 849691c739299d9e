/* Models that are killed, or short of memory although the ledger has room, under a manager. */
#include "check.h"
#include "manager_fixture.h"

#include "base/str.h"

#include <signal.h>
#include <unistd.h>

/* The id of its child, once there is one. */
static pid_t child_of(struct fixture *f, const char *model)
{
    for (int i = 0; i < 1000 && !look(f, model).pid; i++)
        usleep(5000);
    assert_true(look(f, model).pid > 0);
    return (pid_t)look(f, model).pid;
}

static void change(struct fixture *f, const char *yaml)
{
    entries(f, yaml);
    check_ok(manager_reload(f->manager, &f->e), &f->e);
}

/* ---- memory ---- */

static void one_that_lacks_memory_makes_the_idle_one_go_and_never_a_pinned_one(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {model: big, times: 1, exit: 1, says: 'ggml_aligned_malloc: insufficient memory'}\n");
    entries(f, "models:\n- {id: kept, file: " DIGEST ", memory_mib: 100, pinned: true}\n- {id: idle, file: " DIGEST ", memory_mib: 100}\n"
               "- {id: big, file: " DIGEST ", memory_mib: 100, context: 2048}\n");
    open_manager(f);
    assert_non_null(ask(f, "idle"));
    wait_for(f, "kept", LIFE_READY);
    assert_non_null(ask(f, "big"));
    assert_int_equal(look(f, "idle").life, LIFE_STOPPED);
    assert_int_equal(look(f, "kept").life, LIFE_READY);
    assert_int_equal(look(f, "big").crashes, 0);
}

static void when_nobody_can_go_it_is_told(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {model: big, exit: 1, says: 'ggml_aligned_malloc: insufficient memory'}\n");
    entries(f, "models:\n- {id: kept, file: " DIGEST ", memory_mib: 100, pinned: true}\n"
               "- {id: big, file: " DIGEST ", memory_mib: 100, context: 2048}\n");
    open_manager(f);
    wait_for(f, "kept", LIFE_READY);
    assert_null(ask(f, "big"));
    assert_int_equal(f->e.code, ERR_SETUP);
    assert_non_null(strstr(f->e.text, "there is not enough memory"));
    assert_int_equal(look(f, "kept").life, LIFE_READY);
}

static void a_context_that_was_halved_is_tried_again_when_a_role_needs_more(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {most_context: 9000}\n");
    entries(f, "models:\n- {id: m, file: " DIGEST ", memory_mib: 100, context: 32768}\n");
    open_manager(f);
    assert_non_null(ask(f, "m"));
    assert_int_equal(look(f, "m").context, 8192);
    fake_script(&f->fake, "");
    unload(f, "m");
    assert_non_null(ask(f, "m"));
    assert_int_equal(look(f, "m").context, 8192); /* it was enough, and failing costs time */
    unload(f, "m");
    change(f, "routes:\n- {id: developer, primary: m, min_context: 20000}\n");
    assert_non_null(ask(f, "m"));
    assert_int_equal(look(f, "m").context, 32768);
}

static void a_pinned_model_s_old_version_makes_room_for_the_new_one(void **state)
{
    struct fixture *f = *state;
    entries(f, "models:\n- {id: m, file: " DIGEST ", memory_mib: 600, pinned: true}\n");
    open_manager(f);
    wait_for(f, "m", LIFE_READY);
    change(f, "models:\n- {id: m, file: " DIGEST ", memory_mib: 600, pinned: true, version: 2}\n");
    assert_non_null(ask(f, "m")); /* whichever of the two it is */
    for (int i = 0; i < 1000 && look(f, "m").version != 2; i++)
        usleep(10000);
    assert_int_equal(look(f, "m").version, 2);
    wait_for(f, "m", LIFE_READY);
}

/* ---- kills ---- */

static void a_kill_at_loading_is_waited_out(void **state)
{
    struct fixture *f = *state;
    struct asking asking;
    fake_script(&f->fake, "life:\n- {times: 1, load_ms: 60000}\n");
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    asking_begin(f, &asking, "m");
    pid_t pid = child_of(f, "m");
    assert_non_null(fake_log(&f->fake, "listening", 0));
    kill(pid, SIGKILL);
    assert_int_equal(asking_end(&asking), 0);
    assert_int_equal(look(f, "m").context, 4096);
    assert_int_equal(look(f, "m").crashes, 1);
}

static void killed_twice_at_loading_it_is_taken_to_lack_memory(void **state)
{
    struct fixture *f = *state;
    struct asking asking;
    fake_script(&f->fake, "life:\n- {times: 2, load_ms: 60000}\n");
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    asking_begin(f, &asking, "m");
    for (size_t n = 0; n < 2; n++) {
        assert_non_null(fake_log(&f->fake, "listening", n));
        kill(child_of(f, "m"), SIGKILL);
    }
    assert_int_equal(asking_end(&asking), 0);
    assert_int_equal(look(f, "m").context, 2048);
    assert_int_equal(look(f, "m").crashes, 1);
}

static void one_that_is_killed_when_it_is_ready_comes_back_and_at_last_does_not(void **state)
{
    struct fixture *f = *state;
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    for (int n = 0; n < 3; n++) {
        assert_non_null(ask(f, "m"));
        pid_t pid = child_of(f, "m");
        kill(pid, SIGKILL);
        for (int i = 0; i < 500 && look(f, "m").life == LIFE_READY && look(f, "m").pid == pid; i++)
            usleep(10000);
    }
    wait_for(f, "m", LIFE_QUARANTINED);
    assert_null(ask(f, "m"));
    assert_non_null(strstr(f->e.text, "3 times within 10 minutes"));
    assert_non_null(strstr(f->e.text, "m is no longer there: it was killed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MANAGER_TEST(one_that_lacks_memory_makes_the_idle_one_go_and_never_a_pinned_one),
        MANAGER_TEST(when_nobody_can_go_it_is_told),
        MANAGER_TEST(a_context_that_was_halved_is_tried_again_when_a_role_needs_more),
        MANAGER_TEST(a_pinned_model_s_old_version_makes_room_for_the_new_one),
        MANAGER_TEST(a_kill_at_loading_is_waited_out),
        MANAGER_TEST(killed_twice_at_loading_it_is_taken_to_lack_memory),
        MANAGER_TEST(one_that_is_killed_when_it_is_ready_comes_back_and_at_last_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
