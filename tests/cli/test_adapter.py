"""tandem adapter new, check; adapters taken in, asked, replaced and removed."""
import json
import shutil
import time
import unittest

import home
from serving import Serving
from test_registry import gguf

SCRIPT = """\
#!/usr/bin/env python3
import json, os, sys, time
def say(**line):
    print(json.dumps(line), flush=True)
def hear():
    text = sys.stdin.readline()
    if not text:
        sys.exit(0)
    return json.loads(text)
def hello(**more):
    say(**{"type": "hello", "protocol": 1, "name": "toy", "context": 1000, "can": ["chat"], **more})
def answers(**how):
    while True:
        q = hear()
        if q["type"] == "ping":
            say(type="pong", id=q["id"])
        elif q["type"] == "chat":
            how.get("chat", lambda q: (say(type="text", id=q["id"], text="toy"), say(type="done", id=q["id"])))(q)
"""

# What is wrong with it, and what check says of that.
FAULTS = [
    ("sys.exit('no such tensor')", "it starts and says hello", "no such tensor"),
    ("print('Loading...')\nhello()", "it starts and says hello", "Loading..."),
    ("time.sleep(1000)", "it starts and says hello", "did not say hello within 3 s"),
    ("hello(protocol=2)", "it starts and says hello", "version 2 of the protocol"),
    ("hello(slots=0)", "it starts and says hello", "slots"),
    ("hello()\nwhile True: hear()", "a ping is answered", "did not answer a ping"),
    ("hello()\nanswers(chat=lambda q: say(type='done', id=q['id']))", "a chat is answered", "the answer is empty"),
    ("hello()\nanswers(chat=lambda q: say(type='text', id=q['id'] + 1, text='x'))", "a chat is answered", "which is not under way"),
    ("hello()\nanswers(chat=lambda q: print('{', flush=True))", "a chat is answered", "not of the protocol"),
    ("hello()\nanswers(chat=lambda q: os.abort())", "a chat is answered", "killed by signal 6"),
    ("hello()\nanswers(chat=lambda q: (say(type='text', id=q['id'], text='x ' * 1000), say(type='done', id=q['id'])))",
     "max_tokens is kept", "two tokens were allowed"),
    ("hello()\nanswers()", "a prompt that is too long is refused", "2000 words were answered"),
    ("hello(can=['chat', 'schema'])\nanswers()", "an answer keeps to its schema", "it answered toy"),
    ("import signal\nhello()\ntry:\n    answers()\nexcept SystemExit:\n    time.sleep(1000)", "it ends when its input does",
     "did not end when its input did"),
]


class Adapter(home.Home):
    def script(self, name, body):
        folder = self.room / name
        folder.mkdir()
        (folder / "adapter").write_text(SCRIPT + body + "\n")
        (folder / "adapter").chmod(0o755)
        return folder

    def new(self, *words):
        out = self.good("adapter", "new", "my-backend", *words)
        self.assertIn("tandem adapter check my-backend", out)
        return self.room / "my-backend"

    def check_template(self, *words):
        self.new(*words)
        out = self.good("adapter", "check", "./my-backend")
        self.assertIn("It keeps to the protocol.\n", out)
        self.assertIn("right    it starts and says hello: my-backend, a context of 4096 tokens, 1 at once; can chat, embed", out)
        for said in ("a request can be cancelled", "max_tokens is kept", "texts become vectors", "it ends when its input does"):
            self.assertRegex(out, f"right +{said}")
        self.assertNotRegex(out, "(?m)^(wrong|note)")

    def test_a_new_one_in_python_keeps_to_the_protocol(self):
        self.check_template()

    @unittest.skipUnless(shutil.which("cc") and shutil.which("make"), "no C compiler here")
    def test_a_new_one_in_c_keeps_to_the_protocol(self):
        self.check_template("--language", "c")

    def test_what_is_there_is_not_overwritten_and_names_are_checked(self):
        self.new()
        self.refused(1, "my-backend is there already, and not empty", "adapter", "new", "my-backend")
        self.refused(2, "cannot be an adapter's name", "adapter", "new", "my backend\"")
        self.refused(2, "basic", "adapter", "new", "other", "--language", "basic")

    def test_each_fault_is_named(self):
        for n, (body, what, found) in enumerate(FAULTS):
            with self.subTest(body=body):
                folder = self.script(f"bad{n}", body)
                done = self.tandem("adapter", "check", folder, "--json", "--timeout", "3")
                self.assertEqual(done.returncode, 1, done.stderr)
                wrong = {row["check"]: row for row in json.loads(done.stdout) if row["verdict"] == "wrong"}
                self.assertIn(what, wrong)
                self.assertIn(found, wrong[what]["found"])
                self.assertTrue(wrong[what]["remedy"])

    def test_a_program_that_cannot_be_run_is_named_with_the_remedy(self):
        folder = self.new()
        (folder / "adapter").chmod(0o644)
        done = self.tandem("adapter", "check", folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("chmod +x", done.stdout)
        (folder / "adapter").unlink()
        self.assertIn("no program", self.tandem("adapter", "check", folder).stdout)
        self.assertIn("there is no folder", self.tandem("adapter", "check", "nowhere").stdout)
        self.refused(1, "there is no file nowhere", "adapter", "check", folder, "--file", "nowhere")

    def test_one_that_was_taken_in_answers_without_its_folder(self):
        folder = self.new()
        out = self.good("model", "import", "my-backend/")
        self.assertIn("my-backend is taken in: it runs on the adapter my-backend (sha256:", out)
        self.assertIn("nothing has changed", self.good("model", "import", folder))
        shutil.rmtree(folder)
        self.assertEqual(self.good("model", "ask", "my-backend", "Hello", "there"), "I am my-backend, and you said: Hello there\n")
        self.assertRegex(self.good("model", "list"), r"my-backend +1 +my-backend ")
        self.good("model", "rm", "my-backend")
        self.assertEqual(list((self.home / "models").iterdir()), [])
        self.assertNotIn("adapter", self.good("model", "export"))

    def test_one_is_taken_in_together_with_a_file_of_any_form(self):
        (self.room / "weights.bin").write_text("tensors")
        folder = self.script("mine", "hello()\nanswers(chat=lambda q: (say(type='text', id=q['id'], text=open(os.environ['TANDEM_MODEL']).read()),"
                                     " say(type='done', id=q['id'])))")
        self.assertIn("with its file", self.good("model", "import", "weights.bin", "--adapter", folder, "--id", "mine"))
        shutil.rmtree(folder)
        (self.room / "weights.bin").unlink()
        self.assertEqual(self.good("model", "ask", "mine", "Hello"), "tensors\n")
        self.good("model", "rm", "mine")
        self.assertEqual(list((self.home / "models").iterdir()), [])

    def test_a_file_that_says_something_of_itself_is_listened_to(self):
        (self.room / "m.gguf").write_bytes(gguf())
        folder = self.script("mine", "hello()\nanswers()")
        self.good("model", "import", "m.gguf", "--adapter", folder)
        (model,) = json.loads(self.good("model", "list", "--json"))["models"]
        self.assertEqual((model["architecture"], model["trained_context"], model["quantisation"]), ("llama", 512, "F32"))
        (self.room / "m.gguf").write_bytes(b"of another form")
        self.good("model", "import", "m.gguf", "--adapter", folder)
        (model,) = json.loads(self.good("model", "list", "--json"))["models"]
        self.assertEqual((model["version"], model.get("architecture", ""), model["trained_context"]), (2, "", 0))

    def test_a_changed_folder_is_the_next_version(self):
        folder = self.script("mine", "hello()\nanswers()")
        self.good("model", "import", folder)
        program = folder / "adapter"
        program.write_text(program.read_text().replace('text="toy"', 'text="new"'))
        self.good("model", "import", folder)
        self.assertRegex(self.good("model", "list"), r"mine +2 +mine ")
        self.assertEqual(self.good("model", "ask", "mine", "Hello"), "new\n")
        self.assertEqual(len(list((self.home / "models").iterdir())), 1)

    def test_entries_name_a_folder_beside_them(self):
        entries = self.room / "entries"
        entries.mkdir()
        self.script("entries/mine", "hello(name=' '.join(sys.argv[1:]) + os.environ['WORD'])\nanswers()")
        (entries / "models.yaml").write_text("backends:\n- {id: mine, kind: adapter, program: mine, environment: [WORD=good]}\n"
                                             "models:\n- {id: toy, backend: mine, arguments: [--fast], memory_mib: 300}\n"
                                             "routes:\n- {id: developer, primary: toy}\n")
        self.good("model", "import", "entries/models.yaml")
        shutil.rmtree(entries)
        self.assertEqual(self.good("model", "ask", "developer", "Hello"), "toy\n")
        self.assertRegex(self.good("model", "export"), "program: \"?sha256:[0-9a-f]{64}")
        (self.room / "bad.yaml").write_text("backends:\n- {id: other, kind: adapter, program: nowhere}\n")
        self.refused(1, f"the backend other: there is no folder {self.room}/nowhere", "model", "import", "bad.yaml")

    def test_without_a_sandbox_none_is_run_unless_that_is_said(self):
        on = self.without_bubblewrap()
        folder = self.script("mine", "hello()\nanswers(chat=lambda q: (say(type='text', id=q['id'], text=os.environ.get('TANDEM_MODEL', 'toy')),"
                                     " say(type='done', id=q['id'])))")
        self.good("model", "import", folder)
        self.refused(1, "bubblewrap is not installed", "adapter", "check", folder, on=on)
        self.refused(1, "adapters run in the sandbox only: bubblewrap is not installed", "model", "ask", "mine", "Hello", on=on)
        done = self.tandem("model", "ask", "mine", "Hello", "--set", "sandbox=none", on=on)
        self.assertEqual((done.returncode, done.stdout), (0, "toy\n"), done.stderr)
        self.assertIn("NO SANDBOX", done.stderr)

    def test_what_crashes_is_quoted_to_the_person(self):
        self.good("model", "import", self.script("mine", "sys.exit('no such tensor')"))
        self.refused(1, "its last words: no such tensor", "model", "ask", "mine", "Hello")


class Served(Serving):
    serves = ()

    def begin_models(self):
        self.good("adapter", "new", "mine")
        return "backends:\n- {id: mine, kind: adapter, program: mine}\nmodels:\n- {id: toy, backend: mine}\n"

    def chat(self, **more):
        return self.request("/v1/chat/completions", {"model": "toy", "messages": [{"role": "user", "content": "hi"}], **more})

    def test_other_programs_are_answered_in_one_piece_and_as_a_stream(self):
        status, _, text = self.chat()
        answer = json.loads(text)
        self.assertEqual((status, answer["choices"][0]["message"]["content"]), (200, "I am mine, and you said: hi"))
        self.assertEqual(answer["model"], "toy")
        self.assertEqual(answer["usage"]["completion_tokens"], 7)
        status, headers, text = self.chat(stream=True)
        self.assertEqual(status, 200)
        pieces = [json.loads(line[6:]) for line in text.split("\n\n") if line.startswith("data: {")]
        self.assertEqual("".join(p["choices"][0]["delta"].get("content", "") for p in pieces), "I am mine, and you said: hi")
        self.assertTrue(text.endswith("data: [DONE]\n\n"))

    def test_what_it_cannot_do_is_said_in_their_form(self):
        status, _, text = self.chat(tools=[{"type": "function"}])
        self.assertEqual(status, 400)
        self.assertIn("cannot call tools", json.loads(text)["error"]["message"])
        status, _, text = self.chat(messages=[{"role": "user", "content": "w " * 5000}])
        self.assertEqual(status, 400)
        self.assertIn("does not fit", json.loads(text)["error"]["message"])

    def test_vectors(self):
        status, _, text = self.request("/v1/embeddings", {"model": "toy", "input": ["one", "two"]})
        self.assertEqual((status, len(json.loads(text)["data"])), (200, 2))

    def test_a_new_version_is_taken_in_while_it_serves(self):
        self.assertEqual(self.chat()[0], 200)
        program = self.room / "mine" / "adapter"
        program.write_text(program.read_text().replace("I am", "Now I am").replace("import os\n", "import os\nimport time\ntime.sleep(3)\n"))
        self.good("model", "import", "mine", "--id", "toy")
        self.assertRegex(self.good("model", "list"), r"toy +2 +\S+ +ready v1 +4096 ")  # which answers until the new one can
        end = time.monotonic() + 30
        while time.monotonic() < end:
            status, _, text = self.chat()
            self.assertEqual(status, 200)
            if "Now I am" in text:
                return
            time.sleep(0.02)
        self.fail(text)


if __name__ == "__main__":
    home.tap.main()
