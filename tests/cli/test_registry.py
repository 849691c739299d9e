"""tandem model: entries in and out, routes, files; and what is said when something is wrong."""
import hashlib
import json

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
        self.assertRegex(table, r"small +1 +gpu-box +- +8192 +2 +- +developer\n")
        self.assertRegex(table, r"big +1 +gpu-box +- +- +1 +- +architect\n")
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

    def test_members_of_an_entry_are_set_and_checked(self):
        self.good("model", "import", self.yaml)
        self.good("model", "set", "small", "slots=4", "sampling={top_p: 0.9}", "idle_s=60")
        small = json.loads(self.good("model", "list", "--json"))["models"][1]
        self.assertEqual((small["slots"], small["sampling"], small["idle_s"]), (4, {"top_p": 0.9}, 60))
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


class Files(home.Home):
    def test_a_file_that_is_not_there_or_not_the_expected_one_is_refused(self):
        model = self.room / "m.gguf"
        self.refused(1, "there is no file", "model", "import", model)
        model.write_bytes(b"GGUF")
        self.refused(1, "is not the file that was expected: its SHA-256 is " + hashlib.sha256(b"GGUF").hexdigest(),
                     "model", "import", model, "--sha256", "0" * 64)
        self.assertEqual(list((self.home / "models").glob("*")) if (self.home / "models").exists() else [], [])


if __name__ == "__main__":
    home.tap.main()
