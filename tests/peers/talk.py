"""Conversations of a team with a model, in the words that were recorded, and how much of each request the
model had read before."""
import dataclasses
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import recordings  # noqa: E402

ROLES = ("developer", "tester", "architect")


class Role:
    """One role's conversation: recorded prompts, and the model's own answers between them."""

    def __init__(self, role, example="duration"):
        calls = [c for (e, ticket, r), some in sorted(recordings.conversations().items())
                 if (e, r) == (example, role) and ticket != "project" for c in some]
        self.role = role
        self.messages = [m for m in calls[0].messages if m["role"] != "assistant"][:2]
        self.more = [c.messages[-1]["content"] for c in calls[1:]]
        self.known = self.cached = self.prompt = self.reusable = 0

    def ask(self, ask, max_tokens):
        """`ask(role, messages, max_tokens)` returns the answer's text and usage."""
        if self.known:
            self.messages.append({"role": "user", "content": self.more.pop(0)[:2000]})
        text, usage = ask(self.role, self.messages, max_tokens)
        if self.known:
            self.prompt += usage["prompt_tokens"]
            self.reusable += self.known
            self.cached += usage["prompt_tokens_details"]["cached_tokens"]
        self.known = usage["prompt_tokens"] + usage["completion_tokens"]
        self.messages.append({"role": "assistant", "content": text})


@dataclasses.dataclass
class Hits:
    """Over all requests but the first of each conversation."""
    reusable: float  # of what the model had read or written in this conversation
    prompt: float    # of all that was sent


def work(ask, turns=6, max_tokens=40):
    """Three roles take turns."""
    roles = [Role(r) for r in ROLES]
    for _ in range(turns):
        for role in roles:
            role.ask(ask, max_tokens)
    return Hits(sum(r.cached for r in roles) / sum(r.reusable for r in roles),
                sum(r.cached for r in roles) / sum(r.prompt for r in roles))
