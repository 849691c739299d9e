"""What a real llama-server need not read again when Tandem chooses its slots."""
import concurrent.futures
import json

import managed
import peers
import talk
import tap


def read(messages, server, model, **more):
    """(answer, tokens read anew)."""
    status, answer = server.chat(model, messages, **more)
    assert status == 200, answer
    return answer, answer["usage"]["prompt_tokens"] - answer["usage"]["prompt_tokens_details"]["cached_tokens"]


class Prefixes(managed.Managed):
    def serve_model(self, *members, **shape):
        self.model("m", peers.PeerTest.tiny("llama-bpe", context=32768, **shape), "context=16384", *members)
        for role in talk.ROLES:
            self.good("model", "route", role, "m")
        return self.serve()

    def work(self, server, **more):
        self.usages = []

        def ask(role, messages, max_tokens):
            answer = self.good_chat(server, role, messages, max_tokens=max_tokens, ignore_eos=True)
            self.usages.append((answer["usage"]["prompt_tokens"], answer["usage"]["prompt_tokens_details"]["cached_tokens"]))
            return answer["choices"][0]["message"]["content"], answer["usage"]
        hits = talk.work(ask, **more)
        print(f"# cached: {hits.reusable:.3f} of what was known, {hits.prompt:.3f} of all")
        return hits

    def test_three_roles_with_a_slot_each(self):
        self.assertGreaterEqual(self.work(self.serve_model("slots=3")).reusable, 0.9)

    def test_three_roles_with_one_slot(self):
        """They take each other's slot at every turn."""
        self.assertGreaterEqual(self.work(self.serve_model("slots=1")).reusable, 0.9)
        self.wait_until(lambda: len(self.logged()) == len(self.usages), what="calls are missing in the log")
        self.assertEqual(sorted(self.logged()), sorted(self.usages))

    def logged(self):
        lines = [json.loads(line) for line in self.good("model", "log", "--json", "--limit", 100).splitlines()]
        return [(call["prompt_tokens"], call["cached_tokens"]) for call in lines if "sums" not in call]

    def test_three_roles_whose_server_keeps_them_in_memory(self):
        self.assertGreaterEqual(self.work(self.serve_model("slots=1", "cache_mib=512")).reusable, 0.9)

    def test_side_calls_leave_conversations_alone(self):
        server = self.serve_model("slots=2")
        long = [{"role": "user", "content": managed.words("a", 300)}]
        read(long, server, "m")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda i: read([{"role": "user", "content": f"side {i}"}], server, "m"), range(6)))
        self.assertLess(read(long, server, "m")[1], 20)

    def test_a_model_that_left_and_came_back_reads_nothing_again(self):
        server = self.serve_model()
        long = [{"role": "user", "content": managed.words("a", 300)}]
        self.assertGreater(read(long, server, "m")[1], 500)
        self.good("model", "unload", "m")
        self.wait_until(lambda: not server.children())
        self.assertLess(read(long, server, "m")[1], 20)
        self.assertEqual(server.stop(), "")
        self.assertLess(read(long, self.serve(), "m")[1], 20)  # and so does another Tandem

    def test_a_damaged_file_is_as_good_as_none(self):
        server = self.serve_model()
        long = [{"role": "user", "content": managed.words("a", 300)}]
        read(long, server, "m")
        self.good("model", "unload", "m")
        self.wait_until(lambda: not server.children())
        (file,) = (self.home / "slots").glob("*.slot")
        file.write_bytes(file.read_bytes()[:1000])
        self.assertGreater(read(long, server, "m")[1], 500)


if __name__ == "__main__":
    tap.main()
