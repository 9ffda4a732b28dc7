"""The embedded thumbnail against the image: software that alters a photo may keep the old thumbnail.

Source of the idea: Kee and Farid 2010, "Digital image authentication from thumbnails".
"""

import io

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from forensic_chat.evidence.blocks import Map, luma
from forensic_chat.imaging.intake import ExaminedImage

_MAX_SIDE = 640
_SIZE = 64


def decode(data: bytes) -> npt.NDArray[np.uint8] | None:
    """(H, W, 3) RGB of JPEG bytes between 32 and 640 pixels a side; None for anything else."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            if not 32 <= min(picture.size) <= max(picture.size) <= _MAX_SIDE:
                return None
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, TypeError, EOFError, Image.DecompressionBombError):
        return None


def _square(grey: npt.NDArray[np.uint8]) -> Map:
    small = cv2.resize(grey, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 1.0), dtype=np.float32)


def _alike(a: Map, b: Map) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.sqrt(float((a * a).sum()) * float((b * b).sum())) + 1e-6))


def _without_bars(grey: npt.NDArray[np.uint8], aspect: float) -> npt.NDArray[np.uint8]:
    """The centre of a thumbnail that has the image's aspect (cameras pad 3:2 photos to 4:3 with black
    bars).
    """
    h, w = grey.shape
    if w / h < aspect:
        margin = round((h - w / aspect) / 2)
        return grey[margin : h - margin]
    margin = round((w - h * aspect) / 2)
    return grey[:, margin : w - margin]


def difference(image: ExaminedImage, thumbnail: npt.NDArray[np.uint8]) -> float:
    """1 - normalised correlation of brightness at 64 x 64, 0 (same picture) to 2.

    The best over four turns, since software turns one and forgets the other, and over bars kept or cut off.
    """
    reduced = cv2.resize(image.pixels, (4 * _SIZE, 4 * _SIZE), interpolation=cv2.INTER_AREA)
    target = _square(luma(np.asarray(reduced)))
    best = -1.0
    for turns in range(4):
        grey = np.ascontiguousarray(np.rot90(luma(thumbnail), turns))
        best = max(best, _alike(target, _square(grey)))
        cut = _without_bars(grey, image.width / image.height)
        if min(cut.shape) >= 16:
            best = max(best, _alike(target, _square(np.ascontiguousarray(cut))))
    return 1.0 - best
