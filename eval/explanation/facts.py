"""Factual Accuracy: each sentence of an answer, held against the system's own measurements and the truth.

A sentence with citations is checked as in the product (`forensic_chat.mllm.verify`), with the mask-out test
made against the true mask. One without is checked for what can be known: numbers, places, what was done and
by what, things that the picture is said to show.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eval.explanation.grounding import masked_out
from eval.explanation.objects import things
from eval.explanation.reading import Reading, asserted, boxes, speaks_of_probability, without_boxes
from eval.explanation.truth import GENERATORS, Truth
from forensic_chat.mllm.claims import ParsedClaim
from forensic_chat.mllm.numbers import foreign_number
from forensic_chat.mllm.positions import misplaced
from forensic_chat.mllm.verify import RegionTest, verify
from forensic_chat.mllm.vocabulary import Polarity, general, polarities
from forensic_chat.schema import Finding, Label, Region

Outcome = Literal["true", "unproven", "false"]
WORTH: dict[Outcome, float] = {"true": 1.0, "unproven": 0.5, "false": 0.0}
_SHARE = re.compile(
    r"(\d+(?:\.\d+)?)\s?(?:%|per ?cent) of (?:the|this|its) (?:image|picture|photo|pixels|area)"
)
_SIZE = re.compile(r"(?<!\d)(\d{2,5})\s?(?:x|×|by)\s?(\d{2,5})(?!\d)")
_MAKERS = re.compile(rf"\b(?:{'|'.join(GENERATORS.values())})(?:[ -]?v?\d+(?:\.\d+)*)?")
"""Their version numbers are none of the image's."""


@dataclass(frozen=True)
class Evidence:
    """What a system says that it measured."""

    findings: Sequence[Finding] = ()
    regions: Sequence[Region] = ()


@dataclass(frozen=True)
class Fact:
    """A sentence and what became of it."""

    text: str
    outcome: Outcome
    why: str


def facts(
    reading: Reading, truth: Truth, evidence: Evidence, label: Label | None, general_asked: bool
) -> list[Fact]:
    """The sentences that say something about the image, each judged; small talk is left out.

    label: the system's verdict. general_asked: the instruction asks for rules, so that a general sentence
    bound to a finding is as good as a measured one.
    """
    found = []
    for piece in reading.pieces:
        if _cites(piece):
            fact = _cited(piece, truth, evidence, label or "inconclusive", general_asked)
        else:
            fact = _bare(piece.text, truth, evidence)
        if fact is not None:
            found.append(fact)
    return found


def accuracy(found: Sequence[Fact]) -> float:
    """0..1: the mean worth; a half where nothing was said that could be checked."""
    return sum(WORTH[fact.outcome] for fact in found) / len(found) if found else WORTH["unproven"]


def _cites(piece: ParsedClaim) -> bool:
    return bool(piece.findings or piece.region)


def _cited(
    piece: ParsedClaim, truth: Truth, evidence: Evidence, label: Label, general_asked: bool
) -> Fact | None:
    claim = verify(
        piece,
        evidence.findings,
        evidence.regions,
        label,
        image_size=truth.size,
        region_test=None if truth.label == "synthetic" else lambda region: _masked(region, truth),
    )
    if claim.verified is False:
        return Fact(piece.text, "false", claim.check)
    if wrong := untrue(piece.text, truth):
        return Fact(piece.text, "false", wrong)
    if seen := _seen(piece.text, truth):
        return seen
    if claim.verified is None and general(piece.text):
        return Fact(piece.text, "true", "a general statement about a finding") if general_asked else None
    return Fact(piece.text, "true" if claim.verified else "unproven", claim.check)


def _masked(region: Region, truth: Truth) -> RegionTest:
    return masked_out(region.box, truth.boxes, truth.size)


def _bare(text: str, truth: Truth, evidence: Evidence) -> Fact | None:
    """A sentence without citations; None if it says nothing about the image that matters here."""
    says = polarities(text)
    stated = asserted(text)
    for wrong in (
        untrue(text, truth, denials=True),
        _number(text, truth, evidence),
        _place(text, truth, says),
    ):
        if wrong:
            return Fact(text, "false", wrong)
    if seen := _seen(text, truth):
        return seen
    if general(text):
        return None
    if "artefact" in says and truth.label == "real" and not stated:
        return Fact(text, "false", "asserts an artefact of an untouched photo")
    if _placed(text, truth, says):
        return Fact(text, "true", "the change is there")
    if stated or speaks_of_probability(text) or says == {"stated"}:
        return None
    return Fact(text, "unproven", "nothing that was measured stands behind it")


def untrue(text: str, truth: Truth, denials: bool = False) -> str | None:
    """The known statement that the sentence contradicts: it asserts a false one or, with `denials`, denies a
    true one (a measurement that found nothing is a true sentence about the measurement)."""
    if general(text):
        return None
    says = polarities(text)
    for statement in truth.statements:
        if not statement.words or not re.search(rf"\b(?:{statement.words})\b", text.lower()):
            continue
        if "artefact" in says and not statement.true:
            return f"says what is false: {statement.text}"
        if denials and says == {"clean"} and statement.true:
            return f"denies what is true: {statement.text}"
    return None


def _seen(text: str, truth: Truth) -> Fact | None:
    """Things named: there, not there, or not known."""
    named = things(text)
    if not named:
        return None
    there, absent = (
        {thing for s in truth.statements if s.true == true for thing in things(s.text)}
        for true in (True, False)
    )
    if lacking := named & (absent - there):
        return Fact(text, "false", f"names what is not there: {', '.join(sorted(lacking))}")
    if unknown := named - there:
        return Fact(text, "unproven", f"names what is not known to be there: {', '.join(sorted(unknown))}")
    return Fact(text, "true", f"names what is there: {', '.join(sorted(named))}")


def _number(text: str, truth: Truth, evidence: Evidence) -> str | None:
    """A number that nobody measured, or None; a stated probability is none of the image's numbers."""
    for box in boxes(text):
        if box[2] > truth.size[0] or box[3] > truth.size[1]:
            return f"gives the box {list(box)}, which lies outside the image"
    bare = _MAKERS.sub(" ", without_boxes(text).lower())
    for width, height in _SIZE.findall(bare):
        if (int(width), int(height)) != truth.size and (width, height) != ("8", "8"):
            return f"writes {width}x{height}, which is not the image's size"
    bare = _SIZE.sub(" ", bare)
    for share in _SHARE.findall(bare):
        if truth.label != "synthetic" and abs(float(share) / 100 - truth.area) > max(0.05, truth.area / 2):
            return f"writes {share} % of the image, where {100 * truth.area:.0f} % were changed"
    bare = _SHARE.sub(" ", bare)
    if speaks_of_probability(bare) or not re.search(r"\d", bare):
        return None
    wrong = foreign_number(bare, list(evidence.findings), None)
    return f"writes {wrong}, which nothing measured" if wrong and re.search(r"\d", wrong) else None


def _place(text: str, truth: Truth, says: set[Polarity]) -> str | None:
    """Why a place is wrong for an image whose changed parts are known, or None."""
    if truth.label == "synthetic" or "artefact" not in says or general(text):
        return None
    if not truth.boxes:
        return "gives a place of change in an untouched photo" if boxes(text) else None
    for box in boxes(text):
        if not masked_out(box, truth.boxes, truth.size).passed:
            return f"gives the box {list(box)}, which does not hold the change"
    wrong = [misplaced(text, _region(box), truth.size) for box in truth.boxes]
    return "places the change where it is not" if all(wrong) else None


def _placed(text: str, truth: Truth, says: set[Polarity]) -> bool:
    """Whether the sentence gives a place of the change at all (that it is right was checked before)."""
    named = misplaced(text, None, truth.size) is not None
    return bool(truth.boxes) and "artefact" in says and (named or bool(boxes(text)))


def _region(box: tuple[int, int, int, int]) -> Region:
    return Region(id="R1", box=box, area=0.0, score=0.0)
