/* Asking models that are not ready, slow, dying or lying. */
#include "canceller.h"
#include "chat_fixture.h"
#include "check.h"

#include "base/clock.h"
#include "model/patience.h"

#include <pthread.h>
#include <unistd.h>

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

static void a_server_that_answered_once_is_waited_for_while_it_starts_again(void **state)
{
    struct fixture *f = *state;
    f->options.patience_ms = 1000;
    upstream_model(f->server, "fake-7b", "ready");
    check_ok(ask(f), &f->err);
    upstream_stop(f->server);
    f->server = upstream_start(); /* for the fixture; elsewhere */
    check_err(ask(f), ERR_UNAVAILABLE, &f->err, "(waited 1.");
}

static void waiting_for_something_else_begins_anew(void **state)
{
    (void)state;
    struct patience p = { 0 };
    struct err e;
    err_set(&e, ERR_UNAVAILABLE, "away");
    int r = 0;
    while (r == 0)
        r = patience_wait(&p, 150, -1, NULL, &e);
    assert_int_equal(r, ERR_UNAVAILABLE);
    check_ok(patience_wait(&p, 200, -1, NULL, &e), &e); /* the first 150 ms do not count */
    assert_true(p.waited_us >= 250000);
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

static void a_server_that_does_not_know_stream_options_is_spared_them(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    reply(f, (struct upstream_reply){ .status = 422, .body = "{\"detail\":\"Extra inputs are not permitted: stream_options\"}" });
    reply_text(f, "ok");
    check_ok(ask(f), &f->err);
    check_ok(ask(f), &f->err);
    assert_non_null(json_object_get(request_body(f, 0), "stream_options"));
    assert_null(json_object_get(request_body(f, 1), "stream_options"));
    assert_null(json_object_get(request_body(f, 2), "stream_options"));
}

static void a_failure_that_names_the_schema_is_mended_and_another_is_not(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    reply(f, (struct upstream_reply){ .status = 500, .body = "{\"error\":{\"message\":\"failed to parse grammar\"}}" });
    reply(f, (struct upstream_reply){ .status = 500, .body = "{\"error\":{\"message\":\"failed to parse grammar\"}}" });
    reply_text(f, "{\"text\":\"a\"}");
    check_ok(ask_with(f, (struct chat_request){ .schema = &verdict_record }), &f->err);
    assert_null(json_object_get(request_body(f, 2), "response_format"));
    assert_int_equal(f->answer.retries, 0);
    model_free(f->model);
    f->model = NULL;
    reply(f, (struct upstream_reply){ .status = 500, .body = "out of memory \xFF\xE4" });
    reply_text(f, "{\"text\":\"a\"}");
    check_ok(ask_with(f, (struct chat_request){ .schema = &verdict_record }), &f->err);
    assert_non_null(json_object_get(request_body(f, 4), "response_format"));
    assert_int_equal(f->answer.retries, 1);
}

static void a_model_that_has_gone_since_it_was_listed_is_named(void **state)
{
    struct fixture *f = *state;
    list_model(f, "fake-7b");
    reply(f, (struct upstream_reply){ .status = 404, .body = "{\"error\":{\"message\":\"model \\\"fake-7b\\\" not found, try pulling it first\"}}" });
    check_err(ask(f), ERR_NOT_FOUND, &f->err, "try pulling it first");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHAT_TEST(a_model_that_loads_is_waited_for),
        CHAT_TEST(a_busy_server_is_waited_for_as_long_as_it_asks),
        CHAT_TEST(patience_ends),
        CHAT_TEST(a_server_that_is_not_there_is_named),
        CHAT_TEST(a_server_that_answered_once_is_waited_for_while_it_starts_again),
        cmocka_unit_test(waiting_for_something_else_begins_anew),
        CHAT_TEST(a_cancelled_call_ends_at_once_whatever_it_waits_for),
        CHAT_TEST(half_a_stream_is_asked_again_with_another_seed),
        CHAT_TEST(a_server_that_always_breaks_off_is_given_up),
        CHAT_TEST(an_empty_answer_is_asked_again),
        CHAT_TEST(a_web_page_is_said_to_be_one),
        CHAT_TEST(a_web_page_instead_of_the_list_is_said_to_be_one),
        CHAT_TEST(a_redirect_names_its_target),
        CHAT_TEST(garbage_in_the_stream_is_a_broken_answer),
        CHAT_TEST(bytes_that_are_not_utf8_are_replaced),
        CHAT_TEST(an_error_within_the_stream_is_understood),
        CHAT_TEST(a_full_context_is_recognised_in_every_servers_words),
        CHAT_TEST(a_server_that_does_not_know_stream_options_is_spared_them),
        CHAT_TEST(a_failure_that_names_the_schema_is_mended_and_another_is_not),
        CHAT_TEST(a_model_that_has_gone_since_it_was_listed_is_named),
        CHAT_TEST(no_first_token_is_a_time_out),
        CHAT_TEST(headers_that_never_come_are_a_time_out),
        CHAT_TEST(an_answer_that_stalls_is_asked_again),
        CHAT_TEST(the_total_time_is_kept),
        CHAT_TEST(a_server_that_never_closes_is_left_after_its_last_word),
        CHAT_TEST(a_huge_answer_is_cut_off),
        CHAT_TEST(endless_repetition_is_cut_while_it_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
