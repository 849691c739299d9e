/* Suites in the real sandbox with the real toolchains: Python, pytest, C with make and Meson. */
#include "check.h"
#include "git_fixture.h"
#include "stack_stage.h"

#include "base/str.h"
#include "os/share.h"
#include "repo/stack.h"

static struct stage stage_make(void **state, const char *stack)
{
    struct stage st = { .f = *state, .a = &((struct fixture *)*state)->s.arena };
    check_ok(stack_load(&st.stack, stack, NULL, &st.f->e), &st.f->e);
    return st;
}

static const char *const units_py = "def convert(v, a, b):\n    if a == 'km':\n        return v * 1000\n    raise ValueError('unknown unit ' + a)\n";

/* ---- Python ---- */

static void python_outcomes_and_their_meaning_are_told_apart(void **state)
{
    struct stage st = stage_make(state, "python");
    struct oid tree = scaffolded(&st, PAIRS(
        "units.py", units_py,
        "tests/test_units.py",
        "import os, sys, time, threading, unittest\nimport units\n\n"
        "class ConvertTest(unittest.TestCase):\n"
        "    def test_km(self):\n        print('ok 1 - forged')\n        self.assertEqual(units.convert(1, 'km', 'm'), 1000)\n"
        "    def test_wrong(self):\n        self.assertEqual(units.convert(1, 'km', 'm'), 1001)\n"
        "    def test_raises(self):\n        units.convert(1, 'ft', 'm')\n"
        "    def test_absent(self):\n        units.parse('1 km')\n"
        "    def test_exits(self):\n        sys.exit(0)\n"
        "    def test_typo(self):\n        conver(1)\n"
        "    def test_thread(self):\n        threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "    @unittest.skip('later')\n    def test_skipped(self): pass\n"
        "    def test_subs(self):\n        for i in range(3):\n            with self.subTest(i=i):\n                self.assertEqual(i, 1)\n",
        "tests/test_gone.py", "import unittest\nimport gone\nclass GoneTest(unittest.TestCase):\n    def test_a(self): pass\n",
        "tests/test_syntax.py", "def x(:\n",
        "tests/test_quits.py", "import sys\nsys.exit(0)\n",
        "tests/test_binary.py", "\x01\x02\xff\xfe",
        "tests/test_crlf.py", "import unittest\r\nclass CrTest(unittest.TestCase):\r\n    def test_cr(self):\r\n        pass"));
    struct suite_run run = run_with(&st, &tree, NULL);
    check_completed(&run);
    assert_string_equal(run.results.incomplete, "");
    check_outcome(&run, "tests/test_units.py::ConvertTest::test_km", TEST_PASSED, "");
    check_outcome(&run, "tests/test_units.py::ConvertTest::test_wrong", TEST_FAILED, "AssertionError: 1000 != 1001");
    check_outcome(&run, "tests/test_units.py::ConvertTest::test_raises", TEST_FAILED, "File \"units.py\", line 4, in convert");
    check_outcome(&run, "tests/test_units.py::ConvertTest::test_absent", TEST_FAILED, "has no attribute 'parse'");
    check_outcome(&run, "tests/test_units.py::ConvertTest::test_exits", TEST_FAILED, "SystemExit: 0");
    check_outcome(&run, "tests/test_units.py::ConvertTest::test_thread", TEST_PASSED, "");
    check_outcome(&run, "tests/test_units.py::ConvertTest::test_skipped", TEST_SKIPPED, "later");
    check_outcome(&run, "tests/test_units.py::ConvertTest::test_subs", TEST_FAILED, "(i=0)");
    check_outcome(&run, "tests/test_gone.py", TEST_ERROR, "No module named 'gone'");
    check_outcome(&run, "tests/test_syntax.py", TEST_ERROR, "SyntaxError");
    check_outcome(&run, "tests/test_quits.py", TEST_ERROR, "SystemExit: 0");
    check_outcome(&run, "tests/test_binary.py", TEST_ERROR, "SyntaxError");
    check_outcome(&run, "tests/test_crlf.py::CrTest::test_cr", TEST_PASSED, "");
    assert_int_equal(run.broken.count, 4);
    assert_non_null(strstr(run.output, "ok 1 - forged"));

    assert_null(strstr(found(&run, "tests/test_gone.py")->message, "importlib"));
    struct failure f = judged(&st, &tree, &run, "tests/test_gone.py");
    assert_int_equal(f.kind, FAILURE_ABSENCE);
    assert_string_equal(f.absent.items[0], "gone");
    assert_int_equal(judged(&st, &tree, &run, "tests/test_units.py::ConvertTest::test_absent").kind, FAILURE_ABSENCE);
    assert_int_equal(judged(&st, &tree, &run, "tests/test_units.py::ConvertTest::test_wrong").kind, FAILURE_ASSERTION);
    assert_int_equal(judged(&st, &tree, &run, "tests/test_units.py::ConvertTest::test_raises").kind, FAILURE_ERROR);
    assert_int_equal(judged(&st, &tree, &run, "tests/test_units.py::ConvertTest::test_typo").kind, FAILURE_FAULT);
    assert_int_equal(judged(&st, &tree, &run, "tests/test_syntax.py").kind, FAILURE_FAULT);
    stack_free(st.stack);
}

static void the_same_tree_gives_the_same_bytes(void **state)
{
    static const char *const stacks[] = { "python", "python-pytest" };
    for (size_t i = 0; i < 2; i++) {
        struct stage st = stage_make(state, stacks[i]);
        struct oid tree = scaffolded(&st, PAIRS(
            "units.py", units_py,
            "tests/test_units.py", "import unittest, tempfile, units\nclass T(unittest.TestCase):\n"
            "    def test_f(self):\n        self.assertEqual(units.convert, object())\n"
            "    def test_t(self):\n        self.assertEqual(tempfile.mkdtemp(), {'a', 'b', 'c', 'd'})\n"));
        struct suite_run one = run_with(&st, &tree, NULL), two = run_with(&st, &tree, NULL);
        assert_string_equal(one.output, two.output);
        assert_int_equal(one.results.count, 3);
        for (size_t n = 0; n < one.results.count; n++)
            assert_string_equal(one.results.tests[n].message, two.results.tests[n].message);
        stack_free(st.stack);
    }
}

static void a_failure_is_told_by_the_projects_frames_what_was_printed_and_the_exception(void **state)
{
    static const char *const stacks[] = { "python", "python-pytest" };
    for (size_t i = 0; i < 2; i++) {
        struct stage st = stage_make(state, stacks[i]);
        struct oid tree = scaffolded(&st, PAIRS(
            "cli.py", "import argparse\nimport json\n\n\ndef main(argv):\n    print('hello')\n"
            "    argparse.ArgumentParser(prog='habits').parse_args(argv)\n\n\n"
            "def load(text):\n    try:\n        return json.loads(text)\n    except ValueError:\n        return {}['mode']\n",
            "tests/test_cli.py", "import sys, unittest, cli\n\n\nclass T(unittest.TestCase):\n"
            "    def test_a_prints(self):\n        print('quiet')\n"
            "    def test_b_option(self):\n        cli.main(['--plain'])\n"
            "    def test_c_chain(self):\n        cli.load('{')\n"
            "    def test_d_streams(self):\n        sys.stdout.flush()\n        self.assertTrue(sys.stdout.buffer and sys.stderr.fileno())\n"));
        struct suite_run run = run_with(&st, &tree, NULL);
        check_completed(&run);
        const char *said = found(&run, "tests/test_cli.py::T::test_b_option")->message;
        const char *exception = strstr(said, "SystemExit: 2"), *printed = strstr(said, "| habits: error: unrecognized arguments: --plain\n");
        assert_non_null(strstr(said, "cli.main(['--plain'])"));
        assert_non_null(strstr(said, "parse_args(argv)"));
        assert_non_null(strstr(said, "| hello\n"));
        assert_true(printed && printed < exception);
        assert_null(strstr(said, "quiet"));
        assert_null(strstr(said, "argparse.py"));
        assert_null(strstr(said, "^^^"));
        assert_int_equal(judged(&st, &tree, &run, "tests/test_cli.py::T::test_b_option").kind, FAILURE_ERROR);
        said = found(&run, "tests/test_cli.py::T::test_c_chain")->message;
        assert_non_null(strstr(said, "Expecting property name"));
        assert_non_null(strstr(said, ", and then:)\n"));
        assert_non_null(strstr(said, "KeyError: 'mode'"));
        assert_null(strstr(said, "decoder.py"));
        assert_null(strstr(said, "return json.loads"));
        check_outcome(&run, "tests/test_cli.py::T::test_d_streams", TEST_PASSED, "");
        stack_free(st.stack);
    }
}

static void a_run_that_breaks_off_is_not_complete(void **state)
{
    struct stage st = stage_make(state, "python");
    static const struct { const char *body, *trouble; } cases[] = {
        { "import os\n        os._exit(0)", "planned 2 tests, saw 0" },
        { "import os, signal\n        os.kill(os.getpid(), signal.SIGKILL)", "planned 2 tests, saw 0" },
        { "raise KeyboardInterrupt", "the run was given up" },
        { "import os, glob\n        [os.unlink(p) for p in glob.glob('/out/*')]", "ended with status 0 and no results" },
        { "import os\n        os.unlink('/out/results.tap'); os.mkfifo('/out/results.tap')", "cannot be read" },
        { "import os\n        os.unlink('/out/results.tap'); os.symlink('/etc/passwd', '/out/results.tap')", "cannot be read" },
        { "import os\n        os.unlink('/out/results.tap'); os.mkdir('/out/results.tap')", "cannot be read" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct oid tree = scaffolded(&st, PAIRS("tests/test_x.py", arena_printf(st.a,
            "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        %s\n    def test_b(self): pass\n", cases[i].body)));
        struct suite_run run = run_with(&st, &tree, NULL);
        if (run.completed || !strstr(run.trouble, cases[i].trouble))
            fail_msg("%s: trouble is \"%s\", not \"%s\"", cases[i].body, run.trouble, cases[i].trouble);
    }
    struct oid tree = scaffolded(&st, PAIRS("tests/test_x.py", "import os\nos._exit(0)\n"));
    struct suite_run run = run_with(&st, &tree, NULL);
    assert_false(run.completed);
    assert_string_equal(run.trouble, "the results cannot be read: no line of TAP in what the tests wrote");
    stack_free(st.stack);
}

static void limits_are_named_when_they_are_hit(void **state)
{
    struct stage st = stage_make(state, "python");
    struct sandbox_limits limits = sandbox_default_limits;
    limits.timeout_ms = 1500;
    limits.max_output = 1 << 20;
    struct suite_options o = { .limits = &limits };
    struct oid tree = scaffolded(&st, PAIRS("tests/test_x.py", "import time\nwhile True:\n    try:\n        time.sleep(100)\n    except BaseException: pass\n"));
    struct suite_run run = run_with(&st, &tree, &o);
    assert_true(run.limit_hit);
    assert_false(run.completed);
    assert_true(*run.trouble);
    tree = scaffolded(&st, PAIRS("tests/test_x.py", "while True: print('x' * 1000)\n"));
    run = run_with(&st, &tree, &o);
    assert_true(run.limit_hit);
    assert_true(strlen(run.output) <= 70000);
    assert_non_null(strstr(run.output, "\n[...]\n"));
    stack_free(st.stack);
}

/* Our stack with a second for each test. */
static struct stage quick_stage(void **state, const char *name)
{
    struct stage st = { .f = *state, .a = &((struct fixture *)*state)->s.arena };
    const char *text;
    size_t len;
    check_ok(share_read(st.a, arena_printf(st.a, "stacks/%s.yaml", name), NULL, &text, &len, &st.f->e), &st.f->e);
    const char *at = strstr(text, "seconds: 10");
    assert_non_null(at);
    text = arena_printf(st.a, "%.*sseconds: 1%s", (int)(at - text), text, at + strlen("seconds: 10"));
    check_ok(stack_parse(&st.stack, name, text, strlen(text), NULL, &st.f->e), &st.f->e);
    return st;
}

static void a_test_that_hangs_fails_alone(void **state)
{
    static const struct { const char *stack, *path, *hang, *other; } cases[] = {
        { "python", "tests/test_x.py", "tests/test_x.py::T::test_hang", "tests/test_x.py::T::test_z" },
        { "python-pytest", "tests/test_x.py", "tests/test_x.py::T::test_hang", "tests/test_x.py::T::test_z" },
        { "c", "tests/test_x.c", "tests/test_x.c::hang", "tests/test_x.c::z" },
    };
    const char *python = "import unittest\nclass T(unittest.TestCase):\n    def test_hang(self):\n        while True:\n"
                         "            try:\n                pass\n            except Exception: pass\n    def test_z(self): pass\n";
    const char *c = "#include \"tap.h\"\nTEST(hang)\n{\n    for (;;)\n        pause();\n}\nTEST(z)\n{\n    CHECK(1);\n}\n";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage st = quick_stage(state, cases[i].stack);
        struct oid tree = scaffolded(&st, PAIRS(cases[i].path, ends_with(cases[i].path, ".c") ? c : python));
        struct suite_run run = run_with(&st, &tree, NULL);
        check_completed(&run);
        assert_int_equal(found(&run, cases[i].hang)->outcome, TEST_FAILED);
        assert_int_equal(judged(&st, &tree, &run, cases[i].hang).kind, FAILURE_EXCEPTION);
        check_outcome(&run, cases[i].other, TEST_PASSED, "");
        if (streq(cases[i].stack, "c"))
            check_outcome(&run, cases[i].hang, TEST_FAILED, "probably a loop that does not end");
        stack_free(st.stack);
    }
}

static void named_tests_run_alone(void **state)
{
    static const struct { const char *stack, *path, *text, *ids[2]; } cases[] = {
        { "python", "tests/test_x.py", "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n    def test_b(self): pass\n    def test_c(self): pass\n",
          { "tests/test_x.py::T::test_a", "tests/test_x.py::T::test_c" } },
        { "python-pytest", "tests/test_x.py", "def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n",
          { "tests/test_x.py::test_a", "tests/test_x.py::test_c" } },
        { "c", "tests/test_x.c", "#include \"tap.h\"\nTEST(a) {}\nTEST(b) {}\nTEST(c) {}\n", { "tests/test_x.c::a", "tests/test_x.c::c" } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage st = stage_make(state, cases[i].stack);
        struct oid tree = scaffolded(&st, PAIRS(cases[i].path, cases[i].text,
            strcmp(cases[i].stack, "c") ? "tests/test_other.py" : "tests/test_other.c", "broken("));
        struct texts ids = { (const char **)(uintptr_t)cases[i].ids, 2 };
        struct suite_run run = run_with(&st, &tree, &(struct suite_options){ .ids = &ids });
        check_completed(&run);
        assert_int_equal(run.results.count, 2);
        check_outcome(&run, cases[i].ids[0], TEST_PASSED, "");
        check_outcome(&run, cases[i].ids[1], TEST_PASSED, "");
        stack_free(st.stack);
    }
}

/* ---- pytest ---- */

static void pytest_outcomes_are_read(void **state)
{
    struct stage st = stage_make(state, "python-pytest");
    struct oid tree = scaffolded(&st, PAIRS(
        "units.py", units_py,
        "tests/test_units.py",
        "import pytest, sys, units\n"
        "@pytest.mark.parametrize('n', [1, 2])\ndef test_p(n):\n    assert units.convert(n, 'km', 'm') == 1000\n"
        "class TestX:\n    def test_absent(self):\n        units.parse('x')\n    def test_exit(self):\n        sys.exit(0)\n"
        "@pytest.fixture\ndef bad():\n    return units.nothing\ndef test_fixture(bad): pass\n"
        "def test_raises():\n    with pytest.raises(KeyError):\n        units.convert(1, 'km', 'm')\n"
        "def test_km():\n    assert units.convert(1, 'km', 'm') == 1000\n",
        "tests/test_gone.py", "from gone import x\ndef test_a(): pass\n",
        "tests/test_syntax.py", "def x(:\n"));
    struct suite_run run = run_with(&st, &tree, NULL);
    check_completed(&run);
    check_outcome(&run, "tests/test_units.py::test_p", TEST_FAILED, "[2]: ");
    check_outcome(&run, "tests/test_units.py::test_km", TEST_PASSED, "");
    check_outcome(&run, "tests/test_units.py::TestX::test_exit", TEST_FAILED, "SystemExit");
    check_outcome(&run, "tests/test_units.py::test_fixture", TEST_ERROR, "nothing");
    check_outcome(&run, "tests/test_gone.py", TEST_ERROR, "No module named 'gone'");
    assert_null(strstr(found(&run, "tests/test_syntax.py")->message, "/usr/lib"));
    assert_int_equal(run.broken.count, 2);
    assert_int_equal(judged(&st, &tree, &run, "tests/test_units.py::test_p").kind, FAILURE_ASSERTION);
    assert_int_equal(judged(&st, &tree, &run, "tests/test_units.py::test_raises").kind, FAILURE_ASSERTION);
    assert_int_equal(judged(&st, &tree, &run, "tests/test_units.py::TestX::test_absent").kind, FAILURE_ABSENCE);
    assert_int_equal(judged(&st, &tree, &run, "tests/test_units.py::test_fixture").kind, FAILURE_ABSENCE);
    assert_int_equal(judged(&st, &tree, &run, "tests/test_gone.py").kind, FAILURE_ABSENCE);
    assert_int_equal(judged(&st, &tree, &run, "tests/test_syntax.py").kind, FAILURE_FAULT);
    stack_free(st.stack);
}

/* ---- C ---- */

static const char *const c_tests =
    "#include \"tap.h\"\n#include \"units.h\"\n"
    "TEST(km) { CHECK_DOUBLE(convert(1, 'k'), 1000, 1e-9); }\n"
    "TEST(wrong) { puts(\"ok 1 - forged\"); CHECK_INT((int)convert(2, 'm'), 3); }\n"
    "TEST(crash) { int *p = NULL; CHECK(*(volatile int *)p == 1); }\n"
    "TEST(quits) { exit(0); }\n"
    "TEST(text) { CHECK_STR(\"a\", \"b\"); }\n"
    "TEST(skipped) { SKIP(\"later\"); }\n";

static void c_outcomes_and_their_meaning_are_told_apart(void **state)
{
    static const char *const stacks[] = { "c", "c-meson" };
    for (size_t i = 0; i < 2; i++) {
        struct stage st = stage_make(state, stacks[i]);
        struct oid tree = scaffolded(&st, PAIRS(
            "src/units.h", "double convert(double value, char unit);\n",
            "src/units.c", "#include \"units.h\"\ndouble convert(double value, char unit)\n{\n    if (unit == 'k')\n        return value * 1000;\n    return value;\n}\n",
            "src/main.c", "int main(void)\n{\n    return 0;\n}\n",
            "tests/test_units.c", c_tests,
            "tests/test_gone.c", "#include \"tap.h\"\n#include \"gone.h\"\nTEST(a) { CHECK_INT(gone(1), 2); }\n",
            "tests/test_more.c", "#include \"tap.h\"\n#include \"units.h\"\nTEST(a) { CHECK_INT(parse(\"1\"), 2); }\n",
            "tests/test_link.c", "#include \"tap.h\"\nint missing(int);\nTEST(a) { CHECK_INT(missing(1), 2); }\n",
            "tests/test_syntax.c", "#include \"tap.h\"\nTEST(a) { CHECK_INT(1, 2) }\n",
            "tests/test_both.c", "#include \"tap.h\"\n#include \"gone.h\"\nTEST(a) { CHECK_INT(gone(1), 2) }\n"));
        struct suite_run run = run_with(&st, &tree, NULL);
        check_completed(&run);
        check_outcome(&run, "tests/test_units.c::km", TEST_PASSED, "");
        check_outcome(&run, "tests/test_units.c::wrong", TEST_FAILED, "tests/test_units.c:4: (int)convert(2, 'm') is 2, not 3");
        check_outcome(&run, "tests/test_units.c::crash", TEST_ERROR, "crashed: signal 11");
        check_outcome(&run, "tests/test_units.c::quits", TEST_ERROR, "ended the program with status 0");
        check_outcome(&run, "tests/test_units.c::text", TEST_FAILED, "\"a\" is \"a\", not \"b\"");
        check_outcome(&run, "tests/test_units.c::skipped", TEST_SKIPPED, "later");
        assert_int_equal(run.broken.count, 5);
        assert_null(strstr(run.output, "../tests"));
        assert_int_equal(judged(&st, &tree, &run, "tests/test_units.c::wrong").kind, FAILURE_ASSERTION);
        assert_int_equal(judged(&st, &tree, &run, "tests/test_units.c::crash").kind, FAILURE_ERROR);
        struct failure f = judged(&st, &tree, &run, "tests/test_gone.c");
        assert_int_equal(f.kind, FAILURE_ABSENCE);
        assert_int_equal(f.absent.count, 2);
        assert_string_equal(f.absent.items[0], "gone");
        assert_string_equal(f.absent.items[1], "gone.h");
        assert_string_equal(judged(&st, &tree, &run, "tests/test_more.c").absent.items[0], "parse");
        assert_string_equal(judged(&st, &tree, &run, "tests/test_link.c").absent.items[0], "missing");
        assert_int_equal(judged(&st, &tree, &run, "tests/test_syntax.c").kind, FAILURE_FAULT);
        assert_int_equal(judged(&st, &tree, &run, "tests/test_both.c").kind, FAILURE_FAULT);
        stack_free(st.stack);
    }
}

static void production_code_that_does_not_build_breaks_every_test_with_its_diagnostics(void **state)
{
    static const char *const stacks[] = { "c", "c-meson" };
    for (size_t i = 0; i < 2; i++) {
        struct stage st = stage_make(state, stacks[i]);
        struct oid tree = scaffolded(&st, PAIRS("src/units.c", "int convert(\n", "tests/test_a.c", "#include \"tap.h\"\nTEST(a) {}\n",
                                                "tests/test_b.c", "#include \"tap.h\"\nTEST(b) {}\n"));
        struct suite_run run = run_with(&st, &tree, NULL);
        check_completed(&run);
        check_outcome(&run, "tests/test_a.c", TEST_ERROR, "src/units.c:1");
        check_outcome(&run, "tests/test_b.c", TEST_ERROR, "src/units.c:1");
        assert_int_equal(judged(&st, &tree, &run, "tests/test_a.c").kind, FAILURE_FAULT);
        stack_free(st.stack);
    }
}

static void what_no_test_reaches_has_to_build_too(void **state)
{
    static const char *const c_test = "#include \"tap.h\"\nint one(void);\nTEST(a) { CHECK_INT(one(), 1); }\n";
    static const char *const c_one = "int one(void);\nint one(void)\n{\n    return 1;\n}\n";
    static const struct { const char *stack, *path, *good, *bad, *words, *library, *library_text, *test, *test_text; } cases[] = {
        { "c", "src/main.c", "int one(void);\nint main(void)\n{\n    return one() - 1;\n}\n", "int main(void)\n{\n    return 0\n}\n",
          "src/main.c:3:13: error:", "src/one.c", c_one, "tests/test_a.c", c_test },
        { "c", "src/main.c", "int main(void)\n{\n    return 0;\n}\n", "int two(void);\nint main(void)\n{\n    return two();\n}\n",
          "undefined reference to `two'", "src/one.c", c_one, "tests/test_a.c", c_test },
        { "c-meson", "src/main.c", "int one(void);\nint main(void)\n{\n    return one() - 1;\n}\n", "int main(void)\n{\n    return 0\n}\n",
          "src/main.c:3:13: error:", "src/one.c", c_one, "tests/test_a.c", c_test },
        { "python", "cli.py", "import units\n", "def main(:\n", "cli.py:1: SyntaxError: ", "units.py", "ONE = 1\n",
          "tests/test_a.py", "import unittest, units\nclass A(unittest.TestCase):\n    def test_a(self): self.assertEqual(units.ONE, 1)\n" },
        { "python", "cli.py", "raise SystemExit(1) # read, not run\n", "\x01\xff", "cli.py:1: ", "units.py", "ONE = 1\n",
          "tests/test_a.py", "import unittest, units\nclass A(unittest.TestCase):\n    def test_a(self): self.assertEqual(units.ONE, 1)\n" },
        { "python-pytest", "cli.py", "import units\n", "if True:\n    pass\nreturn 1\n", "cli.py:3: SyntaxError: 'return' outside function",
          "units.py", "ONE = 1\n", "tests/test_a.py", "import units\ndef test_a(): assert units.ONE == 1\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage st = stage_make(state, cases[i].stack);
        struct suite_options counting = { .flags = SUITE_COVERAGE };
        struct oid bad = scaffolded(&st, PAIRS(cases[i].path, cases[i].bad, cases[i].library, cases[i].library_text,
                                               cases[i].test, cases[i].test_text));
        struct oid good = tree_with(st.f, &bad, PAIRS(cases[i].path, cases[i].good));
        for (size_t n = 0; n < (i == 0 || i == 2 ? 2 : 1); n++) { /* C is built otherwise to count lines */
            struct suite_run run = run_with(&st, &good, n ? &counting : NULL);
            check_completed(&run);
            check_outcome(&run, STACK_BUILD_ID, TEST_PASSED, "");
            assert_int_equal(run.results.count, 2);
            assert_int_equal(run.results.tests[1].outcome, TEST_PASSED);
            run = run_with(&st, &bad, n ? &counting : NULL);
            check_completed(&run);
            check_outcome(&run, STACK_BUILD_ID, TEST_FAILED, cases[i].words);
            assert_null(strstr(found(&run, STACK_BUILD_ID)->message, "/work"));
            assert_int_equal(run.results.count, 2);
            assert_int_equal(run.results.tests[1].outcome, TEST_PASSED);
            assert_int_equal(run.broken.count, 0);
        }
        struct texts ids = { 0 };
        texts_add(&ids, st.a, "tests/test_a.c::a");
        if (i == 0)
            assert_int_equal(run_with(&st, &bad, &(struct suite_options){ .ids = &ids }).results.count, 1);
        stack_free(st.stack);
    }
}

static void tests_that_wait_for_something_absent_do_not_break_the_build(void **state)
{
    static const char *const stacks[] = { "c", "c-meson" };
    for (size_t i = 0; i < 2; i++) {
        struct stage st = stage_make(state, stacks[i]);
        struct oid tree = scaffolded(&st, PAIRS("src/main.c", "int main(void)\n{\n    return 0;\n}\n", "tests/test_gone.c",
                                                "#include \"tap.h\"\n#include \"gone.h\"\nTEST(a) { CHECK_INT(gone(1), 2); }\n"));
        struct suite_run run = run_with(&st, &tree, NULL);
        check_outcome(&run, "tests/test_gone.c", TEST_ERROR, "gone.h");
        check_outcome(&run, STACK_BUILD_ID, TEST_PASSED, "");
        stack_free(st.stack);
    }
}

static void a_broken_build_file_is_trouble(void **state)
{
    struct stage st = stage_make(state, "c-meson");
    struct oid tree = scaffolded(&st, PAIRS("meson.build", "project(", "tests/test_a.c", "#include \"tap.h\"\nTEST(a) {}\n"));
    struct suite_run run = run_with(&st, &tree, NULL);
    assert_false(run.completed);
    assert_string_equal(run.trouble, "the run was given up: meson setup failed");
    assert_non_null(strstr(run.output, "meson.build:1"));
    stack_free(st.stack);
    st = stage_make(state, "c");
    tree = scaffolded(&st, PAIRS("Makefile", "all:\n  spaces\n", "tests/test_a.c", "#include \"tap.h\"\nTEST(a) {}\n"));
    run = run_with(&st, &tree, NULL);
    check_outcome(&run, "tests/test_a.c", TEST_ERROR, "Makefile:2");
    assert_int_equal(judged(&st, &tree, &run, "tests/test_a.c").kind, FAILURE_FAULT);
    stack_free(st.stack);
}

/* ---- all ---- */

/* Code that would make a wrong answer pass. */
static void check_meddling(void **state, const char *stack, const char *const *pairs, const char *words)
{
    struct stage st = stage_make(state, stack);
    struct oid tree = scaffolded(&st, pairs);
    struct suite_run run = run_with(&st, &tree, NULL);
    assert_false(run.completed);
    if (!starts_with(run.trouble, "the code changes the test framework: ") || !strstr(run.trouble, words))
        fail_msg("\"%s\" does not name \"%s\"", run.trouble, words);
    stack_free(st.stack);
}

static void a_run_in_which_the_code_changes_the_framework_is_worth_nothing(void **state)
{
    const char *in_unittest = "import unittest\n\nimport units\n\n\nclass T(unittest.TestCase):\n    def test_f(self):\n"
                              "        self.assertEqual(units.f(), 2)\n",
               *in_pytest = "import pytest\n\nimport units\n\n\ndef test_f():\n    with pytest.raises(ValueError):\n        units.f()\n",
               *in_c = "#include \"tap.h\"\n#include \"units.h\"\n\nTEST(f_is_two)\n{\n    CHECK_INT(f(), 2);\n}\n";
    check_meddling(state, "python", (const char *const[]){ "tests/test_units.py", in_unittest, "units.py",
                   "import unittest\n\nunittest.TestCase.assertEqual = lambda *a, **k: None\n\n\ndef f():\n    return 1\n", NULL },
                   "unittest.case.TestCase.assertEqual");
    check_meddling(state, "python", (const char *const[]){ "tests/test_units.py", in_unittest, "units.py",
                   "import builtins\n\n\ndef f():\n    builtins.AssertionError = ValueError\n    return 1\n", NULL }, "builtins.AssertionError");
    check_meddling(state, "python-pytest", (const char *const[]){ "tests/test_units.py", in_pytest, "units.py",
                   "import contextlib\n\nimport pytest\n\npytest.raises = lambda *_: contextlib.suppress()\n\n\ndef f():\n    return 1\n", NULL },
                   "pytest.raises");
    check_meddling(state, "c", (const char *const[]){ "tests/test_units.c", in_c, "src/units.c", "#include \"units.h\"\n\nint f(void)\n{\n    return 1;\n}\n",
                   "src/units.h", "int f(void);\n#undef CHECK_INT\n#define CHECK_INT(a, b) ((void)0)\n", NULL }, "src/units.h:2:#undef CHECK_INT");
}

static void tests_that_the_run_changes_are_named(void **state)
{
    struct stage st = stage_make(state, "python");
    struct oid tree = scaffolded(&st, PAIRS(
        "units.py", "import os\nopen('tests/test_b.py', 'a').write('#')\nos.remove('tests/data')\nopen('notes', 'w').write('x')\n",
        "notes", "", "tests/data", "d", "tests/test_a.py", "import unittest, units\nclass A(unittest.TestCase):\n    def test_a(self): pass\n",
        "tests/test_b.py", "import unittest\nclass B(unittest.TestCase):\n    def test_b(self): open('tests/__init__.py', 'w').write('1')\n"));
    struct suite_run run = run_with(&st, &tree, NULL);
    check_completed(&run);
    assert_int_equal(run.modified.count, 3);
    assert_string_equal(run.modified.items[0], "tests/__init__.py");
    assert_string_equal(run.modified.items[1], "tests/data");
    assert_string_equal(run.modified.items[2], "tests/test_b.py");
    tree = scaffolded(&st, PAIRS("tests/test_a.py", "import unittest\nclass A(unittest.TestCase):\n"
                                 "    def test_a(self): open('tests/new', 'w').write('1')\n"));
    run = run_with(&st, &tree, NULL);
    check_outcome(&run, "tests/test_a.py::A::test_a", TEST_PASSED, "");
    assert_int_equal(run.modified.count, 0);
    stack_free(st.stack);
}

static void memory_that_was_not_set_is_the_same_in_every_run(void **state)
{
    static const char *const stacks[] = { "c", "c-meson" };
    for (size_t i = 0; i < 2; i++) {
        struct stage st = stage_make(state, stacks[i]);
        struct oid tree = scaffolded(&st, PAIRS(
            "tests/test_x.c", "#include \"tap.h\"\nTEST(pattern)\n{\n    unsigned char bytes[64];\n    volatile unsigned char *p = bytes;\n"
                              "    CHECK(p[0] != 0);\n    for (int i = 1; i < 64; i++)\n        CHECK_INT(p[i], p[0]);\n}\n"));
        struct suite_run run = run_with(&st, &tree, NULL);
        check_outcome(&run, "tests/test_x.c::pattern", TEST_PASSED, "");
        stack_free(st.stack);
    }
}

static void an_empty_project_runs_no_tests(void **state)
{
    static const char *const stacks[] = { "python", "python-pytest", "c", "c-meson" };
    for (size_t i = 0; i < 4; i++) {
        struct stage st = stage_make(state, stacks[i]);
        struct oid tree = scaffolded(&st, (const char *const[]){ NULL });
        struct suite_run run = run_with(&st, &tree, NULL);
        check_completed(&run);
        assert_int_equal(run.results.count, 1);
        check_outcome(&run, STACK_BUILD_ID, TEST_PASSED, "");
        assert_int_equal(run.broken.count, 0);
        stack_free(st.stack);
    }
}

static void covered_lines_of_production_code_are_counted(void **state)
{
    static const struct { const char *stack, *source, *text, *test, *test_text; } cases[] = {
        { "python", "units.py", "def convert(v, a):\n    if a == 'km':\n        return v * 1000\n    return v\n", "tests/test_units.py",
          "import unittest, units\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(units.convert(1, 'km'), 1000)\n" },
        { "python-pytest", "units.py", "def convert(v, a):\n    if a == 'km':\n        return v * 1000\n    return v\n", "tests/test_units.py",
          "import units\ndef test_a():\n    assert units.convert(1, 'km') == 1000\n" },
        { "c", "src/units.c", "int convert(int v, char a);\nint convert(int v, char a)\n{\n    if (a == 'k')\n        return v * 1000;\n    return v;\n}\n", "tests/test_units.c",
          "#include \"tap.h\"\nint convert(int v, char a);\nTEST(a) { CHECK_INT(convert(1, 'k'), 1000); }\n" },
        { "c-meson", "src/units.c", "int convert(int v, char a);\nint convert(int v, char a)\n{\n    if (a == 'k')\n        return v * 1000;\n    return v;\n}\n", "tests/test_units.c",
          "#include \"tap.h\"\nint convert(int v, char a);\nTEST(a) { CHECK_INT(convert(1, 'k'), 1000); }\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage st = stage_make(state, cases[i].stack);
        struct oid tree = scaffolded(&st, PAIRS(cases[i].source, cases[i].text, cases[i].test, cases[i].test_text));
        struct suite_run run = run_with(&st, &tree, &(struct suite_options){ .flags = SUITE_COVERAGE });
        check_completed(&run);
        assert_int_equal(run.results.count, 2);
        if (!run.coverage_measured)
            fail_msg("%s: not measured; output:\n%s", cases[i].stack, run.output);
        assert_int_equal(run.coverage.count, 1);
        assert_string_equal(run.coverage.files[0].path, cases[i].source);
        assert_int_equal(run.coverage.lines - run.coverage.covered, 1);
        assert_int_equal(run.coverage.files[0].missing.count, 1);
        run = run_with(&st, &tree, NULL);
        assert_false(run.coverage_measured);
        stack_free(st.stack);
    }
}

static void doctor_finds_this_machine_complete_and_names_what_another_lacks(void **state)
{
    static const char *const stacks[] = { "python", "python-pytest", "c", "c-meson" };
    const char *said;
    bool usable;
    for (size_t i = 0; i < 4; i++) {
        struct stage st = stage_make(state, stacks[i]);
        check_ok(stack_doctor(st.stack, fixture_sandbox, st.a, &said, &usable, &st.f->e), &st.f->e);
        assert_string_equal(said, "");
        assert_true(usable);
        stack_free(st.stack);
    }
    struct stage st = { .f = *state, .a = &((struct fixture *)*state)->s.arena };
    const char *text = "name: odd\nextends: python\ntools:\n- {name: cobc, package: gnucobol, check: [cobc, --version], purpose: compiles}\n"
                       "- {name: nice, package: nice-lib, check: [sh, -c, exit 1], optional: true}\n"
                       "- {name: new, package: new-lib, install: get new from its makers, check: [sh, -c, exit 1], purpose: tests}\n"
                       "suite: {argv: [cobc], results: {path: r, format: tap}}\n";
    check_ok(stack_parse(&st.stack, "odd", text, strlen(text), NULL, &st.f->e), &st.f->e);
    check_ok(stack_doctor(st.stack, fixture_sandbox, st.a, &said, &usable, &st.f->e), &st.f->e);
    assert_string_equal(said, "cobc is missing (compiles): apt-get install gnucobol\n"
                              "nice is missing; tests run without it: apt-get install nice-lib\n"
                              "new is missing (tests): get new from its makers");
    assert_false(usable);
    struct oid tree = scaffolded(&st, (const char *const[]){ NULL });
    struct suite_run run;
    check_err(stack_run(st.stack, fixture_sandbox, st.f->r, &tree, NULL, st.a, &run, &st.f->e), ERR_UNAVAILABLE, &st.f->e,
              "cobc is missing: apt-get install gnucobol");
    stack_free(st.stack);
}

static void a_cancelled_run_says_so(void **state)
{
    struct stage st = stage_make(state, "python");
    atomic_bool cancel = true;
    struct suite_run run;
    struct oid tree = scaffolded(&st, PAIRS("tests/test_x.py", "import time\ntime.sleep(60)\n"));
    check_err(stack_run(st.stack, fixture_sandbox, st.f->r, &tree, &(struct suite_options){ .cancel = &cancel }, st.a, &run, &st.f->e),
              ERR_CANCELLED, &st.f->e, "stopped");
    stack_free(st.stack);
}

static void contents_decide_between_stacks(void **state)
{
    struct stage st = stage_make(state, "python");
    static const struct { const char *path, *text, *wanted; } cases[] = {
        { "tests/test_x.py", "import unittest\nclass T(unittest.TestCase): pass\n", "python" },
        { "tests/test_x.py", "def test_a():\n    assert True\n", "python-pytest" },
        { "pyproject.toml", "[tool.pytest.ini_options]\n", "python-pytest" },
        { "meson.build", "project('x', 'c')\n", "c-meson" },
        { "Makefile", "all:\n\t$(CC) -o x x.c\n", "c" },
        { "Makefile", "doc:\n\tsphinx\n", NULL },
        { "package.json", "{\n  \"scripts\": { \"test\": \"node --test\" }\n}\n", "javascript" },
        { "lib/x.test.mjs", "import { test } from 'node:test';\n", "javascript" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct oid empty = { "" }, id = TREE(st.f, &empty, cases[i].path, cases[i].text);
        struct tree t;
        const char *name;
        check_ok(repo_tree(st.f->r, st.a, &id, &t, &st.f->e), &st.f->e);
        check_ok(stack_detect(st.a, NULL, st.f->r, &t, &name, &st.f->e), &st.f->e);
        if ((name == NULL) != (cases[i].wanted == NULL) || (name && strcmp(name, cases[i].wanted)))
            fail_msg("%s with \"%s\" is %s", cases[i].path, cases[i].text, name ? name : "none");
    }
    stack_free(st.stack);
}

static void scaffolds_are_recognised_as_their_own_stack(void **state)
{
    static const char *const stacks[] = { "python", "python-pytest", "c", "c-meson" };
    for (size_t i = 0; i < 4; i++) {
        struct stage st = stage_make(state, stacks[i]);
        struct oid id = scaffolded(&st, (const char *const[]){ NULL });
        struct tree t;
        const char *name;
        check_ok(repo_tree(st.f->r, st.a, &id, &t, &st.f->e), &st.f->e);
        check_ok(stack_detect(st.a, NULL, st.f->r, &t, &name, &st.f->e), &st.f->e);
        assert_non_null(name);
        assert_string_equal(name, stacks[i]);
        stack_free(st.stack);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_repo(python_outcomes_and_their_meaning_are_told_apart),
        with_repo(the_same_tree_gives_the_same_bytes),
        with_repo(a_failure_is_told_by_the_projects_frames_what_was_printed_and_the_exception),
        with_repo(a_run_that_breaks_off_is_not_complete),
        with_repo(limits_are_named_when_they_are_hit),
        with_repo(a_test_that_hangs_fails_alone),
        with_repo(named_tests_run_alone),
        with_repo(pytest_outcomes_are_read),
        with_repo(c_outcomes_and_their_meaning_are_told_apart),
        with_repo(production_code_that_does_not_build_breaks_every_test_with_its_diagnostics),
        with_repo(what_no_test_reaches_has_to_build_too),
        with_repo(tests_that_wait_for_something_absent_do_not_break_the_build),
        with_repo(a_broken_build_file_is_trouble),
        with_repo(a_run_in_which_the_code_changes_the_framework_is_worth_nothing),
        with_repo(tests_that_the_run_changes_are_named),
        with_repo(memory_that_was_not_set_is_the_same_in_every_run),
        with_repo(an_empty_project_runs_no_tests),
        with_repo(covered_lines_of_production_code_are_counted),
        with_repo(doctor_finds_this_machine_complete_and_names_what_another_lacks),
        with_repo(a_cancelled_run_says_so),
        with_repo(contents_decide_between_stacks),
        with_repo(scaffolds_are_recognised_as_their_own_stack),
    };
    return cmocka_run_group_tests(tests, fixture_open_sandbox, fixture_close_sandbox);
}
