/* backend_suite_embed.c - what every kind of backend must do that makes vectors. */
#include "check.h"
#include "backend_suite.h"

#include "base/json.h"

#include <math.h>

static const char *const texts[] = { "a cat sat", "on the mat", "a cat sat", "and \xC3\xA4 dog", "ran" };
enum { TEXTS = sizeof texts / sizeof *texts };

static int embed(struct backend_fixture *f, size_t count, struct embeddings *ret)
{
    return model_embed(backend_model(f), &(struct embed_request){ .texts = texts, .count = count }, ret, &f->err);
}

static double product(const struct embeddings *v, size_t a, size_t b)
{
    double sum = 0;
    for (size_t i = 0; i < v->dimensions; i++)
        sum += (double)v->values[a * v->dimensions + i] * (double)v->values[b * v->dimensions + i];
    return sum;
}

static size_t embed_requests(struct backend_fixture *f)
{
    size_t count = 0;
    for (size_t i = 0, all = fake_count(&f->fake, "request"); i < all; i++)
        count += streq(json_text_of(fake_log(&f->fake, "request", i), "path", ""), f->kind->embed_path);
    return count;
}

static void texts_become_vectors_in_their_order(struct backend_fixture *f)
{
    struct embeddings v;
    check_ok(embed(f, TEXTS, &v), &f->err);
    assert_int_equal(v.count, TEXTS);
    assert_true(v.dimensions > 1);
    assert_true(v.model[0] && v.total_us > 0);
    assert_int_equal(v.retries, 0);
    assert_true(fabs(product(&v, 0, 2) - product(&v, 0, 0)) < 1e-3); /* the same text */
    assert_true(fabs(product(&v, 0, 1)) < 0.99 * product(&v, 0, 0));
    embeddings_release(&v);
}

static void many_texts_go_in_batches(struct backend_fixture *f)
{
    struct embeddings v, again;
    f->options.embed_texts = 2;
    check_ok(embed(f, TEXTS, &v), &f->err);
    assert_int_equal(embed_requests(f), 3);
    assert_true(v.prompt_tokens != 0);
    model_free(f->model);
    f->model = NULL;
    f->options.embed_texts = 100;
    f->options.embed_bytes = 20; /* 9 and 10; 9; 10 and 3 */
    check_ok(embed(f, TEXTS, &again), &f->err);
    assert_int_equal(embed_requests(f), 6);
    assert_int_equal(v.count * v.dimensions, again.count * again.dimensions);
    assert_memory_equal(v.values, again.values, v.count * v.dimensions * sizeof *v.values);
    embeddings_release(&v);
    embeddings_release(&again);
}

static void no_texts_need_no_request(struct backend_fixture *f)
{
    struct embeddings v;
    check_ok(embed(f, 0, &v), &f->err);
    assert_int_equal(v.count, 0);
    assert_int_equal(embed_requests(f), 0);
    embeddings_release(&v);
}

static void an_empty_text_is_refused(struct backend_fixture *f)
{
    struct embeddings v = { .count = 55 };
    const char *const some[] = { "good", "" };
    check_err(model_embed(backend_model(f), &(struct embed_request){ .texts = some, .count = 2 }, &v, &f->err), ERR_INVALID, &f->err,
              "text 2 of 2 is empty");
    assert_int_equal(v.count, 55);
}

static void a_text_that_is_too_long_is_told_and_not_cut(struct backend_fixture *f)
{
    STR_LOCAL(text);
    struct embeddings v;
    for (int i = 0; i < 20000; i++)
        str_addf(&text, "word %d ", i);
    const char *const one[] = { text.data };
    check_err(model_embed(backend_model(f), &(struct embed_request){ .texts = one, .count = 1 }, &v, &f->err), ERR_LIMIT, &f->err,
              "does not fit");
}

static void vectors_are_taken_by_their_number(struct backend_fixture *f)
{
    struct embeddings v;
    backend_script(f, "rules:\n- {on: EMBED, status: 200, body: '{\"data\":[{\"index\":1,\"embedding\":[3,4.5]},"
                      "{\"index\":0,\"embedding\":[1,2]}],\"model\":\"m\"}'}\n");
    check_ok(embed(f, 2, &v), &f->err);
    assert_int_equal(v.dimensions, 2);
    assert_true(v.values[0] == 1 && v.values[1] == 2 && v.values[2] == 3 && v.values[3] == 4.5f);
    assert_string_equal(v.model, "m");
    assert_int_equal(v.prompt_tokens, -1);
    embeddings_release(&v);
}

static void what_is_no_vector_for_each_text_is_asked_again(struct backend_fixture *f)
{
    static const char *const bad[] = {
        "{\"data\":[{\"index\":0,\"embedding\":[1,2]}]}",                                       /* one is missing */
        "{\"data\":[{\"index\":0,\"embedding\":[1,2]},{\"index\":0,\"embedding\":[1,2]}]}",     /* one is there twice */
        "{\"data\":[{\"index\":0,\"embedding\":[1,2]},{\"index\":1,\"embedding\":[1]}]}",       /* of two sizes */
        "{\"data\":[{\"index\":0,\"embedding\":[1,null]},{\"index\":1,\"embedding\":[1,2]}]}",  /* not a number */
        "{\"data\":[{\"index\":0,\"embedding\":[1,1e60]},{\"index\":1,\"embedding\":[1,2]}]}",  /* none of ours */
        "{\"data\":[{\"index\":0,\"embedding\":[]},{\"index\":1,\"embedding\":[]}]}",
        "{\"data\":[{\"index\":7,\"embedding\":[1]},{\"index\":1,\"embedding\":[1]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":-1,\"embedding\":[1]}]}",
        "{}",
        "[1]",
        "<html><title>Login</title>",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        STR_LOCAL(script);
        struct embeddings v;
        str_addf(&script, "rules:\n- {on: EMBED, times: 1, status: 200, headers: ['X-N: %zu'], body: '%s'}\n", i, bad[i]);
        backend_script(f, script.data);
        check_ok(embed(f, 2, &v), &f->err);
        assert_int_equal(v.retries, 1);
        assert_int_equal(v.dimensions, 32);
        embeddings_release(&v);
        str_clear(&script);
        str_addf(&script, "rules:\n- {on: EMBED, status: 200, body: '%s'}\n", bad[i]);
        backend_script(f, script.data);
        check_err(embed(f, 2, &v), ERR_FAILED, &f->err, "3 times");
    }
}

static void a_server_that_is_busy_or_breaks_is_asked_again(struct backend_fixture *f)
{
    struct embeddings v;
    backend_script(f, "rules:\n"
                      "- {on: EMBED, times: 1, status: 503, body: '{\"error\":\"busy\"}'}\n"
                      "- {on: EMBED, times: 1, cut: 20, then: close}\n"
                      "- {on: EMBED, times: 1, status: 500, body: '{\"error\":\"oops\"}'}\n");
    check_ok(embed(f, 2, &v), &f->err);
    assert_int_equal(v.retries, 2); /* being busy is none */
    embeddings_release(&v);
    backend_script(f, "rules:\n- {on: EMBED, status: 500, body: '{\"error\":\"oops\"}'}\n");
    check_err(embed(f, 2, &v), ERR_FAILED, &f->err, "oops");
}

static void a_model_that_makes_no_vectors_says_so(struct backend_fixture *f)
{
    struct embeddings v;
    backend_script(f, "rules:\n"
                      "- {on: EMBED, times: 1, status: 501, body: '{\"error\":{\"message\":\"This server does not support embeddings. Start "
                      "it with `--embeddings`\",\"type\":\"not_supported_error\"}}'}\n"
                      "- {on: EMBED, times: 1, status: 400, body: '{\"error\":{\"message\":\"Pooling type none is not OAI compatible\"}}'}\n"
                      "- {on: EMBED, times: 1, status: 400, body: '{\"error\":{\"message\":\"The model does not support Embeddings API\"}}'}\n");
    check_err(embed(f, 2, &v), ERR_SETUP, &f->err, "--embeddings");
    check_err(embed(f, 2, &v), ERR_SETUP, &f->err, "Pooling type");
    check_err(embed(f, 2, &v), ERR_SETUP, &f->err, "Embeddings API");
    assert_int_equal(embed_requests(f), 3);
}

static void asking_for_vectors_is_cancelled(struct backend_fixture *f)
{
    struct embeddings v;
    backend_script(f, "rules:\n- {on: EMBED, after_ms: 60000}\n");
    backend_cancel_at(f, f->kind->embed_path, 0);
    int r = model_embed(f->model, &(struct embed_request){ .texts = texts, .count = 2, .cancel = &f->cancel }, &v, &f->err);
    backend_cancel_joined(f);
    check_err(r, ERR_CANCELLED, &f->err, "cancelled");
    const json_t *left = fake_log(&f->fake, "left", 0);
    assert_non_null(left);
    assert_true(json_int_of(left, "at_us", 0) - f->cancelled_us < 2000000);
}

const struct backend_test backend_embed_tests[] = {
    BACKEND_TEST(texts_become_vectors_in_their_order, CAN_EMBED),
    BACKEND_TEST(many_texts_go_in_batches, CAN_EMBED | CAN_SCRIPT),
    BACKEND_TEST(no_texts_need_no_request, CAN_EMBED),
    BACKEND_TEST(an_empty_text_is_refused, CAN_EMBED),
    BACKEND_TEST(a_text_that_is_too_long_is_told_and_not_cut, CAN_EMBED | CAN_CONTEXT),
    BACKEND_TEST(vectors_are_taken_by_their_number, CAN_EMBED | CAN_SCRIPT | CAN_EVENTS),
    BACKEND_TEST(what_is_no_vector_for_each_text_is_asked_again, CAN_EMBED | CAN_SCRIPT | CAN_EVENTS),
    BACKEND_TEST(a_server_that_is_busy_or_breaks_is_asked_again, CAN_EMBED | CAN_SCRIPT),
    BACKEND_TEST(a_model_that_makes_no_vectors_says_so, CAN_EMBED | CAN_SCRIPT | CAN_EVENTS),
    BACKEND_TEST(asking_for_vectors_is_cancelled, CAN_EMBED | CAN_SCRIPT),
};
const size_t backend_embed_test_count = sizeof backend_embed_tests / sizeof *backend_embed_tests;
