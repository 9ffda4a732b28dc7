"""Masks against the truth: the shipped one, and what simple tools give on the same pixels."""

import base64

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from forensic_chat.data.laundering import Jpeg
from forensic_chat.encoder import masks
from forensic_chat.evidence import copymove as copies
from forensic_chat.evidence import ghosts
from forensic_chat.evidence.blocks import luma
from forensic_chat.imaging.intake import ExaminedImage
from forensic_chat.imaging.normalise import stored_view
from forensic_chat.judgement import Judgement
from forensic_chat.scoring.localisation import overlap

Levels = NDArray[np.uint8]
"""(H, W): the higher, the likelier changed."""
Truth = NDArray[np.bool_]
"""(H, W)."""
HALF = 127
"""Of 255: the one threshold for every map. A map that is no probability runs from 0 to what 0.5 % of its
pixels exceed."""


def measure(
    judgement: Judgement, threshold: float, truth: Truth | None, *, baselines: bool
) -> dict[str, dict[str, float]]:
    """Method -> `area` (share of the image marked); with a truth also `f1`, `iou`, `auc`, `otsu_iou` and the
    `truth`'s own share.

    "shipped" is what a user gets: nothing where the verdict shows no mask. "ungated" is the mask at the same
    frozen threshold whatever the verdict. "half" is the mask at 0.5, as are the baselines. `otsu_iou` cuts
    the map of any method by Otsu's rule instead, image by image.
    """
    image = judgement.image
    soft = masks.soft(judgement.perception.changes.mask, image.width, image.height)
    ungated = masks.full_size(judgement.perception.changes.mask, image.width, image.height, threshold) > 0
    found = {"shipped": (shipped(judgement), soft), "ungated": (ungated, soft), "half": (soft > HALF, soft)}
    if baselines:
        found |= {name: (levels > HALF, levels) for name, levels in simple(image).items()}
    return {name: _figures(mask, levels, truth) for name, (mask, levels) in found.items()}


def simple(image: ExaminedImage) -> dict[str, Levels]:
    """What tools without training show of an image."""
    return {
        "ela": ela(image.pixels),
        "noise": noise(image.pixels),
        "ghost": ghost(image.pixels, image.orientation),
        "copymove": copymove(image.pixels),
    }


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
    figures = {
        "f1": fit.f1,
        "iou": fit.iou,
        "auc": pixel_auc(levels, truth),
        "otsu_iou": overlap(otsu(levels), truth).iou,
        "truth": float(truth.mean()),
    }
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


def ghost(pixels: NDArray[np.uint8], orientation: int = 1) -> Levels:
    """JPEG ghost (Farid 2009): how much less than the others a block of 16 x 16 px changes when saved again,
    at the quality where a region stands out most; zeros where none does. Blocks lie in the file's rows."""
    grey = luma(ghosts.stored(pixels, orientation))
    if min(grey.shape) < ghosts.GHOST_BLOCK or (best := ghosts.ghost(grey)) is None:
        return np.zeros(pixels.shape[:2], np.uint8)
    changes = ghosts.ghost_maps(grey)
    low, high = changes.min(axis=0), changes.max(axis=0)
    share = (changes[ghosts.QUALITIES.index(best[1])] - low) / np.maximum(high - low, 1e-6)
    busy = high - low > 2.0
    spared = np.where(busy, np.median(share[busy]) - share, 0).clip(0).astype(np.float32)
    blocks = scaled(cv2.blur(spared, (3, 3)))
    rows, columns = (side * ghosts.GHOST_BLOCK for side in blocks.shape)
    upright = np.zeros(pixels.shape[:2], np.uint8)
    stored_view(upright, orientation)[:rows, :columns] = cv2.resize(
        blocks, (columns, rows), interpolation=cv2.INTER_NEAREST
    )
    return upright


def copymove(pixels: NDArray[np.uint8]) -> Levels:
    """Both places of the best verified copy (see evidence.copymove), 255 there and 0 elsewhere."""
    if (copy := copies.find(pixels)) is None:
        return np.zeros(pixels.shape[:2], np.uint8)
    both = (copy.first | copy.second).astype(np.uint8) * 255
    size = (pixels.shape[1], pixels.shape[0])
    return np.asarray(cv2.resize(both, size, interpolation=cv2.INTER_NEAREST))


def scaled(values: NDArray[np.float32]) -> Levels:
    """0 .. the 99.5th percentile -> 0 .. 255."""
    top = max(float(np.percentile(values, 99.5)), 1e-6)
    return np.asarray(np.clip(values * (255 / top), 0, 255), np.uint8)


def otsu(levels: Levels) -> Truth:
    _, binary = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return np.asarray(binary > 0)
