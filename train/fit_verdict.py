"""Stage 2: fit what gathers the tower's and the mask heads' answers into a calibrated verdict; freeze its points.

    python -m train.fit_verdict --corpus DIR [DIR ...] --tower DIR --masks DIR --heads RUN RUN --out DIR

The tower's heads are fitted a fold of whole sources at a time; fusion, operating points and false-alarm rates come
from answers to images of sources that what answered was not trained on (the caches of `train.features`). The runs of
`train.mask_head` ship together. Split `val` and sources marked `holdout` choose nothing.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from forensic_chat.data.manifest import Item, folds
from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.verdict import VerdictHead, softmax
from forensic_chat.schema import CLASSES
from forensic_chat.scoring.detection import expected_calibration_error
from train.features import Trained, examples, together
from train.operating_points import Points, freeze

Floats = NDArray[np.float32]
PRIOR = {"real": 0.5, "synthetic": 0.36, "tampered": 0.14}
"""Class weights of the fit: half real, half fake, so that 0.5 is the operating point."""


@dataclass(frozen=True, eq=False)
class Table:
    """N images, V variants of each."""

    items: list[Item]
    labels: NDArray[np.int64]
    features: Floats
    """(N, V, views, D) of the tower."""
    summary: Floats
    """(N, V, 4) of mask heads that did not see the image's source; NaN where not read."""
    masks: list[list[NDArray[np.uint8]]]
    """Per image and variant, the mask's cells, 0..255; empty where not read."""

    @property
    def sources(self) -> NDArray[np.str_]:
        return np.array([item.source for item in self.items])

    @property
    def train(self) -> NDArray[np.bool_]:
        return np.array([item.split == "train" for item in self.items])

    @property
    def masked(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.summary).any(axis=(1, 2))


def table(corpora: list[Path], tower: Path, masks: Path, variants: list[int]) -> Table:
    """Everything that the caches hold in every variant."""
    items, features, summary, cells = [], [], [], []
    for corpus in corpora:
        for example in examples(corpus):
            files = [tower / corpus.name / f"variant{v}" / f"{example.key}.npz" for v in variants]
            if not all(file.exists() for file in files):
                continue
            items.append(example.item)
            features.append([np.load(file)["features"].reshape(3, -1) for file in files])
            low = [masks / corpus.name / f"variant{v}" / f"{example.key}.npz" for v in variants]
            read = [np.load(file) for file in low] if all(file.exists() for file in low) else []
            summary.append([r["summary"] for r in read] or np.full((len(variants), 4), np.nan))
            cells.append([r["mask"] for r in read])
    labels = np.array([CLASSES.index(item.label) for item in items])
    return Table(items, labels, np.array(features), np.array(summary, np.float32), cells)


def balanced(labels: NDArray[np.int64], sources: NDArray[np.str_]) -> Floats:
    """Sample weights of mean 1: classes as PRIOR; within a class a source weighs as its size's square root."""
    weights = np.zeros(len(labels), np.float32)
    for k, name in enumerate(CLASSES):
        of_class = labels == k
        for source in np.unique(sources[of_class]):
            here = of_class & (sources == source)
            weights[here] = 1 / np.sqrt(here.sum())
        if of_class.any():
            weights[of_class] *= PRIOR[name] / weights[of_class].sum()
    return weights * len(labels)


def linear(x: Floats, y: NDArray[np.int64], weight: Floats, c: float) -> tuple[Floats, Floats]:
    """L2 logistic regression over the three classes -> weights (3, D), bias (3,).

    scikit-learn's objective with inverse strength `c`, minimised by L-BFGS in float32: minutes become seconds.
    """
    inputs, target, sample = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(weight)
    w = torch.zeros(len(CLASSES), x.shape[1], requires_grad=True)
    bias = torch.zeros(len(CLASSES), requires_grad=True)
    optimizer = torch.optim.LBFGS([w, bias], max_iter=150, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(inputs @ w.T + bias, target, reduction="none") @ sample
        total = (loss + w.square().sum() / (2 * c)) / len(y)
        total.backward()
        return total

    optimizer.step(closure)
    return w.detach().numpy(), bias.detach().numpy()


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
        cls, features: Floats, labels: NDArray[np.int64], sources: NDArray[np.str_], c: float
    ) -> "TowerFit":
        whole = labels < CLASSES.index("tampered")
        features, labels, sources = features[whole], labels[whole], sources[whole]
        parts: list[tuple[Floats, ...]] = []
        for view in (slice(0, 1), slice(1, None)):
            picked = features[:, :, view]
            copies = picked.shape[1] * picked.shape[2]
            x = picked.reshape(-1, picked.shape[-1]).astype(np.float32)
            mean, scale = x.mean(0), x.std(0) + 1e-3
            weight = np.repeat(balanced(labels, sources), copies) / copies
            w, bias = linear((x - mean) / scale, np.repeat(labels, copies), weight, c)
            parts.append((mean, scale, w[1] - w[0], bias[1] - bias[0]))
        return cls(*(np.stack(column).astype(np.float32) for column in zip(*parts, strict=True)))

    def logits(self, features: Floats) -> Floats:
        """(..., views, D) -> (..., 2): the overview's log odds and the crops' mean log odds."""
        out = []
        for k, view in enumerate((slice(0, 1), slice(1, None))):
            x = (features[..., view, :].astype(np.float32) - self.mean[k]) / self.scale[k]
            out.append((x @ self.weight[k] + self.bias[k]).mean(-1))
        return np.stack(out, -1)


def out_of_fold(data: Table, k: int, c: float) -> Floats:
    """(N, V, 2): the tower heads' log odds by heads that did not see the image's source."""
    logits = np.zeros((*data.features.shape[:2], 2), np.float32)
    for held in folds([item for item in data.items if item.split == "train"], k, 0):
        inside = np.isin(data.sources, list(held))
        fit = data.train & ~inside
        heads = TowerFit.fit(data.features[fit], data.labels[fit], data.sources[fit], c)
        logits[inside] = heads.logits(data.features[inside])
    return logits


Fusion = tuple[Floats, Floats, Floats, Floats]


def fit_fusion(x: Floats, labels: NDArray[np.int64], sources: NDArray[np.str_], c: float) -> Fusion:
    """Mean, scale, weight (3, S) and bias of a multinomial logistic regression on (N, V, S) summaries."""
    flat = x.reshape(-1, x.shape[-1])
    mean, scale = flat.mean(0), flat.std(0) + 1e-3
    weight = np.repeat(balanced(labels, sources), x.shape[1]) / x.shape[1]
    w, b = linear(np.clip((flat - mean) / scale, -4, 4), np.repeat(labels, x.shape[1]), weight, c)
    return mean, scale, w, b


def fused(fusion: Fusion, x: Floats) -> Floats:
    mean, scale, w, b = fusion
    return np.clip((x - mean) / scale, -4, 4) @ w.T + b


def cross_fused(data: Table, x: Floats, c: float, k: int) -> Floats:
    """(N, V, 3) calibrated logits of images by a fusion that did not see their source.

    A source that alone holds a class is the exception: its images are fused by weights that saw it.
    """
    use = data.masked & data.train
    logits = np.full((*x.shape[:2], 3), np.nan, np.float32)
    logits[data.masked] = fused(fit_fusion(x[use], data.labels[use], data.sources[use], c), x[data.masked])
    for held in folds([item for item, u in zip(data.items, use, strict=True) if u], k, 0):
        inside = np.isin(data.sources, [s for s in held if not alone(data, use, s)]) & data.masked
        fit = use & ~inside
        if inside.any():
            fusion = fit_fusion(x[fit], data.labels[fit], data.sources[fit], c)
            logits[inside] = fused(fusion, x[inside])
    return logits


def alone(data: Table, use: NDArray[np.bool_], source: str) -> bool:
    """Whether a class has no other source."""
    others = set(data.labels[use & (data.sources != source)])
    return len(others) < len(CLASSES)


def probe(name: str, odds: Floats, labels: NDArray[np.int64]) -> None:
    """Print what log odds of a generated image (N,) tell photos and generated images apart."""
    whole = labels < CLASSES.index("tampered")
    auc = roc_auc_score(labels[whole], odds[whole])
    accuracy = balanced_accuracy_score(labels[whole], odds[whole] > 0)
    print(f"{name:44s} AUC={auc:.3f} balanced accuracy={accuracy:.3f}", flush=True)


def report(name: str, logits: Floats, labels: NDArray[np.int64]) -> dict[str, float]:
    """Print and return the figures of (N, 3) logits at the operating point 0.5."""
    fake = 1 - softmax(logits)[:, 0]
    real, synthetic, tampered = (labels == k for k in range(3))
    figures = {
        "auc_synthetic": roc_auc_score(labels[~tampered] > 0, fake[~tampered]),
        "balanced_accuracy_synthetic": balanced_accuracy_score(labels[~tampered] > 0, fake[~tampered] > 0.5),
        "auc_tampered": roc_auc_score(labels[~synthetic] > 0, fake[~synthetic]) if tampered.any() else np.nan,
        "false_accusations": (fake[real] > 0.5).mean(),
        "found_synthetic": (fake[synthetic] > 0.5).mean(),
        "found_tampered": (fake[tampered] > 0.5).mean() if tampered.any() else np.nan,
        "ece": expected_calibration_error(fake, labels > 0),
    }
    print(f"{name:44s}", " ".join(f"{key}={value:.3f}" for key, value in figures.items()), flush=True)
    return {key: round(float(value), 4) for key, value in figures.items()}


def density(standard: Floats, k: int = 48) -> Floats:
    """(K, D) basis whose squared projections sum to the Mahalanobis distance in the K leading directions."""
    axes = PCA(k, svd_solver="randomized", random_state=0).fit(standard).components_
    projected = standard @ axes.T
    precision = np.linalg.cholesky(LedoitWolf().fit(projected).precision_)
    return np.asarray(precision.T @ axes, np.float32)


def familiarity(data: Table, heads: TowerFit, k: int) -> tuple[Floats, Floats]:
    """Density basis on all training overviews, and quantiles of the distance for sources left out of it."""
    overview = ((data.features[data.train, :, 0] - heads.mean[0]) / heads.scale[0]).astype(np.float32)
    sources = data.sources[data.train]
    distances = []
    for held in folds([item for item in data.items if item.split == "train"], k, 0):
        inside = np.isin(sources, list(held))
        basis = density(overview[~inside].reshape(-1, overview.shape[-1]))
        distances.append(np.square(overview[inside].reshape(-1, overview.shape[-1]) @ basis.T).sum(1))
    quantiles = np.quantile(np.concatenate(distances), np.linspace(0, 1, 101))
    return density(overview.reshape(-1, overview.shape[-1])), quantiles.astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    for name in ("tower", "masks", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--heads", type=Path, nargs="+", required=True, metavar="RUN")
    parser.add_argument("--variants", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument(
        "--tower-c", type=float, default=0.003, help="inverse L2 strength of the tower's heads"
    )
    parser.add_argument("--fusion-c", type=float, default=0.05)
    args = parser.parse_args()
    data = table(args.corpus, args.tower, args.masks, args.variants)
    tower = out_of_fold(data, args.folds, args.tower_c)
    x = np.concatenate([tower, data.summary], -1)
    logits = cross_fused(data, x, args.fusion_c, args.folds)
    screens = np.array(["[screenshot]" in (item.note or "") for item in data.items])
    use = data.masked & data.train & ~screens
    figures: dict[str, object] = {}
    for v in range(len(args.variants)):
        name = "clean" if args.variants[v] == 0 else "laundered"
        photo = data.train & ~screens
        probe(f"{name}, all sources: tower overview", tower[photo, v, 0], data.labels[photo])
        probe(f"{name}, all sources: tower crops", tower[photo, v, 1], data.labels[photo])
        probe(f"{name}, all sources: tower both", tower[photo, v].mean(1), data.labels[photo])
        figures[name] = report(f"{name}, left out: fusion", logits[use, v], data.labels[use])
    fusion = fit_fusion(x[use], data.labels[use], data.sources[use], args.fusion_c)
    heads = TowerFit.fit(
        data.features[data.train], data.labels[data.train], data.sources[data.train], args.tower_c
    )
    basis, quantiles = familiarity(data, heads, args.folds)
    head = VerdictHead(heads.mean, heads.scale, heads.weight, heads.bias, *fusion, basis, quantiles)
    args.out.mkdir(parents=True, exist_ok=True)
    head.save(args.out / "verdict.safetensors")
    heads_of_runs = together([Trained.load(run).head for run in args.heads])
    tensors = {name: value.contiguous() for name, value in heads_of_runs.state_dict().items()}
    save_file(tensors, args.out / "maskheads.safetensors")
    EncoderConfig(mask_heads=len(args.heads)).save_pretrained(args.out)
    points = freeze(Points(data.items, data.labels, logits, data.masks, use, args.corpus))
    (args.out / "calibration.json").write_text(json.dumps(points, indent=1) + "\n")
    figures["images"] = {name: int((data.labels[use] == k).sum()) for k, name in enumerate(CLASSES)}
    (args.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
