/* backend_suite.c - the conformance suite: fixtures, and what is asked of a good server. */
#include "check.h"
#include "backend_suite.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <stdlib.h>

/* ---- fixtures ---- */

void backend_script(struct backend_fixture *f, const char *yaml)
{
    STR_LOCAL(text);
    for (const char *at = yaml; *at;) {
        bool chat = starts_with(at, "CHAT"), embed = starts_with(at, "EMBED");
        if (chat || embed) {
            str_add(&text, chat ? f->kind->chat_path : f->kind->embed_path);
            at += strlen(chat ? "CHAT" : "EMBED");
        } else {
            str_add_char(&text, *at++);
        }
    }
    fake_script(&f->fake, text.data);
}

struct model *backend_model(struct backend_fixture *f)
{
    if (!f->is_open) {
        f->kind->open(f);
        f->is_open = true;
    }
    if (!f->model)
        check_ok(model_open(&f->model, &f->options, &f->err), &f->err);
    return f->model;
}

static void cancel_now(struct backend_fixture *f)
{
    f->cancelled_us = clock_steady_us();
    atomic_store(&f->cancel, true);
}

static void show(const char *text, size_t len, void *ctx)
{
    struct backend_fixture *f = ctx;
    if (!text) {
        str_clear(&f->seen);
        f->starts_over++;
        return;
    }
    str_add_bytes(&f->seen, text, len);
    if (++f->pieces == f->cancel_at_piece)
        cancel_now(f);
}

int backend_ask(struct backend_fixture *f, struct chat_request q)
{
    static const struct chat_message messages[] = { { CHAT_SYSTEM, "You test." }, { CHAT_USER, "Write \xC3\xA4 test.\n" } };
    struct model *m = backend_model(f);
    if (!q.messages) {
        q.messages = messages;
        q.message_count = 2;
    }
    q.key = (struct call_key){ "T-1", "tester", "red-1", 1 };
    q.on_text = show;
    q.ctx = f;
    chat_answer_release(&f->answer);
    str_clear(&f->seen);
    f->pieces = f->starts_over = 0;
    return model_chat(m, &q, &f->answer, &f->err);
}

int backend_ask_text(struct backend_fixture *f, const char *prompt)
{
    struct chat_message message = { CHAT_USER, prompt };
    return backend_ask(f, (struct chat_request){ .messages = &message, .message_count = 1, .seed = 7, .max_tokens = 40 });
}

/* The fixture's thread waits within its call meanwhile, and leaves the room to this one. */
static void *cancel_at(void *argument)
{
    struct backend_fixture *f = argument;
    fake_request(&f->fake, f->cancel_path, f->cancel_request);
    cancel_now(f); /* also when it never came: the test has to end */
    return NULL;
}

void backend_cancel_at(struct backend_fixture *f, const char *path, size_t n)
{
    backend_model(f);
    atomic_store(&f->cancel, false);
    f->cancel_path = path;
    f->cancel_request = n;
    pthread_create(&f->canceller, NULL, cancel_at, f);
}

void backend_cancel_joined(struct backend_fixture *f)
{
    pthread_join(f->canceller, NULL);
}

void backend_ask_and_cancel(struct backend_fixture *f, struct chat_request q, const char *path, size_t n)
{
    q.cancel = &f->cancel;
    if (!f->cancel_at_piece)
        backend_cancel_at(f, path, n);
    int r = backend_ask(f, q);
    if (!f->cancel_at_piece)
        backend_cancel_joined(f);
    check_err(r, ERR_CANCELLED, &f->err, "cancelled");
}

struct backend_case {
    const struct backend_kind *kind;
    const struct backend_test *test;
    struct backend_fixture fixture;
};

static int set_up(void **state)
{
    struct backend_case *c = *state;
    struct backend_fixture *f = &c->fixture;
    unsetenv("TANDEM_API_KEY");
    f->kind = c->kind;
    f->options = model_default_options;
    f->options.patience_ms = 3000;
    f->options.refused_patience_ms = 300;
    str_init(&f->seen);
    fake_make(&f->fake);
    return 0;
}

static void run_case(void **state)
{
    struct backend_case *c = *state;
    c->test->run(&c->fixture);
}

static int tear_down(void **state)
{
    struct backend_fixture *f = &((struct backend_case *)*state)->fixture;
    model_free(f->model);
    if (f->is_open && f->kind->close)
        f->kind->close(f);
    fake_remove(&f->fake);
    chat_answer_release(&f->answer);
    str_release(&f->seen);
    return 0;
}

static void add_tests(struct backend_suite *s, const struct backend_kind *kind, const struct backend_test *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (tests[i].needs & ~kind->can)
            continue;
        struct backend_case *c = xcalloc(1, sizeof *c);
        STR_LOCAL(name);
        str_addf(&name, "%s: %s", kind->name, tests[i].name);
        *c = (struct backend_case){ .kind = kind, .test = &tests[i] };
        assert_true(s->count < sizeof s->tests / sizeof *s->tests);
        s->tests[s->count++] = (struct CMUnitTest){ str_detach(&name), run_case, set_up, tear_down, c };
    }
}

void backend_suite_add(struct backend_suite *s, const struct backend_kind *kind)
{
    add_tests(s, kind, backend_tests, backend_test_count);
    add_tests(s, kind, backend_fault_tests, backend_fault_test_count);
    add_tests(s, kind, backend_line_tests, backend_line_test_count);
    add_tests(s, kind, backend_embed_tests, backend_embed_test_count);
}

int backend_suite_run(struct backend_suite *s)
{
    int failed = _cmocka_run_group_tests("backends", s->tests, s->count, NULL, NULL);
    for (size_t i = 0; i < s->count; i++) {
        free(s->tests[i].initial_state);
        free((char *)(uintptr_t)s->tests[i].name);
    }
    return failed;
}

/* ---- answers ---- */

static void an_answer_is_whole_and_figured(struct backend_fixture *f)
{
    check_ok(backend_ask_text(f, "Say a word."), &f->err);
    assert_true(f->answer.text.len > 0);
    assert_string_equal(f->seen.data, f->answer.text.data);
    assert_true(f->answer.finish[0] && f->answer.model[0]);
    assert_true(f->answer.first_token_us > 0 && f->answer.first_token_us <= f->answer.total_us);
    assert_int_equal(f->answer.retries, 0);
}

static void text_comes_in_pieces_and_is_whole(struct backend_fixture *f)
{
    static const char text[] = "Gr\xC3\xBC\xC3\x9F" "e: an answer of several pieces, with \"quotes\", \\ and\nlines.\n";
    backend_script(f, "rules:\n- {on: CHAT, tokens_per_s: 500, text: \"Gr\\u00fc\\u00dfe: an answer of several pieces, with "
                      "\\\"quotes\\\", \\\\ and\\nlines.\\n\"}\n");
    check_ok(backend_ask(f, (struct chat_request){ .seed = 7 }), &f->err);
    assert_string_equal(f->answer.text.data, text);
    assert_string_equal(f->seen.data, text);
    assert_true(f->pieces > 3);
    assert_string_equal(f->answer.finish, "stop");
}

static void a_character_may_be_split_between_chunks(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, piece: 1, text: \"\\u00e4\\u20ac\\U0001F600 end\"}\n");
    check_ok(backend_ask(f, (struct chat_request){ .seed = 7 }), &f->err);
    assert_string_equal(f->answer.text.data, "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80 end");
    assert_string_equal(f->seen.data, f->answer.text.data);
}

static void reasoning_is_kept_apart(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, reasoning: \"hm, let me see\", text: answer}\n");
    check_ok(backend_ask(f, (struct chat_request){ .seed = 7 }), &f->err);
    assert_string_equal(f->answer.text.data, "answer");
    assert_string_equal(f->seen.data, "answer");
    assert_string_equal(f->answer.reasoning.data, "hm, let me see");
}

static void an_answer_ends_at_max_tokens(struct backend_fixture *f)
{
    struct chat_message message = { CHAT_USER, "Count to a hundred." };
    check_ok(backend_ask(f, (struct chat_request){ .messages = &message, .message_count = 1, .max_tokens = 3 }), &f->err);
    assert_string_equal(f->answer.finish, "length");
    assert_true(f->answer.completion_tokens <= 3);
}

static void a_request_says_what_was_asked(struct backend_fixture *f)
{
    check_ok(backend_ask(f, (struct chat_request){ .seed = 7, .temperature = 0.25, .conversation = "units/T-1/tester" }), &f->err);
    const char *body = json_text_of(fake_request(&f->fake, f->kind->chat_path, 0), "body", "");
    assert_non_null(strstr(body, "You test."));
    assert_non_null(strstr(body, "Write \xC3\xA4 test.\\n"));
    assert_non_null(strstr(body, "\"seed\":7"));
    assert_non_null(strstr(body, "0.25"));
    assert_null(strstr(body, "units/T-1")); /* who asks is ours to know */
    assert_null(strstr(body, "id_slot"));
}

/* ---- figures ---- */

static void tokens_are_told(struct backend_fixture *f)
{
    check_ok(backend_ask_text(f, "Say a word."), &f->err);
    assert_true(f->answer.prompt_tokens > 0 && f->answer.completion_tokens > 0);
}

static void figures_that_are_not_reported_are_not_invented(struct backend_fixture *f)
{
    backend_script(f, "rules:\n- {on: CHAT, no_usage: true}\n");
    check_ok(backend_ask_text(f, "Say a word."), &f->err);
    assert_int_equal(f->answer.prompt_tokens, -1);
    assert_int_equal(f->answer.cached_tokens, -1);
    assert_int_equal(f->answer.completion_tokens, -1);
}

static const char *long_prompt(struct backend_fixture *f, const char *first, const char *last)
{
    STR_LOCAL(text);
    str_add(&text, first);
    for (int i = 0; i < 12; i++)
        str_addf(&text, " Sentence %d of a beginning that stays.", i);
    str_add(&text, last);
    return arena_strdup(&f->fake.room.arena, text.data);
}

static void a_beginning_that_was_read_is_not_read_again(struct backend_fixture *f)
{
    check_ok(backend_ask_text(f, long_prompt(f, "One.", "")), &f->err);
    check_ok(backend_ask_text(f, long_prompt(f, "One.", " And an end that is new.")), &f->err);
    assert_true(f->answer.cached_tokens > f->answer.prompt_tokens / 2);
    assert_true(f->answer.cached_tokens < f->answer.prompt_tokens);
}

static void ask_in_slot(struct backend_fixture *f, const char *prompt, const char *conversation, int slot)
{
    struct chat_message message = { CHAT_USER, prompt };
    check_ok(backend_ask(f, (struct chat_request){ .messages = &message, .message_count = 1, .max_tokens = 4,
                                                   .conversation = conversation, .slot = slot }), &f->err);
}

static void a_call_by_the_side_leaves_the_other_slot_alone(struct backend_fixture *f)
{
    ask_in_slot(f, long_prompt(f, "One.", ""), "units/T-1/tester", 1);
    ask_in_slot(f, long_prompt(f, "Two.", ""), NULL, 2);
    ask_in_slot(f, long_prompt(f, "Three.", ""), NULL, 2);
    ask_in_slot(f, long_prompt(f, "One.", " More."), "units/T-1/tester", 1);
    assert_true(f->answer.cached_tokens > f->answer.prompt_tokens / 2);
    ask_in_slot(f, long_prompt(f, "One.", " More."), NULL, 2);
    assert_true(f->answer.cached_tokens < f->answer.prompt_tokens / 2); /* it is this slot that was asked */
}

/* ---- schemas ---- */

struct shape {
    const char *text;
    int64_t count;
    bool good;
    int kind;
};
static const char *const shape_kinds[] = { "red", "green", NULL };
#define SHAPE(bytes) { \
    FIELD(struct shape, text, FIELD_TEXT, .required = true, .max = (bytes)), \
    FIELD(struct shape, count, FIELD_INT, .required = true, .min = 2, .max = 9), \
    FIELD(struct shape, good, FIELD_BOOL, .required = true), \
    FIELD(struct shape, kind, FIELD_ENUM, .required = true, .choices = shape_kinds), \
}
/* What is asked for, and what may come: servers count characters, of up to four bytes. */
static const struct field shape_fields[] = SHAPE(40), longer_fields[] = SHAPE(160);
static const struct record shape_record = RECORD("shape", struct shape, shape_fields);
static const struct record longer_record = RECORD("shape", struct shape, longer_fields);

static void a_schema_is_asked_for_in_the_form_that_is_honoured(struct backend_fixture *f)
{
    struct shape shape;
    json_t *value;
    check_ok(backend_ask(f, (struct chat_request){ .schema = &shape_record, .max_tokens = 200, .seed = 7 }), &f->err);
    check_ok(json_parse(&f->fake.room.arena, f->answer.text.data, f->answer.text.len, &value, &f->err), &f->err);
    check_ok(record_read(&longer_record, &f->fake.room.arena, value, &shape, &f->err), &f->err);
}

/* How many of the requests so far speak of the shape. */
static size_t shapes_sent(struct backend_fixture *f)
{
    size_t count = 0;
    for (size_t i = 0, all = fake_count(&f->fake, "request"); i < all; i++) {
        const json_t *request = fake_log(&f->fake, "request", i);
        count += streq(json_text_of(request, "path", ""), f->kind->chat_path) && strstr(json_text_of(request, "body", ""), "green");
    }
    return count;
}

static void a_schema_that_is_refused_is_left_out_from_then_on(struct backend_fixture *f)
{
    struct chat_request q = { .schema = &shape_record };
    backend_script(f, "rules:\n- {on: CHAT, has: green, status: 400, body: '{\"error\":{\"message\":\"unsupported field\"}}'}\n");
    check_ok(backend_ask(f, q), &f->err);
    assert_int_equal(f->answer.retries, 0);
    size_t forms = shapes_sent(f); /* each of its forms once */
    assert_true(forms >= 1 && forms <= 3);
    check_ok(backend_ask(f, q), &f->err);
    assert_int_equal(shapes_sent(f), forms);
}

static void a_schema_that_is_refused_in_one_form_is_sent_in_the_next(struct backend_fixture *f)
{
    struct shape shape;
    json_t *value;
    struct chat_request q = { .schema = &shape_record, .max_tokens = 200 };
    backend_script(f, "rules:\n- {on: CHAT, times: 1, status: 400, body: '{\"error\":{\"message\":\"unsupported field\"}}'}\n");
    for (size_t i = 0; i < 2; i++) { /* the second time in that form at once */
        check_ok(backend_ask(f, q), &f->err);
        check_ok(json_parse(&f->fake.room.arena, f->answer.text.data, f->answer.text.len, &value, &f->err), &f->err);
        check_ok(record_read(&longer_record, &f->fake.room.arena, value, &shape, &f->err), &f->err);
        assert_int_equal(shapes_sent(f), 2 + i);
    }
}

/* ---- names ---- */

static void a_model_tells_its_name_and_context(struct backend_fixture *f)
{
    const char *name;
    int64_t context;
    check_ok(model_describe(backend_model(f), NULL, &name, &context, &f->err), &f->err);
    assert_true(*name && context > 0);
    if (f->kind->context)
        assert_int_equal(context, f->kind->context);
}

static void a_model_that_is_not_there_is_named(struct backend_fixture *f)
{
    const char *name;
    int64_t context;
    backend_model(f);
    model_free(f->model);
    f->model = NULL;
    f->options.name = "gpt-4";
    check_err(model_describe(backend_model(f), NULL, &name, &context, &f->err), ERR_NOT_FOUND, &f->err, "gpt-4");
}

/* ---- several at once ---- */

static void *ask_five_times(void *argument)
{
    static const struct chat_message message = { CHAT_USER, "Say a word." };
    for (intptr_t i = 0; i < 5; i++) {
        struct chat_answer answer;
        struct err e = { 0 };
        struct chat_request q = { .messages = &message, .message_count = 1, .max_tokens = 8, .key = { "", "pm", "spec", 1 } };
        if (model_chat(argument, &q, &answer, &e) < 0 || !answer.text.len)
            return (void *)(i + 1);
        chat_answer_release(&answer);
    }
    return NULL;
}

static void one_model_answers_several_threads(struct backend_fixture *f)
{
    pthread_t threads[4];
    struct model *m = backend_model(f);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, ask_five_times, m);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

const struct backend_test backend_tests[] = {
    BACKEND_TEST(an_answer_is_whole_and_figured, 0),
    BACKEND_TEST(text_comes_in_pieces_and_is_whole, CAN_SCRIPT),
    BACKEND_TEST(a_character_may_be_split_between_chunks, CAN_SCRIPT),
    BACKEND_TEST(reasoning_is_kept_apart, CAN_SCRIPT | CAN_REASON),
    BACKEND_TEST(an_answer_ends_at_max_tokens, 0),
    BACKEND_TEST(a_request_says_what_was_asked, CAN_SCRIPT),
    BACKEND_TEST(tokens_are_told, CAN_COUNT),
    BACKEND_TEST(figures_that_are_not_reported_are_not_invented, CAN_SCRIPT),
    BACKEND_TEST(a_beginning_that_was_read_is_not_read_again, CAN_CACHE),
    BACKEND_TEST(a_call_by_the_side_leaves_the_other_slot_alone, CAN_CACHE | CAN_SLOTS),
    BACKEND_TEST(a_schema_is_asked_for_in_the_form_that_is_honoured, CAN_SCHEMA),
    BACKEND_TEST(a_schema_that_is_refused_is_left_out_from_then_on, CAN_SCRIPT | CAN_SCHEMA),
    BACKEND_TEST(a_schema_that_is_refused_in_one_form_is_sent_in_the_next, CAN_SCRIPT | CAN_SCHEMA | CAN_EVENTS),
    BACKEND_TEST(a_model_tells_its_name_and_context, 0),
    BACKEND_TEST(a_model_that_is_not_there_is_named, CAN_LIST),
    BACKEND_TEST(one_model_answers_several_threads, 0),
};
const size_t backend_test_count = sizeof backend_tests / sizeof *backend_tests;
