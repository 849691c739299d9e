/* Building on a repository that has tests of its own: failing, flaky, generated, untidy ones;
 * and branches of its own. */
#include "team_fixture.h"

#include <sys/stat.h>

static const char red[] = FILE_BLOCK("tests/test_doubling.py", "import unittest\n\nfrom doubling import double\n\n\n"
    "class DoubleTest(unittest.TestCase):\n    def test_double(self):\n        self.assertEqual(double(21), 42)\n");

#define ONE_FILE_MORE FILE_BLOCK("tests/test_a.py", "1\n") FILE_BLOCK("tests/test_b.py", "2\n") FILE_BLOCK("tests/test_c.py", "3\n")

static void one_ticket_succeeds(struct team_fixture *f)
{
    says(f, "T-1/developer/scope/1", SCOPE("doubling.py"));
    says(f, "T-1/tester/red-1/1", red);
    says(f, "T-1/developer/green-1/1", FILE_BLOCK("doubling.py", "def double(n):\n    return 2 * n\n"));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
}

#define BUILD_ON(f, ...) \
    begin_project((f), 1, one_spec, ONE_TICKET((f), "double(21) gives 42"), (const char *const[]){ __VA_ARGS__, NULL })

static void failing_tests_that_cannot_be_listed_are_not_taken_for_new_ones(void **state)
{
    struct team_fixture *f = *state;
    one_ticket_succeeds(f);
    BUILD_ON(f, "tests/test_old.py",
             "import unittest\n\n\nclass Old(unittest.TestCase):\n    pass\n\n\n"
             "for n in range(3):\n    setattr(Old, f'test_{n}', lambda self, n=n: self.assertEqual(n, 1))\n");
    run_team(f, TEAM_DONE);
    assert_int_equal(count_events(f, "red.refused"), 0);
    assert_int_equal(ticket_of(f, 1).failing.count, 2);
    assert_int_equal(ticket_criterion(&(struct ticket){ .criteria = ticket_of(f, 1).criteria }, 0)->tests.count, 1);
}

static void a_suite_that_rewrites_its_own_files_is_let_be(void **state)
{
    struct team_fixture *f = *state;
    one_ticket_succeeds(f);
    BUILD_ON(f, "tests/last.txt", "0\n", "tests/test_old.py",
             "import time\nimport unittest\n\n\nclass Old(unittest.TestCase):\n    def test_writes(self):\n"
             "        with open('tests/last.txt', 'w') as f:\n            f.write(str(time.time_ns()))\n");
    run_team(f, TEAM_DONE);
    assert_int_equal(ticket_of(f, 1).rewritten.count, 1);
}

static void production_code_that_rewrites_a_test_is_refused(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/green-1/1",
         FILE_BLOCK("doubling.py", "def double(n):\n    with open('tests/test_doubling.py', 'w') as f:\n"
                    "        f.write('')\n    return 2 * n\n"));
    says(f, "T-1/developer/green-1/2", FILE_BLOCK("doubling.py", "def double(n):\n    return 2 * n\n"));
    one_ticket_succeeds(f);
    BUILD_ON(f, "README.md", "Numbers.\n");
    run_team(f, TEAM_DONE);
    assert_non_null(strstr(event_text(f, "green.refused", 0, "fault"), "frozen while they run: tests/test_doubling.py"));
}

/* Without a sandbox, so that a test of the project can count its runs. */
static void a_flaky_test_is_nobodys_fault(void **state)
{
    struct team_fixture *f = *state;
    const char *dir = scratch_path(&f->s, "counter");
    assert_int_equal(chmod(f->s.path, 0711), 0);
    assert_int_equal(mkdir(dir, 0777), 0);
    assert_int_equal(chmod(dir, 0777), 0);
    f->place.sandbox = SANDBOX_NONE;
    one_ticket_succeeds(f);
    BUILD_ON(f, "tests/test_old.py",
             arena_printf(&f->s.arena, "import os\nimport unittest\n\n\nclass Old(unittest.TestCase):\n"
                          "    def test_flaky(self):\n        names = os.listdir('%s')\n"
                          "        open('%s/' + str(len(names)), 'w').close()\n"
                          "        self.assertNotIn(len(names), [1])\n\n"
                          "    def test_steady(self):\n        pass\n", dir, dir));
    run_team(f, TEAM_DONE);
    assert_int_equal(count_events(f, "red.refused"), 0);
    assert_int_equal(count_events(f, "test.flaky"), 1);
    assert_string_equal(event_text(f, "test.flaky", 0, "test"), "tests/test_old.py::Old::test_flaky");
    assert_int_equal(ticket_of(f, 1).flaky.count, 1);
}

/* The functionality is called "Core", and so is something of theirs. */
static void a_branch_of_the_persons_is_not_mistaken_for_ours(void **state)
{
    struct team_fixture *f = *state;
    struct handed handed;
    scratch_sh(&f->s, "git init -q source; cd source; git checkout -q -b feature/core; echo x >theirs; git add theirs; git commit -qm Theirs;"
                      "git checkout -q --orphan main; git rm -qf theirs");
    const char *theirs = scratch_sh(&f->s, "git -C source rev-parse feature/core");
    one_ticket_succeeds(f);
    BUILD_ON(f, "README.md", "Numbers.\n");
    run_team(f, TEAM_DONE);
    check_ok(team_hand_over(f->team, &f->s.arena, f->id, &handed, &f->e), &f->e);
    assert_string_equal(handed.note, "");
    assert_string_equal(functionality_of(f, 1).branch, "feature/core-2");
    assert_string_equal(scratch_sh(&f->s, "git -C source rev-parse feature/core"), theirs);
    assert_string_equal(scratch_sh(&f->s, "git -C source ls-tree --name-only feature/core-2"), scratch_sh(&f->s, "git -C source ls-tree --name-only DEV"));
    assert_null(file_on(f, "DEV", "theirs"));
}

/* What is in use there is tried again. */
static void a_branch_in_use_is_given_back_later(void **state)
{
    struct team_fixture *f = *state;
    struct handed handed;
    scratch_sh(&f->s, "git init -q source; cd source; git commit -q --allow-empty -m Begin; git branch DEV");
    one_ticket_succeeds(f);
    f->dev = DEV_CONTINUE;
    BUILD_ON(f, "README.md", "Numbers.\n");
    scratch_sh(&f->s, "cd source; git checkout -q DEV");
    const char *before = scratch_sh(&f->s, "git -C source rev-parse DEV; ls source");
    run_team(f, TEAM_DONE);
    check_ok(team_hand_over(f->team, &f->s.arena, f->id, &handed, &f->e), &f->e);
    assert_non_null(strstr(handed.note, "DEV was left alone"));
    assert_string_equal(scratch_sh(&f->s, "git -C source rev-parse DEV; ls source"), before);
    scratch_sh(&f->s, "cd source; git checkout -q main");
    check_ok(team_hand_over(f->team, &f->s.arena, f->id, &handed, &f->e), &f->e);
    assert_string_equal(handed.note, "");
    assert_string_equal(scratch_sh(&f->s, "git -C source show DEV:doubling.py"), "def double(n):\n    return 2 * n");
    assert_int_equal(count_events(f, "project.handed-over"), 1);
    assert_string_equal(event_text(f, "project.handed-over", 0, "commit"), scratch_sh(&f->s, "git -C source rev-parse DEV"));
}

/* Killed when it had moved there and was not noted yet; and then DEV has more. */
static void a_branch_that_we_moved_before_a_kill_is_ours(void **state)
{
    struct team_fixture *f = *state;
    struct handed handed;
    scratch_sh(&f->s, "git init -q source; cd source; git commit -q --allow-empty -m Begin; git checkout -q -b DEV; git commit -q --allow-empty -m Old;"
                      "git checkout -q main");
    const char *old = scratch_sh(&f->s, "git -C source rev-parse DEV");
    one_ticket_succeeds(f);
    f->dev = DEV_REPLACE;
    BUILD_ON(f, "README.md", "Numbers.\n");
    run_team(f, TEAM_DONE);
    check_ok(team_hand_over(f->team, &f->s.arena, f->id, &handed, &f->e), &f->e);
    assert_false(handed.nothing || handed.waits);
    scratch_sh(&f->s, arena_printf(&f->s.arena, "cd home/projects/numbers/repo.git; git update-ref refs/tandem/source/DEV %s;"
                                   "git update-ref refs/heads/DEV $(git commit-tree -p DEV -m More DEV^{tree})", old));
    check_ok(team_hand_over(f->team, &f->s.arena, f->id, &handed, &f->e), &f->e);
    assert_string_equal(handed.note, "");
    assert_string_equal(scratch_sh(&f->s, "git -C source log -1 --format=%s DEV"), "More");
    assert_int_equal(count_events(f, "project.handed-over"), 2);
}

static void nothing_is_handed_over_before_anything_is_built(void **state)
{
    struct team_fixture *f = *state;
    struct handed handed;
    BUILD_ON(f, "README.md", "Numbers.\n");
    check_ok(team_hand_over(f->team, &f->s.arena, f->id, &handed, &f->e), &f->e);
    assert_true(handed.nothing);
    assert_string_equal(scratch_sh(&f->s, "git -C source for-each-ref --format='%(refname)'"), "refs/heads/main");
    assert_int_equal(count_events(f, "project.handed-over"), 0);
}

static void what_a_person_put_beside_the_repository_stays(void **state)
{
    struct team_fixture *f = *state;
    scratch_write(&f->s, "home/projects/numbers/share/prompts/pm.md", "Mine.\n");
    scratch_write(&f->s, "home/projects/numbers/repo.git/left", "by a crash");
    BUILD_ON(f, "README.md", "Numbers.\n");
    assert_string_equal(scratch_read(&f->s, "home/projects/numbers/share/prompts/pm.md"), "Mine.\n");
    assert_false(scratch_has(&f->s, "home/projects/numbers/repo.git/left"));
}

static void an_answer_that_makes_the_tree_too_large_is_refused(void **state)
{
    struct team_fixture *f = *state;
    f->options.limits.tree_files = 4; /* two and what red and green add */
    says(f, "T-1/tester/red-1/1", ONE_FILE_MORE);
    says(f, "T-1/tester/red-1/2", red);
    one_ticket_succeeds(f);
    BUILD_ON(f, "README.md", "Numbers.\n", "notes.txt", "None.\n");
    run_team(f, TEAM_DONE);
    assert_non_null(strstr(event_text(f, "red.refused", 0, "fault"), "the tree has 5 files; at most 4 are worked on"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_team(failing_tests_that_cannot_be_listed_are_not_taken_for_new_ones),
        with_team(a_suite_that_rewrites_its_own_files_is_let_be),
        with_team(production_code_that_rewrites_a_test_is_refused),
        with_team(a_flaky_test_is_nobodys_fault),
        with_team(a_branch_of_the_persons_is_not_mistaken_for_ours),
        with_team(a_branch_in_use_is_given_back_later),
        with_team(a_branch_that_we_moved_before_a_kill_is_ours),
        with_team(nothing_is_handed_over_before_anything_is_built),
        with_team(what_a_person_put_beside_the_repository_stays),
        with_team(an_answer_that_makes_the_tree_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
