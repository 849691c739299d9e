/* Dependencies: installed once, kept by what they come from, seen read-only. */
#include "git_fixture.h"

#include "base/str.h"
#include "os/files.h"
#include "repo/stack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Installs by writing what the lock file says, and who could be seen meanwhile. */
static const char own_stack[] =
    "name: own\nextends: python\nprepare:\n  lock: [deps.lock]\n  reads: [about]\n  vendored: ['parts/**']\n"
    "  run: [sh, -c, 'mkdir {out}/lib && cat deps.lock parts/* >{out}/lib/text && find . -type f | sort >{out}/seen && "
    "readlink /proc/self/ns/net >{out}/net && echo installed']\n"
    "  online: [sh, -c, 'mkdir {out}/lib && echo online >{out}/lib/text && readlink /proc/self/ns/net >{out}/net']\n"
    "  env: ['LIB={prepared}/lib', 'ALL={prepared}']\n";

/* Fails unless the dependency is there, as it should be, and cannot be changed. */
static const char own_test[] =
    "import os\nimport unittest\n\n\nclass Dependency(unittest.TestCase):\n    def test_text(self):\n"
    "        with open(os.environ['LIB'] + '/text') as f:\n            self.assertEqual(f.read(), 'lock part')\n"
    "        with self.assertRaises(OSError):\n            open(os.environ['LIB'] + '/more', 'w')\n";

struct stage {
    struct fixture *f;
    struct stack *stack;
    struct sandbox *sandbox;
    struct stack_prepare_options prepare;
    struct suite_options options;
};

static void open_stage(struct stage *st, void **state, const char *text)
{
    *st = (struct stage){ .f = *state };
    st->prepare = (struct stack_prepare_options){ .cache = scratch_path(&st->f->s, "cache"), .may_write = true,
                                                  .limits = sandbox_default_limits, .cache_mib = 100 };
    st->options.prepare = &st->prepare;
    const char *name = text ? "own" : "python";
    if (text)
        check_ok(stack_parse(&st->stack, name, text, strlen(text), NULL, &st->f->e), &st->f->e);
    else
        check_ok(stack_load(&st->stack, name, NULL, &st->f->e), &st->f->e);
    check_ok(sandbox_open(&st->sandbox, SANDBOX_BWRAP, NULL, &st->f->e), &st->f->e);
}

static void close_stage(struct stage *st)
{
    sandbox_free(st->sandbox);
    stack_free(st->stack);
}

/* As a new process finds it. */
static void another_process(struct stage *st)
{
    sandbox_free(st->sandbox);
    check_ok(sandbox_open(&st->sandbox, SANDBOX_BWRAP, NULL, &st->f->e), &st->f->e);
}

static struct suite_run run_on(struct stage *st, const struct oid *tree)
{
    struct suite_run run;
    check_ok(stack_run(st->stack, st->sandbox, st->f->r, tree, &st->options, &st->f->s.arena, &run, &st->f->e), &st->f->e);
    return run;
}

static struct oid tree_of(struct stage *st, const char *lock)
{
    return TREE(st->f, &(struct oid){ "" }, "deps.lock", lock, "parts/a", "part", "other.py", "x = 1\n", "tests/__init__.py", "",
                "tests/test_dep.py", own_test);
}

static void check_passed(const struct suite_run *run, const char *id)
{
    const struct test_result *t = results_find(&run->results, id);
    if (!t || t->outcome != TEST_PASSED)
        fail_msg("%s: %s\n%s\n%s", id, t ? t->message : "not run", run->trouble, run->output);
}

static const char *cached(struct stage *st)
{
    return scratch_sh(&st->f->s, "ls cache 2>/dev/null | wc -l");
}

static void dependencies_are_installed_once_and_seen_by_the_tests(void **state)
{
    struct stage st;
    open_stage(&st, state, own_stack);
    struct oid tree = tree_of(&st, "lock ");
    struct suite_run first = run_on(&st, &tree);
    check_passed(&first, "tests/test_dep.py::Dependency::test_text");
    assert_true(first.prepared.ran);
    assert_false(first.prepared.network);
    assert_string_equal(first.prepared.output, "installed\n");
    struct suite_run second = run_on(&st, &tree);
    check_passed(&second, "tests/test_dep.py::Dependency::test_text");
    assert_false(second.prepared.ran);
    another_process(&st);
    struct suite_run third = run_on(&st, &tree);
    check_passed(&third, "tests/test_dep.py::Dependency::test_text");
    assert_false(third.prepared.ran);
    assert_string_equal(third.prepared.digest, first.prepared.digest);
    assert_string_equal(cached(&st), "1");
    close_stage(&st);
}

static void the_digest_is_of_what_the_command_can_see(void **state)
{
    struct stage st;
    open_stage(&st, state, own_stack);
    struct oid tree = tree_of(&st, "lock "), changed, other, about;
    struct suite_run first = run_on(&st, &tree);
    assert_string_equal(scratch_sh(&st.f->s, "cat cache/*/seen"), "./deps.lock\n./parts/a");
    other = TREE(st.f, &tree, "other.py", "x = 2\n");
    assert_string_equal(run_on(&st, &other).prepared.digest, first.prepared.digest);
    changed = TREE(st.f, &tree, "parts/a", "else");
    struct suite_run second = run_on(&st, &changed);
    assert_true(second.prepared.ran);
    assert_string_not_equal(second.prepared.digest, first.prepared.digest);
    assert_int_equal(results_find(&second.results, "tests/test_dep.py::Dependency::test_text")->outcome, TEST_FAILED);
    about = TREE(st.f, &tree, "about", "x");
    struct suite_run third = run_on(&st, &about);
    assert_string_not_equal(third.prepared.digest, first.prepared.digest);
    assert_non_null(strstr(scratch_sh(&st.f->s, "cat cache/*/seen"), "./about"));
    assert_string_equal(cached(&st), "3");
    close_stage(&st);
}

/* The version is what is printed, by whatever command. */
static void what_installs_has_a_version_of_its_own(void **state)
{
    static const char *const versions[] = { "[echo, one]", "[printf, 'one\\n']", "[echo, two]", "[nowhere-to-be-found]" };
    const char *digests[4];
    for (size_t i = 0; i < 4; i++) {
        struct stage st;
        const char *text = arena_printf(&((struct fixture *)*state)->s.arena, "%s  version: %s\n", own_stack, versions[i]);
        open_stage(&st, state, text);
        struct oid tree = tree_of(&st, "lock ");
        struct suite_run run = run_on(&st, &tree);
        check_passed(&run, "tests/test_dep.py::Dependency::test_text");
        assert_int_equal(run.prepared.ran, i != 1);
        digests[i] = run.prepared.digest;
        close_stage(&st);
    }
    assert_string_equal(digests[0], digests[1]);
    assert_string_not_equal(digests[0], digests[2]);
    assert_string_not_equal(digests[0], digests[3]);
}

static void without_a_lock_file_nothing_is_done(void **state)
{
    struct stage st;
    open_stage(&st, state, own_stack);
    struct oid tree = tree_of(&st, "lock "), bare = TREE(st.f, &tree, "deps.lock", NULL), unvendored = TREE(st.f, &tree, "parts/a", NULL);
    assert_string_equal(run_on(&st, &bare).prepared.digest, "");
    assert_string_equal(run_on(&st, &unvendored).prepared.digest, "");
    bare = TREE(st.f, &bare, "about", "x");
    assert_string_equal(run_on(&st, &bare).prepared.digest, "");
    assert_string_equal(cached(&st), "0");
    close_stage(&st);
}

static void the_network_is_used_only_when_it_is_allowed(void **state)
{
    struct stage st;
    open_stage(&st, state, own_stack);
    const char *host = scratch_sh(&st.f->s, "readlink /proc/self/ns/net");
    struct oid tree = tree_of(&st, "lock ");
    run_on(&st, &tree);
    assert_string_not_equal(scratch_sh(&st.f->s, "cat cache/*/net"), host);
    scratch_sh(&st.f->s, "rm -r cache");
    st.prepare.network = true;
    struct suite_run run = run_on(&st, &tree);
    assert_true(run.prepared.network);
    assert_string_equal(scratch_sh(&st.f->s, "cat cache/*/net"), host);
    assert_string_equal(scratch_sh(&st.f->s, "cat cache/*/lib/text"), "online");
    close_stage(&st);
}

static void an_installation_that_fails_is_trouble_and_is_not_kept(void **state)
{
    struct stage st;
    open_stage(&st, state, "name: own\nextends: python\nprepare:\n  lock: [deps.lock]\n  run: [sh, -c, 'echo not there >&2; exit 3']\n");
    struct oid tree = tree_of(&st, "lock ");
    for (int i = 0; i < 2; i++) {
        struct suite_run run = run_on(&st, &tree);
        assert_false(run.completed);
        assert_true(run.prepared.ran);
        assert_string_equal(run.trouble, "the dependencies cannot be installed: the command ended with status 3");
        assert_string_equal(run.output, "not there\n");
    }
    assert_string_equal(cached(&st), "0");
    close_stage(&st);
}

static void an_installation_has_limits_of_its_own(void **state)
{
    struct stage st;
    open_stage(&st, state, "name: own\nextends: python\nprepare:\n  lock: [deps.lock]\n  run: [sh, -c, 'sleep 60']\n");
    st.prepare.limits.timeout_ms = 500;
    struct oid tree = tree_of(&st, "lock ");
    struct suite_run run = run_on(&st, &tree);
    assert_true(run.limit_hit);
    assert_string_equal(run.trouble, "the dependencies cannot be installed: It took longer than 0.5 seconds.");
    close_stage(&st);
}

static void the_cache_survives_a_dead_writer_and_is_left_alone_by_readers(void **state)
{
    struct stage st;
    open_stage(&st, state, own_stack);
    struct oid tree = tree_of(&st, "lock ");
    st.prepare.may_write = false;
    assert_true(run_on(&st, &tree).prepared.ran);
    assert_string_equal(cached(&st), "0");
    another_process(&st);
    st.prepare.may_write = true;
    const char *digest = run_on(&st, &tree).prepared.digest;
    /* As if killed in the middle of keeping this one and another. */
    scratch_sh(&st.f->s, arena_printf(&st.f->s.arena, "mv cache/%s cache/half-%s; rm cache/*/lib/text; mkdir -p cache/half-x/y", digest, digest));
    another_process(&st);
    struct suite_run run = run_on(&st, &tree);
    assert_true(run.prepared.ran);
    check_passed(&run, "tests/test_dep.py::Dependency::test_text");
    assert_string_equal(scratch_sh(&st.f->s, "ls cache"), digest);
    close_stage(&st);
}

/* Two results in a cache that holds one; *ret_first is the older. */
static void fill_cache(struct stage *st, struct oid *ret_second, const char **ret_first)
{
    st->prepare.cache_mib = 1;
    struct oid one = tree_of(st, "1");
    *ret_second = tree_of(st, "2");
    *ret_first = run_on(st, &one).prepared.digest;
    scratch_sh(&st->f->s, arena_printf(&st->f->s.arena, "touch -d '1 day ago' cache/%s", *ret_first));
}
static const char big_stack[] = "name: own\nextends: python\nprepare:\n  lock: [deps.lock]\n"
                                "  run: [sh, -c, 'head -c 700000 /dev/zero >{out}/big']\n";

static void the_cache_has_a_size(void **state)
{
    struct stage st;
    struct oid one, two;
    const char *first;
    open_stage(&st, state, big_stack);
    fill_cache(&st, &two, &first);
    const char *second = run_on(&st, &two).prepared.digest;
    assert_string_equal(scratch_sh(&st.f->s, "ls cache"), second);
    /* Gone from the cache, and still on the shelf. */
    one = tree_of(&st, "1");
    assert_false(run_on(&st, &one).prepared.ran);
    close_stage(&st);
}

static void what_is_being_copied_stays_in_the_cache(void **state)
{
    struct stage st;
    struct oid two;
    const char *first;
    open_stage(&st, state, big_stack);
    fill_cache(&st, &two, &first);
    int fd = open(arena_printf(&st.f->s.arena, "%s/cache/%s", st.f->s.path, first), O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(fd, LOCK_SH), 0);
    run_on(&st, &two);
    assert_string_equal(cached(&st), "2");
    close(fd);
    close_stage(&st);
}

/* In a process that is killed meanwhile. */
static int run_second(const char *dir)
{
    struct fixture f;
    struct stage st;
    void *state = &f;
    fixture_resume(&f, dir);
    open_stage(&st, &state, big_stack);
    st.prepare.cache_mib = 1;
    struct oid two = tree_of(&st, "2");
    run_on(&st, &two);
    close_stage(&st);
    return 0;
}

static void a_kill_while_one_is_removed_leaves_no_part_of_it_to_be_used(void **state)
{
#ifndef TANDEM_FAILPOINTS
    (void)state;
    skip();
#else
    struct stage st;
    struct oid one, two;
    const char *first;
    open_stage(&st, state, big_stack);
    fill_cache(&st, &two, &first);
    fixture_killed_at(st.f, "prepare.emptied", "second");
    another_process(&st);
    one = tree_of(&st, "1");
    assert_true(run_on(&st, &one).prepared.ran);
    close_stage(&st);
#endif
}

static void a_wrong_prepare_is_refused_with_its_place(void **state)
{
    struct fixture *f = *state;
    struct stack *s;
    const char *no_lock = "name: own\nextends: python\nprepare:\n  run: [\"true\"]\n";
    check_err(stack_parse(&s, "own", no_lock, strlen(no_lock), NULL, &f->e), ERR_INVALID, &f->e, "stacks/own.yaml:3: prepare names no lock file");
    const char *wrong_env = "name: own\nextends: python\nprepare:\n  lock: [x]\n  run: [\"true\"]\n  env: [LIB]\n";
    check_err(stack_parse(&s, "own", wrong_env, strlen(wrong_env), NULL, &f->e), ERR_INVALID, &f->e, "must be NAME=value");
}

/* A wheel is a zip file with a list of what is in it. */
static const char make_wheel[] =
    "/usr/bin/python3 - <<'E'\nimport zipfile\n"
    "with zipfile.ZipFile('tiny-1.0-py3-none-any.whl', 'w') as z:\n"
    "    z.writestr('tiny.py', 'def answer():\\n    return 42\\n')\n"
    "    z.writestr('tiny-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n')\n"
    "    z.writestr('tiny-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
    "    z.writestr('tiny-1.0.dist-info/RECORD', 'tiny.py,,\\ntiny-1.0.dist-info/METADATA,,\\ntiny-1.0.dist-info/WHEEL,,\\n'\n"
    "               'tiny-1.0.dist-info/RECORD,,\\n')\nE\n";

static struct oid with_wheel(struct stage *st)
{
    STR_LOCAL(wheel);
    struct oid tree, base = TREE(st->f, &(struct oid){ "" }, "tests/__init__.py", "", "tests/test_tiny.py",
        "import unittest\n\nimport tiny\n\n\nclass Tiny(unittest.TestCase):\n    def test_answer(self):\n"
        "        self.assertEqual(tiny.answer(), 42)\n", "requirements.txt", "tiny==1.0\n");
    scratch_sh(&st->f->s, make_wheel);
    check_ok(file_read_path(scratch_path(&st->f->s, "tiny-1.0-py3-none-any.whl"), 1 << 20, &wheel, &st->f->e), &st->f->e);
    struct tree_change change = { "vendor/tiny-1.0-py3-none-any.whl", wheel.data, wheel.len, false };
    check_ok(repo_write_tree(st->f->r, &base, &change, 1, &tree, &st->f->e), &st->f->e);
    return tree;
}

static void pip_installs_vendored_wheels_without_network(void **state)
{
    if (access("/usr/lib/python3/dist-packages/pip", R_OK) != 0)
        skip(); /* python3-pip is not installed */
    struct stage st;
    open_stage(&st, state, NULL);
    struct oid tree = with_wheel(&st);
    struct suite_run run = run_on(&st, &tree);
    check_passed(&run, "tests/test_tiny.py::Tiny::test_answer");
    assert_true(run.prepared.ran);
    assert_false(run_on(&st, &tree).prepared.ran);
    struct oid wrong = TREE(st.f, &tree, "requirements.txt", "tiny==2.0\n");
    run = run_on(&st, &wrong);
    assert_string_equal(run.trouble, "the dependencies cannot be installed: the command ended with status 1");
    assert_non_null(strstr(run.output, "tiny==2.0"));
    close_stage(&st);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return run_second(argv[2]);
    const struct CMUnitTest tests[] = {
        with_repo(dependencies_are_installed_once_and_seen_by_the_tests),
        with_repo(the_digest_is_of_what_the_command_can_see),
        with_repo(what_installs_has_a_version_of_its_own),
        with_repo(without_a_lock_file_nothing_is_done),
        with_repo(the_network_is_used_only_when_it_is_allowed),
        with_repo(an_installation_that_fails_is_trouble_and_is_not_kept),
        with_repo(an_installation_has_limits_of_its_own),
        with_repo(the_cache_survives_a_dead_writer_and_is_left_alone_by_readers),
        with_repo(the_cache_has_a_size),
        with_repo(what_is_being_copied_stays_in_the_cache),
        with_repo(a_kill_while_one_is_removed_leaves_no_part_of_it_to_be_used),
        with_repo(a_wrong_prepare_is_refused_with_its_place),
        with_repo(pip_installs_vendored_wheels_without_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
