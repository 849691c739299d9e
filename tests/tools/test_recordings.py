"""The team's prompts, as they were recorded: what a model server has read once it need not read again."""
import os
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]
import recordings  # noqa: E402
import tap  # noqa: E402


class Prefixes(unittest.TestCase):
    def test_a_request_begins_with_the_whole_one_before_and_its_answer(self):
        """Byte for byte, within each conversation of a Developer or Tester; an Architect's appraisals each begin anew."""
        followed = 0
        for (example, ticket, role), calls in recordings.conversations().items():
            if role == "architect":
                continue
            for before, call in zip(calls, calls[1:]):
                with self.subTest(f"{example}/{ticket}/{role}/{call.name}"):
                    self.assertEqual(call.messages[:len(before.messages)], before.messages)
                    self.assertEqual(call.messages[len(before.messages)], {"role": "assistant", "content": before.answer})
                    self.assertEqual(call.messages[-1]["role"], "user")
                    followed += 1
        self.assertGreater(followed, 30)

    def test_the_conversations_of_a_role_begin_alike(self):
        """Role, project and spec come first: other tickets of the role share what was read of them."""
        begins = {}
        for (example, ticket, role), calls in recordings.conversations().items():
            if ticket.startswith("T-"):
                begins.setdefault((example, role), []).append("".join(m["content"] for m in calls[0].messages))
        for who, texts in begins.items():
            shared = len(os.path.commonprefix(texts))
            with self.subTest(who):
                self.assertGreater(shared / min(map(len, texts)), 0.4)


if __name__ == "__main__":
    tap.main()
