"""Whether the places that an answer names are those that were changed. Boxes against boxes: no text can draw
a mask.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from forensic_chat.encoder.occlusion import PASSES
from forensic_chat.mllm.verify import RegionTest
from forensic_chat.schema import Box

SPECK = 0.05
"""Parts of a mask below this share of the largest one are left out."""
MOST_PARTS = 8
POSITIONS = 15
"""A side of the grid of places with which a box is compared."""


def parts(mask: NDArray[np.bool_]) -> tuple[Box, ...]:
    """The boxes of a mask's connected parts, (H, W) bool, largest part first; specks left out."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = sorted(stats[1:].tolist(), key=lambda row: -row[cv2.CC_STAT_AREA])
    kept = [row for row in found if row[cv2.CC_STAT_AREA] >= SPECK * found[0][cv2.CC_STAT_AREA]]
    return tuple((x, y, x + w, y + h) for x, y, w, h, _ in kept[:MOST_PARTS])


def box_iou(claimed: Sequence[Box], truth: Sequence[Box], size: tuple[int, int]) -> float:
    """Intersection over union of the areas that two sets of boxes cover, 0..1; boxes are cut to the image,
    `size` is (width, height)."""
    if not claimed or not truth:
        return 0.0
    xs, ys = (
        sorted({min(size[axis], box[k]) for box in (*claimed, *truth) for k in (axis, axis + 2)})
        for axis in (0, 1)
    )
    cells = np.outer(np.diff(ys), np.diff(xs)).astype(np.float64)
    covered = [_cells(boxes, xs, ys) for boxes in (claimed, truth)]
    either = float(cells[covered[0] | covered[1]].sum())
    return float(cells[covered[0] & covered[1]].sum()) / either if either else 0.0


def _cells(boxes: Sequence[Box], xs: Sequence[int], ys: Sequence[int]) -> NDArray[np.bool_]:
    """Which cells of the grid that all edges span are covered."""
    left, top = np.array(xs[:-1]), np.array(ys[:-1])
    grid = np.zeros((len(top), len(left)), bool)
    for x0, y0, x1, y1 in boxes:
        grid |= np.outer((top >= y0) & (top < y1), (left >= x0) & (left < x1))
    return grid


def masked_out(box: Box, truth: Sequence[Box], size: tuple[int, int]) -> RegionTest:
    """The mask-out test against the truth: would masking the box remove the change?

    It passes when the box holds at least as much of the changed parts as 95 % of the boxes of its size
    elsewhere in the image, and more than the image as a whole does.
    """
    width, height = min(box[2], size[0]) - box[0], min(box[3], size[1]) - box[1]
    if width <= 0 or height <= 0 or not truth:
        return RegionTest(passed=False, percentile=0.0)
    x, y = np.meshgrid(
        np.linspace(0, size[0] - width, POSITIONS), np.linspace(0, size[1] - height, POSITIONS)
    )
    held = float(_held(np.array(box[0]), np.array(box[1]), width, height, truth))
    elsewhere = _held(x, y, width, height, truth)
    percentile = 100 * float(np.mean(elsewhere <= held + 1e-9))
    changed = sum((b[2] - b[0]) * (b[3] - b[1]) for b in truth) / (size[0] * size[1])
    passed = percentile >= PASSES and held / (width * height) > changed
    return RegionTest(passed=passed, percentile=percentile)


def _held(
    x: NDArray[np.float64], y: NDArray[np.float64], width: int, height: int, truth: Sequence[Box]
) -> NDArray[np.float64]:
    """Changed area inside boxes with their upper left corners at x, y; parts that overlap count twice."""
    total = np.zeros(np.shape(x))
    for x0, y0, x1, y1 in truth:
        across = np.clip(np.minimum(x + width, x1) - np.maximum(x, x0), 0, None)
        down = np.clip(np.minimum(y + height, y1) - np.maximum(y, y0), 0, None)
        total = total + across * down
    return total
