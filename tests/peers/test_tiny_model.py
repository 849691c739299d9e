"""Tiny models: always the same, as small as wanted, and what our reader makes of good and broken ones."""
import hashlib
import struct
import unittest

import peers
import tap  # peers knows where it lies
import tiny_model


def words(count):
    """A file with a vocabulary of `count` words and nothing else."""
    tokens = b"".join(tiny_model.text(f"w{i}") for i in range(count))
    some = [tiny_model.text("general.name") + struct.pack("<I", tiny_model.STRING) + tiny_model.text("not to be taken"),
            tiny_model.key("tokenizer.ggml.model", "gpt2"),
            tiny_model.text("tokenizer.ggml.tokens") + struct.pack("<IIQ", tiny_model.ARRAY, tiny_model.STRING, count) + tokens,
            tiny_model.text("tokenizer.ggml.scores") + struct.pack("<IIQ", tiny_model.ARRAY, tiny_model.FLOAT32, count) + bytes(4 * count)]
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(some)) + b"".join(some)


class Files(peers.PeerTest):
    needs = []

    def setUp(self):
        super().setUp()
        (self.room / "words.gguf").write_bytes(words(100))

    def write(self, name="m.gguf", **options):
        return tiny_model.write(self.room / name, self.room / "words.gguf", **options)

    def digest(self, **options):
        return hashlib.sha256(self.write(**options).read_bytes()).hexdigest()

    def test_the_same_seed_makes_the_same_file(self):
        self.assertEqual(self.digest(seed=5), self.digest(seed=5))
        self.assertNotEqual(self.digest(seed=5), self.digest(seed=6))

    def test_our_reader_finds_what_was_asked_for(self):
        said = self.said_of(self.write(layers=3, context=512, embedding=96, heads=3, kv_heads=1, name="m.gguf", template="T"))
        self.assertEqual({k: said[k] for k in ("architecture", "layers", "context", "embedding", "heads", "kv_heads", "vocabulary",
                                               "quantisation", "chat_template", "pooling")},
                         {"architecture": "llama", "layers": 3, "context": 512, "embedding": 96, "heads": 3, "kv_heads": 1,
                          "vocabulary": 100, "quantisation": "F16", "chat_template": "T", "pooling": ""})
        self.assertEqual(said["memory"]["weights"], said["weight_bytes"])

    def test_weights_may_be_quantised(self):
        said = self.said_of(self.write(kind=tiny_model.Q4_0))
        self.assertEqual(said["quantisation"], "Q4_0")
        self.assertLess(said["weight_bytes"], self.said_of(self.write())["weight_bytes"] / 3)

    def test_an_embedding_model_says_how_it_pools(self):
        self.assertEqual(self.said_of(self.write(pooling="mean"))["pooling"], "mean")

    def test_a_cut_one_is_recognised(self):
        said = self.said_of(self.write(broken="truncated"))
        self.assertEqual(said["code"], "corrupt")
        self.assertRegex(said["error"], r"is cut off: \d+ of \d+ bytes are missing")

    def test_a_vocabulary_alone_is_no_model(self):
        self.assertIn("does not say its architecture", self.said_of(self.room / "words.gguf")["error"])

    def test_every_word_has_weights_of_its_own(self):
        data = self.write().read_bytes()
        rows = data[-self.said_of(self.room / "m.gguf")["weight_bytes"]:][:100 * 128]
        self.assertEqual(len({rows[i:i + 128] for i in range(0, len(rows), 128)}), 100)


if __name__ == "__main__":
    tap.main()
