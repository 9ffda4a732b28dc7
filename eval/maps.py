"""Masks against the truth: the shipped one, and what simple tools give on the same pixels."""

import base64

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from forensic_chat.data.laundering import Jpeg
from forensic_chat.encoder import masks
from forensic_chat.judgement import Judgement
from forensic_chat.scoring.localisation import overlap

Levels = NDArray[np.uint8]
"""(H, W): the higher, the likelier changed."""
Truth = NDArray[np.bool_]
"""(H, W)."""


def measure(judgement: Judgement, threshold: float, truth: Truth | None) -> dict[str, dict[str, float]]:
    """Method -> `area` (share of the image marked); with a truth also `f1`, `iou`, `auc` and the `truth`'s
    own share.

    "shipped" is what a user gets: nothing where the verdict shows no mask. "ungated" is the mask at the same
    threshold whatever the verdict. Baselines binarise by Otsu's method, image by image.
    """
    image = judgement.image
    soft = masks.soft(judgement.perception.changes.mask, image.width, image.height)
    ungated = masks.full_size(judgement.perception.changes.mask, image.width, image.height, threshold) > 0
    found = {"shipped": (shipped(judgement), soft), "ungated": (ungated, soft)}
    for name, levels in {"ela": ela(image.pixels), "noise": noise(image.pixels)}.items():
        found[name] = (otsu(levels), levels)
    return {name: _figures(mask, levels, truth) for name, (mask, levels) in found.items()}


def shipped(judgement: Judgement) -> Truth:
    """The mask of the examination, decoded; all False when there is none."""
    mask, image = judgement.mask, judgement.image
    if mask is None or mask.png is None:
        return np.zeros((image.height, image.width), bool)
    coded = np.frombuffer(base64.b64decode(mask.png), np.uint8)
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)) > 127


def _figures(mask: Truth, levels: Levels, truth: Truth | None) -> dict[str, float]:
    area = {"area": round(float(mask.mean()), 6)}
    if truth is None:
        return area
    fit = overlap(mask, truth)
    figures = {"f1": fit.f1, "iou": fit.iou, "auc": pixel_auc(levels, truth), "truth": float(truth.mean())}
    return area | {name: round(value, 6) for name, value in figures.items()}


def pixel_auc(levels: Levels, truth: Truth) -> float:
    """AUC over pixels, exact: 256 levels weighted by how often they occur inside and outside the truth; 0.5
    if the truth covers the whole image."""
    inside, outside = (np.bincount(levels[part], minlength=256) for part in (truth, ~truth))
    if not outside.any():
        return 0.5
    return float(
        roc_auc_score(
            np.repeat([1, 0], 256),
            np.tile(np.arange(256), 2),
            sample_weight=np.concatenate([inside, outside]),
        )
    )


def ela(pixels: NDArray[np.uint8]) -> Levels:
    """Error level analysis (Krawetz 2007): what JPEG quality 90 changes, averaged over 16 x 16 px."""
    again, _ = Jpeg(90).apply(pixels, None)
    changed = cv2.absdiff(pixels, again).max(axis=2).astype(np.float32)
    return scaled(cv2.blur(changed, (16, 16)))


def noise(pixels: NDArray[np.uint8]) -> Levels:
    """Noise inconsistency (after Mahdian & Saic 2009): how far the log noise level of 16 x 16 px lies from
    the image's median; noise by Immerkaer's mask (1996)."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    level = np.log(cv2.blur(np.abs(cv2.filter2D(grey, -1, kernel)), (16, 16)) + 0.5)
    return scaled(np.abs(level - np.median(level)))


def scaled(values: NDArray[np.float32]) -> Levels:
    """0 .. the 99.5th percentile -> 0 .. 255."""
    top = max(float(np.percentile(values, 99.5)), 1e-6)
    return np.asarray(np.clip(values * (255 / top), 0, 255), np.uint8)


def otsu(levels: Levels) -> Truth:
    _, binary = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return np.asarray(binary > 0)
