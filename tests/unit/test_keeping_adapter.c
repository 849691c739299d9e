/* The life of adapters under a manager: taken in, started in the sandbox, asked, ended, started again. */
#include "check.h"
#include "adapter_fixture.h"

#include "model/adapter_shelf.h"
#include "model/manager.h"
#include "model/registry.h"

#include <unistd.h>

#define DIGEST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct fixture {
    struct scratch room;
    struct scratch beside; /* of the keeper's thread */
    struct store *store;
    struct manager *manager;
    struct manager_options options;
    struct err e;
};

static int put(const struct registry *changes, void *ctx, struct err *e)
{
    struct fixture *f = ctx;
    return registry_put(f->store, changes, "Ada", e);
}

/* The folder is taken in and then gone; `more` of the model: ", slots: 2". */
static void take_in(struct fixture *f, const char *folder, const char *more)
{
    const char *program;
    bool was_there;
    STR_LOCAL(yaml);
    check_ok(adapter_shelf_put(&f->room.arena, folder, f->options.models_dir, &program, &was_there, &f->e), &f->e);
    scratch_sh(&f->room, arena_printf(&f->room.arena, "rm -r %s", folder));
    str_addf(&yaml, "backends:\n- {id: toy, kind: adapter, program: \"%s\"}\nmodels:\n- {id: m, backend: toy%s}\n", program, more);
    check_ok(registry_import_yaml(f->store, "models.yaml", yaml.data, yaml.len, put, f, &f->e), &f->e);
}

static int set_up(void **state)
{
    static struct fixture f;
    static const struct doc_type *const types[] = { &backend_type, &model_type, &route_type };
    f = (struct fixture){ 0 };
    scratch_make(&f.room);
    scratch_make(&f.beside);
    check_ok(store_open(&f.store, scratch_path(&f.room, "home"), types, 3, &f.e), &f.e);
    f.options = (struct manager_options){
        .store = f.store, .models_dir = scratch_path(&f.room, "models"), .run_dir = scratch_path(&f.room, "run"),
        .llama_server = "llama-server", .limits = manager_default_limits, .chat = model_default_options,
    };
    f.options.limits.room.ram_mib = 4000;
    f.options.limits.pause_ms = 10;
    f.options.limits.max_pause_ms = 50;
    f.options.limits.load_ms = 20000;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    manager_free(f->manager);
    store_free(f->store);
    scratch_remove(&f->room);
    scratch_remove(&f->beside);
    return 0;
}

static void open_manager(struct fixture *f)
{
    check_ok(manager_open(&f->manager, &f->options, &f->e), &f->e);
}

/* The answer's text; NULL: f->e says why. */
static const char *ask(struct fixture *f)
{
    struct model *m = manager_model(f->manager, "m", 0);
    struct chat_message message = { CHAT_USER, "hi" };
    struct chat_request q = { .messages = &message, .message_count = 1, .key = { "", "person", "ask", 1 } };
    struct chat_answer answer;
    const char *text = NULL;
    if (model_chat(m, &q, &answer, &f->e) == 0) {
        text = arena_strdup(&f->room.arena, answer.text.data);
        chat_answer_release(&answer);
    }
    model_free(m);
    return text;
}

static struct manager_instance look(struct fixture *f)
{
    struct manager_picture p;
    manager_look(f->manager, &f->room.arena, &p);
    for (size_t i = 0; i < p.count; i++)
        if (!p.instances[i].retired)
            return p.instances[i];
    fail_msg("there is no instance");
    return (struct manager_instance){ 0 };
}

static void wait_for(struct fixture *f, enum life life)
{
    for (int i = 0; i < 1000 && look(f).life != life; i++)
        usleep(10000);
    assert_int_equal(look(f).life, life);
}

#define ANSWER(python) "while True:\n    q = hear()\n    if q['type'] == 'ping':\n        say(type='pong', id=q['id'])\n    if q['type'] != 'chat':\n        continue\n" python

static void an_adapter_is_started_asked_and_ended(void **state)
{
    struct fixture *f = *state;
    take_in(f, adapter_template(&f->room, "python", "mine"), ", memory_mib: 512");
    open_manager(f);
    assert_int_equal(look(f).life, LIFE_STOPPED);
    assert_non_null(ask(f));
    struct manager_instance i = look(f);
    assert_int_equal(i.life, LIFE_READY);
    assert_int_equal(i.context, 4096);
    assert_int_equal(i.ram_mib, 512);
    check_ok(manager_unload(f->manager, "m", &f->e), &f->e);
    wait_for(f, LIFE_STOPPED);
    assert_non_null(ask(f));
}

/* Its model's file says whether to crash; when it has, that is mended. */
static void mend(const char *model, int64_t replica, enum life from, enum life to, const char *why, void *ctx)
{
    struct fixture *f = ctx;
    (void)model, (void)replica, (void)from, (void)why;
    if (to == LIFE_FAILED)
        scratch_sh(&f->beside, arena_printf(&f->beside.arena, "echo good > %s/models/" DIGEST ".gguf", f->room.path));
}

static void a_call_survives_the_crash_of_its_adapter(void **state)
{
    struct fixture *f = *state;
    take_in(f, adapter_script(&f->room, "mine", "", ANSWER("    if open(os.environ['TANDEM_MODEL']).read() == 'crash':\n        os.abort()\n"
                                                           "    say(type='text', id=q['id'], text='lived')\n    say(type='done', id=q['id'])\n")),
            ", file: " DIGEST);
    scratch_write(&f->room, "models/" DIGEST ".gguf", "crash");
    f->options.moved = mend;
    f->options.ctx = f;
    open_manager(f);
    assert_string_equal(ask(f), "lived");
    assert_int_equal(look(f).crashes, 1);
}

static void three_crashes_are_quarantine_with_the_last_words(void **state)
{
    struct fixture *f = *state;
    take_in(f, adapter_script(&f->room, "mine", NULL, "sys.exit('no such tensor')\n"), "");
    open_manager(f);
    assert_null(ask(f));
    assert_int_equal(look(f).life, LIFE_QUARANTINED);
    assert_non_null(strstr(f->e.text, "3 times within 10 minutes"));
    assert_non_null(strstr(f->e.text, "no such tensor"));
}

static void what_will_not_pass_by_itself_is_told_at_once(void **state)
{
    struct fixture *f = *state;
    take_in(f, adapter_script(&f->room, "mine", "protocol=9", ""), "");
    open_manager(f);
    assert_null(ask(f));
    assert_int_equal(f->e.code, ERR_SETUP);
    assert_non_null(strstr(f->e.text, "version 9 of the protocol"));
    assert_int_equal(look(f).crashes, 0);
}

static void one_that_never_says_hello_is_given_up(void **state)
{
    struct fixture *f = *state;
    take_in(f, adapter_script(&f->room, "mine", NULL, "time.sleep(1000)\n"), "");
    f->options.limits.load_ms = 300;
    f->options.limits.crashes = 1;
    open_manager(f);
    assert_null(ask(f));
    assert_non_null(strstr(f->e.text, "was not loaded"));
}

static void slots_and_context_are_what_it_says(void **state)
{
    struct fixture *f = *state;
    const char *folder = adapter_template(&f->room, "python", "mine");
    take_in(f, folder, ", slots: 4");
    open_manager(f);
    check_err(manager_load(f->manager, "m", NULL, &f->e), ERR_SETUP, &f->e, "answers 1 at once, not 4: `tandem model set m slots=1`");
    take_in(f, adapter_template(&f->room, "python", "mine"), ", context: 100000");
    check_ok(manager_reload(f->manager, &f->e), &f->e);
    check_err(manager_load(f->manager, "m", NULL, &f->e), ERR_SETUP, &f->e, "context of 4096 tokens, not of 100000");
}

static void a_new_version_of_the_program_takes_over(void **state)
{
    struct fixture *f = *state;
#define VERSION(n) adapter_script(&f->room, "mine", "", ANSWER("    say(type='text', id=q['id'], text='" n "')\n    say(type='done', id=q['id'])\n"))
    take_in(f, VERSION("one"), "");
    open_manager(f);
    assert_string_equal(ask(f), "one");
    take_in(f, VERSION("two"), "");
    check_ok(manager_reload(f->manager, &f->e), &f->e);
    const char *text = "one";
    for (int i = 0; i < 500 && streq(text, "one"); i++) {
        usleep(10000);
        text = ask(f);
        assert_non_null(text);
    }
    assert_string_equal(text, "two");
}

static void a_hung_adapter_is_ended_when_it_does_not_answer(void **state)
{
    struct fixture *f = *state;
    f->options.chat.first_token_ms = 100;
    take_in(f, adapter_script(&f->room, "mine", "", ANSWER("    time.sleep(1000)\n")), "");
    f->options.limits.crashes = 1;
    open_manager(f);
    assert_null(ask(f));
    wait_for(f, LIFE_QUARANTINED);
}

/* ---- taking in ---- */

static int shelve(struct fixture *f, const char *folder)
{
    const char *program;
    bool was_there;
    return adapter_shelf_put(&f->room.arena, folder, f->options.models_dir, &program, &was_there, &f->e);
}

static void the_same_folder_is_kept_once_and_another_beside_it(void **state)
{
    struct fixture *f = *state;
    const char *one, *again, *other;
    bool was_there;
    const char *folder = adapter_template(&f->room, "python", "mine");
    check_ok(adapter_shelf_put(&f->room.arena, folder, f->options.models_dir, &one, &was_there, &f->e), &f->e);
    assert_false(was_there);
    scratch_write(&f->room, "mine/.git/config", "x");
    scratch_write(&f->room, "mine/__pycache__/x.pyc", "x");
    check_ok(adapter_shelf_put(&f->room.arena, folder, f->options.models_dir, &again, &was_there, &f->e), &f->e);
    assert_true(was_there);
    assert_string_equal(one, again);
    scratch_sh(&f->room, "chmod +x mine/tandem_adapter.py");
    check_ok(adapter_shelf_put(&f->room.arena, folder, f->options.models_dir, &other, &was_there, &f->e), &f->e);
    assert_string_not_equal(one, other);
    assert_string_equal(scratch_sh(&f->room, "ls -A models | wc -l"), "2");
    check_ok(adapter_shelf_remove(f->options.models_dir, one, &f->e), &f->e);
    check_err(adapter_shelf_remove(f->options.models_dir, one, &f->e), ERR_FAILED, &f->e, "cannot remove");
    assert_string_equal(scratch_sh(&f->room, "ls -A models | wc -l"), "1");
}

static void what_is_no_adapter_is_not_taken_in(void **state)
{
    struct fixture *f = *state;
    check_err(shelve(f, "/no/such/folder"), ERR_NOT_FOUND, &f->e, "there is no folder /no/such/folder");
    const char *folder = adapter_template(&f->room, "python", "mine");
    scratch_sh(&f->room, "ln -s /etc/passwd mine/words");
    check_err(shelve(f, folder), ERR_INVALID, &f->e, "mine/words is a link");
    scratch_sh(&f->room, "rm mine/words; mkfifo mine/pipe");
    check_err(shelve(f, folder), ERR_INVALID, &f->e, "not a regular file");
    scratch_sh(&f->room, "rm mine/pipe; truncate -s 65M mine/weights");
    check_err(shelve(f, folder), ERR_LIMIT, &f->e, "the model's file is imported beside it");
    scratch_sh(&f->room, "rm mine/weights; chmod -x mine/adapter");
    check_err(shelve(f, folder), ERR_INVALID, &f->e, "chmod +x");
    scratch_sh(&f->room, "rm mine/adapter");
    check_err(shelve(f, folder), ERR_INVALID, &f->e, "has no program \"adapter\"");
    scratch_sh(&f->room, "mkdir -p models; cd mine; for i in $(seq 1001); do : > f$i; done; printf '#!/bin/sh\\n' > adapter; chmod +x adapter");
    check_err(shelve(f, folder), ERR_LIMIT, &f->e, "files");
    assert_string_equal(scratch_sh(&f->room, "ls -A models | wc -l"), "0");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_adapter_is_started_asked_and_ended),
        TEST(a_call_survives_the_crash_of_its_adapter),
        TEST(three_crashes_are_quarantine_with_the_last_words),
        TEST(what_will_not_pass_by_itself_is_told_at_once),
        TEST(one_that_never_says_hello_is_given_up),
        TEST(slots_and_context_are_what_it_says),
        TEST(a_new_version_of_the_program_takes_over),
        TEST(a_hung_adapter_is_ended_when_it_does_not_answer),
        TEST(the_same_folder_is_kept_once_and_another_beside_it),
        TEST(what_is_no_adapter_is_not_taken_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
