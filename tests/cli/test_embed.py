"""tandem model embed: vectors of texts, kept in the home, with and without a server on it."""
import base64
import json
import signal
import struct
import subprocess

import home
import serving
from fake_model import FakeModel

ENTRIES = """\
backends:
- {{id: fake, kind: openai, url: '{url}'}}
models:
- {{id: nomic, backend: fake, name: developer, capabilities: [embed]}}
- {{id: bge, backend: fake, name: tester, capabilities: [embed]}}
routes:
- {{id: embedding, primary: nomic}}
"""


class Embedding(home.Home):
    def setUp(self):
        super().setUp()
        self.fake = FakeModel([])
        self.addCleanup(self.fake.close)
        (self.room / "models.yaml").write_text(ENTRIES.format(url=self.fake.url))
        self.good("model", "import", "models.yaml")

    def vectors(self, *texts, name="embedding"):
        return json.loads(self.good("model", "embed", "--json", name, *texts))

    def test_a_text_is_read_once_and_alike_ones_are_told(self):
        first = self.vectors("a cat", "an act")
        self.assertEqual((first["model"], first["version"], first["dimensions"], first["kept"]), ("nomic", 1, 26, 0))
        self.assertEqual(self.vectors("a cat", "dog")["kept"], 1)
        self.assertEqual([text for texts in self.fake.embedded for text in texts], ["a cat", "an act", "dog"])
        said = self.good("model", "embed", "embedding", "tac", "cat", "dog")
        self.assertRegex(said, r" 1\.000  tac\n 1\.000  cat\n 0\.000  dog\nnomic version 1, 26 numbers each; 1 of 3 were kept")

    def test_batches_are_as_small_as_the_settings_say(self):
        self.good("--set", "embed_texts=2", "model", "embed", "embedding", "a", "b", "c")
        self.assertEqual(self.fake.embedded, [["a", "b"], ["c"]])

    def test_another_model_behind_the_name_is_noticed(self):
        self.vectors("a cat")
        self.good("model", "route", "embedding", "bge")
        done = self.tandem("model", "embed", "--json", "embedding", "a cat")
        self.assertIn("embedding was nomic version 1, 26 numbers before", done.stderr)
        self.assertEqual((json.loads(done.stdout)["model"], json.loads(done.stdout)["kept"]), ("bge", 0))
        self.assertIn("embedding.changed", self.good("log", "--all"))
        self.assertEqual(self.vectors("a cat")["kept"], 1)

    def test_the_server_of_the_home_keeps_them_too(self):
        server = subprocess.Popen([home.TANDEM, "serve", "--listen", "none"], cwd=self.room, env=self.environment(),
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait, 20)
        self.addCleanup(server.send_signal, signal.SIGINT)
        server.stdout.readline()
        first = self.vectors("a cat", "dog")
        again = self.vectors("a cat", "dog")
        self.assertEqual((first["kept"], again["kept"]), (0, 2))
        self.assertEqual(first["vectors"], again["vectors"])

    def test_what_makes_no_vectors_says_so(self):
        self.refused(1, 'no model and no route "nosuch"', "model", "embed", "nosuch", "a cat")
        self.refused(1, "is empty", "model", "embed", "embedding", "")
        self.good("model", "set", "nomic", "capabilities=[chat]")
        self.refused(1, "nomic makes no vectors", "model", "embed", "embedding", "a cat")


class ForOthers(serving.Serving):
    def begin_models(self):
        self.fake = FakeModel([])
        self.addCleanup(self.fake.close)
        return ENTRIES.format(url=self.fake.url)

    def vectors(self, texts, **more):
        return json.loads(self.ask("/v1/embeddings", {"model": "embedding", "input": texts, **more}))["data"]

    def test_other_programs_get_what_is_kept(self):
        first = self.vectors(["a cat", "dog"])
        self.assertEqual([(one["index"], len(one["embedding"])) for one in first], [(0, 26), (1, 26)])
        self.assertEqual(self.vectors(["a cat", "dog"]), first)
        self.assertEqual(json.loads(self.good("model", "embed", "--json", "embedding", "a cat"))["kept"], 1)  # the same as the home's own
        packed = self.vectors("dog", encoding_format="base64", user="ann")[0]["embedding"]
        self.assertEqual(list(struct.unpack("<26f", base64.b64decode(packed))), first[1]["embedding"])
        self.assertEqual(self.fake.embedded, [["a cat", "dog"]])

    def test_what_only_the_model_understands_is_passed_on(self):
        for more in ({"dimensions": 26}, {"input": [[1, 2]]}, {"encoding_format": "int8"}, {"truncate": True}):
            self.vectors(**{"texts": "a cat", **({"texts": more["input"]} if "input" in more else more)})
        self.assertEqual(len(self.fake.embedded), 4)

    def test_a_model_that_makes_none_is_refused(self):
        self.good("model", "set", "nomic", "capabilities=[chat]")
        for more in ({}, {"dimensions": 26}):
            text = self.ask("/v1/embeddings", {"model": "embedding", "input": "a cat", **more}, status=400)
            self.assertIn("nomic makes no vectors", json.loads(text)["error"]["message"])

    def test_who_wants_none_kept_has_them_made(self):
        self.stop()
        self.serve("--set", "vectors_kept=0")
        self.assertEqual(self.vectors("a cat"), self.vectors("a cat"))
        self.assertEqual(len(self.fake.embedded), 2)


if __name__ == "__main__":
    home.tap.main()
