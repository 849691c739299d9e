"""tandem serve: other programs and the home's own commands, while it runs."""
import json
import urllib.error
import urllib.request

import home
import serving


class Serve(serving.Serving):
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

    def begin_models(self):
        return super().begin_models().replace("routes:", "- {id: chatty, backend: fake, capabilities: [chat]}\nroutes:")

    def test_wrong_requests_are_told_in_the_form_that_programs_know(self):
        for path, body, status, words in (("/v1/chat/completions", b"{", 400, "not JSON"),
                                          ("/v1/chat/completions", {"messages": []}, 400, 'the member \\"model\\"'),
                                          ("/v1/chat/completions", self.chat("x", "huge"), 404, "there is no model"),
                                          ("/v1/embeddings", {"model": "chatty", "input": "x"}, 400, "chatty makes no vectors"),
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
        self.assertEqual([m["id"] for m in listed], ["chatty", "other", "small", "developer"])
        self.assertEqual(json.loads(self.ask("/v1/models/developer"))["root"], "small")

    def test_health_and_figures(self):
        self.assertEqual((self.ask("/healthz"), self.ask("/readyz")), ("ok\n", "ready\n"))
        self.ask("/v1/chat/completions", self.chat("say hello"))
        self.wait_until(lambda: self.figure('calls_total{model="small",caller="program"}'))  # behind the answer
        figures = self.ask("/metrics")
        self.assertIn('tandem_calls_total{model="small",caller="program"} 1\n', figures)
        self.assertIn('tandem_model_state{model="small",state="ready"} 1\n', figures)
        self.assertRegex(figures, r'tandem_call_seconds_bucket\{model="small",caller="program",le="\+Inf"\} 1\n')

    def test_commands_work_while_it_runs_and_their_changes_take_effect(self):
        self.assertRegex(self.good("model", "route", "tester", "small"), r"tester +small")
        self.assertEqual(self.good("model", "ask", "tester", "say", "hello"), "Hello, Ann\n")
        self.assertRegex(self.good("model", "list"), r"small +1 +fake +ready +8192 ")
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
        self.assertRegex(self.good("model", "log"), r" developer +small +gateway /v1/chat/completions ")

    def test_a_second_server_on_the_home_is_refused(self):
        self.refused(1, "a server runs on", "serve", "--listen", "none")


class Many(serving.Serving):
    def begin_models(self):
        entries = super().begin_models()
        return entries.replace("routes:", "".join(f"- {{id: m{n}, backend: fake, name: developer}}\n" for n in range(100)) + "routes:")

    def test_a_hundred_models_are_no_obstacle(self):
        self.assertEqual(json.loads(self.ask("/v1/chat/completions", self.chat("say hello", "m77")))["choices"][0]["message"]["content"],
                         "Hello, Ann")


if __name__ == "__main__":
    home.tap.main()
