/* Conversations: what is sent, what is left out when it grows too long, what a crash keeps. */
#include "team_fixture.h"

#include "team/ask.h"
#include "team/conversation.h"

/* ---- messages from turns, without a store ---- */

struct talk {
    struct arena a;
    struct conversation_use use;
    struct turn turns[64];
    const char *texts[64];
};

/* A turn of about so many tokens. */
static void turn(struct talk *t, enum turn_kind kind, int64_t tokens)
{
    size_t n = t->use.doc.turns.count, len = (size_t)tokens * 3;
    char *text = arena_alloc(&t->a, len + 1);
    memset(text, 'a' + (int)(n % 26), len);
    t->turns[n] = (struct turn){ (int)kind, "", tokens };
    t->texts[n] = text;
    t->use.doc.turns = (struct records){ t->turns, n + 1 };
    t->use.texts = t->texts;
}

static void begin_talk(struct talk *t)
{
    turn(t, TURN_SYSTEM, 100);
    turn(t, TURN_CONTEXT, 300);
    turn(t, TURN_REQUEST, 50);
}

static const char *sent(struct talk *t, int64_t budget, bool only_observations)
{
    struct chat_message *messages;
    size_t count;
    struct err e;
    check_ok(conversation_messages(&t->a, &t->use, &(struct conversation_room){ budget + 512, 512 }, only_observations, &messages, &count, &e), &e);
    assert_true(tokens_estimate_messages(messages, count) <= budget);
    STR_LOCAL(out);
    messages_write(&out, messages, count);
    return arena_strndup(&t->a, out.data, out.len);
}

static void neighbours_of_one_side_become_one_message(void **state)
{
    (void)state;
    struct talk t = { .use = { 0 } };
    struct chat_message *messages;
    size_t count;
    struct err e;
    begin_talk(&t);
    turn(&t, TURN_ANSWER, 10);
    turn(&t, TURN_OBSERVATION, 10);
    turn(&t, TURN_REQUEST, 10);
    check_ok(conversation_messages(&t.a, &t.use, &conversation_room_for_all, false, &messages, &count, &e), &e);
    assert_int_equal(count, 4);
    assert_int_equal(messages[1].role, CHAT_USER);
    assert_int_equal(messages[2].role, CHAT_ASSISTANT);
    assert_int_equal(messages[3].role, CHAT_USER);
    arena_release(&t.a);
}

static void old_observations_are_left_out_first_and_the_last_turns_never(void **state)
{
    (void)state;
    struct talk t = { .use = { 0 } };
    begin_talk(&t);
    turn(&t, TURN_ANSWER, 200);      /* d */
    turn(&t, TURN_OBSERVATION, 400); /* e */
    turn(&t, TURN_ANSWER, 200);      /* f */
    turn(&t, TURN_OBSERVATION, 400); /* g */
    const char *text = sent(&t, 1400, false);
    assert_null(strstr(text, "eee"));
    assert_non_null(strstr(text, "report on an earlier attempt is left out"));
    assert_non_null(strstr(text, "bbb"));
    assert_non_null(strstr(text, "ddd"));
    assert_non_null(strstr(text, "fff"));
    assert_non_null(strstr(text, "ggg"));
    text = sent(&t, 1130, false);
    assert_null(strstr(text, "ddd"));
    assert_non_null(strstr(text, "ggg"));
    arena_release(&t.a);
}

static void what_does_not_fit_is_an_error_and_not_cut(void **state)
{
    (void)state;
    struct talk t = { .use = { 0 } };
    struct chat_message *messages;
    size_t count;
    struct err e;
    begin_talk(&t);
    turn(&t, TURN_ANSWER, 200);
    turn(&t, TURN_OBSERVATION, 100);
    turn(&t, TURN_ANSWER, 200);
    turn(&t, TURN_OBSERVATION, 100);
    check_err(conversation_messages(&t.a, &t.use, &(struct conversation_room){ 950, 250 }, false, &messages, &count, &e), ERR_LIMIT, &e, "larger context");
    /* Who can begin a fresh context is not made to work without its own answers. */
    sent(&t, 1000, false);
    check_err(conversation_messages(&t.a, &t.use, &(struct conversation_room){ 1250, 250 }, true, &messages, &count, &e), ERR_LIMIT, &e, "leaves 1000");
    arena_release(&t.a);
}

static void a_context_without_room_for_a_prompt_is_refused_by_the_names_of_its_settings(void **state)
{
    (void)state;
    struct talk t = { .use = { 0 } };
    struct chat_message *messages;
    size_t count;
    struct err e;
    begin_talk(&t);
    for (int64_t missing = 0; missing < 10; missing++) {
        struct conversation_room room = { 4096 - missing, 4096 };
        check_err(conversation_messages(&t.a, &t.use, &room, false, &messages, &count, &e), ERR_LIMIT, &e, "set context_tokens");
        assert_non_null(strstr(e.text, "answer_tokens"));
    }
    arena_release(&t.a);
}

static void requests_extend_each_other_also_while_things_are_left_out(void **state)
{
    (void)state;
    struct talk t = { .use = { 0 } };
    begin_talk(&t);
    int broken = 0, sends = 0;
    const char *before = sent(&t, 3000, false);
    for (; t.use.doc.turns.count < 60; sends++) {
        turn(&t, TURN_ANSWER, 30);
        turn(&t, TURN_OBSERVATION, 120);
        const char *now = sent(&t, 3000, false);
        broken += !starts_with(now, before);
        before = now;
    }
    /* 28 rounds of 166 tokens, of which 3000 fit: the cache is lost a few times, not each time. */
    assert_in_range(broken, 1, 4);
    assert_int_equal(sends, 29);
    arena_release(&t.a);
}

/* ---- through the engine ---- */

static void check_extends(struct team_fixture *f, const char *key, const char *earlier)
{
    const char *now = prompt_of(f, key), *before = prompt_of(f, earlier);
    if (!now || !before)
        fail_msg("there was no %s", now ? earlier : key);
    if (!starts_with(now, before))
        fail_msg("%s does not begin with %s:\n%s\n----\n%s", key, earlier, now, before);
}

static const char red[] = FILE_BLOCK("tests/test_doubling.py", "import unittest\n\nfrom doubling import double\n\n\n"
    "class DoubleTest(unittest.TestCase):\n    def test_double(self):\n        self.assertEqual(double(21), 42)\n");
static const char right[] = FILE_BLOCK("doubling.py", "def double(n):\n    return 2 * n\n");

static void all_that_is_wrong_with_a_scope_is_said_at_once(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/scope/1", "{\"read\": [\"none.py\"], \"create\": [\"tests/test_x.py\", \"pyproject.toml\"], \"how\": \"double(n)\"}");
    says(f, "T-1/developer/scope/2", SCOPE("doubling.py"));
    says(f, "T-1/tester/red-1/1", red);
    says(f, "T-1/developer/green-1/1", right);
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    run_team(f, TEAM_DONE);
    const char *again = prompt_of(f, "T-1/developer/scope/2");
    assert_non_null(strstr(again, "there is no file none.py"));
    assert_null(strstr(again, "create: tests/test_x.py")); /* it is left out without a word */
    assert_non_null(strstr(again, "pyproject.toml exists already"));
}

static void each_request_of_a_role_begins_with_the_one_before(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/scope/1", "{\"create\": [\"doubling.py\"]}"); /* `how` is missing */
    says(f, "T-1/developer/scope/2", SCOPE("doubling.py"));
    says(f, "T-1/tester/red-1/1", "I would rather not.");
    says(f, "T-1/tester/red-1/2", FILE_BLOCK("doubling.py", "pass\n"));
    says(f, "T-1/tester/red-1/3", red);
    says(f, "T-1/developer/green-1/1", FILE_BLOCK("doubling.py", "def double(n):\n    return n\n"));
    says(f, "T-1/developer/green-1/2", right);
    says(f, "T-1/architect/review-1/1", "{\"accept\": false, \"comments\": [{\"kind\": \"refactoring\", \"text\": \"Add a docstring.\"}]}");
    says(f, "T-1/developer/refactor-1/1", FILE_BLOCK("doubling.py", "def double(n):\n    \"\"\"Twice n.\"\"\"\n    return 2 * n\n"));
    says(f, "T-1/architect/review-2/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    run_team(f, TEAM_DONE);
    check_extends(f, "T-1/tester/red-1/2", "T-1/tester/red-1/1");
    check_extends(f, "T-1/tester/red-1/3", "T-1/tester/red-1/2");
    check_extends(f, "T-1/developer/scope/2", "T-1/developer/scope/1");
    check_extends(f, "T-1/developer/green-1/1", "T-1/developer/scope/2");
    check_extends(f, "T-1/developer/green-1/2", "T-1/developer/green-1/1");
    check_extends(f, "T-1/developer/refactor-1/1", "T-1/developer/green-1/2");
    assert_null(strstr(prompt_of(f, "T-1/architect/review-1/1"), "earlier review"));
    assert_non_null(strstr(prompt_of(f, "T-1/architect/review-2/1"),
                           "An earlier review asked for this, see whether it is done: refactoring: Add a docstring."));
}

/* The files and symbols that a scope of `change` and `read` shows to the Tester. */
static void a_scope_shows_each_file_once_and_names_what_is_not_there(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/scope/1", "{\"read\": [\"a.py:gone\", \"a.py:lost\", \"b.py:two\", \"c.py:three\"], "
                                     "\"change\": [\"c.py\", \"tests/test_c.py\"], \"create\": [\"doubling.py\"], \"how\": \"double(n)\"}");
    says(f, "T-1/tester/red-1/1", red);
    says(f, "T-1/developer/green-1/1", right);
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"),
                  (const char *const[]){ "a.py", "def one():\n    return 1\n", "b.py", "def two():\n    return 2\n\n\nODD = 7\n",
                                         "c.py", "def three():\n    return 3\n", "tests/test_c.py", "X = 1\n", NULL });
    run_team(f, TEAM_DONE);
    const char *asked = prompt_of(f, "T-1/tester/red-1/1");
    assert_non_null(strstr(asked, "Files to change: c.py\n"));
    assert_non_null(strstr(asked, "There is no gone in a.py.\n\n### a.py\n"));
    assert_non_null(strstr(asked, "There is no lost in a.py.\n\n### b.py"));
    assert_non_null(strstr(asked, "### b.py (only two)\n```\ndef two():\n    return 2\n```"));
    assert_null(strstr(asked, "### c.py (only three)")); /* it is shown whole */
    assert_non_null(strstr(asked, "### c.py\n"));
    assert_null(strstr(strstr(asked, "### a.py\n") + 1, "### a.py\n"));
}

#define TWO_TESTS "import os\nimport unittest\n\n\nclass DoubleTest(unittest.TestCase):\n" \
                  "    def test_double(self):\n        import doubling\n        self.assertEqual(doubling.double(21), 42)\n\n" \
                  "    def test_path(self):\n        print('a word')\n        self.assertTrue(os)\n"

static void the_review_is_told_which_tests_passed_too_early(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/scope/1", SCOPE("doubling.py"));
    says(f, "T-1/tester/red-1/1", FILE_BLOCK("tests/test_two.py", TWO_TESTS));
    says(f, "T-1/tester/red-1/2", red);
    says(f, "T-1/developer/green-1/1", right);
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    run_team(f, TEAM_DONE);
    const char *again = prompt_of(f, "T-1/tester/red-1/2"), *refusal = strstr(again, "pass at once");
    assert_non_null(strstr(refusal, "tests/test_two.py::DoubleTest::test_path."));
    assert_null(strstr(refusal, "test_double")); /* which fails as it should */
    assert_null(strstr(refusal, "a word"));
    assert_non_null(strstr(prompt_of(f, "T-1/architect/review-1/1"), "- tests/test_two.py::DoubleTest::test_path (criterion 1)\n"));
}

static void a_tester_sees_only_files_that_have_changed(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/scope/1", SCOPE("doubling.py"));
    says(f, "T-1/tester/red-1/1", red);
    says(f, "T-1/developer/green-1/1", FILE_BLOCK("doubling.py", "from base import two\n\n\ndef double(n):\n    return two() * n\n")
                                       FILE_BLOCK("base.py", "def two():\n    return 2\n"));
    says(f, "T-1/tester/red-2/1", FILE_BLOCK("tests/test_half.py", "import unittest\n\nimport doubling\n\n\nclass HalfTest(unittest.TestCase):\n"
                                             "    def test_half(self):\n        self.assertEqual(doubling.half(42), 21)\n"));
    says(f, "T-1/developer/green-2/1", FILE_BLOCK("doubling.py", "from base import two\n\n\ndef double(n):\n    return two() * n\n\n\n"
                                                  "def half(n):\n    return n // two()\n"));
    says(f, "T-1/tester/red-3/1", FILE_BLOCK("tests/test_third.py", "import unittest\n\nimport doubling\n\n\nclass ThirdTest(unittest.TestCase):\n"
                                             "    def test_third(self):\n        self.assertEqual(doubling.third(3), 1)\n"));
    says(f, "T-1/developer/green-3/1", FILE_BLOCK("doubling.py", "from base import two\n\n\ndef double(n):\n    return two() * n\n\n\n"
                                                  "def half(n):\n    return n // two()\n\n\ndef third(n):\n    return n // 3\n"));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42", "half(42) gives 21", "third(3) gives 1"), NULL);
    run_team(f, TEAM_DONE);
    const char *second = prompt_of(f, "T-1/tester/red-2/1"), *third = prompt_of(f, "T-1/tester/red-3/1") + strlen(second);
    assert_non_null(strstr(second, "### base.py"));
    assert_non_null(strstr(third, "### doubling.py"));
    assert_null(strstr(third, "### base.py"));
}

static void a_ticket_without_criteria_has_no_heading_for_them(void **state)
{
    struct team_fixture *f = *state;
    says_always(f, "T-1/developer/scope", SCOPE("doubling.py"));
    says_always(f, "T-1/developer/work", right);
    says_always(f, "T-1/architect/review", ACCEPT);
    says_always(f, "F-1/architect/appraise", ACCEPT);
    begin_project(f, 1, one_spec, one_ticket(f, "build", (const char *const[]){ NULL }), NULL);
    run_team(f, TEAM_DONE);
    assert_null(strstr(prompt_of(f, "T-1/developer/scope/1"), "Acceptance criteria"));
}

static void a_conversation_too_long_for_the_model_begins_anew(void **state)
{
    struct team_fixture *f = *state;
    STR_LOCAL(long_answer);
    str_add(&long_answer, "### doubling.py\n```\ndef double(n):\n    return n\n");
    for (int i = 0; i < 1200; i++)
        str_add(&long_answer, "# thinking\n");
    str_add(&long_answer, "```\n");
    says(f, "T-1/developer/scope/1", SCOPE("doubling.py"));
    says(f, "T-1/tester/red-1/1", red);
    says(f, "T-1/developer/green-1/1", long_answer.data);
    says(f, "T-1/developer/green-1/2", right);
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    script_context(f, 7000);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    run_team(f, TEAM_DONE);
    assert_int_equal(count_events(f, "conversation.renewed"), 1);
    assert_null(strstr(prompt_of(f, "T-1/developer/green-1/2"), "thinking"));
    assert_non_null(strstr(prompt_of(f, "T-1/developer/green-1/2"), "test_double"));
}

/* ---- after a crash ---- */

/* Asks as a task of this id does, and forgets everything but what is in the store. */
static const char *ask_once(struct team_fixture *f, const char *request, const char *task_id)
{
    struct step s;
    struct conversation_use *c;
    struct reply reply;
    check_ok(step_by_hand(f->team, &f->s.arena, f->id, "", "plan", "Ada", &s, &f->e), &f->e);
    s.task_id = task_id;
    check_ok(conversation_open(&s, ROLE_TESTER, &c, &f->e), &f->e);
    conversation_add(&s, c, TURN_REQUEST, request);
    struct question q = { .role = ROLE_TESTER, .step = "red-1", .conversation = c };
    check_ok(ask(&s, &q, &reply, &f->e), &f->e);
    step_by_hand_free(&s);
    return arena_printf(&f->s.arena, "%s: %s", reply.run_id, reply.text);
}

static void a_complete_answer_is_used_again_after_a_crash_and_only_for_its_prompt(void **state)
{
    struct team_fixture *f = *state;
    says(f, "project/tester/red-1/1", "first");
    says(f, "project/tester/red-1/2", "second");
    says(f, "project/tester/red-1/3", "third");
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    assert_string_equal(ask_once(f, "Write a test.", "numbers/7-red"), "numbers/tester/red-1/1: first");
    assert_string_equal(ask_once(f, "Write a test.", "numbers/7-red"), "numbers/tester/red-1/1: first");
    assert_int_equal(calls_of(f, "project/tester/"), 1);
    /* The same task with another prompt (a template was changed meanwhile), and another task. */
    assert_string_equal(ask_once(f, "Write one test.", "numbers/7-red"), "numbers/tester/red-1/2: second");
    assert_string_equal(ask_once(f, "Write one test.", "numbers/7-red"), "numbers/tester/red-1/2: second");
    assert_string_equal(ask_once(f, "Write one test.", "numbers/8-red"), "numbers/tester/red-1/3: third");
    assert_int_equal(calls_of(f, "project/tester/"), 3);
}

static void a_stored_answer_needs_no_server(void **state)
{
    struct team_fixture *f = *state;
    says(f, "project/tester/red-1/1", "first");
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    ask_once(f, "Write a test.", "numbers/7-red");
    script_unreachable(f);
    assert_string_equal(ask_once(f, "Write a test.", "numbers/7-red"), "numbers/tester/red-1/1: first");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_of_one_side_become_one_message),
        cmocka_unit_test(old_observations_are_left_out_first_and_the_last_turns_never),
        cmocka_unit_test(what_does_not_fit_is_an_error_and_not_cut),
        cmocka_unit_test(requests_extend_each_other_also_while_things_are_left_out),
        cmocka_unit_test(a_context_without_room_for_a_prompt_is_refused_by_the_names_of_its_settings),
        with_team(all_that_is_wrong_with_a_scope_is_said_at_once),
        with_team(a_scope_shows_each_file_once_and_names_what_is_not_there),
        with_team(the_review_is_told_which_tests_passed_too_early),
        with_team(a_tester_sees_only_files_that_have_changed),
        with_team(a_ticket_without_criteria_has_no_heading_for_them),
        with_team(each_request_of_a_role_begins_with_the_one_before),
        with_team(a_conversation_too_long_for_the_model_begins_anew),
        with_team(a_complete_answer_is_used_again_after_a_crash_and_only_for_its_prompt),
        with_team(a_stored_answer_needs_no_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
