"""What both models are asked and made to read: checks.yaml, passages.yaml, and chapters of Python's reference."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent
TOPICS = (
    "assert", "attribute-access", "booleans", "break", "class", "comparisons", "context-managers", "del", "exceptions",
    "execmodel", "for", "formatstrings", "function", "global", "if", "import", "lambda", "numbers", "return", "while",
)  # fmt: skip
"""Chapters of the language reference that come with every CPython (`pydoc_data.topics`, PSF licence)."""
CHAPTER = 1500
"""Characters read of each."""


@dataclass(frozen=True)
class Check:
    """A conversation and what its last reply must be like."""

    id: str
    turns: tuple[str, ...]
    """The user's; what is between them the model says itself."""
    any: tuple[str, ...] = ()
    """At least one of these words, whole, in any case."""
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    matches: str = ""
    words: tuple[int, int] = (1, 10**6)
    """From and to how many."""

    def holds(self, reply: str) -> bool:
        def said(word: str) -> bool:
            return re.search(rf"(?<![\w.]){re.escape(word)}(?!\w|\.\d)", reply, re.IGNORECASE) is not None

        low, high = self.words
        return (
            low <= len(reply.split()) <= high
            and (not self.any or any(map(said, self.any)))
            and all(map(said, self.all))
            and not any(map(said, self.none))
            and re.search(self.matches, reply, re.IGNORECASE) is not None
        )


def checks() -> list[Check]:
    """Those of checks.yaml."""
    stored = yaml.safe_load((FOLDER / "checks.yaml").read_text("utf-8"))
    return [Check(**{k: tuple(v) if isinstance(v, list) else v for k, v in each.items()}) for each in stored]


def texts() -> dict[str, str]:
    """By id: our own passages, the same on every machine, and chapters of Python's reference."""
    from pydoc_data.topics import topics

    passages = yaml.safe_load((FOLDER / "passages.yaml").read_text("utf-8"))
    own = {f"passage-{k:02d}-{p['kind']}": " ".join(p["text"].split()) for k, p in enumerate(passages, 1)}
    return own | {f"python-{name}": topics[name][:CHAPTER] for name in TOPICS if name in topics}
