"""One image file in, training views out: filters, near-duplicate hashes, one whole view and native crops.

Every class goes through the same code with the same constants, so that packing tells nothing about the class.
Views are stored as lossless WebP: the pixels of the source's last compression, with no new trace on top.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

Pixels = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]
Require = Literal["", "camera", "generation"]

SMALLEST = 200  # px, shorter side of what is taken
WHOLE = 768  # px, longer side of the whole view
CROP = 384  # px, side of a native crop
LONGEST_RATIO = 4.0
FEWEST_GREYS = 24
LARGEST_PIXELS = 60_000_000
NEAR_PHASH, NEAR_DHASH = 7, 10
FORMATS = ("JPEG", "MPO", "PNG", "WEBP")
GENERATION_KEYS = ("parameters", "prompt", "invokeai_metadata", "sd-metadata", "Dream")


class RefusedError(Exception):
    """The file is no training image; the message is the reason, counted in the run's report."""


@dataclass(frozen=True)
class View:
    """One stored picture: `name` whole|crop1|crop2, `box` in the original, oriented, `data` its file."""

    name: str
    box: Box
    size: tuple[int, int]
    resized: bool
    data: bytes


@dataclass(frozen=True)
class Packed:
    """All that is kept of one original (or of one tile of a collage)."""

    orig_sha256: str
    tile: int
    original: tuple[int, int]
    orig_format: str
    phash: int
    dhash: int
    views: tuple[View, ...]


def dhash(image: Image.Image) -> int:
    """64-bit difference hash: is each of 8x8 grey cells brighter than its left neighbour."""
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BILINEAR), np.int16)
    return _bits(grey[:, 1:] > grey[:, :-1])


def phash(image: Image.Image) -> int:
    """64-bit DCT hash: the 8x8 lowest frequencies of a 32x32 thumbnail against their median without DC."""
    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BILINEAR), np.float64)
    n = np.arange(32)
    basis = np.cos(np.pi * np.outer(n, 2 * n + 1) / 64)
    low = (basis @ grey @ basis.T)[:8, :8].ravel()
    return _bits(low > np.median(low[1:]))


def _bits(flags: npt.NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(flags.ravel()).tobytes(), "big")


def near(
    p: int, d: int, phashes: npt.NDArray[np.uint64], dhashes: npt.NDArray[np.uint64]
) -> npt.NDArray[np.bool_]:
    """Which stored hashes are near-duplicates: pHash distance <= 7 and dHash distance <= 10 of 64 bits."""
    close = np.bitwise_count(phashes ^ np.uint64(p)) <= NEAR_PHASH
    flags: npt.NDArray[np.bool_] = close & (np.bitwise_count(dhashes ^ np.uint64(d)) <= NEAR_DHASH)
    return flags


def decode(data: bytes, require: Require = "") -> tuple[Image.Image, str]:
    """EXIF-oriented RGB image and its container format; raises RefusedError with the reason."""
    try:
        image = Image.open(io.BytesIO(data))
        if image.format not in FORMATS:
            raise RefusedError("other format")
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            raise RefusedError("animated")
        if image.width * image.height > LARGEST_PIXELS:
            raise RefusedError("too large")
        if min(image.size) < SMALLEST:
            raise RefusedError("too small")
        if max(image.size) > LONGEST_RATIO * min(image.size):
            raise RefusedError("too long")
        if require == "camera" and not _from_camera(image):
            raise RefusedError("no camera in EXIF")
        if require == "generation" and not _says_generated(image, data):
            raise RefusedError("no generation record")
        if _see_through(image):
            raise RefusedError("transparent")
        oriented = ImageOps.exif_transpose(image).convert("RGB")
    except RefusedError:
        raise
    except Exception as error:  # Pillow raises many types for a broken file
        raise RefusedError("unreadable") from error
    if len(np.unique(np.asarray(oriented.resize((96, 96)).convert("L")))) < FEWEST_GREYS:
        raise RefusedError("flat graphic")
    return oriented, {"MPO": "JPEG"}.get(image.format or "", image.format or "")


def _from_camera(image: Image.Image) -> bool:
    exif = image.getexif()
    return bool(exif.get(0x010F) or exif.get(0x0110))


def _says_generated(image: Image.Image, data: bytes) -> bool:
    return any(key in image.info for key in GENERATION_KEYS) or b"c2pa" in data


def _see_through(image: Image.Image) -> bool:
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return False
    alpha = np.asarray(image.convert("RGBA").resize((64, 64), Image.Resampling.NEAREST))[..., 3]
    return bool((alpha < 250).mean() > 0.01)


def crop_boxes(width: int, height: int, seed: bytes) -> list[Box]:
    """Up to two native boxes of at most 384 px, on the 8x8 grid, placed by `seed` (from the file's digest).

    None when the whole view is no larger than a crop; two when the image has room for two.
    """
    w, h = min(CROP, width), min(CROP, height)
    if (w, h) == (width, height):
        return []
    draw = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    boxes: list[Box] = []
    for _ in range(2 if width * height >= 2 * w * h else 1):
        x = 8 * int(draw.integers(0, (width - w) // 8 + 1))
        y = 8 * int(draw.integers(0, (height - h) // 8 + 1))
        if (x, y, x + w, y + h) not in boxes:
            boxes.append((x, y, x + w, y + h))
    return boxes


def tiles(image: Image.Image, grid: tuple[int, int]) -> list[Image.Image]:
    """A collage of `grid` = (columns, rows) equal pictures, cut apart; (1, 1) gives the image itself."""
    columns, rows = grid
    if grid == (1, 1):
        return [image]
    w, h = image.width // columns, image.height // rows
    inset = 4  # neighbours bleed over the seam through the collage's own compression
    return [
        image.crop((x * w + inset, y * h + inset, (x + 1) * w - inset, (y + 1) * h - inset))
        for y in range(rows)
        for x in range(columns)
    ]


def pack(data: bytes, require: Require = "", grid: tuple[int, int] = (1, 1)) -> list[Packed]:
    """Everything kept of one file; raises RefusedError with the reason."""
    image, container = decode(data, require)
    digest = hashlib.sha256(data).hexdigest()
    packed = [_pack_one(tile, digest, index, container) for index, tile in enumerate(tiles(image, grid))]
    return [one for one in packed if min(one.original) >= SMALLEST]


def _pack_one(image: Image.Image, digest: str, index: int, container: str) -> Packed:
    width, height = image.size
    whole, resized = image, max(image.size) > WHOLE
    if resized:
        whole = image.copy()
        whole.thumbnail((WHOLE, WHOLE), Image.Resampling.LANCZOS)
    views = [View("whole", (0, 0, width, height), whole.size, resized, _lossless(whole))]
    seed = hashlib.sha256(f"{digest}/{index}".encode()).digest()
    for number, box in enumerate(crop_boxes(width, height, seed), 1):
        crop = image.crop(box)
        views.append(View(f"crop{number}", box, crop.size, False, _lossless(crop)))
    return Packed(digest, index, (width, height), container, phash(whole), dhash(whole), tuple(views))


def _lossless(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, quality=0, method=0)  # as fast as PNG, a third smaller
    return buffer.getvalue()
