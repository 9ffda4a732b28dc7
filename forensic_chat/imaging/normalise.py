"""Any colour mode and orientation -> 8-bit RGB as it is looked at, written strip by strip into one array."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forensic_chat.schema import Box

_STRIP_ROWS = 256
_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_STRETCHED_MODES = ("I", "F")

RGB = NDArray[np.uint8]


def stored_view(oriented: NDArray[Any], orientation: int) -> NDArray[Any]:
    """View of an oriented (H, W, ...) array in stored orientation; writing to it fills the oriented one.

    `orientation` is the EXIF tag 0x0112, 1 to 8 (EXIF 2.32, section 4.6.4): each case undoes what it names.
    """
    swapped = oriented.swapaxes(0, 1)
    return {
        1: oriented,
        2: oriented[:, ::-1],
        3: oriented[::-1, ::-1],
        4: oriented[::-1],
        5: swapped,
        6: swapped[::-1],
        7: swapped[::-1, ::-1],
        8: swapped[:, ::-1],
    }[orientation]


def orient_box(box: Box, orientation: int, width: int, height: int) -> Box:
    """The box of a `width` x `height` stored image in oriented coordinates."""
    x0, y0, x1, y1 = box
    mirrored_x, mirrored_y = (width - x1, width - x0), (height - y1, height - y0)
    xs, ys = (x0, x1), (y0, y1)
    across, down = {
        1: (xs, ys),
        2: (mirrored_x, ys),
        3: (mirrored_x, mirrored_y),
        4: (xs, mirrored_y),
        5: (ys, xs),
        6: (mirrored_y, xs),
        7: (mirrored_y, mirrored_x),
        8: (ys, mirrored_x),
    }[orientation]
    return across[0], down[0], across[1], down[1]


def _over_white(rgba: RGB) -> RGB:
    alpha = rgba[..., 3:].astype(np.uint16)
    mixed = rgba[..., :3] * alpha + np.uint16(255) * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def _value_range(image: Image.Image) -> tuple[float, float]:
    """Smallest and largest finite value, strip by strip."""
    low, high = np.inf, -np.inf
    for top in range(0, image.height, _STRIP_ROWS):
        strip = np.asarray(image.crop((0, top, image.width, min(top + _STRIP_ROWS, image.height))))
        finite = strip[np.isfinite(strip)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low < high else (0.0, 1.0)


def _grey(strip: Image.Image, value_range: tuple[float, float] | None) -> RGB:
    """(h, w) uint8 of a strip with more than eight bits."""
    if value_range is None:
        # 255 * 257 = 65535: the exact scale between the two depths.
        return ((np.asarray(strip).astype(np.uint32) + 128) // 257).astype(np.uint8)
    low, high = value_range
    values = np.nan_to_num(np.asarray(strip, dtype=np.float64), nan=low, posinf=high, neginf=low)
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def to_rgb(image: Image.Image, orientation: int) -> tuple[RGB, list[str]]:
    """Convert a loaded image of any mode to (H, W, 3) uint8 RGB, oriented, C-contiguous.

    CMYK is converted without its colour profile; transparency is laid over white; 32-bit integer and float
    grey values are stretched from their range to 0..255. Returns the pixels and one warning for each such
    loss. Raises ValueError for a mode that Pillow can't convert.
    """
    width, height = image.size
    pixels = np.empty((width, height, 3) if orientation >= 5 else (height, width, 3), np.uint8)
    # One item a pixel instead of three bytes: numpy turns an image three times as fast.
    stored = stored_view(pixels.view("V3")[..., 0], orientation)
    has_alpha = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    value_range = _value_range(image) if image.mode in _STRETCHED_MODES else None
    see_through = False
    for top in range(0, height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, height)
        strip = image.crop((0, top, width, bottom))
        if image.mode in _DEEP_MODES or value_range is not None:
            rgb = np.repeat(_grey(strip, value_range)[..., None], 3, axis=2)
        elif has_alpha:
            rgba = np.asarray(strip.convert("RGBA"))
            see_through = see_through or bool((rgba[..., 3] < 255).any())
            rgb = _over_white(rgba)
        else:
            rgb = np.asarray(strip.convert("RGB"))
        stored[top:bottom] = rgb.view("V3")[..., 0]
    return pixels, _warnings(image.mode, see_through)


def _warnings(mode: str, see_through: bool) -> list[str]:
    warnings = []
    if mode in _DEEP_MODES:
        warnings.append("16 bits a channel reduced to 8")
    if mode in _STRETCHED_MODES:
        warnings.append("grey values stretched from their range to 0..255")
    if mode == "CMYK":
        warnings.append("CMYK converted to RGB without its colour profile")
    if see_through:
        warnings.append("transparent pixels laid over white")
    return warnings
