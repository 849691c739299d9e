"""Help, man page, completions and the parsing of the command line: one table, one truth."""
import re
import shutil
import subprocess
import unittest

import home

OPTION = re.compile(r"^  (?:-(\w), |    )--([a-z-]+)( \S+)?", re.M)


class Manual(home.Home):
    def commands(self):
        listed = self.good("help").split("Commands:\n")[1].split("\n\n")[0]
        names = re.findall(r"^  (\w+) ", listed, re.M)
        self.assertGreater(len(names), 3)
        return names

    def options(self, command):
        """[(letter, name, argument)], without those of every command."""
        own = self.good("help", command).split("Options of every command:")[0]
        return OPTION.findall(own)

    def script(self, shell):
        path = self.room / f"completion.{shell}"
        path.write_text(self.good("completion", shell))
        return path

    def test_every_command_explains_itself(self):
        for name in self.commands():
            text = self.good("help", name)
            self.assertTrue(text.startswith(f"tandem {name} - "), text)
            self.assertIn(f"Usage: tandem {name}", text)
            self.assertEqual(text, self.good(name, "--help"))
            self.assertEqual(text, self.good("-h", name))

    def test_help_fits_eighty_columns(self):
        for name in [*self.commands(), "settings"]:
            for line in self.good("help", name).splitlines():
                if not line.startswith("  tandem "):  # examples are for copying
                    self.assertLessEqual(len(line), 80, line)

    def test_phrases_keep_their_form(self):
        for line in self.good("help").split("Commands:\n")[1].split("\n\n")[0].splitlines():
            summary = line[14:]
            self.assertRegex(summary, r"^[a-z]", line)
            self.assertNotRegex(summary, r"\.$", line)

    def test_the_man_page_has_every_command_option_and_setting(self):
        page = self.good("man").replace("\\-", "-")
        for name in self.commands():
            self.assertIn(f".SS tandem {name}\n", page)
            section = page.split(f".SS tandem {name}\n")[1].split(".SS ")[0]
            for letter, option, _ in self.options(name):
                self.assertIn(f"\\fB--{option}\\fR", section)
                if letter:
                    self.assertIn(f"\\fB-{letter}\\fR", section)
        for setting in self.settings():
            self.assertIn(f"\\fB{setting}\\fR (", page)

    def settings(self):
        names = re.findall(r"^  ([a-z_]+):", self.good("help", "settings"), re.M)
        self.assertGreater(len(names), 20)
        return names

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_the_man_page_formats_without_warnings(self):
        done = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8"], input=self.good("man"),
                              stderr=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_completions_have_every_command_and_option(self):
        for shell in ("bash", "zsh", "fish"):
            text = self.script(shell).read_text()
            for name in self.commands():
                self.assertRegex(text, rf"\b{name}\b", shell)
                for _, option, _ in self.options(name):
                    word = f"-l {option} " if shell == "fish" else f"--{option}"
                    self.assertIn(word, text, f"{shell}: {name}")
            for setting in self.settings():
                self.assertIn(f"{setting}=", text)

    def complete(self, *words):
        """What bash offers for the last word."""
        line = " ".join(f"'{w}'" for w in ("tandem", *words))
        script = (f"source '{self.script('bash')}'; COMP_WORDS=({line}); COMP_CWORD={len(words)}; "
                  "_tandem; printf '%s\\n' \"${COMPREPLY[@]}\"")
        done = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, cwd=self.room)
        self.assertEqual(done.stderr, "")
        return done.stdout.split("\n")[:-1]

    def test_bash_completes_commands_options_settings_and_files(self):
        self.assertEqual(self.complete("compl"), ["completion"])
        self.assertEqual(self.complete("help", "--h"), ["--help", "--home"])
        self.assertEqual(self.complete("help", "--set", "pair"), ["pairs="])
        self.assertEqual(self.complete("completion", ""), ["bash", "zsh", "fish"])
        (self.room / "a folder").mkdir()
        self.assertEqual(self.complete("help", "--home", "a"), ["a folder"])

    def test_bash_completes_the_actions_of_a_group(self):
        self.assertIn("import", self.complete("model", ""))
        self.assertEqual(self.complete("model", "rou"), ["route"])
        self.assertEqual(self.complete("model", "route", "--f"), ["--fallback"])
        self.assertIn("--id", self.complete("model", "import", "--"))
        self.assertNotIn("--id", self.complete("model", "list", "--"))

    def test_the_other_shells_accept_their_scripts(self):
        seen = 0
        for shell in ("zsh", "fish"):
            if shutil.which(shell):
                subprocess.run([shell, "-n", self.script(shell)], check=True, timeout=20)
                seen += 1
        if not seen:
            self.skipTest("neither zsh nor fish is installed")


class CommandLine(home.Home):
    def test_version_is_one_line(self):
        self.assertRegex(self.good("--version"), r"^tandem \d+\.\d+\.\d+\n$")
        self.assertEqual(self.good("--version"), self.good("version"))

    def test_without_a_command_the_overview_and_status_2(self):
        done = self.tandem()
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("Commands:", done.stderr)

    def test_a_mistyped_command_gets_a_suggestion(self):
        self.refused(2, 'no command "hlep"; did you mean help?', "hlep")
        self.refused(2, 'no command "frobnicate"; see tandem help', "frobnicate")

    def test_a_group_lists_its_actions_and_each_explains_itself(self):
        done = self.tandem("model")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"Actions:\n  list +show the models")
        self.assertIn("Usage: tandem model route [OPTIONS] [ROLE [MODEL]]", self.good("help", "model", "route"))
        self.assertEqual(self.good("help", "model", "route"), self.good("model", "route", "--help"))
        self.refused(2, 'no command "model lst"; did you mean model list?', "model", "lst")
        self.refused(2, 'no command "model frobnicate"; see tandem help model', "model", "frobnicate")
        self.assertIn(".SS tandem model import", self.good("man"))

    def test_a_mistyped_option_gets_a_suggestion(self):
        self.refused(2, "no option --hom; did you mean --home?", "help", "--hom=x")
        self.refused(2, "no option --frobnicate; see tandem help man", "man", "--frobnicate")
        self.refused(2, "no option -q", "man", "-q")

    def test_values_are_asked_for_and_refused_where_they_do_not_belong(self):
        self.refused(2, "--home needs a value: --home DIR", "help", "--home")
        self.refused(2, "--help takes no value", "help", "--help=yes")
        self.refused(2, "--home is given twice", "help", "--home", "a", "--home=b")

    def test_operands_are_counted(self):
        self.refused(2, "tandem completion needs bash|zsh|fish", "completion")
        self.refused(2, '"b" is one word too many', "help", "man", "b")
        self.refused(2, 'the word after tandem completion is "tcsh"; allowed: bash, zsh, fish', "completion", "tcsh")

    def test_after_two_dashes_nothing_is_an_option(self):
        self.refused(2, 'no command "--help"', "help", "--", "--help")

    def test_help_is_given_whatever_else_is_wrong(self):
        self.assertIn("Usage: tandem completion", self.good("completion", "--help"))

    def test_a_full_disk_is_no_success(self):
        with open("/dev/full", "w") as full:
            done = self.tandem("man", stdout=full)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left", done.stderr)

    def test_no_byte_of_the_command_line_breaks_it(self):
        for word in (b"\xff\xfe", b"--\xff", b"-\xff", b"%s%n", b"--=", b"-", b"", b"--" + b"x" * 5000):
            done = subprocess.run([home.TANDEM.encode(), b"help", word], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=self.environment(), timeout=20)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertTrue(done.stderr.startswith(b"tandem: "), done.stderr)


class Settings(home.Home):
    def line(self, name, **more):
        """The paragraph of a setting, on one line."""
        text = self.good("help", "settings", **more)
        return " ".join(re.search(rf"^  {name}:.*\n(?:   .*\n)*", text, re.M).group().split())

    def test_sources_win_in_order(self):
        self.home.mkdir()
        self.assertTrue(self.line("pairs").startswith("pairs: 2 "))
        (self.home / "settings.yaml").write_text("# ours\npairs: 3\n")
        self.assertIn("pairs: 3 ", self.line("pairs"))
        self.assertIn(f"[{self.home}/settings.yaml:2; default: 2]", self.line("pairs"))
        self.assertIn("pairs: 4 ", self.line("pairs", env={"TANDEM_PAIRS": "4"}))
        out = self.good("help", "settings", "--set", "pairs=5", env={"TANDEM_PAIRS": "4"})
        self.assertIn("  pairs: 5 ", out)

    def test_a_wrong_value_is_named_after_the_table(self):
        self.home.mkdir()
        (self.home / "settings.yaml").write_text("pairs: 99\n")
        done = self.refused(1, f'pairs is "99" ({self.home}/settings.yaml:1); allowed: 1 to 16 pairs',
                            "help", "settings")
        self.assertIn("attempts: 10", done.stdout)

    def test_a_wrong_set_is_a_usage_error(self):
        self.refused(2, "did you mean pairs?", "help", "settings", "--set", "piars=3")
        self.refused(2, "write name=value", "help", "settings", "--set", "pairs")

    def test_a_home_may_be_relative_and_is_found_by_xdg(self):
        (self.room / "data" / "tandem").mkdir(parents=True)
        (self.room / "data" / "tandem" / "settings.yaml").write_text("pairs: 7\n")
        self.assertIn("pairs: 7 ", self.line("pairs", env={"TANDEM_HOME": None, "XDG_DATA_HOME": str(self.room / "data")}))
        out = self.good("help", "settings", "--home", "data/tandem")
        self.assertIn("  pairs: 7 ", out)

    def test_without_any_home_it_says_so(self):
        self.refused(1, "neither TANDEM_HOME nor HOME is set", "help", "settings",
                     env={"TANDEM_HOME": None, "HOME": None})

    def test_a_settings_file_that_cannot_be_read_is_named(self):
        (self.home / "settings.yaml").mkdir(parents=True)
        self.refused(1, "settings.yaml", "help", "settings")


if __name__ == "__main__":
    home.tap.main()
