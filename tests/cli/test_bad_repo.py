"""tandem run --repo over repositories as people have them: each works, or is refused in one
sentence and stays byte for byte as it was."""
import contextlib
import hashlib
import os
import shutil

import greet
import home
import terminal
from fake_model import FakeModel

GATE = "the plan waits for approval"  # so far and no further: what is imported is imported


class BadRepo(greet.Made, terminal.AtTerminal):
    def setUp(self):
        home.Home.setUp(self)
        (self.room / "spec.md").write_text(greet.SPEC)
        self.app = self.room / "app"

    def print_of(self, where):
        """Everything below it: names, kinds, modes, times and bytes."""
        out = []
        for path in [where, *sorted(where.rglob("*"))]:
            st = path.lstat()
            body = os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            out.append((str(path), st.st_mode, 0 if path.is_dir() else st.st_mtime_ns, body))
        return out

    def refuse(self, said, repo="app", status=1):
        """Refused before any model is asked; nothing of it has changed, and no project is left."""
        before = self.print_of(self.app) if self.app.exists() else None
        self.refused(status, said, "run", "spec.md", "--stack", "python", "--repo", repo, "--yes", "--model", "http://127.0.0.1:1/v1")
        self.assertEqual(self.print_of(self.app) if self.app.exists() else None, before)
        self.assertIn("no project", self.good("status"))

    def plan(self, *words, repo="app"):
        """As far as the plan; what the person has is as it was.  What the run printed."""
        before = self.print_of(self.app)
        with contextlib.closing(greet.model()) as fake:
            done = self.refused(1, GATE, "run", "spec.md", "--stack", "python", "--repo", repo, *words, *fake.words())
        self.assertEqual(self.print_of(self.app), before)
        return done.stdout

    def build(self, *words, repo="app"):
        """All the way."""
        with contextlib.closing(greet.model()) as fake:
            return self.good("run", "spec.md", "--stack", "python", "--repo", repo, "--yes", *words, *fake.words(), timeout=200)

    def built(self):
        self.assertEqual(self.git(self.app, "show", "DEV:greet.py") + "\n", greet.BOTH)

    # ---- no repository ----

    def test_what_is_not_there(self):
        self.refuse("there is no ")

    def test_what_is_no_repository(self):
        self.app.mkdir()
        (self.app / "file").write_text("x")
        self.refuse("is not a git repository")
        self.refuse("is a file", repo="app/file")

    def test_a_directory_inside_one(self):
        self.make_repository()
        (self.app / "inside").mkdir()
        self.refuse("name that one", repo="app/inside")

    # ---- without commits ----

    def test_one_without_commits_gets_its_first_from_us(self):
        self.app.mkdir()
        self.git(self.app, "init", "--quiet", "--initial-branch=trunk")
        self.build()
        self.built()
        self.assertEqual(self.git(self.app, "branch", "--format=%(refname:short)").split(), ["DEV", "feature/greetings"])
        self.assertEqual(sorted(p.name for p in self.app.iterdir()), [".git"])

    def test_an_unborn_branch_beside_others(self):
        self.make_repository(keep_py="KEPT = 1\n")
        self.git(self.app, "switch", "--quiet", "--orphan", "fresh")
        self.plan()
        self.assertEqual(self.status_of()["branch"], "fresh")
        self.assertEqual(self.status_of().get("base", ""), "")

    # ---- where HEAD is ----

    def test_a_detached_head_falls_back_on_main(self):
        self.make_repository()
        self.git(self.app, "commit", "--quiet", "--allow-empty", "--message=Second")
        self.git(self.app, "checkout", "--quiet", "HEAD~1")
        self.plan()
        self.assertEqual((self.status_of()["branch"], self.status_of()["base"]), ("main", self.git(self.app, "rev-parse", "main")))

    def test_a_detached_head_without_a_main_branch(self):
        self.make_repository()
        self.git(self.app, "branch", "one")
        self.git(self.app, "branch", "--move", "main", "two")
        self.git(self.app, "checkout", "--quiet", "--detach")
        self.refuse("HEAD is detached")

    def test_a_bare_one(self):
        self.make_repository("source")
        self.git(self.room, "clone", "--quiet", "--bare", "source", "app")
        self.build()
        self.built()

    def test_a_linked_worktree(self):
        self.make_repository()
        self.git(self.app, "worktree", "add", "--quiet", "-b", "side", self.room / "linked")
        self.plan(repo="linked")
        self.assertEqual(self.status_of()["branch"], "side")

    # ---- what is in it ----

    def test_changes_that_are_not_committed_stay_and_are_said(self):
        self.make_repository(old_py="OLD = 1\n")
        (self.app / "old.py").write_text("OLD = 2\n")
        (self.app / "new.py").write_text("NEW = 1\n")
        before = self.git(self.app, "status", "--porcelain")
        out = self.build()
        self.assertIn("has changes that are not committed", out)
        self.assertEqual(self.git(self.app, "status", "--porcelain"), before)
        self.assertEqual((self.app / "old.py").read_text(), "OLD = 2\n")
        self.assertEqual(self.git(self.app, "show", "DEV:old.py"), "OLD = 1")
        self.built()

    def make_failing(self):
        """With a test that does not pass; its id."""
        self.make_repository()
        (self.app / "tests").mkdir()
        (self.app / "tests" / "test_old.py").write_text(
            "import unittest\n\n\nclass Old(unittest.TestCase):\n    def test_old(self):\n        self.fail('of old')\n")
        self.git(self.app, "add", "--all")
        self.git(self.app, "commit", "--quiet", "--message=Broken")
        return "tests/test_old.py::Old::test_old"

    def test_failing_tests_of_its_own_are_not_ours(self):
        old = self.make_failing()
        out = self.build()
        self.built()
        self.assertIn(f"tests of the repository did not pass before anything was changed (1 test): {old}\n", out)
        self.assertIn(f"Tests      3 of 4 pass, 100 % of the lines covered\n           not passing before the work began either: {old}\n", out)

    def test_what_failed_before_is_not_shown_as_the_reason_of_a_block(self):
        self.make_failing()
        table = [("developer", "fix the scope", "No scope."), *greet.table()]
        with contextlib.closing(FakeModel(table)) as fake:
            done = self.tandem("run", "spec.md", "--stack", "python", "--repo", "app", "--yes", *fake.words(), timeout=100)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("T-1 is blocked: no usable scope", done.stdout)
        self.assertNotIn("From the last run of the tests", done.stdout)
        self.assertNotIn("answer with", done.stdout)  # which only a model should
        self.assertNotIn("of old", done.stdout + self.good("show", "T-1"))

    def test_hooks_and_configuration_run_nothing(self):
        self.make_repository()
        hook = f"#!/bin/sh\ntouch {self.room}/canary\n"
        for name in ("post-checkout", "reference-transaction", "post-index-change", "update", "pre-receive", "post-update"):
            (self.app / ".git" / "hooks").mkdir(exist_ok=True)
            (self.app / ".git" / "hooks" / name).write_text(hook)
            (self.app / ".git" / "hooks" / name).chmod(0o755)
        for key in ("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "uploadpack.packObjectsHook", "diff.external",
                    "core.alternateRefsCommand"):
            self.git(self.app, "config", key, f"touch {self.room}/canary; cat")
        (self.room / "canary").unlink(missing_ok=True)
        self.build()
        self.assertFalse((self.room / "canary").exists())

    def test_submodules_and_links_that_lead_out(self):
        self.make_repository()
        (self.app / "secrets").symlink_to("/etc/passwd")
        self.git(self.app, "add", "--all")
        self.git(self.app, "commit", "--quiet", "--message=Link")
        self.refuse('the link "secrets" is refused')
        self.git(self.app, "rm", "--quiet", "secrets")
        head = self.git(self.app, "rev-parse", "HEAD")
        self.git(self.app, "update-index", "--add", "--cacheinfo", f"160000,{head},sub")
        self.git(self.app, "commit", "--quiet", "--message=Sub")
        self.refuse('"sub" is a submodule')

    def test_links_inside_it_are_fine(self):
        self.make_repository(old_py="OLD = 1\n")
        (self.app / "link.py").symlink_to("old.py")
        self.git(self.app, "add", "--all")
        self.git(self.app, "commit", "--quiet", "--message=Link")
        self.plan()

    def test_a_shallow_clone(self):
        self.make_repository("source")
        self.git(self.room / "source", "commit", "--quiet", "--allow-empty", "--message=Second")
        self.git(self.room, "clone", "--quiet", "--depth=1", f"file://{self.room}/source", "app")
        self.refuse("git fetch --unshallow")

    # ---- branches with our names ----

    def test_a_DEV_that_is_there_is_asked_about(self):
        self.make_repository()
        self.git(self.app, "branch", "DEV")
        self.refuse("there is no terminal to ask \"The repository has a DEV branch already.\" on; say --dev continue or --dev replace")

    def make_DEV(self):
        """With a commit of its own."""
        self.make_repository()
        self.git(self.app, "switch", "--quiet", "--create", "DEV")
        (self.app / "ours.py").write_text("OURS = 1\n")
        self.git(self.app, "add", "--all")
        self.git(self.app, "commit", "--quiet", "--message=Before")
        self.git(self.app, "switch", "--quiet", "main")

    def answer(self, letter):
        """To the question about it: the exit status."""
        with contextlib.closing(greet.model()) as fake:
            status, out = self.at_terminal(["run", "spec.md", "--stack", "python", "--repo", "app", "--yes", *fake.words()], [letter])
        self.assertIn("The repository has a DEV branch already.", out)
        return status

    def test_a_person_has_it_continued(self):
        self.make_DEV()
        self.assertEqual(self.answer("c"), 0)
        self.built()
        self.assertEqual(self.git(self.app, "show", "DEV:ours.py"), "OURS = 1")

    def test_a_person_has_it_replaced(self):
        self.make_DEV()
        self.assertEqual(self.answer("r"), 0)
        self.built()
        self.assertNotIn("ours.py", self.git(self.app, "ls-tree", "--name-only", "DEV"))

    def test_a_person_stops_there(self):
        self.make_DEV()
        before = self.print_of(self.app)
        self.assertEqual(self.answer("s"), 0)
        self.assertEqual(self.print_of(self.app), before)
        self.assertIn("no project", self.good("status"))

    def test_DEV_is_continued_or_replaced(self):
        self.make_DEV()
        before = self.print_of(self.app)
        shutil.copytree(self.app, self.room / "copy", symlinks=True)
        self.build("--dev", "continue")
        self.built()
        self.assertEqual(self.git(self.app, "show", "DEV:ours.py"), "OURS = 1")
        self.assertNotEqual(self.print_of(self.app), before)
        self.app = self.room / "copy"
        self.build("--dev", "replace", repo="copy")
        self.built()
        self.assertNotIn("ours.py", self.git(self.app, "ls-tree", "--name-only", "DEV"))

    def test_a_DEV_that_is_checked_out_is_left_alone_and_named(self):
        self.make_repository()
        self.git(self.app, "switch", "--quiet", "--create", "DEV")
        before = self.git(self.app, "rev-parse", "DEV"), self.git(self.app, "status", "--porcelain", "--branch")
        out = self.build("--dev", "continue")
        self.assertIn(f"DEV was left alone: the branch DEV is checked out in {self.app}", out)
        self.assertEqual((self.git(self.app, "rev-parse", "DEV"), self.git(self.app, "status", "--porcelain", "--branch")), before)
        self.git(self.app, "switch", "--quiet", "main")
        self.assertNotIn("left alone", self.good("resume", timeout=60))
        self.built()

    def test_a_branch_below_DEV(self):
        self.make_repository()
        self.git(self.app, "branch", "DEV/old")
        self.refuse("has the branch DEV/old")


if __name__ == "__main__":
    home.tap.main()
