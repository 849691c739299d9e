"""A real Ollama with a tiny model: what Tandem counts on, and Tandem with it."""
import contextlib
import http.client
import json
import os
import socket
import subprocess
import tempfile
import time
import unittest

import managed
import peers
import tap  # peers knows where it lies

MODELFILE = '''FROM {file}
TEMPLATE """{{{{- range .Messages }}}}<|im_start|>{{{{ .Role }}}}
{{{{ .Content }}}}<|im_end|>
{{{{ end }}}}<|im_start|>assistant
"""
'''
SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": False}
QUIET = {"num_thread": 1, "seed": 1, "temperature": 0}


class Ollama:
    """One of its own on a free port, with the tiny model; `close` ends it."""

    def __init__(self, room):
        with contextlib.closing(socket.socket()) as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {**os.environ, "HOME": room, "OLLAMA_MODELS": f"{room}/models", "OLLAMA_HOST": self.url, "OLLAMA_NUM_PARALLEL": "1"}
        self.log = open(f"{room}/ollama.log", "wb")
        self.process = subprocess.Popen([peers.need("OLLAMA"), "serve"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        cwd=room, env=self.env, start_new_session=True)
        self.wait(room)
        with open(f"{room}/Modelfile", "w") as f:
            f.write(MODELFILE.format(file=peers.PeerTest.tiny()))
        subprocess.run([peers.need("OLLAMA"), "create", "tiny", "-f", "Modelfile"], cwd=room, env=self.env, check=True,
                       stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, timeout=120)

    def wait(self, room):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("/api/version")[0] == 200:
                    return
            time.sleep(0.05)
        with open(f"{room}/ollama.log", errors="replace") as f:
            raise AssertionError(f"Ollama is not ready:\n{f.read()[-3000:]}")

    def open(self, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body))
        return connection, connection.getresponse()

    def ask(self, path, body=None):
        """Status and JSON; of a stream its lines."""
        connection, answer = self.open(path, body)
        with contextlib.closing(connection):
            data = answer.read().decode()
        lines = [json.loads(line) for line in data.splitlines() if line]
        return answer.status, lines[0] if len(lines) == 1 else lines

    def chat(self, text, stream=False, options=None, **more):
        return self.ask("/api/chat", {"model": "tiny", "stream": stream, "messages": [{"role": "user", "content": text}],
                                      "options": {"num_ctx": 512, "num_predict": 4, **QUIET, **(options or {})}, **more})

    def loaded(self):
        """{name: context}."""
        return {m["name"]: m["context_length"] for m in self.ask("/api/ps")[1]["models"]}

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Shared:
    """One Ollama for all tests of a class."""
    ollama = None

    def setUp(self):
        peers.need("OLLAMA")
        peers.need("LLAMA_SERVER", "VOCABULARIES")
        super().setUp()
        if self.ollama is None:
            cls = type(self)
            room = tempfile.TemporaryDirectory(prefix="tandem-test-")
            cls.addClassCleanup(room.cleanup)
            cls.ollama = Ollama(room.name)
            cls.addClassCleanup(cls.ollama.close)
        self.ollama.ask("/api/generate", {"model": "tiny", "keep_alive": 0, "stream": False})


class Habits(Shared, unittest.TestCase):
    def test_it_cuts_without_a_word_unless_it_is_told_not_to(self):
        status, answer = self.ollama.chat(managed.words("a", 600))
        self.assertEqual((status, answer["prompt_eval_count"]), (200, 512))
        for stream in (False, True):
            status, answer = self.ollama.chat(managed.words("a", 600), stream, truncate=False)
            self.assertEqual((status, answer["error"]), (400, "the input length exceeds the context length"))

    def test_without_shift_an_answer_ends_where_the_context_does(self):
        status, answer = self.ollama.chat("Hello", options={"num_ctx": 64, "num_predict": 200}, shift=False)
        self.assertEqual((status, answer["done_reason"]), (200, "length"))
        self.assertLess(answer["prompt_eval_count"] + answer["eval_count"], 70)

    def test_another_size_loads_the_model_anew_and_its_other_face_always_has_another(self):
        self.ollama.chat("Hello")
        self.assertEqual(self.ollama.loaded(), {"tiny:latest": 512})
        status, _ = self.ollama.ask("/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1})
        self.assertEqual(status, 200)
        self.assertNotEqual(self.ollama.loaded(), {"tiny:latest": 512})

    def test_what_is_beyond_the_training_is_lowered_without_a_word(self):
        self.ollama.chat("Hello", options={"num_ctx": 100000})
        self.assertEqual(self.ollama.loaded(), {"tiny:latest": 2048})

    def test_a_shape_is_honoured_and_a_wrong_one_is_an_error_of_the_server(self):
        status, answer = self.ollama.chat("Answer.", options={"num_predict": 300}, format=SCHEMA)
        self.assertEqual((status, list(json.loads(answer["message"]["content"]))), (200, ["ok"]))
        self.assertEqual(self.ollama.chat("Answer.", format={"type": "objekt"}), (500, {"error": "invalid JSON schema in format"}))

    def test_a_model_without_words_is_loaded_and_let_go(self):
        self.assertEqual(self.ollama.ask("/api/generate", {"model": "tiny", "stream": False})[1]["done_reason"], "load")
        self.assertIn("tiny:latest", self.ollama.loaded())
        self.assertEqual(self.ollama.ask("/api/generate", {"model": "tiny", "keep_alive": 0, "stream": False})[1]["done_reason"], "unload")


class Conformance(Shared, unittest.TestCase):
    def test_it_passes_the_suite_of_all_backends(self):
        done = subprocess.run([peers.BUILD / "tests" / "unit" / "test_backend"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={**os.environ, "TANDEM_OLLAMA": self.ollama.url, "TANDEM_OLLAMA_MODEL": "tiny"}, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("a real Ollama: a_prompt_that_does_not_fit_is_told", done.stdout)


class Tandem(Shared, managed.Managed):
    def setUp(self):
        super().setUp()
        self.entries({"backends": [{"id": "box", "kind": "ollama", "url": self.ollama.url}],
                      "models": [{"id": "m", "backend": "box", "name": "tiny", "context": 1024}]})

    def test_a_model_is_loaded_asked_and_let_go(self):
        server = self.serve()
        answer = self.good_chat(server, "m", "Hello")
        self.assertEqual(answer["usage"]["completion_tokens"], 4)
        self.assertGreater(answer["usage"]["prompt_tokens"], 4)
        self.assertEqual(answer["choices"][0]["finish_reason"], "length")
        self.assertEqual(self.ollama.loaded(), {"tiny:latest": 1024})
        self.assertEqual(server.stop(), "")
        self.wait_until(lambda: not self.ollama.loaded())

    def test_what_does_not_fit_is_refused(self):
        status, answer = self.serve().chat("m", managed.words("a", 1500))
        self.assertEqual(status, 400)
        self.assertIn("exceeds the context length", answer["error"]["message"])

    def test_a_shape_reaches_the_model(self):
        answer = self.good_chat(self.serve(), "m", "Answer.", max_tokens=300,
                                response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}})
        self.assertEqual(list(json.loads(answer["choices"][0]["message"]["content"])), ["ok"])

    def test_vectors_are_made(self):
        status, answer = self.serve().ask("/v1/embeddings", {"model": "m", "input": ["one", "two", "one"]})
        self.assertEqual(status, 200, answer)
        one, two, again = (v["embedding"] for v in answer["data"])
        self.assertEqual(len(one), len(two))
        self.assertGreater(sum(a * b for a, b in zip(one, again)), 0.999)

    def test_the_model_is_free_when_a_caller_leaves(self):
        server = self.serve()
        self.good_chat(server, "m", "Hello")
        connection, answer = server.open("/v1/chat/completions", {"model": "m", "stream": True, "max_tokens": 900,
                                                                  "messages": [{"role": "user", "content": "Hello"}]})
        for _ in range(5):
            answer.readline()
        answer.close()
        connection.close()
        begun = time.monotonic()
        self.good_chat(server, "m", "Hello", max_tokens=1)
        self.assertLess(time.monotonic() - begun, 8)  # the rest of it would take longer

    def test_a_model_is_asked_from_the_command_line(self):
        self.good("model", "set", "m", "context=64")  # where its nonsense ends
        self.assertTrue(self.tandem_good("model", "ask", "m", "Hello"))


if __name__ == "__main__":
    tap.main()
