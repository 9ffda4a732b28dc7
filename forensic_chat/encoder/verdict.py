"""From what was seen to calibrated probabilities: linear heads, fusion, familiarity.

All of it is linear on frozen or summarised features, small enough to be fitted again in seconds and light
enough not to trade what carries over for what is here (Ojha et al. 2023). `train.fit_verdict` fits it on
predictions for sources that the heads were not trained on.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SUMMARY = (
    "tower.overview", "tower.crops", "mask.peak", "mask.top", "mask.area", "mask.reliability", "copy.score",
)  # fmt: skip
"""What the fusion reads, in order: log odds of a generated image, what the mask says of a change, a verified copy."""
CHANGE = 5
"""How many of them, the last ones, tell of a change."""
COPY_FROM, COPY_SPAN = 6.0, 2.0
"""Score of a copy (evidence.copymove) from which it counts, reached by 2.6 % of photos, and how far it counts more."""


def softmax(logits: Floats) -> Floats:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def logit(probability: Floats | float) -> Floats:
    clipped = np.clip(probability, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), np.float32)


def summarise_mask(mask: Floats, reliability: Floats) -> Floats:
    """Mask and reliability probabilities (h, w) of cells -> the "mask" entries of SUMMARY.

    Shares of the cells, not counts, so that an image's size does not tell.
    """
    ordered = np.sort(mask, axis=None)
    top = ordered[-max(1, ordered.size // 50) :]
    peak = ordered[-max(1, ordered.size // 200)]
    sure = mask * reliability
    return np.array(
        [
            logit(float(peak)),
            logit(float(top.mean())),
            logit(float((mask > 0.5).mean())),
            logit(float(np.sort(sure, axis=None)[-max(1, sure.size // 50) :].mean())),
        ],
        np.float32,
    )


def summarise_copy(score: float) -> float:
    """The "copy" entry of SUMMARY: a hinge, as most photos' repeated patterns score less."""
    return float(np.clip(score - COPY_FROM, 0, COPY_SPAN))


@dataclass(frozen=True)
class VerdictHead:
    """Fitted parameters; `save` and `load` keep them as safetensors."""

    tower_mean: Floats
    """(2, D): of overview and crop features."""

    tower_scale: Floats
    tower_weight: Floats
    """(2, D): the overview's and the crops' linear heads, generated against photo."""

    tower_bias: Floats
    """(2,)"""

    fusion_mean: Floats
    """(len(SUMMARY),)"""

    fusion_scale: Floats
    fusion_weight: Floats
    """(3, len(SUMMARY)), temperature included."""

    fusion_bias: Floats
    change_weight: Floats
    """(CHANGE,): of the last entries of SUMMARY, standardised as for the fusion, changed against untouched photo."""

    change_bias: Floats
    """(1,)"""

    density_basis: Floats
    """(K, D): principal axes of standardised overview features, whitened."""

    density_quantiles: Floats
    """(101,) of the squared distance on images of sources left out."""

    def __post_init__(self) -> None:
        """Raises ValueError for a head that was fitted on another summary."""
        if self.fusion_weight.shape != (3, len(SUMMARY)):
            raise ValueError(f"the fusion reads {self.fusion_weight.shape}, not (3, {len(SUMMARY)})")
        if self.change_weight.shape != (CHANGE,):
            raise ValueError(f"the change reads {self.change_weight.shape}, not ({CHANGE},)")

    def tower_logits(self, features: Floats) -> tuple[float, float]:
        """(V, D), overview first -> log odds of a generated image: the overview's, and the crops' mean."""
        views = [0] + [1] * (len(features) - 1)
        standard = (features - self.tower_mean[views]) / self.tower_scale[views]
        logits = (self.tower_weight[views] * standard).sum(1) + self.tower_bias[views]
        return float(logits[0]), float(logits[1:].mean())

    def fuse(self, summary: Floats) -> Floats:
        """(..., len(SUMMARY)) -> calibrated logits (..., 3) of real, synthetic, tampered."""
        return np.asarray(self._standard(summary) @ self.fusion_weight.T + self.fusion_bias, np.float32)

    def changed(self, summary: Floats) -> Floats:
        """(..., len(SUMMARY)) -> log odds (...) that a place of the photo was changed, by mask and copy alone."""
        local = self._standard(summary)[..., -CHANGE:]
        return np.asarray(local @ self.change_weight + self.change_bias[0], np.float32)

    def _standard(self, summary: Floats) -> Floats:
        return np.asarray(np.clip((summary - self.fusion_mean) / self.fusion_scale, -4, 4), np.float32)

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
