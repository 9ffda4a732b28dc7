"""Block-wise arithmetic that the pixel tests share: means over blocks, and the box of a group of blocks."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from forensic_chat.schema import Box

Grey = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]


def luma(pixels: npt.NDArray[np.uint8]) -> Grey:
    """(H, W) uint8 brightness (ITU-R BT.601, as JPEG uses it) of (H, W, 3) uint8 RGB."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def centre(width: int, height: int, max_pixels: int, step: int) -> Box:
    """The central box of at most about `max_pixels`, of the image's shape, its corner on multiples of `step`.

    Keeps the cost of a test bounded on large photos without resizing, which would destroy what it looks for.
    """
    scale = min(1.0, (max_pixels / (width * height)) ** 0.5)
    w, h = (max(step, int(side * scale) // step * step) if scale < 1 else side for side in (width, height))
    w, h = min(w, width), min(h, height)
    x, y = (width - w) // 2 // step * step, (height - h) // 2 // step * step
    return x, y, x + w, y + h


def block_mean(values: npt.NDArray[np.generic], size: int) -> Map:
    """(H // size, W // size) float32 means over whole blocks of a (H, W) array."""
    h, w = values.shape[0] // size, values.shape[1] // size
    whole = np.ascontiguousarray(values[: h * size, : w * size])
    return np.asarray(cv2.resize(whole, (w, h), interpolation=cv2.INTER_AREA), dtype=np.float32)


@dataclass(frozen=True)
class Component:
    """A connected group of blocks."""

    mask: npt.NDArray[np.bool_]
    """(h, w), one value a block."""
    weight: float
    """The sum of the weights of its blocks."""
    blocks: int

    def box(self, size: int, width: int, height: int, origin: tuple[int, int] = (0, 0)) -> Box:
        """Its bounding box in pixels, `size` pixels a block, within an image of `width` x `height`."""
        ys, xs = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        x, y = origin
        return (
            x + int(xs[0]) * size,
            y + int(ys[0]) * size,
            min(width, x + (int(xs[-1]) + 1) * size),
            min(height, y + (int(ys[-1]) + 1) * size),
        )


def heaviest_component(mask: npt.NDArray[np.bool_], weights: Map, *, at_most: float) -> Component | None:
    """The 8-connected component of `mask` with the largest sum of `weights`, smaller than `at_most` of all
    blocks.

    A group that covers most of the image is not a foreign region but the image itself. None if there is
    none.
    """
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    flat = np.asarray(labels).ravel()
    sizes = np.bincount(flat, minlength=count)
    sums = np.bincount(flat, weights=weights.ravel().astype(np.float64), minlength=count)
    sums[0] = -np.inf
    sums[sizes > at_most * mask.size] = -np.inf
    best = int(sums.argmax())
    if not np.isfinite(sums[best]):
        return None
    return Component(np.asarray(labels) == best, float(sums[best]), int(sizes[best]))


def robust_z(values: Map, floor: float = 1e-3) -> Map:
    """Distance from the median in units of the scaled median absolute deviation (never below `floor`)."""
    middle = np.median(values)
    spread = max(float(1.4826 * np.median(np.abs(values - middle))), floor)
    return np.asarray((values - middle) / spread, dtype=np.float32)
