/* What is particular to an Ollama: the size of the context, which is said with each request and
 * looked at afterwards, models that are elsewhere, loading and letting go, and other programs'
 * requests, translated.  What all kinds must do: test_backend.c. */
#include "check.h"
#include "fake_process.h"

#include "base/json.h"
#include "model/chat.h"
#include "model/embed.h"
#include "model/forward.h"
#include "model/ollama.h"

#include <stdlib.h>

struct fixture {
    struct fake_process fake;
    struct model_options options;
    struct model *model;
    struct chat_answer answer;
    struct str passed, refusal; /* of forward */
    struct forward_result result;
    struct err e;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .options = model_default_options, .answer = { .text = STR_INIT, .reasoning = STR_INIT }, .passed = STR_INIT,
                          .refusal = STR_INIT };
    f.options.patience_ms = f.options.refused_patience_ms = 300;
    fake_make(&f.fake);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    model_free(f->model);
    chat_answer_release(&f->answer);
    str_release(&f->passed);
    str_release(&f->refusal);
    fake_remove(&f->fake);
    return 0;
}

static struct model *model(struct fixture *f)
{
    if (!f->fake.service)
        fake_start(&f->fake, "ollama", false, (const char *[]){ "--alias", "qwen:7b", "--embeddings", NULL });
    if (!f->model) {
        f->options.url = arena_printf(&f->fake.room.arena, "ollama:%s", f->fake.url);
        check_ok(model_open(&f->model, &f->options, &f->e), &f->e);
    }
    return f->model;
}

static int ask_of(struct fixture *f, const char *prompt, int64_t max_tokens)
{
    struct chat_message message = { CHAT_USER, prompt };
    struct chat_request q = { .messages = &message, .message_count = 1, .max_tokens = max_tokens, .key = { "", "pm", "ask", 1 } };
    chat_answer_release(&f->answer);
    return model_chat(model(f), &q, &f->answer, &f->e);
}

static int ask(struct fixture *f)
{
    return ask_of(f, "hello", 0);
}

static int64_t context(struct fixture *f)
{
    const char *name;
    int64_t tokens = -1;
    check_ok(model_describe(model(f), NULL, &name, &tokens, &f->e), &f->e);
    return tokens;
}

static const json_t *sent(struct fixture *f, const char *path, size_t n)
{
    return fake_request_body(&f->fake, path, n);
}

static int64_t num_ctx(struct fixture *f, const char *path, size_t n)
{
    return json_int_of(json_object_get(sent(f, path, n), "options"), "num_ctx", -1);
}

static const char *long_text(struct fixture *f)
{
    STR_LOCAL(text);
    for (int i = 0; i < 6000; i++)
        str_addf(&text, "word %d ", i);
    return arena_strdup(&f->fake.room.arena, text.data);
}

/* ---- the context ---- */

static void every_request_says_the_same_context_and_that_nothing_may_be_cut(void **state)
{
    struct fixture *f = *state;
    const char *const texts[] = { "a" };
    struct embeddings v;
    check_ok(ask(f), &f->e);
    check_ok(ask(f), &f->e);
    check_ok(model_embed(model(f), &(struct embed_request){ .texts = texts, .count = 1 }, &v, &f->e), &f->e);
    embeddings_release(&v);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(num_ctx(f, "/api/chat", i), 16384);
        assert_true(json_is_false(json_object_get(sent(f, "/api/chat", i), "truncate")));
        assert_true(json_is_false(json_object_get(sent(f, "/api/chat", i), "shift")));
        assert_int_equal(json_int_of(sent(f, "/api/chat", i), "keep_alive", 0), 1800);
    }
    assert_int_equal(num_ctx(f, "/api/embed", 0), 16384);
    assert_true(json_is_false(json_object_get(sent(f, "/api/embed", 0), "truncate")));
    assert_int_equal(fake_count(&f->fake, "loaded"), 1);
}

static void the_context_is_what_was_said_for_it(void **state)
{
    struct fixture *f = *state;
    f->options.context_tokens = 5000;
    fake_script(&f->fake, "parameters: \"stop x\\nnum_ctx 32768\\nnum_predict 5\"\n");
    assert_int_equal(context(f), 5000);
    check_ok(ask(f), &f->e);
    assert_int_equal(num_ctx(f, "/api/chat", 0), 5000);
}

static void the_context_is_what_the_modelfile_says(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "parameters: \"stop x\\nnum_ctx                        32768\\nnum_predict 5\"\n");
    assert_int_equal(context(f), 32768);
}

static void the_context_is_no_larger_than_the_model_was_trained_for(void **state)
{
    struct fixture *f = *state;
    f->options.context_tokens = 1000000;
    assert_int_equal(context(f), 131072); /* Ollama lowers it without a word */
}

static void a_context_that_was_lowered_is_told(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "most_context: 4096\n");
    check_err(ask(f), ERR_SETUP, &f->e, "a context of 4096 tokens, not the 16384");
    check_err(ollama_load(model(f), 0, NULL, &f->e), ERR_SETUP, &f->e, "context_tokens=4096");
}

static void a_prompt_that_fills_the_context_may_have_been_cut(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "rules:\n- {on: /api/chat, status: 200, body: \"{\\\"message\\\":{\\\"content\\\":\\\"x\\\"},\\\"done\\\":true,"
                          "\\\"prompt_eval_count\\\":16384}\\n\"}\n");
    check_err(ask(f), ERR_LIMIT, &f->e, "may have cut it");
}

static void what_does_not_fit_is_refused_by_a_new_one_and_not_sent_to_an_old_one(void **state)
{
    struct fixture *f = *state;
    f->options.context_tokens = 4096;
    check_err(ask_of(f, long_text(f), 100), ERR_LIMIT, &f->e, "exceeds the context length");
    fake_script(&f->fake, "version: 0.5.7\n");
    model_free(f->model);
    f->model = NULL;
    size_t before = fake_count(&f->fake, "request");
    check_err(ask_of(f, long_text(f), 100), ERR_LIMIT, &f->e, "too old to refuse");
    assert_int_equal(fake_count(&f->fake, "request"), before + 4); /* what it is was asked, and no more */
    check_ok(ask_of(f, "short", 100), &f->e);
    check_err(ask_of(f, "short", 4096), ERR_LIMIT, &f->e, "4096 for the answer");
}

/* ---- names ---- */

static void a_model_that_is_elsewhere_is_refused(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "models: ['gpt-oss:120b-cloud', 'qwen:7b']\n");
    f->options.name = "gpt-oss:120b-cloud";
    check_err(ask(f), ERR_REFUSED, &f->e, "passes it on to https://ollama.com");
    model_free(f->model);
    f->model = NULL;
    f->options.name = NULL; /* and is not chosen by itself */
    check_ok(ask(f), &f->e);
    assert_string_equal(f->answer.model, "qwen:7b");
}

static void a_server_that_is_no_ollama_is_told_so(void **state)
{
    struct fixture *f = *state;
    fake_start(&f->fake, "vllm", false, NULL);
    check_err(ask(f), ERR_NOT_FOUND, &f->e, "Not Found");
    fake_script(&f->fake, "rules:\n- {status: 200, type: text/html, body: '<html><title>Welcome</title>'}\n");
    check_err(ask(f), ERR_INVALID, &f->e, "Welcome");
    fake_script(&f->fake, "rules:\n- {status: 200, body: '{}'}\n");
    check_err(ask(f), ERR_INVALID, &f->e, "no list of models");
}

static void the_address_of_the_environment_is_understood(void **state)
{
    static const struct { const char *said, *meant; } hosts[] = {
        { NULL, "http://127.0.0.1:11434" }, { "", "http://127.0.0.1:11434" }, { "box", "http://box:11434" },
        { "0.0.0.0", "http://127.0.0.1:11434" }, { "0.0.0.0:99", "http://127.0.0.1:99" }, { ":99", "http://127.0.0.1:99" },
        { "https://box/ollama", "https://box/ollama" }, { "http://0.0.0.0:99", "http://127.0.0.1:99" }, { "[::1]", "http://[::1]:11434" },
        { "[::1]:99", "http://[::1]:99" },
    };
    struct fixture *f = *state;
    struct model_options o;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        hosts[i].said ? setenv("OLLAMA_HOST", hosts[i].said, 1) : unsetenv("OLLAMA_HOST");
        assert_string_equal(ollama_address(&f->fake.room.arena), hosts[i].meant);
    }
    setenv("OLLAMA_HOST", "box", 1);
    check_ok(model_options_parse("ollama:#qwen", &f->fake.room.arena, &o, &f->e), &f->e);
    assert_string_equal(o.url, "ollama:http://box:11434");
    assert_string_equal(o.name, "qwen");
    unsetenv("OLLAMA_HOST");
    check_err(model_options_parse("ollama:ftp://x#qwen", &f->fake.room.arena, &o, &f->e), ERR_INVALID, &f->e, "is not a model");
    check_err(model_options_parse("ollama:http://ann:secret@x", &f->fake.room.arena, &o, &f->e), ERR_INVALID, &f->e, "no user name");
}

static void an_address_may_end_as_people_write_it(void **state)
{
    static const char *const endings[] = { "/", "/v1", "/api/", "/v1/chat/completions" };
    struct fixture *f = *state;
    model(f);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        model_free(f->model);
        f->options.url = arena_printf(&f->fake.room.arena, "ollama:%s%s", f->fake.url, endings[i]);
        check_ok(model_open(&f->model, &f->options, &f->e), &f->e);
        assert_int_equal(context(f), 16384);
    }
}

/* ---- loading and letting go ---- */

static void a_model_is_loaded_and_let_go(void **state)
{
    struct fixture *f = *state;
    bool loaded = true;
    check_ok(ollama_is_loaded(model(f), NULL, &loaded, &f->e), &f->e);
    assert_false(loaded);
    check_ok(ollama_load(model(f), 0, NULL, &f->e), &f->e);
    check_ok(ollama_is_loaded(model(f), NULL, &loaded, &f->e), &f->e);
    assert_true(loaded);
    check_ok(ollama_try(model(f), false, 0, NULL, &f->e), &f->e);
    check_ok(ollama_try(model(f), true, 0, NULL, &f->e), &f->e);
    check_ok(ollama_ping(model(f), &f->e), &f->e);
    assert_int_equal(fake_count(&f->fake, "loaded"), 1);
    check_ok(ollama_unload(model(f), &f->e), &f->e);
    check_ok(ollama_is_loaded(model(f), NULL, &loaded, &f->e), &f->e);
    assert_false(loaded);
}

static void one_that_others_loaded_smaller_counts_as_not_loaded(void **state)
{
    struct fixture *f = *state;
    bool loaded = true;
    f->options.context_tokens = 2048;
    check_ok(ollama_load(model(f), 0, NULL, &f->e), &f->e);
    model_free(f->model);
    f->model = NULL;
    f->options.context_tokens = 8192;
    check_ok(ollama_is_loaded(model(f), NULL, &loaded, &f->e), &f->e);
    assert_false(loaded);
}

/* ---- other programs' requests ---- */

static bool on_body(const char *bytes, size_t len, void *ctx)
{
    str_add_bytes(&((struct fixture *)ctx)->passed, bytes, len);
    return true;
}

static int forward(struct fixture *f, const char *path, const char *body)
{
    struct forward_request q = { .path = path, .on_body = on_body, .ctx = f };
    check_ok(json_parse(&f->fake.room.arena, body, strlen(body), &q.body, &f->e), &f->e);
    str_clear(&f->passed);
    return model_forward(model(f), &q, &f->result, &f->refusal, &f->e);
}

static void a_chat_is_passed_on_translated_and_its_answer_is_in_chunks(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "rules:\n- {on: /api/chat, reasoning: hm, text: \"gr\xC3\xBC\xC3\x9F dich\"}\n");
    check_ok(forward(f, "/chat/completions",
                     "{\"model\":\"developer\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_tokens\":50,\"stop\":\"END\","
                     "\"top_p\":0.5,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{\"type\":"
                     "\"object\"}}},\"messages\":[{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\","
                     "\"text\":\"b\"}]},{\"role\":\"user\",\"content\":\"c\"}]}"), &f->e);
    const json_t *body = sent(f, "/api/chat", 0), *options = json_object_get(body, "options");
    assert_int_equal(f->result.status, 200);
    assert_string_equal(f->result.content_type, "text/event-stream");
    assert_string_equal(json_text_of(body, "model", ""), "qwen:7b");
    assert_int_equal(json_int_of(options, "num_ctx", 0), 16384);
    assert_int_equal(json_int_of(options, "num_predict", 0), 50);
    assert_string_equal(json_string_value(json_array_get(json_object_get(options, "stop"), 0)), "END");
    assert_true(json_is_false(json_object_get(body, "truncate")));
    assert_string_equal(json_text_of(json_object_get(body, "format"), "type", ""), "object");
    const json_t *first = json_array_get(json_object_get(body, "messages"), 0);
    assert_string_equal(json_text_of(first, "role", ""), "system");
    assert_string_equal(json_text_of(first, "content", ""), "a\nb");
    assert_non_null(strstr(f->passed.data, "\"role\":\"assistant\""));
    assert_non_null(strstr(f->passed.data, "\"reasoning_content\":\"hm\""));
    assert_non_null(strstr(f->passed.data, "\"object\":\"chat.completion.chunk\""));
    assert_non_null(strstr(f->passed.data, "\"finish_reason\":\"stop\""));
    assert_non_null(strstr(f->passed.data, "\"usage\":{\"completion_tokens\":"));
    assert_true(ends_with(f->passed.data, "data: [DONE]\n\n"));
}

static void calls_of_tools_go_both_ways(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "rules:\n- {on: /api/chat, status: 200, body: \"{\\\"message\\\":{\\\"content\\\":\\\"\\\",\\\"tool_calls\\\":[{"
                          "\\\"function\\\":{\\\"name\\\":\\\"add\\\",\\\"arguments\\\":{\\\"a\\\":1}}}]}}\\n{\\\"done\\\":true,"
                          "\\\"done_reason\\\":\\\"stop\\\"}\\n\"}\n");
    check_ok(forward(f, "/chat/completions",
                     "{\"stream\":true,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"add\"}}],\"messages\":[{\"role\":\"user\","
                     "\"content\":\"x\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\","
                     "\"function\":{\"name\":\"add\",\"arguments\":\"{\\\"a\\\":2}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\","
                     "\"content\":\"3\"}]}"), &f->e);
    const json_t *messages = json_object_get(sent(f, "/api/chat", 0), "messages");
    const json_t *call = json_array_get(json_object_get(json_array_get(messages, 1), "tool_calls"), 0);
    assert_int_equal(json_int_of(json_object_get(json_object_get(call, "function"), "arguments"), "a", 0), 2);
    assert_string_equal(json_text_of(json_array_get(messages, 2), "tool_call_id", ""), "c1");
    assert_int_equal(json_array_size(json_object_get(sent(f, "/api/chat", 0), "tools")), 1);
    assert_non_null(strstr(f->passed.data, "\"arguments\":\"{\\\"a\\\":1}\""));
    assert_non_null(strstr(f->passed.data, "\"finish_reason\":\"tool_calls\""));
}

static void a_text_is_continued(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "rules:\n- {on: /api/generate, text: yes}\n");
    check_ok(forward(f, "/completions", "{\"stream\":true,\"prompt\":\"Once\"}"), &f->e);
    assert_true(json_is_true(json_object_get(sent(f, "/api/generate", 0), "raw")));
    assert_int_equal(num_ctx(f, "/api/generate", 0), 16384);
    assert_non_null(strstr(f->passed.data, "\"object\":\"text_completion\""));
    assert_non_null(strstr(f->passed.data, "\"text\":\"yes\""));
}

static void vectors_are_passed_on_as_numbers_or_packed(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "rules:\n- {on: /api/embed, status: 200, body: '{\"embeddings\":[[1,-2.5]],\"prompt_eval_count\":3}'}\n");
    check_ok(forward(f, "/embeddings", "{\"input\":\"a\"}"), &f->e);
    assert_non_null(strstr(f->passed.data, "\"embedding\":[1,-2.5]"));
    assert_non_null(strstr(f->passed.data, "\"prompt_tokens\":3"));
    assert_string_equal(f->result.content_type, "application/json");
    check_ok(forward(f, "/embeddings", "{\"input\":[\"a\"],\"encoding_format\":\"base64\"}"), &f->e);
    assert_non_null(strstr(f->passed.data, "\"embedding\":\"AACAPwAAIMA=\"")); /* 0x3f800000, 0xc0200000 */
}

static void what_cannot_be_done_is_refused_in_the_words_of_openai(void **state)
{
    static const struct { const char *path, *body, *says; } bad[] = {
        { "/chat/completions", "{\"stream\":true,\"n\":2,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "n must be 1" },
        { "/chat/completions", "{\"stream\":true}", "messages is missing" },
        { "/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "as a stream only" },
        { "/chat/completions", "{\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
                               "{\"url\":\"http://x/y.png\"}}]}]}", "nothing is fetched" },
        { "/chat/completions", "{\"stream\":true,\"tools\":[{}],\"tool_choice\":\"required\",\"messages\":[{\"role\":\"user\",\"content\":"
                               "\"x\"}]}", "cannot force a call" },
        { "/chat/completions", "{\"stream\":true,\"response_format\":{\"type\":\"yaml\"},\"messages\":[{\"role\":\"user\",\"content\":"
                               "\"x\"}]}", "allowed: text, json_object, json_schema" },
        { "/completions", "{\"stream\":true,\"prompt\":[\"a\",\"b\"]}", "must be one text" },
        { "/embeddings", "{\"input\":[1,2]}", "takes no tokens" },
        { "/embeddings", "{\"input\":[\"a\",\"\"]}", "text 2 of 2 is empty" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check_ok(forward(f, bad[i].path, bad[i].body), &f->e);
        assert_int_equal(f->result.status, 400);
        assert_non_null(strstr(f->refusal.data, bad[i].says));
        assert_non_null(strstr(f->refusal.data, "\"type\":\"invalid_request_error\""));
        assert_int_equal(f->passed.len, 0);
    }
    fake_script(&f->fake, "rules:\n- {on: /api/chat, times: 1, status: 400, body: '{\"error\":\"the input length exceeds the context "
                          "length\"}'}\n- {on: /api/chat, status: 200, body: \"{\\\"error\\\":\\\"runner died\\\"}\\n\"}\n");
    check_ok(forward(f, "/chat/completions", "{\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"), &f->e);
    assert_non_null(strstr(f->refusal.data, "{\"error\":{\"code\":400,\"message\":\"the input length exceeds"));
    check_err(forward(f, "/chat/completions", "{\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"), ERR_FAILED, &f->e,
              "runner died");
}

static void half_an_answer_is_not_passed_on_as_a_whole_one(void **state)
{
    struct fixture *f = *state;
    fake_script(&f->fake, "rules:\n- {on: /api/chat, status: 200, body: \"{\\\"message\\\":{\\\"content\\\":\\\"half\\\"}}\\n\"}\n");
    check_err(forward(f, "/chat/completions", "{\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"), ERR_FAILED, &f->e,
              "in the middle");
    assert_null(strstr(f->passed.data, "[DONE]"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_request_says_the_same_context_and_that_nothing_may_be_cut),
        T(the_context_is_what_was_said_for_it),
        T(the_context_is_what_the_modelfile_says),
        T(the_context_is_no_larger_than_the_model_was_trained_for),
        T(a_context_that_was_lowered_is_told),
        T(a_prompt_that_fills_the_context_may_have_been_cut),
        T(what_does_not_fit_is_refused_by_a_new_one_and_not_sent_to_an_old_one),
        T(a_model_that_is_elsewhere_is_refused),
        T(a_server_that_is_no_ollama_is_told_so),
        T(the_address_of_the_environment_is_understood),
        T(an_address_may_end_as_people_write_it),
        T(a_model_is_loaded_and_let_go),
        T(one_that_others_loaded_smaller_counts_as_not_loaded),
        T(a_chat_is_passed_on_translated_and_its_answer_is_in_chunks),
        T(calls_of_tools_go_both_ways),
        T(a_text_is_continued),
        T(vectors_are_passed_on_as_numbers_or_packed),
        T(what_cannot_be_done_is_refused_in_the_words_of_openai),
        T(half_an_answer_is_not_passed_on_as_a_whole_one),
    };
    return cmocka_run_group_tests_name("ollama", tests, NULL, NULL);
}
