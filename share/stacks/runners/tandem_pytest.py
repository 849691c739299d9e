"""A pytest plugin: a time limit for each test, and covered lines without pytest-cov.

The project comes onto the import path here and not by PYTHONPATH, when pytest and what it is
made of are loaded: nothing in the project can then take their place.

TANDEM_TEST_SECONDS   seconds a test may take (10)
TANDEM_COVERAGE       where to write LCOV; measured where python3-coverage can be imported
"""
import os
import signal
import sys

import pytest

SECONDS = float(os.environ.get("TANDEM_TEST_SECONDS", "10"))


class TimeUp(BaseException):
    """A test took longer than it may; not an Exception, so that tests do not catch it."""


def on_alarm(_signal, _frame):
    raise TimeUp(f"still running after {SECONDS:g} seconds")


def start_coverage():
    if "TANDEM_COVERAGE" not in os.environ:
        return None
    try:
        import coverage
    except ImportError:
        return None
    measured = coverage.Coverage(data_file=None, source=[os.getcwd()], config_file=False, messages=False)
    measured.start()
    return measured


PROJECT = [p for p in (os.getcwd(), os.path.join(os.getcwd(), "src")) if os.path.isdir(p)]
sys.path[:0] = PROJECT
os.environ["PYTHONPATH"] = os.pathsep.join(PROJECT)  # for programs that tests start

MEASURED = start_coverage()  # before the project's files are imported


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, SECONDS, 1)  # again, for code that catches all
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


def pytest_unconfigure():
    if not MEASURED:
        return
    MEASURED.stop()
    try:
        MEASURED.lcov_report(outfile=os.environ["TANDEM_COVERAGE"])
    except Exception as error:  # nothing of the project ran
        print(f"coverage: {error}", file=sys.stderr)
