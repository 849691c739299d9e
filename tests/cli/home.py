"""The real binary on a private home: the base of the black-box tests."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import tap  # noqa: E402, F401

TANDEM = os.environ.get("TANDEM", str(ROOT / "build" / "src" / "tandem"))


def place(program):
    """Of the program on the fixed PATH of the sandbox; None."""
    path = shutil.which(program, path="/usr/local/bin:/usr/bin:/bin")
    return path and os.path.realpath(path)


class Home(unittest.TestCase):
    """`self.home` is empty, `self.room` a private directory to work in; both go away."""

    def setUp(self):
        room = tempfile.TemporaryDirectory(prefix="tandem-test-")
        self.addCleanup(room.cleanup)
        self.room = pathlib.Path(room.name)
        self.home = self.room / "home"

    def environment(self, **more):
        """Nothing of the user's settings or terminal; sanitizers keep their options."""
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "TMPDIR") or k.endswith("SAN_OPTIONS")}
        env.update(HOME=str(self.room), TANDEM_HOME=str(self.home), LANG="C.UTF-8", TERM="dumb", TANDEM_NEARBY="")
        env.update(more)
        return {k: v for k, v in env.items() if v is not None}

    def git(self, where, *words):
        """git there, as a person with an identity and nothing else configured."""
        done = subprocess.run(["git", "-C", str(where), "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *map(str, words)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment(), timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def another_machine(self, *binds):
        """The beginning of a command for this machine with some files replaced, by bubblewrap."""
        command = ["bwrap", "--dev-bind", "/", "/"] + (["--cap-add", "ALL"] if os.geteuid() == 0 else [])
        for source, target in binds:
            command += ["--ro-bind", source, target]
        if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("no namespaces to be had here")
        return command

    def without_bubblewrap(self):
        plain = self.room / "plain"
        plain.write_text("")
        return self.another_machine((plain, place("bwrap")))

    def tandem(self, *words, env=None, stdin="", timeout=60, stdout=subprocess.PIPE, on=()):
        """`on`: the beginning of the command, as of another_machine."""
        return subprocess.run([*on, TANDEM, *map(str, words)], input=stdin, stdout=stdout,
                              stderr=subprocess.PIPE, text=True, timeout=timeout, cwd=self.room,
                              env=self.environment(**(env or {})))

    def good(self, *words, **more):
        done = self.tandem(*words, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def refused(self, status, said, *words, **more):
        """It ends with `status`, says `said` on standard error in one line."""
        done = self.tandem(*words, **more)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertIn(said, done.stderr)
        return done
