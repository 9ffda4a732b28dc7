"""From what both branches saw to calibrated probabilities: linear heads, fusion, familiarity.

All of it is linear on frozen or summarised features, small enough to be fitted again in seconds and light
enough not to trade what carries over for what is here (Ojha et al. 2023). `train.fit_verdict` fits it on
predictions for sources the branches were not trained on.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SUMMARY = (
    "tower.overview.real", "tower.overview.synthetic", "tower.overview.tampered",
    "tower.crops.real", "tower.crops.synthetic", "tower.crops.tampered",
    "low.real", "low.synthetic", "low.tampered", "low.synthetic.max", "low.tampered.max",
    "mask.peak", "mask.top", "mask.area", "reliability",
)  # fmt: skip
"""What the fusion reads, in order."""


def softmax(logits: Floats) -> Floats:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def logit(probability: Floats | float) -> Floats:
    clipped = np.clip(probability, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), np.float32)


def log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), np.float32)


def summarise_lowlevel(verdicts: Floats, mask: Floats, reliability: Floats) -> Floats:
    """Tile verdict logits (T, 3), mask and reliability probabilities (h, w) -> the last 9 entries of
    SUMMARY."""
    tiles = log_softmax(verdicts)
    ordered = np.sort(mask, axis=None)
    top = ordered[-max(1, ordered.size // 100) :]
    peak = ordered[-max(1, min(4, ordered.size // 100))]
    return np.concatenate(
        [
            tiles.mean(0),
            tiles[:, 1:].max(0),
            [
                logit(float(peak)),
                logit(float(top.mean())),
                logit(float((mask > 0.5).mean())),
                reliability.mean(),
            ],
        ]
    ).astype(np.float32)


@dataclass(frozen=True)
class VerdictHead:
    """Fitted parameters; `save` and `load` keep them as safetensors."""

    tower_mean: Floats
    """(2, D): of overview and crop features."""

    tower_scale: Floats
    tower_weight: Floats
    """(2, 3, D): the overview's and the crops' linear heads."""

    tower_bias: Floats
    fusion_mean: Floats
    """(len(SUMMARY),)"""

    fusion_scale: Floats
    fusion_weight: Floats
    """(3, len(SUMMARY)), temperature included."""

    fusion_bias: Floats
    density_basis: Floats
    """(K, D): principal axes of standardised overview features, whitened."""

    density_quantiles: Floats
    """(101,) of the squared distance on images of sources left out."""

    def __post_init__(self) -> None:
        """Raises ValueError for a head that was fitted on another summary."""
        if self.fusion_weight.shape != (3, len(SUMMARY)):
            raise ValueError(f"the fusion reads {self.fusion_weight.shape}, not (3, {len(SUMMARY)})")

    def tower_logits(self, features: Floats) -> tuple[Floats, Floats]:
        """(V, D), overview first -> overview logits (3,) and the crops' mean logits (3,)."""
        views = [0] + [1] * (len(features) - 1)
        standard = (features - self.tower_mean[views]) / self.tower_scale[views]
        logits = np.einsum("vcd,vd->vc", self.tower_weight[views], standard) + self.tower_bias[views]
        return logits[0], logits[1:].mean(0)

    def fuse(self, summary: Floats) -> Floats:
        """(..., len(SUMMARY)) -> calibrated logits (..., 3) of real, synthetic, tampered; class-
        balanced."""
        standard = np.clip((summary - self.fusion_mean) / self.fusion_scale, -4, 4)
        return np.asarray(standard @ self.fusion_weight.T + self.fusion_bias, np.float32)

    def familiarity(self, overview: Floats) -> float:
        """Overview features (D,) -> 0..1: the share of known images that lie farther from their centre than
        this one."""
        standard = (overview - self.tower_mean[0]) / self.tower_scale[0]
        distance = float(np.square(self.density_basis @ standard).sum())
        return float(1 - np.searchsorted(self.density_quantiles, distance) / len(self.density_quantiles))

    def save(self, path: Path) -> None:
        from safetensors.numpy import save_file

        save_file({name: np.ascontiguousarray(value) for name, value in vars(self).items()}, path)

    @classmethod
    def load(cls, path: Path) -> "VerdictHead":
        from safetensors.numpy import load_file

        return cls(**load_file(path))
