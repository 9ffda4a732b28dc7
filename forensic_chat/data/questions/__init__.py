"""Questions that people ask about an examined image, in many wordings a kind, and what kind a question is.

The wordings, a text file a group, are training text; and by them a question is recognised in use, so that the answer
can be held to its topic and code can answer where the language model can't.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise

__all__ = ["QUESTIONS", "kind_of", "most_alike", "wording_of", "wordings"]

GROUPS = ("verdict", "evidence", "beyond", "conversation", "looks")
KNOWN = 0.27
"""Posterior from which a question is of a kind; chosen, as SMOOTHING was, on every second question of
tests/unit/asked.txt, from a writer who knew two wordings of each kind."""
SMOOTHING = 0.05
ALIKE = 0.55
"""Likeness from which a question is the one that a wording asks."""

_ENDINGS = re.compile(r"(?<=[a-z]{3})(?:ing|ed|es|s|e|ly)$")


def wordings(text: str) -> dict[str, tuple[str, ...]]:
    """The wordings of a file, by kind: a line each, below the kind's name in brackets."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if heading := re.fullmatch(r"\[([\w -]+)\]", line):
            found[heading[1]] = []
        elif line and not line.startswith("#"):
            found[list(found)[-1]].append(line)
    return {kind: tuple(lines) for kind, lines in found.items()}


QUESTIONS: dict[str, tuple[str, ...]] = {
    kind: found
    for group in GROUPS
    for kind, found in wordings(files(__name__).joinpath(f"{group}.txt").read_text("utf-8")).items()
}
"""By kind."""


def kind_of(question: str) -> str | None:
    """The kind of a question; None if it is of none.

    By naive Bayes over its stems and pairs of them: tf-idf weights of unit length (Rennie et al. 2003), kinds equally
    likely.
    """
    known = _known()
    weights = known.weights(question)
    score = {
        kind: sum(weights.values()) * (math.log(SMOOTHING) - math.log(total + SMOOTHING * len(known.rarity)))
        for kind, total in known.totals.items()
    }
    for feature, weight in weights.items():
        for kind, count in known.counts[feature].items():
            score[kind] += weight * math.log(1 + count / SMOOTHING)
    best = max(score, key=score.__getitem__)
    posterior = 1 / sum(math.exp(other - score[best]) for other in score.values())
    return best if posterior > KNOWN else None


def wording_of(question: str) -> str | None:
    """The kind of which a question is a wording, but for signs and capitals; None if it is none."""
    return _wordings().get(_words(question))


def most_alike(question: str, among: Mapping[str, Sequence[str]]) -> str | None:
    """Under which key the wording stands that a question is most like; None if it is like none."""
    asked = frozenset(_stems(question))
    best, likeness = None, ALIKE
    for key, each in among.items():
        for wording in each:
            if (found := _likeness(asked, frozenset(_stems(wording)))) > likeness:
                best, likeness = key, found
    return best


def _likeness(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared words over all words, rare ones counting more: 0 to 1."""
    rarity, rarest = _known().rarity, _known().rarest
    union = sum(rarity.get(stem, rarest) for stem in a | b)
    return sum(rarity.get(stem, rarest) for stem in a & b) / union if union else 0.0


class _Known:
    """What the wordings hold: of each feature its rarity and its weight in each kind."""

    def __init__(self) -> None:
        read = [(kind, _features(wording)) for kind, each in QUESTIONS.items() for wording in each]
        spread = Counter(feature for _, features in read for feature in features)
        self.rarity = {feature: 1 + math.log(len(read) / count) for feature, count in spread.items()}
        self.rarest = max(self.rarity.values())
        self.counts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.totals = dict.fromkeys(QUESTIONS, 0.0)
        for kind, features in read:
            for feature, weight in self._unit(features).items():
                self.counts[feature][kind] += weight
                self.totals[kind] += weight

    def weights(self, question: str) -> dict[str, float]:
        return self._unit(feature for feature in _features(question) if feature in self.rarity)

    def _unit(self, features: Iterable[str]) -> dict[str, float]:
        weights = {feature: self.rarity[feature] for feature in features}
        length = math.hypot(*weights.values()) or 1.0
        return {feature: weight / length for feature, weight in weights.items()}


@cache
def _known() -> _Known:
    return _Known()


@cache
def _wordings() -> dict[tuple[str, ...], str]:
    return {_words(wording): kind for kind, each in QUESTIONS.items() for wording in each}


def _features(text: str) -> list[str]:
    """Stems and pairs of stems, the text's ends among them, each once."""
    stems = _stems(text)
    ends = ("^", *stems, "$")
    return list(dict.fromkeys([*stems, *(f"{a} {b}" for a, b in pairwise(ends))]))


def _stems(text: str) -> tuple[str, ...]:
    return tuple(_ENDINGS.sub("", word) for word in _words(text))


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z0-9]+", re.sub(r"['’](?:s\b)?", "", text.lower())))
