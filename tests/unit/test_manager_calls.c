/* What calls through a manager ask of a llama-server, and how they end when it has to. */
#include "check.h"
#include "manager_fixture.h"

#include "base/json.h"
#include "base/str.h"
#include "model/forward.h"

static bool collect(const char *bytes, size_t len, void *ctx)
{
    str_add_bytes(ctx, bytes, len);
    return true;
}

/* What another program asks, with a part that is not looked into (NULL: none); the answer's bytes. */
static const char *pass_on_with(struct fixture *f, const char *name, json_t *body, const char *part, const char *text)
{
    STR_LOCAL(got);
    STR_LOCAL(refusal);
    struct forward_result result;
    struct model *m = manager_model(f->manager, name, 0);
    struct forward_part parts = { part, text, text ? strlen(text) : 0 };
    struct forward_request q = { .path = "/chat/completions", .body = body, .parts = &parts, .part_count = part != NULL, .on_body = collect,
                                 .ctx = &got };
    check_ok(model_forward(m, &q, &result, &refusal, &f->e), &f->e);
    assert_int_equal(result.status, 200);
    assert_true(result.first_byte_us > 0);
    model_free(m);
    json_decref(body);
    return arena_strdup(&f->arena, got.data);
}

static const char *pass_on(struct fixture *f, const char *name, json_t *body)
{
    return pass_on_with(f, name, body, NULL, NULL);
}

static json_t *chat(void)
{
    return json_pack("{s:[{s:s, s:s}], s:b}", "messages", "role", "user", "content", "hello", "stream", 1);
}

static void a_call_asks_to_be_told_of_progress_so_that_leaving_is_seen(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "text: Hello, Ann\n");
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    assert_string_equal(ask(f, "m"), "Hello, Ann");
    assert_true(json_bool_of(fake_request_body(&f->fake, "/v1/chat/completions", 0), "return_progress", false));
}

static void another_program_is_told_of_progress_only_when_it_asks(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "text: Hello, Ann\nrules:\n- {piece: 7, text: 'Hello, Ann'}\n"); /* events come in pieces */
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    const char *got = pass_on(f, "m", chat());
    assert_true(json_bool_of(fake_request_body(&f->fake, "/v1/chat/completions", 0), "return_progress", false));
    assert_null(strstr(got, "prompt_progress"));
    assert_true(strncmp(got, "data: {\"choices\":", 17) == 0);
    assert_non_null(strstr(got, "\"role\":\"assistant\""));
    assert_non_null(strstr(got, "o, A"));
    assert_non_null(strstr(got, "data: [DONE]\n\n"));
    json_t *curious = chat();
    json_put_bool(curious, "return_progress", true);
    assert_non_null(strstr(pass_on(f, "m", curious), "prompt_progress"));
}

/* The real one ignores a schema that stands elsewhere, without a word. */
static void a_schema_goes_to_where_it_is_honoured(void **state)
{
#define SCHEMA "{\"properties\":{},\"type\":\"object\"}"
    static const char *const given[] = {
        "{\"type\":\"json_schema\",\"schema\":" SCHEMA "}",
        "{\"type\":\"json_schema\",\"json_schema\":" SCHEMA "}",
        "{\"type\":\"json_schema\",\"json_schema\":{\"schema\":" SCHEMA "}}",
    };
    struct fixture *f = *state;
    fake_script(&f->fake, "text: '{}'\n");
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    for (size_t i = 0; i < 3; i++) {
        STR_LOCAL(sent);
        pass_on_with(f, "m", chat(), "response_format", given[i]);
        json_write(&sent, json_object_get(fake_request_body(&f->fake, "/v1/chat/completions", i), "response_format"));
        assert_string_equal(sent.data, "{\"json_schema\":{\"schema\":" SCHEMA "},\"type\":\"json_schema\"}");
    }
    STR_LOCAL(sent);
    pass_on_with(f, "m", chat(), "response_format", "{\"type\":\"json_object\",\"schema\":" SCHEMA "}");
    json_write(&sent, json_object_get(fake_request_body(&f->fake, "/v1/chat/completions", 3), "response_format"));
    assert_string_equal(sent.data, "{\"schema\":" SCHEMA ",\"type\":\"json_object\"}");
#undef SCHEMA
}

/* A real one with an open stream may wait for its end for ever. */
static void streams_are_closed_before_a_server_is_asked_to_end(void **state)
{
    struct fixture *f = *state;
    struct asking asking;
    fake_script(&f->fake, "text: one two three four five six seven eight nine ten\nrules:\n- {tokens_per_s: 1}\nlife:\n- {term_ms: 300}\n");
    f->options.limits.drain_ms = 50;
    entries(f, "models:\n" MODEL("m", ""));
    open_manager(f);
    asking_begin(f, &asking, "m");
    assert_non_null(fake_log(&f->fake, "slot", 0)); /* of the probe */
    assert_non_null(fake_log(&f->fake, "slot", 1));
    fake_script(&f->fake, "text: at once\n");
    check_ok(manager_unload(f->manager, "m", &f->e), &f->e);
    assert_int_equal(asking_end(&asking), 0); /* asked again, of the next one */
    const json_t *left = fake_log(&f->fake, "left", 0), *stop = fake_log(&f->fake, "stop", 0);
    assert_non_null(left);
    assert_non_null(stop);
    assert_true(json_int_of(left, "at_us", 0) < json_int_of(stop, "at_us", 0));
    assert_int_equal(look(f, "m").crashes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MANAGER_TEST(a_call_asks_to_be_told_of_progress_so_that_leaving_is_seen),
        MANAGER_TEST(another_program_is_told_of_progress_only_when_it_asks),
        MANAGER_TEST(a_schema_goes_to_where_it_is_honoured),
        MANAGER_TEST(streams_are_closed_before_a_server_is_asked_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
