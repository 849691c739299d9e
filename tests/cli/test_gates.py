"""Spec and plan before a person at a terminal: accept, edit, change, stop."""
import contextlib
import json
import signal

import greet
import home
import terminal
from fake_model import FakeModel

SPEC = "# Greeter\n\n" + greet.SPEC.split("\n\n", 1)[1]
IDEA = "A module that greets people by name"


class Gates(terminal.AtTerminal):
    def run_idea(self, answers, editor="exit 1", table=(), words=()):
        with contextlib.closing(FakeModel([*table, ("pm", "idea", SPEC)] + greet.table())) as fake:
            status, out = self.at_terminal(["run", IDEA, "--stack", "python", *words, *fake.words()], answers, editor)
        return status, out, fake.asked

    def project(self):
        return json.loads(self.good("status", "--json"))[0]

    def test_accepted_twice_it_is_built_under_the_name_the_spec_gives_it(self):
        status, out, _ = self.run_idea(["a", "accept"])
        self.assertEqual(status, 0, out)
        self.assertIn("2 of 2 done", out)
        self.assertEqual(self.project()["name"], "Greeter")
        self.assertEqual({t["severity"] for t in self.project()["tickets"]}, {"medium"})  # nobody said another
        self.assertTrue((self.room / "greeter" / "greet.py").exists(), out)

    def test_a_specification_that_says_it_in_other_words_is_for_the_person_to_judge(self):
        """Who cannot be asked (--yes) reads the doubt in what the run prints."""
        idea, doubt = "It welcomes people nicely", "welcomes, people, nicely"
        with contextlib.closing(FakeModel([("pm", "", SPEC)] + greet.table())) as fake:
            status, out = self.at_terminal(["run", idea, "--stack", "python", *fake.words()], ["a", "s"])
            self.assertEqual(status, 0, out)
            self.assertIn(f"Of what you asked for these words do not occur: {doubt}. ", out)
            self.assertEqual(len([role for role, _, _ in fake.asked if role == "pm"]), 3)
            self.refused(1, "the plan waits for approval", "resume")
            out = self.good("run", idea, "--stack", "python", "--yes", "--out", "other", *fake.words(), timeout=200)
        self.assertIn(f"the specification may leave out what was asked for, it does not speak of: {doubt}\n", out)
        self.assertIn("2 of 2 done", out)

    def test_what_is_no_specification_blocks_the_project(self):
        with contextlib.closing(FakeModel([("pm", "", "Hello to you, and bye.")])) as fake:
            done = self.tandem("run", IDEA, "--stack", "python", "--yes", *fake.words())
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("the PM did not write a usable specification: ", done.stdout)

    def test_the_name_that_the_person_gave_stays(self):
        status, out, _ = self.run_idea(["a", "s"], words=["--name", "hello", "--out", "there"])
        self.assertEqual(status, 0, out)
        self.assertEqual((self.project()["name"], self.project()["out"]), ("hello", str(self.room / "there")))

    def test_an_answer_that_was_not_offered_is_told_what_is(self):
        status, out, _ = self.run_idea(["what?", "s"])
        self.assertEqual(status, 0, out)
        self.assertIn("Please type one of the letters in brackets", out)

    def test_an_interrupt_at_a_question_says_how_it_goes_on(self):
        status, out, _ = self.run_idea(["a", signal.SIGINT])
        self.assertEqual(status, 1, out)
        self.assertRegex(out, r"\[s\]top +\r\nStopped; nothing is lost\. `tandem resume \S+` goes on from\s+here\.\r\n$")

    def test_a_change_goes_to_the_pm_and_to_the_architect(self):
        wish = "say good night too"
        table = [("pm", wish, SPEC + "- `night(name)` returns `Good night, NAME`.\n"),
                 ("architect", wish, greet.plan(False) | {"functionalities": [{"id": "greet", "title": "Courtesies"}]})]
        status, out, asked = self.run_idea(["c", wish, "a", "c", wish, "s"], table=table)
        self.assertEqual(status, 0, out)
        self.assertIn("Changed since you read it:\r\n+ - `night(name)` returns `Good night, NAME`.\r\n", out)
        self.assertIn("\r\n- greet  Greetings", out)
        self.assertIn("Courtesies", out)
        self.assertEqual([role for role, _, _ in asked], ["pm", "pm", "architect", "architect"])

    def test_a_change_tells_what_the_person_edited_and_repeats_nothing_else(self):
        """The model has its own last answer before it; only what became of it is said again."""
        table = [(role, "night", answer) for role, answer in (("pm", SPEC), ("architect", greet.plan(False)))]
        editor = 'sed -i "s/^# Greeter/# Welcomer/; s/Say bye/Take leave/" "$1"'
        for answers, edited in (["c", "night", "a", "c", "night", "s"], False), (["e", "c", "night", "a", "e", "c", "night", "s"], True):
            with self.subTest(edited=edited):
                status, out, asked = self.run_idea(answers, editor, table, ["--out", "edited" if edited else "plain"])
                self.assertEqual(status, 0, out)
                for role, word in ("pm", "# Welcomer"), ("architect", "Take leave"):
                    request = [text for r, text, _ in asked if r == role][1]
                    self.assertEqual(word in request, edited, request)
                    self.assertEqual("It was edited" in request, edited, request)

    def test_the_architect_may_choose_another_stack_until_the_plan_is_accepted(self):
        table = [("architect", "with pytest", greet.plan(False) | {"stack": "python-pytest"}),
                 ("architect", "Plan the work", greet.plan(False) | {"stack": "python"}), ("pm", "idea", SPEC)]
        with contextlib.closing(FakeModel(table)) as fake:
            status, out = self.at_terminal(["run", IDEA, *fake.words()], ["a", "c", "with pytest", "s"])
        self.assertEqual(status, 0, out)
        self.assertIn("- Stack: python\r\n+ Stack: python-pytest\r\n", out)
        self.assertNotIn("stack", self.project())

    def test_the_plan_is_edited_as_yaml_with_the_clauses_below(self):
        status, out, _ = self.run_idea(["a", "e", "s"], editor='cp "$1" seen; sed -i "s/Say bye/Take leave/" "$1"')
        self.assertEqual(status, 0, out)
        seen = (self.room / "seen").read_text()
        self.assertIn("tickets:\n  - id: ", seen)
        self.assertNotIn("severity", seen)  # nobody said one
        self.assertNotIn("estimate_minutes", seen)
        self.assertIn("# [3] `bye(name)` in the module `greet` returns `Bye, NAME`.", seen)
        self.assertIn("Take leave", out)

    def test_an_edit_that_is_not_taken_is_not_lost(self):
        """The editor first asks for a clause that is not there; what it wrote then comes back to be mended."""
        editor = ('if grep -q "clause: 99" "$1"; then sed -i "s/clause: 99/clause: 3/" "$1"; '
                  'else sed -i "s/Say bye/Take leave/; s/clause: 3/clause: 99/" "$1"; fi')
        status, out, _ = self.run_idea(["a", "e", "e", "s"], editor=editor)
        self.assertEqual(status, 0, out)
        self.assertIn("Not taken: ", out)
        self.assertIn("99", out)
        self.assertIn("+   B  Take leave", out)

    def test_an_edit_that_could_not_be_stored_is_not_changed_but_refused(self):
        status, out, _ = self.run_idea(["a", "e", "d", "s"], editor=r'printf "# caf\351\n" >> "$1"')
        self.assertEqual(status, 0, out)
        self.assertIn("Not taken: text is not UTF-8 in line ", out)

    def test_an_edit_may_be_dropped_and_nothing_is_changed(self):
        status, out, _ = self.run_idea(["a", "e", "d", "s"], editor='echo "tickets: 7" > "$1"')
        self.assertEqual(status, 0, out)
        self.assertEqual(out.count("Say hello"), 2, out)

    def test_a_terminal_does_not_obey_what_a_model_wrote(self):
        evil = SPEC + "- It prints \033]0;owned\007 and \033[2J, \033[31mred\033[8m.\n"
        status, out, _ = self.run_idea(["s"], table=[("pm", "idea", evil)])
        self.assertEqual(status, 0, out)
        self.assertIn("It prints ", out)
        self.assertNotIn("\033]0;owned", out)
        self.assertIn("?[31mred?[8m", out)
        self.assertNotIn("\033[8m", out)


if __name__ == "__main__":
    home.tap.main()
