"""The pictures the language model looks at: an overview, native-resolution crops, a map of traces."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forensic_chat.schema import Box

VIEW_SIZE = 224
"""Pixels a side: the input of the CLIP ViT-B/16 tower."""

_ANCHORS = np.array(
    [
        (6, 6, 16), (18, 14, 48), (32, 20, 82), (50, 22, 112), (72, 22, 130), (96, 24, 138), (120, 28, 138),
        (146, 36, 130), (170, 48, 116), (192, 62, 98), (212, 80, 78), (228, 102, 58), (240, 128, 42),
        (248, 158, 40), (252, 194, 70), (252, 232, 140),
    ],
    dtype=np.float64,
)  # fmt: skip
"""Dark blue over violet and orange to pale yellow; lightness rises with every step."""


@dataclass(frozen=True, eq=False)
class View:
    """One picture and where it comes from."""

    name: str
    """How prompts and answers call it: "overview", "crop A", "trace map"."""
    box: Box
    """What it shows, in pixels of the image; for a trace map in cells of the heat map."""
    pixels: NDArray[np.uint8]
    """(224, 224, 3) RGB."""


def overview(pixels: NDArray[np.uint8], size: int = VIEW_SIZE) -> View:
    """The whole (H, W, 3) uint8 image squashed to `size` x `size`, bicubic with antialiasing."""
    height, width = pixels.shape[:2]
    # A box reduction first is exact enough below a third of the final step and much faster on a large photo.
    small = Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return View("overview", (0, 0, width, height), np.array(small))


def crop(pixels: NDArray[np.uint8], box: Box, name: str, size: int = VIEW_SIZE) -> View:
    """Native pixels of `box` as `size` x `size`: never resampled.

    A box of another size keeps its centre and is cut or widened to `size`, shifted to lie inside the image;
    only an image smaller than `size` is padded, by reflection to the right and below. `View.box` says what
    is shown.
    """
    height, width = pixels.shape[:2]
    x0 = _start((box[0] + box[2]) // 2, size, width)
    y0 = _start((box[1] + box[3]) // 2, size, height)
    x1, y1 = min(x0 + size, width), min(y0 + size, height)
    cut = pixels[y0:y1, x0:x1]
    missing: list[tuple[int, int]] = [(0, size - (y1 - y0)), (0, size - (x1 - x0)), (0, 0)]
    # numpy repeats the reflection where the image is less than half as large as the view.
    shown: NDArray[Any] = np.pad(cut, missing, mode="reflect") if any(after for _, after in missing) else cut
    return View(name, (x0, y0, x1, y1), np.ascontiguousarray(shown, dtype=np.uint8))


def _start(centre: int, size: int, length: int) -> int:
    return max(0, min(centre - size // 2, length - size))


def native_boxes(width: int, height: int, tile: int, overlap: int) -> list[Box]:
    """Boxes of `tile` x `tile` pixels that cover the image, row by row, neighbours sharing at least
    `overlap`.

    The last column and row are shifted inward, never outside; a side shorter than `tile` gives boxes of
    that side. Raises ValueError unless 0 <= overlap < tile.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"overlap {overlap} must be at least 0 and less than the tile {tile}")
    return [
        (x, y, min(x + tile, width), min(y + tile, height))
        for y in _starts(height, tile, overlap)
        for x in _starts(width, tile, overlap)
    ]


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    if length <= tile:
        return [0]
    return [*range(0, length - tile, tile - overlap), length - tile]


def trace_map(heat: NDArray[np.float32], size: int = VIEW_SIZE) -> View:
    """A (h, w) map of 0..1 as a picture: dark where nothing was found, pale yellow where traces are
    strongest.
    """
    height, width = heat.shape
    levels = np.rint(np.nan_to_num(np.clip(heat, 0.0, 1.0)) * 255).astype(np.uint8)
    small = np.asarray(Image.fromarray(levels).resize((size, size), Image.Resampling.BILINEAR))
    return View("trace map", (0, 0, width, height), _colours()[small])


def _colours() -> NDArray[np.uint8]:
    """(256, 3) table through the anchors."""
    at = np.linspace(0, len(_ANCHORS) - 1, 256)
    channels = [np.interp(at, np.arange(len(_ANCHORS)), _ANCHORS[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)
