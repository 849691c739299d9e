/* backend_suite_faults.c - what every kind of backend must do when its server is slow, dying or
 * lying, and when nobody wants the answer any more. */
#include "check.h"
#include "backend_suite.h"

#include "base/clock.h"
#include "base/json.h"

#include <pthread.h>

/* Two seconds: far more than is allowed, and far less than any of the scripts below goes on. */
enum { SOON_US = 2000000 };

/* The fake saw the client leave, soon after it was cancelled. */
static void assert_left_soon(struct backend_fixture *f)
{
    const json_t *left = fake_log(&f->fake, "left", 0);
    assert_non_null(left);
    assert_true(json_int_of(left, "at_us", 0) - f->cancelled_us < SOON_US);
}

static const json_t *chat_request(struct backend_fixture *f, size_t n)
{
    return fake_request(&f->fake, f->kind->chat_path, n);
}

static size_t chat_requests(struct backend_fixture *f)
{
    size_t count = 0;
    for (size_t i = 0, all = fake_count(&f->fake, "request"); i < all; i++)
        count += streq(json_text_of(fake_log(&f->fake, "request", i), "path", ""), f->kind->chat_path);
    return count;
}

/* The seed of the n-th chat request, wherever the protocol has it. */
static int64_t seed_of(struct backend_fixture *f, size_t n)
{
    const char *at = strstr(json_text_of(chat_request(f, n), "body", ""), "\"seed\":");
    return at ? strtoll(at + strlen("\"seed\":"), NULL, 10) : -1;
}

static int ask(struct backend_fixture *f)
{
    return backend_ask(f, (struct chat_request){ .seed = 7 });
}

/* ---- nobody wants it any more ---- */

static void a_call_that_is_cancelled_before_it_begins_asks_nobody(struct backend_fixture *f)
{
    atomic_store(&f->cancel, true);
    check_err(backend_ask(f, (struct chat_request){ .cancel = &f->cancel }), ERR_CANCELLED, &f->err, "cancelled");
    assert_int_equal(fake_count(&f->fake, "request"), 0);
}

static void a_call_that_waits_for_its_first_token_is_cancelled(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, after_ms: 60000}\n");
    backend_ask_and_cancel(f, (struct chat_request){ 0 }, f->kind->chat_path, 0);
    assert_left_soon(f);
}

static void a_call_whose_prompt_is_read_is_cancelled(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, read_tokens_per_s: 1}\n");
    backend_ask_and_cancel(f, (struct chat_request){ 0 }, f->kind->chat_path, 0);
    assert_left_soon(f);
}

static void a_call_is_cancelled_in_the_middle_of_its_answer(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, cut: 900, then: hang}\n");
    f->cancel_at_piece = 1;
    backend_ask_and_cancel(f, (struct chat_request){ 0 }, f->kind->chat_path, 0);
    assert_left_soon(f);
    assert_true(f->seen.len > 0);
}

static void *hold_a_slot(void *argument)
{
    struct backend_fixture *f = argument;
    static const struct chat_message message = { CHAT_USER, "Hold the slot." };
    struct chat_request q = { .messages = &message, .message_count = 1, .slot = 1, .key = { "", "pm", "spec", 1 } };
    struct chat_answer answer;
    struct err e;
    if (model_chat(f->model, &q, &answer, &e) < 0)
        return NULL;
    chat_answer_release(&answer);
    return f;
}

static void a_busy_server_is_waited_for(struct backend_fixture *f)
{
    pthread_t thread;
    void *good;
    backend_script(f, "rules:\n- {on: CHAT, has: Hold the slot, tokens_per_s: 30}\n");
    backend_model(f);
    pthread_create(&thread, NULL, hold_a_slot, f);
    assert_non_null(fake_log(&f->fake, "slot", 0));
    check_ok(backend_ask(f, (struct chat_request){ .slot = 1 }), &f->err);
    pthread_join(thread, &good);
    assert_non_null(good);
    assert_true(json_int_of(fake_log(&f->fake, "slot", 1), "at_us", 0) >= json_int_of(fake_log(&f->fake, "slot", 0), "at_us", 0) + 200000);
}

static void a_call_that_waits_for_its_slot_is_cancelled(struct backend_fixture *f)
{
    pthread_t thread;
    backend_script(f, "rules:\n- {on: CHAT, has: Hold the slot, tokens_per_s: 25}\n");
    backend_model(f);
    pthread_create(&thread, NULL, hold_a_slot, f);
    assert_non_null(fake_log(&f->fake, "slot", 0));
    backend_ask_and_cancel(f, (struct chat_request){ .slot = 1 }, f->kind->chat_path, 1);
    assert_left_soon(f);
    pthread_join(thread, NULL);
    assert_int_equal(fake_count(&f->fake, "slot"), 1); /* it never got one */
}

static void a_call_to_a_server_that_loads_is_cancelled(struct backend_fixture *f)
{
    backend_script(f, "life:\n- {load_ms: 60000}\n");
    f->options.patience_ms = 60000;
    backend_ask_and_cancel(f, (struct chat_request){ 0 }, "/v1/models", 0);
    assert_int_equal(chat_requests(f), 0);
}

/* ---- not ready ---- */

static void a_server_that_loads_is_waited_for(struct backend_fixture *f)
{
    backend_script(f, "life:\n- {load_ms: 400}\n");
    check_ok(ask(f), &f->err);
    assert_true(f->answer.queue_us > 0);
    assert_int_equal(f->answer.retries, 0);
}

static void a_server_that_asks_to_wait_is_given_the_time(struct backend_fixture *f)
{
    backend_script(f, "rules:\n"
                      "- {on: CHAT, times: 1, status: 429, headers: ['Retry-After: 1'], body: '{\"error\":\"slow down\"}'}\n"
                      "- {on: CHAT, times: 1, status: 503, body: '{\"error\":{\"message\":\"server busy\"}}'}\n");
    check_ok(ask(f), &f->err);
    assert_int_equal(chat_requests(f), 3);
    assert_true(json_int_of(chat_request(f, 1), "at_us", 0) - json_int_of(chat_request(f, 0), "at_us", 0) >= 990000);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(seed_of(f, i), 7); /* the same request again */
    assert_int_equal(f->answer.retries, 0);
}

static void waiting_has_an_end(struct backend_fixture *f)
{
    f->options.patience_ms = 250;
    backend_script(f, "rules:\n- {on: CHAT, status: 503, type: text/html, body: '<html><title>502 Bad Gateway</title>'}\n");
    check_err(ask(f), ERR_UNAVAILABLE, &f->err, "502 Bad Gateway");
    backend_script(f, "rules:\n- {on: CHAT, status: 503, headers: ['Retry-After: 3600']}\n");
    check_err(ask(f), ERR_UNAVAILABLE, &f->err, "longer than allowed");
}

/* ---- deadlines ---- */

static void headers_that_never_come_are_a_time_out(struct backend_fixture *f)
{
    f->options.first_token_ms = 150;
    backend_script(f, "rules:\n- {on: CHAT, cut: -1, then: hang}\n");
    check_err(ask(f), ERR_TIMEOUT, &f->err, "no token came");
    assert_int_equal(chat_requests(f), 1);
    assert_non_null(fake_log(&f->fake, "left", 0));
}

static void an_answer_that_stalls_is_asked_again(struct backend_fixture *f)
{
    f->options.stall_ms = 200;
    backend_script(f, "rules:\n- {on: CHAT, times: 1, cut: 700, then: hang}\n");
    check_ok(ask(f), &f->err);
    assert_int_equal(f->answer.retries, 1);
    assert_int_equal(seed_of(f, 1), 8);
}

static void the_total_time_is_kept(struct backend_fixture *f)
{
    f->options.total_ms = 500;
    backend_script(f, "rules:\n- {on: CHAT, tokens_per_s: 4}\n");
    check_err(ask(f), ERR_TIMEOUT, &f->err, "did not finish");
}

/* ---- broken answers ---- */

static void half_a_stream_is_asked_again_with_another_seed(struct backend_fixture *f)
{
    backend_script(f, "rules:\n"
                      "- {on: CHAT, times: 1, cut: 700, then: close}\n"
                      "- {on: CHAT, times: 1, cut: 700, then: reset, text: something else}\n"
                      "- {on: CHAT, text: whole}\n");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "whole");
    assert_string_equal(f->seen.data, "whole");
    assert_true(f->starts_over >= 1);
    assert_int_equal(f->answer.retries, 2);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(seed_of(f, i), 7 + (int64_t)i);
}

static void a_server_that_always_breaks_off_is_given_up(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, cut: 700, then: close}\n");
    check_err(ask(f), ERR_FAILED, &f->err, "3 times");
    assert_int_equal(chat_requests(f), 3);
}

static void a_length_that_is_too_short_is_half_an_answer(struct backend_fixture *f)
{
    backend_script(f, "rules:\n"
                      "- {on: CHAT, times: 1, framing: length, length: 500, then: close}\n"
                      "- {on: CHAT, text: whole}\n");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "whole");
    assert_true(f->answer.retries >= 1); /* what came beyond the length may spoil the next answer too */
}

static void a_length_that_is_too_long_does_not_matter_to_a_whole_answer(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, framing: length, length: 1000000, then: close, text: whole}\n");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "whole");
    assert_int_equal(f->answer.retries, 0);
}

static void the_end_may_be_told_by_the_connection_alone(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, framing: close, text: whole}\n");
    check_ok(ask(f), &f->err);
    check_ok(ask(f), &f->err); /* on another connection */
    assert_string_equal(f->answer.text.data, "whole");
}

static void ends_may_be_told_twice_or_not_at_all(struct backend_fixture *f)
{
    backend_script(f, "rules:\n"
                      "- {on: CHAT, times: 1, dones: 3, text: thrice}\n"
                      "- {on: CHAT, times: 1, no_done: true, text: never}\n");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "thrice");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "never");
    assert_int_equal(f->answer.retries, 0);
}

static void a_server_that_dies_is_named(struct backend_fixture *f)
{
    f->options.patience_ms = 300;
    backend_script(f, "rules:\n- {on: CHAT, cut: -1, after_ms: 30, then: crash}\n");
    check_err(ask(f), ERR_UNAVAILABLE, &f->err, "is the model server running?");
    assert_int_equal(fake_count(&f->fake, "crash"), 1);
}

static void a_server_that_dies_in_the_middle_takes_back_what_it_said(struct backend_fixture *f)
{
    f->options.patience_ms = 300;
    backend_script(f, "rules:\n- {on: CHAT, cut: 700, then: crash, tokens_per_s: 100}\n");
    check_err(ask(f), ERR_UNAVAILABLE, &f->err, "is the model server running?");
    assert_true(f->pieces > 0);
    assert_string_equal(f->seen.data, "");
}

static void an_error_page_is_said_to_be_one(struct backend_fixture *f)
{
    backend_script(f, "rules:\n"
                      "- {on: CHAT, times: 3, status: 500, type: text/html, body: '<html><body><h1>502 Bad</h1>gateway'}\n"
                      "- {on: CHAT, status: 200, type: text/html, body: '<!DOCTYPE html><title>Welcome to nginx!</title>'}\n");
    check_err(ask(f), ERR_FAILED, &f->err, "502 Bad gateway");
    check_err(ask(f), ERR_INVALID, &f->err, "Welcome to nginx!");
}

static void bytes_that_are_not_utf8_are_replaced(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, status: 200, type: text/event-stream, latin1: true, body: \"data: {\\\"choices\\\":"
                      "[{\\\"delta\\\":{\\\"content\\\":\\\"a\\xffb\\\"},\\\"finish_reason\\\":\\\"stop\\\"}]}\\n\\n\"}\n");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "a\xEF\xBF\xBD" "b");
}

static void garbage_is_a_broken_answer(struct backend_fixture *f)
{
    backend_script(f, "rules:\n"
                      "- {on: CHAT, times: 1, status: 200, type: text/event-stream, body: \"data: {\\\"choices\\\":[{\\\"delta\\\"\\n\\n\"}\n"
                      "- {on: CHAT, times: 1, raw: true, body: \"SSH-2.0-OpenSSH_9.2\\r\\n\", then: close}\n");
    check_ok(ask(f), &f->err);
    assert_int_equal(f->answer.retries, 2);
}

static void an_empty_answer_is_asked_again(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, times: 2, status: 200, type: text/event-stream, body: \"data: [DONE]\\n\\n\"}\n");
    check_ok(ask(f), &f->err);
    assert_int_equal(f->answer.retries, 2);
}

/* ---- too much ---- */

static void an_answer_that_is_too_long_is_cut_off(struct backend_fixture *f)
{
    STR_LOCAL(script);
    str_add(&script, "rules:\n- {on: CHAT, text: '");
    for (int i = 0; i < 1500; i++)
        str_addf(&script, "%d,", i * 7919); /* no repetition */
    str_add(&script, "'}\n");
    f->options.max_answer_bytes = 4000;
    backend_script(f, script.data);
    check_err(ask(f), ERR_LIMIT, &f->err, "4000");
    assert_int_equal(chat_requests(f), 1);
}

static void a_gigabyte_is_not_read(struct backend_fixture *f)
{
    STR_LOCAL(script);
    f->options.max_answer_bytes = 1 << 16;
    str_add(&script, "rules:\n- {on: CHAT, status: 200, type: text/event-stream, repeat: 1000000, body: \"");
    for (int i = 0; i < 100; i++)
        str_addf(&script, ": comment %d\\n", i * 7919);
    str_add(&script, "\"}\n");
    backend_script(f, script.data);
    check_err(ask(f), ERR_LIMIT, &f->err, "are allowed");
    str_clear(&script);
    str_add(&script, "rules:\n- {on: CHAT, status: 200, type: text/event-stream, repeat: 1000000, body: \"");
    for (int i = 0; i < 200; i++)
        str_addf(&script, "line%d,", i * 7919);
    str_add(&script, "\"}\n");
    backend_script(f, script.data); /* one line */
    check_err(ask(f), ERR_LIMIT, &f->err, "larger than allowed");
    for (size_t i = 0; i < 2; i++)
        assert_true(json_int_of(fake_log(&f->fake, "left", i), "sent", INT64_MAX) < 100000000);
}

static void a_prompt_that_does_not_fit_is_told(struct backend_fixture *f)
{
    STR_LOCAL(text);
    for (int i = 0; i < 20000; i++)
        str_addf(&text, "word %d ", i);
    check_err(backend_ask_text(f, text.data), ERR_LIMIT, &f->err, "does not fit");
    check_ok(backend_ask_text(f, "Short."), &f->err);
}

const struct backend_test backend_fault_tests[] = {
    BACKEND_TEST(a_call_that_is_cancelled_before_it_begins_asks_nobody, 0),
    BACKEND_TEST(a_call_that_waits_for_its_first_token_is_cancelled, CAN_SCRIPT),
    BACKEND_TEST(a_call_whose_prompt_is_read_is_cancelled, CAN_SCRIPT),
    BACKEND_TEST(a_call_is_cancelled_in_the_middle_of_its_answer, CAN_SCRIPT),
    BACKEND_TEST(a_busy_server_is_waited_for, CAN_SCRIPT | CAN_SLOTS),
    BACKEND_TEST(a_call_that_waits_for_its_slot_is_cancelled, CAN_SCRIPT | CAN_SLOTS),
    BACKEND_TEST(a_call_to_a_server_that_loads_is_cancelled, CAN_SCRIPT | CAN_LOAD),
    BACKEND_TEST(a_server_that_loads_is_waited_for, CAN_SCRIPT | CAN_LOAD),
    BACKEND_TEST(a_server_that_asks_to_wait_is_given_the_time, CAN_SCRIPT),
    BACKEND_TEST(waiting_has_an_end, CAN_SCRIPT),
    BACKEND_TEST(headers_that_never_come_are_a_time_out, CAN_SCRIPT),
    BACKEND_TEST(an_answer_that_stalls_is_asked_again, CAN_SCRIPT),
    BACKEND_TEST(the_total_time_is_kept, CAN_SCRIPT),
    BACKEND_TEST(half_a_stream_is_asked_again_with_another_seed, CAN_SCRIPT),
    BACKEND_TEST(a_server_that_always_breaks_off_is_given_up, CAN_SCRIPT),
    BACKEND_TEST(a_length_that_is_too_short_is_half_an_answer, CAN_SCRIPT),
    BACKEND_TEST(a_length_that_is_too_long_does_not_matter_to_a_whole_answer, CAN_SCRIPT),
    BACKEND_TEST(the_end_may_be_told_by_the_connection_alone, CAN_SCRIPT),
    BACKEND_TEST(ends_may_be_told_twice_or_not_at_all, CAN_SCRIPT | CAN_EVENTS),
    BACKEND_TEST(a_server_that_dies_is_named, CAN_SCRIPT),
    BACKEND_TEST(a_server_that_dies_in_the_middle_takes_back_what_it_said, CAN_SCRIPT),
    BACKEND_TEST(an_error_page_is_said_to_be_one, CAN_SCRIPT),
    BACKEND_TEST(bytes_that_are_not_utf8_are_replaced, CAN_SCRIPT | CAN_EVENTS),
    BACKEND_TEST(garbage_is_a_broken_answer, CAN_SCRIPT | CAN_EVENTS),
    BACKEND_TEST(an_empty_answer_is_asked_again, CAN_SCRIPT | CAN_EVENTS),
    BACKEND_TEST(an_answer_that_is_too_long_is_cut_off, CAN_SCRIPT),
    BACKEND_TEST(a_gigabyte_is_not_read, CAN_SCRIPT | CAN_EVENTS),
    BACKEND_TEST(a_prompt_that_does_not_fit_is_told, CAN_CONTEXT),
};
const size_t backend_fault_test_count = sizeof backend_fault_tests / sizeof *backend_fault_tests;
