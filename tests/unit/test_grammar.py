"""The patterns of answers let through all that code writes, and no number, quotation or id of another image."""

import re
from dataclasses import replace
from random import Random

import pytest

from forensic_chat.data.case import Case
from forensic_chat.data.dialogues import random_examination
from forensic_chat.data.followups.kinds import FOLLOW_UPS
from forensic_chat.data.rationales import rationale
from forensic_chat.data.sentences import phrases
from forensic_chat.mllm.grammar import chosen_pattern, claim_patterns, rationale_pattern, reply_pattern
from forensic_chat.schema import Finding, Label, Probabilities, Region, Supports
from tests.factories import case, finding

TAMPERED = Probabilities(real=0.06, synthetic=0.03, tampered=0.91)
REGION = Region(id="R1", box=(40, 24, 360, 200), area=0.12, score=0.81)
FINDINGS = [
    finding("encoder.synthetic", strength=0.42, value=0.42, k=1),
    finding("encoder.tampered", "tampered", 0.9, 2, value=0.91),
    finding("encoder.mask", "tampered", 0.5, 3, value=12.5, region="R1"),
    finding("metadata.software", value='Editor "X" 24.1', k=4),
    finding("container.trailing_bytes", value=160280, k=5),
    finding("metadata.camera", value=None, k=6),
]


def is_claim(
    text: str,
    findings: list[Finding] = FINDINGS,
    regions: list[Region] | None = None,
    label: Label = "tampered",
) -> bool:
    patterns = claim_patterns(findings, [REGION] if regions is None else regions, label)
    return any(re.fullmatch(pattern, text) for pattern in patterns)


@pytest.mark.parametrize(
    "text",
    [
        "The whole-image score is 0.42 [E1]",
        "The whole-image score is 0.4 of 1, or 42 % [E1]",
        "0.42 is the whole-image score [E1]",
        "The mask marks 12.5% of the image [E3]",
        "The mask marks 12.5 % of the image, at [40,24,360,200] [E3][R1]",
        "R1 is a box of 320 x 176 pixels, 12% of the image [R1]",
        "The software is \"Editor 'X' 24.1\" [E4]",
        "A program of version 24.1 is named [E4]",
        "160,280 bytes follow [E5]",
        "No camera model is named [E6]",
        "The 8x8 grid and C2PA say nothing about the camera [E6]",
        "The scores are 0.42 and 0.91 [E1, E2]",
    ],
)
def test_what_cites_its_own_figures_is_a_claim(text: str) -> None:
    assert is_claim(text)


@pytest.mark.parametrize(
    "text",
    [
        "The whole-image score is 0.42",
        "The whole-image score is 0.43 [E1]",
        "The whole-image score is 0 [E1]",
        "The whole-image score is 0.420.42 [E1]",
        "The whole-image score is 0.91 [E1]",
        "The whole-image score is 0.42 [E9]",
        "The whole-image score is 0.42 [R2]",
        "The whole-image score is 0.42 [E1][R1]",
        "The mask marks 12% of the image, at [40,24,360,201] [E3][R1]",
        'The software is "Editor" [E4]',
        "No camera model is named in 2019 [E6]",
        "The scores are 0.42 and 0.12 [E1, E2]",
        "The score is 0.42 [E1] and high [E1]",
        "The score (0.42) ) is high [E1]",
        "The score is 0.8x8 [E1]",
        "The score is 0.42.0.4 [E1]",
        "The score is x0.42 [E1]",
        " [E1]",
    ],
)
def test_what_was_never_measured_is_none(text: str) -> None:
    assert not is_claim(text)


OPEN = [
    "The whole-image score of 0.42 leaves some doubt [E1]",
    "The mask marks 12.5 %, which settles nothing [E3]",
]


@pytest.mark.parametrize(("label", "fits"), [("tampered", [True, False]), ("inconclusive", [True, True])])
def test_what_the_verdict_rests_on_cannot_be_called_open(label: Label, fits: list[bool]) -> None:
    assert [is_claim(text, label=label) for text in OPEN] == fits


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("The whole-image score of 0.05 is low and the set seems small [E1]", True),
        ("It is Doub, settl and littl at 0.05 [E1]", True),
        ("The whole-image score of 0.05 settles nothing [E1]", False),
        ("The whole-image score of 0.05 (Settles nothing) [E1]", False),
        ("The whole-image score of 0.05, neither clear nor negligible [E1]", False),
        ("The whole-image score of 0.05, neither clear nor absent [E1]", False),
        ("The whole-image score of 0.05 does not settle it [E1]", False),
        ("The whole-image score of 0.05 decides nothing [E1]", False),
        ("The whole-image score of 0.05 is too little to decide [E1]", False),
        ("The whole-image score of 0.05 leaves some-doubt [E1]", False),
    ],
)
def test_a_low_score_cannot_be_called_open(text: str, fits: bool) -> None:
    assert is_claim(text, [finding("encoder.synthetic", value=0.05, strength=0.05, k=1)], [], "real") == fits


def test_a_score_cannot_be_called_open_beside_the_id_of_another_finding() -> None:
    assert not is_claim("The whole-image score settles nothing [E5]")
    mask = [finding("encoder.mask", value=0, k=1)]
    assert not is_claim("The score for a local change, 0 of 1, settles nothing [E1]", mask, [])
    assert is_claim("The whole-image score is not what 160280 bytes tell [E5]")


EMPTY = phrases("metadata.camera").empty[0]


def of_one(kind: str, value: float, label: Label = "real", strength: float = 0.0) -> Case:
    supports: Supports = label if strength and label != "inconclusive" else "neutral"  # type: ignore[assignment]
    other = finding("metadata.camera", value=None, k=2)
    return replace(
        case(1), findings=[finding(kind, supports, strength, 1, value=value), other], regions=[], label=label
    )


HIGH = of_one("encoder.synthetic", 0.97, "synthetic", 0.97)


@pytest.mark.parametrize(
    ("text", "about", "fits"),
    [
        ("No compression ghost was found: the map measures 0", of_one("jpeg.ghost", 0), True),
        ("Even so, no compression ghost was found: the map measures 0", of_one("jpeg.ghost", 0), True),
        ("No compression ghost was found: the map measures zero", of_one("jpeg.ghost", 0), False),
        ("No compression ghost was found: the map measures 0", of_one("jpeg.ghost", 0.4), False),
        ("No compression ghost was found: the map measures 0", of_one("jpeg.grid", 0), False),
        ("The encoder sees generator traces in the fine detail and scores them 0.97 of 1", HIGH, True),
        ("The encoder sees no generator traces (whole-image score 0.97 of 1)", HIGH, False),
        (
            "In a real photo, the encoder would see no generator traces but detail from sensor and lens",
            HIGH,
            True,
        ),
    ],
)
def test_a_small_model_chooses_among_sentences_for_what_a_finding_shows(
    text: str, about: Case, fits: bool
) -> None:
    assert (re.fullmatch(chosen_pattern(about), f"- {text} [E1]") is not None) == fits


def test_what_was_told_is_not_told_again() -> None:
    about = of_one("jpeg.ghost", 0)
    claims = ["- No compression ghost was found: the map measures 0 [E1]", f"- {EMPTY} [E2]"]
    for pattern in (rationale_pattern(about, {"E1"}, most=1), chosen_pattern(about, {"E1"})):
        assert [re.fullmatch(pattern, line) is not None for line in claims] == [False, True]
    assert chosen_pattern(about, {finding.id for finding in about.findings}) == ""


def test_a_region_that_is_not_listed_cannot_be_cited() -> None:
    assert not is_claim("The mask marks 12.5 % of the image [E3][R1]", regions=[])
    assert not is_claim("The region R1 lies at the top [R1]", regions=[])


def test_a_rationale_is_two_to_five_claims() -> None:
    about = of_one("jpeg.ghost", 0)
    pattern, claim = rationale_pattern(about), f"- {EMPTY} [E2]"
    fits = [re.fullmatch(pattern, "\n".join([claim] * count)) is not None for count in range(1, 7)]
    assert fits == [False, True, True, True, True, False]
    assert re.fullmatch(rationale_pattern(replace(about, findings=about.findings[1:])), claim)


def test_all_that_code_writes_fits() -> None:
    rng = Random(11)
    for _ in range(100):
        case = random_examination(rng)
        forms = [re.compile(form) for form in (rationale_pattern(case, most=1), chosen_pattern(case))]
        for line in rationale(case, rng):
            assert all(form.fullmatch(f"- {line}") for form in forms), (case.label, line)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("It is tampered, at a probability of 0.91. The whole-image score is 0.42 [E1].", True),
        ("Nobody can tell. That needs the original!", True),
        ("The region R1 lies at the top [R1].", True),
        ("It is tampered, at a probability of 0.92.", False),
        ("The whole-image score is 0.42.", False),
        ("Nobody can tell [E7].", False),
        ("Nobody can", False),
    ],
)
def test_a_reply_is_claims_and_sentences_without_other_figures(text: str, fits: bool) -> None:
    assert (re.fullmatch(reply_pattern(FINDINGS, [REGION], "tampered", TAMPERED), text) is not None) == fits


def test_all_that_code_replies_fits() -> None:
    rng = Random(12)
    for k in range(60):
        case = random_examination(rng)
        kinds = [kind for kind in FOLLOW_UPS if kind.fits is not None]
        pattern = reply_pattern(case.findings, case.regions, case.label, case.probabilities)
        for kind in kinds[k % 4 :: 4]:
            answer = kind.answer(case, rng)
            assert re.fullmatch(pattern, answer), (kind.kind, answer)
