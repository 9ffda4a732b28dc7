"""Ids for findings and regions, and what the encoder's own findings say."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensic_chat.encoder.masks import MaskRegion
from forensic_chat.evidence.observation import Evidence
from forensic_chat.findings import encoder_evidence, numbered, overlap
from forensic_chat.imaging.intake import ExaminedImage, take_in
from forensic_chat.schema import Box, Region, Supports
from tests.factories import calibration, perception
from tests.images import photo


@pytest.fixture(scope="module")
def image() -> ExaminedImage:
    return take_in(photo())


def evidence(supports: Supports = "tampered", box: Box | None = None, strength: float = 0.6) -> Evidence:
    return Evidence("noise.level", "Noise is 2.", 2, supports, strength, 0.05, box)


def by_kind(rows: list[Evidence]) -> dict[str, Evidence]:
    return {row.kind: row for row in rows}


def test_ids_count_from_one_in_the_order_given(image: ExaminedImage) -> None:
    findings, regions = numbered([evidence(), evidence("neutral")], [], image)
    assert [finding.id for finding in findings] == ["E1", "E2"]
    assert regions == []
    first = findings[0]
    assert (first.kind, first.summary, first.value) == ("noise.level", "Noise is 2.", 2)
    assert (first.supports, first.strength, first.false_alarm_rate, first.region) == (
        "tampered",
        0.6,
        0.05,
        None,
    )


def test_a_box_of_its_own_becomes_a_region(image: ExaminedImage) -> None:
    known = [Region(id="R1", box=(0, 0, 16, 16), area=0.04, score=0.9)]
    findings, regions = numbered([evidence(box=(40, 10, 72, 42))], known, image)
    assert [region.id for region in regions] == ["R1", "R2"]
    assert findings[0].region == "R2"
    assert regions[1].box == (40, 10, 72, 42)
    assert regions[1].area == pytest.approx(32 * 32 / (96 * 64))
    assert regions[1].score == 0.6


def test_boxes_that_mostly_coincide_share_a_region(image: ExaminedImage) -> None:
    known = [Region(id="R1", box=(0, 0, 40, 40), area=0.26, score=0.9)]
    boxes: list[Box] = [(2, 2, 42, 42), (0, 0, 20, 20), (1, 1, 20, 20)]
    findings, regions = numbered([evidence(box=box) for box in boxes], known, image)
    assert [finding.region for finding in findings] == ["R1", "R2", "R2"]
    assert len(regions) == 2


def test_a_neutral_box_is_no_region(image: ExaminedImage) -> None:
    findings, regions = numbered([evidence("neutral", box=(0, 0, 20, 20))], [], image)
    assert (findings[0].region, regions) == (None, [])


BOXES = st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(1, 40)] * 2).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@given(BOXES, BOXES)
def test_overlap_is_intersection_over_union(a: Box, b: Box) -> None:
    def pixels(box: Box) -> set[tuple[int, int]]:
        return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}

    assert overlap(a, b) == pytest.approx(len(pixels(a) & pixels(b)) / len(pixels(a) | pixels(b)))


FOUND = [MaskRegion((8, 8, 40, 40), 0.16, 0.8), MaskRegion((56, 8, 64, 40), 0.04, 0.7)]


@pytest.mark.parametrize(
    ("probabilities", "synthetic", "tampered"),
    [
        ((0.9, 0.05, 0.05), "neutral", "neutral"),
        ((0.1, 0.8, 0.1), "synthetic", "neutral"),
        ((0.1, 0.1, 0.8), "neutral", "tampered"),
    ],
)
def test_scores_accuse_only_where_they_call_the_image_fake_and_a_shown_mask_always(
    probabilities: tuple[float, float, float], synthetic: str, tampered: str
) -> None:
    rows = by_kind(encoder_evidence(perception(*probabilities), probabilities[1], FOUND, calibration()))
    assert rows["encoder.synthetic"].supports == synthetic
    assert rows["encoder.tampered"].supports == tampered
    assert rows["encoder.mask"].supports == "tampered"
    hidden = by_kind(encoder_evidence(perception(*probabilities), probabilities[1], [], calibration()))
    assert hidden["encoder.mask"].supports == "neutral"
    assert rows["encoder.mask"].value == 20.0
    assert rows["encoder.mask"].box == FOUND[0].box


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_every_summary_quotes_its_value_and_every_strength_is_one(
    real: float, share: float, again: float, familiarity: float
) -> None:
    p = (real, (1 - real) * share, (1 - real) * (1 - share))
    seen = perception(*(max(value, 1e-6) for value in p), familiarity=familiarity)
    for row in encoder_evidence(seen, again, FOUND, calibration()):
        assert str(row.value) in re.findall(r"\d+\.\d+", row.summary)
        assert 0 <= row.strength <= 1
        assert 0 <= row.false_alarm_rate <= 1


def test_what_lowers_trust_is_neutral_and_strong() -> None:
    rows = by_kind(encoder_evidence(perception(familiarity=0.0), 0.6, [], calibration()))
    for kind in ("encoder.familiarity", "encoder.stability"):
        assert rows[kind].supports == "neutral"
        assert rows[kind].strength >= 0.5
    calm = by_kind(encoder_evidence(perception(), 0.1, [], calibration()))
    assert calm["encoder.familiarity"].strength == calm["encoder.stability"].strength == 0


def test_an_accusation_without_a_measured_rate_promises_nothing() -> None:
    unmeasured = calibration(false_alarm_rates={})
    rows = by_kind(encoder_evidence(perception(0.1, 0.1, 0.8), 0.9, FOUND, unmeasured))
    assert rows["encoder.tampered"].false_alarm_rate == 1
    assert rows["encoder.synthetic"].false_alarm_rate == 0  # neutral: it accuses nobody
