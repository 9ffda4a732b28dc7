"""Questions that people ask about an examined image, in several wordings a kind, and what kind a question is.

The wordings are training text; and by likeness to them a question is recognised in use, so that the answer
can be held to its topic and code can answer where the language model can't.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

from forensic_chat.data.questions.beyond import BEYOND
from forensic_chat.data.questions.conversation import CONVERSATION
from forensic_chat.data.questions.evidence import EVIDENCE
from forensic_chat.data.questions.looks import LOOKS
from forensic_chat.data.questions.verdict import VERDICT

__all__ = ["QUESTIONS", "kind_of"]

QUESTIONS: dict[str, tuple[str, ...]] = VERDICT | EVIDENCE | BEYOND | CONVERSATION | LOOKS
"""By kind, in the order in which kinds that are equally alike are chosen."""
ALIKE = 0.34
"""Likeness from which a question is of the kind of a wording."""

_ENDINGS = re.compile(r"(?<=[a-z]{3})(?:ing|ed|es|s|e|ly)$")
_SAME = {
    word: group[0]
    for group in (
        ("imag", "pictur", "photo", "photograph", "pic", "shot"),
        ("edit", "photoshopp", "manipulat", "alter", "chang", "tamper", "modifi", "doctor"),
        ("genuin", "real", "authentic", "original"),
        ("generat", "synthetic", "artificial"),
        ("sur", "certain", "confident", "confidence", "positiv"),
        ("region", "area", "part", "spot", "location", "plac"),
        ("person", "man", "woman", "guy", "people", "human", "somebody", "someone"),
        ("fak", "forg", "forgery"),
        ("reason", "ground", "justif"),
        ("check", "test", "examin", "analys", "inspect"),
        ("find", "evidenc", "sign", "clu"),
        ("recommend", "advic", "suggest"),
        ("jpeg", "jpg", "compression", "compress"),
        ("wrong", "mistaken", "incorrect"),
        ("metadata", "exif", "data"),
        ("thank", "thx", "cheer"),
        ("just", "only", "merely", "simply"),
    )
    for word in group
}
"""Stems that mean much the same in such questions."""


def kind_of(question: str, more: Mapping[str, Sequence[str]] | None = None) -> str | None:
    """The kind of a question, by the wording that it is most like; None if it is like none.

    more: further kinds with their wordings.
    """
    asked = _stems(question)
    best, likeness = None, ALIKE
    for kind, wordings in (*QUESTIONS.items(), *(more or {}).items()):
        for wording in wordings:
            if (found := _likeness(asked, _stems(wording))) > likeness:
                best, likeness = kind, found
    return best


def _likeness(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared words over all words, rare ones counting more: 0 to 1."""
    union = sum(map(_weight, a | b))
    return sum(map(_weight, a & b)) / union if union else 0.0


@cache
def _stems(text: str) -> frozenset[str]:
    plain = re.sub(r"['’](?:s\b)?", "", text.lower())
    stems = (_ENDINGS.sub("", word) for word in re.findall(r"[a-z0-9]+", plain))
    return frozenset(_SAME.get(stem, stem) for stem in stems)


def _weight(stem: str) -> float:
    return max(0.2, math.log(len(QUESTIONS) / (1 + _spread()[stem])))


@cache
def _spread() -> Counter[str]:
    """In how many kinds of questions a stem occurs."""
    return Counter(
        stem
        for wordings in QUESTIONS.values()
        for stem in frozenset().union(*(_stems(wording) for wording in wordings))
    )
