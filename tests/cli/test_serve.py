"""tandem serve: other programs and the home's own commands, while it runs."""
import json
import re
import signal
import subprocess
import urllib.error
import urllib.request

import home
from fake_model import FakeModel

ENTRIES = """\
backends:
- {{id: fake, kind: openai, url: '{url}'}}
models:
- {{id: small, backend: fake, name: developer, slots: 2}}
routes:
- {{id: developer, primary: small}}
"""


class Serving(home.Home):
    def setUp(self):
        super().setUp()
        self.fake = FakeModel([("developer", "hello", "Hello, Ann"), ("developer", "", "What?")])
        self.addCleanup(self.fake.close)
        (self.room / "models.yaml").write_text(ENTRIES.format(url=self.fake.url))
        self.good("model", "import", "models.yaml")
        self.server = subprocess.Popen([home.TANDEM, "serve", "--listen", "127.0.0.1:0"], cwd=self.room, env=self.environment(),
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.said = self.server.stdout.readline()
        self.url = re.search(r"http://127\.0\.0\.1:\d+", self.said).group()

    def stop(self):
        if self.server.returncode is not None:
            return
        self.server.send_signal(signal.SIGINT)
        out, err = self.server.communicate(timeout=20)
        self.assertEqual((self.server.returncode, err), (0, ""))

    def ask(self, path, body=None, status=200):
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data), timeout=20) as answer:
                self.assertEqual(answer.status, status)
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            self.assertEqual(error.code, status, error.read())
            return error.read().decode()

    def chat(self, words, model="developer", **more):
        return {"model": model, "messages": [{"role": "user", "content": words}], **more}

    def test_a_program_that_wants_no_stream_gets_one_answer(self):
        answer = json.loads(self.ask("/v1/chat/completions", self.chat("say hello")))
        self.assertEqual(answer["object"], "chat.completion")
        self.assertEqual(answer["choices"][0]["message"]["content"], "Hello, Ann")
        self.assertEqual(answer["choices"][0]["finish_reason"], "stop")

    def test_a_stream_is_passed_on_and_ends(self):
        events = [line[6:] for line in self.ask("/v1/chat/completions", self.chat("say hello", "small", stream=True)).split("\n")
                  if line.startswith("data: ")]
        self.assertEqual(events[-1], "[DONE]")
        chunks = [json.loads(event) for event in events[:-1]]
        self.assertEqual("".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]), "Hello, Ann")

    def test_wrong_requests_are_told_in_the_form_that_programs_know(self):
        for path, body, status, words in (("/v1/chat/completions", b"{", 400, "not JSON"),
                                          ("/v1/chat/completions", {"messages": []}, 400, 'the member \\"model\\"'),
                                          ("/v1/chat/completions", self.chat("x", "huge"), 404, "there is no model"),
                                          ("/v1/nothing", None, 404, ""),
                                          ("/tandem/models", None, 403, "on its socket")):
            request = urllib.request.Request(self.url + path, body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode())
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=20)
            text = caught.exception.read().decode()
            self.assertEqual(caught.exception.code, status, text)
            self.assertIn("message", json.loads(text)["error"])
            self.assertIn(words, text)

    def test_models_and_roles_are_listed(self):
        listed = json.loads(self.ask("/v1/models"))["data"]
        self.assertEqual([m["id"] for m in listed], ["small", "developer"])
        self.assertEqual(json.loads(self.ask("/v1/models/developer"))["root"], "small")

    def test_health_and_figures(self):
        self.assertEqual((self.ask("/healthz"), self.ask("/readyz")), ("ok\n", "ready\n"))
        self.ask("/v1/chat/completions", self.chat("say hello"))
        figures = self.ask("/metrics")
        self.assertIn('tandem_calls_total{model="small"} 1\n', figures)
        self.assertIn('tandem_model_state{model="small",replica="0",state="ready"} 1\n', figures)
        self.assertRegex(figures, r'tandem_call_seconds_bucket\{model="small",le="\+Inf"\} 1\n')

    def test_commands_work_while_it_runs_and_their_changes_take_effect(self):
        self.assertRegex(self.good("model", "route", "tester", "small"), r"tester +small")
        self.assertEqual(self.good("model", "ask", "tester", "say", "hello"), "Hello, Ann\n")
        self.assertRegex(self.good("model", "list"), r"small +1 +fake +ready ")
        self.good("model", "set", "small", "slots=3")
        self.refused(1, "the route developer uses small", "model", "rm", "small")
        self.refused(1, 'primary is "huge", and there is no such model', "model", "route", "pm", "huge")
        self.assertEqual(self.good("model", "ask", "small", "say hello"), "Hello, Ann\n")
        self.assertIn("leaves when", self.good("model", "unload", "small"))
        self.assertIn("There is no project", self.good("status"))

    def test_calls_are_in_the_log_behind_their_answers(self):
        self.ask("/v1/chat/completions", self.chat("say hello"))
        self.stop()
        self.assertIn("model.asked", self.good("log", "--all"))

    def test_a_second_server_on_the_home_is_refused(self):
        self.refused(1, "locked", "serve", "--listen", "none")


if __name__ == "__main__":
    home.tap.main()
