"""The tower's heads: linear, generated against photo, on what the frozen tower saw (the caches of train.features)."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from forensic_chat.data.manifest import Item, folds
from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.verdict import CHANGE
from forensic_chat.schema import CLASSES
from train.features import examples, forgeries, on_cells, pixels_of, twins

Floats = NDArray[np.float32]
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Logits (N, C), labels (N,), sample weights (N,) -> their loss ()."""
Learn = Callable[[Floats, NDArray[np.int64], Floats, float], tuple[Floats, Floats]]
"""Like `linear`: features (N, D), labels (N,), sample weights (N,), inverse strength -> weights (3, D), bias (3,)."""
AXES = 768
"""Principal axes of a view's features that the tower's heads read."""
TOWER_PRIOR = {"real": 0.5, "synthetic": 0.33, "remade": 0.02}
"""Weights of the fit of the tower's heads. Photos that we passed through an autoencoder (`remade`) teach them alone."""


@dataclass(frozen=True, eq=False)
class Table:
    """N images, V variants of each."""

    items: list[Item]
    kinds: NDArray[np.str_]
    """Of each image, its name in PRIOR or TOWER_PRIOR."""
    whole: NDArray[np.bool_]
    """Images as they were collected; the others were made from one."""
    labels: NDArray[np.int64]
    features: Floats
    """(N, V or more, views, D) of the tower; variants behind the first V are for its heads to learn from alone."""
    summary: Floats
    """(N, V, CHANGE) with mask heads that did not see the image's source; NaN where not read."""
    masks: list[list[NDArray[np.uint8]]]
    """Per image and variant, the mask's cells, 0..255; empty where not read."""
    truths: list[NDArray[np.bool_] | None]
    """Per tampered image, which cells of its first variant's mask were changed."""

    @property
    def sources(self) -> NDArray[np.str_]:
        return np.array([item.source for item in self.items])

    @property
    def train(self) -> NDArray[np.bool_]:
        return np.array([item.split == "train" for item in self.items])

    def splits(self, k: int) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        """Of k folds of whole sources, (N,) the images left out and (N,) those of split `train` to learn from."""
        for held in folds([item for item in self.items if item.split == "train"], k, 0):
            inside = np.isin(self.sources, list(held))
            yield inside, self.train & ~inside

    @property
    def masked(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.summary).any(axis=(1, 2))


def table(
    corpora: list[Path], tower: Path, masks: Path, variants: list[int], more: Sequence[int] = ()
) -> Table:
    """Everything that the caches hold in every variant; of `more` variants, what the tower saw."""
    read_examples, features, summary, cells, truths = [], [], [], [], []
    for corpus in corpora:
        every = examples(corpus)
        for example in every + forgeries(every, len(every)) + twins(every, len(every)):
            files = [tower / corpus.name / f"variant{v}" / example.file for v in (*variants, *more)]
            if not all(file.exists() for file in files):
                continue
            read_examples.append(example)
            features.append([np.load(file)["features"].reshape(3, -1) for file in files])
            low = [masks / corpus.name / f"variant{v}" / example.file for v in variants]
            read = [np.load(file) for file in low] if all(file.exists() for file in low) else []
            summary.append([r["summary"] for r in read] or np.full((len(variants), CHANGE), np.nan))
            cells.append([r["mask"] for r in read])
            truth = None
            if read and "truth" in read[0]:
                truth = read[0]["truth"]
            elif read and example.item.mask:
                truth = on_cells(pixels_of(corpus / example.item.mask, "L"), cells[-1][0].shape)
            truths.append(truth)
    items = [example.item for example in read_examples]
    kinds = [e.made if e.made in ("forged", "remade") else e.item.label for e in read_examples]
    return Table(
        items,
        np.array(kinds),
        np.array([not e.made for e in read_examples]),
        np.array([CLASSES.index(item.label) for item in items]),
        np.array(features),
        np.array(summary, np.float32),
        cells,
        truths,
    )


def balanced(kinds: NDArray[np.str_], sources: NDArray[np.str_], prior: Mapping[str, float]) -> Floats:
    """Sample weights of mean 1: kinds as `prior`; within a kind a source weighs as its size's square root."""
    weights = np.zeros(len(kinds), np.float32)
    for name, share in prior.items():
        of_kind = kinds == name
        for source in np.unique(sources[of_kind]):
            here = of_kind & (sources == source)
            weights[here] = 1 / np.sqrt(here.sum())
        if of_kind.any():
            weights[of_kind] *= share / weights[of_kind].sum()
    return weights / weights.mean()


def cross_entropy(logits: Tensor, target: Tensor, sample: Tensor) -> Tensor:
    return F.cross_entropy(logits, target, reduction="none") @ sample


def linear(
    x: Floats,
    y: NDArray[np.int64],
    weight: Floats,
    c: float,
    loss: Loss = cross_entropy,
    toward: Floats | None = None,
) -> tuple[Floats, Floats]:
    """L2 logistic regression over the three classes -> weights (3, D), bias (3,).

    scikit-learn's objective with inverse strength `c`, minimised by L-BFGS in float32: minutes become seconds. The
    weights are pulled to `toward` (3, D), or to zero.
    """
    inputs, target, sample = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(weight)
    centre = torch.zeros(len(CLASSES), x.shape[1]) if toward is None else torch.from_numpy(toward)
    w = centre.clone().requires_grad_()
    bias = torch.zeros(len(CLASSES), requires_grad=True)
    optimizer = torch.optim.LBFGS([w, bias], max_iter=150, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        total = (loss(inputs @ w.T + bias, target, sample) + (w - centre).square().sum() / (2 * c)) / len(y)
        total.backward()
        return total

    optimizer.step(closure)
    return w.detach().numpy(), bias.detach().numpy()


def leading_axes(standard: Floats, k: int = AXES, rows: int = 6000) -> Floats:
    """(D, k) principal axes of standardised features, from at most `rows` of them, divided by the projections'
    mean spread. What lies off them tells nothing that carries over, and fits are ten times faster without."""
    chosen = np.random.default_rng(0).permutation(len(standard))[:rows]
    k = min(k, len(chosen), standard.shape[1])
    torch.manual_seed(0)
    *_, axes = torch.svd_lowrank(torch.from_numpy(standard[chosen]), k, niter=2)
    spread = (standard[chosen] @ axes.numpy()).std(0).mean()
    return np.asarray(axes.numpy() / spread, np.float32)


@dataclass(frozen=True, eq=False)
class TowerFit:
    """Standardisation and linear heads, generated against photo, for the overview and for crops.

    Every array has a leading axis of 2. Tampered images are left out: they come from few sources, whose look
    would be learnt for their label.
    """

    mean: Floats
    scale: Floats
    weight: Floats
    bias: Floats

    @classmethod
    def fit(
        cls,
        features: Floats,
        kinds: NDArray[np.str_],
        sources: NDArray[np.str_],
        c: float,
        learn: Learn = linear,
    ) -> "TowerFit":
        whole = np.isin(kinds, list(TOWER_PRIOR))
        features, kinds, sources = features[whole], kinds[whole], sources[whole]
        labels = (kinds != "real").astype(np.int64)
        parts: list[tuple[Floats, ...]] = []
        for view in (slice(0, 1), slice(1, None)):
            picked = features[:, :, view]
            copies = picked.shape[1] * picked.shape[2]
            x = picked.reshape(-1, picked.shape[-1]).astype(np.float32)
            mean, scale = x.mean(0), x.std(0) + 1e-3
            axes = leading_axes((x - mean) / scale)
            weight = np.repeat(balanced(kinds, sources, TOWER_PRIOR), copies) / copies
            w, bias = learn(((x - mean) / scale) @ axes, np.repeat(labels, copies), weight, c)
            parts.append((mean, scale, axes @ (w[1] - w[0]), bias[1] - bias[0]))
        return cls(*(np.stack(column).astype(np.float32) for column in zip(*parts, strict=True)))

    def logits(self, features: Floats) -> Floats:
        """(..., views, D) -> (..., 2): the overview's log odds and the crops' mean log odds."""
        out = []
        for k, view in enumerate((slice(0, 1), slice(1, None))):
            x = (features[..., view, :].astype(np.float32) - self.mean[k]) / self.scale[k]
            out.append((x @ self.weight[k] + self.bias[k]).mean(-1))
        return np.stack(out, -1)


Fit = Callable[[Floats, NDArray[np.str_], NDArray[np.str_], float], TowerFit]


def out_of_fold(
    data: Table, k: int, c: float, known: NDArray[np.bool_] | None = None, fit: Fit = TowerFit.fit
) -> Floats:
    """(N, V, 2): the tower heads' log odds by heads that did not see the image's source; they learn from `known`
    images (N,), all unless given."""
    logits = np.zeros((*data.features.shape[:2], 2), np.float32)
    for held, others in data.splits(k):
        use = others if known is None else others & known
        heads = fit(data.features[use], data.kinds[use], data.sources[use], c)
        logits[held] = heads.logits(data.features[held])
    return logits


def block(features: Floats, number: int) -> Floats:
    """The CLS token of one tapped block: what a plain linear probe of the frozen tower reads."""
    tapped = EncoderConfig().tapped_blocks
    cls = features.reshape(*features.shape[:-1], 2, len(tapped), -1)[..., 0, :, :]
    return np.asarray(cls[..., tapped.index(number), :])


def probe(name: str, odds: Floats, labels: NDArray[np.int64]) -> None:
    """Print what log odds of a generated image (N,) tell photos and generated images apart."""
    whole = labels < CLASSES.index("tampered")
    auc = roc_auc_score(labels[whole], odds[whole])
    accuracy = balanced_accuracy_score(labels[whole], odds[whole] > 0)
    print(f"{name:44s} AUC={auc:.3f} balanced accuracy={accuracy:.3f}", flush=True)


def add_fit_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the caches lie, and how the tower's heads are fitted."""
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--tower", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--variants", type=int, nargs="+", default=[0, 1])
    parser.add_argument(
        "--more", type=int, nargs="*", default=[], help="variants that the tower's heads learn from besides"
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument(
        "--tower-c", type=float, default=0.003, help="inverse L2 strength of the tower's heads"
    )
