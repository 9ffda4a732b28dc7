"""What is decided without words: label, confidence, reasons, contradictions, the mask."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from forensic_chat import judgement
from forensic_chat.errors import Cancelled
from forensic_chat.evidence.observation import Evidence
from forensic_chat.imaging.intake import ExaminedImage, take_in
from forensic_chat.judgement import (
    Judgement,
    confidence_words,
    contradictions,
    decide,
    judge,
    redelivered,
    render_mask,
    shows_mask,
)
from forensic_chat.schema import CLASSES, Verdict
from tests.factories import SpotEncoder, calibration, finding, perception, tiny_encoder
from tests.images import grainy, photo

FAKE = (0.1, 0.2, 0.7)
SAYS_GENERATED = finding("metadata.generator", "synthetic", 0.9)


def judged(image: ExaminedImage, **points: Any) -> Judgement:
    encoder: Any = SpotEncoder()
    return judge(image, encoder, calibration(**points), lambda: None)


class TestDecide:
    @pytest.mark.parametrize(
        ("probabilities", "label"),
        [
            ((0.9, 0.05, 0.05), "real"),
            ((0.1, 0.7, 0.2), "synthetic"),
            (FAKE, "tampered"),
            ((0.35, 0.33, 0.32), "synthetic"),  # fake in sum, though "real" is the likeliest of the three
        ],
    )
    def test_the_label_is_that_of_the_probabilities(
        self, probabilities: tuple[float, float, float], label: str
    ) -> None:
        verdict = decide(perception(*probabilities), 1 - probabilities[0], [], calibration())
        assert (verdict.label, verdict.reasons) == (label, [])
        assert verdict.fake_probability == pytest.approx(1 - probabilities[0])
        for name, value in zip(CLASSES, probabilities, strict=True):
            assert getattr(verdict.probabilities, name) == pytest.approx(value)

    @pytest.mark.parametrize(
        ("seen", "again", "reason"),
        [
            (perception(0.55, 0.25, 0.2), 0.45, "0.45, is too near the middle"),
            (perception(0.45, 0.3, 0.25), 0.55, "0.55, is too near the middle"),
            (perception(*FAKE, familiarity=0.0), 0.9, "unlike those the encoder knows"),
            (perception(*FAKE), 0.2, "moves to 0.20"),
            (perception(0.9, 0.05, 0.05), 0.7, "moves to 0.70"),
        ],
    )
    def test_it_is_inconclusive_for_a_reason(self, seen: Any, again: float, reason: str) -> None:
        verdict = decide(seen, again, [], calibration())
        assert (verdict.label, verdict.confidence) == ("inconclusive", "undecided")
        assert len(verdict.reasons) == 1
        assert reason in verdict.reasons[0]

    def test_every_reason_is_told(self) -> None:
        seen = perception(0.55, 0.25, 0.2, familiarity=0.0)
        assert len(decide(seen, 0.9, [SAYS_GENERATED], calibration()).reasons) == 4

    @pytest.mark.parametrize("again", [0.7, 1.0, 0.51])
    def test_a_move_that_does_not_cross_the_middle_is_none(self, again: float) -> None:
        assert decide(perception(*FAKE), again, [], calibration()).label == "tampered"

    def test_a_small_step_over_the_middle_is_none(self) -> None:
        narrow = calibration(undecided=(0.5, 0.5))
        assert decide(perception(0.45, 0.3, 0.25), 0.45, [], narrow).label == "synthetic"

    @pytest.mark.parametrize("kind", ["metadata.generator", "provenance.c2pa"])
    @pytest.mark.parametrize("supports", ["synthetic", "tampered"])
    def test_a_file_that_declares_a_fake_is_not_called_real(self, kind: str, supports: Any) -> None:
        seen = perception(0.95, 0.03, 0.02)
        plain = decide(seen, 0.05, [], calibration())
        declared = decide(seen, 0.05, [finding(kind, supports, 0.9)], calibration())
        assert (plain.label, declared.label) == ("real", "inconclusive")
        assert "the file's own metadata" in declared.reasons[0]
        assert declared.probabilities == plain.probabilities
        assert declared.fake_probability == plain.fake_probability

    @pytest.mark.parametrize(
        "said",
        [
            finding("metadata.generator", "synthetic", 0.3),
            finding("metadata.generator", "neutral", 0.9),
            finding("provenance.c2pa", "real", 0.9),
            finding("metadata.thumbnail", "tampered", 0.9),  # measured, not declared
            finding("noise.level", "tampered", 0.9),
        ],
    )
    def test_nothing_else_keeps_it_from_being_called_real(self, said: Any) -> None:
        assert decide(perception(), 0.1, [said], calibration()).label == "real"

    def test_a_marked_place_keeps_a_photo_from_being_called_real(self) -> None:
        marked = finding("encoder.mask", "tampered", 0.6).model_copy(update={"region": "R2"})
        verdict = decide(perception(), 0.1, [marked], calibration())
        assert verdict.label == "inconclusive"
        assert verdict.reasons[0].endswith("marks a changed place, R2")
        assert decide(perception(*FAKE), 0.9, [marked], calibration()).label == "tampered"

    def test_copied_pixels_keep_a_photo_from_being_called_real(self) -> None:
        copied = finding("copymove.matches", "tampered", 0.6, 9)
        verdict = decide(perception(), 0.1, [copied], calibration())
        assert verdict.label == "inconclusive"
        assert verdict.reasons == [
            "the whole looks like a photo, but two of its places show the same pixels, E9"
        ]
        assert decide(perception(*FAKE), 0.9, [copied], calibration()).label == "tampered"
        marked = finding("encoder.mask", "tampered", 0.6).model_copy(update={"region": "R2"})
        assert len(decide(perception(), 0.1, [copied, marked], calibration()).reasons) == 1

    def test_declarations_never_change_a_fake_verdict(self) -> None:
        for said in (SAYS_GENERATED, finding("provenance.c2pa", "real", 0.95)):
            assert decide(perception(*FAKE), 0.9, [said], calibration()).label == "tampered"

    @given(st.floats(0.001, 0.999), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
    def test_probabilities_sum_to_one_and_words_fit(
        self, real: float, share: float, again: float, familiarity: float
    ) -> None:
        fakes = ((1 - real) * share + 1e-7, (1 - real) * (1 - share) + 1e-7)
        verdict = decide(perception(real, *fakes, familiarity=familiarity), again, [], calibration())
        p = verdict.probabilities
        assert p.real + p.synthetic + p.tampered == pytest.approx(1)
        assert p.synthetic + p.tampered == pytest.approx(verdict.fake_probability, abs=1e-5)
        assert (verdict.label == "inconclusive") == bool(verdict.reasons)
        if verdict.label == "real":
            assert verdict.fake_probability <= 0.4
        elif verdict.label != "inconclusive":
            assert verdict.fake_probability >= 0.6


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.99, "very likely"), (0.95, "very likely"), (0.8, "likely"), (0.75, "likely"), (0.4, "leaning")],
)
def test_confidence_in_words(probability: float, words: str) -> None:
    assert confidence_words(probability) == words


class TestContradictions:
    def verdict(self, label: Any) -> Verdict:
        made = decide(perception(), 0.1, [], calibration())
        return made.model_copy(update={"label": label})

    def test_what_speaks_against_the_verdict_is_told(self) -> None:
        said = finding("noise.level", "tampered", 0.5, k=7)
        assert contradictions(self.verdict("real"), [said]) == [
            "E7 speaks against the verdict: The test noise.level reads 1."
        ]
        signed = finding("provenance.c2pa", "real", 0.9)
        for label in ("synthetic", "tampered"):
            assert len(contradictions(self.verdict(label), [signed, said])) == 1

    def test_what_is_weak_or_agrees_is_not(self) -> None:
        assert contradictions(self.verdict("real"), [finding("noise.level", "tampered", 0.49)]) == []
        assert contradictions(self.verdict("real"), [finding("provenance.c2pa", "real", 0.9)]) == []
        assert contradictions(self.verdict("synthetic"), [finding("noise.level", "tampered", 0.9)]) == []

    def test_an_inconclusive_verdict_can_not_be_contradicted(self) -> None:
        against = [finding("noise.level", "tampered", 0.9), finding("provenance.c2pa", "real", 0.9)]
        assert contradictions(self.verdict("inconclusive"), against) == []


class TestJudge:
    box = (24, 16, 48, 32)

    def test_a_photo_is_real_and_marked_nowhere(self) -> None:
        found = judged(take_in(photo()))
        assert (found.verdict.label, found.regions, found.mask) == ("real", [], None)
        assert [f.id for f in found.findings] == [f"E{k}" for k in range(1, len(found.findings) + 1)]

    def test_a_changed_place_is_found_and_marked(self) -> None:
        found = judged(take_in(grainy(self.box)))
        assert found.verdict.label == "tampered"
        assert found.regions[0].id == "R1"
        assert found.regions[0].box == self.box
        marked = next(f for f in found.findings if f.kind == "encoder.mask")
        assert (marked.supports, marked.region) == ("tampered", "R1")
        assert found.mask is not None
        assert found.mask.reliability == pytest.approx(0.7)
        mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(found.mask.png or ""))))
        assert mask.shape == (64, 96)
        assert set(np.unique(mask)) == {0, 255}
        assert mask[18:30, 27:45].all()  # between cells the edge is interpolated
        assert not mask[:, 60:].any()

    def test_a_mask_below_its_gate_is_not_shown(self) -> None:
        found = judged(take_in(grainy(self.box)), mask_gate=1.0)
        assert (found.verdict.label, found.mask) == ("tampered", None)
        assert all(not f.kind.startswith("encoder.") or f.region is None for f in found.findings)

    @pytest.mark.parametrize(
        ("probabilities", "changed", "shown"),
        [
            ((0.8, 0.1, 0.1), 0.9, True),  # the whole looks like a photo, the mask speaks for itself
            ((0.3, 0.5, 0.2), 0.9, True),
            ((0.3, 0.1, 0.6), 0.1, False),
            ((0.1, 0.85, 0.05), 0.9, False),  # generated as a whole
        ],
    )
    def test_the_mask_is_shown_by_what_it_says_itself(
        self, probabilities: tuple[float, float, float], changed: float, shown: bool
    ) -> None:
        assert shows_mask(perception(*probabilities, changed=changed), calibration()) == shown

    def test_the_mask_is_shown_for_a_copy_of_which_the_heads_see_nothing(self) -> None:
        seen = perception(0.8, 0.1, 0.1, changed=0.1)
        assert not shows_mask(seen, calibration())
        seen.changes.summary[-1] = 1.2
        assert shows_mask(seen, calibration())

    def test_a_generators_mark_makes_a_photo_inconclusive_and_changes_no_figure(self, tmp_path: Path) -> None:
        notes = PngInfo()
        notes.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Model: x")
        photo().save(tmp_path / "plain.png")
        photo().save(tmp_path / "marked.png", pnginfo=notes)
        plain, marked = (judged(take_in(tmp_path / name)) for name in ("plain.png", "marked.png"))
        assert (plain.verdict.label, marked.verdict.label) == ("real", "inconclusive")
        assert marked.verdict.probabilities == plain.verdict.probabilities

    @pytest.mark.parametrize("size", [(16, 16), (16, 200), (17, 333)])
    def test_tiny_images_are_judged_too(self, size: tuple[int, int]) -> None:
        found = judge(take_in(photo(0, *size)), tiny_encoder(), calibration(mask_gate=0.0), lambda: None)
        assert found.verdict.label in (*CLASSES, "inconclusive")
        assert all(
            0 <= r.box[0] < r.box[2] <= size[0] and 0 <= r.box[1] < r.box[3] <= size[1] for r in found.regions
        )

    def test_it_stops_between_stages(self) -> None:
        calls = []

        def check() -> None:
            calls.append(None)
            if len(calls) == 2:
                raise Cancelled("enough")

        encoder: Any = SpotEncoder()
        with pytest.raises(Cancelled):
            judge(take_in(photo()), encoder, calibration(), check)
        assert len(calls) == 2

    def test_tests_that_could_not_run_are_warned_of(self, monkeypatch: pytest.MonkeyPatch) -> None:
        failed = Evidence("test.not_run", "The noise test could not be run.", "noise", "neutral", 0.0, 0.0)
        monkeypatch.setattr(judgement, "collect", lambda image, copy: [failed])
        (warning,) = (w for w in judged(take_in(photo())).warnings if "could not be run" in w)
        assert "noise" in warning


@pytest.mark.parametrize(
    ("size", "smaller"), [((16, 16), (12, 12)), ((8, 9), (6, 7)), ((200, 100), (150, 75))]
)
def test_redelivery_is_three_quarters_and_compressed(size: tuple[int, int], smaller: tuple[int, int]) -> None:
    again = redelivered(np.array(photo(0, *size)))
    assert again.shape == (smaller[1], smaller[0], 3)
    assert again.dtype == np.uint8
    np.testing.assert_array_equal(again, redelivered(np.array(photo(0, *size))))


def test_the_mask_has_the_images_size_though_cells_reach_beyond() -> None:
    image = take_in(photo(0, 93, 61))
    mask = render_mask(perception(mask=np.ones((8, 12))), image, calibration())
    assert Image.open(io.BytesIO(base64.b64decode(mask.png or ""))).size == (93, 61)
