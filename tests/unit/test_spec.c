/* Specifications: clauses, numbers, what is refused. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "team/spec.h"
#include "team/words.h"

static const char sample[] =
    "# Units\n\nConverts units.\nFor everyone.\n\n## Lengths\n\n- Metres to feet\n  with two digits\n"
    "- Feet to metres:\n\n  ```\n  - not a clause\n  ```\n\n1. First\n2. Second\n\n## Empty section\n";

static void items_and_paragraphs_are_clauses(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct clauses c;
    check_ok(spec_clauses(&a, sample, &c, &e), &e);
    assert_int_equal(c.count, 5);
    assert_string_equal(c.items[0].text, "Converts units.\nFor everyone.");
    assert_string_equal(c.items[0].section, "Units");
    assert_string_equal(c.items[1].text, "Metres to feet\n  with two digits");
    assert_string_equal(c.items[1].section, "Lengths");
    assert_non_null(strstr(c.items[2].text, "- not a clause"));
    assert_string_equal(c.items[4].text, "Second");
}

static void numbers_stand_before_each_clause(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    const char *text = spec_numbered(&a, sample);
    assert_non_null(strstr(text, "\n[1] Converts units.\nFor everyone."));
    assert_non_null(strstr(text, "\n- [2] Metres to feet\n  with two digits\n- [3] Feet"));
    assert_non_null(strstr(text, "\n- [4] First\n- [5] Second")); /* and no "2." beside it */
    assert_non_null(strstr(text, "## Lengths"));
    assert_null(strstr(text, "[6]"));
}

static void an_edit_does_not_renumber_what_stands_before_it(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct clauses before, after;
    check_ok(spec_clauses(&a, "- a\n- b\n- c\n", &before, &e), &e);
    check_ok(spec_clauses(&a, "- a\n- b\n- new\n- c\n", &after, &e), &e);
    assert_string_equal(before.items[1].text, after.items[1].text);
    assert_int_equal(after.count, 4);
}

static const char *read_text(struct arena *a, const char *text)
{
    struct err e;
    const char *ret;
    check_ok(spec_read(a, text, strlen(text), &ret, &e), &e);
    return ret;
}

/* The sample with another end of line, and a byte order mark before it. */
static const char *sample_with(struct arena *a, const char *newline)
{
    STR_LOCAL(text);
    str_add(&text, "\xEF\xBB\xBF");
    for (const char *p = sample; *p; p++)
        *p == '\n' ? str_add(&text, newline) : str_add_char(&text, *p);
    return arena_strndup(a, text.data, text.len);
}

static void a_spec_from_any_editor_is_the_same_text(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_string_equal(read_text(&a, sample), sample);
    assert_string_equal(read_text(&a, sample_with(&a, "\r\n")), sample);
    assert_string_equal(read_text(&a, sample_with(&a, "\r")), sample);
    assert_string_equal(read_text(&a, "- a\r\n\r\n\r- b\n\r\n"), "- a\n\n\n- b\n\n");
}

static const char *not_read(const char *bytes, size_t len, int code, struct err *e)
{
    ARENA_LOCAL(a);
    const char *ret = "untouched";
    assert_int_equal(spec_read(&a, bytes, len, &ret, e), code);
    assert_string_equal(ret, "untouched");
    return e->text;
}

static void what_is_no_specification_is_refused_with_its_reason(void **state)
{
    (void)state;
    struct err e;
    assert_non_null(strstr(not_read("", 0, ERR_INVALID, &e), "is empty"));
    assert_non_null(strstr(not_read("\xEF\xBB\xBF\r\n", 5, ERR_INVALID, &e), "is empty"));
    assert_non_null(strstr(not_read("# Only a title\n\n", 16, ERR_INVALID, &e), "is empty"));
    assert_non_null(strstr(not_read("ok\nb\xFF\xFE\n", 7, ERR_INVALID, &e), "not UTF-8 in line 2"));
    assert_non_null(strstr(not_read("a\rok\r\nb\xFF\xFE\n", 10, ERR_INVALID, &e), "not UTF-8 in line 3"));
    assert_non_null(strstr(not_read("a\0b", 3, ERR_INVALID, &e), "NUL"));
    assert_non_null(strstr(not_read("\xFF\xFE" "a\0", 4, ERR_INVALID, &e), "is UTF-16: save it as UTF-8"));
    static char huge[SPEC_MAX_BYTES + 2];
    memset(huge, 'a', sizeof huge - 1);
    assert_non_null(strstr(not_read(huge, sizeof huge - 1, ERR_LIMIT, &e), "split it"));
    STR_LOCAL(text);
    for (int i = 0; i < SPEC_MAX_CLAUSES; i++)
        str_add(&text, "- x\n");
    ARENA_LOCAL(a);
    struct clauses clauses;
    check_ok(spec_clauses(&a, text.data, &clauses, &e), &e);
    assert_int_equal(clauses.count, SPEC_MAX_CLAUSES);
    str_add(&text, "- x\n");
    assert_non_null(strstr(not_read(text.data, text.len, ERR_LIMIT, &e), "clauses"));
}

static void titles_and_names_are_short_and_never_empty(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_string_equal(spec_title(&a, "\n# Unit  converter\n\ntext"), "Unit  converter");
    assert_string_equal(spec_title(&a, "It adds.\nMore"), "It adds.");
    assert_string_equal(spec_title(&a, "\n\n"), "project");
    assert_string_equal(idea_name(&a, "A command line tool that converts units, please"), "converts units");
    assert_string_equal(idea_name(&a, "do it"), "project");
}

/* The telling words of a text, between bars. */
static const char *telling(struct arena *a, const char *text)
{
    STR_LOCAL(all);
    for (const char *word; (word = next_telling_word(a, &text));)
        str_addf(&all, "%s|", word);
    return arena_strndup(a, all.data, all.len);
}

static void telling_words_are_found_in_any_script(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    assert_string_equal(telling(&a, "It converts “units” – für Größen, по русски"), "converts|units|Größen|русски|");
    assert_string_equal(telling(&a, "转换单位的工具，支持长度和温度。"), "转换单位的工具|支持长度和温度|");
    assert_string_equal(telling(&a, "単位を変換するCLIツール"), "単位を変換する|ツール|");
    assert_string_equal(telling(&a, "단위를 변환하는 도구"), "단위를|변환하는|도구|");
    assert_string_equal(telling(&a, "แปลงหน่วย ความยาว"), "แปลงหน่วย|ความยาว|");
    assert_string_equal(telling(&a, "a b 的 \xff\xfe"), "");
}

static void a_stretch_without_blanks_is_mentioned_by_a_piece_of_it(void **state)
{
    (void)state;
    assert_true(mentions_word("# 单位\n- 长度的转换\n", "转换单位的工具"));
    assert_false(mentions_word("# 菜谱\n- 保存菜谱\n", "转换单位的工具"));
    assert_true(mentions_word("หน่วย", "แปลงหน่วย"));
    assert_false(mentions_word("สูตรอาหาร", "แปลงหน่วย"));
    assert_true(mentions_word("It CONVERTS a unit", "units"));
    assert_false(mentions_word("It adds", "units"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_and_paragraphs_are_clauses),
        cmocka_unit_test(numbers_stand_before_each_clause),
        cmocka_unit_test(an_edit_does_not_renumber_what_stands_before_it),
        cmocka_unit_test(what_is_no_specification_is_refused_with_its_reason),
        cmocka_unit_test(a_spec_from_any_editor_is_the_same_text),
        cmocka_unit_test(telling_words_are_found_in_any_script),
        cmocka_unit_test(a_stretch_without_blanks_is_mentioned_by_a_piece_of_it),
        cmocka_unit_test(titles_and_names_are_short_and_never_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
