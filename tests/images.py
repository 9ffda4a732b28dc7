"""Images made by code. As a script: writes a photo-like JPEG to the path given."""

import sys

import numpy as np
from PIL import Image

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF orientation -> how pixels are stored that a viewer turns upright by it."""


def photo(seed: int = 0, width: int = 96, height: int = 64) -> Image.Image:
    """A smooth scene with sensor-like noise."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(40, 200, width)[None, :, None] + np.linspace(0, 40, height)[:, None, None]
    noisy = ramp + rng.normal(0, 4, (height, width, 3)) + np.array([0, 8, -8])
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def grainy(box: tuple[int, int, int, int], seed: int = 0, width: int = 96, height: int = 64) -> Image.Image:
    """`photo`, with a box of much stronger noise in it."""
    pixels = np.array(photo(seed, width, height))
    x0, y0, x1, y1 = box
    part = pixels[y0:y1, x0:x1]
    noise = np.random.default_rng(seed + 1).normal(0, 60, part.shape)
    pixels[y0:y1, x0:x1] = (part + noise).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


if __name__ == "__main__":
    photo(0, 640, 480).save(sys.argv[1], quality=92)
