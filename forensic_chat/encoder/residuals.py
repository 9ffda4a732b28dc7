"""Low-level statistics of pixels, cell by cell: what the mask heads read beside the tower's tokens.

Fixed, not learned, so that they carry over to kinds of edits that no training set holds; only how they are weighed is
learned, against the rest of the image. What compression left (differences to the image saved again at several JPEG
qualities: Farid 2009, "Exposing digital forgeries from JPEG ghosts"), high-pass energies (after Fridrich and Kodovsky
2012, "Rich models for steganalysis"), correlations of the residual with its neighbours and across colours (what scaling
and decoders leave: Popescu and Farid 2005), and the profile of the 8x8 grid (Chen and Hsu 2008).
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from forensic_chat.encoder.tokens import PATCH

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
QUALITIES = (50, 65, 75, 85, 92)
LONGEST = 1024
"""A larger image is scaled down to this many pixels on its longer side first, so that time and memory are bounded."""
LAGS = ((0, 1), (1, 0), (0, 2), (2, 0), (1, 1))
GRID = 8
STATISTICS = len(QUALITIES) + 5 + len(LAGS) + 2 + 2 * GRID + 3
CHANNELS = 4 * STATISTICS
"""Two cells a token each way."""
_THIRDS = np.full((1, 3), 1 / 3, np.float32)
_SECOND = np.array([[1, -2, 1]], np.float32)
_SQUARE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def read_residuals(pixels: Pixels, rows: int, columns: int, token_scale: float = 1.0) -> Floats:
    """(H, W, 3) uint8 RGB -> (rows, columns, CHANNELS) float32, on the places of an image's tokens.

    token_scale: as in TokenMap, what the image was scaled by before tokens were read. Where the last row and column
    reach beyond the image, it is mirrored.
    """
    covered = (rows * PATCH / token_scale, columns * PATCH / token_scale)
    scale = min(1.0, LONGEST / max(pixels.shape[:2]))
    if scale < 1:
        size = tuple(max(1, round(length * scale)) for length in pixels.shape[1::-1])
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    below, right = (
        max(0, round(whole * scale) - length) for whole, length in zip(covered, pixels.shape[:2], strict=True)
    )
    padded = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="symmetric")
    cells = np.stack(list(_statistics(padded, 2 * rows, 2 * columns)), -1)
    tokens = cells.reshape(rows, 2, columns, 2, STATISTICS).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(tokens.reshape(rows, columns, CHANNELS))


def _statistics(pixels: Pixels, rows: int, columns: int) -> Iterator[Floats]:
    """STATISTICS maps (rows, columns)."""

    def mean(plane: Floats) -> Floats:
        return np.asarray(cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)

    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    for quality in QUALITIES:
        yield np.log(mean(_saved_again(bgr, quality)) + 0.25)
    luma, *chroma = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb).astype(np.float32))
    residual = cv2.filter2D(luma, cv2.CV_32F, _SQUARE) / 4
    for plane, kernel in ((luma, _SECOND), (luma, _SECOND.T)):
        yield np.log(mean(np.abs(cv2.filter2D(plane, cv2.CV_32F, kernel))) + 0.1)
    yield np.log(mean(np.abs(residual)) + 0.1)
    for plane in chroma:
        yield np.log(mean(np.abs(cv2.filter2D(plane, cv2.CV_32F, _SQUARE))) + 0.1)
    power = mean(residual * residual) + 0.5
    for down, across in LAGS:
        shifted = np.roll(residual, (-down, -across), (0, 1))
        yield mean(residual * shifted) / power
    red, green, blue = (cv2.filter2D(p, cv2.CV_32F, _SQUARE) for p in cv2.split(pixels))
    for other in (red, blue):
        both = (mean(green * green) + 8) * (mean(other * other) + 8)
        yield mean(green * other) / np.sqrt(both)
    yield from _grid_profile(luma, mean)
    middle = mean(luma)
    variance: Floats = np.maximum(mean(luma * luma) - middle * middle, 0)
    yield np.asarray(np.log(np.sqrt(variance) + 1), np.float32)
    yield np.asarray(middle / 128 - 1, np.float32)
    yield mean(((luma > 250) | (luma < 5)).astype(np.float32))


def _saved_again(bgr: NDArray[np.uint8], quality: int) -> Floats:
    """(H, W) mean absolute difference to the image as JPEG of that quality (4:2:0), grey levels."""
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    again = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.asarray(cv2.transform(cv2.absdiff(bgr, again).astype(np.float32), _THIRDS), np.float32)


def _grid_profile(luma: Floats, mean: Callable[[Floats], Floats]) -> Iterator[Floats]:
    """Per phase of the grid of 8 px, across and down: how much its cross-differences exceed the others'."""
    cross = np.zeros_like(luma)
    cross[:-1, :-1] = np.abs(luma[:-1, :-1] + luma[1:, 1:] - luma[:-1, 1:] - luma[1:, :-1])
    whole = mean(cross) + 0.5
    for axis in (0, 1):
        for phase in range(GRID):
            only = np.zeros_like(cross)
            places = np.s_[:, phase::GRID] if axis else np.s_[phase::GRID]
            only[places] = cross[places]
            yield np.log((GRID * mean(only) + 0.5) / whole)
