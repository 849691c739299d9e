"""Tandem's protocol for adapters, version 1: lines of JSON on standard input and output.

serve(model) says hello, answers what is asked, and returns when Tandem hangs up.  A thread reads,
so that a cancelled request and a ping are noticed while an answer is under way.
"""
import json
import os
import queue
import sys
import threading
import traceback

PROTOCOL = 1


class Refused(Exception):
    """What the model cannot or will not do.

    kind: "context" (the prompt does not fit), "invalid" (the request is wrong), "unable" (it does
    not do that at all), "busy" (later), "failed" (asking again may help).
    """

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Line:
    """To Tandem.  What others print (a library's progress bar) goes to standard error instead."""

    def __init__(self):
        self.out = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
        self.lock = threading.Lock()
        os.dup2(2, 1)

    def say(self, kind, /, **members):
        with self.lock:
            self.out.write(json.dumps({**members, "type": kind}) + "\n")
            self.out.flush()


class Requests:
    """What Tandem asks, in its order; a None is the end."""

    def __init__(self, line):
        self.line = line
        self.queue = queue.Queue()
        self.open = set()
        self.cancelled = set()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for text in os.fdopen(0, encoding="utf-8", newline="\n"):
            request = json.loads(text)
            kind, number = request.get("type"), request.get("id")
            if kind == "ping":
                self.line.say("pong", id=number)
            elif kind == "cancel" and number in self.open:
                self.cancelled.add(number)
            elif kind in ("chat", "embed"):
                self.open.add(number)
                self.queue.put(request)
            # Anything else is of a later version, and no request.
        self.queue.put(None)

    def close(self, number):
        self.open.discard(number)
        self.cancelled.discard(number)


def answer_chat(model, request, requests, line):
    tokens = 0
    pieces = model.chat(request)
    for piece in pieces:
        if request["id"] in requests.cancelled:
            pieces.close()
            return {"finish": "cancelled"}
        line.say("text", id=request["id"], text=piece)
        tokens += 1
    figures = {"finish": request.get("finish", "stop"), "completion_tokens": tokens}
    if "prompt_tokens" in request:
        figures["prompt_tokens"] = request["prompt_tokens"]
    return figures


def answer_embed(model, request, requests, line):
    for text in request["texts"]:
        if request["id"] in requests.cancelled:
            return {"finish": "cancelled"}
        line.say("vectors", id=request["id"], vectors=[model.embed(text)])
    return {"prompt_tokens": sum(model.count(text) for text in request["texts"])}


def answer(model, request, requests, line):
    number = request["id"]
    try:
        done = (answer_chat if request["type"] == "chat" else answer_embed)(model, request, requests, line)
        line.say("done", id=number, **done)
    except Refused as e:
        line.say("error", id=number, kind=e.kind, message=str(e))
    except Exception as e:  # pylint: disable=broad-except
        traceback.print_exc()
        line.say("error", id=number, kind="failed", message=f"{type(e).__name__}: {e}"[:1000])
    finally:
        requests.close(number)


def work(model, requests, line):
    while (request := requests.queue.get()) is not None:
        answer(model, request, requests, line)
    requests.queue.put(None)  # for the next thread


def serve(model):
    line = Line()
    line.say("hello", protocol=PROTOCOL, name=model.name, version=model.version, context=model.context, slots=model.slots, can=model.can)
    requests = Requests(line)
    threads = [threading.Thread(target=work, args=(model, requests, line)) for _ in range(model.slots)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.flush()
