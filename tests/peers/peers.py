"""Other people's programs, where tools/peers found them: the base of the tests beside this file."""
import contextlib
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import tap  # noqa: E402, F401
import tiny_model  # noqa: E402

# One thread: with two, each waits for the other in a busy loop while other tests have the cores.
THREADS = ["--threads", "1"]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))


def need(peer, what=None):
    """The path of a peer ("LLAMA_SERVER"); skips the test by its name where there is none."""
    path = os.environ.get(f"TANDEM_PEER_{what or peer}")
    if not path:
        reason = os.environ.get(f"TANDEM_PEER_{peer}_SKIPPED", "`tools/peers` was not asked for it; run `make test-peers`")
        raise unittest.SkipTest(f"{peer.lower().replace('_', '-')}: {reason}")
    return pathlib.Path(path)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class LlamaServer:
    """A llama-server of its own on a Unix socket in `room`; `close` ends it."""

    def __init__(self, room, model, *words, name="server"):
        self.socket = pathlib.Path(room) / f"{name}.sock"
        self.log = pathlib.Path(room) / f"{name}.log"
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                [need("LLAMA_SERVER"), "--model", model, "--host", self.socket, "--no-webui", *THREADS, *map(str, words)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=room, env={**os.environ, "GGML_NO_BACKTRACE": "1"})

    def wait(self, timeout=60):
        """Until it is ready; fails with its last words where it ends instead."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/health")[0] == 200:
                    return self
            time.sleep(0.02)
        raise AssertionError(f"llama-server is not ready (status {self.process.poll()}):\n{self.said()[-3000:]}")

    def said(self):
        return self.log.read_text(errors="replace")

    def open(self, method, path, body=None, timeout=60):
        """The connection and its answer, which is still to be read."""
        connection = UnixConnection(self.socket, timeout)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": "application/json"} if data is not None else {})
        return connection, connection.getresponse()

    def ask(self, method, path, body=None, timeout=60):
        connection, answer = self.open(method, path, body, timeout)
        with contextlib.closing(connection):
            data = answer.read()
        try:
            return answer.status, json.loads(data)
        except ValueError:
            return answer.status, data

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, **body):
        return self.ask("POST", path, body)

    def chat(self, text, **more):
        return self.post("/v1/chat/completions", messages=[{"role": "user", "content": text}], **more)

    def memory(self):
        """Resident bytes: (of its own, of files)."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        kib = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.startswith("Rss")}
        return kib["RssAnon"] << 10, kib["RssFile"] << 10

    def close(self):
        """Returns its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class PeerTest(unittest.TestCase):
    """`self.room` is a private directory.  Models are made once for each file of tests.  What
    needs a peer is skipped where it is missing, each test by itself, so that all are counted."""
    needs = ["LLAMA_SERVER"]
    models = None

    def setUp(self):
        for peer in self.needs:
            need(peer)
        self.room = self.make_room()

    def make_room(self):
        room = tempfile.TemporaryDirectory(prefix="tandem-test-")
        self.addCleanup(room.cleanup)
        return pathlib.Path(room.name)

    @staticmethod
    def tiny(vocabulary="qwen2", **options):
        """The path of a tiny model (tiny_model.DEFAULTS)."""
        if PeerTest.models is None:
            PeerTest.models = tempfile.TemporaryDirectory(prefix="tandem-test-models-")
        words = "-".join([vocabulary, *(f"{k}={v}" for k, v in sorted(options.items()) if k != "template")])
        path = pathlib.Path(PeerTest.models.name) / f"{words}.gguf"
        if not path.exists():
            tiny_model.write(path, need("LLAMA_SERVER", "VOCABULARIES") / f"ggml-vocab-{vocabulary}.gguf", **options)
        return path

    def serve(self, model, *words, **more):
        """A server that is ready, and ended with the test."""
        server = LlamaServer(self.room, model, *words, **more)
        self.addCleanup(server.close)
        return server.wait()

    def said_of(self, model, context=0, slots=1):
        """What our own reader makes of a file."""
        done = subprocess.run([BUILD / "tests" / "peers" / "gguf_says", model, str(context), str(slots)],
                              stdout=subprocess.PIPE, check=True, timeout=60)
        return json.loads(done.stdout)


class OneServer(PeerTest):
    """All tests of the class talk to one server, made by `start`."""
    server = None

    @classmethod
    def start(cls, room):
        raise NotImplementedError

    def setUp(self):
        super().setUp()
        if self.server is None:
            cls = type(self)
            room = tempfile.TemporaryDirectory(prefix="tandem-test-")
            cls.addClassCleanup(room.cleanup)
            server = self.start(room.name)
            cls.addClassCleanup(server.close)
            cls.server = server.wait()
