"""tandem resolve: a person does the merge that the model did not manage."""
import contextlib
import json
import shutil

import greet
import home
import terminal


class Resolve(greet.Built, terminal.AtTerminal):
    conflict = True
    status = 3

    def ticket(self, number=2):
        return self.status_of()["tickets"][number - 1]

    def open(self, *words):
        out = self.good("resolve", "T-2", *words)
        self.work = self.room / "T-2-conflict"
        return out

    def take(self):
        return self.good("resolve", "T-2", "--done")

    def state(self):
        ticket = self.ticket()
        return [ticket[k] for k in ("blocked", "stage", "head", "steps")], self.git(self.bare, "rev-parse", "ticket/T-2")

    def untaken(self, said):
        """The result is refused, and nothing has changed."""
        before = self.state()
        done = self.refused(1, said, "resolve", "T-2", "--done")
        self.assertEqual(self.state(), before)
        return done

    def resume(self):
        table = greet.table()
        with contextlib.closing(greet.FakeModel(table)) as fake:
            return self.good("resume", "--yes", *fake.words(), timeout=200)

    # ---- the whole way ----

    def test_a_person_merges_and_the_ticket_goes_on_to_DEV(self):
        self.assertIn("cannot be merged", self.ticket()["blocked"])
        out = self.open()
        self.assertIn("ours    ticket/T-2", out)
        self.assertIn("theirs  feature/greetings", out)
        self.assertIn("Files with conflicts:\n  greet.py\n", out)
        self.assertEqual(self.git(self.work, "status", "--porcelain", "greet.py"), "AA greet.py")
        self.assertIn("<<<<<<< ours", (self.work / "greet.py").read_text())
        (self.work / "greet.py").write_text(greet.BOTH)
        self.assertIn("tandem resume greet", self.take())
        self.assertEqual(self.ticket().get("blocked", ""), "")
        self.resume()
        self.assertEqual(self.git(self.clone, "show", "DEV:greet.py") + "\n", greet.BOTH)
        self.assertEqual(self.status_of()["state"], "done")
        report = json.loads(self.good("verify", "--json"))
        self.assertEqual((report["criteria"], report["faults"]), (3, []))

    def test_the_commit_is_the_persons_and_carries_its_evidence(self):
        (self.room / ".gitconfig").write_text("[user]\nname = Ann Lee\nemail = ann@example.org\n")
        self.open()
        (self.work / "greet.py").write_text(greet.BOTH)
        self.take()
        commit = self.git(self.bare, "log", "-1", "--format=%an <%ae>|%cn|%s|%b", "ticket/T-2")
        self.assertTrue(commit.startswith("Ann Lee <ann@example.org>|Tandem|Merge feature/greetings into ticket/T-2|Ticket: T-2\n"), commit)
        self.assertRegex(commit, "\nRole: person\nEvidence: [0-9a-f]{64}$")
        parents = self.git(self.bare, "log", "-1", "--format=%P", "ticket/T-2").split()
        self.assertEqual(parents[1], self.git(self.bare, "rev-parse", "feature/greetings"))
        events = self.good("log", "--json")
        resolved = [json.loads(line) for line in events.splitlines() if '"merge.resolved"' in line]
        self.assertEqual([e["actor"] for e in resolved], ["Ann Lee <ann@example.org>"])

    def test_a_merge_that_the_person_committed_is_taken_as_well(self):
        self.open()
        (self.work / "greet.py").write_text(greet.BOTH)
        self.git(self.work, "commit", "--quiet", "--all", "--no-edit")
        self.take()

    def test_every_kill_on_the_way_is_mended_by_doing_it_again(self):
        self.open()
        (self.work / "greet.py").write_text(greet.BOTH)
        for point in ("commit.intended", "commit.made", "commit.ref-moved", "resolve.end"):
            with self.subTest(point):
                self.setUp()
                self.open()
                (self.work / "greet.py").write_text(greet.BOTH)
                done = self.tandem("resolve", "T-2", "--done", env={"TANDEM_FAILPOINT": point})
                if done.returncode == 0:
                    self.skipTest("built without failpoints")
                self.assertEqual(done.returncode, -9)
                self.take()
                self.assertEqual(self.git(self.bare, "rev-list", "--count", "--merges", "feature/greetings..ticket/T-2"), "1")
                events = [json.loads(line)["kind"] for line in self.good("log", "--json").splitlines()]
                self.assertEqual(events.count("merge.resolved"), 1)
                self.assertEqual(json.loads(self.good("verify", "--json"))["faults"], [])

    def test_an_opening_that_was_killed_is_repeated_and_not_taken_before(self):
        for point in ("repo.clone", "repo.clone_fetched", "repo.conflict_cloned", "resolve.cloned", "resolve.opened"):
            with self.subTest(point):
                self.setUp()
                done = self.tandem("resolve", "T-2", env={"TANDEM_FAILPOINT": point})
                if done.returncode == 0:
                    self.skipTest("built without failpoints")
                self.assertEqual(done.returncode, -9)
                self.untaken("T-2 was not opened yet: tandem resolve T-2 --project greet opens it")
                self.open()
                self.assertEqual(self.git(self.work, "status", "--porcelain", "greet.py"), "AA greet.py")
                self.assertFalse(list(self.work.glob(".tandem*")))
                (self.work / "greet.py").write_text(greet.BOTH)
                self.take()

    # ---- what is not taken ----

    def test_markers_that_are_left_are_named(self):
        self.open()
        self.untaken("not taken: greet.py still has conflict markers")

    def test_a_merge_under_which_a_test_fails_is_refused_with_its_output(self):
        self.open()
        (self.work / "greet.py").write_text(greet.HELLO)
        done = self.untaken("tests that passed before fail now: tests/test_bye.py::ByeTest::test_bye")
        self.assertIn("AttributeError", done.stdout)
        (self.work / "greet.py").write_text(greet.BOTH)
        self.take()

    def test_other_files_stay_behind_and_are_named(self):
        self.open()
        (self.work / "greet.py").write_text(greet.BOTH)
        (self.work / "greet.py.orig").write_text("backup")
        self.assertIn("Not taken, for it is not part of the merge: greet.py.orig", self.take())
        self.assertNotIn("orig", self.git(self.bare, "ls-tree", "--name-only", "ticket/T-2"))

    def test_a_file_that_is_missing_is_named(self):
        self.open()
        (self.work / "greet.py").write_text(greet.BOTH)
        (self.work / "tests" / "test_hello.py").unlink()
        self.untaken("tests/test_hello.py is missing, and it has no conflict")

    def test_a_link_in_the_place_of_a_file_is_refused(self):
        self.open()
        (self.work / "greet.py").unlink()
        (self.work / "greet.py").symlink_to("/etc/passwd")
        self.untaken("greet.py")

    # ---- opening ----

    def test_it_is_opened_where_the_person_says(self):
        self.good("resolve", "T-2", "--dir", "somewhere/else")
        (self.room / "somewhere" / "else" / "greet.py").write_text(greet.BOTH)
        self.take()  # it is remembered where

    def test_it_is_not_opened_over_anything(self):
        (self.room / "T-2-conflict").mkdir()
        (self.room / "T-2-conflict" / "mine").write_text("")
        self.refused(1, "not empty; name another directory with --dir", "resolve", "T-2")
        self.open("--dir", "other")
        self.refused(1, "edit there and run tandem resolve T-2 --project greet --done", "resolve", "T-2")
        self.refused(2, "--done takes it from there", "resolve", "T-2", "--done", "--dir", "T-2-conflict")
        shutil.rmtree(self.room / "other")
        self.refused(1, "which is gone: tandem resolve T-2 --project greet opens it anew", "resolve", "T-2", "--done")
        self.open()

    def test_what_is_missing_is_named(self):
        shutil.rmtree(self.bare)
        done = self.refused(1, "repo.git", "resolve", "T-2")
        self.assertNotIn("lists its tickets", done.stderr)

    def test_only_what_is_blocked_by_a_merge_is_resolved(self):
        self.refused(1, "T-1 is not blocked", "resolve", "T-1")
        self.refused(1, "F-1 is not blocked", "resolve", "F-1")
        self.refused(1, "has no T-9", "resolve", "T-9")
        self.refused(1, "was not opened yet", "resolve", "T-2", "--done")
        self.refused(2, "T-N|F-N", "resolve")

    # ---- on a terminal ----

    def on_terminal(self, editor, *answers):
        return self.at_terminal(["resolve", "T-2"], answers, editor)

    def test_in_the_editor(self):
        (self.room / "both.py").write_text(greet.BOTH)
        status, out = self.on_terminal('cp both.py "$1"', "e")
        self.assertIn("conflicts in greet.py", out)
        self.assertIn("T-2 is merged with feature/greetings", out)
        self.assertEqual(status, 0, out)

    def test_in_the_editor_a_text_that_could_not_be_stored_is_edited_further(self):
        (self.room / "both.py").write_text(greet.BOTH)
        status, out = self.on_terminal(r'if grep -q "<<<<<<<" "$1"; then printf "# caf\351\n" > "$1"; else cp both.py "$1"; fi', "e", "e")
        self.assertIn("Not taken: files[0]: text is not UTF-8 in line 1", out)
        self.assertIn("T-2 is merged with feature/greetings", out)
        self.assertEqual(status, 0, out)

    def test_in_the_editor_a_refused_text_is_edited_further(self):
        (self.room / "bye.py").write_text(greet.BYE)
        (self.room / "both.py").write_text(greet.BOTH)
        status, out = self.on_terminal('if grep -q "<<<<<<<" "$1"; then cp bye.py "$1"; else cp both.py "$1"; fi', "e", "e")
        self.assertIn("Not taken: tests that passed before fail now", out)
        self.assertEqual(status, 0, out)

    def test_a_person_may_stop_and_nothing_is_changed(self):
        before = self.state()
        status, out = self.on_terminal("exit 1", "s")
        self.assertEqual((status, self.state()), (0, before), out)


class Tests(greet.Built):
    """Both tickets put their tests into the same file."""

    conflict = True
    status = 3
    path = "tests/test_greet.py"

    def table(self):
        return [("tester", "> hello('Ann')", greet.files(tests__test_greet_py=self.file_with("hello"))),
                ("tester", "> bye('Ann')", greet.files(tests__test_greet_py=self.file_with("bye")))] + greet.table(conflict=True)

    def file_with(self, *names):
        said = {"hello": ("hello('Ann')", "Hello, Ann"), "bye": ("bye('Ann')", "Bye, Ann")}
        first = greet.test(names[0], said[names[0]]).replace("HelloTest", "GreetTest").replace("ByeTest", "GreetTest")
        return first + "".join("\n" + greet.test(n, said[n]).split("(unittest.TestCase):\n")[1] for n in names[1:])

    def open(self):
        self.good("resolve", "T-2")
        work = self.room / "T-2-conflict"
        (work / "greet.py").write_text(greet.BOTH)
        return work / self.path

    def emptied(self):
        return self.file_with("hello", "bye").replace("self.assertEqual(greet.hello('Ann'), 'Hello, Ann')", "pass")

    def resume(self):
        with contextlib.closing(greet.FakeModel(greet.table())) as fake:
            self.good("resume", "--yes", *fake.words(), timeout=200)

    def verify(self):
        report = json.loads(self.tandem("verify", "--json").stdout)
        return [[(f["ticket"], f["text"]) for f in report[part]] for part in ("faults", "notes")]

    def test_both_sides_stay_whole(self):
        self.open().write_text(self.file_with("hello", "bye"))
        self.good("resolve", "T-2", "--done")
        self.resume()
        self.assertEqual(self.verify(), [[], []])

    def test_who_changes_tests_has_to_mean_it_and_verify_tells(self):
        self.open().write_text(self.emptied())
        done = self.refused(1, "tests/test_greet.py is there already and was changed or cut at `def test_hello(self):` (as it is on "
                               "feature/greetings)", "resolve", "T-2", "--done")
        self.assertIn("--change-tests", done.stderr)
        self.good("resolve", "T-2", "--done", "--change-tests")
        self.resume()
        faults, notes = self.verify()
        self.assertEqual(faults, [])
        self.assertEqual([ticket for ticket, _ in notes], ["T-2"])
        self.assertIn("which a person made, changes tests: tests/test_greet.py", notes[0][1])

    def test_verify_finds_a_merge_that_emptied_a_test(self):
        self.open().write_text(self.file_with("hello", "bye"))
        self.good("resolve", "T-2", "--done")
        self.resume()
        work = self.room / "work"
        self.git(self.bare, "worktree", "add", "--quiet", "--detach", work, "ticket/T-2")
        (work / self.path).write_text(self.emptied())
        self.git(work, "commit", "--quiet", "--all", "--amend", "--no-edit")
        self.git(self.bare, "branch", "--force", "ticket/T-2", self.git(work, "rev-parse", "HEAD"))
        faults, _ = self.verify()
        self.assertTrue(any(ticket == "T-2" and "changes tests: tests/test_greet.py is there already and was changed or cut at" in text
                            for ticket, text in faults), faults)


class Misunderstanding(greet.Built):
    """Git merges, but then tests fail: T-1 gives a function another parameter, T-2 calls it as it was."""

    conflict = True
    status = 3

    def run_words(self):
        self.make_repository(salute_py="def word(name):\n    return name\n")
        return ["--repo", "app"]

    def table(self):
        hello = "import salute\n\n\ndef hello(name):\n    return 'Hello, ' + salute.word(name, '')\n"
        bye = "import salute\n\n\ndef bye(name):\n    return 'Bye, ' + salute.word(name)\n"
        test = greet.test("bye", ("bye('Ann')", "Bye, Ann")).replace("greet", "parting")
        return [
            ("developer", "> hello('Ann')", greet.files(greet_py=hello, salute_py="def word(name, mark):\n    return name + mark\n")),
            ("tester", "> bye('Ann')", greet.files(tests__test_bye_py=test)),
            ("developer", "> bye('Ann')", greet.files(parting_py=bye)),
        ] + greet.table(conflict=True)

    def test_a_person_changes_a_file_without_conflict(self):
        blocked = self.status_of()["tickets"][1]["blocked"]
        self.assertIn("`tandem resolve T-2 --project greet` opens", blocked)
        out = self.good("resolve", "T-2")
        self.assertIn("Git merges them without conflict, but then tests fail.", out)
        work = self.room / "T-2-conflict"
        self.refused(1, "fail now: tests/test_bye.py", "resolve", "T-2", "--done")
        file = work / "parting.py"
        file.write_text(file.read_text().replace("(name)\n", "(name, '')\n"))
        self.good("resolve", "T-2", "--done")
        with contextlib.closing(greet.model()) as fake:
            self.good("resume", "--yes", *fake.words(), timeout=200)
        self.assertIn("word(name, '')", self.git(self.room / "app", "show", "DEV:parting.py"))
        self.assertEqual(json.loads(self.good("verify", "--json"))["faults"], [])


class Delivery(greet.Built):
    """Two functionalities that do not fit together in DEV."""

    conflict = "apart"
    status = 3

    def test_a_person_merges_and_the_functionality_goes_into_DEV(self):
        blocked = self.status_of()["functionalities"][1]["blocked"]
        self.assertIn("feature/partings cannot be merged into DEV", blocked)
        self.assertIn("`tandem resolve F-2 --project greet` opens", blocked)
        out = self.good("resolve", "F-2")
        self.assertIn("ours    feature/partings", out)
        self.assertIn("theirs  DEV", out)
        work = self.room / "F-2-conflict"
        self.refused(1, "greet.py still has conflict markers", "resolve", "F-2", "--done")
        (work / "greet.py").write_text(greet.BOTH)
        self.good("resolve", "F-2", "--done")
        with contextlib.closing(greet.model()) as fake:
            self.good("resume", "--yes", *fake.words(), timeout=200)
        self.assertEqual(self.git(self.clone, "show", "DEV:greet.py") + "\n", greet.BOTH)
        self.assertEqual(json.loads(self.good("verify", "--json"))["faults"], [])


if __name__ == "__main__":
    home.tap.main()
