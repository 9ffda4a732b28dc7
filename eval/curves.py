"""Curves of a detector, class-balanced: both classes weigh the same, however many images each has."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Reliability(NamedTuple):
    """Per bin that holds an image, (K,) each, 0..1."""

    stated: Values
    """Mean probability."""
    observed: Values
    """Share of positives."""
    weight: Values
    """Share of everything."""


def reliability(p: Values, y: NDArray[np.bool_], bins: int = 15) -> Reliability:
    """What probabilities state against how often it is so, in `bins` equal-width bins: the diagram behind
    `expected_calibration_error`.

    p: (N,) of the positive class; y: (N,), both classes.
    """
    weight = balanced(y)
    index = np.minimum((p * bins).astype(int), bins - 1)
    total, stated, observed = (
        np.bincount(index, values, minlength=bins) for values in (weight, weight * p, weight * y)
    )
    held = total > 0
    return Reliability(stated[held] / total[held], observed[held] / total[held], total[held])


def risk_coverage(p: Values, y: NDArray[np.bool_]) -> tuple[Values, Values]:
    """Coverage and risk, (K,) each, as images are answered in order of |p - 0.5| (Geifman & El-Yaniv 2017);
    images of one confidence come together. Risk: the share answered wrongly at 0.5.

    p: (N,) of the positive class; y: (N,), both classes.
    """
    confidence = np.abs(p - 0.5)
    order = np.argsort(-confidence, kind="stable")
    weight = balanced(y)[order]
    wrong = weight * ((p > 0.5) != y)[order]
    last = np.append(np.diff(confidence[order]) != 0, True)
    coverage = np.cumsum(weight)
    return coverage[last], (np.cumsum(wrong) / coverage)[last]


def balanced(y: NDArray[np.bool_]) -> Values:
    """Weights that sum to 1, half for each class."""
    return np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum())
