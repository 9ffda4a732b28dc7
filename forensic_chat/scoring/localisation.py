"""How well a mask fits the truth, one tampered image at a time, at a fixed threshold, foreground only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Overlap:
    """F1 and intersection over union of the changed pixels, 0..1."""

    f1: float
    iou: float


def overlap(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Overlap:
    """Both (H, W); no inversion, no background.

    An empty truth is an error: ValueError.
    """
    if mask.shape != truth.shape:
        raise ValueError(f"mask {mask.shape} and truth {truth.shape} differ in size")
    if not truth.any():
        raise ValueError("the truth marks nothing; false-positive area is the figure for real images")
    both, either = int((mask & truth).sum()), int((mask | truth).sum())
    iou = both / either
    return Overlap(f1=2 * iou / (1 + iou), iou=iou)
