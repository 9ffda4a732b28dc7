"""Logical Consistency: what an answer says in one place against what it says in another. The truth plays no
part.
"""

import re
from collections.abc import Sequence
from math import prod

from eval.explanation.reading import Reading, asserted, speaks_of_probability
from forensic_chat.mllm.claims import ParsedClaim
from forensic_chat.mllm.vocabulary import KINDS, general, polarities

KEEPS = {
    "the verdict changes between turns": 0.3,
    "another label is asserted beside the verdict": 0.4,
    "the probability contradicts the verdict": 0.5,
    "the probability changes between turns": 0.6,
    "an artefact is asserted on a verdict of real": 0.4,
    "nothing that is asserted supports a fake verdict": 0.5,
    "two sentences contradict each other": 0.4,
}
"""Contradiction -> the share of the score that it leaves; several multiply."""
LEAST = 1 / 3
"""A label of three with a lower probability than this is not the likeliest one."""
SAME = 0.05
"""Probabilities that differ by no more than this are the same, rounded."""


def contradictions(answers: Sequence[Reading]) -> list[str]:
    """The names in `KEEPS` that apply to a conversation's answers, the opening's first."""
    label = next((answer.label for answer in answers if answer.label), None)
    pieces = [piece for answer in answers for piece in answer.pieces]
    specific = [piece for piece in dict.fromkeys(pieces) if not general(piece.text)]
    reasons = [piece for piece in answers[0].pieces if not _about_verdict(piece) and not general(piece.text)]
    holds = {
        "the verdict changes between turns": len({a.label for a in answers if a.label}) > 1,
        "another label is asserted beside the verdict": any(
            asserted(piece.text) - {answer.label or label} for answer in answers for piece in answer.pieces
        ),
        "the probability contradicts the verdict": any(map(_probability_contradicts, answers)),
        "the probability changes between turns": _probability_changes(answers),
        "an artefact is asserted on a verdict of real": label == "real"
        and any(asserts_artefact(piece) for piece in specific),
        "nothing that is asserted supports a fake verdict": label in ("synthetic", "tampered")
        and bool(reasons)
        and not any(map(asserts_artefact, reasons)),
        "two sentences contradict each other": _sentences_contradict(specific),
    }
    return [name for name, applies in holds.items() if applies]


def consistency(found: Sequence[str]) -> float:
    """0..1: the product of what `contradictions` leave."""
    return prod(KEEPS[name] for name in found)


def _probability_contradicts(answer: Reading) -> bool:
    if answer.probability is None or answer.label in (None, "inconclusive"):
        return False
    of, value = answer.probability
    if of == "label":
        return value < LEAST
    return value > 0.5 if answer.label == "real" else value < 0.5


def _probability_changes(answers: Sequence[Reading]) -> bool:
    stated = [answer.probability for answer in answers if answer.probability]
    return any(
        of == other and abs(value - again) > SAME + 1e-9
        for k, (of, value) in enumerate(stated)
        for other, again in stated[k + 1 :]
    )


def asserts_artefact(piece: ParsedClaim) -> bool:
    """Whether a sentence gives an artefact as evidence."""
    return "artefact" in polarities(piece.text) and not _about_verdict(piece)


def _about_verdict(piece: ParsedClaim) -> bool:
    """Whether a sentence states the verdict or its probability: no evidence, whatever its words."""
    return speaks_of_probability(piece.text) or bool(asserted(piece.text))


def _sentences_contradict(pieces: Sequence[ParsedClaim]) -> bool:
    """Whether of one finding, or one kind of trace, one sentence asserts what another denies."""
    said: dict[str, set[str]] = {}
    for piece in pieces:
        says = polarities(piece.text)
        if says in ({"artefact"}, {"clean"}):
            for topic in _topics(piece):
                said.setdefault(topic, set()).update(says)
    return any(len(says) > 1 for says in said.values())


def _topics(piece: ParsedClaim) -> list[str]:
    if piece.findings:
        return list(piece.findings)
    lowered = piece.text.lower()
    return [kind for kind, words in KINDS.items() if re.search(rf"\b(?:{words.own})\b", lowered)]
