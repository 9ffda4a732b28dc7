"""Figures, against values worked out by hand and known tables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forensic_chat.scoring.detection import (
    expected_calibration_error,
    rate_upper_bound,
)
from forensic_chat.scoring.localisation import overlap


def test_calibration_error_by_hand() -> None:
    # two bins; the low one holds a real at .2 and a fake at .4, the high one a real at .6 and a fake at .9
    p, fake = [0.2, 0.4, 0.6, 0.9], [False, True, False, True]
    low = abs(0.25 * (0.2 - 0) + 0.25 * (0.4 - 1))
    high = abs(0.25 * (0.6 - 0) + 0.25 * (0.9 - 1))
    assert expected_calibration_error(p, fake, bins=2) == pytest.approx(low + high)


def test_both_classes_weigh_the_same_however_many_there_are() -> None:
    # one fake at .3 weighs as much as nine reals at .1
    p, fake = [0.3] + [0.1] * 9, [True] + [False] * 9
    assert expected_calibration_error(p, fake, bins=1) == pytest.approx(abs(0.5 * -0.7 + 0.5 * 0.1))
    assert expected_calibration_error(p, fake, bins=10) == pytest.approx(0.5 * 0.7 + 0.5 * 0.1)


def test_certainty_that_is_right_has_no_error() -> None:
    assert expected_calibration_error([0, 1, 1, 0], [False, True, True, False]) == 0
    assert expected_calibration_error([1, 0], [False, True]) == pytest.approx(1)


@pytest.mark.parametrize("fake", [[True, True], [False, False]])
def test_calibration_error_needs_both_classes(fake: list[bool]) -> None:
    with pytest.raises(ValueError, match="both classes"):
        expected_calibration_error([0.1, 0.9], fake)


@pytest.mark.parametrize(
    ("hits", "trials", "bound"),
    [
        (0, 10, 1 - 0.05 ** (1 / 10)),  # closed form: .2589
        (0, 300, 1 - 0.05 ** (1 / 300)),  # the rule of three: about 1 %
        (9, 10, 0.95 ** (1 / 10)),  # closed form
        (1, 10, 0.3942),  # from printed tables
        (5, 100, 0.1023),
        (10, 10, 1.0),
        (0, 0, 1.0),
    ],
)
def test_upper_bound_of_a_rate(hits: int, trials: int, bound: float) -> None:
    assert rate_upper_bound(hits, trials) == pytest.approx(bound, abs=1e-4)


@given(st.integers(1, 60), st.data())
def test_the_bound_leaves_five_percent_to_luck(trials: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials - 1))
    bound = rate_upper_bound(hits, trials)
    luck = sum(math.comb(trials, k) * bound**k * (1 - bound) ** (trials - k) for k in range(hits + 1))
    assert hits / trials < bound < 1
    assert luck == pytest.approx(0.05, abs=1e-6)


MASKS = arrays(np.bool_, (6, 7))


@given(MASKS, MASKS)
def test_f1_never_exceeds_what_the_iou_allows(mask: np.ndarray, truth: np.ndarray) -> None:
    if not truth.any():
        with pytest.raises(ValueError, match="marks nothing"):
            overlap(mask, truth)
        return
    seen = overlap(mask, truth)
    assert 0 <= seen.iou <= seen.f1 <= 1
    assert seen.f1 <= 2 * seen.iou / (1 + seen.iou) + 1e-12
    hits, wrong, missed = ((mask & truth).sum(), (mask & ~truth).sum(), (~mask & truth).sum())
    assert seen.f1 == pytest.approx(2 * hits / (2 * hits + wrong + missed))
    assert seen.iou == pytest.approx(hits / (hits + wrong + missed))


def test_an_inverted_mask_earns_nothing() -> None:
    truth = np.zeros((4, 4), bool)
    truth[:2, :2] = True
    assert overlap(~truth, truth).f1 == 0
    assert overlap(truth, truth).f1 == 1


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        overlap(np.ones((2, 3), bool), np.ones((3, 2), bool))
