"""Pictures made of numbers, with the statistics that the evidence tests look at."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from forensic_chat.imaging.intake import ExaminedImage, take_in

Pixels = npt.NDArray[np.uint8]


def scene(width: int = 384, height: int = 320, *, seed: int = 0, noise: float = 2.0) -> Pixels:
    """(H, W, 3) uint8: soft blobs of all sizes (a 1/f spectrum, as photos have) and grain of a given
    deviation.
    """
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.normal(size=(height, width))) / frequency**1.4
    grey = np.fft.irfft2(spectrum, (height, width))
    grey = 128 + 38 * (grey - grey.mean()) / grey.std()
    colour = np.stack([grey * 1.02, grey, grey * 0.95 + 4], axis=2)
    colour += rng.normal(scale=noise, size=(height, width, 1)) + rng.normal(scale=0.5, size=colour.shape)
    return np.clip(colour, 0, 255).astype(np.uint8)


def encoded(pixels: Pixels, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def saved(pixels: Pixels, quality: int) -> Pixels:
    """The pixels after a save as JPEG."""
    with Image.open(io.BytesIO(encoded(pixels, "JPEG", quality=quality, subsampling=0))) as picture:
        return np.asarray(picture.convert("RGB"))


def taken(pixels: Pixels, kind: str = "PNG", **options: object) -> ExaminedImage:
    return take_in(encoded(pixels, kind, **options))


def overlap(a: tuple[int, int, int, int] | None, b: tuple[int, int, int, int]) -> float:
    """Intersection over union; 0 without a box."""
    if a is None:
        return 0.0
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0, w) * max(0, h)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
