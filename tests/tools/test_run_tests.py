"""tools/run-tests: what it counts in Meson's logs."""
import json
import pathlib
import tempfile
import unittest

import tool
import tap  # tool knows where it lies


class Counting(unittest.TestCase):
    def count(self, results, suites):
        with tempfile.TemporaryDirectory() as room:
            logs = pathlib.Path(room)
            (logs / "testlog.json").write_text("".join(json.dumps({"name": n, "result": r}) + "\n" for n, r in results))
            (logs / "testlog.junit.xml").write_text(f"<?xml version='1.0' encoding='utf8'?>\n<testsuites>{suites}</testsuites>")
            return tool.load("run-tests").count_cases(logs)

    def test_cases_are_counted_and_failed_ones_named(self):
        self.assertEqual(self.count([("tandem:unit / store", "ERROR")],
                                    '<testsuite name="store"><testcase name="a"/><testcase name="b"><failure/></testcase>'
                                    '<testcase name="c"><skipped/></testcase></testsuite>'),
                         (1, 1, 1, ["store: b"]))

    def test_a_program_that_ends_half_way_counts_as_failed(self):
        self.assertEqual(self.count([("tandem:unit / store", "TIMEOUT")], '<testsuite name="store"><testcase name="a"/></testsuite>'),
                         (1, 1, 0, ["store: timeout"]))

    def test_control_characters_in_the_output_do_no_harm(self):
        self.assertEqual(self.count([("tandem:cli / run", "OK")],
                                    '<testsuite name="run"><testcase name="a"/><system-err>\x1b[?25l</system-err></testsuite>'),
                         (1, 0, 0, []))


if __name__ == "__main__":
    tap.main()
