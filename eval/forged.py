"""Forgeries made for one run from its real photos, each beside its untouched photo, coded alike.

Only the change differs between the two files of a pair: a detector that reads containers gains nothing.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from eval.examples import Example
from eval.files import write as write_file
from forensic_chat.data.forge import MANIPULATIONS, ForgeFailed, forge
from forensic_chat.errors import InputRejected, UsageError
from forensic_chat.imaging.intake import take_in

LONGEST_SIDE = 1024
"""Larger photos are cropped to this at a random place: native pixels, never resized."""


def write(examples: Sequence[Example], out: Path, n: int, seed: int) -> list[Example]:
    """Forge `n` pictures under `out`, manipulations in turn; returns them and their originals.

    What an earlier run with the same seed wrote is written again, byte for byte. Raises UsageError if too few
    photos can be forged.
    """
    photos = [e for e in examples if e.label == "real" and not e.screenshot]
    if len(photos) < 2:
        raise UsageError("--forged needs at least two real photos in the data")
    names = list(MANIPULATIONS)
    found: list[Example] = []
    for attempt in range(4 * n):
        if len(found) == 2 * n:
            break
        rng = np.random.default_rng([seed, attempt])
        photo, donor = (photos[k] for k in rng.choice(len(photos), 2, replace=False))
        name = names[len(found) // 2 % len(names)]
        try:
            pixels = _crop(photo, rng)
            forgery = forge(pixels, [_crop(donor, rng)], rng, name)
        except (InputRejected, ForgeFailed):
            continue
        found += _save(out, f"{len(found) // 2:05d}", name, photo, (pixels, forgery.pixels, forgery.mask))
    if len(found) < 2 * n:
        raise UsageError(
            f"only {len(found) // 2} of {n} forgeries could be made of these photos; lower --forged"
        )
    return found


def _crop(photo: Example, rng: np.random.Generator) -> np.ndarray:
    pixels = take_in(photo.path).pixels
    for axis in (0, 1):
        length = min(LONGEST_SIDE, pixels.shape[axis])
        start = int(rng.integers(pixels.shape[axis] - length + 1))
        pixels = pixels.take(range(start, start + length), axis)
    return np.ascontiguousarray(pixels)


def _save(
    out: Path, stem: str, name: str, photo: Example, pictures: tuple[np.ndarray, ...]
) -> tuple[Example, Example]:
    paths = [out / "real" / f"{stem}.jpg", out / "tampered" / f"{stem}.jpg", out / "mask" / f"{stem}.png"]
    for path, pixels in zip(paths, pictures, strict=True):
        coded, image = io.BytesIO(), Image.fromarray(pixels)
        if path.suffix == ".png":
            image.save(coded, "PNG")
        else:
            image.save(coded, "JPEG", quality=95, subsampling="4:4:4")
        write_file(path, coded.getvalue())
    untouched, changed, mask = paths
    known = photo.in_training
    original = Example(
        f"forged/real/{stem}", untouched, "real", photo.source, "forged", photo.group,
        forged=True, in_training=known,
    )  # fmt: skip
    forged = Example(
        f"forged/tampered/{stem}", changed, "tampered", f"forged {name}", "forged", photo.group, mask,
        forged=True, in_training=known,
    )  # fmt: skip
    return original, forged
