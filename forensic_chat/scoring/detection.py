"""Figures of a detector that scikit-learn does not have in the form used here.

Everything else is called from there.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta


def expected_calibration_error(probability: ArrayLike, positive: ArrayLike, bins: int = 15) -> float:
    """Class-balanced ECE, 0..1, over `bins` equal-width bins (Guo et al. 2017); both classes weigh the same.

    probability: (N,) of the positive class, 0..1; positive: (N,) bool. Raises ValueError unless both
    classes occur.
    """
    p, y = np.asarray(probability, np.float64), np.asarray(positive, bool)
    if y.all() or not y.any():
        raise ValueError("a class-balanced error needs both classes")
    weight = np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum())
    index = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [abs(float((weight * (p - y))[index == k].sum())) for k in range(bins)]
    return float(np.sum(gaps))


def rate_upper_bound(hits: int, trials: int, confidence: float = 0.95) -> float:
    """One-sided Clopper-Pearson upper bound of a rate; 1 when nothing was tried."""
    if hits >= trials:
        return 1.0
    return float(beta.ppf(confidence, hits + 1, trials - hits))


def balanced_nll(probability: ArrayLike, positive: ArrayLike) -> float:
    """Mean negative log-likelihood in nats; both classes weigh the same, probabilities are held to 1e-6 ..
    1 - 1e-6.

    Raises ValueError unless both classes occur.
    """
    p, y = np.asarray(probability, np.float64), np.asarray(positive, bool)
    if y.all() or not y.any():
        raise ValueError("a class-balanced likelihood needs both classes")
    loss = -np.log(np.clip(np.where(y, p, 1 - p), 1e-6, 1))
    return float((loss[y].mean() + loss[~y].mean()) / 2)


def hit_rate_at(false_alarms: ArrayLike, hits: ArrayLike, limit: float = 0.05) -> float:
    """Highest hit rate of a ROC curve at a false-alarm rate of at most `limit`; (K,) each, from (0, 0) on."""
    x, y = np.asarray(false_alarms, np.float64), np.asarray(hits, np.float64)
    return float(y[x <= limit].max())


def equal_error_rate(false_alarms: ArrayLike, hits: ArrayLike) -> float:
    """Where a ROC curve, (K,) each, linear between its points, has as many false alarms as misses."""
    x, y = np.asarray(false_alarms, np.float64), np.asarray(hits, np.float64)
    gap = x - (1 - y)
    after = int(np.argmax(gap >= 0))
    if after == 0:
        return float(x[0])
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(x[after - 1] + share * (x[after] - x[after - 1]))


def group_intervals(
    statistics: Callable[[NDArray[np.intp]], Mapping[str, float]],
    groups: Sequence[str],
    draws: int = 500,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of statistics under resampling of whole groups (cluster bootstrap).

    statistics: of the images at (N,) indices, repetitions included; ValueError where a draw does not allow
    them (a class is missing): that draw is left out. groups: of each image. Returns {} when fewer than half
    of the draws are left, or all images are of one group.
    """
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        return {}
    members = [np.flatnonzero(member == k) for k in range(len(names))]
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        picks = rng.integers(len(members), size=len(members))
        try:
            drawn.append(statistics(np.concatenate([members[k] for k in picks])))
        except ValueError:
            continue
    if 2 * len(drawn) < draws:
        return {}
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low_high = {name: np.quantile([draw[name] for draw in drawn], tails) for name in drawn[0]}
    return {name: (float(low), float(high)) for name, (low, high) in low_high.items()}
