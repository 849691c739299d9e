"""A server and a person in another directory, with another environment: what they say is meant as they see it."""
import os
import resource
import shutil
import signal
import subprocess
import time

import home
from test_office import CRASH, REPLAY, Beside

NOT_UTF8 = b"r\xe9sum\xe9"


class Elsewhere(Beside):
    """`self.other` is where the server was started."""

    def setUp(self):
        super().setUp()
        self.other = self.room / "elsewhere"
        self.other.mkdir()

    def serve(self, *words, **env):
        server = self.start("serve", "--listen", "none", *words, cwd=self.other, **env)
        self.assertIn("Tandem serves", server.stdout.readline())
        return server

    def built(self, *words, **more):
        self.assertIn("2 of 2 done", self.good(*words, timeout=100, **more))


class Paths(Elsewhere):
    def test_a_recording_lies_where_the_person_is(self):
        self.serve()
        self.built("run", CRASH / "spec.md", "--yes", "--record", "rec", *REPLAY)
        self.assertTrue(any((self.room / "rec").iterdir()))
        self.assertEqual(os.listdir(self.other), [])

    def test_a_place_that_no_recording_can_be_written_to_begins_nothing(self):
        (self.room / "file").write_text("")
        for place in ("file", "file/rec", "file/deep/rec"):
            self.refused(1, f"--record: nothing can be written to {self.room}/{place}; name another place: Not a directory",
                         "run", CRASH / "spec.md", "--yes", "--record", place, *REPLAY)
        self.assertIn("no project", self.good("status"))

    def test_a_setting_that_is_a_path_is_meant_from_where_it_is_said(self):
        (self.room / "key").write_text("sesame\n")
        self.home.mkdir()
        (self.home / "kept").write_text("kept in the home\n")
        self.serve()
        self.write_spec()
        for name, words, env, key in (("set", ["--set", "api_key_file=key"], {}, "sesame"),
                                      ("said", [], {"TANDEM_API_KEY_FILE": "./key"}, "sesame"),
                                      ("file", [], {}, "kept in the home")):
            if name == "file":
                (self.home / "settings.yaml").write_text("api_key_file: kept\n")
            with self.subTest(name):
                fake = self.model()
                self.built(*self.run_words(fake, "--name", name, *words), env=env)
                self.assertEqual(fake.keys, {f"Bearer {key}"})
        self.assertIn(f"api_key_file: {self.room}/there/key", self.good("help", "settings", "--set", "api_key_file=there/key"))

    def test_a_path_in_entries_of_models_is_meant_from_their_file(self):
        self.serve()
        fake = self.model(("pm", "hello", "Here."))
        (self.room / "entries").mkdir()
        (self.room / "entries" / "key").write_text("sesame\n")
        (self.room / "entries" / "models.yaml").write_text(f"backends:\n- {{id: b, kind: openai, url: '{fake.url}', key_file: key}}\n"
                                                           "models:\n- {id: m, backend: b, name: pm}\n")
        self.good("model", "import", "entries/models.yaml")
        self.assertEqual(self.good("model", "ask", "m", "hello"), "Here.\n")
        self.assertEqual(fake.keys, {"Bearer sesame"})

    def test_the_demo_finds_its_recordings_from_anywhere(self):
        self.serve()
        example = self.room / "played" / "Numbers"
        shutil.copytree(CRASH / "recording", example / "recording")
        shutil.copy(CRASH / "spec.md", example)
        (example / "example.yaml").write_text("summary: numbers\nstack: python\n")
        self.assertIn("2 of 2 done", self.good("demo", "--examples", "played", timeout=100))


class Keys(Elsewhere):
    def test_the_key_of_the_server_goes_nowhere_that_a_person_names(self):
        (self.room / "own").write_text("own\n")
        self.serve("--set", f"api_key_file={self.room / 'own'}", TANDEM_API_KEY="own")
        self.write_spec()
        fake = self.model()
        self.built(*self.run_words(fake))
        self.assertEqual(fake.keys, {None})

    def test_an_ollama_is_that_of_the_person(self):
        self.serve(OLLAMA_HOST="127.0.0.1:1")
        self.write_spec()
        done = self.tandem("run", "spec.md", "--stack", "python", "--model", "ollama:#x", "--set", "patience_s=0", timeout=60,
                           env={"OLLAMA_HOST": "127.0.0.1:2"})
        self.assertIn("127.0.0.1:2", done.stderr)


class NotUtf8(Elsewhere):
    def run_in(self, cwd, *words):
        done = subprocess.run([home.TANDEM, *words], cwd=cwd, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=60)
        return done.returncode, done.stdout, done.stderr

    def check(self):
        """Nothing is made, and nothing begun."""
        spec, room = str(CRASH / "spec.md"), os.fsencode(self.room)
        where = room + b"/" + NOT_UTF8
        os.mkdir(where + b"-here")
        before = sorted(os.listdir(room))
        for cwd, words, said in ((room, [b"run", spec, "--yes", "--out", where], b"--out"),
                                 (room, [b"run", spec, "--yes", "--out", NOT_UTF8], b"--out"),
                                 (where + b"-here", ["run", spec, "--yes"], b"--out"),
                                 (room, ["run", spec, "--yes", "--repo", where], b"--repo"),
                                 (room, ["run", spec, "--yes", "--record", NOT_UTF8], b"--record"),
                                 (room, ["run", spec, "--yes", "--name", NOT_UTF8], b"name"),
                                 (room, ["run", b"A tool named " + NOT_UTF8 + b".", "--yes", "--out", "idea"], b"idea"),
                                 (room, ["run", spec, "--yes", "--set", b"ca_file=" + NOT_UTF8], b"UTF-8")):
            with self.subTest(words=words[2:]):
                status, _, err = self.run_in(cwd, *words, *REPLAY)
                self.assertIn(status, (1, 2))
                self.assertIn(said, err)
                self.assertIn(b"UTF-8", err)
        self.assertIn("There is no project", self.good("status"))
        self.assertEqual(sorted(set(os.listdir(room)) - {b"home"}), sorted(set(before) - {b"home"}))

    def test_what_could_not_be_stored_is_refused(self):
        self.check()

    def test_what_could_not_be_sent_is_refused(self):
        self.serve()
        self.check()

    def test_a_hint_is_not_changed_on_its_way(self):
        self.good("run", CRASH / "spec.md", "--yes", *REPLAY)
        status, _, err = self.run_in(self.room, "retry", "T-1", "--hint", NOT_UTF8)
        self.assertEqual(status, 1)
        self.assertIn(b"hint is not UTF-8", err)


class Limits(Elsewhere):
    def see_full(self, looking, workers):
        """Who looks are as many as can; everybody else gets through."""
        said = f"setting http_workers={workers}): end one, or raise that setting there"
        self.refused(1, said, "resume", "greet")
        self.refused(1, "T-1 is not blocked", "retry", "T-1")
        looking.send_signal(signal.SIGINT)
        self.end(looking, 1)

    def look(self, **env):
        looking = self.start("resume", "greet", **env)
        self.assertIn("others are at it already", looking.stdout.readline())
        return looking

    def test_short_wishes_get_through_a_server_at_which_many_look(self):
        self.serve("--set", "http_workers=4")
        fake, gate = self.held()
        run = self.start(*self.run_words(fake))
        self.assertTrue(gate.asked.wait(timeout=60))
        lookers = [self.look(), self.look()]
        self.see_full(lookers[0], 4)
        gate.open.set()
        self.assertIn("2 of 2 done", self.end(lookers[1]))
        self.assertIn("2 of 2 done", self.end(run))

    def test_short_wishes_get_through_a_command_at_which_many_look(self):
        fake, gate = self.held()
        run = self.start(*self.run_words(fake, "--set", "http_workers=2"))
        self.assertTrue(gate.asked.wait(timeout=60))
        self.see_full(self.look(), 2)
        gate.open.set()
        self.assertIn("2 of 2 done", self.end(run))

    def serve_within(self, soft, hard):
        server = subprocess.Popen([home.TANDEM, "serve", "--listen", "none", "--set", "http_connections=100", "--set", "http_workers=20"],
                                  cwd=self.room, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
        self.assertIn("Tandem serves", server.stdout.readline())
        allowed = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        server.send_signal(signal.SIGINT)
        err = server.communicate(timeout=20)[1]
        self.assertEqual(server.returncode, 0)
        return allowed, err

    def test_a_server_may_open_as_much_as_its_settings_say(self):
        self.assertEqual(self.serve_within(128, 4000), ((376, 4000), ""))
        self.assertEqual(self.serve_within(1000, 4000), ((1000, 4000), ""))
        allowed, err = self.serve_within(128, 300)
        self.assertEqual(allowed, (300, 300))
        self.assertIn("this machine lets a process have 300 files open, so that 24 connections are taken instead of 100", err)


class Warnings(Elsewhere):
    def test_settings_of_the_server_are_said_by_every_command_once(self):
        self.serve()
        self.good("run", CRASH / "spec.md", "--yes", *REPLAY)
        said = "tandem: warning: the server of this home has model_queue=256; 7 (--set) counts when it starts again\n"
        for words in (["release"], ["resolve", "T-1"], ["retry", "T-1"], ["resume"], ["model", "route", "pm", "m"], ["key", "add", "ann"]):
            with self.subTest(words=words):
                self.assertEqual(self.tandem(*words, "--set", "model_queue=7").stderr.count(said), 1)
        self.assertNotIn(said, self.tandem("status", "--set", "model_queue=7").stderr)

    def test_who_serves_does_not_say_what_another_has(self):
        fake, gate = self.held()
        run = self.start(*self.run_words(fake))
        self.assertTrue(gate.asked.wait(timeout=60))
        server = self.start("serve", "--listen", "none", "--set", "model_queue=7")
        self.assertIn("serving begins when it has ended", server.stdout.readline())
        gate.open.set()
        self.end(run)
        self.assertIn("Tandem serves", server.stdout.readline())
        self.stop(server)

    def test_no_sandbox_is_said_of_the_process_that_runs_the_code(self):
        bwrap, *bare = self.without_bubblewrap()
        server = subprocess.Popen([bwrap, "--die-with-parent", *bare, home.TANDEM, "serve", "--listen", "none", "--set", "sandbox=none"], cwd=self.room,
                                  env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(server.communicate)
        self.addCleanup(server.kill)
        self.assertIn("Tandem serves", server.stdout.readline())
        self.good("run", CRASH / "spec.md", "--yes", *REPLAY)
        self.assertIn("warning: NO SANDBOX, the project's code runs unprotected: bubblewrap is not installed", self.tandem("release", "--yes").stderr)

    def test_no_sandbox_here_is_not_said_where_the_server_has_one(self):
        self.serve()
        self.good("run", CRASH / "spec.md", "--yes", *REPLAY)
        self.assertIn("Released.", self.good("release", "--yes", on=self.without_bubblewrap()))


class Birth(Elsewhere):
    def test_who_looks_waits_until_the_first_writer_has_made_the_home(self):
        self.home.mkdir()
        (self.home / "lock").write_text(f"{os.getpid()}\n")
        (self.home / "store.db").write_text("")
        looking = [self.start("status"), self.start("verify", "--json")]
        time.sleep(0.3)
        self.good("key", "add", "ann")  # makes it
        self.assertIn("There is no project", self.end(looking[0]))
        self.end(looking[1])

    def test_nobody_waits_for_a_writer_that_is_dead(self):
        self.home.mkdir()
        ended = subprocess.Popen(["true"])
        ended.wait()
        (self.home / "lock").write_text(f"{ended.pid}\n")
        (self.home / "store.db").write_text("")
        self.refused(1, "its first writer did not finish making it", "status", timeout=2.5)


if __name__ == "__main__":
    home.tap.main()
