"""Runs the unittest cases of the calling script and prints TAP, so that Meson counts each."""
import io
import sys
import traceback
import unittest


WHAT_LINES = 12  # of what failed, in TAP


class TapResult(unittest.TestResult):
    def __init__(self, out):
        super().__init__()
        self.out = out
        self.number = 0
        self.failed_subtest = None

    def say(self, verdict, test, note="", err=None):
        self.number += 1
        name = test.id().split(".", 1)[-1].replace("#", "")
        print(f"{verdict} {self.number} - {name}{note}", file=self.out)
        if err:
            what = "".join(traceback.format_exception_only(*err[:2])).splitlines()
            print("\n".join("# " + line for line in what[:WHAT_LINES]), file=self.out)
            sys.stderr.write("".join(traceback.format_exception(*err)))  # where Meson looks when a test failed
        self.out.flush()

    def startTest(self, test):
        super().startTest(test)
        self.failed_subtest = None

    def addSuccess(self, test):
        self.say("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say("not ok", test, err=err)

    def addError(self, test, err):
        super().addError(test, err)
        self.say("not ok", test, err=err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("ok", test, note=f" # SKIP {reason}")

    def addSubTest(self, test, subtest, err):
        """A failed sub-test fails its test once; unittest then reports no success."""
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.say("not ok", subtest, err=err)


def main(module="__main__"):
    # What the tests themselves print must not be taken for TAP.
    out, sys.stdout = sys.stdout, io.TextIOWrapper(sys.stderr.buffer, write_through=True)
    names = [n for n in sys.argv[1:] if not n.startswith("-")]
    loader = unittest.TestLoader()
    module = sys.modules[module]
    suite = loader.loadTestsFromNames(names, module) if names \
        else loader.loadTestsFromModule(module)
    print(f"TAP version 13\n1..{suite.countTestCases()}", file=out)
    result = TapResult(out)
    suite.run(result)
    sys.stdout = out
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)
