/* The exam of a model: what counts as right, what the card says, and that asking is bounded.  The
 * models here are fakes that know all answers, none, or go away. */
#include "check.h"
#include "scratch.h"

#include "base/str.h"
#include "model/backend.h"
#include "model/exam.h"

#include <stdatomic.h>

/* ---- judging ---- */

#define FENCED(text) "### src/limits.py\n```\n" text "```\n"
#define CHANGED "LIMIT = 25\nRETRIES = 3\n\n\ndef is_full(items):\n    return len(items) >= LIMIT\n"
#define BLOCK(search, replace) "<<<<<<< SEARCH\n" search "=======\n" replace ">>>>>>> REPLACE\n"

static void check_change(bool blocks, const char *answer, const char *fault)
{
    struct err e = { 0 };
    int r = exam_judge_change(&exam_changes[0], blocks, answer, strlen(answer), &e);
    if (!fault)
        check_ok(r, &e);
    else
        check_err(r, ERR_INVALID, &e, fault);
}

static void a_whole_file_is_right_when_it_is_the_one_outcome(void **state)
{
    (void)state;
    check_change(false, FENCED(CHANGED), NULL);
    check_change(false, "Here it is.\n" FENCED("LIMIT = 25  \nRETRIES = 3\n\ndef is_full(items):\n    return len(items) >= LIMIT\n"), NULL);
    check_change(false, FENCED("LIMIT = 25\nRETRIES = 5\n\n\ndef is_full(items):\n    return len(items) >= LIMIT\n"), "not as asked for");
    check_change(false, FENCED("LIMIT = 25\n"), "not as asked for");
    check_change(false, "### src/other.py\n```\n" CHANGED "```\n", "it changes src/other.py");
    check_change(false, FENCED(CHANGED) "### b.py\n```\nx = 1\n```\n", "2 files");
    check_change(false, "I cannot.", "no file");
    check_change(false, "### src/limits.py\n```\n" CHANGED, "not closed");
    check_change(false, "### src/limits.py\nDELETE\n", "it deletes");
}

static void blocks_have_to_be_blocks_and_to_fit(void **state)
{
    (void)state;
    check_change(true, FENCED(BLOCK("LIMIT = 10\n", "LIMIT = 25\n")), NULL);
    check_change(true, FENCED(CHANGED), "whole file instead");
    check_change(false, FENCED(BLOCK("LIMIT = 10\n", "LIMIT = 25\n")), "blocks instead");
    check_change(true, FENCED(BLOCK("LIMIT = 11\n", "LIMIT = 25\n")), "");
    check_change(true, FENCED(BLOCK("LIMIT = 10\n", "LIMIT = 26\n")), "not as asked for");
}

/* A question without a right answer would fail every model. */
static void every_change_can_be_made_in_both_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < exam_change_count; i++) {
        const struct exam_change *c = &exam_changes[i];
        STR_LOCAL(whole);
        STR_LOCAL(blocks);
        struct err e;
        str_addf(&whole, "### %s\n```\n%s```\n", c->path, c->after);
        str_addf(&blocks, "### %s\n```\n" BLOCK("%s", "%s") "```\n", c->path, c->before, c->after);
        check_ok(exam_judge_change(c, false, whole.data, whole.len, &e), &e);
        check_ok(exam_judge_change(c, true, blocks.data, blocks.len, &e), &e);
        str_clear(&whole);
        str_addf(&whole, "### %s\n```\n%s```\n", c->path, c->before);
        assert_int_equal(exam_judge_change(c, false, whole.data, whole.len, &e), ERR_INVALID);
    }
}

static void loops_are_seen_and_lists_are_none(void **state)
{
    (void)state;
    STR_LOCAL(text);
    for (int i = 0; i < 40; i++)
        str_addf(&text, "animal number %d\n", i * 7);
    assert_false(exam_is_loop(text.data, text.len));
    assert_false(exam_is_loop("", 0));
    str_clear(&text);
    str_add(&text, "Once upon a time there was a keeper. ");
    for (int i = 0; i < 30; i++)
        str_add(&text, "The clock was old. ");
    assert_true(exam_is_loop(text.data, text.len));
    str_clear(&text);
    for (int i = 0; i < 20; i++)
        str_addf(&text, "%s\n", i % 3 ? "cat" : i % 2 ? "dog" : "a much longer line than the others, which comes again as well");
    assert_true(exam_is_loop(text.data, text.len));
}

static void a_haystack_has_its_length_and_its_needle_at_the_depth(void **state)
{
    (void)state;
    static const int64_t depths[] = { 0, 10, 50, 90, 100 };
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        STR_LOCAL(text);
        exam_haystack(1000, depths[i], 40127, &text);
        int64_t tokens = tokens_estimate(text.data, text.len);
        assert_true(tokens > 950 && tokens < 1100);
        const char *needle = strstr(text.data, "amber 40127");
        assert_non_null(needle);
        int64_t at = (needle - text.data) * 100 / (int64_t)text.len;
        assert_true(at >= depths[i] - 6 && at <= depths[i] + 6);
        assert_true(exam_found(40127, "It is amber 40127."));
        assert_false(exam_found(40127, "It is amber 4012."));
    }
}

static void context_is_usable_up_to_where_two_of_three_facts_are_lost(void **state)
{
    (void)state;
    struct exam_needle n[] = { { 100, 90, true }, { 100, 50, true }, { 100, 10, false }, { 200, 90, true }, { 200, 50, false }, { 200, 10, false },
                               { 400, 90, true }, { 400, 50, true }, { 400, 10, true } };
    assert_int_equal(exam_usable(n, 9), 100);
    assert_int_equal(exam_usable(n + 6, 3), 400);
    assert_int_equal(exam_usable(n + 3, 3), 0);
    assert_int_equal(exam_usable(n, 0), EXAM_UNKNOWN);
}

static void roles_say_what_they_lack(void **state)
{
    (void)state;
    struct exam_card c = { .usable_context = 5000, .files = 90, .schema = 85, .steady = 100 };
    struct exam_role pm = { "pm", 4096, 0, 80, 60 }, developer = { "developer", 8192, 75, 60, 60 };
    STR_LOCAL(lacks);
    exam_role_lacks(&c, &pm, &lacks);
    assert_string_equal(lacks.data, "");
    exam_role_lacks(&c, &developer, &lacks);
    assert_string_equal(lacks.data, "usable context 5000 of 8192");
    c.schema = EXAM_UNKNOWN;
    str_clear(&lacks);
    exam_role_lacks(&c, &pm, &lacks);
    assert_string_equal(lacks.data, "schema not measured");
}

/* ---- asking ---- */

struct fake {
    struct model base;
    bool knows, miscounts;
    atomic_size_t longest;
    atomic_int asked;
    int asked_essay, asked_last_change; /* the number of the first such question */
    int gone_after;          /* questions; 0: never */
    atomic_bool *cancel_at_gone;
};

static int fake_describe(struct model *m, const atomic_bool *cancel, const char **ret_name, int64_t *ret_context, struct err *e)
{
    (void)m, (void)cancel, (void)e;
    *ret_name = "fake";
    *ret_context = 4096;
    return 0;
}

static void answer_form(const struct record *r, struct str *out)
{
    static const struct { const char *name, *json; } known[] = {
        { "verdict", "{\"accepted\": false, \"reason\": \"no\"}" }, { "person", "{\"name\": \"Ada\", \"age\": 36, \"sort\": \"adult\"}" },
        { "plan", "{\"title\": \"cake\", \"steps\": [\"mix\", \"bake\"]}" },
        { "group", "{\"name\": \"us\", \"people\": [{\"name\": \"Ada\", \"age\": 36, \"sort\": \"adult\"}]}" } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (streq(r->name, known[i].name))
            str_add(out, known[i].json);
}

static void answer_change(const char *question, bool blocks, struct str *out)
{
    for (size_t i = 0; i < exam_change_count; i++) {
        const struct exam_change *c = &exam_changes[i];
        if (!strstr(question, c->wish))
            continue;
        if (blocks)
            str_addf(out, "### %s\n```\n" BLOCK("%s", "%s") "```\n", c->path, c->before, c->after);
        else
            str_addf(out, "### %s\n```\n%s```\n", c->path, c->after);
    }
}

static void answer_all(const struct chat_request *q, struct str *out)
{
    const char *question = q->messages[q->message_count - 1].text, *fact = strstr(question, "amber ");
    if (q->schema)
        answer_form(q->schema, out);
    else if (q->message_count > 1)
        answer_change(question, strstr(q->messages[0].text, "search/replace") != NULL, out);
    else if (fact)
        str_addf(out, "%.11s", fact);
    else
        str_add(out, "Yes, of course.");
}

static void note_order(struct fake *m, const char *question, int asked)
{
    if (streq(question, exam_essays[0]) && !m->asked_essay)
        m->asked_essay = asked;
    if (strstr(question, exam_changes[exam_change_count - 1].wish) && !m->asked_last_change)
        m->asked_last_change = asked;
}

static int fake_chat(struct model *model, const struct chat_request *q, struct chat_answer *a, struct err *e)
{
    struct fake *m = (struct fake *)model;
    int asked = atomic_fetch_add(&m->asked, 1) + 1;
    assert_true(q->max_tokens > 0);
    size_t len = strlen(q->messages[q->message_count - 1].text);
    if (len > atomic_load(&m->longest))
        atomic_store(&m->longest, len);
    note_order(m, q->messages[q->message_count - 1].text, asked);
    if (m->gone_after && asked > m->gone_after) {
        if (!m->cancel_at_gone)
            return err_set(e, ERR_UNAVAILABLE, "it is gone");
        atomic_store(m->cancel_at_gone, true);
        return err_set(e, ERR_CANCELLED, "the call was cancelled");
    }
    if (m->knows)
        answer_all(q, &a->text);
    else
        str_add(&a->text, "I do not know.");
    snprintf(a->finish, sizeof a->finish, "stop");
    a->prompt_tokens = m->miscounts ? 1 : tokens_estimate_messages(q->messages, q->message_count);
    a->completion_tokens = 10;
    a->first_token_us = 1000;
    a->total_us = 2000;
    return 0;
}

static const struct backend fake_backend = { .name = "fake", .describe = fake_describe, .chat = fake_chat };

static struct exam_wish wish_for(struct fake *m)
{
    m->base.backend = &fake_backend;
    return (struct exam_wish){ .model = &m->base, .name = "fake", .version = 3, .slots = 2, .most_ms = 60000 };
}

struct steps { size_t count, last; };
static void count_steps(const struct exam_progress *p, void *ctx)
{
    struct steps *s = ctx;
    s->count++;
    assert_true(p->done < p->all);
    assert_true(p->done >= s->last);
    s->last = p->done;
}

static void a_model_that_knows_all_gets_the_best_card(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct fake m = { .knows = true };
    struct exam_card c;
    struct steps steps = { 0 };
    struct err e;
    struct exam_wish w = wish_for(&m);
    w.progress = count_steps;
    w.ctx = &steps;
    check_ok(exam_take(&w, &a, &c, &e), &e);
    assert_string_equal(c.model, "fake");
    assert_int_equal(c.version, 3);
    assert_int_equal(c.context, 4096);
    assert_int_equal(c.files, 100);
    assert_int_equal(c.blocks, 100);
    assert_int_equal(c.schema, 100);
    assert_int_equal(c.steady, 100);
    assert_int_equal(c.usable_context, 4096);
    assert_int_equal(c.needles.count, 15);
    assert_int_equal(c.speeds.count, 2);
    assert_int_equal(((struct exam_speed *)c.speeds.items)[1].calls, 2);
    assert_true(((struct exam_speed *)c.speeds.items)[1].prompt > 0);
    assert_int_equal(c.faults.count, 0);
    assert_true(c.prompt_tokens > 0 && c.completion_tokens > 0);
    assert_int_equal(steps.count, (size_t)atomic_load(&m.asked) - 1); /* the race of two is one step */
    assert_true(exam_allows_blocks(&c));
}

static void a_model_that_knows_nothing_is_told_so_and_not_asked_for_ever(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct fake m = { .knows = false };
    struct exam_card c;
    struct err e;
    struct exam_wish w = wish_for(&m);
    check_ok(exam_take(&w, &a, &c, &e), &e);
    assert_int_equal(c.files + c.blocks + c.schema + c.usable_context, 0);
    assert_int_equal(c.steady, 100);
    assert_int_equal(c.needles.count, 3); /* longer prompts would show no more */
    assert_true(c.faults.count > 10);
    assert_false(exam_allows_blocks(&c));
}

static void a_server_that_counts_wrongly_does_not_make_prompts_endless(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct fake m = { .knows = true, .miscounts = true };
    struct exam_card c;
    struct err e;
    struct exam_wish w = wish_for(&m);
    check_ok(exam_take(&w, &a, &c, &e), &e);
    assert_true(atomic_load(&m.longest) < 4096 * 8);
}

static void a_quick_exam_asks_less(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct fake whole = { .knows = true }, quick = { .knows = true };
    struct exam_card c;
    struct err e;
    struct exam_wish w = wish_for(&whole), q = wish_for(&quick);
    q.quick = true;
    check_ok(exam_take(&w, &a, &c, &e), &e);
    check_ok(exam_take(&q, &a, &c, &e), &e);
    assert_true(atomic_load(&quick.asked) * 3 < atomic_load(&whole.asked) * 2);
    assert_true(c.quick);
}

static void without_time_the_rest_is_left_out_and_said(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct fake m = { .knows = true };
    struct exam_card c;
    struct err e;
    struct exam_wish w = wish_for(&m);
    w.most_ms = -1;
    check_ok(exam_take(&w, &a, &c, &e), &e);
    assert_int_equal(c.files, EXAM_UNKNOWN);
    assert_int_equal(c.usable_context, EXAM_UNKNOWN);
    assert_int_equal(c.faults.count, 1);
    assert_non_null(strstr(c.faults.items[0], "left out for lack of time"));
}

/* So that a slow model, for which time is short, is judged by some of each. */
static void some_of_each_kind_come_before_the_others(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct fake m = { .knows = true };
    struct exam_card c;
    struct err e;
    struct exam_wish w = wish_for(&m);
    check_ok(exam_take(&w, &a, &c, &e), &e);
    assert_true(m.asked_essay > 0);
    assert_true(m.asked_essay < m.asked_last_change);
}

static void a_server_that_goes_away_or_a_person_who_stops_end_it(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    atomic_bool stop = false;
    struct fake gone = { .knows = true, .gone_after = 8 }, stopped = { .knows = true, .gone_after = 8, .cancel_at_gone = &stop };
    struct exam_card c;
    struct err e;
    struct exam_wish w = wish_for(&gone), x = wish_for(&stopped);
    x.cancel = &stop;
    check_err(exam_take(&w, &a, &c, &e), ERR_UNAVAILABLE, &e, "it is gone");
    assert_int_equal(atomic_load(&gone.asked), 9);
    check_err(exam_take(&x, &a, &c, &e), ERR_CANCELLED, &e, "cancelled");
    assert_int_equal(atomic_load(&stopped.asked), 9);
}

/* ---- keeping ---- */

static void a_card_takes_the_place_of_the_one_before(void **state)
{
    (void)state;
    static const struct doc_type *const types[] = { &exam_type };
    ARENA_LOCAL(a);
    struct scratch room;
    struct store *s;
    struct err e;
    struct exam_needle needle = { 100, 50, true };
    struct exam_speed speed = { 1, 12.5, 3 };
    struct exam_card c = { .model = "fake", .version = 2, .files = 50, .blocks = EXAM_UNKNOWN, .usable_context = EXAM_UNKNOWN,
                           .needles = { &needle, 1 }, .speeds = { &speed, 1 } }, read;
    scratch_make(&room);
    check_ok(store_open(&s, scratch_path(&room, "home"), types, 1, &e), &e);
    check_err(exam_load(s, &a, "fake", 2, &read, &e), ERR_NOT_FOUND, &e, "`tandem model exam fake`");
    check_ok(exam_store(s, &c, "Ada", &e), &e);
    c.files = 75;
    check_ok(exam_store(s, &c, "Ada", &e), &e);
    check_ok(exam_load(s, &a, "fake", 2, &read, &e), &e);
    assert_int_equal(read.files, 75);
    assert_int_equal(read.blocks, EXAM_UNKNOWN);
    assert_true(((struct exam_needle *)read.needles.items)[0].found);
    assert_true(((struct exam_speed *)read.speeds.items)[0].prompt == 12.5);
    store_free(s);
    scratch_remove(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_right_when_it_is_the_one_outcome),
        cmocka_unit_test(blocks_have_to_be_blocks_and_to_fit),
        cmocka_unit_test(every_change_can_be_made_in_both_forms),
        cmocka_unit_test(loops_are_seen_and_lists_are_none),
        cmocka_unit_test(a_haystack_has_its_length_and_its_needle_at_the_depth),
        cmocka_unit_test(context_is_usable_up_to_where_two_of_three_facts_are_lost),
        cmocka_unit_test(roles_say_what_they_lack),
        cmocka_unit_test(a_model_that_knows_all_gets_the_best_card),
        cmocka_unit_test(a_model_that_knows_nothing_is_told_so_and_not_asked_for_ever),
        cmocka_unit_test(a_server_that_counts_wrongly_does_not_make_prompts_endless),
        cmocka_unit_test(a_quick_exam_asks_less),
        cmocka_unit_test(without_time_the_rest_is_left_out_and_said),
        cmocka_unit_test(some_of_each_kind_come_before_the_others),
        cmocka_unit_test(a_server_that_goes_away_or_a_person_who_stops_end_it),
        cmocka_unit_test(a_card_takes_the_place_of_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
