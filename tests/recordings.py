"""Recorded conversations of the team with its models (format: src/model/recording.h), as whole requests."""
import pathlib
import re

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"


class Call:
    """`messages` as they were sent, the `answer`, and which call they begin like (None: none)."""

    def __init__(self, path, others):
        self.name = path.stem
        head, *sections = re.split(r"(?m)^======== ", path.read_text())
        self.tokens = int(re.search(r"(?m)^prompt tokens: (\d+)", head).group(1))
        self.messages, self.before, self.answer = [], None, ""
        for section in sections:
            title, text = section.split("\n", 1)
            if found := re.fullmatch(r"(\d+) messages as in (\S+)", title):
                self.before, self.shared = others(found.group(2)), int(found.group(1))
                self.messages += self.before.messages[:self.shared]
                continue
            if title.endswith(" (no final newline)"):
                title, text = title[:-len(" (no final newline)")], text[:-1]
            text = re.sub(r"(?m)^\\(\\*========)", r"\1", text)
            if title == "answer":
                self.answer = text
            elif title != "reasoning":
                self.messages.append({"role": title, "content": text})


def conversations():
    """{(example, ticket, role): its calls in order}, of all examples."""
    found = {}
    for folder in sorted(p for p in EXAMPLES.glob("*/recording/*/*") if p.is_dir()):
        calls = {}

        def call(name, folder=folder, calls=calls):
            if name not in calls:
                calls[name] = Call(folder / f"{name}.txt", call)
            return calls[name]
        for path in folder.glob("*.txt"):
            call(path.stem)
        found[folder.parts[-4], folder.parts[-2], folder.parts[-1]] = sorted(calls.values(), key=lambda c: c.tokens)
    return found
