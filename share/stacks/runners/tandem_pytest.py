"""A pytest plugin: a time limit for each test, failures in few words, and covered lines
without pytest-cov.

The project comes onto the import path here and not by PYTHONPATH, when pytest and what it is
made of are loaded: nothing in the project can then take their place.

TANDEM_TEST_SECONDS   seconds a test may take (10)
TANDEM_COVERAGE       where to write LCOV; measured where python3-coverage can be imported
"""
import os
import re
import signal
import sys

import _pytest.assertion.rewrite
import _pytest.outcomes
import _pytest.python
import _pytest.python_api
import _pytest.recwarn
import _pytest.reports
import _pytest.runner
import _pytest.unittest
import pytest
import unittest.case

import tandem_framework

MAX_SAID = 1000
MAX_SAID_LINES = 10
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


def tell(report):
    """Where in the project it was raised, what the test had printed, and the exception.

    Frames of others say nothing that the exception does not say.  Printed lines are marked, so
    that none is taken for a frame."""
    chain = getattr(report.longrepr, "chain", None)
    if not chain:
        return
    earlier = [f"({crash.message.splitlines()[0]}, and then:)" for _, crash, _ in chain[:-1] if crash and crash.message]
    report.longrepr.chain = chain[-1:]
    said = [f"| {line}" for line in (report.capstdout + report.capstderr)[-MAX_SAID:].splitlines() if line.strip()]
    lines, is_ours, is_told = earlier[-3:], True, False
    for line in str(report.longrepr).splitlines():
        place = re.match(r"(\S[^\n]*?):\d+: in ", line)
        if place:
            is_ours = not place[1].startswith(("/", "../", "<"))
        elif line.startswith("E  "):
            is_ours = True
            if not is_told:
                lines += said[-MAX_SAID_LINES:]
            is_told = True
        if is_ours:
            lines.append(line)
    report.longrepr = "\n".join(lines)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and report.when == "call":
        tell(report)


WATCHED = [_pytest.assertion.rewrite, _pytest.outcomes, _pytest.python, _pytest.python_api, _pytest.recwarn, _pytest.reports,
           _pytest.runner, _pytest.unittest, pytest, unittest.case]
WATCH = []


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests():
    WATCH.append(tandem_framework.Watch(*WATCHED))


def pytest_unconfigure(config):
    if WATCH and config.option.xmlpath:
        WATCH[0].tell(os.path.dirname(config.option.xmlpath))
    if not MEASURED:
        return
    MEASURED.stop()
    try:
        MEASURED.lcov_report(outfile=os.environ["TANDEM_COVERAGE"])
    except Exception as error:  # nothing of the project ran
        print(f"coverage: {error}", file=sys.stderr)
