"""An example as it arrives after a chain: the bytes of a file, and where it was changed."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval.examples import Example
from forensic_chat.data.laundering import Jpeg, Step, Webp, launder
from forensic_chat.errors import UsageError
from forensic_chat.imaging.intake import take_in
from forensic_chat.imaging.normalise import stored_view

Chain = tuple[Step, ...]


def deliver(example: Example, steps: Chain) -> tuple[bytes, str, NDArray[np.bool_] | None]:
    """File, name and truth (H, W, oriented; None where nothing is marked) of an example after `steps`.

    Without steps the file is the original one. A last JPEG or WebP is the file's own coding, so that evidence
    on containers sees what a receiver would; after other steps the file is a PNG. Metadata goes with the
    first step. Raises InputRejected, and UsageError for a mask that does not fit.
    """
    data = example.path.read_bytes()
    if example.mask is None and not steps:
        return data, example.path.name, None
    image = take_in(data, name=example.path.name)
    truth = None if example.mask is None else _truth(example, image.pixels.shape[:2], image.orientation)
    if not steps:
        return data, example.path.name, truth
    last = steps[-1] if isinstance(steps[-1], Jpeg | Webp) else None
    mask = None if truth is None else truth.astype(np.uint8) * 255
    pixels, mask = launder(image.pixels, mask, steps if last is None else steps[:-1])
    coded, ending = _coded(pixels, last)
    name = Path(example.path.name).with_suffix(ending).name
    return coded, name, None if mask is None else mask > 127


def _coded(pixels: NDArray[np.uint8], last: Jpeg | Webp | None) -> tuple[bytes, str]:
    """As the step itself would code it."""
    out, image = io.BytesIO(), Image.fromarray(pixels)
    if isinstance(last, Jpeg):
        image.save(out, "JPEG", quality=last.quality, subsampling=last.subsampling)
        return out.getvalue(), ".jpg"
    if isinstance(last, Webp):
        image.save(out, "WEBP", quality=last.quality, method=1)
        return out.getvalue(), ".webp"
    image.save(out, "PNG", compress_level=1)
    return out.getvalue(), ".png"


def _truth(example: Example, shape: tuple[int, ...], orientation: int) -> NDArray[np.bool_]:
    assert example.mask is not None
    stored = take_in(example.mask).pixels[..., 0] > 127
    oriented = np.empty(shape, bool)
    target = stored_view(oriented, orientation)
    if target.shape != stored.shape:
        raise UsageError(
            f"{example.mask.name} is not of the size of {example.id}; masks are in stored orientation"
        )
    target[...] = stored
    if not oriented.any():
        raise UsageError(
            f"{example.mask.name} marks nothing (values above 127); {example.id} can't be measured"
        )
    return oriented
