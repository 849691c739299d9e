/* Contracts: whole files, JSON in prose, endless repetition. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "model/answer.h"

#include <stdlib.h>

struct reading {
    struct arena arena;
    struct answer_files files;
    struct err err;
    int code;
};

static struct reading read_bytes(const char *text, size_t len)
{
    struct reading r = { .arena = ARENA_INIT };
    r.code = answer_read_files(&r.arena, text, len, &r.files, &r.err);
    return r;
}

static struct reading read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

/* The answer holds exactly one file. */
static void gives(const char *text, const char *path, const char *bytes)
{
    struct reading r = read_text(text);
    if (r.code < 0)
        fail_msg("%s\n----\n%s", r.err.text, text);
    if (r.files.count != 1 || strcmp(r.files.files[0].path, path) != 0 ||
        strcmp(r.files.files[0].bytes, bytes) != 0)
        fail_msg("%zu files, the first %s:\n%s----\n%s", r.files.count, r.files.files[0].path,
                 r.files.files[0].bytes, text);
    assert_int_equal(r.files.files[0].len, strlen(bytes));
    arena_release(&r.arena);
}

static void refuses(const char *text, const char *words)
{
    struct reading r = read_text(text);
    check_err(r.code, ERR_INVALID, &r.err, words);
    arena_release(&r.arena);
}

#define FENCE(path_line, body) path_line "\n```python\n" body "```\n"

/* ---- files ---- */

static void the_contract_as_we_write_it_is_read(void **state)
{
    (void)state;
    struct reading r = read_text("Here are the files.\n\n### src/units.py\n```python\ndef f():\n    return 1\n```\n\n"
                                 "### tests/test_units.py\n```python\nimport units\n```\nDone.\n");
    check_ok(r.code, &r.err);
    assert_int_equal(r.files.count, 2);
    assert_string_equal(r.files.files[0].path, "src/units.py");
    assert_string_equal(r.files.files[0].bytes, "def f():\n    return 1\n");
    assert_string_equal(r.files.files[1].path, "tests/test_units.py");
    assert_string_equal(r.files.notes, "Here are the files.\n\n\nDone.");
    assert_false(r.files.unclosed);
    arena_release(&r.arena);
}

static void habitual_path_lines_are_understood(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "### src/x.py", "###src/x.py", "# src/x.py", "## File: src/x.py", "### `src/x.py`", "**src/x.py**",
        "**`src/x.py`**", "`src/x.py`", "`src/x.py`:", "src/x.py", "src/x.py:", "**src/x.py:**",
        "File: src/x.py", "**File:** `src/x.py`", "**File: src/x.py**", "1. `src/x.py`", "- src/x.py",
        "#### `src/x.py` (new)", "### 2. src/x.py", "Path: ./src/x.py", "### src/x.py - the converter",
        "Create `src/x.py` with this content:", "### src//x.py", "Filename: \"src/x.py\"", "### src/x.py\n",
        "**src/x.py**\n\nThis file converts units. It has two functions,\nboth `pure`.\n",
        "### New file: `src/x.py`", "Update: src/x.py",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        STR_LOCAL(text);
        str_addf(&text, "%s\n```python\nx = 1\n```\n", lines[i]);
        gives(text.data, "src/x.py", "x = 1\n");
    }
}

static void a_path_in_the_info_string_is_understood(void **state)
{
    (void)state;
    static const char *const infos[] = { "python src/x.py", "src/x.py", "python:src/x.py", "python title=\"src/x.py\"",
                                         "py file=src/x.py", "path=src/x.py" };
    for (size_t i = 0; i < sizeof infos / sizeof *infos; i++) {
        STR_LOCAL(text);
        str_addf(&text, "The file:\n```%s\nx = 1\n```\n", infos[i]);
        gives(text.data, "src/x.py", "x = 1\n");
    }
    gives("```c:src/x.c\nint x;\n```\n", "src/x.c", "int x;\n");
}

static void a_path_in_the_first_comment_is_understood(void **state)
{
    (void)state;
    gives("```python\n# src/x.py\nx = 1\n```\n", "src/x.py", "# src/x.py\nx = 1\n");
    gives("```c\n// src/x.c\nint x;\n```\n", "src/x.c", "// src/x.c\nint x;\n");
    gives("```c\n/* src/x.c */\nint x;\n```\n", "src/x.c", "/* src/x.c */\nint x;\n");
    gives("```html\n<!-- web/x.html -->\n<p>\n```\n", "web/x.html", "<!-- web/x.html -->\n<p>\n");
    gives("```c\n### src/x.c\nint x;\n```\n", "src/x.c", "int x;\n");
    gives("```python\n# File: units.py\nx = 1\n```\n", "units.py", "# File: units.py\nx = 1\n");
}

static void a_comment_beats_the_end_of_a_list_but_not_a_heading(void **state)
{
    (void)state;
    gives("Files:\n- src/a.py\n- src/b.py\n\n```python\n# src/a.py\nx = 1\n```\n", "src/a.py", "# src/a.py\nx = 1\n");
    gives("### src/a.py\n```python\n# see src/b.py\nx = 1\n```\n", "src/a.py", "# see src/b.py\nx = 1\n");
    gives("### src/a.py\n```python\n# src/b.py\nx = 1\n```\n", "src/a.py", "# src/b.py\nx = 1\n");
}

static void examples_and_commands_are_not_files(void **state)
{
    (void)state;
    gives("Use it like this:\n```python\nimport units\n```\n\n### src/x.py\n```python\nx = 1\n```\n\n"
          "Run the tests in `tests/test_x.py`:\n```bash\npython -m unittest\n```\n", "src/x.py", "x = 1\n");
    refuses("```c\n#include <stdio.h>\n```\n", "which file");
    refuses("```python\n#!/usr/bin/env python\nx = 1\n```\n", "which file");
    refuses("```asp.net\nx\n```\n", "which file");
}

static void file_names_without_extension_are_understood(void **state)
{
    (void)state;
    gives(FENCE("### Makefile", "all:\n"), "Makefile", "all:\n");
    gives(FENCE("### bin/run", "x\n"), "bin/run", "x\n");
    gives(FENCE("`.gitignore`", "build/\n"), ".gitignore", "build/\n");
    gives(FENCE("### src/__init__.py", ""), "src/__init__.py", "");
}

static void line_ends_become_lf_and_the_last_one_is_added(void **state)
{
    (void)state;
    gives("### a.py\r\n```python\r\nx = 1\r\n\r\ny = 2\r\n```\r\n", "a.py", "x = 1\n\ny = 2\n");
    gives("### a.py\n```python\nx = 1\n```", "a.py", "x = 1\n");
    gives("### a.py\n```\n\xEF\xBB\xBFx = 1\n```", "a.py", "x = 1\n");
}

static void a_missing_last_fence_is_tolerated_and_told(void **state)
{
    (void)state;
    struct reading r = read_text("### a.py\n```python\nx = 1\ny =");
    check_ok(r.code, &r.err);
    assert_true(r.files.unclosed);
    assert_string_equal(r.files.files[0].bytes, "x = 1\ny =\n");
    arena_release(&r.arena);
}

static void fences_within_a_file_survive(void **state)
{
    (void)state;
    gives("### README.md\n````markdown\n# T\n```sh\nmake\n```\n````\n", "README.md", "# T\n```sh\nmake\n```\n");
    gives("### README.md\n```markdown\n# T\n```sh\nmake\n```\nend\n```\n", "README.md", "# T\n```sh\nmake\n```\nend\n");
    gives("### README.md\n~~~\n```\nx\n```\n~~~\n", "README.md", "```\nx\n```\n");
    /* An inner fence that is never closed does not swallow the next file. */
    struct reading r = read_text("### a.py\n```python\ns = '''\n```text\n'''\n```\n### b.py\n```python\nb\n```\n");
    check_ok(r.code, &r.err);
    assert_int_equal(r.files.count, 2);
    assert_string_equal(r.files.files[1].bytes, "b\n");
    arena_release(&r.arena);
}

static void an_indented_block_loses_its_indentation(void **state)
{
    (void)state;
    gives("1. `src/x.py`\n\n   ```python\n   def f():\n       return 1\n   ```\n", "src/x.py", "def f():\n    return 1\n");
}

static void an_answer_wrapped_as_a_whole_is_unwrapped(void **state)
{
    (void)state;
    gives("```markdown\n### src/x.py\n```python\nx = 1\n```\n```\n", "src/x.py", "x = 1\n");
    gives("````\n### src/x.py\n```python\nx = 1\n```\n````\n", "src/x.py", "x = 1\n");
}

static void deletions_are_read_in_every_form(void **state)
{
    (void)state;
    static const char *const texts[] = { "### src/old.py\nDELETE\n", "### src/old.py\n\n**DELETE**\n",
                                         "### src/old.py\n```\nDELETE\n```\n", "### DELETE src/old.py\n",
                                         "### `src/old.py` (deleted)\n", "### src/old.py DELETE\n" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct reading r = read_text(texts[i]);
        check_ok(r.code, &r.err);
        assert_int_equal(r.files.count, 1);
        assert_string_equal(r.files.files[0].path, "src/old.py");
        assert_true(r.files.files[0].deleted);
        assert_int_equal(r.files.files[0].len, 0);
        arena_release(&r.arena);
    }
}

static void unsafe_paths_are_refused_by_name(void **state)
{
    (void)state;
    static const struct { const char *path, *words; } cases[] = {
        { "/etc/passwd", "absolute" }, { "/src/x.py", "absolute" }, { "~/x.py", "absolute" },
        { "../x.py", "leaves the project" }, { "src/../../x.py", "leaves the project" },
        { ".git/hooks/pre-commit", "inside .git" }, { ".GIT/config", "inside .git" },
        { "sub/.git/config", "inside .git" }, { ".git./x.py", "inside .git" }, { "git~1/x.py", "inside .git" },
        { "C:/x.py", "drive" }, { "src\\x.py", "backslash" }, { "-rf.py", "dash" },
        { "src/\x01.py", "control character" }, { "./~/x.py", "absolute" }, { "./-rf.py", "dash" }, { "./C:/x.py", "drive" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        STR_LOCAL(text);
        str_addf(&text, "### `%s`\n```\nx\n```\n", cases[i].path);
        refuses(text.data, cases[i].words);
    }
    STR_LOCAL(far);
    str_add(&far, "### ");
    for (int i = 0; i < 300; i++)
        str_add(&far, "abcd/");
    str_add(&far, "x.py\n```\nx\n```\n");
    refuses(far.data, "longer than 1024");
}

static void a_path_given_twice_is_refused(void **state)
{
    (void)state;
    refuses(FENCE("### a.py", "x\n") FENCE("### ./a.py", "y\n"), "twice");
}

static void binary_is_refused(void **state)
{
    (void)state;
    static const char nul[] = "### a.py\n```\nx\0y\n```\n";
    struct reading r = read_bytes(nul, sizeof nul - 1);
    check_err(r.code, ERR_INVALID, &r.err, "NUL");
    arena_release(&r.arena);
    refuses("### a.py\n```\n\xFF\xD8\xFF\n```\n", "not UTF-8");
}

static void prose_instead_of_files_is_said_to_be_prose(void **state)
{
    (void)state;
    refuses("I would create a class for the units and then test it.\n", "holds no file");
    refuses("", "holds no file");
}

static void more_files_than_allowed_are_refused(void **state)
{
    (void)state;
    STR_LOCAL(text);
    for (int i = 0; i <= ANSWER_MAX_FILES; i++)
        str_addf(&text, "### f%d.py\n```\nx\n```\n", i);
    refuses(text.data, "more than 64");
}

/* ---- edits ---- */

#define SECTION(old, new) "<<<<<<< SEARCH\n" old "=======\n" new ">>>>>>> REPLACE\n"

/* The answer is so many edits of one file, the last of which is this. */
static void edits(const char *text, const char *path, size_t count, const char *search, const char *replace)
{
    struct reading r = read_text(text);
    if (r.code < 0)
        fail_msg("%s\n----\n%s", r.err.text, text);
    const struct answer_file *f = r.files.files;
    if (r.files.count != 1 || strcmp(f->path, path) != 0 || f->edits.count != count || f->len || f->deleted)
        fail_msg("%zu files, the first %s with %zu edits and %zu bytes----\n%s", r.files.count, f->path, f->edits.count, f->len, text);
    assert_string_equal(f->bytes, "");
    assert_string_equal(f->edits.items[count - 1].search, search);
    assert_string_equal(f->edits.items[count - 1].replace, replace);
    arena_release(&r.arena);
}

static void edits_are_read_wherever_models_put_them(void **state)
{
    (void)state;
    static const char *const texts[] = {
        FENCE("### src/x.py", SECTION("a\n", "b\n")),
        FENCE("### src/x.py\nThe value was wrong.\n", "\n" SECTION("a\n", "b\n")),
        "### src/x.py\n" SECTION("a\n", "b\n") "That was all.\n",
        "`src/x.py`\n\n" SECTION("a\n", "b\n"),
        "```python src/x.py\n" SECTION("a\n", "b\n") "```\n",
        "```python\n# src/x.py\n" SECTION("a\n", "b\n") "```\n",
        "```\nsrc/x.py\n" SECTION("a\n", "b\n") "```\n",
        "```\n// src/x.py\n\n" SECTION("a\n", "b\n") "```\n",
        "```\n### src/x.py\n" SECTION("a\n", "b\n") "```\n",
        "```markdown\n### src/x.py\n```python\n" SECTION("a\n", "b\n") "```\n```\n",
        "1. `src/x.py`\n   ```python\n   <<<<<<< SEARCH\n   a\n   =======\n   b\n   >>>>>>> REPLACE\n   ```\n",
        "### src/x.py\r\n```python\r\n<<<<<<< SEARCH\r\na\r\n=======\r\nb\r\n>>>>>>> REPLACE\r\n```\r\n",
        "### src/x.py\n```\n" SECTION("a\n", "b\n"), /* the fence is never closed */
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        edits(texts[i], "src/x.py", 1, "a\n", "b\n");
}

static void all_edits_of_a_path_are_joined(void **state)
{
    (void)state;
    edits(FENCE("### x.py", SECTION("a\n", "b\n") "\n" SECTION("c\n", "d\n")), "x.py", 2, "c\n", "d\n");
    edits(FENCE("### x.py", SECTION("a\n", "b\n")) "\n" FENCE("### ./x.py", SECTION("c\n", "d\n")), "x.py", 2, "c\n", "d\n");
    edits(FENCE("### x.py", SECTION("a\n", "b\n")) "And then:\n" FENCE("", SECTION("c\n", "d\n")), "x.py", 2, "c\n", "d\n");
    edits("### x.py\n" SECTION("a\n", "b\n") "and\n\n" SECTION("c\n", "d\n"), "x.py", 2, "c\n", "d\n");
    struct reading r = read_text("```\n### a.py\n" SECTION("a\n", "b\n") "### b.py\n" SECTION("c\n", "d\n") "```\n" FENCE("### c.py", "c\n")
                                 "### d.py\nDELETE\n");
    check_ok(r.code, &r.err);
    assert_int_equal(r.files.count, 4);
    assert_string_equal(r.files.files[1].path, "b.py");
    assert_string_equal(r.files.files[1].edits.items[0].search, "c\n");
    assert_int_equal(r.files.files[2].edits.count, 0);
    assert_string_equal(r.files.files[2].bytes, "c\n");
    assert_true(r.files.files[3].deleted);
    arena_release(&r.arena);
}

static void what_looks_like_a_fence_within_an_edit_belongs_to_it(void **state)
{
    (void)state;
    edits("### README.md\n```\n" SECTION("```sh\nmake\n", "```sh\nmake test\n") "```\n", "README.md", 1, "```sh\nmake\n", "```sh\nmake test\n");
    edits("### README.md\n```\n" SECTION("```\n", "```\n### b.py\n```py\n") SECTION("a\n", "") "```\n", "README.md", 2, "a\n", "");
    edits("### README.md\n" SECTION("```\n", ""), "README.md", 1, "```\n", "");
}

static void a_whole_file_may_hold_conflicts_and_examples_of_edits(void **state)
{
    (void)state;
    gives(FENCE("### x.py", "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> other\n"), "x.py", "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> other\n");
    gives("### x.md\n````\nAs in\n```\n" SECTION("a\n", "b\n") "```\n````\n", "x.md", "As in\n```\n" SECTION("a\n", "b\n") "```\n");
}

static void edits_that_are_not_clear_are_refused(void **state)
{
    (void)state;
    refuses(FENCE("", SECTION("a\n", "b\n")), "does not say which file it changes");
    refuses(FENCE("### x.py", SECTION("a\n", "b\n")) FENCE("### y.py", "y\n") FENCE("", SECTION("c\n", "d\n")), "does not say which file");
    refuses(FENCE("### x.py", SECTION("a\n", "b\n")) FENCE("### x.py", "x\n"), "x.py is given whole and by search/replace blocks");
    refuses(FENCE("### x.py", "x\n") FENCE("### x.py", SECTION("a\n", "b\n")), "x.py is given whole and by search/replace blocks");
    refuses(FENCE("### x.py", SECTION("a\n", "b\n")) "### x.py\nDELETE\n", "x.py is given whole and by search/replace blocks");
    refuses(FENCE("### x.py", "<<<<<<< SEARCH\na\n=======\nb\n"), "a search/replace block of x.py has no line \">>>>>>> REPLACE\"");
    refuses(FENCE("### x.py", "<<<<<<< SEARCH\na\n>>>>>>> REPLACE\n"), "blocks of x.py: edit 1 has no line \"=======\"");
    refuses(FENCE("### ../x.py", SECTION("a\n", "b\n")), "leaves the project");
    refuses(FENCE("### x.py", SECTION("\xFF\n", "b\n")), "not UTF-8");
}

static void hostile_text_costs_linear_time(void **state)
{
    (void)state;
    /* Each of these was built to make a naive reader start over for every line. */
    static const char *const units[] = { "```python\n", "### a/b\n```x\n", "`a/b.py` `", "### ", "~~~~\n```a\n", "{\"a\":[{",
                                         "### a.py\n<<<<<<< SEARCH\n", "```\n<<<<<<< SEARCH\n", "### a.py\n```\n<<<<< SEARCH\n<<<<<< SEARCH\n",
                                         "```x\n<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n" };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        STR_LOCAL(text);
        for (int k = 0; k < 100000; k++)
            str_add(&text, units[i]);
        struct reading r = read_bytes(text.data, text.len);
        arena_release(&r.arena);
    }
}

/* ---- JSON ---- */

struct verdict {
    const char *text;
    int64_t score;
    bool good;
};
static const struct field verdict_fields[] = {
    FIELD(struct verdict, text, FIELD_TEXT, .required = true, .max = 100, .doc = "why"),
    FIELD(struct verdict, score, FIELD_INT, .min = 0, .max = 10),
    FIELD(struct verdict, good, FIELD_BOOL),
};
static const struct record verdict_record = RECORD("verdict", struct verdict, verdict_fields);

static void reads(const char *text, const char *expected)
{
    ARENA_LOCAL(a);
    struct verdict v;
    struct err e = { 0 };
    check_ok(answer_read_json(&a, text, strlen(text), &verdict_record, &v, &e), &e);
    assert_string_equal(v.text, expected);
}

static void reads_not(const char *text, const char *words)
{
    ARENA_LOCAL(a);
    struct verdict v = { .score = 77 };
    struct err e = { 0 };
    check_err(answer_read_json(&a, text, strlen(text), &verdict_record, &v, &e), ERR_INVALID, &e, words);
    assert_int_equal(v.score, 77);
}

static void json_is_found_wherever_it_stands(void **state)
{
    (void)state;
    reads("{\"text\":\"a\"}", "a");
    reads("  \n{\"text\":\"a\"}\n", "a");
    reads("```json\n{\"text\":\"a\"}\n```\n", "a");
    reads("Sure! Here is it:\n{\"text\":\"a\",\"score\":3}\nHope that helps.", "a");
    reads("The form is {text, score}. My answer: {\"text\":\"a\"}", "a");
    reads("An example {\"foo\": 1}, and mine: {\"text\":\"a\"}", "a");
    reads("{\"verdict\": {\"text\":\"a\"}}", "a");
    reads("{\"text\":\"braces } { in \\\" strings\"}", "braces } { in \" strings");
    reads("{ not json {\"text\":\"a\"} }", "a");
}

static void small_faults_of_json_are_mended(void **state)
{
    (void)state;
    reads("{\"text\":\"a\",}", "a");
    reads("{\"text\":\"a\", // why\n \"good\": True}", "a");
    reads("{\"text\":\"a\nb\"}", "a\nb");
    reads("{\"text\":\"a\r\n\tb\x01 \\\" c\"}", "a\n\tb\x01 \" c");
    reads("{/* x */ \"text\": \"a, } True // no\"}", "a, } True // no");
}

static void what_is_wrong_with_json_is_said_in_one_sentence(void **state)
{
    (void)state;
    reads_not("", "empty");
    reads_not("I cannot decide.", "no JSON object");
    reads_not("{\"score\":3}", "text is missing");
    reads_not("{\"text\":\"a\",\"score\":11}", "score is 11");
    reads_not("{\"text\":\"a\",\"other\":1}", "other");
    reads_not("{\"text\":\"a\",\"text\":\"b\"}", "duplicate");
    reads_not("{\"text\":\"never ends", "not JSON");
    reads_not("{\"text\": 5} and {\"foo\": 1}", "text must be text");
}

/* ---- repetition ---- */

static void endless_repetition_is_found_behind_its_first_copy(void **state)
{
    (void)state;
    STR_LOCAL(text);
    str_add(&text, "def f():\n");
    for (int i = 0; i < 100; i++)
        str_add(&text, "    return convert(value, unit, other_unit)  # again\n");
    long at = answer_repetition(text.data, text.len);
    assert_int_equal(at, 9 + 52);
    str_clear(&text);
    str_add(&text, "so ");
    for (int i = 0; i < 3000; i++)
        str_add(&text, "ha");
    assert_int_equal(answer_repetition(text.data, text.len), 5);
    str_clear(&text);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 40; k++)
            str_addf(&text, "line %d of a whole block that comes again and again\n", k);
    assert_true(answer_repetition(text.data, text.len) > 0);
}

static void tables_rulers_and_similar_lines_are_no_repetition(void **state)
{
    (void)state;
    STR_LOCAL(text);
    for (int i = 0; i < 500; i++)
        str_addf(&text, "    assert_equal(convert(%d, 'm', 'km'), %d)\n", i, i * 1000);
    assert_int_equal(answer_repetition(text.data, text.len), -1);
    str_clear(&text);
    str_add(&text, "static const int table[] = {\n");
    for (int i = 0; i < 32; i++)
        str_add(&text, "    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,\n");
    str_add(&text, "};\n");
    assert_int_equal(answer_repetition(text.data, text.len), -1);
    str_clear(&text);
    for (int i = 0; i < 200; i++)
        str_add(&text, "----------");
    assert_int_equal(answer_repetition(text.data, text.len), -1);
    assert_int_equal(answer_repetition("", 0), -1);
    assert_int_equal(answer_repetition("a", 1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_contract_as_we_write_it_is_read),
        cmocka_unit_test(habitual_path_lines_are_understood),
        cmocka_unit_test(a_path_in_the_info_string_is_understood),
        cmocka_unit_test(a_path_in_the_first_comment_is_understood),
        cmocka_unit_test(a_comment_beats_the_end_of_a_list_but_not_a_heading),
        cmocka_unit_test(examples_and_commands_are_not_files),
        cmocka_unit_test(file_names_without_extension_are_understood),
        cmocka_unit_test(line_ends_become_lf_and_the_last_one_is_added),
        cmocka_unit_test(a_missing_last_fence_is_tolerated_and_told),
        cmocka_unit_test(fences_within_a_file_survive),
        cmocka_unit_test(an_indented_block_loses_its_indentation),
        cmocka_unit_test(an_answer_wrapped_as_a_whole_is_unwrapped),
        cmocka_unit_test(deletions_are_read_in_every_form),
        cmocka_unit_test(unsafe_paths_are_refused_by_name),
        cmocka_unit_test(a_path_given_twice_is_refused),
        cmocka_unit_test(binary_is_refused),
        cmocka_unit_test(prose_instead_of_files_is_said_to_be_prose),
        cmocka_unit_test(more_files_than_allowed_are_refused),
        cmocka_unit_test(edits_are_read_wherever_models_put_them),
        cmocka_unit_test(all_edits_of_a_path_are_joined),
        cmocka_unit_test(what_looks_like_a_fence_within_an_edit_belongs_to_it),
        cmocka_unit_test(a_whole_file_may_hold_conflicts_and_examples_of_edits),
        cmocka_unit_test(edits_that_are_not_clear_are_refused),
        cmocka_unit_test(hostile_text_costs_linear_time),
        cmocka_unit_test(json_is_found_wherever_it_stands),
        cmocka_unit_test(small_faults_of_json_are_mended),
        cmocka_unit_test(what_is_wrong_with_json_is_said_in_one_sentence),
        cmocka_unit_test(endless_repetition_is_found_behind_its_first_copy),
        cmocka_unit_test(tables_rulers_and_similar_lines_are_no_repetition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
