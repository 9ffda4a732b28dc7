"""Figures by hand-computed cases, without any model."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import curves, degradation, detection, evidence, localisation, maps, robustness, verdicts
from eval.examples import Example
from eval.rows import Row
from eval.shortcuts import size_format
from forensic_chat.data.laundering import Jpeg
from forensic_chat.scoring.detection import (
    balanced_nll,
    equal_error_rate,
    expected_calibration_error,
    group_intervals,
    hit_rate_at,
)
from forensic_chat.scoring.localisation import overlap


def pair(name: str, label: Any, fake: float, told: str | None = None, **more: Any) -> tuple[Example, Row]:
    """told: the label; by default what 0.5 gives."""
    about = {key: more.pop(key) for key in ("kind", "source", "group", "screenshot", "forged") if key in more}
    fields = {"kind": label, "source": f"{label} source", "group": name} | about
    example = Example(name, Path(name), label, mask=Path("m.png") if label == "tampered" else None, **fields)
    verdict = told or ("real" if fake <= 0.5 else "synthetic" if label == "synthetic" else "tampered")
    row = Row(name, "clean", "c", "m", "JPEG", 64, 48, 900, verdict, {}, fake)
    return example, replace(row, **more)


PAIRS = [
    pair("r1", "real", 0.1),
    pair("r2", "real", 0.2),
    pair("r3", "real", 0.6),
    pair("r4", "real", 0.7, "inconclusive"),
    pair("s1", "synthetic", 0.9, kind="A"),
    pair("s2", "synthetic", 0.8, kind="A"),
    pair("s3", "synthetic", 0.65, kind="A"),
    pair("s4", "synthetic", 0.3, kind="B"),
    pair("t1", "tampered", 0.55, "inconclusive"),
    pair("shot", "real", 0.99, screenshot=True),
]


def test_separation_counts_pairs_in_order() -> None:
    found = detection.separation(PAIRS[:9], ("synthetic",), 0, 50)
    assert found is not None
    assert (found["real"], found["fake"]) == (4, 4)
    # of 16 pairs, the fake one is lower for (r4, s3), (r3, s4), (r4, s4)
    assert found["auc"] == pytest.approx(13 / 16)
    # precision at the ranks of the fakes: 1, 1, 3/4, 4/6
    assert found["ap"] == pytest.approx((1 + 1 + 3 / 4 + 4 / 6) / 4)
    assert found["balanced_accuracy"] == pytest.approx((2 / 4 + 3 / 4) / 2)
    assert found["tpr_at_5_fpr"] == 0.5
    assert found["eer"] == pytest.approx(0.25)
    low, high = found["intervals"]["auc"]
    assert 0 <= low <= found["auc"] <= high <= 1
    assert found["intervals_over_sources"] == {}  # one source a class: a draw often lacks a class


def test_one_class_has_no_separation() -> None:
    assert detection.separation(PAIRS[:4], ("synthetic",), 0, 10) is None


def test_thresholds_are_not_taken_from_the_data() -> None:
    """Perfectly separated, but all on one side of 0.5: a threshold fitted to the data would be right."""
    pairs = [pair(f"r{k}", "real", 0.1) for k in range(4)] + [
        pair(f"s{k}", "synthetic", 0.4) for k in range(4)
    ]
    found = detection.figures(pairs, 0, 10)
    separated = found["pairs"]["real vs synthetic"]
    assert separated["auc"] == 1.0
    assert separated["balanced_accuracy"] == 0.5
    assert found["accuracy"]["f_acc"] == 0.0


def test_screenshots_forgeries_and_failures_stand_apart() -> None:
    failed = (pair("broken", "real", 0.0)[0], Row("broken", "clean", "c", "m", error="x is damaged"))
    forged = [pair("f1", "real", 0.3, forged=True), pair("f2", "tampered", 0.6, forged=True, group="f1")]
    found = detection.figures([*PAIRS, failed, *forged], 0, 10)
    assert found["not_examined"] == {"real": 1, "synthetic": 0, "tampered": 0}
    assert found["pairs"]["real vs fake"]["real"] == 4
    assert found["screenshots"]["labelled"]["hits"] == 1
    assert found["forged vs their originals"]["auc"] == 1.0
    assert found["told"]["real"] == {"real": 2, "synthetic": 0, "tampered": 1, "inconclusive": 1}
    shown = detection.show(found)
    assert "size/format AUC" in shown
    assert "too few sources: 1 sources of real and 1 of fake images" in shown


def test_accuracy_micro_and_macro() -> None:
    found = verdicts.accuracy(PAIRS[:9])
    assert found["r_acc"] == pytest.approx(2 / 4)
    assert found["f_acc"] == pytest.approx(4 / 5)
    assert found["micro"] == pytest.approx(6 / 9)
    assert found["f_acc_macro"] == pytest.approx((1 + 0 + 1) / 3)  # A, B, tampered
    assert found["macro"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_false_accusations_are_counted_in_both_ways() -> None:
    found = verdicts.false_accusations(PAIRS[:9])
    assert (found["labelled"]["hits"], found["above_half"]["hits"], found["inconclusive"]["hits"]) == (
        1,
        2,
        1,
    )
    assert found["labelled"]["upper_95"] > found["labelled"]["rate"] == 0.25
    none = verdicts.false_accusations([])["labelled"]
    assert none["rate"] is None
    assert none["upper_95"] == 1.0


def test_abstention_weighs_both_classes_alike() -> None:
    found = verdicts.abstention(PAIRS[:9])
    assert found["coverage"] == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert found["risk"] == pytest.approx((1 / 3 + 1 / 4) / 2)
    assert found["risk_unabstained"] == pytest.approx((2 / 4 + 1 / 5) / 2)


def test_kinds_are_listed_by_class_and_size() -> None:
    found = verdicts.kinds(PAIRS[:9])
    assert [(row["kind"], row["n"]) for row in found] == [("real", 4), ("A", 3), ("B", 1), ("tampered", 1)]
    assert found[1]["above_half"] == 1.0


def test_equal_error_rate_lies_between_the_points_of_a_curve() -> None:
    assert equal_error_rate([0, 0, 1], [0, 1, 1]) == 0.0
    assert equal_error_rate([0, 1], [0, 1]) == pytest.approx(0.5)
    assert equal_error_rate([0, 0.1, 1], [0, 0.7, 1]) == pytest.approx(0.1 + 0.9 * 0.2 / 1.2)


def test_hit_rate_stays_within_the_false_alarms_allowed() -> None:
    assert hit_rate_at([0, 0.04, 0.06, 1], [0, 0.5, 0.9, 1]) == 0.5


def test_likelihood_is_class_balanced_and_finite() -> None:
    assert balanced_nll([0.5] * 5, [True, False, False, False, False]) == pytest.approx(math.log(2))
    assert balanced_nll([0.0, 0.0], [True, False]) == pytest.approx(-math.log(1e-6) / 2, rel=1e-3)
    with pytest.raises(ValueError, match="both classes"):
        balanced_nll([0.5], [True])


def test_intervals_resample_groups_not_images() -> None:
    values = np.repeat([0.0, 1.0], 50)

    def mean(index: np.ndarray) -> dict[str, float]:
        return {"mean": float(values[index].mean())}

    two_groups = group_intervals(mean, ["a"] * 50 + ["b"] * 50, 200)["mean"]
    assert two_groups == (0.0, 1.0)
    alone = group_intervals(mean, [str(k) for k in range(100)], 200)["mean"]
    assert 0.35 < alone[0] < 0.5 < alone[1] < 0.65
    assert group_intervals(mean, ["a"] * 100, 200) == {}
    assert group_intervals(mean, [str(k) for k in range(100)], 200)["mean"] == alone


def test_size_and_format_alone_are_scored() -> None:
    y = [k % 2 == 1 for k in range(80)]
    sources = [f"{k % 2}{k % 5}" for k in range(80)]
    told = size_format([(640 + k, 480, ("JPEG", "PNG")[k % 2]) for k in range(80)], y, sources, 0)
    assert told == {"auc": 1.0, "note": "over 5 sources of real and 5 of fake images"}
    sizes = np.random.default_rng(0).integers(300, 2000, (80, 2)).tolist()
    same = size_format([(w, h, "JPEG") for w, h in sizes], y, sources, 0)
    assert same["auc"] is not None
    assert 0.25 < same["auc"] < 0.75
    square = [(1024, 1024) if fake else (w, h) for (w, h), fake in zip(sizes, y, strict=True)]
    by_side = size_format([(w, h, "JPEG") for w, h in square], y, sources, 0)
    assert by_side["auc"] == 1.0


def test_size_and_format_are_predicted_for_sources_left_out() -> None:
    """Each source has a size of its own: known sources would be told apart, unseen ones are not."""
    y = [k % 2 == 1 for k in range(160)]
    number = [k % 2 + 2 * (k // 2 % 8) for k in range(160)]
    widths = np.random.default_rng(3).permutation(np.arange(400, 2000, 100))
    found = size_format([(int(widths[k]), 700, "JPEG") for k in number], y, list(map(str, number)), 0)
    assert found["auc"] is not None
    assert found["auc"] < 0.8
    few = size_format([(640, 480, "JPEG")] * 160, y, ["a" if fake else str(k) for k, fake in enumerate(y)], 0)
    assert few["auc"] is None
    assert few["note"] == "too few sources: 80 sources of real and 1 of fake images; 4 of each are needed"


def fit(f1: float, iou: float, truth: float = 0.2) -> dict[str, float]:
    return {"f1": f1, "iou": iou, "auc": 0.9, "otsu_iou": 0.1, "area": 0.1, "truth": truth}


def masked(name: str, label: Any, figures: dict[str, float], **more: Any) -> tuple[Example, Row]:
    return pair(name, label, 0.9, masks=dict.fromkeys((*localisation.METHODS,), figures), **more)


def test_masks_are_averaged_over_images_and_over_manipulations() -> None:
    pairs = [
        masked("t1", "tampered", fit(0.5, 1 / 3), kind="splice"),
        masked("t2", "tampered", fit(1.0, 1.0), kind="splice"),
        masked("t3", "tampered", fit(0.0, 0.0), kind="copy-move"),
        masked("r1", "real", {"area": 0.0}),
        masked("r2", "real", {"area": 0.5}),
        masked("shot", "real", {"area": 1.0}, screenshot=True),
        masked("f1", "tampered", fit(1.0, 1.0), kind="forged splice", forged=True),
    ]
    found = localisation.figures(pairs, 0, 50)
    shipped = found["data"]["methods"]["shipped"]
    assert shipped["micro"]["f1"] == pytest.approx(0.5)
    assert shipped["macro"]["f1"] == pytest.approx((0.75 + 0) / 2)
    assert shipped["macro"]["iou"] == pytest.approx((2 / 3 + 0) / 2)
    assert shipped["false_positive_area"] == 0.25
    assert shipped["reals_marked"] == 0.5
    everything = found["data"]["methods"]["everything"]
    assert everything["micro"]["iou"] == pytest.approx(0.2)
    assert everything["micro"]["f1"] == pytest.approx(0.4 / 1.2)
    assert found["forged"]["tampered"] == 1
    assert "forged splice" in localisation.show(found)


def test_an_f1_that_its_iou_does_not_allow_is_refused() -> None:
    with pytest.raises(AssertionError, match="contradict"):
        localisation.figures([masked("t1", "tampered", fit(0.9, 0.4))], 0, 10)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2).filter(lambda v: any(t for _, t in v)))
def test_f1_and_iou_of_one_image_agree(cells: list[tuple[bool, bool]]) -> None:
    mask, truth = (np.array([column]) for column in zip(*cells, strict=True))
    fit = overlap(mask, truth)
    assert fit.f1 <= 2 * fit.iou / (1 + fit.iou) + 1e-12
    both = (mask & truth).sum()
    assert fit.f1 == pytest.approx(2 * both / (mask.sum() + truth.sum()))


def test_pixel_auc_weighs_every_pixel() -> None:
    levels = np.array([[0, 10], [10, 255]], np.uint8)
    assert maps.pixel_auc(levels, np.array([[False, False], [False, True]])) == 1.0
    assert maps.pixel_auc(levels, np.array([[False, True], [False, False]])) == pytest.approx(
        (1 + 0.5 + 0) / 3
    )
    assert maps.pixel_auc(levels, np.ones((2, 2), bool)) == 0.5


def test_noise_map_finds_a_smoothed_square() -> None:
    rng = np.random.default_rng(0)
    pixels = np.clip(rng.normal(128, 12, (128, 128, 3)), 0, 255).astype(np.uint8)
    pixels[32:96, 32:96] = 128
    truth = np.zeros((128, 128), bool)
    truth[32:96, 32:96] = True
    assert maps.pixel_auc(maps.noise(pixels), truth) > 0.95
    assert overlap(maps.otsu(maps.noise(pixels)), truth).iou > 0.5  # windows of 16 px miss its rim
    assert maps.ela(pixels).shape == (128, 128)


def test_a_flip_counts_only_among_the_answered() -> None:
    def after(name: str, told: str, fake: float) -> tuple[Example, Row]:
        example, row = next(p for p in PAIRS if p[0].id == name)
        return example, replace(row, chain="jpeg", verdict=told, fake=fake)

    later = [
        after("r1", "tampered", 0.8),  # crossed
        after("r2", "inconclusive", 0.5),
        after("r3", "synthetic", 0.6),  # flipped from tampered, still fake
        after("r4", "tampered", 0.7),  # was not answered before
        after("s1", "synthetic", 0.9),
        after("s4", "real", 0.1),
    ]
    found = robustness.figures([*PAIRS, *later])
    jpeg = found["chains"]["jpeg"]
    assert (jpeg["flips"]["hits"], jpeg["flips"]["n"]) == (2, 4)
    assert (jpeg["crossings"]["hits"], jpeg["crossings"]["n"]) == (1, 4)
    assert jpeg["answered"]["rate"] == pytest.approx(5 / 6)
    assert jpeg["false_accusations"]["labelled"]["hits"] == 3
    assert jpeg["auc"]["real vs tampered"] is None
    assert found["chains"]["clean"]["flips"]["hits"] == 0
    assert found["worst_for_false_accusations"]["labelled"] == "jpeg"
    assert "jpeg" in robustness.show(found)


def test_a_finding_is_held_to_the_rate_it_states() -> None:
    def saw(name: str, label: Any, *kinds: str, **more: Any) -> tuple[Example, Row]:
        findings = [[kind, "tampered", 0.7, 0.3] for kind in kinds] + [["jpeg.tables", "neutral", 0.1, 0.0]]
        return pair(name, label, 0.5, findings=findings, **more)

    pairs = [
        saw("r1", "real", "noise.level", "noise.level"),
        saw("r2", "real", "jpeg.ghost"),
        saw("r3", "real", "jpeg.ghost"),
        saw("r4", "real"),
        saw("t1", "tampered", "noise.level", "jpeg.ghost"),
        saw("shot", "real", "noise.level", screenshot=True),
    ]
    found = evidence.figures(pairs)
    noise, ghost = found["kinds"]["noise.level"], found["kinds"]["jpeg.ghost"]
    assert noise["rates"] == {"real": 0.25, "synthetic": None, "tampered": 1.0, "screenshot": 1.0}
    assert noise["kept"]
    assert ghost["rates"]["real"] == 0.5
    assert not ghost["kept"]
    assert ghost["by_chance"] == pytest.approx(1 - 0.7**4 - 4 * 0.3 * 0.7**3)
    text = evidence.show(found)
    assert "NO" in text
    assert "1 other kinds never did" in text


def test_figures_on_unseen_sources_stand_beside_the_others() -> None:
    known = [(replace(e, in_training=True), r) for e, r in PAIRS[:4]]
    found = detection.figures([*known, *PAIRS[4:9], pair("r9", "real", 0.0)], 0, 10)
    assert found["pairs"]["real vs synthetic"]["real"] == 5
    assert found["unseen_sources"]["real vs synthetic"]["real"] == 1
    assert found["unseen_sources"]["real vs synthetic"]["auc"] == 1.0
    assert detection.figures(PAIRS, 0, 10)["unseen_sources"] is None
    assert "unseen sources: real vs synthetic" in detection.show(found)


def test_generators_have_intervals_where_groups_allow() -> None:
    found = {k["kind"]: k["interval"] for k in verdicts.kinds(PAIRS[:9], 0, 200)}
    low, high = found["real"]
    assert 0 <= low < 0.5 < high <= 1
    assert found["B"] is None


def test_each_generator_is_counted_in_each_chain_at_thresholds_frozen_before() -> None:
    later = [(e, replace(r, chain="jpeg", fake=r.fake - 0.3, verdict="real")) for e, r in PAIRS[:9]]
    found = robustness.figures([*PAIRS, *later])["chains"]
    assert found["clean"]["found_by_kind"]["synthetic: A"] == {"n": 3, "labelled": 1.0, "above_half": 1.0}
    assert found["jpeg"]["found_by_kind"]["synthetic: A"] == {
        "n": 3, "labelled": 0.0, "above_half": pytest.approx(1 / 3),
    }  # fmt: skip
    assert found["jpeg"]["found"]["tampered"]["n"] == 1
    assert found["jpeg"]["size_format"]["auc"] is None


def test_damage_is_drawn_in_order_of_its_strength() -> None:
    noisy = "noise, sigma in grey levels"
    later = [(e, replace(r, chain=f"{noisy} 5", fake=1 - r.fake)) for e, r in PAIRS]
    found = degradation.figures([*PAIRS, *later])
    curve = found["curves"][noisy]
    assert [p["x"] for p in curve] == [0, 2, 5, 10]
    assert [p["n"] for p in curve] == [9, 0, 9, 0]
    first, third = (curve[k]["auc"]["real vs synthetic"] for k in (0, 2))
    assert first == pytest.approx(13 / 16)
    assert third == pytest.approx(3 / 16)
    assert curve[1]["auc"]["real vs synthetic"] is None
    assert [p["x"] for p in found["curves"]["JPEG quality"]] == [50, 65, 80, 95]
    assert "JPEG quality 50" in degradation.show(found)


def test_reliability_weighs_both_classes_alike() -> None:
    p, y = np.array([0.1, 0.1, 0.1, 0.95]), np.array([False, False, True, True])
    found = curves.reliability(p, y)
    np.testing.assert_allclose(found.stated, [0.1, 0.95])
    np.testing.assert_allclose(found.observed, [0.25 / 0.75, 1])
    np.testing.assert_allclose(found.weight, [0.75, 0.25])
    gap = np.sum(found.weight * np.abs(found.stated - found.observed))
    assert gap == pytest.approx(expected_calibration_error(p, y))


def test_risk_grows_with_coverage_where_the_unsure_are_wrong() -> None:
    p, y = np.array([0.0, 0.4, 1.0, 0.4]), np.array([False, False, True, True])
    coverage, risk = curves.risk_coverage(p, y)
    np.testing.assert_allclose(coverage, [0.5, 1.0])
    np.testing.assert_allclose(risk, [0.0, 0.25])


def test_a_ghost_map_finds_what_was_saved_before(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.integers(0, 256, (256, 256, 3)).astype(np.uint8), (0, 0), 1.0)
    low, _ = Jpeg(60, "4:4:4").apply(scene, None)
    mixed = scene.copy()
    mixed[64:160, 64:176] = low[64:160, 64:176]
    truth = np.zeros((256, 256), bool)
    truth[64:160, 64:176] = True
    assert maps.pixel_auc(maps.ghost(mixed), truth) > 0.9
    turned = np.ascontiguousarray(np.rot90(mixed, -1))  # upright; the file lies down: orientation 6
    np.testing.assert_array_equal(maps.ghost(turned, 6), np.rot90(maps.ghost(mixed), -1))
    assert maps.ghost(scene[:12, :12]).max() == 0


def test_a_copy_map_marks_both_places() -> None:
    rng = np.random.default_rng(1)
    scene = cv2.GaussianBlur(rng.integers(0, 256, (320, 320, 3)).astype(np.uint8), (0, 0), 1.5)
    scene[200:290, 190:300] = scene[30:120, 20:130]
    found = maps.copymove(scene) > 0
    truth = np.zeros((320, 320), bool)
    truth[200:290, 190:300] = truth[30:120, 20:130] = True
    assert overlap(found, truth).iou > 0.6
    assert not maps.copymove(np.full((64, 64, 3), 9, np.uint8)).any()
