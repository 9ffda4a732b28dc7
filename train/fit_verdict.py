"""Stage 2: fit what gathers the tower's and the mask heads' answers into a calibrated verdict; freeze its points.

    python -m train.fit_verdict --corpus DIR [DIR ...] --tower DIR --masks DIR --heads RUN RUN --residuals RUN RUN
        --out DIR

The guard of train.shortcuts stands before the fit. The tower's heads are fitted a fold of whole sources at a time;
fusion, operating points and false-alarm rates come from answers to images of sources that what answered was not trained
on (the caches of `train.features`). The runs of `train.mask_head` ship together. Split `val` and sources marked
`holdout` choose nothing.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from forensic_chat.data.manifest import folds
from forensic_chat.encoder.config import EncoderConfig
from forensic_chat.encoder.verdict import CHANGE, VerdictHead, softmax
from forensic_chat.scoring.detection import expected_calibration_error
from train.features import Trained, examples, limited, look, together, tower_views
from train.operating_points import Points, freeze
from train.shortcuts import Fed, refuse_shortcuts
from train.tower_heads import (
    Table,
    TowerFit,
    add_fit_arguments,
    balanced,
    block,
    linear,
    out_of_fold,
    probe,
    table,
)

Floats = NDArray[np.float32]
CHANGE_C = 0.05
"""Inverse L2 strength of the fit that lets the mask speak alone."""
GUARDED = 5
"""Crops a class and source that the guard against shortcuts looks at."""
PRIOR = {"real": 2 / 3, "synthetic": 2 / 9, "tampered": 1 / 18, "forged": 1 / 18}
"""Weights of the fusion's fit: as if two of three images were photos, so that at 0.5 few of them are accused; photos
tampered with by others and by us (`forged`) count alike."""


def guard(corpora: list[Path], tower: Path, variant: int) -> None:
    """Raises UsageError if what delivered the crops of photos and generated images tells them apart; images that
    the tower read and `train` holds. The mask heads' own guard stands in train.mask_head."""
    fed = []
    for corpus in corpora:
        folder = tower / corpus.name / f"variant{variant}"
        read = [
            example
            for example in examples(corpus)
            if example.item.split == "train"
            and example.item.label != "tampered"
            and (folder / example.file).exists()
        ]
        for example in limited(read, GUARDED):
            seen = look(example, variant, {})
            first_crop = tower_views(seen.pixels, seen.native, int(example.key))[1]
            fed.append(Fed(first_crop, example.item.label, example.item.source))
    refuse_shortcuts(fed)


Fusion = tuple[Floats, Floats, Floats, Floats]


def fit_fusion(
    x: Floats, labels: NDArray[np.int64], kinds: NDArray[np.str_], sources: NDArray[np.str_], c: float
) -> Fusion:
    """Mean, scale, weight (3, S) and bias of a multinomial logistic regression on (N, V, S) summaries."""
    flat = x.reshape(-1, x.shape[-1])
    mean, scale = flat.mean(0), flat.std(0) + 1e-3
    weight = np.repeat(balanced(kinds, sources, PRIOR), x.shape[1]) / x.shape[1]
    w, b = linear(np.clip((flat - mean) / scale, -4, 4), np.repeat(labels, x.shape[1]), weight, c)
    return mean, scale, w, b


def fused(fusion: Fusion, x: Floats) -> Floats:
    mean, scale, w, b = fusion
    return np.clip((x - mean) / scale, -4, 4) @ w.T + b


def fuse(data: Table, x: Floats, fit: NDArray[np.bool_], c: float) -> Fusion:
    return fit_fusion(x[fit], data.labels[fit], data.kinds[fit], data.sources[fit], c)


def fit_change(data: Table, x: Floats, fit: NDArray[np.bool_], fusion: Fusion) -> Fusion:
    """The fusion's mean and scale of the last CHANGE entries, and on them weight and bias () of a changed against
    an untouched photo, half of each; photos that others and that we tampered with count alike."""
    mean, scale = fusion[0][-CHANGE:], fusion[1][-CHANGE:]
    photos = fit & (data.kinds != "synthetic")
    copies = x.shape[1]
    flat = np.clip((x[photos][..., -CHANGE:].reshape(-1, CHANGE) - mean) / scale, -4, 4)
    weight = np.repeat(balanced(data.kinds[photos], data.sources[photos], PRIOR), copies) / copies
    changed = np.repeat(data.kinds[photos] != "real", copies)
    for half in (changed, ~changed):
        weight[half] *= len(half) / copies / 2 / weight[half].sum()
    w, b = linear(flat, changed.astype(np.int64), weight, CHANGE_C)
    return mean, scale, w[1] - w[0], b[1] - b[0]


def cross_answered(data: Table, x: Floats, use: NDArray[np.bool_], c: float, k: int) -> tuple[Floats, Floats]:
    """Calibrated logits (N, V, 3) and log odds (N, V) of a change by the mask alone, of images in `use`, by fits
    that did not see their source; NaN for others.

    A source that alone holds a kind is the exception: its images are answered by fits that saw it.
    """
    logits, changed = np.full((*x.shape[:2], 3), np.nan, np.float32), np.full(x.shape[:2], np.nan, np.float32)
    held = folds([item for item, u in zip(data.items, use, strict=True) if u], k, 0)
    for sources in [set(data.sources), *held]:
        everything = sources >= set(data.sources)
        inside = use & np.isin(data.sources, [s for s in sources if everything or not alone(data, use, s)])
        fit = use if everything else use & ~inside
        if inside.any():
            fusion = fuse(data, x, fit, c)
            logits[inside] = fused(fusion, x[inside])
            changed[inside] = fused(fit_change(data, x, fit, fusion), x[inside][..., -CHANGE:])
    return logits, changed


def alone(data: Table, use: NDArray[np.bool_], source: str) -> bool:
    """Whether a kind has no other source."""
    return set(data.kinds[use & (data.sources != source)]) < set(data.kinds[use])


def report(
    name: str, data: Table, use: NDArray[np.bool_], logits: Floats, changed: Floats
) -> dict[str, float]:
    """Print and return the figures of (N, 3) logits at the operating point 0.5, and of (N,) log odds of a change.

    Fakes are what was collected; `forged` figures stand beside them.
    """
    fake, kinds = 1 - softmax(logits), data.kinds
    fake = fake[:, 0]
    real, synthetic, tampered, forged = (
        use & (kinds == k) for k in ("real", "synthetic", "tampered", "forged")
    )

    def auc(score: Floats, positive: NDArray[np.bool_]) -> float:
        both = real | positive
        return float(roc_auc_score(positive[both], score[both]))

    collected = real | synthetic | tampered
    figures = {
        "auc_synthetic": auc(fake, synthetic),
        "balanced_accuracy_synthetic": ((fake[real] <= 0.5).mean() + (fake[synthetic] > 0.5).mean()) / 2,
        "false_accusations": (fake[real] > 0.5).mean(),
        "found_synthetic": (fake[synthetic] > 0.5).mean(),
        "auc_tampered": auc(fake, tampered),
        "auc_tampered_by_mask": auc(changed, tampered),
        "found_tampered": (fake[tampered] > 0.5).mean(),
        "auc_forged": auc(fake, forged),
        "auc_forged_by_mask": auc(changed, forged),
        "found_forged": (fake[forged] > 0.5).mean(),
        "ece": expected_calibration_error(fake[collected], data.labels[collected] > 0),
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
    known = data.train & data.whole
    overview = ((data.features[known, :, 0] - heads.mean[0]) / heads.scale[0]).astype(np.float32)
    sources = data.sources[known]
    distances = []
    for held in folds([item for item, use in zip(data.items, known, strict=True) if use], k, 0):
        inside = np.isin(sources, list(held))
        basis = density(overview[~inside].reshape(-1, overview.shape[-1]))
        distances.append(np.square(overview[inside].reshape(-1, overview.shape[-1]) @ basis.T).sum(1))
    quantiles = np.quantile(np.concatenate(distances), np.linspace(0, 1, 101))
    return density(overview.reshape(-1, overview.shape[-1])), quantiles.astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_fit_arguments(parser)
    parser.add_argument("--heads", type=Path, nargs="+", required=True, metavar="RUN")
    parser.add_argument("--residuals", type=Path, nargs="+", required=True, metavar="RUN")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fusion-c", type=float, default=0.05)
    args = parser.parse_args()
    if len(args.heads) != len(args.residuals):
        parser.error("--heads and --residuals name a run for each fold, in the same order")
    data = table(args.corpus, args.tower, args.masks, args.variants, args.more)
    for variant in args.variants:
        guard(args.corpus, args.tower, variant)
    tower = out_of_fold(data, args.folds, args.tower_c)
    plain = out_of_fold(replace(data, features=block(data.features, 8)), args.folds, args.tower_c)[..., 0]
    x = np.concatenate([tower[:, : len(args.variants)], data.summary], -1)
    screens = np.array(["[screenshot]" in (item.note or "") for item in data.items])
    use = data.masked & data.train & ~screens
    logits, changed = cross_answered(data, x, use, args.fusion_c, args.folds)
    figures: dict[str, object] = {}
    for v in range(len(args.variants)):
        name = "clean" if args.variants[v] == 0 else "laundered"
        photo = data.train & ~screens & data.whole
        probe(f"{name}, all sources: block 8 alone, overview", plain[photo, v], data.labels[photo])
        probe(f"{name}, all sources: tower overview", tower[photo, v, 0], data.labels[photo])
        probe(f"{name}, all sources: tower crops", tower[photo, v, 1], data.labels[photo])
        probe(f"{name}, all sources: tower both", tower[photo, v].mean(1), data.labels[photo])
        figures[name] = report(f"{name}, left out: fusion", data, use, logits[:, v], changed[:, v])
    fusion = fuse(data, x, use, args.fusion_c)
    heads = TowerFit.fit(
        data.features[data.train], data.kinds[data.train], data.sources[data.train], args.tower_c
    )
    basis, quantiles = familiarity(data, heads, args.folds)
    *_, weight, bias = fit_change(data, x, use, fusion)
    change = weight, np.atleast_1d(bias)
    head = VerdictHead(heads.mean, heads.scale, heads.weight, heads.bias, *fusion, *change, basis, quantiles)
    args.out.mkdir(parents=True, exist_ok=True)
    head.save(args.out / "verdict.safetensors")
    runs = zip(args.heads, args.residuals, strict=True)
    heads_of_runs = together([Trained.load(*pair) for pair in runs])
    tensors = {name: value.contiguous() for name, value in heads_of_runs.state_dict().items()}
    save_file(tensors, args.out / "maskheads.safetensors")
    EncoderConfig(mask_heads=len(args.heads)).save(args.out)
    manipulations = np.array([item.manipulation or "" for item in data.items])
    points = freeze(
        Points(
            data.labels, logits, changed, data.summary[..., -1], data.masks, data.truths, manipulations, use
        )
    )
    (args.out / "calibration.json").write_text(json.dumps(points, indent=1) + "\n")
    figures["images"] = {name: int((data.kinds[use] == name).sum()) for name in PRIOR}
    (args.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
