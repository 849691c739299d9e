"""An unmodified OpenAI client library against the gateway: npm's package openai, kept in a cache folder.

Where npm cannot be had, or cannot fetch it, the test is skipped by name.  TANDEM_OPENAI_CACHE names
another folder.
"""
import json
import os
import pathlib
import shutil
import subprocess

import home
import upstream

PACKAGE = "openai@6.49.0"  # the last that Node.js 20 runs; it depends on nothing
FETCH_S = 150


def cache():
    named = os.environ.get("TANDEM_OPENAI_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(named or pathlib.Path(base) / "tandem" / "npm") / PACKAGE


def library():
    """(the package's folder, None), or (None, why there is none)."""
    folder = cache()
    there = folder / "node_modules" / "openai"
    if (folder / "whole").exists():
        return there, None
    if not shutil.which("npm") or not shutil.which("node"):
        return None, "there is no npm here (Debian: apt-get install npm)"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(["npm", "install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", "--no-save",
                               "--fetch-retries=1", PACKAGE], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=FETCH_S)
    except subprocess.TimeoutExpired:
        return None, f"npm did not bring {PACKAGE} within {FETCH_S} s"
    if done.returncode:
        return None, f"npm brought no {PACKAGE}: {' '.join(done.stdout.split()[-20:])}"
    (folder / "whole").touch()
    return there, None


def event(delta, finish=None, **more):
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}] if delta is not None else []
    return "data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "fake", "choices": choices, **more})


CALL = {"role": "assistant", "tool_calls": [{"index": 0, "id": "call_1", "type": "function",
                                             "function": {"name": "weather", "arguments": '{"city"'}}]}
REST = {"tool_calls": [{"index": 0, "function": {"arguments": ': "Paris"}'}}]}
TOOL_CALL = "\n\n".join([event(CALL), event(REST), event({}, "tool_calls"), "data: [DONE]"]) + "\n\n"


class Library(upstream.Gateway):
    serves = None
    slots = 4
    flags = ("--embeddings",)
    script = {"text": "Hello, Ann", "rules": [
        {"has": "Which weather?", "status": 200, "type": "text/event-stream", "body": TOOL_CALL},
        {"has": "slowly", "text": "one two three four five six seven " * 50, "tokens_per_s": 10}]}

    def begin_models(self):
        entries = super().begin_models()
        return entries.replace("routes:", "- {id: vectors, backend: fake, name: fake, capabilities: [embed]}\nroutes:")

    def key(self, *words):
        return self.good("key", "add", *words).strip()

    def test_an_unmodified_client_library_works(self):
        folder, missing = library()
        if missing:
            self.skipTest(f"the client library {PACKAGE}: {missing}")
        key = self.key("ann", "--models", "developer,vectors")
        keys = {"OTHER_KEY": self.key("other"), "FEW_KEY": self.key("few", "--per-minute", "2"),
                "RETRY_KEY": self.key("retry", "--per-minute", "60")}
        self.serve()
        for _ in range(60):  # the minute's requests of this one are made but for one
            self.request("/v1/models", key=keys["RETRY_KEY"])
        done = subprocess.run(["node", home.ROOT / "tests" / "cli" / "openai_client.mjs", folder, self.url, key],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100, env=self.environment(**keys))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        got = {line["what"]: line for line in map(json.loads, done.stdout.splitlines())}
        self.assertEqual((got["whole"]["text"], got["whole"]["finish"], got["whole"]["object"]), ("Hello, Ann", "stop", "chat.completion"))
        self.assertGreater(got["whole"]["usage"]["completion_tokens"], 0)
        self.assertEqual((got["stream"]["text"], got["stream"]["finish"]), ("Hello, Ann", "stop"))
        self.assertEqual(got["stream"]["usage"], got["whole"]["usage"])
        self.assertEqual(got["helper"]["text"], "Hello, Ann")
        self.assertEqual((got["models"]["models"], got["models"]["one"]), (["vectors", "developer"], "developer"))
        self.assertEqual((got["embeddings"]["count"], got["embeddings"]["index"]), (2, 1))
        self.assertEqual(got["completion"]["text"], "Hello, Ann")
        self.assertIn("name", got["schema"]["value"])
        self.assertEqual(got["tools"]["call"], {"id": "call_1", "type": "function",
                                                "function": {"name": "weather", "arguments": '{"city": "Paris"}'}})
        self.assertEqual(got["tools"]["finish"], "tool_calls")
        errors = {what: (line["error"], line["status"], line["code"]) for what, line in got.items() if "error" in line}
        self.assertEqual(errors["no key"], ("AuthenticationError", 401, "invalid_api_key"))
        self.assertEqual(errors["not allowed"], ("PermissionDeniedError", 403, "refused"))
        self.assertEqual(errors["no such model"][:2], ("NotFoundError", 404))
        self.assertEqual(errors["bad request"][:2], ("BadRequestError", 400))
        self.assertEqual(errors["too many"], ("RateLimitError", 429, "rate_limit_exceeded"))
        self.assertEqual(got["retry"]["count"], 6)
        self.assertTrue(got["left"]["aborted"])
        self.wait_until(lambda: 'tandem_model_slots{model="small",is="busy"} 0\n' in self.ask("/metrics", key=key))


if __name__ == "__main__":
    home.tap.main()
