"""A fake model server for the black-box tests: answers from a table, over the real protocol.

A model that gives the same answers every time cannot be had; what is fake here is only what
it says.  Start the program with `fake.words()`: every role then has a model of its own name,
so that a rule can say who is asked.
"""
import http.server
import json
import threading
import time

ROLES = ("pm", "architect", "developer", "tester")


def files(**texts):
    """An answer with whole files; "__" in a name stands for "/", "_py" at the end for ".py"."""
    named = {name.replace("__", "/").removesuffix("_py") + ".py": text for name, text in texts.items()}
    return "\n".join(f"### {path}\n```python\n{text}```\n" for path, text in named.items())


class Raw:
    """What a server sends instead of an answer; `cut`: the connection ends before the body does;
    `pauses`: seconds before each of as many parts of the body."""

    def __init__(self, body, kind="text/event-stream", status=200, cut=False, pauses=(0,)):
        self.body, self.kind, self.status, self.cut, self.pauses = body, kind, status, cut, pauses

    def parts(self):
        size = -(-len(self.body) // len(self.pauses))
        for n, pause in enumerate(self.pauses):
            time.sleep(pause)
            yield self.body[n * size:(n + 1) * size]


class FakeModel:
    """`table`: rows (role, words that the last request holds, answer or list of answers).

    The first row that fits answers; of a list the first answer first, the last for good.  An
    answer that is not a string (or Raw) is sent as JSON; a function is called with the messages.
    """

    def __init__(self, table):
        self.table = [(role, words if isinstance(words, tuple) else (words,),
                       list(answer) if isinstance(answer, list) else [answer]) for role, words, answer in table]
        self.asked = []  # (role, last request, answer)
        self.requests = []  # (role, all of its messages)
        self.bodies = []  # whole requests for answers, in the order in which they came
        self.embedded = []  # texts of each request for vectors
        self.keys = set()  # what came as Authorization
        self.lock = threading.Lock()
        self.loading = threading.Event()  # while set it only says that it loads a model
        self.waited_for = threading.Event()  # somebody was told so
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def send(self, raw):
                cut = raw.cut
                self.send_response(raw.status)
                self.send_header("Content-Type", raw.kind)
                self.send_header("Content-Length", str(len(raw.body) + cut))
                self.end_headers()
                try:
                    for part in raw.parts():
                        self.wfile.write(part)
                        self.wfile.flush()
                except OSError:
                    cut = True  # it has heard enough
                self.close_connection = self.close_connection or cut

            def do_GET(self):
                if fake.loading.is_set():
                    self.send(Raw(b'{"error": {"message": "Loading model"}}', "application/json", 503))
                    fake.waited_for.set()
                    return
                models = [{"id": role, "object": "model"} for role in ROLES]
                self.send(Raw(json.dumps({"object": "list", "data": models}).encode(), "application/json"))

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.endswith("/embeddings"):
                    self.send(Raw(json.dumps(fake.vectors(request)).encode(), "application/json"))
                    return
                fake.keys.add(self.headers["Authorization"])
                fake.bodies.append(request)
                text = fake.answer(request["model"], request["messages"])
                self.send(text if isinstance(text, Raw) else Raw(stream(request["model"], text)))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that hangs up is none of ours
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def words(self):
        return [word for role in ROLES for word in ("--model", f"{role}={self.url}#{role}")]

    def answer(self, role, messages):
        last = messages[-1]["content"]
        with self.lock:
            for who, words, answers in self.table:
                if who == role and all(word in last for word in words):
                    answer = answers.pop(0) if len(answers) > 1 else answers[0]
                    break
            else:
                answer = "The fake model has no answer to this."
        if callable(answer):  # which may take its time, while others are answered
            answer = answer(messages)
        if not isinstance(answer, (str, Raw)):
            answer = json.dumps(answer)
        with self.lock:
            self.asked.append((role, last, answer))
            self.requests.append((role, messages))
        return answer

    def vectors(self, request):
        """How often each letter occurs in a text."""
        texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
        with self.lock:
            self.embedded.append(texts)
        data = [{"object": "embedding", "index": i, "embedding": [str(text).count(chr(ord("a") + n)) for n in range(26)]}
                for i, text in enumerate(texts)]
        return {"object": "list", "model": request["model"], "data": data, "usage": {"prompt_tokens": len(texts), "total_tokens": len(texts)}}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def stream(model, text):
    """The answer as server-sent events, in pieces."""
    def chunk(delta, finish=None, **more):
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}] if delta is not None else []
        return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices, **more}

    chunks = [chunk({"role": "assistant", "content": ""})]
    chunks += [chunk({"content": text[at:at + 200]}) for at in range(0, len(text), 200)]
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    chunks += [chunk({}, "stop"), chunk(None, usage=usage)]
    return "".join(f"data: {json.dumps(c)}\n\n" for c in chunks).encode() + b"data: [DONE]\n\n"
