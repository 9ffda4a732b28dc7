"""What each part of the tower's heads brings: views, tokens, blocks, laundering, remade photos, losses, curriculum.

    python -m train.ablations --corpus DIR [DIR ...] --tower DIR --masks DIR [--only NAME ...]

On the caches of train.features. Every line is of sources left out, fold by fold as in `train.fit_verdict`, real
against synthetic, on the images as they are and laundered; one part differs from what ships (the first line).
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from train.tower_heads import (
    TOWER_PRIOR,
    Floats,
    Learn,
    Table,
    TowerFit,
    add_fit_arguments,
    balanced,
    block,
    cross_entropy,
    linear,
    out_of_fold,
    probe,
    table,
)

TAIL = 0.3
"""Share of the hardest examples that CVaR sums."""
PAIRS = 20_000


def cvar(logits: Tensor, target: Tensor, sample: Tensor) -> Tensor:
    """Conditional value at risk after Rockafellar and Uryasev (2000): the mean loss of the hardest TAIL of each class,
    beside the mean of all (SP_CUP)."""
    losses = F.cross_entropy(logits, target, reduction="none")
    hardest = torch.zeros(())
    for label in target.unique():
        own = losses[target == label]
        most = max(1, round(TAIL * len(own)))
        share = sample[target == label].sum()
        hardest = hardest + share * own.topk(most).values.mean()
    return (losses @ sample + hardest) / 2


def ranked(logits: Tensor, target: Tensor, sample: Tensor) -> Tensor:
    """Cross-entropy, and the logistic loss on pairs of a photo and a generated image, drawn once (SP_CUP)."""
    odds = logits[:, 1] - logits[:, 0]
    generator = torch.Generator().manual_seed(0)
    photos, generated = (
        torch.multinomial(sample * (target == k), PAIRS, replacement=True, generator=generator)
        for k in (0, 1)
    )
    pairs = F.softplus(odds[photos] - odds[generated]).mean() * sample.sum()
    return (cross_entropy(logits, target, sample) + pairs) / 2


def two_steps(pseudo: NDArray[np.bool_], own: Floats) -> Learn:
    """Pseudo-fakes first, then everything from there, as in FFR: photos and their remade twins, weighed `own` (N,),
    then all images, pulled to what the first step learned."""

    def learn(x: Floats, y: NDArray[np.int64], weight: Floats, c: float) -> tuple[Floats, Floats]:
        rows = np.repeat(pseudo, len(x) // len(pseudo))
        first, _ = linear(x[rows], y[rows], np.repeat(own[pseudo], len(x) // len(pseudo)), c)
        return linear(x, y, weight, c, toward=first)

    return learn


def curriculum(
    whole: NDArray[np.bool_], features: Floats, kinds: NDArray[np.str_], sources: NDArray[np.str_], c: float
) -> TowerFit:
    """whole (N,): images as they were collected; the others are photos' windows and their remade twins."""
    taught = np.isin(kinds, list(TOWER_PRIOR))
    own = balanced(kinds[taught], sources[taught], {"real": 0.5, "remade": 0.5})
    return TowerFit.fit(features, kinds, sources, c, two_steps(~whole[taught], own))


def parts(data: Table, k: int, c: float) -> dict[str, Callable[[], Floats]]:
    """Name -> log odds (N, V) of a generated image by heads that did not see its source."""
    features = data.features
    half = features.shape[-1] // 2

    def both(table: Table = data, **options: object) -> Floats:
        return out_of_fold(table, k, c, **options).mean(-1)  # type: ignore[arg-type]

    def losing(loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Floats:
        return both(fit=partial(TowerFit.fit, learn=partial(linear, loss=loss)))

    def in_two_steps() -> Floats:
        logits = np.zeros((*features.shape[:2], 2), np.float32)
        for held, use in data.splits(k):
            heads = curriculum(data.whole[use], features[use], data.kinds[use], data.sources[use], c)
            logits[held] = heads.logits(features[held])
        return logits.mean(-1)

    return {
        "as shipped": both,
        "overview alone": lambda: out_of_fold(data, k, c)[..., 0],
        "crops alone": lambda: out_of_fold(data, k, c)[..., 1],
        "CLS tokens alone": lambda: both(replace(data, features=features[..., :half])),
        "means of patch tokens alone": lambda: both(replace(data, features=features[..., half:])),
        **{
            f"CLS token of block {number} alone": partial(
                both, replace(data, features=block(features, number))
            )
            for number in (6, 8, 10)
        },
        "images as they are alone": lambda: both(fit=partial(in_variants, 1)),
        "as they are and laundered once": lambda: both(fit=partial(in_variants, 2)),
        "without remade photos": lambda: both(known=data.whole),
        "with CVaR": lambda: losing(cvar),
        "with pairwise ranking": lambda: losing(ranked),
        "pseudo-fakes first": in_two_steps,
    }


def in_variants(
    most: int, features: Floats, kinds: NDArray[np.str_], sources: NDArray[np.str_], c: float
) -> TowerFit:
    """Heads that learn from the first `most` variants of each image."""
    return TowerFit.fit(features[:, :most], kinds, sources, c)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_fit_arguments(parser)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    args = parser.parse_args()
    data = table(args.corpus, args.tower, args.masks, args.variants, args.more)
    measured = data.train & data.whole
    every = parts(data, args.folds, args.tower_c)
    if unknown := set(args.only) - set(every):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    for name in args.only or every:
        odds = every[name]()
        for v, variant in enumerate(args.variants):
            told = "as they are" if variant == 0 else f"laundered {variant}"
            probe(f"{name}, {told}", odds[measured, v], data.labels[measured])


if __name__ == "__main__":
    main()
