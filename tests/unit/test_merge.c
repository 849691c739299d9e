/* Merges of tickets whose work does not fit together at once: conflicts that git sees, and
 * those that only the suite sees. */
#include "team_fixture.h"

#include "model/backend.h"
#include "team/resolve.h"
#include "team/verify.h"

#define TICKET(id, after) TICKET_OF("f", id, after)
#define TICKET_OF(functionality, id, after) \
    "{\"id\": \"" id "\", \"functionality\": \"" functionality "\", \"title\": \"Ticket " id "\", \"description\": \"module " id \
    "\", \"after\": [" after "], \"criteria\": [{\"clause\": 1, \"text\": \"" id "() gives 1\"}]}"
#define TWO_TICKETS "{\"functionalities\": [{\"id\": \"f\", \"title\": \"Core\"}], \"tickets\": [" TICKET("a", "") ", " TICKET("b", "") "]}"

#define TEST(module) \
    FILE_BLOCK("tests/test_" module ".py", "import unittest\n\nimport " module "\n\n\nclass T(unittest.TestCase):\n" \
               "    def test_it(self):\n        self.assertEqual(" module "." module "(), 1)\n")

/* A ticket that is through at once, but for its merge. */
static void ticket_succeeds(struct team_fixture *f, int number, const char *scope, const char *red, const char *green)
{
    struct arena *a = &f->s.arena;
    says(f, arena_printf(a, "T-%d/developer/scope/1", number), scope);
    says(f, arena_printf(a, "T-%d/tester/red-1/1", number), red);
    says(f, arena_printf(a, "T-%d/developer/green-1/1", number), green);
    says(f, arena_printf(a, "T-%d/architect/review-1/1", number), ACCEPT);
}

static const char *mode_of(struct team_fixture *f, const char *branch, const char *path)
{
    return scratch_sh(&f->s, arena_printf(&f->s.arena, "git --git-dir=home/projects/%s/repo.git ls-tree %s %s | cut -c1-6", f->id, branch, path));
}

/* ---- conflicts that git sees ---- */

/* Both tickets add a function to the same place of an executable file. */
static void make_conflict(struct team_fixture *f)
{
    scratch_sh(&f->s, "git init -q source; cd source; printf '#!/usr/bin/env python3\n' >tool.py; chmod +x tool.py; git add -A; git commit -qm Begin");
    ticket_succeeds(f, 1, SCOPE("a.py"), TEST("a"),
                    FILE_BLOCK("tool.py", "#!/usr/bin/env python3\nONE = 1\n") FILE_BLOCK("a.py", "import tool\n\n\ndef a():\n    return tool.ONE\n"));
    ticket_succeeds(f, 2, SCOPE("b.py"), TEST("b"),
                    FILE_BLOCK("tool.py", "#!/usr/bin/env python3\nEINS = 1\n") FILE_BLOCK("b.py", "import tool\n\n\ndef b():\n    return tool.EINS\n"));
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
}

static void the_developer_resolves_and_may_change_what_has_no_conflict(void **state)
{
    struct team_fixture *f = *state;
    make_conflict(f);
    says(f, "T-2/developer/integrate-1/1",
         FILE_BLOCK("tool.py", "#!/usr/bin/env python3\nONE = 1\n") FILE_BLOCK("b.py", "import tool\n\n\ndef b():\n    return tool.ONE\n"));
    begin_project(f, 2, one_spec, TWO_TICKETS, (const char *const[]){ "README.md", "Numbers.\n", NULL });
    run_team(f, TEAM_DONE);
    assert_string_equal(file_on(f, "DEV", "tool.py"), "#!/usr/bin/env python3\nONE = 1\n");
    assert_non_null(strstr(file_on(f, "DEV", "b.py"), "tool.ONE"));
    assert_string_equal(mode_of(f, "DEV", "tool.py"), "100755");
    assert_string_equal(mode_of(f, "DEV", "b.py"), "100644");
    /* It is the Developer's text, not the engine's. */
    const char *merge = scratch_sh(&f->s, arena_printf(&f->s.arena, "git --git-dir=home/projects/%s/repo.git log -1 --merges --format='%%ae %%B' ticket/T-2", f->id));
    assert_non_null(strstr(merge, "developer@tandem.invalid"));
    assert_non_null(strstr(merge, "\nRole: developer\nModel: "));
}

#define CONFLICT "<<<<<<< ours\nEINS = 1\n=======\nONE = 1\n>>>>>>> theirs\n"

static void a_conflict_is_resolved_by_edits_whose_markers_differ_from_its_own(void **state)
{
    struct team_fixture *f = *state;
    make_conflict(f);
    says(f, "T-2/developer/integrate-1/1", FILE_BLOCK("tool.py", "<<<<<<< SEARCH\n" CONFLICT "=======\nONE = EINS = 1\n>>>>>>> REPLACE\n"));
    says(f, "T-2/developer/integrate-1/2", FILE_BLOCK("tool.py", "<<<<<<<<< SEARCH\n<<<<<<< ours\n=========\n>>>>>>>>> REPLACE\n"));
    says(f, "T-2/developer/integrate-1/3", FILE_BLOCK("tool.py", "<<<<<<<<< SEARCH\n" CONFLICT "=========\nONE = EINS = 1\n>>>>>>>>> REPLACE\n"));
    begin_project(f, 2, one_spec, TWO_TICKETS, (const char *const[]){ "README.md", "Numbers.\n", NULL });
    run_team(f, TEAM_DONE);
    assert_string_equal(file_on(f, "DEV", "tool.py"), "#!/usr/bin/env python3\nONE = EINS = 1\n");
    assert_string_equal(mode_of(f, "DEV", "tool.py"), "100755");
    assert_non_null(strstr(event_text(f, "merge.refused", 0, "fault"), "another number of signs"));
    assert_string_equal(event_text(f, "merge.refused", 1, "fault"), "tool.py still has conflict markers");
    assert_int_equal(count_events(f, "answer.edited"), 2);
}

static void an_edit_that_does_not_fit_a_merge_is_answered_by_the_lines_it_may_mean(void **state)
{
    struct team_fixture *f = *state;
    make_conflict(f);
    says(f, "T-2/developer/integrate-1/1", FILE_BLOCK("tool.py", "<<<<<<< SEARCH\nEINS = 2\n=======\nZWEI = 2\n>>>>>>> REPLACE\n"));
    says(f, "T-2/developer/integrate-1/2", FILE_BLOCK("tool.py", "#!/usr/bin/env python3\nONE = EINS = 1\n"));
    begin_project(f, 2, one_spec, TWO_TICKETS, (const char *const[]){ "README.md", "Numbers.\n", NULL });
    run_team(f, TEAM_DONE);
    assert_non_null(strstr(prompt_of(f, "T-2/developer/integrate-1/2"), "   2 | <<<<<<< ours\n   3 | EINS = 1\n   4 | =======\n"));
}

static void tests_without_conflict_stay_frozen_in_a_merge(void **state)
{
    struct team_fixture *f = *state;
    make_conflict(f);
    says_always(f, "T-2/developer/integrate-1/", FILE_BLOCK("tool.py", "ONE = EINS = 1\n") FILE_BLOCK("tests/test_a.py", "import unittest\n"));
    begin_project(f, 2, one_spec, TWO_TICKETS, (const char *const[]){ "README.md", "Numbers.\n", NULL });
    run_team(f, TEAM_BLOCKED);
    assert_non_null(strstr(ticket_of(f, 2).blocked, "tests/test_a.py is a test file"));
}

/* ---- conflicts that only the suite sees ---- */

/* T-1 gives a function another parameter, T-2 calls it as it was. */
static void make_misunderstanding(struct team_fixture *f)
{
    scratch_sh(&f->s, "git init -q source");
    ticket_succeeds(f, 1, SCOPE("a.py"), TEST("a"),
                    FILE_BLOCK("core.py", "def scale(n, factor):\n    return n * factor\n") FILE_BLOCK("a.py", "import core\n\n\ndef a():\n    return core.scale(1, 1)\n"));
    ticket_succeeds(f, 2, SCOPE("b.py"), TEST("b"), FILE_BLOCK("b.py", "import core\n\n\ndef b():\n    return core.scale(1)\n"));
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
}
#define CORE "core.py", "def scale(n):\n    return n\n", NULL

static void a_clean_merge_that_is_red_is_mended_by_the_developer(void **state)
{
    struct team_fixture *f = *state;
    make_misunderstanding(f);
    says(f, "T-2/developer/integrate-1/1", FILE_BLOCK("b.py", "import core\n\n\ndef b():\n    return core.scale(1, 1)\n"));
    begin_project(f, 2, one_spec, TWO_TICKETS, (const char *const[]){ CORE });
    run_team(f, TEAM_DONE);
    assert_int_equal(count_events(f, "merge.refused"), 1);
    assert_non_null(strstr(file_on(f, "DEV", "b.py"), "scale(1, 1)"));
    /* The Developer has seen what the other side brought. */
    const char *prompt = prompt_of(f, "T-2/developer/integrate-1/1");
    assert_non_null(strstr(prompt, "Git finds no conflict between your branch and feature/core"));
    assert_non_null(strstr(prompt, "def scale(n, factor):"));
}

static void the_persons_hint_reaches_the_developer_in_a_merge(void **state)
{
    struct team_fixture *f = *state;
    make_misunderstanding(f);
    says_always(f, "T-2/developer/integrate-1/", "I cannot.");
    says(f, "T-2/developer/integrate-1/3", FILE_BLOCK("b.py", "import core\n\n\ndef b():\n    return core.scale(1, 1)\n"));
    begin_project(f, 2, one_spec, TWO_TICKETS, (const char *const[]){ CORE });
    run_team(f, TEAM_BLOCKED);
    assert_non_null(strstr(ticket_of(f, 2).blocked, "tandem resolve T-2"));
    check_ok(team_retry(f->team, f->id, "T-2", "scale takes a factor now", "Ada", &f->e), &f->e);
    run_team(f, TEAM_DONE);
    assert_non_null(strstr(prompt_of(f, "T-2/developer/integrate-1/3"), "A person adds: scale takes a factor now"));
}

/* ---- what only a person can decide ---- */

/* Both tickets write another text over a binary file, between which git cannot merge. */
static void make_binary_conflict(struct team_fixture *f)
{
    scratch_sh(&f->s, "git init -q source; cd source; printf '\\211PNG\\0' >logo.png; git add -A; git commit -qm Begin");
    ticket_succeeds(f, 1, SCOPE("a.py"), TEST("a"), FILE_BLOCK("logo.png", "one\n") FILE_BLOCK("a.py", "def a():\n    return 1\n"));
    ticket_succeeds(f, 2, SCOPE("b.py"), TEST("b"), FILE_BLOCK("logo.png", "eleven\n") FILE_BLOCK("b.py", "def b():\n    return 1\n"));
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
}

static void a_person_chooses_between_two_versions_of_a_binary_file(void **state)
{
    struct team_fixture *f = *state;
    struct arena *a = &f->s.arena;
    struct resolve w;
    const char *fault, *output;
    struct tree_change theirs = { .path = "logo.png", .bytes = "one\n", .len = 4 };
    make_binary_conflict(f);
    begin_project(f, 2, one_spec, TWO_TICKETS, (const char *const[]){ "README.md", "Numbers.\n", NULL });
    run_team(f, TEAM_BLOCKED);
    assert_non_null(strstr(ticket_of(f, 2).blocked, "logo.png is not text, and a person has to choose between the 7 bytes on "
                                                    "ticket/T-2 and the 4 bytes on feature/core"));
    assert_non_null(strstr(ticket_of(f, 2).blocked, "tandem resolve T-2"));
    assert_int_equal(calls_of(f, "T-2/developer/integrate-"), 0);
    check_ok(team_resolve_look(f->team, a, f->id, "T-2", &w, &f->e), &f->e);
    assert_true(texts_has(&w.unmarked, "logo.png"));
    check_ok(team_resolve_open(f->team, &w, scratch_path(&f->s, "work"), "Ada", &f->e), &f->e);
    assert_string_equal(scratch_sh(&f->s, "cd work; git status --porcelain logo.png; git checkout -q --theirs logo.png; cat logo.png"),
                        "UU logo.png\none");
    check_ok(team_resolve_take(f->team, a, &w, &theirs, 1, "Ada", &fault, &output, &f->e), &f->e);
    assert_string_equal(fault, "");
    run_team(f, TEAM_DONE);
    assert_string_equal(file_on(f, "DEV", "logo.png"), "one\n");
}

/* T-3 of another functionality builds on both. */
#define THREE_TICKETS "{\"functionalities\": [{\"id\": \"f\", \"title\": \"Core\"}, {\"id\": \"g\", \"title\": \"More\"}], \"tickets\": [" \
    TICKET("a", "") ", " TICKET_OF("g", "b", "") ", " TICKET_OF("g", "c", "\"a\", \"b\"") "]}"

/* Two modules with their tests: each ticket for itself makes two files of it. */
static void make_two_modules(struct team_fixture *f)
{
    ticket_succeeds(f, 1, SCOPE("a.py"), TEST("a"), FILE_BLOCK("a.py", "def a():\n    return 1\n"));
    ticket_succeeds(f, 2, SCOPE("b.py"), TEST("b"), FILE_BLOCK("b.py", "def b():\n    return 1\n"));
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
}

static void a_merge_above_the_limits_waits_for_a_person(void **state)
{
    struct team_fixture *f = *state;
    make_two_modules(f);
    f->options.limits.tree_files = 4;
    begin_project(f, 1, one_spec, TWO_TICKETS, (const char *const[]){ "README.md", "Numbers.\n", NULL });
    run_team(f, TEAM_BLOCKED);
    assert_non_null(strstr(ticket_of(f, 2).blocked, "at most 4 are worked on (setting tree_files)"));
    f->options.limits.tree_files = 100;
    reopen_team(f);
    check_ok(team_retry(f->team, f->id, "T-2", "", "Ada", &f->e), &f->e);
    run_team(f, TEAM_DONE);
}

static void a_base_above_the_limits_blocks_its_ticket(void **state)
{
    struct team_fixture *f = *state;
    make_two_modules(f);
    says(f, "F-2/architect/appraise-1/1", ACCEPT);
    f->options.limits.tree_files = 4;
    begin_project(f, 1, one_spec, THREE_TICKETS, (const char *const[]){ "README.md", "Numbers.\n", NULL });
    run_team(f, TEAM_BLOCKED);
    assert_non_null(strstr(ticket_of(f, 3).blocked, "what it builds on cannot be worked on: the tree has 5 files; at most 4"));
}

/* ---- what a ticket builds on ---- */

static void make_conflicting_base(struct team_fixture *f)
{
    make_conflict(f);
    ticket_succeeds(f, 3, SCOPE("c.py"), TEST("c"), FILE_BLOCK("c.py", "import tool\n\n\ndef c():\n    return tool.ONE * tool.EINS\n"));
    says(f, "F-2/architect/appraise-1/1", ACCEPT);
}
#define BOTH_SIDES "#!/usr/bin/env python3\nONE = EINS = 1\n"

static void the_developer_merges_what_a_ticket_builds_on(void **state)
{
    struct team_fixture *f = *state;
    make_conflicting_base(f);
    says(f, "T-3/developer/start-2/1", FILE_BLOCK("tool.py", BOTH_SIDES));
    begin_project(f, 2, one_spec, THREE_TICKETS, (const char *const[]){ "README.md", "Numbers.\n", NULL });
    run_team(f, TEAM_DONE);
    assert_string_equal(file_on(f, "DEV", "tool.py"), BOTH_SIDES);
    assert_int_equal(count_events(f, "base.witnessed"), 1);
    /* Its own work begins with a fresh context. */
    assert_null(strstr(prompt_of(f, "T-3/developer/scope/1"), "conflict markers"));
}

static void a_person_merges_what_a_ticket_builds_on(void **state)
{
    struct team_fixture *f = *state;
    struct arena *a = &f->s.arena;
    struct resolve w;
    const char *fault, *output;
    struct tree_change both = { .path = "tool.py", .bytes = BOTH_SIDES, .len = strlen(BOTH_SIDES) };
    make_conflicting_base(f);
    says_always(f, "T-3/developer/start-2/", "I cannot.");
    begin_project(f, 2, one_spec, THREE_TICKETS, (const char *const[]){ "README.md", "Numbers.\n", NULL });
    run_team(f, TEAM_BLOCKED);
    assert_non_null(strstr(ticket_of(f, 3).blocked, "tandem resolve T-3"));
    check_ok(team_resolve_look(f->team, a, f->id, "T-3", &w, &f->e), &f->e);
    assert_string_equal(w.theirs_name, "ticket/T-2");
    check_ok(team_resolve_open(f->team, &w, scratch_path(&f->s, "work"), "Ada", &f->e), &f->e);
    assert_string_equal(scratch_sh(&f->s, "git -C work status --porcelain tool.py"), "UU tool.py");
    check_ok(team_resolve_take(f->team, a, &w, &both, 1, "Ada", &fault, &output, &f->e), &f->e);
    assert_string_equal(fault, "");
    run_team(f, TEAM_DONE);
    assert_string_equal(file_on(f, "DEV", "tool.py"), BOTH_SIDES);
    assert_string_equal(mode_of(f, "DEV", "tool.py"), "100755");
}

/* ---- verify ---- */

static void add_finding(const struct verify_finding *found, void *ctx)
{
    str_addf(ctx, "%s: %s\n", found->ticket, found->text);
}

static void ignore_progress(int64_t done, int64_t all, const char *what, void *ctx)
{
    (void)done, (void)all, (void)what, (void)ctx;
}

/* What does not hold. */
static const char *faults_of(struct team_fixture *f)
{
    STR_LOCAL(faults);
    struct verify_watcher watcher = { add_finding, add_finding, ignore_progress, &faults };
    struct verify_count count;
    check_ok(team_verify(f->team, &(struct verify_wish){ f->id, NULL, 2 }, &watcher, &count, &f->e), &f->e);
    return arena_strndup(&f->s.arena, faults.data, faults.len);
}

/* Says that T-3 began with another commit than it did. */
static void forge_base(struct team_fixture *f, const char *commit)
{
    struct ticket t;
    int64_t version;
    const char *id = arena_printf(&f->s.arena, "%s/T-3", f->id);
    check_ok(store_get(f->store, &f->s.arena, &ticket_type, id, &t, &version, &f->e), &f->e);
    t.base = commit;
    struct batch *b = batch_new();
    batch_update(b, &ticket_type, id, version, &t);
    check_ok(store_commit(f->store, b, NULL, &f->e), &f->e);
    batch_free(b);
}

static const char *git_in(struct team_fixture *f, const char *words)
{
    return scratch_sh(&f->s, arena_printf(&f->s.arena, "export GIT_DIR=home/projects/%s/repo.git; %s", f->id, words));
}

static void a_base_that_is_not_what_a_ticket_builds_on_is_named(void **state)
{
    struct team_fixture *f = *state;
    struct arena *a = &f->s.arena;
    make_conflicting_base(f);
    says(f, "T-3/developer/start-2/1", FILE_BLOCK("tool.py", BOTH_SIDES));
    begin_project(f, 2, one_spec, THREE_TICKETS, (const char *const[]){ "README.md", "Numbers.\n", NULL });
    run_team(f, TEAM_DONE);
    const char *base = ticket_of(f, 3).base, *first = ticket_of(f, 1).merged;
    assert_string_equal(faults_of(f), "");

    forge_base(f, first);
    assert_non_null(strstr(faults_of(f), "does not hold T-2, on which it builds"));
    forge_base(f, ticket_of(f, 2).head);
    assert_non_null(strstr(faults_of(f), "which brings in nothing that it builds on"));
    /* The same merge with another tree. */
    const char *forged = git_in(f, arena_printf(a, "git log -1 --format=%%B %s | git commit-tree -p %s^1 -p %s^2 %s^{tree}", base, base,
                                                base, first));
    forge_base(f, forged);
    const char *said = arena_printf(a, "T-3: the merge %.12s in its base has the tree %.12s, but event", forged,
                                    git_in(f, arena_printf(a, "git rev-parse %s^{tree}", first)));
    assert_non_null(strstr(faults_of(f), said));
}

/* ---- tests ---- */

/* Both tickets put a test of their own into the same new file. */
#define HEAD(imports) "import unittest\n\n" imports "\n\nclass T(unittest.TestCase):\n"
#define METHOD(module) "    def test_" module "(self):\n        self.assertEqual(" module "." module "(), 1)\n"
#define PASSES(module) "    def test_" module "(self):\n        self.assertTrue(True)\n"
#define BOTH_TESTS FILE_BLOCK("tests/test_it.py", HEAD("import a\nimport b\n") METHOD("a") "\n" METHOD("b"))
#define EMPTIED FILE_BLOCK("tests/test_it.py", HEAD("import a\nimport b\n") PASSES("a") "\n" METHOD("b"))

static void make_conflict_of_tests(struct team_fixture *f)
{
    scratch_sh(&f->s, "git init -q source");
    ticket_succeeds(f, 1, SCOPE("a.py"), FILE_BLOCK("tests/test_it.py", HEAD("import a\n") METHOD("a")),
                    FILE_BLOCK("a.py", "def a():\n    return 1\n"));
    ticket_succeeds(f, 2, SCOPE("b.py"), FILE_BLOCK("tests/test_it.py", HEAD("import b\n") METHOD("b")),
                    FILE_BLOCK("b.py", "def b():\n    return 1\n"));
    says(f, "F-1/architect/appraise-1/1", ACCEPT);
}

static void tests_in_conflict_keep_what_both_sides_check(void **state)
{
    struct team_fixture *f = *state;
    make_conflict_of_tests(f);
    says(f, "T-2/developer/integrate-1/1", EMPTIED);
    says(f, "T-2/developer/integrate-1/2", BOTH_TESTS);
    begin_project(f, 2, one_spec, TWO_TICKETS, (const char *const[]){ "README.md", "Numbers.\n", NULL });
    run_team(f, TEAM_DONE);
    assert_non_null(strstr(event_text(f, "merge.refused", 0, "fault"),
                           "tests/test_it.py is there already and was changed or cut at `def test_a(self):` (as it is on feature/core). "
                           "A merge keeps every test of both sides as it is"));
    assert_non_null(strstr(file_on(f, "DEV", "tests/test_it.py"), METHOD("a")));
    assert_string_equal(faults_of(f), "");
}

static void tests_of_one_name_that_git_puts_together_are_a_persons(void **state)
{
    struct team_fixture *f = *state;
    const char *one = "    def test_one(self):\n        # 1\n        # 2\n        # 3\n        self.assertEqual(1, 1)\n";
    const char *head = "import unittest\n\n\nclass T(unittest.TestCase):\n";
#define NEW(module) "    def test_new(self):\n        import " module "\n        self.assertEqual(" module "." module "(), 1)\n"
    struct arena *a = &f->s.arena;
    scratch_sh(&f->s, "git init -q source");
    ticket_succeeds(f, 1, SCOPE("a.py"), arena_printf(a, FILE_BLOCK("tests/test_it.py", "%s" NEW("a") "\n%s"), head, one), FILE_BLOCK("a.py", "def a():\n    return 1\n"));
    ticket_succeeds(f, 2, SCOPE("b.py"), arena_printf(a, FILE_BLOCK("tests/test_it.py", "%s%s\n" NEW("b")), head, one), FILE_BLOCK("b.py", "def b():\n    return 1\n"));
    begin_project(f, 2, one_spec, TWO_TICKETS, (const char *const[]){ "tests/test_it.py", arena_printf(a, "%s%s", head, one), NULL });
    run_team(f, TEAM_BLOCKED);
    assert_non_null(strstr(ticket_of(f, 2).blocked, "tests/test_it.py defines `test_new` a second time"));
    assert_int_equal(calls_of(f, "T-2/developer/integrate-"), 0);
}

/* ---- into DEV ---- */

#define TWO_FUNCTIONALITIES "{\"functionalities\": [{\"id\": \"f\", \"title\": \"Core\"}, {\"id\": \"g\", \"title\": \"More\"}], \"tickets\": [" \
    TICKET("a", "") ", " TICKET_OF("g", "b", "") "]}"

static void a_functionality_is_retried_where_it_stands(void **state)
{
    struct team_fixture *f = *state;
    make_conflict(f);
    says(f, "F-2/architect/appraise-1/1", ACCEPT);
    says_always(f, "F-2/developer/deliver/", "I cannot.");
    says(f, "F-2/developer/deliver/4", FILE_BLOCK("tool.py", BOTH_SIDES));
    begin_project(f, 2, one_spec, TWO_FUNCTIONALITIES, (const char *const[]){ "README.md", "Numbers.\n", NULL });
    run_team(f, TEAM_BLOCKED);
    check_ok(team_retry(f->team, f->id, "F-2", "both names stay", "Ada", &f->e), &f->e);
    run_team(f, TEAM_DONE);
    assert_int_equal(calls_of(f, "F-2/architect/"), 1); /* what was accepted is not judged again */
    assert_non_null(strstr(prompt_of(f, "F-2/developer/deliver/4"), "A person adds: both names stay"));
    assert_string_equal(file_on(f, "DEV", "tool.py"), BOTH_SIDES);
}

/* ---- by whom ---- */

/* The fixture's model under another name, which it tells with each answer. */
struct renamed { struct model base; struct model *inner; };

static int renamed_describe(struct model *m, const atomic_bool *cancel, const char **ret_name, int64_t *ret_context, struct err *e)
{
    struct model *inner = ((struct renamed *)m)->inner;
    return inner->backend->describe(inner, cancel, ret_name, ret_context, e);
}

static int renamed_chat(struct model *m, const struct chat_request *q, struct chat_answer *answer, struct err *e)
{
    struct model *inner = ((struct renamed *)m)->inner;
    int r = inner->backend->chat(inner, q, answer, e);
    snprintf(answer->model, sizeof answer->model, "heavier");
    return r;
}

static void renamed_free(struct model *m)
{
    (void)m;
}

/* "subject: model" of a branch's last commit. */
static const char *model_of(struct team_fixture *f, const char *branch)
{
    return scratch_sh(&f->s, arena_printf(&f->s.arena, "git --git-dir=home/projects/%s/repo.git log -1 "
                                          "--format='%%s: %%(trailers:key=Model,valueonly,separator=%%x2c)' %s", f->id, branch));
}

static void the_commit_names_the_model_that_answered(void **state)
{
    static const struct backend backend = { .name = "renamed", .describe = renamed_describe, .chat = renamed_chat, .free = renamed_free };
    struct team_fixture *f = *state;
    struct renamed heavy = { { .backend = &backend }, f->options.models[ROLE_DEVELOPER] };
    f->options.heavy[ROLE_DEVELOPER] = &heavy.base;
    make_misunderstanding(f);
    says(f, "T-2/developer/integrate-1/1", "I cannot.");
    says(f, "T-2/developer/integrate-1/2", FILE_BLOCK("b.py", "import core\n\n\ndef b():\n    return core.scale(1, 1)\n"));
    begin_project(f, 2, one_spec, TWO_TICKETS, (const char *const[]){ CORE });
    run_team(f, TEAM_DONE);
    assert_string_equal(model_of(f, "ticket/T-2"), "Merge feature/core into ticket/T-2: heavier");
    assert_non_null(strstr(model_of(f, "ticket/T-1"), ": scripted"));
    assert_true(ends_with(model_of(f, "feature/core"), ":")); /* the engine asks nobody */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_team(the_developer_resolves_and_may_change_what_has_no_conflict),
        with_team(a_conflict_is_resolved_by_edits_whose_markers_differ_from_its_own),
        with_team(an_edit_that_does_not_fit_a_merge_is_answered_by_the_lines_it_may_mean),
        with_team(tests_without_conflict_stay_frozen_in_a_merge),
        with_team(tests_in_conflict_keep_what_both_sides_check),
        with_team(tests_of_one_name_that_git_puts_together_are_a_persons),
        with_team(a_clean_merge_that_is_red_is_mended_by_the_developer),
        with_team(a_person_chooses_between_two_versions_of_a_binary_file),
        with_team(a_merge_above_the_limits_waits_for_a_person),
        with_team(a_base_above_the_limits_blocks_its_ticket),
        with_team(the_developer_merges_what_a_ticket_builds_on),
        with_team(a_person_merges_what_a_ticket_builds_on),
        with_team(a_base_that_is_not_what_a_ticket_builds_on_is_named),
        with_team(a_functionality_is_retried_where_it_stands),
        with_team(the_commit_names_the_model_that_answered),
        with_team(the_persons_hint_reaches_the_developer_in_a_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
