"""tandem model: entries in and out, routes, files; and what is said when something is wrong."""
import hashlib
import json
import struct
import subprocess

import home

YAML = """\
backends:
- {id: gpu-box, kind: openai, url: 'http://127.0.0.1:9/v1'}
models:
- {id: small, backend: gpu-box, context: 8192, slots: 2}
- {id: big, backend: gpu-box, name: Big-72B, idle_s: 120}
routes:
- {id: architect, primary: big}
- {id: developer, primary: small, fallback: architect}
"""


class Registry(home.Home):
    def setUp(self):
        super().setUp()
        self.yaml = self.room / "models.yaml"
        self.yaml.write_text(YAML)

    def test_a_file_of_entries_is_taken_in_listed_and_given_out(self):
        table = self.good("model", "import", self.yaml)
        self.assertRegex(table, r"small +1 +gpu-box +- +8192 +2 +- +- +developer\n")
        self.assertRegex(table, r"big +1 +gpu-box +- +- +1 +- +- +architect\n")
        out = self.good("model", "export")
        self.yaml.write_text(out)
        self.assertEqual(self.good("model", "import", self.yaml), table)
        self.assertEqual(self.good("model", "export"), out)
        entries = json.loads(self.good("model", "list", "--json"))
        self.assertEqual([m["id"] for m in entries["models"]], ["big", "small"])

    def test_a_wrong_entry_is_named_with_its_line_and_nothing_is_taken(self):
        self.yaml.write_text(YAML + "- {id: tester, primary: smal}\n")
        self.refused(1, 'models.yaml:9: routes[2].primary is "smal", and there is no such model', "model", "import", self.yaml)
        self.assertIn("There is no model in", self.good("model", "list"))

    def test_routes_are_shown_changed_and_removed(self):
        self.good("model", "import", self.yaml)
        self.assertRegex(self.good("model", "route", "tester", "small", "--fallback", "big"), r"tester +small +big\n")
        self.assertRegex(self.good("model", "route", "tester", "--fallback", "none"), r"tester +small +-\n")
        self.assertNotIn("tester", self.good("model", "route", "tester", "--remove"))
        self.refused(1, "goes round in a circle: architect -> developer -> architect", "model", "route", "architect",
                     "--fallback", "developer")
        self.refused(1, 'primary is "huge", and there is no such model', "model", "route", "pm", "huge")
        self.refused(2, "name the model too: tandem model route pm MODEL", "model", "route", "pm")
        self.assertRegex(self.good("model", "route"), r"developer +small +architect\n")

    def test_default_routes_are_proposed_and_made_for_roles_without_one(self):
        self.refused(1, "there is no model yet", "model", "route", "--default")
        self.good("model", "import", self.yaml)
        out = self.good("model", "route", "--propose")
        self.assertRegex(out, r"tester +small +big +what there is, not examined\n")
        self.assertNotIn("developer", out)
        self.assertIn("Nothing was changed", out)
        self.assertNotIn("tester", self.good("model", "route"))
        self.good("model", "route", "--default")
        self.assertRegex(self.good("model", "route"), r"developer +small +architect\n(.*\n)*tester +small +big\n")
        self.assertIn("Every role that these models can serve has a route", self.good("model", "route", "--default"))
        self.refused(2, "leave out \"pm\"", "model", "route", "pm", "--default")

    def test_members_of_an_entry_are_set_and_checked(self):
        self.good("model", "import", self.yaml)
        self.good("model", "set", "small", "slots=4", "sampling={top_p: 0.9}", "idle_s=60")
        small = json.loads(self.good("model", "list", "--json"))["models"][1]
        self.assertEqual((small["slots"], small["sampling"], small["idle_s"]), (4, {"top_p": 0.9}, 60))
        self.good("model", "set", "small", "gpu_layers=20", "arguments=[-t, 1]")
        small = json.loads(self.good("model", "list", "--json"))["models"][1]
        self.assertEqual((small["gpu_layers"], small["arguments"]), ("20", ["-t", "1"]))
        self.refused(2, "the id of a model stays", "model", "set", "small", "id=other")
        self.refused(1, "slots is 0; allowed is 1 to 64", "model", "set", "small", "slots=0")
        self.refused(1, "sloots", "model", "set", "small", "sloots=1")
        self.refused(2, "write MEMBER=VALUE", "model", "set", "small", "slots")
        self.refused(1, 'there is no model "tiny"', "model", "set", "tiny", "slots=1")

    def test_what_is_in_use_is_not_removed(self):
        self.good("model", "import", self.yaml)
        self.refused(1, "the route developer uses small", "model", "rm", "small")
        self.good("model", "route", "developer", "--remove")
        self.good("model", "rm", "small")
        self.assertNotIn("small", self.good("model", "list"))
        self.refused(1, 'there is no model "small"', "model", "rm", "small")

    def test_changes_are_in_the_log_with_who_made_them(self):
        self.good("model", "import", self.yaml)
        self.good("model", "set", "small", "slots=3")
        log = self.good("log", "--all")
        self.assertIn("model.changed", log)
        self.assertIn("route.changed", log)


def gguf(seed=0):
    """The smallest file that is a model by its form: its numbers, and one tensor."""
    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()

    numbers = {"block_count": 1, "context_length": 512, "embedding_length": 32, "attention.head_count": 1}
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1 + len(numbers)) + text("general.architecture") + struct.pack("<I", 8) + text("llama")
    for name, number in numbers.items():
        head += text("llama." + name) + struct.pack("<II", 4, number)
    head += text("output.weight") + struct.pack("<IQIQ", 1, 32, 0, 0)
    return head + b"\0" * (-len(head) % 32) + bytes([seed]) * 128


class Files(home.Home):
    def setUp(self):
        super().setUp()
        self.model = self.room / "m.gguf"
        self.model.write_bytes(gguf())

    def shelf(self):
        return sorted(p.name for p in (self.home / "models").glob("*"))

    def test_a_file_that_is_not_there_or_no_model_is_refused(self):
        self.refused(1, "there is no file", "model", "import", "absent.gguf")
        self.model.write_bytes(b"<html>Sign in</html>")
        self.refused(1, "m.gguf: is no GGUF model", "model", "import", self.model)
        self.model.write_bytes(gguf()[:-100])
        self.refused(1, "m.gguf: is cut off: 100 of", "model", "import", self.model)
        self.assertEqual(self.shelf(), [])

    def test_a_file_that_is_not_the_expected_one_is_refused(self):
        digest = hashlib.sha256(gguf()).hexdigest()
        self.refused(1, "is not the file that was expected: its SHA-256 is " + digest, "model", "import", self.model, "--sha256", "0" * 64)
        self.assertEqual(self.shelf(), [])
        self.good("model", "import", self.model, "--sha256", digest)
        self.assertEqual(self.shelf(), [digest + ".gguf"])

    def test_entries_of_another_machine_say_which_files_are_missing(self):
        digest = hashlib.sha256(gguf()).hexdigest()
        (self.room / "there.yaml").write_text(f"models:\n- {{id: m, file: {digest}}}\n")
        done = self.tandem("model", "import", "there.yaml")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"the file of the model m (SHA-256 {digest[:12]}...) is not here yet: `tandem model import FILE --id m`", done.stderr)
        self.good("model", "import", self.model)
        self.assertEqual(self.shelf(), [digest + ".gguf"])
        (model,) = json.loads(self.good("model", "list", "--json"))["models"]
        self.assertEqual((model["version"], model["architecture"], model["trained_context"]), (1, "llama", 512))
        self.assertEqual(self.tandem("model", "import", "there.yaml").stderr, "")

    def test_a_context_beyond_the_trained_one_is_noted(self):
        self.good("model", "import", self.model)
        self.assertEqual(self.good("model", "set", "m", "context=512"), "")
        self.assertIn("trained for a context of 512 tokens", self.good("model", "set", "m", "context=4096"))

    def test_wrong_names_are_told_before_the_file_is_read(self):
        for id, words in (("developer", '"developer", which is a role'), ("two words", 'allowed: a letter or digit')):
            self.refused(2, words, "model", "import", "absent.gguf", "--id", id)
        self.refused(2, "--id ID gives it another one", "model", "import", "tester.gguf")
        self.refused(2, '--sha256 is "abc"; a SHA-256 has 64 hexadecimal digits', "model", "import", "absent.gguf", "--sha256", "abc")
        self.assertEqual(self.shelf(), [])

    def test_a_full_disk_is_told_and_nothing_is_left(self):
        """A folder of models with room for 64 KiB."""
        folder = self.room / "small"
        folder.mkdir()
        on = self.another_machine()
        on = [on[0], *on[1:], "--size", "65536", "--tmpfs", folder]
        large = self.room / "large.gguf"
        large.write_bytes(gguf() + bytes(1 << 20))
        script = f'"{home.TANDEM}" --set models_dir={folder} model import {large}; echo $?; ls -A {folder}'
        done = subprocess.run([*map(str, on), "sh", "-c", script], env=self.environment(), cwd=self.room, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.stdout, "1\n", done.stderr)
        self.assertIn("there is no room for", done.stderr)
        self.assertIn("it needs 2 MiB in", done.stderr)
        self.assertNotIn("large", self.good("model", "list"))

    def test_a_folder_of_two_homes_keeps_a_file_until_both_have_removed_it(self):
        folder = f"models_dir={self.room / 'shared'}"
        homes = [self.room / "one", self.room / "two"]
        for self.home in homes:
            self.good("--set", folder, "model", "import", self.model)
        self.home = homes[0]
        self.good("--set", folder, "model", "rm", "m")
        self.assertEqual(len(list((self.room / "shared").glob("*.gguf"))), 1)
        self.home = homes[1]
        self.good("--set", folder, "model", "rm", "m")
        self.assertEqual(list((self.room / "shared").iterdir()), [])

    def test_a_file_under_the_same_name_is_the_next_version(self):
        self.assertIn("m is taken in: llama", self.good("model", "import", self.model))
        self.assertIn("nothing has changed", self.good("model", "import", self.model))
        self.model.write_bytes(gguf(1))
        self.good("model", "import", self.model)
        model = json.loads(self.good("model", "list", "--json"))["models"][0]
        self.assertEqual((model["id"], model["version"], model["file"]), ("m", 2, hashlib.sha256(gguf(1)).hexdigest()))
        self.good("model", "rm", "m")
        self.assertEqual(len(self.shelf()), 1)  # the first version's, which nobody names any more


if __name__ == "__main__":
    home.tap.main()
