"""Runs a project's unittest tests and reports them as TAP, file by file.

    run_unittest.py --out FILE [--coverage FILE] [--seconds N] [ID ...]

The standard `python3 -m unittest` is not used, because it names tests by module, gives up
naming them when one file cannot be imported, and mixes its report with what tests print.
Here an id is PATH::Class::method, a file that cannot be imported is an error of that path,
each test has a time limit of its own, and the report goes to FILE alone.  What a test
raises is a failure of that test; "error" is kept for tests that could not run.

Only the standard library is used; coverage (python3-coverage) is measured where it can be
imported.  The last thing done is os._exit, so that threads a test left behind cannot hold
the run up.
"""
import argparse
import importlib.util
import os
import re
import signal
import sys
import traceback
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tandem_framework  # noqa: E402
del sys.path[0]

ROOT = os.getcwd()
MAX_MESSAGE = 2000  # characters of an exception
MAX_FRAMES = 12
MAX_SAID = 1000
MAX_SAID_LINES = 10
SKIPPED_FOLDERS = {"__pycache__", "node_modules", "build", "dist", "venv"}
MAIN_PROCESS = os.getpid()


class TimeUp(BaseException):
    """A test took longer than it may; not an Exception, so that tests do not catch it."""


class Report:
    """TAP, written line by line past sys.stdout, so that what a crash leaves is readable."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self.count = 0

    def line(self, text):
        if os.getpid() != MAIN_PROCESS:  # a test forked and let the child run on
            os._exit(1)
        os.write(self.file, (text + "\n").encode("utf-8", "replace"))

    def plan(self, count):
        self.line(f"TAP version 14\n1..{count}")

    def point(self, outcome, name, message=""):
        self.count += 1
        verdict = "not ok" if outcome in ("failed", "error") else "ok"
        skip = " # SKIP " + message.split("\n")[0] if outcome == "skipped" else ""
        name = name.replace("\\", "\\\\").replace("#", "\\#")
        self.line(f"{verdict} {self.count} - {name}{skip}")
        if outcome == "error":
            self.line("  ---\n  severity: error\n  ...")
        if outcome in ("failed", "error"):
            for line in message.splitlines():
                self.line("# " + line)


class Echo:
    """sys.stdout or sys.stderr, which also remembers the end of what the current test prints.

    Not a buffer in their place: code under test may want their descriptor or their bytes."""

    said = ""  # of both, in order

    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        count = self.stream.write(text)
        Echo.said = (Echo.said + text)[-MAX_SAID:]
        return count

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self.stream, name)


def cut(text, limit):
    """Keeps both ends of a long message: where it began and what it ended with."""
    if len(text) <= limit:
        return text
    return text[:limit // 3] + "\n[...]\n" + text[-2 * limit // 3:]


def is_of_project(frame):
    return frame.filename[:1] != "<" and os.path.abspath(frame.filename).startswith(ROOT + os.sep)


def earlier_errors(trace):
    """A line for each exception that led to this one, the first of all first."""
    lines = []
    for _ in range(3):
        trace = trace.__cause__ or (None if trace.__suppress_context__ else trace.__context__)
        if trace is None:
            break
        said = [line for line in "".join(trace.format_exception_only()).split("\n") if not line.startswith(" ")]
        lines.insert(0, f"({said[0]}, and then:)\n")
    return lines


def describe(error, said=""):
    """Where in the project it was raised, what the test had printed, and the exception.

    Frames of the language's library, and the marks below their lines, say nothing that the
    exception does not say.  Printed lines are marked, so that none is taken for a frame."""
    trace = traceback.TracebackException.from_exception(error, limit=-500)
    frames = [(f.filename, f.lineno, f.name, f.line) for f in trace.stack if is_of_project(f)]
    lines = earlier_errors(trace) + traceback.StackSummary.from_list(frames[-MAX_FRAMES:]).format()
    lines += ["| " + line + "\n" for line in said.splitlines()[-MAX_SAID_LINES:] if line.strip()]
    what = "".join(trace.format_exception_only())
    for inner in getattr(trace, "exceptions", None) or []:
        what += "".join("  " + line for line in inner.format_exception_only())
    return ("".join(lines) + cut(what.rstrip(), MAX_MESSAGE)).replace(ROOT + os.sep, "")


def find_files():
    """Test files (test_*.py, *_test.py) in a fixed order."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in SKIPPED_FOLDERS)
        for name in sorted(names):
            if re.fullmatch(r"test_.*\.py|.*_test\.py", name):
                found.append(os.path.relpath(os.path.join(folder, name), ROOT))
    return found


def load_module(path):
    name = path[:-3].replace(os.sep, ".")
    spec = importlib.util.spec_from_file_location(name, os.path.join(ROOT, path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def test_name(path, test):
    method = getattr(test, "_testMethodName", None)
    if method is None:
        return f"{path}::{test.id()}"
    return f"{path}::{type(test).__qualname__.replace('.', '::')}::{method}"


class Result(unittest.TestResult):
    """Collects what happened to one test; the outcome is told when the test stops."""

    def __init__(self, report, names, seconds):
        super().__init__()
        self.report = report
        self.names = names      # test -> id
        self.seconds = seconds
        self.told = set()
        self.outcome = None

    def tell(self, test, outcome, message=""):
        name = self.names.get(test)
        if name and name not in self.told:
            self.told.add(name)
            self.report.point(outcome, name, message)

    def startTest(self, test):
        super().startTest(test)
        self.outcome = ("error", "it did not come to its end")
        Echo.said = ""
        signal.setitimer(signal.ITIMER_REAL, self.seconds, 1)  # again, for code that catches all

    def stopTest(self, test):
        signal.setitimer(signal.ITIMER_REAL, 0)
        super().stopTest(test)
        self.tell(test, *self.outcome)

    def fail(self, test, error, prefix=""):
        if isinstance(error, TimeUp):
            said = f"TimeUp: still running after {self.seconds} seconds"
        else:
            said = describe(error, Echo.said)
        if test not in self.names:  # setUpClass, setUpModule: the tests of it do not run
            self.fail_group(test, said)
        elif self.outcome[0] != "failed":
            self.outcome = ("failed", prefix + said)

    def fail_group(self, holder, said):
        """An error of setUpClass or setUpModule is one of each test it kept from running."""
        place = re.search(r"\((.*)\)", holder.id())
        place = place.group(1) if place else ""
        for test in self.names:
            cls = type(test)
            if place in (cls.__module__, f"{cls.__module__}.{cls.__qualname__}"):
                self.tell(test, "error", said)

    def addSuccess(self, test):
        self.outcome = ("passed", "")

    def addExpectedFailure(self, test, err):
        self.outcome = ("passed", "")

    def addError(self, test, err):
        self.fail(test, err[1])

    def addFailure(self, test, err):
        self.fail(test, err[1])

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.fail(test, err[1], f"{subtest._subDescription()}:\n")

    def addSkip(self, test, reason):
        if test in self.names:
            self.outcome = ("skipped", reason)
            return
        place = re.search(r"\((.*)\)", test.id())
        for other in self.names:
            if place and place.group(1) in (type(other).__module__,
                                            f"{type(other).__module__}.{type(other).__qualname__}"):
                self.tell(other, "skipped", reason)

    def addUnexpectedSuccess(self, test):
        self.outcome = ("failed", "passed, but is marked as an expected failure")


def on_alarm(_signal, _frame):
    raise TimeUp


def load(files, seconds):
    """Returns the tests by id, and (path, message) of the files that could not be loaded."""
    suites, broken = [], []
    for path in files:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            suite = unittest.TestLoader().loadTestsFromModule(load_module(path))
            suites.append((path, suite))
        except TimeUp:
            broken.append((path, f"TimeUp: still loading after {seconds} seconds"))
        except BaseException as error:  # SystemExit too: it is the file's fault, not ours
            broken.append((path, describe(error)))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return suites, broken


def run(report, ids, seconds):
    files = find_files()
    if ids:
        files = [f for f in files if any(i == f or i.startswith(f + "::") for i in ids)]
    suites, broken = load(files, seconds)
    names = {}
    chosen = unittest.TestSuite()
    for path, suite in suites:
        of_file = unittest.TestSuite()
        for test in flatten(suite):
            name = test_name(path, test)
            if isinstance(test, unittest.loader._FailedTest):
                broken.append((path, describe(test._exception)))
            elif not ids or name in ids or path in ids:
                names[test] = name
                of_file.addTest(test)
        chosen.addTest(of_file)
    report.plan(len(names) + len(broken))
    for path, message in broken:
        report.point("error", path, message)
    result = Result(report, names, seconds)
    chosen.run(result)
    for test, name in names.items():
        if name not in result.told:
            report.point("error", name, "it was not run")


def start_coverage():
    try:
        import coverage
    except ImportError:
        return None
    measured = coverage.Coverage(data_file=None, source=[ROOT], config_file=False, messages=False)
    measured.start()
    return measured


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--coverage")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("ids", nargs="*", metavar="ID")
    options = parser.parse_args()
    sys.argv = ["unittest"]
    sys.path[:0] = [p for p in (ROOT, os.path.join(ROOT, "src")) if os.path.isdir(p)]
    sys.path.append(os.path.join(ROOT, "tests"))
    signal.signal(signal.SIGALRM, on_alarm)
    report = Report(options.out)
    watch = tandem_framework.Watch(unittest, unittest.case, unittest.loader, unittest.result, unittest.suite, sys.modules[__name__])
    sys.stdout, sys.stderr = Echo(sys.stdout), Echo(sys.stderr)
    measured = start_coverage() if options.coverage else None
    status = 0
    try:
        run(report, options.ids, options.seconds)
    except BaseException as error:
        report.line("Bail out! " + (str(error) or type(error).__name__).split("\n")[0])
        status = 2
    if measured:
        measured.stop()
        try:
            measured.lcov_report(outfile=options.coverage)
        except Exception as error:  # nothing of the project ran
            print(f"coverage: {error}", file=sys.stderr)
    watch.tell(os.path.dirname(options.out))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


main()
