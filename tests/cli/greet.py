"""A project small enough for tests: two tickets of one functionality, in Python.

T-1 has two criteria, the second of which is met already when it comes to it; T-2 adds to the
same file.  `conflict`: T-2 does not build on T-1, both make greet.py, and the model does not
manage the merge.  With "apart" for `conflict` they belong to two functionalities, so that it
is the merge into DEV that fails.
"""
import contextlib
import json
import pathlib
import shutil
import tempfile

import home
from fake_model import FakeModel, files

SPEC = """# Greet

- `hello(name)` in the module `greet` returns `Hello, NAME`.
- An empty name is greeted with `Hello, `.
- `bye(name)` in the module `greet` returns `Bye, NAME`.
"""

HELLO = 'def hello(name):\n    return f"Hello, {name}"\n'
BYE = 'def bye(name):\n    return f"Bye, {name}"\n'
BOTH = HELLO + "\n\n" + BYE

BUILDING = {"read": [], "change": [], "create": ["greet.py"], "how": "functions in greet.py"}
ADDING = {"read": [], "change": ["greet.py"], "create": [], "how": "functions in greet.py"}


def test(name, *expectations):
    body = "".join(f"        self.assertEqual(greet.{call}, {result!r})\n" for call, result in expectations)
    return (f"import unittest\n\nimport greet\n\n\nclass {name.title()}Test(unittest.TestCase):\n"
            f"    def test_{name}(self):\n{body}")


def plan(conflict):
    functionalities = [{"id": "greet", "title": "Greetings", "summary": "hello and bye"}]
    if conflict == "apart":
        functionalities.append({"id": "part", "title": "Partings", "summary": "bye"})
    return {"functionalities": functionalities, "tickets": [
        {"id": "A", "functionality": "greet", "title": "Say hello", "kind": "behaviour", "criteria": [
            {"text": "hello('Ann') gives 'Hello, Ann'", "clause": 1},
            {"text": "hello('') gives 'Hello, '", "clause": 2}]},
        {"id": "B", "functionality": functionalities[-1]["id"], "title": "Say bye", "kind": "behaviour",
         "after": [] if conflict else ["A"], "criteria": [{"text": "bye('Ann') gives 'Bye, Ann'", "clause": 3}]}]}


def table(conflict=False):
    return [
        ("architect", "Plan the work", plan(conflict)),
        ("architect", "is finished. Review it", {"accept": True, "comments": []}),
        ("architect", "All tickets of the functionality", {"accept": True, "comments": []}),
        ("developer", "changed the same places", "I leave that to somebody else."),
        ("developer", ("fix the scope", "Ticket T-1"), BUILDING),
        ("developer", ("fix the scope", "Ticket T-2"), BUILDING if conflict else ADDING),
        ("tester", "> hello('Ann')", files(tests__test_hello_py=test("hello", ("hello('Ann')", "Hello, Ann")))),
        ("tester", "> hello('')", files(tests__test_empty_py=test("empty", ("hello('')", "Hello, ")))),
        ("tester", "> bye('Ann')", files(tests__test_bye_py=test("bye", ("bye('Ann')", "Bye, Ann")))),
        ("developer", "> hello('Ann')", files(greet_py=HELLO)),
        ("developer", "> bye('Ann')", files(greet_py=BYE if conflict else BOTH)),
    ]


def model(**how):
    return FakeModel(table(**how))


class Made(home.Home):
    """With repositories of a person's."""

    def make_repository(self, name="app", **texts):
        """A repository with one commit of these files, named as for fake_model.files."""
        where = self.room / name
        where.mkdir()
        for path, text in texts.items():
            (where / (path.replace("__", "/").removesuffix("_py") + ".py")).write_text(text)
        self.git(where, "init", "--quiet", "--initial-branch=main")
        self.git(where, "add", "--all")
        self.git(where, "commit", "--quiet", "--allow-empty", "--message=Begin")
        return where

    def status_of(self):
        return json.loads(self.good("status", "greet", "--json"))[0]


class Built(Made):
    """The project built once for the class, and as it was then before each test.

    `self.home` is always at the same place: the log holds the path of the clone, `self.clone`.
    """

    conflict = False
    status = 0  # of the run

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="tandem-test-")
        cls.addClassCleanup(directory.cleanup)
        cls.place, cls.pristine = pathlib.Path(directory.name, "room"), pathlib.Path(directory.name, "pristine")
        cls.place.mkdir()
        maker = cls("run")
        maker.room, maker.home = cls.place, cls.place / "home"
        maker.build()
        shutil.copytree(cls.place, cls.pristine, symlinks=True)

    def run_words(self):
        """More words for `tandem run`; may make a repository in self.room first."""
        return []

    def table(self):
        return table(conflict=self.conflict)

    def build(self):
        (self.room / "spec.md").write_text(SPEC)
        with contextlib.closing(FakeModel(self.table())) as fake:
            done = self.tandem("run", "spec.md", "--stack", "python", "--yes", *self.run_words(), *fake.words(), timeout=280)
        if done.returncode != self.status:
            raise AssertionError(done.stdout + done.stderr)

    def setUp(self):
        shutil.rmtree(self.place)
        shutil.copytree(self.pristine, self.place, symlinks=True)
        self.room, self.home = self.place, self.place / "home"
        self.clone, self.bare = self.room / "greet", self.home / "projects" / "greet" / "repo.git"
