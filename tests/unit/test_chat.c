/* Asking models over HTTP: what good, slow, dying and lying servers do. */
#include "check.h"
#include "upstream.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "model/chat.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define CHAT "/v1/chat/completions"

struct fixture {
    struct upstream *server;
    struct model *model;
    struct model_options options;
    struct arena arena;
    struct chat_answer answer;
    struct str seen; /* what on_text showed */
    int starts_over;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e;
    unsetenv("TANDEM_API_KEY");
    f->server = upstream_start();
    check_ok(model_options_parse(upstream_url(f->server), &f->arena, &f->options, &e), &e);
    f->options.patience_ms = 2000;
    f->options.refused_patience_ms = 300;
    str_init(&f->seen);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    model_free(f->model);
    upstream_stop(f->server);
    chat_answer_release(&f->answer);
    str_release(&f->seen);
    arena_release(&f->arena);
    free(f);
    return 0;
}

static void show(const char *text, size_t len, void *ctx)
{
    struct fixture *f = ctx;
    if (text) {
        str_add_bytes(&f->seen, text, len);
    } else {
        str_clear(&f->seen);
        f->starts_over++;
    }
}

static int ask_with(struct fixture *f, struct chat_request q)
{
    static const struct chat_message messages[] = { { CHAT_SYSTEM, "You test." },
                                                    { CHAT_USER, "Write \xC3\xA4 test.\n" } };
    if (!f->model)
        check_ok(model_open(&f->model, &f->options, &f->err), &f->err);
    if (!q.messages) {
        q.messages = messages;
        q.message_count = 2;
    }
    q.key = (struct call_key){ "T-1", "tester", "red-1", 1 };
    q.on_text = show;
    q.ctx = f;
    chat_answer_release(&f->answer);
    f->starts_over = 0;
    str_clear(&f->seen);
    return model_chat(f->model, &q, &f->answer, &f->err);
}

static int ask(struct fixture *f)
{
    return ask_with(f, (struct chat_request){ .seed = 7, .temperature = 0.25, .max_tokens = 500 });
}

static void reply(struct fixture *f, struct upstream_reply r)
{
    r.type = r.type ? r.type : "text/event-stream";
    upstream_on(f->server, CHAT, &r);
}

static void reply_events(struct fixture *f, const char *body)
{
    reply(f, (struct upstream_reply){ .body = body });
}

static void reply_text(struct fixture *f, const char *text)
{
    STR_LOCAL(body);
    upstream_answer(&body, text, "stop");
    reply_events(f, body.data);
}

static void list_model(struct fixture *f, const char *id)
{
    STR_LOCAL(body);
    str_addf(&body, "{\"object\":\"list\",\"data\":[{\"id\":\"%s\"}]}", id);
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .body = body.data });
}

static json_t *request_body(struct fixture *f, size_t n)
{
    json_t *value = NULL;
    struct err e;
    const char *text = upstream_body(f->server, CHAT, n);
    check_ok(json_parse(&f->arena, text, strlen(text), &value, &e), &e);
    return value;
}

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

struct verdict {
    const char *text;
};
static const struct field verdict_fields[] = { FIELD(struct verdict, text, FIELD_TEXT, .required = true) };
static const struct record verdict_record = RECORD("verdict", struct verdict, verdict_fields);

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
    reply_text(f, "{\"text\":\"a\"}");
    check_ok(ask_with(f, q), &f->err);
    assert_non_null(json_object_get(request_body(f, 1), "response_format"));
    assert_null(json_object_get(request_body(f, 2), "response_format"));
    check_ok(ask_with(f, q), &f->err); /* it remembers */
    assert_null(json_object_get(request_body(f, 3), "response_format"));
    assert_int_equal(f->answer.retries, 0);
}

static void a_400_that_has_nothing_to_do_with_the_schema_is_told(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    reply(f, (struct upstream_reply){ .status = 400, .body = "{\"error\":{\"message\":\"System role not supported\"}}" });
    check_err(ask_with(f, (struct chat_request){ .schema = &verdict_record }), ERR_INVALID, &f->err,
              "System role not supported");
    reply_text(f, "ok");
    check_ok(ask_with(f, (struct chat_request){ .schema = &verdict_record }), &f->err);
    assert_non_null(json_object_get(request_body(f, 2), "response_format"));
}

/* ---- names and contexts ---- */

static void describe(struct fixture *f, const char *name, int64_t context)
{
    const char *found;
    int64_t tokens;
    model_free(f->model);
    f->model = NULL;
    check_ok(model_open(&f->model, &f->options, &f->err), &f->err);
    check_ok(model_describe(f->model, &found, &tokens, &f->err), &f->err);
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
    check_err(model_describe(f->model, &name, &tokens, &f->err), ERR_NOT_FOUND, &f->err, "llama3:70b");
}

static void the_context_is_asked_where_each_server_tells_it(void **state)
{
    struct fixture *f = *state;
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .body = "{\"data\":[{\"id\":\"m\",\"max_model_len\":32768}]}" });
    describe(f, "m", 32768); /* vLLM */
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .body = "{\"data\":[{\"id\":\"m\",\"meta\":{\"n_ctx_train\":131072}}]}" });
    describe(f, "m", 8192); /* none: what it was trained for is not what there is */
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
    check_err(model_options_parse("replay:", &f->arena, &o, &f->err), ERR_INVALID, &f->err, "replay:DIR");
}

/* ---- servers that are not ready ---- */

static void a_model_that_loads_is_waited_for(void **state)
{
    struct fixture *f = *state;
    static const char loading[] = "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}";
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .status = 503, .body = loading });
    upstream_model(f->server, "fake-7b", "ready");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "ready");
    assert_true(f->answer.queue_us >= 90000);
    assert_int_equal(f->answer.retries, 0);
}

static void a_busy_server_is_waited_for_as_long_as_it_asks(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    reply(f, (struct upstream_reply){ .status = 429, .headers = "Retry-After: 1\r\n", .body = "{\"error\":\"slow down\"}" });
    reply_text(f, "later");
    int64_t start = clock_steady_ms();
    check_ok(ask(f), &f->err);
    assert_true(clock_steady_ms() - start >= 1000);
    assert_true(f->answer.queue_us >= 1000000);
    assert_int_equal(f->answer.retries, 0);
    assert_int_equal(json_int_of(request_body(f, 1), "seed", 0), 7); /* the same request again */
}

static void patience_ends(void **state)
{
    struct fixture *f = *state;
    f->options.patience_ms = 250;
    list_model(f, "fake-7b");
    reply(f, (struct upstream_reply){ .status = 503, .body = "{\"error\":{\"message\":\"Loading model\"}}" });
    check_err(ask(f), ERR_UNAVAILABLE, &f->err, "Loading model");
    assert_non_null(strstr(f->err.text, "waited"));
    reply(f, (struct upstream_reply){ .status = 429, .headers = "Retry-After: 3600\r\n" });
    check_err(ask(f), ERR_UNAVAILABLE, &f->err, "longer than allowed");
}

static void a_server_that_is_not_there_is_named(void **state)
{
    struct fixture *f = *state;
    struct upstream *gone = upstream_start();
    f->options.url = arena_strdup(&f->arena, upstream_url(gone));
    upstream_stop(gone);
    int64_t start = clock_steady_ms();
    check_err(ask(f), ERR_UNAVAILABLE, &f->err, "Connection refused");
    assert_non_null(strstr(f->err.text, "is the model server running?"));
    assert_true(clock_steady_ms() - start >= 250);
}

struct canceller {
    atomic_bool flag;
    int64_t at_ms;
};

static void *cancel_soon(void *argument)
{
    struct canceller *c = argument;
    usleep(100000);
    c->at_ms = clock_steady_ms();
    atomic_store(&c->flag, true);
    return NULL;
}

static void is_cancelled_soon(struct fixture *f)
{
    struct canceller c = { .flag = false };
    pthread_t thread;
    pthread_create(&thread, NULL, cancel_soon, &c);
    check_err(ask_with(f, (struct chat_request){ .cancel = &c.flag }), ERR_CANCELLED, &f->err, "cancelled");
    int64_t now = clock_steady_ms();
    pthread_join(thread, NULL);
    assert_true(now - c.at_ms < 500); /* 20 ms on an idle machine */
}

static void a_cancelled_call_ends_at_once_whatever_it_waits_for(void **state)
{
    struct fixture *f = *state;
    f->options.patience_ms = 30000;
    STR_LOCAL(half);
    upstream_chunk(&half, "{\"content\":\"beg\"}", NULL);
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .delay_ms = 30000 });
    is_cancelled_soon(f); /* for the list */
    list_model(f, "fake-7b");
    reply(f, (struct upstream_reply){ .status = 503, .headers = "Retry-After: 20\r\n" });
    is_cancelled_soon(f); /* for a busy server */
    reply(f, (struct upstream_reply){ .delay_ms = 30000 });
    is_cancelled_soon(f); /* for the first token */
    reply(f, (struct upstream_reply){ .body = half.data, .cut = half.len, .end = UPSTREAM_HANG });
    is_cancelled_soon(f); /* for the rest */
    assert_true(upstream_saw_client_leave(f->server));
    size_t asked = upstream_count(f->server, NULL);
    atomic_bool cancelled = true;
    check_err(ask_with(f, (struct chat_request){ .cancel = &cancelled }), ERR_CANCELLED, &f->err, "cancelled");
    assert_int_equal(upstream_count(f->server, NULL), asked);
}

/* ---- broken answers ---- */

static void half_a_stream_is_asked_again_with_another_seed(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    STR_LOCAL(half);
    upstream_chunk(&half, "{\"content\":\"def conv\"}", NULL);
    reply(f, (struct upstream_reply){ .body = half.data, .end = UPSTREAM_CLOSE });
    reply(f, (struct upstream_reply){ .body = half.data, .cut = half.len - 9, .end = UPSTREAM_RESET });
    reply_text(f, "def convert");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "def convert");
    assert_string_equal(f->seen.data, "def convert");
    assert_int_equal(f->answer.retries, 2);
    assert_true(f->starts_over >= 1);
    assert_int_equal(json_int_of(request_body(f, 0), "seed", 0), 7);
    assert_int_equal(json_int_of(request_body(f, 1), "seed", 0), 8);
    assert_int_equal(json_int_of(request_body(f, 2), "seed", 0), 9);
}

static void a_server_that_always_breaks_off_is_given_up(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    reply(f, (struct upstream_reply){ .body = ": hello\n\n", .end = UPSTREAM_RESET });
    f->answer.retries = 55;
    check_err(ask(f), ERR_FAILED, &f->err, "3 times");
    assert_int_equal(upstream_count(f->server, CHAT), 3);
    assert_int_equal(f->answer.retries, 55); /* untouched */
}

static void an_empty_answer_is_asked_again(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    reply_text(f, "");
    reply_text(f, "<think>I wonder");
    reply_text(f, "something");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "something");
    assert_int_equal(f->answer.retries, 2);
    assert_string_equal(f->answer.reasoning.data, "");
    reply_text(f, "<think>for ever");
    check_err(ask(f), ERR_FAILED, &f->err, "still reasoning");
}

static void a_web_page_is_said_to_be_one(void **state)
{
    struct fixture *f = *state;
    static const char page[] = "<!DOCTYPE html>\n<html><head><title>Welcome to\n nginx!</title></head><body>x</body></html>";
    list_model(f, "fake-7b");
    reply(f, (struct upstream_reply){ .type = "text/html", .body = page });
    check_err(ask(f), ERR_INVALID, &f->err, "Welcome to nginx!");
    assert_non_null(strstr(f->err.text, "/v1"));
    reply(f, (struct upstream_reply){ .status = 500, .type = "text/html", .body = "<html><body><h1>502 Bad</h1>gateway" });
    check_err(ask(f), ERR_FAILED, &f->err, "502 Bad gateway");
    assert_non_null(strstr(f->err.text, "500"));
}

static void a_web_page_instead_of_the_list_is_said_to_be_one(void **state)
{
    struct fixture *f = *state;
    upstream_on(f->server, "/v1/models", &(struct upstream_reply){ .type = "text/html", .body = "<html><title>Login</title>" });
    check_err(ask(f), ERR_INVALID, &f->err, "Login");
}

static void a_redirect_names_its_target(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    reply(f, (struct upstream_reply){ .status = 301, .headers = "Location: https://new.invalid/v1\r\n" });
    check_err(ask(f), ERR_INVALID, &f->err, "https://new.invalid/v1");
}

static void garbage_in_the_stream_is_a_broken_answer(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    reply_events(f, "data: {\"choices\":[{\"delta\"\n\n");
    reply_events(f, "data: 42\n\n");
    reply_text(f, "good");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "good");
    assert_int_equal(f->answer.retries, 2);
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    STR_LOCAL(body);
    upstream_chunk(&body, "{\"content\":\"a\xFF" "b\"}", "stop");
    reply_events(f, body.data);
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "a\xEF\xBF\xBD" "b");
}

static void an_error_within_the_stream_is_understood(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    STR_LOCAL(body);
    upstream_chunk(&body, "{\"content\":\"beg\"}", NULL);
    str_add(&body, "data: {\"error\":{\"code\":500,\"message\":\"CUDA out of memory\",\"type\":\"server_error\"}}\n\n");
    reply_events(f, body.data);
    check_err(ask(f), ERR_FAILED, &f->err, "CUDA out of memory");
    assert_int_equal(upstream_count(f->server, CHAT), 3);
    reply_events(f, "data: {\"error\":{\"code\":400,\"message\":\"bad request\"}}\n\n");
    check_err(ask(f), ERR_INVALID, &f->err, "bad request");
}

static void a_full_context_is_recognised_in_every_servers_words(void **state)
{
    struct fixture *f = *state;
    static const char *const bodies[] = {
        /* llama-server */
        "{\"error\":{\"code\":400,\"message\":\"request (13392 tokens) exceeds the available context size (8192 tokens), "
        "try increasing it\",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":13392,\"n_ctx\":8192}}",
        /* vLLM, two versions */
        "{\"object\":\"error\",\"message\":\"This model's maximum context length is 4096 tokens. However, you requested "
        "5000 tokens\",\"type\":\"BadRequestError\",\"code\":400}",
        "{\"error\":{\"message\":\"You passed 1015 input tokens and requested 10 output tokens. However, the model's "
        "context length is only 1024 tokens\",\"type\":\"BadRequestError\",\"param\":\"input_tokens\",\"code\":400}}",
        /* Ollama */
        "{\"error\":{\"message\":\"input length exceeds the context length\",\"type\":\"api_error\"}}",
        "{\"detail\":[{\"msg\":\"Requested tokens (516) exceed context window of 512\"}]}",
    };
    list_model(f, "fake-7b");
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        reply(f, (struct upstream_reply){ .status = i == 4 ? 500 : 400, .body = bodies[i] });
        check_err(ask_with(f, (struct chat_request){ .schema = &verdict_record }), ERR_LIMIT, &f->err, "does not fit");
    }
    assert_int_equal(upstream_count(f->server, CHAT), 5);
}

/* ---- slow and endless answers ---- */

static void no_first_token_is_a_time_out(void **state)
{
    struct fixture *f = *state;
    f->options.first_token_ms = 150;
    list_model(f, "fake-7b");
    /* It lives: headers, a role, and comments to keep the connection open. */
    STR_LOCAL(body);
    upstream_chunk(&body, "{\"role\":\"assistant\",\"content\":\"\"}", NULL);
    for (int i = 0; i < 200; i++)
        str_add(&body, ": ping\n\n");
    reply(f, (struct upstream_reply){ .body = body.data, .piece = 8, .pause_ms = 10 });
    check_err(ask(f), ERR_TIMEOUT, &f->err, "no token came");
    assert_int_equal(upstream_count(f->server, CHAT), 1);
}

static void headers_that_never_come_are_a_time_out(void **state)
{
    struct fixture *f = *state;
    f->options.first_token_ms = 100;
    list_model(f, "fake-7b");
    reply(f, (struct upstream_reply){ .status = UPSTREAM_RAW, .end = UPSTREAM_HANG });
    check_err(ask(f), ERR_TIMEOUT, &f->err, "no token came");
    assert_true(upstream_saw_client_leave(f->server));
}

static void an_answer_that_stalls_is_asked_again(void **state)
{
    struct fixture *f = *state;
    f->options.stall_ms = 100;
    list_model(f, "fake-7b");
    STR_LOCAL(half);
    upstream_chunk(&half, "{\"content\":\"beg\"}", NULL);
    reply(f, (struct upstream_reply){ .body = half.data, .cut = half.len, .end = UPSTREAM_HANG });
    reply_text(f, "whole");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "whole");
    assert_int_equal(f->answer.retries, 1);
}

static void the_total_time_is_kept(void **state)
{
    struct fixture *f = *state;
    f->options.total_ms = 200;
    list_model(f, "fake-7b");
    STR_LOCAL(body);
    upstream_chunk(&body, "{\"content\":\"and \"}", NULL);
    reply(f, (struct upstream_reply){ .body = body.data, .repeat = 1000, .pause_ms = 10 });
    check_err(ask(f), ERR_TIMEOUT, &f->err, "did not finish");
}

static void a_server_that_never_closes_is_left_after_its_last_word(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    STR_LOCAL(body);
    upstream_answer(&body, "done", "stop");
    reply(f, (struct upstream_reply){ .body = body.data, .cut = body.len, .end = UPSTREAM_HANG });
    int64_t start = clock_steady_ms();
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "done");
    assert_true(clock_steady_ms() - start < 5000);
}

/* Text without repetition: numbers. */
static void add_numbers(struct str *out, size_t len)
{
    for (int i = 0; out->len < len; i++)
        str_addf(out, "%d,", i * 7919);
}

static void a_huge_answer_is_cut_off(void **state)
{
    struct fixture *f = *state;
    f->options.max_answer_bytes = 1 << 20;
    list_model(f, "fake-7b");
    STR_LOCAL(body);
    STR_LOCAL(delta);
    str_add(&delta, "{\"content\":\"");
    add_numbers(&delta, 100000);
    str_add(&delta, "\"}");
    upstream_chunk(&body, delta.data, NULL);
    reply(f, (struct upstream_reply){ .body = body.data, .repeat = 1000 }); /* 100 MB */
    check_err(ask(f), ERR_LIMIT, &f->err, "1048576");
    assert_int_equal(upstream_count(f->server, CHAT), 1);
    /* The same as one line without an end, and as one document. */
    str_clear(&body);
    add_numbers(&body, 1 << 20);
    reply(f, (struct upstream_reply){ .body = body.data, .repeat = 100 });
    check_err(ask(f), ERR_LIMIT, &f->err, "an event that is larger");
    str_clear(&body);
    str_add(&body, "{\"x\":\"");
    add_numbers(&body, 1 << 20);
    reply(f, (struct upstream_reply){ .body = body.data, .repeat = 100 });
    check_err(ask(f), ERR_LIMIT, &f->err, "larger than allowed");
}

static void endless_repetition_is_cut_while_it_streams(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    STR_LOCAL(body);
    upstream_chunk(&body, "{\"content\":\"    assert convert(1, 'm') == 1  # as said before\\n\"}", NULL);
    reply(f, (struct upstream_reply){ .body = body.data, .repeat = 100000 });
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.finish, "repetition");
    assert_string_equal(f->answer.text.data, "assert convert(1, 'm') == 1  # as said before\n    ");
    assert_int_equal(f->answer.retries, 0);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_streams_with_usage),
        TEST(the_request_says_what_was_asked),
        TEST(the_stream_may_be_cut_anywhere),
        TEST(the_figures_of_llama_server_are_understood),
        TEST(figures_that_are_not_reported_are_not_invented),
        TEST(a_server_that_does_not_stream_is_understood),
        TEST(reasoning_is_kept_apart),
        TEST(a_schema_is_sent_and_left_out_where_it_is_rejected),
        TEST(a_400_that_has_nothing_to_do_with_the_schema_is_told),
        TEST(a_name_that_is_not_listed_is_an_error_with_the_list),
        TEST(a_name_may_be_shorter_than_the_servers),
        TEST(the_context_is_asked_where_each_server_tells_it),
        TEST(ollama_is_made_to_load_the_model_and_tell_its_context),
        TEST(a_server_without_a_list_is_taken_at_its_word),
        TEST(addresses_are_understood_as_people_give_them),
        TEST(a_model_that_loads_is_waited_for),
        TEST(a_busy_server_is_waited_for_as_long_as_it_asks),
        TEST(patience_ends),
        TEST(a_server_that_is_not_there_is_named),
        TEST(a_cancelled_call_ends_at_once_whatever_it_waits_for),
        TEST(half_a_stream_is_asked_again_with_another_seed),
        TEST(a_server_that_always_breaks_off_is_given_up),
        TEST(an_empty_answer_is_asked_again),
        TEST(a_web_page_is_said_to_be_one),
        TEST(a_web_page_instead_of_the_list_is_said_to_be_one),
        TEST(a_redirect_names_its_target),
        TEST(garbage_in_the_stream_is_a_broken_answer),
        TEST(bytes_that_are_not_utf8_are_replaced),
        TEST(an_error_within_the_stream_is_understood),
        TEST(a_full_context_is_recognised_in_every_servers_words),
        TEST(no_first_token_is_a_time_out),
        TEST(headers_that_never_come_are_a_time_out),
        TEST(an_answer_that_stalls_is_asked_again),
        TEST(the_total_time_is_kept),
        TEST(a_server_that_never_closes_is_left_after_its_last_word),
        TEST(a_huge_answer_is_cut_off),
        TEST(endless_repetition_is_cut_while_it_streams),
        TEST(the_key_is_sent_and_never_shown),
        TEST(a_missing_key_says_where_to_put_it),
        TEST(the_key_may_lie_in_a_file),
        TEST(one_model_answers_several_threads),
        TEST(estimates_are_upper_bounds_for_what_is_split_finely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
