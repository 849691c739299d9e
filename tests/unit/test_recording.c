/* Recordings: written, read, replayed, drifting. */
#include "check.h"
#include "upstream.h"

#include "base/arena.h"
#include "base/str.h"
#include "model/chat.h"
#include "model/recording.h"
#include "os/files.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    int fd;
    struct upstream *server;
    struct model *model;
    struct str seen;
    struct chat_answer answer;
    struct recording *recording;
    struct err err;
};

static void begin_recording(struct fixture *f, const char *dir)
{
    check_ok(recording_open(&f->recording, dir, &f->err), &f->err);
    model_record(f->model, f->recording);
}

static void end_recording(struct fixture *f)
{
    if (f->model)
        model_record(f->model, NULL);
    recording_close(f->recording);
    f->recording = NULL;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/tandem-recording-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    check_ok(dir_open(f->dir, false, &f->fd, &f->err), &f->err);
    f->server = upstream_start();
    upstream_on(f->server, "/props", &(struct upstream_reply){ .body = "{\"default_generation_settings\":{\"n_ctx\":12345}}" });
    upstream_model(f->server, "fake-7b", "### a.py\n```python\nx = 1\n```\n");
    struct model_options o = model_default_options;
    o.url = upstream_url(f->server);
    check_ok(model_open(&f->model, &o, &f->err), &f->err);
    str_init(&f->seen);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    end_recording(f);
    model_free(f->model);
    upstream_stop(f->server);
    chat_answer_release(&f->answer);
    str_release(&f->seen);
    dir_empty(f->fd, NULL);
    close(f->fd);
    rmdir(f->dir);
    free(f);
    return 0;
}

static const struct chat_message talk[] = {
    { CHAT_SYSTEM, "You write tests.\n" },
    { CHAT_USER, "Write a failing test." },
    { CHAT_ASSISTANT, "### a.py\n```python\nx = 1\n```\n" },
    { CHAT_USER, "It passed:\n======== user\n\\======== answer\n" },
};

static void show(const char *text, size_t len, void *ctx)
{
    str_add_bytes(ctx, text, len);
}

static int ask_of(struct fixture *f, struct model *m, const struct chat_message *messages, size_t count,
                  const char *ticket, const char *step, int64_t occurrence)
{
    struct chat_request q = {
        .messages = messages, .message_count = count, .seed = 3, .temperature = 0.2, .max_tokens = 100,
        .key = { ticket, "tester", step, occurrence }, .on_text = show, .ctx = &f->seen,
    };
    str_clear(&f->seen);
    chat_answer_release(&f->answer);
    return model_chat(m, &q, &f->answer, &f->err);
}

static int ask(struct fixture *f, size_t count, const char *step, int64_t occurrence)
{
    return ask_of(f, f->model, talk, count, "T-1", step, occurrence);
}

static void file_is(struct fixture *f, const char *path, const char *expected)
{
    STR_LOCAL(text);
    check_ok(file_read(f->fd, path, 1 << 20, &text, &f->err), &f->err);
    assert_string_equal(text.data, expected);
}

/* Records two turns of one conversation into dir/a. */
static void record(struct fixture *f)
{
    STR_LOCAL(dir);
    str_addf(&dir, "%s/a", f->dir);
    begin_recording(f, dir.data);
    check_ok(ask(f, 2, "red-1", 1), &f->err);
    check_ok(ask(f, 4, "red-1", 2), &f->err);
    end_recording(f);
}

static void replay(struct fixture *f, enum drift_rule rule)
{
    STR_LOCAL(dir);
    str_addf(&dir, "%s/a", f->dir);
    model_free(f->model);
    f->model = NULL;
    check_ok(replay_open(&f->model, dir.data, rule, &f->err), &f->err);
}

static void a_call_is_recorded_so_that_people_can_read_it(void **state)
{
    struct fixture *f = *state;
    record(f);
    file_is(f, "a/T-1/tester/red-1.1.txt",
            "Tandem recording 1\nmodel: fake-7b\nfinish: stop\ntemperature: 0.2\nseed: 3\nmax tokens: 100\n"
            "prompt tokens: 100\ncached tokens: 40\nanswer tokens: 7\n\n"
            "======== system\nYou write tests.\n"
            "======== user (no final newline)\nWrite a failing test.\n"
            "======== answer\n### a.py\n```python\nx = 1\n```\n");
    file_is(f, "a/T-1/tester/red-1.2.txt",
            "Tandem recording 1\nmodel: fake-7b\nfinish: stop\ntemperature: 0.2\nseed: 3\nmax tokens: 100\n"
            "prompt tokens: 100\ncached tokens: 40\nanswer tokens: 7\n\n"
            "======== 2 messages as in red-1.1\n"
            "======== assistant\n### a.py\n```python\nx = 1\n```\n"
            "======== user\nIt passed:\n\\======== user\n\\\\======== answer\n"
            "======== answer\n### a.py\n```python\nx = 1\n```\n");
    file_is(f, "a/models.txt", "12345 fake-7b\n");
}

static void a_replay_answers_as_the_model_did(void **state)
{
    struct fixture *f = *state;
    record(f);
    size_t asked = upstream_count(f->server, NULL);
    replay(f, DRIFT_FAIL);
    const char *name;
    int64_t context;
    check_ok(model_describe(f->model, NULL, &name, &context, &f->err), &f->err);
    assert_string_equal(name, "fake-7b");
    assert_int_equal(context, 12345);
    check_ok(ask(f, 4, "red-1", 2), &f->err);
    assert_string_equal(f->answer.text.data, "### a.py\n```python\nx = 1\n```\n");
    assert_string_equal(f->seen.data, f->answer.text.data);
    assert_string_equal(f->answer.finish, "stop");
    assert_string_equal(f->answer.model, "fake-7b");
    assert_int_equal(f->answer.cached_tokens, 40);
    check_ok(ask(f, 2, "red-1", 1), &f->err);
    assert_int_equal(replay_drift(f->model, NULL), 0);
    assert_int_equal(upstream_count(f->server, NULL), asked);
}

static void a_recorded_replay_is_the_same_recording(void **state)
{
    struct fixture *f = *state;
    record(f);
    replay(f, DRIFT_FAIL);
    STR_LOCAL(dir);
    str_addf(&dir, "%s/b", f->dir);
    begin_recording(f, dir.data);
    check_ok(ask(f, 2, "red-1", 1), &f->err);
    check_ok(ask(f, 4, "red-1", 2), &f->err);
    static const char *const files[] = { "models.txt", "T-1/tester/red-1.1.txt", "T-1/tester/red-1.2.txt" };
    for (size_t i = 0; i < 3; i++) {
        STR_LOCAL(a);
        STR_LOCAL(path);
        str_addf(&path, "a/%s", files[i]);
        check_ok(file_read(f->fd, path.data, 1 << 20, &a, &f->err), &f->err);
        path.data[0] = 'b';
        file_is(f, path.data, a.data);
    }
}

static void a_changed_prompt_is_drift_with_a_diff(void **state)
{
    struct fixture *f = *state;
    static const struct chat_message changed[] = { { CHAT_SYSTEM, "You write tests.\n" },
                                                   { CHAT_USER, "Write a passing test." } };
    record(f);
    replay(f, DRIFT_WARN);
    check_ok(ask_of(f, f->model, changed, 2, "T-1", "red-1", 1), &f->err);
    assert_string_equal(f->answer.text.data, "### a.py\n```python\nx = 1\n```\n");
    check_ok(ask_of(f, f->model, changed, 1, "T-1", "red-1", 2), &f->err);
    STR_LOCAL(diff);
    assert_int_equal(replay_drift(f->model, &diff), 2);
    assert_string_equal(diff.data,
                        "--- T-1/tester/red-1.1.txt, message 2 (user)\n+++ the prompt now, message 2 (user)\n"
                        "@@ -1,1 +1,1 @@\n-Write a failing test.\n\\ No newline at end of file\n"
                        "+Write a passing test.\n\\ No newline at end of file\n");
    replay(f, DRIFT_FAIL);
    check_err(ask_of(f, f->model, changed, 2, "T-1", "red-1", 1), ERR_CONFLICT, &f->err, "-Write a failing test.");
    assert_int_equal(replay_drift(f->model, NULL), 1);
}

static void a_call_that_was_not_recorded_names_the_file(void **state)
{
    struct fixture *f = *state;
    record(f);
    replay(f, DRIFT_WARN);
    check_err(ask(f, 2, "green-1", 1), ERR_NOT_FOUND, &f->err, "T-1/tester/green-1.1.txt");
    assert_non_null(strstr(f->err.text, "--record"));
}

static void a_directory_that_is_not_there_is_told(void **state)
{
    struct fixture *f = *state;
    struct model *m;
    assert_int_equal(replay_open(&m, "/does/not/exist", DRIFT_WARN, &f->err), ERR_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "/does/not/exist"));
}

static void a_model_is_replayed_by_its_name(void **state)
{
    struct fixture *f = *state;
    record(f);
    struct model_options o;
    struct model *m = NULL;
    ARENA_LOCAL(a);
    check_ok(file_write(f->fd, "a/models.txt", "12345 fake-7b\n800 other one\n", 28, 0644, false, &f->err), &f->err);
    check_ok(model_options_parse(arena_printf(&a, "replay:%s/a#other one", f->dir), &a, &o, &f->err), &f->err);
    check_ok(model_open(&m, &o, &f->err), &f->err);
    const char *name;
    int64_t context;
    check_ok(model_describe(m, NULL, &name, &context, &f->err), &f->err);
    assert_string_equal(name, "other one");
    assert_int_equal(context, 800);
    model_free(m);
    o.name = "third";
    check_err(model_open(&m, &o, &f->err), ERR_NOT_FOUND, &f->err, "third");
}

static void odd_names_stay_inside_and_apart(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    const char *path;
    check_ok(recording_path(&(struct call_key){ "../x", "a/b", ".hidden", 1 }, &a, &path, &e), &e);
    assert_string_equal(path, "%2E.%2Fx/a%2Fb/%2Ehidden.1.txt");
    check_ok(recording_path(&(struct call_key){ "", "pm", "spec", 12 }, &a, &path, &e), &e);
    assert_string_equal(path, "project/pm/spec.12.txt");
    check_err(recording_path(&(struct call_key){ "", "", "spec", 1 }, &a, &path, &e), ERR_INVALID, &e, "role");
}

static void damaged_files_are_told_with_their_line(void **state)
{
    struct fixture *f = *state;
    static const struct { const char *text, *words; } cases[] = {
        { "", "does not begin" },
        { "Tandem recording 1\n\n======== user\nx\n", "no answer" },
        { "Tandem recording 1\n\nx\n======== answer\n", "line 3: a mark" },
        { "Tandem recording 1\n\n======== stranger\n======== answer\n", "line 3: what follows" },
        { "Tandem recording 1\n\n======== answer\n======== 1 messages as in ../x\n", "what follows" },
        { "Tandem recording 1\n\n======== user\n======== 1 messages as in x\n======== answer\n", "must come first" },
        { "Tandem recording 1\n\n======== 1 messages as in red-1.1\n======== answer\n", "never end" },
        { "Tandem recording 1\n\n======== 9 messages as in red-1.2\n======== answer\n", "9 messages of red-1.2, which has 4" },
    };
    record(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* red-1.2 refers to red-1.1; the last case refers back only once. */
        check_ok(file_write(f->fd, "a/T-1/tester/red-3.1.txt", cases[i].text, strlen(cases[i].text), 0644, false, &f->err), &f->err);
        if (i == 6)
            check_ok(file_write(f->fd, "a/T-1/tester/red-1.1.txt", cases[i].text, strlen(cases[i].text), 0644, false, &f->err), &f->err);
        if (i == 7)
            record(f);
        replay(f, DRIFT_WARN);
        assert_true(ask(f, 1, "red-3", 1) < 0);
        if (!strstr(f->err.text, cases[i].words))
            fail_msg("\"%s\" does not say \"%s\"", f->err.text, cases[i].words);
        assert_non_null(strstr(f->err.text, "red-"));
        /* record() needs the server again. */
        model_free(f->model);
        f->model = NULL;
        struct model_options o = model_default_options;
        o.url = upstream_url(f->server);
        check_ok(model_open(&f->model, &o, &f->err), &f->err);
    }
}

static void a_call_recorded_again_refers_to_nothing(void **state)
{
    struct fixture *f = *state;
    begin_recording(f, f->dir);
    check_ok(ask(f, 2, "red-1", 1), &f->err);
    check_ok(ask(f, 2, "red-1", 2), &f->err);
    check_ok(ask(f, 4, "red-1", 1), &f->err);
    check_ok(ask(f, 4, "red-1", 3), &f->err);
    STR_LOCAL(text);
    check_ok(file_read(f->fd, "T-1/tester/red-1.1.txt", 1 << 20, &text, &f->err), &f->err);
    assert_null(strstr(text.data, "messages as in"));
    str_clear(&text);
    check_ok(file_read(f->fd, "T-1/tester/red-1.3.txt", 1 << 20, &text, &f->err), &f->err);
    assert_non_null(strstr(text.data, "======== 4 messages as in red-1.1\n"));
}

static void a_conversation_costs_its_length_not_its_square(void **state)
{
    struct fixture *f = *state;
    enum { TURNS = 40 };
    struct chat_message messages[TURNS];
    char texts[TURNS][1000];
    begin_recording(f, f->dir);
    for (int i = 0; i < TURNS; i++) {
        memset(texts[i], 'a' + i % 26, sizeof texts[i] - 1);
        texts[i][sizeof texts[i] - 1] = '\0';
        messages[i] = (struct chat_message){ i % 2 ? CHAT_ASSISTANT : CHAT_USER, texts[i] };
        check_ok(ask_of(f, f->model, messages, (size_t)i + 1, "T-1", "red-1", i + 1), &f->err);
    }
    ARENA_LOCAL(a);
    struct file_entry *entries;
    size_t count, size = 0;
    check_ok(file_list(f->fd, &a, 1000, &entries, &count, &f->err), &f->err);
    for (size_t i = 0; i < count; i++)
        size += (size_t)entries[i].size;
    assert_true(size < TURNS * 2000); /* the square would be 820,000 */
    model_free(f->model);
    f->model = NULL;
    end_recording(f);
    check_ok(replay_open(&f->model, f->dir, DRIFT_FAIL, &f->err), &f->err);
    check_ok(ask_of(f, f->model, messages, TURNS, "T-1", "red-1", TURNS), &f->err);
}

static void any_text_survives_the_file(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "\n", "\n\n", "a", "a\n", "a\r\nb", "========", "======== user\n", "\\\\======== x",
                                         "\\", "\\\n========", " ======== x\n", "answer: \xE2\x82\xAC\n\n", "\t\x01\n" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ARENA_LOCAL(a);
        STR_LOCAL(out);
        struct err e;
        struct chat_message message = { CHAT_USER, texts[i] };
        struct recorded r = { .messages = &message, .message_count = 1, .answer = texts[i], .answer_len = strlen(texts[i]),
                              .reasoning = texts[i], .reasoning_len = strlen(texts[i]), .model = "m", .finish = "stop",
                              .temperature = 0.7, .seed = -1, .prompt_tokens = -1, .cached_tokens = 0, .answer_tokens = 5 };
        struct recorded back;
        recording_write(&out, &r);
        check_ok(recording_read(&a, out.data, out.len, &back, &e), &e);
        assert_string_equal(back.messages[0].text, texts[i]);
        assert_string_equal(back.answer, texts[i]);
        assert_string_equal(back.reasoning, texts[i]);
        assert_true(back.temperature == 0.7);
        assert_int_equal(back.seed, -1);
        assert_int_equal(back.prompt_tokens, -1);
        assert_int_equal(back.cached_tokens, 0);
        assert_int_equal(back.answer_tokens, 5);
    }
}

struct pair {
    struct model *model;
    const char *ticket;
};

static void *talk_alone(void *argument)
{
    struct pair *p = argument;
    for (int64_t i = 1; i <= 10; i++) {
        struct chat_answer answer;
        struct chat_request q = { .messages = talk, .message_count = i % 2 ? 2 : 4, .key = { p->ticket, "tester", "red-1", i } };
        if (model_chat(p->model, &q, &answer, NULL) < 0)
            return p;
        chat_answer_release(&answer);
    }
    return NULL;
}

static void run_pairs(struct fixture *f)
{
    struct pair pairs[4] = { { f->model, "T-1" }, { f->model, "T-2" }, { f->model, "T-3" }, { f->model, "" } };
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, talk_alone, &pairs[i]);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

static void parallel_pairs_record_and_replay(void **state)
{
    struct fixture *f = *state;
    STR_LOCAL(dir);
    str_addf(&dir, "%s/a", f->dir);
    begin_recording(f, dir.data);
    run_pairs(f);
    end_recording(f);
    replay(f, DRIFT_FAIL);
    run_pairs(f);
    assert_int_equal(replay_drift(f->model, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_recorded_so_that_people_can_read_it),
        TEST(a_replay_answers_as_the_model_did),
        TEST(a_recorded_replay_is_the_same_recording),
        TEST(a_changed_prompt_is_drift_with_a_diff),
        TEST(a_call_that_was_not_recorded_names_the_file),
        TEST(a_directory_that_is_not_there_is_told),
        TEST(a_model_is_replayed_by_its_name),
        cmocka_unit_test(odd_names_stay_inside_and_apart),
        TEST(damaged_files_are_told_with_their_line),
        TEST(a_call_recorded_again_refers_to_nothing),
        TEST(a_conversation_costs_its_length_not_its_square),
        cmocka_unit_test(any_text_survives_the_file),
        TEST(parallel_pairs_record_and_replay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
