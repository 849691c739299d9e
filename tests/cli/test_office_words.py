"""Several people speak to one project: at its gates, and while it is at work."""
import contextlib
import json
import signal
import sqlite3
import threading
import time

import greet
import home
import terminal
from fake_model import FakeModel
from test_office import CRASH, REPLAY, Beside, Gate, Socket

IDEA = "A module that greets people by name"


class Spoken(Beside):
    """`say` is another person, at the server."""

    def serve(self):
        server = self.start("serve", "--listen", "none")
        self.socket = server.stdout.readline().split(" on ")[1].split(". Ctrl-C")[0]
        return server

    def post(self, path, settings=(), **wish):
        if path != "projects/create":
            wish = {"project": "greet", **wish}
        said = {"person": "Ben", "settings": settings, "wish": wish}
        with contextlib.closing(Socket(self.socket)) as c:
            c.request("POST", "/tandem/" + path, json.dumps(said))
            answer = c.getresponse()
            return answer.status, answer.read().decode()

    def say(self, verb, status=200, **wish):
        got, said = self.post("projects/" + verb, **wish)
        self.assertEqual(got, status, said)
        return json.loads(said)

    def sit(self, settings=()):
        """How it ended."""
        status, stream = self.post("sittings", settings)
        self.assertEqual(status, 200, stream)
        kind, data = stream.strip().split("\n\n")[-1].split("\n")
        self.assertEqual(kind, "event: ended", stream)
        return json.loads(data.removeprefix("data: "))["end"]

    def approvals(self):
        return [kind for kind in self.kinds() if kind.endswith(".approved")]


class Gates(Spoken, terminal.AtTerminal):
    def setUp(self):
        super().setUp()
        fake = FakeModel([("pm", "night", greet.SPEC), ("pm", "idea", greet.SPEC), *greet.table()])
        self.addCleanup(fake.close)
        self.words = fake.words()
        self.serve()

    def begin(self, answers, editor="exit 1"):
        status, out = self.at_terminal(["run", IDEA, "--name", "greet", "--stack", "python", *self.words], answers, editor)
        self.assertEqual(status, 0, out)
        return " ".join(out.split())

    def spec_is_approved_and_planned(self):
        self.say("approve", shown="spec-1")
        self.refused(1, "the plan waits for approval", "resume", "greet")

    def test_an_answer_counts_for_what_was_shown(self):
        self.refused(1, "the specification waits", "run", IDEA, "--name", "greet", "--stack", "python", *self.words)
        self.assertIn("is another specification", self.say("approve", 409, shown="spec-2")["error"]["message"])
        self.spec_is_approved_and_planned()
        for verb, wish in (("approve", {}), ("change", {"text": "less"}), ("edit", {"text": greet.SPEC})):
            error = self.say(verb, 409, shown="spec-1", **wish)["error"]
            self.assertEqual(error["code"], "conflict")
            self.assertIn("what waits for approval of greet by now is the plan", error["message"])
        self.assertEqual(self.approvals(), ["spec.approved"])
        self.say("approve")  # whatever it is
        self.assertEqual(self.approvals(), ["spec.approved", "plan.approved"])
        self.assertEqual(self.say("approve", 403, shown="spec-1")["error"]["code"], "refused")

    def test_who_accepts_a_spec_when_the_plan_waits_is_shown_the_plan(self):
        def late():
            self.spec_is_approved_and_planned()
            return "a"

        out = self.begin([late, "s"])
        self.assertIn("Not taken: what waits for approval of greet by now is the plan. This is what waits now:", out)
        self.assertIn("Greetings", out.split("This is what waits now")[1])
        self.assertEqual(self.approvals(), ["spec.approved"])

    def test_an_edit_that_comes_too_late_is_shown_again(self):
        def late():
            self.say("edit", shown="spec-1", text=greet.SPEC.replace("Bye", "See you"))
            return "a"

        def later():
            self.say("change", shown="spec-2", text="say night too")
            return "e"

        out = self.begin([late, later, "s"], editor='sed -i "s/Hello/Hi/" "$1"')
        self.assertIn("Not taken: what waits for approval of greet by now is another specification", out)
        self.assertIn("+ - `bye(name)` in the module `greet` returns `See you, NAME`.", out)
        self.assertIn("What you changed: - - `hello(name)` in the module `greet` returns `Hello, NAME`.", out)
        self.assertIn("Somebody else was quicker", out)
        self.assertEqual(self.approvals(), [])

    def test_who_is_asked_while_somebody_else_answers_goes_on_with_the_work(self):
        def late():
            self.say("approve")
            return "c"

        out = self.begin(["a", late, "say night too"])
        self.assertIn("Somebody else was quicker", out)
        self.assertIn("2 of 2 done", out)
        self.assertNotIn("plan.change-asked", self.kinds())


class Wishes(Spoken):
    def pairs_and_coverage(self, **wish):
        """Of a project that was begun so, as the store has it."""
        status, said = self.post("projects/create", ["pairs=3", "coverage_target=55"], spec=greet.SPEC, stack="python",
                                 out=str(self.room / "out"), models=["replay:" + str(CRASH / "recording")], **wish)
        self.assertEqual(status, 200, said)
        with contextlib.closing(sqlite3.connect(f"file:{self.home}/store.db?mode=ro", uri=True)) as db:
            body, = db.execute("SELECT body FROM doc_project WHERE id = ?", [json.loads(said)["project"]]).fetchone()
        project = json.loads(body)
        return project["pairs"], project["coverage_target"]

    def test_what_a_new_project_does_not_say_is_as_the_settings_say(self):
        self.serve()
        self.assertEqual(self.pairs_and_coverage(), (3, 55))
        self.assertEqual(self.pairs_and_coverage(pairs=1, coverage_target=0), (1, 0))


class AtItsEnd(Spoken):
    """Words that come between the last look of the workers and the end of the sitting."""

    ROUNDS = 25

    def begin(self, end, pm, *words):
        self.serve()
        self.fake = self.model(("pm", "", pm))
        self.tandem("run", IDEA, "--name", "greet", "--stack", "python", *words, *self.fake.words())
        self.assertEqual(self.sit(), end)

    def speak(self, verb, wish, settings, end, wrong):
        for _ in range(self.ROUNDS):
            status, deadline = 403, time.monotonic() + 20
            while status == 403 and time.monotonic() < deadline:
                before = len(self.fake.asked)
                status, said = self.post("projects/" + verb, **wish)
            if status != 200:
                return wrong.append(said)
            ended = self.sit(settings)
            if ended != end or len(self.fake.asked) == before:  # of all that were asked for before, nothing was to be done any more
                wrong.append(f"{ended}, asked {len(self.fake.asked) - before} times")

    def all_speak(self, verb, wish, settings, end):
        wrong = []
        several = [threading.Thread(target=self.speak, args=(verb, wish, settings, end, wrong)) for _ in range(3)]
        for thread in several:
            thread.start()
        for thread in several:
            thread.join()
        self.assertEqual(wrong, [])

    def test_no_retry_is_lost(self):
        self.begin("blocked", "Hello to you, and bye.", "--set", "replans=1")
        self.all_speak("retry", {}, ["replans=1"], "blocked")

    def test_who_waits_for_a_gate_is_not_told_that_it_is_blocked(self):
        self.begin("gate", greet.SPEC)
        self.all_speak("change", {"text": "say it again"}, [], "gate")


class Joined(Spoken):
    def setUp(self):
        super().setUp()
        self.serve()

    def join(self, *words):
        """Beside a run that waits for its Tester; what standard output and standard error say of it."""
        fake, gate = self.held()
        run = self.start(*self.run_words(fake, "--set", "attempts=7"))
        self.assertTrue(gate.asked.wait(timeout=60))
        joins = self.start("resume", "greet", *words)
        said = joins.stdout.readline()
        gate.open.set()
        self.end(run)
        out, err = said + joins.stdout.read(), joins.stderr.read()  # communicate() would lose what was read with the first line
        self.assertEqual(joins.wait(timeout=60), 0, err)
        return out, err

    def test_who_joins_is_told_what_of_their_words_does_not_count(self):
        out, err = self.join("--record", self.room / "rec", "--set", "attempts=3", "--set", "replans=3", "--drift", "fail",
                             "--model", "http://127.0.0.1:1")
        self.assertEqual(err, "")
        lines = [line.split("  ")[1] for line in out.splitlines()[:5]]
        self.assertIn("others are at it already", lines[0])
        self.assertEqual(lines[1:], [
            "attempts is 7 and not 3, as they began it",
            f"nothing is recorded in {self.room}/rec, for they began it without that",
            "prompts that differ from the recording do not end it, as they began it",
            "it goes on with the models that they began it with; yours are for the next time"])
        self.assertFalse((self.room / "rec").exists())

    def test_who_joins_with_nothing_of_their_own_is_told_nothing(self):
        out, err = self.join()
        self.assertEqual(err, "")
        self.assertNotIn("began it", out)

    def test_the_models_that_the_project_has_are_no_others(self):
        fake, gate = self.held()
        run = self.start(*self.run_words(fake))
        self.assertTrue(gate.asked.wait(timeout=60))
        run.send_signal(signal.SIGINT)
        self.end(run, 1)
        self.until(lambda: "work.stopped" in self.kinds())
        gate.asked.clear()
        first = self.start("resume", "greet")  # which names none
        self.assertTrue(gate.asked.wait(timeout=60))
        second = self.start("resume", "greet", *fake.words())
        said = second.stdout.readline()
        self.assertIn("others are at it already", said)
        gate.open.set()
        self.assertNotIn("began it", said + second.stdout.read())
        self.end(first)

    def test_among_events_it_is_a_warning(self):
        out, err = self.join("--json", "--set", "attempts=3")
        self.assertEqual(err, "tandem: warning: attempts is 7 and not 3, as they began it\n")
        self.assertEqual(json.loads(out.splitlines()[-1])["kind"], "summary")

    def test_everybody_who_looks_is_told_what_differs_from_a_recording(self):
        gate = Gate("I leave that to somebody else.")
        self.addCleanup(gate.open.set)
        fake = self.model(("tester", "", gate))
        run = self.start("run", CRASH / "spec.md", "--yes", "--name", "other", "--set", "attempts=1", *REPLAY,
                         "--model", f"tester={fake.url}#tester")
        self.assertTrue(gate.asked.wait(timeout=60))
        joins = self.start("resume", "other")
        self.assertIn("others are at it already", joins.stdout.readline())
        gate.open.set()
        for process in (run, joins):
            _, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 3, err)
            self.assertRegex(err, "prompts? differs? from the recording")


if __name__ == "__main__":
    home.tap.main()
