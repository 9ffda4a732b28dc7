"""Images made by code. As a script: writes a photo-like JPEG to the path given."""

import sys

import numpy as np
from PIL import Image


def photo(seed: int = 0, width: int = 96, height: int = 64) -> Image.Image:
    """A smooth scene with sensor-like noise."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(40, 200, width)[None, :, None] + np.linspace(0, 40, height)[:, None, None]
    noisy = ramp + rng.normal(0, 4, (height, width, 3)) + np.array([0, 8, -8])
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    photo(0, 640, 480).save(sys.argv[1], quality=92)
