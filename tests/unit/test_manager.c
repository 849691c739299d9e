/* The life of models under a manager: loaded, shared, evicted, crashed, tried again.  The server is
 * the fake one of tests/tools/upstream.c in llama-server's place; tests/peers has the real one. */
#include "check.h"
#include "fake_process.h"
#include "proctab.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "model/embed.h"
#include "model/manager.h"
#include "model/registry.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define DIGEST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct fixture {
    struct fake_process fake;
    struct store *store;
    struct manager *manager;
    struct manager_options options;
    struct arena arena;
    struct err e;
};

static int put(const struct registry *changes, void *ctx, struct err *e)
{
    struct fixture *f = ctx;
    return registry_put(f->store, changes, "Ada", e);
}

/* "{id: m, ...}" rows; each runs on the fake server. */
static void entries(struct fixture *f, const char *models)
{
    check_ok(registry_import_yaml(f->store, "models.yaml", models, strlen(models), put, f, &f->e), &f->e);
}

static int set_up(void **state)
{
    static struct fixture f;
    static const struct doc_type *const types[] = { &backend_type, &model_type, &route_type };
    f = (struct fixture){ 0 };
    fake_make(&f.fake);
    scratch_write(&f.fake.room, "models/" DIGEST ".gguf", "GGUF");
    check_ok(store_open(&f.store, scratch_path(&f.fake.room, "home"), types, 3, &f.e), &f.e);
    struct backend_entry backend = { .id = "llama-server", .kind = BACKEND_LLAMA_SERVER, .url = "", .program = fake_program,
                                     .key_file = "", .ca_file = "" };
    for (const char *const *env = fake_environment(&f.fake); *env; env++)
        texts_add(&backend.environment, &f.arena, *env);
    struct registry change = { .backends = { &backend, 1 } };
    check_ok(registry_put(f.store, &change, "Ada", &f.e), &f.e);
    f.options = (struct manager_options){
        .store = f.store, .models_dir = scratch_path(&f.fake.room, "models"), .run_dir = scratch_path(&f.fake.room, "run"),
        .llama_server = "llama-server", .limits = manager_default_limits, .chat = model_default_options,
    };
    f.options.limits.room.ram_mib = 1000;
    f.options.limits.pause_ms = 10;
    f.options.limits.max_pause_ms = 50;
    *state = &f;
    return 0;
}

static void open_manager(struct fixture *f)
{
    check_ok(manager_open(&f->manager, &f->options, &f->e), &f->e);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    manager_free(f->manager);
    store_free(f->store);
    arena_release(&f->arena);
    fake_remove(&f->fake);
    return 0;
}

#define MODEL(id, more) "- {id: " id ", file: " DIGEST ", memory_mib: 400, context: 4096" more "}\n"

/* One question; the answer's text in the arena, NULL when it failed (f->e). */
static const char *ask_in(struct fixture *f, const char *name, const char *conversation, const atomic_bool *cancel)
{
    struct model *m = manager_model(f->manager, name, 0);
    struct chat_message message = { CHAT_USER, "hello" };
    struct chat_request q = { .messages = &message, .message_count = 1, .seed = 1, .conversation = conversation, .cancel = cancel,
                              .key = { "", "person", "ask", 1 } };
    struct chat_answer answer;
    struct err e;
    int r = model_chat(m, &q, &answer, &e);
    const char *text = r < 0 ? NULL : arena_strdup(&f->arena, answer.text.data);
    if (r == 0)
        chat_answer_release(&answer);
    else
        f->e = e;
    model_free(m);
    return text;
}

static const char *ask(struct fixture *f, const char *name)
{
    return ask_in(f, name, NULL, NULL);
}

static struct manager_instance look(struct fixture *f, const char *model)
{
    struct manager_picture p;
    manager_look(f->manager, &f->arena, &p);
    for (size_t i = 0; i < p.count; i++)
        if (streq(p.instances[i].model, model) && !p.instances[i].retired)
            return p.instances[i];
    fail_msg("there is no instance of %s", model);
    return (struct manager_instance){ 0 };
}

static void wait_for(struct fixture *f, const char *model, enum life life)
{
    for (int i = 0; i < 1000 && look(f, model).life != life; i++)
        usleep(10000);
    if (look(f, model).life != life)
        fail_msg("%s is %s, not %s: %s", model, life_names[look(f, model).life], life_names[life], look(f, model).why);
}

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
    check_ok(manager_unload(f->manager, "m", &f->e), &f->e);
    wait_for(f, "m", LIFE_STOPPED);
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

struct asking {
    struct fixture *f;
    struct model *model;
    int code;
};

static void *ask_beside(void *ctx)
{
    struct asking *a = ctx;
    struct chat_message message = { CHAT_USER, "hello" };
    struct chat_request q = { .messages = &message, .message_count = 1, .key = { "", "person", "ask", 1 } };
    struct chat_answer answer;
    a->code = model_chat(a->model, &q, &answer, NULL);
    if (a->code == 0)
        chat_answer_release(&answer);
    return NULL;
}

static void a_call_survives_the_crash_of_its_server(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "rules:\n- {on: /v1/chat/completions, cut: 40, then: crash}\n");
    f->options.limits.pause_ms = f->options.limits.max_pause_ms = 500;
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    struct asking asking = { f, manager_model(f->manager, "m", 0), 0 };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask_beside, &asking), 0);
    assert_non_null(fake_request(&f->fake, "/v1/chat/completions", 0));
    fake_script(&f->fake, ""); /* before the next one is started */
    pthread_join(thread, NULL);
    model_free(asking.model);
    assert_int_equal(asking.code, 0);
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
    pthread_t threads[CALLERS];
    struct asking asking[CALLERS];
    int good = 0, busy = 0;
    for (int i = 0; i < CALLERS; i++) {
        asking[i] = (struct asking){ f, manager_model(f->manager, "m", 0), 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, ask_beside, &asking[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        model_free(asking[i].model);
        good += asking[i].code == 0;
        busy += asking[i].code == ERR_BUSY;
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
    for (int i = 0; i < 500 && kill((pid_t)old, 0) == 0; i++)
        usleep(10000);
    assert_int_equal(kill((pid_t)old, 0), -1);
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
    for (int i = 0; i < 500 && kill(pid, 0) == 0; i++)
        usleep(10000);
    assert_int_equal(kill(pid, 0), -1);
}

static void vectors_come_through_a_slot_and_say_their_version(void **state)
{
    struct fixture *f = *state;
    entries(f, "models:\n" MODEL("nomic", ", capabilities: [embed], version: 3") MODEL("chat", ""));
    open_manager(f);
    struct model *m = manager_model(f->manager, "nomic", 0), *chat = manager_model(f->manager, "chat", 0);
    const char *const texts[] = { "one", "two" };
    struct embed_request q = { texts, 2, NULL };
    struct embeddings v;
    check_ok(model_embed(m, &q, &v, &f->e), &f->e);
    assert_string_equal(v.model, "nomic");
    assert_int_equal(v.version, 3);
    assert_int_equal(v.count, 2);
    embeddings_release(&v);
    assert_int_equal(look(f, "nomic").calls, 1);
    assert_int_equal(look(f, "nomic").in_flight, 0);
    check_err(model_embed(chat, &q, &v, &f->e), ERR_SETUP, &f->e, "does not support embeddings");
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_model_is_loaded_when_it_is_asked_and_stays),
        TEST(a_pinned_model_is_loaded_at_once_and_cannot_be_unloaded),
        TEST(an_idle_model_leaves_and_comes_back),
        TEST(a_server_that_ignores_the_signal_is_killed),
        TEST(a_model_makes_room_for_another),
        TEST(what_does_not_fit_beside_the_pinned_ones_is_refused_with_numbers),
        TEST(a_model_short_of_memory_is_tried_with_half_the_context),
        TEST(not_below_what_a_role_needs_and_then_with_fewer_layers_on_the_gpu),
        TEST(a_broken_file_is_told_at_once_and_not_tried_without_end),
        TEST(a_crash_at_loading_is_waited_out),
        TEST(three_crashes_are_quarantine_until_a_person_says_otherwise),
        TEST(a_call_survives_the_crash_of_its_server),
        TEST(a_server_that_calls_itself_otherwise_is_not_believed),
        TEST(a_program_that_is_not_there_is_named),
        TEST(a_conversation_keeps_its_slot),
        TEST(a_call_that_waits_can_be_cancelled),
        TEST(more_calls_than_may_wait_are_turned_away),
        TEST(a_new_version_takes_over_and_no_call_is_lost),
        TEST(a_removed_model_leaves_and_is_not_found),
        TEST(vectors_come_through_a_slot_and_say_their_version),
        TEST(closing_ends_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
