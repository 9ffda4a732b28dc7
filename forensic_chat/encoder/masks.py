"""From the mask's cells to what is shown: an image-sized mask and boxes of its regions."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forensic_chat.schema import Box

SMALLEST_AREA = 0.002
"""Share of the image below which a component of the mask is not called a region."""


@dataclass(frozen=True)
class MaskRegion:
    """One connected component: its box in pixels, its share of the image 0..1, its mean mask
    probability."""

    box: Box
    area: float
    score: float


def soft(mask: NDArray[np.float32], width: int, height: int) -> NDArray[np.uint8]:
    """Cells (h, w) of probabilities, 8 px each -> (height, width) uint8, 255 = certain, bilinear between cell
    centres."""
    levels = np.rint(mask * 255).astype(np.uint8)
    cells = cv2.resize(levels, (mask.shape[1] * 8, mask.shape[0] * 8), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cells[:height, :width], np.uint8)


def full_size(mask: NDArray[np.float32], width: int, height: int, threshold: float) -> NDArray[np.uint8]:
    """Cells as for `soft` -> (height, width) uint8 of 0 or 255."""
    _, binary = cv2.threshold(soft(mask, width, height), round(threshold * 255), 255, cv2.THRESH_BINARY)
    return np.ascontiguousarray(binary)


def regions(
    mask: NDArray[np.float32], width: int, height: int, threshold: float, most: int = 4
) -> list[MaskRegion]:
    """The largest components of `mask > threshold`, largest first; boxes never leave the image."""
    above = (mask > threshold).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    found = []
    for k in range(1, count):
        x, y, w, h, cells = (int(v) for v in stats[k])
        area = min(1.0, cells * 64 / (width * height))
        if area >= SMALLEST_AREA:
            box = (x * 8, y * 8, min(width, (x + w) * 8), min(height, (y + h) * 8))
            found.append(MaskRegion(box, area, float(mask[labels == k].mean())))
    return sorted(found, key=lambda region: region.area, reverse=True)[:most]
