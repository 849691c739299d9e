/* backend_suite_lines.c - what a kind of backend must do whose server answers in lines of JSON, in
 * Ollama's form: the faults that cannot be told without saying how an answer looks. */
#include "check.h"
#include "backend_suite.h"

#include "base/json.h"

static int ask(struct backend_fixture *f)
{
    return backend_ask(f, (struct chat_request){ .seed = 7 });
}

static void bytes_that_are_not_utf8_are_replaced_in_a_line(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, status: 200, type: application/x-ndjson, latin1: true, body: \"{\\\"message\\\":{\\\"content\\\":"
                      "\\\"a\\xffb\\\"}}\\n{\\\"done\\\":true}\\n\"}\n");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "a\xEF\xBF\xBD" "b");
    assert_string_equal(f->answer.finish, "stop");
}

static void lines_may_be_cut_anywhere_and_lack_the_last_end(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, status: 200, piece: 3, body: \"{\\\"message\\\":{\\\"content\\\":\\\"\xC3\xA4\xE2\x82\xAC\\\"}}"
                      "\\r\\n\\n{\\\"message\\\":{\\\"content\\\":\\\"!\\\"},\\\"done\\\":true,\\\"done_reason\\\":\\\"length\\\"}\"}\n");
    check_ok(ask(f), &f->err);
    assert_string_equal(f->answer.text.data, "\xC3\xA4\xE2\x82\xAC!");
    assert_string_equal(f->answer.finish, "length");
    assert_int_equal(f->answer.retries, 0);
}

static void a_line_that_is_no_json_is_a_broken_answer(struct backend_fixture *f)
{
    backend_script(f, "rules:\n"
                      "- {on: CHAT, times: 1, status: 200, body: \"{\\\"message\\\":{\\\"cont\\n\"}\n"
                      "- {on: CHAT, times: 1, raw: true, body: \"SSH-2.0-OpenSSH_9.2\\r\\n\", then: close}\n");
    check_ok(ask(f), &f->err);
    assert_int_equal(f->answer.retries, 2);
}

static void lines_without_a_last_one_are_half_an_answer(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, times: 2, status: 200, body: \"{\\\"message\\\":{\\\"content\\\":\\\"half\\\"}}\\n\"}\n");
    check_ok(ask(f), &f->err);
    assert_int_equal(f->answer.retries, 2);
    assert_null(strstr(f->answer.text.data, "half"));
}

static void an_error_in_a_line_is_told(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, status: 200, body: \"{\\\"message\\\":{\\\"content\\\":\\\"half\\\"}}\\n"
                      "{\\\"error\\\":\\\"model runner has unexpectedly stopped\\\"}\\n\"}\n");
    check_err(ask(f), ERR_FAILED, &f->err, "unexpectedly stopped");
    backend_script(f, "rules:\n- {on: CHAT, status: 500, body: '{\"error\":\"model requires more system memory (9.1 GiB) than is "
                      "available\"}'}\n");
    check_err(ask(f), ERR_SETUP, &f->err, "more system memory");
}

static void a_last_line_alone_is_an_empty_answer(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, times: 2, status: 200, body: \"{\\\"done\\\":true}\\n\"}\n");
    check_ok(ask(f), &f->err);
    assert_int_equal(f->answer.retries, 2);
}

static void endless_lines_are_not_read(struct backend_fixture *f)
{
    STR_LOCAL(script);
    f->options.max_answer_bytes = 1 << 16;
    str_add(&script, "rules:\n- {on: CHAT, status: 200, repeat: 1000000, body: \"");
    for (int i = 0; i < 20; i++)
        str_addf(&script, "{\\\"message\\\":{\\\"content\\\":\\\"\\\"},\\\"n\\\":%d}\\n", i * 7919);
    str_add(&script, "\"}\n");
    backend_script(f, script.data); /* that say nothing */
    check_err(ask(f), ERR_LIMIT, &f->err, "are allowed");
    str_clear(&script);
    str_add(&script, "rules:\n- {on: CHAT, status: 200, repeat: 1000000, body: \"{");
    for (int i = 0; i < 200; i++)
        str_addf(&script, "line%d,", i * 7919);
    str_add(&script, "\"}\n");
    backend_script(f, script.data); /* one that never ends */
    check_err(ask(f), ERR_LIMIT, &f->err, "larger than allowed");
    for (size_t i = 0; i < 2; i++)
        assert_true(json_int_of(fake_log(&f->fake, "left", i), "sent", INT64_MAX) < 100000000);
}

static void what_is_no_vector_for_each_text_is_asked_again(struct backend_fixture *f)
{
    static const char *const texts[] = { "one", "two" };
    static const char *const bad[] = {
        "{\"embeddings\":[[1,2]]}", "{\"embeddings\":[[1,2],[1]]}", "{\"embeddings\":[[1,null],[1,2]]}", "{\"embeddings\":[[],[]]}",
        "{\"embeddings\":{}}", "{}", "[1]", "<html><title>Login</title>",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        STR_LOCAL(script);
        struct embeddings v;
        struct embed_request q = { .texts = texts, .count = 2 };
        str_addf(&script, "rules:\n- {on: EMBED, times: 1, status: 200, headers: ['X-N: %zu'], body: '%s'}\n", i, bad[i]);
        backend_script(f, script.data);
        check_ok(model_embed(backend_model(f), &q, &v, &f->err), &f->err);
        assert_int_equal(v.retries, 1);
        embeddings_release(&v);
        str_clear(&script);
        str_addf(&script, "rules:\n- {on: EMBED, status: 200, body: '%s'}\n", bad[i]);
        backend_script(f, script.data);
        check_err(model_embed(backend_model(f), &q, &v, &f->err), ERR_FAILED, &f->err, "3 times");
    }
}

const struct backend_test backend_line_tests[] = {
    BACKEND_TEST(bytes_that_are_not_utf8_are_replaced_in_a_line, CAN_SCRIPT | CAN_LINES),
    BACKEND_TEST(lines_may_be_cut_anywhere_and_lack_the_last_end, CAN_SCRIPT | CAN_LINES),
    BACKEND_TEST(a_line_that_is_no_json_is_a_broken_answer, CAN_SCRIPT | CAN_LINES),
    BACKEND_TEST(lines_without_a_last_one_are_half_an_answer, CAN_SCRIPT | CAN_LINES),
    BACKEND_TEST(an_error_in_a_line_is_told, CAN_SCRIPT | CAN_LINES),
    BACKEND_TEST(a_last_line_alone_is_an_empty_answer, CAN_SCRIPT | CAN_LINES),
    BACKEND_TEST(endless_lines_are_not_read, CAN_SCRIPT | CAN_LINES),
    BACKEND_TEST(what_is_no_vector_for_each_text_is_asked_again, CAN_SCRIPT | CAN_LINES | CAN_EMBED),
};
const size_t backend_line_test_count = sizeof backend_line_tests / sizeof *backend_line_tests;
