/* The life of models that an Ollama keeps, under a manager. */
#include "check.h"
#include "manager_fixture.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

static void open_with(struct fixture *f, const char *more)
{
    STR_LOCAL(yaml);
    if (!f->fake.service && !f->fake.url)
        fake_start(&f->fake, "ollama", false, (const char *[]){ "--alias", "qwen:7b", NULL });
    str_addf(&yaml, "backends:\n- {id: box, kind: ollama, url: '%s'}\nmodels:\n- {id: m, backend: box, name: 'qwen:7b'%s}\n", f->fake.url, more);
    entries(f, yaml.data);
    open_manager(f);
}

static int try(struct fixture *f)
{
    return ask(f, "m") ? 0 : f->e.code;
}

/* Requests that let the model go. */
static size_t let_go(struct fixture *f)
{
    size_t count = 0;
    for (size_t i = 0, all = fake_count(&f->fake, "request"); i < all; i++)
        count += strstr(json_text_of(fake_log(&f->fake, "request", i), "body", ""), "\"keep_alive\":0,") != NULL;
    return count;
}

static void a_model_is_loaded_with_its_context_when_it_is_asked(void **state)
{
    struct fixture *f = *state;
    open_with(f, ", context: 6000, memory_mib: 70");
    assert_int_equal(look(f, "m").life, LIFE_STOPPED);
    check_ok(try(f), &f->e);
    assert_int_equal(look(f, "m").life, LIFE_READY);
    assert_int_equal(look(f, "m").context, 6000);
    assert_int_equal(look(f, "m").ram_mib, 70);
    assert_int_equal(fake_count(&f->fake, "loaded"), 1);
    assert_int_equal(json_int_of(fake_log(&f->fake, "loaded", 0), "context", 0), 6000);
}

static void an_idle_model_is_let_go_and_comes_back(void **state)
{
    struct fixture *f = *state;
    open_with(f, ", idle_s: 1");
    check_ok(try(f), &f->e);
    assert_int_equal(json_int_of(fake_request_body(&f->fake, "/api/chat", 0), "keep_alive", 0), 61);
    wait_for(f, "m", LIFE_STOPPED);
    assert_int_equal(let_go(f), 1);
    check_ok(try(f), &f->e);
    assert_int_equal(fake_count(&f->fake, "loaded"), 2);
}

static void a_pinned_model_stays_until_tandem_ends(void **state)
{
    struct fixture *f = *state;
    open_with(f, ", pinned: true");
    wait_for(f, "m", LIFE_READY);
    check_ok(try(f), &f->e);
    assert_int_equal(json_int_of(fake_request_body(&f->fake, "/api/chat", 0), "keep_alive", 0), -1);
    manager_free(f->manager);
    f->manager = NULL;
    assert_int_equal(let_go(f), 1);
}

static void a_model_that_others_had_loaded_is_left_to_them(void **state)
{
    struct fixture *f = *state;
    struct model_options o = model_default_options;
    struct model *other;
    struct chat_answer answer;
    struct chat_message message = { CHAT_USER, "hello" };
    fake_start(&f->fake, "ollama", false, (const char *[]){ "--alias", "qwen:7b", NULL });
    o.url = arena_printf(&f->fake.room.arena, "ollama:%s", f->fake.url);
    check_ok(model_open(&other, &o, &f->e), &f->e);
    check_ok(model_chat(other, &(struct chat_request){ .messages = &message, .message_count = 1, .key = { "", "pm", "ask", 1 } }, &answer,
                        &f->e), &f->e);
    chat_answer_release(&answer);
    model_free(other);
    open_with(f, "");
    check_ok(try(f), &f->e);
    manager_free(f->manager);
    f->manager = NULL;
    assert_int_equal(let_go(f), 0);
    assert_int_equal(fake_count(&f->fake, "loaded"), 1);
}

static void a_context_that_cannot_be_had_is_told(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "most_context: 2048\n");
    open_with(f, ", context: 8000");
    check_err(try(f), ERR_SETUP, &f->e, "a context of 2048 tokens, not the 8000");
    assert_int_equal(look(f, "m").life, LIFE_FAILED);
}

static void a_server_that_is_away_is_tried_again_and_never_quarantined(void **state)
{
    struct fixture *f = *state;
    f->fake.url = "http://127.0.0.1:1"; /* nobody listens there */
    open_with(f, "");
    for (int i = 0; i < 6; i++)
        check_err(try(f), ERR_UNAVAILABLE, &f->e, "is the model server running?");
    assert_int_not_equal(look(f, "m").life, LIFE_QUARANTINED);
}

static void a_call_that_fails_makes_it_suspect_and_it_is_cleared(void **state)
{
    struct fixture *f = *state;
    open_with(f, "");
    check_ok(try(f), &f->e);
    fake_script(&f->fake, "rules:\n- {on: /api/chat, status: 500, body: '{\"error\":\"model runner has unexpectedly stopped\"}'}\n");
    check_err(try(f), ERR_FAILED, &f->e, "unexpectedly stopped");
    wait_for(f, "m", LIFE_READY);
    fake_script(&f->fake, "");
    check_ok(try(f), &f->e);
}

static void closing_does_not_wait_for_a_model_that_loads(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "rules:\n- {on: /api/tags, after_ms: 60000}\n");
    open_with(f, ", pinned: true");
    wait_for(f, "m", LIFE_LOADING);
    fake_log(&f->fake, "request", 0);
    int64_t begun = clock_steady_ms();
    manager_free(f->manager);
    f->manager = NULL;
    assert_true(clock_steady_ms() - begun < 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MANAGER_TEST(a_model_is_loaded_with_its_context_when_it_is_asked),
        MANAGER_TEST(an_idle_model_is_let_go_and_comes_back),
        MANAGER_TEST(a_pinned_model_stays_until_tandem_ends),
        MANAGER_TEST(a_model_that_others_had_loaded_is_left_to_them),
        MANAGER_TEST(a_context_that_cannot_be_had_is_told),
        MANAGER_TEST(a_server_that_is_away_is_tried_again_and_never_quarantined),
        MANAGER_TEST(a_call_that_fails_makes_it_suspect_and_it_is_cleared),
        MANAGER_TEST(closing_does_not_wait_for_a_model_that_loads),
    };
    return cmocka_run_group_tests_name("manager_ollama", tests, NULL, NULL);
}
