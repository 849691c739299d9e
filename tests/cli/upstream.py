"""The fake model server in C (tests/tools/upstream.c) as a process, before the gateway."""
import json
import os
import pathlib
import re
import subprocess

import home
import serving

PROGRAM = os.environ.get("FAKE_UPSTREAM", str(pathlib.Path(home.TANDEM).resolve().parents[1] / "tests" / "fake-upstream"))
ENTRIES = """\
backends:
- {{id: fake, kind: {kind}, url: '{url}'}}
models:
- {{id: small, backend: fake, name: fake, slots: {slots}}}
routes:
- {{id: developer, primary: small}}
"""


class Gateway(serving.Serving):
    """`script`: what the server does (tests/tools/upstream_script.c); `write_script` changes it."""
    script = {}
    pose = "vllm"
    flags = ()
    slots = 1

    def begin_models(self):
        self.write_script(self.script)
        self.upstream = subprocess.Popen([PROGRAM, "--as", self.pose, "--port", "0", "--script", self.room / "script.json",
                                          "--log", self.room / "upstream.log", "--alias", "fake", *self.flags],
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.end_upstream)
        self.upstream_url = re.search(r"http://\S+", self.upstream.stdout.readline()).group()
        openai = self.pose != "ollama"
        return ENTRIES.format(kind="openai" if openai else "ollama", url=self.upstream_url + ("/v1" if openai else ""), slots=self.slots)

    def end_upstream(self):
        self.upstream.kill()
        self.upstream.communicate()

    def write_script(self, script):
        (self.room / "new.json").write_text(json.dumps(script))
        (self.room / "new.json").rename(self.room / "script.json")
