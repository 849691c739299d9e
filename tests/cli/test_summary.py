"""What the end of a run tells a person: numbers that are those of the result, and what is not well."""
import contextlib
import json

import greet
import home
from fake_model import FakeModel, files


class Summary(greet.Made):
    def run_table(self, table, *words, status=0):
        """What a run of the greeting project printed, the model answering from the table."""
        (self.room / "spec.md").write_text(greet.SPEC)
        with contextlib.closing(FakeModel(table)) as fake:
            done = self.tandem("run", "spec.md", "--stack", "python", "--yes", *words, *fake.words(), timeout=200)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def test_tests_of_independent_functionalities_are_counted_together(self):
        apart = {"read": [], "change": [], "create": ["bye.py"], "how": "functions in bye.py"}
        test = greet.test("bye", ("bye('Ann')", "Bye, Ann")).replace("greet", "bye")
        out = self.run_table([("developer", ("fix the scope", "Ticket T-2"), apart),
                              ("tester", "> bye('Ann')", files(tests__test_bye_py=test)),
                              ("developer", "> bye('Ann')", files(bye_py=greet.BYE)), *greet.table(conflict="apart")])
        self.assertIn("2 of 2 done", out)
        self.assertIn("Tests      3 of 3 pass, 100 % of the lines covered\n", out)

    # ---- for programs ----

    def last_of(self, out):
        line = json.loads(out.splitlines()[-1])
        self.assertEqual((line["kind"], line["project"]), ("summary", "greet"))
        return line["payload"]

    def test_the_last_line_of_json_says_how_it_ended(self):
        end = self.last_of(self.run_table(greet.table(), "--json"))
        self.assertEqual(end["end"], "done")
        self.assertEqual((end["tickets"], end["tickets_done"], end["criteria"], end["criteria_proven"]), (2, 2, 3, 3))
        self.assertEqual((end["tests"], end["tests_passed"], end["lines"], end["lines_covered"]), (3, 3, 4, 4))
        self.assertEqual((end["result"], end["branch"]), (str(self.room / "greet"), "DEV"))
        self.assertEqual(end["commit"], self.git(self.room / "greet", "rev-parse", "DEV"))
        self.assertNotIn("blocked", end)
        self.assertEqual(end["prompt_tokens"] % 100, 0)  # the fake server counts 100 for each
        self.assertGreater(min(end[name] for name in ("prompt_tokens", "completion_tokens", "commits", "wall_ms", "suite_us", "own_us")), 0)

    def test_the_last_line_of_json_says_what_is_blocked_and_why(self):
        table = [("developer", "> bye('Ann')", "I would rather not."), *greet.table()]
        end = self.last_of(self.run_table(table, "--json", "--set", "attempts=2", status=3))
        self.assertEqual((end["end"], end["tickets_done"]), ("blocked", 1))
        self.assertEqual([b["what"] for b in end["blocked"]], ["T-2"])
        self.assertIn("green did not succeed in 2 attempts", end["blocked"][0]["why"])

    def test_so_does_that_of_a_project_without_a_plan(self):
        end = self.last_of(self.run_table([("architect", "", "No plan.")], "--json", status=3))
        self.assertEqual([b["what"] for b in end["blocked"]], ["greet"])
        done = self.tandem("resume", "--json", "--yes", timeout=60)
        self.assertEqual(done.returncode, 3)
        self.assertEqual(self.last_of(done.stdout)["blocked"], end["blocked"])

    def test_without_a_plan_there_are_no_tickets_to_count(self):
        out = self.run_table([("architect", "", "No plan.")], status=3)
        self.assertNotIn("Tickets", out)
        self.assertIn("The project is blocked: ", out)


if __name__ == "__main__":
    home.tap.main()
