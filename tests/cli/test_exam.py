"""tandem model exam: the card that it makes, keeps and shows, here and through a server."""
import json
import signal
import subprocess
import time

import home
from fake_model import FakeModel

ENTRIES = """\
backends:
- {{id: fake, kind: openai, url: '{url}'}}
models:
- {{id: small, backend: fake, name: developer, slots: 2}}
- {{id: nomic, backend: fake, name: tester, capabilities: [embed]}}
"""
LIMITS = "### src/limits.py\n```\nLIMIT = 25\nRETRIES = 3\n\n\ndef is_full(items):\n    return len(items) >= LIMIT\n```\n"


def fact(messages):
    """What stands in a long prompt."""
    return messages[-1]["content"].split("lighthouse is amber ")[1][:5]


class Exam(home.Home):
    def setUp(self):
        super().setUp()
        self.slow = 0
        self.fake = FakeModel([("developer", "Read this text", fact), ("developer", "LIMIT from 10 to 25", LIMITS),
                               ("developer", "accepted", {"accepted": True, "reason": "why not"}), ("developer", "", self.nothing)])
        self.addCleanup(self.fake.close)
        (self.room / "models.yaml").write_text(ENTRIES.format(url=self.fake.url))
        self.good("model", "import", "models.yaml")

    def nothing(self, _):
        time.sleep(self.slow)
        return "I do not know."

    def examine(self, *words):
        done = self.tandem("model", "exam", "small", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_it_is_shown_while_it_runs_printed_kept_and_listed(self):
        self.refused(1, "version 1 of small was not examined yet: `tandem model exam small`", "model", "exam", "small", "--show")
        done = self.examine("--quick")
        self.assertRegex(done.stderr, r"1 of \d+: loading\n2 of \d+: speed\n\d+ of \d+: schema")
        self.assertRegex(done.stderr, r"whole files, about \d+:\d\d left\n")
        for line in (r"Report card of small, version 1, a quick one", r"Usable context +[━─]{20}  8192 of 8192 tokens\n", r"Whole files +[━─]+ +25 %\n",
                     r"Edit blocks +─+ +0 %  so it is asked for whole files\n", r"Speed +1 call: reads \d+, writes [\d.]+ tokens a second\n +2 calls at once",
                     r"Roles +developer +no: whole files 25 % of 75 %, schema 33 % of 60 %\n", r"What failed +schema, 2: "):
            self.assertRegex(done.stdout, line)
        shown = self.good("model", "exam", "small", "--show")
        self.assertEqual(shown, done.stdout)
        card = json.loads(self.good("model", "exam", "small", "--show", "--json"))
        self.assertEqual((card["model"], card["version"], card["files"], card["blocks"], card["steady"]), ("small", 1, 25, 0, 100))
        self.assertEqual([n["found"] for n in card["needles"]], [True] * 9)
        self.assertRegex(self.good("model", "list"), r"small .* 25/0/33 % +-\n")
        self.assertIn("model.examined", self.good("log", "--all"))

    def test_another_version_has_no_card_yet(self):
        self.examine("--quick", "--json")
        self.good("model", "set", "small", "version=2")
        self.refused(1, "version 2 of small was not examined", "model", "exam", "small", "--show")

    def test_through_the_server_of_the_home(self):
        server = subprocess.Popen([home.TANDEM, "serve", "--listen", "none"], cwd=self.room, env=self.environment(), stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait, 20)
        self.addCleanup(server.send_signal, signal.SIGINT)
        server.stdout.readline()
        card = json.loads(self.examine("--quick", "--json").stdout)
        self.assertEqual((card["files"], card["usable_context"], len(card["speeds"])), (25, 8192, 2))
        self.assertIn("Report card of small", self.good("model", "exam", "small", "--show"))

    def test_one_that_is_interrupted_keeps_nothing(self):
        self.slow = 1
        exam = subprocess.Popen([home.TANDEM, "model", "exam", "small"], cwd=self.room, env=self.environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while "schema" not in exam.stderr.readline():
            self.assertIsNone(exam.poll())
        exam.send_signal(signal.SIGINT)
        _, said = exam.communicate(timeout=20)
        self.assertEqual(exam.returncode, 1)
        self.assertIn("stopped; nothing of this exam is kept", said)
        self.refused(1, "was not examined yet", "model", "exam", "small", "--show")

    def test_a_route_may_require_what_the_exam_showed(self):
        out = self.good("model", "route", "developer", "small", "--min-schema", "30", "--min-edits", "20", "--min-context", "4000")
        self.assertRegex(out, r"developer +small +- +context 4000, schema 30 %, edits 20 %\n")
        self.assertIn("small: not examined yet (`tandem model exam small`)", out)
        (self.room / "spec.md").write_text("# Greet\n\nIt greets.\n")
        self.good("model", "route", "architect", "small")
        refused = "no model serves developer, because its route requires more than they show: small: "
        self.refused(1, refused + "not examined yet", "run", "spec.md", "--stack", "python", "--yes")
        self.refused(1, refused, "model", "ask", "developer", "hello")
        self.examine("--quick")
        self.assertNotIn("Note", self.good("model", "route", "developer", "--min-schema", "33"))
        self.assertEqual(self.good("model", "ask", "developer", "hello"), "I do not know.\n")
        self.good("model", "route", "developer", "--min-schema", "80")
        self.refused(1, refused + "schema 33 % of 80 %", "model", "ask", "developer", "hello")
        self.refused(2, "--min-schema is", "model", "route", "developer", "--min-schema", "101")
        self.good("model", "route", "developer", "--min-schema", "0", "--min-edits", "0", "--min-context", "0")
        self.assertNotIn("REQUIRES", self.good("model", "route"))

    def test_what_cannot_be_examined_is_refused(self):
        self.refused(1, "nomic makes vectors", "model", "exam", "nomic")
        self.refused(1, "no model and no route", "model", "exam", "nosuch")
        self.refused(2, "--minutes is", "model", "exam", "small", "--minutes", "soon")


if __name__ == "__main__":
    home.tap.main()
