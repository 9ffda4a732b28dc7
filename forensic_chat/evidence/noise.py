"""Noise inconsistency: a region whose grain does not fit that of the rest of the photo.

One camera and one development give grain that depends on brightness only, so a part pasted from elsewhere,
painted or generated often has more or less of it. Source of the method: local noise estimation with a
Laplacian-difference filter (Immerkaer 1996, "Fast noise variance estimation") and its use against splices
(Mahdian and Saic 2009, "Using noise inconsistencies for blind image forensics"), made relative to
brightness by a noise level function (Liu et al. 2006). Smooth out-of-focus areas and texture cause the same
picture in honest photos.
"""

from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from forensic_chat.evidence.blocks import Map, block_mean, heaviest_component, luma, robust_z
from forensic_chat.evidence.observation import Observation
from forensic_chat.imaging.intake import ExaminedImage

BLOCK = 16
_STRIP = 512
_OUTLIER = 3.0
_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)


def grain(pixels: npt.NDArray[np.uint8]) -> tuple[Map, Map]:
    """Per block of 16 x 16 pixels: noise level in grey levels and mean brightness, both (h, w) float32.

    Works in strips of rows, so that a 12-megapixel photo needs no float copy of itself.
    """
    levels: list[Map] = []
    means: list[Map] = []
    for top in range(0, pixels.shape[0] - BLOCK + 1, _STRIP):
        grey = luma(pixels[top : top + _STRIP])
        residual = np.abs(cv2.filter2D(grey, cv2.CV_16S, _KERNEL))
        h, w = grey.shape[0] // BLOCK, grey.shape[1] // BLOCK
        cells = residual[: h * BLOCK, : w * BLOCK].reshape(h, BLOCK, w, BLOCK).transpose(0, 2, 1, 3)
        cells = cells.reshape(h, w, BLOCK * BLOCK)
        # The filter's own gain is 6; the 40th percentile is below edges and above what JPEG flattened to
        # zero.
        cut = BLOCK * BLOCK * 2 // 5
        levels.append(np.partition(cells, cut, axis=2)[:, :, cut].astype(np.float32) / (6 * 0.524))
        means.append(block_mean(grey, BLOCK))
    return np.concatenate(levels), np.concatenate(means)


def _beyond_brightness(level: Map, mean: Map) -> Map:
    """log2 of the noise level relative to what blocks of the same brightness have."""
    log = np.log2(level + 0.25)
    edges = np.quantile(mean, np.linspace(0, 1, 9))
    middles, expected = [], []
    for low, high in pairwise(edges):
        inside = (mean >= low) & (mean <= high)
        middles.append(float(mean[inside].mean()))
        expected.append(float(np.median(log[inside])))
    return np.asarray(log - np.interp(mean, middles, expected), dtype=np.float32)


def observe(image: ExaminedImage) -> list[Observation]:
    """One observation, kind `noise.inconsistency`; its value is the ratio of noise levels, region to rest."""
    level, mean = grain(image.pixels)
    if min(level.shape) < 6:
        return [Observation("noise.inconsistency", "The image is too small to compare its grain.", "", None)]
    excess = _beyond_brightness(level, mean)
    smooth = np.asarray(cv2.medianBlur(excess, 3), dtype=np.float32)
    z = robust_z(smooth, floor=0.1)
    usable = (mean > 8) & (mean < 247)
    best = None
    for sign in (1, -1):
        found = heaviest_component((sign * z > _OUTLIER) & usable, sign * z - _OUTLIER, at_most=0.4)
        if found is not None and (best is None or found.weight > best.weight):
            best = found
    if best is None:
        clean = "The grain of the image is even: no region departs from the rest (ratio 1.0)."
        return [Observation("noise.inconsistency", clean, clean, 1.0, score=0.0, suspects="tampered")]
    ratio = round(float(2.0 ** np.median(excess[best.mask])), 2)
    score = best.weight / float(z.size) ** 0.5
    return [
        Observation(
            "noise.inconsistency",
            f"The grain differs most by a factor of {ratio} between one region and the rest, "
            "which subject and focus explain in honest photos too.",
            f"One region has {ratio} times the grain of the rest at the same brightness, "
            "as when a part comes from another picture.",
            ratio,
            score=round(score, 4),
            suspects="tampered",
            box=best.box(BLOCK, image.width, image.height),
        )
    ]
