/* The life of models under a manager: loaded, shared, evicted, crashed, tried again.  The server is
 * the fake one of tests/tools/upstream.c in llama-server's place; tests/peers has the real one. */
#include "check.h"
#include "manager_fixture.h"
#include "proctab.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "model/embed.h"

#include <signal.h>
#include <unistd.h>

/* ---- the ordinary life ---- */

static void a_model_is_loaded_when_it_is_asked_and_stays(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "text: Hello, Ann\n");
    entries(f, "models:\n" MODEL("small", ", slots: 2") "routes:\n- {id: developer, primary: small}\n");
    open_manager(f);
    assert_int_equal(look(f, "small").life, LIFE_STOPPED);
    assert_string_equal(ask(f, "developer"), "Hello, Ann");
    struct manager_instance i = look(f, "small");
    assert_int_equal(i.life, LIFE_READY);
    assert_int_equal(i.ram_mib, 400);
    assert_int_equal(i.context, 4096);
    assert_true(i.pid > 0);
    assert_string_equal(ask(f, "small"), "Hello, Ann");
    assert_int_equal(look(f, "small").pid, i.pid);
    assert_int_equal(fake_count(&f->fake, "listening"), 1);
}

static void a_pinned_model_is_loaded_at_once_and_cannot_be_unloaded(void **state)
{
    struct fixture *f = *state;
    entries(f, "models:\n" MODEL("small", ", pinned: true"));
    open_manager(f);
    wait_for(f, "small", LIFE_READY);
    check_err(manager_unload(f->manager, "small", &f->e), ERR_REFUSED, &f->e, "small is pinned");
}

static void an_idle_model_leaves_and_comes_back(void **state)
{
    struct fixture *f = *state;
    entries(f, "models:\n" MODEL("small", ", idle_s: 1"));
    open_manager(f);
    assert_non_null(ask(f, "small"));
    pid_t pid = (pid_t)look(f, "small").pid;
    wait_for(f, "small", LIFE_STOPPED);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(look(f, "small").ram_mib, 0);
    assert_non_null(ask(f, "small"));
}

static void a_server_that_ignores_the_signal_is_killed(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {ignore_term: true}\n");
    f->options.limits.stop_ms = 50;
    entries(f, "models:\n" MODEL("small", ""));
    open_manager(f);
    assert_non_null(ask(f, "small"));
    pid_t pid = (pid_t)look(f, "small").pid;
    check_ok(manager_unload(f->manager, "small", &f->e), &f->e);
    wait_for(f, "small", LIFE_STOPPED);
    assert_int_equal(kill(pid, 0), -1);
}

/* ---- memory ---- */

static void a_model_makes_room_for_another(void **state)
{
    struct fixture *f = *state;
    entries(f, "models:\n" MODEL("a", "") MODEL("b", "") MODEL("c", ""));
    open_manager(f);
    assert_non_null(ask(f, "a"));
    assert_non_null(ask(f, "b"));
    assert_non_null(ask(f, "c"));
    assert_int_equal(look(f, "a").life, LIFE_STOPPED); /* the one unused longest */
    assert_int_equal(look(f, "b").life, LIFE_READY);
    assert_non_null(ask(f, "a"));
    assert_int_equal(look(f, "b").life, LIFE_STOPPED);
}

static void what_does_not_fit_beside_the_pinned_ones_is_refused_with_numbers(void **state)
{
    struct fixture *f = *state;
    entries(f, "models:\n" MODEL("a", ", pinned: true") "- {id: big, file: " DIGEST ", memory_mib: 700}\n");
    open_manager(f);
    wait_for(f, "a", LIFE_READY);
    assert_null(ask(f, "big"));
    assert_int_equal(f->e.code, ERR_SETUP);
    assert_non_null(strstr(f->e.text, "big needs 700 MiB of memory; there are 1000 for models"));
}

static void a_model_short_of_memory_is_tried_with_half_the_context(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {most_context: 9000}\n");
    entries(f, "models:\n- {id: m, file: " DIGEST ", memory_mib: 100, context: 32768}\n");
    open_manager(f);
    assert_non_null(ask(f, "m"));
    assert_int_equal(look(f, "m").context, 8192);
    assert_int_equal(look(f, "m").crashes, 0);
}

static void not_below_what_a_role_needs_and_then_with_fewer_layers_on_the_gpu(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {most_gpu_layers: 10}\n");
    entries(f, "models:\n- {id: m, file: " DIGEST ", memory_mib: 100, context: 32768, gpu_layers: 40}\n"
               "routes:\n- {id: developer, primary: m, min_context: 20000}\n");
    open_manager(f);
    assert_non_null(ask(f, "m"));
    assert_int_equal(look(f, "m").context, 32768);
    fake_script(&f->fake, "life:\n- {most_context: 9000}\n");
    unload(f, "m");
    assert_null(ask(f, "m"));
    assert_non_null(strstr(f->e.text, "there is not enough memory"));
}

/* ---- faults ---- */

static void a_broken_file_is_told_at_once_and_not_tried_without_end(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {exit: 1, says: 'llama_model_load: error loading model: tensor is out of bounds'}\n");
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    assert_null(ask(f, "m"));
    assert_int_equal(f->e.code, ERR_SETUP);
    assert_non_null(strstr(f->e.text, "its file cannot be loaded: import it again"));
    assert_non_null(strstr(f->e.text, "tensor is out of bounds"));
    assert_int_equal(look(f, "m").crashes, 0);
}

static void a_crash_at_loading_is_waited_out(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {crash: true, times: 2}\n");
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    assert_non_null(ask(f, "m"));
    assert_int_equal(look(f, "m").crashes, 2);
}

static void three_crashes_are_quarantine_until_a_person_says_otherwise(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {crash: true, times: 3}\n");
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    assert_null(ask(f, "m"));
    assert_int_equal(look(f, "m").life, LIFE_QUARANTINED);
    assert_non_null(strstr(f->e.text, "3 times within 10 minutes; `tandem model load m` tries again"));
    assert_null(ask(f, "m")); /* at once */
    check_ok(manager_load(f->manager, "m", NULL, &f->e), &f->e);
    assert_non_null(ask(f, "m"));
}

static void a_server_that_calls_itself_otherwise_is_not_believed(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {calls_itself: other}\n");
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    assert_null(ask(f, "m"));
    assert_int_equal(f->e.code, ERR_SETUP);
}

static void a_program_that_is_not_there_is_named(void **state)
{
    struct fixture *f = *state;
    entries(f, "backends:\n- {id: llama-server, kind: llama-server, program: /no/such/llama-server}\nmodels:\n" MODEL("m", ""));
    open_manager(f);
    check_err(manager_load(f->manager, "m", NULL, &f->e), ERR_SETUP, &f->e, "name its program: `--set llama_server=");
}

/* ---- slots and queues ---- */

static void a_conversation_keeps_its_slot(void **state)
{
    struct fixture *f = *state;
    entries(f, "models:\n" MODEL("m", ", slots: 3"));
    open_manager(f);
    assert_non_null(ask_in(f, "m", "p/T-1/tester", NULL));
    assert_non_null(ask_in(f, "m", "p/T-1/developer", NULL));
    assert_non_null(ask_in(f, "m", NULL, NULL));
    assert_non_null(ask_in(f, "m", "p/T-1/tester", NULL));
    int64_t slots[4];
    for (size_t i = 0; i < 4; i++)
        slots[i] = json_int_of(fake_request_body(&f->fake, "/v1/chat/completions", i), "id_slot", -1);
    assert_int_equal(slots[0], slots[3]);
    assert_int_not_equal(slots[0], slots[1]);
    assert_int_not_equal(slots[2], slots[0]);
    assert_int_not_equal(slots[2], slots[1]);
}

static void a_call_that_waits_can_be_cancelled(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {load_ms: 100000}\n");
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    atomic_bool cancel = true;
    assert_null(ask_in(f, "m", NULL, &cancel));
    assert_int_equal(f->e.code, ERR_CANCELLED);
}

static void a_call_survives_the_crash_of_its_server(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "rules:\n- {on: /v1/chat/completions, cut: 40, then: crash}\n");
    f->options.limits.pause_ms = f->options.limits.max_pause_ms = 500;
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    struct asking asking;
    asking_begin(f, &asking, "m");
    assert_non_null(fake_request(&f->fake, "/v1/chat/completions", 0));
    fake_script(&f->fake, ""); /* before the next one is started */
    assert_int_equal(asking_end(&asking), 0);
    assert_int_equal(look(f, "m").crashes, 1);
}

static void more_calls_than_may_wait_are_turned_away(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "life:\n- {load_ms: 1500}\n");
    f->options.limits.queue = 2;
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    enum { CALLERS = 4 };
    struct asking asking[CALLERS];
    int good = 0, busy = 0;
    for (int i = 0; i < CALLERS; i++)
        asking_begin(f, &asking[i], "m");
    for (int i = 0; i < CALLERS; i++) {
        int code = asking_end(&asking[i]);
        good += code == 0;
        busy += code == ERR_BUSY;
    }
    assert_int_equal(good, 2);
    assert_int_equal(busy, 2);
}

/* ---- changes ---- */

static void a_new_version_takes_over_and_no_call_is_lost(void **state)
{
    struct fixture *f = *state;
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    assert_non_null(ask(f, "m"));
    int64_t old = look(f, "m").pid;
    entries(f, "models:\n" MODEL("m", ", version: 2"));
    check_ok(manager_reload(f->manager, &f->e), &f->e);
    for (int i = 0; i < 500 && (look(f, "m").life != LIFE_READY || look(f, "m").version != 2); i++) {
        assert_non_null(ask(f, "m"));
        usleep(10000);
    }
    assert_int_equal(look(f, "m").version, 2);
    assert_int_not_equal(look(f, "m").pid, old);
    wait_for_end((pid_t)old);
}

static void a_removed_model_leaves_and_is_not_found(void **state)
{
    struct fixture *f = *state;
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    assert_non_null(ask(f, "m"));
    pid_t pid = (pid_t)look(f, "m").pid;
    check_ok(registry_remove(f->store, REGISTRY_MODEL, "m", "Ada", &f->e), &f->e);
    check_ok(manager_reload(f->manager, &f->e), &f->e);
    assert_null(ask(f, "m"));
    assert_int_equal(f->e.code, ERR_NOT_FOUND);
    wait_for_end(pid);
}

static void vectors_come_through_a_slot_and_say_their_version(void **state)
{
    struct fixture *f = *state;
    entries(f, "models:\n" MODEL("nomic", ", capabilities: [embed], version: 3") MODEL("chat", ""));
    open_manager(f);
    struct model *m = manager_model(f->manager, "nomic", 0), *chat = manager_model(f->manager, "chat", 0);
    const char *const texts[] = { "one", "two" };
    struct embed_request q = { .texts = texts, .count = 2 };
    struct embeddings v;
    check_ok(model_embed(m, &q, &v, &f->e), &f->e);
    assert_string_equal(v.model, "nomic");
    assert_int_equal(v.version, 3);
    assert_int_equal(v.count, 2);
    embeddings_release(&v);
    assert_int_equal(look(f, "nomic").calls, 1);
    assert_int_equal(look(f, "nomic").in_flight, 0);
    assert_non_null(ask_in(f, "chat", "p/T-1/tester", NULL));
    check_err(model_embed(chat, &q, &v, &f->e), ERR_SETUP, &f->e, "chat makes no vectors; choose a model that does");
    assert_string_equal(look(f, "chat").slots[0].conversation, "p/T-1/tester"); /* and not "", a call by the side */
    assert_int_equal(look(f, "chat").in_flight, 0);
    model_free(m);
    model_free(chat);
}

static void closing_ends_everything(void **state)
{
    struct fixture *f = *state;
    entries(f, "models:\n" MODEL("a", "") MODEL("b", ""));
    open_manager(f);
    assert_non_null(ask(f, "a"));
    assert_non_null(ask(f, "b"));
    pid_t a = (pid_t)look(f, "a").pid, b = (pid_t)look(f, "b").pid;
    manager_free(f->manager);
    f->manager = NULL;
    assert_int_equal(kill(a, 0), -1);
    assert_int_equal(kill(b, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MANAGER_TEST(a_model_is_loaded_when_it_is_asked_and_stays),
        MANAGER_TEST(a_pinned_model_is_loaded_at_once_and_cannot_be_unloaded),
        MANAGER_TEST(an_idle_model_leaves_and_comes_back),
        MANAGER_TEST(a_server_that_ignores_the_signal_is_killed),
        MANAGER_TEST(a_model_makes_room_for_another),
        MANAGER_TEST(what_does_not_fit_beside_the_pinned_ones_is_refused_with_numbers),
        MANAGER_TEST(a_model_short_of_memory_is_tried_with_half_the_context),
        MANAGER_TEST(not_below_what_a_role_needs_and_then_with_fewer_layers_on_the_gpu),
        MANAGER_TEST(a_broken_file_is_told_at_once_and_not_tried_without_end),
        MANAGER_TEST(a_crash_at_loading_is_waited_out),
        MANAGER_TEST(three_crashes_are_quarantine_until_a_person_says_otherwise),
        MANAGER_TEST(a_call_survives_the_crash_of_its_server),
        MANAGER_TEST(a_server_that_calls_itself_otherwise_is_not_believed),
        MANAGER_TEST(a_program_that_is_not_there_is_named),
        MANAGER_TEST(a_conversation_keeps_its_slot),
        MANAGER_TEST(a_call_that_waits_can_be_cancelled),
        MANAGER_TEST(more_calls_than_may_wait_are_turned_away),
        MANAGER_TEST(a_new_version_takes_over_and_no_call_is_lost),
        MANAGER_TEST(a_removed_model_leaves_and_is_not_found),
        MANAGER_TEST(vectors_come_through_a_slot_and_say_their_version),
        MANAGER_TEST(closing_ends_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
