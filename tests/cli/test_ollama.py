"""An Ollama: asked by other programs through the gateway, in their words, and found by itself."""
import json

import greet
import home
import upstream


class Ollama(upstream.Gateway):
    pose = "ollama"
    flags = ("--embeddings",)

    def seen(self, path):
        """The bodies of the requests to a path of it."""
        lines = map(json.loads, (self.room / "upstream.log").read_text().splitlines())
        return [json.loads(line["body"]) for line in lines if line.get("kind") == "request" and line["path"] == path]

    def test_a_chat_is_answered_whole_and_the_context_is_said(self):
        status, _, answer = self.completes("Hello")
        self.assertEqual(status, 200, answer)
        self.assertEqual(answer["choices"][0]["message"]["content"], "This is the answer of a fake model.")
        self.assertEqual(answer["choices"][0]["finish_reason"], "stop")
        self.assertGreater(answer["usage"]["prompt_tokens"], 0)
        asked = self.seen("/api/chat")[-1]
        self.assertEqual((asked["options"]["num_ctx"], asked["truncate"], asked["shift"]), (16384, False, False))

    def test_a_chat_is_streamed(self):
        events = [line[6:] for line in self.ask("/v1/chat/completions", self.chat("Hi", stream=True)).splitlines() if line.startswith("data: ")]
        self.assertEqual(events[-1], "[DONE]")
        text = "".join(json.loads(e)["choices"][0]["delta"].get("content", "") for e in events[:-1])
        self.assertEqual(text, "This is the answer of a fake model.")

    def test_what_does_not_fit_is_refused_and_not_cut(self):
        status, _, answer = self.completes("word " * 20000)
        self.assertEqual(status, 400)
        self.assertIn("exceeds the context length", answer["error"]["message"])

    def test_vectors_are_made(self):
        answer = json.loads(self.ask("/v1/embeddings", {"model": "small", "input": ["a", "b"], "encoding_format": "base64"}))
        self.assertEqual([len(v["embedding"]) for v in answer["data"]], [172, 172])  # 32 numbers of 4 bytes

    def test_one_that_runs_here_is_found_and_said(self):
        (self.room / "spec.md").write_text(greet.SPEC)
        done = self.tandem("run", "spec.md", "--stack", "python", "--yes",
                           env={"TANDEM_HOME": str(self.room / "other"), "TANDEM_NEARBY": "http://127.0.0.1:1/v1 ollama:",
                                "OLLAMA_HOST": self.upstream_url})
        self.assertIn(f"No model was given; ollama:{self.upstream_url}#fake runs here and is used.", done.stdout)


if __name__ == "__main__":
    home.tap.main()
