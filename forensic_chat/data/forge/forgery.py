"""What a forgery is, and the checks every manipulation ends with."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from forensic_chat.errors import ForensicChatError
from forensic_chat.schema import Box

Pixels = NDArray[np.uint8]
"""(H, W, 3) RGB."""
Mask = NDArray[np.uint8]
"""(H, W), 0 or 255 (changed)."""
Matte = NDArray[np.float32]
"""(h, w), 0..1: how much of the new pixel shows."""

SMALLEST_SIDE = 96
_MIN_SHARE, _MAX_SHARE = 0.01, 0.40
"""Share of the image that a mask covers: less is not found by eye, more is no local change."""


class ForgeFailed(ForensicChatError):
    """A manipulation found no place, or changed nothing to speak of; another draw may work."""


@dataclass(frozen=True, eq=False)
class Forgery:
    pixels: Pixels
    mask: Mask
    """255 where more than half of the new pixel shows."""
    manipulation: str
    truth: str
    """One sentence: what was done, and where."""
    generator: str | None = None
    """What made the image where all of it is new: then it is synthetic, otherwise tampered."""


def composite(
    photo: Pixels,
    corner: tuple[int, int],
    patch: NDArray[np.floating] | Pixels,
    matte: Matte,
    *,
    manipulation: str,
    truth: str,
    floor: float = 2.0,
) -> Forgery:
    """Blend `patch` (h, w, 3) over `photo` at `corner` (x, y) with `matte`; pixels with matte 0 stay as
    they are.

    `truth` holds "{where}", which becomes a place in words. Raises ForgeFailed when the mask covers less
    than 1 % or more than 40 % of the photo, or the mean absolute change inside it is below `floor` grey
    levels.
    """
    (x, y), (height, width) = corner, matte.shape
    window = np.s_[y : y + height, x : x + width]
    below = photo[window].astype(np.float32)
    blended = np.rint(below + matte[..., None] * (patch.astype(np.float32) - below))
    pixels = photo.copy()
    pixels[window] = np.clip(blended, 0, 255).astype(np.uint8)
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[window][matte > 0.5] = 255
    share = float(np.count_nonzero(mask)) / mask.size
    if not _MIN_SHARE <= share <= _MAX_SHARE:
        raise ForgeFailed(f"{manipulation} would cover {share:.1%} of the photo")
    change = float(np.abs(pixels[window].astype(np.float32) - below)[matte > 0.5].mean())
    if change < floor:
        raise ForgeFailed(f"{manipulation} changed its region by only {change:.1f} grey levels")
    return Forgery(pixels, mask, manipulation, truth.format(where=place(mask)))


def place(mask: Mask) -> str:
    """Where a mask's centre lies, in words: "in the upper left", "in the centre"."""
    moments = cv2.moments(mask, binaryImage=True)
    x = moments["m10"] / moments["m00"] / mask.shape[1]
    y = moments["m01"] / moments["m00"] / mask.shape[0]
    row = "upper" if y < 0.4 else "lower" if y > 0.6 else ""
    column = "left" if x < 0.4 else "right" if x > 0.6 else ""
    if not row:
        return f"in the {column} half" if column else "in the centre"
    return f"in the {row} {column or 'middle'}"


def require_size(photo: Pixels) -> None:
    """Raise ForgeFailed for a photo too small to hide a change in."""
    if min(photo.shape[:2]) < SMALLEST_SIDE:
        raise ForgeFailed(f"the photo is smaller than {SMALLEST_SIDE} pixels")


def cut(photo: Pixels, box: Box) -> Pixels:
    """View of the pixels in `box`."""
    x0, y0, x1, y1 = box
    return photo[y0:y1, x0:x1]
