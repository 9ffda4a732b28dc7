"""Residuals: cells over any image, and each statistic tells what it is there to tell."""

import cv2
import numpy as np
import pytest

from forensic_chat.encoder.residuals import CHANNELS, LAGS, LONGEST, QUALITIES, STATISTICS, read_residuals
from tests.unit.evidence_images import scene

GHOST = len(QUALITIES) - 1
"""The difference to the best of the qualities."""
RIGHT = len(QUALITIES) + 5 + LAGS.index((0, 1))
"""The residual's correlation with its right neighbour."""


def cells(pixels: np.ndarray, statistic: int) -> np.ndarray:
    """(2 rows, 2 columns) of an image whose sides are multiples of 16."""
    height, width = pixels.shape[:2]
    read = read_residuals(pixels, height // 16, width // 16)
    split = read.reshape(height // 16, width // 16, 2, 2, STATISTICS).transpose(0, 2, 1, 3, 4)
    return split.reshape(height // 8, width // 8, STATISTICS)[..., statistic]


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 333), (700, 40), (5000, 300)])
def test_every_image_has_finite_residuals(width: int, height: int) -> None:
    pixels = noise(width, height)
    pixels.flags.writeable = False
    rows, columns = -(-height // 16), -(-width // 16)
    read = read_residuals(pixels, rows, columns)
    assert read.shape == (rows, columns, CHANNELS)
    assert read.dtype == np.float32
    assert np.isfinite(read).all()


def test_what_was_compressed_before_differs_less_from_itself_compressed_again() -> None:
    pixels = noise(320, 320)
    _, data = cv2.imencode(".jpg", pixels[96:224, 96:224], [cv2.IMWRITE_JPEG_QUALITY, 60])
    pixels[96:224, 96:224] = cv2.imdecode(data, cv2.IMREAD_COLOR)
    ghost = cells(pixels, GHOST)
    inside, outside = ghost[13:27, 13:27], np.r_[ghost[:11].ravel(), ghost[29:].ravel()]
    assert inside.max() < outside.min()


def test_what_was_enlarged_correlates_with_its_neighbours() -> None:
    pixels = noise(320, 320)
    pixels[96:224, 96:224] = cv2.resize(pixels[:64, :64], (128, 128), interpolation=cv2.INTER_CUBIC)
    right = cells(pixels, RIGHT)
    inside, outside = right[13:27, 13:27], np.r_[right[:11].ravel(), right[29:].ravel()]
    assert inside.mean() > outside.mean() + 0.1


def test_a_change_stays_where_it_is() -> None:
    """All statistics of a place are its own, but for a pixel beside it and the blocks that JPEG lays over it."""
    pixels = scene(480, 400, seed=1)
    changed = pixels.copy()
    changed[160:240, 160:240] = 255 - changed[160:240, 160:240]
    before, after = (read_residuals(p, 25, 30) for p in (pixels, changed))
    moved = np.abs(before - after).max(-1) > 1e-5
    assert moved[10:15, 10:15].all()
    moved[9:16, 9:16] = False
    assert not moved.any()


def test_a_large_image_is_read_scaled_down() -> None:
    small = scene(LONGEST, 512, seed=2)
    large = cv2.resize(small, (4 * LONGEST, 2048), interpolation=cv2.INTER_NEAREST)
    one = read_residuals(small, 32, 64)
    two = read_residuals(large, 32, 64, token_scale=1 / 4)
    np.testing.assert_allclose(one, two, atol=1e-3)
