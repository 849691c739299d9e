"""tandem run and resume: from a spec or an idea to tested code on a branch."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

import greet
import home
from fake_model import FakeModel

CRASH = home.ROOT / "tests" / "crash"
REPLAY = ("--model", f"replay:{CRASH / 'recording'}", "--stack", "python")


class Run(home.Home):
    """With the recorded conversation of tests/crash: two parallel tickets and a merge."""

    def project(self):
        return json.loads(self.good("status", "--json"))[0]

    # ---- the whole way ----

    def test_a_spec_becomes_tested_code_on_DEV(self):
        out = self.good("run", CRASH / "spec.md", "--yes", "--drift", "fail", *REPLAY)
        self.assertIn("2 of 2 done, 2 of 2 criteria proven", out)
        clone = self.room / "numbers"
        self.assertEqual(self.git(clone, "rev-parse", "--abbrev-ref", "HEAD"), "DEV")
        self.assertEqual(self.git(clone, "status", "--porcelain"), "")
        self.assertEqual(self.git(clone, "remote"), "")
        self.assertIn("def double", (clone / "doubling.py").read_text())
        branches = self.git(clone, "branch", "--format=%(refname:short)").split()
        self.assertEqual(branches, ["DEV", "feature/numbers", "main", "ticket/T-1", "ticket/T-2"])
        subjects = self.git(clone, "log", "--format=%s", "ticket/T-1").splitlines()
        self.assertEqual(subjects, ["Green 1: double(21) gives 42", "Red 1: double(21) gives 42", "Begin Numbers"])
        # main moves only by release.
        self.assertEqual(self.git(clone, "log", "--format=%s", "main"), "Begin Numbers")

    def test_every_commit_is_traced_to_ticket_functionality_and_witness(self):
        self.good("run", CRASH / "spec.md", "--yes", *REPLAY)
        events = [json.loads(line) for line in self.good("log", "--json").splitlines()]
        hashes = {e["hash"]: e["kind"] for e in events}
        red = self.git(self.room / "numbers", "log", "-1", "--first-parent", "--grep=^Red 1", "--format=%(trailers)", "ticket/T-2")
        trailers = dict(line.split(": ", 1) for line in red.splitlines() if line)
        self.assertEqual((trailers["Ticket"], trailers["Functionality"], trailers["Role"]), ("T-2", "F-1", "tester"))
        self.assertEqual(hashes[trailers["Evidence"]], "red.witnessed")

    def test_red_is_witnessed_before_green_on_every_ticket(self):
        out = self.good("run", CRASH / "spec.md", "--yes", "--json", *REPLAY)
        kinds = {}
        for line in out.splitlines():
            event = json.loads(line)
            kinds.setdefault(event["ticket"], []).append(event["kind"])
        for ticket in ("T-1", "T-2"):
            order = [k for k in kinds[ticket] if k.split(".")[0] in ("red", "green")]
            self.assertEqual(order, ["red.witnessed", "red.committed", "green.witnessed", "green.committed"])

    def test_parallel_pairs_send_the_same_prompts_as_one_pair(self):
        """Whatever the order of events: the recording was made by two pairs."""
        for pairs in ("1", "2", "2", "4"):
            done = self.tandem("run", CRASH / "spec.md", "--yes", "--drift", "fail", "--pairs", pairs,
                               "--out", self.room / ("out" + str(time.monotonic_ns())), *REPLAY, timeout=120)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertNotIn("differ", done.stderr)

    def test_the_result_is_named_by_its_plain_path_and_what_comes_next(self):
        (self.room / "spec").mkdir()
        words = ["run", CRASH / "spec.md", "--yes", "--out", "spec/../there/", *REPLAY]
        out = self.good(*words)
        self.assertIn(f"The result is in {self.room}/there, branch DEV. `tandem release numbers` takes it into main.\n", out)
        self.assertNotIn("tandem resume", self.good("status"))

    def test_an_idea_becomes_a_spec_first(self):
        spec = "# Greet\n\n" + greet.SPEC.split("\n\n", 1)[1]
        with contextlib.closing(FakeModel([("pm", "idea", spec)] + greet.table())) as fake:
            out = self.good("run", "A module that greets people by name: hello and bye, also an empty name", "--stack", "python",
                            "--yes", *fake.words(), timeout=200)
        self.assertIn("spec written", out)
        self.assertIn("2 of 2 done", out)

    @unittest.skipUnless(shutil.which("bwrap"), "bubblewrap is not installed")
    def test_without_a_sandbox_nothing_runs_unless_allowed_and_then_it_is_said(self):
        words, elsewhere = ("run", CRASH / "spec.md", "--yes", *REPLAY), self.without_bubblewrap()
        self.refused(1, "bubblewrap is not installed, so no code can be run safely", *words, on=elsewhere)
        out = self.good(*words, "--set", "sandbox=none", on=elsewhere)
        said = "NO SANDBOX, the project's code runs unprotected: bubblewrap is not installed"
        self.assertIn(f"  {said}", out)
        self.assertIn("\nSandbox    NONE: the project's code ran unprotected", out)
        self.assertIn(said, self.good("log"))
        self.assertIn("\n  NO SANDBOX: its code ran unprotected", self.good("status"))
        verified = self.tandem("verify", "--set", "sandbox=none", on=elsewhere)
        self.assertEqual(verified.returncode, 0, verified.stderr)
        self.assertIn(f"tandem: warning: {said}", verified.stderr)

    def test_a_sandbox_that_is_there_is_used_also_where_none_is_allowed(self):
        out = self.good("run", CRASH / "spec.md", "--yes", "--set", "sandbox=none", *REPLAY)
        self.assertNotIn("SANDBOX", out + self.good("status") + self.good("log"))
        self.assertNotIn("Sandbox", out)

    # ---- gates ----

    def test_without_terminal_and_yes_it_stops_at_the_plan_and_resume_goes_on(self):
        done = self.refused(1, "the plan waits for approval", "run", CRASH / "spec.md", *REPLAY)
        self.assertIn("`tandem resume numbers --yes`", done.stderr)
        self.assertIn("double(21) gives 42", done.stdout)
        self.assertEqual(self.project()["state"], "plan-approval")
        self.assertIn("\n  the plan waits for your approval: tandem resume numbers shows it, tandem resume numbers --yes accepts it\n",
                      self.good("status"))
        # resume remembers the models.
        self.assertIn("2 of 2 done", self.good("resume", "--yes"))

    def test_json_alone_goes_to_standard_output(self):
        """Plan, question and goodbye are words; they go to standard error."""
        done = self.refused(1, "the plan waits for approval", "run", CRASH / "spec.md", "--json", *REPLAY)
        self.assertIn("double(21) gives 42", done.stderr)
        self.assertTrue([json.loads(line) for line in done.stdout.splitlines()])
        words = [home.TANDEM, "resume", "--yes", "--json"]
        process = subprocess.Popen(words, cwd=self.room, env=self.environment(), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.assertEqual(json.loads(process.stdout.readline())["kind"], "plan.approved")
        process.send_signal(signal.SIGINT)
        out, words = process.communicate(timeout=30)
        self.assertIn("Stopped; nothing is lost. `tandem resume numbers` goes on from here.", words)
        self.assertTrue(all(json.loads(line) for line in out.splitlines()))

    def test_an_end_by_signal_loses_nothing(self):
        words = [home.TANDEM, "run", str(CRASH / "spec.md"), "--yes", *REPLAY]
        process = subprocess.Popen(words, cwd=self.room, env=self.environment(), stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if "red witnessed" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        self.assertEqual(process.wait(timeout=30), 1, rest)
        self.assertIn("nothing is lost", rest)
        end = self.good("resume")
        self.assertIn("2 of 2 done", end)
        log = self.good("log")
        self.assertLess(log.index("  stopped by a person"), log.index("  work goes on"))

    def test_time_at_work_does_not_begin_anew_with_resume(self):
        """The clock of the lines goes on, and the summary tells the sum."""
        words = [home.TANDEM, "run", str(CRASH / "spec.md"), "--yes", *REPLAY]
        process = subprocess.Popen(words, cwd=self.room, env=self.environment(), stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if "red witnessed" in line:
                break
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        process.wait(timeout=30)
        events = [json.loads(line) for line in self.good("log", "--json").splitlines()]
        times = {kind: [e["time_ms"] for e in events if e["kind"] == kind] for kind in ("work.begun", "work.stopped", "work.ended")}
        ended = sorted(times["work.ended"] + times["work.stopped"])
        before = sum(end - begun for begun, end in zip(times["work.begun"], ended, strict=True)) // 1000
        time.sleep(2)
        out = self.good("resume")
        minutes, seconds = re.search(r"^Time +(\d+):(\d\d): models", out, re.M).groups()
        self.assertGreaterEqual(int(minutes) * 60 + int(seconds), before)
        first = re.match(r"(\d+):(\d\d)  ", out)
        self.assertIn(int(first[1]) * 60 + int(first[2]), (before, before + 1))

    # ---- what is blocked, what waits ----

    def test_the_end_names_what_is_blocked_why_and_who_waits(self):
        (self.room / "spec.md").write_text(greet.SPEC)
        table = [("developer", "> hello('Ann')", greet.files(greet_py="def hello(name):\n    return 'Good day'\n"))] + greet.table()
        with contextlib.closing(FakeModel(table)) as fake:
            done = self.tandem("run", "spec.md", "--stack", "python", "--yes", "--set", "attempts=1", *fake.words(), timeout=200)
        self.assertEqual(done.returncode, 3, done.stderr)
        end = done.stdout[done.stdout.index("T-1 is blocked:"):]
        self.assertIn("green did not succeed in 1 attempts", end)
        self.assertIn("Waiting for it: T-2\n", end)
        self.assertIn("'Good day' != 'Hello, Ann'", end)
        self.assertIn("\n  tandem show T-1 --project greet tells all; tandem retry T-1 --project greet --hint", end)
        self.assertLess(len(end.splitlines()), 30)
        status = self.good("status")
        self.assertIn("\n  nobody is at work on it, and all that is left waits for what is blocked\n", status)
        self.assertIn("\n        tandem retry T-1 --project greet --hint \"...\" starts it again\n", status)
        self.assertNotIn("resume", status)

    def test_a_finished_ticket_says_what_its_merge_waits_for(self):
        answer = {"wait": True}

        def slow(_):
            for _ in range(1200):
                if answer["wait"]:
                    time.sleep(0.05)
            return greet.files(tests__test_hello_py=greet.test("hello", ("hello('Ann')", "Hello, Ann")))

        self.addCleanup(answer.update, wait=False)
        bye = greet.test("bye", ("bye('Ann')", "Bye, Ann")).replace("greet", "parting")
        table = [("tester", "> hello('Ann')", slow), ("tester", "> bye('Ann')", greet.files(tests__test_bye_py=bye)),
                 ("developer", "> bye('Ann')", greet.files(parting_py=greet.BYE))] + greet.table(conflict=True)
        (self.room / "spec.md").write_text(greet.SPEC)
        with contextlib.closing(FakeModel(table)) as fake:
            words = [home.TANDEM, "run", "spec.md", "--stack", "python", "--yes", *fake.words()]
            process = subprocess.Popen(words, cwd=self.room, env=self.environment(), stdout=subprocess.PIPE, text=True)
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.kill)
            for line in process.stdout:
                if "T-2 finished, waits to be merged after: T-1" in line:
                    break
            self.assertIn("Say bye  waits for T-1 to be merged", self.good("status"))
            answer["wait"] = False
            out = process.communicate(timeout=100)[0]
            self.assertEqual(process.returncode, 0, out)

    def test_a_directory_that_filled_meanwhile_is_left_alone_and_another_can_be_named(self):
        self.refused(1, "waits for approval", "run", CRASH / "spec.md", *REPLAY)
        (self.room / "numbers").mkdir()
        (self.room / "numbers" / "mine").write_text("")
        done = self.refused(1, "numbers is not empty any more; all is built: tandem resume numbers --out DIR", "resume", "--yes")
        self.assertIn("2 of 2 done", done.stdout)
        self.refused(1, "is not empty: name another directory", "resume", "--out", "numbers")
        self.good("resume", "--out", "there")
        self.assertTrue((self.room / "there" / ".git").is_dir())
        self.assertEqual([p.name for p in (self.room / "numbers").iterdir()], ["mine"])
        self.refused(1, "is already in", "resume", "--out", "elsewhere")

    # ---- several at once ----

    def test_several_projects_live_in_one_home(self):
        self.good("run", CRASH / "spec.md", "--yes", *REPLAY)
        self.good("run", CRASH / "spec.md", "--yes", "--out", "second", *REPLAY)
        self.assertEqual([p["id"] for p in json.loads(self.good("status", "--json"))], ["numbers", "numbers-2"])
        for words, project in ((), "numbers-2"), (("--project", "numbers"), "numbers"):
            events = [json.loads(line) for line in self.good("log", "T-1", "--json", *words).splitlines()]
            self.assertEqual({(e["project"], e["ticket"]) for e in events}, {(project, "T-1")})
        self.assertIn("numbers: ", self.good("log"))

    def test_others_may_look_and_join_while_it_works(self):
        answer = {"wait": True}

        def slow(_):
            for _ in range(1200):
                if answer["wait"]:
                    time.sleep(0.05)
            return greet.plan(False)

        table = [("architect", "Plan the work", slow)] + greet.table()
        (self.room / "spec.md").write_text(greet.SPEC)
        with contextlib.closing(FakeModel(table)) as fake:
            words = [home.TANDEM, "run", "spec.md", "--stack", "python", "--yes", *fake.words()]
            process = subprocess.Popen(words, cwd=self.room, env=self.environment(), stdout=subprocess.PIPE, text=True)
            self.assertIn("begun", process.stdout.readline())
            other = subprocess.Popen([home.TANDEM, "resume", "--yes"], cwd=self.room, env=self.environment(), stdout=subprocess.PIPE, text=True)
            self.assertIn("others are at it already", other.stdout.readline())
            self.assertIn("Greet", self.good("status"))
            self.assertIn("project begun", self.good("log"))
            answer["wait"] = False
            for each in process, other:
                out = each.communicate(timeout=100)[0]
                self.assertEqual(each.returncode, 0, out)


class WrongInput(home.Home):
    def run_refused(self, status, said, *words):
        return self.refused(status, said, "run", *words, "--yes", *REPLAY)

    def test_a_word_that_looks_like_a_path_is_not_an_idea(self):
        self.run_refused(2, 'there is no file "spec.md"', "spec.md")
        self.run_refused(2, 'there is no file "docs/spec"', "docs/spec")
        self.run_refused(2, "is a directory", self.room)
        for path in ("my spec.md", "Product Spec.TXT", "/my documents/spec", "./my spec", "../the spec"):
            self.run_refused(2, f'there is no file "{path}"; if it is meant as an idea, end it with a full stop', path)
        (self.room / "file").write_text("- x\n")
        self.run_refused(2, "cannot read file/spec.md", "file/spec.md")
        self.assertFalse(self.home.exists())

    def test_files_among_other_words_are_not_an_idea(self):
        for name in ("spec.md", "other.md", "my spec.md"):
            (self.room / name).write_text("- x\n")
        self.run_refused(2, "spec.md is a file, and more words are given", "spec.md", "other.md")
        self.run_refused(2, "other.md is a file, and more words are given", "improve", "other.md")
        self.run_refused(2, 'there is no file "third.md"; put an idea into quotes', "third.md", "fourth.md")
        self.run_refused(2, 'tandem run "my spec.md"', "my", "spec.md")
        self.run_refused(2, "the idea is empty", "")
        self.run_refused(2, "the idea is empty", " ", "")
        self.assertFalse(self.home.exists())

    def test_a_spec_from_windows_is_planned_like_any_other(self):
        """The recording holds the prompts of the same text with plain line ends."""
        text = (CRASH / "spec.md").read_bytes()
        (self.room / "spec.md").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
        done = self.tandem("run", "spec.md", "--drift", "fail", *REPLAY)
        self.assertIn("the plan waits for approval", done.stderr)

    def test_a_file_that_is_no_specification_is_refused(self):
        cases = [(b"", "is empty"), (b"# Title\n", "is empty"), (b"ok\n\xff\xfe\n", "not UTF-8 in line 2"),
                 (b"a\0b", "NUL"), (b"- x\n" * 3000, "more than 2000 clauses")]
        for content, said in cases:
            (self.room / "spec.md").write_bytes(content)
            self.run_refused(1, said, "spec.md")
        (self.room / "spec.md").write_bytes(b"a" * (2 << 20))
        self.run_refused(1, "larger than 256 KiB", "spec.md")
        self.assertFalse(self.home.exists())

    def test_an_empty_name_is_no_name(self):
        for name in "", " ":
            self.run_refused(2, "--name is empty", "a module that greets", "--name", name)

    def test_a_directory_with_something_in_it_is_not_overwritten(self):
        (self.room / "out").mkdir()
        (self.room / "out" / "precious").write_text("x")
        self.run_refused(1, "is not empty", CRASH / "spec.md", "--out", "out")
        (self.room / "numbers").mkdir()
        (self.room / "numbers" / "precious").write_text("x")
        self.run_refused(1, "is not empty", CRASH / "spec.md")

    def test_a_repository_that_is_too_large_is_refused_at_once(self):
        app = self.room / "app"
        app.mkdir()
        (app / "a.py").write_text("a = 1\n" * 200000)
        (app / "b.py").write_text("b = 1\n")
        for words in (["init", "-q"], ["add", "."], ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "-qm", "x"]):
            subprocess.run(["git", "-C", app, *words], check=True, env=self.environment())
        for setting, said in (("tree_files=1", f"{app}: the tree has 2 files; at most 1 are worked on (setting tree_files)"),
                              ("tree_mib=1", f"{app}: the tree has 2 MiB; at most 1 are worked on (setting tree_mib)")):
            self.run_refused(1, said, CRASH / "spec.md", "--repo", "app", "--set", setting)
            self.assertEqual(json.loads(self.good("status", "--json")), [])

    def test_a_stack_that_is_not_there_is_named_with_those_that_are(self):
        self.refused(2, 'there is no stack "cobol"; known are: c, c-', "run", CRASH / "spec.md", "--yes", "--stack", "cobol", *REPLAY[:2])

    def test_values_that_are_not_allowed_are_wrong_usage(self):
        for words in (("run", CRASH / "spec.md", *REPLAY), ("demo",), ("verify",)):
            for wrong in ("0", "99", "two"):
                self.refused(2, f'pairs is "{wrong}" (--pairs); allowed: 1 to 16', *words, "--pairs", wrong)
        for wrong in ("ftp://127.0.0.1/v1", "tester=http://"):
            self.refused(2, "is not a model", "run", CRASH / "spec.md", "--yes", "--model", wrong)
        self.refused(2, 'there is no model "x"', "run", CRASH / "spec.md", "--yes", "--model", "x")

    def test_a_model_must_be_given_and_reachable(self):
        self.refused(2, "no model is given", "run", CRASH / "spec.md", "--yes")
        done = self.tandem("run", CRASH / "spec.md", "--yes", "--stack", "python", "--model", "http://127.0.0.1:1/v1",
                           "--set", "patience_s=0", timeout=60)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("127.0.0.1:1", done.stderr)
        self.refused(1, "there is no project", "resume")
        self.refused(2, 'no role "boss"', "run", CRASH / "spec.md", "--yes", "--model", "boss=http://127.0.0.1:1/v1")

    def test_a_wrong_model_name_says_what_the_server_has(self):
        with contextlib.closing(FakeModel([])) as fake:
            done = self.tandem("run", CRASH / "spec.md", "--yes", "--stack", "python", "--model", fake.url + "#gpt-9",
                               "--set", "patience_s=0")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn('has no model "gpt-9"; it lists: pm, architect', done.stderr)
        self.refused(1, "there is no project", "resume")

    def test_resume_without_a_project_says_how_to_begin(self):
        self.refused(1, "tandem run begins one", "resume")

    def test_a_password_in_an_address_is_neither_stored_nor_repeated(self):
        done = self.refused(2, "TANDEM_API_KEY", "run", CRASH / "spec.md", "--yes", "--stack", "python",
                            "--model", "tester=http://ann:secret-4711@127.0.0.1:1/v1")
        self.assertNotIn("secret-4711", done.stdout + done.stderr)
        self.assertEqual(json.loads(self.good("status", "--json")), [])

    def test_the_api_key_is_nowhere_in_the_home(self):
        env = {"TANDEM_API_KEY": "secret-4711"}
        (self.room / "spec.md").write_text(greet.SPEC)
        with contextlib.closing(greet.model()) as fake:
            done = self.tandem("run", "spec.md", "--stack", "python", "--yes", *fake.words(), env=env, timeout=200)
        self.assertEqual(done.returncode, 0, done.stderr)
        for path in self.home.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"secret-4711", path.read_bytes(), path)


if __name__ == "__main__":
    home.tap.main()
