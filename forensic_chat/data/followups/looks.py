"""Answers that rest on another look: into a part of the picture, or at another delivery of it."""

import re
from random import Random

from forensic_chat.data.case import Case
from forensic_chat.data.followups.base import Answer, FollowUp, Zoom
from forensic_chat.data.followups.saying import join, states, undecided, verdict
from forensic_chat.data.protocol import SCORES
from forensic_chat.data.statements import located
from forensic_chat.schema import Box

SIDES = {
    "left": (
        r"\b(?:the|upper|lower|top|bottom|far)[ -]left\b(?! (?:to|over|for|out))"
        r"|\bleft (?:side|half|corner|edge|part)\b"
    ),
    "right": (
        r"\b(?:the|upper|lower|top|bottom|far)[ -]right\b(?! (?:answer|verdict|way|thing|conclusion))"
        r"|\bright (?:side|half|corner|edge|part)\b"
    ),
    "top": r"\b(?:upper|top)[ -](?:left|right|half|part|edge|corner)\b|\b(?:at|on) the top\b|\bthe top\W*$",
    "bottom": (
        r"\b(?:lower|bottom)[ -](?:left|right|half|part|edge|corner)\b|\b(?:at|on) the bottom\b"
        r"|\bthe bottom\W*$"
    ),
    "centre": r"\b(?:in|at|into) the (?:middle|centre|center)\b",
}
"""Words for parts of the picture."""
_BOX = re.compile(r"(\d{1,5})\s*,\s*(\d{1,5})\s*,\s*(\d{1,5})\s*,\s*(\d{1,5})")


def sides_in(question: str) -> list[str]:
    """The parts of the picture that a question in lower case names."""
    return [side for side, pattern in SIDES.items() if re.search(pattern, question)]


def zooming(question: str, case: Case) -> FollowUp:
    """The question for a closer look, with where to look."""
    return FollowUp("zoom", (), zoomed, look=_part(question, case))


def _part(question: str, case: Case) -> Zoom:
    """The region, box or part of the picture that a question names; else the first region."""
    lowered = question.lower()
    width, height = case.image_size
    named = {region.id.lower(): region for region in case.regions}
    for name in re.findall(r"\br\d+\b", lowered):
        if name in named:
            return Zoom(named[name].box, named[name].id)
    if match := _BOX.search(lowered):
        x0, y0, x1, y1 = map(int, match.groups())
        box = (max(0, x0), max(0, y0), min(width, x1), min(height, y1))
        if box[0] < box[2] and box[1] < box[3]:
            return Zoom(box, f"the box [{box[0]},{box[1]},{box[2]},{box[3]}]")
    if sides := sides_in(lowered):
        return Zoom(_box_of(sides, width, height), f"the {_called(sides)} of the picture")
    if case.regions:
        return Zoom(case.regions[0].box, case.regions[0].id)
    return Zoom(None, "the part that the encoder looks at first")


def _box_of(sides: list[str], width: int, height: int) -> Box:
    if "centre" in sides:
        return width // 4, height // 4, max(1, 3 * width // 4), max(1, 3 * height // 4)
    x0 = width // 2 if "right" in sides and "left" not in sides else 0
    x1 = width // 2 if "left" in sides and "right" not in sides else width
    y0 = height // 2 if "bottom" in sides and "top" not in sides else 0
    y1 = height // 2 if "top" in sides and "bottom" not in sides else height
    return x0, y0, max(x0 + 1, x1), max(y0 + 1, y1)


def _called(sides: list[str]) -> str:
    if "centre" in sides:
        return "middle"
    words = [side for side in ("top", "bottom", "left", "right") if side in sides]
    return " ".join(words) + (" corner" if len(words) == 2 else " half")


def zoomed(case: Case, rng: Random) -> str:
    """What the closer look showed, beside the score of the whole; without one, what is known of the place."""
    if not case.looked:
        lines = [located(region, case, rng) for region in case.regions[:1]]
        return join(
            "I have no closer look to tell of", *lines, *states(case.of("encoder.mask")[:1], case, rng)
        )
    opener = rng.choice(
        (
            "I cut the part out at its full size and looked at it by itself",
            "I looked again, at this part alone and at its full size",
        )
    )
    whole = states(sorted(case.of(*SCORES), key=lambda finding: -finding.strength)[:1], case, rng)
    tail = rng.choice(
        (
            "A part is judged on less than the whole, so the verdict stays with the whole image",
            "That is a further look, and the verdict still rests on the whole image",
        )
    )
    return join(opener, *states(case.looked, case, rng), *whole, tail)


def redelivered(case: Case, rng: Random) -> str:
    """How the fake probability moves when the image is passed on otherwise."""
    shown = [*case.of("encoder.stability"), *case.looked]
    tail = "The verdict stays that of the file as it came"
    if not shown:
        return join("How the image holds up under re-delivery was not measured", verdict(case, rng))
    return join(*states(shown, case, rng), tail, undecided(case) if case.label == "inconclusive" else None)


LOOKS: dict[str, Answer] = {"zoom": zoomed, "re-deliver": redelivered}
"""By the kind of a question: what is said without another look, or with what it showed."""
