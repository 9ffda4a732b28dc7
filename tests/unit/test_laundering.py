"""Laundering: seeded, fast, blind to the class, and the mask follows."""

import cv2
import numpy as np
import pytest

from forensic_chat.data.laundering import (
    PLATFORMS,
    Avif,
    Blur,
    Crop,
    FitWithin,
    GaussianNoise,
    Jpeg,
    Resize,
    Screenshot,
    Sharpen,
    ShotNoise,
    Step,
    Webp,
    chain,
    launder,
)

STEPS: list[Step] = [
    Jpeg(60), Jpeg(95, "4:4:4"), Jpeg(80, "4:2:2"), Webp(70), Avif(60), Resize(0.5, "bilinear"),
    Resize(1.7, "bicubic"), Resize(1.4, "lanczos"), FitWithin(100), Crop(0.1, 0.2, 0.5, 0.6),
    Screenshot(0.8, 0.05, 245), Blur(0.8), Sharpen(0.8), GaussianNoise(4, 7), ShotNoise(400, 7),
]  # fmt: skip


def photo(height: int = 180, width: int = 240) -> np.ndarray:
    noise = np.random.default_rng(0).normal(128, 60, (height // 6, width // 6, 3))
    return cv2.resize(np.clip(noise, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_a_step_changes_pixels_repeatably_and_leaves_its_input(step: Step) -> None:
    pixels = photo()
    before = pixels.copy()
    first, _ = step.apply(pixels, None)
    second, _ = step.apply(pixels, None)
    assert np.array_equal(pixels, before)
    assert np.array_equal(first, second)
    assert first.dtype == np.uint8
    assert first.shape != pixels.shape or not np.array_equal(first, pixels)


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_the_mask_stays_on_the_object(step: Step) -> None:
    """A bright square in a dark picture: wherever it goes, the mask goes."""
    pixels = np.full((180, 240, 3), 30, np.uint8)
    mask = np.zeros((180, 240), np.uint8)
    pixels[60:120, 80:140], mask[60:120, 80:140] = 220, 255
    moved, moved_mask = step.apply(pixels, mask)
    assert moved_mask is not None
    assert moved_mask.shape == moved.shape[:2]
    assert set(np.unique(moved_mask)) <= {0, 255}
    bright = moved[..., 1] > 125
    if isinstance(step, Screenshot):
        bright &= moved[..., 1] < 235
    union = (bright | (moved_mask > 0)).sum()
    assert (bright & (moved_mask > 0)).sum() / union > 0.95


def test_subsampling_differs() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    results = [Jpeg(95, subsampling).apply(pixels, None)[0] for subsampling in ("4:4:4", "4:2:2", "4:2:0")]
    errors = [float(np.abs(result.astype(int) - pixels).mean()) for result in results]
    assert errors[0] < errors[1] < errors[2]


def test_chains_are_seeded_and_bounded() -> None:
    pixels, mask = photo(384, 384), np.zeros((384, 384), np.uint8)
    mask[100:200, 100:200] = 255
    lengths = set()
    for seed in range(60):
        steps = chain(np.random.default_rng(seed))
        assert steps == chain(np.random.default_rng(seed))
        lengths.add(len(steps))
        laundered, laundered_mask = launder(pixels, mask, steps)
        again, _ = launder(pixels, mask, steps)
        assert np.array_equal(laundered, again)
        assert laundered_mask is not None
        assert laundered_mask.shape == laundered.shape[:2]
        assert min(laundered.shape[:2]) >= 80
        assert max(laundered.shape[:2]) <= 1100
    assert lengths >= {1, 2, 3, 4}


def test_chains_use_every_step() -> None:
    rng = np.random.default_rng(1)
    seen = {type(step) for _ in range(600) for step in chain(rng)}
    assert seen == {type(step) for step in STEPS} - {FitWithin}


@pytest.mark.parametrize("name", PLATFORMS)
def test_platforms(name: str) -> None:
    pixels, mask = photo(600, 2400), np.full((600, 2400), 255, np.uint8)
    laundered, laundered_mask = launder(pixels, mask, PLATFORMS[name])
    assert laundered_mask is not None
    assert laundered_mask.shape == laundered.shape[:2]
    assert (name == "clean") == (laundered is pixels)
