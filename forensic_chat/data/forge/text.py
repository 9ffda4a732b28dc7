"""Text edits: a line of text is painted over with other text, grain and sharpness matched to the photo."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from forensic_chat.data.forge.forgery import ForgeFailed, Forgery, Pixels, composite, cut, require_size
from forensic_chat.schema import Box

Values = NDArray[np.float32]

_TRIES = 40
_LOWEST = 14
"""px: lower lines can't be read."""
_WORDS = (
    "open", "closed", "north", "exit", "market", "total", "paid", "valid", "until", "sale", "street", "hotel",
    "station", "private", "caution", "dogs", "welcome", "pier", "gate", "room", "invoice", "approved", "bakery",
    "since", "monday", "limit", "parking", "museum", "coffee", "garden",
)  # fmt: skip
_HERSHEY = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)


@dataclass(frozen=True)
class Line:
    """Where text is to stand. The old text is in `ink` where there was some."""

    box: Box
    ink: NDArray[np.bool_] | None
    """(h, w) of the box."""


def text_edit(photo: Pixels, rng: np.random.Generator) -> Forgery:
    """Repaint a line of text that is there, or write one on the smoothest place found. Raises ForgeFailed.

    The whole line box is painted anew, not the strokes alone, and the mask marks all of it.
    """
    require_size(photo)
    lines = find_lines(photo)
    line = lines[int(rng.integers(len(lines)))] if lines else _smooth_place(photo, rng)
    region = cut(photo, line.box).astype(np.float32)
    height, width = region.shape[:2]
    cleaned, colour = _cleaned(region, line.ink, rng)
    words = _wording(rng, width / height)
    strokes = _strokes(words, height, width, rng)
    blur = _edge_width(region, line.ink) if line.ink is not None else float(rng.uniform(0.4, 1.2))
    strokes = cv2.GaussianBlur(strokes, (0, 0), blur)[..., None]
    painted = cleaned + strokes * (colour - cleaned)
    painted += _grain_level(photo, line.box) * _grain(rng, height, width)
    what = "A line of text {where} was painted over with" if lines else "Onto the photo was painted, {where},"
    return composite(
        photo,
        line.box[:2],
        np.clip(painted, 0, 255),
        _soft_box(height, width, float(rng.uniform(0.4, 1.2))),
        manipulation="text-edit",
        truth=f'{what} the text "{words}".',
        floor=3.0,
    )


def find_lines(photo: Pixels) -> list[Line]:
    """Boxes that look like lines of text: wide rows of many strokes of one contrast, joined across their gaps.

    A gradient and closing detector, enough to find printed lines on an even ground; what it takes for text
    and is none (railings, windows) is painted over all the same.
    """
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    edges = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    busy = (edges > max(40.0, float(np.percentile(edges, 90)))).astype(np.uint8)
    height, width = grey.shape
    joined = cv2.morphologyEx(busy, cv2.MORPH_CLOSE, np.ones((3, max(9, width // 40)), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    lines = []
    for x, y, w, h, area in (tuple(map(int, row[:5])) for row in stats[1:count]):
        share = w * h / (height * width)
        if h < _LOWEST or w < 3 * h or h > height / 4 or not 0.008 <= share <= 0.25 or area < 0.6 * w * h:
            continue
        box = (max(0, x - 3), max(0, y - 3), min(width, x + w + 3), min(height, y + h + 3))
        ink = _ink(cut(photo, box))
        if ink is not None:
            lines.append(Line(box, ink))
    return lines


def _ink(region: Pixels) -> NDArray[np.bool_] | None:
    """The strokes of a line, None where two colours and many crossings do not make the region look like text."""
    grey = cv2.cvtColor(np.ascontiguousarray(region), cv2.COLOR_RGB2GRAY)
    split = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1].astype(bool)
    # Text covers less than the ground it stands on.
    ink = split if split.mean() < 0.5 else ~split
    if not 0.08 <= ink.mean() <= 0.45:
        return None
    contrast = abs(float(grey[ink].mean()) - float(grey[~ink].mean()))
    crossings = np.abs(np.diff(ink.astype(np.int8), axis=1)).sum(axis=1).mean()
    letters = ink.shape[1] / ink.shape[0]
    if contrast < 40 or crossings < 1.5 * letters or grey[~ink].std() > contrast / 3:
        return None
    return np.asarray(ink, bool)


def _smooth_place(photo: Pixels, rng: np.random.Generator) -> Line:
    height, width = photo.shape[:2]
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    best: tuple[float, Box] | None = None
    for _ in range(_TRIES):
        # 1.2 to 8 % of the photo, three to nine times as wide as high.
        area = float(np.exp(rng.uniform(np.log(0.012), np.log(0.08)))) * height * width
        h = round(float(np.sqrt(area / rng.uniform(3, 9))))
        w = round(area / max(h, 1))
        if h < _LOWEST or w > 0.95 * width or h > height / 3:
            continue
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        unrest = float(grey[y : y + h, x : x + w].std())
        if best is None or unrest < best[0]:
            best = unrest, (x, y, x + w, y + h)
    if best is None:
        raise ForgeFailed("there is no room for a line of text")
    return Line(best[1], None)


def _cleaned(
    region: Values, ink: NDArray[np.bool_] | None, rng: np.random.Generator
) -> tuple[Values, Values]:
    """The region without its text and grain, and the colour to write in."""
    if ink is not None:
        strokes = cv2.dilate(ink.astype(np.uint8), np.ones((5, 5), np.uint8))
        filled = cv2.inpaint(np.rint(region).astype(np.uint8), strokes, 4, cv2.INPAINT_TELEA)
        colour: NDArray[np.floating] = np.median(region[ink], axis=0)
        return cv2.GaussianBlur(filled.astype(np.float32), (0, 0), 1.5), np.asarray(colour, np.float32)
    cleaned = cv2.GaussianBlur(region, (0, 0), max(1.5, region.shape[0] / 12))
    light = float(cleaned.mean()) > 127
    if rng.random() < 0.2:
        # The orange of a camera's date, or a red stamp.
        colour = np.array([250, 150, 40] if not light else [190, 30, 30])
    else:
        colour = np.full(3, rng.uniform(5, 60) if light else rng.uniform(200, 250)) + rng.uniform(-6, 6, 3)
    return np.asarray(cleaned, np.float32), np.asarray(colour, np.float32)


def _wording(rng: np.random.Generator, aspect: float) -> str:
    """Words, a price, a date or a code, about as long as the line."""
    length = max(3, round(aspect * 1.6))
    kind = rng.choice(["words", "words", "price", "date", "code"])
    if kind == "price":
        text = f"{rng.integers(1, 9999)}.{rng.integers(0, 100):02d} EUR"
    elif kind == "date":
        text = f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.{rng.integers(1990, 2030)}"
    elif kind == "code":
        letters = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVWXYZ"), 3))
        text = f"{letters} {rng.integers(1000, 99999)}"
    else:
        text = str(rng.choice(_WORDS))
        while len(text) < length - 3:
            text += f" {rng.choice(_WORDS)}"
        text = str(rng.choice([text.upper(), text.capitalize(), text]))
    return text


def _strokes(words: str, height: int, width: int, rng: np.random.Generator) -> Values:
    """(height, width) coverage 0..1 of the words, as large as the line allows, rendered at four times the size."""
    wide = _rendered(words, int(rng.integers(len(_HERSHEY) + 3)))
    scale = min(0.8 * height / wide.shape[0], 0.94 * width / wide.shape[1])
    h, w = max(1, round(wide.shape[0] * scale)), max(1, round(wide.shape[1] * scale))
    small = cv2.resize(wide, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    strokes = np.zeros((height, width), np.float32)
    y, x = (height - h) // 2, int(rng.integers(0, width - w + 1))
    strokes[y : y + h, x : x + w] = small
    return strokes


@lru_cache(maxsize=1)
def _pillow_font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=160)


def _rendered(words: str, font: int) -> NDArray[np.uint8]:
    """Words in one of OpenCV's stroke fonts or Pillow's own, 0..255, cut to what is inked."""
    if font < len(_HERSHEY):
        (w, h), below = cv2.getTextSize(words, _HERSHEY[font], 4.0, 10)
        canvas = np.zeros((h + below + 60, w + 60), np.uint8)
        cv2.putText(canvas, words, (30, h + 30), _HERSHEY[font], 4.0, 255, 10, cv2.LINE_AA)
    else:
        left, top, right, bottom = map(int, _pillow_font().getbbox(words))
        image = Image.new("L", (right - left + 20, bottom - top + 20))
        ImageDraw.Draw(image).text((10 - left, 10 - top), words, fill=255, font=_pillow_font())
        canvas = np.asarray(image)
    rows, columns = np.flatnonzero(canvas.any(axis=1)), np.flatnonzero(canvas.any(axis=0))
    return canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _edge_width(region: Values, ink: NDArray[np.bool_]) -> float:
    """Sigma in px of the blur that makes edges as steep as the old text's: a step of height c blurred by sigma
    rises by c / (sigma * sqrt(2 pi)) at most.
    """
    grey = region.mean(axis=2)
    contrast = abs(float(grey[ink].mean()) - float(grey[~ink].mean()))
    steepest = float(np.percentile(np.abs(np.diff(grey, axis=1)), 99))
    return float(np.clip(contrast / (max(steepest, 1.0) * np.sqrt(2 * np.pi)), 0.3, 3.0))


def _grain_level(photo: Pixels, box: Box) -> float:
    """Standard deviation, grey levels, of the noise around a box (Immerkaer, Fast Noise Variance Estimation,
    1996, with the median in place of the mean, so that edges count little).
    """
    x0, y0, x1, y1 = box
    margin = y1 - y0
    around = photo[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin]
    grey = around.astype(np.float32).mean(axis=2)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    residual = cv2.filter2D(grey, -1, kernel)
    return float(np.clip(1.4826 * np.median(np.abs(residual)) / 6, 0.3, 12))


def _grain(rng: np.random.Generator, height: int, width: int) -> Values:
    """(h, w, 3) noise of unit deviation, the same in all channels by half, as demosaicing leaves it."""
    own = rng.standard_normal((height, width, 3), dtype=np.float32)
    shared = rng.standard_normal((height, width, 1), dtype=np.float32)
    return np.asarray((own + shared) / np.float32(np.sqrt(2)), np.float32)


def _soft_box(height: int, width: int, sigma: float) -> Values:
    """A matte that is 1 but for a ramp at its rim."""
    rim = int(np.ceil(2.5 * sigma))
    solid = np.pad(np.ones((height - 2 * rim, width - 2 * rim), np.float32), rim)
    matte = cv2.GaussianBlur(solid, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return np.where(matte < 1 / 256, 0, matte).astype(np.float32)
