"""What happens to pictures on their way: re-compression, scaling, cropping, screenshots, filters, noise.

Steps work on (H, W, 3) uint8 RGB and carry a mask along. A chain is drawn without looking at the picture or
its label, so every class is laundered alike. Chains and noise are seeded: the same steps give the same
bytes.
"""

import io
from dataclasses import dataclass
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

Pixels = NDArray[np.uint8]
"""(H, W, 3) RGB."""
Mask = NDArray[np.uint8]
"""(H, W), 0 or 255."""
Kernel = Literal["bilinear", "bicubic", "lanczos"]
Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]

_PIL_KERNELS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_CV_KERNELS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


class Step(Protocol):
    """One thing that happens to a picture."""

    def apply(self, pixels: Pixels, mask: Mask | None) -> tuple[Pixels, Mask | None]:
        """New pixels, and the mask at the new geometry."""


def launder(
    pixels: Pixels, mask: Mask | None, steps: tuple[Step, ...] | list[Step]
) -> tuple[Pixels, Mask | None]:
    """Apply `steps` in order. The inputs are not changed; without steps they are returned as they are."""
    for step in steps:
        pixels, mask = step.apply(pixels, mask)
    return pixels, mask


def _recode(pixels: Pixels, kind: str, **options: object) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    with Image.open(buffer, formats=[kind]) as image:
        return np.array(image.convert("RGB"))


@dataclass(frozen=True)
class Jpeg:
    quality: int
    """1 to 100, libjpeg's scale."""
    subsampling: Subsampling = "4:2:0"

    def apply(self, pixels: Pixels, mask: Mask | None) -> tuple[Pixels, Mask | None]:
        return _recode(pixels, "JPEG", quality=self.quality, subsampling=self.subsampling), mask


@dataclass(frozen=True)
class Webp:
    quality: int

    def apply(self, pixels: Pixels, mask: Mask | None) -> tuple[Pixels, Mask | None]:
        # Method 1 searches less than the default and takes a third of its time.
        return _recode(pixels, "WEBP", quality=self.quality, method=1), mask


@dataclass(frozen=True)
class Avif:
    quality: int

    def apply(self, pixels: Pixels, mask: Mask | None) -> tuple[Pixels, Mask | None]:
        return _recode(pixels, "AVIF", quality=self.quality, speed=10, max_threads=1), mask


@dataclass(frozen=True)
class Resize:
    scale: float
    kernel: Kernel = "bicubic"

    def apply(self, pixels: Pixels, mask: Mask | None) -> tuple[Pixels, Mask | None]:
        height, width = pixels.shape[:2]
        return _resize(
            pixels, mask, max(1, round(width * self.scale)), max(1, round(height * self.scale)), self.kernel
        )


def _resize(
    pixels: Pixels, mask: Mask | None, width: int, height: int, kernel: Kernel
) -> tuple[Pixels, Mask | None]:
    if (height, width) == pixels.shape[:2]:
        return pixels, mask
    if width > pixels.shape[1] and kernel in _CV_KERNELS:
        resized = cv2.resize(pixels, (width, height), interpolation=_CV_KERNELS[kernel])
    else:
        # Pillow widens the kernel when it shrinks, as upload pipelines do; OpenCV would alias.
        resized = np.array(Image.fromarray(pixels).resize((width, height), _PIL_KERNELS[kernel]))
    if mask is not None:
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT).astype(
            np.uint8, copy=False
        )
    return resized.astype(np.uint8, copy=False), mask


@dataclass(frozen=True)
class FitWithin:
    """Shrink so that the longer side is at most `side` pixels, as upload pipelines do; never enlarges."""

    side: int
    kernel: Kernel = "lanczos"

    def apply(self, pixels: Pixels, mask: Mask | None) -> tuple[Pixels, Mask | None]:
        scale = self.side / max(pixels.shape[:2])
        return Resize(scale, self.kernel).apply(pixels, mask) if scale < 1 else (pixels, mask)


@dataclass(frozen=True)
class Crop:
    """Keep a part: offsets and extent as shares of the sides."""

    left: float
    top: float
    width: float
    height: float

    def apply(self, pixels: Pixels, mask: Mask | None) -> tuple[Pixels, Mask | None]:
        rows, columns = pixels.shape[:2]
        x, y = int(self.left * columns), int(self.top * rows)
        window = np.s_[y : y + max(1, round(self.height * rows)), x : x + max(1, round(self.width * columns))]
        return np.ascontiguousarray(pixels[window]), None if mask is None else np.ascontiguousarray(
            mask[window]
        )


@dataclass(frozen=True)
class Screenshot:
    """The picture drawn at `scale` in a viewer and captured without loss, a uniform margin left around it."""

    scale: float
    margin: float
    """Of each side, as a share of it."""
    shade: int
    """Grey of the margin, 0 to 255."""

    def apply(self, pixels: Pixels, mask: Mask | None) -> tuple[Pixels, Mask | None]:
        pixels, mask = Resize(self.scale, "bilinear").apply(pixels, mask)
        rows, columns = (round(self.margin * side) for side in pixels.shape[:2])
        border = (rows, rows, columns, columns, cv2.BORDER_CONSTANT)
        framed = cv2.copyMakeBorder(pixels, *border, value=(self.shade,) * 3)
        return framed, None if mask is None else cv2.copyMakeBorder(mask, *border, value=0)


@dataclass(frozen=True)
class Blur:
    sigma: float
    """Pixels."""

    def apply(self, pixels: Pixels, mask: Mask | None) -> tuple[Pixels, Mask | None]:
        return cv2.GaussianBlur(pixels, (0, 0), self.sigma), mask


@dataclass(frozen=True)
class Sharpen:
    """Unsharp mask: the picture plus `amount` times what a blur of `sigma` pixels takes away."""

    amount: float
    sigma: float = 1.0

    def apply(self, pixels: Pixels, mask: Mask | None) -> tuple[Pixels, Mask | None]:
        blurred = cv2.GaussianBlur(pixels, (0, 0), self.sigma)
        return cv2.addWeighted(pixels, 1 + self.amount, blurred, -self.amount, 0), mask


@dataclass(frozen=True)
class GaussianNoise:
    sigma: float
    """Grey levels."""
    seed: int

    def apply(self, pixels: Pixels, mask: Mask | None) -> tuple[Pixels, Mask | None]:
        noise = np.random.default_rng(self.seed).standard_normal(pixels.shape, dtype=np.float32)
        return _rounded(pixels + self.sigma * noise), mask


@dataclass(frozen=True)
class ShotNoise:
    """Photon noise of a sensor that counts `peak` photons at white, by the normal approximation."""

    peak: float
    seed: int

    def apply(self, pixels: Pixels, mask: Mask | None) -> tuple[Pixels, Mask | None]:
        noise = np.random.default_rng(self.seed).standard_normal(pixels.shape, dtype=np.float32)
        values = pixels.astype(np.float32)
        return _rounded(values + np.sqrt(values * np.float32(255 / self.peak)) * noise), mask


def _rounded(values: NDArray[np.float32]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


PLATFORMS: dict[str, tuple[Step, ...]] = {
    "clean": (),
    "facebook-like": (FitWithin(2048), Jpeg(80)),
    "whatsapp-like": (FitWithin(1600, "bilinear"), Jpeg(70)),
    "x-like": (FitWithin(1200), Jpeg(85)),
    "telegram-like": (FitWithin(1280, "bicubic"), Jpeg(87)),
    "screenshot": (Screenshot(0.8, 0.02, 255),),
    "jpeg-q70": (Jpeg(70),),
    "webp-q75": (Webp(75),),
    "crop-jpeg-q85": (Crop(0.05, 0.05, 0.9, 0.9), Jpeg(85)),
}
"""Fixed chains for evaluation: the images as they are, and eight ways to pass them on. The platforms don't
publish theirs: these are approximations by size and quality.
"""

_WEIGHTS: dict[str, float] = {
    "jpeg": 0.27, "double jpeg": 0.07, "webp": 0.09, "avif": 0.02, "resize": 0.2, "crop": 0.1,
    "screenshot": 0.05, "sharpen": 0.06, "blur": 0.05, "gaussian noise": 0.05, "shot noise": 0.04,
}  # fmt: skip
_ONCE = ("resize", "crop", "screenshot", "blur")
"""Repeated, these would leave nothing to look at."""


def chain(rng: np.random.Generator) -> list[Step]:
    """A random chain of 1 to 5 events (a double JPEG is one event and up to three steps).

    Four of five chains that end without a codec get a last JPEG: pictures that circulate are compressed.
    """
    names = list(_WEIGHTS)
    chances = np.array([_WEIGHTS[name] for name in names])
    if not features.check("avif"):
        chances[names.index("avif")] = 0
    steps: list[Step] = []
    for _ in range(rng.choice([1, 2, 3, 4, 5], p=[0.3, 0.3, 0.2, 0.12, 0.08])):
        name = names[rng.choice(len(names), p=chances / chances.sum())]
        if name in _ONCE:
            chances[names.index(name)] = 0
        steps += _draw(name, rng)
    if not isinstance(steps[-1], Jpeg | Webp | Avif) and rng.random() < 0.8:
        steps.append(_jpeg(rng))
    return steps


def _jpeg(rng: np.random.Generator) -> Jpeg:
    subsampling: list[Subsampling] = ["4:2:0", "4:4:4", "4:2:2"]
    return Jpeg(int(rng.integers(50, 99)), subsampling[rng.choice(3, p=[0.65, 0.25, 0.1])])


def _crop(rng: np.random.Generator, smallest: float) -> Crop:
    width, height = rng.uniform(smallest, 1, 2)
    return Crop(rng.uniform(0, 1 - width), rng.uniform(0, 1 - height), width, height)


def _draw(name: str, rng: np.random.Generator) -> list[Step]:
    match name:
        case "jpeg":
            return [_jpeg(rng)]
        case "double jpeg":
            # Half of them with the second grid shifted against the first.
            between: list[Step] = [_crop(rng, 0.95)] if rng.random() < 0.5 else []
            return [_jpeg(rng), *between, _jpeg(rng)]
        case "webp":
            return [Webp(int(rng.integers(50, 96)))]
        case "avif":
            return [Avif(int(rng.integers(45, 91)))]
        case "resize":
            kernels: list[Kernel] = ["bilinear", "bicubic", "lanczos"]
            return [Resize(float(np.exp2(rng.uniform(-1, 1))), kernels[rng.integers(3)])]
        case "crop":
            return [_crop(rng, 0.6)]
        case "screenshot":
            return [
                Screenshot(
                    float(rng.uniform(0.6, 1.2)),
                    float(rng.uniform(0, 0.05)),
                    int(rng.choice([0, 24, 245, 255])),
                )
            ]
        case "sharpen":
            return [Sharpen(float(rng.uniform(0.2, 1.2)), float(rng.uniform(0.6, 1.6)))]
        case "blur":
            return [Blur(float(rng.uniform(0.3, 1.2)))]
        case "gaussian noise":
            return [GaussianNoise(float(rng.uniform(1, 6)), int(rng.integers(2**31)))]
    return [ShotNoise(float(rng.uniform(300, 3000)), int(rng.integers(2**31)))]
