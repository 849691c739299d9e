"""The lints and the banned functions: each must catch a violation made on purpose."""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import tap  # noqa: E402


class Tree(unittest.TestCase):
    """A small source tree in a private directory."""

    def setUp(self):
        room = tempfile.TemporaryDirectory()
        self.addCleanup(room.cleanup)
        self.root = pathlib.Path(room.name)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def run_tool(self, tool):
        done = subprocess.run([ROOT / "tools" / tool, self.root], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
        return done.returncode, done.stdout


class IncludeLint(Tree):
    def verdict(self, path, include):
        self.write(path, f"/* x */\n#include {include}\n")
        return self.run_tool("lint-includes")

    def refused(self, path, include, words):
        status, out = self.verdict(path, include)
        self.assertEqual(status, 1, out)
        self.assertIn(f"{path}:2: ", out)
        self.assertIn(words, out)

    def test_an_include_along_the_arrows_passes(self):
        self.assertEqual(self.verdict("src/team/x.c", '"repo/git.h"'), (0, ""))

    def test_an_include_against_the_arrows_is_refused(self):
        self.refused("src/base/x.c", '"os/files.h"', "base may not know os")

    def test_a_header_is_held_to_the_arrows_too(self):
        self.refused("src/os/x.h", '"team/queue.h"', "os may not know team")

    def test_layers_side_by_side_do_not_know_each_other(self):
        self.refused("src/store/x.c", '"http/client.h"', "store may not know http")
        self.write("src/store/x.c", "/* x */\n")
        self.refused("src/repo/y.c", '"model/chat.h"', "repo may not know model")

    def test_main_sees_every_layer(self):
        self.assertEqual(self.verdict("src/main.c", '"cli/command.h"'), (0, ""))

    def test_a_database_header_outside_its_folder_is_refused(self):
        self.refused("src/store/log.c", "<sqlite3.h>", "store/sqlite/")

    def test_a_database_header_in_its_folder_passes(self):
        self.assertEqual(self.verdict("src/store/sqlite/engine.c", "<sqlite3.h>"), (0, ""))

    def test_each_library_has_one_place(self):
        for header in ("curl/curl.h", "libfyaml.h", "pcre2.h", "expat.h", "seccomp.h",
                       "microhttpd.h", "openssl/evp.h"):
            self.refused("src/team/x.c", f"<{header}>", "alone")

    def test_a_private_header_of_another_layer_is_refused(self):
        self.refused("src/team/x.c", '"store/sqlite/sql.h"', "private to store")

    def test_an_include_by_a_short_path_is_refused(self):
        self.write("src/base/y.h", "/* y */\n")
        self.refused("src/base/x.c", '"y.h"', "base/y.h")

    def test_a_layer_nobody_declared_is_refused(self):
        self.refused("src/util/x.c", '"base/str.h"', "no layer")

    def test_an_empty_tree_is_no_success(self):
        self.assertEqual(self.run_tool("lint-includes")[0], 2)


class StyleLint(Tree):
    GOOD = "/* x.h - for tests. */\n#ifndef TANDEM_X_H\n#define TANDEM_X_H\n#endif\n"

    def refused(self, path, text, words):
        self.write(path, text)
        status, out = self.run_tool("lint")
        self.assertEqual(status, 1, out)
        self.assertIn(words, out)

    def test_a_good_header_passes(self):
        self.write("src/base/x.h", self.GOOD)
        self.assertEqual(self.run_tool("lint"), (0, ""))

    def test_a_header_without_an_opening_comment_is_refused(self):
        self.refused("src/base/x.h", self.GOOD.split("\n", 1)[1], "opening comment")

    def test_a_header_without_a_guard_is_refused(self):
        self.refused("src/base/x.h", "/* x.h - for tests. */\n", "include guard")

    def test_two_headers_with_one_guard_are_refused(self):
        self.write("src/base/x.h", self.GOOD)
        self.refused("src/os/x.h", self.GOOD, "also that of src/base/x.h")

    def test_white_space_at_the_end_is_refused(self):
        self.refused("src/base/x.h", self.GOOD.replace("#endif", "#endif "), "white space")

    def test_a_file_that_is_never_compiled_is_refused(self):
        self.write("src/base/meson.build", "static_library('base', ['y.c'])\n")
        self.refused("src/base/x.c", "/* x.c - for tests. */\n", "never compiled")

    def test_an_unfinished_line_is_refused(self):
        self.refused("src/base/x.h", "/* TO" + "DO: x */\n" + self.GOOD, "unfinished")

    def test_a_path_of_one_machine_is_refused(self):
        self.refused("tools/x", "cd /home/" + "me/tandem\n", "a path of one machine")

    def test_a_long_file_is_a_warning_only(self):
        self.write("src/base/x.h", self.GOOD + "\n" * 600)
        status, out = self.run_tool("lint")
        self.assertEqual(status, 0)
        self.assertIn("warning: 605 lines", out)

    def test_a_library_that_set_up_does_not_install_is_refused(self):
        self.refused("meson.build", "x = dependency('zlib')\n", "meson.build:1: tools/setup does not install zlib")
        self.write("tools/setup", "build | zlib1g-dev | pc:zlib | because\n")
        self.assertEqual(self.run_tool("lint"), (0, ""))

    def test_python_that_does_not_parse_is_refused(self):
        self.refused("tools/x", "#!/usr/bin/env python3\nif\n", "tools/x:2:")


class BannedFunctions(unittest.TestCase):
    CC = shlex.split(os.environ.get("CC", "cc"))
    HEADER = ROOT / "src" / "base" / "banned.h"

    def compiles(self, body):
        done = subprocess.run([*self.CC, "-c", "-o", "/dev/null", "-Walloca", "-Werror", "-include", self.HEADER, "-x", "c", "-"],
                              input=body, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode == 0, done.stdout

    def test_ordinary_code_compiles(self):
        good, out = self.compiles("size_t f(const char *s) { return strlen(s); }\n")
        self.assertTrue(good, out)

    def test_strcpy_does_not_compile(self):
        good, out = self.compiles("void f(char *a, const char *b) { strcpy(a, b); }\n")
        self.assertFalse(good)
        self.assertIn("poison", out)

    def test_no_banned_function_compiles(self):
        names = [n for line in re.findall(r"^#pragma GCC poison ([\w ]+)", self.HEADER.read_text(), re.M)
                 for n in line.split()]
        self.assertGreater(len(names), 15)
        for name in names:
            good, _ = self.compiles(f"void *f(void) {{ return (void *){name}; }}\n")
            self.assertFalse(good, f"{name} compiles")

    def test_alloca_does_not_compile(self):
        good, _ = self.compiles("#include <alloca.h>\nvoid *f(void);\n"
                                "void *f(void) { return alloca(8); }\n")
        self.assertFalse(good)
        self.assertIn("'-Walloca'", (ROOT / "meson.build").read_text())

    def test_what_the_style_forbids_is_banned(self):
        text = self.HEADER.read_text()
        for name in ("strcpy", "sprintf", "system", "popen", "atoi"):
            self.assertRegex(text, rf"poison[\w ]*\b{name}\b")


if __name__ == "__main__":
    tap.main()
