/* The JavaScript stack: names that are literals, suites in each other, frames behind the message.
 * Running it: test_stack_node.c. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "repo/stack.h"

static int load(void **state)
{
    struct err e;
    struct stack *s;
    check_ok(stack_load(&s, "javascript", NULL, &e), &e);
    *state = s;
    return 0;
}

static int unload(void **state)
{
    stack_free(*state);
    return 0;
}

/* ---- paths ---- */

static void roles_get_their_own_paths(void **state)
{
    const struct stack *s = *state;
    assert_true(stack_is_test(s, "tests/words.test.js"));
    assert_true(stack_is_test(s, "tests/data/words.txt"));
    assert_true(stack_is_test(s, "src/words.test.mjs"));
    assert_false(stack_is_test(s, "src/words.js"));
    assert_true(stack_is_build(s, "package.json"));
    assert_true(stack_is_refused(s, "node_modules/test/index.js"));
    assert_true(stack_is_refused(s, "src/node_modules/x/package.json"));
    assert_false(stack_is_refused(s, "src/modules/node.js"));
}

/* ---- listing ---- */

static void check_listed(const struct stack *s, const char *path, const char *text, const char *const *wanted)
{
    ARENA_LOCAL(a);
    struct err e;
    struct texts ids;
    check_ok(stack_list_tests(s, &a, path, text, strlen(text), &ids, &e), &e);
    size_t i = 0;
    for (; i < ids.count && wanted[i]; i++)
        assert_string_equal(ids.items[i], wanted[i]);
    if (i < ids.count || wanted[i])
        fail_msg("%zu items; item %zu is %s, not %s", ids.count, i, i < ids.count ? ids.items[i] : "none", wanted[i] ? wanted[i] : "none");
}
#define CHECK_LISTED(s, path, text, ...) check_listed(s, path, text, (const char *const[]){ __VA_ARGS__, NULL })
#define T "tests/words.test.js::"

static void titles_are_read_from_the_literals(void **state)
{
    CHECK_LISTED(*state, "tests/words.test.js",
                 "import test, { it } from 'node:test';\n\n// test('in a comment', () => {});\n/*\ntest('in another', () => {});\n*/\n"
                 "test('words are counted', () => {\n  const text = \"test('in a string', () => {\";\n});\n"
                 "test(\"it's \\\"quoted\\\"\", async () => {});\nit.skip(`a template # 1`, () => {});\n"
                 "test(\n  'on a line of its own',\n  () => {});\n"
                 "test(`has ${value}`, () => {});\nconst pattern = /'[/]/;\ntest('behind a pattern', () => {});\ncontest('not one', 1);\n",
                 T "words are counted", T "it's \"quoted\"", T "a template # 1", T "on a line of its own", T "behind a pattern");
}

static void what_is_long_or_nested_is_blanked_as_a_whole(void **state)
{
    STR_LOCAL(text);
    static const char *const marks[][2] = { { "/*", "*/" }, { "const a = `", "`;" }, { "const b = `${f({ c: { d: `x` } })}", "`;" } };
    for (size_t i = 0; i < 3; i++) {
        str_add(&text, marks[i][0]);
        for (int n = 0; n < 20000; n++)
            str_add(&text, "\ntest('no test', 1);");
        str_addf(&text, "%s\ntest('test %zu', () => {});\n", marks[i][1], i);
    }
    CHECK_LISTED(*state, "tests/words.test.js", text.data, T "test 0", T "test 1", T "test 2");
}

static void suites_may_stand_in_each_other(void **state)
{
    CHECK_LISTED(*state, "tests/words.test.js",
                 "describe('counting', () => {\n  it('counts', () => {});\n  describe('of lines', () => {\n    it('counts', () => {});\n  });\n"
                 "  it('counts again', async (t) => {\n    await t.test('a part of it', () => {});\n  });\n});\n"
                 "test('outside', () => {});\nsuite(\"other\", () => {\n  test('x', () => {});\n});\n",
                 T "counting::counts", T "counting::of lines::counts", T "counting::counts again", T "other::x", T "outside");
}

static void only_test_files_have_tests(void **state)
{
    const char *text = "test('a', () => {});\n";
    CHECK_LISTED(*state, "test/a.mjs", text, "test/a.mjs::a");
    CHECK_LISTED(*state, "src/deep/b.test.cjs", text, "src/deep/b.test.cjs::a");
    CHECK_LISTED(*state, "tests/helper.js", text, NULL);
    CHECK_LISTED(*state, "src/words.js", text, NULL);
}

/* ---- additions ---- */

static void check_added(const struct stack *s, const char *before, const char *after, const char *words)
{
    ARENA_LOCAL(a);
    const char *said = stack_added_only(s, &a, "tests/words.test.js", before, strlen(before), after, strlen(after));
    if (*words ? !strstr(said, words) : *said)
        fail_msg("\"%s\" is not \"%s\" for\n%s", said, words, after);
}

static const char head[] = "import assert from 'node:assert/strict';\nimport { describe, it, test } from 'node:test';\n\n"
                           "import { count } from '../src/words.js';\n\n";
static const char helper[] = "function check(text, wanted) {\n  assert.equal(count(text), wanted);\n}\n\n";
static const char plain_test[] = "test('count', () => {\n  check('one two', 2);\n});\n\n";
static const char group[] = "describe('lines', () => {\n  it('are counted', () => {\n    check('a\\nb', 2);\n  });\n});\n";
static const char other_test[] = "test('more', () => {\n  check('a', 1);\n});\n";
#define JOINED(...) joined(&a, (const char *const[]){ __VA_ARGS__, NULL })

static const char *joined(struct arena *a, const char *const *parts)
{
    STR_LOCAL(text);
    for (; *parts; parts++)
        str_add(&text, *parts);
    return arena_strndup(a, text.data, text.len);
}

static void files_of_tests_grow_by_whole_tests(void **state)
{
    ARENA_LOCAL(a);
    const struct stack *s = *state;
    const char *old = JOINED(head, helper, plain_test, group);
    check_added(s, old, JOINED(old, "\n", other_test), "");
    check_added(s, old, JOINED(head, helper, plain_test, other_test, "\n", group), "");
    check_added(s, old, JOINED(old, "\n// More of it.\n", other_test), "");
    check_added(s, old, JOINED(head, helper, plain_test, "/* More\n   of it. */\n", other_test, "\n", group), "");
    check_added(s, old, JOINED("import fs, { readFileSync as read } from 'node:fs';\nimport * as os from 'node:os';\n", old, "\n", other_test), "");
    check_added(s, old, JOINED(old, "\ndescribe('others', () => {\n  it('count', () => {});\n  describe('more', () => {\n    it('x', () => {});\n  });\n});\n"), "");
    check_added(s, old, JOINED(old, "\nconst near = [1, 2];\n\nfunction* twice(n) {\n  yield n;\n}\n"), "");
    /* Into a suite, before its end. */
    const char *in_group = JOINED(head, helper, plain_test, "describe('lines', () => {\n  it('are counted', () => {\n    check('a\\nb', 2);\n  });\n\n"
                                  "  it('check', async () => {\n    check('', 0);\n  });\n});\n");
    check_added(s, old, in_group, "");
    assert_string_equal(stack_added(s, &a, "tests/words.test.js", old, strlen(old), in_group, strlen(in_group)),
                        "  it('check', async () => {\n    check('', 0);\n  });\n");
}

static void what_is_there_keeps_its_bytes_and_its_meaning(void **state)
{
    ARENA_LOCAL(a);
    const struct stack *s = *state;
    const char *old = JOINED(head, helper, plain_test, group);
    check_added(s, old, JOINED(head, helper, group), "was changed or cut at `test('count', () => {`");
    check_added(s, old, JOINED(head, helper, "test('count', () => {\n  return;\n  check('one two', 2);\n});\n\n", group), "was changed or cut at `test('count'");
    check_added(s, old, JOINED(head, helper, "test('count', () => {\n  check('one two', 3);\n});\n\n", group), "was changed or cut at `test('count'");
    check_added(s, old, JOINED(head, helper, plain_test, "describe('lines', () => {\n  it('are counted', { skip: true }, () => {\n    check('a\\nb', 2);\n  });\n});\n"),
                "was changed or cut at `it('are counted'");
    check_added(s, old, JOINED(old, plain_test), "defines `count` a second time");
    check_added(s, old, JOINED(old, "function check() {}\n"), "defines `check` a second time");
    check_added(s, old, JOINED("import { count, other as check } from './fakes.js';\n", old), "gives `count`, which the tests that are there use, a new meaning");
    check_added(s, old, JOINED("import { a as b, other as check } from './fakes.js';\n", old), "gives `check`");
    check_added(s, old, JOINED(head, helper, plain_test, "`text`\n", group), "has the new line ``text``");
    check_added(s, old, JOINED(old, "let count = 3;\n"), "defines `count`, a name that the tests that are there use");
    check_added(s, old, JOINED(old, "\nbeforeEach(() => {});\n"), "has the new line `beforeEach(() => {});`, which could change");
    check_added(s, old, JOINED(old, "\nassert.equal = () => {};\n"), "has the new line `assert.equal = () => {};`");
    check_added(s, old, JOINED(old, "\nimport('./evil.js');\n"), "has the new line `import('./evil.js');`");
    check_added(s, old, JOINED(head, helper, plain_test, "describe('lines', () => {\n  it('are counted', () => {\n    check('a\\nb', 2);\n  });\n"
                               "  const check = () => {};\n});\n"), "has the new line `const check = () => {};`");
    check_added(s, old, JOINED(head, helper, plain_test, "describe('lines', () => {\n  beforeEach(() => {});\n  it('are counted', () => {\n    check('a\\nb', 2);\n  });\n});\n"),
                "was changed or cut at `describe('lines'");
}

static void a_merge_keeps_the_tests_of_both_sides(void **state)
{
    ARENA_LOCAL(a);
    const struct stack *s = *state;
    static const char end[] = "});\n", one[] = "\n  it('one', () => {});\n", two[] = "\n  it('two', () => {});\n";
    const char *open = JOINED(head, helper, "describe('lines', () => {\n  it('are counted', () => {\n    check('a\\nb', 2);\n  });\n");
    const char *texts[] = { JOINED(open, one, end), JOINED(open, two, end), JOINED(open, one, two, end), JOINED(open, two, "  beforeEach(() => {});\n", one, end) };
    struct stack_text t[4];
    for (size_t i = 0; i < 4; i++)
        t[i] = (struct stack_text){ texts[i], strlen(texts[i]) };
    for (size_t side = 0; side < 2; side++) {
        assert_string_equal(stack_merged_only(s, &a, "tests/words.test.js", &t[side], &t[!side], &t[2]), "");
        assert_non_null(strstr(stack_merged_only(s, &a, "tests/words.test.js", &t[side], &t[!side], &t[3]), "has the new line `beforeEach(() => {});`"));
    }
    assert_non_null(strstr(stack_merged_only(s, &a, "tests/words.test.js", &t[0], &t[1], &t[1]), "was changed or cut at `it('one'"));
}

/* ---- judging ---- */

#define FILE_OF(path, text) { path, text, sizeof(text) - 1, false }

static const struct tree_change files[] = {
    FILE_OF("src/units.js", "// export function parse() in a comment\nexport function convert(v) {\n  return v;\n}\n\nfunction hidden() {\n}\n\n"
                            "export class Table {\n  add(row) {\n    return this;\n  }\n}\nexport const LIMIT = 3, table = new Table();\nexport { hidden as shown };\n"),
    FILE_OF("src/deep/more.js", "export default function more() {\n}\n"),
    FILE_OF("src/old.cjs", "exports.one = function () {};\nmodule.exports.two = 2;\n"),
    FILE_OF("tests/helpers.js", "export const make = () => 1;\n"),
    FILE_OF("tests/units.test.js", ""),
};

static void check_judged(const struct stack *s, const char *message, enum failure_kind kind, const char *words)
{
    ARENA_LOCAL(a);
    struct failure f;
    stack_judge(s, stack_sources_make(s, &a, files, sizeof files / sizeof *files), &a, message, &f);
    if (f.kind != (int)kind)
        fail_msg("%s\nis %s (%s; %s), not %s", message, failure_kind_names[f.kind], f.reason, f.advice, failure_kind_names[kind]);
    const char *said = kind == FAILURE_ABSENCE ? (f.absent.count ? f.absent.items[0] : "") : kind == FAILURE_FAULT ? f.advice : f.reason;
    if (!strstr(said, words))
        fail_msg("%s\nsays \"%s\", not \"%s\"", message, said, words);
}

#define IN_TEST "\n    at tests/units.test.js:8"
#define IN_CODE "\n    at convert (src/units.js:3)\n    at tests/units.test.js:8"

static void messages_are_judged(void **state)
{
    static const struct { const char *message; enum failure_kind kind; const char *words; } cases[] = {
        { "AssertionError: Expected values to be strictly equal:\n\n  1 !== 2" IN_TEST "\n| TypeError: x", FAILURE_ASSERTION, "AssertionError: Expected values" },
        { "AssertionError: x" IN_CODE, FAILURE_ASSERTION, "AssertionError: x" },
        { "Error: Cannot find module 'src/gone.js' imported from tests/units.test.js", FAILURE_ABSENCE, "src/gone.js" },
        { "Error: Cannot find module 'gone.mjs' imported from tests/units.test.js", FAILURE_ABSENCE, "gone.mjs" },
        { "Error: Cannot find module 'units.js' imported from tests/units.test.js", FAILURE_FAULT, "units.js is there, as src/units.js" },
        { "Error: Cannot find module 'tests/fakes.js' imported from tests/units.test.js", FAILURE_FAULT, "tests/fakes.js belongs to the tests" },
        { "Error: Cannot find module 'src/units' imported from tests/units.test.js", FAILURE_FAULT, "with its ending" },
        { "Error: Cannot find module '/etc/units.js' imported from tests/units.test.js", FAILURE_EXCEPTION, "/etc/units.js" },
        { "Error: Directory import 'src' is not supported resolving ES modules", FAILURE_FAULT, "with its ending" },
        { "Error: Cannot find package 'lodash' imported from tests/units.test.js", FAILURE_FAULT, "only modules of Node.js" },
        { "SyntaxError: The requested module 'src/units.js' does not provide an export named 'parse'", FAILURE_ABSENCE, "parse in src/units.js" },
        { "SyntaxError: The requested module 'src/units.js' does not provide an export named 'hidden'", FAILURE_FAULT, "hidden is there, in src/units.js:15" },
        { "SyntaxError: The requested module 'src/units.js' does not provide an export named 'add'", FAILURE_ABSENCE, "add in src/units.js" },
        { "SyntaxError: The requested module 'src/units.js' does not provide an export named 'default'", FAILURE_ABSENCE, "default in src/units.js" },
        { "SyntaxError: The requested module 'src/old.cjs' does not provide an export named 'two'", FAILURE_FAULT, "two is there, in src/old.cjs:2" },
        { "SyntaxError: The requested module 'src/old.cjs' does not provide an export named 'three'", FAILURE_ABSENCE, "three in src/old.cjs" },
        { "SyntaxError: The requested module 'tests/helpers.js' does not provide an export named 'parse'", FAILURE_FAULT, "tests/helpers.js belongs to the tests" },
        { "SyntaxError: The requested module 'node:fs' does not provide an export named 'parse'", FAILURE_FAULT, "node:fs has no parse, and is not part of the project" },
        { "tests/units.test.js:3: SyntaxError: Unexpected token ')'\n      x(", FAILURE_FAULT, "not valid JavaScript" },
        { "SyntaxError: Unexpected token ')'", FAILURE_FAULT, "not valid JavaScript" },
        { "SyntaxError: Unexpected end of JSON input" IN_TEST, FAILURE_EXCEPTION, "JSON" },
        { "SyntaxError: Unexpected end of JSON input" IN_CODE, FAILURE_ERROR, "JSON" },
        { "TypeError: units.parse is not a function (units is src/units.js)" IN_TEST, FAILURE_ABSENCE, "parse in src/units.js" },
        { "TypeError: units.convert is not a function (units is src/units.js)" IN_TEST, FAILURE_FAULT, "convert is there, in src/units.js:2" },
        { "TypeError: units.Row is not a constructor (units is src/units.js)" IN_TEST, FAILURE_ABSENCE, "Row in src/units.js" },
        { "TypeError: t1.remove is not a function (t1 is a Table)" IN_TEST, FAILURE_ABSENCE, "Table.remove" },
        { "TypeError: Table.make is not a function" IN_TEST, FAILURE_ABSENCE, "Table.make" },
        { "TypeError: seen.union is not a function (seen is a Set)" IN_TEST, FAILURE_FAULT, "Node.js does not have" },
        { "TypeError: table.remove is not a function" IN_TEST, FAILURE_ABSENCE, "remove" },
        { "TypeError: make(...).add is not a function" IN_TEST, FAILURE_FAULT, "add is there, in src/units.js:10" },
        { "TypeError: parse is not a function" IN_TEST, FAILURE_ABSENCE, "parse" },
        { "TypeError: convert(...).map is not a function" IN_TEST, FAILURE_EXCEPTION, "map" },
        { "TypeError: assert.equls is not a function" IN_TEST, FAILURE_FAULT, "Node.js does not have" },
        { "TypeError: v.remove is not a function" IN_CODE, FAILURE_ERROR, "v.remove" },
        { "TypeError: Cannot read properties of undefined (reading 'x')" IN_TEST, FAILURE_EXCEPTION, "undefined" },
        { "RangeError: unknown unit" IN_TEST, FAILURE_EXCEPTION, "RangeError" },
        { "RangeError: unknown unit" IN_CODE "\n| at convert", FAILURE_ERROR, "RangeError: unknown unit" },
        { "RangeError: x\n    at make (tests/helpers.js:1)\n    at convert (src/units.js:3)", FAILURE_EXCEPTION, "RangeError" },
        { "ReferenceError: conver is not defined" IN_TEST, FAILURE_FAULT, "neither defines nor imports" },
        { "ReferenceError: conver is not defined" IN_CODE, FAILURE_ERROR, "conver" },
        { "ExitCalled: process.exit(2) was called" IN_CODE, FAILURE_ERROR, "process.exit(2)" },
        { "TimeUp: still running after 10 seconds", FAILURE_EXCEPTION, "TimeUp" },
        { "EndOfProcess: the process ended with status 0, before the tests did", FAILURE_EXCEPTION, "status 0" },
        { "Thrown: text", FAILURE_EXCEPTION, "Thrown" },
        { "", FAILURE_EXCEPTION, "no message" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_judged(*state, cases[i].message, cases[i].kind, cases[i].words);
}

static void volatile_text_is_stripped(void **state)
{
    ARENA_LOCAL(a);
    const char *text = "(node:12) Warning\nfile:///work/src/a.js /tmp/tandem-sandbox-ZOyPX8/room-1/work/b.js /tmp/words-Ab3xY9/f 127.0.0.1:43211 2026-11-20T13:24:12.358Z";
    assert_string_equal(stack_strip(*state, &a, text, strlen(text)), "(node:...) Warning\nsrc/a.js b.js /tmp/.../f 127.0.0.1:... (time)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_get_their_own_paths),
        cmocka_unit_test(titles_are_read_from_the_literals),
        cmocka_unit_test(what_is_long_or_nested_is_blanked_as_a_whole),
        cmocka_unit_test(suites_may_stand_in_each_other),
        cmocka_unit_test(only_test_files_have_tests),
        cmocka_unit_test(files_of_tests_grow_by_whole_tests),
        cmocka_unit_test(what_is_there_keeps_its_bytes_and_its_meaning),
        cmocka_unit_test(a_merge_keeps_the_tests_of_both_sides),
        cmocka_unit_test(messages_are_judged),
        cmocka_unit_test(volatile_text_is_stripped),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
