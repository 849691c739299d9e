"""Tests that misbehave, in a real run: each is ended and told to the model, and the machine is unharmed.

How the sandbox holds them one by one is proven in tests/unit/test_sandbox.c.
"""
import io
import json
import pathlib
import shutil
import subprocess
import time
import unittest
import zipfile

import home
import small
from fake_model import files


def test_that(*lines):
    body = "".join(f"        {line}\n" for line in lines)
    return files(tests__test_x_py="import os, signal, subprocess, sys, time\nimport unittest\n\n\n"
                 f"class T(unittest.TestCase):\n    def test_it(self):\n{body}")


class Hostile(small.Small):
    def setUp(self):
        super().setUp()
        self.mark = f"1000.{time.time_ns()}"  # what tests start sleeps so many seconds

    def left(self):
        """Command lines of processes with the mark."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes()
            except OSError:
                continue
            if self.mark.encode() in line:
                found.append(line)
        return found

    def told(self, hostile, *said, settings=()):
        """The run goes on to its end, and the Tester is told one of `said` in words."""
        self.build(tester=[hostile], settings=["suite_timeout_s=6", "attempts=20", *settings])
        self.assertEqual(len(self.events("red.refused")), 1)
        again = [last for role, last, _ in self.asked if role == "tester"][1]
        self.assertTrue(any(words in again for words in said), again)
        # The same is stored: the run's output or the reason.
        self.assertIn("red-1", self.good("runs", "T-1"))
        deadline = time.monotonic() + 10
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(self.left(), [])
        self.good("verify")

    def test_one_that_hangs(self):
        self.told(test_that("signal.alarm(0)", "signal.signal(signal.SIGALRM, signal.SIG_IGN)",
                            f"subprocess.run(['sleep', '{self.mark}'])"), "longer than 6 seconds", "TimeUp")

    def test_one_that_forks_without_end(self):
        self.told(test_that("while True:", f"    subprocess.Popen(['sleep', '{self.mark}'])", "    os.fork()"),
                  "Resource temporarily unavailable", "longer than 6 seconds", "was killed", settings=["processes=32"])

    def test_one_that_fills_the_memory(self):
        self.told(test_that("keep = []", "while True:", "    keep.append(bytearray(b'x' * (8 << 20)))"),
                  "MemoryError", "more than 128 MiB of memory", settings=["memory_mib=128"])

    def test_one_that_fills_the_disk(self):
        self.told(test_that("for i in range(1000):", "    with open(f'big{i}', 'wb') as f:", "        f.write(b'x' * (2 << 20))",
                            "    time.sleep(0.01)", "time.sleep(5)"),
                  "wrote more than 16 MiB to the disk", settings=["disk_mib=16", "file_mib=4"])

    def test_one_that_writes_a_large_file(self):
        self.told(test_that("with open('big', 'wb') as f:", "    while True:", "        f.write(b'x' * (1 << 20))"),
                  "File too large", "killed", settings=["file_mib=2"])

    def test_one_that_prints_without_end(self):
        self.told(test_that("while True:", "    os.write(1, b'y' * 4096)"), "printed more than 65536 bytes", settings=["output_kib=64"])

    def test_one_that_leaves_a_daemon(self):
        """It passes, so it is no red; the daemon is gone with its run."""
        self.told(test_that(f"subprocess.Popen(['sh', '-c', 'setsid sleep {self.mark} </dev/null >/dev/null 2>&1 &'])", "time.sleep(0.3)"),
                  "pass at once")

    def test_one_that_writes_outside(self):
        """It passes when nothing could be written."""
        places = ["/etc/x", "/usr/x", "/x", "/stack/x", "/proc/sys/kernel/hostname", "/work/../x", str(self.room / "x"), str(self.home / "x")]
        self.told(test_that(f"for place in {places!r}:", "    with self.assertRaises(OSError, msg=place):", "        open(place, 'w').write('x')"),
                  "pass at once")
        self.assertFalse((self.room / "x").exists())

    def test_one_that_kills_all_it_can_see(self):
        self.told(test_that("os.kill(os.getppid(), signal.SIGKILL)", "try:", "    os.kill(-1, signal.SIGKILL)",
                            "except ProcessLookupError:", "    pass", "os.kill(os.getpid(), signal.SIGKILL)"), "killed")


class Dependencies(small.Small):
    def wheel(self):
        held = io.BytesIO()
        info = "tiny-1.0.dist-info/"
        with zipfile.ZipFile(held, "w") as z:
            z.writestr("tiny.py", "WORD = 'Hello'\n")
            z.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
            z.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            z.writestr(info + "RECORD", "".join(f"{n},,\n" for n in ("tiny.py", info + "METADATA", info + "WHEEL", info + "RECORD")))
        return held.getvalue()

    @unittest.skipUnless(pathlib.Path("/usr/lib/python3/dist-packages/pip").exists(), "python3-pip is not installed")
    def test_vendored_wheels_are_installed_once_and_logged(self):
        app = self.room / "app"
        (app / "vendor").mkdir(parents=True)
        (app / "vendor" / "tiny-1.0-py3-none-any.whl").write_bytes(self.wheel())
        (app / "requirements.txt").write_text("tiny\n")
        for words in (["init", "-q", "-b", "main"], ["add", "."],
                      ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "-qm", "Begin"]):
            subprocess.run(["git", "-C", app, *words], check=True, env=self.environment())
        code = files(greet_py="import tiny\n\n\ndef hello(name):\n    return f\"{tiny.WORD}, {name}\"\n")
        out = self.build(developer=[code], words=["--repo", "app"])
        self.assertIn("dependencies installed: without network", out)
        self.assertEqual(len(self.events("dependencies.installed")), 1)
        self.assertIn("installed, without network", self.good("runs", "T-1"))
        kept = self.home / "cache" / "prepared"
        self.assertEqual(len(list(kept.iterdir())), 1)
        self.good("verify")  # with what is kept
        shutil.rmtree(kept)
        self.good("verify")  # by itself
        self.assertFalse(kept.exists())


if __name__ == "__main__":
    home.tap.main()
