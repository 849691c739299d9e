"""A project in JavaScript, from the spec to proven code; skipped where no Node.js is new enough."""
import contextlib
import json
import subprocess
import unittest

import home
from fake_model import FakeModel

SPEC = """# Words

- `countWords(text)` in `src/words.js` returns the number of words.
- `longest(text)` returns the longest word.
- A text without words has 0 words.
"""


def has_node():
    """The one that the sandbox finds on its fixed PATH."""
    words = ["node", "-e", "const [a, b] = process.versions.node.split('.'); process.exit(a > 20 || (a == 20 && b >= 16) ? 0 : 1)"]
    try:
        return subprocess.run(words, env={"PATH": "/usr/local/bin:/usr/bin:/bin"}, timeout=60).returncode == 0
    except OSError:
        return False


def block(path, text):
    return f"### {path}\n```js\n{text}```\n"


def test_file(name, title, call, wanted, source="../src/words.js"):
    text = (f"import assert from 'node:assert/strict';\nimport {{ test }} from 'node:test';\n\nimport {{ {name} }} from '{source}';\n\n"
            f"test('{title}', () => {{\n  assert.equal({call}, {wanted});\n}});\n")
    return block(f"tests/{title.split()[0]}.test.js", text)


COUNT = "/* The number of words. */\nexport function countWords(text) {\n  return text.split(' ').length;\n}\n"
EMPTY = "/* The number of words. */\nexport function countWords(text) {\n  return text.trim() ? text.split(' ').length : 0;\n}\n"
LONGEST = ("\n/* The longest word. */\nexport function longest(text) {\n"
           "  return text.split(' ').reduce((a, b) => (b.length > a.length ? b : a));\n}\n")
UNUSED = "\nexport function unused(text) {\n  return text;\n}\n"
MAIN = "import { count } from './words.js';\n\nconsole.log(count(process.argv.slice(2).join(' ')));\n"

PLAN = {"functionalities": [{"id": "w", "title": "Words"}], "tickets": [
    {"id": "A", "functionality": "w", "title": "Count words", "kind": "behaviour", "criteria": [
        {"text": "countWords('one two') gives 2", "clause": 1}, {"text": "longest('a bbb cc') gives 'bbb'", "clause": 2},
        {"text": "countWords('') gives 0", "clause": 3}]}]}
SCOPE = {"read": [], "change": [], "create": ["src/words.js", "src/main.js"], "how": "functions in src/words.js"}

TABLE = [
    ("architect", "Plan the work", PLAN),
    ("architect", "Review it", {"accept": True, "comments": []}),
    ("architect", "All tickets of the functionality", {"accept": True, "comments": []}),
    ("developer", "fix the scope", SCOPE),
    # Without the file's ending it cannot be found, whatever the Developer writes.
    ("tester", "> countWords('one two')", [test_file("countWords", "words are counted", "countWords('one two')", 2, "../src/words"),
                                           test_file("countWords", "words are counted", "countWords('one two')", 2)]),
    ("tester", "an import names a file with its ending", test_file("countWords", "words are counted", "countWords('one two')", 2)),
    ("tester", "> longest(", test_file("longest", "longest of words", "longest('a bbb cc')", "'bbb'")),
    ("tester", "> countWords('')", test_file("countWords", "none is counted", "countWords('')", 0)),
    # A program that nothing tests and that cannot be loaded.
    ("developer", "the program does not build any more", block("src/words.js", COUNT)),
    ("developer", "> countWords('one two')", block("src/words.js", COUNT) + block("src/main.js", MAIN)),
    ("developer", "> longest(", block("src/words.js", COUNT + LONGEST + UNUSED)),
    ("developer", "> countWords('')", block("src/words.js", EMPTY + LONGEST + UNUSED)),
    # Lines that no test executes come back once.
    ("developer", "src/words.js", block("src/words.js", EMPTY + LONGEST)),
]


@unittest.skipUnless(has_node(), "Node.js 20.16 or newer is not installed")
class JavaScript(home.Home):
    def build(self, table):
        (self.room / "spec.md").write_text(SPEC)
        with contextlib.closing(FakeModel(table)) as fake:
            done = self.tandem("run", "spec.md", "--stack", "javascript", "--yes", "--set", "coverage_target=100", *fake.words(), timeout=280)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.asked = fake.asked
        return done.stdout

    def test_a_spec_becomes_proven_code(self):
        out = self.build(TABLE)
        self.assertIn("1 of 1 done, 3 of 3 criteria proven", out)
        clone = self.room / "words"
        self.assertEqual((clone / "src" / "words.js").read_text(), EMPTY + LONGEST)
        self.assertEqual(json.loads((clone / "package.json").read_text())["name"], "words")
        shown = self.good("show", "T-1")
        for words in ("by absence of src/words.js", "by absence of longest in src/words.js", "by assertion"):
            self.assertIn(words, shown)
        self.assertIn("tests/words.test.js::words are counted", shown)
        log = self.good("log")
        self.assertIn("with its ending, as ../src/words.js: Error: Cannot find module 'src/words' imported from tests/words.test.js", log)
        self.assertIn("the program does not build any more", log)
        self.assertTrue(any("src/main.js: SyntaxError: The requested module './words.js' does not provide an export named 'count'" in last
                            for _, last, _ in self.asked))
        self.assertTrue(any("Lines not executed: src/words.js: 12" in last for _, last, _ in self.asked))
        self.assertIn("100 % of the lines covered", out)
        report = json.loads(self.good("verify", "--json"))
        self.assertEqual((report["criteria"], report["faults"]), (3, []))


if __name__ == "__main__":
    home.tap.main()
