"""Figures of a detector that scikit-learn does not have in the form used here.

Everything else is called from there.
"""

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


def bootstrap_interval(
    values: ArrayLike, draws: int = 1000, seed: int = 0, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the mean of (N,) values."""
    v: NDArray[np.float64] = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    means = rng.choice(v, (draws, len(v))).mean(1)
    tail = (1 - confidence) / 2
    return float(np.quantile(means, tail)), float(np.quantile(means, 1 - tail))
