"""What the end of a run tells a person: numbers that are those of the result, and what is not well."""
import contextlib

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


if __name__ == "__main__":
    home.tap.main()
