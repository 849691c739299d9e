"""A project of one ticket with one criterion, for what models and tests do wrong."""
import contextlib
import json

import greet
import home
from fake_model import FakeModel, files

TEST = greet.test("hello", ("hello('Ann')", "Hello, Ann"))
GOOD_TEST = files(tests__test_hello_py=TEST)
GOOD_CODE = files(greet_py=greet.HELLO)


def block(path, text="x = 1\n"):
    return f"### {path}\n```python\n{text}```\n"


def table(tester=(), developer=(), plan=None):
    criteria = [{"text": "hello('Ann') gives 'Hello, Ann'", "clause": 1}]
    good_plan = {"functionalities": [{"id": "g", "title": "Greetings"}],
                 "tickets": [{"id": "A", "functionality": "g", "title": "Say hello", "criteria": criteria}]}
    accept = {"accept": True, "comments": []}
    return [("architect", "Plan the work", plan or good_plan), ("architect", "cannot be used", plan or good_plan),
            ("architect", "Review it", accept), ("developer", "fix the scope", greet.BUILDING),
            ("tester", "criterion 1", [*tester, GOOD_TEST]),
            ("developer", ("criterion 1",), [*developer, GOOD_CODE]),
            ("developer", "Not accepted", [*developer[1:], GOOD_CODE])]


class Small(home.Home):
    """The tester or developer answers as told first, then well."""

    def build(self, tester=(), developer=(), status=0, settings=(), plan=None, more=(), words=(), killed_at=None, **env):
        (self.room / "spec.md").write_text("# Greet\n\n- `hello(name)` in the module `greet` returns `Hello, NAME`.\n")
        words = [*words, *(w for name in settings for w in ("--set", name))]
        if killed_at:
            env["TANDEM_FAILPOINT"] = killed_at
        with contextlib.closing(FakeModel([*more, *table(tester, developer, plan)])) as fake:
            done = self.tandem("run", "spec.md", "--stack", "python", "--yes", *words, *fake.words(), timeout=200, env=env)
            if killed_at:
                self.assertEqual(done.returncode, -9, done.stdout + done.stderr)
                done = self.tandem("resume", "--yes", timeout=200)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.asked, self.requests, self.bodies = fake.asked, fake.requests, fake.bodies
        return done.stdout

    def events(self, kind):
        events = [json.loads(line) for line in self.good("log", "--json").splitlines()]
        return [e for e in events if e["kind"] == kind]
