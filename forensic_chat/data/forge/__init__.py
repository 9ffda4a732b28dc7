"""Forgeries made on the fly from real photos, with exact masks and one true sentence each.

Every manipulation is a pure function of its photos and a random generator: the same seed, the same bytes.
"""

from collections.abc import Callable, Sequence

import numpy as np

from forensic_chat.data.forge.copymove import copy_move
from forensic_chat.data.forge.forgery import ForgeFailed, Forgery, Mask, Pixels
from forensic_chat.data.forge.inpaint import inpaint
from forensic_chat.data.forge.resynthesis import resynthesis
from forensic_chat.data.forge.retouch import retouch
from forensic_chat.data.forge.splice import splice

__all__ = ["MANIPULATIONS", "ForgeFailed", "Forgery", "Mask", "Pixels", "forge"]


def _alone(make: Callable[[Pixels, np.random.Generator], Forgery]) -> Callable[..., Forgery]:
    """For manipulations that need no second photo."""
    return lambda photo, _donor, rng: make(photo, rng)


MANIPULATIONS: dict[str, Callable[[Pixels, Pixels, np.random.Generator], Forgery]] = {
    "splice": splice,
    "copy-move": _alone(copy_move),
    "inpaint": _alone(inpaint),
    "resynthesis": _alone(resynthesis),
    "retouch": _alone(retouch),
}
"""Name -> function of a photo, a donor photo and a generator."""

_TRIES = 12


def forge(
    photo: Pixels, donors: Sequence[Pixels], rng: np.random.Generator, manipulation: str | None = None
) -> Forgery:
    """Forge `photo` (H, W, 3 uint8 RGB), by a random manipulation unless one is named.

    `donors` are other photos for splices; without any, none is spliced. A draw that finds no place or changes
    nothing is repeated, up to 12 times. Raises ForgeFailed when none worked (a tiny or blank photo), and
    ValueError for a splice without donors or an unknown name.
    """
    if manipulation == "splice" and not donors:
        raise ValueError("a splice needs a donor photo")
    names = [name for name in MANIPULATIONS if donors or name != "splice"]
    if manipulation is not None and manipulation not in MANIPULATIONS:
        raise ValueError(f"{manipulation!r} is none of {', '.join(MANIPULATIONS)}")
    for attempt in range(_TRIES):
        name = manipulation or names[int(rng.integers(len(names)))]
        donor = donors[int(rng.integers(len(donors)))] if donors else photo
        try:
            return MANIPULATIONS[name](photo, donor, rng)
        except ForgeFailed:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError
