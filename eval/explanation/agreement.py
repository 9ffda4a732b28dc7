"""How far graders agree: Krippendorff's alpha for interval data."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.explanation.aspects import ASPECTS, Aspect

Unit = tuple[str, str]
"""Item and system."""
Grades = Mapping[Unit, Mapping[Aspect, float]]


def alpha(grades: ArrayLike) -> float | None:
    """1 = full agreement, 0 = chance (Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011).

    grades: (graders, units), NaN where none was given; units with fewer than two grades are left out. None
    if no unit is left, or all grades are equal, so that nothing is to be agreed on.
    """
    table: NDArray[np.float64] = np.asarray(grades, np.float64)
    counts = (~np.isnan(table)).sum(axis=0)
    table, counts = table[:, counts > 1], counts[counts > 1]
    n = int(counts.sum())
    if n < 2:
        return None
    sums, squares = np.nansum(table, axis=0), np.nansum(table**2, axis=0)
    observed = float(((2 * counts * squares - 2 * sums**2) / (counts - 1)).sum()) / n
    expected = float(2 * n * squares.sum() - 2 * sums.sum() ** 2) / (n * (n - 1))
    return None if expected < 1e-12 else 1 - observed / expected


def agreement(graders: Mapping[str, Grades]) -> dict[str, dict[str, float | int | None]]:
    """ "a, b" -> per aspect the alpha of two graders on the units that both graded, and how many those are;
    with more than two graders also "all"."""
    sets: list[Sequence[str]] = list(combinations(graders, 2))
    found = {", ".join(pair): _alphas([graders[name] for name in pair]) for pair in sets}
    return found | ({"all": _alphas(list(graders.values()))} if len(graders) > 2 else {})


def _alphas(grades: Sequence[Grades]) -> dict[str, float | int | None]:
    units = sorted({unit for one in grades for unit in one})
    shared = [unit for unit in units if sum(unit in one for one in grades) > 1]
    result: dict[str, float | int | None] = {"units": len(shared)}
    for aspect in ASPECTS:
        rows = [[one.get(unit, {}).get(aspect, np.nan) for unit in shared] for one in grades]
        value = alpha(rows) if shared else None
        result[aspect] = None if value is None else round(value, 3)
    return result
