/* Described records: reading, limits, errors, writing, schema. */
#include "check.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/record.h"
#include "base/str.h"

struct step { const char *text; int64_t attempts; };
static const struct field step_fields[] = {
    FIELD(struct step, text, FIELD_TEXT, .required = true, .max = 10, .doc = "one sentence"),
    FIELD(struct step, attempts, FIELD_INT, .min = 1, .max = 9),
};
static const struct record step_record = RECORD("step", struct step, step_fields);

struct plan { const char *title; int state; bool urgent; struct texts after; struct records steps; };
static const char *const states[] = { "open", "done", NULL };
static const struct field plan_fields[] = {
    FIELD(struct plan, title, FIELD_TEXT, .one_line = true, .required = true),
    FIELD(struct plan, state, FIELD_ENUM, .choices = states),
    FIELD(struct plan, urgent, FIELD_BOOL),
    FIELD(struct plan, after, FIELD_TEXTS, .max = 3),
    FIELD(struct plan, steps, FIELD_RECORDS, .of = &step_record, .min = 1, .max = 2, .required = true),
};
static const struct record plan_record = RECORD("plan", struct plan, plan_fields);

static int read_plan(struct arena *a, const char *text, struct plan *ret, struct err *e)
{
    json_t *v;
    int r = json_parse(a, text, strlen(text), &v, e);
    return r < 0 ? r : record_read(&plan_record, a, v, ret, e);
}

static void what_is_written_reads_back_the_same(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct plan p;
    const char *text = "{\"after\":[\"T-1\",\"T-2\"],\"state\":\"done\",\"steps\":[{\"attempts\":2,"
                       "\"text\":\"go\"}],\"title\":\"x\",\"urgent\":true}";
    check_ok(read_plan(&a, text, &p, &e), &e);
    assert_int_equal(p.state, 1);
    assert_string_equal(p.after.items[1], "T-2");
    assert_int_equal(((struct step *)p.steps.items)[0].attempts, 2);
    STR_LOCAL(out);
    json_write(&out, json_keep(&a, record_write(&plan_record, &p)));
    assert_string_equal(out.data, text);
}

static void a_text_that_json_cannot_hold_is_found_wherever_it_is(void **state)
{
    (void)state;
    struct err e;
    struct step steps[] = { { "go", 1 }, { "on", 1 } };
    const char *after[] = { "T-1", "T-2" };
    struct plan p = { .title = NULL, .after = { after, 2 }, .steps = { steps, 2 } };
    check_ok(record_check_utf8(&plan_record, &p, &e), &e);
    p.title = "r\xe9sum\xe9";
    check_err(record_check_utf8(&plan_record, &p, &e), ERR_INVALID, &e, "title is not UTF-8 in line 1 (byte 2 of the text)");
    p.title = "r\u00e9sum\u00e9";
    after[1] = "\xff";
    check_err(record_check_utf8(&plan_record, &p, &e), ERR_INVALID, &e, "after is not UTF-8 in line 1");
    after[1] = "";
    steps[1].text = "on\n\xc3";
    check_err(record_check_utf8(&plan_record, &p, &e), ERR_INVALID, &e, "steps[1]: text is not UTF-8 in line 2 (byte 4 of the text)");
}

static void one_line_keeps_the_ends_of_lines_as_words(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct plan p;
    check_ok(read_plan(&a, "{\"title\":\" prints 'a\\r\\nb\\tc\\n'\\n\",\"steps\":[{\"text\":\"y\\nz\"}]}", &p, &e), &e);
    assert_string_equal(p.title, "prints 'a\\nb\\tc\\n'");
    assert_string_equal(((struct step *)p.steps.items)[0].text, "y\nz");
    check_err(read_plan(&a, "{\"title\":\" \\n\",\"steps\":[]}", &p, &e), ERR_INVALID, &e, "title is empty");
}

static void defaults_are_set_for_what_is_absent(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct plan p;
    check_ok(read_plan(&a, "{\"title\":\"x\",\"steps\":[{\"text\":\"y\"}]}", &p, &e), &e);
    assert_int_equal(((struct step *)p.steps.items)[0].attempts, 1);
    assert_int_equal(p.after.count, 0);
    assert_int_equal(p.state, 0);
}

static void what_is_quiet_is_not_written_while_nobody_says_it(void **state)
{
    (void)state;
    struct wish { int state; int64_t minutes, limit; };
    static const struct field fields[] = {
        FIELD(struct wish, state, FIELD_ENUM, .choices = states, .absent = 1, .quiet = true),
        FIELD(struct wish, minutes, FIELD_INT, .max = 9, .quiet = true),
        FIELD(struct wish, limit, FIELD_INT, .min = -1, .max = 9, .absent = -1, .quiet = true),
    };
    static const struct record record = RECORD("wish", struct wish, fields);
    static const struct { const char *text; int state; int64_t minutes, limit; } cases[] = {
        { "{}", 1, 0, -1 }, { "{\"limit\":0,\"minutes\":3,\"state\":\"open\"}", 0, 3, 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ARENA_LOCAL(a);
        struct err e;
        json_t *v;
        struct wish w;
        check_ok(json_parse(&a, cases[i].text, strlen(cases[i].text), &v, &e), &e);
        check_ok(record_read(&record, &a, v, &w, &e), &e);
        assert_true(w.state == cases[i].state && w.minutes == cases[i].minutes && w.limit == cases[i].limit);
        STR_LOCAL(out);
        json_write(&out, json_keep(&a, record_write(&record, &w)));
        assert_string_equal(out.data, cases[i].text);
    }
}

static void errors_name_the_member_and_what_is_allowed(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct plan p = { .title = "untouched" };
    check_err(read_plan(&a, "{\"title\":\"x\",\"steps\":[{\"text\":\"y\"},{\"text\":\"much too long\"}]}", &p, &e),
              ERR_INVALID, &e, "steps[1].text is 13 bytes long; at most 10");
    check_err(read_plan(&a, "{\"title\":\"x\",\"steps\":[]}", &p, &e), ERR_INVALID, &e, "at least 1");
    check_err(read_plan(&a, "{\"title\":\"x\",\"state\":\"odd\",\"steps\":[{\"text\":\"y\"}]}", &p, &e),
              ERR_INVALID, &e, "state is \"odd\"; allowed: open, done");
    check_err(read_plan(&a, "{\"title\":\"x\",\"stps\":[]}", &p, &e), ERR_INVALID, &e,
              "allowed in plan: title, state, urgent, after, steps");
    check_err(read_plan(&a, "{\"steps\":[{\"text\":\"y\"}]}", &p, &e), ERR_INVALID, &e, "title is missing");
    check_err(read_plan(&a, "{\"title\":7,\"steps\":[]}", &p, &e), ERR_INVALID, &e, "title must be text");
    check_err(read_plan(&a, "{\"title\":\"x\",\"steps\":[{\"text\":\"y\",\"attempts\":10}]}", &p, &e),
              ERR_INVALID, &e, "steps[0].attempts is 10; allowed is 1 to 9");
    check_err(read_plan(&a, "{\"title\":\"\",\"steps\":[{\"text\":\"y\"}]}", &p, &e), ERR_INVALID, &e, "title is empty");
    assert_string_equal(p.title, "untouched");
}

static void schema_lists_what_is_required_and_nothing_more(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    STR_LOCAL(out);
    json_write(&out, json_keep(&a, record_schema(&step_record)));
    assert_string_equal(out.data,
        "{\"additionalProperties\":false,\"properties\":{\"attempts\":{\"maximum\":9,\"minimum\":1,"
        "\"type\":\"integer\"},\"text\":{\"description\":\"one sentence\",\"maxLength\":10,\"minLength\":1,"
        "\"type\":\"string\"}},\"required\":[\"text\"],\"type\":\"object\"}");
}

static void the_shape_says_the_same_in_few_words(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_string_equal(record_shape(&plan_record, &a),
        "{\"title\": text, \"state\"?: \"open\"|\"done\", \"urgent\"?: true or false, \"after\"?: [text], "
        "\"steps\": [{\"text\": text, \"attempts\"?: whole number}]}");
}

static void texts_that_were_read_can_grow(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct plan p;
    check_ok(read_plan(&a, "{\"title\":\"x\",\"after\":[\"1\",\"2\",\"3\"],\"steps\":[{\"text\":\"y\"}]}", &p, &e), &e);
    const char *behind = arena_strdup(&a, "behind");
    for (int i = 0; i < 5; i++)
        texts_add(&p.after, &a, "more");
    assert_string_equal(behind, "behind");
    assert_int_equal(p.after.count, 8);
    assert_string_equal(p.after.items[2], "3");
}

static void texts_grow_without_moving_what_was_read(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct texts t = { 0 };
    for (int i = 0; i < 100; i++)
        texts_add(&t, &a, arena_printf(&a, "%d", i));
    assert_int_equal(t.count, 100);
    assert_true(texts_has(&t, "99"));
    assert_false(texts_has(&t, "100"));
}

static void texts_are_sorted_and_joined_as_far_as_wanted(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct texts t = { 0 };
    texts_sort(&t);
    assert_string_equal(texts_join(&t, &a, ", ", 2), "");
    texts_add(&t, &a, "c");
    texts_add(&t, &a, "a");
    texts_add(&t, &a, "b");
    texts_sort(&t);
    assert_string_equal(texts_join(&t, &a, "\n", 0), "a\nb\nc");
    assert_string_equal(texts_join(&t, &a, ", ", 3), "a, b, c");
    assert_string_equal(texts_join(&t, &a, ", ", 2), "a, b and 1 more");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_sorted_and_joined_as_far_as_wanted),
        cmocka_unit_test(what_is_written_reads_back_the_same),
        cmocka_unit_test(a_text_that_json_cannot_hold_is_found_wherever_it_is),
        cmocka_unit_test(one_line_keeps_the_ends_of_lines_as_words),
        cmocka_unit_test(defaults_are_set_for_what_is_absent),
        cmocka_unit_test(what_is_quiet_is_not_written_while_nobody_says_it),
        cmocka_unit_test(errors_name_the_member_and_what_is_allowed),
        cmocka_unit_test(schema_lists_what_is_required_and_nothing_more),
        cmocka_unit_test(the_shape_says_the_same_in_few_words),
        cmocka_unit_test(texts_that_were_read_can_grow),
        cmocka_unit_test(texts_grow_without_moving_what_was_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
