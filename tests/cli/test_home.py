"""The home where it is: full, damaged, locked, read-only, in strange places; and a clock that jumps."""
import fcntl
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import unittest

import home

CRASH = home.ROOT / "tests" / "crash"
REPLAY = ("--model", f"replay:{CRASH / 'recording'}", "--stack", "python")
RUN = ("run", CRASH / "spec.md", "--yes", *REPLAY)
READERS = (("status",), ("log",), ("show", "T-1"), ("runs", "T-1"), ("verify",))
WRITERS = (("resume",), ("retry", "T-1"), ("resolve", "T-1"), ("release", "--yes"), (*RUN, "--out", "again"))


def can_mount():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


class Places(home.Home):
    def test_a_home_that_cannot_be_one_is_named(self):
        (self.room / "file").write_text("x")
        for place, said in ((self.room / "file", "file is not a directory: name another with --home"),
                            (self.room / "file" / "below", "is not a directory"),
                            ("/" + "/".join(["a" * 100] * 50), "the home's path has 5050 bytes, at most 400"),
                            (self.room / ("a" * 200) / ("b" * 200) / "c", "at most 400 can be used")):
            for words in (READERS[0], RUN):
                self.refused(1, said, *words, env={"TANDEM_HOME": str(place)})

    def test_a_reader_makes_no_home(self):
        for words in READERS:
            self.refused(1, "tandem run makes one", *words)
        self.assertFalse(self.home.exists())

    def test_a_home_may_have_any_name(self):
        self.home = self.room / "a \"b' $(c)\nd;"
        self.assertIn("2 of 2 done", self.good(*RUN))
        self.good("verify")

    def test_a_project_may_have_a_name_in_any_script(self):
        for name, id_ in (("单位，换算", "单位-换算"), ("Ελληνικά", "ελληνικά"), ("🚀", "unnamed")):
            done = self.tandem(*RUN, "--name", name)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertTrue((self.room / id_ / ".git").is_dir())
            self.assertIn(name, self.good("status", id_))
            self.good("verify", "--project", id_)
            self.good("release", "--yes", id_)
            self.assertEqual(self.git(self.home / "projects" / id_ / "repo.git", "log", "--format=%s", "main..DEV"), "")

    @unittest.skipUnless(can_mount(), "needs root and a mount namespace")
    def test_a_read_only_home_can_be_read(self):
        self.good(*RUN)
        words = ["mount --bind home home && mount -o remount,bind,ro home || exit 99"]
        words += [shlex.join([home.TANDEM, *map(str, w)]) + " >/dev/null || exit 98" for w in READERS]
        words += [shlex.join([home.TANDEM, *map(str, w)]) + " && exit 97" for w in WRITERS]
        done = subprocess.run(["unshare", "-m", "sh", "-c", "\n".join(words) + "\ntrue"], cwd=self.room, env=self.environment(),
                              capture_output=True, text=True, timeout=200)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.count("Read-only file system"), len(WRITERS), done.stderr)


class Finished(home.Home):
    """With a project that is done, made once."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="tandem-test-")
        cls.addClassCleanup(directory.cleanup)
        maker = cls("test_what_is_damaged_is_said_by_every_command_and_left_as_it_is")
        maker.room = pathlib.Path(directory.name)
        maker.home = cls.pristine = maker.room / "home"
        maker.good(*RUN)

    def setUp(self):
        super().setUp()
        shutil.copytree(self.pristine, self.home, symlinks=True)

    def all_bytes(self):
        """Of the database and the projects."""
        return {path: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(self.home.rglob("*")) if path.is_file() and path.name != "lock"}

    def damage(self, how):
        path = self.home / "store.db"
        bytes_ = bytearray(path.read_bytes())
        if how == "text":
            bytes_ = b"somebody put this here " * 400
        elif how == "truncated":
            bytes_ = bytes_[:20000]
        elif how == "emptied":
            bytes_ = b""
        else:
            third = len(bytes_) // 3
            bytes_[third:2 * third] = bytes(b ^ 0x5A for b in bytes_[third:2 * third])
        path.write_bytes(bytes_)

    def test_what_is_damaged_is_said_by_every_command_and_left_as_it_is(self):
        for how in ("text", "truncated", "emptied", "flipped"):
            shutil.rmtree(self.home)
            shutil.copytree(self.pristine, self.home, symlinks=True)
            self.damage(how)
            before = self.all_bytes()
            for words in READERS + WRITERS:
                with self.subTest(how=how, words=words):
                    done = self.refused(1, "nothing was changed. Restore the home from a copy", *words)
                    self.assertIn(str(self.home), done.stderr)
                    after = self.all_bytes()
                    self.assertEqual({p: after.get(p) for p in before}, before)

    def test_a_home_without_its_database_is_not_begun_anew(self):
        (self.home / "store.db").unlink()
        before = self.all_bytes()
        self.refused(1, "holds projects, but its database store.db is gone", *RUN, "--out", "again")
        self.assertEqual(self.all_bytes(), before)

    def waits(self, *words):
        process = subprocess.Popen([home.TANDEM, *map(str, words)], cwd=self.room, env=self.environment(), text=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_writers_wait_for_who_holds_the_home_and_readers_do_not_care(self):
        with open(self.home / "lock", "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.truncate()
            lock.write(str(os.getpid()))
            lock.flush()
            waiting = [self.waits(*words) for words in WRITERS]
            for words in READERS:
                self.good(*words)
            for process in waiting:
                self.assertIn(f"process {os.getpid()} has the home {self.home} and does not answer; waiting", process.stderr.readline())
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(timeout=20), 1)

    @unittest.skipUnless(can_mount(), "needs root and a mount namespace")
    def test_a_full_disk_stops_it_and_resume_goes_on_when_there_is_room(self):
        run, resume, verify = (shlex.join([home.TANDEM, *map(str, w)]) for w in (RUN, ("resume", "--yes"), ("verify",)))
        used = int(subprocess.check_output(["du", "-sk", self.pristine]).split()[0])
        for kib in (used * 85 // 100, used * 95 // 100):  # it ends in different places
            shutil.rmtree(self.home, ignore_errors=True)
            shutil.rmtree(self.room / "numbers", ignore_errors=True)
            self.home.mkdir()
            script = (f"mount -t tmpfs -o size={kib}k,mode=700 home home || exit 99\n{run} && exit 98\n{resume} && exit 97\n"
                      f"mount -o remount,size=100m home || exit 96\n{resume} || exit 95\n{verify}")
            done = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=self.room, env=self.environment(), capture_output=True,
                                  text=True, timeout=200)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("full", done.stderr)
            self.assertIn("2 of 2 done", done.stdout)
            self.assertIn("Everything holds", done.stdout)


class Clock(home.Home):
    def test_a_clock_that_jumps_back_and_forth_changes_nothing(self):
        """An hour back or ahead, in the middle of the run; then with the right time again."""
        for hours in (-1, 1):
            shutil.rmtree(self.home, ignore_errors=True)
            done = self.tandem(*RUN, "--out", f"out{hours}", env={"TANDEM_CLOCK_JUMP": f"400:{hours * 3600000}"}, timeout=100)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            events = [json.loads(line) for line in self.good("log", "--json").splitlines()]
            times = [e["time_ms"] for e in events]
            self.assertEqual(times, sorted(times))
            self.assertLess(times[-1] - times[0], 3600000 * (1 if hours < 0 else 2))
            self.assertEqual([e["seq"] for e in events], list(range(1, len(events) + 1)))
            self.good("verify")
            self.assertIn("2 of 2 done", self.good("resume"))


if __name__ == "__main__":
    home.tap.main()
