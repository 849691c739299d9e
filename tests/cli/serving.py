"""tandem serve on a private home, before a fake model."""
import json
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import home
from fake_model import FakeModel

ENTRIES = """\
backends:
- {{id: fake, kind: openai, url: '{url}'}}
models:
- {{id: small, backend: fake, name: developer, slots: {slots}}}
- {{id: other, backend: fake, name: tester}}
routes:
- {{id: developer, primary: small}}
"""
TABLE = [("developer", "hello", "Hello, Ann"), ("developer", "", "What?")]


class Serving(home.Home):
    """`self.url` is its address once `serve` was called, which setUp does unless `serves` is None."""
    serves = ()
    slots = 2

    def setUp(self):
        super().setUp()
        self.server = None
        (self.room / "models.yaml").write_text(self.begin_models())
        self.good("model", "import", "models.yaml")
        if self.serves is not None:
            self.serve(*self.serves)

    def begin_models(self):
        """Begins what the models run on, and returns the entries of the registry."""
        self.fake = FakeModel(TABLE)
        self.addCleanup(self.fake.close)
        return ENTRIES.format(url=self.fake.url, slots=self.slots)

    def serve(self, *words, listen="127.0.0.1:0"):
        self.server = subprocess.Popen([home.TANDEM, "serve", "--listen", listen, *words], cwd=self.room, env=self.environment(),
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.said = self.server.stdout.readline()
        if not self.said:
            self.fail(self.server.communicate()[1])
        self.port = int(re.search(r"http://\S*:(\d+)/v1", self.said).group(1))
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self):
        if self.server is None or self.server.returncode is not None:
            return
        self.server.send_signal(signal.SIGINT)
        out, err = self.server.communicate(timeout=20)
        self.assertEqual((self.server.returncode, err), (0, ""))

    def request(self, path, body=None, key=None, method=None, **headers):
        """(status, headers, text)."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def ask(self, path, body=None, status=200, **more):
        got, _, text = self.request(path, body, **more)
        self.assertEqual(got, status, text)
        return text

    def chat(self, words, model="developer", **more):
        return {"model": model, "messages": [{"role": "user", "content": words}], **more}

    def completes(self, words="say hello", model="developer", key=None, **more):
        """(status, headers, the answer read from JSON)."""
        status, headers, text = self.request("/v1/chat/completions", self.chat(words, model, **more), key=key)
        return status, headers, json.loads(text)

    def figure(self, name):
        """One line of /metrics."""
        for line in self.ask("/metrics").splitlines():
            if line.startswith(f"tandem_{name} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def wait_until(self, true, seconds=10):
        end = time.monotonic() + seconds
        while not true():
            self.assertLess(time.monotonic(), end, "it did not come")
            time.sleep(0.005)

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.addCleanup(connection.close)
        return connection

    def raw(self, text):
        """What comes back for these bytes, until the server closes."""
        with self.connect() as connection:
            connection.sendall(text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode())
            got = b""
            while piece := connection.recv(65536):
                got += piece
        return got.decode()

    def post(self, body, **headers):
        """The bytes of a request."""
        data = json.dumps(body).encode()
        lines = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(data)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + data
