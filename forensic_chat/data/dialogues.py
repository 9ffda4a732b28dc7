"""Training conversations, built only from what an examination holds.

The first exchange answers the verdict question with the verdict and two to five claims; two to five
follow-ups of randomly chosen kinds come after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from forensic_chat.data.case import Case
from forensic_chat.data.examinations import random_examination
from forensic_chat.data.followups import FOLLOW_UPS, explaining
from forensic_chat.data.protocol import VERDICT_QUESTION, answer_prefix
from forensic_chat.data.rationales import rationale
from forensic_chat.schema import Finding, Label, Probabilities, Region

__all__ = ["Case", "Exchange", "dialogue", "random_examination", "verdict_answer"]


@dataclass(frozen=True)
class Exchange:
    """A question and its answer, both plain text."""

    question: str
    answer: str


def dialogue(
    findings: Sequence[Finding],
    regions: Sequence[Region],
    verdict_label: Label,
    probabilities: Probabilities,
    image_size: tuple[int, int],
    rng: Random,
    truth: str | None = None,
) -> list[Exchange]:
    """A conversation about one examined image: the verdict question, then two to five follow-ups.

    `image_size` is (width, height); `findings` must not be empty. `truth` is kept with the case and never
    written: the conversation holds what was measured, right or wrong.
    """
    case = Case(findings, regions, verdict_label, probabilities, image_size, truth)
    exchanges = [Exchange(VERDICT_QUESTION, verdict_answer(case, rng))]
    asked = rng.sample(FOLLOW_UPS, rng.randint(2, 5))
    if rng.random() < 0.4:
        asked[rng.randint(0, len(asked) - 1)] = explaining(rng.choice(list(findings)))
    for follow_up in asked:
        known = replace(
            case,
            questions=[exchange.question for exchange in exchanges[1:]],
            earlier=[exchange.answer for exchange in exchanges],
        )
        question = _spelled(rng.choice(follow_up.questions), rng)
        exchanges.append(Exchange(question, follow_up.answer(known, rng)))
    return exchanges


def verdict_answer(case: Case, rng: Random) -> str:
    """The answer to the verdict question: the forced first line, then a claim on each line."""
    prefix = answer_prefix(case.label, case.probabilities)
    return prefix + "\n".join(f"- {claim}" for claim in rationale(case, rng))


def _spelled(question: str, rng: Random) -> str:
    """Now and then as people type: lower case, without the final mark."""
    return question.lower().rstrip(".?!") if rng.random() < 0.15 else question
