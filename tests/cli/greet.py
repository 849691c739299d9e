"""A project small enough for tests: two tickets of one functionality, in Python.

T-1 has two criteria, the second of which is met already when it comes to it; T-2 adds to the
same file.  `conflict`: T-2 does not build on T-1, both make greet.py, and the model does not
manage the merge.
"""
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
    return {"functionalities": [{"id": "greet", "title": "Greetings", "summary": "hello and bye"}], "tickets": [
        {"id": "A", "functionality": "greet", "title": "Say hello", "kind": "behaviour", "criteria": [
            {"text": "hello('Ann') gives 'Hello, Ann'", "clause": 1},
            {"text": "hello('') gives 'Hello, '", "clause": 2}]},
        {"id": "B", "functionality": "greet", "title": "Say bye", "kind": "behaviour",
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
