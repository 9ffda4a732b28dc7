"""The thresholds that ship, each chosen on images of sources left out of training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forensic_chat.encoder.verdict import softmax
from forensic_chat.schema import CLASSES
from forensic_chat.scoring.detection import rate_upper_bound
from forensic_chat.scoring.localisation import overlap

MISSED = 0.1
"""The rate of generated images that may be called photos."""
ACCUSATIONS = 0.03
"""The rate of photos labelled fake that the undecided band is to keep below, in every variant."""
MARKED_PHOTOS, COPIED_PHOTOS = 0.025, 0.01
"""The rates of photos that may be shown with a mask, in every variant, for what the mask says and for a copy."""
UNFAMILIAR = 0.01


@dataclass(frozen=True, eq=False)
class Points:
    """What the choice is made on: N images, V variants."""

    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    """(N, V, 3), by models that did not see the image's source."""
    changed: NDArray[np.float32]
    """(N, V) log odds of a change by mask and copy alone, likewise."""
    copied: NDArray[np.float32]
    """(N, V) what verdict.summarise_copy makes of a copy."""
    masks: list[list[NDArray[np.uint8]]]
    """Per image and variant, the mask's cells, 0..255."""
    truths: list[NDArray[np.bool_] | None]
    """Per tampered image, the cells of its first variant that were changed."""
    kinds: NDArray[np.str_]
    """(N,) names by which tampered images are averaged: every kind counts alike."""
    use: NDArray[np.bool_]


def freeze(points: Points) -> dict[str, object]:
    """The fields of `forensic_chat.encoder.calibration.Calibration`."""
    p = softmax(points.logits[points.use])
    labels = points.labels[points.use]
    fake, real = 1 - p[..., 0], labels == 0
    high = max(0.5, max(float(np.quantile(fake[real, v], 1 - ACCUSATIONS)) for v in range(fake.shape[1])))
    low = min(0.5, float(np.quantile(fake[labels == 1], MISSED)))
    changed = 1 / (1 + np.exp(-points.changed[points.use]))
    gate = max(above(changed[real, v], MARKED_PHOTOS) for v in range(fake.shape[1]))
    copy_gate = max(above(points.copied[points.use][real, v], COPIED_PHOTOS) for v in range(fake.shape[1]))
    copied = points.copied >= copy_gate
    threshold = mask_threshold(points, (points.changed >= np.log(gate / (1 - gate))) | copied)
    undecided = [round(max(low, 0.3), 3), round(min(high, 0.8), 3)]
    shown = ((changed >= gate) | copied[points.use]) & (p[..., 1] < undecided[1])
    rates = {
        kind: bound(flagged[real])
        for kind, flagged in (
            ("encoder.synthetic", (fake > 0.5) & (p[..., 1] >= p[..., 2])),
            ("encoder.tampered", (fake > 0.5) & (p[..., 2] > p[..., 1])),
            ("encoder.mask", shown),
        )
    }
    answered = ((fake <= undecided[0]) & ~shown) | (fake >= undecided[1])
    covered = {name: round(float(answered[labels == k].mean()), 3) for k, name in enumerate(CLASSES)}
    accused = (fake[real] >= undecided[1]).mean(0)
    print(f"undecided {undecided}: share that gets an answer {covered}")
    print(
        f"photos labelled fake {accused.round(3).tolist()}, shown with a mask {shown[real].mean(0).round(3).tolist()}"
    )
    print(f"mask threshold {threshold}, gate {gate}, of copies {copy_gate}; false-alarm rates {rates}")
    return {
        "undecided": undecided,
        "unfamiliar_below": UNFAMILIAR,
        "unstable_above": 0.2,
        "mask_threshold": threshold,
        "mask_gate": gate,
        "copy_gate": copy_gate,
        "false_alarm_rates": rates,
    }


def above(scores: NDArray[np.float32], rate: float) -> float:
    """The least thousandth that at most `rate` of the scores reach."""
    return float(np.floor(float(np.quantile(scores, 1 - rate, method="higher")) * 1000 + 1) / 1000)


def bound(flagged: NDArray[np.bool_]) -> float:
    """95 % upper bound of a rate over photos; the worst variant counts."""
    return round(max(rate_upper_bound(int(v.sum()), len(v)) for v in flagged.T), 4)


def mask_threshold(points: Points, shown: NDArray[np.bool_]) -> float:
    """The threshold whose masks, where `shown` (N, V), have the best F1 on tampered images as they are, kinds counting
    alike."""
    tampered = [
        k for k in np.flatnonzero(points.use) if points.truths[k] is not None and points.truths[k].any()
    ]
    names = sorted({points.kinds[k] for k in tampered})
    best, found = 0.5, -1.0
    for threshold in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        f1 = {
            k: overlap(points.masks[k][0] > threshold * 255, points.truths[k]).f1 if shown[k, 0] else 0.0
            for k in tampered
        }
        means = {name: float(np.mean([f1[k] for k in tampered if points.kinds[k] == name])) for name in names}
        told = " ".join(f"{name} {value:.3f}" for name, value in means.items())
        print(f"mask over {threshold}, mean F1 where shown, else 0: {told}")
        if np.mean(list(means.values())) > found:
            best, found = threshold, float(np.mean(list(means.values())))
    return best
