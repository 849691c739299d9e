/* JavaScript suites in the real sandbox with the real Node.js; skipped where that is missing. */
#include "check.h"
#include "git_fixture.h"
#include "stack_stage.h"

#include "base/str.h"
#include "os/files.h"
#include "os/share.h"
#include "repo/stack.h"

/* Our stack, with `seconds` for each test; skips the test where it cannot be used. */
static struct stage stage_make(void **state, int seconds)
{
    struct stage st = { .f = *state, .a = &((struct fixture *)*state)->s.arena };
    const char *text, *lacks;
    size_t len;
    bool usable;
    check_ok(share_read(st.a, "stacks/javascript.yaml", NULL, &text, &len, &st.f->e), &st.f->e);
    const char *at = strstr(text, "seconds: 10");
    assert_non_null(at);
    text = arena_printf(st.a, "%.*sseconds: %d%s", (int)(at - text), text, seconds, at + strlen("seconds: 10"));
    check_ok(stack_parse(&st.stack, "javascript", text, strlen(text), NULL, &st.f->e), &st.f->e);
    check_ok(stack_doctor(st.stack, fixture_sandbox, st.a, &lacks, &usable, &st.f->e), &st.f->e);
    if (usable)
        return st;
    stack_free(st.stack);
    print_message("%s\n", lacks);
    skip();
    return st;
}

static void check_kind(struct stage *st, const struct oid *tree, const struct suite_run *run, const char *id, enum failure_kind kind, const char *absent)
{
    struct failure f = judged(st, tree, run, id);
    if (f.kind != (int)kind || (*absent && !(f.absent.count == 1 && streq(f.absent.items[0], absent))))
        fail_msg("%s: %s (%s), not %s of \"%s\":\n%s", id, failure_kind_names[f.kind], f.reason, failure_kind_names[kind], absent, found(run, id)->message);
}

static const char units_js[] = "export function convert(v, a) {\n  if (a === 'km') {\n    return v * 1000;\n  }\n  throw new RangeError(`unknown unit ${a}`);\n}\n\n"
                               "export class Table {\n  add(row) {\n    return row;\n  }\n}\n";
#define IMPORTS "import assert from 'node:assert/strict';\nimport { describe, it, test } from 'node:test';\n"
#define UNITS "tests/units.test.js"

/* ---- outcomes ---- */

static void outcomes_and_their_meaning_are_told_apart(void **state)
{
    struct stage st = stage_make(state, 10);
    struct oid tree = scaffolded(&st, PAIRS(
        "src/units.js", units_js,
        UNITS, IMPORTS "import * as units from '../src/units.js';\n"
        "test('km', () => {\n  console.log('ok 1 - forged');\n  assert.equal(units.convert(1, 'km'), 1000);\n});\n"
        "test('wrong # 1', () => {\n  console.log('seen');\n  assert.deepEqual({ a: units.convert(1, 'km') }, { a: 1001 });\n});\n"
        "test('raises', () => {\n  units.convert(1, 'ft');\n});\n"
        "test('absent', () => {\n  units.parse('1 km');\n});\n"
        "test('absent method', () => {\n  const t = new units.Table();\n  t.remove(1);\n});\n"
        "test('exits', () => {\n  process.exit(0);\n});\n"
        "test('typo', () => {\n  conver(1);\n});\n"
        "test('skipped', { skip: 'later' }, () => {});\n"
        "test('parts', async (t) => {\n  await t.test('one', () => {});\n  await t.test('two', () => assert.equal(1, 2));\n});\n"
        "test('throws text', () => {\n  throw 'text';\n});\n"
        "test('leaves a timer', () => {\n  setInterval(() => {}, 1000);\n});\n"
        "test('twice', () => {});\ntest('twice', () => assert.ok(false));\n"
        "describe('a suite', () => {\n  it('passes', () => {});\n  describe('in it', () => {\n    it('fails', () => assert.ok(false));\n  });\n});\n",
        "tests/gone.test.js", IMPORTS "import { gone } from '../src/gone.js';\ntest('a', () => gone());\n",
        "tests/export.test.js", IMPORTS "import { convert, parse } from '../src/units.js';\ntest('a', () => convert(parse()));\n",
        "tests/syntax.test.js", IMPORTS "test('a', () => {\n  assert.equal(1, ;\n});\n",
        "tests/quits.test.js", "process.exit(0);\n",
        "tests/package.test.js", "import x from 'left-pad';\n",
        "tests/empty.test.js", "import http from 'node:http';\nhttp.createServer();\n",
        "tests/slow.test.js", IMPORTS "await test('first', async () => {});\nawait new Promise((go) => setTimeout(go, 20));\n"
        "test('second', () => {});\nsetInterval(() => {}, 10);\n",
        "tests/old.test.cjs", "const { test } = require('node:test');\nconst assert = require('node:assert');\ntest('b', () => assert.equal(1, 1));\n"));
    struct suite_run run = run_with(&st, &tree, NULL);
    check_completed(&run);
    assert_string_equal(run.results.incomplete, "");
    check_outcome(&run, UNITS "::km", TEST_PASSED, "");
    check_outcome(&run, UNITS "::wrong # 1", TEST_FAILED, "+   a: 1000\n");
    check_outcome(&run, UNITS "::wrong # 1", TEST_FAILED, "\n    at tests/units.test.js:10\n| seen");
    check_outcome(&run, UNITS "::raises", TEST_FAILED, "RangeError: unknown unit ft\n    at convert (src/units.js:5)\n    at tests/units.test.js:13");
    check_outcome(&run, UNITS "::absent", TEST_FAILED, "units.parse is not a function (units is src/units.js)");
    check_outcome(&run, UNITS "::exits", TEST_FAILED, "process.exit(0) was called");
    check_outcome(&run, UNITS "::skipped", TEST_SKIPPED, "later");
    check_outcome(&run, UNITS "::parts", TEST_FAILED, "1 !== 2");
    check_outcome(&run, UNITS "::throws text", TEST_FAILED, "Thrown: text");
    check_outcome(&run, UNITS "::leaves a timer", TEST_PASSED, "");
    check_outcome(&run, UNITS "::twice", TEST_FAILED, "assert.ok(false)");
    check_outcome(&run, "tests/slow.test.js::first", TEST_PASSED, "");
    check_outcome(&run, "tests/slow.test.js::second", TEST_PASSED, "");
    check_outcome(&run, UNITS "::a suite::passes", TEST_PASSED, "");
    check_outcome(&run, UNITS "::a suite::in it::fails", TEST_FAILED, "AssertionError");
    check_outcome(&run, "tests/old.test.cjs::b", TEST_PASSED, "");
    check_outcome(&run, "tests/syntax.test.js", TEST_ERROR, "tests/syntax.test.js:4: SyntaxError: Unexpected token ';'");
    check_outcome(&run, "tests/quits.test.js", TEST_ERROR, "process.exit(0) was called");
    assert_int_equal(run.broken.count, 5);
    assert_non_null(strstr(run.output, "ok 1 - forged"));

    check_kind(&st, &tree, &run, UNITS "::wrong # 1", FAILURE_ASSERTION, "");
    check_kind(&st, &tree, &run, UNITS "::raises", FAILURE_ERROR, "");
    check_kind(&st, &tree, &run, UNITS "::absent", FAILURE_ABSENCE, "parse in src/units.js");
    check_kind(&st, &tree, &run, UNITS "::absent method", FAILURE_ABSENCE, "Table.remove");
    check_kind(&st, &tree, &run, UNITS "::exits", FAILURE_EXCEPTION, "");
    check_kind(&st, &tree, &run, UNITS "::typo", FAILURE_FAULT, "");
    check_kind(&st, &tree, &run, "tests/gone.test.js", FAILURE_ABSENCE, "src/gone.js");
    check_kind(&st, &tree, &run, "tests/export.test.js", FAILURE_ABSENCE, "parse in src/units.js");
    check_kind(&st, &tree, &run, "tests/syntax.test.js", FAILURE_FAULT, "");
    check_kind(&st, &tree, &run, "tests/package.test.js", FAILURE_FAULT, "");
    stack_free(st.stack);
}

static void the_same_tree_gives_the_same_bytes(void **state)
{
    struct stage st = stage_make(state, 10);
    struct oid tree = scaffolded(&st, PAIRS("src/units.js", units_js, UNITS,
        IMPORTS "import fs from 'node:fs';\nimport os from 'node:os';\nimport path from 'node:path';\n"
        "test('folder', () => {\n  assert.equal(fs.mkdtempSync(path.join(os.tmpdir(), 'words-')), '');\n});\n"
        "test('stack', () => {\n  console.error(new Error('x').stack);\n  assert.equal(import.meta.url, '');\n});\n"));
    struct suite_run one = run_with(&st, &tree, NULL), two = run_with(&st, &tree, NULL);
    assert_string_equal(one.output, two.output);
    assert_int_equal(one.results.count, 3);
    for (size_t n = 0; n < one.results.count; n++) {
        assert_string_equal(one.results.tests[n].message, two.results.tests[n].message);
        assert_null(strstr(one.results.tests[n].message, "/work"));
    }
    stack_free(st.stack);
}

static void tests_that_do_not_end_fail_alone(void **state)
{
    struct stage st = stage_make(state, 2);
    struct oid tree = scaffolded(&st, PAIRS(UNITS, IMPORTS
        "test('a', () => {});\n"
        "test('loops', () => {\n  for (;;) ;\n});\n"
        "test('waits', () => new Promise(() => {}));\n"
        "test('waits for a timer', () => new Promise(() => setInterval(() => {}, 10)));\n"
        "describe('a suite', () => {\n  it('kills', () => process.kill(process.pid, 'SIGKILL'));\n  it('b', () => {});\n});\n"
        "test('ends all', () => process.reallyExit(0));\n"
        "test('z', () => {});\n",
        "tests/loads.test.js", "for (;;) ;\n", "tests/never.test.js", "await new Promise(() => {});\n",
        "tests/hook.test.js", IMPORTS "import { before } from 'node:test';\nbefore(() => new Promise(() => setInterval(() => {}, 10)));\ntest('a', () => {});\n"));
    struct suite_run run = run_with(&st, &tree, NULL);
    check_completed(&run);
    assert_int_equal(run.results.count, 12);
    static const char *const good[] = { "a", "a suite::b", "z" };
    for (size_t i = 0; i < 3; i++)
        check_outcome(&run, arena_printf(st.a, UNITS "::%s", good[i]), TEST_PASSED, "");
    static const struct { const char *id, *words; } bad[] = {
        { UNITS "::loops", "still running after 2 seconds; probably a loop that does not end" },
        { UNITS "::waits", "TimeUp: waiting for something that never comes" },
        { UNITS "::waits for a timer", "TimeUp: still running after 2 seconds" },
        { UNITS "::a suite::kills", "EndOfProcess: the process ended with signal SIGKILL" },
        { UNITS "::ends all", "EndOfProcess: the process ended with status 0" },
        { "tests/loads.test.js", "TimeUp: still running while the file was loaded after 6 seconds" },
        { "tests/never.test.js", "TimeUp: waiting while the file was loaded" },
        { "tests/hook.test.js", "TimeUp: still running between the tests" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check_outcome(&run, bad[i].id, strstr(bad[i].id, "::") ? TEST_FAILED : TEST_ERROR, bad[i].words);
        check_kind(&st, &tree, &run, bad[i].id, FAILURE_EXCEPTION, "");
    }
    stack_free(st.stack);
}

static void named_tests_run_alone(void **state)
{
    struct stage st = stage_make(state, 10);
    struct oid tree = scaffolded(&st, PAIRS(UNITS, IMPORTS
        "test('a', () => {});\ntest('b', () => {\n  console.log('ran b');\n});\n"
        "describe('s', () => {\n  it('c', async (t) => {\n    await t.test('part', () => console.log('ran a part'));\n  });\n  it('d', () => {\n    console.log('ran d');\n  });\n});\n",
        "tests/other.test.js", "broken("));
    const char *ids[] = { UNITS "::a", UNITS "::s::c" };
    struct texts wanted = { ids, 2 };
    struct suite_run run = run_with(&st, &tree, &(struct suite_options){ .ids = &wanted });
    check_completed(&run);
    assert_int_equal(run.results.count, 2);
    check_outcome(&run, ids[0], TEST_PASSED, "");
    check_outcome(&run, ids[1], TEST_PASSED, "");
    assert_string_equal(run.output, "ran a part\n");
    stack_free(st.stack);
}

static void a_run_that_breaks_off_is_not_complete(void **state)
{
    struct stage st = stage_make(state, 10);
    static const struct { const char *body, *trouble; } cases[] = {
        { "process.kill(process.ppid, 'SIGKILL')", "the test run was killed by signal 9; no plan" },
        { "fs.rmSync('/out/results.tap')", "ended with status 0 and no results" },
        { "fs.rmSync('/out/results.tap'); fs.symlinkSync('/etc/passwd', '/out/results.tap')", "cannot be read" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct oid tree = scaffolded(&st, PAIRS(UNITS, arena_printf(st.a, IMPORTS "import fs from 'node:fs';\ntest('a', () => {\n  %s;\n});\n", cases[i].body)));
        struct suite_run run = run_with(&st, &tree, NULL);
        if (run.completed || !strstr(run.trouble, cases[i].trouble))
            fail_msg("%s: trouble is \"%s\", not \"%s\"", cases[i].body, run.trouble, cases[i].trouble);
    }
    stack_free(st.stack);
}

/* ---- what surrounds the tests ---- */

static void what_no_test_reaches_has_to_load(void **state)
{
    struct stage st = stage_make(state, 10);
    struct oid good = scaffolded(&st, PAIRS(
        "src/units.js", units_js,
        "src/main.js", "#!/usr/bin/env node\nimport fs from 'node:fs';\nimport { convert } from './units.js';\nthrow new Error(convert(fs));\n",
        "src/data.js", "import pad from 'left-pad';\nimport data from './data.json' with { type: 'json' };\n",
        "src/again.js", "export { convert as default } from './units.js';\nexport * from './main.js';\nawait 1;\n",
        "src/old.cjs", "const units = require('./gone.js');\nreturn;\n",
        UNITS, IMPORTS "import { convert } from '../src/units.js';\ntest('a', () => assert.equal(convert(1, 'km'), 1000));\n",
        "tests/waits.test.js", "import '../src/later.js';\n"));
    struct suite_run run = run_with(&st, &good, NULL);
    check_completed(&run);
    check_outcome(&run, STACK_BUILD_ID, TEST_PASSED, "");
    check_outcome(&run, UNITS "::a", TEST_PASSED, "");
    struct oid bad = tree_with(st.f, &good, PAIRS(
        "src/a.js", "function main(a b) {\n}\n", "src/b.js", "import { parse } from './units.js';\n", "src/c.js", "import './gone.js';\n",
        "src/d.js", "import { gone } from 'node:fs';\n", "src/e.cjs", "const x = ;\n", "src/f.js", "import './a.js';\nimport './b.js';\n"));
    run = run_with(&st, &bad, NULL);
    check_completed(&run);
    check_outcome(&run, UNITS "::a", TEST_PASSED, "");
    static const char *const words[] = {
        "src/a.js:1: SyntaxError: ", "\n    function main(a b) {\n", "src/c.js: Error: Cannot find module 'src/gone.js' imported from src/c.js\n",
        "src/b.js: SyntaxError: The requested module './units.js' does not provide an export named 'parse'\n", "src/d.js: SyntaxError", "src/e.cjs:1: SyntaxError",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        check_outcome(&run, STACK_BUILD_ID, TEST_FAILED, words[i]);
    const char *said = found(&run, STACK_BUILD_ID)->message;
    assert_null(strstr(said, "/work"));
    assert_null(strstr(said, "src/f.js")); /* what it imports is told once, where it is */
    stack_free(st.stack);
}

static void a_run_in_which_the_code_changes_the_framework_is_worth_nothing(void **state)
{
    struct stage st = stage_make(state, 10);
    static const struct { const char *code, *words; } cases[] = {
        { "import assert from 'node:assert/strict';\nassert.equal = () => {};\n", "assert.strict.strictEqual|assert.strict.equal" },
        { "import assert from 'node:assert';\nassert.strict.equal = () => {};\n", "assert.strict.equal" },
        { "Object.is = () => true;\n", "Object.is" },
        { "import test from 'node:test';\ntest.it = () => {};\n", "test.it" },
        { "globalThis.fetch = () => {};\nconsole.log = () => {};\nprocess.exit = () => {};\nglobalThis.Date = class {};\n", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct oid tree = scaffolded(&st, PAIRS("src/units.js", arena_printf(st.a, "%sexport const f = () => 1;\n", cases[i].code), UNITS,
            IMPORTS "import { f } from '../src/units.js';\ntest('a', () => assert.equal(f(), 1));\n"));
        struct suite_run run = run_with(&st, &tree, NULL);
        bool is_named = starts_with(run.trouble, "the code changes the test framework: ") && strstr(cases[i].words, strchr(run.trouble, ':') + 2);
        if (run.completed == (*cases[i].words != '\0') || (*cases[i].words && !is_named))
            fail_msg("\"%s\" for\n%s", run.trouble, cases[i].code);
    }
    stack_free(st.stack);
}

static void tests_that_the_run_changes_are_named(void **state)
{
    struct stage st = stage_make(state, 10);
    struct oid tree = scaffolded(&st, PAIRS("tests/a.test.js", IMPORTS "import fs from 'node:fs';\ntest('a', () => {\n  fs.appendFileSync('tests/b.test.js', '//');\n});\n",
                                            "tests/b.test.js", IMPORTS "test('b', () => {});\n"));
    struct suite_run run = run_with(&st, &tree, NULL);
    check_completed(&run);
    assert_int_equal(run.modified.count, 1);
    assert_string_equal(run.modified.items[0], "tests/b.test.js");
    stack_free(st.stack);
}

static void an_empty_project_runs_no_tests(void **state)
{
    struct stage st = stage_make(state, 10);
    struct oid tree = scaffolded(&st, (const char *const[]){ NULL });
    struct suite_run run = run_with(&st, &tree, NULL);
    check_completed(&run);
    assert_int_equal(run.results.count, 1);
    check_outcome(&run, STACK_BUILD_ID, TEST_PASSED, "");
    struct tree t;
    const char *name;
    check_ok(repo_tree(st.f->r, st.a, &tree, &t, &st.f->e), &st.f->e);
    check_ok(stack_detect(st.a, NULL, st.f->r, &t, &name, &st.f->e), &st.f->e);
    assert_string_equal(name, "javascript");
    stack_free(st.stack);
}

/* ---- coverage ---- */

static const struct coverage_file *covered(const struct suite_run *run, const char *path)
{
    for (size_t i = 0; i < run->coverage.count; i++)
        if (streq(run->coverage.files[i].path, path))
            return &run->coverage.files[i];
    fail_msg("no coverage of %s; output:\n%s", path, run->output);
    return NULL;
}

static void covered_lines_of_production_code_are_counted(void **state)
{
    struct stage st = stage_make(state, 10);
    struct oid tree = scaffolded(&st, PAIRS(
        "src/units.js", "/* A comment\n   of two lines. */\nexport function convert(v, a) {\n  if (a === 'km') {\n    // far\n    return v * 1000;\n  } else {\n"
                        "    v += 1;\n\n    return v;\n  }\n}\n\nexport const twice = (n) => {\n  return 2 * n;\n};\n",
        "src/main.js", "import { convert } from './units.js';\nconsole.log(convert(1, process.argv[2]));\n", "src/unused.js", "export const one = 1;\n",
        UNITS, IMPORTS "import { convert } from '../src/units.js';\ntest('km', () => assert.equal(convert(1, 'km'), 1000));\n"));
    struct suite_run run = run_with(&st, &tree, &(struct suite_options){ .flags = SUITE_COVERAGE });
    check_completed(&run);
    assert_true(run.coverage_measured);
    assert_int_equal(run.coverage.count, 3);
    const struct coverage_file *f = covered(&run, "src/units.js");
    assert_int_equal(f->lines, 7);
    assert_int_equal(f->covered, 4);
    assert_int_equal(f->missing.count, 2);
    assert_string_equal(f->missing.items[0], "8-10");
    assert_string_equal(f->missing.items[1], "15");
    assert_int_equal(covered(&run, "src/unused.js")->covered, 0);
    /* A program that a test starts, and tests one of which is run again without the others. */
    struct oid more = tree_with(st.f, &tree, PAIRS("tests/main.test.js", IMPORTS "import { execFileSync } from 'node:child_process';\n"
        "test('prints', () => assert.equal(execFileSync('node', ['src/main.js', 'm'], { encoding: 'utf8' }), '2\\n'));\n"
        "test('waits', () => new Promise(() => {}));\n"));
    run = run_with(&st, &more, &(struct suite_options){ .flags = SUITE_COVERAGE });
    check_outcome(&run, "tests/main.test.js::prints", TEST_PASSED, "");
    assert_int_equal(covered(&run, "src/units.js")->covered, 6);
    assert_int_equal(covered(&run, "src/main.js")->covered, 2);
    run = run_with(&st, &tree, NULL);
    assert_false(run.coverage_measured);
    stack_free(st.stack);
}

/* ---- packages ---- */

/* A package as `npm pack` packs it; its path and, in *ret_digest, what a lock file says of it. */
static struct tree_change packed(struct stage *st, const char *name, const char *manifest, const char *code, const char **ret_digest)
{
    struct scratch *s = &st->f->s;
    const char *path = arena_printf(st->a, "vendor/%s-1.0.0.tgz", name);
    scratch_sh(s, arena_printf(st->a, "mkdir -p %s vendor", name));
    scratch_write(s, arena_printf(st->a, "%s/package.json", name), manifest);
    scratch_write(s, arena_printf(st->a, "%s/index.js", name), code);
    scratch_sh(s, arena_printf(st->a, "export HOME=$PWD npm_config_cache=$PWD/npm\ncd %s && npm pack --silent --offline --pack-destination ../vendor", name));
    *ret_digest = scratch_sh(s, arena_printf(st->a, "openssl dgst -sha512 -binary %s | base64 -w0", path));
    STR_LOCAL(bytes);
    check_ok(file_read_path(scratch_path(s, "%s", path), 1 << 20, &bytes, &st->f->e), &st->f->e);
    return (struct tree_change){ path, arena_strndup(st->a, bytes.data, bytes.len), bytes.len, false };
}

/* Two packages, one of which needs the other and has a script that must not run; the lock file
 * has them from a place that is not there. */
static struct oid with_packages(struct stage *st, const struct oid *base)
{
    const char *tiny, *deep;
    struct tree_change files[3] = {
        packed(st, "tiny", "{\"name\":\"tiny\",\"version\":\"1.0.0\",\"type\":\"module\",\"exports\":\"./index.js\","
               "\"dependencies\":{\"deep\":\"^1.0.0\"},\"scripts\":{\"install\":\"exit 1\"}}\n",
               "import { deep } from 'deep';\nexport const answer = () => deep() + 1;\n", &tiny),
        packed(st, "deep", "{\"name\":\"deep\",\"version\":\"1.0.0\"}\n", "exports.deep = () => 41;\n", &deep),
    };
    const char *lock = arena_printf(st->a,
        "{\"name\":\"demo\",\"lockfileVersion\":3,\"requires\":true,\"packages\":{\"\":{\"name\":\"demo\",\"dependencies\":{\"tiny\":\"^1.0.0\"}},"
        "\"node_modules/tiny\":{\"version\":\"1.0.0\",\"resolved\":\"https://packages.example.org/tiny.tgz\",\"integrity\":\"sha512-%s\","
        "\"dependencies\":{\"deep\":\"^1.0.0\"}},"
        "\"node_modules/deep\":{\"version\":\"1.0.0\",\"resolved\":\"https://packages.example.org/deep.tgz\",\"integrity\":\"sha512-%s\"}}}\n", tiny, deep);
    files[2] = (struct tree_change){ "package-lock.json", lock, strlen(lock), false };
    struct oid tree;
    check_ok(repo_write_tree(st->f->r, base, files, 3, &tree, &st->f->e), &st->f->e);
    return tree;
}

static void npm_installs_vendored_packages_without_network(void **state)
{
    struct stage st = stage_make(state, 10);
    if (streq(scratch_sh(&st.f->s, "command -v npm || true"), "")) {
        stack_free(st.stack);
        skip();
    }
    struct oid base = scaffolded(&st, PAIRS(
        "package.json", "{\"name\":\"demo\",\"type\":\"module\",\"dependencies\":{\"tiny\":\"^1.0.0\"}}\n",
        "src/main.js", "import { answer } from 'tiny';\nexport const main = answer;\n",
        UNITS, IMPORTS "import { main } from '../src/main.js';\ntest('a', () => assert.equal(main(), 42));\n"));
    struct oid tree = with_packages(&st, &base);
    struct suite_run run = run_with(&st, &tree, NULL);
    check_completed(&run);
    check_outcome(&run, UNITS "::a", TEST_PASSED, "");
    check_outcome(&run, STACK_BUILD_ID, TEST_PASSED, "");
    assert_true(run.prepared.ran);
    assert_false(run_with(&st, &tree, NULL).prepared.ran);
    struct oid wrong = tree_with(st.f, &tree, PAIRS("vendor/deep-1.0.0.tgz", NULL));
    run = run_with(&st, &wrong, NULL);
    assert_string_equal(run.trouble, "the dependencies cannot be installed: the command ended with status 1");
    assert_non_null(strstr(run.output, "deep.tgz"));
    stack_free(st.stack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_repo(outcomes_and_their_meaning_are_told_apart),
        with_repo(the_same_tree_gives_the_same_bytes),
        with_repo(tests_that_do_not_end_fail_alone),
        with_repo(named_tests_run_alone),
        with_repo(a_run_that_breaks_off_is_not_complete),
        with_repo(what_no_test_reaches_has_to_load),
        with_repo(a_run_in_which_the_code_changes_the_framework_is_worth_nothing),
        with_repo(tests_that_the_run_changes_are_named),
        with_repo(an_empty_project_runs_no_tests),
        with_repo(covered_lines_of_production_code_are_counted),
        with_repo(npm_installs_vendored_packages_without_network),
    };
    return cmocka_run_group_tests(tests, fixture_open_sandbox, fixture_close_sandbox);
}
