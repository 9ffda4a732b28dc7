"""Pictures of a run: the worst cases, and masks beside what simple tools show."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from eval import maps, plots
from eval.delivery import deliver
from eval.examples import Example
from eval.localisation import METHODS
from eval.rows import Row, map_of
from eval.verdicts import Pairs, photographic
from forensic_chat.imaging.intake import take_in

SIDE = 240
"""Of a thumbnail's longer side, in px."""
CASES = 8
"""Worst images of each kind."""
Image = tuple[str, str]
"""What it shows, and its data URI."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Card:
    images: list[Image]
    caption: str


@dataclass(frozen=True)
class Gallery:
    title: str
    text: str
    cards: list[Card]


def worst(pairs: Pairs) -> list[Gallery]:
    """Photos most, and fakes least, taken for fakes."""
    mine = photographic(pairs)
    reals = sorted((p for p in mine if p[0].label == "real"), key=lambda p: -p[1].fake)[:CASES]
    fakes = sorted((p for p in mine if p[0].label != "real"), key=lambda p: p[1].fake)[:CASES]
    told = "Worst first, whether or not they are wrong."
    shown = (("Photos with the highest fake probability", reals), ("Fakes with the lowest", fakes))
    return [Gallery(title, told, [_case(e, r) for e, r in cases]) for title, cases in shown if cases]


def _case(e: Example, r: Row) -> Card:
    caption = f"{e.id}: {e.label}, {e.kind}; told {r.verdict}, fake probability {r.fake:.2f}"
    return Card([("the image", thumbnail(take_in(e.path).pixels))], caption)


def masks(pairs: Pairs, out: Path) -> list[Gallery]:
    """Tampered images from the best mask to the worst, with what simple tools show."""
    marked = [
        (e, r)
        for e, r in pairs
        if r.error is None and e.mask is not None and (out / map_of(r.content)).is_file()
    ]
    marked.sort(key=lambda p: -p[1].masks["half"]["iou"])
    places = sorted({round(k * (len(marked) - 1) / (CASES - 1)) for k in range(CASES)}) if marked else []
    cards = [_mask_card(*marked[k], out) for k in places]
    told = "From the best IoU at 0.5 to the worst. White line: the truth; red: where each map is high."
    return [Gallery("Masks", told, cards)] if cards else []


def _mask_card(e: Example, r: Row, out: Path) -> Card:
    image = take_in(e.path)
    _, _, truth = deliver(e, ())
    assert truth is not None
    soft = cv2.imdecode(np.frombuffer((out / map_of(r.content)).read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    levels = {"the mask, soft": np.asarray(soft, np.uint8)}
    levels |= {METHODS[name].removesuffix(" at 0.5"): found for name, found in maps.simple(image).items()}
    images = [("the image", thumbnail(image.pixels))]
    images += [(name, thumbnail(overlaid(image.pixels, found, truth))) for name, found in levels.items()]
    fit = ", ".join(f"{METHODS[name]} {r.masks[name]['iou']:.2f}" for name in METHODS if name in r.masks)
    return Card(images, f"{e.id}: {e.kind}; told {r.verdict}. IoU: {fit}")


def overlaid(pixels: Pixels, levels: Pixels, truth: NDArray[np.bool_]) -> Pixels:
    """A thumbnail-sized picture: red by `levels` (any size), the truth (H, W) outlined in white."""
    small = _small(pixels)
    size = (small.shape[1], small.shape[0])
    red = cv2.resize(levels, size, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    mixed = small * (0.75 - 0.5 * red) + red * np.array([200, 0, 0], np.float32)
    drawn = np.ascontiguousarray(mixed.clip(0, 255).astype(np.uint8))
    marked = cv2.resize(truth.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outline, _ = cv2.findContours(marked, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(drawn, outline, -1, (255, 255, 255), 1))


def thumbnail(pixels: Pixels) -> str:
    """(H, W, 3) RGB -> the data URI of a small JPEG."""
    coded = cv2.imencode(
        ".jpg", cv2.cvtColor(_small(pixels), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80]
    )
    return plots.uri(coded[1].tobytes(), "image/jpeg")


def _small(pixels: Pixels) -> Pixels:
    scale = min(1.0, SIDE / max(pixels.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in pixels.shape[1::-1])
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
