"""What code can prove of a view, as questions and one-sentence answers: the text of the alignment stage.

Colours, brightness and places are computed from the pixels, sizes, regions and findings taken from the examination.
Nothing is said of what a view shows: `FORBIDDEN` names what no answer may speak of, and `unproven` finds an answer
that is not among the ones code derives.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from forensic_chat.data.protocol import percent, place, written
from forensic_chat.imaging.views import View
from train.examinations import Examined

Pixels = NDArray[np.uint8]
CLEARLY = 12.0
"""Levels of 255 by which one half must be brighter than the other to be called so."""
GREY, DARK, BRIGHT = 28, 60, 195
"""Spread of the channels below which a colour is a grey, and levels for dark and bright."""
COLOURS = (
    "black",
    "dark grey",
    "grey",
    "white",
    "red",
    "orange",
    "yellow",
    "green",
    "cyan",
    "blue",
    "magenta",
)
_HUES = (
    (20, "red"),
    (45, "orange"),
    (70, "yellow"),
    (165, "green"),
    (200, "cyan"),
    (260, "blue"),
    (335, "magenta"),
)
_BOXES = {
    "in the upper left": (0, 0),
    "at the top": (1, 0),
    "in the upper right": (2, 0),
    "on the left": (0, 1),
    "in the centre": (1, 1),
    "on the right": (2, 1),
    "in the lower left": (0, 2),
    "at the bottom": (1, 2),
    "in the lower right": (2, 2),
}
FORBIDDEN = re.compile(
    r"\b(?:person|people|man|woman|child|face|animal|dog|cat|car|building|tree|sky|water|photograph of|shows? an?"
    r"|looks? like|appears?|because|fake|genuine|authentic|who|intent\w*)\b",
    re.IGNORECASE,
)
"""Objects, likeness, causes and people: nothing here is proof of them."""


@dataclass(frozen=True)
class Fact:
    """A question about one view and its only right answer."""

    question: str
    answer: str


def colour(mean: Sequence[float]) -> str:
    """The name of a mean RGB colour (0..255): a grey by its level, else by its hue."""
    low, high = min(mean), max(mean)
    if high - low < GREY:
        level = sum(mean) / 3
        return "black" if level < 40 else "dark grey" if level < 90 else "grey" if level < 200 else "white"
    red, green, blue = mean
    if high == red:
        hue = 60 * ((green - blue) / (high - low)) % 360
    elif high == green:
        hue = 60 * (2 + (blue - red) / (high - low))
    else:
        hue = 60 * (4 + (red - green) / (high - low))
    return next((name for end, name in _HUES if hue < end), "red")


def about_pixels(view: View) -> Iterator[Fact]:
    """Colours and brightness of a picture."""
    pixels = view.pixels.astype(np.float64)
    for where, (column, row) in _BOXES.items():
        mean = _cell(pixels, column, row).mean((0, 1))
        yield Fact(
            f"What colour is the {view.name} {where}, on average?",
            f"On average it is {colour(mean)} {where}.",
        )
    level = pixels.mean()
    word = "dark" if level < DARK else "bright" if level > BRIGHT else "of middle brightness"
    yield Fact(f"How bright is the {view.name}?", f"On the whole it is {word}.")
    half = pixels.shape[1] // 2
    sides = pixels[:, :half].mean() - pixels[:, half:].mean()
    ends = pixels[:half].mean() - pixels[half:].mean()
    yield Fact(f"Which side of the {view.name} is brighter?", _brighter(sides, "left", "right"))
    yield Fact(f"Is the {view.name} brighter above or below?", _brighter(ends, "upper", "lower"))


def about_traces(view: View) -> Iterator[Fact]:
    """Where the trace map is lightest, and how much of it is light."""
    light = view.pixels.astype(np.float64).sum(2)
    levels = {where: _cell(light, *cell).mean() for where, cell in _BOXES.items()}
    most = max(levels, key=lambda where: levels[where])
    if max(levels.values()) - min(levels.values()) < 3 * CLEARLY:
        answer = "It is equally light everywhere."
    else:
        answer = f"It is lightest {most}."
    yield Fact("Where is the trace map lightest?", answer)
    share = float((light > 1.5 * 255).mean())
    yield Fact("How much of the trace map is light?", f"{percent(share)} of it is light.")


def about_examination(record: Examined) -> Iterator[Fact]:
    """Sizes, places and values that the prompt gives in figures."""
    width, height = record.size
    yield Fact("How large is the image?", f"It is {width} pixels wide and {height} high.")
    for view in record.views:
        if view.name.startswith("crop"):
            yield Fact(f"Which part of the image is {view.name}?", f"It lies {place(view.box, record.size)}.")
    for region in record.regions:
        where = place(region.box, record.size)
        yield Fact(f"Where is {region.id}?", f"{region.id} lies {where} and covers {percent(region.area)}.")
    for finding in record.findings:
        yield Fact(f"What does {finding.id} read?", f"{finding.id} reads {written(finding.value)}.")


def facts(record: Examined, view: View) -> list[Fact]:
    """All that can be asked about one view of an examination."""
    seen = about_traces(view) if view.name == "trace map" else about_pixels(view)
    return [*seen, *about_examination(record)]


def drawn(record: Examined, view: View, count: int, rng: Random) -> list[Fact]:
    """Some facts, three quarters of them about pixels: what the projector is there for."""
    every = facts(record, view)
    told = [fact for fact in every if fact in set(about_examination(record))]
    seen = [fact for fact in every if fact not in told]
    return [rng.choice(seen if rng.random() < 0.75 else told) for _ in range(count)]


def unproven(fact: Fact, record: Examined, view: View) -> str | None:
    """Why a fact may not be taught, or None: it is not derived from this view, or speaks of what is not proven."""
    if forbidden := FORBIDDEN.search(fact.answer):
        return f'speaks of "{forbidden.group()}"'
    return None if fact in facts(record, view) else "does not follow from the view"


def _cell(pixels: NDArray[np.float64], column: int, row: int) -> NDArray[np.float64]:
    height, width = pixels.shape[:2]
    return pixels[
        row * height // 3 : (row + 1) * height // 3, column * width // 3 : (column + 1) * width // 3
    ]


def _brighter(difference: float, first: str, second: str) -> str:
    if abs(difference) < CLEARLY:
        return "Both halves are about equally bright."
    return f"The {first if difference > 0 else second} half is brighter."
