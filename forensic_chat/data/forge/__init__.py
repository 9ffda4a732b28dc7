"""Forgeries made on the fly from real photos, with exact masks and one true sentence each.

Every manipulation is a pure function of its photos and a random generator: the same seed, the same bytes.
Those that need networks are added by the caller: `MANIPULATIONS | regeneration.manipulations(...)`, and
`face_swap` with a finder of faces.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from forensic_chat.data.forge.copymove import copy_move
from forensic_chat.data.forge.forgery import ForgeFailed, Forgery, Mask, Pixels
from forensic_chat.data.forge.inpaint import inpaint
from forensic_chat.data.forge.resynthesis import resynthesis
from forensic_chat.data.forge.retouch import retouch
from forensic_chat.data.forge.splice import splice
from forensic_chat.data.forge.text import text_edit

__all__ = ["MANIPULATIONS", "ForgeFailed", "Forgery", "Manipulation", "Mask", "Pixels", "forge"]

Manipulation = Callable[[Pixels, Pixels, np.random.Generator], Forgery]
"""Of a photo, a donor photo and a generator; raises ForgeFailed where it finds no place."""


def _alone(make: Callable[[Pixels, np.random.Generator], Forgery]) -> Manipulation:
    """For manipulations that need no second photo."""
    return lambda photo, _donor, rng: make(photo, rng)


MANIPULATIONS: dict[str, Manipulation] = {
    "splice": splice,
    "copy-move": _alone(copy_move),
    "inpaint": _alone(inpaint),
    "resynthesis": _alone(resynthesis),
    "retouch": _alone(retouch),
    "text-edit": _alone(text_edit),
}
"""What needs nothing but photos."""

_OF_TWO_PHOTOS = ("splice", "face-swap")
_TRIES = 12


def forge(
    photo: Pixels,
    donors: Sequence[Pixels],
    rng: np.random.Generator,
    manipulation: str | None = None,
    manipulations: Mapping[str, Manipulation] = MANIPULATIONS,
) -> Forgery:
    """Forge `photo` (H, W, 3 uint8 RGB), by a random one of `manipulations` unless one is named.

    `donors` are other photos for splices and face swaps; without any, there are none. A draw that finds no
    place or changes nothing is repeated, up to 12 times. Raises ForgeFailed when none worked (a tiny or blank
    photo), and ValueError for a splice without donors or an unknown name.
    """
    if manipulation in _OF_TWO_PHOTOS and not donors:
        raise ValueError(f"a {manipulation} needs a donor photo")
    names = [name for name in manipulations if donors or name not in _OF_TWO_PHOTOS]
    if manipulation is not None and manipulation not in manipulations:
        raise ValueError(f"{manipulation!r} is none of {', '.join(manipulations)}")
    if not names:
        raise ForgeFailed("there is no donor photo")
    for attempt in range(_TRIES):
        name = manipulation or names[int(rng.integers(len(names)))]
        donor = donors[int(rng.integers(len(donors)))] if donors else photo
        try:
            return manipulations[name](photo, donor, rng)
        except ForgeFailed:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError
