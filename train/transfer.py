"""What more data and unseen decoders do to the tower's heads, on the caches of train.features.

    python -m train.transfer --corpus DIR [DIR ...] --tower DIR --masks DIR [--images N ...] [--sources SHARE ...]
        [--families]

Every figure is of sources left out, fold by fold as in `train.fit_verdict`: with at most N images of a source, with a
random share of the sources, and on photos remade by autoencoders of a family that the heads never met.
"""

import argparse
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from forensic_chat.data.forge.autoencoders import DESIGNS
from train.features import AUTOENCODER
from train.tower_heads import Table, add_fit_arguments, out_of_fold, probe, table


def from_sources(data: Table, share: float) -> NDArray[np.bool_]:
    """(N,) every image of a random share of the sources."""
    every = np.unique(data.sources[data.train])
    chosen = np.random.default_rng(0).permutation(every)[: max(2, round(share * len(every)))]
    return np.isin(data.sources, chosen)


def at_most(data: Table, n: int) -> NDArray[np.bool_]:
    """(N,) at most `n` images of a kind and source, at random, and what was made of them."""
    taken: dict[tuple[str, str], int] = defaultdict(int)
    known = ~data.whole
    for k in np.random.default_rng(0).permutation(len(data.items)):
        if data.whole[k]:
            taken[data.kinds[k], data.sources[k]] += 1
            known[k] = taken[data.kinds[k], data.sources[k]] <= n
    return known


def unseen_families(data: Table, folds: int, c: float, variants: list[int]) -> None:
    """Print how the tower's heads tell windows of photos from the same remade by autoencoders of a family (of one way
    of upsampling) that they never met; sources left out as well."""
    of = np.array([(item.generator or "").removeprefix(AUTOENCODER) for item in data.items])
    remade, window = data.kinds == "remade", ~data.whole & (data.kinds == "real")
    for family in sorted({design.upsampling for design in DESIGNS.values()}):
        members = [name for name, design in DESIGNS.items() if design.upsampling == family]
        held = remade & np.isin(of, members)
        odds = out_of_fold(data, folds, c, ~held).mean(-1)
        paired = window & np.isin(
            [item.sha256 for item in data.items], [data.items[k].sha256 for k in np.flatnonzero(held)]
        )
        both = held | paired
        for v, variant in enumerate(variants):
            auc = roc_auc_score(held[both], odds[both, v])
            print(f"{family} unseen, {held.sum()} pairs, variant {variant}: AUC={auc:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_fit_arguments(parser)
    parser.add_argument("--images", type=int, nargs="*", default=[], metavar="N")
    parser.add_argument("--sources", type=float, nargs="*", default=[], metavar="SHARE")
    parser.add_argument("--families", action="store_true")
    args = parser.parse_args()
    data = table(args.corpus, args.tower, args.masks, args.variants, args.more)
    part = {f"{n} a source": at_most(data, n) for n in args.images}
    part |= {f"{share:.0%} of the sources": from_sources(data, share) for share in args.sources}
    measured = data.train & data.whole
    for name, known in part.items():
        odds = out_of_fold(data, args.folds, args.tower_c, known).mean(-1)
        count = int((known & measured).sum())
        for v, variant in enumerate(args.variants):
            probe(f"{name} ({count} images), variant {variant}", odds[measured, v], data.labels[measured])
    if args.families:
        unseen_families(data, args.folds, args.tower_c, args.variants)


if __name__ == "__main__":
    main()
