"""Models that answer what they should not: each answer is refused with its reason, the next is taken."""
import contextlib
import json

import greet
import home
import small
from fake_model import FakeModel, files
from small import GOOD_CODE, GOOD_TEST, TEST, block

MORE = "    def test_bye(self):\n        self.assertEqual(greet.bye('Ann'), 'Bye, Ann')\n"


class Answers(small.Small):
    def refused_answers(self, role, answers, said):
        """Each of the answers is refused, saying so; the ticket is done all the same."""
        out = self.build(**{role: answers}, settings=["attempts=20"])
        for words in said:
            self.assertIn(words, out)
        self.assertEqual(len(self.events("red.refused" if role == "tester" else "green.refused")), len(answers))
        return out

    def test_a_person_sets_how_many_answers_are_refused_before_they_are_asked(self):
        answers = iter([files(greet_py=f"def hello(name):\n    return {n}\n") for n in range(14)] + [GOOD_CODE])
        self.build(more=[("developer", words, lambda _: next(answers)) for words in ("criterion 1", "Not accepted")],
                   settings=["attempts=20"])
        self.assertEqual(len(self.events("green.refused")), 14)

    def test_the_same_answer_again_and_again_ends_sooner(self):
        self.build(developer=[files(greet_py="def hello(name):\n    return 1\n")] * 20, settings=["attempts=20"], status=3)
        self.assertLess(len(self.events("green.refused")), 10)

    def test_a_review_sends_a_ticket_back_as_often_as_the_person_allows(self):
        wish = {"accept": False, "comments": [{"kind": "refactoring", "text": "Say it shorter"}]}
        shorter = [files(greet_py=f"def hello(who):\n    return 'Hello, ' + who{' ' * n}\n") for n in (0, 1)]
        for allowed, status in ((0, 3), (1, 3), (2, 0)):
            with self.subTest(allowed):
                self.setUp()
                self.build(more=[("architect", "is finished. Review it", [wish, wish, {"accept": True, "comments": []}]),
                                 ("developer", "Say it shorter", shorter)],
                           settings=[f"review_rounds={allowed}"], status=status)
                self.assertEqual(len(self.events("review.commented")), min(allowed + 1, 2))
                self.assertEqual(len([e for e in self.events("task.leased") if e["on_behalf"].endswith("-refactor")]), allowed)

    def test_paths_that_leave_the_tree_or_reach_into_git_are_refused(self):
        outside = self.room / "test_x.py"
        self.refused_answers("tester", [block("../tests/test_x.py"), block(str(outside)), block("tests/.git/hooks/x"), block(".GIT/config")],
                             [f'red refused: the path "{path}" cannot be used: {why}' for path, why in (
                                 ("../tests/test_x.py", "it leaves the project"), (outside, "it is absolute"),
                                 ("tests/.git/hooks/x", "it is inside .git"), (".GIT/config", "it is inside .git"))])
        self.assertFalse(outside.exists())

    def test_the_developer_does_not_write_tests(self):
        self.refused_answers("developer", [files(tests__test_hello_py="", greet_py=greet.HELLO)], ["frozen"])

    def test_the_developer_does_not_replace_the_test_framework(self):
        self.refused_answers("developer", [files(sitecustomize_py="", greet_py=greet.HELLO), files(unittest_py="", greet_py=greet.HELLO)],
                             ["sitecustomize.py would change or replace", "unittest.py would change or replace"])

    def test_the_tester_does_not_write_production_code(self):
        self.refused_answers("tester", [GOOD_CODE + GOOD_TEST], ["greet.py is not a test file"])

    def test_a_test_that_is_there_is_not_made_weaker(self):
        empty = greet.test("hello").replace("    def test_hello(self):\n", "    def test_hello(self):\n        pass\n")
        self.one_more(files(tests__test_hello_py=empty + "\n" + MORE), "was changed or cut at `def test_hello(self):`")

    def test_a_test_that_is_there_can_be_added_to(self):
        self.one_more(files(tests__test_hello_py=TEST + "\n" + MORE))

    def one_more(self, answer, *refused):
        """The second criterion's tests come into the file of the first."""
        settled = files(tests__test_bye_py=greet.test("bye", ("bye('Ann')", "Bye, Ann")))
        plan = {"functionalities": [{"id": "g", "title": "Greetings"}],
                "tickets": [{"id": "A", "functionality": "g", "title": "Greet",
                             "criteria": [{"text": "hello('Ann') gives 'Hello, Ann'", "clause": 1},
                                          {"text": "bye('Ann') gives 'Bye, Ann'", "clause": 1}]}]}
        out = self.build(plan=plan, more=[("tester", "criterion 2", [answer, settled]),
                                          ("developer", "criterion 2", files(greet_py=greet.BOTH))])
        for words in refused:
            self.assertIn(words, out)
        self.assertEqual(len(self.events("red.refused")), len(refused))
        self.good("verify")

    WRONG = files(tests__test_hello_py=greet.test("hello", ("hello('Ann')", "Hello, Bob")))
    OBJECTION = "WRONG TEST: tests/test_hello.py expects Hello, Bob; it should expect Hello, Ann.\n"

    def test_a_wrong_test_is_taken_back_once(self):
        out = self.build(tester=[self.WRONG], developer=[self.OBJECTION])
        self.assertIn("red taken back, the Developer objects, criterion 1: tests/test_hello.py expects Hello, Bob", out)
        again = [last for role, last, _ in self.asked if role == "tester"]
        self.assertEqual(len(again), 2)
        self.assertIn("> tests/test_hello.py expects Hello, Bob; it should", again[1])
        self.assertEqual((self.room / "greet" / "tests" / "test_hello.py").read_text(), TEST)
        self.good("verify")
        commits = self.commits()
        self.assertRegex(commits[2], "^Take back 1: tests/test_hello.py expects")
        self.assertEqual([c.split(":")[0] for c in commits], ["Green 1", "Red 1", commits[2].split(":")[0], "Red 1"])

    def test_a_second_objection_is_refused(self):
        out = self.build(tester=[self.WRONG, self.WRONG], developer=[self.OBJECTION] * 9, status=3)
        self.assertEqual(len(self.events("red.taken-back")), 1)
        self.assertIn("they stand; make them pass", out)
        self.good("verify")

    def test_a_kill_while_a_red_is_taken_back_loses_nothing(self):
        self.build(tester=[self.WRONG], developer=[self.OBJECTION])
        wanted = self.commits()
        for point in ("commit.intended", "commit.made", "commit.ref-moved"):
            self.setUp()
            out = self.build(tester=[self.WRONG], developer=[self.OBJECTION], killed_at=f"{point}:2")  # 1 was the red
            self.assertIn("1 of 1 done", out)
            self.assertEqual(self.commits(), wanted)
            self.assertEqual(len(self.events("red.taken-back")), 1)
            self.good("verify")

    def commits(self):
        bare = self.home / "projects" / "greet" / "repo.git"
        return self.git(bare, "log", "--format=%s", "--first-parent", "ticket/T-1", "--not", "main").splitlines()

    def test_the_tester_sees_the_tests_of_what_will_change(self):
        (self.room / "spec.md").write_text(greet.SPEC)
        with contextlib.closing(greet.model()) as fake:
            self.good("run", "spec.md", "--stack", "python", "--yes", *fake.words(), timeout=200)
        shown = [last for role, last, _ in fake.asked if role == "tester" and "> bye('Ann')" in last][0]
        self.assertIn("Tests that there are already:\n\n### tests/test_empty.py\n", shown)
        self.assertIn(TEST, shown)

    def test_prose_and_nothing_are_no_files(self):
        out = self.refused_answers("tester", ["I think we should first discuss the requirements.", "### tests/test_x.py\n\nsoon\n"], [])
        self.assertEqual(out.count("red refused: the answer holds no file; for each file write a line"), 2)

    def test_a_binary_answer_never_reaches_the_tree(self):
        self.build(tester=[block("tests/test_x.py", "\0\1\2\n")])
        self.assertEqual(len([role for role, _, _ in self.asked if role == "tester"]), 2)  # a broken answer is asked for again,
        self.assertEqual(self.events("red.refused"), [])  # and is no attempt
        self.assertFalse((self.room / "greet" / "tests" / "test_x.py").exists())

    def test_line_ends_are_mended_not_refused(self):
        crlf = GOOD_CODE.replace("\n", "\r\n")
        self.build(developer=[crlf])
        clone = self.room / "greet"
        self.assertEqual((clone / "greet.py").read_bytes(), greet.HELLO.encode())

    def test_a_missing_final_newline_is_added(self):
        self.build(developer=["### greet.py\n```python\n" + greet.HELLO.rstrip("\n") + "\n```"])
        self.assertTrue((self.room / "greet" / "greet.py").read_bytes().endswith(b"\n"))

    def test_a_test_that_passes_at_once_is_refused_with_its_name(self):
        self.refused_answers("tester", [files(tests__test_true_py="import unittest\n\n\nclass T(unittest.TestCase):\n"
                                              "    def test_true(self):\n        self.assertTrue(True)\n")],
                             ["pass at once", "tests/test_true.py::T::test_true"])

    def test_a_test_with_a_syntax_error_is_refused(self):
        test = greet.test("hello", ("hello('Ann')", "Hello, Ann"))
        self.refused_answers("tester", [files(tests__test_x_py="def test(:\n"), files(tests__test_x_py=test.replace("Equal(", "Equal(1 1, "))],
                             ["red refused: the answer contains no new test",
                              "tests/test_x.py::HelloTest::test_hello (the file is not valid Python: SyntaxError: "])

    def test_a_green_that_breaks_is_mended_on_the_next_attempt(self):
        self.refused_answers("developer", [files(greet_py="def hello(name):\n    return name\n")], ["still fail"])
        retry = [last for role, last, _ in self.asked if role == "developer" and "Not accepted" in last]
        self.assertIn("Hello, Ann", retry[0])  # the failure's own words

    def test_the_same_answer_again_and_again_ends_with_a_person(self):
        wrong = files(greet_py="def hello(name):\n    return name\n")
        out = self.build(developer=[wrong] * 30, status=3)
        self.assertIn("T-1 is blocked", out)
        self.assertLess(len(self.events("green.refused")), 10)
        # A hint starts it again where it stands.
        with contextlib.closing(FakeModel([("architect", "Review it", {"accept": True, "comments": []}),
                                           ("developer", "Mind the greeting", GOOD_CODE)])) as fake:
            out = self.good("retry", "T-1", "--hint", "Mind the greeting", *fake.words(), timeout=100)
        self.assertIn("1 of 1 done", out)
        for words in (("log", "T-1"), ("show", "T-1")):  # what help was called, and when
            told = " ".join(self.good(*words).split())
            self.assertIn("started again: Mind the greeting", told)
            for help_called in ("tries again with a hint", "begins with a fresh context"):
                self.assertIn(help_called, told)

    def test_a_test_that_hangs_is_ended_and_refused(self):
        hang = files(tests__test_x_py="import time\nimport unittest\n\n\nclass T(unittest.TestCase):\n"
                     "    def test_hang(self):\n        time.sleep(1000)\n")
        out = self.build(tester=[hang], settings=["suite_timeout_s=3"])
        self.assertIn("red refused: the test run did not come to its end", out)

    def test_a_test_cannot_read_the_servers_environment(self):
        spy = files(tests__test_spy_py="import os\nimport unittest\n\n\nclass Spy(unittest.TestCase):\n    def test_spy(self):\n"
                    "        seen = ''.join(os.environ)\n        for p in os.listdir('/proc'):\n            if p.isdigit():\n"
                    "                try:\n                    seen += open(f'/proc/{p}/environ').read()\n"
                    "                except OSError:\n                    pass\n        self.assertNotIn('PRIVATE', seen)\n")
        out = self.build(tester=[spy], PRIVATE_THING="1")
        self.assertIn("pass at once", out)  # it saw nothing, so it passes, so it is no red

    def test_a_plan_that_cannot_be_goes_back_and_then_to_a_person(self):
        def plan_of(*tickets):
            whole = {"functionality": "g", "title": "Greet", "criteria": [{"text": "x", "clause": 1}]}
            return {"functionalities": [{"id": "g", "title": "G"}], "tickets": [{**whole, **ticket} for ticket in tickets]}

        for plan, said in ((plan_of({"id": "A", "after": ["B"]}, {"id": "B", "after": ["A"]}), "cycle"),
                           (plan_of({"id": "A", "after": ["Z"]}), 'ticket "A" comes after "Z", which the plan does not have'),
                           (plan_of({"id": "A"}, {"id": "A"}), "used twice"),
                           (plan_of({"id": "A", "criteria": []}), 'ticket "A" has no criteria')):
            with self.subTest(said):
                self.setUp()
                self.assertIn(said, self.build(plan=plan, status=3))
                architect = [request for role, request, _ in self.asked if role == "architect"]
                self.assertEqual(len(architect), 3)
                for request in architect[1:]:
                    self.assertIn(said, request)

    def test_json_that_breaks_its_schema_is_asked_for_again_with_the_fault_and_another_seed(self):
        """Whatever a server makes of the schema, it is checked here again."""
        wrong = {"functionalities": [{"id": "g", "title": "G"}], "tickets": [], "mood": "good"}
        self.build(more=[("architect", "Plan the work", [wrong, "I would rather not."])])
        first, second = [body for body in self.bodies if body["model"] == "architect"][:2]
        for body in first, second:
            self.assertEqual(body["response_format"]["json_schema"]["schema"]["additionalProperties"], False)
        self.assertIn("mood is not known here; allowed in", second["messages"][-1]["content"])
        self.assertEqual(second["messages"][:len(first["messages"])], first["messages"])
        self.assertNotEqual(second["seed"], first["seed"])

    def test_request_n_is_a_prefix_of_request_n_plus_1(self):
        """Byte for byte, so that a server reads again only what is new."""
        self.build(tester=["I would rather not."], developer=[files(greet_py="def hello(name):\n    return name\n")])
        for role, least in ("tester", 2), ("developer", 3):
            requests = [messages for who, messages in self.requests if who == role]
            self.assertGreaterEqual(len(requests), least)
            for before, after in zip(requests, requests[1:]):
                self.assertLess(len(before), len(after))
                self.assertEqual(json.dumps(after[:len(before)]), json.dumps(before))


if __name__ == "__main__":
    home.tap.main()
