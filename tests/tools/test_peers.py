"""tools/peers, with a package of ours and programs that only pretend to build: what it does
once, what it skips, and what it calls broken."""
import contextlib
import hashlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest
from unittest import mock

import tool
import tap  # tool knows where it lies

SERVER = "#!/bin/sh\necho version: pretended\n"
# They say in `calls` that they were asked.
FAKES = {
    "npm": 'echo npm >> "$ROOM/calls"; test -n "$OFFLINE" && { echo "npm error network" >&2; exit 1; }\n'
           'while [ "$1" != --pack-destination ]; do shift; done; cp "$ROOM/package.tgz" "$2/node-llama-cpp-3.22.1.tgz"',
    "cmake": 'echo cmake >> "$ROOM/calls"',
    "ninja": 'echo ninja >> "$ROOM/calls"; sleep 0.2; test -n "$BROKEN" && { echo "undefined reference" >&2; exit 1; }\n'
             'mkdir -p "$2/bin"; cp "$ROOM/server" "$2/bin/llama-server"; chmod +x "$2/bin/llama-server"',
    "c++": "",
    "go": 'echo "go $1" >> "$ROOM/calls"; test "$1" = env && { echo "${GO_IS:-go1.26.1}"; exit; }\n'
          'test "$1" = mod && { test -z "$OFFLINE"; exit; }\n'
          'test -f "${CGO_CPPFLAGS#-I}/nlohmann/json.hpp" || { echo "no headers" >&2; exit 1; }\n'
          'cp "$ROOM/server" "$GOBIN/ollama"; chmod +x "$GOBIN/ollama"',
}


class Peers(unittest.TestCase):
    def setUp(self):
        room = tempfile.TemporaryDirectory(prefix="tandem-test-")
        self.addCleanup(room.cleanup)
        self.room = pathlib.Path(room.name)
        self.cache = self.room / "cache"
        (self.room / "server").write_text(SERVER)
        (self.room / "bin").mkdir()
        for name, does in FAKES.items():
            self.program(name, does)
        for name in ("git", "sh", "cp", "mkdir", "chmod", "sleep"):
            (self.room / "bin" / name).symlink_to(shutil.which(name))
        self.peers = tool.load("peers")
        self.peers.LLAMA_BUNDLE_SHA256 = self.make_package()
        env = mock.patch.dict(os.environ, {"PATH": str(self.room / "bin"), "ROOM": str(self.room), "HOME": str(self.room)})
        env.start()
        self.addCleanup(env.stop)

    def program(self, name, does):
        (self.room / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (self.room / "bin" / name).chmod(0o755)

    def make_package(self):
        """A package with a repository that holds vocabularies; the digest of its bundle."""
        source, bundle = self.room / "source", self.room / "bundle"
        (source / "models").mkdir(parents=True)
        (source / "vendor" / "nlohmann").mkdir(parents=True)
        (source / "vendor" / "nlohmann" / "json.hpp").write_text("")
        for name in self.peers.LLAMA_VOCABULARIES:
            (source / "models" / f"ggml-vocab-{name}.gguf").write_text(name)
        git = ["git", "-C", source, "-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
        for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "All"], ["bundle", "create", "-q", bundle, "main", "HEAD"]):
            subprocess.run([*git, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with tarfile.open(self.room / "package.tgz", "w:gz") as tar:
            tar.add(bundle, self.peers.LLAMA_BUNDLE)
        return hashlib.sha256(bundle.read_bytes()).hexdigest()

    def provide(self, name="llama-server"):
        """Returns (environment, skipped, broken, what was said)."""
        with contextlib.redirect_stderr(io.StringIO()) as said:
            return (*self.peers.provide([name], self.cache, 1), said.getvalue())

    def calls(self):
        return (self.room / "calls").read_text().split() if (self.room / "calls").exists() else []

    def good(self):
        env, skipped, broken, _ = self.provide()
        self.assertEqual((skipped, broken), ({}, {}))
        self.assertEqual(env["TANDEM_PEER_LLAMA_SERVER"].read_text(), SERVER)
        self.assertEqual((env["TANDEM_PEER_VOCABULARIES"] / "ggml-vocab-qwen2.gguf").read_text(), "qwen2")

    def test_what_was_built_is_found_again(self):
        self.good()
        self.assertEqual(self.calls(), ["npm", "cmake", "ninja"])
        self.good()
        self.assertEqual(self.calls(), ["npm", "cmake", "ninja"])
        self.assertEqual(sorted(p.name for p in self.cache.iterdir() if p.suffix in (".part", ".work")), [])

    def test_two_at_once_build_it_once(self):
        done = []
        threads = [threading.Thread(target=lambda: done.append(self.peers.provide(["llama-server"], self.cache, 1))) for _ in range(2)]
        with contextlib.redirect_stderr(io.StringIO()) as said:
            for t in threads:
                t.start()
            for t in threads:
                t.join()
        self.assertEqual([d[1:] for d in done], [({}, {}), ({}, {})])
        self.assertEqual(self.calls(), ["npm", "cmake", "ninja"])
        self.assertIn("another one is at it", said.getvalue())

    def test_what_does_not_start_on_this_machine_is_built_again(self):
        self.good()
        program = self.provide()[0]["TANDEM_PEER_LLAMA_SERVER"]
        program.write_text("#!/bin/sh\nexit 127\n")
        self.good()
        self.assertEqual(self.calls().count("ninja"), 2)

    def test_without_npm_it_is_skipped_by_name(self):
        (self.room / "bin" / "npm").unlink()
        env, skipped, broken, _ = self.provide()
        self.assertIn("there is no npm here (Debian: apt-get install npm)", skipped["llama-server"])
        self.assertEqual(env, {"TANDEM_PEER_LLAMA_SERVER_SKIPPED": skipped["llama-server"]})
        self.assertEqual(broken, {})

    def test_without_a_network_it_is_skipped_and_had_later(self):
        with mock.patch.dict(os.environ, {"OFFLINE": "1"}):
            _, skipped, broken, _ = self.provide()
        self.assertIn("npm pack node-llama-cpp@3.22.1 brought nothing", skipped["llama-server"])
        self.assertIn("npm error network", skipped["llama-server"])
        self.assertIn("put node-llama-cpp-3.22.1.tgz into", skipped["llama-server"])
        self.assertEqual(broken, {})
        self.good()

    def test_a_package_that_was_put_there_needs_no_npm(self):
        (self.room / "bin" / "npm").unlink()
        (self.cache / "downloads").mkdir(parents=True)
        shutil.copy(self.room / "package.tgz", self.cache / "downloads" / "node-llama-cpp-3.22.1.tgz")
        self.good()

    def test_a_package_that_was_changed_is_not_built(self):
        self.peers.LLAMA_BUNDLE_SHA256 = "0" * 64
        broken = self.provide()[2]
        self.assertIn("not the one written in tools/peers", broken["llama-server"])
        self.assertNotIn("cmake", self.calls())

    def test_half_a_package_is_told(self):
        data = (self.room / "package.tgz").read_bytes()
        (self.room / "package.tgz").write_bytes(data[:len(data) // 2])
        self.assertIn("Remove it and try again", self.provide()[2]["llama-server"])

    def test_what_does_not_build_is_a_failure_with_its_last_words_and_goes_on_later(self):
        with mock.patch.dict(os.environ, {"BROKEN": "1"}):
            _, skipped, broken, _ = self.provide()
        self.assertEqual(skipped, {})
        self.assertIn("undefined reference", broken["llama-server"])
        self.good()
        self.assertEqual(self.calls().count("npm"), 1)

    def test_an_ollama_is_built_once_with_the_headers_of_llama_cpp(self):
        for _ in range(2):
            env, skipped, broken, _ = self.provide("ollama")
            self.assertEqual((skipped, broken), ({}, {}))
            self.assertEqual(env["TANDEM_PEER_OLLAMA"].read_text(), SERVER)
        self.assertEqual(self.calls().count("install"), 1)

    def test_without_go_or_with_an_old_one_an_ollama_is_skipped_by_name(self):
        with mock.patch.dict(os.environ, {"GO_IS": "go1.19.8"}):
            _, skipped, broken, _ = self.provide("ollama")
        self.assertIn("Go is go1.19.8 here, and Ollama needs 1.24", skipped["ollama"])
        (self.room / "bin" / "go").unlink()
        env, skipped, _, _ = self.provide("ollama")
        self.assertIn("there is no go here", skipped["ollama"])
        self.assertEqual(list(env), ["TANDEM_PEER_OLLAMA_SKIPPED"])
        self.assertEqual(broken, {})

    def test_without_a_network_an_ollama_is_skipped_by_name(self):
        with mock.patch.dict(os.environ, {"OFFLINE": "1"}):
            _, skipped, broken, _ = self.provide("ollama")
        self.assertIn("brought nothing", skipped["ollama"])
        self.assertEqual(broken, {})

    def main(self, *words):
        with mock.patch.object(sys, "argv", ["peers", "--cache", str(self.cache), "--only", "llama-server", *words]), \
                contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()) as out:
            return self.peers.main(), out.getvalue(), said.getvalue()

    def test_the_command_gets_the_paths_and_its_status_is_ours(self):
        status, _, _ = self.main("sh", "-c", 'echo "$TANDEM_PEER_LLAMA_SERVER" > "$ROOM/got"; exit 7')
        self.assertEqual(status, 7)
        self.assertEqual((self.room / "got").read_text().strip(), str(self.provide()[0]["TANDEM_PEER_LLAMA_SERVER"]))

    def test_a_skipped_peer_does_not_fail_the_command_and_is_told_last(self):
        (self.room / "bin" / "npm").unlink()
        status, _, said = self.main("sh", "-c", 'echo "$TANDEM_PEER_LLAMA_SERVER_SKIPPED" > "$ROOM/got"')
        self.assertEqual(status, 0)
        self.assertIn("there is no npm here", (self.room / "got").read_text())
        self.assertIn("SKIPPED llama-server: there is no npm here", said.splitlines()[-1])

    def test_a_broken_peer_fails_before_the_command(self):
        self.peers.LLAMA_BUNDLE_SHA256 = "0" * 64
        status, _, said = self.main("sh", "-c", 'echo x > "$ROOM/got"')
        self.assertEqual(status, 1)
        self.assertIn("llama-server: ", said)
        self.assertFalse((self.room / "got").exists())

    def test_without_a_command_the_paths_are_printed(self):
        status, out, _ = self.main()
        self.assertEqual(status, 0)
        self.assertIn("TANDEM_PEER_LLAMA_SERVER=" + str(self.cache), out)


if __name__ == "__main__":
    tap.main()
