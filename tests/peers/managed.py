"""`tandem serve` with a real llama-server under it: the base of tests that look at both from outside."""
import contextlib
import http.client
import json
import pathlib
import re
import signal
import subprocess
import sys
import time

import peers

sys.path.insert(0, str(peers.ROOT / "tests" / "cli"))
import home  # noqa: E402

# What the tests' machine is not to be kept busy with.
QUIET = [*peers.THREADS, "--no-warmup"]


def words(about, count):
    return " ".join(f"{about}{i * 7919 % 9973}" for i in range(count))


class Server:
    """A `tandem serve` on a home."""

    def __init__(self, test, *settings):
        more = [word for setting in settings for word in ("--set", setting)]
        self.process = subprocess.Popen([home.TANDEM, "serve", "--listen", "127.0.0.1:0", *more], cwd=test.room, env=test.environment(),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = self.process.stdout.readline()
        found = re.search(r"http://(127\.0\.0\.1:\d+)", said)
        assert found, said + self.process.stderr.read()
        self.address = found.group(1)

    def children(self):
        """{alias: process id} of its llama-servers."""
        found = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if stat.read_text().rsplit(")", 1)[1].split()[1] != str(self.process.pid):
                    continue
                line = (stat.parent / "cmdline").read_bytes().decode().split("\0")
                if "--alias" in line:
                    found[line[line.index("--alias") + 1]] = int(stat.parent.name)
        return found

    def child(self, model, timeout=30):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if model in self.children():
                return self.children()[model]
            time.sleep(0.005)
        raise AssertionError(f"no server of {model} was started")

    def open(self, path, body=None, timeout=120):
        """The connection and its answer, which is still to be read."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body))
        return connection, connection.getresponse()

    def ask(self, path, body=None, timeout=120):
        """Status and JSON (or text)."""
        connection, answer = self.open(path, body, timeout)
        with contextlib.closing(connection):
            data = answer.read().decode()
        with contextlib.suppress(ValueError):
            return answer.status, json.loads(data)
        return answer.status, data

    def chat(self, model, messages, **more):
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        return self.ask("/v1/chat/completions", {"model": model, "messages": messages, **{"max_tokens": 4, "temperature": 0, **more}})

    def stop(self):
        """Returns what it said on standard error."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=30)[1]


class Managed(home.Home):
    """`self.home` is a home whose models run on the real llama-server."""
    needs = ["LLAMA_SERVER"]

    def setUp(self):
        for peer in self.needs:
            peers.need(peer)
        super().setUp()
        self.program(peers.need("LLAMA_SERVER"))

    def program(self, path):
        """What is started as llama-server from now on."""
        self.entries({"backends": [{"id": "llama-server", "kind": "llama-server", "program": str(path), "environment": []}]})

    def limited(self, mib):
        """The real program with so much address space."""
        path = self.room / "limited-llama-server"
        path.write_text(f"#!/bin/sh\nulimit -v {mib << 10}\nexec '{peers.need('LLAMA_SERVER')}' \"$@\"\n")
        path.chmod(0o755)
        return path

    def entries(self, registry):
        (self.room / "entries.yaml").write_text(json.dumps(registry))
        self.good("model", "import", "entries.yaml")

    def model(self, name, file=None, *members):
        """Takes a model in, and sets members of its entry."""
        self.tandem_good("model", "import", file or peers.PeerTest.tiny(), "--id", name)
        if name not in self.known:
            self.known.add(name)
            self.good("model", "set", name, f"arguments={json.dumps(QUIET)}", *members)

    known = ()

    def run(self, result=None):
        self.known = set()
        return super().run(result)

    def tandem_good(self, *words_):
        done = self.tandem(*words_)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def serve(self, *settings):
        server = Server(self, *settings)
        self.addCleanup(self.end, server)
        return server

    @staticmethod
    def end(server):
        if server.process.returncode is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.stop()
        server.process.kill()
        for pipe in (server.process.stdout, server.process.stderr):
            pipe.close()

    def good_chat(self, server, *words_, **more):
        status, answer = server.chat(*words_, **more)
        self.assertEqual(status, 200, answer)
        return answer

    def state(self, name):
        """Of a model, as `tandem model list` has it."""
        rows = [line.split() for line in self.good("model", "list").splitlines()]
        return next(row[3] for row in rows if row and row[0] == name)

    def wait_until(self, true, timeout=30, what="it did not happen"):
        end = time.monotonic() + timeout
        while not true():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.01)
