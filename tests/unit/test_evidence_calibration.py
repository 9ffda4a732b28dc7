"""How observations become evidence: who may accuse, how strongly, and what a failing test does."""

import dataclasses
import json
import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensic_chat import evidence
from forensic_chat.evidence import calibrated, collect, copymove, noise, observe, warnings
from forensic_chat.evidence.calibration import Calibration, Kind, calibration
from forensic_chat.evidence.observation import Observation, fact
from forensic_chat.imaging.intake import take_in
from forensic_chat.schema import Finding
from tests.unit.evidence_images import encoded, scene, taken

ACCUSING = Kind("tampered", 5.0, 0.03, ((1.0, 0.0), (5.0, 0.09), (5.000001, 0.5), (9.0, 0.8)))
NEUTRAL = Kind("neutral", 5.0, 0.0, ((1.0, 0.0), (5.0, 0.09)))
USING = Calibration({"a.b": ACCUSING, "a.n": NEUTRAL}, {"a.f": 0.01})


def measured(score: float | None, kind: str = "a.b") -> Observation:
    return Observation(kind, "clean 7", "suspect 7", 7, score=score, suspects="tampered", box=(0, 0, 8, 8))


def test_below_the_threshold_is_neutral_and_weak() -> None:
    (found,) = calibrated([measured(5.0)], USING)
    assert (found.supports, found.summary, found.box) == ("neutral", "clean 7", None)
    assert found.strength < 0.1


def test_above_it_accuses_with_its_rate() -> None:
    (found,) = calibrated([measured(6.0)], USING)
    assert (found.supports, found.summary, found.box) == ("tampered", "suspect 7", (0, 0, 8, 8))
    assert found.strength >= 0.5
    assert found.false_alarm_rate == 0.03


def test_kind_that_does_not_separate_never_accuses() -> None:
    (found,) = calibrated([measured(50.0, "a.n")], USING)
    assert found.supports == "neutral"
    assert found.strength < 0.1
    assert "Honest photos reach this too" in found.summary


def test_unknown_kind_or_unmeasured_is_neutral() -> None:
    for observation in (measured(50.0, "x.y"), measured(None)):
        (found,) = calibrated([observation], USING)
        assert (found.supports, found.strength) == ("neutral", 0.0)


def test_facts_state_what_they_support() -> None:
    known, unknown, harmless = calibrated(
        [fact("a.f", "s", 1, "synthetic", 0.9), fact("x.f", "s", 1, "synthetic", 0.9), fact("x.g", "s", 1)],
        USING,
    )
    assert (known.supports, known.false_alarm_rate) == ("synthetic", 0.01)
    assert unknown.false_alarm_rate == 1.0
    assert harmless.false_alarm_rate == 0.0


@given(st.floats(-10, 50), st.floats(-10, 50))
def test_strength_grows_with_the_score(a: float, b: float) -> None:
    low, high = sorted((a, b))
    for kind in (*calibration().kinds.values(), ACCUSING):
        assert 0.0 <= kind.strength(low) <= kind.strength(high) <= 1.0


def test_bundled_calibration_is_honest() -> None:
    stored = json.loads((files("forensic_chat.evidence") / "calibration.json").read_text(encoding="utf-8"))
    for row in stored["kinds"].values():
        if row["supports"] == "neutral":
            assert row["why_neutral"]
            assert row["knots"][-1][1] < 0.1
        else:
            assert all(part["at_least"] is not None for part in row["compared"].values())
            assert row["reals_above"] / row["reals"] <= 0.02
            assert row["reals_above"] / row["reals"] < row["false_alarm_rate"]
    for name in ("provenance.c2pa", "metadata.generator"):
        assert 0 < stored["facts"][name]["false_alarm_rate"] < 0.01


def test_every_measured_kind_is_calibrated() -> None:
    image = taken(scene(512, 512), "JPEG", quality=90)
    seen = observe(image, copymove.find(image.pixels))
    assert {o.kind for o in seen if o.score is not None} <= set(calibration().kinds)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_evidence_makes_findings_in_every_format(kind: str) -> None:
    found = collect(taken(scene(160, 128), kind), None)
    assert len(found) >= 8
    for k, item in enumerate(found, 1):
        fields = dataclasses.asdict(item)
        del fields["box"]
        Finding(id=f"E{k}", **fields)


@pytest.mark.parametrize("size", [(16, 16), (16, 900), (33, 47), (130, 131)])
def test_odd_sizes_are_examined(size: tuple[int, int]) -> None:
    assert not warnings(collect(taken(scene(*size), "JPEG"), None))


def test_flat_image_accuses_nobody() -> None:
    assert all(e.supports == "neutral" for e in collect(taken(scene(256, 256, noise=0) * 0 + 77), None))


def test_sentences_quote_the_value() -> None:
    pixels = scene(512, 384)
    pixels[200:280, 240:340] = pixels[40:120, 40:140]
    for observation in observe(taken(pixels, "JPEG", quality=88), copymove.find(pixels)):
        if observation.value is None or observation.kind in ("provenance.c2pa", "metadata.dates"):
            continue
        for sentence in (observation.clean, observation.suspect):
            assert re.search(rf"(?<![\d.]){re.escape(str(observation.value))}(?!\d)", sentence), sentence
            assert sentence.endswith(".")


def test_anomalies_of_the_container_are_evidence() -> None:
    image = take_in(encoded(scene(64, 64), "JPEG") + b"hidden" * 20)
    found = next(e for e in collect(image, None) if e.kind == "container.trailing_bytes")
    assert (found.supports, found.value) == ("neutral", 120)


def test_failing_test_is_reported_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(image: object) -> list[Observation]:
        raise ValueError("inner words")

    monkeypatch.setitem(evidence._TESTS, "noise", broken)
    found = collect(taken(scene(64, 64)), None)
    failed = next(e for e in found if e.kind == "test.not_run")
    assert failed.supports == "neutral"
    assert "inner" not in failed.summary
    assert warnings(found) == ["1 of 7 groups of evidence tests could not be run: noise"]


def test_lack_of_memory_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(image: object) -> list[Observation]:
        raise MemoryError

    monkeypatch.setitem(evidence._TESTS, "noise", greedy)
    with pytest.raises(MemoryError):
        collect(taken(scene(64, 64)), None)


def test_large_photo_is_reduced_or_sampled() -> None:
    pixels = scene(2000, 1504)
    pixels[1000:1300, 1200:1600] = pixels[200:500, 200:600]
    image = taken(pixels, "JPEG", quality=90)
    (found,) = copymove.observe(image, copymove.find(image.pixels))
    assert found.box is not None
    assert found.box[2] > 500
    assert noise.observe(image)
