"""Model servers that are unreachable, slow, dying or lying, and a whole run all the same.

Where each row of what a model can do wrong is proven, besides here:

  unreachable, wrong name            test_run.py (WrongInput); unit/test_chat_faults.c
  slow: no first token, stall, total here; unit/test_chat_faults.c, unit/test_client.c
  loading, busy, out of context      unit/test_chat_faults.c
  half a stream, empty, HTML page    here; unit/test_chat_faults.c
  a huge answer, endless repetition  here; unit/test_chat_faults.c
  prose instead of files             test_answers.py; unit/test_answer.c
  paths: "..", .git/hooks, absolute  test_answers.py; unit/test_git.c
  a path through a symbolic link     here
  tests from the Developer, code
  from the Tester                    test_answers.py
  binary, CRLF, no final newline     test_answers.py; unit/test_answer.c
  plans: cycles and the like         test_answers.py; unit/test_plan.c
  what the tests themselves do       test_hostile.py; unit/test_sandbox.c
"""
import contextlib
import json
import os
import signal
import subprocess

import greet
import home
import small
from fake_model import FakeModel, Raw, files, stream
from small import GOOD_CODE

PAGE = Raw(b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>", "text/html", 502)
HALF = Raw(stream("developer", GOOD_CODE)[:400], cut=True)
SILENT = Raw(stream("developer", ""))


class Servers(small.Small):
    def goes_on(self, *bad, settings=()):
        """The Developer's first answers are `bad`; the next is good, and nothing was refused."""
        out = self.build(developer=bad, settings=["patience_s=20", *settings])
        self.assertIn("1 of 1 done", out)
        return [last for role, last, _ in self.asked if role == "developer"]

    def test_half_a_stream_is_asked_again(self):
        self.goes_on(HALF)
        self.assertEqual(self.events("green.refused"), [])

    def test_a_slow_one_is_asked_again(self):
        """Whether it does not begin, falls silent, or goes on and on; each has its own setting."""
        whole = stream("developer", GOOD_CODE)
        for setting, pauses in (("first_token_s=1", (4,)), ("stall_s=1", (0, 0, 0, 4, 0)), ("total_s=2", (0.5,) * 12)):
            with self.subTest(setting):
                self.setUp()
                requests = self.goes_on(Raw(whole, pauses=pauses), settings=[setting])
                self.assertEqual(requests[1], requests[2])  # after the scope: twice the same
                self.assertEqual(self.events("green.refused"), [])

    def test_an_empty_answer_is_asked_again(self):
        self.goes_on(SILENT)
        self.assertEqual(self.events("green.refused"), [])

    def test_a_page_of_a_proxy_is_waited_out(self):
        self.goes_on(PAGE)
        self.assertEqual(self.events("green.refused"), [])

    def test_a_huge_answer_is_cut_off_and_asked_again(self):
        huge = "### greet.py\n```python\n" + "".join(f"x{i} = {os.urandom(20).hex()!r}\n" for i in range(40000))
        self.goes_on(huge, settings=["answer_kib=64", "attempts=20"])
        self.assertLess(os.path.getsize(self.home / "store.db"), 1 << 20)

    def test_endless_repetition_is_cut_off_and_the_developer_told(self):
        again = "### greet.py\n```python\n" + "def hello(name):\n    return name\n\n\n" * 20000
        self.goes_on(again, settings=["attempts=20"])
        self.assertEqual(len(self.events("green.refused")), 1)

    def test_a_server_that_only_has_a_page_ends_with_a_person(self):
        page = Raw(b"<html><title>Sign in</title></html>", "text/html")
        out = self.build(developer=[page] * 40, settings=["patience_s=1", "task_attempts=1"], status=3)
        self.assertIn("T-1 is blocked", out)
        self.assertIn("Sign in", out)


class Away(small.Small):
    def begin(self, fake):
        (self.room / "spec.md").write_text("# Greet\n\n- `hello(name)` in the module `greet` returns `Hello, NAME`.\n")
        words = [home.TANDEM, "run", "spec.md", "--stack", "python", "--yes", *fake.words()]
        return subprocess.Popen(words, cwd=self.room, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_a_run_that_waits_for_a_model_to_load_can_be_interrupted(self):
        with contextlib.closing(FakeModel([])) as fake:
            fake.loading.set()
            run = self.begin(fake)
            self.assertTrue(fake.waited_for.wait(30))
            run.send_signal(signal.SIGINT)
            _, err = run.communicate(timeout=20)  # it has 300 s of patience
        self.assertIn("nothing was begun", err)


class WrongModels(small.Small):
    def test_a_model_that_wants_another_key_stops_the_run_which_a_resume_goes_on_with(self):
        locked = Raw(b'{"error": {"message": "Invalid API key"}}', "application/json", 401)
        self.build(developer=[locked], status=1)
        self.assertEqual(sum(answer is locked for _, _, answer in self.asked), 1)
        self.assertEqual(self.events("task.failed") + self.events("blocked"), [])
        with contextlib.closing(FakeModel(small.table())) as fake:
            self.assertIn("1 of 1 done", self.good("resume", "--yes", *fake.words(), timeout=200))
            remembered = json.loads(self.good("status", "--json"))[0]["models"]
        self.assertTrue(all(fake.url in words for words in remembered), remembered)

    def test_a_project_blocked_before_it_has_tickets_says_how_it_goes_on(self):
        out = self.build(plan="I have no plan.", status=3)
        self.assertIn("The project is blocked", out)
        self.assertIn("tandem retry", out)

    def test_a_server_that_goes_away_ends_the_run_which_a_resume_goes_on_with(self):
        def leaves(_):
            gone.close()
            return HALF

        gone = FakeModel(small.table(developer=[leaves]))
        (self.room / "spec.md").write_text("# Greet\n\n- `hello(name)` in the module `greet` returns `Hello, NAME`.\n")
        out = self.tandem("run", "spec.md", "--stack", "python", "--yes", "--set", "patience_s=1", *gone.words(), timeout=200)
        self.assertEqual(out.returncode, 1, out.stdout)
        self.assertIn("is the model server running? (waited 1.", out.stderr)
        self.assertIn("tandem resume", out.stderr)
        self.assertEqual(self.events("task.failed") + self.events("blocked"), [])
        with contextlib.closing(FakeModel(small.table())) as fake:
            self.assertIn("1 of 1 done", self.good("resume", "--yes", *fake.words(), timeout=200))


class Contexts(small.Small):
    def test_a_context_of_4096_tokens_suffices(self):
        self.assertIn("1 of 1 done", self.build(settings=["context_tokens=4096"]))

    def test_no_room_for_a_prompt_is_said_with_the_settings_to_change(self):
        out = self.build(settings=["context_tokens=4092", "answer_tokens=4096", "task_attempts=1"], status=3)
        self.assertIn("set context_tokens higher or answer_tokens lower", " ".join(out.split()))


class Links(small.Small):
    def test_a_path_through_a_link_is_refused(self):
        app = self.room / "app"
        (app / "pkg").mkdir(parents=True)
        (app / "pkg" / "__init__.py").write_text("")
        (app / "alias").symlink_to("pkg")
        for words in (["init", "-q", "-b", "main"], ["add", "."],
                      ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "-qm", "Begin"]):
            subprocess.run(["git", "-C", app, *words], check=True, env=self.environment())
        through = files(alias__greet_py=greet.HELLO, greet_py=greet.HELLO)
        self.build(developer=[through], words=["--repo", "app"])
        refused = self.events("green.refused")
        self.assertEqual(len(refused), 1)
        tree = subprocess.check_output(["git", "-C", app, "ls-tree", "-r", "DEV"], text=True, env=self.environment())
        self.assertIn("120000", tree)  # the link is as it was
        self.assertNotIn("alias/", tree)


if __name__ == "__main__":
    home.tap.main()
