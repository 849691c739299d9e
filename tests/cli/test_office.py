"""Projects at work in one process and people in others: run, resume, retry, resolve and release beside a server,
and beside each other."""
import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import greet
import home
from fake_model import FakeModel

CRASH = home.ROOT / "tests" / "crash"
REPLAY = ("--stack", "python", "--model", f"replay:{CRASH / 'recording'}")


class Gate:
    """An answer that is held back until it may go; `asked` when somebody waits for it."""

    def __init__(self, answer):
        self.answer, self.asked, self.open = answer, threading.Event(), threading.Event()

    def __call__(self, _):
        self.asked.set()
        self.open.wait(timeout=100)
        return self.answer


def hello_test():
    return greet.files(tests__test_hello_py=greet.test("hello", ("hello('Ann')", "Hello, Ann")))


class Beside(greet.Made):
    def start(self, *words, cwd=None, on=(), **env):
        """A command in the background."""
        process = subprocess.Popen([*on, home.TANDEM, *map(str, words)], cwd=cwd or self.room, env=self.environment(**env), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        return process

    def serve(self):
        process = self.start("serve", "--listen", "none")
        self.assertIn("Tandem serves", process.stdout.readline())
        return process

    def end(self, process, status=0):
        out, err = process.communicate(timeout=100)
        self.assertEqual(process.returncode, status, out + err)
        return out

    def stop(self, server):
        server.send_signal(signal.SIGINT)
        self.assertEqual(server.communicate(timeout=20)[1], "")
        self.assertEqual(server.returncode, 0)

    def until(self, holds):
        for _ in range(400):
            if holds():
                return
            time.sleep(0.05)
        self.fail("it did not come to that within 20 seconds")

    def write_spec(self):
        (self.room / "spec.md").write_text(greet.SPEC)

    def model(self, *rows, **how):
        fake = FakeModel([*rows, *greet.table(**how)])
        self.addCleanup(fake.close)
        return fake

    def held(self, **how):
        """A model whose Tester waits at the first criterion, and the gate there."""
        gate = Gate(hello_test())
        self.addCleanup(gate.open.set)
        self.write_spec()
        return self.model(("tester", "> hello('Ann')", gate), **how), gate

    def run_words(self, fake, *words):
        return ["run", "spec.md", "--stack", "python", "--yes", *words, *fake.words()]

    def kinds(self):
        return [json.loads(line)["kind"] for line in self.good("log", "--json").splitlines()]


class AtServer(Beside):
    def test_from_the_run_to_the_release_all_works_at_a_server(self):
        server = self.serve()
        self.refused(1, "the plan waits for approval", "run", CRASH / "spec.md", "--stack", "python", "--model",
                     f"replay:{os.path.relpath(CRASH / 'recording', self.room)}")  # of this directory, not of the server's
        self.assertIn("2 of 2 done", self.good("resume", "--yes"))
        self.assertIn("Released.", self.good("release", "--yes"))
        self.assertEqual(self.git(self.room / "numbers", "rev-parse", "main"), self.git(self.room / "numbers", "rev-parse", "DEV"))
        self.assertIn("nothing to release", self.good("release", "--yes"))
        self.refused(1, "not blocked", "retry", "T-1", "--yes")
        self.assertIn("Everything holds", self.good("verify"))
        self.stop(server)

    def test_without_a_sandbox_it_serves_models_and_builds_nothing(self):
        fake = self.model(("pm", "hello", "Good day."))
        (self.room / "models.yaml").write_text(f"backends:\n- {{id: b, kind: openai, url: '{fake.url}'}}\n"
                                               "models:\n- {id: m, backend: b, name: pm}\n")
        self.good("model", "import", "models.yaml")
        server = self.start("serve", "--listen", "none", on=self.without_bubblewrap())
        self.assertIn("Tandem serves", server.stdout.readline())
        self.assertEqual(self.good("model", "ask", "m", "hello"), "Good day.\n")
        self.refused(1, "bubblewrap is not installed, so no code can be run safely", "run", CRASH / "spec.md", "--yes", *REPLAY)
        self.assertIn("There is no project", self.good("status"))
        os.kill(int((self.home / "lock").read_text()), signal.SIGINT)  # `server` is the one that hides bubblewrap
        self.end(server)

    def test_its_figures_count_what_the_team_asks(self):
        fake = self.model()
        roles = ("pm", "architect", "developer", "tester")
        (self.room / "models.yaml").write_text(f"backends:\n- {{id: b, kind: openai, url: '{fake.url}'}}\n"
                                               + "models:\n" + "".join(f"- {{id: m-{role}, backend: b, name: {role}, slots: 2}}\n" for role in roles)
                                               + "routes:\n" + "".join(f"- {{id: {role}, primary: m-{role}}}\n" for role in roles))
        self.good("model", "import", "models.yaml")
        server = self.start("serve", "--listen", "none")
        place = server.stdout.readline().split(" on ")[1].split(". Ctrl-C")[0]
        self.write_spec()
        self.end(self.start("run", "spec.md", "--stack", "python", "--yes"))
        with contextlib.closing(Socket(place)) as c:
            c.request("GET", "/metrics")
            figures = c.getresponse().read().decode()
        self.assertRegex(figures, r'tandem_calls_total\{model="m-tester",caller="team"\} [1-9]')
        self.assertRegex(figures, r'tandem_call_seconds_count\{model="m-developer",caller="team"\} [1-9]')
        self.assertRegex(figures, r'tandem_completion_tokens_total\{model="m-architect",caller="team"\} [1-9]')

    def test_programs_read_events_and_summary_as_ever(self):
        self.serve()
        lines = self.good("run", CRASH / "spec.md", "--yes", "--json", *REPLAY).splitlines()
        self.assertEqual(json.loads(lines[0])["kind"], "project.created")
        self.assertEqual(json.loads(lines[-1])["kind"], "summary")

    def test_errors_are_those_of_a_command_alone(self):
        self.serve()
        self.refused(2, 'there is no role "cook"', "run", CRASH / "spec.md", "--yes", "--model", "cook=http://127.0.0.1:1")
        self.refused(1, "there is no project", "resume", "nothing")
        self.refused(2, 'there is no stack "cobol"', "run", CRASH / "spec.md", "--yes", "--stack", "cobol", *REPLAY[2:])
        self.assertIn("There is no project", self.good("status"))

    def test_two_projects_are_at_work_at_once(self):
        self.serve()
        self.write_spec()
        both = threading.Barrier(2, timeout=60)

        def together(_):
            both.wait()
            return hello_test()

        fake = self.model(("tester", "> hello('Ann')", together))
        first, second = (self.start(*self.run_words(fake, "--name", name)) for name in ("one", "two"))
        self.assertIn("The result is in", self.end(first))
        self.assertIn("The result is in", self.end(second))

    def test_who_interrupts_stops_the_work_and_not_the_server(self):
        server = self.serve()
        fake, gate = self.held()
        process = self.start(*self.run_words(fake))
        self.assertTrue(gate.asked.wait(timeout=60))
        process.send_signal(signal.SIGINT)
        self.assertIn("nothing is lost", self.end(process, 1))
        self.until(lambda: "work.stopped" in self.kinds())
        gate.open.set()
        self.assertIn("2 of 2 done", self.good("resume", "greet", timeout=100))
        kinds = self.kinds()
        self.assertLess(kinds.index("work.stopped"), kinds.index("work.resumed"))
        self.assertIsNone(server.poll())

    def test_the_work_goes_on_while_anybody_looks(self):
        self.serve()
        fake, gate = self.held()
        first = self.start(*self.run_words(fake))
        self.assertTrue(gate.asked.wait(timeout=60))
        second = self.start("resume", "greet")
        self.assertIn("others are at it already", second.stdout.readline())
        first.send_signal(signal.SIGINT)
        self.end(first, 1)
        gate.open.set()
        self.assertIn("2 of 2 done", self.end(second))
        self.assertNotIn("work.stopped", self.kinds())

    def test_a_ticket_is_retried_while_the_other_is_built(self):
        self.serve()
        self.write_spec()
        gate = Gate(greet.files(tests__test_bye_py=greet.test("bye", ("bye('Ann')", "Bye, Ann")).replace("greet", "parting")))
        self.addCleanup(gate.open.set)
        bad = greet.files(greet_py="def hello(name):\n    return 'Good day'\n")
        fake = self.model(("tester", "> bye('Ann')", gate), ("developer", "> bye('Ann')", greet.files(parting_py=greet.BYE)),
                          ("developer", "as people do", greet.files(greet_py=greet.HELLO)), ("developer", "> hello('Ann')", bad),
                          conflict=True)
        run = self.start(*self.run_words(fake, "--set", "attempts=2"))
        for line in run.stdout:
            if "T-1 is blocked" in line or "T-1 blocked" in line:
                break
        self.assertTrue(gate.asked.wait(timeout=60))
        retry = self.start("retry", "T-1", "--hint", "as people do")
        for line in retry.stdout:
            if "T-1 green witnessed" in line:
                break
        gate.open.set()
        self.assertIn("2 of 2 done", self.end(retry))
        self.assertIn("2 of 2 done", self.end(run))

    def test_what_the_person_says_of_settings_and_keys_counts(self):
        self.serve()
        self.write_spec()
        bad = greet.files(greet_py="def hello(name):\n    return 'Good day'\n")
        fake = self.model(("developer", "> hello('Ann')", bad))
        done = self.tandem(*self.run_words(fake, "--set", "attempts=1", "--set", "model_queue=7"), env={"TANDEM_API_KEY": "sesame"},
                           timeout=100)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("green did not succeed in 1 attempts", done.stdout)
        self.assertIn("warning: the server of this home has model_queue=256; 7 (--set) counts when it starts again", done.stderr)
        self.assertEqual(fake.keys, {"Bearer sesame"})

    def test_who_begins_while_a_server_ends_waits_for_it(self):
        server = self.serve()
        fake, gate = self.held()
        run = self.start(*self.run_words(fake))
        self.assertTrue(gate.asked.wait(timeout=60))
        server.send_signal(signal.SIGINT)
        self.assertIn("2 of 2 done", self.good("run", CRASH / "spec.md", "--yes", *REPLAY))
        self.assertEqual(server.wait(timeout=20), 0)
        gate.open.set()
        self.assertIn("2 of 2 done", self.end(run))

    def test_a_wish_whose_answer_is_lost_is_fulfilled_once(self):
        """The server dies after it has stored what was wished, and before it says so."""
        for wish in ("create", "approve", "retry"):
            with self.subTest(wish=wish):
                self.write_spec()
                bad = greet.files(greet_py="def hello(name):\n    return 'Good day'\n")
                fake = self.model(("developer", "> hello('Ann')", [bad] * 2 + [greet.files(greet_py=greet.HELLO)]))
                run = self.run_words(fake, "--name", wish, "--set", "attempts=1")
                if wish == "approve":
                    run.remove("--yes")
                if wish != "create":
                    self.tandem(*run, timeout=100)
                dying = self.start("serve", "--listen", "none", TANDEM_FAILPOINT="store.committed:2")
                self.assertIn("Tandem serves", dying.stdout.readline())
                done = self.tandem(*{"create": run, "approve": ["resume", wish, "--yes"], "retry": ["retry", "T-1", "--project", wish]}[wish],
                                   timeout=100)
                self.assertNotEqual(dying.wait(timeout=20), 0)
                self.assertIn(done.returncode, (0, 3), done.stderr)
                events = [json.loads(line) for line in self.good("log", "--json", "--project", wish).splitlines()]
                kinds = [event["kind"] for event in events]
                told = {"create": "project.created", "approve": "plan.approved", "retry": "ticket.retried"}[wish]
                self.assertEqual(kinds.count(told), 1, kinds)
        self.assertEqual(sorted(p["id"] for p in json.loads(self.good("status", "--json"))), ["approve", "create", "retry"])

    def test_a_server_that_is_killed_is_not_missed(self):
        server = self.serve()
        fake, gate = self.held()
        run = self.start(*self.run_words(fake))
        self.assertTrue(gate.asked.wait(timeout=60))
        server.kill()
        gate.open.set()
        self.assertIn("2 of 2 done", self.end(run))
        self.assertIn("Everything holds", self.good("verify"))


class Socket(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


class Loading(Beside):
    """A run whose model is being loaded, which is waited for."""

    def loading(self, name):
        self.write_spec()
        fake = self.model()
        fake.loading.set()
        run = self.start(*self.run_words(fake, "--name", name))
        self.assertTrue(fake.waited_for.wait(timeout=60))
        return run, fake

    def test_it_keeps_nobody_out(self):
        for at_server in (False, True):
            with self.subTest(at_server=at_server):
                server = self.serve() if at_server else None
                slow, fake = self.loading(f"slow-{at_server}")
                self.assertIn("2 of 2 done", self.good("run", CRASH / "spec.md", "--yes", "--out", f"out-{at_server}", *REPLAY))
                fake.loading.clear()
                self.assertIn("2 of 2 done", self.end(slow))
                if server:
                    self.stop(server)

    def test_two_of_one_name_do_not_meet(self):
        self.serve()
        (first, one), (second, two) = self.loading("same"), self.loading("same")
        one.loading.clear()
        two.loading.clear()
        outs = [process.communicate(timeout=100) for process in (first, second)]
        for out, _ in outs:
            self.assertIn("2 of 2 done", out)
        self.assertEqual(sorted(p["id"] for p in json.loads(self.good("status", "--json"))), ["same", "same-2"])
        # By default both go into the same directory, one after the other; begun in the same second they even have the same first commit.
        self.assertIn(0, (first.returncode, second.returncode))
        for process, (_, err) in zip((first, second), outs, strict=True):
            if process.returncode:
                self.assertRegex(err, r"same is not empty any more; all is built: tandem resume same(-2)? --out DIR puts")

    def test_it_goes_on_when_the_one_who_had_the_home_ends(self):
        fake, gate = self.held()
        first = self.start(*self.run_words(fake, "--name", "first"))
        self.assertTrue(gate.asked.wait(timeout=60))
        second, slow = self.loading("second")
        gate.open.set()
        self.assertIn("2 of 2 done", self.end(first))
        slow.loading.clear()
        self.assertIn("2 of 2 done", self.end(second))
        self.assertEqual(self.good("log", "--json", "--project", "second").count("project.created"), 1)


class WrongWishes(Beside):
    def say(self, path, body):
        with contextlib.closing(Socket(self.socket)) as c:
            c.request("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode())
            answer = c.getresponse()
            return answer.status, json.loads(answer.read())["error"]

    def test_what_makes_no_sense_is_refused_with_a_reason(self):
        server = self.start("serve", "--listen", "none")
        self.socket = server.stdout.readline().split(" on ")[1].split(". Ctrl-C")[0]
        ann, project = {"person": "Ann"}, {"project": "units"}
        for path, body, status, code, words in (
                ("projects/approve", b"{", 400, "invalid", ""),
                ("projects/approve", {"wish": project}, 400, "invalid", "person"),
                ("projects/approve", ann, 400, "invalid", "wish"),
                ("projects/approve", {**ann, "wish": {}}, 400, "invalid", "project"),
                ("projects/approve", {**ann, "wish": {**project, "now": True}}, 400, "invalid", "now"),
                ("projects/approve", {**ann, "wish": project}, 404, "not-found", "there is no project \"units\""),
                ("projects/praise", {**ann, "wish": project}, 404, "not-found", "nobody can \"praise\" a project"),
                ("projects/create", {**ann, "wish": {"pairs": 1}}, 400, "invalid", "neither an idea nor a specification"),
                ("projects/create", {**ann, "wish": {"idea": "x", "pairs": 99999}}, 400, "invalid", "pairs"),
                ("sittings", {**ann, "wish": project}, 404, "not-found", "there is no project"),
                ("sittings", {**ann, "wish": project, "settings": ["attempts=many"]}, 400, "invalid", "attempts"),
                ("sittings", {**ann, "wish": project, "settings": ["sandbox=none"]}, 400, "invalid", "cannot be said with a wish"),
                ("sittings", {**ann, "wish": project, "settings": ["attempts"]}, 400, "invalid", "name=value"),
                ("sittings", b" " * (2 << 20), 413, "too-large", "")):
            with self.subTest(path=path, body=body if len(body) < 1000 else "..."):
                got, error = self.say("/tandem/" + path, body)
                self.assertEqual((got, error["code"]), (status, code), error)
                self.assertIn(words, error["message"])
        self.stop(server)


class BesideEachOther(Beside):
    def test_a_command_at_work_lets_others_in_and_leaves_the_home_to_them(self):
        fake, gate = self.held()
        first = self.start(*self.run_words(fake, "--name", "first"))
        self.assertTrue(gate.asked.wait(timeout=60))
        self.assertIn("2 of 2 done", self.good("run", CRASH / "spec.md", "--yes", *REPLAY))
        self.assertIn("Released.", self.good("release", "numbers", "--yes"))
        other, second_gate = self.held()
        second = self.start(*self.run_words(other, "--name", "second"))
        self.assertTrue(second_gate.asked.wait(timeout=60))
        gate.open.set()
        self.assertIn("2 of 2 done", self.end(first))
        second_gate.open.set()
        self.assertIn("2 of 2 done", self.end(second))
        self.assertIn("Everything holds", self.good("verify"))

    def test_who_serves_waits_for_a_command_at_work(self):
        fake, gate = self.held()
        (self.room / "models.yaml").write_text(f"backends:\n- {{id: b, kind: openai, url: '{fake.url}'}}\n"
                                               "models:\n- {id: m, backend: b, name: pm}\n")
        self.good("model", "import", "models.yaml")
        run = self.start(*self.run_words(fake))
        self.assertTrue(gate.asked.wait(timeout=60))
        self.assertIn("no answer to this", self.good("model", "ask", "m", "say hello"))  # through the run's own socket
        server = self.start("serve", "--listen", "none")
        self.assertIn("serving begins when it has ended", server.stdout.readline())
        gate.open.set()
        self.end(run)
        self.assertIn("Tandem serves", server.stdout.readline())
        self.stop(server)

    def test_a_question_that_takes_its_time_keeps_nobody_out(self):
        gate = Gate("Here you are.")
        self.addCleanup(gate.open.set)
        fake = self.model(("pm", "slowly", gate))
        (self.room / "models.yaml").write_text(f"backends:\n- {{id: b, kind: openai, url: '{fake.url}'}}\n"
                                               "models:\n- {id: m, backend: b, name: pm, slots: 2}\n")
        self.good("model", "import", "models.yaml")
        asking = self.start("model", "ask", "m", "slowly")
        self.assertTrue(gate.asked.wait(timeout=60))
        self.assertRegex(self.good("model", "route", "tester", "m"), r"tester +m")
        self.assertIn("2 of 2 done", self.good("run", CRASH / "spec.md", "--yes", *REPLAY))
        gate.open.set()
        self.assertEqual(self.end(asking), "Here you are.\n")

    def test_all_who_are_left_go_on_when_the_one_who_has_the_home_is_killed(self):
        fakes = [self.held() for _ in range(4)]
        runs = []
        for n, (fake, gate) in enumerate(fakes):
            runs.append(self.start(*self.run_words(fake, "--name", f"of-{n}")))
            self.assertTrue(gate.asked.wait(timeout=60))
        runs[0].kill()
        for _, gate in fakes:
            gate.open.set()
        for run in runs[1:]:
            self.assertIn("2 of 2 done", self.end(run))
        self.assertIn("Everything holds", self.good("verify"))

    def test_one_that_is_stopped_is_waited_for_with_a_word(self):
        fake, gate = self.held()
        first = self.start(*self.run_words(fake, "--name", "first"))
        self.assertTrue(gate.asked.wait(timeout=60))
        first.send_signal(signal.SIGSTOP)
        second = self.start("run", CRASH / "spec.md", "--yes", *REPLAY)
        said = second.stderr.readline()
        self.assertIn(f"process {first.pid} has the home {self.home} and does not answer; waiting for it", said)
        first.send_signal(signal.SIGCONT)
        self.assertIn("2 of 2 done", self.end(second))
        gate.open.set()
        self.assertIn("2 of 2 done", self.end(first))

    def test_nothing_is_left_where_sockets_are(self):
        runtime = self.room / "runtime"
        runtime.mkdir(mode=0o700)
        fake = self.model()
        self.write_spec()
        (self.room / "models.yaml").write_text(f"backends:\n- {{id: b, kind: openai, url: '{fake.url}'}}\n"
                                               "models:\n- {id: m, backend: b, name: pm}\n")
        for words in (["model", "import", "models.yaml"], ["model", "ask", "m", "hello"], self.run_words(fake)):
            self.end(self.start(*words, XDG_RUNTIME_DIR=str(runtime)))
        self.assertEqual(list((runtime / "tandem").iterdir()), [])

    def test_another_environment_finds_the_same_home(self):
        runtime = self.room / "runtime"
        runtime.mkdir(mode=0o700)
        fake, gate = self.held()
        first = self.start(*self.run_words(fake, "--name", "first"), XDG_RUNTIME_DIR=str(runtime))
        self.assertTrue(gate.asked.wait(timeout=60))
        self.assertIn("2 of 2 done", self.good("run", CRASH / "spec.md", "--yes", *REPLAY))
        gate.open.set()
        self.end(first)

    def test_a_copy_of_a_home_is_another_one(self):
        """Also while it is busy, and still names the socket of the one it was copied from."""
        server = self.serve()
        copy = self.room / "copy"
        shutil.copytree(self.home, copy)
        with open(copy / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            waiting = self.start("run", CRASH / "spec.md", "--yes", *REPLAY, TANDEM_HOME=str(copy))
            self.assertIn("waiting for it", waiting.stderr.readline())
        self.assertIn("2 of 2 done", self.end(waiting))
        self.assertIn("There is no project", self.good("status"))
        self.stop(server)

    def test_commands_one_after_the_other_wait_for_each_other(self):
        """None of them is turned away, whoever has the home for a moment."""
        self.good("run", CRASH / "spec.md", "--yes", *REPLAY)
        several = [self.start("release", "numbers", "--yes") for _ in range(4)]
        said = "".join(self.end(process) for process in several)
        self.assertEqual(said.count("Released."), 1, said)


class MergeAtServer(greet.Built, Beside):
    conflict = True
    status = 3

    def test_a_person_merges_while_a_server_has_the_home(self):
        self.serve()
        self.assertIn("greet.py", self.good("resolve", "T-2"))
        work = self.room / "T-2-conflict"
        self.refused(1, "conflict marker", "resolve", "T-2", "--done")
        (work / "greet.py").write_text(greet.BOTH)
        self.assertIn("tandem resume greet", self.good("resolve", "T-2", "--done"))
        with contextlib.closing(FakeModel(greet.table())) as fake:
            self.assertIn("2 of 2 done", self.good("resume", "--yes", *fake.words(), timeout=200))


if __name__ == "__main__":
    home.tap.main()
