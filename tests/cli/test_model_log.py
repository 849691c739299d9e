"""tandem model log: the calls of a team and of a person's own, with what became of each answer."""
import contextlib
import json

import greet
import home
from fake_model import FakeModel


class ModelLog(greet.Made):
    def test_every_call_of_a_team_is_there_with_what_became_of_it(self):
        (self.room / "spec.md").write_text(greet.SPEC)
        table = [("developer", "> bye('Ann')", "I would rather not."), *greet.table()]
        with contextlib.closing(FakeModel(table)) as fake:
            self.tandem("run", "spec.md", "--stack", "python", "--yes", "--set", "attempts=3", *fake.words(), timeout=200)
            asked = len(fake.asked)
        lines = [json.loads(line) for line in self.good("model", "log", "--json", "--limit", "1000").splitlines()]
        calls, sums = lines[:-1], lines[-1]["sums"]
        self.assertEqual(len(calls), asked)
        self.assertEqual({c["model"] for c in calls}, {"architect", "developer", "tester"})
        refused = [c for c in calls if c["outcome"] != "satisfied"]
        self.assertTrue([c for c in refused if c["about"] == "greet/T-2 green-1" and "the answer holds no file" in c["outcome"]], refused)
        self.assertEqual((sums[-1]["role"], sums[-1]["calls"], sums[-1]["refused"]), ("all", asked, len(refused)))
        self.assertEqual(sums[-1]["satisfied"] + len(refused), asked)
        self.assertEqual(sums[-1]["prompt_tokens"], 100 * asked)
        self.assertEqual(sums[-1]["hit_percent"], -1)  # this server does not tell
        shown = self.good("model", "log", "--role", "developer", "--limit", "1")
        self.assertEqual(len([line for line in shown.splitlines() if line.startswith("2")]), 1, shown)
        self.assertRegex(shown, r"\ndeveloper +\d+ +\d+ +3 +0 +0 ")
        self.assertNotIn("tester", shown)
        runs = self.good("runs", "T-2")
        self.assertRegex(runs, r"green-1 +100\+10 tokens, developer +the answer holds no file")

    def test_a_call_by_hand_and_one_that_failed_are_there(self):
        with contextlib.closing(FakeModel([("developer", "", "Hello")])) as fake:
            (self.room / "m.yaml").write_text(f"backends:\n- {{id: fake, kind: openai, url: '{fake.url}'}}\nmodels:\n"
                                              "- {id: small, backend: fake, name: developer}\n- {id: gone, backend: fake, name: nosuch}\n")
            self.good("model", "import", "m.yaml")
            self.assertIn("No such call", self.good("model", "log"))
            self.good("model", "ask", "small", "hello")
            self.assertEqual(self.tandem("model", "ask", "gone", "hello").returncode, 1)
        calls = [json.loads(line) for line in self.good("model", "log", "--json").splitlines()][:-1]
        self.assertEqual([(c.get("model"), c["version"], c["outcome"]) for c in calls], [("small", 1, "answered"), (None, 0, "failed: no answer")])
        self.assertEqual(calls[0]["prompt_tokens"], 100)

    def test_wrong_words_are_refused(self):
        self.good("model", "import", self.empty())
        self.refused(2, "allowed: a number of minutes, hours or days", "model", "log", "--since", "yesterday")
        self.refused(2, "--limit is", "model", "log", "--limit", "many")

    def empty(self):
        path = self.room / "empty.yaml"
        path.write_text("models: []\n")
        return path


if __name__ == "__main__":
    home.tap.main()
