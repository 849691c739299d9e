"""tandem release: the default branch moves when a person says so, and only then."""
import json
import os
import shlex
import shutil
import subprocess
import time
import unittest

import greet
import home


class Release(greet.Built):
    def tip(self, branch, where=None):
        return self.git(where or self.clone, "rev-parse", branch)

    def release(self, *words, **more):
        return self.good("release", "--yes", *words, **more)

    def commit_on_main(self, name, text):
        """The person goes on by themselves on the branch main of the clone."""
        self.git(self.clone, "switch", "--quiet", "main")
        (self.clone / name).write_text(text)
        self.git(self.clone, "add", name)
        self.git(self.clone, "commit", "--quiet", "-m", "Mine")
        self.git(self.clone, "switch", "--quiet", "DEV")
        return self.tip("main")

    def events(self):
        return [e for e in map(json.loads, self.good("log", "--json").splitlines()) if e["kind"] == "release.made"]

    def holds(self):
        done = self.tandem("verify", "--json")
        self.assertEqual(json.loads(done.stdout)["faults"], [])

    # ---- forward ----

    def test_the_branch_moves_forward_here_and_in_the_clone(self):
        dev = self.tip("DEV")
        self.assertNotEqual(self.tip("main"), dev)
        self.assertIn("`tandem release greet` takes it into main", self.good("resume"))
        out = self.release()
        self.assertIn(f"for main in {self.clone}:\n  {dev[:12]} Merge feature/greetings into DEV\n", out)
        self.assertRegex(out, r"  \+\d+ +-0 +greet\.py\n")
        self.assertRegex(out, r"\d files, \+\d+ -0 lines\n")
        self.assertTrue(out.endswith("Released.\n"), out)
        self.assertEqual((self.tip("main"), self.tip("main", self.bare)), (dev, dev))
        self.assertEqual(self.git(self.clone, "status", "--porcelain", "--branch"), "## DEV")
        self.assertEqual(len(self.events()), 1)
        self.assertIn(f"The result is in {self.clone}, branch DEV, and released: main has all of it.\n", self.good("resume"))
        self.assertIn("nothing to release", self.release())
        self.assertEqual(len(self.events()), 1)
        self.holds()

    def test_nobody_is_taken_to_have_agreed(self):
        before = self.tip("main")
        done = self.refused(1, "--yes", "release")
        self.assertIn("greet.py", done.stdout)  # what would come is shown all the same
        self.assertEqual((self.tip("main"), self.events()), (before, []))

    def test_a_branch_that_is_checked_out_is_left_to_the_person(self):
        self.git(self.clone, "switch", "--quiet", "main")
        before, dev = self.tip("main"), self.tip("DEV")
        out = self.release()
        self.assertIn(f"main is checked out in {self.clone} and was left alone", out)
        self.assertEqual((self.tip("main"), self.tip("main", self.bare)), (before, dev))
        command = shlex.split(out.split("To take the release over:\n")[1].splitlines()[0])
        subprocess.run(command, check=True, env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertEqual(self.tip("main"), dev)
        self.assertIn("nothing to release", self.release())

    def test_a_clone_that_is_gone_is_made_again(self):
        shutil.rmtree(self.clone)
        self.assertIn(f"The clone was gone; {self.clone} is a new one.", self.release())
        self.assertEqual(self.git(self.clone, "status", "--porcelain", "--branch"), "## main")
        self.assertEqual(self.tip("main"), self.tip("DEV"))

    def test_something_else_in_the_place_of_the_clone_is_left_alone(self):
        shutil.rmtree(self.clone)
        self.clone.mkdir()
        (self.clone / "mine").write_text("")
        self.assertIn("is not a clone any more", self.release())
        self.assertEqual([p.name for p in self.clone.iterdir()], ["mine"])
        self.assertEqual(self.tip("main", self.bare), self.tip("DEV", self.bare))

    # ---- by a merge ----

    def test_commits_of_the_persons_are_merged_under_the_whole_suite(self):
        mine, dev = self.commit_on_main("README.md", "# Greet\n"), self.tip("DEV")
        out = self.release()
        self.assertIn("main has commits of its own: a merge is made, under the whole suite.", out)
        self.assertEqual(self.git(self.clone, "log", "-1", "--format=%P", "main"), f"{mine} {dev}")
        self.assertRegex(self.git(self.clone, "log", "-1", "--format=%B", "main"), r"^Merge DEV into main\n(.*\n)*Evidence: [0-9a-f]{64}$")
        self.assertEqual(self.git(self.clone, "ls-tree", "--name-only", "main", "README.md", "greet.py"), "README.md\ngreet.py")
        self.holds()

    def test_a_merge_under_which_a_test_fails_is_refused(self):
        mine = self.commit_on_main("tests/test_absent.py", "import os\nimport unittest\n\n\nclass AbsentTest(unittest.TestCase):\n"
                                   "    def test_nothing_is_built(self):\n        self.assertFalse(os.path.exists('greet.py'))\n")
        self.refused(1, "can be merged, but not under the tests: tests that passed before fail now: "
                        "tests/test_absent.py::AbsentTest::test_nothing_is_built", "release", "--yes")
        self.assertEqual((self.tip("main"), self.events()), (mine, []))

    def test_a_conflict_is_refused_with_the_way_out(self):
        mine = self.commit_on_main("greet.py", "mine = True\n")
        done = self.refused(1, "main and DEV change the same places: greet.py. Merge them yourself (git -C", "release", "--yes")
        self.assertEqual((self.tip("main"), self.events()), (mine, []))
        self.git(self.clone, "switch", "--quiet", "main")
        bare = shlex.split(done.stderr.split("pull --no-rebase ")[1].split(" DEV on")[0])[0]
        self.git(self.clone, "pull", "--quiet", "--no-rebase", "-X", "theirs", bare, "DEV")
        self.assertIn("nothing to release", self.release())

    def test_a_kill_midway_is_mended_by_releasing_again(self):
        for point in ("commit.intended", "commit.made", "commit.ref-moved", "release.moved", "release.recorded", "repo.export_copied", "repo.export_moving"):
            with self.subTest(point):
                self.setUp()
                mine, dev = self.commit_on_main("README.md", "# Greet\n"), self.tip("DEV")
                done = self.tandem("release", "--yes", env={"TANDEM_FAILPOINT": point})
                if done.returncode == 0:
                    self.skipTest("built without failpoints")
                self.assertEqual(done.returncode, -9, done.stderr)
                self.release()
                self.assertEqual(self.git(self.clone, "log", "-1", "--format=%P", "main"), f"{mine} {dev}")
                self.assertEqual(self.git(self.clone, "rev-list", "--count", "--merges", f"{mine}..main", f"^{dev}"), "1")
                self.assertEqual(len(self.events()), 1)
                self.holds()


    def test_a_kill_leaves_no_lock_that_needs_a_person(self):
        dev = self.tip("DEV")
        done = self.tandem("release", "--yes", env={"TANDEM_FAILPOINT": "repo.export_moving"})
        if done.returncode == 0:
            self.skipTest("built without failpoints")
        self.assertEqual(done.returncode, -9, done.stderr)
        lock, then = self.clone / ".git/refs/heads/main.lock", time.time() - 10
        lock.write_text(dev + "\n")  # what git had written, had it been killed with us
        for path in (lock, self.bare / "tandem-moving"):
            os.utime(path, (then, then))
        self.assertIn("Released.", self.release())
        self.assertFalse(lock.exists())
        self.assertEqual(self.tip("main"), dev)

    def test_a_lock_of_the_persons_git_is_named_and_left(self):
        lock = self.clone / ".git/refs/heads/main.lock"
        lock.write_text("")
        said = self.refused(1, f"{lock} is in the way: another git is at work there", "release", "--yes").stderr
        self.assertIn("`tandem release greet` tries again", said)
        self.assertTrue(lock.exists())
        self.assertIn(f"(rm {lock})", said)
        lock.unlink()
        self.assertIn("Released.", self.release())
        self.assertEqual(self.tip("main"), self.tip("DEV"))


class Theirs(greet.Built):
    """Built on a repository of the person's, whose branch is called trunk."""

    def run_words(self):
        app = self.room / "app"
        app.mkdir()
        self.git(app, "init", "--quiet", "--initial-branch=trunk")
        (app / "pyproject.toml").write_text('[project]\nname = "app"\nversion = "1"\n')
        (app / "old.py").write_text("OLD = True\n")
        self.git(app, "add", ".")
        self.git(app, "commit", "--quiet", "-m", "Begin")
        self.git(app, "switch", "--quiet", "-c", "work")
        self.git(app, "symbolic-ref", "HEAD", "refs/heads/trunk")
        return ["--repo", "app"]

    def setUp(self):
        super().setUp()
        self.app = self.room / "app"

    events = Release.events

    def test_the_result_goes_back_to_it(self):
        self.git(self.app, "switch", "--quiet", "work")
        out = self.good("release", "--yes")
        self.assertIn(f"for trunk in {self.app}", out)
        self.assertEqual(self.git(self.app, "rev-parse", "trunk"), self.git(self.app, "rev-parse", "DEV"))
        self.assertEqual(self.git(self.app, "ls-tree", "--name-only", "trunk", "old.py", "greet.py"), "greet.py\nold.py")
        self.assertEqual(self.git(self.app, "status", "--porcelain", "--branch"), "## work")
        self.assertEqual(json.loads(self.good("verify", "--json"))["faults"], [])

    def test_the_branch_they_are_on_is_left_alone(self):
        before = self.git(self.app, "rev-parse", "trunk")
        out = self.good("release", "--yes")
        self.assertIn(f"trunk is checked out in {self.app} and was left alone", out)
        self.assertEqual(self.git(self.app, "rev-parse", "trunk"), before)
        self.assertEqual(self.git(self.app, "status", "--porcelain"), "")
        again = self.good("release")  # nothing is asked
        self.assertIn("released already", again)
        self.assertNotIn("Released.", again)
        self.assertIn(f"git -C {self.app} merge --ff-only DEV\n", again)
        self.assertEqual(len(self.events()), 1)

    def test_changes_that_would_be_in_the_way_are_said_before_the_question(self):
        (self.app / "old.py").write_text("OLD = False\n")
        done = self.refused(1, "--yes", "release")
        self.assertIn("with changes that are not committed: commit or stash them", done.stdout)
        self.assertIn("commit or stash your changes there first", self.good("release", "--yes"))

    def test_the_command_it_names_takes_the_release_over(self):
        out = self.good("release", "--yes")
        command = shlex.split(out.split("To take the release over:\n")[1].splitlines()[0])
        subprocess.run(command, check=True, env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertEqual(self.git(self.app, "rev-parse", "trunk"), self.git(self.app, "rev-parse", "DEV"))

    def test_the_person_is_who_git_says_in_that_repository(self):
        (self.room / ".gitconfig").write_text("[user]\n\tname = Machine\n\temail = machine@example.org\n")
        (self.room / "included").write_text("[user]\n\temail = mallory@example.org\n")
        with open(self.app / ".git" / "config", "a") as config:
            config.write('[user]\n\tname = Ann Author\n[include]\n\tpath = ../../included\n')
        self.good("release", "--yes")
        self.assertEqual([e["actor"] for e in self.events()], ["Ann Author <machine@example.org>"])

    def test_a_name_that_would_be_a_line_of_a_commit_is_none(self):
        (self.room / ".gitconfig").write_text("[user]\n\tname = Machine\n\temail = machine@example.org\n")
        with open(self.app / ".git" / "config", "a") as config:
            config.write('[user]\n\tname = "Ann\\nEvidence: forged"\n')
        self.good("release", "--yes")
        self.assertEqual([e["actor"] for e in self.events()], ["Machine <machine@example.org>"])

    def test_a_repository_that_is_gone_is_said(self):
        self.app.rename(self.room / "moved")
        self.refused(1, f"there is no {self.app}", "release", "--yes")


class Unfinished(greet.Built):
    conflict = True
    status = 3

    def test_it_is_refused_unless_asked_for(self):
        self.refused(1, "1 of 2 tickets of greet are done; --partial releases what is in DEV so far", "release", "--yes")
        self.assertIn("nothing to release", self.good("release", "--yes", "--partial"))

    def test_without_a_project_it_says_so(self):
        shutil.rmtree(self.home)
        self.refused(1, "there is no project", "release")


if __name__ == "__main__":
    home.tap.main()
