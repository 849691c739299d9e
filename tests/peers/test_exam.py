"""The exam of a model of the real llama-server, and vectors of one, here and under `tandem serve`.  Tiny
models with random weights know nothing, so what counts is that all is measured."""
import json

import managed
import peers
import tap


class Exam(managed.Managed):
    def card(self):
        return json.loads(self.good("model", "exam", "m", "--quick", "--minutes", "2", "--json", timeout=300))

    def check(self, card):
        self.assertEqual((card["context"], len(card["speeds"]), card["files"], card["blocks"]), (1024, 2, 0, 0))
        self.assertGreater(min(card["load_ms"], card["memory_mib"], card["prompt_tokens"], card["completion_tokens"]), 0)
        self.assertGreater(min(s[what] for s in card["speeds"] for what in ("prompt", "generation")), 0)
        self.assertGreater(card["schema"], -1)
        longest = max((n["tokens"] for n in card["needles"]), default=0)
        self.assertLess(longest, 1024)

    def test_all_is_measured_here_and_through_the_server(self):
        self.model("m", None, "slots=2", "context=1024")
        self.check(self.card())
        self.serve()
        self.check(self.card())

    def test_vectors_are_made_and_kept(self):
        self.model("e", peers.PeerTest.tiny("llama-bpe", pooling="mean", template=""))
        first = json.loads(self.good("model", "embed", "--json", "e", "a cat", "an invoice"))
        self.assertEqual((first["dimensions"], first["kept"], len(first["vectors"])), (64, 0, 2))
        self.serve()
        again = json.loads(self.good("model", "embed", "--json", "e", "an invoice", "a cat"))
        self.assertEqual((again["kept"], again["vectors"]), (2, first["vectors"][::-1]))


if __name__ == "__main__":
    tap.main()
