/* Asking models over HTTP: requests, answers, names, keys. */
#include "chat_fixture.h"
#include "check.h"
#include "tmpdir.h"

#include "base/clock.h"

#include <pthread.h>
#include <unistd.h>

/* ---- good servers ---- */

static void an_answer_streams_with_usage(void **state)
{
    struct fixture *f = *state;
    upstream_model(f->server, "fake-7b", "Gr\xC3\xBC\xC3\x9F" "e, this is an answer of several pieces.\n");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "Gr\xC3\xBC\xC3\x9F" "e, this is an answer of several pieces.\n");
    assert_string_equal(f->seen.data, f->answer.text.data);
    assert_string_equal(f->answer.finish, "stop");
    assert_string_equal(f->answer.model, "fake-7b");
    assert_int_equal(f->answer.prompt_tokens, 100);
    assert_int_equal(f->answer.cached_tokens, 40);
    assert_int_equal(f->answer.completion_tokens, 7);
    assert_int_equal(f->answer.retries, 0);
    assert_true(f->answer.first_token_us > 0 && f->answer.total_us >= f->answer.first_token_us);
}

static void the_request_says_what_was_asked(void **state)
{
    struct fixture *f = *state;
    upstream_model(f->server, "fake-7b", "ok");
    check_ok(ask(f), &f->err);
    json_t *body = request_body(f, 0);
    assert_string_equal(json_text_of(body, "model", ""), "fake-7b");
    assert_true(json_bool_of(body, "stream", false));
    assert_true(json_bool_of(json_object_get(body, "stream_options"), "include_usage", false));
    assert_int_equal(json_int_of(body, "seed", 0), 7);
    assert_int_equal(json_int_of(body, "max_tokens", 0), 500);
    assert_true(json_number_value(json_object_get(body, "temperature")) == 0.25);
    const json_t *messages = json_object_get(body, "messages");
    assert_int_equal(json_array_size(messages), 2);
    assert_string_equal(json_text_of(json_array_get(messages, 0), "role", ""), "system");
    assert_string_equal(json_text_of(json_array_get(messages, 1), "content", ""), "Write \xC3\xA4 test.\n");
    assert_null(json_object_get(body, "response_format"));
    assert_null(strstr(upstream_head(f->server, CHAT, 0), "Authorization"));
}

static void the_stream_may_be_cut_anywhere(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    STR_LOCAL(body);
    str_add(&body, ": a comment\r\n\r\nretry: 10\r\n");
    upstream_chunk(&body, "{\"content\":\"\xE2\x82\xAC \xF0\x9F\x98\x80 \"}", NULL);
    str_add(&body, "event: message\r\nid: 7\r\ndata:{\"choices\":[{\"index\":0,\r\n"
                   "data:\"delta\":{\"content\":\"two lines\"}}]}\r\n\r\n");
    upstream_chunk(&body, "{\"content\":\"\"}", "stop");
    str_add(&body, "data: [DONE]\r\n\r\n");
    for (size_t piece = 1; piece <= 7; piece++)
        reply(f, (struct upstream_reply){ .body = body.data, .piece = piece });
    for (size_t piece = 1; piece <= 7; piece++) {
        check_ok(ask(f), &f->err);
        assert_string_equal(f->answer.text.data, "\xE2\x82\xAC \xF0\x9F\x98\x80 two lines");
    }
}

static void the_figures_of_llama_server_are_understood(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    reply_events(f, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n"
                    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}],"
                    "\"timings\":{\"cache_n\":236,\"prompt_n\":14,\"predicted_n\":35}}\n\ndata: [DONE]\n\n");
    check_ok(ask(f), &f->err);
    assert_int_equal(f->answer.prompt_tokens, 250);
    assert_int_equal(f->answer.cached_tokens, 236);
    assert_int_equal(f->answer.completion_tokens, 35);
    assert_string_equal(f->answer.finish, "length");
}

static void cached_tokens_that_are_null_are_not_reported(void **state)
{
    static const char *const details[] = { "null", "{}", "{\"cached_tokens\":null}" }; /* vLLM, by version and flags */
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    for (size_t i = 0; i < sizeof details / sizeof *details; i++) {
        reply_events(f, arena_printf(&f->arena,
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n"
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1,\"prompt_tokens_details\":%s}}\n\ndata: [DONE]\n\n",
            details[i]));
        check_ok(ask(f), &f->err);
        assert_int_equal(f->answer.prompt_tokens, 7);
        assert_int_equal(f->answer.cached_tokens, -1);
    }
}

static void figures_that_are_not_reported_are_not_invented(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    STR_LOCAL(body);
    upstream_chunk(&body, "{\"content\":\"x\"}", "stop");
    reply_events(f, body.data);
    check_ok(ask(f), &f->err);
    assert_int_equal(f->answer.prompt_tokens, -1);
    assert_int_equal(f->answer.cached_tokens, -1);
    assert_int_equal(f->answer.completion_tokens, -1);
}

static void a_server_that_does_not_stream_is_understood(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    reply(f, (struct upstream_reply){ .type = "application/json", .body =
        "{\"model\":\"fake-7b\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"whole\"},"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}" });
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "whole");
    assert_int_equal(f->answer.prompt_tokens, 3);
}

static void reasoning_is_kept_apart(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    STR_LOCAL(body);
    upstream_chunk(&body, "{\"reasoning_content\":\"hm, \"}", NULL);
    upstream_chunk(&body, "{\"reasoning_content\":\"yes\"}", NULL);
    upstream_chunk(&body, "{\"content\":\"answer\"}", "stop");
    reply_events(f, body.data);
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "answer");
    assert_string_equal(f->answer.reasoning.data, "hm, yes");
    reply_text(f, "<think>\nperhaps ### a.py\n</think>\n\nanswer");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "answer");
    assert_string_equal(f->seen.data, "answer");
    assert_string_equal(f->answer.reasoning.data, "\nperhaps ### a.py\n");
}

static void a_schema_is_sent_and_left_out_where_it_is_rejected(void **state)
{
    struct fixture *f = *state;
    struct chat_request q = { .schema = &verdict_record };
    list_model(f, "fake-7b");
    reply_text(f, "{\"text\":\"a\"}");
    check_ok(ask_with(f, q), &f->err);
    const json_t *format = json_object_get(request_body(f, 0), "response_format");
    assert_string_equal(json_text_of(format, "type", ""), "json_schema");
    format = json_object_get(format, "json_schema");
    assert_string_equal(json_text_of(format, "name", ""), "verdict");
    assert_true(json_bool_of(format, "strict", false));
    assert_string_equal(json_text_of(json_object_get(format, "schema"), "type", ""), "object");

    reply(f, (struct upstream_reply){ .status = 400, .body = "{\"error\":{\"message\":\"unsupported field\"}}" });
    reply(f, (struct upstream_reply){ .status = 400, .body = "{\"error\":{\"message\":\"unsupported field\"}}" });
    reply_text(f, "{\"text\":\"a\"}");
    check_ok(ask_with(f, q), &f->err);
    assert_non_null(json_object_get(request_body(f, 1), "response_format"));
    format = json_object_get(request_body(f, 2), "response_format"); /* as llama-cpp-python and others have it */
    assert_string_equal(json_text_of(format, "type", ""), "json_object");
    assert_string_equal(json_text_of(json_object_get(format, "schema"), "type", ""), "object");
    assert_null(json_object_get(request_body(f, 3), "response_format"));
    check_ok(ask_with(f, q), &f->err); /* it remembers */
    assert_null(json_object_get(request_body(f, 4), "response_format"));
    assert_int_equal(f->answer.retries, 0);
}

static void a_400_that_has_nothing_to_do_with_the_schema_is_told(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    for (int i = 0; i < 3; i++) /* one for each form, and without */
        reply(f, (struct upstream_reply){ .status = 400, .body = "{\"error\":{\"message\":\"System role not supported\"}}" });
    check_err(ask_with(f, (struct chat_request){ .schema = &verdict_record }), ERR_INVALID, &f->err,
              "System role not supported");
    reply_text(f, "ok");
    check_ok(ask_with(f, (struct chat_request){ .schema = &verdict_record }), &f->err);
    assert_non_null(json_object_get(request_body(f, 3), "response_format"));
}

/* ---- names and contexts ---- */

static void describe(struct fixture *f, const char *name, int64_t context)
{
    const char *found;
    int64_t tokens;
    model_free(f->model);
    f->model = NULL;
    check_ok(model_open(&f->model, &f->options, &f->err), &f->err);
    check_ok(model_describe(f->model, NULL, &found, &tokens, &f->err), &f->err);
    assert_string_equal(found, name);
    assert_int_equal(tokens, context);
}

static void a_name_that_is_not_listed_is_an_error_with_the_list(void **state)
{
    struct fixture *f = *state;
    f->options.name = "gpt-4";
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .body = "{\"data\":[{\"id\":\"qwen:7b\"},{\"id\":\"llama3\"}]}" });
    check_err(ask(f), ERR_NOT_FOUND, &f->err, "qwen:7b, llama3");
    assert_non_null(strstr(f->err.text, "gpt-4"));
    assert_int_equal(upstream_count(f->server, CHAT), 0);
}

static void a_name_may_be_shorter_than_the_servers(void **state)
{
    struct fixture *f = *state;
    f->options.context_tokens = 1000;
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .body =
        "{\"data\":[{\"id\":\"/models/Qwen2.5-Coder-7B-Instruct-Q4_K_M.gguf\"},{\"id\":\"llama3:latest\"},"
        "{\"id\":\"llama3:70b\"},{\"id\":\"other\",\"aliases\":[\"alias-a\"]}]}" });
    f->options.name = "qwen2.5-coder-7b";
    describe(f, "/models/Qwen2.5-Coder-7B-Instruct-Q4_K_M.gguf", 1000);
    f->options.name = "llama3";
    describe(f, "llama3:latest", 1000);
    f->options.name = "alias-a";
    describe(f, "other", 1000);
    f->options.name = NULL;
    describe(f, "/models/Qwen2.5-Coder-7B-Instruct-Q4_K_M.gguf", 1000);
    f->options.name = "llama"; /* two are as good */
    const char *name;
    int64_t tokens;
    model_free(f->model);
    check_ok(model_open(&f->model, &f->options, &f->err), &f->err);
    check_err(model_describe(f->model, NULL, &name, &tokens, &f->err), ERR_NOT_FOUND, &f->err, "llama3:70b");
}

static void the_context_is_asked_where_each_server_tells_it(void **state)
{
    struct fixture *f = *state;
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .body = "{\"data\":[{\"id\":\"m\",\"max_model_len\":32768}]}" });
    describe(f, "m", 32768); /* vLLM */
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .body = "{\"data\":[{\"id\":\"m\",\"meta\":{\"n_ctx_train\":131072}}]}" });
    describe(f, "m", 8192); /* none: what it was trained for is not what there is */
    upstream_on(f->server, "/api/v0/models/m", &(struct upstream_reply){ .body = "{\"id\":\"m\",\"state\":\"loaded\",\"max_context_length\":131072,"
                                                                                "\"loaded_context_length\":4096}" });
    describe(f, "m", 4096); /* LM Studio */
    upstream_on(f->server, "/props", &(struct upstream_reply){ .body = "{\"default_generation_settings\":{\"n_ctx\":16384}}" });
    describe(f, "m", 16384); /* llama-server */
    f->options.context_tokens = 2048;
    describe(f, "m", 2048); /* configured */
}

static void ollama_is_made_to_load_the_model_and_tell_its_context(void **state)
{
    struct fixture *f = *state;
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .body = "{\"data\":[{\"id\":\"m:7b\",\"owned_by\":\"library\"}]}" });
    upstream_on(f->server, "/api/ps", &(struct upstream_reply){ .body = "{\"models\":[]}" });
    upstream_on(f->server, "/api/ps", &(struct upstream_reply){ .body = "{\"models\":[{\"name\":\"m:7b\",\"context_length\":4096}]}" });
    upstream_on(f->server, "/api/generate", &(struct upstream_reply){ .body = "{\"done\":true}" });
    describe(f, "m:7b", 4096);
    assert_non_null(strstr(upstream_body(f->server, "/api/generate", 0), "m:7b"));
}

static void a_server_without_a_list_is_taken_at_its_word(void **state)
{
    struct fixture *f = *state;
    f->options.name = "whatever";
    reply_text(f, "ok");
    check_ok(ask(f), &f->err);
    assert_string_equal(json_text_of(request_body(f, 0), "model", ""), "whatever");
}

static void addresses_are_understood_as_people_give_them(void **state)
{
    struct fixture *f = *state;
    static const char *const tails[] = { "", "/", "/v1", "/v1/", "/v1/chat/completions" };
    upstream_model(f->server, "fake-7b", "ok");
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        f->options.url = arena_printf(&f->arena, "%s%s", upstream_url(f->server), tails[i]);
        model_free(f->model);
        f->model = NULL;
        check_ok(ask(f), &f->err);
    }
    struct model_options o;
    check_ok(model_options_parse("http://h:1/v1#a:b", &f->arena, &o, &f->err), &f->err);
    assert_string_equal(o.url, "http://h:1/v1");
    assert_string_equal(o.name, "a:b");
    check_ok(model_options_parse("replay:some dir", &f->arena, &o, &f->err), &f->err);
    check_err(model_options_parse("gpt-4", &f->arena, &o, &f->err), ERR_INVALID, &f->err, "gpt-4");
    check_err(model_options_parse("http://", &f->arena, &o, &f->err), ERR_INVALID, &f->err, "address");
    check_err(model_options_parse("http://ann:secret@h:1/v1#a", &f->arena, &o, &f->err), ERR_INVALID, &f->err, "TANDEM_API_KEY");
    assert_null(strstr(f->err.text, "secret"));
    check_ok(model_options_parse("http://h:1/v1#team@7b", &f->arena, &o, &f->err), &f->err);
    check_err(model_options_parse("replay:", &f->arena, &o, &f->err), ERR_INVALID, &f->err, "replay:DIR");
}

static void a_server_on_a_unix_socket_is_asked_like_any_other(void **state)
{
    struct fixture *f = *state;
    struct tmpdir dir = tmpdir_make();
    const char *path = arena_printf(&f->arena, "%s/model.sock", dir.path);
    upstream_stop(f->server);
    f->server = upstream_start_unix(path);
    upstream_model(f->server, "fake-7b", "over a socket");
    check_ok(model_options_parse(arena_printf(&f->arena, "unix:%s#fake-7b", path), &f->arena, &f->options, &f->err), &f->err);
    f->options.refused_patience_ms = 100;
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "over a socket");
    reply(f, (struct upstream_reply){ .status = 400, .body = "no" });
    check_err(ask(f), ERR_INVALID, &f->err, path);
    model_free(f->model);
    f->model = NULL;
    f->options.url = arena_printf(&f->arena, "unix:%s/none.sock", dir.path);
    check_err(ask(f), ERR_UNAVAILABLE, &f->err, "none.sock");
    tmpdir_remove(&dir);
}

static void a_path_that_no_socket_can_have_is_refused(void **state)
{
    struct fixture *f = *state;
    struct model_options o;
    char word[200] = "unix:/", *at = word + strlen(word);
    memset(at, 'x', 106);
    memcpy(at + 106, "#m", 3);
    check_ok(model_options_parse(word, &f->arena, &o, &f->err), &f->err);
    assert_string_equal(o.name, "m");
    memset(at, 'x', 107);
    memcpy(at + 107, "#m", 3);
    check_err(model_options_parse(word, &f->arena, &o, &f->err), ERR_INVALID, &f->err, "longer than 107 bytes");
    check_err(model_options_parse("unix:model.sock", &f->arena, &o, &f->err), ERR_INVALID, &f->err, "not a model");
}

/* ---- slots and sampling ---- */

static void a_slot_is_asked_of_a_llama_server_only(void **state)
{
    struct fixture *f = *state;
    struct chat_request q = { .conversation = "units/T-1/tester", .slot = 3 };
    upstream_model(f->server, "fake-7b", "ok");
    check_ok(ask_with(f, q), &f->err);
    assert_null(json_object_get(request_body(f, 0), "id_slot"));
    model_free(f->model);
    f->model = NULL;
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .body =
        "{\"data\":[{\"id\":\"fake-7b\",\"owned_by\":\"llamacpp\",\"meta\":{\"n_ctx\":1024}}]}" });
    check_ok(ask_with(f, q), &f->err);
    assert_int_equal(json_int_of(request_body(f, 1), "id_slot", -1), 2); /* it counts from 0 */
    assert_true(json_bool_of(request_body(f, 1), "cache_prompt", false));
    check_ok(ask(f), &f->err);
    assert_null(json_object_get(request_body(f, 2), "id_slot")); /* it chooses */
    assert_null(json_object_get(request_body(f, 1), "conversation"));
}

static void sampling_is_added_but_replaces_nothing(void **state)
{
    struct fixture *f = *state;
    json_t *sampling = json_pack("{s:f, s:i}", "top_p", 0.9, "seed", 1);
    upstream_model(f->server, "fake-7b", "ok");
    check_ok(ask_with(f, (struct chat_request){ .seed = 7, .sampling = sampling }), &f->err);
    assert_true(json_number_value(json_object_get(request_body(f, 0), "top_p")) == 0.9);
    assert_int_equal(json_int_of(request_body(f, 0), "seed", 0), 7);
    json_decref(sampling);
}

/* ---- keys and certificates ---- */

static void the_key_is_sent_and_never_shown(void **state)
{
    struct fixture *f = *state;
    setenv("TANDEM_API_KEY", "sk-very-secret", 1);
    upstream_model(f->server, "fake-7b", "ok");
    check_ok(ask(f), &f->err);
    assert_non_null(strstr(upstream_head(f->server, CHAT, 0), "Authorization: Bearer sk-very-secret\r\n"));
    reply(f, (struct upstream_reply){ .status = 401, .body = "{\"error\":{\"message\":\"Incorrect API key: sk-very-secret\"}}" });
    check_err(ask(f), ERR_REFUSED, &f->err, "another API key");
    assert_null(strstr(f->err.text, "secret"));
    unsetenv("TANDEM_API_KEY");
}

static void a_missing_key_says_where_to_put_it(void **state)
{
    struct fixture *f = *state;
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .status = 401, .body = "{\"error\":\"Unauthorized\"}" });
    check_err(ask(f), ERR_REFUSED, &f->err, "TANDEM_API_KEY");
}

static void the_key_may_lie_in_a_file(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/tandem-key-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "sk-from-file\n", 13), 13);
    close(fd);
    f->options.api_key_file = path;
    upstream_model(f->server, "fake-7b", "ok");
    check_ok(ask(f), &f->err);
    assert_non_null(strstr(upstream_head(f->server, CHAT, 0), "Bearer sk-from-file\r\n"));
    unlink(path);
    model_free(f->model);
    f->model = NULL;
    assert_int_equal(model_open(&f->model, &f->options, &f->err), ERR_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "API key"));
}

/* ---- several at once ---- */

static void *chat_ten_times(void *argument)
{
    static const struct chat_message message = { CHAT_USER, "hi" };
    for (intptr_t i = 0; i < 10; i++) {
        struct chat_answer answer;
        struct err e = { 0 };
        struct chat_request q = { .messages = &message, .message_count = 1, .key = { "", "pm", "spec", 1 } };
        if (model_chat(argument, &q, &answer, &e) < 0 || !streq(answer.text.data, "an answer for all"))
            return (void *)(i + 1);
        chat_answer_release(&answer);
    }
    return NULL;
}

static void one_model_answers_several_threads(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[6];
    upstream_model(f->server, "fake-7b", "an answer for all");
    check_ok(model_open(&f->model, &f->options, &f->err), &f->err);
    for (int i = 0; i < 6; i++)
        pthread_create(&threads[i], NULL, chat_ten_times, f->model);
    for (int i = 0; i < 6; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(upstream_count(f->server, CHAT), 60);
}

/* ---- estimates ---- */

static void estimates_are_upper_bounds_for_what_is_split_finely(void **state)
{
    (void)state;
    assert_int_equal(tokens_estimate("", 0), 0);
    assert_int_equal(tokens_estimate("abc", 3), 1);
    assert_int_equal(tokens_estimate("abcd", 4), 2);
    assert_int_equal(tokens_estimate("1234567890", 10), 10); /* a token for each digit */
    assert_int_equal(tokens_estimate("\xE6\xBC\xA2\xE5\xAD\x97", 6), 4);
    struct chat_message m = { CHAT_USER, "abc" };
    assert_int_equal(tokens_estimate_messages(&m, 1), 8 + 8 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHAT_TEST(an_answer_streams_with_usage),
        CHAT_TEST(the_request_says_what_was_asked),
        CHAT_TEST(the_stream_may_be_cut_anywhere),
        CHAT_TEST(the_figures_of_llama_server_are_understood),
        CHAT_TEST(cached_tokens_that_are_null_are_not_reported),
        CHAT_TEST(figures_that_are_not_reported_are_not_invented),
        CHAT_TEST(a_server_that_does_not_stream_is_understood),
        CHAT_TEST(reasoning_is_kept_apart),
        CHAT_TEST(a_schema_is_sent_and_left_out_where_it_is_rejected),
        CHAT_TEST(a_400_that_has_nothing_to_do_with_the_schema_is_told),
        CHAT_TEST(a_name_that_is_not_listed_is_an_error_with_the_list),
        CHAT_TEST(a_name_may_be_shorter_than_the_servers),
        CHAT_TEST(the_context_is_asked_where_each_server_tells_it),
        CHAT_TEST(ollama_is_made_to_load_the_model_and_tell_its_context),
        CHAT_TEST(a_server_without_a_list_is_taken_at_its_word),
        CHAT_TEST(addresses_are_understood_as_people_give_them),
        CHAT_TEST(a_server_on_a_unix_socket_is_asked_like_any_other),
        CHAT_TEST(a_path_that_no_socket_can_have_is_refused),
        CHAT_TEST(a_slot_is_asked_of_a_llama_server_only),
        CHAT_TEST(sampling_is_added_but_replaces_nothing),
        CHAT_TEST(the_key_is_sent_and_never_shown),
        CHAT_TEST(a_missing_key_says_where_to_put_it),
        CHAT_TEST(the_key_may_lie_in_a_file),
        CHAT_TEST(one_model_answers_several_threads),
        CHAT_TEST(estimates_are_upper_bounds_for_what_is_split_finely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
