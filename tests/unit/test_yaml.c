/* YAML into JSON and described structs: types, lines, limits, hostile texts. */
#include "check.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "base/yaml.h"

static const char *as_json(struct arena *a, const char *text)
{
    struct err e;
    struct yaml *y;
    check_ok(yaml_parse(a, "x.yaml", text, strlen(text), &y, &e), &e);
    STR_LOCAL(out);
    json_write(&out, yaml_json(y, a));
    return arena_strdup(a, out.data);
}

static int parse(struct arena *a, const char *text, size_t len, struct err *e)
{
    struct yaml *y;
    return yaml_parse(a, "x.yaml", text, len, &y, e);
}

static void plain_scalars_are_typed_and_quoted_ones_are_text(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_string_equal(as_json(&a, "[1, -2, +3, 1.5, true, False, null, ~, '']"),
                        "[1,-2,3,1.5,true,false,null,null,\"\"]");
    assert_string_equal(as_json(&a, "[\"1\", 'true', yes, 007, 0x1f, 1e3, .5, 99999999999999999999, 1.2.3]"),
                        "[\"1\",\"true\",\"yes\",\"007\",\"0x1f\",\"1e3\",\".5\",\"99999999999999999999\",\"1.2.3\"]");
    assert_string_equal(as_json(&a, "a: |\n  1\n  2\nb:\nc: >-\n  x\n  y\n"), "{\"a\":\"1\\n2\\n\",\"b\":null,\"c\":\"x y\"}");
    assert_string_equal(as_json(&a, ""), "null");
    assert_string_equal(as_json(&a, "{a: 9223372036854775807, b: -9223372036854775808, c: 1.0e400}"),
                        "{\"a\":9223372036854775807,\"b\":-9223372036854775808,\"c\":\"1.0e400\"}");
}

static void quotes_within_quotes_are_read_whole(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_string_equal(as_json(&a, "- 'x''''y'\n- '''''''x'''''''\n- '\xc3\xa9''\xc3\xa9''''' # c\n- ''\n- '\\n'\n- 'a''b\n\n  c'\n"),
                        "[\"x''y\",\"'''x'''\",\"\xc3\xa9'\xc3\xa9''\",\"\",\"\\\\n\",\"a'b\\nc\"]");
}

static void aliases_repeat_what_they_name(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_string_equal(as_json(&a, "a: &x {k: [1, 2]}\nb: *x\nc: [*x, &y z, *y]\n"),
                        "{\"a\":{\"k\":[1,2]},\"b\":{\"k\":[1,2]},\"c\":[{\"k\":[1,2]},\"z\",\"z\"]}");
}

static void hostile_texts_are_refused(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    static const struct { const char *text, *words; } cases[] = {
        { "a: 1\nb: 2\na: 3\n", "x.yaml:3: \"a\" is here twice (first in line 1)" },
        { "a: &x [*x]\n", "contains itself" },
        { "a: *none\n", "not" },
        { "a: 1\n---\nb: 2\n", "a second begins here" },
        { "? [a]\n: b\n", "a key must be text" },
        { "a: !!python/object x\n", "tags" },
        { "a: !x {}\n", "tags" },
        { "a: [1, 2\n", "x.yaml:" },
        { "a:\n\t- b\n", "x.yaml:2: not YAML" },
        { "a: \"\\0\"\n", "NUL" },
        { "a: 'x\n", "x.yaml:" },
        { "x: y: z\n", "x.yaml:1" },
        { "x: 'a''''b\n  c'\n", "two quotes in a row" },
        { "\xff\xfe", "x.yaml:1: a byte that is not UTF-8" },
        { "a: b\nc: \xc3(\n", "x.yaml:2: a byte that is not UTF-8" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_err(parse(&a, cases[i].text, strlen(cases[i].text), &e), ERR_INVALID, &e, cases[i].words);
    check_err(parse(&a, "a: b\nc\0: d\n", 11, &e), ERR_INVALID, &e, "x.yaml:2: a NUL byte");
}

static void a_billion_laughs_are_refused(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    STR_LOCAL(text);
    str_add(&text, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for (int i = 1; i < 10; i++) {
        str_addf(&text, "a%d: &a%d [", i, i);
        for (int n = 0; n < 10; n++)
            str_addf(&text, "%s*a%d", n ? ", " : "", i - 1);
        str_add(&text, "]\n");
    }
    check_err(parse(&a, text.data, text.len, &e), ERR_INVALID, &e, "more than 20000 values");
}

static void depth_size_and_number_are_bounded(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    STR_LOCAL(text);
    for (int i = 0; i < 100000; i++)
        str_add_char(&text, '[');
    check_err(parse(&a, text.data, text.len, &e), ERR_INVALID, &e, "x.yaml:1: ");

    str_clear(&text);
    str_add(&text, "a0: &a0 [x]\n");
    for (int i = 1; i < 40; i++) /* each level is one deeper, by an alias */
        str_addf(&text, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    check_err(parse(&a, text.data, text.len, &e), ERR_INVALID, &e, "more than 32 levels");

    str_clear(&text);
    for (int i = 0; i < 2100; i++)
        str_addf(&text, "k%d: v\n", i);
    check_err(parse(&a, text.data, text.len, &e), ERR_INVALID, &e, "more than 2000 keys");

    str_clear(&text);
    for (int i = 0; i < 30000; i++)
        str_add(&text, "- x\n");
    check_err(parse(&a, text.data, text.len, &e), ERR_INVALID, &e, "more than 20000 values");

    str_clear(&text);
    while (text.len <= 1 << 20)
        str_add(&text, "# filler filler filler filler filler filler filler filler\n");
    check_err(parse(&a, text.data, text.len, &e), ERR_INVALID, &e, "larger than 1024 KiB");
}

struct format { const char *path; int format; };
static const char *const formats[] = { "tap", "junit", NULL };
static const struct field format_fields[] = {
    FIELD(struct format, path, FIELD_TEXT, .required = true),
    FIELD(struct format, format, FIELD_ENUM, .choices = formats),
};
static const struct record format_record = RECORD("results", struct format, format_fields);

struct tool { const char *name, *version; struct texts args; int64_t limit; bool needed; struct format results; struct records more; };
static const struct field tool_fields[] = {
    FIELD(struct tool, name, FIELD_TEXT, .required = true),
    FIELD(struct tool, version, FIELD_TEXT),
    FIELD(struct tool, args, FIELD_TEXTS),
    FIELD(struct tool, limit, FIELD_INT, .min = 1, .max = 9),
    FIELD(struct tool, needed, FIELD_BOOL),
    FIELD(struct tool, results, FIELD_RECORD, .of = &format_record, .required = true),
    FIELD(struct tool, more, FIELD_RECORDS, .of = &format_record),
};
static const struct record tool_record = RECORD("tool", struct tool, tool_fields);

static int read_tool(struct arena *a, const char *text, struct tool *ret, struct err *e)
{
    return yaml_read_record("stacks/x.yaml", text, strlen(text), &tool_record, a, ret, e);
}

static void text_fields_take_numbers_and_truth_values_as_written(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct tool t;
    check_ok(read_tool(&a, "name: true\nversion: 3.10\nargs: [1, 0.50, false, x]\nlimit: 3\nneeded: true\n"
                           "results: {path: 007, format: junit}\n", &t, &e), &e);
    assert_string_equal(t.name, "true");
    assert_string_equal(t.version, "3.10");
    assert_string_equal(t.args.items[1], "0.50");
    assert_string_equal(t.args.items[2], "false");
    assert_int_equal(t.limit, 3);
    assert_true(t.needed);
    assert_int_equal(t.results.format, 1);
}

static void errors_name_file_line_member_and_allowed_values(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct tool t = { .name = "untouched" };
    static const struct { const char *text, *words; } cases[] = {
        { "name: x\n\nresults:\n  path: y\n  format: xunit\n",
          "stacks/x.yaml:5: results.format is \"xunit\"; allowed: tap, junit" },
        { "name: x\nresults:\n  path: y\nmore:\n- path: a\n- path: b\n  format: yes\n",
          "stacks/x.yaml:7: more[1].format is \"yes\"; allowed: tap, junit" },
        { "name: x\nresults:\n  path: y\nmore:\n- path: a\n\n- format: tap\n", "stacks/x.yaml:7: more[1].path is missing" },
        { "name: x\nlimit: 10\nresults: {path: y}\n", "stacks/x.yaml:2: limit is 10; allowed is 1 to 9" },
        { "name: x\nresults: {path: y}\nresult: z\n", "stacks/x.yaml:3: result is not known here; allowed in tool: name" },
        { "name: x\nneeded: yes\nresults: {path: y}\n", "stacks/x.yaml:2: needed must be true or false, not text" },
        { "name: x\nargs: y\nresults: {path: y}\n", "stacks/x.yaml:2: args must be a list, not text" },
        { "name: x\n", "stacks/x.yaml:1: results is missing" },
        { "- x\n", "must be an object, not a list" },
        { "", "stacks/x.yaml:1: the file is empty; it must describe a tool" },
        { "name:\nresults: {path: y}\n", "name is missing" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_err(read_tool(&a, cases[i].text, &t, &e), ERR_INVALID, &e, cases[i].words);
    assert_string_equal(t.name, "untouched");
}

static void lines_are_found_by_path(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct yaml *y;
    const char *text = "# comment\na:\n  b.c:\n  - x\n  -\n    d: 1\n";
    check_ok(yaml_parse(&a, "x.yaml", text, strlen(text), &y, &e), &e);
    assert_int_equal(yaml_line(y, "a"), 2);
    assert_int_equal(yaml_line(y, "a.b.c"), 3);
    assert_int_equal(yaml_line(y, "a.b.c[0]"), 4);
    assert_int_equal(yaml_line(y, "a.b.c[1].d"), 6);
    assert_int_equal(yaml_line(y, "a.b.c[7].d"), 3);
    assert_int_equal(yaml_line(y, "a.b.c[99999999999999999999].d"), 3);
    assert_int_equal(yaml_line(y, "none"), 2);
    check_err(yaml_fault(y, "a.b.c[1].d", &e, "is %d", 1), ERR_INVALID, &e, "x.yaml:6: a.b.c[1].d is 1");
}

static void a_file_inherits_the_members_it_lacks(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct yaml *y, *base;
    const char *text = "b: 1\n", *base_text = "a: x\nb: [2]\nc: {d: e}\n";
    check_ok(yaml_parse(&a, "x.yaml", text, strlen(text), &y, &e), &e);
    check_ok(yaml_parse(&a, "base.yaml", base_text, strlen(base_text), &base, &e), &e);
    yaml_inherit(y, base, &a);
    STR_LOCAL(out);
    json_write(&out, yaml_json(y, &a));
    assert_string_equal(out.data, "{\"a\":\"x\",\"b\":1,\"c\":{\"d\":\"e\"}}");
}

static const char *written(struct arena *a, const char *json)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    STR_LOCAL(out);
    yaml_write(&out, value);
    json_decref(value);
    return arena_strdup(a, out.data);
}

static void what_is_written_reads_like_a_file_by_hand(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_string_equal(written(&a, "{\"stack\":\"3.10\",\"tickets\":[{\"id\":\"T-1\",\"after\":[\"T-2\",\"T-3\"],"
                                    "\"criteria\":[{\"clause\":1}],\"text\":\"one\\n\\n  two\"},{\"a b\":null}],\"none\":[]}"),
                        "stack: \"3.10\"\n"
                        "tickets:\n"
                        "  - id: \"T-1\"\n"
                        "    after: [\"T-2\",\"T-3\"]\n"
                        "    criteria:\n"
                        "      - clause: 1\n"
                        "    text: |-\n"
                        "      one\n"
                        "\n"
                        "        two\n"
                        "  - \"a b\": null\n"
                        "none: []\n");
}

static void what_is_written_is_read_as_it_was(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    static const char *const values[] = {
        "{\"a\":\"true\",\"b\":\"007\",\"c\":\"\",\"d\":\"# no: comment\",\"true\":1,\"e\":\"- x\\n: y\"}",
        "{\"a\":\" begins with a space\\nx\",\"b\":\"ends\\n\",\"c\":\"tab\\there\\nx\",\"d\":\"\\n\",\"e\":\"x\\ny  \\n\\nz\"}",
        "{\"a\":{\"b\":{\"c\":[{\"d\":[1,2.5,true,null]},{}]}},\"b\":[[1],[2,[3]]],\"c\":\"\\u00e9\\u65e5\"}",
        "[{\"a\":1},\"b\"]", "\"x\"", "[]",
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        json_t *value = json_loads(values[i], JSON_DECODE_ANY, NULL);
        STR_LOCAL(json);
        json_write(&json, value);
        json_decref(value);
        assert_string_equal(as_json(&a, written(&a, values[i])), json.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_scalars_are_typed_and_quoted_ones_are_text),
        cmocka_unit_test(quotes_within_quotes_are_read_whole),
        cmocka_unit_test(aliases_repeat_what_they_name),
        cmocka_unit_test(hostile_texts_are_refused),
        cmocka_unit_test(a_billion_laughs_are_refused),
        cmocka_unit_test(depth_size_and_number_are_bounded),
        cmocka_unit_test(text_fields_take_numbers_and_truth_values_as_written),
        cmocka_unit_test(errors_name_file_line_member_and_allowed_values),
        cmocka_unit_test(lines_are_found_by_path),
        cmocka_unit_test(a_file_inherits_the_members_it_lacks),
        cmocka_unit_test(what_is_written_reads_like_a_file_by_hand),
        cmocka_unit_test(what_is_written_is_read_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
