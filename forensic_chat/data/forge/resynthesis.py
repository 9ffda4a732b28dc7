"""Local resynthesis: a region keeps its content, but its pixels are made anew, as generative local edits
do.
"""

import cv2
import numpy as np

from forensic_chat.data.forge.forgery import Forgery, Pixels, composite, cut, require_size
from forensic_chat.data.forge.mattes import draw_box, draw_matte

_KERNELS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def resynthesis(photo: Pixels, rng: np.random.Generator) -> Forgery:
    """Pass a region through one of four lossy re-makers, so that only low-level traces differ. Raises
    ForgeFailed.

    They stand in for the decoder traces of generative edits: band limits, denoised grain, a patch
    dictionary, and the checkerboard of transposed convolutions (Odena et al., Deconvolution and
    Checkerboard Artifacts, 2016).
    """
    require_size(photo)
    box = draw_box(rng, photo, 0.05, 0.6)
    region = np.ascontiguousarray(cut(photo, box))
    makers = {
        "scaled down and up again": _resample,
        "denoised and sharpened": _denoise,
        "rebuilt from a few patch patterns": _low_rank,
        "rebuilt by upsampling": _upsample,
    }
    how = str(rng.choice(list(makers)))
    patch = makers[how](region, rng)
    matte = draw_matte(rng, region, feather=(0.6, 4.0))
    truth = f"A region {{where}} was {how}: its content is the same, its fine texture is not."
    return composite(photo, box[:2], patch, matte, manipulation="resynthesis", truth=truth, floor=1.2)


def _scaled(region: Pixels, width: int, height: int, kernel: int) -> Pixels:
    return np.asarray(cv2.resize(region, (width, height), interpolation=kernel), np.uint8)


def _resample(region: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = region.shape[:2]
    scale = rng.uniform(0.35, 0.75)
    small = _scaled(region, max(4, round(width * scale)), max(4, round(height * scale)), cv2.INTER_AREA)
    large = _scaled(small, width, height, int(rng.choice(_KERNELS)))
    return _sharpened(large, float(rng.uniform(0.2, 1.0)), 1.0)


def _sharpened(region: Pixels, amount: float, sigma: float) -> Pixels:
    blurred = cv2.GaussianBlur(region, (0, 0), sigma)
    return np.asarray(cv2.addWeighted(region, 1 + amount, blurred, -amount, 0), np.uint8)


def _denoise(region: Pixels, rng: np.random.Generator) -> Pixels:
    # Non-local means is slow, so large regions take the bilateral filter.
    if region.size < 3 * 160 * 160 and rng.random() < 0.5:
        strength = float(rng.uniform(4, 10))
        smooth = cv2.fastNlMeansDenoisingColored(region, None, strength, strength, 5, 11)
    else:
        smooth = cv2.bilateralFilter(region, 7, float(rng.uniform(20, 60)), float(rng.uniform(2, 6)))
    return _sharpened(smooth.astype(np.uint8), float(rng.uniform(0.4, 1.4)), float(rng.uniform(0.8, 1.6)))


_BLOCK = 8


def _low_rank(region: Pixels, rng: np.random.Generator) -> Pixels:
    """A linear autoencoder: 8x8 colour patches projected on the region's own principal components."""
    height, width = region.shape[:2]
    rows, columns = -(-height // _BLOCK), -(-width // _BLOCK)
    padded = np.pad(region, ((0, rows * _BLOCK - height), (0, columns * _BLOCK - width), (0, 0)), mode="edge")
    blocks = (
        padded.reshape(rows, _BLOCK, columns, _BLOCK, 3).transpose(0, 2, 1, 3, 4).reshape(rows * columns, -1)
    )
    values = blocks.astype(np.float32)
    mean = values.mean(axis=0)
    centred = values - mean
    vectors = np.linalg.eigh(centred.T @ centred)[1][:, -int(rng.integers(10, 40)) :]
    made = (centred @ vectors) @ vectors.T + mean
    image = made.reshape(rows, columns, _BLOCK, _BLOCK, 3).transpose(0, 2, 1, 3, 4).reshape(padded.shape)
    # The seams of the blocks are softened, as a decoder's overlapping strokes would.
    smooth = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 0.9)))
    return np.asarray(np.clip(np.rint(smooth[:height, :width]), 0, 255), np.uint8)


def _upsample(region: Pixels, rng: np.random.Generator) -> Pixels:
    """Half size and back by zero insertion and one random 5x5 kernel, phases of slightly unequal gain."""
    height, width = region.shape[:2]
    small = _scaled(region, max(4, (width + 1) // 2), max(4, (height + 1) // 2), cv2.INTER_AREA)
    spread = np.zeros((small.shape[0] * 2, small.shape[1] * 2, 3), np.float32)
    spread[::2, ::2] = small
    ramp = np.array([1, 4, 6, 4, 1], np.float32) / 8
    kernel = np.outer(ramp, ramp) * (1 + rng.uniform(0.01, 0.05) * rng.standard_normal((5, 5)))
    # Zero insertion keeps a quarter of the energy; the sum of 4 keeps the mean brightness.
    kernel *= 4 / kernel.sum()
    made = cv2.filter2D(spread, -1, kernel.astype(np.float32), borderType=cv2.BORDER_REFLECT_101)
    made = np.clip(np.rint(made[:height, :width]), 0, 255).astype(np.uint8)
    return _sharpened(made, float(rng.uniform(0.3, 1.2)), 1.0)
