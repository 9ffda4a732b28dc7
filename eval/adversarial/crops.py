"""Native crops, small enough to be attacked on a CPU."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval.delivery import deliver
from eval.examples import Example
from forensic_chat.imaging.intake import take_in


def cut(example: Example, side: int, folder: Path) -> Example:
    """A native crop of at most side x side px as PNG, and its mask: where most was changed, else the middle.

    With side 0 the whole image. Raises InputRejected, and UsageError for a mask that does not fit.
    """
    data, name, truth = deliver(example, ())
    pixels = take_in(data, name=name).pixels
    height, width = pixels.shape[:2]
    tall, wide = min(side or height, height), min(side or width, width)
    top, left = (height - tall) // 2, (width - wide) // 2
    if truth is not None:
        table = cv2.integral(truth.astype(np.uint8))
        sums = table[tall:, wide:] - table[:-tall, wide:] - table[tall:, :-wide] + table[:-tall, :-wide]
        top, left = (int(at) for at in np.unravel_index(int(sums.argmax()), sums.shape))
    part = np.s_[top : top + tall, left : left + wide]
    path = folder / f"{example.id.replace('/', '_')}.png"
    save(pixels[part], path)
    mask = None
    if truth is not None:
        mask = path.with_suffix(".mask.png")
        save(truth[part].astype(np.uint8) * 255, mask)
    return replace(example, path=path, mask=mask)


def save(pixels: NDArray[np.uint8], path: Path) -> None:
    """Through a part file, so that a stopped run leaves no torn picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    Image.fromarray(np.ascontiguousarray(pixels)).save(part, "PNG", compress_level=1)
    part.replace(path)
