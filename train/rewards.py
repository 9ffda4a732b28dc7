"""What GRPO rewards in an answer to the verdict question, as plain functions of one answer.

Each returns a number in the range its docstring names, or None where it does not apply: TRL leaves None out of the
sum. Starting points are the published rewards of FakeXplain (ramped grounding, format), Defake-o3 (verdict, evidence
verifier) and Veritas (low weight on form); the verifier is the product's own, `forensic_chat.mllm.verify`. How each
could be gamed, and what keeps it from paying, is said with it and tested in tests/unit/test_rewards.py.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from forensic_chat.errors import AnswerUnparsable
from forensic_chat.mllm.claims import ParsedClaim, parse_rationale
from forensic_chat.mllm.numbers import without_values
from forensic_chat.mllm.verify import GENERAL, verify
from forensic_chat.mllm.vocabulary import polarities
from forensic_chat.schema import Box, Claim, Label
from forensic_chat.scoring.text import distinct, rouge_l, words
from train.examinations import Examined

FEWEST, MOST = 2, 5
"""Claims of a rationale."""
SHORT, LONG, TOO_LONG = 25, 95, 150
"""Words of a rationale: from, to, and where nothing is left of the reward. Our own have 23 to 95."""
ABSTAINED, WRONG_KIND = 0.3, 0.25
"""Verdict reward of `inconclusive`, and of calling one kind of fake the other."""
ALIKE = 0.45
"""Similarity with rationales of other images below which nothing more is won."""
FLUENT, BROKEN = -1.5, -3.5
"""Mean log-probability of a token under the frozen reference, in nats: from where it is ordinary language, and where
it no longer is."""

_LABEL = re.compile(rf"^({'|'.join(get_args(Label))}) \d\.\d\d$")
_LINE = re.compile(r"^- \S.* \[[ER]\d+(?:, [ER]\d+)*\](?:\[R\d+\])?$")
_BOX = re.compile(r"\[(\d+),(\d+),(\d+),(\d+)\]")
_INVENTED = re.compile(r"^(?:cites \w+, which does not exist|writes |quotes )")


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model wrote about one image, and what it is held against."""

    text: str
    """Behind `prefix`."""
    examined: Examined
    prefix: str = ""
    """The forced first line, newline included; empty where the model had to state the verdict itself."""
    progress: float = 1.0
    """Share of the training that is over, 0..1."""
    others: Sequence[str] = ()
    """Rationales about other images."""
    reference: float | None = None
    """Mean log-probability of its tokens under the frozen reference, in nats."""
    finished: bool = True
    """Whether the model ended it."""

    @cached_property
    def label(self) -> Label | None:
        """The verdict it is about: the forced one, or the one in its first line; None if there is none."""
        first = (self.prefix + self.text).partition("\n")[0]
        stated = _LABEL.match(first)
        return stated[1] if stated else None  # type: ignore[return-value]

    @cached_property
    def lines(self) -> list[str]:
        """Without the line of the verdict."""
        lines = [line.strip() for line in (self.prefix + self.text).splitlines()]
        return [line for line in lines[1 if self.label else 0 :] if line]

    @cached_property
    def parsed(self) -> list[ParsedClaim]:
        """As the product reads it; nothing if it can't be read."""
        try:
            return parse_rationale(self.prefix + self.text)
        except AnswerUnparsable:
            return []

    @cached_property
    def claims(self) -> list[Claim]:
        """Each claim with its check, as the product runs it; nothing without a verdict."""
        if self.label is None:
            return []
        return [
            verify(
                claim,
                self.examined.findings,
                self.examined.regions,
                self.label,
                image_size=self.examined.size,
                region_test=self.examined.region_test,
            )
            for claim in self.parsed
        ]

    @cached_property
    def boxes(self) -> list[Box]:
        """What its claims give as places: boxes of cited regions, and boxes written out."""
        places = {region.id: region.box for region in self.examined.regions}
        cited = [places[claim.region] for claim in self.parsed if claim.region in places]
        written = [box for claim in self.parsed for box in _BOX.findall(claim.text)]
        return list(dict.fromkeys([*cited, *((int(a), int(b), int(c), int(d)) for a, b, c, d in written)]))


def invented(claim: Claim) -> bool:
    """Whether a checked claim cites a finding or region that does not exist, or holds a number or a quotation that
    none of what it cites has."""
    return claim.verified is False and _INVENTED.match(claim.check) is not None


def accusing(answer: Answer) -> int:
    """How many of its claims assert an artefact."""
    known = {finding.id: finding for finding in answer.examined.findings}
    claims = [
        without_values(claim.text, [known[name] for name in claim.findings if name in known])
        for claim in answer.parsed
    ]
    return sum("artefact" in polarities(text) for text in claims)


def form(answer: Answer) -> float:
    """0..1: whether the product can read it: the share of lines `- sentence [citations]`, halved for each of: fewer
    than two or more than five claims, a missing end. 0 if no claim can be read or there is no verdict.

    Gamed by many short lines (halved), by one line again and again (only different ones count).
    """
    if not answer.parsed or answer.label is None:
        return 0.0
    share = len({line for line in answer.lines if _LINE.match(line)}) / len(answer.lines)
    return share * 0.5 ** ((not FEWEST <= len(answer.lines) <= MOST) + (not answer.finished))


def verdict(answer: Answer) -> float | None:
    """-0.5..1: right 1; `inconclusive` 0.3; the other kind of fake 0.25; a fake passed as real 0; a real image accused,
    or no verdict, -0.5 (Defake-o3 and Veritas: right or wrong). None where the verdict was forced.

    Gamed by a constant word: on balanced classes always accusing brings 0.25, always `real` 0.33, abstaining 0.3.
    """
    if answer.prefix:
        return None
    stated, truth = answer.label, answer.examined.truth
    if stated == truth:
        return 1.0
    if stated == "inconclusive":
        return ABSTAINED
    if stated is None or truth == "real":
        return -0.5
    return 0.0 if stated == "real" else WRONG_KIND


def grounding(answer: Answer) -> float | None:
    """0..1: min(1, 1.1 IoU) of all claimed boxes with the true mask, times a weight that grows from 0.5 to 1 over the
    training, else boxes fragment early (FakeXplain). For tampered images whose examination has a region.

    Gamed by naming every region or the whole image: the union counts, so surplus area costs; by naming none: 0.
    """
    mask = answer.examined.changed()
    if mask is None or not answer.examined.regions or answer.label not in ("tampered", "inconclusive"):
        return None
    ramp = 0.5 + 0.5 * min(1.0, max(0.0, answer.progress))
    return ramp * min(1.0, 1.1 * iou(answer.boxes, mask, answer.examined.size))


def iou(boxes: Sequence[Box], mask: NDArray[np.bool_], size: tuple[int, int]) -> float:
    """0..1: intersection over union of the area that boxes cover with a mask (h, w) of an image of `size`
    (width, height)."""
    height, width = mask.shape
    drawn = np.zeros_like(mask)
    for x0, y0, x1, y1 in boxes:
        left, right = round(x0 * width / size[0]), round(x1 * width / size[0])
        top, bottom = round(y0 * height / size[1]), round(y1 * height / size[1])
        drawn[top : max(bottom, top + 1), left : max(right, left + 1)] = True
    either = int((drawn | mask).sum())
    return float((drawn & mask).sum()) / either if either else 0.0


def evidence(answer: Answer) -> float:
    """-1..1: the share of claims that code verifies, a general statement counting half, less 0.5 for each finding,
    number or quotation that was made up (Defake-o3's evidence verifier). -1 if no claim can be read.

    Gamed by saying one safe thing several times: of claims on the same findings and region only the first counts, as
    in the product; by general statements alone: half.
    """
    if not answer.claims:
        return -1.0
    seen: set[tuple[tuple[str, ...], str | None]] = set()
    total = 0.0
    for claim in answer.claims:
        key = (tuple(sorted(claim.findings)), claim.region)
        if invented(claim):
            total -= 0.5 * len(answer.claims)
        elif claim.check == GENERAL:
            total += 0.5 * (key not in seen)
        elif claim.verified:
            total += key not in seen
        seen.add(key)
    return max(-1.0, total / len(answer.claims))


def specificity(answer: Answer) -> float | None:
    """0..1: how unlike it is what was said about other images: 1 up to a mean ROUGE-L of 0.45, 0 at a copy. None
    without others.

    Gamed by odd wording: nothing is won beyond the bar, and `language` and `evidence` cost more.
    """
    if not answer.others:
        return None
    mine = words(answer.text)
    if not mine:
        return 0.0
    alike = [rouge_l(mine, words(other)) for other in answer.others]
    mean, most = sum(alike) / len(alike), max(alike)
    # one near copy is a template too: the most similar counts from twice as far
    return max(0.0, min(1.0, (1 - mean) / (1 - ALIKE), 2 * (1 - most)))


def restraint(answer: Answer) -> float | None:
    """0 or 1: whether nothing is called an artefact on a `real` verdict, or on a real image whose verdict the model
    gave itself. None elsewhere.

    Gamed by saying nothing that can be read: 0.
    """
    free = not answer.prefix and answer.examined.truth == "real"
    if answer.label != "real" and not free:
        return None
    return float(bool(answer.parsed) and not accusing(answer))


def length(answer: Answer) -> float:
    """0..1: 1 from 25 to 95 words, falling to 0 at none and at 150.

    Gamed by padding: padding fails its check or repeats, which costs more than it brings.
    """
    count = len(" ".join(answer.lines).split())
    if count < SHORT:
        return count / SHORT
    return min(1.0, max(0.0, (TOO_LONG - count) / (TOO_LONG - LONG)))


def language(answer: Answer) -> float:
    """0..1: whether it still is language: the mean log-probability under the frozen reference from -3.5 (0) to -1.5
    nats (1), times how few of its three-word runs repeat. Without a reference, the second alone.

    Gamed by repetition, which a language model finds likely: the runs say so; by stock text: bounded by 1, and
    `specificity` costs.
    """
    varied = distinct([answer.text], 3)
    if answer.reference is None:
        return varied
    return varied * min(1.0, max(0.0, (answer.reference - BROKEN) / (FLUENT - BROKEN)))


Reward = Callable[[Answer], float | None]
REWARDS: tuple[Reward, ...] = (
    form,
    verdict,
    grounding,
    evidence,
    specificity,
    restraint,
    length,
    language,
)


def total(answer: Answer, weights: Sequence[float]) -> tuple[float, dict[str, float | None]]:
    """The weighted sum of the rewards that apply, as TRL sums them, and each by name."""
    each = {reward.__name__: reward(answer) for reward in REWARDS}
    return sum(
        weight * value for weight, value in zip(weights, each.values(), strict=True) if value is not None
    ), each
