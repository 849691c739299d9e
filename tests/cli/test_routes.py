"""A run without --model: the home's routes serve the roles, or a server that runs here is found."""
import contextlib
import json
import re

import greet
import home
from fake_model import ROLES, FakeModel, files


def entries(fake, *more):
    """models.yaml for it: each role has a model of its own name there."""
    models = "".join(f"- {{id: m-{role}, backend: fake, name: {role}}}\n" for role in ROLES)
    routes = "".join(f"- {{id: {role}, primary: m-{role}}}\n" for role in ROLES)
    return f"backends:\n- {{id: fake, kind: openai, url: '{fake.url}'}}\nmodels:\n{models}{''.join(more)}routes:\n{routes}"


def change(messages):
    """The right answer to a question of the exam for a change, in the form asked for."""
    question = messages[-1]["content"]
    path, before = re.search(r"### (\S+)\n```\n(.*?)```\n", question, re.S).groups()
    after = before
    for wish, old, new in (("Change LIMIT", "LIMIT = 10", "LIMIT = 25"), ("Rename the function", "perimeter", "outline"),
                           ("print Farewell", "Bye", "Farewell"), ("Delete the function", "\n\n\ndef unused():\n    return 0\n", "\n")):
        if wish in question:
            after = before.replace(old, new)
    if "search/replace" in messages[0]["content"]:
        after = f"<<<<<<< SEARCH\n{before}=======\n{after}>>>>>>> REPLACE\n"
    return f"### {path}\n```\n{after}```\n"


class Routes(greet.Made):
    def setUp(self):
        super().setUp()
        (self.room / "spec.md").write_text(greet.SPEC)

    def test_roles_are_served_by_their_routes(self):
        with contextlib.closing(FakeModel(greet.table())) as fake:
            (self.room / "models.yaml").write_text(entries(fake))
            self.good("model", "import", "models.yaml")
            done = self.tandem("run", "spec.md", "--stack", "python", "--yes", timeout=200)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("warning: not examined yet: m-pm, m-architect, m-developer, m-tester; `tandem model exam m-pm` shows", done.stderr)
        self.assertEqual({who for who, _, _ in fake.asked}, {"architect", "developer", "tester"})
        self.assertIn("m-developer", self.good("runs", "T-1"))

    def test_a_model_of_the_registry_is_named_like_an_address(self):
        with contextlib.closing(FakeModel(greet.table())) as fake:
            (self.room / "models.yaml").write_text(entries(fake))
            self.good("model", "import", "models.yaml")
            self.refused(2, 'there is no model "m-nobody"', "run", "spec.md", "--yes", "--model", "m-nobody")
            done = self.tandem("run", "spec.md", "--stack", "python", "--yes", "--model", "m-tester", "--model", f"developer={fake.url}#developer",
                               "--model", "architect=m-architect", timeout=200)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(self.good("status", "--json"))[0]["models"][0], "m-tester")

    def test_the_fallback_of_a_role_is_asked_when_its_model_gets_nowhere(self):
        table = [("developer", "> hello('Ann')", "I would rather not."), ("developer", "holds no file", "Nor now."),
                 ("architect", "holds no file", files(greet_py=greet.HELLO)), *greet.table()]
        with contextlib.closing(FakeModel(table)) as fake:
            (self.room / "models.yaml").write_text(entries(fake).replace("{id: developer, primary: m-developer}",
                                                                        "{id: developer, primary: m-developer, fallback: architect}"))
            self.good("model", "import", "models.yaml")
            done = self.tandem("run", "spec.md", "--stack", "python", "--yes", "--set", "attempts=5", timeout=200)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("m-architect", self.good("runs", "T-1"))

    def test_imported_models_without_routes_get_the_default_ones(self):
        spec = "backends:\n- {{id: fake, kind: openai, url: '{url}'}}\nmodels:\n{models}"
        models = ["coder-7b, backend: fake, name: developer", "scout-109b, backend: fake, name: architect"]
        table = [("architect" if role == "architect" else "developer", words, answer) for role, words, answer in greet.table()]
        with contextlib.closing(FakeModel(table)) as fake:
            (self.room / "models.yaml").write_text(spec.format(url=fake.url, models="".join(f"- {{id: {m}}}\n" for m in models)))
            self.good("model", "import", "models.yaml")
            done = self.tandem("run", "spec.md", "--stack", "python", "--yes", timeout=200)
        self.assertIn("No model was given and no route is set; these are the routes now", done.stdout)
        self.assertRegex(done.stdout, r"developer +coder-7b +scout-109b +made for code, 7.0 B, not examined\n")
        self.assertEqual({who for who, _, _ in fake.asked}, {"architect", "developer"}, done.stdout + done.stderr)
        self.assertRegex(self.good("model", "route"), r"architect +scout-109b +-\n")

    def test_only_models_whose_exam_allows_it_are_told_of_blocks(self):
        table = [(role, "This is src/", change) for role in ("developer", "tester")] + greet.table()
        with contextlib.closing(FakeModel(table)) as fake:
            (self.room / "models.yaml").write_text(entries(fake))
            self.good("model", "import", "models.yaml")
            for role in ("developer", "tester"):
                self.good("model", "set", f"m-{role}", "edit_format=blocks")
            exam = self.tandem("model", "exam", "m-developer", "--quick")
            self.assertRegex(exam.stdout, r"Whole files +━+ +100 %\nEdit blocks +━+ +100 %\n")
            fake.requests.clear()
            done = self.tandem("run", "spec.md", "--stack", "python", "--yes", timeout=200)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        told = {role for role, messages in fake.requests if "<<<<<<< SEARCH" in messages[0]["content"]}
        self.assertEqual(told, {"developer"})

    def test_a_server_that_runs_here_is_found_and_said(self):
        with contextlib.closing(FakeModel([])) as fake:
            done = self.tandem("run", "spec.md", "--stack", "python", "--yes", env={"TANDEM_NEARBY": f"http://127.0.0.1:1/v1 {fake.url}"})
        self.assertIn(f"No model was given; {fake.url}#pm runs here and is used.", done.stdout)
        self.assertEqual(json.loads(self.good("status", "--json"))[0]["models"], [f"{fake.url}#pm"])


if __name__ == "__main__":
    home.tap.main()
