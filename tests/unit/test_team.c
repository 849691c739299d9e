/* The team from plan to DEV: who runs when, what ends a run, what a ticket goes through. */
#include "team_fixture.h"

#include "team/attempt.h"

#include "base/clock.h"

#include <unistd.h>

#define DOUBLE_TEST(value) \
    FILE_BLOCK("tests/test_doubling.py", \
               "import unittest\n\nfrom doubling import double\n\n\nclass DoubleTest(unittest.TestCase):\n" \
               "    def test_double(self):\n        self.assertEqual(double(21), " value ")\n")
#define DOUBLE_CODE(body) FILE_BLOCK("doubling.py", "def double(n):\n    " body "\n")

static void check_file(struct team_fixture *f, const char *branch, const char *path, const char *text)
{
    const char *found = file_on(f, branch, path);
    if (!found)
        fail_msg("%s is not on %s", path, branch);
    assert_string_equal(found, text);
}

static void a_ticket_goes_through_red_and_green_into_dev(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/scope/1", SCOPE("doubling.py"));
    says(f, "T-1/tester/red-1/1", DOUBLE_TEST("42"));
    says(f, "T-1/developer/green-1/1", DOUBLE_CODE("return n + 1"));
    says(f, "T-1/developer/green-1/2", DOUBLE_CODE("return 2 * n"));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    run_team(f, TEAM_DONE);
    check_file(f, "DEV", "doubling.py", "def double(n):\n    return 2 * n\n");
    assert_int_equal(count_events(f, "green.refused"), 1);
    assert_int_equal(ticket_of(f, 1).column, COLUMN_DONE);
}

static struct project_work work_on(struct team_fixture *f)
{
    struct project_work w;
    check_ok(project_work(f->store, f->id, &w, &f->e), &f->e);
    return w;
}

static void time_at_work_is_summed_over_sittings_and_nothing_else_counts(void **state)
{
    struct team_fixture *f = *state;
    f->options.limits.attempts = 1;
    says_always(f, "T-1/developer/scope", SCOPE("doubling.py"));
    says_always(f, "T-1/tester/red-1", "I cannot.");
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    struct project_work before = work_on(f);
    run_team(f, TEAM_BLOCKED);
    struct project_work first = work_on(f);
    assert_int_equal(first.sittings, before.sittings + 1);
    assert_true(first.wall_ms > before.wall_ms && first.own_us > before.own_us);
    usleep(300 * 1000);
    reopen_team(f);
    check_ok(team_retry(f->team, f->id, "T-1", NULL, "", &f->e), &f->e);
    assert_int_equal(work_on(f).wall_ms, first.wall_ms);
    int64_t begun_ms = clock_steady_ms();
    run_team(f, TEAM_BLOCKED);
    struct project_work second = work_on(f);
    assert_int_equal(second.sittings, first.sittings + 1);
    assert_true(second.wall_ms > first.wall_ms);
    assert_true(second.wall_ms - first.wall_ms <= clock_steady_ms() - begun_ms + 5);
    assert_int_equal(count_events(f, "work.resumed"), 1);
    assert_false(second.is_open);
}

/* Two tests of one criterion; the heavier model must not be called right after the best answer. */
static void who_comes_closer_is_told_so_and_no_other_help_is_called(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/scope/1", SCOPE("doubling.py"));
    says(f, "T-1/tester/red-1/1",
         FILE_BLOCK("tests/test_doubling.py",
                    "import unittest\n\nfrom doubling import double\n\n\nclass DoubleTest(unittest.TestCase):\n"
                    "    def test_one(self):\n        self.assertEqual(double(1), 2)\n\n"
                    "    def test_two(self):\n        self.assertEqual(double(3), 6)\n"));
    says(f, "T-1/developer/green-1/1", DOUBLE_CODE("return"));
    says(f, "T-1/developer/green-1/2", DOUBLE_CODE("return n + 1"));
    says(f, "T-1/developer/green-1/3", DOUBLE_CODE("return 2"));
    says(f, "T-1/developer/green-1/4", DOUBLE_CODE("return 2 * n"));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(1) gives 2, double(3) gives 6"), NULL);
    run_team(f, TEAM_DONE);
    assert_non_null(strstr(prompt_of(f, "T-1/developer/green-1/3"), "Closer: 1 of 2 tests pass now."));
    assert_null(strstr(prompt_of(f, "T-1/developer/green-1/3"), "did not get further"));
    assert_non_null(strstr(prompt_of(f, "T-1/developer/green-1/4"), "did not get further"));
    assert_int_equal(count_events(f, "attempt.hinted"), 1);
}

static void a_file_in_another_folder_than_planned_is_refused_with_both_names(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/scope/1", SCOPE("pkg/doubling.py"));
    says(f, "T-1/tester/red-1/1",
         FILE_BLOCK("tests/test_doubling.py",
                    "import unittest\n\nfrom pkg.doubling import double\n\n\nclass DoubleTest(unittest.TestCase):\n"
                    "    def test_double(self):\n        self.assertEqual(double(21), 42)\n"));
    says(f, "T-1/developer/green-1/1", DOUBLE_CODE("return 2 * n"));
    says(f, "T-1/developer/green-1/2", FILE_BLOCK("pkg/doubling.py", "def double(n):\n    return 2 * n\n"));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    run_team(f, TEAM_DONE);
    assert_string_equal(event_text(f, "green.refused", 0, "fault"), "you wrote doubling.py; the scope says pkg/doubling.py");
}

static void a_planned_file_that_never_came_is_told_to_both_reviews(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/scope/1", SCOPE("doubling.py\", \"main.py"));
    says(f, "T-1/tester/red-1/1", DOUBLE_TEST("42"));
    says(f, "T-1/developer/green-1/1", DOUBLE_CODE("return 2 * n"));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    run_team(f, TEAM_DONE);
    assert_non_null(strstr(prompt_of(f, "T-1/architect/review-1/1"), "\n- planned but not there: main.py\n"));
    assert_non_null(strstr(prompt_of(f, "F-1/architect/appraise-1/1"), "\n- planned but not there: main.py\n"));
}

static void levels_rise_over_all_attempts_at_once_when_repeated_and_not_when_closer(void **state)
{
    (void)state;
    assert_int_equal(attempt_level(LEVEL_NORMAL, 1, 10, TREND_NONE, true), LEVEL_NORMAL);
    assert_int_equal(attempt_level(LEVEL_NORMAL, 1, 10, TREND_REPEATED, true), LEVEL_HINT);
    assert_int_equal(attempt_level(LEVEL_NORMAL, 2, 10, TREND_NONE, true), LEVEL_HINT);
    assert_int_equal(attempt_level(LEVEL_FRESH, 8, 10, TREND_CLOSER, true), LEVEL_FRESH);
    assert_int_equal(attempt_level(LEVEL_FRESH, 9, 10, TREND_NONE, true), LEVEL_HEAVY);
    assert_int_equal(attempt_level(LEVEL_FRESH, 9, 10, TREND_NONE, false), LEVEL_FRESH);
    assert_int_equal(attempt_level(LEVEL_HINT, 10, 10, TREND_CLOSER, true), LEVEL_PERSON);
}

static void a_server_that_is_away_ends_the_run_and_costs_no_attempt(void **state)
{
    struct team_fixture *f = *state;
    enum team_end end;
    says(f, "T-1/developer/scope/1", SCOPE("doubling.py"));
    says(f, "T-1/tester/red-1/1", DOUBLE_TEST("42"));
    says(f, "T-1/developer/green-1/1", DOUBLE_CODE("return 2 * n"));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    script_unreachable(f);
    for (int i = 0; i < 4; i++) /* a task has three attempts */
        check_err(team_run(f->team, f->id, &end, &f->e), ERR_SETUP, &f->e, "`tandem resume numbers` goes on");
    assert_int_equal(count_events(f, "task.failed"), 0);
    script_context(f, 16384);
    run_team(f, TEAM_DONE);
}

static void who_only_looks_leaves_the_locks_of_the_writers_git(void **state)
{
    struct team_fixture *f = *state;
    struct store *beside;
    struct house *house;
    struct team *looks;
    struct site *site;
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    const char *lock = arena_printf(&f->s.arena, "%s/HEAD.lock", project_repo_path(&f->s.arena, f->place.home, f->id));
    fclose(fopen(lock, "w"));
    check_ok(store_open_reader(&beside, f->place.home, team_doc_types, team_doc_type_count, &f->e), &f->e);
    check_ok(house_look(&house, beside, &f->place, &f->e), &f->e);
    looks = team_new(house, &f->options);
    check_ok(site_get(looks, f->id, &site, &f->e), &f->e);
    assert_int_equal(access(lock, F_OK), 0);
    team_free(looks);
    house_free(house);
    store_free(beside);
    reopen_team(f);
    check_ok(site_get(f->team, f->id, &site, &f->e), &f->e);
    assert_int_equal(access(lock, F_OK), -1); /* nobody's, for the one process that may write */
}

static void a_ticket_without_behaviour_is_worked_on(void **state)
{
    struct team_fixture *f = *state;
    says(f, "T-1/developer/scope/1", SCOPE("README.md"));
    says(f, "T-1/developer/work/1", FILE_BLOCK("README.md", "# Numbers\n"));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, one_ticket(f, "document", (const char *const[]){ "a README says what it is", NULL }), NULL);
    run_team(f, TEAM_DONE);
    check_file(f, "DEV", "README.md", "# Numbers\n");
}

/* Tickets "a", "b", ... of functionalities "f", "g", each with one criterion. */
#define TICKET(id, functionality, after) \
    "{\"id\": \"" id "\", \"functionality\": \"" functionality "\", \"title\": \"Ticket " id "\", \"description\": \"module " id \
    "\", \"after\": [" after "], \"criteria\": [{\"clause\": 1, \"text\": \"" id "() gives 1\"}]}"
#define PLAN(functionalities, tickets) "{\"functionalities\": [" functionalities "], \"tickets\": [" tickets "]}"
#define CORE "{\"id\": \"f\", \"title\": \"Core\"}"
#define MORE "{\"id\": \"g\", \"title\": \"More\"}"

/* Scope, red, green and review of a ticket like those above. */
static void ticket_succeeds(struct team_fixture *f, int number, const char *module)
{
    struct arena *a = &f->s.arena;
#define KEY(rest) arena_printf(a, "T-%d/" rest, number)
    says(f, KEY("developer/scope/1"), arena_printf(a, "{\"create\": [\"%s.py\"], \"how\": \"%s() in %s.py\"}", module, module, module));
    says(f, KEY("tester/red-1/1"),
         arena_printf(a, "### tests/test_%s.py\n```\nimport unittest\n\nimport %s\n\n\nclass T(unittest.TestCase):\n    def test_it(self):\n"
                         "        self.assertEqual(%s.%s(), 1)\n```\n", module, module, module, module));
    says(f, KEY("developer/green-1/1"), arena_printf(a, "### %s.py\n```\ndef %s():\n    return 1\n```\n", module, module));
    says(f, KEY("architect/review-1/1"), ACCEPT);
}

static void what_does_not_build_on_a_blocked_ticket_goes_on(void **state)
{
    struct team_fixture *f = *state;
    f->options.limits.attempts = 1;
    says_always(f, "T-1/developer/scope", SCOPE("a.py"));
    says_always(f, "T-1/tester/red-1", "I cannot.");
    ticket_succeeds(f, 3, "c");
    ticket_succeeds(f, 4, "d");
    says(f, "F-2/architect/appraise-1/1", ACCEPT);
    begin_project(f, 2, one_spec, PLAN(CORE ", " MORE, TICKET("a", "f", "") ", " TICKET("b", "f", "\"a\"") ", "
                                       TICKET("c", "f", "") ", " TICKET("d", "g", "")), NULL);
    run_team(f, TEAM_BLOCKED);
    assert_true(*ticket_of(f, 1).blocked);
    assert_int_equal(ticket_of(f, 2).column, COLUMN_BACKLOG);
    assert_int_equal(ticket_of(f, 3).column, COLUMN_DONE); /* T-2 comes before it in the same functionality */
    assert_int_equal(functionality_of(f, 2).state, FUNCTIONALITY_DONE);
    check_file(f, "feature/core", "c.py", "def c():\n    return 1\n");
    check_file(f, "DEV", "d.py", "def d():\n    return 1\n");
}

static void functionalities_are_reviewed_in_plan_order(void **state)
{
    struct team_fixture *f = *state;
    ticket_succeeds(f, 1, "a");
    ticket_succeeds(f, 2, "b");
    ticket_succeeds(f, 3, "c");
    ticket_succeeds(f, 4, "d");
    says(f, "F-1/architect/appraise-1/1", "{\"accept\": false, \"comments\": [{\"kind\": \"criterion\", \"text\": \"c() gives 1\"}]}");
    says(f, "F-2/architect/appraise-1/1", "{\"accept\": false, \"comments\": [{\"kind\": \"criterion\", \"text\": \"d() gives 1\"}]}");
    says_always(f, "F-", ACCEPT);
    /* The second functionality is finished long before the first. */
    begin_project(f, 2, one_spec, PLAN(CORE ", " MORE, TICKET("b", "g", "") ", " TICKET("a", "f", "\"b\"")), NULL);
    run_team(f, TEAM_DONE);
    assert_int_equal(ticket_of(f, 3).functionality, 1);
    assert_int_equal(ticket_of(f, 4).functionality, 2);
    assert_non_null(strstr(prompt_of(f, "F-1/architect/appraise-2/1"),
                           "An earlier review asked for this, see whether it is done: criterion: c() gives 1"));
}

/* The stack that the Architect was told is open already when the person chooses another. */
static void the_stack_that_a_person_edits_into_the_plan_is_used(void **state)
{
    struct team_fixture *f = *state;
    struct project_wish w = { .name = "numbers", .spec = one_spec, .stack = "python", .pairs = 1 };
    struct project p;
    const char *plan = ONE_TICKET(f, "double(21) gives 42");
    says(f, "project/architect/plan-1/1", plan);
    open_team(f);
    check_ok(team_create(f->team, &f->s.arena, &w, &f->id, &f->e), &f->e);
    run_team(f, TEAM_GATE);
    check_err(team_edit(f->team, f->id, "", arena_printf(&f->s.arena, "{\"stack\": \"cobol\", %s", plan + 1), "Ada", &f->e), ERR_INVALID,
              &f->e, "cobol");
    check_ok(team_edit(f->team, f->id, "", arena_printf(&f->s.arena, "{\"stack\": \"c\", %s", plan + 1), "Ada", &f->e), &f->e);
    check_ok(team_approve(f->team, f->id, "", "Ada", &f->e), &f->e);
    check_ok(store_get(f->store, &f->s.arena, &project_type, f->id, &p, NULL, &f->e), &f->e);
    assert_string_equal(p.stack, "c");
    assert_non_null(file_on(f, "main", "Makefile"));
}

static void functionalities_never_share_a_branch(void **state)
{
    struct team_fixture *f = *state;
#define LONG_TITLE "Everything that has to do with numbers, and"
    begin_project(f, 1, one_spec,
                  PLAN("{\"id\": \"f\", \"title\": \"" LONG_TITLE " more\"}, {\"id\": \"g\", \"title\": \"" LONG_TITLE " less\"}, "
                       "{\"id\": \"h\", \"title\": \"Core-2\"}, {\"id\": \"i\", \"title\": \"core\"}, {\"id\": \"j\", \"title\": \"CORE!\"}",
                       TICKET("a", "f", "") ", " TICKET("b", "g", "") ", " TICKET("c", "h", "") ", " TICKET("d", "i", "") ", "
                       TICKET("e", "j", "")), NULL);
    for (int64_t i = 1; i <= 5; i++)
        for (int64_t k = 1; k < i; k++)
            assert_string_not_equal(functionality_of(f, i).branch, functionality_of(f, k).branch);
}

static void a_criterion_is_reworded_only_so_often(void **state)
{
    struct team_fixture *f = *state;
    says_always(f, "T-1/developer/scope", SCOPE("doubling.py"));
    says(f, "T-1/tester/red-1/1", DOUBLE_TEST("42"));
    says(f, "T-1/developer/green-1/1", DOUBLE_CODE("return 2 * n"));
    /* A test that no mutation makes fail. */
    says_always(f, "T-1/tester/red-2", FILE_BLOCK("tests/test_more.py",
        "import unittest\n\n\nclass More(unittest.TestCase):\n    def test_nothing(self):\n        pass\n"));
    says_always(f, "T-1/architect/reword-2", "{\"drop\": false, \"text\": \"double(1) gives 2, said otherwise\"}");
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42", "double(1) gives 2"), NULL);
    run_team(f, TEAM_BLOCKED);
    assert_int_equal(count_events(f, "criterion.reworded"), 2);
    assert_non_null(strstr(ticket_of(f, 1).blocked, "still pass without new code"));
}

static void short_coverage_goes_to_the_developer_with_the_persons_hint(void **state)
{
    struct team_fixture *f = *state;
    f->options.limits.coverage_target = 90;
    says(f, "T-1/developer/scope/1", SCOPE("doubling.py"));
    says(f, "T-1/tester/red-1/1", DOUBLE_TEST("42"));
    says(f, "T-1/developer/green-1/1", DOUBLE_CODE("if n == 7:\n        return 14\n    if n == 8:\n        return 16\n    return 2 * n"));
    says(f, "T-1/developer/refactor-0/1", DOUBLE_CODE("if n == 8:\n        return 16\n    return 2 * n"));
    says(f, "T-1/developer/refactor-0/2", DOUBLE_CODE("return 2 * n"));
    says(f, "T-1/architect/review-1/1", ACCEPT);
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
    begin_project(f, 1, one_spec, ONE_TICKET(f, "double(21) gives 42"), NULL);
    run_team(f, TEAM_BLOCKED);
    assert_non_null(strstr(ticket_of(f, 1).blocked, "Lines not executed: doubling.py: 3"));
    check_ok(team_retry(f->team, f->id, "T-1", "no special cases", "Ada", &f->e), &f->e);
    run_team(f, TEAM_DONE);
    assert_non_null(strstr(prompt_of(f, "T-1/developer/refactor-0/2"), "no special cases"));
}

static void a_plan_that_never_passes_blocks_the_project_until_a_person_lets_it_try_again(void **state)
{
    struct team_fixture *f = *state;
    f->options.limits.replans = 2;
    says_always(f, "project/architect/plan-1/", "{\"functionalities\": [], \"tickets\": []}");
    says(f, "project/architect/plan-2/1", ONE_TICKET(f, "double(21) gives 42"));
    struct project_wish w = { .name = "numbers", .spec = one_spec, .stack = "python", .pairs = 1 };
    open_team(f);
    check_ok(team_create(f->team, &f->s.arena, &w, &f->id, &f->e), &f->e);
    run_team(f, TEAM_BLOCKED);
    assert_int_equal(calls_of(f, "project/architect/"), 2);
    check_ok(team_retry(f->team, f->id, "", NULL, "Ada", &f->e), &f->e);
    run_team(f, TEAM_GATE);
    const char *prompt = prompt_of(f, "project/architect/plan-2/1"), *last = NULL;
    for (const char *p = prompt; (p = strstr(p, "\n<<")); p++)
        last = p + 1;
    assert_true(starts_with(last, "<<user>>\nPlan the work."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_team(a_ticket_goes_through_red_and_green_into_dev),
        with_team(time_at_work_is_summed_over_sittings_and_nothing_else_counts),
        with_team(who_comes_closer_is_told_so_and_no_other_help_is_called),
        with_team(a_file_in_another_folder_than_planned_is_refused_with_both_names),
        with_team(a_planned_file_that_never_came_is_told_to_both_reviews),
        cmocka_unit_test(levels_rise_over_all_attempts_at_once_when_repeated_and_not_when_closer),
        with_team(a_server_that_is_away_ends_the_run_and_costs_no_attempt),
        with_team(who_only_looks_leaves_the_locks_of_the_writers_git),
        with_team(a_ticket_without_behaviour_is_worked_on),
        with_team(what_does_not_build_on_a_blocked_ticket_goes_on),
        with_team(functionalities_are_reviewed_in_plan_order),
        with_team(the_stack_that_a_person_edits_into_the_plan_is_used),
        with_team(functionalities_never_share_a_branch),
        with_team(a_criterion_is_reworded_only_so_often),
        with_team(a_plan_that_never_passes_blocks_the_project_until_a_person_lets_it_try_again),
        with_team(short_coverage_goes_to_the_developer_with_the_persons_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
