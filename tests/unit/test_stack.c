/* Stack files: loading, detection, listing, judging.  Running them: test_stack_run.c. */
#include "check.h"

#include "base/arena.h"
#include "base/str.h"
#include "repo/pattern.h"
#include "repo/stack.h"

static struct stack *loaded(const char *name)
{
    struct err e;
    struct stack *s;
    check_ok(stack_load(&s, name, NULL, &e), &e);
    return s;
}

static void check_list(const struct texts *got, const char *const *wanted)
{
    size_t i = 0;
    for (; i < got->count && wanted[i]; i++)
        assert_string_equal(got->items[i], wanted[i]);
    if (i < got->count || wanted[i])
        fail_msg("%zu items; item %zu is %s, not %s", got->count, i, i < got->count ? got->items[i] : "none",
                 wanted[i] ? wanted[i] : "none");
}

/* ---- path patterns ---- */

static void path_patterns_stop_at_slashes_unless_doubled(void **state)
{
    (void)state;
    static const struct { const char *glob, *path; bool fits; } cases[] = {
        { "*.py", "a.py", true }, { "*.py", "b/a.py", false }, { "**/*.py", "a.py", true },
        { "**/*.py", "b/c/a.py", true }, { "tests/**", "tests/a/b", true }, { "tests/**", "tests", false },
        { "tests/**", "testsx/a", false }, { "tests/**/test_*.c", "tests/test_a.c", true },
        { "tests/**/test_*.c", "tests/x/y/test_a.c", true }, { "tests/**/test_*.c", "tests/xtest_a.c", false },
        { "a?c", "abc", true }, { "a?c", "a/c", false }, { "", "", true }, { "*", "", true }, { "*", "a/b", false },
        { "**", "a/b", true }, { "src/**/*.c", "src/.c", true }, { "**/build/**", "x/build/y/z", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (path_fits(cases[i].glob, cases[i].path) != cases[i].fits)
            fail_msg("%s %s %s", cases[i].glob, cases[i].fits ? "must fit" : "must not fit", cases[i].path);
    char deep[5000];
    memset(deep, 'a', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_false(path_fits("**", deep));
    deep[4000] = '\0';
    assert_false(path_fits("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", deep));
}

static void patterns_that_backtrack_without_end_count_as_no_match(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    char why[200], text[5001];
    struct pattern *p;
    struct pattern_match m;
    assert_true(pattern_compile(&a, "(?:a+)+b", &p, why, sizeof why));
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(pattern_find(p, text, 100, 0, true, &m));
    STR_LOCAL(out);
    pattern_replace(p, text, 60, "x", 1000, &out);
    assert_int_equal(out.len, 60);
    assert_false(pattern_compile(&a, "a(b", &p, why, sizeof why));
    assert_non_null(strstr(why, "at 3: missing closing parenthesis"));
}

/* ---- loading ---- */

static void every_stack_that_ships_loads(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct texts names;
    check_ok(stack_names(&a, NULL, &names, &e), &e);
    static const char *const wanted[] = { "c", "c-meson", "javascript", "python", "python-pytest", NULL };
    check_list(&names, wanted);
    for (size_t i = 0; i < names.count; i++) {
        struct stack *s = loaded(names.items[i]);
        assert_string_equal(stack_name(s), names.items[i]);
        const char *test = streq(names.items[i], "javascript") ? "tests/words.test" : "tests/test_words";
        assert_non_null(strstr(stack_guide(s, &a, true), test));
        assert_null(strstr(stack_guide(s, &a, false), arena_printf(&a, "Example, %s", test)));
        assert_true(strlen(stack_guide(s, &a, true)) < 2400); /* it is part of every prompt */
        stack_free(s);
    }
}

static const char *const minimal =
    "name: mine\ntitle: Mine\ntests: [t/**]\nlisting:\n- files: [t/*]\n  test: '^T (?<name>\\w+)'\n  id: '{path}::{name}'\n"
    "suite: {argv: [run], results: {path: r.tap, format: tap}}\n"
    "failures: {diagnostic: '^E .*', rules: [{means: fault, pattern: E}]}\n"
    "symbols: {sources: [s/**], provides: ['{name}'], defined: 'def {name}'}\n"
    "guide: {layout: l, tester: t, developer: d}\n";

/* The minimal file with `from` replaced. */
static int parse_changed(struct arena *a, const char *from, const char *to, struct err *e)
{
    const char *at = strstr(minimal, from);
    assert_non_null(at);
    const char *text = arena_printf(a, "%.*s%s%s", (int)(at - minimal), minimal, to, at + strlen(from));
    struct stack *s = NULL;
    int r = stack_parse(&s, "mine", text, strlen(text), NULL, e);
    stack_free(s);
    return r;
}

static void wrong_files_give_name_line_and_what_is_allowed(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    check_ok(parse_changed(&a, "Mine", "Mine", &e), &e);
    static const struct { const char *from, *to, *words; } cases[] = {
        { "format: tap", "format: xunit", "stacks/mine.yaml:8: suite.results.format is \"xunit\"; allowed: tap, junit" },
        { "(?<name>\\w+)", "(?<name>\\w+", "stacks/mine.yaml:6: listing[0].test is not a pattern: at 14: missing closing parenthesis" },
        { "(?<name>\\w+)", "(\\w+)", "stacks/mine.yaml:6: listing[0].test has no group (?<name>...)" },
        { "{path}::{name}", "{path}", "stacks/mine.yaml:7: listing[0].id does not say {name}" },
        { "{path}::{name}", "{scope}{name}", "stacks/mine.yaml:7: listing[0].id says {scope}, but no scope" },
        { "name: mine", "name: yours", "stacks/mine.yaml:1: name is \"yours\", but the file is called mine.yaml" },
        { "means: fault", "means: oops", "failures.rules[0].means is \"oops\"; allowed: assertion, absence, error, exception, fault, companion" },
        { "means: fault", "in_program: true, means: error", "failures.rules[0].in_program needs failures.frame" },
        { "rules: [", "frame: 'File', rules: [", "failures.frame has no group (?<path>...)" },
        { "rules: [", "frames: behind, rules: [", "failures.frames is \"behind\"; allowed: before, after" },
        { "means: fault", "means: absence", "failures.rules[0].pattern has no group (?<name>...)" },
        { "def {name}", "def", "stacks/mine.yaml:10: symbols.defined does not say {name}" },
        { "def {name}", "def {name}(", "symbols.defined is not a pattern" },
        { "tests: [t/**]", "tests: []", "stacks/mine.yaml:3: tests has 0 items; at least 1" },
        { "tests: [t/**]", "test: [t/**]", "stacks/mine.yaml:3: test is not known here; allowed in stack: name, extends" },
        { "tests: [t/**]", "tests: [t/**]\nscaffold:\n- path: ../x\n  text: y", "stacks/mine.yaml:5: scaffold[0].path cannot be used" },
        { "tests: [t/**]", "tests: [t/**]\nscaffold:\n- path: .git/config\n  text: y", "scaffold[0].path cannot be used" },
        { "tests: [t/**]", "tests: [t/**]\nscaffold:\n- path: x\n  from: scaffold/none", "scaffold[0].from is \"scaffold/none\": there is no" },
        { "tests: [t/**]", "tests: [t/**]\nadditions: {files: [t/*]}", "stacks/mine.yaml:4: additions does not say where" },
        { "tests: [t/**]", "tests: [t/**]\nadditions: {files: [t/*], begin: x}", "additions.begin has no group (?<name>...)" },
        { "argv: [run]", "argv: [run], env: [x]", "suite.env[0] must be NAME=value, not \"x\"" },
        { "argv: [run]", "argv: [run], named: [x]", "suite.named has no item {ids}" },
        { "argv: [run]", "argv: [run], runners: [../../etc/passwd]", "suite.runners[0] is" },
        { "title: Mine", "title: Mine\nextends: none", "stacks/mine.yaml:3: extends is \"none.yaml\": there is no" },
        { "title: Mine", "title: Mine\nextends: ../x", "extends is not the name of a stack" },
        { "title: Mine", "title: Mine\ntitle: Yours", "stacks/mine.yaml:3: \"title\" is here twice" },
        { "title: Mine", "title: [Mine", "stacks/mine.yaml:" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_err(parse_changed(&a, cases[i].from, cases[i].to, &e), ERR_INVALID, &e, cases[i].words);
    struct stack *s;
    check_err(stack_load(&s, "cobol", NULL, &e), ERR_NOT_FOUND, &e, "no stack \"cobol\"; known are: c, c-meson, javascript, python");
    check_err(stack_load(&s, "../python", NULL, &e), ERR_INVALID, &e, "not the name of a stack");
    check_err(stack_parse(&s, "mine", "\xff", 1, NULL, &e), ERR_INVALID, &e, "stacks/mine.yaml:1: a byte that is not UTF-8");
    check_err(stack_parse(&s, "mine", "", 0, NULL, &e), ERR_INVALID, &e, "must describe a stack");
}

/* ---- paths ---- */

static void roles_get_their_own_paths(void **state)
{
    (void)state;
    struct stack *s = loaded("c");
    assert_true(stack_is_test(s, "tests/test_units.c"));
    assert_true(stack_is_test(s, "tests/data/x.txt"));
    assert_false(stack_is_test(s, "tests/tap.h"));
    assert_true(stack_is_protected(s, "tests/tap.h"));
    assert_false(stack_is_test(s, "src/units.c"));
    assert_true(stack_is_build(s, "Makefile"));
    assert_false(stack_is_build(s, "src/units.c"));
    stack_free(s);
    s = loaded("python");
    assert_true(stack_is_test(s, "tests/test_units.py"));
    assert_true(stack_is_protected(s, "tests/__init__.py"));
    assert_false(stack_is_test(s, "units.py"));
    assert_true(stack_is_build(s, "pyproject.toml"));
    stack_free(s);
}

static void what_stands_between_tests_and_their_framework_is_refused(void **state)
{
    (void)state;
    static const struct { const char *stack, *path; bool refused; } cases[] = {
        { "python", "pkg/unittest.py", false }, { "python", "src/sitecustomize.py", true }, { "python", "unittest.py", true },
        { "python", "src/unittest/mock.py", true }, { "python", "units.py", false }, { "python", "my_unittest.py", false },
        { "python-pytest", "conftest.py", true }, { "python-pytest", "pkg/conftest.py", true },
        { "python-pytest", "tests/conftest.py", false }, /* the Tester's */
        { "python-pytest", "pytest.ini", true }, { "python-pytest", "_pytest/runner.py", true },
        { "python-pytest", "pyproject.toml", false },
        { "c", "src/tap.h", true }, { "c", "src/string.h", true }, { "c", "src/sys/wait.h", true }, { "c", "src/strings.h", false },
        { "c-meson", "include/stdlib.h", true }, { "c", "Makefile", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stack *s = loaded(cases[i].stack);
        if (stack_is_refused(s, cases[i].path) != cases[i].refused)
            fail_msg("%s: %s", cases[i].stack, cases[i].path);
        stack_free(s);
    }
}

static const char *detected(const char *const *paths)
{
    ARENA_LOCAL(a);
    struct err e;
    struct tree_file files[10] = { { 0 } };
    struct tree t = { files, 0 };
    for (; *paths; paths++)
        files[t.count++].path = *paths;
    const char *name = "untouched";
    check_ok(stack_detect(&a, NULL, NULL, &t, &name, &e), &e);
    static char copy[40];
    snprintf(copy, sizeof copy, "%s", name ? name : "none");
    return copy;
}

static void trees_are_recognised_by_their_files(void **state)
{
    (void)state;
    assert_string_equal(detected((const char *const[]){ NULL }), "none");
    assert_string_equal(detected((const char *const[]){ "README.md", NULL }), "none");
    assert_string_equal(detected((const char *const[]){ "units.py", NULL }), "python");
    assert_string_equal(detected((const char *const[]){ "units.py", "tests/conftest.py", NULL }), "python-pytest");
    assert_string_equal(detected((const char *const[]){ "Makefile", "src/units.c", NULL }), "c");
    assert_string_equal(detected((const char *const[]){ "package.json", "src/units.js", NULL }), "javascript");
    assert_string_equal(detected((const char *const[]){ "package.json", "static/menu.js", "units.py", NULL }), "python");
}

static void the_scaffold_carries_the_projects_name(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct tree_change *files;
    size_t count;
    struct stack *s = loaded("c-meson");
    check_ok(stack_scaffold(s, &a, "1. Unit's \"converter\" ', '", &files, &count, &e), &e);
    assert_int_equal(count, 3);
    assert_string_equal(files[1].path, "meson.build");
    assert_non_null(strstr(files[1].bytes, "project('unit-s-converter', 'c'"));
    assert_null(strstr(files[1].bytes, "{project}"));
    assert_int_equal(files[1].len, strlen(files[1].bytes));
    check_ok(stack_scaffold(s, &a, "\xc3\xa9\xc3\xa9", &files, &count, &e), &e);
    assert_non_null(strstr(files[1].bytes, "project('project', 'c'"));
    stack_free(s);
}

/* ---- listing ---- */

static struct texts listed(const struct stack *s, struct arena *a, const char *path, const char *text, size_t len)
{
    struct err e;
    struct texts ids;
    check_ok(stack_list_tests(s, a, path, text, len, &ids, &e), &e);
    return ids;
}

static void unittest_methods_are_listed_with_their_class(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct stack *s = loaded("python");
    const char *text =
        "import unittest\n\n\"\"\"class Doc:\n    def test_in_doc(self): pass\n\"\"\"\n"
        "class ConvertTest(unittest.TestCase):\r\n    x = 'def test_no(): # '\r\n    def test_a(self):\r\n        pass\r\n\r\n"
        "    # def test_comment(self):\n    async def test_b (self):\n        def helper(): pass\n    def setUp(self): pass\n"
        "def test_outside():\n    pass\n    def test_inner(): pass\n"
        "class Other(\n    ConvertTest,\n):\n    @skip('''x\n    def test_str(self): \"''')\n    def test_c(self): pass\n    def test_c(self): pass\n";
    struct texts ids = listed(s, &a, "tests/test_units.py", text, strlen(text));
    static const char *const wanted[] = { "tests/test_units.py::ConvertTest::test_a", "tests/test_units.py::ConvertTest::test_b",
                                          "tests/test_units.py::Other::test_c", NULL };
    check_list(&ids, wanted);
    stack_free(s);
}

static void pytest_functions_and_methods_are_listed(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct stack *s = loaded("python-pytest");
    const char *text = "def test_a(): pass\nclass TestX:\n    def test_b(self): pass\nasync def test_c(): pass\ndef helper(): pass\n";
    struct texts ids = listed(s, &a, "tests/test_x.py", text, strlen(text));
    static const char *const wanted[] = { "tests/test_x.py::TestX::test_b", "tests/test_x.py::test_a", "tests/test_x.py::test_c", NULL };
    check_list(&ids, wanted);
    stack_free(s);
}

static void c_tests_are_listed_outside_comments(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct stack *s = loaded("c");
    const char *text = "#include \"tap.h\"\n/*\nTEST(in_comment)\n*/\n// TEST(line)\nTEST(a) { CHECK(1); }\nTEST ( b )\n{\n}\n"
                       "static const char *x = \"\\\"\\\nTEST(str)\";\n  TEST(indented) {}\n";
    struct texts ids = listed(s, &a, "tests/test_x.c", text, strlen(text));
    static const char *const wanted[] = { "tests/test_x.c::a", "tests/test_x.c::b", NULL };
    check_list(&ids, wanted);
    assert_int_equal(listed(s, &a, "tests/helper.c", text, strlen(text)).count, 0);
    stack_free(s);
}

/* What `stack_added_only` says of a change. */
static void check_added(const struct stack *s, const char *path, const char *before, const char *after, const char *words)
{
    ARENA_LOCAL(a);
    const char *said = stack_added_only(s, &a, path, before, strlen(before), after, strlen(after));
    if (*words ? !strstr(said, words) : *said)
        fail_msg("\"%s\" is not \"%s\" for\n%s", said, words, after);
}

static void python_tests_are_added_to_and_not_changed(void **state)
{
    (void)state;
    struct stack *s = loaded("python");
    const char *head = "import unittest\n\nimport units\n\n\n", *cls = "class ConvertTest(unittest.TestCase):\n",
               *helper = "    def check(self, a, b):\n        self.assertEqual(units.f(a), b)\n\n",
               *test = "    def test_a(self):\n        # doubled\n        self.check(1, 2)\n",
               *more = "\n    def test_b(self):\n        self.check(2, 4)\n";
    ARENA_LOCAL(a);
    const char *old = arena_printf(&a, "%s%s%s%s", head, cls, helper, test), *path = "tests/test_units.py";
    check_added(s, path, old, old, "");
    check_added(s, path, old, arena_printf(&a, "%s%s", old, more), "");
    assert_string_equal(stack_added(s, &a, path, old, strlen(old), arena_printf(&a, "import re\n%s%s", old, more), strlen(old) + strlen(more) + 10),
                        arena_printf(&a, "import re\n%s", more + 1));
    check_added(s, path, old, arena_printf(&a, "import re\n%simport os\n%s%s%s%s", head, cls, more, helper, test), "");
    check_added(s, path, old, arena_printf(&a, "%s\n    # More of it,\n    # and more.\n%s\n\n# At the end.\n", old, more), "");
    const char *text = arena_printf(&a, "%s\n\nTEXT = \"\"\"\nUnits\n\"\"\"\n", old);
    check_added(s, path, text, arena_printf(&a, "%s\n# More.\nLINES = [\"\"\"\nx\n\"\"\"]\n", text), "");
    check_added(s, path, text, arena_printf(&a, "%s\n\nTEXT = \"\"\"\nUnits\n\n# of lengths\n\"\"\"\n", old), "was changed or cut at `TEXT");
    check_added(s, path, text, arena_printf(&a, "%s\n\nTEXT = \"\"\"\nUnits\n\"\"\" \"\"\"\nof lengths\n\"\"\"\n", old), "was changed or cut at `TEXT");
    check_added(s, path, old, arena_printf(&a, "%s%s%s\n%s   \n", head, cls, helper, test), "");
    check_added(s, path, old, arena_printf(&a, "%s\n\nclass OtherTest(unittest.TestCase):\n%s%s", old, helper, more), "");
    check_added(s, path, old, arena_printf(&a, "%s\n    @unittest.skipIf(\n        True,\n    )\n    def test_c(self):\n        pass\n", old), "");
    /* Emptied, shortened, returned from, cut. */
    const char *changed = "was changed or cut at `def test_a(self):`";
    check_added(s, path, old, arena_printf(&a, "%s%s%s    def test_a(self):\n        pass\n%s", head, cls, helper, more), changed);
    check_added(s, path, old, arena_printf(&a, "%s%s%s    def test_a(self):\n        return\n        # doubled\n        self.check(1, 2)\n", head, cls, helper), changed);
    check_added(s, path, old, arena_printf(&a, "%s%s%s", head, cls, helper), changed);
    check_added(s, path, old, arena_printf(&a, "%s%s%s    @unittest.mock\n%s", head, cls, helper, test), changed);
    check_added(s, path, old, arena_printf(&a, "%s%s%s    @unittest.mock(\n        1)\n%s", head, cls, helper, test), changed);
    check_added(s, path, old, arena_printf(&a, "%s%s    def check(self, a, b):\n        pass\n%s", head, cls, test), "at `def check(self, a, b):`");
    check_added(s, path, old, arena_printf(&a, "%s%s", cls, test), "at `import unittest`");
    /* Overruled. */
    check_added(s, path, old, arena_printf(&a, "%s\n    def check(self, *_):\n        pass\n", old), "defines `check` a second time");
    check_added(s, path, old, arena_printf(&a, "%s\n\n%s%s", old, cls, more), "defines `ConvertTest` a second time");
    /* What changes the meaning of tests that stay as they are. */
    const char *class_level = "    check = lambda *_: None\n";
    check_added(s, path, old, arena_printf(&a, "%s\n\nnear = lambda a, b: True\n", old), "");
    check_added(s, path, old, arena_printf(&a, "%s\n\nunits = None\n", old), "defines `units`, a name that the tests that are there use");
    check_added(s, path, old, arena_printf(&a, "%s\n\ndef units(*_):\n    return 2\n", old), "defines `units`, a name");
    check_added(s, path, old, arena_printf(&a, "%s\n\nConvertTest.test_a = lambda self: None\n", old),
                "has the new line `ConvertTest.test_a = lambda self: None`, which could change what the tests that are there mean");
    check_added(s, path, old, arena_printf(&a, "%s\n\ndel ConvertTest.test_a\n", old), "has the new line `del");
    check_added(s, path, old, arena_printf(&a, "%s\n\nunittest.TestCase.assertEqual = print\n", old), "has the new line `unittest.");
    check_added(s, path, old, arena_printf(&a, "%s\n\nif True:\n    def test_b():\n        pass\n", old), "has the new line `if True:`");
    check_added(s, path, old, arena_printf(&a, "from helpers import (double,\n    units)\n%s", old), "gives `units`, which the tests that are there use, a new meaning");
    check_added(s, path, old, arena_printf(&a, "import helpers as units\n%s", old), "gives `units`");
    check_added(s, path, old, arena_printf(&a, "from helpers import *\n%s", old), "has the new line `from helpers import *`");
    check_added(s, path, old, arena_printf(&a, "import re; units = re\n%s", old), "has the new line `import re; units = re`");
    check_added(s, path, old, arena_printf(&a, "from units import f as g\nimport os.path as p, re\n# Why.\n%s", old), "");
    check_added(s, path, old, arena_printf(&a, "%s\n    def setUp(self):\n        pass\n", old), "defines `setUp`, which acts on the tests that are there");
    check_added(s, path, old, arena_printf(&a, "%s\n    def assertEqual(self, *_):\n        pass\n", old), "defines `assertEqual`, a name");
    check_added(s, path, old, arena_printf(&a, "%s%s%s", old, more, class_level), "has the new line `check = lambda *_: None`");
    check_added(s, path, old, arena_printf(&a, "%s\n\nclass OtherTest(unittest.TestCase):\n    def setUp(self):\n        pass\n%s%s", old, more, class_level), "");
    const char *nested = arena_printf(&a, "%s    def test_n(self):\n        def twice(n):\n            return 2 * n\n\n        self.check(1, twice(1))\n", old);
    check_added(s, path, nested, arena_printf(&a, "%s%s", nested, more), "");
    check_added(s, path, nested, arena_printf(&a, "%s    def test_n(self):\n        def other():\n            pass\n        return\n\n%s", old, strstr(nested, "        def twice")),
                "was changed or cut at `def test_n(self):`");
    /* What the stack does not know how to read is not changed. */
    check_added(s, "tests/data.txt", "1\n", "1\n2\n", "stays as it is");
    check_added(s, "tests/data.txt", "1\n", "1\n", "");
    stack_free(s);
}

static void c_tests_are_added_to_and_not_changed(void **state)
{
    (void)state;
    struct stack *s = loaded("c");
    const char *path = "tests/test_units.c",
               *old = "#include \"tap.h\"\n\nstatic int twice(int n)\n{\n    return 2 * n;\n}\n\nTEST(a)\n{\n    CHECK_INT(f(1), twice(1));\n}\n";
    ARENA_LOCAL(a);
    check_added(s, path, old, arena_printf(&a, "%s\n/* More of it. */\nTEST(b)\n{\n    CHECK(f(2));\n}\n", old), "");
    check_added(s, path, old, arena_printf(&a, "#include <math.h>\n%s\nTEST(b)\n{\n    CHECK(f(2));\n}\n", old), "");
    check_added(s, path, old, "#include \"tap.h\"\n\nstatic int twice(int n)\n{\n    return 2 * n;\n}\nTEST(a)\n{\n}\n", "at `TEST(a)`");
    check_added(s, path, old, "#include \"tap.h\"\n\nstatic int twice(int n)\n{\n    return 2 * n;\n}\nTEST(a)\n{\nreturn;\n    CHECK_INT(f(1), twice(1));\n}\n", "at `TEST(a)`");
    check_added(s, path, old, arena_printf(&a, "#include \"tap.h\"\n#define CHECK_INT(a, b)\n%s", strchr(old, '\n') + 1), "has the new line `#define CHECK_INT(a, b)`");
    check_added(s, path, old, arena_printf(&a, "%s\nTEST(b)\n{\n    CHECK(f(2));\n}\n  #undef CHECK\n#define CHECK(x)\n", old), "has the new line `#undef CHECK`");
    check_added(s, path, old, arena_printf(&a, "#include \"evil.h\"\n%s", old), "has the new line `#include \"evil.h\"`");
    check_added(s, path, old, arena_printf(&a, "#include <evil.h>\n%s", old), "has the new line `#include <evil.h>`");
    check_added(s, path, old, arena_printf(&a, "%s\nstatic const char *const names[] = { \"a\" };\n\nstruct pair { int a, b; };\n\nstatic struct pair\nmake(int a)\n{\n    return (struct pair){ a, a };\n}\n\nTEST(twice)\n{\n    CHECK(f(3));\n}\n", old), "");
    stack_free(s);
}

static void odd_test_files_are_survived(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct err e;
    struct stack *s = loaded("python");
    assert_int_equal(listed(s, &a, "tests/test_x.py", "", 0).count, 0);
    assert_int_equal(listed(s, &a, "tests/test_x.py", "class A:\n    def test_a(s):\0", 28).count, 0); /* binary */
    assert_int_equal(listed(s, &a, "tests/test_x.py", "class A:\r  def test_a(s): pass", 30).count, 1);
    assert_int_equal(listed(s, &a, "tests/test_x.py", "class A:\n  def test_a(s)", 24).count, 1); /* no newline */
    STR_LOCAL(text);
    str_add(&text, "class A:\n");
    for (int i = 0; i < 6000; i++)
        str_addf(&text, "  def test_%d(s): pass\n", i);
    assert_int_equal(listed(s, &a, "tests/test_x.py", text.data, text.len).count, 5000);
    str_clear(&text);
    for (int i = 0; i < 200000; i++)
        str_add(&text, "\"\"\"'''");
    listed(s, &a, "tests/test_x.py", text.data, text.len);
    str_clear(&text);
    str_reserve(&text, 9 << 20);
    while (text.len <= 8 << 20)
        str_add(&text, "# filler filler filler filler filler filler filler filler filler\n");
    struct texts ids;
    check_err(stack_list_tests(s, &a, "tests/test_x.py", text.data, text.len, &ids, &e), ERR_LIMIT, &e, "larger than 8 MiB");
    stack_free(s);
}

static void volatile_text_is_stripped(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct stack *s = loaded("python");
    const char *text = "File \"/stack/x.py\" /tmp/tandem-sandbox-ZOyPX8/room-1/work/a.py <f at 0x7fec1e6e3f60> /tmp/tmpab12_x/y in 0.013s 2026-11-20T13:24:12.358565 pid 4711\xff\x1b[0m";
    assert_string_equal(stack_strip(s, &a, text, strlen(text)),
                        "File \"x.py\" a.py <f at 0x...> /tmp/.../y in ... s (time) pid ...\xef\xbf\xbd?[0m");
    stack_free(s);
    s = loaded("c");
    text = "In file included from src/a.h:1,\n                 from tests/x.c:2:\ntests/x.c:7:15: error: 'f' undeclared\n"
           "tests/x.c:7:15: note: each undeclared identifier is reported only once for each function it appears in\n"
           "tests/tap.h:88:67: note: in definition of macro 'CHECK_INT'\n   88 | #define\n      |    ^~~";
    assert_string_equal(stack_strip(s, &a, text, strlen(text)), "tests/x.c:7:15: error: 'f' undeclared\n");
    stack_free(s);
}

/* ---- judging ---- */

static struct failure judged(const struct stack *s, struct arena *a, const struct tree_change *files, size_t count,
                             const char *message)
{
    struct failure f;
    stack_judge(s, stack_sources_make(s, a, files, count), a, message, &f);
    return f;
}

static void check_judged(const struct stack *s, const struct tree_change *files, size_t count, const char *message,
                         enum failure_kind kind, const char *words)
{
    ARENA_LOCAL(a);
    struct failure f = judged(s, &a, files, count, message);
    if (f.kind != (int)kind)
        fail_msg("%s\nis %s (%s; %s), not %s", message, failure_kind_names[f.kind], f.reason, f.advice, failure_kind_names[kind]);
    const char *said = kind == FAILURE_ABSENCE ? (f.absent.count ? f.absent.items[0] : "") : kind == FAILURE_FAULT ? f.advice : f.reason;
    if (!strstr(said, words))
        fail_msg("%s\nsays \"%s\", not \"%s\"", message, said, words);
}

#define FILE_OF(path, text) { path, text, sizeof(text) - 1, false }

static const struct tree_change python_files[] = {
    FILE_OF("units.py", "# def parse(): in a comment\ndef convert(v, a, b):\n    return v\n\nclass Table:\n    def add(self): pass\nLIMIT = 3\n"),
    FILE_OF("pkg/__init__.py", ""),
    FILE_OF("pkg/deep.py", "x = 1\n"),
    FILE_OF("tests/__init__.py", ""),
    FILE_OF("tests/helpers.py", "def make(): pass\n"),
    FILE_OF("tests/test_units.py", ""),
};

static void python_messages_are_judged(void **state)
{
    (void)state;
    struct stack *s = loaded("python");
#define T "  File \"tests/test_units.py\", line 8, in test_bad\n    units.convert(1)\n"
#define LIB "  File \"/usr/lib/python3.11/json/decoder.py\", line 355, in raw_decode\n"
    static const struct { const char *message; enum failure_kind kind; const char *words; } cases[] = {
        { "  File \"tests/test_units.py\", line 8, in test_bad\nAssertionError: 1000 != 1001", FAILURE_ASSERTION, "AssertionError: 1000 != 1001" },
        { "AssertionError", FAILURE_ASSERTION, "AssertionError" },
        { "ModuleNotFoundError: No module named 'gone'", FAILURE_ABSENCE, "gone" },
        { "ModuleNotFoundError: No module named 'pkg.more'", FAILURE_ABSENCE, "pkg.more" },
        { "ModuleNotFoundError: No module named 'units.more'; 'units' is not a package", FAILURE_ABSENCE, "units.more" },
        { "ModuleNotFoundError: No module named 'numpy'", FAILURE_FAULT, "numpy is a library that is not on this machine" },
        { "ModuleNotFoundError: No module named 'yaml.loader'", FAILURE_FAULT, "yaml.loader is a library" },
        { "ModuleNotFoundError: No module named 'deep'", FAILURE_FAULT, "deep is there, as pkg/deep.py" },
        { "ModuleNotFoundError: No module named 'tests.more'", FAILURE_FAULT, "tests/more.py belongs to the tests" },
        { "ImportError: cannot import name 'parse' from 'units' (units.py)", FAILURE_ABSENCE, "units.parse" },
        { "ImportError: cannot import name 'convert' from partially initialized module 'units'", FAILURE_EXCEPTION, "ImportError" },
        { "ImportError: cannot import name 'convert' from 'units' (units.py)", FAILURE_FAULT, "convert is there, in units.py:2" },
        { "ImportError: cannot import name 'more' from 'tests.helpers' (tests/helpers.py)", FAILURE_FAULT, "tests/helpers.py belongs to the tests" },
        { "ImportError: cannot import name 'foo' from 'math' (unknown location)", FAILURE_FAULT, "math has no foo, and is not part of the project" },
        { "AttributeError: module 'units' has no attribute 'parse'", FAILURE_ABSENCE, "units.parse" },
        { "AttributeError: module 'units' has no attribute 'pars'. Did you mean: 'parse'?", FAILURE_ABSENCE, "units.pars" },
        { "AttributeError: 'Table' object has no attribute 'remove'", FAILURE_ABSENCE, "Table.remove" },
        { "AttributeError: type object 'Table' has no attribute 'make'", FAILURE_ABSENCE, "Table.make" },
        { "AttributeError: 'NoneType' object has no attribute 'group'", FAILURE_EXCEPTION, "NoneType" },
        { "AttributeError: 'ConvertTest' object has no attribute 'asertEqual'", FAILURE_EXCEPTION, "asertEqual" },
        { "NameError: name 'convert' is not defined", FAILURE_FAULT, "neither defines nor imports" },
        { "  File \"tests/test_x.py\", line 1\n    def x(:\nSyntaxError: invalid syntax", FAILURE_FAULT, "not valid Python" },
        { "ValueError: unknown unit ft", FAILURE_EXCEPTION, "ValueError: unknown unit ft" },
        { "TimeUp: still running after 10 seconds", FAILURE_EXCEPTION, "TimeUp" },
        { "SystemExit: 2", FAILURE_EXCEPTION, "SystemExit: 2" },
        { "KeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\nAssertionError: 1 != 2",
          FAILURE_ASSERTION, "1 != 2" },
        { "", FAILURE_EXCEPTION, "no message" },
        { "units.Oops: something", FAILURE_EXCEPTION, "units.Oops: something" },
        { T "TypeError: convert() got an unexpected keyword argument 'digits'", FAILURE_ABSENCE, "convert(...)" },
        { T "TypeError: convert() takes 3 positional arguments but 4 were given", FAILURE_ABSENCE, "convert(...)" },
        { T "TypeError: convert() missing 1 required positional argument: 'b'", FAILURE_ABSENCE, "convert(...)" },
        { T "TypeError: Table.__init__() takes 1 positional argument but 2 were given", FAILURE_ABSENCE, "Table(...)" },
        { T "TypeError: Table.add() takes 1 positional argument but 2 were given", FAILURE_ABSENCE, "add(...)" },
        { T "TypeError: ConvertTest.check() takes 2 positional arguments but 3 were given", FAILURE_EXCEPTION, "ConvertTest.check()" },
        { T "TypeError: can only concatenate str (not \"int\") to str", FAILURE_EXCEPTION, "concatenate" },
        { T "  File \"units.py\", line 3, in convert\nTypeError: convert() takes 3 positional arguments but 4 were given", FAILURE_ERROR, "TypeError" },
        { T "  File \"units.py\", line 3, in convert\n    raise ValueError\nValueError: ft", FAILURE_ERROR, "ValueError: ft" },
        { T "  File \"units.py\", line 3, in convert\n" LIB "json.JSONDecodeError: x", FAILURE_ERROR, "json.JSONDecodeError: x" },
        { T LIB "json.JSONDecodeError: x", FAILURE_EXCEPTION, "json.JSONDecodeError: x" },
        { T "  File \"units.py\", line 3, in convert\n  File \"tests/helpers.py\", line 1, in make\nKeyError: 1", FAILURE_EXCEPTION, "KeyError" },
        { T "  File \"units.py\", line 3, in convert\nNameError: name 'x' is not defined", FAILURE_ERROR, "NameError" },
        { T "  File \"units.py\", line 3, in convert\nAttributeError: 'NoneType' object has no attribute 'group'", FAILURE_ERROR, "NoneType" },
        { T "  File \"units.py\", line 3, in convert\nAttributeError: 'Table' object has no attribute 'remove'", FAILURE_ABSENCE, "Table.remove" },
        { T "  File \"units.py\", line 3, in convert\nSystemExit: 2", FAILURE_ERROR, "SystemExit: 2" },
        { T "  File \"units.py\", line 3, in convert\nModuleNotFoundError: No module named 'numpy'", FAILURE_FAULT, "numpy is a library" },
        { T "  File \"units.py\", line 3, in convert\nTimeUp: still running after 10 seconds", FAILURE_EXCEPTION, "TimeUp" },
        { T "  File \"units.py\", line 3\n    def x(:\nSyntaxError: invalid syntax", FAILURE_FAULT, "not valid Python" },
        { T "  File \"units.py\", line 3, in convert\nKeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\n"
          "Traceback (most recent call last):\n" T "ValueError: y", FAILURE_EXCEPTION, "ValueError: y" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_judged(s, python_files, sizeof python_files / sizeof *python_files, cases[i].message, cases[i].kind, cases[i].words);
    stack_free(s);
    s = loaded("python-pytest");
    static const struct { const char *message; enum failure_kind kind; const char *words; } more[] = {
        { "tests/test_u.py:3: in test_p\n    assert f(1) == 2\nE   assert 1 == 2\nE    +  where 1 = f(1)", FAILURE_ASSERTION, "assert 1 == 2" },
        { "E   Failed: DID NOT RAISE <class 'ValueError'>", FAILURE_ASSERTION, "DID NOT RAISE" },
        { "collection failure\ntests/test_gone.py:1: in <module>\n    import gone\nE   ModuleNotFoundError: No module named 'gone'", FAILURE_ABSENCE, "gone" },
        { "failed on setup with \"AttributeError\"\nE   AttributeError: module 'units' has no attribute 'nothing'", FAILURE_ABSENCE, "units.nothing" },
        { "E     File \"tests/test_syntax.py\", line 1\nE       def x(:\nE             ^\nE   SyntaxError: invalid syntax", FAILURE_FAULT, "not valid Python" },
        { "E   fixture 'nope' not found", FAILURE_EXCEPTION, "nope" },
        { "E   tandem_pytest.TimeUp: still running after 1 seconds", FAILURE_EXCEPTION, "TimeUp" },
        { "tests/test_u.py:3: in test_p\n    f(1)\nunits.py:3: in convert\n    raise X\nE   ValueError: x", FAILURE_ERROR, "ValueError: x" },
        { "tests/test_u.py:3: in test_p\n    f(1)\nE   ValueError: x", FAILURE_EXCEPTION, "ValueError: x" },
        { "tests/test_u.py:3: in test_p\nunits.py:3: in convert\nE   tandem_pytest.TimeUp: still running", FAILURE_EXCEPTION, "TimeUp" },
    };
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        check_judged(s, python_files, sizeof python_files / sizeof *python_files, more[i].message, more[i].kind, more[i].words);
    stack_free(s);
}

static const struct tree_change c_files[] = {
    FILE_OF("src/units.h", "/* parse() comes later */\nstruct unit { int a; };\nint convert(int);\n"),
    FILE_OF("src/units.c", "#include \"units.h\"\nstatic int twice(int a)\n{\n    return 2 * a;\n}\nint convert(int a)\n{\n    return twice(a);\n}\n"),
    FILE_OF("tests/tap.h", "int tap;\n"),
    FILE_OF("tests/helper.h", "int helper(void);\n"),
};

static void c_diagnostics_are_judged(void **state)
{
    (void)state;
    struct stack *s = loaded("c");
    static const struct { const char *message; enum failure_kind kind; const char *words; } cases[] = {
        { "tests/test_units.c:4: convert(1) is 1, not 1000", FAILURE_ASSERTION, "is 1, not 1000" },
        { "crashed: signal 11 (Segmentation fault)", FAILURE_ERROR, "crashed" },
        { "timed out: the test did not end in time", FAILURE_EXCEPTION, "timed out" },
        { "ended the program with status 0", FAILURE_EXCEPTION, "status 0" },
        { "tests/test_gone.c:2:10: fatal error: gone.h: No such file or directory\n    2 | #include \"gone.h\"\n      |          ^~~~~~~~",
          FAILURE_ABSENCE, "gone.h" },
        { "tests/test_gone.c:2:10: fatal error: sub/gone.h: No such file or directory\n    2 | # include \"sub/gone.h\"", FAILURE_ABSENCE, "sub/gone.h" },
        { "tests/test_gone.c:2:10: fatal error: curl/curl.h: No such file or directory\n    2 | #include <curl/curl.h>", FAILURE_FAULT, "header of the system" },
        { "tests/test_gone.c:2:10: fatal error: tests/more.h: No such file or directory\n    2 | #include \"tests/more.h\"", FAILURE_FAULT, "belongs to the tests" },
        { "tests/x.c:3:21: error: implicit declaration of function 'gone' [-Werror=implicit-function-declaration]", FAILURE_ABSENCE, "gone" },
        { "tests/x.c:3:21: error: implicit declaration of function 'parse'; did you mean 'pause'? [-Werror]", FAILURE_ABSENCE, "parse" },
        { "tests/x.c:3:21: error: implicit declaration of function 'convert' [-Werror]", FAILURE_FAULT, "convert is there, in src/units.h:3" },
        { "tests/x.c:3:21: error: implicit declaration of function 'isalpha' [-Werror]\n    3 | x\n      | ^\ntests/x.c:2:1: note: include '<ctype.h>' or provide a declaration of 'isalpha'",
          FAILURE_FAULT, "without its header" },
        { "tests/x.c:3:34: error: unknown type name 'unit_t'; did you mean 'uid_t'?", FAILURE_ABSENCE, "unit_t" },
        { "tests/x.c:3:34: error: 'LIMIT' undeclared (first use in this function)", FAILURE_ABSENCE, "LIMIT" },
        { "tests/x.c:3:34: error: 'struct unit' has no member named 'b'", FAILURE_ABSENCE, "unit.b" },
        { "tests/x.c:3:34: error: 'struct tm' has no member named 'b'", FAILURE_FAULT, "does not compile" },
        { "/usr/bin/ld: build/tests/test_link.o: in function `tap_run_a':\ntests/test_link.c:3: undefined reference to `gone'", FAILURE_ABSENCE, "gone" },
        { "tests/test_link.c:3: undefined reference to `convert'", FAILURE_FAULT, "convert is there, in src/units.c:6" },
        { "tests/test_link.c:3: undefined reference to `sqrt'", FAILURE_FAULT, "belongs to a library" },
        { "tests/x.c:2:27: error: expected ';' before '}' token", FAILURE_FAULT, "expected ';' before '}' token" },
        { "tests/x.c:3:34: error: unknown type name 'unit_t'\ntests/x.c:3:40: error: storage size of 'u' isn't known", FAILURE_ABSENCE, "unit_t" },
        { "tests/x.c:3:40: error: storage size of 'u' isn't known", FAILURE_FAULT, "storage size" },
        { "tests/x.c:3:34: error: unknown type name 'unit_t'\ntests/x.c:9:1: error: too few arguments to function 'strlen'", FAILURE_FAULT, "does not compile" },
        { "tests/x.c:9:1: error: too few arguments to function 'convert'", FAILURE_ABSENCE, "convert(...)" },
        { "tests/x.c:9:1: error: too many arguments to function 'other'", FAILURE_FAULT, "does not compile" },
        { "tests/x.c:9:1: error: passing argument 2 of 'convert' from incompatible pointer type [-Werror]", FAILURE_ABSENCE, "convert(...)" },
        { "tests/x.c:9:1: error: incompatible type for argument 1 of 'convert'", FAILURE_ABSENCE, "convert(...)" },
        { "src/units.c:1:1: error: expected identifier or '(' before '}' token", FAILURE_FAULT, "does not compile" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_judged(s, c_files, sizeof c_files / sizeof *c_files, cases[i].message, cases[i].kind, cases[i].words);
    stack_free(s);
}

static void all_absences_of_a_file_are_named_once_and_sorted(void **state)
{
    (void)state;
    ARENA_LOCAL(a);
    struct stack *s = loaded("c");
    struct failure f = judged(s, &a, c_files, 4,
        "tests/x.c:1:10: fatal error: table.h: No such file or directory\n    1 | #include \"table.h\"\n"
        "tests/x.c:3:21: error: implicit declaration of function 'table_new' [-Werror]\n"
        "tests/x.c:4:21: error: implicit declaration of function 'add' [-Werror]\n"
        "tests/x.c:4:21: error: implicit declaration of function 'add' [-Werror]\n");
    assert_int_equal(f.kind, FAILURE_ABSENCE);
    static const char *const wanted[] = { "add", "table.h", "table_new", NULL };
    check_list(&f.absent, wanted);
    assert_string_equal(f.reason, "tests/x.c:1:10: fatal error: table.h: No such file or directory\n"
                                  "tests/x.c:3:21: error: implicit declaration of function 'table_new' [-Werror]\n"
                                  "tests/x.c:4:21: error: implicit declaration of function 'add' [-Werror]");
    stack_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_patterns_stop_at_slashes_unless_doubled),
        cmocka_unit_test(patterns_that_backtrack_without_end_count_as_no_match),
        cmocka_unit_test(every_stack_that_ships_loads),
        cmocka_unit_test(wrong_files_give_name_line_and_what_is_allowed),
        cmocka_unit_test(roles_get_their_own_paths),
        cmocka_unit_test(what_stands_between_tests_and_their_framework_is_refused),
        cmocka_unit_test(trees_are_recognised_by_their_files),
        cmocka_unit_test(the_scaffold_carries_the_projects_name),
        cmocka_unit_test(unittest_methods_are_listed_with_their_class),
        cmocka_unit_test(pytest_functions_and_methods_are_listed),
        cmocka_unit_test(c_tests_are_listed_outside_comments),
        cmocka_unit_test(python_tests_are_added_to_and_not_changed),
        cmocka_unit_test(c_tests_are_added_to_and_not_changed),
        cmocka_unit_test(odd_test_files_are_survived),
        cmocka_unit_test(volatile_text_is_stripped),
        cmocka_unit_test(python_messages_are_judged),
        cmocka_unit_test(c_diagnostics_are_judged),
        cmocka_unit_test(all_absences_of_a_file_are_named_once_and_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
