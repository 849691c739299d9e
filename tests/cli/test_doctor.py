"""tandem doctor: finds what is missing, by trying it."""
import contextlib
import json
import re
import shutil
import subprocess
import unittest

import greet
import home
from home import place


class Doctor(home.Home):
    def rows(self, *words, status=0, **more):
        done = self.tandem("doctor", "--json", *words, **more)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return {row["check"]: row for row in json.loads(done.stdout)}

    def test_a_machine_that_passes_the_tests_is_well(self):
        rows = self.rows()
        self.assertEqual({r["verdict"] for r in rows.values()} - {"note"}, {"ok"}, rows)
        self.assertIn("does not exist yet", rows["the home"]["found"])
        tried = re.search(r"(\d+) of (\d+) attempts", rows["the sandbox"]["found"])
        self.assertEqual(tried.group(1), tried.group(2))
        self.assertGreater(int(tried.group(1)), 10)
        self.assertFalse(self.home.exists(), "doctor leaves something behind")

    def test_every_check_runs_whatever_the_others_say(self):
        rows = self.rows("--home", "/proc", "--set", "pairs=99", status=1)
        self.assertEqual(rows["settings"]["verdict"], "missing")
        self.assertIn("allowed: 1 to 16", rows["settings"]["found"])
        self.assertEqual(rows["the home"]["verdict"], "missing")
        self.assertIn("/proc: ", rows["the home"]["found"])
        self.assertEqual(rows["git, for repositories"]["verdict"], "ok")

    def test_people_read_the_same_and_an_empty_home_stays_empty(self):
        self.home.mkdir()
        lines = self.good("doctor")
        self.assertRegex(lines, r"(?m)^ok       git, for repositories: 2\.\d+$")
        self.assertRegex(lines, r"(?m)^ok       the home: .* MiB free")
        self.assertEqual(list(self.home.iterdir()), [])

    def test_a_stack_of_the_persons_own_is_examined_where_a_run_reads_it(self):
        stacks = self.home / "share" / "stacks"
        stacks.mkdir(parents=True)
        (stacks / "cobol.yaml").write_text("name: cobol\ncolour: green\n")
        row = self.rows(status=1)["stack cobol"]
        self.assertIn("stacks/cobol.yaml:2", row["found"])
        (self.room / "spec.md").write_text("# Greet\n\n- It greets.\n")
        self.refused(1, "stacks/cobol.yaml:2", "run", "spec.md", "--stack", "cobol", "--yes", "--model", "http://127.0.0.1:9/v1#m")

    def test_what_stands_in_place_of_our_files_is_read_before_a_model_is_asked(self):
        """By the doctor, by a run, and by resume, each time with the whole path and the line."""
        tester = self.home / "share" / "prompts" / "tester.md"
        wrong = f"{tester}: line 2: the placeholder {{{{wrong}}}} is not known here; known are {{{{guide}}}}"
        playbook = self.home / "share" / "playbooks" / "agile.yaml"
        ours = (home.ROOT / "share" / "playbooks" / "agile.yaml").read_text()
        misspelt = f'{playbook}:13: stages[4].step is "rad"; allowed: write-spec, plan, start, scope, red, green'
        (self.room / "spec.md").write_text(greet.SPEC)
        with contextlib.closing(greet.model()) as fake:
            run = ("run", "spec.md", "--stack", "python", *fake.words())
            self.refused(1, "the plan waits for approval", *run)
            asked = len(fake.asked)
            for path, text, said in ((tester, "Be short.\n{{wrong}}\n", wrong), (playbook, ours.replace("step: red", "step: rad"), misspelt)):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                what = "prompt tester" if path == tester else "playbook agile"
                self.assertIn(said, self.rows(status=1)[what]["found"])
                self.refused(1, said, *run, "--name", "Another")
                self.refused(1, said, "resume", "--yes")
                path.unlink()
            self.assertEqual(len(fake.asked), asked)
            tester.write_text("Be short.\n{{guide}}\n")
            self.assertEqual(self.rows()["prompt tester"]["verdict"], "ok")
            self.assertIn("2 of 2 done", self.good("resume", "--yes", timeout=100))

    def on_another_machine(self, *binds, status=1):
        """The rows there."""
        done = subprocess.run([*self.another_machine(*binds), home.TANDEM, "doctor", "--json"], stdout=subprocess.PIPE,
                              text=True, env=self.environment(), timeout=60)
        self.assertEqual(done.returncode, status, done.stdout)
        return {row["check"]: row for row in json.loads(done.stdout)}

    def script(self, name, words):
        path = self.room / name
        path.write_text(f"#!/bin/sh\n{words}\n")
        path.chmod(0o755)
        return str(path)

    @unittest.skipUnless(shutil.which("bwrap") and place("node"), "bubblewrap or Node.js is not installed")
    def test_a_language_that_is_too_old_says_where_a_newer_one_is(self):
        row = self.on_another_machine((self.script("node", "exit 1"), place("node")), status=0)["stack javascript"]
        self.assertEqual((row["verdict"], row["found"]), ("note", "cannot be used"))
        self.assertIn("Node.js 20.16 or newer is missing (runs the tests): ", row["remedy"])
        self.assertIn("npm install --global node", row["remedy"])

    @unittest.skipUnless(shutil.which("bwrap"), "bubblewrap is not installed")
    def test_a_missing_an_old_and_a_wrong_program_are_told_apart(self):
        plain = self.room / "plain"
        plain.write_text("")
        rows = self.on_another_machine((self.script("git", "echo git version 2.30.2"), place("git")),
                                       (self.script("ctags", "echo Exuberant Ctags 5.8"), place("ctags")),
                                       (str(plain), place("bwrap")))
        self.assertEqual(rows["git, for repositories"]["found"], "2.30 is too old; 2.39 is needed")
        ctags = rows["universal-ctags, for the map of a repository"]
        self.assertEqual(ctags["found"], '"Exuberant Ctags 5.8" is another program of that name')
        self.assertIn("apt-get install universal-ctags", ctags["remedy"])
        self.assertEqual(rows["bubblewrap, for the sandbox"]["verdict"], "missing")
        self.assertEqual(rows["the sandbox"]["verdict"], "missing")


if __name__ == "__main__":
    home.tap.main()
