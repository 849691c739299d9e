"""The life of models under `tandem serve`, with the real llama-server: loaded, evicted, killed, short of
memory, replaced, left behind, broken.  The same against a fake, faster and with more faults, is in
tests/unit/test_manager*.c."""
import concurrent.futures
import contextlib
import json
import os
import signal
import threading
import time

import managed
import peers
import tap


def resident(pid):
    """MiB of its own."""
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon")) >> 10


def is_there(pid):
    """A zombie is not."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Life(managed.Managed):
    def test_a_model_is_loaded_when_asked_and_leaves_when_idle(self):
        self.model("m", None, "idle_s=1")
        server = self.serve()
        self.assertEqual(server.children(), {})
        answer = self.good_chat(server, "m", "Hello", max_tokens=8)
        self.assertEqual((answer["model"], answer["usage"]["completion_tokens"]), ("m", 8))
        pid = server.child("m")
        self.assertEqual(self.state("m"), "ready")
        self.wait_until(lambda: not is_there(pid), what="it stays although it is idle")
        self.good_chat(server, "m", "Hello")
        self.assertEqual(server.stop(), "")
        self.wait_until(lambda: not server.children())

    def test_a_model_makes_room_for_another_and_a_pinned_one_does_not(self):
        for name in "abc":
            self.model(name, None, "memory_mib=400")
        self.good("model", "set", "a", "pinned=true")
        server = self.serve("model_memory_mib=900")
        self.good_chat(server, "b", "Hello")
        evicted = server.child("b")
        self.good_chat(server, "c", "Hello")
        self.wait_until(lambda: not is_there(evicted))
        self.assertEqual(set(server.children()), {"a", "c"})
        self.model("d", None, "memory_mib=600")
        status, answer = server.chat("d", "Hello")
        self.assertGreaterEqual(status, 500, answer)
        self.assertIn("those that are pinned stay", answer["error"]["message"])

    def test_two_models_serve_three_roles_at_once(self):
        self.model("small", None, "slots=2")
        self.model("large", peers.PeerTest.tiny(layers=4, seed=2))
        for role, model in (("developer", "small"), ("tester", "small"), ("architect", "large")):
            self.good("model", "route", role, model)
        server = self.serve()
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda i: (i, server.chat(("developer", "tester", "architect")[i % 3], f"question {i}")), range(24)))
        for i, (status, answer) in answers:
            self.assertEqual((status, answer["model"]), (200, "large" if i % 3 == 2 else "small"), answer)
        self.assertEqual(set(server.children()), {"small", "large"})

    def test_schemas_are_kept_to(self):
        self.model("m")
        schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": False}
        answer = self.good_chat(self.serve(), "m", "Answer.", max_tokens=300, seed=1, temperature=0.5,
                                response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
        self.assertIn(json.loads(answer["choices"][0]["message"]["content"])["ok"], (True, False))

    def test_texts_longer_than_a_usual_batch_become_vectors(self):
        self.model("e", peers.PeerTest.tiny("llama-bpe", pooling="mean", template=""))
        server = self.serve()
        status, answer = server.ask("/v1/embeddings", {"model": "e", "input": [managed.words("w", 300), "short"]})
        self.assertEqual(status, 200, answer)
        self.assertGreater(answer["usage"]["prompt_tokens"], 700)
        self.assertEqual([len(d["embedding"]) for d in answer["data"]], [64, 64])
        self.assertLess(resident(server.child("e")), 1000)


class Faults(managed.Managed):
    def slow(self):
        """A model that takes its time for a prompt."""
        return peers.PeerTest.tiny("llama-bpe", layers=8, embedding=512, inner=1024, heads=8, kv_heads=4, context=16384)

    def test_a_server_killed_while_it_loads_is_started_again(self):
        self.model("m")
        server = self.serve()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(server.chat, "m", "Hello")
            os.kill(server.child("m"), signal.SIGKILL)
            status, answer = asked.result()
        self.assertEqual(status, 200, answer)

    def test_a_server_killed_while_it_reads_is_started_again_and_the_call_answered(self):
        self.is_answered_though_killed(managed.words("a", 2000))

    def is_answered_though_killed(self, words, **more):
        self.model("m", self.slow(), "context=16384")
        server = self.serve()
        self.good_chat(server, "m", "Hello")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(server.chat, "m", words, **more)
            first = server.child("m")
            self.wait_until(lambda: self.is_busy(first), what="it does not begin")
            os.kill(first, signal.SIGKILL)
            status, answer = asked.result()
        self.assertEqual(status, 200, answer)
        self.assertNotEqual(server.child("m"), first)

    def is_busy(self, pid):
        with open(f"/proc/{pid}/stat") as f:
            before = int(f.read().rsplit(")", 1)[1].split()[11])
        time.sleep(0.2)
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rsplit(")", 1)[1].split()[11]) - before > 5

    def test_a_server_killed_in_the_middle_of_an_answer_ends_it_with_an_error(self):
        self.model("m")
        server = self.serve()
        connection, answer = server.open("/v1/chat/completions", {
            "model": "m", "stream": True, "ignore_eos": True, "max_tokens": 2000, "messages": [{"role": "user", "content": "Hello"}]})
        with contextlib.closing(connection):
            said = b"".join(answer.readline() for _ in range(6))
            os.kill(server.child("m"), signal.SIGKILL)
            with contextlib.suppress(ValueError, managed.http.client.HTTPException):
                while piece := answer.readline():
                    said += piece
        self.assertIn(b'"delta"', said)
        self.assertNotIn(b"[DONE]", said)  # so it cannot be taken for a whole one
        self.assertIn(b'data: {"error":{"code":"failed","message":"the connection to m broke: ', said)
        self.good_chat(server, "m", "Hello again")

    def test_a_server_killed_in_the_middle_of_an_answer_that_is_wanted_whole_is_asked_again(self):
        self.is_answered_though_killed("Hello", max_tokens=100, ignore_eos=True)

    def test_three_kills_are_quarantine_until_it_is_loaded_by_hand(self):
        self.model("m")
        server = self.serve()
        for _ in range(3):
            self.good_chat(server, "m", "Hello")
            pid = server.child("m")
            os.kill(pid, signal.SIGKILL)
            self.wait_until(lambda gone=pid: server.children().get("m") != gone)
        self.wait_until(lambda: self.state("m") == "quarantined")
        status, answer = server.chat("m", "Hello")
        self.assertGreaterEqual(status, 500, answer)
        self.assertIn("`tandem model load m` tries again", answer["error"]["message"])
        self.tandem_good("model", "load", "m")
        self.good_chat(server, "m", "Hello")

    def test_short_of_memory_it_is_given_half_the_context_as_long_as_its_roles_can_live_with_that(self):
        self.program(self.limited(900))
        self.model("m", peers.PeerTest.tiny(layers=8, embedding=256, heads=8, kv_heads=8, context=131072), "context=65536")
        self.good("model", "route", "developer", "m")
        server = self.serve()
        self.good_chat(server, "developer", "Hello")
        with open(f"/proc/{server.child('m')}/cmdline") as f:
            line = f.read().split("\0")
        self.assertIn(int(line[line.index("--ctx-size") + 1]), (8192, 16384, 32768))
        self.entries({"routes": [{"id": "developer", "primary": "m", "min_context": 60000}]})
        self.good("model", "unload", "m")
        self.wait_until(lambda: not server.children())
        status, answer = server.chat("m", "Hello")
        self.assertGreaterEqual(status, 500, answer)
        self.assertIn("there is not enough memory", answer["error"]["message"])

    def test_what_lies_in_a_socket_s_place_is_no_obstacle(self):
        self.model("m")
        server = self.serve()
        self.good_chat(server, "m", "Hello")
        with open(f"/proc/{server.child('m')}/cmdline") as f:
            line = f.read().split("\0")
        path = line[line.index("--host") + 1]
        self.good("model", "unload", "m")
        self.wait_until(lambda: not os.path.exists(path))
        with open(path, "w") as f:
            f.write("in the way")
        self.good_chat(server, "m", "Hello")

    def test_a_port_that_is_taken_is_told(self):
        server = self.serve()
        self.home = self.room / "other"
        self.refused(1, "is taken", "serve", "--listen", server.address)

    def test_files_that_are_no_models_any_more_are_told_at_once(self):
        for seed, (name, damage) in enumerate((("cut", "truncated"), ("odd", "architecture"), ("bare", "tensor"))):
            self.model(name, peers.PeerTest.tiny(seed=10 + seed))
            digest = next(m["file"] for m in json.loads(self.good("model", "list", "--json"))["models"] if m["id"] == name)
            (self.home / "models" / f"{digest}.gguf").write_bytes(peers.PeerTest.tiny(broken=damage).read_bytes())
        server = self.serve()
        for name, said in (("cut", "is cut off: 8"), ("odd", "unknown model architecture: 'nosuch'"), ("bare", "its file cannot be loaded")):
            with self.subTest(name):
                begun = time.monotonic()
                status, answer = server.chat(name, "Hello")
                self.assertGreaterEqual(status, 500, answer)
                self.assertIn(said, answer["error"]["message"])
                self.assertLess(time.monotonic() - begun, 30)

    def test_a_cancelled_call_frees_its_slot(self):
        """In the middle of reading, and of answering."""
        self.model("m", self.slow(), "context=16384")
        server = self.serve()
        self.good_chat(server, "m", "Hello")
        for prompt, lines in ((managed.words("a", 2500), 0), ("Hello", 8)):
            connection, answer = None, None
            body = {"model": "m", "stream": True, "ignore_eos": True, "max_tokens": 8000, "messages": [{"role": "user", "content": prompt}]}
            with contextlib.ExitStack() as stack:
                if lines:
                    connection, answer = server.open("/v1/chat/completions", body)
                    for _ in range(lines):
                        answer.readline()
                    stack.callback(answer.close)
                else:
                    connection = managed.http.client.HTTPConnection(server.address)
                    connection.request("POST", "/v1/chat/completions", json.dumps(body))
                    time.sleep(0.5)
                stack.callback(connection.close)
            begun = time.monotonic()
            self.good_chat(server, "m", "Next")  # the only slot: it waits for the end of the one before
            self.assertLess(time.monotonic() - begun, 5)


class Changes(managed.Managed):
    def test_a_new_version_takes_over_under_load_and_no_call_is_lost(self):
        self.model("m", None, "slots=2")
        server = self.serve()
        self.good_chat(server, "m", "Hello")
        old, over, statuses = server.child("m"), threading.Event(), []

        def ask(who):
            n = 0
            while not over.is_set():
                statuses.append(server.chat("m", f"{who} asks {n}", max_tokens=20)[0])
                n += 1
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            asking = [pool.submit(ask, who) for who in range(3)]
            self.tandem_good("model", "import", peers.PeerTest.tiny(seed=3), "--id", "m")
            try:
                self.wait_until(lambda: not is_there(old), 60, "the old version stays")
                time.sleep(0.5)
            finally:
                over.set()
            for a in asking:
                a.result()
        self.assertGreater(len(statuses), 10)
        self.assertEqual(set(statuses), {200})
        self.assertIn("m 2", " ".join(self.good("model", "list").split()))

    def test_a_killed_tandem_leaves_nothing_behind(self):
        self.model("m")
        server = self.serve()
        self.good_chat(server, "m", "Hello")
        child = server.child("m")
        server.process.kill()
        server.process.wait()
        second = self.serve()
        self.wait_until(lambda: not is_there(child), 5, "its child is still there")
        self.good_chat(second, "m", "Hello")

    def test_two_tandems_share_a_folder_of_models(self):
        folder = f"models_dir={self.room / 'shared'}"
        file = peers.PeerTest.tiny()
        other = managed.Managed(methodName="run")
        other.room, other.home, other.known = self.room, self.room / "other", set()
        other.addCleanup = self.addCleanup
        other.program(peers.need("LLAMA_SERVER"))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            done = list(pool.map(lambda t: t.tandem("--set", folder, "model", "import", file, "--id", "m"), (self, other)))
        self.assertEqual([d.returncode for d in done], [0, 0], done)
        servers = [t.serve(folder) for t in (self, other)]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for status, answer in pool.map(lambda s: s.chat("m", "Hello"), servers):
                self.assertEqual(status, 200, answer)
        self.assertEqual(len(list((self.room / "shared").glob("*.gguf"))), 1)
        servers[1].process.kill()
        servers[1].process.wait()
        self.good_chat(servers[0], "m", "Hello again")


if __name__ == "__main__":
    tap.main()
