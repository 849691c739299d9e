/* Adapters: whatever one does wrong is told, contained and over.  Real programs in the real sandbox;
 * test_backend.c has the templates under the suite of all backends. */
#include "check.h"
#include "adapter_fixture.h"

#include "base/clock.h"
#include "base/json.h"
#include "model/forward.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- scripts ---- */

struct fixture {
    struct scratch room;
    struct adapter *adapter;
    struct model *model;
    struct model_options options;
    struct adapter_options how;
    struct str seen;
    struct err e;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .options = model_default_options, .seen = STR_INIT };
    scratch_make(&f.room);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->model)
        model_free(f->model);
    else
        adapter_free(f->adapter);
    str_release(&f->seen);
    scratch_remove(&f->room);
    return 0;
}

static int start_in(struct fixture *f, const char *folder)
{
    bool ready = false;
    if (!f->how.sandbox)
        f->how = adapter_options_for(folder);
    check_ok(adapter_start(&f->adapter, &f->how, &f->e), &f->e);
    int r = adapter_await(f->adapter, 20000, &ready, &f->e);
    if (r < 0)
        return r;
    assert_true(ready);
    f->model = adapter_model(f->adapter, &f->options);
    return 0;
}

static int start(struct fixture *f, const char *hello, const char *python)
{
    return start_in(f, adapter_script(&f->room, "toy", hello, python));
}

static void show(const char *text, size_t len, void *ctx)
{
    struct str *seen = ctx;
    if (text)
        str_add_bytes(seen, text, len);
    else
        str_clear(seen);
}

static int ask_with(struct fixture *f, struct chat_answer *answer, const atomic_bool *cancel)
{
    static const struct chat_message message = { CHAT_USER, "hello" };
    struct chat_request q = { .messages = &message, .message_count = 1, .seed = 7, .slot = 1, .cancel = cancel, .on_text = show, .ctx = &f->seen,
                              .key = { "", "person", "ask", 1 } };
    str_clear(&f->seen);
    return model_chat(f->model, &q, answer, &f->e);
}

/* The answer's text, in the room's arena; NULL: f->e says why. */
static const char *ask(struct fixture *f)
{
    struct chat_answer answer;
    if (ask_with(f, &answer, NULL) < 0)
        return NULL;
    const char *text = arena_strdup(&f->room.arena, answer.text.data);
    chat_answer_release(&answer);
    return text;
}

static void check_fails(struct fixture *f, int code, const char *words)
{
    struct chat_answer answer;
    check_err(ask_with(f, &answer, NULL), code, &f->e, words);
}

/* One answer to each chat. */
#define ANSWER(python) "while True:\n    q = hear()\n    if q['type'] == 'ping':\n        say(type='pong', id=q['id'])\n    if q['type'] != 'chat':\n        continue\n" python
#define SAY(text) "    say(type='text', id=q['id'], text=" text ")\n"
#define DONE "    say(type='done', id=q['id'], finish='stop')\n"

static void an_answer_has_what_was_asked(void **state)
{
    struct fixture *f = *state;
    check_ok(start(f, "slots=2", ANSWER(SAY("json.dumps(q, sort_keys=True)") DONE)), &f->e);
    const char *text = ask(f);
    assert_string_equal(text, "{\"id\": 1, \"messages\": [{\"content\": \"hello\", \"role\": \"user\"}], \"seed\": 7, \"slot\": 0, "
                              "\"temperature\": 0.0, \"type\": \"chat\"}");
    check_ok(adapter_ping(f->adapter, 5000, &f->e), &f->e);
}

static void reasoning_and_figures_come_apart(void **state)
{
    struct fixture *f = *state;
    struct chat_answer answer;
    check_ok(start(f, "", ANSWER("    say(type='reasoning', id=q['id'], text='hm')\n" SAY("'\\u00e4'")
                                 "    say(type='done', id=q['id'], finish='length', prompt_tokens=9, cached_tokens=4, completion_tokens=2)\n")), &f->e);
    check_ok(ask_with(f, &answer, NULL), &f->e);
    assert_string_equal(answer.text.data, "\xC3\xA4");
    assert_string_equal(answer.reasoning.data, "hm");
    assert_string_equal(answer.finish, "length");
    assert_int_equal(answer.prompt_tokens, 9);
    assert_int_equal(answer.cached_tokens, 4);
    assert_int_equal(answer.completion_tokens, 2);
    chat_answer_release(&answer);
}

static void errors_mean_what_they_say(void **state)
{
    struct fixture *f = *state;
    static const struct { const char *kind; int code; const char *words; } faults[] = {
        { "context", ERR_LIMIT, "does not fit the model's context" }, { "invalid", ERR_INVALID, "toy rejected the request: so" },
        { "unable", ERR_SETUP, "cannot do that" }, { "failed", ERR_FAILED, "3 times" }, { "busy", ERR_UNAVAILABLE, "busy" },
    };
    f->options.patience_ms = 200;
    check_ok(start(f, "", "kinds = iter(['context', 'invalid', 'unable', 'failed', 'failed', 'failed'] + ['busy'] * 9)\n"
                          ANSWER("    say(type='error', id=q['id'], kind=next(kinds), message='so')\n")), &f->e);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        check_fails(f, faults[i].code, faults[i].words);
}

static void an_empty_answer_is_asked_again_with_another_seed(void **state)
{
    struct fixture *f = *state;
    check_ok(start(f, "", ANSWER("    if q['seed'] == 9:\n        say(type='text', id=q['id'], text='nine')\n" DONE)), &f->e);
    assert_string_equal(ask(f), "nine");
}

/* ---- at the start ---- */

static void an_adapter_that_crashes_at_the_start_is_quoted(void **state)
{
    struct fixture *f = *state;
    check_err(start(f, NULL, "sys.exit('no such tensor')\n"), ERR_UNAVAILABLE, &f->e, "ended before it said hello (it exited with status 1)");
    assert_non_null(strstr(f->e.text, "its last words: no such tensor"));
}

static void an_adapter_that_never_says_hello_is_not_ready(void **state)
{
    struct fixture *f = *state;
    bool ready = true;
    f->how = adapter_options_for(adapter_script(&f->room, "toy", NULL, "time.sleep(1000)\n"));
    check_ok(adapter_start(&f->adapter, &f->how, &f->e), &f->e);
    check_ok(adapter_await(f->adapter, 100, &ready, &f->e), &f->e);
    assert_false(ready);
}

static void a_program_that_cannot_be_run_is_told_with_the_remedy(void **state)
{
    struct fixture *f = *state;
    f->how = adapter_options_for(adapter_program(&f->room, "a", "#!/bin/sh\n", 0644));
    check_err(start_in(f, f->how.folder), ERR_SETUP, &f->e, "\"adapter\" is not executable (chmod +x)");
    adapter_free(f->adapter);
    f->adapter = NULL;
    f->how.folder = adapter_program(&f->room, "b", "#!/no/such/interpreter\n", 0755);
    check_err(start_in(f, f->how.folder), ERR_SETUP, &f->e, "the interpreter that its first line names is not there");
    adapter_free(f->adapter);
    f->adapter = NULL;
    scratch_write(&f->room, "c/other", "");
    f->how.folder = scratch_path(&f->room, "c");
    check_err(start_in(f, f->how.folder), ERR_SETUP, &f->e, "no program \"adapter\"");
}

static void another_version_of_the_protocol_is_named(void **state)
{
    struct fixture *f = *state;
    check_err(start(f, "protocol=2, shape='new'", "hear()\n"), ERR_SETUP, &f->e, "speaks version 2 of the protocol, and this Tandem version 1");
}

static void a_first_line_that_is_no_hello_is_shown(void **state)
{
    struct fixture *f = *state;
    check_err(start(f, NULL, "print('Loading checkpoint shards: 100%')\nhello()\nhear()\n"), ERR_SETUP, &f->e, "Loading checkpoint shards");
    assert_non_null(strstr(f->e.text, "belongs on its standard error"));
}

static void a_hello_is_checked(void **state)
{
    struct fixture *f = *state;
    static const struct { const char *more, *words; } bad[] = {
        { "can=[]", "must have chat, embed or both" }, { "can=['fly']", "\"fly\"" }, { "context=0", "context" }, { "slots=1000", "slots" },
        { "name=''", "name" }, { "colour='red'", "colour" }, { "protocol='1'", "protocol" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        f->how.sandbox = NULL;
        check_err(start(f, bad[i].more, "hear()\n"), ERR_SETUP, &f->e, bad[i].words);
        adapter_free(f->adapter);
        f->adapter = NULL;
    }
}

/* ---- in the middle ---- */

static void an_adapter_that_crashes_in_an_answer_fails_the_call(void **state)
{
    struct fixture *f = *state;
    check_ok(start(f, "", ANSWER(SAY("'half an '") "    sys.stderr.write('CUDA error\\n')\n    os.abort()\n")), &f->e);
    check_fails(f, ERR_UNAVAILABLE, "its last words: CUDA error");
    assert_non_null(strstr(f->e.text, "killed by signal 6"));
    assert_false(adapter_lives(f->adapter));
    check_fails(f, ERR_UNAVAILABLE, "the adapter toy"); /* at once */
}

static void an_adapter_that_falls_silent_is_a_stall(void **state)
{
    struct fixture *f = *state;
    f->options.stall_ms = 200;
    check_ok(start(f, "", "n = 0\n" ANSWER(SAY("'a'") "    n += 1\n    if n > 1:\n        say(type='done', id=q['id'])\n        continue\n"
                                           "    while hear()['type'] != 'cancel':\n        pass\n"
                                           "    say(type='done', id=q['id'], finish='cancelled')\n")), &f->e);
    assert_string_equal(ask(f), "a"); /* the second time */
}

static void an_adapter_that_answers_nothing_is_a_time_out(void **state)
{
    struct fixture *f = *state;
    f->options.first_token_ms = 150;
    check_ok(start(f, "", "hear()\ntime.sleep(1000)\n"), &f->e);
    check_fails(f, ERR_TIMEOUT, "no token came within 0.15 s");
}

static void *cancel_soon(void *flag)
{
    usleep(200000);
    atomic_store((atomic_bool *)flag, true);
    return NULL;
}

static void a_cancelled_call_leaves_at_once_and_the_next_is_served(void **state)
{
    struct fixture *f = *state;
    struct chat_answer answer;
    atomic_bool cancel = false;
    pthread_t thread;
    check_ok(start(f, "", "first = True\n" ANSWER(SAY("'a'") "    if first:\n        first = False\n"
                                                  "        while hear()['type'] != 'cancel':\n            pass\n"
                                                  "        say(type='text', id=q['id'], text='late')\n" DONE)), &f->e);
    pthread_create(&thread, NULL, cancel_soon, &cancel);
    check_err(ask_with(f, &answer, &cancel), ERR_CANCELLED, &f->e, "cancelled");
    pthread_join(thread, NULL);
    assert_string_equal(ask(f), "a");
}

static void one_that_ignores_a_cancel_is_ended(void **state)
{
    struct fixture *f = *state;
    struct chat_answer answer;
    atomic_bool cancel = false;
    pthread_t thread;
    f->how = adapter_options_for(adapter_script(&f->room, "toy", "", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                                                ANSWER("    while True:\n        say(type='text', id=q['id'], text='on ')\n        time.sleep(0.01)\n")));
    f->how.cancel_ms = 300;
    check_ok(start_in(f, f->how.folder), &f->e);
    pthread_create(&thread, NULL, cancel_soon, &cancel);
    check_err(ask_with(f, &answer, &cancel), ERR_CANCELLED, &f->e, "cancelled");
    pthread_join(thread, NULL);
    check_fails(f, ERR_UNAVAILABLE, "went on for 0.3 s with a request that was cancelled");
}

static void one_that_ignores_the_end_of_its_input_is_killed(void **state)
{
    struct fixture *f = *state;
    bool orderly = true;
    check_ok(start(f, "", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n    time.sleep(1000)\n"), &f->e);
    adapter_stop(f->adapter, 100, &orderly);
    assert_false(orderly);
    assert_false(adapter_lives(f->adapter));
}

static void an_orderly_one_ends_with_its_input(void **state)
{
    struct fixture *f = *state;
    bool orderly = false;
    check_ok(start(f, "", "hear()\n"), &f->e);
    adapter_stop(f->adapter, 20000, &orderly);
    assert_true(orderly);
}

/* ---- nonsense ---- */

static void lines_that_are_not_of_the_protocol_end_it(void **state)
{
    struct fixture *f = *state;
    static const struct { const char *python, *words; } bad[] = {
        { "    print('{\"type\":', flush=True)\n", "line 2 of what it printed is not of the protocol" },
        { "    print('{\"type\": \"text\", \"id\": 1, \"text\": \"\\\\ud83d\"}', flush=True)\n", "line 2" }, /* half a character */
        { "    os.write(1, b'{\"type\":\"text\",\"id\":1,\"text\":\"a\\xffb\"}\\n')\n", "line 2" },
        { "    say(type='song', id=1)\n", "its \"type\" is \"song\"" },
        { "    say(type='text', id=1)\n", "text" },
        { "    say(type='text', id=1, text='a', txet='b')\n", "txet" },
        { "    say(type='text', id=99, text='a')\n", "answered request 99 (\"text\"), which is not under way" },
        { "    say(type='done', id=1)\n    say(type='text', id=1, text='late')\n    hear()\n", "empty" }, /* asked again, it finds out */
        { "    hello()\n", "said hello twice" },
        { "    say(type='pong', id=1)\n", "a ping that nobody sent" },
        { "    say(type='vectors', id=1, vectors=[[1]])\n", "with \"vectors\"" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        STR_LOCAL(python);
        f->how.sandbox = NULL;
        str_addf(&python, ANSWER("%s"), bad[i].python);
        check_ok(start(f, "", python.data), &f->e);
        if (ask(f))
            fail_msg("%s was answered", bad[i].python);
        if (!strstr(f->e.text, bad[i].words) && !strstr(f->e.text, "not under way"))
            fail_msg("\"%s\" does not say \"%s\"", f->e.text, bad[i].words);
        model_free(f->model);
        f->model = NULL;
        f->adapter = NULL;
    }
}

static void *ask_beside(void *ctx)
{
    return (void *)(uintptr_t)ask(ctx);
}

static void answers_may_come_out_of_order(void **state)
{
    struct fixture *f = *state;
    check_ok(start(f, "slots=2", "asked = []\nwhile True:\n    q = hear()\n    asked.append(q)\n    if len(asked) < 2:\n        continue\n"
                                 "    for q in reversed(asked):\n"
                                 "        say(type='text', id=q['id'], text='to %d' % q['id'])\n"
                                 "    for q in asked:\n        say(type='done', id=q['id'])\n    asked = []\n"), &f->e);
    pthread_t thread;
    struct chat_answer answer;
    void *other;
    struct fixture beside = { .model = f->model, .seen = STR_INIT };
    pthread_create(&thread, NULL, ask_beside, &beside);
    check_ok(ask_with(f, &answer, NULL), &f->e);
    pthread_join(thread, &other);
    assert_non_null(other);
    assert_string_not_equal(other, answer.text.data);
    assert_true(starts_with(other, "to ") && starts_with(answer.text.data, "to "));
    chat_answer_release(&answer);
    arena_release(&beside.room.arena);
    str_release(&beside.seen);
}

static void a_line_without_end_ends_it(void **state)
{
    struct fixture *f = *state;
    check_ok(start(f, "", ANSWER("    while True:\n        os.write(1, b'x' * 1000000)\n")), &f->e);
    check_fails(f, ERR_UNAVAILABLE, "line 2 of what it printed is longer than 8 MiB");
}

static void an_answer_without_end_is_cut_off(void **state)
{
    struct fixture *f = *state;
    f->options.max_answer_bytes = 100000;
    f->how = adapter_options_for(adapter_script(&f->room, "toy", "", ANSWER("    n = 0\n    while True:\n        n += 7919\n" "        say(type='text', id=q['id'], text='%d,' % n)\n")));
    f->how.cancel_ms = 200;
    check_ok(start_in(f, f->how.folder), &f->e);
    check_fails(f, ERR_LIMIT, "100000 bytes that are allowed");
    check_fails(f, ERR_UNAVAILABLE, "a request that was cancelled");
}

static void complaints_without_end_hold_nobody_up_and_only_the_last_are_kept(void **state)
{
    struct fixture *f = *state;
    STR_LOCAL(last);
    check_ok(start(f, "", "import threading\n"
                          "def complain():\n    while True:\n        os.write(2, b'warning\\n' * 10000)\n"
                          "threading.Thread(target=complain, daemon=True).start()\n" ANSWER(SAY("'good'") DONE)), &f->e);
    int64_t complaints = 0;
    for (int i = 0; i < 5 || (i < 5000 && complaints <= 10000); i++) {
        assert_string_equal(ask(f), "good");
        str_clear(&last);
        complaints = adapter_complaints(f->adapter, &last);
    }
    assert_true(complaints > 10000);
    assert_true(last.len < 1000);
}

/* ---- the sandbox ---- */

static void there_is_no_network_and_the_model_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    scratch_write(&f->room, "closed/model.gguf", "tensors");
    assert_int_equal(chmod(scratch_path(&f->room, "closed"), 0700), 0);
    f->how = adapter_options_for(adapter_script(&f->room, "toy", NULL,
        "import socket\n"
        "def attempt(what):\n    try:\n        what()\n        return 'DONE'\n    except OSError as e:\n        return 'refused'\n"
        "path = os.environ['TANDEM_MODEL']\n"
        "words = [open(path).read(), attempt(lambda: open(path, 'a')), attempt(lambda: open(path, 'r+b')), attempt(lambda: os.remove(path)),\n"
        "         attempt(lambda: os.chmod(path, 0o777)),\n"
        "         attempt(lambda: socket.create_connection(('127.0.0.1', 22), 2)), attempt(lambda: socket.create_connection(('1.1.1.1', 53), 2)),\n"
        "         attempt(lambda: open('adapter', 'a')), attempt(lambda: open('/tmp/mine', 'w'))]\n"
        "hello(name=' '.join(words))\nhear()\n"));
    f->how.file = scratch_path(&f->room, "closed/model.gguf");
    check_ok(start_in(f, f->how.folder), &f->e);
    assert_string_equal(adapter_said_hello(f->adapter)->name, "tensors refused refused refused refused refused refused refused DONE");
    assert_string_equal(scratch_read(&f->room, "closed/model.gguf"), "tensors");
}

static void memory_is_bounded_and_the_limit_named(void **state)
{
    struct fixture *f = *state;
    f->how = adapter_options_for(adapter_script(&f->room, "toy", NULL, "x = bytearray(400 << 20)\nfor i in range(0, len(x), 4096):\n    x[i] = 1\nhello()\nhear()\n"));
    f->how.memory_mib = 128;
    int r = start_in(f, f->how.folder);
    assert_int_equal(r, ERR_UNAVAILABLE);
    if (!strstr(f->e.text, "128 MiB of memory") && !strstr(f->e.text, "MemoryError"))
        fail_msg("\"%s\" does not name the limit", f->e.text);
}

/* ---- for other programs ---- */

static bool collect(const char *bytes, size_t len, void *ctx)
{
    str_add_bytes(ctx, bytes, len);
    return true;
}

static int forward(struct fixture *f, const char *path, const char *body, struct forward_result *ret, struct str *out, struct str *refusal)
{
    json_t *value;
    check_ok(json_parse(&f->room.arena, body, strlen(body), &value, &f->e), &f->e);
    struct forward_request q = { .path = path, .body = value, .on_body = collect, .ctx = out };
    str_clear(out);
    return model_forward(f->model, &q, ret, refusal, &f->e);
}

static void other_programs_are_answered_in_openais_form(void **state)
{
    struct fixture *f = *state;
    STR_LOCAL(out);
    STR_LOCAL(refusal);
    struct forward_result r;
    check_ok(start_in(f, adapter_template(&f->room, "python", "toy")), &f->e);
    check_ok(forward(f, "/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true,\"stream_options\":"
                     "{\"include_usage\":true},\"max_tokens\":2}", &r, &out, &refusal), &f->e);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.content_type, "text/event-stream");
    assert_non_null(strstr(out.data, "\"delta\":{\"content\":\"I\"}"));
    assert_non_null(strstr(out.data, "\"finish_reason\":\"length\""));
    assert_non_null(strstr(out.data, "\"completion_tokens\":2"));
    assert_true(ends_with(out.data, "data: [DONE]\n\n"));
    check_ok(forward(f, "/embeddings", "{\"input\":[\"a\",\"b\"]}", &r, &out, &refusal), &f->e);
    assert_non_null(strstr(out.data, "\"index\":1,\"embedding\":["));
    check_ok(forward(f, "/completions", "{\"prompt\":\"a\"}", &r, &out, &refusal), &f->e);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(refusal.data, "continues no texts"));
    check_ok(forward(f, "/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":[{}]}", &r, &out, &refusal), &f->e);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(refusal.data, "cannot call tools"));
}

static void an_answer_without_end_to_another_program_is_broken_off(void **state)
{
    struct fixture *f = *state;
    STR_LOCAL(out);
    STR_LOCAL(refusal);
    struct forward_result r;
    f->options.max_answer_bytes = 100000;
    check_ok(start(f, "", ANSWER("    while True:\n" "        say(type='text', id=q['id'], text='on and ')\n")), &f->e);
    check_err(forward(f, "/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", &r, &out, &refusal), ERR_LIMIT, &f->e,
              "100000 bytes that are allowed");
    assert_true(starts_with(out.data, "data: {"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_answer_has_what_was_asked),
        TEST(reasoning_and_figures_come_apart),
        TEST(errors_mean_what_they_say),
        TEST(an_empty_answer_is_asked_again_with_another_seed),
        TEST(an_adapter_that_crashes_at_the_start_is_quoted),
        TEST(an_adapter_that_never_says_hello_is_not_ready),
        TEST(a_program_that_cannot_be_run_is_told_with_the_remedy),
        TEST(another_version_of_the_protocol_is_named),
        TEST(a_first_line_that_is_no_hello_is_shown),
        TEST(a_hello_is_checked),
        TEST(an_adapter_that_crashes_in_an_answer_fails_the_call),
        TEST(an_adapter_that_falls_silent_is_a_stall),
        TEST(an_adapter_that_answers_nothing_is_a_time_out),
        TEST(a_cancelled_call_leaves_at_once_and_the_next_is_served),
        TEST(one_that_ignores_a_cancel_is_ended),
        TEST(one_that_ignores_the_end_of_its_input_is_killed),
        TEST(an_orderly_one_ends_with_its_input),
        TEST(lines_that_are_not_of_the_protocol_end_it),
        TEST(answers_may_come_out_of_order),
        TEST(a_line_without_end_ends_it),
        TEST(an_answer_without_end_is_cut_off),
        TEST(complaints_without_end_hold_nobody_up_and_only_the_last_are_kept),
        TEST(there_is_no_network_and_the_model_cannot_be_written),
        TEST(memory_is_bounded_and_the_limit_named),
        TEST(other_programs_are_answered_in_openais_form),
        TEST(an_answer_without_end_to_another_program_is_broken_off),
    };
    return cmocka_run_group_tests(tests, NULL, adapter_sandbox_close);
}
