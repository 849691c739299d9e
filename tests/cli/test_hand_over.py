"""The result reaches the person: what is finished at the end of each sitting, and what comes later."""
import contextlib
import json
import shlex
import subprocess
import unittest

import greet
import home
from fake_model import FakeModel, files

MERGED = [("developer", "changed the same places", files(greet_py=greet.BOTH))]


class Partly(greet.Built):
    """Of two functionalities the second does not fit to the first, until the Developer merges them."""

    conflict = "apart"
    status = 3

    def finish(self, *words, **more):
        with contextlib.closing(FakeModel(MERGED + greet.table(conflict="apart"))) as fake:
            return self.tandem(*(words or ("retry", "F-2", "--yes")), *fake.words(), timeout=200, **more)

    def finished(self, *words):
        done = self.finish(*words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def tip(self, branch="DEV", where=None):
        return self.git(where or self.place_of_result(), "rev-parse", branch)

    def handed(self):
        """How often."""
        return sum(json.loads(line)["kind"] == "project.handed-over" for line in self.good("log", "--json").splitlines())

    def killed(self, *points):
        """At each in turn, during the retry; then it must be mended."""
        for point in points:
            with self.subTest(point):
                self.setUp()
                done = self.finish(env={"TANDEM_FAILPOINT": point})
                if done.returncode == 0 and point == points[0]:
                    self.skipTest("built without failpoints")
                self.assertEqual(done.returncode, -9, done.stdout + done.stderr)
                self.assertIn(f"The result is in {self.place_of_result()}, branch DEV.", self.good("resume"))
                self.assertEqual(self.tip(), self.tip(where=self.bare))
                self.assertEqual(self.handed(), 2)
                self.assertEqual(self.git(self.place_of_result(), "status", "--porcelain"), "")
                self.git(self.place_of_result(), "fsck", "--strict")

    def run_command(self, line):
        """As a person copies it from the screen."""
        identity = {f"GIT_{who}_{what}": "ann@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        done = subprocess.run(shlex.split(line), env=self.environment(**identity), cwd=self.room, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout)


class Clone(Partly):
    def place_of_result(self):
        return self.clone

    def status_there(self):
        return self.git(self.clone, "status", "--porcelain", "--branch")

    def left_alone(self, out):
        """The command that it names."""
        self.assertIn("DEV was left alone: ", out)
        self.assertNotIn("The result is in", out)
        return out.split("this merges what is new there:\n")[1].splitlines()[0]

    # ---- at the first end ----

    def test_what_is_finished_is_in_a_clone(self):
        self.assertEqual(self.status_there(), "## DEV")
        self.assertEqual((self.clone / "greet.py").read_text(), greet.HELLO)
        self.assertEqual(self.tip(), self.tip(where=self.bare))
        self.assertEqual(self.handed(), 1)

    def test_it_is_said_where_it_is(self):
        with contextlib.closing(greet.model(conflict="apart")) as fake:
            done = self.tandem("resume", "--yes", *fake.words())
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(done.stdout.splitlines()[-1], f"What is finished so far (1 of 2 functionalities) is in {self.clone}, branch DEV. "
                         "`tandem release greet --partial` takes it into main.")
        self.assertEqual(self.handed(), 1)

    def test_it_can_be_released(self):
        self.good("release", "--partial", "--yes")
        self.assertEqual(self.tip("main"), self.tip())

    # ---- later ----

    def test_what_a_retry_adds_comes_into_the_clone(self):
        out = self.finished()
        self.assertIn(f"The result is in {self.clone}, branch DEV.", out)
        self.assertNotIn("left alone", out)
        self.assertEqual(self.status_there(), "## DEV")
        self.assertEqual((self.clone / "greet.py").read_text(), greet.BOTH)
        self.assertEqual(self.handed(), 2)
        for branch in ("DEV", "feature/greetings", "feature/partings"):
            self.assertEqual(self.tip(branch), self.tip(branch, self.bare))
        self.assertEqual(json.loads(self.good("verify", "--json"))["faults"], [])

    def test_commits_of_the_persons_are_left_alone_and_the_way_is_named(self):
        (self.clone / "README.md").write_text("# Mine\n")
        self.git(self.clone, "add", "README.md")
        self.git(self.clone, "commit", "--quiet", "--message=Mine")
        mine = self.tip()
        command = self.left_alone(self.finished())
        self.assertEqual((self.tip(), self.status_there()), (mine, "## DEV"))
        self.assertEqual(self.handed(), 1)
        self.run_command(command)
        self.assertEqual(self.git(self.clone, "log", "-1", "--format=%P"), f"{mine} {self.tip(where=self.bare)}")
        self.assertEqual((self.clone / "greet.py").read_text(), greet.BOTH)
        merged = self.tip()
        out = self.good("resume")
        self.assertNotIn("left alone", out)
        self.assertEqual(self.tip(), merged)
        self.assertEqual(self.handed(), 2)

    def test_changes_that_are_not_committed_are_left_alone_and_the_way_is_named(self):
        (self.clone / "greet.py").write_text("mine = True\n")
        before = self.tip()
        out = self.finished()
        self.assertIn(f"DEV was left alone: it is checked out in {self.clone}, where greet.py has changes that are not committed.", out)
        command = self.left_alone(out)
        self.assertEqual((self.tip(), (self.clone / "greet.py").read_text()), (before, "mine = True\n"))
        self.git(self.clone, "stash", "--quiet")
        self.run_command(command)
        self.assertEqual(self.tip(), self.tip(where=self.bare))
        self.assertIn("The result is in", self.good("resume"))

    def test_it_is_tried_again_when_they_are_gone(self):
        (self.clone / "greet.py").write_text("mine = True\n")
        self.left_alone(self.finished())
        self.git(self.clone, "checkout", "--quiet", "greet.py")
        self.assertIn(f"The result is in {self.clone}, branch DEV.", self.good("resume"))
        self.assertEqual((self.clone / "greet.py").read_text(), greet.BOTH)
        self.assertEqual(self.handed(), 2)

    def test_files_of_the_persons_beside_it_stay(self):
        (self.clone / "notes").write_text("mine\n")
        self.git(self.clone, "branch", "mine")
        self.finished()
        self.assertEqual(self.status_there(), "## DEV\n?? notes")
        self.assertEqual((self.clone / "greet.py").read_text(), greet.BOTH)
        self.git(self.clone, "rev-parse", "mine")

    def test_a_branch_that_was_reset_there_stays(self):
        self.git(self.clone, "reset", "--quiet", "--hard", "main")
        self.left_alone(self.finished())
        self.assertEqual(self.tip(), self.tip("main"))

    def test_a_branch_of_theirs_that_is_checked_out_does_not_matter(self):
        self.git(self.clone, "switch", "--quiet", "main")
        self.assertIn("The result is in", self.finished())
        self.assertEqual((self.status_there(), self.tip()), ("## main", self.tip(where=self.bare)))

    def test_a_clone_that_is_gone_is_made_anew(self):
        self.clone.rename(self.room / "moved")
        out = self.finished()
        self.assertIn(f"The clone was gone; {self.clone} is a new one.\nThe result is in {self.clone}", out)
        self.assertEqual((self.clone / "greet.py").read_text(), greet.BOTH)
        self.assertEqual((self.room / "moved" / "greet.py").read_text(), greet.HELLO)

    def test_something_else_in_its_place_is_left_alone_and_another_can_be_named(self):
        self.clone.rename(self.room / "moved")
        self.clone.mkdir()
        self.git(self.clone, "init", "--quiet", "--initial-branch=DEV")
        done = self.finish()
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{self.clone} is not the clone any more; all is built: tandem resume greet --out DIR puts the result elsewhere",
                      done.stderr)
        self.assertEqual(self.git(self.clone, "for-each-ref"), "")
        self.good("resume", "--out", "there")
        self.assertEqual((self.room / "there" / "greet.py").read_text(), greet.BOTH)

    def test_another_place_can_be_named_while_something_is_blocked(self):
        with contextlib.closing(greet.model(conflict="apart")) as fake:
            done = self.tandem("resume", "--yes", "--out", "there", *fake.words())
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(f"is in {self.room}/there, branch DEV", done.stdout)
        self.finished()
        self.assertEqual((self.room / "there" / "greet.py").read_text(), greet.BOTH)
        self.assertEqual((self.clone / "greet.py").read_text(), greet.HELLO)

    def test_a_kill_midway_is_mended_by_resuming(self):
        self.killed("repo.export_copied", "repo.forward_staged", "repo.forward_files", "repo.export_files", "repo.export_moved",
                    "team.handed_over")


class FirstEnd(greet.Made):
    """A directory that is not as it should be when the run comes to its end."""

    def setUp(self):
        super().setUp()
        self.clone, self.bare = self.room / "greet", self.home / "projects" / "greet" / "repo.git"
        (self.room / "spec.md").write_text(greet.SPEC)

    def command(self, *words, more=(), **how):
        with contextlib.closing(FakeModel([*more, *greet.table(conflict="apart")])) as fake:
            return self.tandem(*words, *fake.words(), timeout=200, **how)

    def test_a_clone_that_was_made_before_a_kill_is_known_again(self):
        """Also when there is more to hand over by then."""
        done = self.command("run", "spec.md", "--stack", "python", "--yes", env={"TANDEM_FAILPOINT": "team.handed_over"})
        if done.returncode == 3:
            self.skipTest("built without failpoints")
        self.assertEqual(done.returncode, -9, done.stdout + done.stderr)
        self.assertEqual((self.clone / "greet.py").read_text(), greet.HELLO)
        done = self.command("retry", "F-2", "--yes", more=MERGED)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual((self.clone / "greet.py").read_text(), greet.BOTH)
        self.assertEqual(self.git(self.clone, "rev-parse", "DEV"), self.git(self.bare, "rev-parse", "DEV"))
        self.assertEqual(self.git(self.clone, "status", "--porcelain"), "")

    def test_one_that_filled_meanwhile_is_left_alone_and_what_is_blocked_is_told_all_the_same(self):
        self.assertEqual(self.command("run", "spec.md", "--stack", "python").returncode, 1)
        self.clone.mkdir()
        (self.clone / "mine").write_text("")
        done = self.command("resume", "--yes")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("F-2 is blocked", done.stdout)
        self.assertIn(f"{self.clone} is not empty any more; what is finished waits: tandem resume greet --out DIR", done.stdout)
        self.assertEqual([p.name for p in self.clone.iterdir()], ["mine"])
        done = self.command("resume", "--yes", "--out", "there")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual((self.room / "there" / "greet.py").read_text(), greet.HELLO)


class Theirs(Partly):
    """Built on a repository of the person's."""

    def run_words(self):
        self.make_repository()
        return ["--repo", "app"]

    def setUp(self):
        super().setUp()
        self.app = self.room / "app"

    def place_of_result(self):
        return self.app

    def test_what_is_finished_is_given_back(self):
        self.assertEqual(self.git(self.app, "show", "DEV:greet.py") + "\n", greet.HELLO)
        for branch in ("DEV", "feature/greetings", "feature/partings"):
            self.assertEqual(self.tip(branch), self.tip(branch, self.bare))
        self.assertEqual(self.handed(), 1)

    def test_what_a_retry_adds_is_given_back(self):
        self.git(self.app, "branch", "--quiet", "-D", "feature/greetings")
        out = self.finished()
        self.assertIn(f"The result is in {self.app}, branch DEV.", out)
        self.assertNotIn("left alone", out)
        self.assertEqual(self.tip(), self.tip(where=self.bare))
        self.assertEqual(self.handed(), 2)
        # What has not moved is not given again.
        self.assertEqual(self.git(self.app, "branch", "--list", "feature/greetings"), "")

    def test_a_branch_that_is_checked_out_is_left_alone_and_the_way_is_named(self):
        self.git(self.app, "switch", "--quiet", "DEV")
        before = self.tip()
        out = self.finished()
        self.assertIn(f"DEV was left alone: the branch DEV is checked out in {self.app}", out)
        self.assertEqual((self.tip(), self.git(self.app, "status", "--porcelain")), (before, ""))
        self.run_command(out.split("this merges what is new there:\n")[1].splitlines()[0])
        self.assertEqual(self.tip(), self.tip(where=self.bare))
        self.assertNotIn("left alone", self.good("resume"))
        self.assertEqual(self.handed(), 2)

    def test_commits_of_the_persons_are_left_alone_and_the_way_is_named(self):
        self.git(self.app, "switch", "--quiet", "DEV")
        self.git(self.app, "commit", "--quiet", "--allow-empty", "--message=Mine")
        self.git(self.app, "switch", "--quiet", "main")
        mine = self.tip()
        out = self.finished()
        self.assertIn(f"DEV was left alone: the branch DEV in {self.app} stands at {mine}", out)
        self.assertEqual(self.tip(), mine)
        self.run_command(out.split("this brings what is new as FETCH_HEAD:\n")[1].splitlines()[0])
        self.assertEqual(self.tip("FETCH_HEAD"), self.tip(where=self.bare))

    def test_a_kill_midway_is_mended_by_resuming(self):
        self.killed("repo.export_copied", "repo.export_moved", "team.handed_over")


class Nothing(greet.Built):
    """No functionality is whole."""

    conflict = True
    status = 3

    def test_nothing_is_handed_over_and_it_is_said(self):
        self.assertFalse(self.clone.exists())
        with contextlib.closing(greet.model(conflict=True)) as fake:
            done = self.tandem("resume", "--yes", *fake.words())
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(done.stdout.splitlines()[-1], "Nothing is finished yet, so nothing is handed over.")
        self.assertFalse(self.clone.exists())


if __name__ == "__main__":
    home.tap.main()
