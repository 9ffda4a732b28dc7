"""Patch tokens of the CLIP tower over the whole image: what the mask head reads.

Frozen CLIP patch tokens locate edits of unseen kinds better than features trained for it (Smeu et al. 2025,
DeCLIP, decode them for inpainting); here they are read in tiles, of images scaled to 768 px at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forensic_chat.encoder.tower import Tower
from forensic_chat.schema import Box

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
PATCH = 16
"""Pixels of the read image that a token covers, each way."""
LONGEST = 768
"""A larger image is scaled down to this many pixels on its longer side before the tower reads it in tiles."""
VIEW = 224
SIDE = VIEW // PATCH


@dataclass(frozen=True, eq=False)
class TokenMap:
    """The tokens of an image of H x W px, read at `scale` times its size."""

    grid: Floats
    """(h, w, D), h = ceil(H * scale / 16); where tiles overlap, their mean."""
    scale: float
    """At most 1: images are never enlarged."""
    tiles: dict[tuple[int, int], Floats]
    """First row and column of a tile, in tokens -> its (14, 14, D) tokens."""


def read_tokens(
    tower: Tower,
    pixels: Pixels,
    picked: Sequence[int],
    before: TokenMap | None = None,
    changed: Box | None = None,
) -> TokenMap:
    """(H, W, 3) uint8 RGB -> its TokenMap. The last row and column may lean on reflected pixels.

    picked: indices of the tower's tapped blocks, whose tokens are put side by side (D = 768 each). With
    `before`, the map of the same image before its pixels changed inside the box `changed`, only the tiles
    that this touches are read.
    """
    scale = min(1.0, LONGEST / max(pixels.shape[:2]))
    scaled = pixels
    if scale < 1:
        size = tuple(max(1, round(length * scale)) for length in pixels.shape[1::-1])
        scaled = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    rows, columns = (-(-length // PATCH) for length in scaled.shape[:2])
    below = max(VIEW, rows * PATCH) - scaled.shape[0]
    right = max(VIEW, columns * PATCH) - scaled.shape[1]
    padded = np.pad(scaled, ((0, below), (0, right), (0, 0)), mode="symmetric")
    height, width = padded.shape[0] // PATCH, padded.shape[1] // PATCH
    tiles = {}
    for y in starts(height):
        for x in starts(width):
            if before is not None and changed is not None and not reaches(y, x, changed, scale):
                tiles[y, x] = before.tiles[y, x]
                continue
            tile = padded[y * PATCH : y * PATCH + VIEW, x * PATCH : x * PATCH + VIEW]
            tiles[y, x] = tower.patches(tile, picked).reshape(SIDE, SIDE, -1)
    return TokenMap(mean(tiles, height, width)[:rows, :columns], scale, tiles)


def mean(tiles: dict[tuple[int, int], Floats], height: int, width: int) -> Floats:
    """Lay tiles over a grid of `height` x `width` tokens that they cover."""
    dim = next(iter(tiles.values())).shape[-1]
    sums, counts = np.zeros((height, width, dim), np.float32), np.zeros((height, width, 1), np.float32)
    for (y, x), tokens in tiles.items():
        sums[y : y + SIDE, x : x + SIDE] += tokens
        counts[y : y + SIDE, x : x + SIDE] += 1
    return sums / counts


def starts(cells: int) -> list[int]:
    """First cells of as few tiles as cover `cells` (at least 14), spread evenly."""
    tiles = -(-cells // SIDE)
    return [round(k * (cells - SIDE) / max(1, tiles - 1)) for k in range(tiles)]


def reaches(y: int, x: int, changed: Box, scale: float) -> bool:
    """Whether a box of the image shows in the tile at (y, x), with a pixel to spare for the scaling, and
    wherever the tile leans on reflected pixels: at most a token from the rim, or an image smaller than a
    tile, which is a single one."""
    x0, y0, x1, y1 = (value * scale for value in changed)
    left, top = x * PATCH - PATCH, y * PATCH - PATCH
    return x0 < left + VIEW + 2 * PATCH and left < x1 and y0 < top + VIEW + 2 * PATCH and top < y1
