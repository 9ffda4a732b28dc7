"""Checks a claim against what was measured, by code alone.

A claim is verified when it cites findings that exist, writes only their numbers, speaks of what they are,
asserts an artefact only where they support one, places it where the region is, and, where it gives a region
as the reason for a fake verdict, the verdict depends on that region.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forensic_chat.data.case import Case
from forensic_chat.data.protocol import low, rare, says_something, seldom, suspicious
from forensic_chat.data.sentences import PHRASES
from forensic_chat.data.terms import TERMS
from forensic_chat.mllm.claims import ParsedClaim, sentences
from forensic_chat.mllm.numbers import (
    foreign_number,
    foreign_quote,
    quotes_region,
    quotes_value,
    without_values,
)
from forensic_chat.mllm.positions import misplaced
from forensic_chat.mllm.vocabulary import (
    HEDGED,
    Polarity,
    absence_fault,
    called_real,
    clauses,
    general,
    measures,
    odd,
    polarities,
    speaks_of,
    stray_word,
    supported_labels,
    topics,
)
from forensic_chat.schema import Claim, Finding, Label, Probabilities, Region


@dataclass(frozen=True)
class RegionTest:
    """Outcome of masking a region out: `percentile` of random same-area boxes that lower the verdict's logit
    less."""

    passed: bool
    percentile: float


GENERAL = "a general statement, not checkable by code"
"""The check of a claim on how photos, cameras or generators are."""
_ID = re.compile(r"\b[ER]\d+\b")
DEFINITIONS = frozenset(
    sentence.strip()
    for text in (*(words.explain for words in PHRASES.values()), *(term.means for term in TERMS))
    for sentence in sentences(text)
)
"""What tests and words are, said of no image."""


class _FailedError(Exception):
    """A check failed; the message says which."""


def verify(
    claim: ParsedClaim,
    findings: Sequence[Finding],
    regions: Sequence[Region],
    verdict_label: Label,
    *,
    image_size: tuple[int, int],
    region_test: Callable[[Region], RegionTest] | None = None,
) -> Claim:
    """The claim with `verified` and `check`: True, False, or None when nothing in it can be checked by code.

    `image_size` is (width, height); `region_test` is called at most once, only for an artefact claim that
    cites a region and a finding in favour of the fake verdict, and has passed every other check.
    """
    verified: bool | None
    try:
        cited, region = _cited(claim, findings, regions)
        drew = cited or [finding for finding in findings if finding.region == claim.region]
        verified, check = _judge(claim, cited, region, drew, verdict_label, image_size)
        accuses = verdict_label in ("synthetic", "tampered") and any(
            suspicious(finding) and finding.supports == verdict_label for finding in drew
        )
        if (
            verified
            and accuses
            and region
            and region_test
            and "artefact" in polarities(without_values(claim.text, cited))
        ):
            check += "; " + _masking(region, region_test)
    except _FailedError as failure:
        verified, check = False, str(failure)
    return Claim(
        text=claim.text, findings=list(claim.findings), region=claim.region, verified=verified, check=check
    )


def passed(claim: Claim) -> bool:
    """Whether a checked claim may stand unmarked: it is verified, or a general statement."""
    return claim.verified is True or claim.check == GENERAL


def grounded(write: Callable[[Case], str], case: Case, check: Callable[[str], Sequence[Claim]]) -> str:
    """What code writes about a case, so that no claim fails its check by giving as a reason for the verdict a
    region on which it does not rest."""
    failed: set[str] = set()
    while True:
        text = write(case.without_reasons(failed))
        new = {claim.region for claim in check(text) if claim.region and claim.verified is False} - failed
        if not new:
            return text
        failed |= new


def shares(probabilities: Probabilities) -> list[float]:
    """The verdict's figures, to two decimals: the probability of each class, and that of a fake."""
    p = probabilities
    return [round(share, 2) for share in (p.real, p.synthetic, p.tampered, 1 - p.real)]


def uncited_fault(
    sentence: str,
    findings: Sequence[Finding],
    regions: Sequence[Region],
    label: Label,
    probabilities: Probabilities,
    image_size: tuple[int, int],
) -> str | None:
    """What is wrong with a sentence that cites nothing, or None.

    It may name findings and regions that exist, the verdict's own numbers, and the image's width and height. It may
    neither assert nor deny an artefact, but for what the verdict says, and not contradict the verdict.
    """
    ids = {*(finding.id for finding in findings), *(region.id for region in regions)}
    for name in _ID.findall(sentence):
        if name not in ids:
            return f"names {name}, which does not exist"
    if wrong := foreign_number(sentence, [], None, [*shares(probabilities), *image_size]):
        return f"writes {wrong} and cites nothing for it"
    if label != "real" and called_real(sentence):
        return f"contradicts the verdict, {label}"
    if sentence.strip() in DEFINITIONS or general(sentence):
        return None
    says, named = polarities(sentence), topics(sentence)
    if "artefact" in says and (label == "real" or named - {label} or (odd(sentence) and not named)):
        return "asserts an artefact and cites nothing for it"
    if "clean" in says and label in named:
        return f"contradicts the verdict, {label}"
    if "clean" in says and label != "real" and any(map(str.isdigit, sentence)):
        return f"plays down a figure of the verdict, {label}"
    return None


def _cited(
    claim: ParsedClaim, findings: Sequence[Finding], regions: Sequence[Region]
) -> tuple[list[Finding], Region | None]:
    known = {finding.id: finding for finding in findings}
    places = {region.id: region for region in regions}
    if not claim.findings and not claim.region:
        raise _FailedError("cites nothing")
    for name in claim.findings:
        if name not in known:
            raise _FailedError(f"cites {name}, which does not exist")
    if claim.region and claim.region not in places:
        raise _FailedError(f"cites {claim.region}, which does not exist")
    return [known[name] for name in claim.findings], places.get(claim.region or "")


def _judge(
    claim: ParsedClaim,
    cited: list[Finding],
    region: Region | None,
    drew: list[Finding],
    label: Label,
    image_size: tuple[int, int],
) -> tuple[bool | None, str]:
    """`drew`: what stands behind the sentence: the cited findings or, if none is, those that drew the
    region."""
    if wrong := foreign_quote(claim.text, cited):
        raise _FailedError(f'quotes "{wrong}", which the cited findings do not hold')
    if wrong := foreign_number(claim.text, cited, region):
        raise _FailedError(f"writes {wrong}, which no cited finding or region measured")
    if wrong := _misattributed(claim.text, cited, region):
        raise _FailedError(f"writes {wrong} beside another finding than the one that measured it")
    measured = quotes_value(claim.text, cited) or quotes_region(claim.text, region)
    text = without_values(claim.text, cited)
    for finding in cited:
        if not speaks_of(text, finding):
            raise _FailedError(f"does not speak of what {finding.id} measures ({finding.kind})")
    if stray := stray_word(text, drew):
        raise _FailedError(f'speaks of "{stray}" without citing a finding for it')
    for topic in topics(text):
        if not any(topic in measures(finding) for finding in drew):
            about = "generation" if topic == "synthetic" else "a local edit"
            raise _FailedError(f"speaks of {about}, which no cited finding measures")
    if wrong := misplaced(text, region, image_size):
        raise _FailedError(wrong)
    is_general = general(text) and not measured
    for finding in cited if not is_general else ():
        if wrong := absence_fault(text, finding, bool(quotes_value(claim.text, [finding]))):
            raise _FailedError(wrong)
    says = polarities(text)
    _check_polarity(text, says, drew, label, is_general)
    if is_general:
        return None, GENERAL
    if not measured and "stated" in says:
        return None, "states nothing that code can check"
    ids = ", ".join(claim.findings) or claim.region
    support = ""
    if "stated" not in says:
        support = ", which supports a fake verdict" if "artefact" in says else ", which supports none"
    return True, (f"cites {measured} as measured" if measured else f"cites {ids}") + support


def _misattributed(text: str, cited: list[Finding], region: Region | None) -> str | None:
    """A number in a clause that speaks of some of several cited findings, and of none that has this value."""
    if len(cited) < 2:
        return None
    for clause in clauses(text):
        owners = [finding for finding in cited if speaks_of(without_values(clause, cited), finding)]
        if owners and (wrong := foreign_number(clause, owners, region)):
            return wrong
    return None


def _check_polarity(
    text: str, says: set[Polarity], drew: list[Finding], label: Label, is_general: bool
) -> None:
    if "artefact" in says and label == "real":
        raise _FailedError("asserts an artefact although the verdict is real")
    if is_general:
        return
    if "artefact" in says:
        enough = any if "clean" in says else all
        if not drew or not enough(suspicious(finding) for finding in drew):
            raise _FailedError("asserts an artefact that not every cited finding supports")
        if "clean" in says and all(suspicious(finding) for finding in drew):
            raise _FailedError(
                "also says that nothing was found, but every cited finding supports a fake verdict"
            )
        for wanted in supported_labels(text):
            if not any(suspicious(finding) and finding.supports == wanted for finding in drew):
                raise _FailedError(f"says {wanted}, but no cited finding supports that")
    elif "clean" in says and drew and all(suspicious(finding) for finding in drew):
        raise _FailedError("says that nothing was found, but every cited finding supports a fake verdict")
    elif "clean" in says and drew and all(suspicious(f) or _undecided(f) for f in drew):
        raise _FailedError("says that nothing was found, but what was found settles nothing")
    elif "clean" in says and drew and all(rare(f) or seldom(f) for f in drew):
        raise _FailedError("calls ordinary what few images reach")
    if HEDGED.search(text) and (fault := called_open_fault(drew, label)):
        raise _FailedError(fault)


def called_open_fault(drew: Sequence[Finding], label: Label) -> str | None:
    """What is wrong with saying of findings that they settle nothing, under a verdict of `label`; or None."""
    if drew and all(low(finding) for finding in drew):
        return "calls open what was measured as low"
    if any(suspicious(finding) and finding.supports == label for finding in drew):
        return "calls open what the verdict rests on"
    return None


def _undecided(finding: Finding) -> bool:
    """What the encoder saw that neither accuses nor is low: a middling score, a mask that marks something."""
    silent = finding.supports != "neutral" or not says_something(finding) or finding.value is None
    return finding.kind.startswith("encoder.") and not silent


def _masking(region: Region, region_test: Callable[[Region], RegionTest]) -> str:
    result = region_test(region)
    effect = f"masking {region.id} lowers the verdict more than {result.percentile:.0f} % of random boxes"
    if not result.passed:
        raise _FailedError(f"{effect}, too few for the region to be the reason")
    return effect
