"""What people look at beside a run: runs, show, log, status."""
import greet
import home


class Look(greet.Built):
    def test_runs_are_listed_with_numbers_and_printed_whole_by_them(self):
        rows = self.good("runs", "T-1").splitlines()
        self.assertEqual([row.split()[0] for row in rows], [str(i + 1) for i in range(len(rows))])
        [asked] = [row for row in rows if "red-1" in row and "tokens" in row]
        whole = self.good("runs", "T-1", asked.split()[0])
        self.assertIn("Write the failing tests for criterion 1", whole)
        self.assertIn('self.assertEqual(greet.hello(\'Ann\'), \'Hello, Ann\')', whole)
        self.assertIn("100 tokens in, 10 out", whole)  # the fake says nothing of a cache

    def test_a_run_of_the_tests_is_printed_with_its_command_and_what_failed_and_why(self):
        suite = [row for row in self.good("runs", "T-1").splitlines() if "red-1" in row and "tokens" not in row][0]
        whole = self.good("runs", "T-1", suite.split()[0])
        self.assertRegex(whole, r"\npython3 .*/run_unittest\.py --out /out/results\.tap .*\non the tree [0-9a-f]{40}\n")
        self.assertRegex(whole, r"\nTests:\n(passed +build::all\n)?error +tests/test_hello\.py\n")
        self.assertIn("No module named 'greet'", whole)

    def test_a_functionality_and_the_project_have_runs_too(self):
        self.assertIn("appraise", self.good("runs", "F-1"))
        self.assertIn("plan", self.good("runs"))
        self.assertIn("Plan the work.", self.good("runs", "project", "1"))

    def test_what_is_not_there_is_said(self):
        self.refused(1, "has no runs of T-9; tandem status", "runs", "T-9")
        self.refused(2, "there is no run 99; tandem runs T-1 --project greet lists 1 to", "runs", "T-1", "99")
        self.refused(2, "there is no run x", "runs", "T-1", "x")

    def test_the_log_of_what_is_not_there_is_refused(self):
        self.refused(1, "project greet has no ticket T-77; tandem status greet lists them", "log", "T-77")
        self.refused(1, "project greet has no functionality F-9", "log", "F-9")
        self.refused(1, "project greet has no ticket xyz", "log", "xyz")
        self.refused(1, 'there is no project "nope"', "log", "--project", "nope")
        self.assertIn("F-1 functionality merged into DEV", self.good("log", "F-1"))

    def test_a_functionality_is_shown_with_its_tickets(self):
        out = self.good("show", "F-1")
        self.assertTrue(out.startswith("F-1  Greetings\nin DEV, branch feature/greetings\n\nhello and bye\n\n"
                                       "  T-1   Say hello  done\n  T-2   Say bye  done\n"), out)
        self.assertRegex(out, r"\d  functionality accepted\n.*functionality merged into DEV\n")
        self.assertIn("\n3 of 3 tests pass on it\n", out)
        self.assertIn("Prompt (greet/F-1/architect/appraise-1", self.good("show", "F-1", "--prompt"))
        self.refused(1, "project greet has no F-9; tandem status greet lists its tickets", "show", "F-9")
        self.refused(1, "project greet has no T-9; tandem status greet lists its tickets", "show", "T-9")

    def test_columns_are_words(self):
        self.assertIn("\ndone, behaviour, branch ticket/T-1\n", self.good("show", "T-1"))

    def test_the_log_names_people_without_their_address(self):
        self.assertNotIn("@", self.good("log"))

    def test_the_log_names_the_project_only_where_there_are_several(self):
        self.assertRegex(self.good("log"), r"(?m)^ +\d+  \S+ \S+  T-1 red witnessed")

    def test_what_cannot_be_started_again_is_told_why(self):
        self.refused(1, "T-2 is not blocked; only what is blocked is started again", "retry", "T-2", "--model", "replay:" + str(self.room))
        self.refused(2, '"xyz" is neither a ticket (T-3) nor a functionality (F-1)', "retry", "xyz", "--model", "replay:" + str(self.room))


if __name__ == "__main__":
    home.tap.main()
