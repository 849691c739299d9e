/* Search/replace blocks: reading them, and finding where they belong. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "base/utf8.h"
#include "model/edits.h"

#include <stdlib.h>

#define EDIT(search, replace) "<<<<<<< SEARCH\n" search "=======\n" replace ">>>>>>> REPLACE\n"

struct editing {
    struct arena arena;
    struct edits edits;
    struct edited made;
    struct err err;
    int code;
};

static struct editing edit_bytes(const char *file, size_t file_len, const char *text, size_t len)
{
    struct editing ed = { .arena = ARENA_INIT };
    check_ok(edits_read(&ed.arena, text, len, &ed.edits, &ed.err), &ed.err);
    ed.code = edits_apply(&ed.arena, file, file_len, &ed.edits, &ed.made, &ed.err);
    return ed;
}

static struct editing edit_text(const char *file, const char *text)
{
    return edit_bytes(file, file ? strlen(file) : 0, text, strlen(text));
}

/* `file` with the edits is `wanted`; so many did not fit exactly. */
static void gives(const char *file, const char *text, const char *wanted, size_t inexact)
{
    struct editing ed = edit_text(file, text);
    if (ed.code < 0)
        fail_msg("%s\n%s----\n%s", ed.err.text, ed.made.region, text);
    assert_int_equal(ed.made.len, strlen(ed.made.bytes));
    assert_string_equal(ed.made.bytes, wanted);
    assert_int_equal(ed.made.inexact, inexact);
    assert_string_equal(ed.made.region, "");
    arena_release(&ed.arena);
}

static void refuses(const char *file, const char *text, const char *words)
{
    struct editing ed = edit_text(file, text);
    check_err(ed.code, ERR_INVALID, &ed.err, words);
    arena_release(&ed.arena);
}

/* The region that is shown when the edit is not found. */
static void shows(const char *file, const char *text, const char *wanted)
{
    struct editing ed = edit_text(file, text);
    check_err(ed.code, ERR_INVALID, &ed.err, "not in the file");
    assert_string_equal(ed.made.region, wanted);
    arena_release(&ed.arena);
}

static struct str repeated(const char *unit, size_t times, const char *end)
{
    struct str out = STR_INIT;
    for (size_t i = 0; i < times; i++)
        str_add(&out, unit);
    str_add(&out, end);
    return out;
}

/* ---- reading ---- */

static void reads(const char *text, size_t nth, const char *search, const char *replace)
{
    ARENA_LOCAL(a);
    struct edits edits = { 0 };
    struct err e = { 0 };
    check_ok(edits_read(&a, text, strlen(text), &edits, &e), &e);
    assert_true(nth < edits.count);
    assert_string_equal(edits.items[nth].search, search);
    assert_string_equal(edits.items[nth].replace, replace);
    assert_int_equal(edits.items[nth].search_len, strlen(search));
    assert_int_equal(edits.items[nth].replace_len, strlen(replace));
}

static void reads_not(const char *text, const char *words)
{
    ARENA_LOCAL(a);
    struct edits edits = { 0 };
    struct err e = { 0 };
    check_err(edits_read(&a, text, strlen(text), &edits, &e), ERR_INVALID, &e, words);
}

static void the_contract_as_we_write_it_is_read(void **state)
{
    (void)state;
    const char *text = EDIT("old\n", "new\nlines\n") "\n" EDIT("", "added\n") EDIT("gone\n", "");
    reads(text, 0, "old\n", "new\nlines\n");
    reads(text, 1, "", "added\n");
    reads(text, 2, "gone\n", "");
}

static void markers_are_read_generously(void **state)
{
    (void)state;
    reads("<<<<< SEARCH\na\n=====\nb\n>>>>> REPLACE", 0, "a\n", "b\n");
    reads("<<<<<<<<< search  \na\n=========\t\nb\n>>>>>>>>> Replace \n", 0, "a\n", "b\n");
    reads("<<<<<<<SEARCH\r\na\r\n=======\r\nb\r\n>>>>>>>\r\n", 0, "a\n", "b\n");
    reads("<<<<<<< SEARCH\na\n=====\nb\n>>>>>>>> REPLACE\n", 0, "a\n", "b\n"); /* three numbers of signs */
}

static void what_looks_like_a_marker_is_content_where_that_is_clear(void **state)
{
    (void)state;
    /* A heading that is underlined with another number of signs. */
    reads(EDIT("Title\n=====\n", "Other title\n===========\n"), 0, "Title\n=====\n", "Other title\n===========\n");
    /* A conflict of git. */
    reads("<<<<<<<<< SEARCH\n<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n=========\nb\n>>>>>>>>> REPLACE\n", 0,
          "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n", "b\n");
    /* This very format. */
    reads("<<<<<<<<< SEARCH\n" EDIT("a\n", "b\n") "=========\n>>>>>>>>> REPLACE\n", 0, EDIT("a\n", "b\n"), "");
    reads(EDIT("    =======\n", "<<<<<<< HEAD\n"), 0, "    =======\n", "<<<<<<< HEAD\n");
}

static void what_is_unclear_is_said(void **state)
{
    (void)state;
    reads_not(EDIT("Summary\n=======\n", "Overview\n========\n"), "edit 1 has 2 lines that could be the one between");
    reads_not("<<<<<<< SEARCH\na\nb\n>>>>>>> REPLACE\n", "edit 1 has no line \"=======\"");
    reads_not("<<<<<<< SEARCH\na\n=======\nb\n", "edit 1 has no line \">>>>>>> REPLACE\"");
    reads_not(EDIT("a\n", "b\n") "<<<<<<< SEARCH\na\n=======\nb\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n",
              "edit 2 has no line \">>>>>>> REPLACE\"");
    /* The next section's end is not this one's. */
    reads_not("<<<<<<< SEARCH\na\n=======\nb\n<<<<< SEARCH\na\n=====\nb\n>>>>> REPLACE\n", "edit 1 has no line \">>>>>>> REPLACE\"");
    reads_not(EDIT("a\n", "b\n") "and now\n", "belongs to none");
    STR_LOCAL(many);
    for (int i = 0; i <= EDITS_MAX; i++)
        str_add(&many, EDIT("a\n", "b\n"));
    reads_not(many.data, "more than 200 edits");
}

/* ---- exact ---- */

static const char units[] = "import math\n\n\ndef double(n):\n    return n + n\n\n\ndef half(n):\n    return n / 2\n";

static void lines_are_replaced_added_and_taken_away(void **state)
{
    (void)state;
    gives(units, EDIT("    return n + n\n", "    return 2 * n\n"),
          "import math\n\n\ndef double(n):\n    return 2 * n\n\n\ndef half(n):\n    return n / 2\n", 0);
    gives(units, EDIT("import math\n", "import math\nimport sys\n"),
          "import math\nimport sys\n\n\ndef double(n):\n    return n + n\n\n\ndef half(n):\n    return n / 2\n", 0);
    gives(units, EDIT("import math\n\n\n", ""), units + strlen("import math\n\n\n"), 0);
    gives("a\n", EDIT("a\n", ""), "", 0);
    gives("a\nb\n", EDIT("a\nb\n", "a\nx\nb\n"), "a\nx\nb\n", 0);
    gives("a\nb\n", EDIT("a\nb\n", "x\na\nb\n"), "x\na\nb\n", 0);
}

static void edits_are_applied_in_order_each_to_what_the_one_before_left(void **state)
{
    (void)state;
    gives("a\nb\n", EDIT("a\n", "c\n") EDIT("c\nb\n", "d\n") EDIT("d\n", "e\nf\n"), "e\nf\n", 0);
    gives(NULL, EDIT("", "a\nb\n") EDIT("a\n", "c\n"), "c\nb\n", 0);
    refuses("a\nb\n", EDIT("a\n", "c\n") EDIT("a\n", "d\n"), "the old lines of edit 2, from \"a\" on, are not in the file");
}

static void an_empty_search_is_for_a_file_that_is_not_there_or_empty(void **state)
{
    (void)state;
    gives(NULL, EDIT("", "a\n"), "a\n", 0);
    gives("", EDIT("", "a\n"), "a\n", 0);
    gives("\n", EDIT("\n", "a\n"), "a\n", 0);
    refuses("b\n", EDIT("", "a\n"), "edit 1 has no old lines, but the file is there already");
    refuses(NULL, EDIT("b\n", "a\n"), "does not exist or is empty; give it whole");
}

static void several_places_are_named_and_none_is_guessed(void **state)
{
    (void)state;
    refuses("x = 1\ny = 2\nx = 1\n", EDIT("x = 1\n", "x = 3\n"), "at lines 1 and 3; begin them earlier or end them later");
    refuses("a\na\na\n", EDIT("a\na\n", "b\n"), "at lines 1 and 2;"); /* they overlap */
    refuses("a\na\na\na\na\na\na\na\n", EDIT("a\n", "b\n"), "at lines 1, 2, 3, 4, 5 and more");
    gives("x = 1\ny = 2\nx = 1\n", EDIT("y = 2\nx = 1\n", "x = 3\n"), "x = 1\nx = 3\n", 0);
    /* One place as it is, another only but for white space: the first is meant. */
    gives("x = 1  \nx = 1\n", EDIT("x = 1\n", "x = 3\n"), "x = 1  \nx = 3\n", 0);
}

/* ---- inexact ---- */

static void white_space_at_the_end_is_left_aside(void **state)
{
    (void)state;
    gives("a  \nb\t\nc\n", EDIT("a\nb\n", "x\n"), "x\nc\n", 1);
    gives("a\n\nb\n", EDIT("a  \n   \nb\n", "a\n\nx\n"), "a\n\nx\n", 1);
    refuses("a \nb\na \n", EDIT("a\n", "x\n"), "at lines 1 and 3");
}

static void lines_around_stay_as_the_file_has_them(void **state)
{
    (void)state;
    gives("a  \nb\nc\t\n", EDIT("a\nb\nc\n", "a\nx\nc\n"), "a  \nx\nc\t\n", 1);
    gives("if  a:\n\tb()\n\n\tc()\n", EDIT("if a:\n    b()\n    c()\n", "if a:\n    b()\n    x()\n    c()\n"),
          "if  a:\n\tb()\n\n\tx()\n\tc()\n", 1);
}

static void uniform_indentation_is_carried_over(void **state)
{
    (void)state;
    /* The file has more. */
    gives("class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n",
          EDIT("def f(self):\n    return 1\n", "def f(self):\n    if self.x:\n        return 3\n\n    return 1\n"),
          "class A:\n    def f(self):\n        if self.x:\n            return 3\n\n        return 1\n\n    def g(self):\n        return 2\n", 1);
    /* The file has less. */
    gives("def f():\n    return 1\n", EDIT("    def f():\n        return 1\n", "    def f():\n        return 2\n"),
          "def f():\n    return 2\n", 1);
    /* Tabs stay tabs. */
    gives("all:\n\tif x; then \\\n\t\tmake; \\\n\tfi\n", EDIT("if x; then \\\n\tmake; \\\nfi\n", "if y; then \\\n\tmake; \\\nfi\n"),
          "all:\n\tif y; then \\\n\t\tmake; \\\n\tfi\n", 1);
    /* A line of the replacement that has less than all others lose is left with nothing. */
    gives("def f():\n    return 1\n", EDIT("    def f():\n        return 1\n", "  X = 1\n    def f():\n        return 1\n"),
          "X = 1\ndef f():\n    return 1\n", 1);
}

static void indentation_that_is_not_uniform_is_no_match_of_its_kind(void **state)
{
    (void)state;
    /* Read as words: the indentation of the file's lines is learnt from each of them. */
    gives("if a:\n  b()\n  c()\n", EDIT("if a:\n    b()\n    c()\n", "if a:\n    b()\n    d()\n"), "if a:\n  b()\n  d()\n", 1);
    /* Two places, one of which is shifted uniformly. */
    gives("    a\n    b\n  a\n b\n", EDIT("a\nb\n", "x\n"), "    x\n  a\n b\n", 1);
    /* So many that not all are looked at. */
    struct str file = repeated("  a\n b\n", 100, "    a\n    b\n");
    refuses(file.data, EDIT("a\nb\n", "x\n"), "at lines 1, 3, 5, 7, 9 and more");
    str_release(&file);
    file = repeated("  a\n b\n", 100, "");
    struct str mixed = { str_empty, 0, 0 };
    str_addf(&mixed, "    a\n    b\n%s    a\n    b\n", file.data);
    refuses(mixed.data, EDIT("a\nb\n", "x\n"), "at lines 1, 3, 5, 7, 9 and more");
    str_release(&file);
    str_release(&mixed);
}

static void white_space_is_normalised_where_only_one_place_is_like_it(void **state)
{
    (void)state;
    gives("int  f( int a )\n{\n\treturn a;\n}\n", EDIT("int f( int a )\n{\n    return a;\n}\n", "int f( int a )\n{\n    return 2 * a;\n}\n"),
          "int  f( int a )\n{\n\treturn 2 * a;\n}\n", 1);
    refuses("a  b\nx\na   b\n", EDIT("a b\n", "c\n"), "at lines 1 and 3");
    refuses("ab\n", EDIT("a b\n", "c\n"), "not in the file");
}

static void blanks_become_the_tabs_of_the_file_and_the_reverse(void **state)
{
    (void)state;
    gives("f() {\n\tif (a)\n\t\tb();\n\tc();\n}\n",
          EDIT("    if (a)\n        b();\n    c();\n", "    if (a)\n        b();\n    while (c())\n        if (d)\n            e();\n"),
          "f() {\n\tif (a)\n\t\tb();\n\twhile (c())\n\t\tif (d)\n\t\t\te();\n}\n", 1);
    gives("def f():\n    a()\n", EDIT("def f():\n\ta()\n", "def f():\n\tif b:\n\t\ta()\n"), "def f():\n    if b:\n        a()\n", 1);
}

static void blank_lines_may_differ_where_words_do_not(void **state)
{
    (void)state;
    gives("a\n\n\nb\nc\n", EDIT("\na\nb\n", "\nx\nb\n"), "x\n\n\nb\nc\n", 1);
    gives("a\nb\nc\n", EDIT("a\n\nb\n\n", "a\n\nx\n\n"), "a\nx\nc\n", 1);
    gives("a\n\nb\n", EDIT("a\nb\n", "a\nx\nb\n"), "a\n\nx\nb\n", 1);
}

/* ---- line ends ---- */

static void a_file_with_crlf_keeps_it(void **state)
{
    (void)state;
    gives("a\r\nb\r\nc\r\n", EDIT("b\n", "x\ny\n"), "a\r\nx\r\ny\r\nc\r\n", 0);
    gives("a\r\n\tb\r\n", EDIT("b\n", "x\ny\n"), "a\r\n\tx\r\n\ty\r\n", 1);
}

static void the_end_of_the_file_stays_as_it_is(void **state)
{
    (void)state;
    gives("a\nb", EDIT("b\n", "x\n"), "a\nx", 0);
    gives("a\nb", EDIT("b\n", "b\nc\n"), "a\nb\nc", 0);
    gives("a\nb", EDIT("b\n", ""), "a", 0);
    gives("a\r\nb", EDIT("b\n", "x\ny\n"), "a\r\nx\r\ny", 0);
    gives("a\nb\r", EDIT("a\n", "x\n"), "x\nb\r", 0);
    gives("\xEF\xBB\xBF" "a\nb\n", EDIT("a\n", "x\n"), "\xEF\xBB\xBF" "x\nb\n", 0);
}

/* ---- regions ---- */

static void what_is_not_found_is_answered_by_what_is_most_like_it(void **state)
{
    (void)state;
    shows(units, EDIT("def double(x):\n    return x + x\n", "def double(x):\n    return 2 * x\n"),
          "   1 | import math\n   2 | \n   3 | \n   4 | def double(n):\n   5 |     return n + n\n   6 | \n   7 | \n   8 | def half(n):\n");
    STR_LOCAL(file);
    for (int i = 1; i <= 1000; i++)
        str_addf(&file, "def f%d(n):\n    return n + %d\n\n", i, i);
    /* A line is missing in the search, one is new in it, and one word differs. */
    struct editing ed = edit_text(file.data, EDIT("def f500(n):\n\n# comment\ndef f501(m):\n    return n + 501\n", "x\n"));
    check_err(ed.code, ERR_INVALID, &ed.err, "the old lines of edit 1, from \"def f500(n):\" on, are not in the file; below is");
    assert_non_null(strstr(ed.made.region, "1498 | def f500(n):\n1499 |     return n + 500\n"));
    assert_non_null(strstr(ed.made.region, "1501 | def f501(n):\n1502 |     return n + 501\n"));
    arena_release(&ed.arena);
}

static void what_occurs_seldom_says_more_about_the_place(void **state)
{
    (void)state;
    struct str file = repeated("if x:\n    y = 1\n    z = 2\n    w = 3\n", 100, "unique = 1\n");
    struct editing ed = edit_text(file.data, EDIT("if x:\n    y = 1\n    z = 2\n    unique = 2\n", ""));
    assert_int_equal(ed.code, ERR_INVALID);
    assert_non_null(strstr(ed.made.region, " 401 | unique = 1\n"));
    arena_release(&ed.arena);
    str_release(&file);
}

static void nothing_like_it_is_said_unless_the_file_is_small(void **state)
{
    (void)state;
    STR_LOCAL(file);
    for (int i = 0; i < 61; i++)
        str_addf(&file, "line%d\n", i);
    struct editing ed = edit_text(file.data, EDIT("entirely(other)\n", "x\n"));
    check_err(ed.code, ERR_INVALID, &ed.err, "are not in the file, nor any like them");
    assert_string_equal(ed.made.region, "");
    arena_release(&ed.arena);
    shows("a\n", EDIT("entirely(other)\n", "x\n"), "   1 | a\n");
}

/* Of a long search the part is shown where it begins to differ, of a long line the beginning. */
static void a_region_is_bounded_and_shows_the_difference(void **state)
{
    (void)state;
    STR_LOCAL(file);
    STR_LOCAL(text);
    str_add(&text, "<<<<<<< SEARCH\n");
    for (int i = 1; i <= 300; i++) {
        str_addf(&file, "value_%d = %d\n", i, i);
        str_addf(&text, "value_%d = %d\n", i, i == 200 ? 0 : i);
    }
    str_add(&text, "=======\n>>>>>>> REPLACE\n");
    struct editing ed = edit_text(file.data, text.data);
    assert_int_equal(ed.code, ERR_INVALID);
    assert_non_null(strstr(ed.made.region, " 200 | value_200 = 200\n"));
    assert_null(strstr(ed.made.region, " 100 |"));
    assert_true(strlen(ed.made.region) <= EDITS_MAX_REGION);
    arena_release(&ed.arena);
    str_clear(&file);
    for (int i = 0; i < 2000; i++)
        str_add(&file, "\xC3\xA4word ");
    str_add(&file, "\n\xFF latin\n");
    ed = edit_text(file.data, EDIT("\xC3\xA4word latin\n", ""));
    assert_int_equal(ed.code, ERR_INVALID);
    assert_non_null(strstr(ed.made.region, " [...]\n"));
    assert_true(strlen(ed.made.region) < 1000 && utf8_valid(ed.made.region, strlen(ed.made.region), NULL));
    arena_release(&ed.arena);
}

/* ---- limits ---- */

static void what_is_no_text_or_too_large_is_refused(void **state)
{
    (void)state;
    struct editing ed = edit_bytes("a\0b\n", 4, EDIT("a\n", "b\n"), strlen(EDIT("a\n", "b\n")));
    check_err(ed.code, ERR_INVALID, &ed.err, "not text");
    arena_release(&ed.arena);
    char *large = calloc(1, EDITS_MAX_BYTES + 2);
    memset(large, 'a', EDITS_MAX_BYTES + 1);
    refuses(large, EDIT("a\n", "b\n"), "larger than 4 MiB");
    /* Half as large, all of it indentation, which every new line would get. */
    memset(large, ' ', EDITS_MAX_BYTES / 2);
    large[EDITS_MAX_BYTES / 2] = '\0';
    large[EDITS_MAX_BYTES / 2 - 1] = 'a';
    refuses(large, EDIT("a\n", "b\nb\nb\nb\nb\nb\n"), "edit 1 makes too much");
    refuses(large, EDIT("a\n", "b\n") EDIT("b\n", "c\n"), "edit 2 makes too much");
    free(large);
}

#define MILLION 1000000

/* Each of these makes a search that begins anew at every line compare some 10^11 lines. */
static void a_million_equal_lines_are_searched_in_linear_time(void **state)
{
    (void)state;
    static const struct { const char *file, *search, *last, *words; } cases[] = {
        { "x\n", "x\n", "", "several places" },
        { "x\n", "x\n", "y\n", "not in the file" },   /* fails at its last line, everywhere */
        { "  x\n", " x\n", "y\n", "not in the file" },
        { "  x\n x\n", "x\n", "", "several places" }, /* nowhere uniformly shifted, but by words */
        { "\n", "x\n", "", "not in the file" },
        { "x y z\n", "x\n", "y\n", "not in the file" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str file = repeated(cases[i].file, MILLION / 2, ""), text = { str_empty, 0, 0 };
        struct str search = repeated(cases[i].search, MILLION / 10, cases[i].last);
        str_addf(&text, "<<<<<<< SEARCH\n%s=======\n>>>>>>> REPLACE\n", search.data);
        struct editing ed = edit_bytes(file.data, file.len, text.data, text.len);
        check_err(ed.code, ERR_INVALID, &ed.err, cases[i].words);
        arena_release(&ed.arena);
        str_release(&file);
        str_release(&search);
        str_release(&text);
    }
}

static void many_edits_of_a_large_file_end_soon(void **state)
{
    (void)state;
    struct str file = repeated("x\n", MILLION, "first\n"), text = { str_empty, 0, 0 }, wanted = repeated("x\n", MILLION, "last\n");
    str_add(&text, EDIT("first\n", "0\n"));
    for (int i = 0; i < EDITS_MAX - 2; i++)
        str_addf(&text, "<<<<<<< SEARCH\n%d\n=======\n%d\n>>>>>>> REPLACE\n", i, i + 1);
    str_addf(&text, "<<<<<<< SEARCH\n%d\n=======\nlast\n>>>>>>> REPLACE\n", EDITS_MAX - 2);
    gives(file.data, text.data, wanted.data, 0);
    str_release(&file);
    str_release(&text);
    str_release(&wanted);
}

static void hostile_markers_cost_linear_time(void **state)
{
    (void)state;
    static const char *const texts[] = { "<<<<<<< SEARCH\n", "<<<<<<< SEARCH\n=======\n", "<<<<< SEARCH\n>>>>>>> REPLACE\n",
                                         "<<<<< SEARCH\n<<<<<< SEARCH\n<<<<<<< SEARCH\n<<<<<<<< SEARCH\n>>>>>>>>> REPLACE\n" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct str text = repeated(texts[i], MILLION / 5, "");
        ARENA_LOCAL(a);
        struct edits edits = { 0 };
        struct err e;
        assert_int_equal(edits_read(&a, text.data, text.len, &edits, &e), ERR_INVALID);
        str_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_contract_as_we_write_it_is_read),
        cmocka_unit_test(markers_are_read_generously),
        cmocka_unit_test(what_looks_like_a_marker_is_content_where_that_is_clear),
        cmocka_unit_test(what_is_unclear_is_said),
        cmocka_unit_test(lines_are_replaced_added_and_taken_away),
        cmocka_unit_test(edits_are_applied_in_order_each_to_what_the_one_before_left),
        cmocka_unit_test(an_empty_search_is_for_a_file_that_is_not_there_or_empty),
        cmocka_unit_test(several_places_are_named_and_none_is_guessed),
        cmocka_unit_test(white_space_at_the_end_is_left_aside),
        cmocka_unit_test(lines_around_stay_as_the_file_has_them),
        cmocka_unit_test(uniform_indentation_is_carried_over),
        cmocka_unit_test(indentation_that_is_not_uniform_is_no_match_of_its_kind),
        cmocka_unit_test(white_space_is_normalised_where_only_one_place_is_like_it),
        cmocka_unit_test(blanks_become_the_tabs_of_the_file_and_the_reverse),
        cmocka_unit_test(blank_lines_may_differ_where_words_do_not),
        cmocka_unit_test(a_file_with_crlf_keeps_it),
        cmocka_unit_test(the_end_of_the_file_stays_as_it_is),
        cmocka_unit_test(what_is_not_found_is_answered_by_what_is_most_like_it),
        cmocka_unit_test(what_occurs_seldom_says_more_about_the_place),
        cmocka_unit_test(nothing_like_it_is_said_unless_the_file_is_small),
        cmocka_unit_test(a_region_is_bounded_and_shows_the_difference),
        cmocka_unit_test(what_is_no_text_or_too_large_is_refused),
        cmocka_unit_test(a_million_equal_lines_are_searched_in_linear_time),
        cmocka_unit_test(many_edits_of_a_large_file_end_soon),
        cmocka_unit_test(hostile_markers_cost_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
