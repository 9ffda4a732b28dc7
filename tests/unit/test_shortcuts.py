"""The shortcut guard: estimates from pixels that were saved in known ways, and what it refuses."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from forensic_chat.errors import UsageError
from forensic_chat.evidence.blocks import luma
from train.shortcuts import FEATURES, Fed, Pixels, features, grid_phase, jpeg_quality, refuse_shortcuts


def scene(seed: int, side: int = 160) -> Pixels:
    """Coloured shapes at many scales with soft grain."""
    rng = np.random.default_rng(seed)
    total = np.full((side, side, 3), 128.0, np.float32)
    for cells, weight in ((5, 50), (20, 30), (60, 25), (side, 6)):
        noise = rng.standard_normal((cells, cells, 3)).astype(np.float32)
        total += weight * cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(total, 0, 255).astype(np.uint8)


def saved(pixels: Pixels, quality: int, subsampling: str = "4:2:0") -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return np.array(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize("offset", [(0, 0), (3, 5), (7, 1)])
def test_the_grid_is_found_at_its_phase(offset: tuple[int, int]) -> None:
    y, x = offset
    grey = luma(saved(scene(1), 60)[y:, x:]).astype(np.float32)
    assert grid_phase(grey) == (-y % 8, -x % 8)


@pytest.mark.parametrize("quality", [50, 64, 78, 90])
def test_the_quality_is_read_from_pixels(quality: int) -> None:
    for seed in range(3):
        grey = luma(saved(scene(seed), quality)).astype(np.float32)
        assert abs(jpeg_quality(grey, (0, 0)) - quality) <= 2
        # Off the grid nothing is a multiple of anything.
        assert jpeg_quality(grey, (3, 4)) == 100


def test_an_unsaved_picture_has_no_quality() -> None:
    assert features(scene(0))[FEATURES.index("JPEG quality")] == 100


@pytest.mark.parametrize(("subsampling", "halves"), [("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)])
def test_the_subsampling_is_read_from_pixels(subsampling: str, halves: int) -> None:
    for seed in range(3):
        row = features(saved(scene(seed), 85, subsampling))
        assert row[FEATURES.index("chroma subsampling")] == halves


def fed(leak: bool) -> list[Fed]:
    """Two classes of six sources each; with a leak, one of them is saved worse."""
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(120):
        label = "real" if number % 2 else "synthetic"
        quality = int(rng.integers(50, 96))
        if leak:
            quality = 92 if label == "real" else 60
        pixels = saved(scene(number, 96), quality)
        pictures.append(Fed(pixels, label, f"{label} {number // 2 % 6}"))
    return pictures


def test_classes_delivered_alike_may_be_trained_on(capsys: pytest.CaptureFixture[str]) -> None:
    refuse_shortcuts(fed(leak=False))
    printed = capsys.readouterr().out
    assert "synthetic against real, sources left out: balanced accuracy 0." in printed
    assert "bits per pixel" in printed


def test_a_leak_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"synthetic from real at .*most by JPEG quality"):
        refuse_shortcuts(fed(leak=True))


def test_one_source_of_a_class_cannot_be_judged(capsys: pytest.CaptureFixture[str]) -> None:
    refuse_shortcuts([Fed(one.pixels, one.label, one.label) for one in fed(leak=True)])
    assert "too few sources" in capsys.readouterr().out
