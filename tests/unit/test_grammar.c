/* Grammars of records: what they allow is read as the record, and holds no white space. */
#include "check.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/record.h"
#include "base/str.h"
#include "model/grammar.h"

/* tests/tools/upstream_grammar.c */
bool write_by_grammar(struct str *out, const char *grammar);

struct part {
    const char *name;
    int64_t size;
};
static const struct field part_fields[] = {
    FIELD(struct part, name, FIELD_TEXT, .max = 10),
    FIELD(struct part, size, FIELD_INT, .required = true, .min = -3, .max = 3),
};
static const struct record part_record = RECORD("part", struct part, part_fields);

struct whole {
    const char *first, *last;
    int64_t wide, any;
    double real;
    bool good;
    int kind;
    struct texts words;
    struct part part;
    struct records parts;
    json_t *rest;
};
static const char *const kinds[] = { "say \"hi\"", "back\\slash", NULL };
static const struct field whole_fields[] = {
    FIELD(struct whole, first, FIELD_TEXT),
    FIELD(struct whole, wide, FIELD_INT, .required = true, .max = 1000000),
    FIELD(struct whole, any, FIELD_INT, .required = true),
    FIELD(struct whole, real, FIELD_REAL, .required = true),
    FIELD(struct whole, good, FIELD_BOOL),
    FIELD(struct whole, kind, FIELD_ENUM, .required = true, .choices = kinds),
    FIELD(struct whole, words, FIELD_TEXTS, .required = true, .min = 2, .max = 4),
    FIELD(struct whole, part, FIELD_RECORD, .required = true, .of = &part_record),
    FIELD(struct whole, parts, FIELD_RECORDS, .required = true, .min = 1, .max = 1, .of = &part_record),
    FIELD(struct whole, rest, FIELD_JSON, .required = true),
    FIELD(struct whole, last, FIELD_TEXT, .required = true, .max = 10000),
};
static const struct record whole_record = RECORD("whole", struct whole, whole_fields);

static const struct field some_fields[] = {
    FIELD(struct part, name, FIELD_TEXT),
    FIELD(struct part, size, FIELD_INT),
};
static const struct record some_record = RECORD("some", struct part, some_fields);

static void what_a_grammar_allows_is_the_record(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    STR_LOCAL(grammar);
    STR_LOCAL(text);
    struct whole whole;
    struct err e;
    json_t *value;
    grammar_write(&grammar, &whole_record);
    assert_true(write_by_grammar(&text, grammar.data));
    check_ok(json_parse(&a, text.data, text.len, &value, &e), &e);
    check_ok(record_read(&whole_record, &a, value, &whole, &e), &e);
    assert_int_equal(whole.words.count, 2);
    assert_int_equal(whole.parts.count, 1);
    assert_int_equal(whole.part.size, -3);
    assert_null(strpbrk(text.data, "\t\r\n"));
    assert_null(strstr(text.data, ": "));
}

static void members_that_may_be_left_out_take_their_commas_along(void **state)
{
    (void)state;
    STR_LOCAL(grammar);
    grammar_write(&grammar, &some_record);
    assert_non_null(strstr(grammar.data, "root ::= r2\n"));
    assert_non_null(strstr(grammar.data, "r2 ::= \"{\" (r0 (\",\" r1)? | r1)? \"}\"\n"));
    str_clear(&grammar);
    grammar_write(&grammar, &part_record);
    assert_non_null(strstr(grammar.data, "r2 ::= \"{\" (r0 \",\" r1 | r1) \"}\"\n"));
    assert_non_null(strstr(grammar.data, "r1 ::= \"\\\"size\\\":\" (\"-3\" | \"-2\" | \"-1\" | \"0\" | \"1\" | \"2\" | \"3\")\n"));
    assert_non_null(strstr(grammar.data, "r0 ::= \"\\\"name\\\":\" \"\\\"\" char{0,10} \"\\\"\"\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_grammar_allows_is_the_record),
        cmocka_unit_test(members_that_may_be_left_out_take_their_commas_along),
    };
    return cmocka_run_group_tests_name("grammar", tests, NULL, NULL);
}
