"""Notices that the code under test has changed the framework that tests it.

A program that replaces unittest.TestCase.assertEqual would pass every test.  What is watched
are functions and classes, by identity, not data: maxDiff and its like are there to be set.
Code that means to deceive can get around this, for it runs in the same process.
"""
import builtins
import os
import sys

# Not watched: what tests replace for good reasons.
REPLACED = {"input", "print", "open", "exit", "quit", "help", "breakpoint", "_"}


def is_behaviour(value):
    return callable(value) or isinstance(value, (classmethod, property))


def mark(value):
    return value, getattr(value, "__code__", None)


class Watch:
    """Begins with what is there now."""

    def __init__(self, *modules):
        self.holders = [("builtins", builtins, set(dir(builtins)) - REPLACED), ("os", os, {"_exit", "write"}), ("sys", sys, {"exit"})]
        for module in modules:
            self.holders.append((module.__name__, module, None))
            self.holders += [(f"{module.__name__}.{name}", value, None) for name, value in vars(module).items()
                             if isinstance(value, type) and value.__module__ == module.__name__]
        self.marks = [{name: mark(value) for name, value in vars(holder).items() if is_behaviour(value) and (not only or name in only)}
                      for _, holder, only in self.holders]

    def changed(self):
        """The first name that means something else now; None."""
        for (label, holder, _), marks in zip(self.holders, self.marks):
            now = vars(holder)
            for name, (value, code) in marks.items():
                if now.get(name) is not value or getattr(value, "__code__", None) is not code:
                    return f"{label}.{name}"
            if isinstance(holder, type):
                for name in now:
                    if name.startswith("__") and name not in marks and is_behaviour(now[name]):
                        return f"{label}.{name}"
        return None

    def tell(self, directory):
        """Says what has changed in a file that makes the run worth nothing."""
        name = self.changed()
        if name:
            with open(os.path.join(directory, "trouble"), "w", encoding="utf-8") as file:
                file.write(f"the code changes the test framework: {name}\n")
