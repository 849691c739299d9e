"""An adapter with a real model behind it: a llama-server that it starts within the sandbox."""
import shutil

import managed  # noqa: F401 (finds home)
import home
import peers
import tap


class Adapter(peers.PeerTest, home.Home):
    def setUp(self):
        home.Home.setUp(self)
        peers.PeerTest.setUp(self)
        self.home = self.room / "home"
        self.folder = self.room / "llama"
        self.folder.mkdir()
        shutil.copy(peers.ROOT / "tests" / "peers" / "llama_adapter.py", self.folder / "adapter")
        (self.folder / "adapter").chmod(0o755)
        shutil.copy(peers.ROOT / "share" / "adapters" / "python" / "tandem_adapter.py", self.folder)
        shutil.copy(peers.need("LLAMA_SERVER"), self.folder / "llama-server")

    def test_it_keeps_to_the_protocol_with_its_model(self):
        out = self.good("adapter", "check", self.folder, "--file", self.tiny(), "--timeout", "120", timeout=300)
        self.assertIn("It keeps to the protocol.", out)
        self.assertRegex(out, "right +a request can be cancelled")

    def test_a_model_s_file_answers_through_it(self):
        self.good("model", "import", self.tiny(), "--adapter", self.folder, "--id", "m")
        shutil.rmtree(self.folder)
        done = self.tandem("model", "ask", "m", "-v", "--max-tokens", "5", "Hello", timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"m; .*[1-9]\d* tokens read; [1-5] written")


if __name__ == "__main__":
    tap.main()
