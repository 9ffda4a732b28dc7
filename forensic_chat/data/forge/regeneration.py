"""Regeneration: pixels made anew by an autoencoder's decoder - the whole photo, a region of it, or a hole."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from forensic_chat.data.forge.autoencoders import Autoencoder, remade
from forensic_chat.data.forge.forgery import ForgeFailed, Forgery, Pixels, composite, cut, require_size
from forensic_chat.data.forge.inpaint import level
from forensic_chat.data.forge.mattes import draw_box, draw_matte
from forensic_chat.schema import Box

Scalar = TypeVar("Scalar", bound=np.generic)

_FLOOR = 1.2
"""Grey levels: a faithful decoder changes little."""


def regenerate(photo: Pixels, autoencoders: Mapping[str, Autoencoder], rng: np.random.Generator) -> Forgery:
    """Pass the whole photo through one faithful autoencoder: a synthetic image of the same content, all mask.

    Pairs like this teach a detector decoder traces and nothing else (stage 1 of Forensic-Chat, 2025;
    Rajan et al., Aligned Datasets Improve Detection of Latent Diffusion-Generated Images, 2025). Raises
    ForgeFailed for a tiny photo.
    """
    require_size(photo)
    name = str(rng.choice(_faithful(autoencoders)))
    return Forgery(
        remade(photo, autoencoders[name], rng),
        np.full(photo.shape[:2], 255, np.uint8),
        "regenerate",
        f"The whole photo was remade by an autoencoder ({name}): its content is the same, every pixel is a "
        "decoder's.",
        generator=name,
    )


def manipulations(
    autoencoders: Mapping[str, Autoencoder],
) -> dict[str, Callable[[Pixels, Pixels, np.random.Generator], Forgery]]:
    """What these autoencoders can do to a part of a photo, to be added to `forge.MANIPULATIONS`.

    "regenerate-hole" is left out where none of them fills holes.
    """
    fillers = {name: model for name, model in autoencoders.items() if model.design.fills_holes}
    made: dict[str, Callable[[Pixels, Pixels, np.random.Generator], Forgery]] = {
        "regenerate-region": lambda photo, _donor, rng: _region(photo, autoencoders, rng)
    }
    if fillers:
        made["regenerate-hole"] = lambda photo, _donor, rng: _hole(photo, fillers, rng)
    return made


def _region(photo: Pixels, autoencoders: Mapping[str, Autoencoder], rng: np.random.Generator) -> Forgery:
    """A region's content stays, its pixels are a decoder's."""
    require_size(photo)
    box = draw_box(rng, photo, 0.05, 0.6)
    name = str(rng.choice(_faithful(autoencoders)))
    around = _around(box, photo, 32)
    made = _cut_back(remade(cut(photo, around), autoencoders[name], rng), box, around)
    matte = draw_matte(rng, cut(photo, box), feather=(0.6, 4.0))
    truth = (
        f"A region {{where}} was remade by an autoencoder ({name}): its content is the same, its pixels are a "
        "decoder's."
    )
    return composite(photo, box[:2], made, matte, manipulation="regenerate-region", truth=truth, floor=_FLOOR)


def _hole(photo: Pixels, fillers: Mapping[str, Autoencoder], rng: np.random.Generator) -> Forgery:
    """Something is removed, and an autoencoder invents what was behind it."""
    require_size(photo)
    box = draw_box(rng, photo, 0.02, 0.08)
    if max(box[2] - box[0], box[3] - box[1]) > 96:
        # Farther than that from its rim the network sees nothing, and paints one colour.
        raise ForgeFailed("the hole is too large for an autoencoder to fill")
    name = str(rng.choice(sorted(fillers)))
    around = _around(box, photo, 96)
    matte = draw_matte(rng, cut(photo, box), feather=(0.3, 1.2))
    hole = np.zeros((around[3] - around[1], around[2] - around[0]), bool)
    _cut_back(hole, box, around)[...] = matte > 0
    context = cut(photo, around)
    made = _cut_back(level(remade(context, fillers[name], rng, hole), context, hole), box, around)
    truth = f"Something was removed {{where}} and the hole filled by an autoencoder ({name})."
    return composite(photo, box[:2], made, matte, manipulation="regenerate-hole", truth=truth, floor=3.0)


def _faithful(autoencoders: Mapping[str, Autoencoder]) -> list[str]:
    """Names of those that were trained to give back what they see, and nothing else."""
    return [name for name, model in autoencoders.items() if not model.design.fills_holes]


def _around(box: Box, photo: Pixels, margin: int) -> Box:
    x0, y0, x1, y1 = box
    return (
        max(0, x0 - margin),
        max(0, y0 - margin),
        min(photo.shape[1], x1 + margin),
        min(photo.shape[0], y1 + margin),
    )


def _cut_back(values: NDArray[Scalar], box: Box, around: Box) -> NDArray[Scalar]:
    """View of `box` in values that cover `around`."""
    return values[box[1] - around[1] : box[3] - around[1], box[0] - around[0] : box[2] - around[0]]
