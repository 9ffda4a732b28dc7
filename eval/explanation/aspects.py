"""The five aspects of ExplainFake-Bench (Forensic-Chat, arXiv 2509.25502), scored by code.

The paper's judge, its scale and its prompt are not published: this is our reading of the aspects, and needs
no judge, so that a score means the same everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from eval.explanation.consistency import consistency, contradictions
from eval.explanation.facts import Evidence, Fact, accuracy, facts
from eval.explanation.grounding import box_iou
from eval.explanation.instructions import Asked, hygiene
from eval.explanation.kinds import KINDS
from eval.explanation.reading import Reading, read
from eval.explanation.specificity import specificity
from eval.explanation.truth import Truth
from forensic_chat.schema import Box, Label

Aspect = Literal[
    "correctness", "specificity", "logical_consistency", "factual_accuracy", "instruction_following"
]
ASPECTS: tuple[Aspect, ...] = (
    "correctness",
    "specificity",
    "logical_consistency",
    "factual_accuracy",
    "instruction_following",
)
WRONG, UNDECIDED = 20.0, 50.0
"""No aspect is higher than this for a wrong verdict (an unparsable one is wrong), or for `inconclusive`."""
ABSTAINED = 30.0
"""Correctness of `inconclusive`: worth more than a wrong verdict, less than a right one."""


@dataclass(frozen=True)
class Heard:
    """What one system said about one item."""

    kind: str
    wording: int
    answers: tuple[Reading, ...]
    """One for each turn, the opening's first; the last may be the opening's own."""
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def verdict(self) -> Label | None:
        """The last verdict stated; None if the last answer had to state one and didn't, or none did."""
        last = self.answers[-1].label
        if last is None and KINDS[self.kind].states:
            return None
        return next((answer.label for answer in reversed(self.answers) if answer.label), None)

    @property
    def tested(self) -> Reading:
        """The answer that evidence is read off."""
        return self.answers[-1] if KINDS[self.kind].cites else self.answers[0]

    @property
    def own_words(self) -> Reading:
        """The answer that must be about this image alone: a rule is about all."""
        return self.answers[0] if KINDS[self.kind].general else self.tested

    @property
    def boxes(self) -> list[Box]:
        """All places named, in boxes or by region."""
        places = {region.id: region.box for region in self.evidence.regions}
        found = [box for answer in self.answers for box in answer.boxes]
        cited = [piece.region for answer in self.answers for piece in answer.pieces]
        return list(dict.fromkeys([*found, *(places[name] for name in cited if name in places)]))


@dataclass(frozen=True)
class Scored:
    """One item's scores and what they rest on."""

    aspects: dict[Aspect, float]
    """0..100 each."""
    verdict: Label | None
    iou: float | None
    """Of the places named with the boxes of the changed parts; for tampered images."""
    facts: list[Fact]
    contradictions: list[str]
    failed: list[str]
    """Checks of the instruction that the answer fails."""


def heard(kind: str, wording: int, answers: Sequence[str], evidence: Evidence) -> Heard:
    """Read the answers of one conversation; a missing one is empty."""
    turns = 1 + len(KINDS[kind].wordings[wording])
    texts = [*answers, *[""] * turns][:turns]
    return Heard(kind, wording, tuple(map(read, texts)), evidence)


def score(what: Heard, truth: Truth, others: Sequence[Heard]) -> Scored:
    """Score one item. others: what the same system said to the same question about other images."""
    kind = KINDS[what.kind]
    found = facts(what.tested, truth, what.evidence, what.verdict, kind.general)
    contradicted = contradictions(what.answers)
    failed, followed = _followed(what)
    iou = box_iou(what.boxes, truth.boxes, truth.size) if truth.label == "tampered" else None
    shares = {
        "correctness": _correctness(what.verdict, truth.label, iou),
        "specificity": 100 * specificity(what.own_words, [other.own_words for other in others]),
        "logical_consistency": 100 * consistency(contradicted),
        "factual_accuracy": 100 * accuracy(found),
        "instruction_following": 100 * followed,
    }
    cap = _cap(what.verdict, truth.label)
    aspects = {aspect: round(min(cap, shares[aspect]), 2) for aspect in ASPECTS}
    return Scored(aspects, what.verdict, iou, found, contradicted, failed)


def _correctness(verdict: Label | None, label: Label, iou: float | None) -> float:
    """The verdict is half of it for a tampered image, the place the other half."""
    if verdict == "inconclusive":
        return ABSTAINED
    if verdict != label:
        return 0.0
    return 100.0 if iou is None else 50 + 50 * iou


def _cap(verdict: Label | None, label: Label) -> float:
    if verdict == "inconclusive":
        return UNDECIDED
    return 100.0 if verdict == label else WRONG


def _followed(what: Heard) -> tuple[list[str], float]:
    """The checks that fail; the share of the kind's own that hold, times that of what every answer must be."""
    kind = KINDS[what.kind]
    asked = Asked(what.answers[-1], what.answers[0], kind.language(what.wording))
    failed, share = [], 1.0
    for checks in (kind.checks, hygiene()):
        lacking = [check.__name__ for check in checks if not check(asked)]
        failed += lacking
        share *= 1 - len(lacking) / len(checks)
    return failed, share
