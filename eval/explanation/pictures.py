"""Pictures made by code, so that the benchmark runs without any data. They try out the run: a figure on them
says nothing about photos.
"""

import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval.examples import Example
from eval.files import write as write_file
from forensic_chat.data.forge import MANIPULATIONS, ForgeFailed, forge
from forensic_chat.schema import CLASSES

WIDTH, HEIGHT = 512, 384
QUALITIES = (85, 90, 95)
Pixels = NDArray[np.uint8]


def write(out: Path, n: int, seed: int) -> list[Example]:
    """`n` pictures under `out`, classes in turn, all coded alike; the same seed gives the same bytes."""
    found = []
    for number in range(n):
        rng = np.random.default_rng([seed, number])
        label = CLASSES[number % len(CLASSES)]
        scene, mask, kind = camera(scenery(rng), rng), None, "rendered scene"
        if label == "synthetic":
            scene, kind = decoded(scenery(rng), rng), "small decoder"
        elif label == "tampered":
            name = list(MANIPULATIONS)[number // len(CLASSES) % len(MANIPULATIONS)]
            scene, mask, kind = _forged(scene, name, rng)
        path = out / ("fake" if label == "synthetic" else label) / f"{number:04d}.jpg"
        write_file(path, _jpeg(scene, int(rng.choice(QUALITIES))))
        beside = None
        if mask is not None:
            beside = out / "mask" / f"{number:04d}.png"
            coded = io.BytesIO()
            Image.fromarray(mask).save(coded, "PNG")
            write_file(beside, coded.getvalue())
        name = path.relative_to(out).as_posix()
        found.append(Example(name, path, label, kind, "made by code", f"{number:04d}", beside))
    return found


def scenery(rng: np.random.Generator) -> NDArray[np.float32]:
    """A landscape of cloud, hills and a few bodies with shadows; (384, 512, 3), 0..255."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    sky = rng.uniform(120, 235, 3) * (1 - 0.3 * y[..., None] / HEIGHT)
    picture = sky + 18 * clouds(rng)[..., None]
    for depth in np.linspace(0.35, 0.9, int(rng.integers(3, 6))):
        ridge = HEIGHT * (depth + 0.06 * np.sin(x / rng.uniform(20, 90) + rng.uniform(0, 6)))
        ground = rng.uniform(40, 170, 3) + 30 * clouds(rng)[..., None]
        picture = np.where((y > ridge)[..., None], ground, picture)
    for _ in range(int(rng.integers(2, 5))):
        cx, cy, r = rng.uniform(60, WIDTH - 60), rng.uniform(150, HEIGHT - 50), rng.uniform(15, 45)
        away = np.hypot(x - cx, (y - cy) * rng.uniform(0.7, 1.4)) / r
        light = 0.6 + 0.4 * np.clip((cx - x + cy - y) / (2 * r), -1, 1)
        body = rng.uniform(50, 230, 3) * light[..., None] + 12 * clouds(rng)[..., None]
        picture = np.where((away < 1)[..., None], body, picture)
    return np.clip(picture, 0, 255).astype(np.float32)


def clouds(rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise with as much in every octave; (384, 512), about -1..1."""
    total = np.zeros((HEIGHT, WIDTH), np.float32)
    for octave in range(2, 8):
        grid = rng.standard_normal((3 * 2**octave // 4, 2**octave)).astype(np.float32)
        total += cv2.resize(grid, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) * 0.6 ** (octave - 2)
    return total / 2


def camera(scene: NDArray[np.float32], rng: np.random.Generator) -> Pixels:
    """Lens blur, light fall-off, and noise that grows with brightness, as a sensor has."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    seen = cv2.GaussianBlur(scene, (0, 0), 0.7) * (1 - 0.12 * (x**2 + y**2))[..., None]
    noise = rng.standard_normal(scene.shape) * np.sqrt(2 + 0.03 * np.clip(seen, 0, None))
    return np.clip(np.rint(seen + noise), 0, 255).astype(np.uint8)


def decoded(scene: NDArray[np.float32], rng: np.random.Generator) -> Pixels:
    """As a decoder paints it: quarter size, twice zeros between the pixels and a random kernel (Odena et al.
    2016)."""
    small = cv2.resize(scene, (WIDTH // 4, HEIGHT // 4), interpolation=cv2.INTER_AREA)
    for _ in range(2):
        spread = np.zeros((2 * small.shape[0], 2 * small.shape[1], 3), np.float32)
        spread[::2, ::2] = small
        ramp = np.array([1, 4, 6, 4, 1], np.float32)
        kernel = np.outer(ramp, ramp) * (1 + 0.05 * rng.standard_normal((5, 5)))
        small = cv2.filter2D(spread, -1, (4 * kernel / kernel.sum()).astype(np.float32))
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


def _forged(scene: Pixels, name: str, rng: np.random.Generator) -> tuple[Pixels, Pixels, str]:
    """By the manipulation named, or another one where it finds no place in this scene."""
    donors = [camera(scenery(rng), rng)]
    for manipulation in (name, *MANIPULATIONS):
        try:
            forgery = forge(scene, donors, rng, manipulation)
        except ForgeFailed:
            continue
        return forgery.pixels, forgery.mask, forgery.manipulation
    raise AssertionError("no manipulation works on a rendered scene")


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return out.getvalue()
