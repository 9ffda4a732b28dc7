"""One reading of a finding, by its kind: in the writer, the prompt and the verifier alike."""

from random import Random

import pytest

from forensic_chat.data.case import Case
from forensic_chat.data.protocol import PRIOR, RARE, low, rare, says_something, suspicious
from forensic_chat.data.statements import state, wordings
from forensic_chat.evidence.calibration import calibration
from forensic_chat.mllm.claims import ParsedClaim, parse_reply
from forensic_chat.mllm.prompts import _finding_line
from forensic_chat.mllm.verify import verify
from forensic_chat.schema import Claim, Finding, Probabilities, Supports
from forensic_chat.wording import BASE_RATE
from tests import factories

EVEN = Probabilities(real=0.8, synthetic=0.1, tampered=0.1)


def finding(
    kind: str, value: float | int | str | None, strength: float, supports: Supports = "neutral"
) -> Finding:
    return factories.finding(kind, supports, strength, summary="", value=value, false_alarm_rate=0.05)


def score(kind: str, value: float, supports: Supports = "neutral") -> Finding:
    return finding(kind, value, value, supports)


def told(text: str, held: Finding) -> Claim:
    [claim] = [c for c in parse_reply(f"{text} [E1].") if isinstance(c, ParsedClaim)]
    return verify(claim, [held], [], "real", image_size=(90, 90))


def test_the_priors_are_those_of_the_fit() -> None:
    from train.fit_verdict import PRIOR as FIT

    assert sum(FIT.values()) == pytest.approx(1)
    assert PRIOR["encoder.synthetic"] == pytest.approx(FIT["synthetic"], abs=0.01)
    assert PRIOR["encoder.tampered"] == pytest.approx(FIT["tampered"] + FIT["forged"], abs=0.01)
    assert "six of nine images are real, two synthetic and one tampered" in BASE_RATE


@pytest.mark.parametrize(
    ("kind", "value", "reads_low"),
    [
        ("encoder.tampered", 0.1, True),
        ("encoder.tampered", 0.11, True),
        ("encoder.tampered", 0.12, False),
        ("encoder.synthetic", 0.2, True),
        ("encoder.synthetic", 0.23, False),
    ],
)
def test_a_score_is_low_up_to_the_share_of_its_class_and_open_above(
    kind: str, value: float, reads_low: bool
) -> None:
    held = score(kind, value)
    case = Case([held], [], "real", EVEN, (90, 90))
    assert low(held) is reads_low
    hedges = ("too little to decide", "settles nothing", "neither clear", "some doubt")
    for seed in range(30):
        said = state(held, case, Random(seed))
        assert any(hedge in said for hedge in hedges) is not reads_low, said
    name = "local-change" if kind.endswith("tampered") else "whole-image"
    hedged = told(f"The {name} score is {value}, too little to decide and too much to pass over", held)
    assert hedged.verified is not reads_low
    assert told(f"The {name} score of {value} is low", held).verified is reads_low
    assert ("weak" in _finding_line(held)) is not reads_low


def test_a_score_below_its_prior_accuses_nobody() -> None:
    held = score("encoder.synthetic", 0.2, "synthetic")
    assert not suspicious(held)
    assert told("The encoder sees generator traces, with a whole-image score of 0.2", held).verified is False
    assert suspicious(score("encoder.synthetic", 0.4, "synthetic"))


@pytest.mark.parametrize("kind", [k for k, row in calibration().kinds.items() if row.supports == "neutral"])
def test_a_neutral_test_at_its_threshold_is_rare_and_not_called_ordinary(kind: str) -> None:
    row = calibration().kinds[kind]
    assert row.strength(row.threshold) == pytest.approx(RARE)
    held, usual = (finding(kind, 30.14, strength) for strength in (RARE, RARE - 0.02))
    assert rare(held)
    assert not rare(usual)
    assert all("few photos reach" in text for text in wordings(held))
    assert not any("few photos reach" in text for text in wordings(usual))
    assert not says_something(held)
    assert _finding_line(held).endswith("neutral rare")


def test_what_few_photos_reach_is_not_verified_as_ordinary() -> None:
    for strength, verified in ((RARE, False), (0.05, True)):
        held = finding("jpeg.double", 30.14, strength)
        assert told("Double compression measures 30.14, no more than the usual", held).verified is verified


@pytest.mark.parametrize(("value", "usual"), [(0.04, False), (0.3, True)])
def test_a_familiarity_that_few_images_have_is_not_called_unremarkable(value: float, usual: bool) -> None:
    held = finding("encoder.familiarity", value, 0.0)
    assert told(f"The familiarity score of {value} of 1 is unremarkable", held).verified is usual
    case = Case([held], [], "real", EVEN, (640, 480))
    for seed in range(12):
        [claim] = parse_reply(state(held, case, Random(seed)))
        assert isinstance(claim, ParsedClaim)
        assert told(claim.text, held).verified
        assert ("few" in claim.text.lower()) is not usual


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("metadata.camera", "Pixel 7", "No camera model is written in the metadata"),
        ("metadata.camera", None, "The camera tag is as expected of a camera file"),
        ("metadata.dates", "dated 2038-01-19, in the future", "The recorded dates agree with each other"),
        ("metadata.dates", "consistent", "No dates are recorded in the metadata"),
        ("metadata.dates", None, "The recorded dates agree with each other"),
        ("provenance.c2pa", "untrusted", "No C2PA manifest is attached"),
        ("copymove.matches", 0, "The copy-move test was left out: repeated parts are normal in a graphic"),
    ],
)
def test_what_is_there_is_not_said_to_be_missing_nor_the_other_way_round(
    kind: str, value: str | int | None, text: str
) -> None:
    assert told(text, finding(kind, value, 0.0)).verified is False
