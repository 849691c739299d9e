"""tandem demo: the recorded conversations still fit, and show what they are there to show."""
import json
import pathlib
import shutil
import subprocess

import home

EXAMPLES = home.ROOT / "examples"


class Demo(home.Home):
    def events_of(self, name):
        out = self.good("demo", name, "--examples", EXAMPLES, "--drift", "fail", "--json", timeout=250)
        return [json.loads(line) for line in out.splitlines()]

    def check_example(self, name):
        events = self.events_of(name)
        kinds = [e["kind"] for e in events]
        self.assertEqual(kinds[-3:], ["project.done", "work.ended", "summary"])
        self.assertGreaterEqual(kinds.count("ticket.done"), 4)
        refused = [e for e in events if e["kind"] == "red.refused"]
        self.assertTrue(any("pass at once" in e["payload"]["fault"] for e in refused), refused)
        self.assertIn("green.refused", kinds)
        self.assertIn("review.commented", kinds)
        tickets = json.loads(self.good("status", "--json"))[0]["tickets"]
        self.assertTrue(any(t.get("after") for t in tickets))
        # Two pairs at once: one ticket began before another that had begun was done.
        open_now, most = set(), 0
        for e in events:
            if e["kind"] == "ticket.started":
                open_now.add(e["ticket"])
            if e["kind"] == "ticket.done":
                open_now.discard(e["ticket"])
            most = max(most, len(open_now))
        self.assertGreaterEqual(most, 2)

    def test_units_in_python(self):
        self.check_example("units")

    def test_duration_in_C(self):
        self.check_example("duration")

    def test_an_unknown_example_is_named(self):
        self.refused(2, 'there is no example "nonsense"; there are: duration, units', "demo", "nonsense", "--examples", EXAMPLES)

    def test_examples_are_looked_for_where_it_is_said_and_nowhere_else(self):
        self.refused(1, "there/is/none", "demo", "--examples", "there/is/none")
        (self.room / "empty").mkdir()
        self.refused(1, "empty holds no examples", "demo", "--examples", "empty")

    def test_an_installed_one_finds_its_examples_and_keeps_apart(self):
        build = pathlib.Path(home.TANDEM).resolve().parents[1]
        if not (build / "build.ninja").exists() or not shutil.which("meson"):
            self.skipTest("this binary was not just built by Meson")
        done = subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", self.room / "to"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stdout)
        installed, = (self.room / "to").rglob("bin/tandem")
        self.assertEqual({p.name for p in (installed.parents[1] / "share" / "tandem" / "examples").iterdir()},
                         {p.name for p in EXAMPLES.iterdir() if p.is_dir()})
        done = subprocess.run([installed, "demo", "units"], cwd=self.room, env=self.environment(TANDEM_HOME=None), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=250)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"All of it is kept in {self.room}/.cache/tandem/demo: ", done.stdout)
        self.assertTrue((self.room / ".cache" / "tandem" / "demo" / "out" / "units" / ".git").is_dir())
        self.assertFalse((self.room / ".local").exists())


if __name__ == "__main__":
    home.tap.main()
