"""Stage 1b: fit what gathers both branches into a calibrated verdict, and print what it reaches on sources
left out.

python -m train.fit_verdict --corpus DIR --tower DIR --lowlevel DIR --run RUN --out
forensic_chat/weights/embedded/encoder

The tower's heads are fitted a fold of whole sources at a time; the fusion reads only predictions for
sources that neither branch saw (the caches of train.features). Split `val` is printed beside it and chooses
nothing.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from forensic_chat.data.manifest import Item, folds
from forensic_chat.data.manifest import read as read_manifest
from forensic_chat.encoder.config import TRACES, EncoderConfig
from forensic_chat.encoder.verdict import SUMMARY, VerdictHead, softmax
from forensic_chat.schema import CLASSES
from forensic_chat.scoring.detection import expected_calibration_error

Floats = NDArray[np.float32]
PRIOR = {"real": 0.5, "synthetic": 0.25, "tampered": 0.25}


def balanced(labels: NDArray[np.int64], sources: list[str]) -> Floats:
    """Sample weights: classes weigh as PRIOR, within a class a source weighs as the square root of its
    size."""
    weights = np.zeros(len(labels), np.float32)
    names = np.array(sources)
    for k, name in enumerate(CLASSES):
        of_class = labels == k
        for source in np.unique(names[of_class]):
            here = of_class & (names == source)
            weights[here] = 1 / np.sqrt(here.sum())
        weights[of_class] *= PRIOR[name] / max(weights[of_class].sum(), 1e-9)
    return weights * len(labels)


def linear(x: Floats, y: NDArray[np.int64], weight: Floats, c: float) -> tuple[Floats, Floats]:
    """L2 logistic regression over three classes -> weights (3, D), bias (3,)."""
    model = LogisticRegression(C=c, max_iter=400).fit(x, y, sample_weight=weight)
    return model.coef_.astype(np.float32), model.intercept_.astype(np.float32)


class TowerFit:
    """Standardisation and the two linear heads of the tower, fitted on variants stacked (N, V, views,
    D)."""

    def __init__(self, features: Floats, labels: NDArray[np.int64], sources: list[str], c: float) -> None:
        self.mean, self.scale, self.weight, self.bias = [], [], [], []
        for view in (slice(0, 1), slice(1, None)):
            x = features[:, :, view]
            n = x.shape[1] * x.shape[2]
            x = x.reshape(-1, x.shape[-1]).astype(np.float32)
            self.mean.append(x.mean(0))
            self.scale.append(x.std(0) + 1e-3)
            y = np.repeat(labels, n)
            weight = np.repeat(balanced(labels, sources), n) / n
            w, b = linear((x - self.mean[-1]) / self.scale[-1], y, weight, c)
            self.weight.append(w)
            self.bias.append(b)

    def logits(self, features: Floats) -> Floats:
        """(N, views, D) -> (N, 6): overview logits, mean crop logits."""
        out = []
        for k, view in enumerate((slice(0, 1), slice(1, None))):
            x = (features[:, view].astype(np.float32) - self.mean[k]) / self.scale[k]
            out.append((x @ self.weight[k].T + self.bias[k]).mean(1))
        return np.concatenate(out, 1)


def load(folder: Path, variants: list[int], count: int, shape: tuple[int, ...]) -> Floats:
    """(N, V, ...) from the caches of train.features; raises FileNotFoundError if one is missing."""
    return np.stack(
        [
            [np.load(folder / f"variant{v}" / f"{i:05d}.npy").reshape(shape) for v in variants]
            for i in range(count)
        ]
    )


def report(name: str, logits: Floats, labels: NDArray[np.int64]) -> dict[str, float]:
    """Figures of one set of predictions, at the operating point 0.5."""
    p = softmax(logits)
    fake = 1 - p[:, 0]
    real, synthetic, tampered = (labels == k for k in range(3))
    rs = real | synthetic
    figures = {
        "auc_real_synthetic": roc_auc_score(labels[rs], fake[rs]),
        "balanced_accuracy_real_synthetic": balanced_accuracy_score(labels[rs], fake[rs] > 0.5),
        "auc_real_tampered": roc_auc_score(labels[~synthetic] > 0, fake[~synthetic]),
        "balanced_accuracy_fake": balanced_accuracy_score(labels > 0, fake > 0.5),
        "false_accusations": float((fake[real] > 0.5).mean()),
        "found_synthetic": float((fake[synthetic] > 0.5).mean()),
        "found_tampered": float((fake[tampered] > 0.5).mean()),
        "ece": expected_calibration_error(fake, labels > 0),
    }
    print(f"{name:38s}", " ".join(f"{k}={v:.3f}" for k, v in figures.items()), flush=True)
    return {k: round(float(v), 4) for k, v in figures.items()}


def density(standard: Floats, k: int = 48) -> Floats:
    """(K, D) basis whose squared projections sum to a Mahalanobis distance in the K leading directions."""
    _, _, vt = np.linalg.svd(standard, full_matrices=False)
    projected = standard @ vt[:k].T
    precision = np.linalg.cholesky(LedoitWolf().fit(projected).precision_)
    return np.asarray(precision.T @ vt[:k], np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("corpus", "tower", "lowlevel", "run", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--variants", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--lowlevel-variants", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--c", type=float, default=0.003, help="inverse L2 strength of the tower's heads")
    parser.add_argument("--fusion-c", type=float, default=0.05)
    args = parser.parse_args()
    items = read_manifest(args.corpus / "manifest.jsonl")
    labels = np.array([CLASSES.index(i.label) for i in items])
    train = np.array([i.split == "train" for i in items])
    features = load(args.tower, args.variants, len(items), (3, -1))
    low = load(args.lowlevel, args.lowlevel_variants, len(items), (-1,))[..., : len(SUMMARY) - 6]
    summary = out_of_fold(items, labels, train, features, low, args)
    fit_and_save(items, labels, train, features, summary, args)


def out_of_fold(items: list[Item], labels, train, features, low, args) -> Floats:
    """(N, V, len(SUMMARY)): every image as read by heads that did not see its source."""
    sources = [i.source for i in items]
    tower = np.zeros((len(items), len(args.lowlevel_variants), 6), np.float32)
    for held in folds([i for i in items if i.split == "train"], args.folds, 0):
        inside = np.array([s in held for s in sources])
        fit = train & ~inside
        head = TowerFit(
            features[fit], labels[fit], [s for s, f in zip(sources, fit, strict=True) if f], args.c
        )
        for v in range(len(args.lowlevel_variants)):
            tower[inside, v] = head.logits(features[inside, v])
    return np.concatenate([tower, low], axis=2)


def fusion(summary: Floats, labels, sources: list[str], c: float):
    """Standardisation and multinomial logistic regression on (N, V, S)."""
    x = summary.reshape(-1, summary.shape[-1])
    mean, scale = x.mean(0), x.std(0) + 1e-3
    weight = np.repeat(balanced(labels, sources), summary.shape[1]) / summary.shape[1]
    w, b = linear(np.clip((x - mean) / scale, -4, 4), np.repeat(labels, summary.shape[1]), weight, c)
    return mean.astype(np.float32), scale.astype(np.float32), w, b


def apply(parts, summary: Floats) -> Floats:
    mean, scale, w, b = parts
    return np.clip((summary - mean) / scale, -4, 4) @ w.T + b


def fit_and_save(items, labels, train, features, summary, args) -> None:
    sources = [i.source for i in items]
    crossed = np.zeros((*summary.shape[:2], 3), np.float32)
    train_items = [i for i in items if i.split == "train"]
    for held in folds(train_items, args.folds, 0):
        inside = np.array([s in held for s in sources])
        fit = train & ~inside
        parts = fusion(
            summary[fit], labels[fit], [s for s, f in zip(sources, fit, strict=True) if f], args.fusion_c
        )
        crossed[inside] = apply(parts, summary[inside])
    screens = np.array(["[screenshot]" in (i.note or "") for i in items])
    photo = train & ~screens
    figures = {}
    for v, name in enumerate(["clean", "laundered"][: summary.shape[1]]):
        for label, columns in (
            ("overview head", slice(0, 3)),
            ("crop head", slice(3, 6)),
            ("low-level", slice(6, 9)),
        ):
            report(f"source-held-out {name}: {label}", summary[photo, v][:, columns], labels[photo])
        figures[f"source_held_out_{name}"] = report(
            f"source-held-out {name}: fusion", crossed[photo, v], labels[photo]
        )
    figures["source_held_out_screenshots_flagged"] = float(
        (softmax(crossed[screens & train, 0])[:, 0] < 0.5).mean()
    )
    print("screenshots flagged", figures["source_held_out_screenshots_flagged"])

    mean, scale, w, b = fusion(
        summary[train], labels[train], [s for s, t in zip(sources, train, strict=True) if t], args.fusion_c
    )
    head = TowerFit(
        features[train], labels[train], [s for s, t in zip(sources, train, strict=True) if t], args.c
    )
    overview = ((features[train, 0, 0] - head.mean[0]) / head.scale[0]).astype(np.float32)
    basis, distances = density(overview), []
    for held in folds(train_items, args.folds, 0):
        inside = np.array([i.source in held for i in train_items])
        distances.append(np.square(overview[inside] @ density(overview[~inside]).T).sum(1))
    quantiles = np.quantile(np.concatenate(distances), np.linspace(0, 1, 101)).astype(np.float32)
    fitted = VerdictHead(
        np.stack(head.mean), np.stack(head.scale), np.stack(head.weight), np.stack(head.bias),
        mean, scale, w, b, basis, quantiles,
    )  # fmt: skip
    args.out.mkdir(parents=True, exist_ok=True)
    fitted.save(args.out / "verdict.safetensors")
    shutil.copy(args.run / "lowlevel.safetensors", args.out / "lowlevel.safetensors")
    EncoderConfig().save_pretrained(args.out)
    np.savez(
        args.out.parent.parent / "crossed.npz" if False else args.lowlevel / "crossed.npz",
        logits=crossed,
        labels=labels,
        train=train,
        screens=screens,
    )
    (args.lowlevel / "figures.json").write_text(json.dumps(figures, indent=1))
    assert len(TRACES)


if __name__ == "__main__":
    main()
