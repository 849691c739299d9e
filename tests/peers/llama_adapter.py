#!/usr/bin/env python3
"""An adapter that runs the llama-server in its folder, on a socket that only the sandbox has."""
import http.client
import json
import os
import socket
import subprocess
import sys
import time

from tandem_adapter import Refused, serve

SOCKET = "/tmp/llama.sock"


class Connection(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("localhost")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)


class Model:
    name = "llama"
    version = "1"
    context = int(os.environ.get("TANDEM_CONTEXT", "2048"))
    slots = 1
    can = ["chat"]

    def __init__(self):
        self.server = subprocess.Popen(["./llama-server", "--model", os.environ["TANDEM_MODEL"], "--host", SOCKET, "--ctx-size",
                                        str(self.context), "--parallel", "1", "--no-webui", "--offline", "--threads", "1", "--no-warmup"],
                                       stdin=subprocess.DEVNULL, stdout=sys.stderr)
        while not self.loaded():
            if self.server.poll() is not None:
                sys.exit("llama-server ended")
            time.sleep(0.1)

    def loaded(self):
        try:
            c = Connection()
            c.request("GET", "/health")
            return c.getresponse().status == 200
        except OSError:
            return False

    def chat(self, request):
        body = {"messages": request["messages"], "stream": True, "stream_options": {"include_usage": True}, "cache_prompt": True,
                **request.get("sampling", {})}
        for name in ("max_tokens", "temperature", "seed", "stop"):
            if name in request:
                body[name] = request[name]
        c = Connection()
        c.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = c.getresponse()
        if answer.status != 200:
            words = answer.read().decode()
            raise Refused("context" if "context" in words else "failed", words[:500])
        try:
            for line in answer:
                if not line.startswith(b"data: {"):
                    continue
                chunk = json.loads(line[6:])
                request["prompt_tokens"] = (chunk.get("usage") or {}).get("prompt_tokens", request.get("prompt_tokens", 0))
                for choice in chunk["choices"]:
                    if choice.get("finish_reason"):
                        request["finish"] = "length" if choice["finish_reason"] == "length" else "stop"
                    if choice["delta"].get("content"):
                        yield choice["delta"]["content"]
        finally:
            c.close()


if __name__ == "__main__":
    serve(Model())
