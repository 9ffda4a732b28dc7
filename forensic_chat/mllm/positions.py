"""Words for where a region lies, and the check that a sentence places it there."""

import re

from forensic_chat.schema import Region

_SIDES = r"(?:side|half|edge|corner|third|part|margin|border)"
_UP_DOWN = r"(?:upper|lower|top|bottom|far|centre|center)"
_PLACES = {
    "left": rf"(?<=the )left\b(?! by| behind)|{_UP_DOWN}[ -]left\b|left(?:-hand)? {_SIDES}\b",
    "right": rf"(?<=the )right\b|{_UP_DOWN}[ -]right\b|right(?:-hand)? {_SIDES}\b",
    "top": r"\b(?:top|upper)\b(?! bound)",
    "bottom": rf"\bbottom\b|\blower[ -](?:left|right|{_SIDES})\b",
    "centre": r"\b(?:in|at|near|towards?|around) the (?:very )?(?:centre|center|middle)\b(?! to call)|\bcentral\b",
}


def misplaced(text: str, region: Region | None, image_size: tuple[int, int]) -> str | None:
    """What is wrong with the sentence's position words, or None.

    The region's centre decides: left and right, top and bottom mean its half of the image, centre the
    middle half of both axes.
    """
    lowered = text.lower()
    named = [place for place, pattern in _PLACES.items() if re.search(pattern, lowered)]
    if not named:
        return None
    if region is None:
        return f'says "{named[0]}" without citing a region'
    width, height = image_size
    x = (region.box[0] + region.box[2]) / (2 * width)
    y = (region.box[1] + region.box[3]) / (2 * height)
    holds = {
        "left": x <= 0.5,
        "right": x >= 0.5,
        "top": y <= 0.5,
        "bottom": y >= 0.5,
        "centre": 0.25 <= x <= 0.75 and 0.25 <= y <= 0.75,
    }
    for place in named:
        if not holds[place]:
            return f'says "{place}", but {region.id} is not there'
    return None
