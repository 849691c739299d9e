"""Several people speak to one project: at its gates, and while it is at work."""
import contextlib
import json

import greet
import home
import terminal
from fake_model import FakeModel
from test_office import Beside, Socket

IDEA = "A module that greets people by name"


class Spoken(Beside):
    """`say` is another person, at the server."""

    def serve(self):
        server = self.start("serve", "--listen", "none")
        self.socket = server.stdout.readline().split(" on ")[1].split(". Ctrl-C")[0]
        return server

    def say(self, verb, status=200, person="Ben", **wish):
        with contextlib.closing(Socket(self.socket)) as c:
            c.request("POST", "/tandem/projects/" + verb, json.dumps({"person": person, "wish": {"project": "greet", **wish}}))
            answer = c.getresponse()
            said = answer.read().decode()
        self.assertEqual(answer.status, status, said)
        return json.loads(said)

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


if __name__ == "__main__":
    home.tap.main()
